//! What the machine of a link reports to its caller.

use std::fmt;

use crate::protocol::frame::{
    AbortCode, ErrorCode, Hello, Kind, Malformed, NodeId, Open, RefusedCode, kind_name,
};

/// What a frame says to the caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The bytes are not a whole frame yet.
    Incomplete,
    /// A frame that concerns the machine alone.
    Handled,
    /// Outside: the inside node introduced itself; answer by `Link::welcome` or `Link::fail`.
    Hello(Hello),
    /// Inside: the link is idle.
    Welcome(NodeId),
    /// Inside: a client is here; answer by `Link::opened` or `Link::refuse`.
    Open(Box<Open>),
    /// Outside: the server accepted.
    Opened,
    /// Outside: the server did not accept. This side's direction is finished too.
    Refused(RefusedCode, String),
    /// Outside: a link that was not heard from lately has answered; see `Link::may_send_payload`.
    Answered,
    /// Payload follows: see `Link::payload_left`.
    Payload,
    /// End of file of the peer's direction.
    End,
    /// The session was reset. This side's direction is finished too.
    Abort(AbortCode),
    /// Inside: the number of clients that wait.
    Want(u32),
    /// Outside: the inside node wants `Link::bye` when the link is idle. Inside: no OPEN follows; shut the write half.
    Bye,
    /// The peer closes the link.
    Error(ErrorCode, String),
}

/// What a passed deadline says to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// HELLO or WELCOME did not come in time.
    Handshake,
    /// Nothing was received for 2.5 heartbeats. Ask the kernel; then call `Link::heard`, or close the link.
    Silent,
    /// This side does not read, so silence proves nothing. Ask the kernel whether the peer's host is still there.
    Stalled,
    /// A probed link did not answer: close it.
    Unanswered,
    /// The session did not end in time after its reset: reset the link.
    Abandoned,
}

/// Why bytes of the peer are not taken. The link is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes that are no frame.
    Malformed(Malformed),
    /// A frame that may not come here.
    Unexpected(Kind),
    /// The peer plays this side's role.
    SameRole,
    /// No version in common.
    Version,
    /// More payload after a reset than a peer that behaves has in flight.
    Overrun,
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "no greeting in time: --raw on one side only?",
            Self::Silent => "silent for 2.5 heartbeats",
            Self::Stalled => "the peer's host does not answer",
            Self::Unanswered => "no answer when asked",
            Self::Abandoned => "the session did not end in time after its reset",
        })
    }
}

impl Fault {
    /// The code that tells the peer in ERROR.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Malformed(Malformed::Tls) => ErrorCode::Key,
            Self::Malformed(_) | Self::Unexpected(_) | Self::Overrun => ErrorCode::Violation,
            Self::SameRole => ErrorCode::SameRole,
            Self::Version => ErrorCode::Version,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unexpected(kind) => write!(f, "unexpected {} frame", kind_name(*kind)),
            Self::SameRole => f.write_str("the peer is the same tool"),
            Self::Version => f.write_str("no protocol version in common"),
            Self::Overrun => f.write_str("too much payload after a reset"),
        }
    }
}

impl std::error::Error for Fault {}
