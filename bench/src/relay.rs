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

/// No node, one or two. Dropped, it leaves no process behind.
#[derive(Default)]
pub(crate) struct Relay {
    nodes: Vec<Node>,
}

/// What a node holds at one moment.
pub(crate) struct Holdings {
    pub(crate) memory_kib: f64,
    pub(crate) descriptors: usize,
}

/// A program, and whatever it forks.
struct Node {
    child: Child,
    log: PathBuf,
}

impl Relay {
    /// Starts a relay of one node, and waits until it listens on `port`.
    pub(crate) fn single(command: &Command, log: PathBuf, port: u16) -> Result<Relay> {
        let mut relay = Relay::default();
        relay.start(command, log, Some(port))?;
        Ok(relay)
    }

    /// Starts one more node, and waits until somebody listens on `port` if one is given.
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
                return Err(format!("nobody listens on port {port}").into());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Fails, with what it had to say, if a node has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::check)
    }

    pub(crate) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// User and system time of all nodes.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.nodes
            .iter()
            .flat_map(Node::members)
            .map(process_tree::cpu_seconds)
            .sum()
    }

    /// What each node holds, the one that clients connect to first.
    pub(crate) fn holdings(&self) -> Vec<Holdings> {
        self.nodes.iter().map(Node::holdings).collect()
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

    fn holdings(&self) -> Holdings {
        let members = self.members();
        Holdings {
            memory_kib: members.iter().copied().map(process_tree::memory_kib).sum(),
            descriptors: members.iter().copied().map(process_tree::descriptors).sum(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Children in process groups of their own are found by descent, which is lost once the parent is gone.
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

/// How long a node may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
