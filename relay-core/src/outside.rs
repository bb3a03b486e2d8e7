//! `listen-listen`: clients come in by some ports and links by another, and each client is given a link.
//!
//! An entry is a client that waits, or a link with whatever it carries. Which client gets which link is decided in
//! [`crate::link::pairing`]; here the decision is carried out. A client is given another link only if none of its bytes can have
//! reached a server: none were sent, or the inside node refused.

mod opening;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;

use self::opening::{Opening, Progress as OpeningProgress};
use crate::address::ListenPoint;
use crate::entries::Entries;
use crate::event_loop::{Context, Loop, Status, Tool, run};
use crate::farewell::Farewell;
use crate::ids::{SessionIds, node_id};
use crate::limits::{LINKS_SPARE, STRANGERS_MAX};
use crate::link::pairing::{Decision, Pairing, Ticket};
use crate::link_end::{LinkEnd, News};
use crate::listeners::{ListenerId, is_connection};
use crate::plan::OutsidePlan;
use crate::proto::frame::{ErrorCode, Hello, NodeId, Open};
use crate::proto::link::{Event as Frame, Link};
use crate::relay::{Progress as RelayProgress, Relay};
use crate::report::{self, Exit, Report, Throttle, sanitise};
use crate::session::{Account, CloseReason, Patience, Side, close_end};
use crate::socket::end::End;
use crate::socket::inherited;
use crate::socket::listen::{Accepted, Peer};
use crate::socket::options::Purpose;
use crate::socket::resolve::{Answer, Asker};
use crate::token::{Key, Slot};

/// Runs the plan to its end.
pub fn run_outside(plan: OutsidePlan, report: Report) -> Exit {
    if plan.raw {
        return crate::raw_outside::run_raw_outside(plan, report);
    }
    let mut parts = match Loop::new(plan.settings.clone(), report, LINKS_SPARE) {
        Ok(parts) => parts,
        Err(exit) => return exit,
    };
    match Outside::new(plan, &mut parts.context) {
        Ok(mut outside) => run(&mut outside, parts),
        Err(fault) => {
            parts.context.report.fatal(fault);
            Exit::Temporary
        }
    }
}

/// See the module.
#[derive(Debug)]
struct Outside {
    entries: Entries<Entry>,
    pairing: Pairing<Key, Key>,
    node: NodeId,
    ids: SessionIds,
    services: Vec<Service>,
    /// For each listener, what comes in there.
    doors: Vec<Door>,
    client_listeners: Vec<ListenerId>,
    link_listeners: Vec<ListenerId>,
    heartbeat: Duration,
    patience: Patience,
    sessions_max: usize,
    queue_max: usize,
    once: bool,
    draining: bool,
    /// The only link is one that was inherited.
    fixed_link: bool,
    /// Clients, in whatever stage.
    clients: usize,
    /// Links that have not said HELLO.
    strangers: usize,
    links: usize,
    outcome: Exit,
    warnings: Warnings,
}

#[derive(Debug)]
struct Warnings {
    strangers: Throttle,
    unserved: Throttle,
    links: Throttle,
}

#[derive(Debug)]
struct Service {
    name: String,
    width: u16,
}

/// What comes in by a listener.
#[derive(Clone, Debug)]
enum Door {
    Clients {
        service: usize,
        index: u16,
        to: Arc<str>,
    },
    Links,
}

#[derive(Debug)]
enum Entry {
    Client(Box<Waiting>),
    Link(Box<LinkEntry>),
}

/// A client that waits for a link.
#[derive(Debug)]
struct Waiting {
    client: Client,
    /// Whether epoll knows it under its entry's key.
    registered: bool,
}

/// A client, before its server has accepted.
#[derive(Debug)]
struct Client {
    end: End,
    local: Option<std::net::SocketAddr>,
    service: usize,
    index: u16,
    account: Account,
    /// Its first bytes, as far as they were read: they may have to be sent again.
    kept: Vec<u8>,
    /// Its end of file is behind them.
    ended: bool,
}

