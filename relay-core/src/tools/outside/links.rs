//! The links of `listen-listen`.

use super::four_ways::Dialled;
use super::link_entry::LinkEntry;
use super::node::{Entry, Outside};
use super::opening::{ClientFailed, Opening};
use crate::event_loop::context::Context;
use crate::policy::pairing::Ticket;
use crate::policy::unauthenticated::{Origin, TOO_MANY};
use crate::protocol::frame::Open;
use crate::protocol::link::Link;
use crate::report;
use crate::session::link_close::LinkClose;
use crate::session::link_driver::{LinkDriver, LinkEvent, Next, Stage};
use crate::session::link_end::LinkEnd;
use crate::sockets::accepted::{Accepted, Peer};
use crate::sockets::end::End;
use crate::token::{Key, Slot};

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
            // Nobody can connect to these on their own: we dialled them.
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

    pub(super) fn close_surplus_links(&mut self, context: &mut Context) {
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

    /// An idle link must be quiet. Bytes that arrived are read first: they may be its end.
    pub(super) fn is_up(&mut self, key: Key, context: &mut Context) -> bool {
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
        if entry.driver.link.end.is_authenticating()
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
                Next::Event(LinkEvent::Frame(frame)) => self.frame(key, frame, context),
                Next::Event(LinkEvent::Pending(ClientFailed(error))) => {
                    self.abort_client(key, error, context);
                }
                Next::Event(LinkEvent::SessionOver(reason)) => self.session_ended(&reason),
                Next::Event(LinkEvent::Idle) => self.link_idle(key, context),
                Next::Event(LinkEvent::Fault(fault)) => {
                    self.fail_link(key, fault.code(), &fault.to_string(), context);
                }
                Next::Event(LinkEvent::Unauthenticated(fault)) => {
                    self.reject_unauthenticated(key, &fault, context);
                }
                Next::Event(LinkEvent::Lost(why)) => return self.lose_link(key, &why, context),
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

    pub(super) fn link_idle(&mut self, key: Key, context: &Context) {
        let leaves = self.is_closing() || !self.is_welcome(key);
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if entry.driver.link.protocol.bye_requested() || leaves {
            self.send_bye(key, context);
        } else if let Some(node) = entry.node {
            self.pairing.link_idle(key, node);
        }
    }

    /// What the link has proved, if it had to, is still in the key file.
    pub(super) fn is_welcome(&mut self, key: Key) -> bool {
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
                self.send_bye(key, context);
            }
        }
    }

    /// No OPEN follows on this idle link.
    pub(super) fn send_bye(&mut self, key: Key, context: &Context) {
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
}
