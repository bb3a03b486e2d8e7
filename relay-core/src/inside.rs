//! `connect-connect`: keeps links to the outside nodes, and dials a server for each client that is signalled on one.
//!
//! An entry is a link, from its dial to its end, with whatever it carries. When to dial and how many links to keep is decided in
//! [`crate::link::keeper`]; here the decision is carried out.

mod reaching;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;

use self::reaching::{Progress as ReachingProgress, Reaching};
use crate::address::{Target, TargetAt, TargetHost, UnixName};
use crate::entries::Entries;
use crate::event_loop::{Context, Loop, Status, Tool, run};
use crate::farewell::Farewell;
use crate::ids::{node_id, random};
use crate::limits::LINKS_SPARE;
use crate::link::keeper::{Decision, Keeper, Policy};
use crate::link_end::{LinkEnd, News};
use crate::listeners::ListenerId;
use crate::plan::InsidePlan;
use crate::proto::frame::{ErrorCode, Hello, NodeId, Open, RefusedCode, ServiceWidth, VERSION};
use crate::proto::link::{Event as Frame, Link};
use crate::relay::{Progress as RelayProgress, Relay};
use crate::report::{self, Exit, Report, Throttle, sanitise};
use crate::session::{Account, CloseReason, Patience};
use crate::socket::dial::{Dial, DialError, Manner, Step};
use crate::socket::end::End;
use crate::socket::inherited;
use crate::socket::listen::{Accepted, Peer, with_zone};
use crate::socket::options::Purpose;
use crate::socket::resolve::{Answer, Asker, localhost};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub fn run_inside(plan: InsidePlan, report: Report) -> Exit {
    if plan.raw {
        return crate::raw_inside::run_raw_inside(plan, report);
    }
    let mut parts = match Loop::new(plan.settings.clone(), report, LINKS_SPARE) {
        Ok(parts) => parts,
        Err(exit) => return exit,
    };
    match Inside::new(plan, &mut parts.context) {
        Ok(mut inside) => run(&mut inside, parts),
        Err(fault) => {
            parts.context.report.fatal(fault);
            Exit::Temporary
        }
    }
}

/// See the module.
#[derive(Debug)]
struct Inside {
    entries: Entries<Entry>,
    keeper: Keeper<Address, Key>,
    node: NodeId,
    /// Where LINK is; its ports are those of one range.
    link: Vec<Target>,
    services: Vec<Service>,
    link_manner: Manner,
    server_manner: Manner,
    heartbeat: Duration,
    patience: Patience,
    sessions_max: usize,
    /// Sessions, in whatever stage.
    sessions: usize,
    once: bool,
    /// LINK is a connection that was inherited.
    fixed_link: bool,
    draining: bool,
    /// A session has begun.
    served: bool,
    outcome: Exit,
    warnings: Warnings,
}

#[derive(Debug)]
struct Warnings {
    links: Throttle,
    servers: Throttle,
}

#[derive(Debug)]
struct Service {
    name: String,
    ports: Vec<(Target, Arc<str>)>,
}

/// One address of LINK.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Tcp(std::net::SocketAddr),
    Unix(UnixName),
    /// The one that was inherited.
    Inherited,
}

#[derive(Debug)]
enum Entry {
    Dialling(Box<LinkDial>),
    Link(Box<LinkEntry>),
}

#[derive(Debug)]
struct LinkDial {
    address: Address,
    dial: Dial,
}

#[derive(Debug)]
struct LinkEntry {
    link: LinkEnd,
    address: Address,
    born: Instant,
    /// Known from WELCOME until the link leaves.
    node: Option<NodeId>,
    /// BYE was asked for.
    returned: Option<Instant>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// WELCOME has not come.
    Greeting,
    Idle,
    /// A client is there, and its server is dialled.
    Reaching(Box<Reaching>),
    Relaying(Relay),
    /// The session is over here, and its last frames are on their way.
    Settling,
    Leaving(Farewell),
}

/// What a turn of a link came to.
enum Turn {
    Waiting,
    Again,
    Lost(String),
}

