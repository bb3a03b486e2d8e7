//! What the loop asks of the outside node.

use std::time::Instant;

use mio::event::Event;

use super::node::{Entry, Outside};
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::tool::{Status, Tool};
use crate::limits::LINKS_SPARE;
use crate::linux::sandbox::Needs;
use crate::policy::pairing::Decision;
use crate::report::Exit;
use crate::session::close_reason::CloseReason;
use crate::sockets::accepted::Accepted;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

impl Tool for Outside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let four_ways = self.four_ways.iter().flat_map(|it| &it.targets);
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling(four_ways, &[])
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::AwaitingHeader(awaiting) => awaiting.note(event, slot),
            Entry::Client(waiting) => waiting.client.end.note(event, slot),
            Entry::Link(entry) => entry.driver.note(event, slot),
            Entry::Dialling(link) => link.dial.note(event, slot),
        }
    }

    fn admits(&self, listener: ListenerId) -> bool {
        match self.client_ports[listener.0 as usize] {
            Some(_) => self.clients < self.sessions_max && self.waiting() < self.queue_max,
            None => self.links - self.unauthenticated.len() < self.sessions_max + LINKS_SPARE,
        }
    }

    fn accepted(&mut self, listener: ListenerId, accepted: Accepted, context: &mut Context) {
        let word = context.listeners.word(listener);
        match self.client_ports[listener.0 as usize].clone() {
            None => {
                let gate = &mut self.link_gate;
                if gate.admits(&accepted, word, context).is_some() {
                    self.link_accepted(accepted, context);
                }
            }
            Some(client_port) => {
                let gate = &mut self.client_gate;
                let Some(session_slot) = gate.admits(&accepted, word, context) else {
                    return;
                };
                if self.once {
                    context
                        .listeners
                        .close(&self.client_listeners, &context.registry);
                }
                self.client_accepted(&client_port, accepted, session_slot, context);
            }
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        if let Requester::Dial(key, lookup_id) = requester
            && let Some(Entry::Dialling(link)) = self.entries.get_mut(key)
        {
            link.dial.resolved(lookup_id, answer, context.now());
            self.entries.wake(key);
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::AwaitingHeader(_)) => self.run_awaiting_header(key, context),
            Some(Entry::Client(_)) => self.run_client(key, context),
            Some(Entry::Link(_)) => self.run_link(key, context),
            Some(Entry::Dialling(_)) => self.run_dial(key, context),
            None => {}
        }
    }

    fn decide(&mut self, context: &mut Context) {
        self.close_surplus_links(context);
        self.dial_four_ways(context);
        while let Some(decision) = self.pairing.next(context.now()) {
            match decision {
                Decision::Open {
                    client,
                    link,
                    ticket,
                } => self.open(client, link, ticket, context),
                Decision::Want { link, count } => {
                    if let Some(Entry::Link(entry)) = self.entries.get_mut(link) {
                        entry.driver.link.protocol.want(count);
                        self.entries.wake(link);
                    }
                }
                Decision::GiveUp(client) => {
                    let reason = self.why_no_link(client);
                    self.give_up_client(client, &reason, context);
                }
            }
        }
        if self.is_closing() {
            context
                .listeners
                .close(&self.link_listeners, &context.registry);
            for key in self.pairing.drain_idle() {
                self.send_bye(key, context);
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| match entry {
            Entry::AwaitingHeader(awaiting) => Some(awaiting.deadline()),
            // How long a client waits is for the pairing to say.
            Entry::Client(_) => None,
            Entry::Link(entry) => entry.driver.deadline(&timeouts),
            Entry::Dialling(link) => Some(link.dial.deadline()),
        });
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        let four_ways = self.four_ways.as_ref();
        let dials = four_ways.and_then(|it| it.poll_timeout(now));
        self.pairing.poll_timeout().into_iter().chain(dials).min()
    }

    fn reload(&mut self, context: &mut Context) {
        self.read_keys_again(context);
        if let Some(four_ways) = &mut self.four_ways {
            four_ways.retry_now();
        }
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        context
            .listeners
            .close(&self.client_listeners, &context.registry);
    }

    fn abandon(&mut self, context: &mut Context) {
        self.give_up_all(&CloseReason::Shutdown, context);
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            self.end_session(key, &CloseReason::Shutdown, context);
            if let Some(Entry::Link(entry)) = self.entries.remove(key) {
                self.links -= 1;
                self.unauthenticated.gone(key, entry.origin);
                entry.driver.close(context);
            }
        }
    }

    fn status(&self) -> Status {
        let more = format!(
            " waiting={} links={} idle={} denied={} strangers={}",
            self.waiting(),
            self.links,
            self.pairing.idle(),
            self.client_gate.denied() + self.link_gate.denied(),
            self.unauthenticated.closed()
        );
        Status {
            sessions: self.clients,
            more,
        }
    }

    fn done(&self) -> Option<Exit> {
        let served = self.once && self.ids.count() > 0;
        let accepts = !self.draining && !served;
        let link_gone = self.fixed_link && self.links == 0;
        let ended = (!accepts || link_gone) && self.clients == 0 && self.links == 0;
        let exit = if self.once || self.fixed_link {
            self.outcome
        } else {
            Exit::Done
        };
        ended.then_some(exit)
    }
}
