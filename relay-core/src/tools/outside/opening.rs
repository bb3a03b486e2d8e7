//! A session between OPEN and the answer to it.

use std::io;
use std::time::Instant;

use mio::event::Event;

use super::client::Client;
use crate::event_loop::context::Context;
use crate::event_loop::pump_resources::PumpResources;
use crate::limits::KEPT_BYTES_MAX;
use crate::policy::pairing::Ticket;
use crate::session::close_reason::Side;
use crate::session::link_driver::{Attempt, Pending};
use crate::session::link_end::{LinkEnd, LinkInput};
use crate::session::pump::Direction;
use crate::session::relay::Relay;
use crate::session::transfer::Sink as _;
use crate::sockets::end::is_blocked;
use crate::token::{Key, Slot};

/// The client's first bytes are sent from a copy, which is kept until the inside node has said whether a server took them.
#[derive(Debug)]
pub(super) struct Opening {
    client: Client,
    ticket: Ticket,
    /// How many of the kept bytes are with the kernel.
    sent: usize,
}

/// The client was reset, or failed.
#[derive(Debug)]
pub(super) struct ClientFailed(pub(super) io::Error);

impl Opening {
    /// Most clients send at once, so their first bytes are read before epoll reports them: they travel with OPEN.
    pub(super) fn new(mut client: Client, ticket: Ticket) -> Self {
        client.end.expect_readable();
        Self {
            client,
            ticket,
            sent: 0,
        }
    }

    /// Reads the client as far as its bytes may be kept.
    fn read(&mut self, resources: &mut PumpResources) -> io::Result<()> {
        let Client {
            end, kept, ended, ..
        } = &mut self.client;
        while !*ended && kept.len() < KEPT_BYTES_MAX {
            let room = &mut resources.buffers.copy[..KEPT_BYTES_MAX - kept.len()];
            match end.recv(room) {
                Ok(0) => *ended = true,
                Ok(count) => kept.extend_from_slice(&resources.buffers.copy[..count]),
                Err(error) if is_blocked(&error) => break,
                Err(error) => return Err(error),
            }
        }
        // Bytes that may not be kept yet hide a reset behind them.
        if end.has_failed() {
            Err(end.failure())
        } else {
            Ok(())
        }
    }

    /// Sends what may be sent.
    fn send(&mut self, link: &mut LinkEnd, resources: &mut PumpResources) -> io::Result<()> {
        while self.sent < self.client.kept.len() {
            let count = link.put(
                &self.client.kept[self.sent..],
                self.client.ended,
                &mut resources.head,
                resources.now,
            )?;
            self.sent += count;
            resources.counters.copied += count as u64;
        }
        if self.client.ended {
            link.protocol.end();
        }
        Ok(())
    }

    /// Whether the link can have carried any of the client's bytes.
    pub(super) fn has_sent_nothing(&self) -> bool {
        self.sent == 0
    }

    /// The server accepted: the session goes on, and the copy is of no more use.
    pub(super) fn into_relay(self, now: Instant) -> Relay {
        let Self { client, sent, .. } = self;
        let Client {
            end,
            mut account,
            mut kept,
            ended,
            ..
        } = client;
        let unsent = kept.split_off(sent);
        if ended {
            account.closed_first = Some(Side::Left);
        }
        let to_link = if ended && unsent.is_empty() {
            Direction::finished(sent as u64)
        } else {
            let mut direction = Direction::with(unsent.into(), sent as u64);
            if ended {
                direction.end();
            }
            direction
        };
        Relay::new(end, Side::Left, Direction::new(), to_link, account, now)
    }

    /// The server did not accept, or the link is gone. What was announced on the link stays with it.
    pub(super) fn into_client(self, link: &mut LinkEnd) -> (Client, Ticket) {
        link.leave_over_bytes(&self.client.kept[self.sent..]);
        (self.client, self.ticket)
    }
}

impl Pending for Opening {
    type Event = ClientFailed;

    fn note(&mut self, event: &Event, slot: Slot) {
        self.client.end.note(event, slot);
    }

    fn run(&mut self, link: &mut LinkEnd, _: Key, context: &mut Context) -> Attempt<ClientFailed> {
        let resources = &mut context.resources;
        if let Err(error) = self.read(resources) {
            return Attempt::Session(ClientFailed(error));
        }
        match self.send(link, resources) {
            Err(error) if !is_blocked(&error) => Attempt::Link(LinkInput::Failed(error)),
            _ => link.read(resources).map_or(Attempt::Waiting, Attempt::Link),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
