//! Short slices of the processor: the same share, in smaller pieces.
//!
//! A relay works for microseconds and then waits. Among tasks that use up their slices, which are some milliseconds long, it would
//! wait that long to go on, and every session with it. The scheduler (EEVDF, since Linux 6.12) lets a task ask for shorter slices,
//! and runs it sooner for that.
#![allow(unsafe_code, reason = "sched_setattr(2) has no wrapper")]

use std::time::Duration;

/// Asks for short slices. Where it does not know how, or the user chose another policy than the usual
/// one, nothing changes.
pub fn ask_for_short_slices() {
    // SAFETY: both calls take numbers and return one.
    let (policy, nice) = unsafe {
        (
            libc::sched_getscheduler(0),
            libc::getpriority(libc::PRIO_PROCESS, 0),
        )
    };
    if policy != libc::SCHED_OTHER {
        return;
    }
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        nice,
        runtime: SLICE.as_nanos() as u64,
        ..Attributes::default()
    };
    // SAFETY: the kernel reads `size` bytes of `attributes`, which outlives the call. It writes nothing.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// `struct sched_attr` in its first version, which later kernels take as well.
#[derive(Default)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Nanoseconds; for the usual policy, the slice.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Short beside the usual 3 ms. The kernel grants 0.1 ms at least, with which a ping-pong over many connections was slower.
const SLICE: Duration = Duration::from_micros(500);
