//! Listening ports: how fast a process has many of them, and what each costs while nobody comes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::own_directory;
use crate::leash::on_leash;
use crate::result::Result;
use crate::{process_tree, table};

/// Starts tcpfwd with one port and with many, and prints what is found.
pub(crate) fn run(binaries: Option<&Path>) -> Result<()> {
    let own = own_directory()?;
    let tcpfwd = binaries.unwrap_or(&own).join("tcpfwd");
    let one = measure(&tcpfwd, 1)?;
    let many = measure(&tcpfwd, PORTS)?;
    let each = (many.memory_kib - one.memory_kib) / f64::from(PORTS - 1);
    let row = |ports: u16, found: &Found, each: String| {
        vec![
            ports.to_string(),
            format!("{:.0}", found.start.as_secs_f64() * 1e3),
            format!("{:.0}", found.memory_kib),
            each,
            format!("{:.2}", found.cpu_seconds),
        ]
    };
    let rows = [
        row(1, &one, "–".to_owned()),
        row(PORTS, &many, format!("{each:.2}")),
    ];
    let header = [
        "ports of one tcpfwd",
        "start, ms",
        "memory, KiB",
        "KiB/port",
        "CPU s while idle",
    ];
    write!(std::io::stdout(), "{}", table::render(&header, &rows))?;
    Ok(())
}

struct Found {
    /// Until all accept.
    start: Duration,
    memory_kib: f64,
    /// Of [`IDLE`].
    cpu_seconds: f64,
}

fn measure(tcpfwd: &Path, ports: u16) -> Result<Found> {
    let mut command = Command::new(tcpfwd);
    // The newline comes when everything listens.
    command
        .args(["--ready-fd", "1"])
        .arg(format!("127.0.0.1:{FIRST}-{}", FIRST + ports - 1))
        .arg("127.0.0.1:9");
    let started = Instant::now();
    let mut process = Process(on_leash(&command)?.stdout(Stdio::piped()).spawn()?);
    let mut ready = Vec::new();
    if let Some(stdout) = &mut process.0.stdout {
        stdout.read_to_end(&mut ready)?;
    }
    if ready != b"\n" {
        return Err(format!("{} did not start", tcpfwd.display()).into());
    }
    let start = started.elapsed();
    thread::sleep(SETTLE);
    let pid = process.0.id();
    let before = process_tree::cpu_seconds(pid);
    thread::sleep(IDLE);
    Ok(Found {
        start,
        memory_kib: process_tree::memory_kib(pid),
        cpu_seconds: process_tree::cpu_seconds(pid) - before,
    })
}

/// Dropped, it is no more.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PORTS: u16 = 10_000;
/// Below those that the system gives to clients.
const FIRST: u16 = 20_000;
const SETTLE: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_secs(2);
