//! One place to listen on, and one to dial.

use std::fmt;
use std::os::fd::RawFd;

use super::host::{ListenHost, TargetHost};
use super::names::UnixName;
use super::proxy::{self, Proxy};

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

fn write_descriptors(f: &mut fmt::Formatter<'_>, read: RawFd, write: RawFd) -> fmt::Result {
    if read == write {
        write!(f, "fd:{read}")
    } else {
        write!(f, "fd:{read},{write}")
    }
}
