//! The values of options: times, numbers, descriptors.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::limits::{BACKOFF_MIN, HEARTBEAT_MAX, HEARTBEAT_MIN, IDLE_LINKS_MAX};

/// What can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// With it.
    On,
    /// Without it.
    Off,
}

/// A time, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrOff(pub Option<Duration>);

/// A time of zero or more in whole numbers, each with its unit: `500ms`, `30s`, `5m`, `2h`, `1m 30s`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "no unit: write {text}s, or {text}ms, {text}m, {text}h"
        ));
    }
    match milliseconds(text).map(Duration::from_millis) {
        Some(time) if time <= TIME_MAX => Ok(time),
        Some(_) => Err("too long: expected at most 8760h".to_owned()),
        None => Err("expected a time as in 500ms, 30s, 5m or 2h".to_owned()),
    }
}

/// The sum of the parts; what is too large for the type is too long in any case.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let mut sum = 0u64;
    let mut rest = text;
    loop {
        let (digits, behind) = rest.split_at(rest.find(|byte: char| !byte.is_ascii_digit())?);
        if digits.is_empty() {
            return None;
        }
        let letters = behind
            .find(|byte: char| !byte.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            _ => return None,
        };
        let number = digits.parse().unwrap_or(u64::MAX);
        sum = sum.saturating_add(number.saturating_mul(unit_ms));
        if behind.is_empty() {
            return Some(sum);
        }
        rest = behind.trim_start_matches(' ');
    }
}

/// Reads a timeout. `off` is refused: the wait must end.
pub(super) fn parse_timeout(text: &str) -> Result<Duration, String> {
    match text {
        "off" => Err("this cannot be off: expected a time as in 30s".to_owned()),
        _ => match parse_duration(text)? {
            Duration::ZERO => Err("expected a time above zero".to_owned()),
            time => Ok(time),
        },
    }
}

pub(super) fn parse_timeout_or_off(text: &str) -> Result<OrOff, String> {
    match text {
        "off" => Ok(OrOff(None)),
        _ => match parse_duration(text)? {
            Duration::ZERO => Err("expected a time above zero, or off".to_owned()),
            time => Ok(OrOff(Some(time))),
        },
    }
}

pub(super) fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    match parse_timeout(text)? {
        time if (HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&time) => Ok(time),
        _ => Err("expected 1s to 1h".to_owned()),
    }
}

pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_timeout(text)? {
        time if time >= BACKOFF_MIN => Ok(time),
        _ => Err("expected at least 50ms".to_owned()),
    }
}

pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    parse_number(text, COUNT_MAX)
}

pub(super) fn parse_idle(text: &str) -> Result<usize, String> {
    parse_number(text, IDLE_LINKS_MAX)
}

pub(super) fn parse_number(text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from 1 to {max}")),
    }
}

pub(super) fn parse_descriptor(text: &str) -> Result<RawFd, String> {
    match text.parse() {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err("expected the number of a descriptor".to_owned()),
    }
}

/// No deadline is farther away, so that adding one to the clock cannot overflow. 365 days.
pub(super) const TIME_MAX: Duration = Duration::from_secs(8760 * 60 * 60);

/// Of sessions, links or clients that wait: more than one process can have descriptors for.
pub(super) const COUNT_MAX: usize = 1_000_000;
