//! The words that stand for addresses on a command line, and what they mean.
//!
//! One grammar serves all three tools. A word is read once, by [`parse_listen`] or [`parse_target`]; whoever gets a
//! [`ListenPoint`] or a [`Target`] never looks at the text again, except to repeat it in a message. Each shows itself
//! as a word that means the same.
//!
//! Invariants: a range is expanded, so every value is one port; a port to dial is never 0; a host name has a
//! letter in it, so that nothing numeric is left for the resolver to guess at; an IPv4-mapped address is IPv4.
//!
//! Not here: names are not looked up (network interfaces after `%` are, their index is part of the address), and
//! descriptors are not examined; whether `fd:N` listens or is connected is decided where the plan is made.

mod error;
mod foreign;
mod four_way;
mod parse;
mod proxy;

use std::fmt;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

pub use error::{AddressError, AddressFault};
pub use parse::{parse_bind, parse_listen, parse_target, split_service};
pub use proxy::{Proxy, ProxyFault, ProxyProtocol, parse_proxy, without_password};

/// Whether a word is of the kind that is dialled wherever it stands.
pub fn is_four_way(word: &str) -> bool {
    word.starts_with("4way:")
}

/// One place where clients (or links) come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenPoint {
    /// As typed, less a password; of a range, the word with this point's port. This is what `--print-address` repeats.
    pub word: String,
    /// What it means.
    pub at: ListenAt,
}

/// What a word to listen on means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAt {
    /// A TCP port. Port 0 is for the system to pick.
    Tcp {
        /// The local address.
        host: ListenHost,
        /// The port.
        port: u16,
    },
    /// A Unix stream socket, to be made.
    Unix(UnixName),
    /// The one connection that is already on descriptors 0 and 1.
    Stdio,
    /// A proxy listens for us (SOCKS BIND).
    SocksBind(Box<Proxy>),
    /// Inherited: a listening socket, or one connection. `fd:N` reads and writes the same descriptor.
    Fd {
        /// Where bytes come from.
        read: RawFd,
        /// Where bytes go.
        write: RawFd,
    },
}

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

/// One place to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As typed; of a range, the word with this target's port.
    pub word: String,
    /// What it means.
    pub at: TargetAt,
}

/// What a word to dial means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAt {
    /// A TCP port, never 0.
    Tcp {
        /// The host.
        host: TargetHost,
        /// The port.
        port: u16,
    },
    /// A TCP connection that both ends dial at once, each from the port that the other dials.
    FourWay {
        /// The port to leave from, never 0.
        local_port: u16,
        /// The other end, or what stands in front of it.
        host: TargetHost,
        /// Its port, never 0.
        port: u16,
    },
    /// A Unix stream socket.
    Unix(UnixName),
    /// Descriptors 0 and 1.
    Stdio,
    /// An inherited connection.
    Fd {
        /// Where bytes come from.
        read: RawFd,
        /// Where bytes go.
        write: RawFd,
    },
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

/// The name of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnixName {
    /// In the file system.
    Path(PathBuf),
    /// In the abstract name space of Linux, without the leading NUL (unix(7)).
    Abstract(Vec<u8>),
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

/// The name of a service: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(String);

impl ServiceName {
    /// A name, if the text is one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=SERVICE_NAME_BYTES_MAX).contains(&text.len());
        let plain = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        (fits && plain).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TargetAt {
    /// Whether both ends dial; one four-tuple is one connection at a time.
    pub fn is_four_way(&self) -> bool {
        matches!(self, Self::FourWay { .. })
    }
}

impl fmt::Display for ListenPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::SocksBind(proxy) => {
                f.write_str("bind+")?;
                proxy::write_url(f, proxy)
            }
            Self::Unix(name) => name.fmt(f),
            Self::Stdio => f.write_str("-"),
            Self::Fd { read, write } => write_descriptors(f, *read, *write),
        }
    }
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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl fmt::Display for TargetAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::FourWay {
                local_port,
                host,
                port,
            } if local_port == port => write!(f, "4way:{host}:{port}"),
            Self::FourWay {
                local_port,
                host,
                port,
            } => write!(f, "4way:{local_port}:{host}:{port}"),
            Self::Unix(name) => name.fmt(f),
            Self::Stdio => f.write_str("-"),
            Self::Fd { read, write } => write_descriptors(f, *read, *write),
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

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{}", String::from_utf8_lossy(name)),
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

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn write_ip(f: &mut fmt::Formatter<'_>, ip: IpAddr, zone: u32) -> fmt::Result {
    match (ip, zone) {
        (IpAddr::V4(ip), _) => write!(f, "{ip}"),
        (IpAddr::V6(ip), 0) => write!(f, "[{ip}]"),
        (IpAddr::V6(ip), zone) => write!(f, "[{ip}%{zone}]"),
    }
}

fn write_descriptors(f: &mut fmt::Formatter<'_>, read: RawFd, write: RawFd) -> fmt::Result {
    if read == write {
        write!(f, "fd:{read}")
    } else {
        write!(f, "fd:{read},{write}")
    }
}

/// The name and its length byte keep a list of services well within one control frame of the link.
const SERVICE_NAME_BYTES_MAX: usize = 32;
