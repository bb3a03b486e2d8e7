//! Network, PID and mount namespaces for each trial.
//!
//! There are three reasons. The congestion control and the port range of the machine change the figures. Connections of one
//! trial in TIME_WAIT disturb the next trial. When the first process of a namespace ends, all its processes end.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::socket::{getsockopt, sockopt};

use crate::result::Result;

/// How far this machine allows a trial to be isolated.
#[derive(Clone, Copy)]
pub(crate) enum Isolation {
    /// This process may make namespaces.
    Privileged,
    /// This process may make them inside a user namespace.
    UserNamespace,
    /// It may make none. Trials run in the network of the machine, unchanged.
    None,
}

impl Isolation {
    /// Tries each kind, best first, and returns the first that works.
    pub(crate) fn available() -> Isolation {
        [Isolation::Privileged, Isolation::UserNamespace]
            .into_iter()
            .find(|isolation| {
                let status = isolation
                    .command("true")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status();
                status.is_ok_and(|status| status.success())
            })
            .unwrap_or(Isolation::None)
    }

    /// Returns a command that runs `program` in new namespaces.
    pub(crate) fn command(self, program: &str) -> Command {
        let user: &[&str] = match self {
            Isolation::Privileged => &[],
            Isolation::UserNamespace => &["--user", "--map-root-user"],
            Isolation::None => return Command::new(program),
        };
        let mut command = Command::new("unshare");
        command.args(user).args([
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
            program,
        ]);
        command
    }

    pub(crate) fn is_isolated(self) -> bool {
        !matches!(self, Isolation::None)
    }

    /// Describes the isolation for the report.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Isolation::Privileged | Isolation::UserNamespace => {
                "a new network namespace for each measurement, congestion control cubic"
            }
            Isolation::None => {
                "namespaces are not allowed here: measured in the network of the machine, unchanged"
            }
        }
    }
}

/// Prepares the new namespaces of this process for a trial. Returns a directory that is removed with them.
pub(crate) fn prepare() -> Result<PathBuf> {
    run("ip", &["link", "set", "lo", "up"])?;
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", DIALLED_PORTS)?;
    choose_cubic()?;
    // Only this namespace sees the mount. sshd needs the directory at exactly this path.
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    fs::create_dir("/run/sshd")?;
    Ok(PathBuf::from("/run"))
}

/// Sets the congestion control of loopback to cubic. A new namespace inherits the default of the machine. If cubic is not
/// in `tcp_allowed_congestion_control`, even root cannot make it the default of a new namespace. A route can always set it.
fn choose_cubic() -> Result<()> {
    let route = "replace local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 congctl cubic";
    let words: Vec<_> = ["route"].into_iter().chain(route.split(' ')).collect();
    run("ip", &words)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let chosen = getsockopt(&stream, sockopt::TcpCongestion)?;
    if chosen.to_string_lossy().trim_end_matches('\0') != "cubic" {
        return Err(format!("the congestion control is {}, not cubic", chosen.display()).into());
    }
    Ok(())
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("unable to run {program}: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {}", args.join(" "), why.trim()).into());
    }
    Ok(())
}

/// The range is wide, because a session keeps its port in TIME_WAIT for a minute. It is above the ports of the relays,
/// because a dialled connection must not use one of them.
const DIALLED_PORTS: &str = "10000 65535";
