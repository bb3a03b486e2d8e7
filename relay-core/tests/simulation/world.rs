//! Nodes, clients and servers on one network, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use relay_core::limits::IDLE_LINKS_MAX;
use relay_core::policy::keeper::Policy;

use crate::inside::{self, Inside};
use crate::network::{Address, Network, Process};
use crate::outside::{self, Outside};
use crate::talker::{Habits, Outcome, Talker};

/// What all nodes of a world have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) heartbeat: Duration,
    pub(crate) wait_timeout: Duration,
    pub(crate) policy: Policy,
    pub(crate) latency_max: Duration,
    pub(crate) window: usize,
}

impl Settings {
    /// What most tests are content with.
    pub(crate) fn plain() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            wait_timeout: Duration::from_secs(20),
            policy: Policy {
                idle_min: 2,
                interval: Duration::from_secs(2),
                links_max: 1000,
                only_one: false,
                one_each: false,
                literal: false,
            },
            latency_max: Duration::from_millis(20),
            window: 32 * 1024,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) net: Network,
    pub(crate) start: Instant,
    settings: Settings,
    programs: Vec<Program>,
    /// When each was last told that it will be woken.
    wakes: Vec<Option<Instant>>,
    paused: BTreeMap<Process, Instant>,
    /// By key.
    clients: Vec<Process>,
    /// Connections that servers have accepted.
    conversations: u32,
}

#[derive(Debug)]
enum Program {
    Outside {
        node: Box<Outside>,
        places: outside::Places,
    },
    Inside {
        node: Box<Inside>,
        places: inside::Places,
    },
    /// Dead, until it is started again.
    Dead(Places),
    /// With how a server will talk to it.
    Client {
        talker: Talker,
        server: Habits,
        arrived: Instant,
        done: Option<Instant>,
    },
    Server {
        address: Address,
        talkers: Vec<ServerTalker>,
    },
}

#[derive(Clone, Debug)]
enum Places {
    Outside(outside::Places),
    Inside(inside::Places),
}

