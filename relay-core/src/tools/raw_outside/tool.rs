//! What the loop asks of the raw outside node.

use std::time::Instant;

use mio::event::Event;

use super::four_way::FourWay;
use super::node::{Entry, RawOutside};
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::tool::{Status, Tool};
use crate::linux::sandbox::Needs;
use crate::report::Exit;
use crate::session::awaiting_header;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::plain::Progress;
use crate::sockets::accepted::{Accepted, Peer};
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

impl Tool for RawOutside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let four_way = self.four_way.iter().map(FourWay::at);
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling(four_way, &[])
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::AwaitingHeader(awaiting) => awaiting.note(event, slot),
            Entry::Authenticating(authenticating) => authenticating.note(event, slot),
            Entry::Dialling(dial) => dial.note(event, slot),
            Entry::Waiting(waiting) => waiting.end.note(event, slot),
            Entry::Session(session) => session.note(event, slot),
        }
    }

    fn admits(&self, listener: ListenerId) -> bool {
        let is_link = self.link_listeners.contains(&listener);
        let clients = self.entries.len() - self.links();
        is_link || (clients < self.sessions_max && self.waiting.len() < self.queue_max)
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        let word = context.listeners.word(listener).to_owned();
        if self.link_listeners.contains(&listener) {
            let gate = &mut self.link_gate;
            if gate.admits(&accepted, &word, context).is_some() {
                self.link_accepted(accepted.end, accepted.peer, context);
            }
            return;
        }
        let gate = &mut self.client_gate;
        if let Some(session_slot) = gate.admits(&accepted, &word, context) {
            if self.once {
                self.close_clients(context);
            }
            self.client_accepted(&word, accepted, session_slot, context);
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        if let Requester::Dial(key, lookup_id) = requester
            && let Some(Entry::Dialling(dial)) = self.entries.get_mut(key)
        {
            dial.resolved(lookup_id, answer, context.now());
            self.entries.wake(key);
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let over = match self.entries.get_mut(key) {
            None => None,
            Some(Entry::Authenticating(_)) => {
                self.run_authentication(key, context);
                None
            }
            Some(Entry::Dialling(_)) => {
                self.run_dial(key, context);
                None
            }
            Some(Entry::AwaitingHeader(awaiting)) => match awaiting.run(&mut context.resources) {
                awaiting_header::Progress::Waiting => None,
                awaiting_header::Progress::Known => self.header_read(key, context),
                awaiting_header::Progress::Over(reason) => Some(reason),
            },
            Some(Entry::Waiting(waiting)) if waiting.end.has_failed() => {
                let error = waiting.end.failure();
                Some(CloseReason::Failed(Side::Left, error))
            }
            Some(Entry::Waiting(waiting)) => {
                (now >= waiting.deadline).then_some(CloseReason::NoLink)
            }
            Some(Entry::Session(session)) => {
                match session.run(&self.timeouts, &mut context.resources) {
                    Progress::Waiting => None,
                    Progress::Again => {
                        self.entries.go_on(key);
                        None
                    }
                    Progress::Over(reason) => Some(reason),
                }
            }
        };
        match over {
            Some(reason) => self.finish(key, &reason, context),
            None => {
                let deadline = self
                    .entries
                    .get_mut(key)
                    .and_then(|entry| entry.deadline(&self.timeouts));
                self.entries.arm(key, deadline);
            }
        }
    }

    fn decide(&mut self, context: &mut Context) {
        self.close_surplus_links(context);
        if !self.waiting.is_empty()
            && let Some(link) = self.fixed_link.take()
        {
            self.link_accepted(link, Peer::Inherited, context);
        }
        self.dial_four_way(context);
        self.fit_port(context);
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| entry.deadline(&timeouts));
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        self.four_way.as_ref()?.paused_until(now)
    }

    fn reload(&mut self, context: &mut Context) {
        if let Some(keys) = &mut self.keys {
            keys.reload(&context.report);
        }
        if let Some(four_way) = &mut self.four_way {
            four_way.retry_now();
        }
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        self.close_clients(context);
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        keys.into_iter()
            .for_each(|key| self.finish(key, &CloseReason::Shutdown, context));
    }

    fn status(&self) -> Status {
        Status {
            sessions: self.entries.len() - self.links(),
            more: format!(
                " waiting={} denied={} strangers={}",
                self.waiting.len(),
                self.client_gate.denied() + self.link_gate.denied(),
                self.unauthenticated.closed()
            ),
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = self.once && self.ids.count() > 0;
        let accepts = !self.draining && !served;
        let exit = if self.once { self.outcome } else { Exit::Done };
        (!accepts && self.entries.len() == self.links()).then_some(exit)
    }
}
