//! The links of the outside node that both ends dial: one for each port, dialled again when it is gone.

use std::time::Instant;

use crate::config::address::TargetAt;
use crate::config::plan::OutsidePlan;
use crate::config::settings::INTERVAL_DEFAULT;
use crate::event_loop::context::Context;
use crate::ids::random;
use crate::policy::keeper::{Keeper, Policy};
use crate::protocol::frame::NodeId;
use crate::report::Throttle;
use crate::sockets::dial::{Dial, DialOptions};
use crate::sockets::options::Purpose;
use crate::token::Key;

/// All of them.
#[derive(Debug)]
pub(super) struct FourWays {
    pub(super) keeper: Keeper<TargetAt, Key>,
    pub(super) targets: Vec<TargetAt>,
    pub(super) options: DialOptions,
    pub(super) warnings: Throttle,
}

/// A link that is not connected yet.
#[derive(Debug)]
pub(super) struct LinkDial {
    pub(super) at: TargetAt,
    pub(super) dial: Dial,
}

/// Of a link that was dialled, what has to be known when it is gone.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) at: TargetAt,
    pub(super) connected: Instant,
    /// The inside node, once it is known.
    pub(super) node: Option<NodeId>,
    /// One of the two nodes reported that they do not fit.
    pub(super) unwanted: bool,
}

impl FourWays {
    /// Those of the plan, if LINK is dialled.
    pub(super) fn new(plan: &OutsidePlan, context: &Context) -> Option<Self> {
        let targets: Vec<_> = plan.four_way.iter().map(|it| it.at.clone()).collect();
        let policy = Policy {
            idle_min: 0,
            interval: INTERVAL_DEFAULT,
            links_max: targets.len(),
            only_one: false,
            one_each: true,
            literal: true,
        };
        (!targets.is_empty()).then(|| Self {
            keeper: Keeper::new(policy, u64::from_ne_bytes(random())),
            targets,
            options: DialOptions::of(&plan.settings, Purpose::Link)
                .within(&context.report, &context.dial_queue),
            warnings: Throttle::per(crate::limits::OUTAGE_PERIOD),
        })
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.keeper.poll_timeout(now)
    }

    pub(super) fn retry_now(&mut self) {
        self.keeper.retry_now();
    }

    pub(super) fn welcomed(&mut self, key: Key, dialled: &mut Dialled, node: NodeId, now: Instant) {
        dialled.node = Some(node);
        let round_trip = now.saturating_duration_since(dialled.connected);
        self.keeper
            .welcomed(key, &dialled.at, node, round_trip, now);
    }

    /// The link is gone.
    pub(super) fn gone(&mut self, key: Key, dialled: &Dialled, now: Instant) {
        match dialled.node {
            Some(node) => {
                let lived = now.saturating_duration_since(dialled.connected);
                self.keeper.lost(key, &dialled.at, node, lived, now);
            }
            None if dialled.unwanted => self.keeper.unwanted(&dialled.at, now),
            None => self.keeper.not_welcomed(&dialled.at, now),
        }
    }
}
