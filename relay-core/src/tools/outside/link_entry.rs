//! A link of the outside node.

use super::four_ways::Dialled;
use super::opening::Opening;
use crate::policy::unauthenticated::Origin;
use crate::protocol::frame::NodeId;
use crate::session::link_driver::LinkDriver;
use crate::sockets::accepted::Peer;

/// A link, and whose it is.
#[derive(Debug)]
pub(super) struct LinkEntry {
    pub(super) driver: LinkDriver<Opening>,
    pub(super) peer: Peer,
    pub(super) origin: Origin,
    /// It was not accepted, but dialled.
    pub(super) dialled: Option<Dialled>,
    /// Known from HELLO until the link leaves.
    pub(super) node: Option<NodeId>,
}
