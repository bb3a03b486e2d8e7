//! The dial of a Unix socket.

use std::time::Instant;

use mio::Registry;
use socket2::{Domain, Socket, Type};

use super::error::DialError;
use super::step::Step;
use crate::config::address::UnixName;
use crate::limits::UNIX_RETRY;
use crate::sockets::accepted::Peer;
use crate::sockets::end::{End, is_blocked};
use crate::sockets::socket_address::unix_address;
use crate::token::{Key, Slot};

/// A Unix socket connects at once or not at all; EAGAIN says that its backlog is full.
pub(super) fn dial_unix(
    name: &UnixName,
    due: &mut Instant,
    registry: &Registry,
    key: Key,
    slot: Slot,
    now: Instant,
) -> Step {
    if now < *due {
        return Step::Pending;
    }
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&unix_address(name)?)?;
        let mut end = End::unix(socket.into());
        end.register(registry, key, slot)?;
        Ok(end)
    };
    match connect() {
        Ok(end) => Step::Connected(end, Peer::Unix),
        Err(error) if is_blocked(&error) => {
            *due = now + UNIX_RETRY;
            Step::Pending
        }
        Err(error) => Step::Failed(DialError::Failed(error)),
    }
}
