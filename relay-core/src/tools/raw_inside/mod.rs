//! `connect-connect --raw`: dials LINK until it accepts, then the server, joins the two, and at once dials LINK again.
//!
//! A successful connect is the signal that a client waits. One link, one session.

mod links;
mod node;
mod sessions;
mod setup;
mod tool;

use self::node::RawInside;
use crate::config::plan::InsidePlan;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::start;
use crate::report::{Exit, Report};

/// Runs the plan to its end.
pub(crate) fn run_raw_inside(plan: InsidePlan, report: Report) -> Exit {
    start(
        plan.settings.clone(),
        report,
        ExtraDescriptors::default(),
        |context| RawInside::new(plan, context),
    )
}
