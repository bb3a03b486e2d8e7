//! Side-by-side measurements of TCP relays.
//!
//! A *contestant* is a way from the client's port to the server's: no relay at all, one, or two in a row. A *load* is
//! what the clients do. One measurement of a load through a contestant is a *trial*, in a process and a network namespace
//! of its own; a *round* is every load through every contestant, once. The program runs the rounds one after the other,
//! collects the figures that each trial prints on stdout, and reduces them to medians, ranges, and ratios to the direct
//! connection and to the bound *of the same round*: what slows the machine for a while slows both.
//!
//! ```text
//! main ─ rounds ─► namespace ─► trial_process ─► trial ─► relay (processes of a contestant)
//!          │                                       └────► load  (clients and server, in this process)
//!          └─► figures ─► report, targets
//! ```
//!
//! Beside the rounds stand the trials of [`punch`], which have neither contestants nor a load: how long two hosts behind
//! firewalls take to meet.
//!
//! `make bench` runs everything. While something is tuned, less is enough:
//!
//! ```text
//! cargo run --release -p relay-bench -- --quick
//! cargo run --release -p relay-bench -- --rounds 5 --only direct,bound,tcpfwd --measure bulk-1,sessions
//! cargo run --release -p relay-bench -- --measure four-way --trials 10
//! ```
//!
//! What a process costs that listens on 10,000 ports is a measure of its own:
//!
//! ```text
//! cargo run --release -p relay-bench -- ports
//! ```
//!
//! What else is busy on the machine is in the figures: when the direct connection of two rounds differs much, none of
//! the ratios means anything.

mod args;
mod bound;
mod client;
mod clients;
mod columns;
mod contestant;
mod figures;
mod flood;
mod leash;
mod line;
mod listeners;
mod load;
mod machine;
mod namespace;
mod ports;
mod process_tree;
mod punch;
mod punch_process;
mod punches;
mod quantity;
mod relay;
mod report;
mod result;
mod rounds;
mod scratch;
mod server;
mod service;
mod site;
mod spread;
mod table;
mod targets;
mod trial;
mod trial_process;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Command, CommandLine};
use crate::result::Result;

fn main() -> ExitCode {
    match run(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell that stderr is closed.
            let _ = writeln!(std::io::stderr(), "relay-bench: fatal: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command_line: CommandLine) -> Result<()> {
    match command_line.command {
        Some(Command::Bound { listen, dial }) => bound::serve(listen, dial),
        Some(Command::Ports { binaries }) => ports::run(binaries.as_deref()),
        Some(Command::Trial(args)) => trial_process::run(&args),
        Some(Command::Punches { trials }) => punch_process::run(trials),
        Some(Command::Leash { command }) => leash::become_command(&command),
        None => rounds::run(&command_line.options),
    }
}
