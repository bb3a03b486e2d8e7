//! The ways between a client and a server through which each session test runs.

use std::fmt::Display;

use crate::end::End;
use crate::key::KeyFile;
use crate::launch::Launch;
use crate::node;
use crate::node::Node;
use crate::port::ReservedPort;
use crate::requirement;
use crate::running::Running;
use crate::server::Server;

/// What stands between the client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// `tcpfwd` alone.
    Tcpfwd,
    /// `listen-listen` and `connect-connect`.
    BothNodes,
    /// The two of them with `--raw`.
    BothNodesRaw,
    /// The two of them with a key.
    BothNodesKeyed,
    /// The two of them with `--raw` and a key.
    BothNodesRawKeyed,
    /// Our outside node with `--raw`, and socat inside.
    SocatInside,
    /// socat outside, and our inside node with `--raw`.
    SocatOutside,
}

/// How our programs move bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By their own choice: they splice bulk data.
    Splice,
    /// With `--no-splice`.
    Copy,
}

/// A way that can be opened to any server, once for each test.
pub struct Plan {
    topology: Topology,
    mode: Mode,
    options: String,
}

/// An open way: a client that dials it reaches the server.
pub struct Route {
    clients: String,
    nodes: Vec<Node>,
    _peers: Vec<Running>,
    _ports: Vec<ReservedPort>,
    _key: Option<KeyFile>,
}

/// Runs `test` through one topology, in one mode.
pub fn run(topology: Topology, mode: Mode, test: impl FnOnce(Plan)) {
    if requirement::is_missing(topology.peers()) {
        return;
    }
    test(Plan {
        mode,
        ..Plan::through(topology)
    });
}

impl Plan {
    /// A way through `topology`, for tests that choose their own.
    pub fn through(topology: Topology) -> Plan {
        Plan {
            topology,
            mode: Mode::Splice,
            options: String::new(),
        }
    }

    /// Gives `options` to each of our programs on the way.
    pub fn with(mut self, options: &str) -> Plan {
        self.options = options.to_owned();
        self
    }

    /// Whether our programs are free to splice, and can.
    pub fn may_splice(&self) -> bool {
        let keyed = matches!(
            self.topology,
            Topology::BothNodesKeyed | Topology::BothNodesRawKeyed
        );
        self.mode == Mode::Splice && !keyed
    }

    /// Opens the way to `server`.
    pub fn to(self, server: impl Display) -> Route {
        match self.topology {
            Topology::Tcpfwd => self.tcpfwd(server),
            Topology::BothNodes => self.through_both("", "", server),
            Topology::BothNodesRaw => self.through_both("--raw", RAW_INSIDE, server),
            Topology::BothNodesKeyed => self.through_both_with_a_key("", "", server),
            Topology::BothNodesRawKeyed => {
                self.through_both_with_a_key("--raw", RAW_INSIDE, server)
            }
            Topology::SocatInside => self.socat_inside(server),
            Topology::SocatOutside => self.socat_outside(server),
        }
    }

    /// Opens the way to a server, and a session on it: the client's end and the server's.
    pub fn session(self) -> (End, End, Route) {
        let server = Server::start();
        let route = self.to(&server);
        (route.dial(), server.accept(), route)
    }

    fn tcpfwd(&self, server: impl Display) -> Route {
        let options = self.options();
        Route::through([node!("tcpfwd {options} 127.0.0.1:0 {server}")])
    }

    fn through_both(&self, outside: &str, inside: &str, server: impl Display) -> Route {
        let options = self.options();
        let outside = node!("listen-listen {outside} {options} 127.0.0.1:0 127.0.0.1:0");
        let link = outside.link();
        let inside = node!("connect-connect {inside} {options} {link} {server}");
        Route::through([outside, inside])
    }

    fn through_both_with_a_key(&self, outside: &str, inside: &str, server: impl Display) -> Route {
        let key = KeyFile::of(&[1]);
        let with_key = |options: &str| format!("{options} --key-file {key}");
        let route = self.through_both(&with_key(outside), &with_key(inside), server);
        Route {
            _key: Some(key),
            ..route
        }
    }

    fn socat_inside(&self, server: impl Display) -> Route {
        let options = self.options();
        let outside = node!("listen-listen --raw {options} 127.0.0.1:0 127.0.0.1:0");
        let link = format!("tcp:{},forever,interval=0.05,fork,nodelay", outside.link());
        let inside = socat(&link, &format!("tcp:{server},nodelay"));
        Route {
            _peers: vec![inside],
            ..Route::through([outside])
        }
    }

    fn socat_outside(&self, server: impl Display) -> Route {
        let (clients, link) = (ReservedPort::new(), ReservedPort::new());
        let listen = |port: &ReservedPort| {
            format!("tcp-l:{},bind=127.0.0.1,reuseaddr,nodelay", port.number())
        };
        // One process for each client, and all of them need the one link port: they take turns.
        let to_link = format!("{},forever,interval=0.02", listen(&link));
        let outside = socat(&format!("{},fork", listen(&clients)), &to_link);
        clients.wait_until_listened_on();
        let options = self.options();
        let inside = node!("connect-connect {RAW_INSIDE} {options} {link} {server}");
        Route {
            clients: clients.to_string(),
            nodes: vec![inside],
            _peers: vec![outside],
            _ports: vec![clients, link],
            _key: None,
        }
    }

    fn options(&self) -> String {
        let mode = match self.mode {
            Mode::Splice => "",
            Mode::Copy => "--no-splice",
        };
        format!("{mode} {}", self.options)
    }
}

impl Topology {
    fn peers(self) -> &'static [&'static str] {
        match self {
            Topology::Tcpfwd
            | Topology::BothNodes
            | Topology::BothNodesRaw
            | Topology::BothNodesKeyed
            | Topology::BothNodesRawKeyed => &[],
            Topology::SocatInside | Topology::SocatOutside => &["socat"],
        }
    }
}

impl Route {
    /// The way through `nodes`, whose first one listens for clients.
    fn through(nodes: impl Into<Vec<Node>>) -> Route {
        let nodes = nodes.into();
        Route {
            clients: nodes[0].address(0).to_owned(),
            nodes,
            _peers: Vec::new(),
            _ports: Vec::new(),
            _key: None,
        }
    }

    /// Dials the server, in the way that clients do.
    pub fn dial(&self) -> End {
        End::dial(&self.clients)
    }

    /// The address for clients.
    pub fn clients(&self) -> &str {
        &self.clients
    }

    /// Our programs on the way.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Our program next to the clients, which is the outside node where there are two.
    pub fn outermost(&self) -> &Node {
        &self.nodes[0]
    }

    /// Our program next to the server, which is the inside node where there are two.
    pub fn innermost(&self) -> &Node {
        &self.nodes[self.nodes.len() - 1]
    }

    /// Our programs on the way, to be waited for.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }
}

/// socat between two of its addresses. It waits as long for the second end of file as any test does: its own idea
/// is half a second.
fn socat(left: &str, right: &str) -> Running {
    Launch::new(&format!("socat -t 20 -b 65536 {left} {right}")).spawn()
}

/// Dials again soon: in raw mode the port of the other side is closed most of the time.
const RAW_INSIDE: &str = "--raw --interval 50ms";