#[derive(Debug)]
struct LinkEntry {
    link: LinkEnd,
    peer: Peer,
    node: Option<NodeId>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// HELLO has not come.
    Stranger,
    Idle,
    /// OPEN was sent, and is not answered.
    Opening(Box<Opening>),
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

impl Outside {
    fn new(plan: OutsidePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut outside = Self {
            entries: Entries::default(),
            pairing: Pairing::new(plan.wait_timeout),
            node: node_id(),
            ids: SessionIds::new(),
            services: Vec::new(),
            doors: Vec::new(),
            client_listeners: Vec::new(),
            link_listeners: Vec::new(),
            heartbeat: plan.heartbeat,
            patience: Patience {
                idle: settings.idle_timeout,
                half_close: settings.half_close_timeout,
            },
            sessions_max: context.settings.sessions_max,
            queue_max: plan.queue_max,
            once: settings.once,
            draining: false,
            fixed_link: false,
            clients: 0,
            strangers: 0,
            links: 0,
            outcome: Exit::Done,
            warnings: Warnings {
                strangers: Throttle::per(Duration::from_secs(60)),
                unserved: Throttle::per_second(),
                links: Throttle::per_second(),
            },
        };
        let mut inherited_clients = Vec::new();
        for service in &plan.clients {
            let name = service.name.as_ref().map_or("", |name| name.as_str());
            for (index, point) in service.ports.iter().enumerate() {
                let to = if name.is_empty() {
                    point.word.clone()
                } else {
                    format!("{name}={}", point.word)
                };
                let door = Door::Clients {
                    service: outside.services.len(),
                    index: index as u16,
                    to: to.into(),
                };
                if is_connection(&point.at) {
                    inherited_clients.push((point, door));
                } else {
                    let ids = context
                        .listeners
                        .bind(point, settings.family, Purpose::Session)?;
                    outside.doors.extend(ids.iter().map(|_| door.clone()));
                    outside.client_listeners.extend(ids);
                }
            }
            outside.services.push(Service {
                name: name.to_owned(),
                width: service.ports.len() as u16,
            });
        }
        for point in &plan.link {
            if is_connection(&point.at) {
                outside.fixed_link = true;
                continue;
            }
            let ids = context
                .listeners
                .bind(point, settings.family, Purpose::Link)?;
            outside.doors.extend(ids.iter().map(|_| Door::Links));
            outside.warn_if_open(point, &ids, context);
            outside.link_listeners.extend(ids);
        }
        context.listeners.open_all(&context.registry, &[])?;
        for point in plan.link.iter().filter(|point| is_connection(&point.at)) {
            let end = inherited::point(&point.at, Purpose::Link)
                .map_err(|error| unable_to_use(point, &error))?;
            outside.link_accepted(end, Peer::Inherited, context);
        }
        for (point, door) in inherited_clients {
            let end = inherited::point(&point.at, Purpose::Session)
                .map_err(|error| unable_to_use(point, &error))?;
            outside.client_accepted(
                &door,
                Accepted {
                    end,
                    peer: Peer::Inherited,
                    local: None,
                },
                context,
            );
        }
        Ok(outside)
    }

    /// Nothing but the network decides who may connect there.
    fn warn_if_open(&self, point: &ListenPoint, ids: &[ListenerId], context: &Context) {
        let open = ids.iter().any(|id| {
            context
                .listeners
                .get(*id)
                .is_some_and(|listener| !listener.is_local())
        });
        if open {
            context.report.warning(format_args!(
                "anyone who can reach {} can serve the clients: links are not authenticated",
                point.word
            ));
        }
    }

    fn client_accepted(&mut self, door: &Door, accepted: Accepted, context: &mut Context) {
        let Door::Clients { service, index, to } = door else {
            return;
        };
        let now = context.now();
        let account = self.ids.account(accepted.peer, to.clone(), now);
        let client = Client {
            end: accepted.end,
            local: accepted.local,
            service: *service,
            index: *index,
            account,
            kept: Vec::new(),
            ended: false,
        };
        self.clients += 1;
        let key = self.entries.insert(Entry::Client(Box::new(Waiting {
            client,
            registered: false,
        })));
        self.pairing.arrive(key, *service, now);
    }

    fn link_accepted(&mut self, mut end: End, peer: Peer, context: &mut Context) {
        let key = self.entries.next_key();
        if let Err(error) = end.register(&context.registry, key, Slot::LEFT) {
            self.warnings.links.warning(
                &context.report,
                context.now(),
                format_args!(
                    "unable to use a link from {peer}: {}",
                    report::reason(&error)
                ),
            );
            return;
        }
        let link = LinkEnd::new(end, Link::outside(self.heartbeat, context.now()));
        self.links += 1;
        self.strangers += 1;
        self.entries.insert(Entry::Link(Box::new(LinkEntry {
            link,
            peer,
            node: None,
            stage: Stage::Stranger,
        })));
    }

