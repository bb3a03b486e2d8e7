//! `connect-connect --raw`: dials LINK until somebody answers, then the server, joins the two, and at once dials LINK again.
//!
//! A successful connect is the signal that a client waits. One link, one session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;

use crate::config::address::Target;
use crate::config::plan::InsidePlan;
use crate::event_loop::context::Context;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::entries::Entries;
use crate::event_loop::start;
use crate::event_loop::tool::{Status, Tool};
use crate::keyed::{Keys, link_fault};
use crate::limits::{OUTAGE_PERIOD, RAW_DIAL_PAUSE};
use crate::linux::sandbox::Needs;
use crate::policy::backoff::Backoff;
use crate::protocol::proxy_header::{self, Version};
use crate::report::{self, Exit, Report, Throttle};
use crate::session::account::Account;
use crate::session::account::SessionIds;
use crate::session::authenticating::{self, Authenticating};
use crate::session::close_reason::{CloseReason, Side};
use crate::session::dialling::{Dialling, Progress as DialProgress};
use crate::session::plain::{Progress, Session, close_end};
use crate::session::timeouts::Timeouts;
use crate::sockets::accepted::Peer;
use crate::sockets::dial::{Dial, DialError, DialOptions, Step};
use crate::sockets::end::End;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub(crate) fn run_raw_inside(plan: InsidePlan, report: Report) -> Exit {
    start(
        plan.settings.clone(),
        report,
        ExtraDescriptors::default(),
        |context| RawInside::new(plan, context),
    )
}

/// See the module.
#[derive(Debug)]
struct RawInside {
    entries: Entries<Entry>,
    ids: SessionIds,
    link: Target,
    server: Target,
    to: Arc<str>,
    link_manner: DialOptions,
    server_manner: DialOptions,
    keys: Option<Keys>,
    send_proxy: Option<Version>,
    interval: Duration,
    backoff: Backoff,
    rng: fastrand::Rng,
    /// Since LINK was last connected, the next dial waits until then.
    dial_at: Option<Instant>,
    /// The dial of LINK that is under way, until the link is proven.
    dialling: Option<Key>,
    /// LINK is a connection that was inherited, and is in use.
    inherited: bool,
    timeouts: Timeouts,
    sessions_max: usize,
    once: bool,
    draining: bool,
    outcome: Exit,
    warnings: Throttle,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all entries are sessions: the hot stage is not behind a pointer"
)]
enum Entry {
    Link(Box<Dial>),
    Authenticating(Box<Authenticating>),
    Server(Box<Dialling>),
    Session(Session),
}

impl RawInside {
    fn new(plan: InsidePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let (Some(link), Some(server)) = (
            plan.link.first(),
            plan.servers
                .first()
                .and_then(|service| service.ports.first()),
        ) else {
            return Err("a raw link needs one LINK and one SERVER".to_owned());
        };
        let options =
            DialOptions::of(settings, Purpose::Session).within(&context.report, &context.turns);
        let mut inside = Self {
            entries: Entries::default(),
            ids: SessionIds::new(),
            link: link.clone(),
            server: server.clone(),
            to: server.to_string().into(),
            link_manner: options.clone(),
            server_manner: DialOptions {
                bind: plan.server_bind,
                via: plan.server_via.clone(),
                ..options
            },
            keys: plan.keys,
            send_proxy: settings.send_proxy,
            interval: plan.interval,
            backoff: Backoff::default(),
            rng: fastrand::Rng::with_seed(u64::from_ne_bytes(crate::ids::random())),
            dial_at: None,
            dialling: None,
            inherited: false,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            once: settings.once,
            draining: false,
            outcome: Exit::Done,
            warnings: Throttle::per(OUTAGE_PERIOD),
        };
        if let Some(end) = inherited::target(&inside.link, Purpose::Session) {
            let mut end = end.map_err(|error| {
                format!("unable to use {}: {}", link.word, report::reason(&error))
            })?;
            inside.inherited = true;
            let key = inside.entries.next_key();
            let registered = end.register(&context.registry, key, Slot::LEFT);
            registered.map_err(|error| {
                format!("unable to use {}: {}", link.word, report::reason(&error))
            })?;
            let entry = inside
                .connected(key, end, Peer::Inherited, context)
                .map_err(|reason| reason.to_string())?;
            inside.entries.insert(entry);
        }
        Ok(inside)
    }

