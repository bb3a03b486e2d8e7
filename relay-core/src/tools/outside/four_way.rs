//! The links of `listen-listen` that both ends dial: one for each port, dialled again when it is gone.

use std::time::Instant;

use super::{Entry, Outside};
use crate::config::address::TargetAt;
use crate::config::plan::OutsidePlan;
use crate::config::settings::INTERVAL_DEFAULT;
use crate::event_loop::context::Context;
use crate::ids::random;
use crate::policy::keeper::{Decision, Keeper, Policy};
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Throttle};
use crate::session::close_reason::CloseReason;
use crate::sockets::dial::{Dial, DialError, DialOptions, Step};
use crate::sockets::options::Purpose;
use crate::token::{Key, Slot};

/// All of them.
#[derive(Debug)]
pub(super) struct FourWays {
    keeper: Keeper<TargetAt, Key>,
    pub(super) targets: Vec<TargetAt>,
    options: DialOptions,
    warnings: Throttle,
}

/// A link that is not connected yet.
#[derive(Debug)]
pub(super) struct LinkDial {
    at: TargetAt,
    pub(super) dial: Dial,
}

/// Of a link that was dialled, what has to be known when it is gone.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) at: TargetAt,
    connected: Instant,
    /// Who is there, once that is known.
    node: Option<NodeId>,
    /// It was told that it does not fit, or told so.
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
                .within(&context.report, &context.turns),
            warnings: Throttle::per(crate::limits::OUTAGE_PERIOD),
        })
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.keeper.poll_timeout(now)
    }

    pub(super) fn nudge(&mut self) {
        self.keeper.nudge();
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

impl Outside {
    /// Dials what the keeper says.
    pub(super) fn dial_four_ways(&mut self, context: &mut Context) {
        let now = context.now();
        if self.is_closing() {
            return;
        }
        while let Some(four_ways) = &mut self.four_ways
            && let Some(decision) = four_ways.keeper.next(now)
        {
            match decision {
                Decision::Lookup => four_ways.keeper.resolved(&four_ways.targets, now),
                Decision::Dial(at) => {
                    context
                        .report
                        .debug(format_args!("dialling a link to {at}"));
                    let mut options = four_ways.options.clone();
                    options.four_way.after_loss = four_ways.keeper.has_just_broken(&at);
                    let key = self.entries.next_key();
                    let resolver = &mut context.resolver;
                    let dial = Dial::start(&at, options, Slot::LEFT, resolver, key, now);
                    self.entries
                        .insert(Entry::Dialling(Box::new(LinkDial { at, dial })));
                }
                // There is never a surplus.
                Decision::Return(_) => {}
            }
        }
    }

    pub(super) fn run_dial(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Dialling(link)) = self.entries.get_mut(key) else {
            return;
        };
        let Context {
            registry, resolver, ..
        } = &mut *context;
        match link.dial.run(registry, resolver, key, now) {
            Step::Pending => {
                let deadline = link.dial.deadline();
                self.entries.arm(key, Some(deadline));
            }
            Step::Connected(end, peer) => {
                end.deregister(&context.registry);
                if let Some(Entry::Dialling(link)) = self.entries.remove(key) {
                    let dialled = Dialled {
                        at: link.at,
                        connected: now,
                        node: None,
                        unwanted: false,
                    };
                    self.add_link(end, peer, Some(dialled), context);
                }
            }
            Step::Failed(error) => {
                if let Some(Entry::Dialling(link)) = self.entries.remove(key) {
                    self.dial_failed(&link.at, &error, context);
                }
            }
        }
    }

    fn dial_failed(&mut self, at: &TargetAt, error: &DialError, context: &mut Context) {
        let now = context.now();
        let Some(four_ways) = &mut self.four_ways else {
            return;
        };
        four_ways.keeper.dial_failed(at, now);
        let text = format_args!("unable to connect to {at}: {error}");
        if self.once && self.links == 0 && four_ways.keeper.has_tried_all_in_vain() {
            context.report.fatal(text);
            self.draining = true;
            self.give_up_all(&CloseReason::NoLink, context);
            self.outcome = Exit::Temporary;
        } else {
            four_ways.warnings.warning(&context.report, now, text);
        }
    }
}
