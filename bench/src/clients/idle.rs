//! Idle sessions: memory and descriptors per session.

use std::thread;
use std::time::{Duration, Instant};

use crate::quantity::{Quantity, Reading};
use crate::result::Result;
use crate::service::Service;
use crate::trial::Trial;

/// Opens sessions that exchange one byte each. Compares the usage of the relay's processes before and after.
pub(super) fn run(trial: &Trial) -> Result<Vec<Reading>> {
    drop(trial.open(Service::Echo)?); // what the first session sets up belongs to the process
    thread::sleep(SETTLE);
    let before = trial.relay.usage();

    let mut sessions = Vec::with_capacity(SESSIONS);
    let deadline = Instant::now() + OPENING_TIMEOUT;
    while sessions.len() < SESSIONS && Instant::now() < deadline {
        sessions.push(trial.open(Service::Echo)?);
    }
    thread::sleep(SETTLE);
    let after = trial.relay.usage();

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

/// So many that the steps in which a process allocates memory do not matter.
const SESSIONS: usize = 2000;

/// After this time the relay is measured with the sessions it has.
const OPENING_TIMEOUT: Duration = Duration::from_secs(15);

/// The wait until new processes have started up and used buffers are released.
const SETTLE: Duration = Duration::from_secs(1);
