//! `make demo`: a web page behind an imaginary firewall, reached through both nodes.
//!
//! Starts a web server, `listen-listen` and `connect-connect` on the ports of the README, all on 127.0.0.1; fetches
//! the page once through them; prints its address, and runs until Ctrl-C. `demo CLIENTS LINKS SERVER` takes
//! other ports, where 0 is one that the system picks.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demo talks to whoever watches"
)]

mod nodes;
mod ports;
mod texts;

use std::env;
use std::io;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use relay_tests::page;

use crate::nodes::Nodes;
use crate::ports::Ports;

fn main() -> ExitCode {
    let Some(ports) = Ports::from_words(env::args().skip(1)) else {
        eprintln!("demo: fatal: usage: demo [CLIENTS LINKS SERVER], each a port");
        return ExitCode::from(EXIT_USAGE);
    };
    match run(&ports) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("demo: fatal: {why}");
            ExitCode::from(EXIT_TEMPORARY)
        }
    }
}

fn run(ports: &Ports) -> Result<(), String> {
    // Before the first thread starts, because threads inherit the blocked signals.
    let events = watched_signals()?;
    ports.find_free()?;
    let server = ports.take_server()?;
    let address = server.local_addr().map_err(io_error)?;
    let mut nodes = Nodes::start(ports, address)?;
    page::serve(server, texts::page(&nodes, address));
    fetch_once(&nodes)?;
    println!("{}", texts::invitation(&nodes, address));
    wait(&events, &mut nodes)
}

/// Checks that the page is reached through both nodes.
fn fetch_once(nodes: &Nodes) -> Result<(), String> {
    let page = page::fetch(&nodes.clients)
        .map_err(|error| format!("the page cannot be fetched: {error}"))?;
    if !page.contains(texts::TITLE) {
        return Err(format!("{} serves another page", nodes.clients));
    }
    Ok(())
}

/// Waits for Ctrl-C or another request to end, or for the end of a node.
fn wait(events: &SigSet, nodes: &mut Nodes) -> Result<(), String> {
    loop {
        match events.wait().map_err(io_error)? {
            Signal::SIGCHLD => nodes.check()?,
            _ => return Ok(()),
        }
    }
}

fn watched_signals() -> Result<SigSet, String> {
    let signals = SigSet::from_iter([
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ]);
    signals.thread_block().map_err(io_error)?;
    Ok(signals)
}

fn io_error(error: impl Into<io::Error>) -> String {
    error.into().to_string()
}

/// The exit statuses of ucspi-tcp: for a wrong command line, and for a temporary or system fault.
const EXIT_USAGE: u8 = 100;
const EXIT_TEMPORARY: u8 = 111;
