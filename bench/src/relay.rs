//! The processes of a contestant, from start to end.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::leash::on_leash;
use crate::listeners::is_listening;
use crate::process_tree;
use crate::result::Result;

/// The nodes of a contestant: none, one or two. When dropped, it kills all their processes.
#[derive(Default)]
pub(crate) struct Relay {
    nodes: Vec<Node>,
}

/// The resources that a node uses at one moment.
pub(crate) struct Usage {
    pub(crate) memory_kib: f64,
    pub(crate) descriptors: usize,
}

/// A program and its descendants.
struct Node {
    child: Child,
    log: PathBuf,
}

impl Relay {
    /// Starts a relay of one node and waits until it listens on `port`.
    pub(crate) fn single(command: &Command, log: PathBuf, port: u16) -> Result<Relay> {
        let mut relay = Relay::default();
        relay.start(command, log, Some(port))?;
        Ok(relay)
    }

    /// Starts one more node. If `port` is given, waits until a process listens on it.
    pub(crate) fn start(
        &mut self,
        command: &Command,
        log: PathBuf,
        port: Option<u16>,
    ) -> Result<()> {
        self.nodes.push(Node::start(command, log)?);
        let Some(port) = port else { return Ok(()) };
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_listening(port) {
            self.check()?;
            if Instant::now() > deadline {
                return Err(format!("no process listens on port {port}").into());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Returns an error if a node has ended: the last line of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::check)
    }

    pub(crate) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Returns user and system time of all nodes, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.nodes
            .iter()
            .flat_map(Node::members)
            .map(process_tree::cpu_seconds)
            .sum()
    }

    /// Returns the usage of each node, first that of the node that clients connect to.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        self.nodes.iter().map(Node::usage).collect()
    }
}

impl Node {
    fn start(command: &Command, log: PathBuf) -> Result<Node> {
        let output = File::create(&log)?;
        let child = on_leash(command)?
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Node { child, log })
    }

    fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(match last_line(&self.log) {
                Ok(Some(line)) => line.into(),
                _ => format!("ended with {status}").into(),
            }),
        }
    }

    fn members(&self) -> Vec<u32> {
        process_tree::members(self.child.id())
    }

    fn usage(&self) -> Usage {
        let members = self.members();
        Usage {
            memory_kib: members.iter().copied().map(process_tree::memory_kib).sum(),
            descriptors: members.iter().copied().map(process_tree::descriptors).sum(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Children in other process groups are found by their parent. This must happen before the parent ends.
        let members = self.members();
        let _ = killpg(pid(self.child.id()), Signal::SIGKILL);
        for member in members {
            let _ = kill(pid(member), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed())
}

fn last_line(log: &Path) -> io::Result<Option<String>> {
    Ok(std::fs::read_to_string(log)?
        .lines()
        .last()
        .map(str::to_owned))
}

/// The timeout for a node to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval between two checks whether a node listens.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
