//! `listen-listen`: clients come in by some ports and links by another, and each client is given a link.
//!
//! An entry is a client that waits, or a link with whatever it carries. Which client gets which link is decided in
//! [`crate::policy::pairing`]; here the decision is carried out. A client is given another link only if none of its bytes can have
//! reached a server: none were sent, or the inside node refused.

mod clients;
mod four_way;
mod links;
mod opening;

use std::time::{Duration, Instant};

use mio::event::Event;

use self::clients::{Door, Waiting};
use self::four_way::{FourWays, LinkDial};
use self::links::LinkEntry;
use crate::config::address::ListenPoint;
use crate::config::family::Family;
use crate::config::plan::OutsidePlan;
use crate::event_loop::admission::Gate;
use crate::event_loop::connected::is_connection;
use crate::event_loop::context::Context;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::start;
use crate::event_loop::tool::{Status, Tool};
use crate::ids::random;
use crate::keyed::Keys;
use crate::limits::{LINKS_SPARE, UNAUTHENTICATED_LINKS_MAX, UNAUTHENTICATED_LINKS_PERIOD};
use crate::linux::sandbox::Needs;
use crate::policy::access_list::AccessList;
use crate::policy::pairing::{Decision, Pairing};
use crate::policy::unauthenticated::UnauthenticatedLinks;
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Report, Throttle};
use crate::session::account::SessionIds;
use crate::session::awaiting_header::AwaitingHeader;
use crate::session::close_reason::CloseReason;
use crate::session::timeouts::Timeouts;
use crate::sockets::accepted::Accepted;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub fn run_outside(mut plan: OutsidePlan, report: Report) -> Exit {
    if plan.raw {
        return crate::tools::raw_outside::run_raw_outside(plan, report);
    }
    let keys = plan.keys.take();
    let extra = ExtraDescriptors {
        listeners: plan.points(),
        // Strangers from the place of a node are its links to come: they count with those of its sessions.
        spare: LINKS_SPARE + UNAUTHENTICATED_LINKS_MAX,
    };
    start(plan.settings.clone(), report, extra, |context| {
        Outside::new(&plan, keys, context)
    })
}

/// See the module.
#[derive(Debug)]
struct Outside {
    entries: Entries<Entry>,
    pairing: Pairing<Key, Key>,
    node: NodeId,
    ids: SessionIds,
    services: Vec<Service>,
    /// For each listener, where clients come in by it; links come in by the others.
    doors: Vec<Option<Door>>,
    client_listeners: Vec<ListenerId>,
    link_listeners: Vec<ListenerId>,
    four_ways: Option<FourWays>,
    client_gate: Gate,
    link_gate: Gate,
    heartbeat: Duration,
    keys: Option<Keys>,
    timeouts: Timeouts,
    sessions_max: usize,
    queue_max: usize,
    once: bool,
    draining: bool,
    /// The only link is one that was inherited.
    fixed_link: bool,
    /// Clients, in whatever stage.
    clients: usize,
    /// Those of them that have yet to say who they are.
    introductions: usize,
    /// Links that have not said HELLO.
    unauthenticated: UnauthenticatedLinks<Key>,
    links: usize,
    /// The node whose idle links were asked whether they are up, and until when that will do.
    probed: Option<(NodeId, Instant)>,
    /// How the last session ended.
    outcome: Exit,
    warnings: Warnings,
}

#[derive(Debug)]
struct Warnings {
    unauthenticated: Throttle,
    unserved: Throttle,
    links: Throttle,
}

#[derive(Debug)]
struct Service {
    name: String,
    width: u16,
}

#[derive(Debug)]
enum Entry {
    AwaitingHeader(Box<AwaitingHeader<Door>>),
    Client(Box<Waiting>),
    Link(Box<LinkEntry>),
    Dialling(Box<LinkDial>),
}

