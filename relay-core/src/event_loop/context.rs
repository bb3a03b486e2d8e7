//! What the loop lends to its tool.

use std::time::Instant;

use mio::Registry;

use super::listeners::Listeners;
use super::pump_resources::PumpResources;
use crate::config::settings::Settings;
use crate::report::Report;
use crate::sockets::dial_queue::DialQueue;
use crate::sockets::resolve::Resolver;

/// What a tool works with.
#[derive(Debug)]
pub struct Context {
    /// For the registration of descriptors.
    pub registry: Registry,
    /// For the pumps, and the time.
    pub resources: PumpResources,
    /// For names.
    pub resolver: Resolver,
    /// For 4way dials.
    pub dial_queue: DialQueue,
    /// The listening sockets.
    pub listeners: Listeners,
    /// Where messages go.
    pub report: Report,
    /// What holds for every session.
    pub settings: Settings,
}

impl Context {
    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.resources.now
    }
}
