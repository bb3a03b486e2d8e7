//! `connect-connect` on simulated sockets: the real [`Keeper`] and the real machine, driven as the event loop drives them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use relay_core::limits::OPENED_DELAY;
use relay_core::policy::keeper::{Decision, Keeper, Policy};
use relay_core::protocol::frame::{Hello, NodeId, RefusedCode, ServiceWidth};
use relay_core::protocol::link::{Event, Link};

use crate::link_end::{LinkEnd, Notice};
use crate::network::{Address, Dial, Network, Process, Socket};
use crate::outside::DRAIN_TIMEOUT;

/// See the module.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) keeper: Keeper<Address, LinkKey>,
    process: Process,
    hello: Hello,
    /// What LINK's name means, and the server.
    places: Places,
    /// Until when a lookup takes.
    lookup: Option<Instant>,
    links: BTreeMap<LinkKey, InsideLink>,
    keys: usize,
    /// Until when, if it is draining.
    drain: Option<Instant>,
}

/// Where an inside node dials.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) links: Vec<Address>,
    pub(crate) server: Address,
}

type LinkKey = usize;

#[derive(Debug)]
struct InsideLink {
    address: Address,
    since: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Dialling(Socket),
    Greeting(Box<LinkEnd>),
    Up {
        end: Box<LinkEnd>,
        node: NodeId,
        server: Option<ServerDial>,
    },
}

#[derive(Clone, Copy, Debug)]
struct ServerDial {
    socket: Socket,
    deadline: Instant,
}

impl Inside {
    pub(crate) fn start(
        process: Process,
        places: Places,
        policy: Policy,
        heartbeat: Duration,
        net: &mut Network,
    ) -> Self {
        let hello = Hello {
            versions: (1, 1),
            node: NodeId(std::array::from_fn(|_| net.random_byte())),
            heartbeat,
            services: vec![ServiceWidth {
                name: String::new(),
                width: 1,
            }],
        };
        Self {
            keeper: Keeper::new(policy, net.random_byte().into()),
            process,
            hello,
            places,
            lookup: None,
            links: BTreeMap::new(),
            keys: 0,
            drain: None,
        }
    }

    /// No more links; leaves when the sessions it has are over.
    pub(crate) fn drain(&mut self, net: &Network) {
        self.drain = Some(net.now + DRAIN_TIMEOUT);
        self.keeper.drain();
    }

    /// One turn of the event loop; false when the node has left.
    pub(crate) fn turn(&mut self, net: &mut Network) -> bool {
        if self.lookup.take_if(|ready| *ready <= net.now).is_some() {
            if net.random_byte() < 16 {
                self.keeper.lookup_failed(net.now);
            } else {
                self.keeper.resolved(&self.places.links, net.now);
            }
        }
        for key in self.links.keys().copied().collect::<Vec<_>>() {
            self.run(key, net);
        }
        while let Some(decision) = self.keeper.next(net.now) {
            self.decide(decision, net);
        }
        self.drain
            .is_none_or(|until| net.now < until && self.keeper.links() > 0)
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let links = self.links.values().filter_map(|link| match &link.stage {
            Stage::Dialling(_) => Some(link.since + CONNECT_TIMEOUT),
            Stage::Greeting(end) => end.poll_timeout(),
            Stage::Up { end, server, .. } => end
                .poll_timeout()
                .into_iter()
                .chain(server.map(|dial| dial.deadline))
                .min(),
        });
        links
            .chain(self.keeper.poll_timeout(now))
            .chain(self.lookup)
            .chain(self.drain)
            .min()
    }

    fn run(&mut self, key: LinkKey, net: &mut Network) {
        let link = self.links.get_mut(&key).expect("it is a link");
        match &mut link.stage {
            Stage::Dialling(socket) => {
                let socket = *socket;
                match net.dial_state(socket) {
                    Dial::Connected => {
                        let end = LinkEnd::new(Link::inside(self.hello.clone(), net.now), socket);
                        link.since = net.now;
                        link.stage = Stage::Greeting(Box::new(end));
                        self.run_link(key, net);
                    }
                    Dial::Pending if net.now < link.since + CONNECT_TIMEOUT => {}
                    Dial::Pending | Dial::Failed => self.lose(key, net),
                }
            }
            Stage::Greeting(end) => {
                if end.expire(net).is_some() {
                    self.lose(key, net);
                } else if end.take_stirred(net) {
                    self.run_link(key, net);
                }
            }
            Stage::Up { end, .. } => {
                if end.expire(net).is_some() {
                    return self.lose(key, net);
                }
                self.run_server_dial(key, net);
                if self.end(key).take_stirred(net) {
                    self.run_link(key, net);
                }
            }
        }
    }