impl Inside {
    fn new(plan: InsidePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let manner = Manner {
            purpose: Purpose::Link,
            family: settings.family,
            bind: settings.bind,
            timeout: settings.connect_timeout,
        };
        let named = |target: &Target| {
            matches!(
                target.at,
                TargetAt::Tcp {
                    host: TargetHost::Name(_),
                    ..
                }
            )
        };
        let policy = Policy {
            idle_min: plan.idle_min,
            interval: plan.interval,
            links_max: plan.links_max,
            only_one: settings.once,
            literal: !plan.link.iter().any(named),
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
            node: node_id(),
            services: services.collect(),
            link: plan.link,
            link_manner: manner,
            server_manner: Manner {
                purpose: Purpose::Session,
                bind: plan.server_bind,
                ..manner
            },
            heartbeat: plan.heartbeat,
            patience: Patience {
                idle: settings.idle_timeout,
                half_close: settings.half_close_timeout,
            },
            sessions_max: context.settings.sessions_max,
            sessions: 0,
            once: settings.once,
            fixed_link: false,
            draining: false,
            served: false,
            outcome: Exit::Done,
            warnings: Warnings {
                links: Throttle::per(OUTAGE_PERIOD),
                servers: Throttle::per_second(),
            },
        };
        let inherited = inside.link.first().and_then(|target| {
            Some((
                target.word.clone(),
                inherited::target(&target.at, Purpose::Link)?,
            ))
        });
        if let Some((word, end)) = inherited {
            let unable = |error| format!("unable to use {word}: {}", report::reason(&error));
            let mut end = end.map_err(unable)?;
            let key = inside.entries.next_key();
            end.register(&context.registry, key, Slot::LEFT)
                .map_err(unable)?;
            inside.fixed_link = true;
            let entry = inside.greet(end, Address::Inherited, context.now());
            inside.entries.insert(entry);
        }
        Ok(inside)
    }

    /// The link is connected: HELLO waits to be sent.
    fn greet(&self, end: End, address: Address, now: Instant) -> Entry {
        let services = self.services.iter().map(|service| ServiceWidth {
            name: service.name.clone(),
            width: service.ports.len() as u16,
        });
        let hello = Hello {
            versions: (VERSION, VERSION),
            node: self.node,
            heartbeat: self.heartbeat,
            services: services.collect(),
        };
        let link = LinkEnd::new(end, Link::inside(hello, now));
        Entry::Link(Box::new(LinkEntry {
            link,
            address,
            born: now,
            node: None,
            returned: None,
            stage: Stage::Greeting,
        }))
    }

    /// The addresses of LINK, with all its ports.
    fn places(&self, found: &[std::net::SocketAddr]) -> Vec<Address> {
        let ports = self.link.iter().filter_map(|target| match &target.at {
            TargetAt::Tcp { port, .. } => Some(*port),
            _ => None,
        });
        let mut places = Vec::new();
        for port in ports {
            places.extend(found.iter().map(|address| {
                let mut address = *address;
                address.set_port(port);
                Address::Tcp(address)
            }));
        }
        places
    }

    fn look_up(&mut self, context: &mut Context) {
        let now = context.now();
        let Some(target) = self.link.first() else {
            return;
        };
        let answer = match &target.at {
            TargetAt::Tcp {
                host: TargetHost::Name(name),
                ..
            } => context.resolver.lookup(name, Asker::Keeper, now),
            TargetAt::Tcp {
                host: TargetHost::Localhost,
                ..
            } => Some(Ok(localhost(self.link_manner.family).into())),
            TargetAt::Tcp {
                host: TargetHost::Ip(ip, zone),
                ..
            } => Some(Ok([with_zone(*ip, 0, *zone)].into())),
            TargetAt::Unix(name) => {
                let place = Address::Unix(name.clone());
                return self.keeper.resolved(&[place], now);
            }
            TargetAt::Stdio | TargetAt::Fd { .. } => return,
        };
        if let Some(answer) = answer {
            self.looked_up(answer, context);
        }
    }

    fn looked_up(&mut self, answer: Answer, context: &mut Context) {
        let now = context.now();
        match answer {
            Ok(found) => {
                let places = self.places(&found);
                self.keeper.resolved(&places, now);
            }
            Err(reason) => {
                self.keeper.lookup_failed(now);
                self.tell_outage(
                    format_args!("unable to resolve {}: {reason}", self.link_word()),
                    context,
                );
            }
        }
    }

    fn link_word(&self) -> String {
        self.link
            .first()
            .map_or_else(String::new, |target| target.word.clone())
    }

    /// LINK cannot be reached. With `--once` that is the end; else it is tried again.
    fn tell_outage(&mut self, text: impl std::fmt::Display, context: &Context) {
        if self.once {
            context.report.fatal(text);
            self.outcome = Exit::Temporary;
            self.draining = true;
        } else {
            self.warnings
                .links
                .warning(&context.report, context.now(), text);
        }
    }

