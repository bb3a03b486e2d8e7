//! `listen-listen --raw`: a link is a plain connection, and carries the bytes of one client.
//!
//! That the link port accepts *is* the signal that a client waits. So the port listens only while clients wait, with a backlog
//! of one less than they are: a longer one would let more dials connect than there are clients.

mod four_way;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;

use self::four_way::FourWay;
use crate::config::plan::OutsidePlan;
use crate::event_loop::admission::Gate;
use crate::event_loop::connected::is_connection;
use crate::event_loop::context::Context;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::start;
use crate::event_loop::tool::{Status, Tool};
use crate::keyed::Keys;
use crate::limits::UNAUTHENTICATED_LINKS_PERIOD;
use crate::linux::sandbox::Needs;
use crate::policy::access_list::SessionSlot;
use crate::policy::unauthenticated::{TOO_MANY, UnauthenticatedLinks};
use crate::report::{self, Exit, Report, Throttle};
use crate::session::account::Account;
use crate::session::account::SessionIds;
use crate::session::authenticating::{self, Authenticating};
use crate::session::awaiting_header::{self, AwaitingHeader};
use crate::session::close_reason::{CloseReason, Side};
use crate::session::plain::{Progress, Session, close_end};
use crate::session::timeouts::Timeouts;
use crate::sockets::accepted::{Accepted, Peer};
use crate::sockets::dial::Dial;
use crate::sockets::end::End;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub(crate) fn run_raw_outside(mut plan: OutsidePlan, report: Report) -> Exit {
    let keys = plan.keys.take();
    let extra = ExtraDescriptors {
        listeners: plan.points(),
        spare: 0,
    };
    start(plan.settings.clone(), report, extra, |context| {
        RawOutside::new(&plan, keys, context)
    })
}

/// See the module.
#[derive(Debug)]
struct RawOutside {
    entries: Entries<Entry>,
    client_gate: Gate,
    link_gate: Gate,
    keys: Option<Keys>,
    /// Links that have not proved the key.
    unauthenticated: UnauthenticatedLinks<Key>,
    ids: SessionIds,
    /// Clients that wait, first come, first served.
    waiting: VecDeque<Key>,
    client_listeners: Vec<ListenerId>,
    link_listeners: Vec<ListenerId>,
    /// The link, where both ends dial.
    four_way: Option<FourWay>,
    /// The link, where it is one that was inherited.
    fixed_link: Option<End>,
    /// Clients for whom the link port is open now.
    told: usize,
    wait_timeout: Duration,
    timeouts: Timeouts,
    sessions_max: usize,
    queue_max: usize,
    once: bool,
    draining: bool,
    outcome: Exit,
    unserved: Throttle,
    refused: Throttle,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all entries are sessions: the hot stage is not behind a pointer"
)]
enum Entry {
    AwaitingHeader(Box<AwaitingHeader<()>>),
    /// A link.
    Authenticating(Box<Authenticating>),
    Waiting(Box<Waiting>),
    Session(Session),
    /// A link.
    Dialling(Box<Dial>),
}

#[derive(Debug)]
struct Waiting {
    end: End,
    account: Account,
    deadline: Instant,
}

impl RawOutside {
    fn new(plan: &OutsidePlan, keys: Option<Keys>, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut outside = Self {
            entries: Entries::default(),
            client_gate: Gate::of(&plan.admission),
            link_gate: Gate::of_links(&plan.link_access),
            keys,
            unauthenticated: UnauthenticatedLinks::new(fastrand::Rng::new()),
            ids: SessionIds::new(),
            waiting: VecDeque::new(),
            client_listeners: Vec::new(),
            link_listeners: Vec::new(),
            four_way: FourWay::new(plan, context),
            fixed_link: None,
            told: 0,
            wait_timeout: plan.wait_timeout,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            queue_max: plan.queue_max,
            once: settings.once,
            draining: false,
            outcome: Exit::Done,
            unserved: Throttle::per_second(),
            refused: Throttle::per(UNAUTHENTICATED_LINKS_PERIOD),
        };
        // Asked before anything is bound: an inherited listener has another number afterwards.
        let points = plan.clients.iter().flat_map(|service| &service.ports);
        let (connected, listening): (Vec<_>, Vec<_>) =
            points.partition(|point| is_connection(&point.at));
        for point in listening {
            let ids = context
                .listeners
                .bind(point, settings.family, Purpose::Session)?;
            outside.client_listeners.extend(ids);
        }
        for point in &plan.link {
            if is_connection(&point.at) {
                let link = inherited::connected(point, Purpose::Session)?;
                outside.link_gate.admits_inherited(&link, point, context)?;
                outside.fixed_link = Some(link.end);
            } else {
                outside
                    .link_listeners
                    .extend(context.listeners.bind_to_reopen(
                        point,
                        settings.family,
                        Purpose::Session,
                    )?);
            }
        }
        context
            .listeners
            .open_all(&context.registry, &outside.link_listeners)?;
        for point in connected {
            let client = inherited::client(point, &context.report)?;
            let session_slot = outside
                .client_gate
                .admits_inherited(&client, point, context)?;
            outside.client_accepted(&point.word, client, session_slot, context);
        }
        Ok(outside)
    }

