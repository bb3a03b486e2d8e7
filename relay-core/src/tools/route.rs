//! `tcpfwd`: each client is taken to the target that belongs to the port it came in by.

use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;

use crate::event_loop::admission::Gate;

use crate::config::address::Target;
use crate::config::plan::RoutePlan;
use crate::event_loop::connected::is_connection;
use crate::event_loop::context::Context;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::start;
use crate::event_loop::tool::{Status, Tool};
use crate::linux::sandbox::Needs;
use crate::policy::access_list::SessionSlot;
use crate::protocol::proxy_header;
use crate::report::{self, Exit, Report, Throttle};
use crate::session::account::Account;
use crate::session::account::SessionIds;
use crate::session::awaiting_header::{AwaitingHeader, Progress as HeaderProgress};
use crate::session::close_reason::CloseReason;
use crate::session::dialling::{Dialling, Progress as DialProgress};
use crate::session::plain::{Progress, Session, close_end};
use crate::session::timeouts::Timeouts;
use crate::sockets::accepted::Accepted;
use crate::sockets::dial::{Dial, DialOptions};
use crate::sockets::end::End;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub fn run_route(plan: RoutePlan, report: Report) -> Exit {
    let extra = ExtraDescriptors {
        listeners: plan.routes.len(),
        spare: 0,
    };
    start(plan.settings.clone(), report, extra, |context| {
        Route::new(&plan, context)
    })
}

/// See the module.
#[derive(Debug)]
struct Route {
    entries: Entries<Entry>,
    ways: Vec<Way>,
    /// For each listener, its place in `ways`.
    way_of: Vec<usize>,
    options: DialOptions,
    timeouts: Timeouts,
    gate: Gate,
    ids: SessionIds,
    sessions_max: usize,
    once: bool,
    draining: bool,
    /// How the last session ended.
    outcome: Exit,
    unreached: Throttle,
}

/// From a port to a target.
#[derive(Debug)]
struct Way {
    listeners: Vec<ListenerId>,
    target: Target,
    /// The target, as messages name it.
    to: Arc<str>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all entries are sessions: the hot stage is not behind a pointer"
)]
enum Entry {
    /// With the place in `ways`.
    AwaitingHeader(Box<AwaitingHeader<usize>>),
    Dialling(Box<Dialling>),
    Session(Session),
}

impl Route {
    fn new(plan: &RoutePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut route = Self {
            entries: Entries::default(),
            ways: Vec::new(),
            way_of: Vec::new(),
            options: DialOptions::of(settings, Purpose::Session)
                .within(&context.report, &context.turns),
            timeouts: Timeouts::of(settings),
            gate: Gate::of(&plan.admission),
            ids: SessionIds::new(),
            sessions_max: context.settings.sessions_max,
            once: settings.once,
            draining: false,
            outcome: Exit::Done,
            unreached: Throttle::per_second(),
        };
        // Asked before anything is bound: an inherited listener has another number afterwards.
        let connected: Vec<bool> = plan
            .routes
            .iter()
            .map(|(point, _)| is_connection(&point.at))
            .collect();
        for ((point, target), connected) in plan.routes.iter().zip(&connected) {
            let listeners = if *connected {
                Vec::new()
            } else {
                context
                    .listeners
                    .bind(point, settings.family, Purpose::Session)?
            };
            route
                .way_of
                .extend(listeners.iter().map(|_| route.ways.len()));
            route.ways.push(Way {
                listeners,
                target: target.clone(),
                to: target.to_string().into(),
            });
        }
        context.listeners.open_all(&context.registry, &[])?;
        for (way, (point, _)) in plan
            .routes
            .iter()
            .enumerate()
            .filter(|(way, _)| connected[*way])
        {
            let client = inherited::client(point, &context.report)?;
            let session_slot = route.gate.admits_inherited(&client, point, context)?;
            route.begin(way, client, session_slot, context);
        }
        Ok(route)
    }

