//! The grammar of addresses (relay-address(7)), from the whole word down to its ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::os::fd::RawFd;
use std::path::PathBuf;

use nix::net::if_::if_nametoindex;

use super::foreign::{explain_foreign, explain_unix_options};
use super::four_way::{FourWayWord, parse_four_way};
use super::proxy::{Proxy, parse_bind_proxy, without_password};
use super::{
    AddressError, AddressFault, BindAddress, ListenAt, ListenHost, ListenPoint, ServiceName,
    Target, TargetAt, TargetHost, UnixName,
};

/// Reads a word to listen on: one point, or one for each port of a range.
pub fn parse_listen(word: &str) -> Result<Vec<ListenPoint>, AddressError> {
    let one = |at| {
        vec![ListenPoint {
            word: without_password(word),
            at,
        }]
    };
    match parse_word(word).map_err(|fault| AddressError::new(word, fault))? {
        Word::Stdio => Ok(one(ListenAt::Stdio)),
        Word::Unix(name) => Ok(one(ListenAt::Unix(name))),
        Word::Fd { read, write } => Ok(one(ListenAt::Fd { read, write })),
        Word::SocksBind(proxy) => Ok(one(ListenAt::SocksBind(proxy))),
        Word::FourWay(_) => Err(AddressError::new(word, AddressFault::FourWayListened)),
        Word::Tcp {
            host,
            before_port,
            ports,
        } => {
            let host = match host {
                HostWord::Empty | HostWord::Star => ListenHost::Any,
                HostWord::Ip(ip, zone) => ListenHost::Ip(ip, zone),
                HostWord::Name(name) => ListenHost::Name(name),
            };
            Ok(ports
                .map(|port| ListenPoint {
                    word: format!("{before_port}{port}"),
                    at: ListenAt::Tcp {
                        host: host.clone(),
                        port,
                    },
                })
                .collect())
        }
    }
}

/// Reads a word to dial: one target, or one for each port of a range.
pub fn parse_target(word: &str) -> Result<Vec<Target>, AddressError> {
    let refuse = |fault| AddressError::new(word, fault);
    let one = |at| {
        vec![Target {
            word: word.to_owned(),
            at,
        }]
    };
    match parse_word(word).map_err(refuse)? {
        Word::Stdio => Ok(one(TargetAt::Stdio)),
        Word::Unix(name) => Ok(one(TargetAt::Unix(name))),
        Word::Fd { read, write } => Ok(one(TargetAt::Fd { read, write })),
        Word::SocksBind(_) => Err(refuse(AddressFault::BindDialled)),
        Word::FourWay(word) => Ok(word.targets()),
        Word::Tcp { ports, .. } if *ports.start() == 0 => Err(refuse(AddressFault::PortZero)),
        Word::Tcp {
            host,
            before_port,
            ports,
        } => {
            let host = host
                .dialled()
                .ok_or_else(|| refuse(AddressFault::StarDialled))?;
            Ok(ports
                .map(|port| Target {
                    word: format!("{before_port}{port}"),
                    at: TargetAt::Tcp {
                        host: host.clone(),
                        port,
                    },
                })
                .collect())
        }
    }
}

/// Reads the value of `--bind`: `ADDR`, `ADDR:PORT` or `:PORT`, with an IPv6 address in brackets.
pub fn parse_bind(text: &str) -> Result<BindAddress, AddressFault> {
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Err(AddressFault::BracketsMissing(in_brackets(&ip.to_string())));
    }
    let (host, behind) = if text.starts_with('[') {
        text.split_at(text.find(']').ok_or(AddressFault::BracketsBroken)? + 1)
    } else {
        text.split_at(text.find(':').unwrap_or(text.len()))
    };
    let port = match behind.strip_prefix(':').map(parse_port).transpose()? {
        Some(0) => return Err(AddressFault::BindPortZero),
        None if !behind.is_empty() => return Err(AddressFault::BracketsBroken),
        port => port,
    };
    match parse_host(host, behind) {
        Ok(HostWord::Empty) if port.is_some() => Ok(BindAddress {
            ip: None,
            zone: 0,
            port,
        }),
        Ok(HostWord::Ip(ip, zone)) => Ok(BindAddress {
            ip: Some(ip),
            zone,
            port,
        }),
        Err(
            fault @ (AddressFault::NoInterface(_)
            | AddressFault::ZoneMissing(_)
            | AddressFault::BracketsBroken),
        ) => Err(fault),
        _ => Err(AddressFault::BindHost),
    }
}

