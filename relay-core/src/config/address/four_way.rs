//! `4way:PEER:PORT` and `4way:LOCALPORT:PEER:PORT`: both ends dial at once.

use std::ops::RangeInclusive;

use super::error::AddressFault;
use super::host::{TargetHost, parse_host};
use super::point::{Target, TargetAt};
use super::ports::parse_ports;
use super::text::is_ports;

/// The parts of such a word.
pub(super) struct FourWayWord<'a> {
    host: TargetHost,
    /// The host as typed.
    host_word: &'a str,
    /// As many as `ports`, if they were typed; else they are the same.
    locals: Option<RangeInclusive<u16>>,
    ports: RangeInclusive<u16>,
}

impl FourWayWord<'_> {
    /// One for each port.
    pub(super) fn targets(self) -> Vec<Target> {
        let Self {
            host,
            host_word,
            locals,
            ports,
        } = self;
        let typed = locals.is_some();
        let target = |(local_port, port)| Target {
            word: if typed {
                format!("4way:{local_port}:{host_word}:{port}")
            } else {
                format!("4way:{host_word}:{port}")
            },
            at: TargetAt::FourWay {
                local_port,
                host: host.clone(),
                port,
            },
        };
        let locals = locals.unwrap_or_else(|| ports.clone());
        locals.zip(ports).map(target).collect()
    }
}

/// Reads what follows `4way:`.
pub(super) fn parse_four_way(text: &str) -> Result<FourWayWord<'_>, AddressFault> {
    let (locals, peer) = match text.split_once(':') {
        Some((locals, peer)) if is_ports(locals) => (Some(locals), peer),
        _ => (None, text),
    };
    let ports_alone = peer.trim_start_matches(':');
    if is_ports(ports_alone) && (locals.is_some() || ports_alone.len() == peer.len()) {
        let locals = locals.map_or_else(String::new, |locals| format!("{locals}:"));
        let write = format!("4way:{locals}PEER:{ports_alone}");
        return Err(AddressFault::FourWayPeerMissing(write));
    }
    let colon = if peer.starts_with('[') {
        peer.rfind("]:").ok_or(AddressFault::BracketsBroken)? + 1
    } else {
        peer.rfind(':').ok_or(AddressFault::FourWayForm)?
    };
    let (host_word, behind) = peer.split_at(colon);
    if host_word.is_empty() || (host_word.contains(':') && !host_word.starts_with('[')) {
        return Err(AddressFault::FourWayForm);
    }
    let host = parse_host(host_word, behind)?;
    let host = host.dialled().ok_or(AddressFault::StarDialled)?;
    let ports = match &behind[1..] {
        "" => return Err(AddressFault::PortMissing(format!("4way:{text}"))),
        ports => parse_dialled(ports)?,
    };
    let locals = locals.map(parse_dialled).transpose()?;
    if locals
        .as_ref()
        .is_some_and(|locals| locals.len() != ports.len())
    {
        return Err(AddressFault::FourWayWidths);
    }
    Ok(FourWayWord {
        host,
        host_word,
        locals,
        ports,
    })
}

fn parse_dialled(text: &str) -> Result<RangeInclusive<u16>, AddressFault> {
    match parse_ports(text)? {
        ports if *ports.start() == 0 => Err(AddressFault::PortZero),
        ports => Ok(ports),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use crate::config::address::{TargetAt, TargetHost, parse_listen, parse_target};

    fn four_way(local_port: u16, host: TargetHost, port: u16) -> TargetAt {
        TargetAt::FourWay {
            local_port,
            host,
            port,
        }
    }

    #[test]
    fn the_local_port_is_the_peers_unless_it_is_given() {
        let name = || TargetHost::Name("host-b".to_owned());
        let v4 = TargetHost::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 0);
        let v6 = TargetHost::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
        for (word, at) in [
            ("4way:host-b:5555", four_way(5555, name(), 5555)),
            ("4way:5555:host-b:6666", four_way(5555, name(), 6666)),
            ("4way:192.0.2.7:80", four_way(80, v4.clone(), 80)),
            ("4way:1:192.0.2.7:80", four_way(1, v4, 80)),
            ("4way:[::1]:80", four_way(80, v6.clone(), 80)),
            ("4way:1:[::1]:80", four_way(1, v6, 80)),
            ("4way:localhost:80", four_way(80, TargetHost::Localhost, 80)),
        ] {
            let targets = parse_target(word).unwrap();
            assert_eq!(targets.len(), 1, "{word}");
            assert_eq!((&targets[0].at, &targets[0].word[..]), (&at, word));
            let shown = parse_target(&targets[0].to_string()).unwrap();
            assert_eq!(shown[0].at, at, "{word}");
        }
    }

    #[test]
    fn a_range_is_one_target_for_each_port() {
        let words = |word| {
            let targets = parse_target(word).unwrap().into_iter();
            targets.map(|target| target.word).collect::<Vec<_>>()
        };
        assert_eq!(words("4way:b:6000-6001"), ["4way:b:6000", "4way:b:6001"]);
        assert_eq!(
            words("4way:5000-5001:b:6000-6001"),
            ["4way:5000:b:6000", "4way:5001:b:6001"]
        );
    }

    #[test]
    fn what_is_no_four_way_address_is_told_what_to_write() {
        for (word, why) in [
            (
                "4way:5555:6666",
                "the peer is missing: write 4way:5555:PEER:6666",
            ),
            (
                "4way:5555::6666",
                "the peer is missing: write 4way:5555:PEER:6666",
            ),
            ("4way:5555", "the peer is missing: write 4way:PEER:5555"),
            (
                "4way:5000-5003",
                "the peer is missing: write 4way:PEER:5000-5003",
            ),
            (
                "4way:b",
                "expected 4way:PEER:PORT or 4way:LOCALPORT:PEER:PORT",
            ),
            (
                "4way:",
                "expected 4way:PEER:PORT or 4way:LOCALPORT:PEER:PORT",
            ),
            (
                "4way::80",
                "expected 4way:PEER:PORT or 4way:LOCALPORT:PEER:PORT",
            ),
            (
                "4way:a:b:80",
                "expected 4way:PEER:PORT or 4way:LOCALPORT:PEER:PORT",
            ),
            (
                "4way:b:",
                "the port is missing: write 4way:b:PORT, as in 4way:b:8080",
            ),
            ("4way:b:0", "port 0 cannot be dialled: expected 1 to 65535"),
            (
                "4way:0:b:80",
                "port 0 cannot be dialled: expected 1 to 65535",
            ),
            (
                "4way:5000-5001:b:80",
                "a link has a port at each end: expected as many local ports as the peer's",
            ),
            ("4way:[::1]", "expected [IPV6]:PORT"),
            (
                "4way:127.1:80",
                "host 127.1 ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7",
            ),
            (
                "4way:*:80",
                "* is every address to listen on: expected a host to dial",
            ),
        ] {
            assert_eq!(
                parse_target(word).unwrap_err().to_string(),
                format!("unable to use address {word}: {why}")
            );
        }
        assert_eq!(
            parse_listen("4way:b:80").unwrap_err().to_string(),
            "unable to use address 4way:b:80: both ends dial: expected as LINK, or where something is dialled"
        );
    }
}
