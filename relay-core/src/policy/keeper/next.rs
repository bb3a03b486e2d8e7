//! What a keeper wants next.

use std::fmt::Debug;
use std::time::Instant;

use super::{Decision, Keeper, Lookup, Place};
use crate::limits::{LINK_DIALS_MAX, LOOKUP_FRESH};

impl<A: Clone + Eq + Debug, L: Copy + Eq + Debug> Keeper<A, L> {
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
    pub(super) fn stale_lookup(&mut self) {
        if matches!(self.lookup, Lookup::Answered { .. }) && !self.policy.literal {
            self.lookup = Lookup::Stale;
        }
    }

    /// Drops nodes without links, and addresses that the name no longer has and that nothing uses.
    pub(super) fn forget(&mut self) {
        self.nodes.retain(|node| node.links > 0);
        let nodes = &self.nodes;
        let known = |id| nodes.iter().any(|node| Some(node.id) == id);
        self.places
            .retain(|place| place.listed || place.dials + place.links > 0 || known(place.node));
    }
}
