//! The addresses of LINK.

use std::fmt;
use std::net::SocketAddr;

use crate::config::address::{Proxy, Target, TargetAt, TargetHost, UnixName};
use crate::config::family::Family;
use crate::sockets::resolve::localhost;
use crate::sockets::socket_address::with_zone;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    /// A name that only the last proxy resolves.
    Named(TargetHost, u16),
    Unix(UnixName),
    /// Both ends dial.
    FourWay(TargetAt),
    /// The link that was inherited.
    Inherited,
}

/// The ports of one range on one host, or a Unix socket.
#[derive(Debug)]
pub(super) struct Place {
    targets: Vec<Target>,
    resolved: Resolved,
}

/// Where its name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolved {
    Here,
    /// By the last proxy.
    There,
}

impl Place {
    pub(super) fn new(targets: Vec<Target>, via: &[Proxy]) -> Self {
        let resolved = match via.last() {
            Some(proxy) if !proxy.protocol.resolves_here() => Resolved::There,
            _ => Resolved::Here,
        };
        Self { targets, resolved }
    }

    /// As it was typed, or the first of the range.
    pub(super) fn word(&self) -> &str {
        self.targets
            .first()
            .map_or("", |target| target.word.as_str())
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter()
    }

    pub(super) fn first(&self) -> Option<&Target> {
        self.targets.first()
    }

    /// Whether both ends dial: a link for each port.
    pub(super) fn is_four_way(&self) -> bool {
        self.first().is_some_and(|target| target.at.is_four_way())
    }

    /// The host's name, if it has to be looked up.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.first()?.at {
            TargetAt::Tcp {
                host: TargetHost::Name(name),
                ..
            } if self.resolved == Resolved::Here => Some(name),
            _ => None,
        }
    }

    /// The addresses that are known without a lookup.
    pub(super) fn literal(&self, family: Family) -> Vec<Address> {
        match self.first().map(|target| &target.at) {
            Some(TargetAt::Tcp {
                host: host @ (TargetHost::Localhost | TargetHost::Name(_)),
                ..
            }) if self.resolved == Resolved::There => {
                let named = |port| Address::Named(host.clone(), port);
                self.ports().map(named).collect()
            }
            Some(TargetAt::Tcp {
                host: TargetHost::Localhost,
                ..
            }) => self.at(&localhost(family)),
            Some(TargetAt::Tcp {
                host: TargetHost::Ip(ip, zone),
                ..
            }) => self.at(&[with_zone(*ip, 0, *zone)]),
            Some(TargetAt::Unix(name)) => vec![Address::Unix(name.clone())],
            Some(TargetAt::FourWay { .. }) => {
                let each = self.targets.iter();
                each.map(|target| Address::FourWay(target.at.clone()))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Every port on each of these hosts.
    pub(super) fn at(&self, hosts: &[SocketAddr]) -> Vec<Address> {
        let on_every_host = |port| {
            hosts.iter().map(move |host| {
                let mut address = *host;
                address.set_port(port);
                Address::Tcp(address)
            })
        };
        self.ports().flat_map(on_every_host).collect()
    }

    fn ports(&self) -> impl Iterator<Item = u16> {
        self.targets.iter().filter_map(|target| match &target.at {
            TargetAt::Tcp { port, .. } => Some(*port),
            _ => None,
        })
    }
}

impl Address {
    /// What is to be dialled, unless the link is there already.
    pub(super) fn target(&self) -> Option<TargetAt> {
        match self {
            Self::Tcp(address) => {
                let zone = match address {
                    SocketAddr::V4(_) => 0,
                    SocketAddr::V6(address) => address.scope_id(),
                };
                Some(TargetAt::Tcp {
                    host: TargetHost::Ip(address.ip(), zone),
                    port: address.port(),
                })
            }
            Self::Named(host, port) => Some(TargetAt::Tcp {
                host: host.clone(),
                port: *port,
            }),
            Self::Unix(name) => Some(TargetAt::Unix(name.clone())),
            Self::FourWay(at) => Some(at.clone()),
            Self::Inherited => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Named(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(name) => name.fmt(f),
            Self::FourWay(at) => at.fmt(f),
            Self::Inherited => f.write_str("the inherited link"),
        }
    }
}
