//! The record of a session that ends as its line in the log, and the ids of sessions.

use std::sync::Arc;
use std::time::Instant;
use std::{fmt, io};

use super::close_reason::{CloseReason, Side};
use crate::ids::random;
use crate::policy::access_list::SessionSlot;
use crate::protocol::frame::SessionId;
use crate::report::{Report, SessionLine};
use crate::sockets::accepted::Peer;

/// What is known of a session, for its one line in the log.
#[derive(Debug)]
pub struct Account {
    /// The same on both nodes.
    pub id: SessionId,
    /// Who came.
    pub client: Peer,
    /// To where.
    pub to: Arc<str>,
    /// Since when.
    pub started: Instant,
    /// Whose end of file came first.
    pub closed_first: Option<Side>,
    /// Its place among the sessions of its client, where these are counted.
    pub session_slot: SessionSlot,
}

impl Account {
    /// The session's line in the log.
    pub fn log(
        &self,
        reason: &CloseReason,
        to_server: u64,
        to_client: u64,
        report: &Report,
        now: Instant,
    ) {
        let first = self.closed_first.or(match reason {
            CloseReason::Failed(side, _) => Some(*side),
            _ => None,
        });
        let first: &dyn fmt::Display = match &first {
            Some(side) => side,
            None => &"nobody",
        };
        if let CloseReason::Failed(_, error) = reason
            && is_full(error)
        {
            report.warning(format_args!(
                "unable to complete session {}: {reason}",
                self.id
            ));
        }
        report.session(&SessionLine {
            id: &self.id,
            client: &self.client,
            to: &self.to,
            bytes_to_server: to_server,
            bytes_to_client: to_client,
            duration: now.saturating_duration_since(self.started),
            closed_first: first,
            why: reason,
        });
    }
}

/// Returns whether the file behind an end is full: only a message tells its owner.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Hands out the ids of one process.
#[derive(Debug)]
pub struct SessionIds {
    process: [u8; 8],
    count: u64,
}

impl SessionIds {
    /// Draws the process's part.
    pub fn new() -> Self {
        Self {
            process: random(),
            count: 0,
        }
    }

    /// A new id.
    pub fn draw(&mut self) -> SessionId {
        self.count += 1;
        SessionId::new(self.process, self.count)
    }

    /// How many were handed out.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The account of a session that begins now.
    pub fn account(&mut self, client: Peer, to: Arc<str>, now: Instant) -> Account {
        Account {
            id: self.draw(),
            client,
            to,
            started: now,
            closed_first: None,
            session_slot: SessionSlot::default(),
        }
    }
}

impl Default for SessionIds {
    fn default() -> Self {
        Self::new()
    }
}
