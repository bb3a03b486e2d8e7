//! socat: one process per session; and the well-known pair of commands, one that listens twice and one that dials twice.

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// One socat from the clients to the server. With its default backlog of 5, only the backlog would be measured.
pub(super) fn one(site: &Site<'_>) -> Result<Relay> {
    let mut command = site.peer("socat")?;
    command.arg(format!(
        "tcp-l:{},reuseaddr,fork,backlog=1024",
        site.clients.port()
    ));
    command.arg(format!("tcp:{}", site.server));
    Relay::single(&command, site.file("socat.log"), site.clients.port())
}

/// The pair as it is usually written: the dialling socat retries every two seconds.
pub(super) fn pair(site: &Site<'_>) -> Result<Relay> {
    start_pair(site, "2")
}

/// The pair with the shortest useful interval between two dials.
pub(super) fn fast_pair(site: &Site<'_>) -> Result<Relay> {
    start_pair(site, "0.01")
}

fn start_pair(site: &Site<'_>, interval: &str) -> Result<Relay> {
    let mut relay = Relay::default();
    let mut outside = site.peer("socat")?;
    outside.arg(format!("tcp-l:{},reuseaddr,fork", site.clients.port()));
    outside.arg(format!("tcp-l:{},reuseaddr", site.link.port()));
    relay.start(
        &outside,
        site.file("socat-outside.log"),
        Some(site.clients.port()),
    )?;
    let mut inside = site.peer("socat")?;
    inside.arg(format!(
        "tcp:{},forever,interval={interval},fork",
        site.link
    ));
    inside.arg(format!("tcp:{}", site.server));
    relay.start(&inside, site.file("socat-inside.log"), None)?;
    Ok(relay)
}
