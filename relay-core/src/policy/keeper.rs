//! When LINK is dialled, which of its addresses, and how many links are kept to each outside node.
//!
//! One name may lead to several nodes, and to one node by several addresses; which is which is known only from the id in
//! WELCOME. So every address is probed with one dial, and from then on the *node* is what links are kept to. While an address is
//! down, one dial at a time probes it.
//!
//! The caller does what [`Keeper::next`] says and reports what came of it: each [`Decision::Dial`] ends in exactly one of
//! [`Keeper::welcomed`], [`Keeper::not_welcomed`] and [`Keeper::dial_failed`]; each link that was welcomed ends in [`Keeper::lost`].

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::idle::IdleLinks;
use super::ticks::FORGOTTEN;
use crate::limits::{IDLE_LINKS_MAX, LINK_DIALS_MAX, LINK_HEALTHY, LOOKUP_FRESH, SURPLUS_WINDOW};
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

#[derive(Debug)]
struct Node<L> {
    id: NodeId,
    links: usize,
    idle: IdleLinks<L>,
    /// Links that the node was asked to take back: their end is no failure.
    returning: Vec<L>,
    /// Clients that wait there now.
    want: usize,
    arrivals: Arrivals,
    round_trip: Duration,
    surplus: Surplus,
}

/// How many OPENs came in the last second: whichever of the current and the last whole second has more.
#[derive(Debug)]
struct Arrivals {
    second: Instant,
    before: usize,
    current: usize,
}

/// The fewest idle links in the current window: so many more were never needed in it.
#[derive(Debug)]
struct Surplus {
    window_ends: Instant,
    idle_low: usize,
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

