//! The state of the inside node, and what lives in its loop.

use std::sync::Arc;
use std::time::Duration;

use super::address::{Address, Place};
use super::link_entry::{LinkDial, LinkEntry};
use crate::config::address::Target;
use crate::event_loop::entries::Entries;
use crate::keyed::Keys;
use crate::policy::keeper::Keeper;
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Throttle};
use crate::session::timeouts::Timeouts;
use crate::sockets::dial::DialOptions;
use crate::token::Key;

/// See the module.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) entries: Entries<Entry>,
    pub(super) keeper: Keeper<Address, Key>,
    pub(super) node: NodeId,
    pub(super) link: Place,
    pub(super) services: Vec<Service>,
    pub(super) link_dial_options: DialOptions,
    pub(super) server_dial_options: DialOptions,
    pub(super) heartbeat: Duration,
    pub(super) keys: Option<Keys>,
    pub(super) timeouts: Timeouts,
    pub(super) sessions_max: usize,
    /// Sessions, in whatever stage.
    pub(super) sessions: usize,
    pub(super) once: bool,
    /// LINK is a connection that was inherited.
    pub(super) fixed_link: bool,
    pub(super) draining: bool,
    /// A session has begun.
    pub(super) served: bool,
    /// How the last session ended.
    pub(super) outcome: Exit,
    pub(super) warnings: Warnings,
}

#[derive(Debug)]
pub(super) struct Warnings {
    pub(super) links: Throttle,
    /// What the outside node says against a link is another story than that it cannot be reached.
    pub(super) refusals: Throttle,
    pub(super) servers: Throttle,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    /// Each with its name in messages.
    pub(super) ports: Vec<(Target, Arc<str>)>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Dialling(Box<LinkDial>),
    Link(Box<LinkEntry>),
}
