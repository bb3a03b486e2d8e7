//! What the clients do, and what is measured of it.

mod bulk;
mod client;
mod idle;
mod latencies;
mod ping_pong;
mod server;
mod sessions;

use std::fmt;

pub(crate) use client::open;
pub(crate) use server::{Server, Service};

use crate::Result;
use crate::trial::Trial;

/// One kind of load.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Load {
    /// Streams that are never short of bytes, from the clients to the server or both ways.
    Bulk {
        /// How many at once.
        streams: usize,
        /// Whether the server sends as well.
        both_ways: bool,
    },
    /// 64 bytes there and back, on 64 connections at once.
    PingPong,
    /// The same on so many connections, while one more carries bulk from its client to the server.
    PingPongBesideBulk {
        /// How many at once.
        connections: usize,
    },
    /// Connect, send a few bytes, read the answer, close; 32 at once.
    Sessions,
    /// Thousands of sessions that have said something once, and now nothing.
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

    /// Runs the load through the relay of `trial`.
    pub(crate) fn run(self, trial: &Trial) -> Result<Vec<Reading>> {
        match self {
            Load::Bulk { streams, both_ways } => bulk::run(trial, streams, both_ways),
            Load::PingPong => ping_pong::run(trial, 64),
            Load::PingPongBesideBulk { connections } => {
                ping_pong::run_beside_bulk(trial, connections)
            }
            Load::Sessions => sessions::run(trial),
            Load::Idle => idle::run(trial),
        }
    }

    /// The name on the command line.
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

    /// Whether `word` on the command line names this load, or the family it is of.
    pub(crate) fn is_meant_by(self, word: &str) -> bool {
        let rest = self.name().strip_prefix(word);
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && !word.contains('-')))
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One number that a trial found.
pub(crate) type Reading = (Quantity, f64);

/// What a number is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Quantity {
    /// Bytes, pings or sessions in a second.
    Rate,
    /// Half of the pings or sessions took less, in milliseconds.
    P50,
    /// 99 of 100 took less, in milliseconds.
    P99,
    /// Bytes in a second of the bulk stream beside the pings.
    BulkBeside,
    /// The share of the sessions that did not get their answer.
    Failed,
    /// User and system time of the relay's processes for 2^30 bytes, in seconds.
    CpuPerGib,
    /// Memory of a node's processes for each idle session, in KiB. Node 0 is the one that clients connect to.
    KibPerSession(usize),
    /// Descriptors of a node's processes for each idle session.
    DescriptorsPerSession(usize),
}

impl Quantity {
    /// Every quantity of relays that have two nodes at most.
    pub(crate) const ALL: [Quantity; 10] = [
        Quantity::Rate,
        Quantity::P50,
        Quantity::P99,
        Quantity::BulkBeside,
        Quantity::Failed,
        Quantity::CpuPerGib,
        Quantity::KibPerSession(0),
        Quantity::KibPerSession(1),
        Quantity::DescriptorsPerSession(0),
        Quantity::DescriptorsPerSession(1),
    ];

    /// The word that stands for it in the output of a trial.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Quantity::Rate => "rate",
            Quantity::P50 => "p50-ms",
            Quantity::P99 => "p99-ms",
            Quantity::BulkBeside => "bulk-beside",
            Quantity::Failed => "failed",
            Quantity::CpuPerGib => "cpu-s-per-gib",
            Quantity::KibPerSession(0) => "outer-kib-per-session",
            Quantity::KibPerSession(_) => "inner-kib-per-session",
            Quantity::DescriptorsPerSession(0) => "outer-descriptors-per-session",
            Quantity::DescriptorsPerSession(_) => "inner-descriptors-per-session",
        }
    }
}
