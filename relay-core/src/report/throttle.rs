//! Warnings that may come often: few of them are logged.

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::writer::Report;

/// Lets one warning of its kind through in a period, and counts the others.
///
/// Whoever warns owns one, and passes the time in.
#[derive(Clone, Debug)]
pub struct Throttle {
    period: Duration,
    quiet_until: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    /// Lets one warning a second through.
    pub const fn per_second() -> Self {
        Self::per(Duration::from_secs(1))
    }

    /// Lets one warning in each `period` through.
    pub const fn per(period: Duration) -> Self {
        Self {
            period,
            quiet_until: None,
            suppressed: 0,
        }
    }

    /// Warns, unless this kind of warning was given a moment ago.
    pub fn warning(&mut self, report: &Report, now: Instant, text: impl Display) {
        match self.admit(now) {
            None => {}
            Some(0) => report.warning(text),
            Some(suppressed) => {
                report.warning(format_args!("{text} ({suppressed} more since the last)"));
            }
        }
    }

    /// What was warned of is over: after `pause` it would be news.
    pub fn over(&mut self, now: Instant, pause: Duration) {
        self.quiet_until = self.quiet_until.map(|until| until.min(now + pause));
    }

    /// Whether it is time to tell anew, for what is costly to put into words.
    pub fn lets_through(&mut self, now: Instant) -> bool {
        self.admit(now).is_some()
    }

    /// How many were suppressed since the last one that was let through, if this one is.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.quiet_until.is_some_and(|until| now < until) {
            self.suppressed += 1;
            return None;
        }
        self.quiet_until = Some(now + self.period);
        Some(std::mem::take(&mut self.suppressed))
    }
}
