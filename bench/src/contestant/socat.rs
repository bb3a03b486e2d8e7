//! socat: a process for each session, and the well-known pair of commands that listen twice and dial twice.

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// From the clients to the server. The backlog of 5 that socat has by itself would be what is measured.
pub(super) fn one(site: &Site<'_>) -> Result<Relay> {
    let mut command = site.peer("socat")?;
    command.arg(format!(
        "tcp-l:{},reuseaddr,fork,backlog=1024",
        site.clients.port()
    ));
    command.arg(format!("tcp:{}", site.server));
    Relay::single(&command, site.file("socat.log"), site.clients.port())
}

/// The pair as it is usually written.
pub(super) fn pair(site: &Site<'_>) -> Result<Relay> {
    start_pair(site, "2")
}

/// The pair, dialling as often as it usefully can.
pub(super) fn hasty_pair(site: &Site<'_>) -> Result<Relay> {
    start_pair(site, "0.01")
}

fn start_pair(site: &Site<'_>, interval: &str) -> Result<Relay> {
    let mut relay = Relay::default();
    let mut outer = site.peer("socat")?;
    outer.arg(format!("tcp-l:{},reuseaddr,fork", site.clients.port()));
    outer.arg(format!("tcp-l:{},reuseaddr", site.link.port()));
    relay.start(
        &outer,
        site.file("socat-outer.log"),
        Some(site.clients.port()),
    )?;
    let mut inner = site.peer("socat")?;
    inner.arg(format!(
        "tcp:{},forever,interval={interval},fork",
        site.link
    ));
    inner.arg(format!("tcp:{}", site.server));
    relay.start(&inner, site.file("socat-inner.log"), None)?;
    Ok(relay)
}