    fn client_accepted(
        &mut self,
        word: &str,
        mut accepted: Accepted,
        session_slot: SessionSlot,
        context: &mut Context,
    ) {
        let now = context.now();
        let key = self.entries.next_key();
        let client = accepted.client();
        let mut account = self.ids.account(client, word.into(), now);
        account.session_slot = session_slot;
        if let Err(error) = accepted.end.register(&context.registry, key, Slot::LEFT) {
            context.report.warning(format_args!(
                "unable to serve {client}: {}",
                report::reason(&error)
            ));
        } else if self.client_gate.expects_proxies() {
            context.report.debug(format_args!(
                "session {}: {client} came on {word}",
                account.id
            ));
            let awaiting = AwaitingHeader::new(accepted, account, (), now);
            self.entries.insert(Entry::AwaitingHeader(awaiting));
        } else {
            let waiting = self.waiting(accepted, account, now);
            self.entries.insert(waiting);
            self.waiting.push_back(key);
        }
    }

    fn waiting(&self, accepted: Accepted, account: Account, now: Instant) -> Entry {
        Entry::Waiting(Box::new(Waiting {
            end: accepted.end,
            account,
            deadline: now + self.wait_timeout,
        }))
    }

    /// The client is known, and waits for a link; unless it may not.
    fn introduced(&mut self, key: Key, context: &Context) -> Option<CloseReason> {
        let Some(Entry::AwaitingHeader(mut awaiting)) = self.entries.take(key) else {
            return None;
        };
        let (client, word) = (awaiting.account.client, &awaiting.account.to);
        let Some(session_slot) = self.client_gate.session_slot(client, word, context) else {
            self.entries.put_back(key, Entry::AwaitingHeader(awaiting));
            return Some(CloseReason::Denied);
        };
        awaiting.account.session_slot = session_slot;
        let AwaitingHeader {
            accepted, account, ..
        } = *awaiting;
        let waiting = self.waiting(accepted, account, context.now());
        self.entries.put_back(key, waiting);
        self.waiting.push_back(key);
        None
    }

    fn link_accepted(&mut self, mut link: End, peer: Peer, context: &mut Context) {
        let Some(keys) = &self.keys else {
            let register = |link: &mut End, key, context: &Context| {
                link.register(&context.registry, key, Slot::RIGHT)
            };
            return self.pair(link, register, context);
        };
        let key = self.entries.next_key();
        let protected = link
            .protect(keys)
            .and_then(|()| link.register(&context.registry, key, Slot::RIGHT));
        match protected {
            Ok(()) => {
                let authenticating = Authenticating::new(link, peer, context.now());
                self.unauthenticated.arrive(key, authenticating.origin());
                self.entries.insert(Entry::Authenticating(authenticating));
                self.hold_four_way(key);
            }
            Err(error) => self.refuse_link(peer, &report::reason(&error), context),
        }
    }

    fn refuse_link(&mut self, peer: Peer, why: &str, context: &Context) {
        let text = format_args!("link from {peer} refused: {why}");
        self.refused.warning(&context.report, context.now(), text);
    }

    fn show_out_strangers(&mut self, context: &mut Context) {
        while let Some(key) = self.unauthenticated.surplus() {
            if let Some(Entry::Authenticating(authenticating)) = self.entries.remove(key) {
                self.unauthenticated.gone(key, authenticating.origin());
                self.refuse_link(authenticating.peer, TOO_MANY, context);
            }
        }
    }