    fn run_server_dial(&mut self, key: LinkKey, net: &mut Network) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let Stage::Up { end, server, .. } = &mut link.stage else {
            return;
        };
        let Some(dial) = *server else { return };
        match net.dial_state(dial.socket) {
            Dial::Connected => {
                end.session
                    .as_mut()
                    .expect("an OPEN began it")
                    .connected(dial.socket);
                end.machine.opened(net.now + OPENED_DELAY);
            }
            Dial::Failed => end
                .machine
                .refuse(RefusedCode::Refused, String::new(), net.now),
            Dial::Pending if net.now < dial.deadline => return,
            Dial::Pending => {
                net.reset(dial.socket);
                end.machine
                    .refuse(RefusedCode::Timeout, String::new(), net.now);
            }
        }
        end.changed = true;
        *server = None;
        if end.machine.drops_payload() {
            end.session.as_mut().expect("an OPEN began it").drop_bytes();
        }
    }

    fn run_link(&mut self, key: LinkKey, net: &mut Network) {
        while let Some(notice) = self
            .links
            .contains_key(&key)
            .then(|| self.end(key).step(net))
            .flatten()
        {
            match notice {
                Notice::Event(event) => self.heard(key, event, net),
                Notice::Settled => {
                    let end = self.end(key);
                    if let Some(stream) = end.session.take().and_then(|session| session.stream) {
                        net.close(stream);
                    }
                    let node = self.node(key);
                    self.keeper.idle(key, node);
                }
                Notice::Died(_) => self.lose(key, net),
            }
        }
        let Some(link) = self.links.get(&key) else {
            return;
        };
        if let Stage::Up { end, .. } = &link.stage
            && end.machine.ends_orderly()
            && end.is_flushed()
        {
            net.shutdown_write(end.socket);
        }
    }

    fn heard(&mut self, key: LinkKey, event: Event, net: &mut Network) {
        match event {
            Event::Welcome(node) => self.welcomed(key, node, net),
            Event::Open(open) => {
                let node = self.node(key);
                self.keeper.opened(key, node, net.now);
                let Some(IpAddr::V4(label)) = open.client.map(|client| client.ip()) else {
                    panic!("no label")
                };
                let socket = net.dial(self.process, self.places.server, label.to_bits());
                let link = self.links.get_mut(&key).expect("it was heard");
                let Stage::Up { server, .. } = &mut link.stage else {
                    panic!("an OPEN before WELCOME")
                };
                *server = Some(ServerDial {
                    socket,
                    deadline: net.now + CONNECT_TIMEOUT,
                });
            }
            Event::Abort(_) => self.forget_server_dial(key, net),
            Event::Want(count) => self.keeper.want(self.node(key), count as usize),
            _ => {}
        }
    }

    fn welcomed(&mut self, key: LinkKey, node: NodeId, net: &mut Network) {
        let InsideLink {
            address,
            since,
            stage: Stage::Greeting(end),
        } = self.links.remove(&key).expect("it was heard")
        else {
            panic!("a second WELCOME")
        };
        self.keeper
            .welcomed(key, &address, node, net.now - since, net.now);
        let stage = Stage::Up {
            end,
            node,
            server: None,
        };
        self.links.insert(
            key,
            InsideLink {
                address,
                since: net.now,
                stage,
            },
        );
    }

    fn forget_server_dial(&mut self, key: LinkKey, net: &mut Network) {
        let link = self.links.get_mut(&key).expect("it was heard");
        if let Stage::Up { server, .. } = &mut link.stage
            && let Some(dial) = server.take()
        {
            net.reset(dial.socket);
        }
    }

    fn lose(&mut self, key: LinkKey, net: &mut Network) {
        let link = self.links.remove(&key).expect("it is a link");
        match link.stage {
            Stage::Dialling(socket) => {
                net.reset(socket);
                self.keeper.dial_failed(&link.address, net.now);
            }
            Stage::Greeting(end) => {
                net.reset(end.socket);
                self.keeper.dial_failed(&link.address, net.now);
            }
            Stage::Up { end, node, server } => {
                let stream = end.session.and_then(|session| session.stream);
                for socket in [Some(end.socket), stream, server.map(|dial| dial.socket)]
                    .into_iter()
                    .flatten()
                {
                    net.reset(socket);
                }
                self.keeper
                    .lost(key, &link.address, node, net.now - link.since, net.now);
            }
        }
    }

    fn decide(&mut self, decision: Decision<Address, LinkKey>, net: &mut Network) {
        match decision {
            Decision::Lookup => {
                let takes = Duration::from_millis(net.random_byte().into());
                self.lookup = Some(net.now + takes);
            }
            Decision::Dial(address) => {
                self.keys += 1;
                let stage = Stage::Dialling(net.dial(self.process, address, 0));
                self.links.insert(
                    self.keys,
                    InsideLink {
                        address,
                        since: net.now,
                        stage,
                    },
                );
            }
            Decision::Return(key) => {
                self.end(key).machine.bye();
                self.run_link(key, net);
            }
        }
    }

    fn end(&mut self, key: LinkKey) -> &mut LinkEnd {
        match &mut self.links.get_mut(&key).expect("it is a link").stage {
            Stage::Greeting(end) | Stage::Up { end, .. } => end,
            Stage::Dialling(_) => panic!("it is not connected"),
        }
    }

    fn node(&self, key: LinkKey) -> NodeId {
        match &self.links[&key].stage {
            Stage::Up { node, .. } => *node,
            _ => panic!("it was not welcomed"),
        }
    }
}

/// How long a dial of a link or of a server may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
