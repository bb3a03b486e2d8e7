//! The clients of a trial: each load in a file of its own.

mod bulk;
mod idle;
mod latencies;
mod ping_pong;
mod sessions;

use crate::load::Load;
use crate::quantity::Reading;
use crate::result::Result;
use crate::trial::Trial;

/// Puts `load` on the relay of `trial` and returns what was measured.
pub(crate) fn run(load: Load, trial: &Trial) -> Result<Vec<Reading>> {
    match load {
        Load::Bulk { streams, both_ways } => bulk::run(trial, streams, both_ways),
        Load::PingPong => ping_pong::run(trial, 64),
        Load::PingPongBesideBulk { connections } => ping_pong::run_beside_bulk(trial, connections),
        Load::Sessions => sessions::run(trial),
        Load::Idle => idle::run(trial),
    }
}
