//! What the loop asks of a tool.

use std::time::Instant;

use mio::event::Event;

use super::context::Context;
use super::entries::Entries;
use super::listeners::ListenerId;
use crate::linux::sandbox::Needs;
use crate::report::Exit;
use crate::sockets::accepted::Accepted;
use crate::sockets::resolve::{Answer, Requester};
use crate::token::{Key, Slot};

/// What one of the tools does with what the loop brings.
pub trait Tool {
    /// What lives in its loop.
    type Entry;

    /// The entries.
    fn entries(&mut self) -> &mut Entries<Self::Entry>;

    /// What it will look up and open while it runs, beyond its listeners.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Takes in what epoll says of an entry's descriptor.
    fn note(entry: &mut Self::Entry, event: &Event, slot: Slot);

    /// Whether one more connection can be taken from this listener.
    fn admits(&self, _listener: ListenerId) -> bool {
        false
    }

    /// A connection came in.
    fn accepted(&mut self, _listener: ListenerId, _accepted: Accepted, _context: &mut Context) {}

    /// The answer to a lookup.
    fn resolved(&mut self, _asker: Requester, _answer: Answer, _context: &mut Context) {}

    /// Does what is due in an entry.
    fn run(&mut self, key: Key, context: &mut Context);

    /// Does what the deciders say, until they say nothing more.
    fn decide(&mut self, _context: &mut Context) {}

    /// Queues the entries whose deadline has passed.
    fn expire(&mut self, now: Instant);

    /// When the deciders have something to say though nothing happens.
    fn next_decision(&self, _now: Instant) -> Option<Instant> {
        None
    }

    /// Dials now what waits for a back-off.
    fn reload(&mut self, _context: &mut Context) {}

    /// No more clients: lets what runs come to its end.
    fn drain(&mut self, context: &mut Context);

    /// Ends at once what still runs.
    fn abandon(&mut self, context: &mut Context);

    /// Sessions, and whatever else there is to say of the present state.
    fn status(&self) -> Status;

    /// How the process exits, if there is nothing more to do.
    fn done(&self) -> Option<Exit>;
}

/// The present state, for the status line.
#[derive(Debug)]
pub struct Status {
    /// Running sessions.
    pub sessions: usize,
    /// Further `name=value` pairs, each with a leading blank.
    pub more: String,
}
