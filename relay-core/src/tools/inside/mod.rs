//! `connect-connect`: keeps links to the outside nodes, and dials a server for each client that is signalled on one.
//!
//! An entry is a link, from its dial to its end, with whatever it carries. When to dial and how many links to keep is decided in
//! [`crate::policy::keeper`]; here the decision is carried out.

mod address;
mod link_entry;
mod link_loss;
mod links;
mod node;
mod reaching;
mod sessions;
mod setup;
mod tool;

use self::node::Inside;
use crate::config::plan::InsidePlan;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::start;
use crate::limits::LINKS_SPARE;
use crate::report::{Exit, Report};

/// Runs the plan to its end.
pub fn run_inside(plan: InsidePlan, report: Report) -> Exit {
    if plan.raw {
        return crate::tools::raw_inside::run_raw_inside(plan, report);
    }
    let extra = ExtraDescriptors {
        listeners: 0,
        spare: LINKS_SPARE,
    };
    start(plan.settings.clone(), report, extra, |context| {
        Inside::new(plan, context)
    })
}
