//! The links of `listen-listen`.

use super::four_way::Dialled;
use super::opening::{ClientFailed, Opening};
use super::{Entry, Outside};
use crate::event_loop::context::Context;
use crate::keyed::Fault as Unauthenticated;
use crate::limits::{LINK_WARM, LINKS_SPARE};
use crate::policy::pairing::Ticket;
use crate::policy::unauthenticated::{Origin, TOO_MANY};
use crate::protocol::frame::{ErrorCode, Hello, NodeId, Open};
use crate::protocol::link::{Event as Frame, Link};
use crate::report::{self, Exit, sanitise};
use crate::session::close_reason::{CloseReason, Side};
use crate::session::link_close::LinkClose;
use crate::session::link_driver::{Ended, LinkDriver, LinkEvent, Next, Stage};
use crate::session::link_end::LinkEnd;
use crate::sockets::accepted::{Accepted, Peer};
use crate::sockets::end::End;
use crate::token::{Key, Slot};

/// A link, and whose it is.
#[derive(Debug)]
pub(super) struct LinkEntry {
    pub(super) driver: LinkDriver<Opening>,
    peer: Peer,
    pub(super) origin: Origin,
    /// It was not accepted, but dialled.
    dialled: Option<Dialled>,
    /// Known from HELLO until the link leaves.
    pub(super) node: Option<NodeId>,
}

impl Outside {
    pub(super) fn link_accepted(&mut self, accepted: Accepted, context: &mut Context) {
        self.add_link(accepted.end, accepted.peer, None, context);
    }

    pub(super) fn add_link(
        &mut self,
        mut end: End,
        peer: Peer,
        dialled: Option<Dialled>,
        context: &mut Context,
    ) {
        let key = self.entries.next_key();
        let protected = self.keys.as_ref().map_or(Ok(()), |keys| end.protect(keys));
        let registered = protected.and_then(|()| end.register(&context.registry, key, Slot::LEFT));
        if let Err(error) = registered {
            let text = format_args!(
                "unable to use a link from {peer}: {}",
                report::reason(&error)
            );
            self.warnings
                .links
                .warning(&context.report, context.now(), text);
            if let (Some(four_ways), Some(dialled)) = (&mut self.four_ways, &dialled) {
                four_ways.gone(key, dialled, context.now());
            }
            return;
        }
        let link = LinkEnd::new(end, Link::outside(self.heartbeat, context.now()));
        let address = peer.address().or_else(|| link.end.peer_address());
        let origin = Origin::from(address.map(|address| address.ip()));
        self.links += 1;
        self.unauthenticated.arrive(key, origin);
        if dialled.is_some() {
            // Nobody dials himself into these.
            self.unauthenticated.welcome(key, origin);
        }
        self.entries.insert(Entry::Link(Box::new(LinkEntry {
            driver: LinkDriver::new(link),
            peer,
            origin,
            dialled,
            node: None,
        })));
    }

    pub(super) fn show_out_strangers(&mut self, context: &mut Context) {
        while let Some(key) = self.unauthenticated.surplus() {
            self.lose_link(key, TOO_MANY, context);
        }
    }

    /// OPEN goes out, if the link is up; else the client keeps its place.
    pub(super) fn open(&mut self, client: Key, link: Key, ticket: Ticket, context: &mut Context) {
        if !self.is_up(link, context) {
            self.pairing.again(client, ticket);
            return;
        }
        let Some((client, registered)) = self.hand_over(client, link, context) else {
            return;
        };
        let Some(Entry::Link(entry)) = self.entries.get_mut(link) else {
            return;
        };
        let open = Open {
            number: 0,
            service: self.services[client.service].name.clone(),
            index: client.index,
            session: client.account.id,
            client: client.addresses.map(|addresses| addresses.client()),
            local: client.addresses.map(|addresses| addresses.local()),
        };
        context.report.debug(format_args!(
            "session {}: opened on the link from {}",
            open.session, entry.peer
        ));
        entry.driver.link.protocol.open(open, context.now());
        entry.driver.stage = Stage::Pending(Box::new(Opening::new(client, ticket)));
        self.entries.wake(link);
        if let Err(error) = registered {
            self.abort_client(link, error, context);
        }
    }

