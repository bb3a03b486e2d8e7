//! An outside node that links lead to: how many of its links are wanted idle.

use std::time::{Duration, Instant};

use crate::limits::{IDLE_LINKS_MAX, SURPLUS_WINDOW};
use crate::policy::idle::IdleLinks;
use crate::protocol::frame::NodeId;

#[derive(Debug)]
pub(super) struct Node<L> {
    pub(super) id: NodeId,
    pub(super) links: usize,
    pub(super) idle: IdleLinks<L>,
    /// Links that this node asked to end: their end is no failure.
    pub(super) returning: Vec<L>,
    /// Clients that wait there now.
    pub(super) want: usize,
    pub(super) arrivals: Arrivals,
    pub(super) round_trip: Duration,
    pub(super) surplus: Surplus,
}

impl<L: Copy + Eq> Node<L> {
    pub(super) fn new(id: NodeId, round_trip: Duration, now: Instant) -> Self {
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
    pub(super) fn idle_wanted(&self, idle_min: usize, now: Instant) -> usize {
        let target = self.idle_target(idle_min, now);
        target
            .saturating_add(self.want)
            .min(IDLE_LINKS_MAX.max(target))
    }

    /// Whether one idle link more is to go back.
    pub(super) fn has_surplus(&mut self, idle_min: usize, now: Instant) -> bool {
        let target = self.idle_target(idle_min, now);
        let idle = self.idle.len();
        let quiet = self.surplus.at(target, idle, now);
        if quiet {
            // Links were idle all that time, so the clients that waited when WANT was sent are served or gone.
            self.want = 0;
        }
        quiet || idle > IDLE_LINKS_MAX.max(target)
    }

    /// As many as arrive while a new link is being made; but not more than came in a second, however long a node that was
    /// stopped took for its WELCOME.
    pub(super) fn idle_target(&self, idle_min: usize, now: Instant) -> usize {
        let arrive = self.arrivals.per_second(now) as f64 * self.round_trip.as_secs_f64().min(1.0);
        (arrive.ceil() as usize).min(IDLE_LINKS_MAX).max(idle_min)
    }
}

/// How many OPENs came in the last second: whichever of the current and the last whole second has more.
#[derive(Debug)]
pub(super) struct Arrivals {
    second: Instant,
    before: usize,
    current: usize,
}

impl Arrivals {
    pub(super) fn count(&mut self, now: Instant) {
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

    pub(super) fn per_second(&self, now: Instant) -> usize {
        match now.saturating_duration_since(self.second).as_secs() {
            0 => self.before.max(self.current),
            1 => self.current,
            _ => 0,
        }
    }
}

/// The fewest idle links in the current window. This number of links was not needed in it.
#[derive(Debug)]
pub(super) struct Surplus {
    pub(super) window_ends: Instant,
    pub(super) idle_low: usize,
}

impl Surplus {
    pub(super) fn saw(&mut self, idle: usize) {
        self.idle_low = self.idle_low.min(idle);
    }

    /// Whether one more is to go back: the window is over, and in all of it there were more than `target`.
    pub(super) fn at(&mut self, target: usize, idle: usize, now: Instant) -> bool {
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
