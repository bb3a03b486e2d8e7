//! `listen-listen`: the outside node. It accepts clients and links, and gives each client a link.

use relay_core::config::options::{OutsideLine, run_tool};
use relay_core::config::plan::OutsidePlan;
use relay_core::report::Exit;
use relay_core::run_outside;

fn main() -> Exit {
    run_tool(
        env!("CARGO_BIN_NAME"),
        |line: &OutsideLine| OutsidePlan::new(line),
        run_outside,
    )
}
