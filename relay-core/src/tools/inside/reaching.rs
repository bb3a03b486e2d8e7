//! A session between OPEN and the server's answer.

use std::time::Instant;

use mio::event::Event;

use crate::event_loop::context::Context;
use crate::event_loop::pump_resources::PumpResources;
use crate::limits::{KEPT_BYTES_MAX, OPENED_DELAY};
use crate::protocol::frame::Kind;
use crate::protocol::link::{Event as Frame, Fault};
use crate::session::account::Account;
use crate::session::close_reason::Side;
use crate::session::link_driver::{Attempt, Pending};
use crate::session::link_end::{LinkEnd, LinkInput};
use crate::session::pump::Direction;
use crate::session::relay::Relay;
use crate::session::transfer::{ReadOutcome, Source as _};
use crate::sockets::dial::{Dial, DialError, Step};
use crate::sockets::end::End;
use crate::sockets::resolve::{Answer, LookupId};
use crate::token::{Key, Slot};

/// While the server is dialled the link is read on, so that a client that gives up is noticed. Its first bytes are held here;
/// the outside node sends no more than [`KEPT_BYTES_MAX`] of them before OPENED.
#[derive(Debug)]
pub(super) struct Reaching {
    server: Server,
    /// What the server gets first.
    preface: Box<[u8]>,
    pub(super) account: Account,
    early: Vec<u8>,
    /// END is behind them.
    ended: bool,
}

#[derive(Debug)]
pub(super) enum Server {
    Dialling(Box<Dial>),
    /// It was inherited. `None` once it was given away.
    There(Option<End>),
}

/// What became of the server.
#[derive(Debug)]
pub(super) enum Outcome {
    Reached(End),
    Unreached(DialError),
}

impl Reaching {
    pub(super) fn new(server: Server, preface: Box<[u8]>, account: Account) -> Self {
        Self {
            server,
            preface,
            account,
            early: Vec::new(),
            ended: false,
        }
    }

    pub(super) fn resolved(&mut self, lookup_id: LookupId, answer: Answer, now: Instant) {
        if let Server::Dialling(dial) = &mut self.server {
            dial.resolved(lookup_id, answer, now);
        }
    }

    fn read(&mut self, link: &mut LinkEnd, resources: &mut PumpResources) -> Option<LinkInput> {
        loop {
            match link.take(&mut resources.buffers, false, resources.now) {
                ReadOutcome::Bytes(bytes, _) if self.early.len() + bytes.len() > KEPT_BYTES_MAX => {
                    return Some(LinkInput::Fault(Fault::Unexpected(Kind::Data)));
                }
                ReadOutcome::Bytes(bytes, _) => self.early.extend_from_slice(bytes),
                ReadOutcome::Bulk => {}
                ReadOutcome::Event(LinkInput::Frame(Frame::End)) => self.ended = true,
                ReadOutcome::Event(news) => return Some(news),
                ReadOutcome::Blocked | ReadOutcome::Eof | ReadOutcome::Failed(_) => return None,
            }
        }
    }

    /// Returns when OPENED is due. If the outside node has sent all that it may send before, it waits for OPENED.
    pub(super) fn answer_is_due(&self, now: Instant) -> Instant {
        if self.early.len() < KEPT_BYTES_MAX {
            now + OPENED_DELAY
        } else {
            now
        }
    }

    /// The server is there.
    pub(super) fn into_relay(self, server: End, now: Instant) -> Relay {
        let Self {
            preface,
            mut account,
            early,
            ended,
            ..
        } = self;
        let mut from_link = Direction::behind(&preface, early);
        if ended {
            from_link.end();
            account.closed_first = Some(Side::Left);
        }
        Relay::new(
            server,
            Side::Right,
            from_link,
            Direction::new(),
            account,
            now,
        )
    }
}

impl Pending for Reaching {
    type Event = Outcome;

    fn note(&mut self, event: &Event, slot: Slot) {
        match &mut self.server {
            Server::Dialling(dial) => dial.note(event, slot),
            Server::There(Some(end)) => end.note(event, slot),
            Server::There(None) => {}
        }
    }

    fn run(&mut self, link: &mut LinkEnd, key: Key, context: &mut Context) -> Attempt<Outcome> {
        let Context {
            registry,
            resolver,
            resources,
            ..
        } = context;
        if let Some(news) = self.read(link, resources) {
            return Attempt::Link(news);
        }
        match &mut self.server {
            Server::Dialling(dial) => match dial.run(registry, resolver, key, resources.now) {
                Step::Pending => Attempt::Waiting,
                Step::Connected(end, _) => Attempt::Session(Outcome::Reached(end)),
                Step::Failed(error) => Attempt::Session(Outcome::Unreached(error)),
            },
            Server::There(end) => end.take().map_or(Attempt::Waiting, |end| {
                Attempt::Session(Outcome::Reached(end))
            }),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.server {
            Server::Dialling(dial) => Some(dial.deadline()),
            Server::There(_) => None,
        }
    }
}
