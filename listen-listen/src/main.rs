//! `listen-listen`: the outside node. Clients and links both come to it; it gives each client to a link.

use clap::Parser;
use relay_core::config::options::{
    self, ClientOptions, Common, FourWayOptions, LinkOptions, Messages, OutsideOptions,
};
use relay_core::config::plan::OutsidePlan;
use relay_core::report::Exit;

fn main() -> Exit {
    let typed: CommandLine = match options::parse(PROGRAM) {
        Ok(typed) => typed,
        Err(exit) => return exit,
    };
    let report = typed.messages.report(PROGRAM);
    let CommandLine {
        clients,
        link,
        common,
        links,
        outside,
        client_options,
        four_way_options,
        ..
    } = &typed;
    match OutsidePlan::new(
        clients,
        link,
        common,
        links,
        outside,
        client_options,
        four_way_options,
    ) {
        Ok(plan) => relay_core::run_outside(plan, report),
        Err(fault) => options::refuse::<CommandLine>(&report, fault),
    }
}

/// Give clients that come to CLIENTS to links that come to LINK
#[derive(Parser)]
#[command(
    version,
    override_usage = "listen-listen [OPTIONS] [NAME=]CLIENTS... LINK"
)]
struct CommandLine {
    /// Where clients come in; see relay-address(7)
    #[arg(required = true, value_name = "CLIENTS")]
    clients: Vec<String>,

    /// Where connect-connect comes in
    #[arg(value_name = "LINK")]
    link: String,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    links: LinkOptions,

    #[command(flatten)]
    outside: OutsideOptions,

    #[command(flatten)]
    client_options: ClientOptions,

    #[command(flatten)]
    four_way_options: FourWayOptions,
}

const PROGRAM: &str = env!("CARGO_BIN_NAME");
