//! The grammar of addresses (relay-address(7)), from the whole word down to its ports.

use std::net::Ipv6Addr;

use super::error::{AddressError, AddressFault, ProxyFault};
use super::foreign::{explain_foreign, explain_unix_options};
use super::four_way::parse_four_way;
use super::host::{BindAddress, HostWord, ListenHost, TargetHost, in_brackets, parse_host};
use super::names::ServiceName;
use super::point::{ListenAt, ListenPoint, Target, TargetAt};
use super::ports::parse_port;
use super::proxy::{Proxy, ProxyProtocol};
use super::text::{is_digits, is_ports, without_password};
use super::word::{Word, parse_descriptors, parse_tcp, parse_unix};
use crate::protocol::proxy::Secret;

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
    match explain_foreign(word).or_else(|| explain_comma(word)) {
        Some(fault) => Err(fault),
        None => parse_tcp(word),
    }
}

/// Behind a comma stand socat's options, or further ports of a list that is one word nowhere.
fn explain_comma(word: &str) -> Option<AddressFault> {
    let (address, options) = word.split_once(',')?;
    Some(match parse_word(address) {
        Err(fault) => fault,
        Ok(_) if options.split(',').all(is_ports) => AddressFault::PortsJoined,
        Ok(_) => AddressFault::SocatOptions(address.to_owned()),
    })
}

/// Reads a URL: `SCHEME://[USER[:PASSWORD]@]HOST:PORT`.
pub fn parse_proxy(url: &str) -> Result<Proxy, ProxyFault> {
    let (scheme, rest) = url.split_once("://").ok_or(ProxyFault::NoScheme)?;
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "socks4" => ProxyProtocol::Socks4,
        "socks4a" => ProxyProtocol::Socks4a,
        "socks5" => ProxyProtocol::Socks5,
        "socks5h" => ProxyProtocol::Socks5h,
        "http" => ProxyProtocol::Http,
        "https" => return Err(ProxyFault::Https),
        _ => return Err(ProxyFault::Scheme(scheme.to_owned())),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(ProxyFault::Path);
    }
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, rest),
    };
    let (host, port) = parse_place(place, protocol)?;
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        None => (None, None),
        Some((user, _)) if !login.is_some_and(|login| login.contains(':')) => {
            (Some(decode(user)?), None)
        }
        Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
    };
    let user = user
        .map(|user| String::from_utf8(user).map_err(|_| ProxyFault::Percent))
        .transpose()?;
    let proxy = Proxy {
        protocol,
        host,
        port,
        user,
        password: password.map(Secret),
    };
    proxy.check_login()?;
    Ok(proxy)
}

/// Reads the URL behind `bind+`.
pub(super) fn parse_bind_proxy(url: &str) -> Result<Proxy, ProxyFault> {
    let proxy = parse_proxy(url)?;
    match proxy.protocol {
        ProxyProtocol::Socks4 | ProxyProtocol::Socks5 => Ok(proxy),
        other => Err(ProxyFault::NoBind(other.scheme().to_owned())),
    }
}

fn parse_place(place: &str, protocol: ProxyProtocol) -> Result<(TargetHost, u16), ProxyFault> {
    let targets = match parse_target(place) {
        _ if is_digits(place) => return Err(ProxyFault::NoHost),
        Ok(targets) => targets,
        Err(error) => {
            return Err(match error.fault {
                AddressFault::NoPort
                | AddressFault::PortMissing(_)
                | AddressFault::BracketsBroken => {
                    let scheme = protocol.scheme();
                    let host = place.strip_suffix(':').unwrap_or(place);
                    ProxyFault::PortMissing(format!("{scheme}://{host}:{}", protocol.usual_port()))
                }
                AddressFault::Empty => ProxyFault::NoHost,
                fault => ProxyFault::Address(Box::new(fault)),
            });
        }
    };
    match targets.as_slice() {
        [target] => match &target.at {
            TargetAt::Tcp { host, port } => Ok((host.clone(), *port)),
            _ => Err(ProxyFault::NoHost),
        },
        _ => Err(ProxyFault::NoHost),
    }
}

