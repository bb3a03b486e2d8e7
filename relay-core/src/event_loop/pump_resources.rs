//! What the pumps of one loop borrow: buffers, pipes and the byte budget of a turn.

use std::time::Instant;

use super::window::Window;
use crate::limits::{
    COPY_BYTES, MESSAGES_OVER, SHARE_BYTES_BESIDE_MESSAGES, SHARE_BYTES_MAX, SHARE_BYTES_MIN,
    TURN_BYTES,
};
use crate::linux::splice::PipePool;

/// What the pumps of one loop share.
#[derive(Debug)]
pub struct PumpResources {
    /// The time of this turn of the loop.
    pub now: Instant,
    /// Buffers that hold nothing between two calls.
    pub buffers: Buffers,
    /// Where frames are put together.
    pub head: Vec<u8>,
    /// Pipes; it lends none where splicing is off.
    pub pipes: PipePool,
    /// Bytes delivered so far.
    pub counters: Counters,
    /// Bytes that each direction may move in this turn.
    pub share: usize,
    /// When a message passed last.
    pub message_at: Option<Instant>,
}

/// See [`PumpResources::buffers`].
#[derive(Debug)]
pub struct Buffers {
    /// For what is not framed.
    pub copy: Box<[u8]>,
    /// For what was read of the link whose turn it is.
    pub window: Window,
}

/// Bytes of payload that this process delivered, by how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// By splice(2).
    pub spliced: u64,
    /// By read and write.
    pub copied: u64,
}

impl Counters {
    /// By either.
    pub fn all(&self) -> u64 {
        self.spliced + self.copied
    }
}

impl PumpResources {
    /// Lends at most `pipes_max` pipes at once.
    pub fn new(pipes_max: usize, now: Instant) -> Self {
        Self {
            now,
            buffers: Buffers {
                copy: vec![0; COPY_BYTES].into(),
                window: Window::default(),
            },
            head: Vec::new(),
            pipes: PipePool::new(pipes_max),
            counters: Counters::default(),
            share: SHARE_BYTES_MAX,
            message_at: None,
        }
    }

    /// So many entries have their turn.
    pub fn share_out(&mut self, entries: usize) {
        let message_at = self.message_at;
        self.share = if message_at.is_some_and(|at| self.now < at + MESSAGES_OVER) {
            SHARE_BYTES_BESIDE_MESSAGES
        } else {
            (TURN_BYTES / entries.max(1)).clamp(SHARE_BYTES_MIN, SHARE_BYTES_MAX)
        };
    }
}
