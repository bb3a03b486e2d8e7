//! tcpfwd with its default options.

use std::process::Command;

use super::row::{self, Hop};
use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

pub(super) fn start(site: &Site<'_>) -> Result<Relay> {
    row::one(site, "tcpfwd", command)
}

fn command(site: &Site<'_>, _: &str, (listen, dial): Hop) -> Result<Command> {
    let mut command = site.tool("tcpfwd")?;
    command.arg(listen.to_string()).arg(dial.to_string());
    Ok(command)
}
