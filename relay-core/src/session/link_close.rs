//! How a link is closed: after BYE, and after ERROR.

use std::time::Instant;

use crate::event_loop::pump_resources::PumpResources;
use crate::limits::{BYE_TIMEOUT, ERROR_DROPPED_BYTES_MAX, ERROR_LINGER};
use crate::session::link_end::LinkEnd;
use crate::sockets::end::is_blocked;

/// A link that carries no more sessions: what waits to be sent is sent, and its end of file is waited for.
///
/// After ERROR the write half is shut, and what the peer still sends is dropped for a while: a reset, which a close with unread
/// bytes would be, could overtake the ERROR.
#[derive(Debug)]
pub struct LinkClose {
    until: Instant,
    shuts_write: bool,
    droppable: usize,
}

impl LinkClose {
    /// After BYE. The inside node shuts its write half; the outside node waits for that.
    pub fn bye(shuts_write: bool, now: Instant) -> Self {
        Self {
            until: now + BYE_TIMEOUT,
            shuts_write,
            droppable: ERROR_DROPPED_BYTES_MAX,
        }
    }

    /// After ERROR.
    pub fn error(now: Instant) -> Self {
        Self {
            until: now + ERROR_LINGER,
            shuts_write: true,
            droppable: ERROR_DROPPED_BYTES_MAX,
        }
    }

    /// Whether the link can be dropped.
    pub fn run(&mut self, link: &mut LinkEnd, resources: &mut PumpResources) -> bool {
        if link.flush(resources).is_err() {
            return true;
        }
        if self.shuts_write && link.is_flushed() {
            match link.end.shutdown_write() {
                Ok(()) => self.shuts_write = false,
                Err(error) if is_blocked(&error) => {}
                Err(_) => return true,
            }
        }
        loop {
            match link.end.recv_unread(&mut resources.buffers.copy) {
                Ok(0) => return true,
                Ok(count) if count > self.droppable => return true,
                Ok(count) => self.droppable -= count,
                Err(error) if is_blocked(&error) => {
                    return resources.now >= self.until;
                }
                Err(_) => return true,
            }
        }
    }

    /// When the link is dropped in any case.
    pub fn deadline(&self) -> Instant {
        self.until
    }
}
