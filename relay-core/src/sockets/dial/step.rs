//! How far a dial is.

use super::error::DialError;
use crate::sockets::accepted::Peer;
use crate::sockets::end::End;

/// How far a dial is.
#[derive(Debug)]
pub enum Step {
    /// Not done: wait for an event, an answer, or `Dial::deadline`.
    Pending,
    /// Done. The end is registered under the requested slot.
    Connected(End, Peer),
    /// No address can be reached.
    Failed(DialError),
}
