//! A network, processes and mounts of its own for each trial.
//!
//! Why: the congestion control and the port range of the machine change the figures, connections in TIME_WAIT of one
//! trial would hinder the next, and the processes of a namespace all end with its first one.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::socket::{getsockopt, sockopt};

use crate::result::Result;

/// How far a trial can be kept apart here.
#[derive(Clone, Copy)]
pub(crate) enum Isolation {
    /// We may make namespaces.
    Privileged,
    /// We may make them inside a user namespace.
    UserNamespace,
    /// We may not: trials run in the network of the machine, as it is.
    None,
}

impl Isolation {
    /// Tries what is possible, the best first.
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

    /// A command that runs `program` in namespaces of its own.
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

    /// For the report.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Isolation::Privileged | Isolation::UserNamespace => {
                "a fresh network namespace for each measurement, congestion control cubic"
            }
            Isolation::None => {
                "no namespaces allowed: measured in the network of the machine, as it is"
            }
        }
    }
}

/// Makes the new namespaces of this process fit to measure in. Returns a directory that ends with them.
pub(crate) fn furnish() -> Result<PathBuf> {
    run("ip", &["link", "set", "lo", "up"])?;
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", DIALLED_PORTS)?;
    choose_cubic()?;
    // It is seen by nobody else, and sshd wants a directory in this very place.
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    fs::create_dir("/run/sshd")?;
    Ok(PathBuf::from("/run"))
}

/// The default of a namespace is that of the machine, and where cubic is not in the list of what everybody may use,
/// not even root may make it the default of another namespace than the first. A route may name it everywhere.
fn choose_cubic() -> Result<()> {
    let route = "replace local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 congctl cubic";
    let words: Vec<_> = ["route"].into_iter().chain(route.split(' ')).collect();
    run("ip", &words)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let chosen = getsockopt(&stream, sockopt::TcpCongestion)?;
    if chosen.to_string_lossy().trim_end_matches('\0') != "cubic" {
        return Err(format!(
            "the congestion control is {} instead of cubic",
            chosen.display()
        )
        .into());
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

/// Wide, because a session holds its port in TIME_WAIT for a minute; above the ports of the relays, because a dialled
/// connection must not be found on one of them.
const DIALLED_PORTS: &str = "10000 65535";
