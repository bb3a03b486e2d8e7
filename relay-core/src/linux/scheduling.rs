//! Short slices of the processor while bulk is moved: the same share, in smaller pieces.
//!
//! A relay works for microseconds and then waits. Beside bulk there are tasks that use up their slices, which are some milliseconds
//! long: it would wait that long to go on, and every session with it. The scheduler (EEVDF, since Linux 6.12) lets a task ask for
//! shorter slices, and runs it sooner for that. Where only messages go to and fro, the usual slices give more of them: there,
//! each early turn of the relay finds less to do.
#![allow(unsafe_code, reason = "sched_setattr(2) has no wrapper")]

use std::time::{Duration, Instant};

use crate::limits::BULK_OVER;

/// The slices of this thread. Where the scheduler does not know how, or the user chose another policy than the usual one, nothing
/// changes.
#[derive(Debug)]
pub enum Slices {
    /// As long as the scheduler makes them.
    Usual,
    /// Short: bulk was moved at that time.
    Short(Instant),
    /// Not to be touched.
    Foreign,
}

impl Slices {
    /// As they are.
    pub fn new() -> Self {
        // SAFETY: takes a number and returns one.
        match unsafe { libc::sched_getscheduler(0) } {
            libc::SCHED_OTHER => Self::Usual,
            _ => Self::Foreign,
        }
    }

    /// A turn of the loop has ended, which moved bulk or did not.
    pub fn adapt(&mut self, bulk: bool, now: Instant) {
        *self = match self {
            Self::Usual if bulk => {
                ask_for(SLICE);
                Self::Short(now)
            }
            Self::Short(_) if bulk => Self::Short(now),
            Self::Short(last) if now >= *last + BULK_OVER => {
                ask_for(Duration::ZERO);
                Self::Usual
            }
            _ => return,
        };
    }
}

impl Default for Slices {
    fn default() -> Self {
        Self::new()
    }
}

/// Zero asks for the usual ones.
fn ask_for(slice: Duration) {
    // SAFETY: takes numbers and returns one.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        nice,
        runtime: slice.as_nanos() as u64,
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

/// The shortest that the kernel grants.
const SLICE: Duration = Duration::from_micros(100);
