//! The links of `connect-connect`, from their dial to their end.

use std::io;
use std::time::Instant;

use super::address::Address;
use super::link_entry::{LinkDial, LinkEntry};
use super::node::{Entry, Inside};
use crate::event_loop::context::Context;
use crate::limits::LINK_HEALTHY;
use crate::protocol::frame::{Hello, ServiceWidth, VERSION};
use crate::protocol::link::{Event as Frame, Link};
use crate::report::{Exit, sanitise};
use crate::session::close_reason::CloseReason;
use crate::session::link_close::LinkClose;
use crate::session::link_driver::{LinkDriver, LinkEvent, Next, Stage};
use crate::session::link_end::LinkEnd;
use crate::sockets::dial::{Dial, DialError, Step};
use crate::sockets::end::End;
use crate::token::{Key, Slot};

impl Inside {
    pub(super) fn dial(&mut self, address: Address, context: &mut Context) {
        let now = context.now();
        let key = self.entries.next_key();
        context
            .report
            .debug(format_args!("dialling a link to {address}"));
        let Some(target) = address.target() else {
            return;
        };
        let mut options = self.link_dial_options.clone();
        options.four_way.after_loss = self.keeper.has_just_broken(&address);
        let dial = Dial::start(
            &target,
            options,
            Slot::LEFT,
            &mut context.resolver,
            key,
            now,
        );
        self.entries
            .insert(Entry::Dialling(Box::new(LinkDial { address, dial })));
    }

    pub(super) fn run_dial(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Dialling(mut link)) = self.entries.take(key) else {
            return;
        };
        let Context {
            registry, resolver, ..
        } = context;
        match link.dial.run(registry, resolver, key, now) {
            Step::Pending => {
                let deadline = link.dial.deadline();
                self.entries.put_back(key, Entry::Dialling(link));
                self.entries.arm(key, Some(deadline));
            }
            Step::Connected(mut end, _) => match self.protect(&mut end) {
                Ok(()) => {
                    let entry = self.greet(end, link.address, now);
                    self.entries.put_back(key, entry);
                    self.run_link(key, context);
                }
                Err(error) => {
                    self.dial_failed(key, &link.address, DialError::Failed(error), context);
                }
            },
            Step::Failed(error) => self.dial_failed(key, &link.address, error, context),
        }
    }

    pub(super) fn dial_failed(
        &mut self,
        key: Key,
        address: &Address,
        error: DialError,
        context: &mut Context,
    ) {
        self.entries.remove(key);
        if error.lasts() {
            self.keeper.unwanted(address, context.now());
        } else {
            self.keeper.dial_failed(address, context.now());
        }
        self.log_outage(error.sentence(address), context);
        if self.keeper.is_spent() && error.lasts() {
            self.outcome = Exit::Permanent;
        }
    }

    /// With a key file, nothing is said on a link before the outside node has proved that it holds the key.
    pub(super) fn protect(&self, end: &mut End) -> io::Result<()> {
        self.keys.as_ref().map_or(Ok(()), |keys| end.protect(keys))
    }

    /// The link is connected: HELLO waits to be sent.
    pub(super) fn greet(&self, end: End, address: Address, now: Instant) -> Entry {
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
        let driver = LinkDriver::new(LinkEnd::new(end, Link::inside(hello, now)));
        Entry::Link(Box::new(LinkEntry {
            driver,
            address,
            connected: now,
            node: None,
            returned: None,
        }))
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
                Next::Nothing if entry.is_overdue(context.now()) => {
                    return self.lose_link(key, "no BYE in time", context);
                }
                Next::Nothing => break,
                Next::Again => {
                    self.entries.go_on(key);
                    break;
                }
                Next::Event(LinkEvent::Frame(frame)) => self.frame(key, frame, context),
                Next::Event(LinkEvent::Pending(outcome)) => self.answered(key, outcome, context),
                Next::Event(LinkEvent::SessionOver(reason)) => self.session_ended(&reason),
                Next::Event(LinkEvent::Idle) => self.link_idle(key, context.now()),
                Next::Event(LinkEvent::Fault(fault)) => {
                    self.fail_link(key, fault.code(), &fault.to_string(), context);
                }
                Next::Event(LinkEvent::Unauthenticated(fault)) => {
                    self.reject_outside_node(key, &fault, context);
                }
                Next::Event(LinkEvent::Lost(why)) => return self.lose_link(key, &why, context),
            }
        }
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry.driver.link.end_turn(&mut context.resources);
            let used_up = entry.driver.link.has_used_its_share();
            let deadline = entry.deadline(&timeouts);
            self.entries.arm(key, deadline);
            if used_up {
                self.entries.go_on(key);
            }
        }
    }

    pub(super) fn link_idle(&mut self, key: Key, now: Instant) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match (&mut entry.returned, entry.node) {
            (Some(returned), _) => *returned = now,
            (None, Some(node)) => self.keeper.idle(key, node),
            (None, None) => {}
        }
        if self.once {
            self.give_back(key, now);
        } else {
            self.retire_if_unwelcome(key, now);
        }
    }

    /// The key file may be another now. Idle links whose key is gone leave, busy ones once they are idle.
    pub(super) fn read_keys_again(&mut self, context: &mut Context) {
        let Some(keys) = &mut self.keys else {
            return;
        };
        keys.reload(&context.report);
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            self.retire_if_unwelcome(key, context.now());
        }
    }

    /// What the outside node proved on this idle link is not in the key file any more.
    pub(super) fn retire_if_unwelcome(&mut self, key: Key, now: Instant) {
        let (Some(Entry::Link(entry)), Some(keys)) = (self.entries.get_mut(key), &self.keys) else {
            return;
        };
        let idle = matches!(entry.driver.stage, Stage::Idle) && entry.returned.is_none();
        if idle
            && !keys.accepts(entry.driver.link.end.proof())
            && let Some(node) = entry.node
        {
            self.keeper.retire(key, node);
            self.give_back(key, now);
        }
    }

    /// Asks the outside node, once, to take the link back.
    pub(super) fn give_back(&mut self, key: Key, now: Instant) {
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key)
            && entry.returned.is_none()
        {
            entry.driver.link.protocol.bye();
            entry.returned = Some(now);
            self.entries.wake(key);
        }
    }

    pub(super) fn frame(&mut self, key: Key, frame: Frame, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match frame {
            Frame::Welcome(node) => {
                entry.node = Some(node);
                entry.driver.stage = Stage::Idle;
                let round_trip = now.saturating_duration_since(entry.connected);
                if !self.keeper.knows(node) {
                    context.report.info(format_args!(
                        "linked to outside node {node} at {}",
                        entry.address
                    ));
                    self.warnings.links.over(now, LINK_HEALTHY);
                }
                self.keeper
                    .welcomed(key, &entry.address, node, round_trip, now);
                self.retire_if_unwelcome(key, now);
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
                // A link that was handed over and ends in order has done what was asked, whatever its sessions did.
                if self.fixed_link && !self.once {
                    self.outcome = Exit::Done;
                }
                entry.driver.stage = Stage::Leaving(LinkClose::bye(true, now));
                self.forget(key, now);
            }
            Frame::Error(code, text) => {
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
                self.part(key, code.lasts(), now);
                self.log_refusal(message, context);
            }
            _ => {}
        }
    }
}
