//! What the loop asks of a route.

use std::time::Instant;

use mio::event::Event;

use super::node::{Entry, Route};
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::tool::{Status, Tool};
use crate::linux::sandbox::Needs;
use crate::report::Exit;
use crate::session::close_reason::CloseReason;
use crate::sockets::accepted::Accepted;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

impl Tool for Route {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let targets = self.ways.iter().map(|way| &way.target.at);
        Needs::default()
            .dialling(targets, &self.options.via)
            .leaving_from(self.options.bind)
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::AwaitingHeader(awaiting) => awaiting.note(event, slot),
            Entry::Dialling(dialling) => dialling.note(event, slot),
            Entry::Session(session) => session.note(event, slot),
        }
    }

    fn admits(&self, _: ListenerId) -> bool {
        self.entries.len() < self.sessions_max
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        let word = context.listeners.word(listener);
        let Some(session_slot) = self.gate.admits(&accepted, word, context) else {
            return;
        };
        let way = self.way_of[listener.0 as usize];
        if self.once {
            self.close_listeners(context);
        }
        self.begin(way, accepted, session_slot, context);
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        if let Requester::Dial(key, lookup_id) = requester
            && let Some(Entry::Dialling(dialling)) = self.entries.get_mut(key)
        {
            dialling.resolved(lookup_id, answer, context.now());
            self.entries.wake(key);
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::AwaitingHeader(_)) => self.run_awaiting_header(key, context),
            Some(Entry::Dialling(_)) => self.run_dialling(key, context),
            Some(Entry::Session(_)) => self.run_session(key, context),
            None => {}
        }
        let deadline = self
            .entries
            .get_mut(key)
            .and_then(|entry| entry.deadline(&self.timeouts));
        self.entries.arm(key, deadline);
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| entry.deadline(&timeouts));
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        self.close_listeners(context);
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(entry) = self.entries.remove(key) {
                self.finish(entry, &CloseReason::Shutdown, context);
            }
        }
    }

    fn status(&self) -> Status {
        Status {
            sessions: self.entries.len(),
            more: format!(" denied={}", self.gate.denied()),
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = self.once && self.ids.count() > 0;
        let listening = !self.draining && !served;
        if listening || !self.entries.is_empty() {
            return None;
        }
        Some(if self.once { self.outcome } else { Exit::Done })
    }
}