    fn may_dial(&self) -> bool {
        let served = self.once && self.ids.count() > 0;
        self.dialling.is_none()
            && !self.inherited
            && !self.draining
            && !served
            && (self.entries.is_empty() || !self.link.at.is_four_way())
            && self.entries.len() < self.sessions_max
    }

    fn paused_until(&self, now: Instant) -> Option<Instant> {
        let linked = self.dial_at.filter(|until| *until > now);
        linked.max(self.backoff.paused_until(now))
    }

    /// The more links are up that no byte has come by, the longer the next dial waits: somebody who accepts whether a client is there
    /// or not shall not be taken for a crowd.
    fn pause_after_link(&mut self) -> Duration {
        let unheard = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| !entry.has_heard())
            .count() as u32;
        RAW_DIAL_PAUSE
            .saturating_mul(1 << unheard.min(16))
            .min(self.interval.max(RAW_DIAL_PAUSE))
    }

    fn dial_link(&mut self, context: &mut Context) {
        let now = context.now();
        let key = self.entries.next_key();
        let dial = Dial::start(
            &self.link.at,
            self.link_manner.clone(),
            Slot::LEFT,
            &mut context.resolver,
            key,
            now,
        );
        self.entries.insert(Entry::Link(Box::new(dial)));
        self.dialling = Some(key);
    }

    fn run_link(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Link(mut dial)) = self.entries.take(key) else {
            return;
        };
        let now = context.now();
        match dial.run(&context.registry, &mut context.resolver, key, now) {
            Step::Pending => self.entries.put_back(key, Entry::Link(dial)),
            Step::Connected(end, peer) => {
                let entry = self.connected(key, end, peer, context);
                self.go_on(key, entry, context);
            }
            Step::Failed(error) => {
                self.dialling = None;
                self.entries.remove(key);
                self.link_failed(&error, context);
            }
        }
    }

    /// The entry is in its next stage, if there is one.
    fn go_on(&mut self, key: Key, entry: Result<Entry, CloseReason>, context: &Context) {
        if !matches!(entry, Ok(Entry::Authenticating(_))) {
            self.dialling = None;
            self.dial_at = Some(context.now() + self.pause_after_link());
        }
        match entry {
            Ok(entry) => {
                self.entries.put_back(key, entry);
                self.entries.wake(key);
            }
            Err(reason) => {
                context.report.fatal(reason);
                self.outcome = Exit::Temporary;
                self.entries.remove(key);
            }
        }
    }

    /// The link is connected. With a key file it is of use once the outside node has proved that it holds the key.
    fn connected(
        &mut self,
        key: Key,
        mut link: End,
        peer: Peer,
        context: &mut Context,
    ) -> Result<Entry, CloseReason> {
        let Some(keys) = &self.keys else {
            return self.linked(key, link, peer, context);
        };
        link.protect(keys)
            .map_err(|error| CloseReason::Failed(Side::Left, error))?;
        Ok(Entry::Authenticating(Authenticating::new(
            link,
            peer,
            context.now(),
        )))
    }

    fn run_proving(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Authenticating(mut authenticating)) = self.entries.take(key) else {
            return;
        };
        match authenticating.run(self.keys.as_ref(), context.now()) {
            authenticating::Progress::Waiting => self
                .entries
                .put_back(key, Entry::Authenticating(authenticating)),
            authenticating::Progress::Proven => {
                let (link, peer) = authenticating.into_link();
                let entry = self.linked(key, link, peer, context);
                self.go_on(key, entry, context);
            }
            authenticating::Progress::Failed { why, lasting } => {
                self.dialling = None;
                self.entries.remove(key);
                authenticating.part();
                self.unauthenticated(&why, lasting, context);
            }
        }
    }

    fn unauthenticated(&mut self, why: &str, lasting: bool, context: &Context) {
        let now = context.now();
        if lasting {
            self.backoff.unwanted(&mut self.rng, now);
        } else {
            self.backoff.failed(self.interval, &mut self.rng, now);
        }
        let text = format_args!("unable to link to {}: {why}", self.link);
        if self.once || self.inherited {
            context.report.fatal(text);
            self.outcome = Exit::Temporary;
            self.draining = true;
        } else {
            self.warnings.warning(&context.report, now, text);
        }
    }

    /// The link is up: its session begins with the dial of the server.
    fn linked(
        &mut self,
        key: Key,
        link: End,
        peer: Peer,
        context: &mut Context,
    ) -> Result<Entry, CloseReason> {
        let now = context.now();
        let account = self.ids.account(peer, self.to.clone(), now);
        // A raw link does not tell who its client is.
        let preface = proxy_header::preface(self.send_proxy, || None, account.id);
        context.report.debug(format_args!(
            "session {}: linked to {peer}, dialling {}",
            account.id, account.to
        ));
        match inherited::target(&self.server, Purpose::Session) {
            None => {
                let dial = Dial::start(
                    &self.server.at,
                    self.server_manner.clone(),
                    Slot::RIGHT,
                    &mut context.resolver,
                    key,
                    now,
                );
                Ok(Entry::Server(Dialling::new(link, dial, preface, account)))
            }
            Some(end) => {
                let registered = end.and_then(|mut end| {
                    end.register(&context.registry, key, Slot::RIGHT)
                        .map(|()| end)
                });
                let end = registered.map_err(|error| CloseReason::Failed(Side::Right, error))?;
                Ok(Entry::Session(Session::new(
                    link, end, preface, account, now,
                )))
            }
        }
    }

    fn link_failed(&mut self, error: &DialError, context: &mut Context) {
        let now = context.now();
        self.backoff.failed(self.interval, &mut self.rng, now);
        let text = error.sentence(&self.link);
        if self.once {
            context.report.fatal(text);
            self.outcome = CloseReason::of_dial(&error, &self.link).exit();
            self.draining = true;
        } else {
            // Refusal is how a raw link says that no client waits: nothing to warn of.
            if error.is_refusal() {
                context.report.debug(text);
            } else {
                self.warnings.warning(&context.report, now, text);
            }
        }
    }

    fn run_server(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Server(dialling)) = self.entries.take(key) else {
            return;
        };
        match dialling.run(key, context) {
            DialProgress::Waiting(dialling) => self.entries.put_back(key, Entry::Server(dialling)),
            DialProgress::Joined(session) => {
                self.entries.put_back(key, Entry::Session(session));
                self.run_session(key, context);
            }
            DialProgress::Over(reason, dialling) => {
                self.entries.remove(key);
                let (left, account) = dialling.into_left();
                self.tell_unserved(&account, &reason, context);
                close_end(left, &reason, &context.registry);
                self.session_ended(&reason, false, context);
            }
        }
    }

    fn tell_unserved(&mut self, account: &Account, reason: &CloseReason, context: &Context) {
        if let CloseReason::Unreached(why) | CloseReason::Forbidden(why) = reason {
            if self.once {
                context.report.fatal(why);
            } else {
                self.warnings.warning(&context.report, context.now(), why);
            }
        }
        account.tell(reason, 0, 0, &context.report, context.now());
    }

    fn run_session(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Session(session)) = self.entries.get_mut(key) else {
            return;
        };
        match session.run(&self.timeouts, &mut context.resources) {
            Progress::Waiting => {}
            Progress::Again => self.entries.go_on(key),
            Progress::Over(reason) => self.finish(key, &reason, context),
        }
    }

    fn finish(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        let Context {
            resources,
            report,
            registry,
            ..
        } = context;
        match entry {
            Entry::Link(_) | Entry::Authenticating(_) => self.dialling = None,
            Entry::Server(dialling) => {
                let (left, account) = dialling.into_left();
                account.tell(reason, 0, 0, report, resources.now);
                close_end(left, reason, registry);
                self.session_ended(reason, false, context);
            }
            Entry::Session(session) => {
                let heard = session.has_heard(Side::Left);
                session.close(reason, report, registry, resources);
                self.session_ended(reason, heard, context);
            }
        }
    }

    /// A link that ended without a byte was perhaps no client: the next dial waits, as if this one had failed. The outside node is the
    /// last to judge a proof: that it refuses this node's key is heard only now.
    fn session_ended(&mut self, reason: &CloseReason, heard: bool, context: &Context) {
        self.outcome = reason.exit();
        self.link_manner.four_way.after_loss = matches!(reason, CloseReason::Failed(Side::Left, _));
        if let CloseReason::Failed(Side::Left, error) = reason
            && let Some(fault) = link_fault(error).filter(|fault| fault.is_lasting())
        {
            self.unauthenticated(&fault.to_string(), true, context);
        } else if heard {
            self.backoff.healthy();
        } else {
            let now = context.now();
            self.backoff.failed(self.interval, &mut self.rng, now);
        }
    }
}