    /// A client has come, or its proxy.
    fn begin(
        &mut self,
        way: usize,
        mut accepted: Accepted,
        session_slot: SessionSlot,
        context: &mut Context,
    ) {
        let now = context.now();
        let client = accepted.client();
        let mut account = self.ids.account(client, self.ways[way].to.clone(), now);
        account.session_slot = session_slot;
        let key = self.entries.next_key();
        if let Err(error) = accepted.end.register(&context.registry, key, Slot::LEFT) {
            context.report.warning(format_args!(
                "unable to serve {client}: {}",
                report::reason(&error)
            ));
            self.outcome = Exit::Temporary;
            return;
        }
        let entry = if self.gate.expects_proxies() {
            context
                .report
                .debug(format_args!("session {}: {client} came", account.id));
            Some(Entry::AwaitingHeader(AwaitingHeader::new(
                accepted, account, way, now,
            )))
        } else {
            self.reach(way, accepted, account, key, context)
        };
        if let Some(entry) = entry {
            self.entries.insert(entry);
        }
    }

    /// The client is known: dial its server.
    fn reach(
        &mut self,
        way: usize,
        accepted: Accepted,
        account: Account,
        key: Key,
        context: &mut Context,
    ) -> Option<Entry> {
        let now = context.now();
        context.report.debug(format_args!(
            "session {}: {} came, dialling {}",
            account.id, account.client, account.to
        ));
        let version = context.settings.send_proxy;
        let preface = proxy_header::preface(version, || accepted.addresses(), account.id);
        let left = accepted.end;
        let target = &self.ways[way].target;
        let entry = match inherited::target(target, Purpose::Session) {
            Some(right) => join_inherited(left, right, preface, account, key, context),
            None => {
                let dial = Dial::start(
                    &target.at,
                    self.options.clone(),
                    Slot::RIGHT,
                    &mut context.resolver,
                    key,
                    now,
                );
                Ok(Entry::Dialling(Dialling::new(left, dial, preface, account)))
            }
        };
        match entry {
            Ok(entry) => Some(entry),
            Err(error) => {
                context.report.fatal(format_args!(
                    "unable to use {}: {}",
                    self.ways[way].to,
                    report::reason(&error)
                ));
                self.outcome = Exit::Temporary;
                None
            }
        }
    }

    fn run_introduction(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::AwaitingHeader(mut awaiting)) = self.entries.take(key) else {
            return;
        };
        match awaiting.run(&mut context.resources) {
            HeaderProgress::Waiting => {
                self.entries.put_back(key, Entry::AwaitingHeader(awaiting));
            }
            HeaderProgress::Over(reason) => {
                self.entries.remove(key);
                self.finish(Entry::AwaitingHeader(awaiting), &reason, context);
            }
            HeaderProgress::Known => {
                let listener = self.ways[awaiting.place].listeners.first();
                let word = listener.map_or("-", |id| context.listeners.word(*id));
                let client = awaiting.account.client;
                let Some(session_slot) = self.gate.session_slot(client, word, context) else {
                    self.entries.remove(key);
                    let entry = Entry::AwaitingHeader(awaiting);
                    return self.finish(entry, &CloseReason::Denied, context);
                };
                let AwaitingHeader {
                    accepted,
                    mut account,
                    place: way,
                    ..
                } = *awaiting;
                account.session_slot = session_slot;
                match self.reach(way, accepted, account, key, context) {
                    Some(entry) => {
                        self.entries.put_back(key, entry);
                        self.entries.wake(key);
                    }
                    None => drop(self.entries.remove(key)),
                }
            }
        }
    }

    fn run_dialling(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Dialling(dialling)) = self.entries.take(key) else {
            return;
        };
        match dialling.run(key, context) {
            DialProgress::Waiting(dialling) => {
                self.entries.put_back(key, Entry::Dialling(dialling));
            }
            DialProgress::Joined(session) => {
                context
                    .report
                    .debug(format_args!("session {}: connected", session.id()));
                self.entries.put_back(key, Entry::Session(session));
                self.run_session(key, context);
            }
            DialProgress::Over(reason, dialling) => {
                self.entries.remove(key);
                self.finish(Entry::Dialling(dialling), &reason, context);
            }
        }
    }

    fn run_session(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Session(session)) = self.entries.get_mut(key) else {
            return;
        };
        match session.run(&self.timeouts, &mut context.resources) {
            Progress::Waiting => {}
            Progress::Again => self.entries.go_on(key),
            Progress::Over(reason) => {
                if let Some(entry) = self.entries.remove(key) {
                    self.finish(entry, &reason, context);
                }
            }
        }
    }

    /// The session is over.
    fn finish(&mut self, entry: Entry, reason: &CloseReason, context: &mut Context) {
        self.outcome = reason.exit();
        if let CloseReason::Unreached(why) | CloseReason::Forbidden(why) = reason {
            if self.once {
                context.report.fatal(why);
            } else {
                self.unreached.warning(&context.report, context.now(), why);
            }
        }
        match entry {
            Entry::AwaitingHeader(awaiting) => {
                awaiting.close(reason, &mut self.unreached, context);
            }
            Entry::Dialling(dialling) => {
                let (left, account) = dialling.into_left();
                account.tell(reason, 0, 0, &context.report, context.now());
                close_end(left, reason, &context.registry);
            }
            Entry::Session(session) => session.close(
                reason,
                &context.report,
                &context.registry,
                &mut context.resources,
            ),
        }
    }

    fn close_listeners(&self, context: &mut Context) {
        for way in &self.ways {
            context.listeners.close(&way.listeners, &context.registry);
        }
    }
}

