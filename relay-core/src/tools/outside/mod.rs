//! `listen-listen`: clients come in by some ports and links by another, and each client is given a link.
//!
//! An entry is a client that waits, or a link with whatever it carries. Which client gets which link is decided in
//! [`crate::policy::pairing`]; here the decision is carried out. A client is given another link only if none of its bytes can have
//! reached a server: none were sent, or the inside node refused.

mod client;
mod clients;
mod four_way_links;
mod four_ways;
mod handshake;
mod link_entry;
mod link_loss;
mod links;
mod node;
mod opening;
mod setup;
mod tool;

use self::node::Outside;
use crate::config::plan::OutsidePlan;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::start;
use crate::limits::{LINKS_SPARE, UNAUTHENTICATED_LINKS_MAX};
use crate::report::{Exit, Report};

/// Runs the plan to its end.
pub fn run_outside(mut plan: OutsidePlan, report: Report) -> Exit {
    if plan.raw {
        return crate::tools::raw_outside::run_raw_outside(plan, report);
    }
    let keys = plan.keys.take();
    let extra = ExtraDescriptors {
        listeners: plan.points(),
        // Unauthenticated links from the place of a node may be its next links: they count with those of its sessions.
        spare: LINKS_SPARE + UNAUTHENTICATED_LINKS_MAX,
    };
    start(plan.settings.clone(), report, extra, |context| {
        Outside::new(&plan, keys, context)
    })
}
