//! The loads: what the clients do.

use std::fmt;

/// One kind of load.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Load {
    /// Streams that always have bytes to send, from the clients to the server or both ways.
    Bulk {
        /// Number of streams at the same time.
        streams: usize,
        /// Whether the server sends too.
        both_ways: bool,
    },
    /// 64 bytes to the server and back, on 64 connections at the same time.
    PingPong,
    /// Ping-pong, while one more connection carries bulk from its client to the server.
    PingPongBesideBulk {
        /// Number of ping-pong connections.
        connections: usize,
    },
    /// Connect, send a few bytes, read the answer, close; 32 sessions at the same time.
    Sessions,
    /// Thousands of sessions that have exchanged one byte and are idle.
    Idle,
}

impl Load {
    /// Every load, in the order of the report.
    pub(crate) const ALL: [Load; 9] = [
        Load::Bulk {
            streams: 1,
            both_ways: false,
        },
        Load::Bulk {
            streams: 8,
            both_ways: false,
        },
        Load::Bulk {
            streams: 1,
            both_ways: true,
        },
        Load::Bulk {
            streams: 8,
            both_ways: true,
        },
        Load::PingPong,
        Load::PingPongBesideBulk { connections: 1 },
        Load::PingPongBesideBulk { connections: 64 },
        Load::Sessions,
        Load::Idle,
    ];

    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Load::Bulk {
                streams: 1,
                both_ways: false,
            } => "bulk-1",
            Load::Bulk {
                streams: 1,
                both_ways: true,
            } => "bulk-1-both",
            Load::Bulk {
                both_ways: false, ..
            } => "bulk-8",
            Load::Bulk {
                both_ways: true, ..
            } => "bulk-8-both",
            Load::PingPong => "pingpong",
            Load::PingPongBesideBulk { connections: 1 } => "pingpong-1-beside-bulk",
            Load::PingPongBesideBulk { .. } => "pingpong-beside-bulk",
            Load::Sessions => "sessions",
            Load::Idle => "idle",
        }
    }

    /// Returns the load of this name.
    pub(crate) fn named(name: &str) -> Option<Load> {
        Load::ALL.into_iter().find(|load| load.name() == name)
    }

    /// Reports whether `word` on the command line is the name of this load or the first word of its name.
    pub(crate) fn matches(self, word: &str) -> bool {
        let rest = self.name().strip_prefix(word);
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && !word.contains('-')))
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