    /// LINK's name has no address, or nobody could be asked.
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
                // Its end was asked for.
            } else if lived >= LINK_HEALTHY {
                place.backoff.healthy();
            } else {
                place.backoff.failed(policy.interval, rng, now);
            }
        }
        self.stale_lookup();
        self.forget();
    }

    /// Whoever waits for a back-off dials now.
    pub fn nudge(&mut self) {
        self.places
            .iter_mut()
            .for_each(|place| place.backoff.nudge());
        self.lookup_backoff.nudge();
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

    /// The next thing to do, until there is none.
    pub fn next(&mut self, now: Instant) -> Option<Decision<A, L>> {
        if let Some(link) = self.next_return(now) {
            return Some(Decision::Return(link));
        }
        let had_it = self.policy.only_one && (self.linked || self.dials() > 0);
        if self.draining || had_it || self.links() >= self.policy.links_max {
            return None;
        }
        let fresh = match self.lookup {
            Lookup::Asked => return None,
            Lookup::Stale => false,
            Lookup::Answered { at } => self.policy.literal || now < at + LOOKUP_FRESH,
        };
        if !fresh {
            // Asked only when a dial is due; before the first answer there is no address that could be due.
            let due = self.places.is_empty() || self.due(now).is_some();
            if !due || self.lookup_backoff.paused_until(now).is_some() {
                return None;
            }
            self.lookup = Lookup::Asked;
            return Some(Decision::Lookup);
        }
        let at = self.due(now)?;
        self.places[at].dials += 1;
        Some(Decision::Dial(self.places[at].address.clone()))
    }

    /// When `next` has something to do though nothing happened.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let pauses = self
            .places
            .iter()
            .filter_map(|place| place.backoff.paused_until(now));
        let lookup = self.lookup_backoff.paused_until(now);
        let windows = self
            .nodes
            .iter()
            .filter(|node| !self.policy.one_each && node.idle.len() > self.policy.idle_min)
            .map(|node| node.surplus.window_ends);
        pauses.chain(lookup).chain(windows).min()
    }

    /// An idle link that is too many.
    fn next_return(&mut self, now: Instant) -> Option<L> {
        let Self {
            nodes,
            policy,
            draining,
            ..
        } = self;
        nodes.iter_mut().find_map(|node| {
            let counts = !policy.only_one && !policy.one_each;
            let too_many = *draining || (counts && node.has_surplus(policy.idle_min, now));
            let link = too_many.then(|| node.idle.take_oldest()).flatten()?;
            node.returning.push(link);
            Some(link)
        })
    }

    /// The address that is to be dialled now.
    fn due(&self, now: Instant) -> Option<usize> {
        let ready = |place: &Place<A>| {
            let probes = place.dials == 0 && !self.policy.only_one;
            place.backoff.paused_until(now).is_none() && (!place.down || probes)
        };
        if self.policy.one_each {
            let free = |place: &Place<A>| place.links == 0 && place.dials == 0 && ready(place);
            return self.places.iter().position(free);
        }
        let unknown = self.places.iter().position(|place| {
            place.listed && ready(place) && place.dials == 0 && self.leads_nowhere(place)
        });
        unknown.or_else(|| {
            self.nodes.iter().find_map(|node| {
                let dials: usize = self
                    .places
                    .iter()
                    .filter(|place| place.node == Some(node.id))
                    .map(|place| place.dials)
                    .sum();
                let short = node.idle.len() + dials < node.idle_wanted(self.policy.idle_min, now)
                    && dials < LINK_DIALS_MAX;
                // Also by an address that the last answer did not give: names with many addresses give some in turn.
                short.then(|| {
                    self.places
                        .iter()
                        .position(|place| place.node == Some(node.id) && ready(place))
                })?
            })
        })
    }

    /// No node is known behind the address, or that node has gone: a probe finds out.
    fn leads_nowhere(&self, place: &Place<A>) -> bool {
        place
            .node
            .is_none_or(|id| !self.nodes.iter().any(|node| node.id == id))
    }

    /// A failure asks for a new lookup, unless one is on its way.
    fn stale_lookup(&mut self) {
        if matches!(self.lookup, Lookup::Answered { .. }) && !self.policy.literal {
            self.lookup = Lookup::Stale;
        }
    }

    /// Drops nodes without links, and addresses that the name no longer has and that nothing uses.
    fn forget(&mut self) {
        self.nodes.retain(|node| node.links > 0);
        let nodes = &self.nodes;
        let known = |id| nodes.iter().any(|node| Some(node.id) == id);
        self.places
            .retain(|place| place.listed || place.dials + place.links > 0 || known(place.node));
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

impl<L: Copy + Eq> Node<L> {
    fn new(id: NodeId, round_trip: Duration, now: Instant) -> Self {
        Self {
            id,
            links: 0,
            idle: IdleLinks::new(),
            returning: Vec::new(),
            want: 0,
            arrivals: Arrivals {
                second: now,
                before: 0,
                current: 0,
            },
            round_trip,
            surplus: Surplus {
                window_ends: now + SURPLUS_WINDOW,
                idle_low: usize::MAX,
            },
        }
    }

    /// With those for the clients that wait; but not more than would go back at once.
    fn idle_wanted(&self, idle_min: usize, now: Instant) -> usize {
        let target = self.idle_target(idle_min, now);
        target
            .saturating_add(self.want)
            .min(IDLE_LINKS_MAX.max(target))
    }

    /// Whether one idle link more is to go back.
    fn has_surplus(&mut self, idle_min: usize, now: Instant) -> bool {
        let target = self.idle_target(idle_min, now);
        let idle = self.idle.len();
        let quiet = self.surplus.at(target, idle, now);
        if quiet {
            // Links were idle all that time: whoever waited when WANT was sent is served or gone.
            self.want = 0;
        }
        quiet || idle > IDLE_LINKS_MAX.max(target)
    }

    /// As many as arrive while a new link is being made; but not more than came in a second, however long a node that was
    /// stopped took for its WELCOME.
    fn idle_target(&self, idle_min: usize, now: Instant) -> usize {
        let arrive = self.arrivals.per_second(now) as f64 * self.round_trip.as_secs_f64().min(1.0);
        (arrive.ceil() as usize).min(IDLE_LINKS_MAX).max(idle_min)
    }
}

impl Arrivals {
    fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.second);
        if passed >= Duration::from_secs(1) {
            self.before = if passed < Duration::from_secs(2) {
                self.current
            } else {
                0
            };
            self.current = 0;
            self.second = now;
        }
        self.current += 1;
    }

    fn per_second(&self, now: Instant) -> usize {
        match now.saturating_duration_since(self.second).as_secs() {
            0 => self.before.max(self.current),
            1 => self.current,
            _ => 0,
        }
    }
}

impl Surplus {
    fn saw(&mut self, idle: usize) {
        self.idle_low = self.idle_low.min(idle);
    }

    /// Whether one more is to go back: the window is over, and in all of it there were more than `target`.
    fn at(&mut self, target: usize, idle: usize, now: Instant) -> bool {
        if now < self.window_ends {
            return false;
        }
        if self.idle_low.min(idle) > target {
            // Asked again for each link that goes back.
            self.idle_low = self.idle_low.min(idle) - 1;
            return true;
        }
        *self = Self {
            window_ends: now + SURPLUS_WINDOW,
            idle_low: idle,
        };
        false
    }
}
