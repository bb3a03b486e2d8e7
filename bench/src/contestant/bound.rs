//! The bound of [`crate::bound`], as a process of this program.

use std::process::Command;

use super::row::{self, Hop};
use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// One bound from the clients to the server.
pub(super) fn one(site: &Site<'_>) -> Result<Relay> {
    row::one(site, "bound", command)
}

/// Two bounds in a row.
pub(super) fn pair(site: &Site<'_>) -> Result<Relay> {
    row::two(site, "bound", command)
}

fn command(_: &Site<'_>, _: &str, (listen, dial): Hop) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("bound")
        .arg(listen.to_string())
        .arg(dial.to_string());
    Ok(command)
}