    fn dial(&mut self, address: Address, context: &mut Context) {
        let now = context.now();
        let key = self.entries.next_key();
        let dial = match &address {
            Address::Tcp(to) => Dial::to(*to, self.link_manner, Slot::LEFT, now),
            Address::Unix(name) => {
                let at = TargetAt::Unix(name.clone());
                Dial::start(
                    &at,
                    self.link_manner,
                    Slot::LEFT,
                    &mut context.resolver,
                    Asker::Entry(key),
                    now,
                )
            }
            Address::Inherited => return,
        };
        self.entries
            .insert(Entry::Dialling(Box::new(LinkDial { address, dial })));
    }

    fn run_dial(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Dialling(mut link)) = self.entries.take(key) else {
            return;
        };
        match link.dial.run(&context.registry, key, now) {
            Step::Pending => self.entries.put_back(key, Entry::Dialling(link)),
            Step::Connected(end, _) => {
                let entry = self.greet(end, link.address, now);
                self.entries.put_back(key, entry);
                self.run_link(key, context);
            }
            Step::Failed(error) => {
                self.entries.remove(key);
                self.keeper.dial_failed(&link.address, now);
                self.tell_outage(
                    format_args!("unable to connect to {}: {error}", link.address),
                    context,
                );
            }
        }
    }

    fn run_link(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.link.begin_turn(&mut context.tackle);
        let turn = self.turn(key, context);
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry.link.end_turn(&mut context.tackle);
        }
        match turn {
            Turn::Waiting => {}
            Turn::Again => self.entries.wake(key),
            Turn::Lost(why) => self.lose_link(key, &why, context),
        }
    }

    /// Reads, relays, and sends what waits, until the link blocks.
    fn turn(&mut self, key: Key, context: &mut Context) -> Turn {
        loop {
            let patience = self.patience;
            let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
                return Turn::Waiting;
            };
            let LinkEntry { link, stage, .. } = &mut **entry;
            let news = match stage {
                Stage::Leaving(farewell) => {
                    return if farewell.run(link, &mut context.tackle) {
                        Turn::Lost(String::new())
                    } else {
                        Turn::Waiting
                    };
                }
                Stage::Relaying(relay) => match relay.run(link, &patience, &mut context.tackle) {
                    RelayProgress::Waiting => None,
                    RelayProgress::Again => {
                        return match self.rest(key, context) {
                            Turn::Waiting => Turn::Again,
                            turn => turn,
                        };
                    }
                    RelayProgress::Frame(frame) => Some(News::Frame(frame)),
                    RelayProgress::LinkDown(news) => Some(news),
                    RelayProgress::Finished => {
                        self.end_session(key, &CloseReason::Eof, context);
                        continue;
                    }
                    RelayProgress::Over(reason) => {
                        self.abort_session(key, &reason, context);
                        continue;
                    }
                    RelayProgress::Aborted(reason) => {
                        self.end_session(key, &reason, context);
                        continue;
                    }
                },
                Stage::Reaching(reaching) => {
                    match reaching.run(link, &context.registry, key, &mut context.tackle) {
                        ReachingProgress::Waiting => None,
                        ReachingProgress::News(news) => Some(news),
                        ReachingProgress::Connected(server) => {
                            self.reached(key, server, context);
                            continue;
                        }
                        ReachingProgress::Failed(error) => {
                            self.refuse(key, &error, context);
                            continue;
                        }
                    }
                }
                Stage::Greeting | Stage::Idle | Stage::Settling => link.read(&mut context.tackle),
            };
            match news {
                None => return self.rest(key, context),
                Some(News::Frame(frame)) => self.frame(key, frame, context),
                Some(News::Eof) => return Turn::Lost("end of file without BYE".to_owned()),
                Some(News::Failed(error)) => return Turn::Lost(report::reason(&error)),
                Some(News::Fault(fault)) => {
                    self.fail_link(key, fault.code(), &fault.to_string(), context);
                }
            }
        }
    }

    /// The link has nothing more to read: sends what waits, and looks at the clock.
    fn rest(&mut self, key: Key, context: &mut Context) -> Turn {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return Turn::Waiting;
        };
        if let Some(expired) = entry.link.expired(now) {
            return Turn::Lost(expired.to_string());
        }
        if let Err(error) = entry.link.flush(&mut context.tackle) {
            return Turn::Lost(report::reason(&error));
        }
        if entry.link.protocol.settle() {
            entry.stage = Stage::Idle;
            match (&mut entry.returned, entry.node) {
                (Some(returned), _) => *returned = now,
                (None, Some(node)) => self.keeper.idle(key, node),
                (None, None) => {}
            }
            if self.once {
                self.give_back(key, now);
                return Turn::Again;
            }
        }
        match self.entries.get_mut(key) {
            Some(Entry::Link(entry)) if entry.is_overdue(now) => {
                Turn::Lost("no BYE in time".to_owned())
            }
            _ => Turn::Waiting,
        }
    }

    /// Asks the outside node to take the link back.
    fn give_back(&mut self, key: Key, now: Instant) {
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry.link.protocol.bye();
            entry.returned = Some(now);
            self.entries.wake(key);
        }
    }

    fn frame(&mut self, key: Key, frame: Frame, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match frame {
            Frame::Welcome(node) => {
                entry.node = Some(node);
                entry.stage = Stage::Idle;
                let round_trip = now.saturating_duration_since(entry.born);
                if !self.keeper.knows(node) {
                    context.report.info(format_args!(
                        "linked to outside node {node} at {}",
                        entry.address
                    ));
                }
                self.keeper
                    .welcomed(key, &entry.address, node, round_trip, now);
            }
            Frame::Open(open) => {
                if let Some(node) = entry.node {
                    self.keeper.opened(key, node, now);
                }
                self.open(key, *open, context);
            }
            Frame::Abort(code) => self.end_session(key, &CloseReason::Aborted(code), context),
            Frame::Want(count) => {
                if let Some(node) = entry.node {
                    self.keeper.want(node, count as usize);
                }
            }
            Frame::Bye => {
                entry.stage = Stage::Leaving(Farewell::bye(true, now));
                self.forget(key, now);
            }
            Frame::Error(code, text) => self.unwanted(key, code, &text, context),
            _ => {}
        }
    }

    /// A client is there: its server is dialled.
    fn open(&mut self, key: Key, open: Open, context: &mut Context) {
        let now = context.now();
        self.served = true;
        let port = self
            .services
            .iter()
            .find(|service| service.name == open.service)
            .and_then(|service| {
                // A list of one port serves all.
                if service.ports.len() == 1 {
                    service.ports.first()
                } else {
                    service.ports.get(usize::from(open.index))
                }
            });
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let refusal = match port {
            None => Some(RefusedCode::NoService),
            Some(_) if self.sessions >= self.sessions_max => Some(RefusedCode::Full),
            Some(_) => None,
        };
        let (Some((target, to)), None) = (port, refusal) else {
            entry
                .link
                .protocol
                .refuse(refusal.unwrap_or(RefusedCode::Other), String::new(), now);
            entry.stage = Stage::Settling;
            return;
        };
        let client = open.client.map_or(Peer::Unix, Peer::Tcp);
        let account = Account {
            id: open.session,
            client,
            to: to.clone(),
            started: now,
            closed_first: None,
        };
        self.sessions += 1;
        let inherited = inherited::target(&target.at, Purpose::Session);
        let dial = match inherited {
            Some(end) => {
                let registered = end.and_then(|mut end| {
                    end.register(&context.registry, key, Slot::RIGHT)
                        .map(|()| end)
                });
                entry.stage = Stage::Reaching(Box::new(Reaching::there(registered, account)));
                return;
            }
            None => Dial::start(
                &target.at,
                self.server_manner,
                Slot::RIGHT,
                &mut context.resolver,
                Asker::Entry(key),
                now,
            ),
        };
        entry.stage = Stage::Reaching(Box::new(Reaching::new(dial, account)));
    }

    fn reached(&mut self, key: Key, server: End, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if let Stage::Reaching(reaching) = std::mem::replace(&mut entry.stage, Stage::Settling) {
            entry.link.protocol.opened();
            entry.stage = Stage::Relaying(reaching.into_relay(server, now));
        }
    }

    fn refuse(&mut self, key: Key, error: &DialError, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let Stage::Reaching(reaching) = std::mem::replace(&mut entry.stage, Stage::Settling) else {
            return;
        };
        let why = format!("unable to connect to {}: {error}", reaching.account.to);
        entry.link.protocol.refuse(error.code(), why.clone(), now);
        if self.once {
            context.report.fatal(&why)
        } else {
            self.warnings.servers.warning(&context.report, now, &why)
        }
        let reason = CloseReason::Unreached(why);
        reaching.account.tell(&reason, 0, 0, &context.report, now);
        self.session_ended(&reason);
    }

    /// A session ended, and both nodes know it or are told by the link's own state.
    fn end_session(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match std::mem::replace(&mut entry.stage, Stage::Settling) {
            Stage::Relaying(relay) => {
                let left = relay.close(
                    reason,
                    &context.report,
                    &context.registry,
                    &mut context.tackle,
                );
                entry.link.leave_over(left, &mut context.tackle);
                self.session_ended(reason);
            }
            Stage::Reaching(reaching) => {
                reaching
                    .account
                    .tell(reason, 0, 0, &context.report, context.now());
                self.session_ended(reason);
            }
            stage => entry.stage = stage,
        }
    }

    /// A session ended here first: the other node is told by ABORT.
    fn abort_session(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let now = context.now();
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry.link.protocol.abort(reason.abort_code(), now);
        }
        self.end_session(key, reason, context);
    }

    fn session_ended(&mut self, reason: &CloseReason) {
        self.sessions -= 1;
        self.outcome = if matches!(reason, CloseReason::Eof) {
            Exit::Done
        } else {
            Exit::Temporary
        };
    }

    /// The outside node broke the rules: it is told why, and the link is closed.
    fn fail_link(&mut self, key: Key, code: ErrorCode, why: &str, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.link.protocol.fail(code, why.to_owned());
        let text = format!("unable to use the link to {}: {why}", entry.address);
        self.end_session(key, &CloseReason::LinkLost(why.to_owned()), context);
        self.part(key, code, now);
        self.tell_outage(text, context);
    }

    /// The outside node gave the link up.
    fn unwanted(&mut self, key: Key, code: ErrorCode, text: &str, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let text = sanitise(text.as_bytes());
        let detail = if text.is_empty() {
            String::new()
        } else {
            format!(": {text}")
        };
        let message = format!(
            "the outside node at {} refused the link: {code}{detail}",
            entry.address
        );
        self.end_session(key, &CloseReason::LinkLost(code.to_string()), context);
        self.part(key, code, now);
        self.tell_outage(message, context);
    }

    /// The link is on its way out, because of ERROR. What does not fit will not fit soon.
    fn part(&mut self, key: Key, code: ErrorCode, now: Instant) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let greeting = matches!(entry.stage, Stage::Greeting);
        entry.stage = Stage::Leaving(Farewell::error(now));
        self.entries.wake(key);
        let lasting = matches!(
            code,
            ErrorCode::Version | ErrorCode::Width | ErrorCode::NoService | ErrorCode::SameRole
        );
        if greeting {
            let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
                return;
            };
            if lasting {
                self.keeper.unwanted(&entry.address, now);
            } else {
                self.keeper.dial_failed(&entry.address, now);
            }
        } else {
            self.forget(key, now);
        }
    }

    /// The keeper no longer counts on the link.
    fn forget(&mut self, key: Key, now: Instant) {
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key)
            && let Some(node) = entry.node.take()
        {
            let lived = now.saturating_duration_since(entry.born);
            self.keeper.lost(key, &entry.address, node, lived, now);
        }
    }

    fn lose_link(&mut self, key: Key, why: &str, context: &mut Context) {
        let now = context.now();
        let reason = CloseReason::LinkLost(why.to_owned());
        self.end_session(key, &reason, context);
        self.forget(key, now);
        let Some(Entry::Link(entry)) = self.entries.remove(key) else {
            return;
        };
        let LinkEntry {
            mut link,
            address,
            stage,
            ..
        } = *entry;
        link.release(&mut context.tackle);
        link.close(&context.registry);
        match stage {
            Stage::Leaving(_) => {}
            Stage::Greeting => {
                self.keeper.dial_failed(&address, now);
                self.tell_outage(format_args!("unable to link to {address}: {why}"), context);
            }
            _ if self.once || self.fixed_link => {
                context
                    .report
                    .fatal(format_args!("the link to {address} is lost: {why}"));
                self.outcome = Exit::Temporary;
            }
            _ if self.keeper.links() == 0 => self.tell_outage(
                format_args!("the link to {address} is lost: {why}"),
                context,
            ),
            _ => context
                .report
                .debug(format_args!("link to {address} lost: {why}")),
        }
    }
}

