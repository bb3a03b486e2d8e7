//! The two nodes. They end with the demo, however it ends.

use std::net::SocketAddr;

use nix::unistd::Pid;
use relay_tests::{Launch, Node, Running, program};

use crate::ports::Ports;

/// Both nodes, and where they listen.
pub(crate) struct Nodes {
    outside: Node,
    inside: Running,
    pub(crate) clients: String,
    pub(crate) links: String,
}

impl Nodes {
    /// Starts both, between clients on 127.0.0.1 and `server`.
    pub(crate) fn start(ports: &Ports, server: SocketAddr) -> Result<Nodes, String> {
        for program in ["listen-listen", "connect-connect"] {
            program::find(program)
                .ok_or_else(|| format!("{program} is not built yet: run make"))?;
        }
        let (clients, links) = (ports.clients, ports.links);
        let outside = Node::try_start(&format!(
            "listen-listen 127.0.0.1:{clients} 127.0.0.1:{links}"
        ))
        .map_err(|outcome| format!("listen-listen has ended: {}", outcome.stderr.trim()))?;
        let (clients, links) = (outside.address(0).to_owned(), outside.link().to_owned());
        let inside = Launch::new(&format!("connect-connect {links} {server}")).spawn();
        Ok(Nodes {
            outside,
            inside,
            clients,
            links,
        })
    }

    /// Fails if one of them has ended, with its last words.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        for node in [&mut *self.outside, &mut self.inside] {
            if !node.is_running() {
                return Err(format!("{node} has ended: {}", node.stderr.text().trim()));
            }
        }
        Ok(())
    }

    /// The process ids, outside and inside.
    pub(crate) fn pids(&self) -> (Pid, Pid) {
        (self.outside.pid(), self.inside.pid())
    }
}
