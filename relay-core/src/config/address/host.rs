//! Hosts: what they mean, and how they are read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::net::if_::if_nametoindex;

use super::error::AddressFault;
use super::text::{is_digits, is_name, looks_numeric};

/// The local address of a TCP port to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenHost {
    /// Every address of either family, by one dual-stack socket.
    Any,
    /// This address; the number is the index of an IPv6 zone's interface, or 0.
    Ip(IpAddr, u32),
    /// The addresses of this name.
    Name(String),
}

/// The host of a TCP port to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// `::1` and `127.0.0.1`, known without a lookup: a bare port, `:PORT`, or the name `localhost`.
    Localhost,
    /// This address; the number is the index of an IPv6 zone's interface, or 0.
    Ip(IpAddr, u32),
    /// Every address this name has at the moment of the dial.
    Name(String),
}

/// The local address that dials leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address, or whichever the route gives.
    pub ip: Option<IpAddr>,
    /// The index of an IPv6 zone's interface, or 0.
    pub zone: u32,
    /// The port, never 0, or whichever the system picks.
    pub port: Option<u16>,
}

impl fmt::Display for ListenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Ip(ip, zone) => write_ip(f, *ip, *zone),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Ip(ip, zone) => write_ip(f, *ip, *zone),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ip) = self.ip {
            write_ip(f, ip, self.zone)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

pub(super) fn write_ip(f: &mut fmt::Formatter<'_>, ip: IpAddr, zone: u32) -> fmt::Result {
    match (ip, zone) {
        (IpAddr::V4(ip), _) => write!(f, "{ip}"),
        (IpAddr::V6(ip), 0) => write!(f, "[{ip}]"),
        (IpAddr::V6(ip), zone) => write!(f, "[{ip}%{zone}]"),
    }
}

pub(super) enum HostWord {
    Empty,
    Star,
    Ip(IpAddr, u32),
    Name(String),
}

impl HostWord {
    /// What it means where something is dialled; `*` means nothing there.
    pub(super) fn dialled(self) -> Option<TargetHost> {
        match self {
            Self::Star => None,
            Self::Empty => Some(TargetHost::Localhost),
            Self::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                Some(TargetHost::Localhost)
            }
            Self::Ip(ip, zone) => Some(TargetHost::Ip(ip, zone)),
            Self::Name(name) => Some(TargetHost::Name(name)),
        }
    }
}

/// Whether a text can stand in front of a port.
pub(super) fn is_host(text: &str) -> bool {
    matches!(
        parse_host(text, ""),
        Ok(HostWord::Ip(..) | HostWord::Name(_))
    )
}

/// What is `behind` the host is known only to be repeated in a message.
pub(super) fn parse_host(host: &str, behind: &str) -> Result<HostWord, AddressFault> {
    if host.is_empty() {
        return Ok(HostWord::Empty);
    }
    if host == "*" {
        return Ok(HostWord::Star);
    }
    if let Some(inner) = host.strip_prefix('[') {
        return parse_ipv6(
            inner
                .strip_suffix(']')
                .ok_or(AddressFault::BracketsBroken)?,
            behind,
        );
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(HostWord::Ip(IpAddr::V4(ip), 0));
    }
    if looks_numeric(host) {
        return Err(AddressFault::HostNumeric(host.to_owned()));
    }
    if !is_name(host) {
        return Err(AddressFault::HostMalformed(host.to_owned()));
    }
    Ok(HostWord::Name(host.to_owned()))
}

pub(super) fn parse_ipv6(inner: &str, behind: &str) -> Result<HostWord, AddressFault> {
    let (ip, zone) = inner
        .split_once('%')
        .map_or((inner, None), |(ip, zone)| (ip, Some(zone)));
    let ip: Ipv6Addr = ip
        .parse()
        .map_err(|_| AddressFault::BracketsNotIpv6(inner.to_owned()))?;
    let zone = match zone {
        None => 0,
        Some(zone) if is_digits(zone) => zone
            .parse()
            .map_err(|_| AddressFault::NoInterface(zone.to_owned()))?,
        Some(zone) => {
            if_nametoindex(zone).map_err(|_| AddressFault::NoInterface(zone.to_owned()))?
        }
    };
    if ip.is_unicast_link_local() && zone == 0 {
        let write = format!("[{ip}%{ZONE_EXAMPLE}]{behind}");
        return Err(AddressFault::ZoneMissing(write));
    }
    match IpAddr::V6(ip).to_canonical() {
        ip @ IpAddr::V4(_) => Ok(HostWord::Ip(ip, 0)),
        ip @ IpAddr::V6(_) => Ok(HostWord::Ip(ip, zone)),
    }
}

/// An IPv6 address as it is to be written, with a zone where it means nothing without one.
pub(super) fn in_brackets(ip: &str) -> String {
    match ip.parse::<Ipv6Addr>() {
        Ok(bare) if bare.is_unicast_link_local() => format!("[{ip}%{ZONE_EXAMPLE}]"),
        _ => format!("[{ip}]"),
    }
}

/// The interface that a message takes for an example.
pub(super) const ZONE_EXAMPLE: &str = "eth0";
