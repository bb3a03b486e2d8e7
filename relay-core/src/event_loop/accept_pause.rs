//! How long accepting pauses when descriptors or memory run out.

use std::io;
use std::time::{Duration, Instant};

use crate::limits::{ACCEPT_PAUSE_MAX, ACCEPT_PAUSE_MIN, SHORTAGE_OVER};
use crate::report::{self, Report};

/// A pause; a timer ends it, because no new edge would.
#[derive(Debug)]
pub struct AcceptPause {
    until: Instant,
    length: Duration,
}

impl AcceptPause {
    /// Returns the next pause, twice as long as the one before if that was a moment ago. Otherwise the shortage is new and is logged.
    /// A connection that was accepted in between does not end a shortage: the next one may lack what this one took.
    pub fn after(before: Option<Self>, error: &io::Error, report: &Report, now: Instant) -> Self {
        let length = match before {
            Some(pause) if now < pause.until + SHORTAGE_OVER => {
                (pause.length * 2).min(ACCEPT_PAUSE_MAX)
            }
            _ => {
                report.warning(format_args!(
                    "unable to accept, trying again: {}",
                    report::reason(error)
                ));
                ACCEPT_PAUSE_MIN
            }
        };
        Self {
            until: now + length,
            length,
        }
    }

    /// Returns when the pause ends.
    pub fn until(&self) -> Instant {
        self.until
    }
}

/// What accept(2) passes on from the connection itself: the next one may be fine.
pub(super) const OF_THE_CONNECTION: [i32; 12] = [
    libc::ECONNABORTED,
    libc::ECONNRESET,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::ENETDOWN,
    libc::ENETUNREACH,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EOPNOTSUPP,
    libc::EPERM,
    libc::EPROTO,
    libc::ETIMEDOUT,
];
