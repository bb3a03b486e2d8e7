//! listen-listen and connect-connect with a link between them.

use std::ffi::OsStr;
use std::net::SocketAddr;

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// Both nodes with their default options.
pub(super) fn plain(site: &Site<'_>) -> Result<Relay> {
    let mut relay = Relay::default();
    start(site, &mut relay, &[], (site.link, site.link), |_| Ok(()))?;
    Ok(relay)
}

/// Starts both nodes with `options`. listen-listen accepts the link on the first address of `link`, connect-connect dials
/// the second. `between` starts what passes the link on from the second to the first.
pub(super) fn start(
    site: &Site<'_>,
    relay: &mut Relay,
    options: &[&OsStr],
    (accepted, dialled): (SocketAddr, SocketAddr),
    between: impl FnOnce(&mut Relay) -> Result<()>,
) -> Result<()> {
    let mut outside = site.tool("listen-listen")?;
    outside.args(options);
    outside
        .arg(site.clients.to_string())
        .arg(accepted.to_string());
    let log = site.file("listen-listen.log");
    relay.start(&outside, log, Some(accepted.port()))?;
    between(relay)?;
    let mut inside = site.tool("connect-connect")?;
    inside.args(options);
    inside.arg(dialled.to_string()).arg(site.server.to_string());
    relay.start(&inside, site.file("connect-connect.log"), None)
}