/// A server's end of a session, and the client that the inside node says it is for.
#[derive(Debug)]
struct ServerTalker {
    talker: Talker,
    key: u32,
    client: u32,
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let start = Instant::now();
        let rng = fastrand::Rng::with_seed(seed);
        let net = Network::new(start, rng, settings.latency_max, settings.window);
        Self {
            net,
            start,
            settings,
            programs: Vec::new(),
            wakes: Vec::new(),
            paused: BTreeMap::new(),
            clients: Vec::new(),
            conversations: 0,
        }
    }

    pub(crate) fn outside(&mut self, clients: Address, links: &[Address]) -> Process {
        let places = outside::Places {
            clients,
            links: links.to_vec(),
        };
        self.node(Places::Outside(places))
    }

    pub(crate) fn inside(&mut self, links: &[Address], server: Address) -> Process {
        let places = inside::Places {
            links: links.to_vec(),
            server,
        };
        self.node(Places::Inside(places))
    }

    pub(crate) fn server(&mut self, address: Address) -> Process {
        let process = self.add(Program::Server {
            address,
            talkers: Vec::new(),
        });
        self.net.listen(process, address);
        process
    }

    /// A client dials the outside node, now.
    pub(crate) fn client(&mut self, address: Address, client: Habits, server: Habits) -> Process {
        let process = self.programs.len();
        let key = self.clients.len() as u32;
        let socket = self.net.dial(process, address, key);
        let talker = Talker::new(socket, key, client);
        let arrived = self.net.now;
        self.clients.push(process);
        self.add(Program::Client {
            talker,
            server,
            arrived,
            done: None,
        })
    }

    /// A client and a server that say that many bytes each and end.
    pub(crate) fn polite_client(&mut self, address: Address, says: usize, hears: usize) -> Process {
        let (client, server) = (self.polite(says), self.polite(hears));
        self.client(address, client, server)
    }

    pub(crate) fn polite(&self, says: usize) -> Habits {
        let now = self.net.now;
        Habits {
            says,
            answers: false,
            ends_last: false,
            ends_after: now,
            reads_after: now,
            resets_at: None,
        }
    }

    pub(crate) fn kill(&mut self, process: Process) {
        let places = match &self.programs[process] {
            Program::Outside { places, .. } => Places::Outside(places.clone()),
            Program::Inside { places, .. } => Places::Inside(places.clone()),
            _ => return,
        };
        self.net.kill(process);
        self.programs[process] = Program::Dead(places);
    }

    /// Starts the node again, if it is dead.
    pub(crate) fn start(&mut self, process: Process) {
        if let Program::Dead(places) = &self.programs[process] {
            self.programs[process] = self.started(process, places.clone());
            self.net.wake_at(process, self.net.now);
        }
    }

    pub(crate) fn drain(&mut self, process: Process) {
        match &mut self.programs[process] {
            Program::Outside { node, .. } => node.drain(&mut self.net),
            Program::Inside { node, .. } => node.drain(&self.net),
            _ => {}
        }
        self.net.wake_at(process, self.net.now);
    }

    /// The process is stopped, and goes on after that time.
    pub(crate) fn pause(&mut self, process: Process, time: Duration) {
        self.paused.insert(process, self.net.now + time);
        self.net.wake_at(process, self.net.now + time);
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.net.now + time;
        let mut noticed = BTreeSet::new();
        while self.net.advance(end, &mut noticed) {
            while let Some(process) = noticed.pop_first() {
                self.turn(process);
            }
        }
        self.net.now = end;
    }

    pub(crate) fn is_alive(&self, process: Process) -> bool {
        !matches!(self.programs[process], Program::Dead(_))
    }

    pub(crate) fn outside_node(&self, process: Process) -> &Outside {
        let Program::Outside { node, .. } = &self.programs[process] else {
            panic!("it is not alive")
        };
        node
    }

    pub(crate) fn inside_node(&self, process: Process) -> &Inside {
        let Program::Inside { node, .. } = &self.programs[process] else {
            panic!("it is not alive")
        };
        node
    }

    pub(crate) fn outcome(&self, client: Process) -> Outcome {
        self.talker(client).outcome
    }

    /// When the client's end was, after it had arrived.
    pub(crate) fn took(&self, client: Process) -> Option<Duration> {
        let Program::Client { arrived, done, .. } = &self.programs[client] else {
            panic!("it is no client")
        };
        done.map(|done| done - *arrived)
    }

    /// How many clients there were.
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Sessions that a server has accepted.
    pub(crate) fn served(&self, server: Process) -> usize {
        let Program::Server { talkers, .. } = &self.programs[server] else {
            panic!("it is no server")
        };
        talkers.len()
    }

    /// What is true of every end of file and of every reset, at any time.
    pub(crate) fn check_conversations(&self) {
        for server in self.servers() {
            let client = self.talker(self.clients[server.client as usize]);
            assert!(
                server.talker.other().is_none_or(|key| key == server.client),
                "another client's bytes"
            );
            if server.talker.heard().eof {
                assert!(
                    client.has_ended(),
                    "the server reads an end of file of client {}'s own",
                    server.client
                );
                assert_eq!(
                    server.talker.heard().bytes,
                    client.says(),
                    "client {} was cut short",
                    server.client
                );
            }
        }
        for (key, &process) in self.clients.iter().enumerate() {
            let client = self.talker(process);
            let servers: Vec<_> = self
                .servers()
                .filter(|server| server.client == key as u32)
                .collect();
            let reached = servers
                .iter()
                .filter(|server| server.talker.heard().bytes > 0)
                .count();
            assert!(reached <= 1, "client {key} has reached {reached} servers");
            assert!(
                client
                    .other()
                    .is_none_or(|other| servers.iter().any(|server| server.key == other)),
                "client {key} hears another's server"
            );
            if client.heard().eof {
                let ended = servers.iter().find(|server| server.talker.has_ended());
                let said = ended.map(|server| server.talker.says());
                assert_eq!(
                    said,
                    Some(client.heard().bytes),
                    "client {key} was cut short"
                );
            }
        }
    }

    /// Nobody is left hanging.
    pub(crate) fn check_all_ended(&self) {
        for (key, &process) in self.clients.iter().enumerate() {
            assert_ne!(
                self.outcome(process),
                Outcome::Talking,
                "client {key} hangs: {:?}",
                self.talker(process)
            );
        }
        for server in self.servers() {
            assert_ne!(
                server.talker.outcome,
                Outcome::Talking,
                "the server of client {} hangs",
                server.client
            );
        }
    }

    /// Every session so far ended by two ends of file.
    pub(crate) fn all_complete(&self) -> bool {
        let clients = self
            .clients
            .iter()
            .all(|&client| self.outcome(client) == Outcome::Complete);
        clients
            && self
                .servers()
                .all(|server| server.talker.outcome == Outcome::Complete)
    }

    fn servers(&self) -> impl Iterator<Item = &ServerTalker> {
        self.programs.iter().flat_map(|program| match program {
            Program::Server { talkers, .. } => &talkers[..],
            _ => &[],
        })
    }

    fn talker(&self, client: Process) -> &Talker {
        let Program::Client { talker, .. } = &self.programs[client] else {
            panic!("it is no client")
        };
        talker
    }

    fn node(&mut self, places: Places) -> Process {
        let process = self.programs.len();
        let program = self.started(process, places);
        self.add(program)
    }

    fn started(&mut self, process: Process, places: Places) -> Program {
        let Settings {
            heartbeat,
            wait_timeout,
            policy,
            ..
        } = self.settings;
        match places {
            Places::Outside(places) => {
                let node = Outside::start(
                    process,
                    places.clone(),
                    heartbeat,
                    wait_timeout,
                    &mut self.net,
                );
                Program::Outside {
                    node: Box::new(node),
                    places,
                }
            }
            Places::Inside(places) => {
                let node = Inside::start(process, places.clone(), policy, heartbeat, &mut self.net);
                Program::Inside {
                    node: Box::new(node),
                    places,
                }
            }
        }
    }

    fn add(&mut self, program: Program) -> Process {
        let process = self.programs.len();
        self.programs.push(program);
        self.wakes.push(None);
        self.net.wake_at(process, self.net.now);
        process
    }

    fn turn(&mut self, process: Process) {
        if self
            .paused
            .get(&process)
            .is_some_and(|until| self.net.now < *until)
        {
            return;
        }
        self.accept_at(process);
        let Self {
            net,
            programs,
            wakes,
            settings,
            ..
        } = self;
        let wake = match &mut programs[process] {
            Program::Outside { node, .. } => {
                if !node.turn(net) {
                    return self.kill(process);
                }
                node.poll_timeout()
            }
            Program::Inside { node, places } => {
                if !node.turn(net) {
                    return self.kill(process);
                }
                assert!(
                    node.keeper.idle_links() <= IDLE_LINKS_MAX * places.links.len(),
                    "idle links pile up"
                );
                assert!(node.keeper.links() <= settings.policy.links_max);
                node.poll_timeout(net.now)
            }
            Program::Client { talker, done, .. } => {
                talker.turn(net);
                if talker.outcome != Outcome::Talking {
                    done.get_or_insert(net.now);
                }
                talker.poll_timeout(net.now)
            }
            Program::Server { talkers, .. } => {
                talkers
                    .iter_mut()
                    .for_each(|server| server.talker.turn(net));
                talkers
                    .iter()
                    .filter_map(|server| server.talker.poll_timeout(net.now))
                    .min()
            }
            Program::Dead(_) => None,
        };
        if let Some(wake) = wake
            && wakes[process].is_none_or(|known| known <= net.now || wake < known)
        {
            wakes[process] = Some(wake);
            net.wake_at(process, wake);
        }
    }

    /// A server answers each connection as its client was made to be answered.
    fn accept_at(&mut self, process: Process) {
        let Program::Server { address, .. } = self.programs[process] else {
            return;
        };
        while let Some(socket) = self.net.accept(address) {
            self.conversations += 1;
            let (client, key) = (self.net.label(socket), SERVER_KEYS + self.conversations);
            let Program::Client { server, .. } = &self.programs[self.clients[client as usize]]
            else {
                panic!("a label is a client")
            };
            let talker = Talker::new(socket, key, server.clone());
            if let Program::Server { talkers, .. } = &mut self.programs[process] {
                talkers.push(ServerTalker {
                    talker,
                    key,
                    client,
                });
            }
        }
    }
}

/// Keys of servers begin here, those of clients at 0.
const SERVER_KEYS: u32 = 1 << 16;
