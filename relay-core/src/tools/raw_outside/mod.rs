//! `listen-listen --raw`: a link is a plain connection, and carries the bytes of one client.
//!
//! That the link port accepts *is* the signal that a client waits. So the port listens only while clients wait, with a backlog
//! of one less than they are: a longer one would let more dials connect than there are clients.

mod clients;
mod dials;
mod four_way;
mod links;
mod node;
mod setup;
mod tool;

use self::node::RawOutside;
use crate::config::plan::OutsidePlan;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::start;
use crate::report::{Exit, Report};

/// Runs the plan to its end.
pub(crate) fn run_raw_outside(mut plan: OutsidePlan, report: Report) -> Exit {
    let keys = plan.keys.take();
    let extra = ExtraDescriptors {
        listeners: plan.points(),
        spare: 0,
    };
    start(plan.settings.clone(), report, extra, |context| {
        RawOutside::new(&plan, keys, context)
    })
}