impl Outside {
    fn new(plan: &OutsidePlan, keys: Option<Keys>, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut outside = Self {
            entries: Entries::default(),
            pairing: Pairing::new(plan.wait_timeout),
            node: NodeId(random()),
            ids: SessionIds::new(),
            services: Vec::new(),
            doors: Vec::new(),
            client_listeners: Vec::new(),
            link_listeners: Vec::new(),
            four_ways: FourWays::new(plan, context),
            client_gate: Gate::of(&plan.admission),
            link_gate: Gate::of_links(&plan.link_access),
            heartbeat: plan.heartbeat,
            keys,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            queue_max: plan.queue_max,
            once: settings.once,
            draining: false,
            fixed_link: plan.link.iter().any(|point| is_connection(&point.at)),
            clients: 0,
            introductions: 0,
            unauthenticated: UnauthenticatedLinks::new(fastrand::Rng::new()),
            links: 0,
            probed: None,
            outcome: Exit::Done,
            warnings: Warnings {
                unauthenticated: Throttle::per(UNAUTHENTICATED_LINKS_PERIOD),
                unserved: Throttle::per_second(),
                links: Throttle::per_second(),
            },
        };
        // Asked before anything is bound: an inherited listener has another number afterwards.
        let (connected, listening): (Vec<_>, Vec<_>) =
            plan.link.iter().partition(|point| is_connection(&point.at));
        let inherited_clients = outside.bind_clients(plan, context)?;
        outside.bind_links(&listening, &plan.link_access, settings.family, context)?;
        context.listeners.open_all(&context.registry, &[])?;
        for point in connected {
            let link = inherited::connected(point, Purpose::Link)?;
            outside.link_gate.admits_inherited(&link, point, context)?;
            outside.link_accepted(link, context);
        }
        for (point, door) in inherited_clients {
            let client = inherited::client(point, &context.report)?;
            let session_slot = outside
                .client_gate
                .admits_inherited(&client, point, context)?;
            outside.client_accepted(&door, client, session_slot, context);
        }
        Ok(outside)
    }

    /// Binds where clients come in; those that are already there are returned.
    fn bind_clients<'p>(
        &mut self,
        plan: &'p OutsidePlan,
        context: &mut Context,
    ) -> Result<Vec<(&'p ListenPoint, Door)>, String> {
        let mut inherited_clients = Vec::new();
        for service in &plan.clients {
            let name = service.name.as_ref().map_or("", |name| name.as_str());
            for (index, point) in service.ports.iter().enumerate() {
                let to = if name.is_empty() {
                    point.word.clone()
                } else {
                    format!("{name}={}", point.word)
                };
                let door = Door {
                    service: self.services.len(),
                    index: index as u16,
                    to: to.into(),
                };
                if is_connection(&point.at) {
                    inherited_clients.push((point, door));
                } else {
                    let ids =
                        context
                            .listeners
                            .bind(point, plan.settings.family, Purpose::Session)?;
                    self.doors.extend(ids.iter().map(|_| Some(door.clone())));
                    self.client_listeners.extend(ids);
                }
            }
            self.services.push(Service {
                name: name.to_owned(),
                width: service.ports.len() as u16,
            });
        }
        Ok(inherited_clients)
    }

    fn bind_links(
        &mut self,
        points: &[&ListenPoint],
        access: &AccessList,
        family: Family,
        context: &mut Context,
    ) -> Result<(), String> {
        for point in points {
            let ids = context.listeners.bind(point, family, Purpose::Link)?;
            let open = ids
                .iter()
                .any(|id| context.listeners.is_open_to_others(*id));
            if open && access.is_empty() && self.keys.is_none() {
                let text = format_args!(
                    "anyone who can reach {} can serve the clients: neither --key-file nor --allow-link is given",
                    point.word
                );
                context.report.warning(text);
            }
            self.doors.extend(ids.iter().map(|_| None));
            self.link_listeners.extend(ids);
        }
        Ok(())
    }

    fn session_ended(&mut self, reason: &CloseReason) {
        self.clients -= 1;
        self.outcome = reason.exit();
    }

    /// Clients without a link.
    fn waiting(&self) -> usize {
        self.introductions + self.pairing.waiting()
    }

    /// No client waits, and none can come: links are of no more use.
    fn is_closing(&self) -> bool {
        let served = self.once && self.ids.count() > 0 && self.clients == 0;
        (self.draining || served) && self.waiting() == 0
    }

    fn give_up_all(&mut self, reason: &CloseReason, context: &mut Context) {
        let waiting = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| !matches!(entry, Entry::Link(_) | Entry::Dialling(_)));
        let keys: Vec<Key> = waiting.map(|(key, _)| key).collect();
        for key in keys {
            self.pairing.leave(key);
            self.give_up_introduction(key, reason, context);
            self.give_up_client(key, reason, context);
        }
    }
}

