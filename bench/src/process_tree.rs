//! The resources that a process and its descendants use, from proc(5).
//!
//! A process may end at any moment. What cannot be read counts as zero.

use std::collections::HashMap;
use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// Returns the process and its descendants, parents first.
pub(crate) fn members(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            && let Some(parent) =
                stat_fields(pid).and_then(|fields| fields.get(PARENT)?.parse().ok())
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut members = vec![root];
    let mut next = 0;
    while let Some(pid) = members.get(next) {
        members.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    members
}

/// Returns user and system time in seconds, including children that have ended and were waited for.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let Some(fields) = stat_fields(pid) else {
        return 0.0;
    };
    let ticks: u64 = fields
        .iter()
        .skip(CPU_TIMES)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    ticks as f64 / ticks_per_second()
}

/// Returns the proportional set size (PSS) in KiB: private memory, and a share of the memory that is shared with others.
pub(crate) fn memory_kib(pid: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
    pss.and_then(|pss| pss.trim().parse().ok()).unwrap_or(0.0)
}

/// Returns the number of open descriptors.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Returns the fields of `/proc/PID/stat` from the third on. The second is a name in parentheses that may contain any byte.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

fn ticks_per_second() -> f64 {
    sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64
}

/// Indexes into [`stat_fields`]. In the file, ppid is field 4; utime, stime, cutime and cstime are fields 14 to 17.
const PARENT: usize = 1;
const CPU_TIMES: usize = 11;
