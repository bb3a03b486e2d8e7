//! Why a session ended: printed once, passed on to the other node, and turned into the exit status of `--once`.

use std::{fmt, io};

use crate::limits::PROXY_HEADER_TIMEOUT;
use crate::protocol::frame::AbortCode;
use crate::protocol::proxy_header::Malformed;
use crate::report::{self, Exit};
use crate::sockets::dial::DialError;

/// The ends of a session, in the order of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client, or the link.
    Left,
    /// The server, or the link.
    Right,
}

impl Side {
    /// The one that it is not.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// As the log calls them.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "client",
            Self::Right => "server",
        })
    }
}

/// Why a session ended; printed once.
#[derive(Debug)]
pub enum CloseReason {
    /// Both directions ended by end of file.
    Eof,
    /// An end was reset, or failed.
    Failed(Side, io::Error),
    /// The client came through a proxy, and its header did not.
    NoHeader(Fault),
    /// The client has as many sessions as it may.
    Denied,
    /// The server was not reached.
    Unreached(String),
    /// A proxy on the way refuses for good.
    Forbidden(String),
    /// Nothing moved for too long.
    IdleTimeout,
    /// Nothing moved for too long in the one direction that was open.
    HalfCloseTimeout,
    /// Outside: no link came for the client in time.
    NoLink,
    /// The other node reset the session.
    Aborted(AbortCode),
    /// The link went down.
    LinkLost(String),
    /// This process ends.
    Shutdown,
}

impl CloseReason {
    /// The reason of a session whose dial of `to` failed.
    pub fn of_dial(error: &DialError, to: &dyn fmt::Display) -> Self {
        let sentence = error.sentence(to);
        if error.lasts() {
            Self::Forbidden(sentence)
        } else {
            Self::Unreached(sentence)
        }
    }

    /// How a process ends whose only session this was.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Eof => Exit::Done,
            Self::Forbidden(_) => Exit::Permanent,
            _ => Exit::Temporary,
        }
    }

    /// Returns the code for ABORT.
    pub fn abort_code(&self) -> AbortCode {
        match self {
            Self::IdleTimeout => AbortCode::IdleTimeout,
            Self::HalfCloseTimeout => AbortCode::HalfCloseTimeout,
            Self::Shutdown => AbortCode::Shutdown,
            Self::Failed(_, error) if !is_reset(error) => AbortCode::Fault,
            _ => AbortCode::Reset,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("end of file"),
            Self::Failed(side, error) => write!(f, "{side}: {}", report::reason(error)),
            Self::NoHeader(fault) => fault.fmt(f),
            Self::Denied => f.write_str("denied"),
            Self::Unreached(why) | Self::Forbidden(why) => f.write_str(why),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::HalfCloseTimeout => f.write_str("half-close timeout"),
            Self::NoLink => f.write_str("no link came in time"),
            Self::Aborted(code) => write!(f, "the other node: {code}"),
            Self::LinkLost(why) => write!(f, "link lost: {why}"),
            Self::Shutdown => f.write_str("shutting down"),
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It did not come in time.
    Late,
    /// The connection ended before.
    Ended,
    /// Something else came.
    Malformed(Malformed),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => {
                let timeout = humantime::format_duration(PROXY_HEADER_TIMEOUT);
                write!(f, "no proxy header within {timeout}")
            }
            Self::Ended => f.write_str("no proxy header before its end"),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}