impl Tool for Outside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let four_ways = self.four_ways.iter().flat_map(|it| &it.targets);
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling(four_ways, &[])
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::AwaitingHeader(awaiting) => awaiting.note(event, slot),
            Entry::Client(waiting) => waiting.client.end.note(event, slot),
            Entry::Link(entry) => entry.driver.note(event, slot),
            Entry::Dialling(link) => link.dial.note(event, slot),
        }
    }

    fn admits(&self, listener: ListenerId) -> bool {
        match self.doors[listener.0 as usize] {
            Some(_) => self.clients < self.sessions_max && self.waiting() < self.queue_max,
            None => self.links - self.unauthenticated.len() < self.sessions_max + LINKS_SPARE,
        }
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        let word = context.listeners.word(listener);
        match self.doors[listener.0 as usize].clone() {
            None => {
                let gate = &mut self.link_gate;
                if gate.admits(&accepted, word, context).is_some() {
                    self.link_accepted(accepted, context);
                }
            }
            Some(door) => {
                let gate = &mut self.client_gate;
                let Some(session_slot) = gate.admits(&accepted, word, context) else {
                    return;
                };
                if self.once {
                    context
                        .listeners
                        .close(&self.client_listeners, &context.registry);
                }
                self.client_accepted(&door, accepted, session_slot, context);
            }
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        if let Requester::Dial(key, question) = requester
            && let Some(Entry::Dialling(link)) = self.entries.get_mut(key)
        {
            link.dial.resolved(question, answer, context.now());
            self.entries.wake(key);
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::AwaitingHeader(_)) => self.run_introduction(key, context),
            Some(Entry::Client(_)) => self.run_client(key, context),
            Some(Entry::Link(_)) => self.run_link(key, context),
            Some(Entry::Dialling(_)) => self.run_dial(key, context),
            None => {}
        }
    }

    fn decide(&mut self, context: &mut Context) {
        self.show_out_strangers(context);
        self.dial_four_ways(context);
        while let Some(decision) = self.pairing.next(context.now()) {
            match decision {
                Decision::Open {
                    client,
                    link,
                    ticket,
                } => self.open(client, link, ticket, context),
                Decision::Want { link, count } => {
                    if let Some(Entry::Link(entry)) = self.entries.get_mut(link) {
                        entry.driver.link.protocol.want(count);
                        self.entries.wake(link);
                    }
                }
                Decision::GiveUp(client) => {
                    let reason = self.why_no_link(client);
                    self.give_up_client(client, &reason, context);
                }
            }
        }
        if self.is_closing() {
            context
                .listeners
                .close(&self.link_listeners, &context.registry);
            for key in self.pairing.drain_idle() {
                self.say_bye(key, context);
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| match entry {
            Entry::AwaitingHeader(awaiting) => Some(awaiting.deadline()),
            // How long a client waits is for the pairing to say.
            Entry::Client(_) => None,
            Entry::Link(entry) => entry.driver.deadline(&timeouts),
            Entry::Dialling(link) => Some(link.dial.deadline()),
        });
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        let four_ways = self.four_ways.as_ref();
        let dials = four_ways.and_then(|it| it.poll_timeout(now));
        self.pairing.poll_timeout().into_iter().chain(dials).min()
    }

    fn reload(&mut self, context: &mut Context) {
        self.read_keys_again(context);
        if let Some(four_ways) = &mut self.four_ways {
            four_ways.nudge();
        }
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        context
            .listeners
            .close(&self.client_listeners, &context.registry);
    }

    fn abandon(&mut self, context: &mut Context) {
        self.give_up_all(&CloseReason::Shutdown, context);
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            self.end_session(key, &CloseReason::Shutdown, context);
            if let Some(Entry::Link(entry)) = self.entries.remove(key) {
                self.links -= 1;
                self.unauthenticated.gone(key, entry.origin);
                entry.driver.close(context);
            }
        }
    }

    fn status(&self) -> Status {
        let more = format!(
            " waiting={} links={} idle={} denied={} strangers={}",
            self.waiting(),
            self.links,
            self.pairing.idle(),
            self.client_gate.denied() + self.link_gate.denied(),
            self.unauthenticated.shown_out()
        );
        Status {
            sessions: self.clients,
            more,
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = self.once && self.ids.count() > 0;
        let accepts = !self.draining && !served;
        let link_gone = self.fixed_link && self.links == 0;
        let ended = (!accepts || link_gone) && self.clients == 0 && self.links == 0;
        let exit = if self.once || self.fixed_link {
            self.outcome
        } else {
            Exit::Done
        };
        ended.then_some(exit)
    }
}
