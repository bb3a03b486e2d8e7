//! `listen-listen` on simulated sockets: the real [`Pairing`] and the real machine, driven as the event loop drives them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use relay_core::policy::pairing::{Decision, Pairing, Ticket};
use relay_core::protocol::frame::{NodeId, Open, SessionId};
use relay_core::protocol::link::{Event, Expired, Link};

use crate::link_end::{Death, FromStream, LinkEnd, Notice, Session};
use crate::network::{Address, ListenMode, Network, Process, Socket};

/// See the module.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) pairing: Pairing<LinkKey, ClientKey>,
    id: NodeId,
    heartbeat: Duration,
    places: Places,
    clients: BTreeMap<ClientKey, Client>,
    links: BTreeMap<LinkKey, OutsideLink>,
    keys: usize,
    /// Until when, if it is draining.
    drain: Option<Instant>,
    /// When clients were given up that nobody had refused.
    pub(crate) given_up: Vec<Instant>,
}

/// Where an outside node listens.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) clients: Address,
    pub(crate) links: Vec<Address>,
}

type LinkKey = usize;
type ClientKey = usize;

/// A client without a link.
#[derive(Debug)]
struct Client {
    socket: Socket,
    from: FromStream,
    refused: bool,
}

#[derive(Debug)]
struct OutsideLink {
    end: LinkEnd,
    node: Option<NodeId>,
    sessions: usize,
    /// The client that the link carries, unless it is gone.
    client: Option<(ClientKey, Ticket)>,
    /// Another node had refused that client.
    refused: bool,
}

impl Outside {
    pub(crate) fn start(
        process: Process,
        places: Places,
        heartbeat: Duration,
        wait: Duration,
        net: &mut Network,
    ) -> Self {
        net.listen(process, places.clients);
        places
            .links
            .iter()
            .for_each(|&address| net.listen(process, address));
        Self {
            pairing: Pairing::new(wait),
            id: NodeId(std::array::from_fn(|_| net.random_byte())),
            heartbeat,
            places,
            clients: BTreeMap::new(),
            links: BTreeMap::new(),
            keys: 0,
            drain: None,
            given_up: Vec::new(),
        }
    }

    /// No more clients; leaves when those it has are served.
    pub(crate) fn drain(&mut self, net: &mut Network) {
        self.drain = Some(net.now + DRAIN_TIMEOUT);
        net.set_mode(self.places.clients, ListenMode::Refuse);
    }

    /// One turn of the event loop; false when the node has left.
    pub(crate) fn turn(&mut self, net: &mut Network) -> bool {
        self.accept(net);
        self.drop_dead_clients(net);
        self.expire(net);
        for key in self.links.keys().copied().collect::<Vec<_>>() {
            if self
                .links
                .get_mut(&key)
                .is_some_and(|link| link.end.take_stirred(net))
            {
                self.run_link(key, net);
            }
        }
        while let Some(decision) = self.pairing.next(net.now) {
            self.decide(decision, net);
        }
        self.drain
            .is_none_or(|until| net.now < until && !self.leave(net))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let links = self
            .links
            .values()
            .filter_map(|link| link.end.poll_timeout());
        links
            .chain(self.pairing.poll_timeout())
            .chain(self.drain)
            .min()
    }

    /// Links that carried more than one session.
    pub(crate) fn links_reused(&self) -> usize {
        self.links.values().filter(|link| link.sessions > 1).count()
    }

    fn accept(&mut self, net: &mut Network) {
        while let Some(socket) = net.accept(self.places.clients) {
            let key = self.key();
            self.clients.insert(
                key,
                Client {
                    socket,
                    from: FromStream::keeping(),
                    refused: false,
                },
            );
            self.pairing.arrive(key, 0, net.now);
        }
        for address in self.places.links.clone() {
            while let Some(socket) = net.accept(address) {
                let key = self.key();
                let end = LinkEnd::new(Link::outside(self.heartbeat, net.now), socket);
                self.links.insert(
                    key,
                    OutsideLink {
                        end,
                        node: None,
                        sessions: 0,
                        client: None,
                        refused: false,
                    },
                );
            }
        }
    }

    fn drop_dead_clients(&mut self, net: &Network) {
        let Self {
            clients, pairing, ..
        } = self;
        clients.retain(|&key, client| {
            let dead = net.is_reset(client.socket);
            if dead {
                pairing.leave(key);
            }
            !dead
        });
    }

    fn expire(&mut self, net: &mut Network) {
        let expired: Vec<_> = self
            .links
            .iter_mut()
            .filter_map(|(&key, link)| Some((key, link.end.expire(net)?)))
            .collect();
        for (key, death) in expired {
            self.lose(key, &death, net);
        }
    }

    fn run_link(&mut self, key: LinkKey, net: &mut Network) {
        while let Some(link) = self.links.get_mut(&key)
            && let Some(notice) = link.end.step(net)
        {
            match notice {
                Notice::Event(event) => self.heard(key, event, net),
                Notice::Settled => self.settled(key, net),
                Notice::Died(death) => self.lose(key, &death, net),
            }
        }
    }

