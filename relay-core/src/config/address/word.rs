//! A word by its form alone, before it is known whether it is to listen or to dial.

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::error::AddressFault;
use super::four_way::FourWayWord;
use super::host::{HostWord, in_brackets, parse_host};
use super::names::UnixName;
use super::ports::parse_ports;
use super::proxy::Proxy;
use super::text::{UNIX_NAME_BYTES_MAX, is_digits, is_half_range, is_ports};

/// A word by its form alone, before anyone asks whether it is to listen or to dial.
pub(super) enum Word<'a> {
    Stdio,
    Unix(UnixName),
    SocksBind(Box<Proxy>),
    Fd {
        read: RawFd,
        write: RawFd,
    },
    Tcp {
        host: HostWord,
        /// The text in front of the port, its colon included.
        before_port: &'a str,
        ports: RangeInclusive<u16>,
    },
    FourWay(FourWayWord<'a>),
}

pub(super) fn parse_unix(name: &str) -> Result<UnixName, AddressFault> {
    let (unix_name, bytes) = match name.strip_prefix('@') {
        Some(name) => (UnixName::Abstract(name.as_bytes().to_vec()), name.len()),
        None => (UnixName::Path(PathBuf::from(name)), name.len()),
    };
    match bytes {
        0 => Err(AddressFault::UnixEmpty),
        1..=UNIX_NAME_BYTES_MAX => Ok(unix_name),
        _ => Err(AddressFault::UnixTooLong),
    }
}

pub(super) fn parse_descriptors(text: &str) -> Result<Word<'_>, AddressFault> {
    let descriptor = |text: &str| match text.parse::<RawFd>() {
        Ok(fd) if is_digits(text) => Ok(fd),
        _ => Err(AddressFault::Descriptor),
    };
    let (read, write) = text.split_once(',').unwrap_or((text, text));
    Ok(Word::Fd {
        read: descriptor(read)?,
        write: descriptor(write)?,
    })
}

pub(super) fn parse_tcp(word: &str) -> Result<Word<'_>, AddressFault> {
    if word
        .split_once('=')
        .is_some_and(|(name, _)| !name.contains([':', '[']))
    {
        return Err(AddressFault::NameMalformed);
    }
    if word.starts_with('[') {
        let colon = word.rfind("]:").ok_or(AddressFault::BracketsBroken)? + 1;
        return parse_host_and_ports(word, colon);
    }
    match word.rfind(':') {
        None if word.starts_with(|first: char| first.is_ascii_digit()) && is_ports(word) => {
            Ok(Word::Tcp {
                host: HostWord::Empty,
                before_port: "",
                ports: parse_ports(word)?,
            })
        }
        None if is_half_range(word) => Err(AddressFault::RangeHalf),
        None => Err(AddressFault::NoPort),
        Some(colon) if word[..colon].contains(':') => Err(explain_colons(word, colon)),
        Some(colon) => parse_host_and_ports(word, colon),
    }
}

pub(super) fn parse_host_and_ports(word: &str, colon: usize) -> Result<Word<'_>, AddressFault> {
    let (host, behind) = word.split_at(colon);
    let host = parse_host(host, behind)?;
    if behind == ":" {
        return Err(AddressFault::PortMissing(word.to_owned()));
    }
    Ok(Word::Tcp {
        host,
        before_port: &word[..=colon],
        ports: parse_ports(&word[colon + 1..])?,
    })
}

/// Several colons outside brackets: an IPv6 address, with a port or without, or nothing we know.
pub(super) fn explain_colons(word: &str, last_colon: usize) -> AddressFault {
    let is_ipv6 = |text: &str| {
        text.split('%')
            .next()
            .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
    };
    let (host, port) = (&word[..last_colon], &word[last_colon + 1..]);
    // `::1` could be port 1 of every address, but it never is.
    if host == ":" && is_ports(port) && port != "1" {
        AddressFault::BracketsMissing(format!("[::]:{port}"))
    } else if is_ipv6(host) && is_ports(port) {
        AddressFault::BracketsMissing(format!("{}:{port}", in_brackets(host)))
    } else if is_ipv6(word) {
        AddressFault::BracketsMissing(format!("{}:PORT", in_brackets(word)))
    } else {
        AddressFault::UnknownForm
    }
}
