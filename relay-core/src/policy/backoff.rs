//! How long to wait before an address is dialled again: exponential, with full jitter.

use std::time::{Duration, Instant};

use crate::limits::{BACKOFF_MIN, BACKOFF_UNWANTED};

/// The pauses of one address.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// A dial failed: the next one waits for a random part of 50 ms, 100 ms, 200 ms … up to `pause_max`.
    pub fn failed(&mut self, pause_max: Duration, rng: &mut fastrand::Rng, now: Instant) {
        let doubled = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + doubled.min(pause_max).mul_f64(rng.f64()));
    }

    /// The peer said that it will not take this node: no dial before half of [`BACKOFF_UNWANTED`], and then at random.
    pub fn unwanted(&mut self, rng: &mut fastrand::Rng, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + BACKOFF_UNWANTED.mul_f64(0.5 + rng.f64() / 2.0));
    }

    /// No dial before `pause` is over.
    pub fn rest(&mut self, pause: Duration, now: Instant) {
        self.until = Some(now + pause);
    }

    /// A link was up for a healthy while: the next failure pauses briefly again.
    pub fn healthy(&mut self) {
        *self = Self::default();
    }

    /// Ends the pause, but not what was learned.
    pub fn retry_now(&mut self) {
        self.until = None;
    }

    /// Until when to wait, if that is after `now`.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|&until| until > now)
    }
}
