//! The state of a route, and what lives in its loop.

use std::sync::Arc;
use std::time::Instant;

use crate::config::address::Target;
use crate::event_loop::admission::Gate;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::event_loop::listeners::ListenerId;
use crate::report::{Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::awaiting_header::AwaitingHeader;
use crate::session::dialling::Dialling;
use crate::session::plain::Session;
use crate::session::timeouts::Timeouts;
use crate::sockets::dial::DialOptions;

/// See the module.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) entries: Entries<Entry>,
    pub(super) ways: Vec<Way>,
    /// For each listener, its place in `ways`.
    pub(super) way_of: Vec<usize>,
    pub(super) options: DialOptions,
    pub(super) timeouts: Timeouts,
    pub(super) gate: Gate,
    pub(super) ids: SessionIds,
    pub(super) sessions_max: usize,
    pub(super) once: bool,
    pub(super) draining: bool,
    /// How the last session ended.
    pub(super) outcome: Exit,
    pub(super) unreached: Throttle,
}

/// From a port to a target.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) listeners: Vec<ListenerId>,
    pub(super) target: Target,
    /// The target, as messages name it.
    pub(super) to: Arc<str>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all entries are sessions: the hot stage is not behind a pointer"
)]
pub(super) enum Entry {
    /// With the place in `ways`.
    AwaitingHeader(Box<AwaitingHeader<usize>>),
    Dialling(Box<Dialling>),
    Session(Session),
}

impl Entry {
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self {
            Self::AwaitingHeader(awaiting) => Some(awaiting.deadline()),
            Self::Dialling(dialling) => Some(dialling.deadline()),
            Self::Session(session) => session.deadline(timeouts),
        }
    }
}

impl Route {
    pub(super) fn close_listeners(&self, context: &mut Context) {
        for way in &self.ways {
            context.listeners.close(&way.listeners, &context.registry);
        }
    }
}
