//! The time that a session may be silent.

use std::time::{Duration, Instant};

use super::close_reason::CloseReason;
use crate::config::settings::Settings;

/// How long a session may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// In both directions.
    pub idle: Option<Duration>,
    /// In the open direction, when the other has ended.
    pub half_close: Duration,
}

impl Timeouts {
    /// As asked for.
    pub fn of(settings: &Settings) -> Self {
        Self {
            idle: settings.idle_timeout,
            half_close: settings.half_close_timeout,
        }
    }

    /// When a session that was last active then has been silent for too long; `one_way` if one of its directions has ended.
    pub fn ends(&self, active: Instant, one_way: bool) -> Option<(Instant, CloseReason)> {
        let idle = self
            .idle
            .map(|idle| (active + idle, CloseReason::IdleTimeout));
        let half_close = one_way.then(|| (active + self.half_close, CloseReason::HalfCloseTimeout));
        [idle, half_close]
            .into_iter()
            .flatten()
            .min_by_key(|(deadline, _)| *deadline)
    }
}
