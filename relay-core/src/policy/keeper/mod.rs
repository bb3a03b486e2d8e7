//! When LINK is dialled, which of its addresses, and how many links are kept to each outside node.
//!
//! One name may lead to several nodes, and to one node by several addresses; which is which is known only from the id in
//! WELCOME. So every address is probed with one dial, and from then on the *node* is what links are kept to. While an address is
//! down, one dial at a time probes it.
//!
//! The caller does what [`Keeper::next`] says and reports what came of it: each [`Decision::Dial`] ends in exactly one of
//! [`Keeper::welcomed`], [`Keeper::not_welcomed`] and [`Keeper::dial_failed`]; each link that was welcomed ends in [`Keeper::lost`].

mod next;
mod node;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use self::node::Node;
use super::backoff::Backoff;
use super::ticks::FORGOTTEN;
use crate::limits::LINK_HEALTHY;
use crate::protocol::frame::NodeId;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Idle links to each node, at least.
    pub idle_min: usize,
    /// The longest pause between dials.
    pub interval: Duration,
    /// Links in all, at most.
    pub links_max: usize,
    /// Exactly one link, whatever happens to it. Its addresses are dialled one after the other, each once.
    pub only_one: bool,
    /// One link to each address, which is dialled again when that link is gone; no other number counts.
    pub one_each: bool,
    /// The addresses are as they are typed: no lookup.
    pub literal: bool,
}

/// The decider; `A` is an address, `L` names a link. See the module.
#[derive(Debug)]
pub struct Keeper<A, L> {
    policy: Policy,
    rng: fastrand::Rng,
    places: Vec<Place<A>>,
    nodes: Vec<Node<L>>,
    lookup: Lookup,
    lookup_backoff: Backoff,
    draining: bool,
    /// There was a link.
    linked: bool,
}

#[derive(Debug)]
enum Lookup {
    /// Not asked, or the answer is too old.
    Stale,
    Asked,
    Answered {
        at: Instant,
    },
}

