//! The ids of sessions and nodes.

use std::sync::Arc;
use std::time::Instant;

use crate::access::Seat;
use crate::proto::frame::{NodeId, SessionId};
use crate::session::Account;
use crate::socket::listen::Peer;

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
            seat: Seat::default(),
        }
    }
}

impl Default for SessionIds {
    fn default() -> Self {
        Self::new()
    }
}

/// The id of this process as a node.
pub fn node_id() -> NodeId {
    NodeId(random())
}

/// Random bytes of the system. Ids must differ, not be secret: where there is no generator (no getrandom(2), no
/// /dev/urandom) the clock and the process id do.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        let clock = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let mut rng =
            fastrand::Rng::with_seed(clock.as_nanos() as u64 ^ u64::from(std::process::id()) << 32);
        rng.fill(&mut bytes);
    }
    bytes
}
