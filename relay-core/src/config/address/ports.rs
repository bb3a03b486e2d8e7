//! Ports and ranges of ports.

use std::ops::RangeInclusive;

use super::error::AddressFault;
use super::text::{is_digits, is_half_range, is_ports};

pub(super) fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, AddressFault> {
    let Some((first, last)) = text.split_once('-') else {
        let port = parse_port(text)?;
        return Ok(port..=port);
    };
    if is_half_range(text) {
        return Err(AddressFault::RangeHalf);
    }
    if !is_ports(text) {
        return Err(AddressFault::PortNotNumber(text.to_owned()));
    }
    match (parse_port(first)?, parse_port(last)?) {
        (0, _) => Err(AddressFault::RangeFromZero),
        (first, last) if first > last => {
            Err(AddressFault::RangeDescends(format!("{last}-{first}")))
        }
        (first, last) => Ok(first..=last),
    }
}

pub(super) fn parse_port(text: &str) -> Result<u16, AddressFault> {
    match text.parse() {
        _ if text.is_empty() => Err(AddressFault::NoPort),
        _ if !is_digits(text) => Err(AddressFault::PortNotNumber(text.to_owned())),
        Ok(port) => Ok(port),
        Err(_) => Err(AddressFault::PortTooHigh(text.to_owned())),
    }
}
