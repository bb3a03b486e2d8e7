//! Listening ports: how long a process takes to open many, and what each costs while no client connects.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::own_directory;
use crate::leash::on_leash;
use crate::result::Result;
use crate::{process_tree, table};

/// Measures tcpfwd with one port and with many, and prints a table.
pub(crate) fn run(binaries: Option<&Path>) -> Result<()> {
    let own = own_directory()?;
    let tcpfwd = binaries.unwrap_or(&own).join("tcpfwd");
    let one = measure(&tcpfwd, 1)?;
    let many = measure(&tcpfwd, PORTS)?;
    let each = (many.memory_kib - one.memory_kib) / f64::from(PORTS - 1);
    let row = |ports: u16, usage: &Usage, each: String| {
        vec![
            ports.to_string(),
            format!("{:.0}", usage.start.as_secs_f64() * 1e3),
            format!("{:.0}", usage.memory_kib),
            each,
            format!("{:.2}", usage.cpu_seconds),
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

struct Usage {
    /// The time until all ports accept.
    start: Duration,
    memory_kib: f64,
    /// User and system time during [`IDLE`].
    cpu_seconds: f64,
}

fn measure(tcpfwd: &Path, ports: u16) -> Result<Usage> {
    let mut command = Command::new(tcpfwd);
    // tcpfwd writes the newline when all ports listen.
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
    Ok(Usage {
        start,
        memory_kib: process_tree::memory_kib(pid),
        cpu_seconds: process_tree::cpu_seconds(pid) - before,
    })
}

/// A process that is killed when the value is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The number of ports of the second measurement.
const PORTS: u16 = 10_000;

/// The first port. All are below the range from which Linux chooses the ports of clients by default.
const FIRST: u16 = 20_000;

/// The wait after the start, before CPU time is measured.
const SETTLE: Duration = Duration::from_millis(300);

/// How long CPU time is measured.
const IDLE: Duration = Duration::from_secs(2);
