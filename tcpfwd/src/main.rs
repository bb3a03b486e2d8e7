//! `tcpfwd`: a layer-4 route between two networks, for as long as it runs.

use relay_core::config::options::{RouteLine, run_tool};
use relay_core::config::plan::RoutePlan;
use relay_core::report::Exit;
use relay_core::run_route;

fn main() -> Exit {
    run_tool(
        env!("CARGO_BIN_NAME"),
        |line: &RouteLine| RoutePlan::new(line),
        run_route,
    )
}
