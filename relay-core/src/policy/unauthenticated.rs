//! Outside: links that have not authenticated, and which of them is closed when there are too many.
//!
//! A peer that reaches the link port can open links and send nothing. Each link costs memory until its time is up, so there are limits:
//! for the links of one address, and for all of them. Addresses from which a node has linked are counted separately: a burst of clients
//! makes such a node dial a hundred links at once, and other peers must not take their places.
//!
//! Above a limit, a random link of the address with the most links is closed. It is not the newest one: then the first peer could keep
//! all others out. It is not the oldest one: then a peer that dials often would outrun a distant node that needs longer to authenticate.
//! So links from one address push out each other, and a flood from everywhere leaves a node a chance at each try.
//!
//! Invariant: when [`UnauthenticatedLinks::surplus`] returns `None`, all limits hold. Memory is bounded by them and by the links of nodes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::limits::{
    UNAUTHENTICATED_LINKS_MAX, UNAUTHENTICATED_LINKS_OF_NODES_MAX,
    UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX,
};

/// Where a link comes from, as far as it counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An address of IPv4.
    V4(Ipv4Addr),
    /// The first 48 bits of an address of IPv6: what one site is given (RFC 6177).
    V6([u8; 6]),
    /// What has no address, such as a Unix socket.
    Local,
}

/// The decider; `L` names a link. See the module.
#[derive(Debug)]
pub struct UnauthenticatedLinks<L> {
    rng: fastrand::Rng,
    unauthenticated: HashMap<Origin, Vec<L>>,
    /// How many links of nodes there are from each place that has some.
    nodes: HashMap<Origin, usize>,
    /// Unauthenticated links from places without a node, and from the others.
    unknown: usize,
    known: usize,
    /// A limit may have been passed.
    crowded: bool,
    closed: u64,
}

impl<L: Copy + PartialEq> UnauthenticatedLinks<L> {
    /// No link yet; `rng` draws the lots.
    pub fn new(rng: fastrand::Rng) -> Self {
        Self {
            rng,
            unauthenticated: HashMap::new(),
            nodes: HashMap::new(),
            unknown: 0,
            known: 0,
            crowded: false,
            closed: 0,
        }
    }

    /// A link came in.
    pub fn arrive(&mut self, link: L, origin: Origin) {
        let of_origin = self.unauthenticated.entry(origin).or_default();
        of_origin.push(link);
        let count = of_origin.len();
        let (total, [total_max, each_max]) = self.total(origin);
        *total += 1;
        let is_crowded = *total > total_max || count > each_max;
        self.crowded |= is_crowded;
    }

    /// Returns a link that must be closed if there are too many. Called in each turn. Close it, report it by [`Self::gone`], and
    /// ask again.
    pub fn surplus(&mut self) -> Option<L> {
        if !std::mem::replace(&mut self.crowded, false) {
            return None;
        }
        let victim = self.surplus_of(false).or_else(|| self.surplus_of(true))?;
        self.crowded = true;
        Some(victim)
    }

    /// The link has told whose it is, or was dialled from here, and is one of a node from now on.
    pub fn welcome(&mut self, link: L, origin: Origin) {
        if !self.forget(link, origin) {
            return;
        }
        if !self.nodes.contains_key(&origin) {
            let vouched = self.unauthenticated.get(&origin).map_or(0, Vec::len);
            self.unknown -= vouched;
            self.known += vouched;
            self.crowded = true;
        }
        *self.nodes.entry(origin).or_default() += 1;
    }

    /// The link is closed, whatever it was.
    pub fn gone(&mut self, link: L, origin: Origin) {
        if self.forget(link, origin) {
            self.closed += 1;
            return;
        }
        let Some(count) = self.nodes.get_mut(&origin) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.nodes.remove(&origin);
            let left_alone = self.unauthenticated.get(&origin).map_or(0, Vec::len);
            self.known -= left_alone;
            self.unknown += left_alone;
            self.crowded = true;
        }
    }

    /// Returns the number of unauthenticated links.
    pub fn len(&self) -> usize {
        self.unknown + self.known
    }

    /// Whether no link is one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many have gone without telling whose they were.
    pub fn closed(&self) -> u64 {
        self.closed
    }

    /// Returns a link to close, from places with a node or from the others.
    fn surplus_of(&mut self, has_node: bool) -> Option<L> {
        let (total, [total_max, each_max]) = if has_node {
            (self.known, OF_NODES_MAX)
        } else {
            (self.unknown, OF_OTHERS_MAX)
        };
        let of_origins = || {
            self.unauthenticated
                .iter()
                .filter(|(origin, _)| self.nodes.contains_key(origin) == has_node)
                .map(|(_, links)| links)
        };
        let most = of_origins().map(Vec::len).max()?;
        if total <= total_max && most <= each_max {
            return None;
        }
        let candidates: Vec<L> = of_origins()
            .filter(|links| links.len() == most)
            .flatten()
            .copied()
            .collect();
        self.rng.choice(candidates)
    }

    /// Takes a link off the list. Returns whether it was on it.
    fn forget(&mut self, link: L, origin: Origin) -> bool {
        let Some(links) = self.unauthenticated.get_mut(&origin) else {
            return false;
        };
        let Some(at) = links.iter().position(|known| *known == link) else {
            return false;
        };
        links.swap_remove(at);
        if links.is_empty() {
            self.unauthenticated.remove(&origin);
        }
        *self.total(origin).0 -= 1;
        true
    }

    /// Returns the group that links from there are counted in, and its limits.
    fn total(&mut self, origin: Origin) -> (&mut usize, [usize; 2]) {
        if self.nodes.contains_key(&origin) {
            (&mut self.known, OF_NODES_MAX)
        } else {
            (&mut self.unknown, OF_OTHERS_MAX)
        }
    }
}

impl From<Option<IpAddr>> for Origin {
    fn from(ip: Option<IpAddr>) -> Self {
        match ip.map(|ip| ip.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(ip)) => Self::V4(ip),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

/// The reason in the log when a link is closed to make room.
pub const TOO_MANY: &str = "too many come and do not say whose they are";

/// The limits of unauthenticated links from places with a node: in all, and from one place.
const OF_NODES_MAX: [usize; 2] = [UNAUTHENTICATED_LINKS_OF_NODES_MAX; 2];
/// The same from all other places.
const OF_OTHERS_MAX: [usize; 2] = [
    UNAUTHENTICATED_LINKS_MAX,
    UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX,
];
