//! The ids of nodes and sessions.

use std::fmt;

/// Who a node is: random, drawn anew by each process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// Which session this is, the same on both nodes: 8 random bytes of the outside process, and a counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The `count`-th session of the process that drew `process`.
    pub fn new(process: [u8; 8], count: u64) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&process);
        id[8..].copy_from_slice(&count.to_be_bytes());
        Self(id)
    }
}

/// The process in hex, and the counter in decimal: `5f3a09c2b1d4e677-12`.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (process, count) = self.0.split_at(8);
        process
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        let count = count
            .iter()
            .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        write!(f, "-{count}")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}