impl Tool for Inside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::Dialling(link) => link.dial.note(event, slot),
            Entry::Link(entry) => match (slot, &mut entry.stage) {
                (Slot::LEFT | Slot::LEFT_WRITE, _) => entry.link.end.note(event, slot),
                (_, Stage::Reaching(reaching)) => reaching.note(event, slot),
                (_, Stage::Relaying(relay)) => relay.plain.note(event, slot),
                _ => {}
            },
        }
    }

    fn admits(&self, _: ListenerId) -> bool {
        false
    }

    fn accepted(&mut self, _: ListenerId, _: Accepted, _: &mut Context) {}

    fn resolved(&mut self, asker: Asker, answer: Answer, context: &mut Context) {
        match asker {
            Asker::Keeper => self.looked_up(answer, context),
            Asker::Entry(key) => {
                if let Some(Entry::Link(entry)) = self.entries.get_mut(key)
                    && let Stage::Reaching(reaching) = &mut entry.stage
                {
                    reaching.resolved(answer, context.now());
                    self.entries.wake(key);
                }
            }
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::Dialling(_)) => self.run_dial(key, context),
            Some(Entry::Link(_)) => self.run_link(key, context),
            None => {}
        }
        let deadline = self
            .entries
            .get_mut(key)
            .and_then(|entry| entry.deadline(&self.patience));
        self.entries.arm(key, deadline);
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
        let patience = self.patience;
        self.entries.expire(now, |entry| entry.deadline(&patience));
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        self.keeper.poll_timeout(now)
    }

    fn reload(&mut self, _: &mut Context) {
        self.keeper.nudge();
    }

    fn drain(&mut self, context: &mut Context) {
        let now = context.now();
        self.draining = true;
        self.keeper.drain();
        let mut back = Vec::new();
        for (key, entry) in self.entries.iter_mut() {
            match entry {
                Entry::Dialling(_) => back.push((key, true)),
                Entry::Link(entry) if matches!(entry.stage, Stage::Greeting) => {
                    back.push((key, true))
                }
                Entry::Link(_) => back.push((key, false)),
            }
        }
        for (key, unborn) in back {
            if unborn {
                self.entries.remove(key);
            } else {
                self.give_back(key, now);
            }
        }
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            self.end_session(key, &CloseReason::Shutdown, context);
            if let Some(Entry::Link(mut entry)) = self.entries.remove(key) {
                entry.link.release(&mut context.tackle);
            }
        }
    }

    fn status(&self) -> Status {
        let more = format!(
            " links={} idle={}",
            self.keeper.links(),
            self.keeper.idle_links()
        );
        Status {
            sessions: self.sessions,
            more,
        }
    }

    fn done(&self) -> Option<Exit> {
        let ends = self.draining
            || self.fixed_link
            || (self.once && (self.served || self.outcome != Exit::Done));
        let exit = if self.once || self.fixed_link {
            self.outcome
        } else {
            Exit::Done
        };
        (ends && self.entries.is_empty()).then_some(exit)
    }
}