/// Takes the percent-encoding off (RFC 3986 §2.1).
fn decode(text: &str) -> Result<Vec<u8>, ProxyFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_first_chunk::<2>().ok_or(ProxyFault::Percent)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(ProxyFault::Percent);
        bytes.push((digit(digits[0])? << 4 | digit(digits[1])?) as u8);
        rest = behind;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::fd::RawFd;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::config::address::UnixName;

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
                "tls is not supported: expected a tcp or unix stream socket",
            ),
            (
                "openssl-listen:443",
                "tls is not supported: expected a tcp or unix stream socket",
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

#[cfg(test)]
mod proxy_tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(url: &str) -> Proxy {
        parse_proxy(url).unwrap_or_else(|fault| panic!("{url}: {fault}"))
    }

    fn name(name: &str) -> TargetHost {
        TargetHost::Name(name.to_owned())
    }

    #[test]
    fn each_scheme_says_who_resolves_names() {
        for (url, protocol, here) in [
            ("socks4://fw:1080", ProxyProtocol::Socks4, true),
            ("socks4a://fw:1080", ProxyProtocol::Socks4a, false),
            ("socks5://fw:1080", ProxyProtocol::Socks5, true),
            ("SOCKS5h://fw:1080/", ProxyProtocol::Socks5h, false),
            ("http://fw:3128", ProxyProtocol::Http, false),
        ] {
            let proxy = parsed(url);
            assert_eq!((proxy.protocol, &proxy.host), (protocol, &name("fw")));
            assert_eq!(proxy.protocol.resolves_here(), here);
        }
    }

    #[test]
    fn a_login_may_hold_any_byte() {
        let proxy = parsed("socks5://jo%40corp:p%3aw%2Fd%ff@[::1]:1080");
        assert_eq!(proxy.user.as_deref(), Some("jo@corp"));
        assert_eq!(proxy.password, Some(Secret(b"p:w/d\xff".to_vec())));
        assert_eq!(proxy.host, TargetHost::Ip("::1".parse().unwrap(), 0));
        let careless = parsed("http://jo:p@ss:w@fw:1");
        assert_eq!(careless.password, Some(Secret(b"p@ss:w".to_vec())));
        let user = parsed("http://jo@fw:1");
        assert!(user.password.is_none() && user.lacks_password());
        assert!(!parsed("http://jo:@fw:1").lacks_password());
        assert!(!parsed("socks4://jo@fw:1").lacks_password());
    }

    #[test]
    fn no_text_shows_a_password() {
        let proxy = parsed("socks5://jo:secret@fw:1080");
        assert_eq!(proxy.to_string(), "socks5 proxy fw:1080");
        assert!(!format!("{proxy:?}").contains("secret"));
        assert!(!format!("{:?}", proxy.login()).contains("secret"));
        for (typed, shown) in [
            ("socks5://jo:secret@fw:1080", "socks5://jo@fw:1080"),
            ("socks5://jo:se@cr:et@fw:1080", "socks5://jo@fw:1080"),
            ("bind+socks5://jo:secret/@fw", "bind+socks5://jo@fw"),
            ("socks5://fw:1080", "socks5://fw:1080"),
            ("unix:/run/a:b@c", "unix:/run/a:b@c"),
        ] {
            assert_eq!(without_password(typed), shown);
        }
    }

    #[test]
    fn each_url_that_cannot_be_used_is_refused_with_its_reason() {
        for (url, why) in [
            (
                "fw:1080",
                "no scheme: expected socks5://HOST:PORT, or socks5h, socks4, socks4a or http",
            ),
            (
                "ssh://fw:22",
                "ssh is not supported: expected socks5://HOST:PORT, or socks5h, socks4, socks4a or http",
            ),
            (
                "https://fw:443",
                "tls to a proxy is not supported: expected http, which asks the proxy in plain text",
            ),
            ("socks5://fw", "no port: write socks5://fw:1080"),
            ("http://[::1]:", "no port: write http://[::1]:3128"),
            ("http://[::1]", "no port: write http://[::1]:3128"),
            ("socks5://", "expected one HOST:PORT"),
            ("socks5://1080", "expected one HOST:PORT"),
            ("socks5://-", "expected one HOST:PORT"),
            ("socks5://fw:1-2", "expected one HOST:PORT"),
            (
                "socks5://unix:/run/x",
                "nothing follows the port; write / as %2F, ? as %3F and # as %23 in a password",
            ),
            (
                "socks5://jo:a/b@fw:1",
                "nothing follows the port; write / as %2F, ? as %3F and # as %23 in a password",
            ),
            (
                "socks5://fw:0",
                "port 0 cannot be dialled: expected 1 to 65535",
            ),
            (
                "socks5://::1:1080",
                "an ipv6 address stands in brackets: write [::1]:1080",
            ),
            (
                "socks5://jo:%4@fw:1",
                "% stands before two hexadecimal digits, and a user is utf-8",
            ),
            (
                "socks5://jo:%zz@fw:1",
                "% stands before two hexadecimal digits, and a user is utf-8",
            ),
            (
                "socks5://%ff:x@fw:1",
                "% stands before two hexadecimal digits, and a user is utf-8",
            ),
            ("socks4://jo:x@fw:1", "socks4 knows a user and no password"),
            (
                "socks4://a%00@fw:1",
                "the user has a character that the protocol cannot carry",
            ),
            (
                "http://a%3a:x@fw:1",
                "the user has a character that the protocol cannot carry",
            ),
            ("http://:x@fw:1", "a password without a user"),
            (
                "socks5://:x@fw:1",
                "expected a user and a password of 1 to 255 bytes each, for http of at most 4096",
            ),
            (
                "socks5://jo:@fw:1",
                "expected a user and a password of 1 to 255 bytes each, for http of at most 4096",
            ),
        ] {
            assert_eq!(parse_proxy(url).unwrap_err().to_string(), why, "{url}");
        }
        assert_eq!(
            parse_bind_proxy("http://fw:3128").unwrap_err().to_string(),
            "a proxy is not asked to listen by http: expected socks5 or socks4"
        );
        let long = format!("socks5://jo:{}@fw:1", "x".repeat(256));
        assert_eq!(parse_proxy(&long), Err(ProxyFault::LoginLength));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(url in ".*", grammar in r"(socks[45][ah]?|http)://[0-9a-f:\[\]%@./-]{0,24}") {
            for url in [&url, &grammar] {
                let _ = (parse_proxy(url), without_password(url));
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 1..256)) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(parsed(&format!("socks5://jo:{encoded}@fw:1")).password, Some(Secret(bytes)));
        }
    }
}
