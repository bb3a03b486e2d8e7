//! Outside: which client gets which link, how long a client waits, and what WANT says to the inside nodes.
//!
//! Clients are served first come, first served; nodes are taken in turn, and within a node the link that was used last. A
//! node that refused is passed over for a while, as long as another can serve. Invariant: a client is either waiting here or was
//! handed out by [`Decision::Open`]; a link is handed out only while it is idle.
//!
//! What it does not do: it keeps no bytes of a client, and so cannot know whether a client may be given another link. The
//! caller knows, and calls [`Pairing::again`] only if none of the bytes can have reached a server.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::idle::IdleLinks;
use super::passed_over::PassedOver;
use crate::protocol::frame::NodeId;

/// The decider; `L` names a link, `C` a client. See the module.
#[derive(Debug)]
pub struct Pairing<L, C> {
    wait_timeout: Duration,
    nodes: Vec<Node<L>>,
    /// The node whose turn is next.
    turn: usize,
    /// In order of arrival, which is that of the deadlines.
    waiting: VecDeque<Waiting<C>>,
    /// Something changed since `next` said that there is nothing to do.
    changed: bool,
}

#[derive(Debug)]
struct Node<L> {
    id: NodeId,
    /// For each service, whether this node serves it.
    serves: Vec<bool>,
    links: Vec<L>,
    idle: IdleLinks<L>,
    /// The link that was opened last: the likeliest to be read at once, so that WANT goes there.
    recent: Option<L>,
    want_sent: WantSent<L>,
    passed_over: PassedOver,
}

/// What the last WANT to the node said.
#[derive(Debug)]
enum WantSent<L> {
    Nothing,
    Count(u32, L),
    /// The link that carried it is gone, and may have taken it along.
    Unknown,
}

#[derive(Debug)]
struct Waiting<C> {
    client: C,
    service: usize,
    deadline: Instant,
    refused_by: Vec<NodeId>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<L, C> {
    /// Check that the link is up, and send OPEN for the client on it; if it is not, [`Pairing::link_lost`] and [`Pairing::again`].
    Open {
        /// The client.
        client: C,
        /// The link, no longer idle.
        link: L,
        /// For [`Pairing::again`], should it come to that.
        ticket: Ticket,
    },
    /// Tell the node of this link how many clients wait.
    Want {
        /// Any link of the node.
        link: L,
        /// Clients that wait for its services.
        count: u32,
    },
    /// The client waited long enough, or the last node that had not refused it is gone.
    GiveUp(C),
}

/// A client's place in the queue: what it asked for, since when, and who refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    service: usize,
    deadline: Instant,
    refused_by: Vec<NodeId>,
}

impl<L: Copy + Eq + Debug, C: Copy + Eq + Debug> Pairing<L, C> {
    /// Without links and clients.
    pub fn new(wait_timeout: Duration) -> Self {
        Self {
            wait_timeout,
            nodes: Vec::new(),
            turn: 0,
            waiting: VecDeque::new(),
            changed: false,
        }
    }

    /// A link of the node is idle for the first time; `serves` has an entry for each service.
    pub fn link_up(&mut self, link: L, id: NodeId, serves: &[bool]) {
        self.changed = true;
        let at = self
            .nodes
            .iter()
            .position(|node| node.id == id)
            .unwrap_or_else(|| {
                self.nodes.push(Node {
                    id,
                    serves: serves.to_vec(),
                    links: Vec::new(),
                    idle: IdleLinks::new(),
                    recent: None,
                    want_sent: WantSent::Nothing,
                    passed_over: PassedOver::default(),
                });
                self.nodes.len() - 1
            });
        let node = &mut self.nodes[at];
        node.links.push(link);
        node.idle.put(link);
    }

    /// The session on a link of the node is over.
    pub fn link_idle(&mut self, link: L, id: NodeId) {
        self.changed = true;
        if let Some(node) = self.node(id) {
            node.idle.put(link);
        }
    }

    /// A link of the node is gone, or takes no more clients.
    pub fn link_lost(&mut self, link: L, id: NodeId) {
        self.changed = true;
        let Some(at) = self.nodes.iter().position(|node| node.id == id) else {
            return;
        };
        let node = &mut self.nodes[at];
        node.links.retain(|&known| known != link);
        node.idle.remove(link);
        if node.recent == Some(link) {
            node.recent = node.links.last().copied();
        }
        if matches!(node.want_sent, WantSent::Count(_, on) if on == link) {
            node.want_sent = WantSent::Unknown;
        }
        if node.links.is_empty() {
            self.nodes.remove(at);
            if self.turn > at {
                self.turn -= 1;
            }
        }
    }

    /// Nodes are here, and none of them serves the service.
    pub fn is_unserved(&self, service: usize) -> bool {
        !self.nodes.is_empty() && !self.nodes.iter().any(|node| node.serves[service])
    }

    /// A client arrived.
    pub fn arrive(&mut self, client: C, service: usize, now: Instant) {
        self.changed = true;
        self.waiting.push_back(Waiting {
            client,
            service,
            deadline: now + self.wait_timeout,
            refused_by: Vec::new(),
        });
    }

    /// A client that waited is gone.
    pub fn leave(&mut self, client: C) {
        self.changed = true;
        self.waiting.retain(|waiting| waiting.client != client);
    }

