//! A client that waits while its server is dialled.

use std::time::Instant;

use mio::event::Event;

use crate::event_loop::context::Context;
use crate::session::account::Account;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::plain::Session;
use crate::sockets::dial::{Dial, Step};
use crate::sockets::end::{End, is_blocked};
use crate::sockets::resolve::{Answer, LookupId};
use crate::token::{Key, Slot};

/// The left end is there, the right one is on its way. A client that has sent its end of file is still a client.
#[derive(Debug)]
pub struct Dialling {
    left: End,
    dial: Dial,
    /// What the server gets first.
    preface: Box<[u8]>,
    account: Account,
}

/// How far it is.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at once and taken apart at once"
)]
pub enum Progress {
    /// Not done.
    Waiting(Box<Dialling>),
    /// Both ends are there.
    Joined(Session),
    /// The dial failed, or the client is gone.
    Over(CloseReason, Box<Dialling>),
}

impl Dialling {
    /// The dial has begun.
    pub fn new(left: End, dial: Dial, preface: Box<[u8]>, account: Account) -> Box<Self> {
        Box::new(Self {
            left,
            dial,
            preface,
            account,
        })
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        match slot {
            Slot::LEFT | Slot::LEFT_WRITE => self.left.note(event, slot),
            _ => self.dial.note(event, slot),
        }
    }

    /// The answer to the lookup.
    pub fn resolved(&mut self, lookup_id: LookupId, answer: Answer, now: Instant) {
        self.dial.resolved(lookup_id, answer, now);
    }

    /// When there is something to do though nothing happened.
    pub fn deadline(&self) -> Instant {
        self.dial.deadline()
    }

    /// Does what is due.
    pub fn run(mut self: Box<Self>, key: Key, context: &mut Context) -> Progress {
        if self.left.has_failed() {
            let error = self.left.failure();
            return Progress::Over(CloseReason::Failed(Side::Left, error), self);
        }
        if let Err(error) = self.left.attend()
            && !is_blocked(&error)
        {
            return Progress::Over(CloseReason::Failed(Side::Left, error), self);
        }
        let now = context.now();
        let Context {
            registry, resolver, ..
        } = context;
        match self.dial.run(registry, resolver, key, now) {
            Step::Pending => Progress::Waiting(self),
            Step::Connected(right, _) => Progress::Joined(Session::new(
                self.left,
                right,
                self.preface,
                self.account,
                now,
            )),
            Step::Failed(error) => {
                Progress::Over(CloseReason::of_dial(&error, &self.account.to), self)
            }
        }
    }

    /// Taken apart: the client's end, and what is known of the session.
    pub fn into_left(self) -> (End, Account) {
        (self.left, self.account)
    }
}
