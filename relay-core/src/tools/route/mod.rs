//! `tcpfwd`: each client is taken to the target that belongs to the port it came in by.

mod node;
mod sessions;
mod setup;
mod tool;

use self::node::Route;
use crate::config::plan::RoutePlan;
use crate::event_loop::descriptors::ExtraDescriptors;
use crate::event_loop::start;
use crate::report::{Exit, Report};

/// Runs the plan to its end.
pub fn run_route(plan: RoutePlan, report: Report) -> Exit {
    let extra = ExtraDescriptors {
        listeners: plan.routes.len(),
        spare: 0,
    };
    start(plan.settings.clone(), report, extra, |context| {
        Route::new(&plan, context)
    })
}
