//! The state of the raw inside node, and what lives in its loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::address::Target;
use crate::event_loop::entries::Entries;
use crate::keyed::Keys;
use crate::limits::RAW_DIAL_PAUSE;
use crate::policy::backoff::Backoff;
use crate::protocol::proxy_header::Version;
use crate::report::{Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::authenticating::Authenticating;
use crate::session::close_reason::Side;
use crate::session::dialling::Dialling;
use crate::session::plain::Session;
use crate::session::timeouts::Timeouts;
use crate::sockets::dial::{Dial, DialOptions};
use crate::token::Key;

/// See the module.
#[derive(Debug)]
pub(super) struct RawInside {
    pub(super) entries: Entries<Entry>,
    pub(super) ids: SessionIds,
    pub(super) link: Target,
    pub(super) server: Target,
    pub(super) to: Arc<str>,
    pub(super) link_dial_options: DialOptions,
    pub(super) server_dial_options: DialOptions,
    pub(super) keys: Option<Keys>,
    pub(super) send_proxy: Option<Version>,
    pub(super) interval: Duration,
    pub(super) backoff: Backoff,
    pub(super) rng: fastrand::Rng,
    /// Since LINK was last connected, the next dial waits until then.
    pub(super) dial_at: Option<Instant>,
    /// The dial of LINK that is under way, until the link is proven.
    pub(super) dialling: Option<Key>,
    /// LINK is a connection that was inherited, and is in use.
    pub(super) inherited: bool,
    pub(super) timeouts: Timeouts,
    pub(super) sessions_max: usize,
    pub(super) once: bool,
    pub(super) draining: bool,
    pub(super) outcome: Exit,
    pub(super) warnings: Throttle,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all entries are sessions: the hot stage is not behind a pointer"
)]
pub(super) enum Entry {
    Link(Box<Dial>),
    Authenticating(Box<Authenticating>),
    Server(Box<Dialling>),
    Session(Session),
}

impl Entry {
    /// A byte has come by the link. (One that is still dialled has not been waited for.)
    pub(super) fn has_received(&self) -> bool {
        match self {
            Self::Link(_) | Self::Authenticating(_) => true,
            Self::Server(_) => false,
            Self::Session(session) => session.has_received(Side::Left),
        }
    }

    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self {
            Self::Link(dial) => Some(dial.deadline()),
            Self::Authenticating(authenticating) => Some(authenticating.deadline()),
            Self::Server(dialling) => Some(dialling.deadline()),
            Self::Session(session) => session.deadline(timeouts),
        }
    }
}

impl RawInside {
    pub(super) fn may_dial(&self) -> bool {
        let served = self.once && self.ids.count() > 0;
        self.dialling.is_none()
            && !self.inherited
            && !self.draining
            && !served
            && (self.entries.is_empty() || !self.link.at.is_four_way())
            && self.entries.len() < self.sessions_max
    }

    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        let linked = self.dial_at.filter(|until| *until > now);
        linked.max(self.backoff.paused_until(now))
    }

    /// The more links are up that no byte has come by, the longer the next dial waits: somebody who accepts whether a client is there
    /// or not shall not be taken for a crowd.
    pub(super) fn pause_after_link(&mut self) -> Duration {
        let unheard = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| !entry.has_received())
            .count() as u32;
        RAW_DIAL_PAUSE
            .saturating_mul(1 << unheard.min(16))
            .min(self.interval.max(RAW_DIAL_PAUSE))
    }
}