    /// OPEN goes out, if the link is up; else the client keeps its place.
    fn open(&mut self, client_key: Key, link_key: Key, ticket: Ticket, context: &mut Context) {
        if !self.is_up(link_key, context) {
            self.pairing.again(client_key, ticket);
            return;
        }
        let Some(Entry::Client(waiting)) = self.entries.remove(client_key) else {
            return;
        };
        let Waiting {
            mut client,
            registered,
        } = *waiting;
        let Some(Entry::Link(entry)) = self.entries.get_mut(link_key) else {
            return;
        };
        let registering = if registered {
            client
                .end
                .reregister(&context.registry, link_key, Slot::RIGHT)
        } else {
            client
                .end
                .register(&context.registry, link_key, Slot::RIGHT)
        };
        entry.link.protocol.open(
            Open {
                number: 0,
                service: self.services[client.service].name.clone(),
                index: client.index,
                session: client.account.id,
                client: match client.account.client {
                    Peer::Tcp(address) => Some(address),
                    Peer::Unix | Peer::Inherited => None,
                },
                local: client.local,
            },
            context.now(),
        );
        entry.stage = Stage::Opening(Box::new(Opening::new(client, ticket)));
        self.entries.wake(link_key);
        if let Err(error) = registering {
            self.abort_session(link_key, &CloseReason::Failed(Side::Left, error), context);
        }
    }

    /// An idle link must be quiet. What it has to say is heard first; it may be its end.
    fn is_up(&mut self, key: Key, context: &mut Context) -> bool {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return false;
        };
        if !entry.link.end.is_quiet() {
            entry.link.end.expect_readable();
            self.run_link(key, context);
        }
        matches!(self.entries.get_mut(key), Some(Entry::Link(entry)) if matches!(entry.stage, Stage::Idle))
    }

