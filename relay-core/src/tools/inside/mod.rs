//! `connect-connect`: keeps links to the outside nodes, and dials a server for each client that is signalled on one.
//!
//! An entry is a link, from its dial to its end, with whatever it carries. When to dial and how many links to keep is decided in
//! [`crate::policy::keeper`]; here the decision is carried out.

mod address;
mod links;
mod reaching;
mod sessions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;

use self::address::{Address, Place};
use self::links::{LinkDial, LinkEntry};
use crate::config::address::Target;
use crate::config::plan::InsidePlan;
use crate::event_loop::context::Context;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::entries::Entries;
use crate::event_loop::start;
use crate::event_loop::tool::{Status, Tool};
use crate::ids::random;
use crate::keyed::Keys;
use crate::limits::{LINKS_SPARE, OUTAGE_PERIOD};
use crate::linux::sandbox::Needs;
use crate::policy::keeper::{Decision, Keeper, Policy};
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Report, Throttle};
use crate::session::close_reason::CloseReason;
use crate::session::link_driver::Stage;
use crate::session::timeouts::Timeouts;
use crate::sockets::dial::DialOptions;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub fn run_inside(plan: InsidePlan, report: Report) -> Exit {
    if plan.raw {
        return crate::tools::raw_inside::run_raw_inside(plan, report);
    }
    let extra = ExtraDescriptors {
        listeners: 0,
        spare: LINKS_SPARE,
    };
    start(plan.settings.clone(), report, extra, |context| {
        Inside::new(plan, context)
    })
}

/// See the module.
#[derive(Debug)]
struct Inside {
    entries: Entries<Entry>,
    keeper: Keeper<Address, Key>,
    node: NodeId,
    link: Place,
    services: Vec<Service>,
    link_manner: DialOptions,
    server_manner: DialOptions,
    heartbeat: Duration,
    keys: Option<Keys>,
    timeouts: Timeouts,
    sessions_max: usize,
    /// Sessions, in whatever stage.
    sessions: usize,
    once: bool,
    /// LINK is a connection that was inherited.
    fixed_link: bool,
    draining: bool,
    /// A session has begun.
    served: bool,
    /// How the last session ended.
    outcome: Exit,
    warnings: Warnings,
}

#[derive(Debug)]
struct Warnings {
    links: Throttle,
    /// What the outside node says against a link is another story than that it cannot be reached.
    refusals: Throttle,
    servers: Throttle,
}

#[derive(Debug)]
struct Service {
    name: String,
    /// Each with its name in messages.
    ports: Vec<(Target, Arc<str>)>,
}

#[derive(Debug)]
enum Entry {
    Dialling(Box<LinkDial>),
    Link(Box<LinkEntry>),
}

impl Inside {
    fn new(plan: InsidePlan, context: &mut Context) -> Result<Self, String> {
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
            link_manner: DialOptions::of(settings, Purpose::Link)
                .within(&context.report, &context.turns),
            server_manner: DialOptions {
                bind: plan.server_bind,
                via: plan.server_via.clone(),
                ..DialOptions::of(settings, Purpose::Session)
                    .within(&context.report, &context.turns)
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

    fn look_up(&mut self, context: &mut Context) {
        let now = context.now();
        let Some(name) = self.link.name() else {
            let addresses = self.link.literal(self.link_manner.family);
            return self.keeper.resolved(&addresses, now);
        };
        if let Some(answer) = context.resolver.lookup(name, Requester::Keeper, now) {
            self.looked_up(answer, context);
        }
    }

    fn looked_up(&mut self, answer: Answer, context: &mut Context) {
        let now = context.now();
        match answer {
            Ok(found) => {
                let addresses = self.link.at(&found);
                self.keeper.resolved(&addresses, now);
            }
            Err(reason) => {
                self.keeper.lookup_failed(now);
                let text = format!("unable to resolve {}: {reason}", self.link.word());
                if self.once {
                    self.give_up(text, context);
                } else {
                    self.tell_outage(text, context);
                }
            }
        }
    }
}

impl Tool for Inside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let links = self.link.targets().map(|target| &target.at);
        let servers = self.services.iter().flat_map(|service| &service.ports);
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling(links, &self.link_manner.via)
            .dialling(
                servers.map(|(target, _)| &target.at),
                &self.server_manner.via,
            )
            .leaving_from(self.link_manner.bind)
            .leaving_from(self.server_manner.bind)
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::Dialling(link) => link.dial.note(event, slot),
            Entry::Link(entry) => entry.driver.note(event, slot),
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        match requester {
            Requester::Keeper => self.looked_up(answer, context),
            Requester::Dial(key, question) => {
                match self.entries.get_mut(key) {
                    Some(Entry::Dialling(link)) => {
                        link.dial.resolved(question, answer, context.now());
                    }
                    Some(Entry::Link(entry)) => {
                        if let Stage::Pending(reaching) = &mut entry.driver.stage {
                            reaching.resolved(question, answer, context.now());
                        }
                    }
                    None => return,
                }
                self.entries.wake(key);
            }
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::Dialling(_)) => self.run_dial(key, context),
            Some(Entry::Link(_)) => self.run_link(key, context),
            None => {}
        }
    }

    fn decide(&mut self, context: &mut Context) {
        if self.fixed_link {
            return;
        }
        while let Some(decision) = self.keeper.next(context.now()) {
            match decision {
                Decision::Lookup => self.look_up(context),
                Decision::Dial(address) => self.dial(address, context),
                Decision::Return(link) => self.give_back(link, context.now()),
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| match entry {
            Entry::Dialling(link) => Some(link.dial.deadline()),
            Entry::Link(entry) => entry.deadline(&timeouts),
        });
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        self.keeper.poll_timeout(now)
    }

    fn reload(&mut self, context: &mut Context) {
        self.read_keys_again(context);
        self.keeper.nudge();
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        self.keeper.drain();
        // Once HELLO is out, a client may be on its way.
        let introduced = |entry: &Entry| matches!(entry, Entry::Link(entry) if !entry.driver.link.end.is_proving());
        let keys: Vec<_> = self
            .entries
            .iter_mut()
            .map(|(key, entry)| (key, introduced(entry)))
            .collect();
        for (key, introduced) in keys {
            if introduced {
                self.give_back(key, context.now());
            } else {
                self.entries.remove(key);
            }
        }
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            self.end_session(key, &CloseReason::Shutdown, context);
            if let Some(Entry::Link(entry)) = self.entries.remove(key) {
                entry.driver.close(context);
            }
        }
    }

    fn status(&self) -> Status {
        let more = format!(
            " links={} idle={}",
            self.keeper.established(),
            self.keeper.idle_links()
        );
        Status {
            sessions: self.sessions,
            more,
        }
    }

    fn done(&self) -> Option<Exit> {
        let ends = self.draining || self.fixed_link || (self.once && self.served);
        let exit = if self.once || self.fixed_link {
            self.outcome
        } else {
            Exit::Done
        };
        (ends && self.entries.is_empty()).then_some(exit)
    }
}