    fn run_proving(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Authenticating(authenticating)) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(keys) = &mut self.keys
            && !keys.admit_handshake(context.now())
        {
            return self.entries.go_on(key);
        }
        let progress = authenticating.run(self.keys.as_ref(), context.now());
        if matches!(progress, authenticating::Progress::Waiting) {
            return;
        }
        let Some(Entry::Authenticating(authenticating)) = self.entries.remove(key) else {
            return;
        };
        let origin = authenticating.origin();
        if matches!(progress, authenticating::Progress::Proven) {
            self.unauthenticated.welcome(key, origin);
        }
        // Proven, it is its session's.
        self.unauthenticated.gone(key, origin);
        if let authenticating::Progress::Failed { why, lasting } = progress {
            self.refuse_link(authenticating.peer, &why, context);
            if let Some(four_way) = &mut self.four_way {
                four_way.refused(lasting, context.now());
            }
            return authenticating.part();
        }
        if let Some(four_way) = &mut self.four_way {
            four_way.proven();
        }
        let (link, _) = authenticating.into_link();
        self.pair(
            link,
            |link, key, context| link.reregister(&context.registry, key, Slot::RIGHT),
            context,
        );
    }

    /// The client that has waited longest gets the link. A link for which no client waits any more is reset.
    fn pair(
        &mut self,
        mut link: End,
        register: impl FnOnce(&mut End, Key, &Context) -> io::Result<()>,
        context: &mut Context,
    ) {
        let Some(key) = self.waiting.pop_front() else {
            return;
        };
        // Before another dial can find the port open.
        self.fit_port(context);
        let registered = register(&mut link, key, context);
        if let Err(error) = registered {
            self.finish(key, &CloseReason::LinkLost(report::reason(&error)), context);
            return;
        }
        if let Some(Entry::Waiting(waiting)) = self.entries.take(key) {
            let Waiting { end, account, .. } = *waiting;
            context.report.debug(format_args!(
                "session {}: {} has a link",
                account.id, account.client
            ));
            self.entries.put_back(
                key,
                Entry::Session(Session::new(
                    end,
                    link,
                    Box::default(),
                    account,
                    context.now(),
                )),
            );
            self.entries.wake(key);
            self.hold_four_way(key);
        }
    }

    fn finish(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        if !matches!(entry, Entry::Authenticating(_) | Entry::Dialling(_)) {
            self.outcome = reason.exit();
        }
        match entry {
            Entry::Authenticating(authenticating) => {
                self.unauthenticated.gone(key, authenticating.origin())
            }
            Entry::Dialling(_) => {}
            Entry::AwaitingHeader(awaiting) => {
                awaiting.close(reason, &mut self.unserved, context);
            }
            Entry::Session(session) => {
                if let Some(four_way) = &mut self.four_way {
                    let broke = matches!(reason, CloseReason::Failed(Side::Right, _));
                    four_way.ended(broke);
                }
                session.close(
                    reason,
                    &context.report,
                    &context.registry,
                    &mut context.resources,
                );
            }
            Entry::Waiting(waiting) => {
                let now = context.now();
                self.waiting.retain(|known| *known != key);
                if matches!(reason, CloseReason::NoLink | CloseReason::LinkLost(_)) {
                    let text = format_args!(
                        "unable to serve {} on {}: {reason}",
                        waiting.account.client, waiting.account.to
                    );
                    if self.once {
                        context.report.fatal(text);
                    } else {
                        self.unserved.warning(&context.report, now, text);
                    }
                }
                waiting.account.tell(reason, 0, 0, &context.report, now);
                close_end(waiting.end, reason, &context.registry);
            }
        }
    }

    /// Entries that are no clients.
    fn links(&self) -> usize {
        self.unauthenticated.len() + self.dials()
    }

    /// The link port is as open as clients wait.
    fn fit_port(&mut self, context: &mut Context) {
        let waiting = self.waiting.len();
        if waiting == self.told {
            return;
        }
        for id in &self.link_listeners {
            if let Err(error) = context.listeners.reopen(*id, waiting, &context.registry) {
                let what = if waiting == 0 { "close" } else { "open" };
                let text =
                    format_args!("unable to {what} the link port: {}", report::reason(&error));
                self.unserved.warning(&context.report, context.now(), text);
                // Tried again in the next turn.
                return;
            }
        }
        self.told = waiting;
    }

    fn close_clients(&self, context: &mut Context) {
        context
            .listeners
            .close(&self.client_listeners, &context.registry);
    }
}

