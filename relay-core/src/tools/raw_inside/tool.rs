//! What the loop asks of the raw inside node.

use std::time::Instant;

use mio::event::Event;

use super::node::{Entry, RawInside};
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::tool::{Status, Tool};
use crate::linux::sandbox::Needs;
use crate::report::Exit;
use crate::session::close_reason::CloseReason;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

impl Tool for RawInside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling([&self.link.at], &self.link_dial_options.via)
            .dialling([&self.server.at], &self.server_dial_options.via)
            .leaving_from(self.link_dial_options.bind)
            .leaving_from(self.server_dial_options.bind)
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
        let Requester::Dial(key, lookup_id) = requester else {
            return;
        };
        match self.entries.get_mut(key) {
            Some(Entry::Link(dial)) => dial.resolved(lookup_id, answer, context.now()),
            Some(Entry::Server(dialling)) => dialling.resolved(lookup_id, answer, context.now()),
            Some(Entry::Authenticating(_) | Entry::Session(_)) | None => return,
        }
        self.entries.wake(key);
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::Link(_)) => self.run_link(key, context),
            Some(Entry::Authenticating(_)) => self.run_authentication(key, context),
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
        self.backoff.retry_now();
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
