//! `tcpfwd`: a layer-4 route between two networks, for as long as it runs.

use clap::Parser;
use relay_core::config::options::{self, ClientOptions, Common, Dialing, Messages};
use relay_core::config::plan::RoutePlan;
use relay_core::report::Exit;

fn main() -> Exit {
    let typed: CommandLine = match options::parse(PROGRAM) {
        Ok(typed) => typed,
        Err(exit) => return exit,
    };
    let report = typed.messages.report(PROGRAM);
    let CommandLine {
        words,
        dialing,
        common,
        clients,
        ..
    } = &typed;
    match RoutePlan::new(words, dialing, common, clients) {
        Ok(plan) => relay_core::run_route(plan, report),
        Err(fault) => options::refuse::<CommandLine>(&report, fault),
    }
}

/// Carry TCP from LISTEN to TARGET
#[derive(Parser)]
#[command(
    version,
    override_usage = "tcpfwd [OPTIONS] LISTEN TARGET [LISTEN TARGET]..."
)]
struct CommandLine {
    /// Where clients come in and where they are taken, in turn; see relay-address(7)
    #[arg(required = true, value_name = "LISTEN TARGET")]
    words: Vec<String>,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    dialing: Dialing,

    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    clients: ClientOptions,
}

const PROGRAM: &str = env!("CARGO_BIN_NAME");
