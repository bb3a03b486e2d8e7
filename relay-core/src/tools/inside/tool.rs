//! What the loop asks of the inside node.

use std::time::Instant;

use mio::event::Event;

use super::node::{Entry, Inside};
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::tool::{Status, Tool};
use crate::linux::sandbox::Needs;
use crate::policy::keeper::Decision;
use crate::report::Exit;
use crate::session::close_reason::CloseReason;
use crate::session::link_driver::Stage;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

impl Tool for Inside {
    type Entry = Entry;

    fn entries(&mut self) -> &mut Entries<Entry> {
        &mut self.entries
    }

    fn needs(&self) -> Needs {
        let links = self.link.targets().map(|target| &target.at);
        let servers = self.services.iter().flat_map(|service| &service.ports);
        Needs::default()
            .holding(self.keys.as_ref())
            .dialling(links, &self.link_dial_options.via)
            .dialling(
                servers.map(|(target, _)| &target.at),
                &self.server_dial_options.via,
            )
            .leaving_from(self.link_dial_options.bind)
            .leaving_from(self.server_dial_options.bind)
    }

    fn note(entry: &mut Entry, event: &Event, slot: Slot) {
        match entry {
            Entry::Dialling(link) => link.dial.note(event, slot),
            Entry::Link(entry) => entry.driver.note(event, slot),
        }
    }

    fn resolved(&mut self, requester: Requester, answer: Answer, context: &mut Context) {
        match requester {
            Requester::Keeper => self.looked_up(answer, context),
            Requester::Dial(key, lookup_id) => {
                match self.entries.get_mut(key) {
                    Some(Entry::Dialling(link)) => {
                        link.dial.resolved(lookup_id, answer, context.now());
                    }
                    Some(Entry::Link(entry)) => {
                        if let Stage::Pending(reaching) = &mut entry.driver.stage {
                            reaching.resolved(lookup_id, answer, context.now());
                        }
                    }
                    None => return,
                }
                self.entries.wake(key);
            }
        }
    }

    fn run(&mut self, key: Key, context: &mut Context) {
        match self.entries.get_mut(key) {
            Some(Entry::Dialling(_)) => self.run_dial(key, context),
            Some(Entry::Link(_)) => self.run_link(key, context),
            None => {}
        }
    }

    fn decide(&mut self, context: &mut Context) {
        if self.fixed_link {
            return;
        }
        while let Some(decision) = self.keeper.next(context.now()) {
            match decision {
                Decision::Lookup => self.look_up(context),
                Decision::Dial(address) => self.dial(address, context),
                Decision::Return(link) => self.give_back(link, context.now()),
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let timeouts = self.timeouts;
        self.entries.expire(now, |entry| match entry {
            Entry::Dialling(link) => Some(link.dial.deadline()),
            Entry::Link(entry) => entry.deadline(&timeouts),
        });
    }

    fn next_decision(&self, now: Instant) -> Option<Instant> {
        self.keeper.poll_timeout(now)
    }

    fn reload(&mut self, context: &mut Context) {
        self.read_keys_again(context);
        self.keeper.retry_now();
    }

    fn drain(&mut self, context: &mut Context) {
        self.draining = true;
        self.keeper.drain();
        // Once HELLO is out, a client may be on its way.
        let header_read = |entry: &Entry| matches!(entry, Entry::Link(entry) if !entry.driver.link.end.is_authenticating());
        let keys: Vec<_> = self
            .entries
            .iter_mut()
            .map(|(key, entry)| (key, header_read(entry)))
            .collect();
        for (key, header_read) in keys {
            if header_read {
                self.give_back(key, context.now());
            } else {
                self.entries.remove(key);
            }
        }
    }

    fn abandon(&mut self, context: &mut Context) {
        let keys: Vec<Key> = self.entries.iter_mut().map(|(key, _)| key).collect();
        for key in keys {
            self.end_session(key, &CloseReason::Shutdown, context);
            if let Some(Entry::Link(entry)) = self.entries.remove(key) {
                entry.driver.close(context);
            }
        }
    }

    fn status(&self) -> Status {
        let more = format!(
            " links={} idle={}",
            self.keeper.established(),
            self.keeper.idle_links()
        );
        Status {
            sessions: self.sessions,
            more,
        }
    }

    fn done(&self) -> Option<Exit> {
        let ends = self.draining || self.fixed_link || (self.once && self.served);
        let exit = if self.once || self.fixed_link {
            self.outcome
        } else {
            Exit::Done
        };
        (ends && self.entries.is_empty()).then_some(exit)
    }
}
