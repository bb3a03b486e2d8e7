//! The LINK of `listen-listen --raw` where both ends dial: one connection at a time, dialled while a client waits and no other has
//! it.

use std::time::Instant;

use crate::config::address::{Target, TargetAt};
use crate::config::plan::OutsidePlan;
use crate::event_loop::context::Context;
use crate::policy::backoff::Backoff;
use crate::policy::ticks::FORGOTTEN;
use crate::sockets::dial::DialOptions;
use crate::sockets::options::Purpose;
use crate::token::Key;

/// See the module.
#[derive(Debug)]
pub(super) struct FourWay {
    pub(super) target: Target,
    pub(super) options: DialOptions,
    /// The entry that dials it, is it, or has it.
    pub(super) holder: Option<Key>,
    /// After a dial that failed for good, or met a peer without the key.
    pub(super) backoff: Backoff,
    pub(super) rng: fastrand::Rng,
}

impl FourWay {
    /// That of the plan, if LINK is dialled.
    pub(super) fn new(plan: &OutsidePlan, context: &Context) -> Option<Self> {
        Some(Self {
            target: plan.four_way.first()?.clone(),
            options: DialOptions::of(&plan.settings, Purpose::Session)
                .within(&context.report, &context.dial_queue),
            holder: None,
            backoff: Backoff::default(),
            rng: fastrand::Rng::new(),
        })
    }

    pub(super) fn at(&self) -> &TargetAt {
        &self.target.at
    }

    /// Its session is over; with `broke`, because it failed.
    pub(super) fn ended(&mut self, broke: bool) {
        self.options.four_way.after_loss = broke;
    }

    /// Who was met there holds the key.
    pub(super) fn proven(&mut self) {
        self.backoff.healthy();
    }

    /// Who was met there does not hold the key.
    pub(super) fn refused(&mut self, lasting: bool, now: Instant) {
        match lasting {
            true => self.backoff.unwanted(&mut self.rng, now),
            // Firewalls may remember the connection.
            false => self.backoff.rest(FORGOTTEN, now),
        }
    }

    pub(super) fn retry_now(&mut self) {
        self.backoff.retry_now();
    }

    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.backoff.paused_until(now)
    }
}
