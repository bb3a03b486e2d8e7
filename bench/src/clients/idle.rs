//! Idle sessions: what each costs while nothing happens on it.

use std::thread;
use std::time::{Duration, Instant};

use crate::quantity::{Quantity, Reading};
use crate::result::Result;
use crate::service::Service;
use crate::trial::Trial;

/// Opens sessions that exchange one byte each, and compares the relay's processes with what they were before.
pub(super) fn run(trial: &Trial) -> Result<Vec<Reading>> {
    drop(trial.open(Service::Echo)?); // whatever is set up at the first session belongs to the process
    thread::sleep(SETTLE);
    let before = trial.relay.holdings();

    let mut sessions = Vec::with_capacity(SESSIONS);
    let deadline = Instant::now() + OPENING_TIMEOUT;
    while sessions.len() < SESSIONS && Instant::now() < deadline {
        sessions.push(trial.open(Service::Echo)?);
    }
    thread::sleep(SETTLE);
    let after = trial.relay.holdings();

    let mut readings = Vec::new();
    for (node, (before, after)) in before.iter().zip(&after).enumerate() {
        let each = |before: f64, after: f64| (after - before) / sessions.len() as f64;
        readings.push((
            Quantity::KibPerSession(node),
            each(before.memory_kib, after.memory_kib),
        ));
        readings.push((
            Quantity::DescriptorsPerSession(node),
            each(before.descriptors as f64, after.descriptors as f64),
        ));
    }
    Ok(readings)
}

/// Enough to drown what a process allocates in steps.
const SESSIONS: usize = 2000;

/// A relay that has not opened them all by then is measured with those that it has.
const OPENING_TIMEOUT: Duration = Duration::from_secs(15);

/// Until processes that were just started, and buffers that were just used, are at rest.
const SETTLE: Duration = Duration::from_secs(1);
