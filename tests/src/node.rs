//! One of our programs, as a user starts it.

use std::fmt::Display;
use std::ops::{Deref, DerefMut};

use crate::end::End;
use crate::launch::Launch;
use crate::nat_lab::Host;
use crate::running::{Outcome, Running};

/// Starts a command line with [`Node::start`]; arguments are filled in as by `format!`.
///
/// ```no_run
/// # use relay_tests::{Server, node};
/// let server = Server::start();
/// let tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {server}");
/// ```
#[macro_export]
macro_rules! node {
    ($($line:tt)+) => {
        $crate::Node::start(&format!($($line)+))
    };
}

/// A program of ours that runs, and the addresses it listens on.
pub struct Node {
    running: Running,
    addresses: Vec<String>,
}

impl Node {
    /// `listen-listen` on two ports of 127.0.0.1 that the system picks.
    pub fn outside() -> Node {
        node!("listen-listen 127.0.0.1:0 127.0.0.1:0")
    }

    /// `connect-connect` between `outside` and `server`.
    pub fn inside(outside: &Node, server: impl Display) -> Node {
        node!("connect-connect {} {server}", outside.link())
    }

    /// Starts the command `line`. If the program listens, waits until it accepts on all its addresses.
    pub fn start(line: &str) -> Node {
        Node::try_start(line).unwrap_or_else(|outcome| panic!("{line} has ended: {outcome:?}"))
    }

    /// Starts the command `line` as [`Node::start`] does, and returns the outcome if the program ends.
    pub fn try_start(line: &str) -> Result<Node, Outcome> {
        Node::try_start_by(Launch::new, line)
    }

    /// Starts the command `line` as [`Node::start`] does, on a host of a laboratory.
    pub fn start_on(host: &Host, line: &str) -> Node {
        Node::try_start_by(|line| host.launch(line), line)
            .unwrap_or_else(|outcome| panic!("{line} has ended: {outcome:?}"))
    }

    fn try_start_by(launch: impl Fn(&str) -> Launch, line: &str) -> Result<Node, Outcome> {
        match line.split_once(' ') {
            Some(("connect-connect", _)) => Ok(Node {
                running: launch(line).spawn(),
                addresses: Vec::new(),
            }),
            Some((program, rest)) => {
                let launch = launch(&format!("{program} --print-address {rest}"));
                // An open link port means that a client waits, and the program closes the port when the kernel schedules it. On a
                // busy machine that may be after the next dial.
                Node::announced(if rest.contains("--raw") {
                    launch.realtime()
                } else {
                    launch
                })
            }
            None => panic!("{line} has no arguments"),
        }
    }

    /// Starts a program with `--print-address`, and reads the addresses. The program closes its standard output after the last
    /// one, or when it ends.
    pub fn announced(launch: Launch) -> Result<Node, Outcome> {
        let running = launch.spawn();
        let printed = String::from_utf8(running.stdout.wait_for_end()).expect("addresses are text");
        let addresses: Vec<String> = printed
            .lines()
            .filter_map(address)
            .map(str::to_owned)
            .collect();
        if addresses.is_empty() {
            Err(running.finish())
        } else {
            Ok(Node { running, addresses })
        }
    }

    /// The `n`th address it listens on, in the order of its command line.
    pub fn address(&self, n: usize) -> &str {
        self.addresses
            .get(n)
            .unwrap_or_else(|| panic!("{} listens on {:?}", self.running, self.addresses))
    }

    /// The port of the `n`th address.
    pub fn port(&self, n: usize) -> u16 {
        let port = self.address(n).rsplit_once(':').map(|(_, port)| port);
        port.and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("{} has no port", self.address(n)))
    }

    /// The address for links, which `listen-listen` has last on its command line.
    pub fn link(&self) -> &str {
        self.address(self.addresses.len() - 1)
    }

    /// Dials its first address.
    pub fn dial(&self) -> End {
        End::dial(self.address(0))
    }
}

impl Deref for Node {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.running
    }
}

/// The address in a printed line: `LISTEN-WORD ADDRESS`.
fn address(line: &str) -> Option<&str> {
    line.split_once(' ').map(|(_, address)| address)
}
