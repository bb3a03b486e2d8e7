//! Side-by-side measurements of TCP relays.
//!
//! A *contestant* connects the clients to the server: with no relay, with one, or with two in a row. A *load* is what the
//! clients do. A *trial* measures one load through one contestant, in a process and a network namespace of its own. A
//! *round* measures every load through every contestant once. The program runs the rounds one after the other and collects
//! the figures that each trial prints to stdout. From these it computes medians, ranges, and ratios to the direct
//! connection and to the bound *of the same round*, because a slow machine slows both.
//!
//! ```text
//! main ─ rounds ─► namespace ─► trial_process ─┬► trial ─► contestant ─► relay (its processes)
//!          │                                   │    └───► server (in the process of the trial)
//!          │                                   └► clients (in the process of the trial)
//!          └─► line ─► figures ─► targets, report
//! ```
//!
//! The trials of [`punch_process`] have neither a contestant nor a load. They measure how long two hosts behind firewalls
//! take to connect to each other.
//!
//! `make bench` runs everything. To see the effect of a change, run less:
//!
//! ```text
//! cargo run --release -p relay-bench -- --quick
//! cargo run --release -p relay-bench -- --rounds 5 --only direct,bound,tcpfwd --measure bulk-1,sessions
//! cargo run --release -p relay-bench -- --measure four-way --trials 10
//! ```
//!
//! A separate command measures the cost of 10,000 listening ports in one process:
//!
//! ```text
//! cargo run --release -p relay-bench -- ports
//! ```
//!
//! Other work on the machine changes the figures. If the figures of the direct connection differ much between two rounds,
//! do not trust the ratios.

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
            // If stderr is closed, this error cannot be reported.
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