/// Splits `NAME=` off a word. What precedes the first `=` is a name only if it could be one, so that
/// `unix:/run/a=b` stays whole.
pub fn split_service(word: &str) -> (Option<ServiceName>, &str) {
    match word.split_once('=') {
        Some((name, rest)) => match ServiceName::new(name) {
            Some(name) => (Some(name), rest),
            None => (None, word),
        },
        None => (None, word),
    }
}

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

pub(super) fn parse_word(word: &str) -> Result<Word<'_>, AddressFault> {
    if word.is_empty() {
        return Err(AddressFault::Empty);
    }
    if word == "-" {
        return Ok(Word::Stdio);
    }
    if let Some(name) = word.strip_prefix("unix:") {
        return match explain_unix_options(name) {
            Some(fault) => Err(fault),
            None => parse_unix(name).map(Word::Unix),
        };
    }
    if let Some(url) = word.strip_prefix("bind+") {
        return match parse_bind_proxy(url) {
            Ok(proxy) => Ok(Word::SocksBind(Box::new(proxy))),
            Err(fault) => Err(AddressFault::Proxy(Box::new(fault))),
        };
    }
    if let Some(descriptors) = word.strip_prefix("fd:") {
        return parse_descriptors(descriptors);
    }
    if let Some(four_way) = word.strip_prefix("4way:") {
        return parse_four_way(four_way).map(Word::FourWay);
    }
    match explain_foreign(word) {
        Some(fault) => Err(fault),
        None => parse_tcp(word),
    }
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

fn parse_descriptors(text: &str) -> Result<Word<'_>, AddressFault> {
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

