//! The machine that the figures were measured on.

use std::fs;
use std::thread;

/// Describes processor, cores and kernel.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, Linux {}", processor(), kernel())
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model
        .map_or("unknown processor", |(_, name)| name.trim())
        .to_owned()
}

/// Returns the kernel version without the suffix of a distributor.
fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release
        .trim()
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned()
}