    fn run_client(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Client(waiting)) = self.entries.get_mut(key) else {
            return;
        };
        let failure = if !waiting.registered {
            waiting.registered = true;
            waiting
                .client
                .end
                .register(&context.registry, key, Slot::LEFT)
                .err()
        } else if waiting.client.end.has_failed() {
            Some(
                waiting
                    .client
                    .end
                    .take_error()
                    .unwrap_or_else(|| std::io::ErrorKind::ConnectionReset.into()),
            )
        } else {
            None
        };
        if let Some(error) = failure {
            self.pairing.leave(key);
            self.give_up_client(key, &CloseReason::Failed(Side::Left, error), context);
        }
    }

    fn give_up_client(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        if let Some(Entry::Client(waiting)) = self.entries.remove(key) {
            self.end_client(waiting.client, reason, context);
        }
    }

    /// A client that no server has accepted is reset.
    fn end_client(&mut self, client: Client, reason: &CloseReason, context: &mut Context) {
        if matches!(
            reason,
            CloseReason::NoLink | CloseReason::Unreached(_) | CloseReason::LinkLost(_)
        ) {
            let text = format_args!(
                "unable to serve {} on {}: {reason}",
                client.account.client, client.account.to
            );
            if self.once {
                context.report.fatal(text)
            } else {
                self.warnings
                    .unserved
                    .warning(&context.report, context.now(), text)
            }
        }
        client
            .account
            .tell(reason, 0, 0, &context.report, context.now());
        close_end(client.end, reason, &context.registry);
        self.session_ended(reason);
    }

    fn session_ended(&mut self, reason: &CloseReason) {
        self.clients -= 1;
        self.outcome = if matches!(reason, CloseReason::Eof) {
            Exit::Done
        } else {
            Exit::Temporary
        };
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
            Turn::Lost(why) => return self.lose_link(key, why, context),
        }
        let patience = self.patience;
        let deadline = self
            .entries
            .get_mut(key)
            .and_then(|entry| entry.deadline(&patience));
        self.entries.arm(key, deadline);
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
                Stage::Opening(opening) => match opening.run(link, &mut context.tackle) {
                    OpeningProgress::Waiting => link.read(&mut context.tackle),
                    OpeningProgress::ClientFailed(error) => {
                        self.abort_session(key, &CloseReason::Failed(Side::Left, error), context);
                        continue;
                    }
                    OpeningProgress::LinkFailed(error) => Some(News::Failed(error)),
                },
                Stage::Stranger | Stage::Idle | Stage::Settling => link.read(&mut context.tackle),
            };
            match news {
                None => match self.rest(key, context) {
                    // The session may have been the last thing before frames that are already here.
                    Turn::Again => {}
                    turn => return turn,
                },
                Some(News::Frame(frame)) => self.frame(key, frame, context),
                Some(News::Eof) => return Turn::Lost("end of file without BYE".to_owned()),
                Some(News::Failed(error)) => return Turn::Lost(report::reason(&error)),
                Some(News::Fault(fault)) => {
                    self.fail_link(key, fault.code(), &fault.to_string(), context)
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
            return self.link_idle(key, context);
        }
        Turn::Waiting
    }

    fn link_idle(&mut self, key: Key, context: &mut Context) -> Turn {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return Turn::Waiting;
        };
        let Some(node) = entry.node else {
            return Turn::Waiting;
        };
        if entry.link.protocol.bye_requested() || self.is_closing() {
            self.say_bye(key, context.now());
            return Turn::Again;
        }
        self.pairing.link_idle(key, node);
        Turn::Waiting
    }

    /// No OPEN follows on this idle link.
    fn say_bye(&mut self, key: Key, now: Instant) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.link.protocol.bye();
        entry.stage = Stage::Leaving(Farewell::bye(false, now));
        if let Some(node) = entry.node.take() {
            self.pairing.link_lost(key, node);
        }
        self.entries.wake(key);
    }

    fn frame(&mut self, key: Key, frame: Frame, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match frame {
            Frame::Hello(hello) => self.hello(key, &hello, context),
            Frame::Opened => {
                let node = entry.node;
                if let Stage::Opening(opening) =
                    std::mem::replace(&mut entry.stage, Stage::Settling)
                {
                    entry.stage = Stage::Relaying(opening.into_relay(now));
                }
                if let Some(node) = node {
                    self.pairing.accepted(node);
                }
                if self.once {
                    self.drain(context);
                }
            }
            Frame::Refused(code, text) => {
                let why = if text.is_empty() {
                    code.to_string()
                } else {
                    sanitise(text.as_bytes())
                };
                let node = entry.node;
                let Stage::Opening(opening) = std::mem::replace(&mut entry.stage, Stage::Settling)
                else {
                    return;
                };
                let (client, mut ticket) = opening.into_client(&mut entry.link);
                let others = node.is_some_and(|node| self.pairing.refused(node, &mut ticket, now));
                if others {
                    self.wait_again(client, ticket, context);
                } else {
                    self.end_client(client, &CloseReason::Unreached(why), context);
                }
            }
            Frame::Abort(code) => self.end_session(key, &CloseReason::Aborted(code), context),
            Frame::Bye => {
                if matches!(entry.stage, Stage::Idle) {
                    self.say_bye(key, now);
                }
            }
            Frame::Error(code, text) => {
                let peer = entry.peer;
                let text = sanitise(text.as_bytes());
                self.warnings.links.warning(
                    &context.report,
                    now,
                    format_args!("link from {peer}: the inside node gave it up: {code}: {text}"),
                );
                self.part(
                    key,
                    Farewell::error(now),
                    "the inside node gave it up",
                    context,
                );
            }
            // Answered: the next run of the opening sends what it holds.
            _ => {}
        }
    }

    fn hello(&mut self, key: Key, hello: &Hello, context: &mut Context) {
        let mut serves = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let width = hello
                .services
                .iter()
                .find(|offered| offered.name == service.name)
                .map(|offered| offered.width);
            if let Some(width) = width
                && width != 1
                && width != service.width
            {
                let name = if service.name.is_empty() {
                    "the service without a name".to_owned()
                } else {
                    format!("service {}", service.name)
                };
                let text = format!(
                    "{name} has {} ports outside and {width} inside",
                    service.width
                );
                return self.fail_link(key, ErrorCode::Width, &text, context);
            }
            serves.push(width.is_some());
        }
        if !serves.contains(&true) {
            return self.fail_link(
                key,
                ErrorCode::NoService,
                "the two nodes name different services",
                context,
            );
        }
        if self.pairing.links_of(hello.node) >= self.sessions_max + LINKS_SPARE {
            return self.fail_link(key, ErrorCode::TooMany, "", context);
        }
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if self.pairing.links_of(hello.node) == 0 {
            context.report.info(format_args!(
                "inside node {} linked from {}",
                hello.node, entry.peer
            ));
        }
        entry.node = Some(hello.node);
        entry.stage = Stage::Idle;
        entry.link.protocol.welcome(self.node);
        self.strangers -= 1;
        // WELCOME is on its way before an OPEN can follow it; a failure shows at the next read.
        let _ = entry.link.flush(&mut context.tackle);
        self.pairing.link_up(key, hello.node, &serves);
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
            Stage::Opening(opening) => {
                let (client, _) = opening.into_client(&mut entry.link);
                self.end_client(client, reason, context);
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

    fn wait_again(&mut self, mut client: Client, ticket: Ticket, context: &mut Context) {
        let key = self.entries.next_key();
        match client.end.reregister(&context.registry, key, Slot::LEFT) {
            Ok(()) => {
                self.entries.insert(Entry::Client(Box::new(Waiting {
                    client,
                    registered: true,
                })));
                self.pairing.again(key, ticket);
            }
            Err(error) => self.end_client(client, &CloseReason::Failed(Side::Left, error), context),
        }
    }

    /// The peer broke the rules, or does not fit: it is told why, and the link is closed.
    fn fail_link(&mut self, key: Key, code: ErrorCode, text: &str, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let why = if text.is_empty() {
            code.to_string()
        } else {
            text.to_owned()
        };
        let message = format!("link from {} refused: {why}", entry.peer);
        let warnings = &mut self.warnings;
        let throttle = if entry.node.is_none() {
            &mut warnings.strangers
        } else {
            &mut warnings.links
        };
        throttle.warning(&context.report, now, message);
        entry.link.protocol.fail(code, text.to_owned());
        self.part(key, Farewell::error(now), &why, context);
    }

    /// The link carries no more sessions; the one it carries ends here.
    fn part(&mut self, key: Key, farewell: Farewell, why: &str, context: &mut Context) {
        self.leave_session(key, why, context);
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if matches!(entry.stage, Stage::Stranger) {
            self.strangers -= 1;
        }
        entry.stage = Stage::Leaving(farewell);
        if let Some(node) = entry.node.take() {
            self.pairing.link_lost(key, node);
        }
        self.entries.wake(key);
    }

    /// The link is no more: a client that had sent nothing on it gets another, any other is reset.
    fn leave_session(&mut self, key: Key, why: &str, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match std::mem::replace(&mut entry.stage, Stage::Settling) {
            Stage::Opening(opening) if opening.has_sent_nothing() => {
                let (client, ticket) = opening.into_client(&mut entry.link);
                self.wait_again(client, ticket, context);
            }
            stage => {
                entry.stage = stage;
                self.end_session(key, &CloseReason::LinkLost(why.to_owned()), context);
            }
        }
    }

    fn lose_link(&mut self, key: Key, why: String, context: &mut Context) {
        self.leave_session(key, &why, context);
        let Some(Entry::Link(entry)) = self.entries.remove(key) else {
            return;
        };
        let LinkEntry {
            mut link,
            peer,
            node,
            stage,
        } = *entry;
        link.release(&mut context.tackle);
        link.close(&context.registry);
        self.links -= 1;
        match (&stage, node) {
            (Stage::Stranger, _) => {
                self.strangers -= 1;
                let text = format_args!("link from {peer} is no link: {why}");
                self.warnings
                    .strangers
                    .warning(&context.report, context.now(), text);
            }
            (_, Some(node)) => {
                self.pairing.link_lost(key, node);
                context
                    .report
                    .debug(format_args!("link from {peer} lost: {why}"));
                if self.pairing.links_of(node) == 0 {
                    context.report.info(format_args!(
                        "inside node {node} has no link any more: {why}"
                    ));
                }
                self.probe(node, context.now());
            }
            (_, None) => {}
        }
        if self.fixed_link {
            let bye = matches!(stage, Stage::Leaving(_));
            self.outcome = if bye && self.outcome == Exit::Done {
                Exit::Done
            } else {
                Exit::Temporary
            };
            self.abandon(context);
        }
    }

    /// One link of the node died: are the idle ones still up?
    fn probe(&mut self, node: NodeId, now: Instant) {
        let mut asked = Vec::new();
        for (key, entry) in self.entries.iter_mut() {
            if let Entry::Link(entry) = entry
                && entry.node == Some(node)
                && matches!(entry.stage, Stage::Idle)
            {
                entry.link.protocol.probe(now);
                asked.push(key);
            }
        }
        asked.into_iter().for_each(|key| self.entries.wake(key));
    }

    /// No client waits, and none can come: links are of no more use.
    fn is_closing(&self) -> bool {
        let served = self.once && self.ids.count() > 0 && self.clients == 0;
        (self.draining || served) && self.pairing.waiting() == 0
    }

    fn has_ended(&self) -> bool {
        let accepts = if self.once {
            self.ids.count() == 0
        } else {
            !self.draining
        };
        let link_gone = self.fixed_link && self.links == 0;
        (!accepts || link_gone) && self.clients == 0 && self.links == 0
    }
}