    /// A client that was handed out gets another link, before all who came later. It keeps its deadline.
    pub fn again(&mut self, client: C, ticket: Ticket) {
        self.changed = true;
        let Ticket {
            service,
            deadline,
            refused_by,
        } = ticket;
        let place = self
            .waiting
            .partition_point(|waiting| waiting.deadline < deadline);
        self.waiting.insert(
            place,
            Waiting {
                client,
                service,
                deadline,
                refused_by,
            },
        );
    }

    /// The node accepted: it is no longer passed over.
    pub fn accepted(&mut self, id: NodeId) {
        self.changed = true;
        if let Some(node) = self.node(id) {
            node.passed_over = PassedOver::default();
        }
    }

    /// The node refused the client of this ticket. Returns whether another node can serve it.
    pub fn refused(&mut self, id: NodeId, ticket: &mut Ticket, now: Instant) -> bool {
        self.changed = true;
        if let Some(node) = self.node(id) {
            node.passed_over.refused(now);
        }
        ticket.refused_by.push(id);
        self.nodes
            .iter()
            .any(|node| node.can_serve(ticket.service, &ticket.refused_by))
    }

    /// How many clients wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many links are idle.
    pub fn idle(&self) -> usize {
        self.nodes.iter().map(|node| node.idle.len()).sum()
    }

    /// How many links the node has.
    pub fn links_of(&self, id: NodeId) -> usize {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .map_or(0, |node| node.links.len())
    }

    /// Takes all idle links out for good; the caller sends BYE on them. Each is still reported by [`Pairing::link_lost`].
    pub fn drain_idle(&mut self) -> Vec<L> {
        self.nodes
            .iter_mut()
            .flat_map(|node| std::iter::from_fn(|| node.idle.take()))
            .collect()
    }

    /// The next thing to do, until there is none.
    pub fn next(&mut self, now: Instant) -> Option<Decision<L, C>> {
        if self
            .waiting
            .front()
            .is_some_and(|waiting| now >= waiting.deadline)
        {
            self.changed = true;
            return self
                .waiting
                .pop_front()
                .map(|waiting| Decision::GiveUp(waiting.client));
        }
        for node in &mut self.nodes {
            self.changed |= node.passed_over.lapse(now);
        }
        if !self.changed {
            return None;
        }
        if let Some((at, node)) = self.match_first() {
            let link = self.nodes[node].idle.take()?;
            let Waiting {
                client,
                service,
                deadline,
                refused_by,
            } = self.waiting.remove(at)?;
            self.nodes[node].recent = Some(link);
            self.turn = node + 1;
            return Some(Decision::Open {
                client,
                link,
                ticket: Ticket {
                    service,
                    deadline,
                    refused_by,
                },
            });
        }
        if let Some(at) = self
            .waiting
            .iter()
            .position(|waiting| self.is_refused_by_all(waiting))
        {
            return self
                .waiting
                .remove(at)
                .map(|waiting| Decision::GiveUp(waiting.client));
        }
        let want = self.next_want();
        self.changed = want.is_some();
        want
    }

    /// When `next` has something to do though nothing happened.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.waiting.front()?.deadline;
        let lapses = self.nodes.iter().filter_map(|node| node.passed_over.until);
        Some(lapses.fold(deadline, Instant::min))
    }

    /// The first waiting client that a node with an idle link can serve, and that node.
    fn match_first(&self) -> Option<(usize, usize)> {
        if self.nodes.iter().all(|node| node.idle.is_empty()) {
            return None;
        }
        self.waiting
            .iter()
            .enumerate()
            .find_map(|(at, waiting)| Some((at, self.choose(waiting)?)))
    }

    fn choose(&self, waiting: &Waiting<C>) -> Option<usize> {
        let can = |node: &&Node<L>| node.can_serve(waiting.service, &waiting.refused_by);
        let all_passed_over = self
            .nodes
            .iter()
            .filter(can)
            .all(|node| node.passed_over.until.is_some());
        let in_turn = (0..self.nodes.len()).map(|step| (self.turn + step) % self.nodes.len());
        in_turn.into_iter().find(|&at| {
            let node = &self.nodes[at];
            can(&node)
                && !node.idle.is_empty()
                && (all_passed_over || node.passed_over.until.is_none())
        })
    }

    /// Returns whether every node has refused the client. A client that no node has refused waits for a node.
    fn is_refused_by_all(&self, waiting: &Waiting<C>) -> bool {
        let Waiting {
            service,
            refused_by,
            ..
        } = waiting;
        !refused_by.is_empty()
            && !self
                .nodes
                .iter()
                .any(|node| node.can_serve(*service, refused_by))
    }

    /// A node that does not know how many clients wait for it now.
    fn next_want(&mut self) -> Option<Decision<L, C>> {
        let waiting = &self.waiting;
        self.nodes.iter_mut().find_map(|node| {
            let count = waiting
                .iter()
                .filter(|waiting| node.can_serve(waiting.service, &waiting.refused_by))
                .count() as u32;
            let link = node.recent?;
            node.want_sent.differs_from(count).then(|| {
                node.want_sent = WantSent::Count(count, link);
                Decision::Want { link, count }
            })
        })
    }

    fn node(&mut self, id: NodeId) -> Option<&mut Node<L>> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }
}

impl<L> Node<L> {
    fn can_serve(&self, service: usize, refused_by: &[NodeId]) -> bool {
        self.serves[service] && !refused_by.contains(&self.id)
    }
}

impl<L> WantSent<L> {
    fn differs_from(&self, count: u32) -> bool {
        match self {
            Self::Nothing => count != 0,
            Self::Count(sent, _) => *sent != count,
            Self::Unknown => true,
        }
    }
}
