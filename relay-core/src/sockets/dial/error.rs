//! Why a dial failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use crate::protocol::frame::RefusedCode;
use crate::protocol::proxy::Kind;
use crate::report;
use crate::sockets::proxy_handshake::Failure;

/// Why nothing was reached.
#[derive(Debug)]
pub enum DialError {
    /// The lookup of the name gave no address.
    NotFound(Box<str>, Arc<str>),
    /// None of the addresses can be dialled.
    NoAddress(Arc<str>),
    /// The last address that was tried gave this.
    Failed(io::Error),
    /// The local address could not be had.
    NotBound(SocketAddr, io::Error),
    /// No answer came in time.
    TimedOut,
    /// The kernel connected the socket to itself: no process listens on that local port.
    ToItself,
    /// A proxy on the way.
    Through(Box<Obstacle>),
    /// A 4way dial of this very host.
    OwnAddress,
}

impl DialError {
    /// The whole sentence: what was not reached, and why.
    pub fn sentence(&self, to: &dyn fmt::Display) -> String {
        match self {
            Self::Through(obstacle) => obstacle.sentence(to),
            Self::NotFound(..) => self.to_string(),
            error => format!("unable to connect to {to}: {error}"),
        }
    }

    /// Returns whether the target refused, directly or through a proxy.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Failed(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            Self::Through(obstacle) => obstacle.code() == RefusedCode::Refused,
            Self::NotFound(..)
            | Self::NoAddress(_)
            | Self::NotBound(..)
            | Self::TimedOut
            | Self::ToItself
            | Self::OwnAddress => false,
        }
    }

    /// Trying again will not help.
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Through(obstacle) if obstacle.lasts())
    }

    /// Returns the code for REFUSED.
    pub fn code(&self) -> RefusedCode {
        match self {
            Self::NotFound(..) | Self::NoAddress(_) => RefusedCode::NoName,
            Self::TimedOut => RefusedCode::Timeout,
            Self::ToItself | Self::OwnAddress => RefusedCode::Refused,
            Self::Through(obstacle) => obstacle.code(),
            Self::NotBound(..) => RefusedCode::Other,
            Self::Failed(error) => match error.raw_os_error() {
                Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOENT) => RefusedCode::Refused,
                Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EPERM) => {
                    RefusedCode::Unreachable
                }
                Some(libc::ETIMEDOUT) => RefusedCode::Timeout,
                _ => RefusedCode::Other,
            },
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name, reason) => write!(f, "unable to look up {name}: {reason}"),
            Self::NoAddress(reason) => f.write_str(reason),
            Self::TimedOut => f.write_str("connection timed out"),
            Self::ToItself => {
                f.write_str("no process listens there: the socket connected to itself")
            }
            Self::OwnAddress => {
                f.write_str("the peer is this host: the socket connected to itself")
            }
            Self::Failed(error) => f.write_str(&report::reason(error)),
            Self::NotBound(local, error) => {
                f.write_str("unable to bind to ")?;
                match local.port() {
                    0 => local.ip().fmt(f)?,
                    _ => local.fmt(f)?,
                }
                write!(f, ": {}", report::reason(error))
            }
            Self::Through(obstacle) => obstacle.fmt(f),
        }
    }
}

/// Why the target was not reached through the proxies.
#[derive(Debug)]
pub struct Obstacle {
    /// The proxy that it lies with, as messages name it.
    pub proxy: String,
    /// The address that the proxy was asked for, unless it is the target as typed.
    pub asked: Option<String>,
    /// The proxy was asked for the target itself.
    pub at_last: bool,
    /// What failed.
    pub what: What,
}

/// What failed on the way through proxies.
#[derive(Debug)]
pub enum What {
    /// The first proxy was not reached.
    NotReached(Box<DialError>),
    /// The name, and why it has no address.
    NoName(String, Arc<str>),
    /// The proxy refused, answered wrongly or did not answer.
    Failure(Failure),
}

impl Obstacle {
    /// The whole sentence about the target `to`.
    fn sentence(&self, to: &dyn fmt::Display) -> String {
        let Self {
            proxy,
            asked,
            at_last,
            what,
        } = self;
        match what {
            What::NotReached(error) => {
                format!("unable to reach {to}: unable to connect to {proxy}: {error}")
            }
            What::NoName(name, reason) => {
                format!("unable to reach {to}: unable to look up {name}: {reason}")
            }
            What::Failure(failure) => match asked {
                Some(asked) if !at_last => format!(
                    "unable to reach {to}: unable to reach {asked} through {proxy}: {failure}"
                ),
                // The name was resolved here: this is what the proxy was asked for.
                Some(asked) if *asked != to.to_string() => {
                    format!("unable to reach {to} ({asked}) through {proxy}: {failure}")
                }
                _ => format!("unable to reach {to} through {proxy}: {failure}"),
            },
        }
    }

    fn code(&self) -> RefusedCode {
        match &self.what {
            What::NotReached(_) => RefusedCode::Unreachable,
            What::NoName(..) => RefusedCode::NoName,
            What::Failure(Failure::Silent) => RefusedCode::Timeout,
            What::Failure(Failure::Refused(refusal)) => match refusal.kind() {
                Kind::Refused => RefusedCode::Refused,
                Kind::Unreachable | Kind::Forbidden => RefusedCode::Unreachable,
                Kind::Timeout => RefusedCode::Timeout,
                Kind::Fault => RefusedCode::Other,
            },
            What::Failure(_) => RefusedCode::Other,
        }
    }

    /// Returns whether the proxy refuses for good.
    fn lasts(&self) -> bool {
        matches!(&self.what, What::Failure(Failure::Refused(refusal)) if refusal.kind() == Kind::Forbidden)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::NotReached(error) => error.fmt(f),
            What::NoName(_, reason) => f.write_str(reason),
            What::Failure(failure) => failure.fmt(f),
        }
    }
}
