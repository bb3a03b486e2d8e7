//! `connect-connect`: the inside node. It keeps links to the outside node, and dials a server for each client that a link
//! signals.

use relay_core::config::options::{InsideLine, run_tool};
use relay_core::config::plan::InsidePlan;
use relay_core::report::Exit;
use relay_core::run_inside;

fn main() -> Exit {
    run_tool(
        env!("CARGO_BIN_NAME"),
        |line: &InsideLine| InsidePlan::new(line),
        run_inside,
    )
}