impl Tool for Outside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::Client(waiting) => waiting.client.end.note(event, slot),
            Entry::Link(entry) => match (slot, &mut entry.stage) {
                (Slot::LEFT | Slot::LEFT_WRITE, _) => entry.link.end.note(event, slot),
                (_, Stage::Opening(opening)) => opening.note(event, slot),
                (_, Stage::Relaying(relay)) => relay.plain.note(event, slot),
                _ => {}
            },
        }
    }

    fn admits(&self, listener: ListenerId) -> bool {
        match self.doors[listener.0 as usize] {
            Door::Clients { .. } => {
                self.clients < self.sessions_max && self.pairing.waiting() < self.queue_max
            }
            Door::Links => {
                self.links < self.sessions_max + LINKS_SPARE && self.strangers < STRANGERS_MAX
            }
        }
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        match self.doors[listener.0 as usize].clone() {
            Door::Links => self.link_accepted(accepted.end, accepted.peer, context),
            door => {
                if self.once {
                    context
                        .listeners
                        .close(&self.client_listeners, &context.registry);
                }
                self.client_accepted(&door, accepted, context);
            }
        }
    }

    fn resolved(&mut self, _: Asker, _: Answer, _: &mut Context) {}

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::Client(_)) => self.run_client(key, context),
            Some(Entry::Link(_)) => self.run_link(key, context),
            None => {}
        }
    }

    fn decide(&mut self, context: &mut Context) {
        while let Some(decision) = self.pairing.next(context.now()) {
            match decision {
                Decision::Open {
                    client,
                    link,
                    ticket,
                } => self.open(client, link, ticket, context),
                Decision::Want { link, count } => {
                    if let Some(Entry::Link(entry)) = self.entries.get_mut(link) {
                        entry.link.protocol.want(count);
                        self.entries.wake(link);
                    }
                }
                Decision::GiveUp(client) => {
                    self.give_up_client(client, &CloseReason::NoLink, context)
                }
            }
        }
        if self.is_closing() {
            context
                .listeners
                .close(&self.link_listeners, &context.registry);
            for key in self.pairing.drain_idle() {
                self.say_bye(key, context.now());
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let patience = self.patience;
        self.entries.expire(now, |entry| entry.deadline(&patience));
    }

    fn next_decision(&self, _: Instant) -> Option<Instant> {
        self.pairing.poll_timeout()
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        context
            .listeners
            .close(&self.client_listeners, &context.registry);
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            match self.entries.get_mut(key) {
                Some(Entry::Client(_)) => self.give_up_client(key, &CloseReason::Shutdown, context),
                Some(Entry::Link(_)) => {
                    self.end_session(key, &CloseReason::Shutdown, context);
                    if let Some(Entry::Link(mut entry)) = self.entries.remove(key) {
                        entry.link.release(&mut context.tackle);
                    }
                }
                None => {}
            }
        }
    }

    fn status(&self) -> Status {
        let more = format!(
            " waiting={} links={} idle={}",
            self.pairing.waiting(),
            self.links,
            self.pairing.idle()
        );
        Status {
            sessions: self.clients,
            more,
        }
    }

    fn done(&self) -> Option<Exit> {
        let exit = if self.once || self.fixed_link {
            self.outcome
        } else {
            Exit::Done
        };
        self.has_ended().then_some(exit)
    }
}

impl Entry {
    fn deadline(&self, patience: &Patience) -> Option<Instant> {
        match self {
            // How long a client waits is for the pairing to say.
            Self::Client(_) => None,
            Self::Link(entry) => {
                let session = match &entry.stage {
                    Stage::Relaying(relay) => relay.deadline(patience),
                    Stage::Leaving(farewell) => return Some(farewell.deadline()),
                    Stage::Stranger | Stage::Idle | Stage::Opening(_) | Stage::Settling => None,
                };
                session
                    .into_iter()
                    .chain(entry.link.protocol.poll_timeout())
                    .min()
            }
        }
    }
}

fn unable_to_use(point: &ListenPoint, error: &std::io::Error) -> String {
    format!("unable to use {}: {}", point.word, report::reason(error))
}
