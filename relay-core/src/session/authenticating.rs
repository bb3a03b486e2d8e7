//! A raw link whose peer has not proved yet that it holds the key (`--raw --key-file`). It is no session's before it has.

use std::io;
use std::time::Instant;

use mio::event::Event;

use crate::keyed::{Fault, Keys, link_fault};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::policy::unauthenticated::Origin;
use crate::report;
use crate::sockets::accepted::Peer;
use crate::sockets::end::{End, is_blocked};
use crate::token::Slot;

/// See the module.
#[derive(Debug)]
pub struct Authenticating {
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
    /// It does not, or is gone.
    Failed {
        /// Why.
        why: String,
        /// The fault lasts until a configuration is changed.
        lasting: bool,
    },
}

impl Authenticating {
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

    /// Says and hears what is due. These are the keys of now, which may be others than when the link was protected.
    pub fn run(&mut self, keys: Option<&Keys>, now: Instant) -> Progress {
        match self.end.authenticate() {
            Ok(()) if keys.is_some_and(|keys| !keys.accepts(self.end.proof())) => {
                Progress::failed(&Fault::WrongKey.into())
            }
            Ok(()) => Progress::Proven,
            Err(error) if !is_blocked(&error) => Progress::failed(&error),
            Err(_) if now >= self.deadline => Progress::Failed {
                why: "no greeting in time".to_owned(),
                lasting: false,
            },
            Err(_) => Progress::Waiting,
        }
    }

    /// The link, once it is proven.
    pub fn into_link(self) -> (End, Peer) {
        (self.end, self.peer)
    }

    /// Sends the peer the reason, as far as the socket takes it.
    pub fn part(self) {
        self.end.close();
    }
}

impl Progress {
    fn failed(error: &io::Error) -> Self {
        Self::Failed {
            why: report::reason(error),
            lasting: link_fault(error).is_some_and(Fault::is_lasting),
        }
    }
}
