//! `connect-connect`: the inside node. It dials out to keep links ready, and dials a server for each client that a
//! link signals.

use clap::Parser;
use relay_core::config::options::{self, Common, Dialing, InsideOptions, LinkOptions, Messages};
use relay_core::config::plan::InsidePlan;
use relay_core::report::Exit;

fn main() -> Exit {
    let typed: CommandLine = match options::parse(PROGRAM) {
        Ok(typed) => typed,
        Err(exit) => return exit,
    };
    let report = typed.messages.report(PROGRAM);
    let CommandLine {
        link,
        servers,
        dialing,
        common,
        links,
        inside,
        ..
    } = &typed;
    match InsidePlan::new(link, servers, dialing, common, links, inside) {
        Ok(plan) => relay_core::run_inside(plan, report),
        Err(fault) => options::refuse::<CommandLine>(&report, fault),
    }
}

/// Keep links to LINK, and take the clients that come on them to SERVER
#[derive(Parser)]
#[command(
    version,
    override_usage = "connect-connect [OPTIONS] LINK [NAME=]SERVER..."
)]
struct CommandLine {
    /// Where listen-listen waits for links; see relay-address(7)
    #[arg(value_name = "LINK")]
    link: String,

    /// Where clients are taken
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<String>,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    dialing: Dialing,

    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    links: LinkOptions,

    #[command(flatten)]
    inside: InsideOptions,
}

const PROGRAM: &str = env!("CARGO_BIN_NAME");
