//! haproxy in TCP mode with `option splice-auto`.

use std::process::Command;

use super::row::{self, Hop};
use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// One haproxy from the clients to the server.
pub(super) fn one(site: &Site<'_>) -> Result<Relay> {
    row::one(site, "haproxy", command)
}

/// Two haproxies in a row.
pub(super) fn pair(site: &Site<'_>) -> Result<Relay> {
    row::two(site, "haproxy", command)
}

fn command(site: &Site<'_>, name: &str, (listen, dial): Hop) -> Result<Command> {
    let text = format!(
        "global
            maxconn 5000
        defaults
            mode tcp
            option splice-auto
            timeout connect 10s
            timeout client 1h
            timeout server 1h
        listen relay
            bind {listen}
            server server {dial}\n"
    );
    let configuration = site.write(&format!("{name}.cfg"), &text)?;
    let mut command = site.peer("haproxy")?;
    command.args(["-db", "-f"]).arg(configuration);
    Ok(command)
}
