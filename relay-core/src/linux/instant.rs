//! An instant of the wall clock, met to the microsecond.
//!
//! Waiting for events ends within a millisecond or two; the rest is spent looking at the clock. Two ends on one machine, in two
//! namespaces or containers, must not do so on the same processor, where neither would run while the other does: so each
//! sits on one that is drawn at random meanwhile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The wall clock, since 1970.
pub fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Looks at the wall clock until `instant`, but for no longer than [`SPIN_MAX`].
pub fn spin_until(instant: Duration) {
    let start = wall_clock();
    let end = instant.min(start + SPIN_MAX);
    loop {
        let now = wall_clock();
        // A clock that was set back ends it, too.
        if now >= end || now < start {
            return;
        }
        std::hint::spin_loop();
    }
}

/// One processor alone, until it is dropped.
#[derive(Debug)]
pub struct CpuPin {
    all: Option<CpuSet>,
}

impl CpuPin {
    /// One of those that this thread may use, at random. Where there is but one, or the system refuses, nothing changes.
    pub fn at_random() -> Self {
        let all = sched_getaffinity(THIS_THREAD).ok().filter(|all| {
            let usable: Vec<usize> = (0..CpuSet::count())
                .filter(|cpu| all.is_set(*cpu).unwrap_or(false))
                .collect();
            let mut one = CpuSet::new();
            usable.len() > 1
                && fastrand::choice(&usable).is_some_and(|cpu| one.set(*cpu).is_ok())
                && sched_setaffinity(THIS_THREAD, &one).is_ok()
        });
        Self { all }
    }
}

impl Drop for CpuPin {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            // What was allowed before is allowed still.
            let _ = sched_setaffinity(THIS_THREAD, all);
        }
    }
}

const THIS_THREAD: Pid = Pid::from_raw(0);

/// One try looks at the clock for no longer. Everybody else waits meanwhile, and for each further try of the same burst.
pub const SPIN_MAX: Duration = Duration::from_micros(1500);
