//! Programs that listen on one address and dial another: one of them, or two in a row.

use std::net::SocketAddr;
use std::process::Command;

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// Starts one program between clients and server.
pub(super) fn one(site: &Site<'_>, name: &str, command: CommandOf) -> Result<Relay> {
    start(site, name, command, &[(site.clients, site.server)])
}

/// Starts two programs, with the link between them.
pub(super) fn two(site: &Site<'_>, name: &str, command: CommandOf) -> Result<Relay> {
    let hops = [(site.clients, site.link), (site.link, site.server)];
    start(site, name, command, &hops)
}

/// Returns the command of a program. `name` is a name for its files that no other program of the trial has.
pub(super) type CommandOf = fn(site: &Site<'_>, name: &str, hop: Hop) -> Result<Command>;

/// Where a program listens and what it dials.
pub(super) type Hop = (SocketAddr, SocketAddr);

fn start(site: &Site<'_>, name: &str, command: CommandOf, hops: &[Hop]) -> Result<Relay> {
    let mut relay = Relay::default();
    for (number, hop) in hops.iter().enumerate() {
        let name = format!("{name}-{number}");
        let log = site.file(&format!("{name}.log"));
        relay.start(&command(site, &name, *hop)?, log, Some(hop.0.port()))?;
    }
    Ok(relay)
}