fn parse_host_and_ports(word: &str, colon: usize) -> Result<Word<'_>, AddressFault> {
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
fn explain_colons(word: &str, last_colon: usize) -> AddressFault {
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

/// An IPv6 address as it is to be written, with a zone where it means nothing without one.
fn in_brackets(ip: &str) -> String {
    match ip.parse::<Ipv6Addr>() {
        Ok(bare) if bare.is_unicast_link_local() => format!("[{ip}%{ZONE_EXAMPLE}]"),
        _ => format!("[{ip}]"),
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

fn parse_ipv6(inner: &str, behind: &str) -> Result<HostWord, AddressFault> {
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

/// Whether the last label is a number. The resolver would read such a host as an address in one of the old
/// spellings (`127.1`, `0x7f000001`, `2130706433`), which nobody means.
fn looks_numeric(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    match last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => is_digits(&last.replace('-', "")),
    }
}

/// Whether a text can be a host's name (RFC 1123 §2.1, and the underscore that local networks use).
fn is_name(host: &str) -> bool {
    let relative = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
    };
    relative.len() <= NAME_BYTES_MAX && relative.split('.').all(is_label)
}

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

fn parse_port(text: &str) -> Result<u16, AddressFault> {
    match text.parse() {
        _ if text.is_empty() => Err(AddressFault::NoPort),
        _ if !is_digits(text) => Err(AddressFault::PortNotNumber(text.to_owned())),
        Ok(port) => Ok(port),
        Err(_) => Err(AddressFault::PortTooHigh(text.to_owned())),
    }
}

/// Whether a text is `PORT` or `PORT-PORT` by its form.
pub(super) fn is_ports(text: &str) -> bool {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    is_digits(first) && is_digits(last)
}

/// Whether a text is a range that lacks its first or its last port.
fn is_half_range(text: &str) -> bool {
    match text.split_once('-') {
        Some(("", port)) | Some((port, "")) => is_digits(port),
        _ => false,
    }
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `sun_path` holds 108 bytes, one of them for the NUL (before the name if it is abstract, else behind it; unix(7)).
pub(super) const UNIX_NAME_BYTES_MAX: usize = 107;

/// RFC 1035 §2.3.4, less the root's length byte and the first label's.
const NAME_BYTES_MAX: usize = 253;

/// RFC 1035 §2.3.4.
const LABEL_BYTES_MAX: usize = 63;

/// The interface that a message takes for an example.
const ZONE_EXAMPLE: &str = "eth0";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listen_one(word: &str) -> ListenAt {
        let points = parse_listen(word).unwrap();
        assert_eq!(points.len(), 1, "{word}");
        assert_eq!(points[0].word, word);
        points[0].at.clone()
    }

    fn target_one(word: &str) -> TargetAt {
        let targets = parse_target(word).unwrap();
        assert_eq!(targets.len(), 1, "{word}");
        assert_eq!(targets[0].word, word);
        targets[0].at.clone()
    }

    fn v4(ip: [u8; 4]) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(ip))
    }

    #[test]
    fn each_form_to_listen_on_means_what_the_manual_says() {
        let tcp = |host, port| ListenAt::Tcp { host, port };
        let name = |name: &str| ListenHost::Name(name.to_owned());
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        for (word, at) in [
            ("8000", tcp(ListenHost::Any, 8000)),
            (":8000", tcp(ListenHost::Any, 8000)),
            ("*:8000", tcp(ListenHost::Any, 8000)),
            ("0", tcp(ListenHost::Any, 0)),
            ("localhost:0", tcp(name("localhost"), 0)),
            ("a_host.example.:8000", tcp(name("a_host.example."), 8000)),
            (
                "192.0.2.7:8000",
                tcp(ListenHost::Ip(v4([192, 0, 2, 7]), 0), 8000),
            ),
            ("[::1]:8000", tcp(ListenHost::Ip(v6, 0), 8000)),
            ("[::1%lo]:8000", tcp(ListenHost::Ip(v6, 1), 8000)),
            ("[::1%7]:8000", tcp(ListenHost::Ip(v6, 7), 8000)),
            (
                "[::ffff:192.0.2.7]:8000",
                tcp(ListenHost::Ip(v4([192, 0, 2, 7]), 0), 8000),
            ),
            (
                "unix:/run/a=b:c",
                ListenAt::Unix(UnixName::Path(PathBuf::from("/run/a=b:c"))),
            ),
            (
                "unix:@relay",
                ListenAt::Unix(UnixName::Abstract(b"relay".to_vec())),
            ),
            ("-", ListenAt::Stdio),
            ("fd:3", ListenAt::Fd { read: 3, write: 3 }),
            ("fd:6,7", ListenAt::Fd { read: 6, write: 7 }),
        ] {
            assert_eq!(listen_one(word), at, "{word}");
        }
    }

    #[test]
    fn each_form_to_dial_means_what_the_manual_says() {
        let tcp = |host, port| TargetAt::Tcp { host, port };
        for (word, at) in [
            ("8000", tcp(TargetHost::Localhost, 8000)),
            (":8000", tcp(TargetHost::Localhost, 8000)),
            ("Localhost:8000", tcp(TargetHost::Localhost, 8000)),
            ("srv:00080", tcp(TargetHost::Name("srv".to_owned()), 80)),
            ("tcp:80", tcp(TargetHost::Name("tcp".to_owned()), 80)),
            ("exec:80", tcp(TargetHost::Name("exec".to_owned()), 80)),
            (
                "ssl-server:80",
                tcp(TargetHost::Name("ssl-server".to_owned()), 80),
            ),
            (
                "unix:/run/a,b",
                TargetAt::Unix(UnixName::Path(PathBuf::from("/run/a,b"))),
            ),
            (
                "3com.com:80",
                tcp(TargetHost::Name("3com.com".to_owned()), 80),
            ),
            (
                "192.0.2.7:80",
                tcp(TargetHost::Ip(v4([192, 0, 2, 7]), 0), 80),
            ),
            (
                "unix:relay.sock",
                TargetAt::Unix(UnixName::Path(PathBuf::from("relay.sock"))),
            ),
            ("-", TargetAt::Stdio),
            ("fd:6,7", TargetAt::Fd { read: 6, write: 7 }),
        ] {
            let [target] = &parse_target(word).unwrap()[..] else {
                panic!("{word}: not one target")
            };
            assert_eq!(target.at, at, "{word}");
        }
    }

    #[test]
    fn a_range_is_one_point_for_each_port_with_its_own_word() {
        let words = |word| {
            parse_listen(word)
                .unwrap()
                .into_iter()
                .map(|point| point.word)
                .collect::<Vec<_>>()
        };
        assert_eq!(words("2000-2002"), ["2000", "2001", "2002"]);
        assert_eq!(words(":2000-2001"), [":2000", ":2001"]);
        assert_eq!(words("my-host:7-7"), ["my-host:7"]);
        assert_eq!(words("[::1]:2000-2001"), ["[::1]:2000", "[::1]:2001"]);
        assert_eq!(parse_target("srv:1-65535").unwrap().len(), 65_535);
    }

    #[test]
    fn a_name_is_split_off_only_where_it_could_be_one() {
        let split = |word| {
            let (name, rest) = split_service(word);
            (name.map(|name| name.to_string()), rest)
        };
        let long = format!("{}=1", "a".repeat(33));
        assert_eq!(split("web=8000"), (Some("web".to_owned()), "8000"));
        assert_eq!(
            split("a-1=unix:/run/x=y"),
            (Some("a-1".to_owned()), "unix:/run/x=y")
        );
        assert_eq!(split("unix:/run/x=y"), (None, "unix:/run/x=y"));
        assert_eq!(split("Web=8000"), (None, "Web=8000"));
        assert_eq!(split("=8000"), (None, "=8000"));
        assert_eq!(split(&long), (None, &long[..]));
        assert_eq!(split("8000"), (None, "8000"));
    }

    #[test]
    fn the_local_address_of_a_dial_is_an_address_a_port_or_both() {
        let bind =
            |text| parse_bind(text).map(|bind| (bind.ip, bind.zone, bind.port, bind.to_string()));
        let v6 = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
        let ip = Some(v4([192, 0, 2, 7]));
        assert_eq!(bind("192.0.2.7"), Ok((ip, 0, None, "192.0.2.7".to_owned())));
        assert_eq!(
            bind("192.0.2.7:20"),
            Ok((ip, 0, Some(20), "192.0.2.7:20".to_owned()))
        );
        assert_eq!(bind(":20"), Ok((None, 0, Some(20), ":20".to_owned())));
        assert_eq!(bind("[::1]"), Ok((v6, 0, None, "[::1]".to_owned())));
        assert_eq!(
            bind("[::1%lo]:20"),
            Ok((v6, 1, Some(20), "[::1%1]:20".to_owned()))
        );
        assert_eq!(
            bind("::1"),
            Err(AddressFault::BracketsMissing("[::1]".to_owned()))
        );
        assert_eq!(
            bind("fe80::1"),
            Err(AddressFault::BracketsMissing("[fe80::1%eth0]".to_owned()))
        );
        assert_eq!(
            bind("[fe80::1]:20"),
            Err(AddressFault::ZoneMissing("[fe80::1%eth0]:20".to_owned()))
        );
        assert_eq!(bind(":0"), Err(AddressFault::BindPortZero));
        assert_eq!(bind("[::1]20"), Err(AddressFault::BracketsBroken));
        assert_eq!(bind("[::1"), Err(AddressFault::BracketsBroken));
        for text in ["", "20", "srv", "srv:20", "*", "*:20", "192.0.2.300"] {
            assert_eq!(bind(text), Err(AddressFault::BindHost), "{text}");
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong_and_what_was_expected() {
        let long = format!("unix:{}", "x".repeat(108));
        for (word, why) in [
            (
                "srv",
                "no port: expected PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or -",
            ),
            (
                "srv:",
                "the port is missing: write srv:PORT, as in srv:8080",
            ),
            (":", "the port is missing: write :PORT, as in :8080"),
            (
                "[::1]:",
                "the port is missing: write [::1]:PORT, as in [::1]:8080",
            ),
            (
                "systemd",
                "no port: expected PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or -",
            ),
            (
                "socks5://srv:80",
                "a proxy is no address: it is named by --via, and listens for us as bind+socks5://HOST:PORT",
            ),
            (
                "4way:5555:6666",
                "the peer is missing: write 4way:5555:PEER:6666",
            ),
            (
                "srv:http",
                "port http is not a number: expected 1 to 65535, or a range",
            ),
            (
                "srv:+80",
                "port +80 is not a number: expected 1 to 65535, or a range",
            ),
            (
                "srv:80-",
                "half a range: expected both ports, as in 2000-2007",
            ),
            (
                "srv:-80",
                "half a range: expected both ports, as in 2000-2007",
            ),
            (
                "2000-",
                "half a range: expected both ports, as in 2000-2007",
            ),
            (
                "srv:1-2-3",
                "port 1-2-3 is not a number: expected 1 to 65535, or a range",
            ),
            ("65536", "port 65536 is too high: expected at most 65535"),
            (
                "srv:80-65536",
                "port 65536 is too high: expected at most 65535",
            ),
            ("2007-2000", "the range descends: write 2000-2007"),
            (
                "srv:0-5",
                "a range cannot start at port 0: expected 1 to 65535",
            ),
            (
                "5555:6666",
                "host 5555 ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7",
            ),
            (
                "192.0.2:80",
                "host 192.0.2 ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7",
            ),
            (
                "2000-2007:80",
                "host 2000-2007 ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7",
            ),
            (
                "0x7f000001:80",
                "host 0x7f000001 ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7",
            ),
            (
                "host.1-2.:80",
                "host host.1-2. ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7",
            ),
            ("a..b:80", "host a..b is neither a name nor an address"),
            (
                "user@srv:80",
                "host user@srv is neither a name nor an address",
            ),
            (
                "::1:80",
                "an ipv6 address stands in brackets: write [::1]:80",
            ),
            ("::80", "an ipv6 address stands in brackets: write [::]:80"),
            ("::", "an ipv6 address stands in brackets: write [::]:PORT"),
            (
                "::1",
                "an ipv6 address stands in brackets: write [::1]:PORT",
            ),
            (
                "fe80::1",
                "an ipv6 address stands in brackets: write [fe80::1%eth0]:PORT",
            ),
            (
                "fe80::1:80",
                "an ipv6 address stands in brackets: write [fe80::1%eth0]:80",
            ),
            (
                "[fe80::1]:8080",
                "a zone is missing: write [fe80::1%eth0]:8080",
            ),
            (
                "[fe80::1%0]:8080",
                "a zone is missing: write [fe80::1%eth0]:8080",
            ),
            (
                "fe80::1%eth0",
                "an ipv6 address stands in brackets: write [fe80::1%eth0]:PORT",
            ),
            (
                "2001:db8::",
                "an ipv6 address stands in brackets: write [2001:db8::]:PORT",
            ),
            ("[::1]", "expected [IPV6]:PORT"),
            ("[::1:80", "expected [IPV6]:PORT"),
            (
                "[192.0.2.7]:80",
                "192.0.2.7 is no ipv6 address: brackets are for those",
            ),
            ("[fe80::1%nowhere0]:80", "no network interface nowhere0"),
            ("unix:", "no name: expected unix:PATH or unix:@NAME"),
            ("unix:@", "no name: expected unix:PATH or unix:@NAME"),
            (&long, "the name is too long: expected at most 107 bytes"),
            ("fd:", "expected fd:N or fd:R,W"),
            ("fd:-1", "expected fd:N or fd:R,W"),
            ("fd:6,7,8", "expected fd:N or fd:R,W"),
            ("fd:99999999999", "expected fd:N or fd:R,W"),
            (
                "Web=8000",
                "NAME= is 1 to 32 of a-z, 0-9 and -, and there is one at most",
            ),
            ("tcp:srv:80", "this is socat's spelling: write srv:80"),
            (
                "TCP4:srv:80,forever,interval=2,fork",
                "this is socat's spelling: write srv:80",
            ),
            (
                "tcp-l:8000,reuseaddr,fork",
                "this is socat's spelling: write 8000",
            ),
            ("TCP-LISTEN:8000", "this is socat's spelling: write 8000"),
            (
                "unix-connect:/run/x",
                "this is socat's spelling: write unix:/run/x",
            ),
            ("STDIO", "this is socat's spelling: write -"),
            ("tcp6:::1:80", "this is socat's spelling: write [::1]:80"),
            ("UNIX:/run/x", "this is socat's spelling: write unix:/run/x"),
            (
                "tcp:srv:http",
                "port http is not a number: expected 1 to 65535, or a range",
            ),
            ("tcp://srv:80", "a url is no address: write srv:80"),
            ("tcp://srv", "a url is no address: write srv:PORT"),
            ("http://srv:80/", "a url is no address: write srv:80"),
            ("https://srv/", "a url is no address: write srv:443"),
            (
                "https://me@[::1]/x?y=z",
                "a url is no address: write [::1]:443",
            ),
            ("bind+socks5://fw", "no port: write socks5://fw:1080"),
            (
                "bind+http://fw:3128",
                "a proxy is not asked to listen by http: expected socks5 or socks4",
            ),
            ("file:///x", "a url is no address: write HOST:PORT"),
            (
                "udp://srv:53",
                "udp is not relayed: expected a tcp or unix stream socket",
            ),
            (
                "udp-l:8080",
                "udp is not relayed: expected a tcp or unix stream socket",
            ),
            (
                "UDP4-RECVFROM:53,fork",
                "udp is not relayed: expected a tcp or unix stream socket",
            ),
            (
                "udp:srv:53",
                "udp is not relayed: expected a tcp or unix stream socket",
            ),
            (
                "exec:date",
                "a program is no address: expected a tcp or unix stream socket",
            ),
            (
                "SYSTEM:echo hello, world",
                "a program is no address: expected a tcp or unix stream socket",
            ),
            (
                "openssl:srv:443,verify=0",
                "tls is not spoken here: expected a tcp or unix stream socket",
            ),
            (
                "openssl-listen:443",
                "tls is not spoken here: expected a tcp or unix stream socket",
            ),
            (
                "open:/tmp/x",
                "a file is no address: expected a tcp or unix stream socket",
            ),
            ("STDIN", "half a connection: write - for stdin and stdout"),
            ("stdin", "half a connection: write - for stdin and stdout"),
            ("8080,fork", "socat's options are not used here: write 8080"),
            (
                "srv:80,bind=192.0.2.7",
                "socat's options are not used here: write srv:80",
            ),
            (
                "unix:/tmp/x,fork,mode=600",
                "socat's options are not used here: write unix:/tmp/x",
            ),
            (
                "8080,8081",
                "several ports in one word: expected one, or a range as in 2000-2007",
            ),
            ("/tmp/x", "a unix socket is unix:PATH: write unix:/tmp/x"),
            ("./x=y", "a unix socket is unix:PATH: write unix:./x=y"),
            ("@x", "a unix socket is unix:PATH: write unix:@x"),
        ] {
            let expected = format!("unable to use address {word}: {why}");
            assert_eq!(parse_listen(word).unwrap_err().to_string(), expected);
            assert_eq!(parse_target(word).unwrap_err().to_string(), expected);
        }
        assert_eq!(
            parse_target("").unwrap_err().to_string(),
            "unable to use an empty address: expected PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or -"
        );
    }

    #[test]
    fn no_message_and_no_word_repeats_a_password() {
        for word in [
            "https://me:secret@[::1]/x?y=z",
            "bind+socks5://me:secret@fw",
            "socks5://me:secret@fw:1080",
        ] {
            let error = parse_listen(word).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(!format!("{error:?}").contains("secret"));
        }
        let points = parse_listen("bind+socks5://me%40x:secret@[::1]:1080").unwrap();
        assert_eq!(points[0].word, "bind+socks5://me%40x@[::1]:1080");
        assert_eq!(points[0].at.to_string(), points[0].word);
        assert!(!format!("{points:?}").contains("secret"));
    }

    #[test]
    fn what_can_be_listened_on_cannot_always_be_dialled() {
        let refusal = |word| parse_target(word).unwrap_err().to_string();
        assert_eq!(
            refusal("0"),
            "unable to use address 0: port 0 cannot be dialled: expected 1 to 65535"
        );
        assert_eq!(
            refusal("srv:0"),
            "unable to use address srv:0: port 0 cannot be dialled: expected 1 to 65535"
        );
        assert_eq!(
            refusal("*:80"),
            "unable to use address *:80: * is every address to listen on: expected a host to dial"
        );
        assert_eq!(
            refusal("bind+socks5://fw:1080"),
            "unable to use address bind+socks5://fw:1080: bind+ is to listen: what is dialled goes through a proxy by --via"
        );
    }

    #[test]
    fn a_host_that_stands_apart_from_its_port_is_recognised() {
        let error = parse_target("srv").unwrap_err();
        assert_eq!(
            error.clone().followed_by(Some("80")).to_string(),
            "unable to use address srv: no port: host and port are one word: write srv:80"
        );
        for (word, why) in [
            ("http", "no port: host and port are one word: write http:80"),
            ("srv:", "no port: host and port are one word: write srv:80"),
            (
                "[::1]",
                "no port: host and port are one word: write [::1]:80",
            ),
            (":", "the port is missing: write :PORT, as in :8080"),
            (
                "::1",
                "an ipv6 address stands in brackets: write [::1]:PORT",
            ),
            (
                "2000-",
                "half a range: expected both ports, as in 2000-2007",
            ),
            (
                "a_b+c",
                "no port: expected PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or -",
            ),
        ] {
            let error = parse_target(word).unwrap_err().followed_by(Some("80"));
            assert_eq!(error.fault.to_string(), why, "{word}");
        }
        assert_eq!(error.clone().followed_by(Some("other:80")), error);
        assert_eq!(error.clone().followed_by(None), error);
    }

    proptest! {
        #[test]
        fn what_a_point_is_shown_as_means_the_same_again(word in any_word(), port in any::<u16>()) {
            let word = word.replace("PORT", &port.to_string());
            for point in parse_listen(&word).unwrap() {
                prop_assert_eq!(listen_one(&point.to_string()), point.at.clone());
                prop_assert_eq!(listen_one(&point.word), point.at);
            }
        }

        #[test]
        fn what_a_target_is_shown_as_means_the_same_again(word in any_word(), port in 1..=u16::MAX) {
            let word = word.replace("PORT", &port.to_string());
            for target in parse_target(&word).unwrap() {
                prop_assert_eq!(target_one(&target.to_string()), target.at.clone());
                prop_assert_eq!(target_one(&target.word), target.at);
            }
        }

        #[test]
        fn a_range_has_as_many_points_as_it_says(first in 1u16.., width in 0u16..300) {
            let last = first.saturating_add(width);
            let points = parse_listen(&format!("srv:{first}-{last}")).unwrap();
            prop_assert_eq!(points.len(), usize::from(last - first) + 1);
        }

        #[test]
        fn garbage_never_panics(word in ".*", grammar in r"[0-9:\[\]%*=,@a-f.-]{0,24}") {
            for word in [&word, &grammar] {
                let _ = (parse_listen(word), parse_target(word), parse_bind(word), split_service(word));
            }
        }
    }

    /// A word that is right in both places, with `PORT` for a port.
    fn any_word() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("PORT".to_owned()),
            Just(":PORT".to_owned()),
            r"[a-z][a-z0-9_-]{0,20}(\.[a-z]{2,5}){0,2}:PORT",
            any::<Ipv4Addr>().prop_map(|ip| format!("{ip}:PORT")),
            any::<Ipv6Addr>()
                .prop_filter("needs no zone", |ip| !ip.is_unicast_link_local())
                .prop_map(|ip| format!("[{ip}]:PORT")),
            (any::<Ipv6Addr>(), 1..=u32::MAX).prop_map(|(ip, zone)| format!("[{ip}%{zone}]:PORT")),
            r"unix:@?[a-zA-Z0-9/._=:-]{1,107}".prop_filter("fits", |word| word.len() <= 112),
            Just("-".to_owned()),
            (0..RawFd::MAX).prop_map(|fd| format!("fd:{fd}")),
            (0..RawFd::MAX, 0..RawFd::MAX).prop_map(|(read, write)| format!("fd:{read},{write}")),
        ]
    }
}
