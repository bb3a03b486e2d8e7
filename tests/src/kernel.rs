//! What the kernel counts: the memory, descriptors and wakeups of a process, the sockets of the network.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::timeouts::{A_WHILE, eventually, let_pass};

/// A TCP socket as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TcpSocket {
    /// Its own port.
    pub local_port: u16,
    /// Its peer's port.
    pub remote_port: u16,
    /// Its state.
    pub state: TcpState,
}

/// The states that tests distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TcpState {
    /// Both ends may send.
    Established,
    /// Closed first, and kept for a minute in case a segment still arrives.
    TimeWait,
    /// Waiting for peers.
    Listen,
    /// Any other.
    Other,
}

/// The TCP sockets of this network, of both IP versions.
pub fn tcp_sockets() -> Vec<TcpSocket> {
    let tables = ["tcp", "tcp6"]
        .map(|table| fs::read_to_string(format!("{NETWORK}/{table}")).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .map(tcp_socket)
        .collect()
}

/// Whether a program listens on `port`.
pub fn is_listening(port: u16) -> bool {
    tcp_sockets()
        .iter()
        .any(|socket| socket.state == TcpState::Listen && socket.local_port == port)
}

/// Waits until no program listens on `address`, without a dial, which might be accepted as the last client.
pub fn wait_until_closed(address: &str) {
    let (_, port) = address.rsplit_once(':').expect("an address has a port");
    let port = port.parse().expect("a port is a number");
    eventually(&format!("no program listens on {address}"), || {
        !is_listening(port)
    });
}

/// How many TCP connections were dialled in this network so far.
pub fn tcp_dials() -> u64 {
    let counters = fs::read_to_string(format!("{NETWORK}/snmp")).expect("the kernel counts");
    let mut lines = counters
        .lines()
        .filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (
        lines.next().expect("names of counters"),
        lines.next().expect("counters"),
    );
    let dials = names
        .split(' ')
        .zip(values.split(' '))
        .find(|(name, _)| *name == "ActiveOpens");
    dials
        .expect("dials are counted")
        .1
        .parse()
        .expect("a counter is a number")
}

/// The bytes of memory that a process holds (its resident set).
pub fn resident_bytes(pid: Pid) -> usize {
    1024 * status_number(pid, "VmRSS:")
}

/// How often a process has gone to sleep so far, and so how often it was woken.
fn wakeups(pid: Pid) -> usize {
    status_number(pid, "voluntary_ctxt_switches:")
}

/// Fails if a process that has nothing to do is woken again and again.
#[track_caller]
pub fn expect_no_wakeups(pid: Pid) {
    // The process may still have to finish what it has begun.
    let_pass(A_WHILE);
    let before = wakeups(pid);
    let_pass(2 * A_WHILE);
    let woken = wakeups(pid) - before;
    assert!(woken <= 1, "a process without work was woken {woken} times");
}

/// The children of a process, theirs, and so on.
pub fn descendants(pid: Pid) -> Vec<Pid> {
    let children =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok().map(Pid::from_raw));
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}

/// How many descriptors a process has open.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process runs")
        .count()
}

/// How many sockets a process has open. (Other descriptors come and go: a process that is just ready may still hold the
/// /dev/null that it has put in the place of stdout.)
pub fn sockets(pid: Pid) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs");
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// How many of a process's descriptors are ends of pipes; a pipe that it keeps for itself has two.
pub fn pipe_ends(pid: Pid) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs");
    // A descriptor that is closed meanwhile does not count.
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| is_pipe(target)).count()
}

/// How long a process has computed so far, in user space and in the kernel.
pub fn cpu_time(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name of the program, in parentheses, may hold blanks. See proc(5): utime is field 14, stime field 15.
    let (_, behind_name) = stat.rsplit_once(") ").expect("a name is there");
    let ticks = behind_name.split(' ').skip(11).take(2);
    let ticks: u32 = ticks
        .map(|ticks| ticks.parse::<u32>().expect("ticks are a number"))
        .sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    Duration::from_secs(1) * ticks / per_second.map_or(100, |ticks| ticks as u32)
}

/// Whether a process was stopped by SIGSTOP.
pub fn is_stopped(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    status.lines().any(|line| line.starts_with("State:\tT"))
}

/// Fails if a process that has hardly anything to do keeps a processor busy.
#[track_caller]
pub fn expect_little_work(pid: Pid) {
    let before = cpu_time(pid);
    let_pass(A_WHILE);
    let worked = cpu_time(pid) - before;
    assert!(worked < A_WHILE / 4, "it computed for {worked:?}");
}

fn is_pipe(target: &Path) -> bool {
    target.to_string_lossy().starts_with("pipe:")
}

fn status_number(pid: Pid, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .expect("the field is there");
    value
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("the field is a number")
}

/// Reads a line of proc(5)'s `/proc/net/tcp`: `sl local_address rem_address st …`, addresses in hexadecimal
/// with the port behind a colon.
fn tcp_socket(line: &str) -> TcpSocket {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |field: &str| {
        let (_, port) = field.rsplit_once(':').expect("an address has a port");
        u16::from_str_radix(port, 16).expect("a port is hexadecimal")
    };
    let state = match fields[3] {
        "01" => TcpState::Established,
        "06" => TcpState::TimeWait,
        "0A" => TcpState::Listen,
        _ => TcpState::Other,
    };
    TcpSocket {
        local_port: port(fields[1]),
        remote_port: port(fields[2]),
        state,
    }
}

/// Where the kernel describes the network of this thread. (`/proc/net` is that of the first thread.)
const NETWORK: &str = "/proc/thread-self/net";
