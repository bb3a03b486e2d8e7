//! The start of the inside node, and the lookups of LINK.

use super::address::{Address, Place};
use super::node::{Inside, Service, Warnings};
use crate::config::plan::InsidePlan;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::ids::random;
use crate::limits::{LINKS_SPARE, OUTAGE_PERIOD};
use crate::policy::keeper::{Keeper, Policy};
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Throttle};
use crate::session::timeouts::Timeouts;
use crate::sockets::dial::DialOptions;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::Slot;

impl Inside {
    pub(super) fn new(plan: InsidePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let link = Place::new(plan.link, &settings.via);
        let policy = Policy {
            idle_min: plan.idle_min,
            interval: plan.interval,
            links_max: plan
                .links_max
                .min(context.settings.sessions_max + LINKS_SPARE),
            only_one: settings.once,
            one_each: link.is_four_way(),
            literal: link.name().is_none(),
        };
        let services = plan.servers.iter().map(|service| Service {
            name: service
                .name
                .as_ref()
                .map_or_else(String::new, |name| name.as_str().to_owned()),
            ports: service
                .ports
                .iter()
                .map(|target| (target.clone(), target.to_string().into()))
                .collect(),
        });
        let mut inside = Self {
            entries: Entries::default(),
            keeper: Keeper::new(policy, u64::from_ne_bytes(random())),
            node: NodeId(random()),
            services: services.collect(),
            link,
            link_dial_options: DialOptions::of(settings, Purpose::Link)
                .within(&context.report, &context.dial_queue),
            server_dial_options: DialOptions {
                bind: plan.server_bind,
                via: plan.server_via.clone(),
                ..DialOptions::of(settings, Purpose::Session)
                    .within(&context.report, &context.dial_queue)
            },
            heartbeat: plan.heartbeat,
            keys: plan.keys,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            sessions: 0,
            once: settings.once,
            fixed_link: false,
            draining: false,
            served: false,
            outcome: Exit::Done,
            warnings: Warnings {
                links: Throttle::per(OUTAGE_PERIOD),
                refusals: Throttle::per(OUTAGE_PERIOD),
                servers: Throttle::per_second(),
            },
        };
        let end = inside
            .link
            .first()
            .and_then(|target| inherited::target(target, Purpose::Link));
        if let Some(end) = end {
            let key = inside.entries.next_key();
            let registered = end.and_then(|mut end| {
                inside.protect(&mut end)?;
                end.register(&context.registry, key, Slot::LEFT)
                    .map(|()| end)
            });
            let end =
                registered.map_err(|error| inherited::unable_to_use(inside.link.word(), &error))?;
            inside.fixed_link = true;
            let entry = inside.greet(end, Address::Inherited, context.now());
            inside.entries.insert(entry);
        }
        Ok(inside)
    }

    pub(super) fn look_up(&mut self, context: &mut Context) {
        let now = context.now();
        let Some(name) = self.link.name() else {
            let addresses = self.link.literal(self.link_dial_options.family);
            return self.keeper.resolved(&addresses, now);
        };
        if let Some(answer) = context.resolver.lookup_anew(name, Requester::Keeper, now) {
            self.looked_up(answer, context);
        }
    }

    pub(super) fn looked_up(&mut self, answer: Answer, context: &mut Context) {
        let now = context.now();
        match answer {
            Ok(found) => {
                let addresses = self.link.at(&found);
                self.keeper.resolved(&addresses, now);
            }
            Err(reason) => {
                self.keeper.lookup_failed(now);
                let text = format!("unable to look up {}: {reason}", self.link.word());
                if self.once {
                    self.give_up(text, context);
                } else {
                    self.log_outage(text, context);
                }
            }
        }
    }
}