    /// An idle link must be quiet. What it has to say is heard first; it may be its end.
    fn is_up(&mut self, key: Key, context: &mut Context) -> bool {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return false;
        };
        if !entry.driver.link.end.is_quiet() {
            entry.driver.link.end.expect_readable();
            self.run_link(key, context);
        }
        matches!(self.entries.get_mut(key), Some(Entry::Link(entry)) if matches!(entry.driver.stage, Stage::Idle))
    }

    pub(super) fn run_link(&mut self, key: Key, context: &mut Context) {
        let timeouts = self.timeouts;
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if entry.driver.link.end.is_proving()
            && let Some(keys) = &mut self.keys
            && !keys.admit_handshake(context.now())
        {
            return self.entries.go_on(key);
        }
        entry.driver.link.begin_turn(&mut context.resources);
        loop {
            let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
                return;
            };
            match entry.driver.next(key, &timeouts, context) {
                Next::Nothing => break,
                Next::Again => {
                    self.entries.go_on(key);
                    break;
                }
                Next::Say(LinkEvent::Frame(frame)) => self.frame(key, frame, context),
                Next::Say(LinkEvent::Pending(ClientFailed(error))) => {
                    self.abort_client(key, error, context);
                }
                Next::Say(LinkEvent::SessionOver(reason)) => self.session_ended(&reason),
                Next::Say(LinkEvent::Idle) => self.link_idle(key, context),
                Next::Say(LinkEvent::Fault(fault)) => {
                    self.fail_link(key, fault.code(), &fault.to_string(), context);
                }
                Next::Say(LinkEvent::Unauthenticated(fault)) => self.shut_out(key, &fault, context),
                Next::Say(LinkEvent::Lost(why)) => return self.lose_link(key, &why, context),
            }
        }
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry.driver.link.end_turn(&mut context.resources);
            let used_up = entry.driver.link.has_used_its_share();
            let deadline = entry.driver.deadline(&timeouts);
            self.entries.arm(key, deadline);
            if used_up {
                self.entries.go_on(key);
            }
        }
    }

    fn link_idle(&mut self, key: Key, context: &Context) {
        let leaves = self.is_closing() || !self.is_welcome(key);
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if entry.driver.link.protocol.bye_requested() || leaves {
            self.say_bye(key, context);
        } else if let Some(node) = entry.node {
            self.pairing.link_idle(key, node);
        }
    }

    /// What the link has proved, if it had to, is still in the key file.
    fn is_welcome(&mut self, key: Key) -> bool {
        match (self.entries.get_mut(key), &self.keys) {
            (Some(Entry::Link(entry)), Some(keys)) => keys.accepts(entry.driver.link.end.proof()),
            _ => true,
        }
    }

    /// The key file may be another now. Idle links whose key is gone leave, busy ones once they are idle.
    pub(super) fn read_keys_again(&mut self, context: &mut Context) {
        let Some(keys) = &mut self.keys else {
            return;
        };
        keys.reload(&context.report);
        let idle = self.entries.iter_mut().filter(|(_, entry)| {
            matches!(entry, Entry::Link(entry) if matches!(entry.driver.stage, Stage::Idle))
        });
        let idle: Vec<Key> = idle.map(|(key, _)| key).collect();
        for key in idle {
            if !self.is_welcome(key) {
                self.say_bye(key, context);
            }
        }
    }

    /// No OPEN follows on this idle link.
    pub(super) fn say_bye(&mut self, key: Key, context: &Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.driver.link.protocol.bye();
        entry.driver.stage = Stage::Leaving(LinkClose::bye(false, context.now()));
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
                if let Some(opening) = entry.driver.take_pending() {
                    entry.driver.stage = Stage::Relaying(opening.into_relay(now));
                }
                if let Some(node) = entry.node {
                    self.pairing.accepted(node);
                }
                if self.once {
                    self.draining = true;
                }
            }
            Frame::Refused(code, text) => {
                let why = if text.is_empty() {
                    code.to_string()
                } else {
                    sanitise(text.as_bytes())
                };
                self.refused(key, why, context);
            }
            Frame::Abort(code) => self.end_session(key, &CloseReason::Aborted(code), context),
            Frame::Bye if matches!(entry.driver.stage, Stage::Idle) => self.say_bye(key, context),
            Frame::Error(code, text) => {
                let text = sanitise(text.as_bytes());
                let message = format_args!(
                    "link from {}: the inside node gave it up: {code}: {text}",
                    entry.peer
                );
                self.warnings.links.warning(&context.report, now, message);
                if let Some(dialled) = &mut entry.dialled {
                    dialled.unwanted |= code.lasts();
                }
                self.part(key, "the inside node gave it up", context);
            }
            // BYE of a busy link is remembered by the protocol; an answer lets the pending session go on.
            _ => {}
        }
    }

    fn hello(&mut self, key: Key, hello: &Hello, context: &mut Context) {
        let serves = match self.match_services(hello) {
            Ok(serves) => serves,
            Err((code, text)) => return self.fail_link(key, code, &text, context),
        };
        let links = self.pairing.links_of(hello.node);
        if links >= self.sessions_max + LINKS_SPARE {
            return self.fail_link(key, ErrorCode::TooMany, "", context);
        }
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if links == 0 {
            let missing = self.services.iter().zip(&serves);
            let missing = missing.filter(|(_, serves)| !**serves);
            let missing = called_all(missing.map(|(service, _)| &*service.name));
            let but = if missing.is_empty() { "" } else { ", without " };
            context.report.info(format_args!(
                "inside node {} linked from {}{but}{missing}",
                hello.node, entry.peer
            ));
        }
        self.unauthenticated.welcome(key, entry.origin);
        if let (Some(four_ways), Some(dialled)) = (&mut self.four_ways, &mut entry.dialled) {
            four_ways.welcomed(key, dialled, hello.node, context.now());
        }
        entry.node = Some(hello.node);
        entry.driver.stage = Stage::Idle;
        entry.driver.link.protocol.welcome(self.node);
        // WELCOME is on its way before an OPEN can follow it; a failure shows at the next read.
        let _ = entry.driver.link.flush(&mut context.resources);
        self.pairing.link_up(key, hello.node, &serves);
        // The key file was read again meanwhile.
        if !self.is_welcome(key) {
            self.say_bye(key, context);
        }
    }

    /// For each of our services, whether the inside node serves it.
    fn match_services(&self, hello: &Hello) -> Result<Vec<bool>, (ErrorCode, String)> {
        let mut serves = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let offered = hello
                .services
                .iter()
                .find(|offered| offered.name == service.name);
            if let Some(offered) = offered
                && offered.width != 1
                && offered.width != service.width
            {
                return Err((
                    ErrorCode::Width,
                    format!(
                        "{} has {} ports outside and {} inside",
                        called(&service.name),
                        service.width,
                        offered.width
                    ),
                ));
            }
            serves.push(offered.is_some());
        }
        if serves.contains(&true) {
            Ok(serves)
        } else {
            let ours = called_all(self.services.iter().map(|service| &*service.name));
            let theirs = called_all(hello.services.iter().map(|service| &*service.name));
            Err((
                ErrorCode::NoService,
                format!(
                    "outside there is {ours}, inside {}",
                    sanitise(theirs.as_bytes())
                ),
            ))
        }
    }

    /// The inside node reached no server. Another node may; if none can, the client is reset.
    fn refused(&mut self, key: Key, why: String, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let node = entry.node;
        let Some(opening) = entry.driver.take_pending() else {
            return;
        };
        let (client, mut ticket) = opening.into_client(&mut entry.driver.link);
        if node.is_some_and(|node| self.pairing.refused(node, &mut ticket, context.now())) {
            self.wait_again(client, ticket, context);
        } else {
            self.end_client(client, &CloseReason::Unreached(why), context);
        }
    }

    /// The client failed before its server answered: the inside node is told.
    fn abort_client(&mut self, key: Key, error: std::io::Error, context: &mut Context) {
        let reason = CloseReason::Failed(Side::Left, error);
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry
                .driver
                .link
                .protocol
                .abort(reason.abort_code(), context.now());
        }
        self.end_session(key, &reason, context);
    }

    /// Ends the session here. The other node knows, or is told by the link's own state.
    pub(super) fn end_session(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match entry.driver.end_session(reason, context) {
            Ended::None => {}
            Ended::Running => self.session_ended(reason),
            Ended::Pending(opening) => {
                let (client, _) = opening.into_client(&mut entry.driver.link);
                self.end_client(client, reason, context);
            }
        }
    }

    /// The peer broke the rules, or does not fit: it is told why, and the link is closed.
    fn fail_link(&mut self, key: Key, code: ErrorCode, text: &str, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let why = if text.is_empty() {
            code.to_string()
        } else {
            text.to_owned()
        };
        let warnings = &mut self.warnings;
        let throttle = if entry.node.is_none() {
            &mut warnings.unauthenticated
        } else {
            &mut warnings.links
        };
        throttle.warning(
            &context.report,
            context.now(),
            format_args!("link from {} refused: {why}", entry.peer),
        );
        self.leave_session(key, &why, context);
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            if let Some(dialled) = &mut entry.dialled {
                dialled.unwanted |= code.lasts();
            }
            entry.driver.link.protocol.fail(code, text.to_owned());
        }
        self.part(key, &why, context);
    }

    /// The peer has not proved that it holds the key. TLS has its own word for that; no frame would be understood.
    fn shut_out(&mut self, key: Key, fault: &Unauthenticated, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        self.warnings.unauthenticated.warning(
            &context.report,
            context.now(),
            format_args!("link from {} refused: {fault}", entry.peer),
        );
        if let Some(dialled) = &mut entry.dialled {
            dialled.unwanted |= fault.is_lasting();
        }
        entry.driver.link.give_up();
        self.part(key, "no key", context);
    }

    /// After ERROR, ours or theirs: the link carries no more sessions.
    fn part(&mut self, key: Key, why: &str, context: &mut Context) {
        self.leave_session(key, why, context);
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.driver.stage = Stage::Leaving(LinkClose::error(context.now()));
        if let Some(node) = entry.node.take() {
            self.pairing.link_lost(key, node);
        }
    }

    /// The link is of no more use: a client that had sent nothing on it gets another, any other is reset.
    fn leave_session(&mut self, key: Key, why: &str, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match &entry.driver.stage {
            Stage::Pending(opening) if opening.has_sent_nothing() => {
                let Some(opening) = entry.driver.take_pending() else {
                    return;
                };
                let (client, ticket) = opening.into_client(&mut entry.driver.link);
                self.wait_again(client, ticket, context);
            }
            _ => self.end_session(key, &CloseReason::LinkLost(why.to_owned()), context),
        }
    }

    fn lose_link(&mut self, key: Key, why: &str, context: &mut Context) {
        self.leave_session(key, why, context);
        let Some(Entry::Link(entry)) = self.entries.remove(key) else {
            return;
        };
        let LinkEntry {
            driver,
            peer,
            origin,
            dialled,
            node,
        } = *entry;
        self.links -= 1;
        self.unauthenticated.gone(key, origin);
        if let (Some(four_ways), Some(dialled)) = (&mut self.four_ways, &dialled) {
            four_ways.gone(key, dialled, context.now());
        }
        match (&driver.stage, node) {
            (Stage::Greeting, _) if dialled.is_some() => {
                let text = format_args!(
                    "link to {peer} is no link: {why}; at the other end must be connect-connect"
                );
                self.warnings
                    .unauthenticated
                    .warning(&context.report, context.now(), text);
            }
            (Stage::Greeting, _) => {
                let text = format_args!("link from {peer} is no link: {why}");
                self.warnings
                    .unauthenticated
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
                self.probe(node, context);
            }
            (_, None) => {}
        }
        let by_bye = matches!(driver.stage, Stage::Leaving(_));
        driver.close(context);
        if self.fixed_link {
            self.outcome = if by_bye {
                self.outcome
            } else {
                Exit::Temporary
            };
            self.give_up_all(&CloseReason::NoLink, context);
        }
    }

    /// One link of the node died: are the idle ones still up? Of many that die together, the first one asks for all.
    fn probe(&mut self, node: NodeId, context: &Context) {
        if self
            .probed
            .is_some_and(|(asked, until)| asked == node && context.now() < until)
        {
            return;
        }
        self.probed = Some((node, context.now() + LINK_WARM));
        let mut asked = Vec::new();
        for (key, entry) in self.entries.iter_mut() {
            if let Entry::Link(entry) = entry
                && entry.node == Some(node)
                && matches!(entry.driver.stage, Stage::Idle)
            {
                entry.driver.link.protocol.probe(context.now());
                asked.push(key);
            }
        }
        asked.into_iter().for_each(|key| self.entries.wake(key));
    }
}

/// A service in messages.
pub(super) fn called(name: &str) -> String {
    match name {
        "" => "the nameless service".to_owned(),
        name => format!("service {name}"),
    }
}

fn called_all<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(called).collect::<Vec<_>>().join(", ")
}