impl Tool for RawOutside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let four_way = self.four_way.iter().map(FourWay::at);
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling(four_way, &[])
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::AwaitingHeader(awaiting) => awaiting.note(event, slot),
            Entry::Authenticating(authenticating) => authenticating.note(event, slot),
            Entry::Dialling(dial) => dial.note(event, slot),
            Entry::Waiting(waiting) => waiting.end.note(event, slot),
            Entry::Session(session) => session.note(event, slot),
        }
    }

    fn admits(&self, listener: ListenerId) -> bool {
        let is_link = self.link_listeners.contains(&listener);
        let clients = self.entries.len() - self.links();
        is_link || (clients < self.sessions_max && self.waiting.len() < self.queue_max)
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        let word = context.listeners.word(listener).to_owned();
        if self.link_listeners.contains(&listener) {
            let gate = &mut self.link_gate;
            if gate.admits(&accepted, &word, context).is_some() {
                self.link_accepted(accepted.end, accepted.peer, context);
            }
            return;
        }
        let gate = &mut self.client_gate;
        if let Some(session_slot) = gate.admits(&accepted, &word, context) {
            if self.once {
                self.close_clients(context);
            }
            self.client_accepted(&word, accepted, session_slot, context);
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        if let Requester::Dial(key, question) = requester
            && let Some(Entry::Dialling(dial)) = self.entries.get_mut(key)
        {
            dial.resolved(question, answer, context.now());
            self.entries.wake(key);
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let over = match self.entries.get_mut(key) {
            None => None,
            Some(Entry::Authenticating(_)) => {
                self.run_proving(key, context);
                None
            }
            Some(Entry::Dialling(_)) => {
                self.run_dial(key, context);
                None
            }
            Some(Entry::AwaitingHeader(awaiting)) => match awaiting.run(&mut context.resources) {
                awaiting_header::Progress::Waiting => None,
                awaiting_header::Progress::Known => self.introduced(key, context),
                awaiting_header::Progress::Over(reason) => Some(reason),
            },
            Some(Entry::Waiting(waiting)) if waiting.end.has_failed() => {
                let error = waiting.end.failure();
                Some(CloseReason::Failed(Side::Left, error))
            }
            Some(Entry::Waiting(waiting)) => {
                (now >= waiting.deadline).then_some(CloseReason::NoLink)
            }
            Some(Entry::Session(session)) => {
                match session.run(&self.timeouts, &mut context.resources) {
                    Progress::Waiting => None,
                    Progress::Again => {
                        self.entries.go_on(key);
                        None
                    }
                    Progress::Over(reason) => Some(reason),
                }
            }
        };
        match over {
            Some(reason) => self.finish(key, &reason, context),
            None => {
                let deadline = self
                    .entries
                    .get_mut(key)
                    .and_then(|entry| entry.deadline(&self.timeouts));
                self.entries.arm(key, deadline);
            }
        }
    }

    fn decide(&mut self, context: &mut Context) {
        self.show_out_strangers(context);
        if !self.waiting.is_empty()
            && let Some(link) = self.fixed_link.take()
        {
            self.link_accepted(link, Peer::Inherited, context);
        }
        self.dial_four_way(context);
        self.fit_port(context);
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| entry.deadline(&timeouts));
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        self.four_way.as_ref()?.paused_until(now)
    }

    fn reload(&mut self, context: &mut Context) {
        if let Some(keys) = &mut self.keys {
            keys.reload(&context.report);
        }
        if let Some(four_way) = &mut self.four_way {
            four_way.nudge();
        }
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        self.close_clients(context);
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        keys.into_iter()
            .for_each(|key| self.finish(key, &CloseReason::Shutdown, context));
    }

    fn status(&self) -> Status {
        Status {
            sessions: self.entries.len() - self.links(),
            more: format!(
                " waiting={} denied={} strangers={}",
                self.waiting.len(),
                self.client_gate.denied() + self.link_gate.denied(),
                self.unauthenticated.shown_out()
            ),
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = self.once && self.ids.count() > 0;
        let accepts = !self.draining && !served;
        let exit = if self.once { self.outcome } else { Exit::Done };
        (!accepts && self.entries.len() == self.links()).then_some(exit)
    }
}

impl Entry {
    fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self {
            Self::AwaitingHeader(awaiting) => Some(awaiting.deadline()),
            Self::Authenticating(authenticating) => Some(authenticating.deadline()),
            Self::Dialling(dial) => Some(dial.deadline()),
            Self::Waiting(waiting) => Some(waiting.deadline),
            Self::Session(session) => session.deadline(timeouts),
        }
    }
}