impl Tool for RawInside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling([&self.link.at], &self.link_manner.via)
            .dialling([&self.server.at], &self.server_manner.via)
            .leaving_from(self.link_manner.bind)
            .leaving_from(self.server_manner.bind)
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::Link(dial) => dial.note(event, slot),
            Entry::Authenticating(authenticating) => authenticating.note(event, slot),
            Entry::Server(dialling) => dialling.note(event, slot),
            Entry::Session(session) => session.note(event, slot),
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        let Requester::Dial(key, question) = requester else {
            return;
        };
        match self.entries.get_mut(key) {
            Some(Entry::Link(dial)) => dial.resolved(question, answer, context.now()),
            Some(Entry::Server(dialling)) => dialling.resolved(question, answer, context.now()),
            Some(Entry::Authenticating(_) | Entry::Session(_)) | None => return,
        }
        self.entries.wake(key);
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::Link(_)) => self.run_link(key, context),
            Some(Entry::Authenticating(_)) => self.run_proving(key, context),
            Some(Entry::Server(_)) => self.run_server(key, context),
            Some(Entry::Session(_)) => self.run_session(key, context),
            None => {}
        }
        let deadline = self
            .entries
            .get_mut(key)
            .and_then(|entry| entry.deadline(&self.timeouts));
        self.entries.arm(key, deadline);
    }

    fn decide(&mut self, context: &mut Context) {
        if self.may_dial() && self.paused_until(context.now()).is_none() {
            self.dial_link(context);
        }
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| entry.deadline(&timeouts));
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        if self.may_dial() {
            self.paused_until(now)
        } else {
            None
        }
    }

    fn reload(&mut self, context: &mut Context) {
        if let Some(keys) = &mut self.keys {
            keys.reload(&context.report);
        }
        self.backoff.nudge();
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        if let Some(key) = self.dialling {
            self.finish(key, &CloseReason::Shutdown, context);
        }
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        keys.into_iter()
            .for_each(|key| self.finish(key, &CloseReason::Shutdown, context));
    }

    fn status(&self) -> Status {
        let dialling = usize::from(self.dialling.is_some());
        Status {
            sessions: self.entries.len() - dialling,
            more: format!(" dialling={dialling}"),
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = (self.once || self.inherited) && self.ids.count() > 0;
        let exit = if self.once || self.inherited {
            self.outcome
        } else {
            Exit::Done
        };
        ((self.draining || served) && self.entries.is_empty()).then_some(exit)
    }
}

impl Entry {
    /// A byte has come by the link. (One that is still dialled has not been waited for.)
    fn has_heard(&self) -> bool {
        match self {
            Self::Link(_) | Self::Authenticating(_) => true,
            Self::Server(_) => false,
            Self::Session(session) => session.has_heard(Side::Left),
        }
    }

    fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self {
            Self::Link(dial) => Some(dial.deadline()),
            Self::Authenticating(authenticating) => Some(authenticating.deadline()),
            Self::Server(dialling) => Some(dialling.deadline()),
            Self::Session(session) => session.deadline(timeouts),
        }
    }
}