impl Entry {
    fn deadline(&self, patience: &Patience) -> Option<Instant> {
        match self {
            Self::Dialling(link) => Some(link.dial.deadline()),
            Self::Link(entry) => {
                let session = match &entry.stage {
                    Stage::Relaying(relay) => relay.deadline(patience),
                    Stage::Reaching(reaching) => Some(reaching.deadline()),
                    Stage::Leaving(farewell) => return Some(farewell.deadline()),
                    Stage::Greeting | Stage::Idle | Stage::Settling => None,
                };
                let overdue = entry.overdue_at();
                session
                    .into_iter()
                    .chain(overdue)
                    .chain(entry.link.protocol.poll_timeout())
                    .min()
            }
        }
    }
}

impl LinkEntry {
    /// An idle link that was given back must be taken back soon.
    fn overdue_at(&self) -> Option<Instant> {
        let idle = matches!(self.stage, Stage::Idle);
        self.returned
            .filter(|_| idle)
            .map(|returned| returned + GIVE_BACK_TIMEOUT)
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.overdue_at().is_some_and(|at| now >= at)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(name) => name.fmt(f),
            Self::Inherited => f.write_str("the inherited link"),
        }
    }
}

/// An outage is told once in this time.
const OUTAGE_PERIOD: Duration = Duration::from_secs(60);
/// How long the outside node has to answer a request for BYE on an idle link.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(5);