    fn heard(&mut self, key: LinkKey, event: Event, net: &mut Network) {
        let link = self.links.get_mut(&key).expect("it was heard");
        match event {
            Event::Hello(hello) => {
                link.node = Some(hello.node);
                link.end.machine.welcome(self.id);
                self.pairing.link_up(key, hello.node, &[true]);
            }
            Event::Opened => self.pairing.accepted(link.node.expect("it was welcomed")),
            Event::Refused(..) => self.refused(key, net),
            Event::Abort(_) => link.client = None,
            Event::Bye if link.end.machine.is_idle() => self.retire(key),
            _ => {}
        }
    }

    /// The client gets a link to another node, if there is one: its server has seen nothing.
    fn refused(&mut self, key: LinkKey, net: &mut Network) {
        let link = self.links.get_mut(&key).expect("it was heard");
        let Some((client, mut ticket)) = link.client.take() else {
            return;
        };
        let Some(session) = &mut link.end.session else {
            return;
        };
        let Some(socket) = session.stream.take() else {
            return;
        };
        let from = std::mem::take(&mut session.from_stream);
        if self
            .pairing
            .refused(link.node.expect("it was welcomed"), &mut ticket, net.now)
        {
            self.clients.insert(
                client,
                Client {
                    socket,
                    from: from.again(),
                    refused: true,
                },
            );
            self.pairing.again(client, ticket);
        } else {
            net.reset(socket);
        }
    }

    fn settled(&mut self, key: LinkKey, net: &mut Network) {
        let link = self.links.get_mut(&key).expect("it was heard");
        link.client = None;
        if let Some(stream) = link.end.session.take().and_then(|session| session.stream) {
            net.close(stream);
        }
        if link.end.machine.bye_requested() {
            self.retire(key);
        } else {
            self.pairing
                .link_idle(key, link.node.expect("it was welcomed"));
        }
    }

    /// An idle link takes no more clients.
    fn retire(&mut self, key: LinkKey) {
        let link = self.links.get_mut(&key).expect("it was idle");
        link.end.machine.bye();
        link.end.changed = true;
        self.pairing
            .link_lost(key, link.node.expect("it was welcomed"));
    }

    fn decide(&mut self, decision: Decision<LinkKey, ClientKey>, net: &mut Network) {
        match decision {
            Decision::Open {
                client,
                link,
                ticket,
            } => self.open(client, link, ticket, net),
            Decision::Want { link, count } => {
                self.links
                    .get_mut(&link)
                    .expect("it is a link")
                    .end
                    .machine
                    .want(count);
                self.run_link(link, net);
            }
            Decision::GiveUp(client) => {
                let client = self.clients.remove(&client).expect("it waits");
                net.reset(client.socket);
                if !client.refused {
                    self.given_up.push(net.now);
                }
            }
        }
    }

    fn open(&mut self, client: ClientKey, key: LinkKey, ticket: Ticket, net: &mut Network) {
        let link = self.links.get_mut(&key).expect("it is a link");
        if net.is_dead(link.end.socket) {
            self.pairing.again(client, ticket);
            return self.lose(key, &Death::Reset, net);
        }
        let Client {
            socket,
            from,
            refused,
        } = self
            .clients
            .remove(&client)
            .expect("a client has one link at most");
        let label = net.label(socket);
        let open = Open {
            number: 0,
            service: String::new(),
            index: 0,
            session: SessionId::new([0; 8], client as u64),
            client: Some(SocketAddr::from((Ipv4Addr::from(label), 1))),
            local: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
        };
        assert!(link.end.machine.is_idle() && link.client.is_none());
        link.end.machine.open(open, net.now);
        link.end.session = Some(Session::kept(socket, from));
        link.client = Some((client, ticket));
        link.refused = refused;
        link.sessions += 1;
        self.run_link(key, net);
    }

    /// The link is gone. Its client gets another one if none of its bytes can have reached a server.
    fn lose(&mut self, key: LinkKey, death: &Death, net: &mut Network) {
        let mut link = self.links.remove(&key).expect("it is a link");
        net.reset(link.end.socket);
        let Some(node) = link.node else { return };
        self.pairing.link_lost(key, node);
        if let Some(session) = link.end.session.take()
            && let Some(socket) = session.stream
        {
            let Session {
                from_stream: from, ..
            } = session;
            match link.client {
                Some((client, ticket)) if from.keeps() && from.sent == 0 => {
                    self.clients.insert(
                        client,
                        Client {
                            socket,
                            from: from.again(),
                            refused: link.refused,
                        },
                    );
                    self.pairing.again(client, ticket);
                }
                _ => net.reset(socket),
            }
        }
        if *death == Death::Expired(Expired::Unanswered) {
            for other in self
                .links
                .values_mut()
                .filter(|other| other.node == Some(node))
            {
                if other.end.machine.is_idle() {
                    other.end.machine.probe(net.now);
                    other.end.changed = true;
                }
            }
        }
    }

    /// Sends away what is idle; true when nothing is left.
    fn leave(&mut self, net: &mut Network) -> bool {
        if self.clients.is_empty() {
            for &address in &self.places.links {
                net.set_mode(address, ListenMode::Refuse);
            }
            for key in self.pairing.drain_idle() {
                self.retire(key);
                self.run_link(key, net);
            }
        }
        self.clients.is_empty() && self.links.values().all(|link| link.node.is_none())
    }

    fn key(&mut self) -> usize {
        self.keys += 1;
        self.keys
    }
}

/// How long a node that leaves waits for its sessions.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