/// An address of LINK.
#[derive(Debug)]
struct Place<A> {
    address: A,
    /// The last lookup gave it.
    listed: bool,
    node: Option<NodeId>,
    /// Established links that were dialled there.
    links: usize,
    /// One of them broke, and none was made since.
    broken: bool,
    dials: usize,
    /// The last dial failed: one at a time probes it.
    down: bool,
    backoff: Backoff,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<A, L> {
    /// Find out LINK's addresses; report by [`Keeper::resolved`] or [`Keeper::lookup_failed`].
    Lookup,
    /// Dial a link.
    Dial(A),
    /// Ask the node to take the idle link back (BYE).
    Return(L),
}

impl<A: Clone + Eq + Debug, L: Copy + Eq + Debug> Keeper<A, L> {
    /// Nothing is known yet; `seed` decides the jitter.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            rng: fastrand::Rng::with_seed(seed),
            places: Vec::new(),
            nodes: Vec::new(),
            lookup: Lookup::Stale,
            lookup_backoff: Backoff::default(),
            draining: false,
            linked: false,
        }
    }

    /// LINK has these addresses now.
    pub fn resolved(&mut self, addresses: &[A], now: Instant) {
        if addresses.is_empty() {
            return self.lookup_failed(now);
        }
        self.lookup = Lookup::Answered { at: now };
        self.lookup_backoff.healthy();
        for place in &mut self.places {
            place.listed = addresses.contains(&place.address);
        }
        for address in addresses {
            if !self.places.iter().any(|place| place.address == *address) {
                let address = address.clone();
                self.places.push(Place {
                    address,
                    listed: true,
                    node: None,
                    links: 0,
                    broken: false,
                    dials: 0,
                    down: false,
                    backoff: Backoff::default(),
                });
            }
        }
        self.forget();
    }

    /// The lookup of LINK gave no address.
    pub fn lookup_failed(&mut self, now: Instant) {
        self.lookup = Lookup::Stale;
        self.lookup_backoff
            .failed(self.policy.interval, &mut self.rng, now);
    }

    /// The dial of `address` became an idle link to the node `id`; HELLO was answered within `round_trip`.
    pub fn welcomed(
        &mut self,
        link: L,
        address: &A,
        id: NodeId,
        round_trip: Duration,
        now: Instant,
    ) {
        self.linked = true;
        if let Some(place) = self.dial_ended(address) {
            place.node = Some(id);
            place.links += 1;
            place.broken = false;
            place.down = false;
        }
        let at = self
            .nodes
            .iter()
            .position(|node| node.id == id)
            .unwrap_or_else(|| {
                self.nodes.push(Node::new(id, round_trip, now));
                self.nodes.len() - 1
            });
        let node = &mut self.nodes[at];
        node.links += 1;
        node.round_trip = round_trip;
        node.idle.put(link);
        self.forget();
    }

    /// The dial of `address` failed.
    pub fn dial_failed(&mut self, address: &A, now: Instant) {
        let Self {
            policy,
            rng,
            places,
            ..
        } = self;
        if let Some(place) = places.iter_mut().find(|place| place.address == *address) {
            place.dials -= 1;
            place.broken = false;
            place.down = true;
            place.backoff.failed(policy.interval, rng, now);
        }
        self.stale_lookup();
        self.forget();
    }

    /// The dial of `address` became a connection that ended before HELLO was answered. Where both ends dial, it was perhaps made
    /// past firewalls that remember the one before, and is made again when they have forgotten both.
    pub fn not_welcomed(&mut self, address: &A, now: Instant) {
        self.dial_failed(address, now);
        let mut places = self.places.iter_mut();
        if self.policy.one_each
            && let Some(place) = places.find(|place| place.address == *address)
        {
            place.backoff.rest(FORGOTTEN, now);
        }
    }

    /// The node there said that it will not take this one.
    pub fn unwanted(&mut self, address: &A, now: Instant) {
        let Self { rng, places, .. } = self;
        if let Some(place) = places.iter_mut().find(|place| place.address == *address) {
            place.dials -= 1;
            place.down = true;
            place.backoff.unwanted(rng, now);
        }
        self.forget();
    }

    /// OPEN came on an idle link.
    pub fn opened(&mut self, link: L, id: NodeId, now: Instant) {
        if let Some(node) = self.node(id) {
            node.idle.remove(link);
            node.surplus.saw(node.idle.len());
            node.arrivals.count(now);
        }
    }

    /// The session on the link is over.
    pub fn idle(&mut self, link: L, id: NodeId) {
        if let Some(node) = self.node(id)
            && !node.returning.contains(&link)
        {
            node.idle.put(link);
        }
    }

    /// The idle link is given back though it is not too many: its end is no failure.
    pub fn retire(&mut self, link: L, id: NodeId) {
        if let Some(node) = self.node(id)
            && node.idle.remove(link)
        {
            node.returning.push(link);
        }
    }

    /// The node says how many clients wait there.
    pub fn want(&mut self, id: NodeId, count: usize) {
        if let Some(node) = self.node(id) {
            node.want = count;
        }
    }

    /// An established link is gone after `lived`, by whatever end.
    pub fn lost(&mut self, link: L, address: &A, id: NodeId, lived: Duration, now: Instant) {
        let mut returned = false;
        if let Some(node) = self.node(id) {
            node.idle.remove(link);
            node.surplus.saw(node.idle.len());
            node.links -= 1;
            returned = node.returning.contains(&link);
            node.returning.retain(|&known| known != link);
        }
        let Self {
            policy,
            rng,
            places,
            ..
        } = self;
        if let Some(place) = places.iter_mut().find(|place| place.address == *address) {
            place.links = place.links.saturating_sub(1);
            place.broken = !returned;
            if returned {
                // This node asked for its end.
            } else if lived >= LINK_HEALTHY {
                place.backoff.healthy();
            } else {
                place.backoff.failed(policy.interval, rng, now);
            }
        }
        self.stale_lookup();
        self.forget();
    }

    /// Ends every back-off: the dials that wait are due now.
    pub fn retry_now(&mut self) {
        self.places
            .iter_mut()
            .for_each(|place| place.backoff.retry_now());
        self.lookup_backoff.retry_now();
    }

    /// No more dials; all idle links go back, now and as they become idle.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether a link to the address broke, and was not made again.
    pub fn has_just_broken(&self, address: &A) -> bool {
        let mut places = self.places.iter();
        places.any(|place| place.address == *address && place.broken)
    }

    /// Whether there is a link to the node.
    pub fn knows(&self, id: NodeId) -> bool {
        self.nodes.iter().any(|node| node.id == id)
    }

    /// Established links, and dials in flight.
    pub fn links(&self) -> usize {
        self.established() + self.dials()
    }

    /// Links that were welcomed.
    pub fn established(&self) -> usize {
        self.nodes.iter().map(|node| node.links).sum()
    }

    /// With `only_one`: every address was dialled, and none became a link.
    pub fn tried_in_vain(&self) -> bool {
        let tried = !self.places.is_empty()
            && self
                .places
                .iter()
                .all(|place| place.down && place.dials == 0);
        self.policy.only_one && !self.linked && tried
    }

    /// There is no link, and no dial of any address became one.
    pub fn has_tried_all_in_vain(&self) -> bool {
        self.nodes.is_empty() && self.places.iter().all(|place| place.down)
    }

    /// There is no link, and the last dial of every address failed.
    pub fn is_cut_off(&self) -> bool {
        self.nodes.is_empty()
            && self
                .places
                .iter()
                .all(|place| place.down && place.dials == 0)
    }

    /// With `only_one`: no further dial will be made.
    pub fn is_spent(&self) -> bool {
        self.policy.only_one && (self.linked || self.tried_in_vain())
    }

    /// Idle links.
    pub fn idle_links(&self) -> usize {
        self.nodes.iter().map(|node| node.idle.len()).sum()
    }

    fn dials(&self) -> usize {
        self.places.iter().map(|place| place.dials).sum()
    }

    fn dial_ended(&mut self, address: &A) -> Option<&mut Place<A>> {
        let place = self
            .places
            .iter_mut()
            .find(|place| place.address == *address)?;
        place.dials -= 1;
        Some(place)
    }

    fn node(&mut self, id: NodeId) -> Option<&mut Node<L>> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }
}
