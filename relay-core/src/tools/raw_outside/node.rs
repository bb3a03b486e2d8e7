//! The state of the raw outside node, and what lives in its loop.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::four_way::FourWay;
use crate::event_loop::admission::Gate;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::keyed::Keys;
use crate::policy::unauthenticated::UnauthenticatedLinks;
use crate::report::{Exit, Throttle};
use crate::session::account::{Account, SessionIds};
use crate::session::authenticating::Authenticating;
use crate::session::awaiting_header::AwaitingHeader;
use crate::session::plain::Session;
use crate::session::timeouts::Timeouts;
use crate::sockets::accepted::Accepted;
use crate::sockets::dial::Dial;
use crate::sockets::end::End;
use crate::token::Key;

/// See the module.
#[derive(Debug)]
pub(super) struct RawOutside {
    pub(super) entries: Entries<Entry>,
    pub(super) client_gate: Gate,
    pub(super) link_gate: Gate,
    pub(super) keys: Option<Keys>,
    /// Links that have not proved the key.
    pub(super) unauthenticated: UnauthenticatedLinks<Key>,
    pub(super) ids: SessionIds,
    /// Clients that wait, first come, first served.
    pub(super) waiting: VecDeque<Key>,
    pub(super) client_listeners: Vec<ListenerId>,
    pub(super) link_listeners: Vec<ListenerId>,
    /// The link, where both ends dial.
    pub(super) four_way: Option<FourWay>,
    /// The link, where it is one that was inherited.
    pub(super) fixed_link: Option<End>,
    /// The number of waiting clients for which the link port is open now.
    pub(super) told: usize,
    pub(super) wait_timeout: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) sessions_max: usize,
    pub(super) queue_max: usize,
    pub(super) once: bool,
    pub(super) draining: bool,
    pub(super) outcome: Exit,
    pub(super) unserved: Throttle,
    pub(super) refused: Throttle,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all entries are sessions: the hot stage is not behind a pointer"
)]
pub(super) enum Entry {
    AwaitingHeader(Box<AwaitingHeader<()>>),
    /// A link.
    Authenticating(Box<Authenticating>),
    Waiting(Box<Waiting>),
    Session(Session),
    /// A link.
    Dialling(Box<Dial>),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) end: End,
    pub(super) account: Account,
    pub(super) deadline: Instant,
}

impl Entry {
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self {
            Self::AwaitingHeader(awaiting) => Some(awaiting.deadline()),
            Self::Authenticating(authenticating) => Some(authenticating.deadline()),
            Self::Dialling(dial) => Some(dial.deadline()),
            Self::Waiting(waiting) => Some(waiting.deadline),
            Self::Session(session) => session.deadline(timeouts),
        }
    }
}

impl RawOutside {
    pub(super) fn waiting(&self, accepted: Accepted, account: Account, now: Instant) -> Entry {
        Entry::Waiting(Box::new(Waiting {
            end: accepted.end,
            account,
            deadline: now + self.wait_timeout,
        }))
    }

    /// Entries that are no clients.
    pub(super) fn links(&self) -> usize {
        self.unauthenticated.len() + self.dials()
    }

    pub(super) fn close_clients(&self, context: &mut Context) {
        context
            .listeners
            .close(&self.client_listeners, &context.registry);
    }
}
