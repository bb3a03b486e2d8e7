//! A raw link whose peer has not proved yet that it holds the key (`--raw --key-file`). It is no session's before it has.

use std::time::Instant;

use mio::event::Event;

use crate::keyed::link_fault;
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::link::strangers::Origin;
use crate::report;
use crate::socket::end::{End, is_blocked};
use crate::socket::listen::Peer;
use crate::token::Slot;

/// See the module.
#[derive(Debug)]
pub struct Proving {
    end: End,
    /// Who it is, so far.
    pub peer: Peer,
    deadline: Instant,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress {
    /// More is to come.
    Waiting,
    /// The peer holds the key.
    Proven,
    /// It does not, or is gone: why, and whether somebody has to change something before it can.
    Failed(String, bool),
}

impl Proving {
    /// The link is connected, registered and protected.
    pub fn new(end: End, peer: Peer, now: Instant) -> Box<Self> {
        Box::new(Self {
            end,
            peer,
            deadline: now + HANDSHAKE_TIMEOUT,
        })
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        self.end.note(event, slot);
    }

    /// Where it comes from.
    pub fn origin(&self) -> Origin {
        Origin::from(self.peer.address().map(|address| address.ip()))
    }

    /// When it has failed though nothing came.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Says and hears what is due.
    pub fn run(&mut self, now: Instant) -> Progress {
        match self.end.prove() {
            Ok(()) => Progress::Proven,
            Err(error) if !is_blocked(&error) => {
                let lasting = link_fault(&error).is_some_and(|fault| fault.is_lasting());
                Progress::Failed(report::reason(&error), lasting)
            }
            Err(_) if now >= self.deadline => {
                Progress::Failed("no greeting in time".to_owned(), false)
            }
            Err(_) => Progress::Waiting,
        }
    }

    /// The link, once it is proven.
    pub fn into_link(self) -> (End, Peer) {
        (self.end, self.peer)
    }

    /// The peer is told why, as far as the socket takes it.
    pub fn part(self) {
        self.end.close();
    }
}
