//! A node that has refused is passed over for a time.

use std::time::{Duration, Instant};

use crate::limits::{PASS_OVER_MAX, PASS_OVER_MIN};

#[derive(Debug, Default)]
pub(super) struct PassedOver {
    pub until: Option<Instant>,
    pub pause: Duration,
}

impl PassedOver {
    /// What was refused during a pause had been sent before it: a server that is down refuses many at once.
    pub(super) fn refused(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until > now) {
            return;
        }
        self.pause = (self.pause * 2).clamp(PASS_OVER_MIN, PASS_OVER_MAX);
        self.until = Some(now + self.pause);
    }

    /// True once, when the pause is over; how long it was is remembered until the node accepts.
    pub(super) fn lapse(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }
}
