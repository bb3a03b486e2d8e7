//! How to dial: the options of all addresses and of 4way addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::address::{BindAddress, Proxy};
use crate::config::family::Family;
use crate::config::settings::Settings;
use crate::report::Report;
use crate::sockets::dial_queue::DialQueue;
use crate::sockets::options::Purpose;

/// How to dial.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// What the sockets are for.
    pub purpose: Purpose,
    /// Which addresses count.
    pub family: Family,
    /// The local address.
    pub bind: Option<BindAddress>,
    /// The proxies on the way, the first one first; none leads straight there.
    pub via: Arc<[Proxy]>,
    /// For all addresses together, the lookup included.
    pub timeout: Duration,
    /// What holds for 4way addresses instead.
    pub four_way: FourWayDialOptions,
}

impl DialOptions {
    /// The family is wanted, and is that of the local address.
    pub(super) fn may_leave_for(&self, address: &SocketAddr) -> bool {
        let bind = self.bind.and_then(|bind| bind.ip);
        self.family.allows(address.ip()) && bind.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4())
    }

    /// As asked for.
    pub fn of(settings: &Settings, purpose: Purpose) -> Self {
        Self {
            purpose,
            family: settings.family,
            bind: settings.bind,
            via: settings.via.clone(),
            timeout: settings.connect_timeout,
            four_way: FourWayDialOptions {
                timeout: settings.four_way_timeout,
                clock_offset: settings.four_way_clock_offset,
                after_loss: false,
                report: None,
                dial_queue: DialQueue::default(),
            },
        }
    }

    /// Tells there how dials go that may take long, and takes turns with those of the same loop.
    #[must_use]
    pub fn within(mut self, report: &Report, dial_queue: &DialQueue) -> Self {
        self.four_way.report = Some(report.clone());
        self.four_way.dial_queue = dial_queue.clone();
        self
    }
}

/// What is particular to such dials.
#[derive(Clone, Debug, Default)]
pub struct FourWayDialOptions {
    /// For how long tries are made; without end if `None`.
    pub timeout: Option<Duration>,
    /// Added to the wall clock, for tests.
    pub clock_offset: Duration,
    /// A connection of the same ports has just broken.
    pub after_loss: bool,
    /// Where the progress of long dials is logged.
    pub report: Option<Report>,
    /// Dials of one address are made one after the other.
    pub dial_queue: DialQueue,
}