impl Tool for Route {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let targets = self.ways.iter().map(|way| &way.target.at);
        Needs::default()
            .dialling(targets, &self.options.via)
            .leaving_from(self.options.bind)
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::AwaitingHeader(awaiting) => awaiting.note(event, slot),
            Entry::Dialling(dialling) => dialling.note(event, slot),
            Entry::Session(session) => session.note(event, slot),
        }
    }

    fn admits(&self, _: ListenerId) -> bool {
        self.entries.len() < self.sessions_max
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        let word = context.listeners.word(listener);
        let Some(session_slot) = self.gate.admits(&accepted, word, context) else {
            return;
        };
        let way = self.way_of[listener.0 as usize];
        if self.once {
            self.close_listeners(context);
        }
        self.begin(way, accepted, session_slot, context);
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        if let Requester::Dial(key, question) = requester
            && let Some(Entry::Dialling(dialling)) = self.entries.get_mut(key)
        {
            dialling.resolved(question, answer, context.now());
            self.entries.wake(key);
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::AwaitingHeader(_)) => self.run_introduction(key, context),
            Some(Entry::Dialling(_)) => self.run_dialling(key, context),
            Some(Entry::Session(_)) => self.run_session(key, context),
            None => {}
        }
        let deadline = self
            .entries
            .get_mut(key)
            .and_then(|entry| entry.deadline(&self.timeouts));
        self.entries.arm(key, deadline);
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| entry.deadline(&timeouts));
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        self.close_listeners(context);
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(entry) = self.entries.remove(key) {
                self.finish(entry, &CloseReason::Shutdown, context);
            }
        }
    }

    fn status(&self) -> Status {
        Status {
            sessions: self.entries.len(),
            more: format!(" denied={}", self.gate.denied()),
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = self.once && self.ids.count() > 0;
        let listening = !self.draining && !served;
        if listening || !self.entries.is_empty() {
            return None;
        }
        Some(if self.once { self.outcome } else { Exit::Done })
    }
}

impl Entry {
    fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self {
            Self::AwaitingHeader(awaiting) => Some(awaiting.deadline()),
            Self::Dialling(dialling) => Some(dialling.deadline()),
            Self::Session(session) => session.deadline(timeouts),
        }
    }
}

fn join_inherited(
    left: End,
    right: std::io::Result<End>,
    preface: Box<[u8]>,
    account: Account,
    key: Key,
    context: &mut Context,
) -> std::io::Result<Entry> {
    let mut right = right?;
    right.register(&context.registry, key, Slot::RIGHT)?;
    Ok(Entry::Session(Session::new(
        left,
        right,
        preface,
        account,
        context.now(),
    )))
}
