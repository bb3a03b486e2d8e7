//! The state of the outside node, and what lives in its loop.

use std::time::{Duration, Instant};

use super::client::{ClientPort, Waiting};
use super::four_ways::{FourWays, LinkDial};
use super::link_entry::LinkEntry;
use crate::event_loop::admission::Gate;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::keyed::Keys;
use crate::policy::pairing::Pairing;
use crate::policy::unauthenticated::UnauthenticatedLinks;
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::awaiting_header::AwaitingHeader;
use crate::session::close_reason::CloseReason;
use crate::session::timeouts::Timeouts;
use crate::token::Key;

/// See the module.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) entries: Entries<Entry>,
    pub(super) pairing: Pairing<Key, Key>,
    pub(super) node: NodeId,
    pub(super) ids: SessionIds,
    pub(super) services: Vec<Service>,
    /// For each listener, where clients come in by it; links come in by the others.
    pub(super) client_ports: Vec<Option<ClientPort>>,
    pub(super) client_listeners: Vec<ListenerId>,
    pub(super) link_listeners: Vec<ListenerId>,
    pub(super) four_ways: Option<FourWays>,
    pub(super) client_gate: Gate,
    pub(super) link_gate: Gate,
    pub(super) heartbeat: Duration,
    pub(super) keys: Option<Keys>,
    pub(super) timeouts: Timeouts,
    pub(super) sessions_max: usize,
    pub(super) queue_max: usize,
    pub(super) once: bool,
    pub(super) draining: bool,
    /// The only link is one that was inherited.
    pub(super) fixed_link: bool,
    /// Clients, in whatever stage.
    pub(super) clients: usize,
    /// Those of them that have yet to say who they are.
    pub(super) awaiting_headers: usize,
    /// Links that have not said HELLO.
    pub(super) unauthenticated: UnauthenticatedLinks<Key>,
    pub(super) links: usize,
    /// The node whose idle links were asked whether they are up, and until when that will do.
    pub(super) probed: Option<(NodeId, Instant)>,
    /// How the last session ended.
    pub(super) outcome: Exit,
    pub(super) warnings: Warnings,
}

#[derive(Debug)]
pub(super) struct Warnings {
    pub(super) unauthenticated: Throttle,
    pub(super) unserved: Throttle,
    pub(super) links: Throttle,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) width: u16,
}

#[derive(Debug)]
pub(super) enum Entry {
    AwaitingHeader(Box<AwaitingHeader<ClientPort>>),
    Client(Box<Waiting>),
    Link(Box<LinkEntry>),
    Dialling(Box<LinkDial>),
}

impl Outside {
    pub(super) fn session_ended(&mut self, reason: &CloseReason) {
        self.clients -= 1;
        self.outcome = reason.exit();
    }

    /// Clients without a link.
    pub(super) fn waiting(&self) -> usize {
        self.awaiting_headers + self.pairing.waiting()
    }

    /// No client waits, and none can come: links are of no more use.
    pub(super) fn is_closing(&self) -> bool {
        let served = self.once && self.ids.count() > 0 && self.clients == 0;
        (self.draining || served) && self.waiting() == 0
    }
}
