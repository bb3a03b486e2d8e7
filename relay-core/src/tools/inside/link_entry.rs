//! A link of the inside node, and the dial of one.

use std::time::{Duration, Instant};

use super::address::Address;
use super::reaching::Reaching;
use crate::protocol::frame::NodeId;
use crate::session::link_driver::{LinkDriver, Stage};
use crate::sockets::dial::Dial;

/// A link that is not connected yet.
#[derive(Debug)]
pub(super) struct LinkDial {
    pub(super) address: Address,
    pub(super) dial: Dial,
}

/// A link, and where it leads.
#[derive(Debug)]
pub(super) struct LinkEntry {
    pub(super) driver: LinkDriver<Reaching>,
    pub(super) address: Address,
    pub(super) connected: Instant,
    /// Known from WELCOME until the link leaves.
    pub(super) node: Option<NodeId>,
    /// Since when the outside node is to take the idle link back.
    pub(super) returned: Option<Instant>,
}

impl LinkEntry {
    /// When there is something to do though no event came.
    pub(super) fn deadline(
        &self,
        timeouts: &crate::session::timeouts::Timeouts,
    ) -> Option<Instant> {
        self.driver
            .deadline(timeouts)
            .into_iter()
            .chain(self.overdue_at())
            .min()
    }

    /// An idle link that was given back must be taken back soon.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let idle = matches!(self.driver.stage, Stage::Idle);
        self.returned
            .filter(|_| idle)
            .map(|returned| returned + GIVE_BACK_TIMEOUT)
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.overdue_at().is_some_and(|at| now >= at)
    }
}

/// How long the outside node has to answer a request for BYE on an idle link.
pub(super) const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(5);
