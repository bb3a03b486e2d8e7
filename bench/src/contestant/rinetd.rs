//! rinetd with one rule and no log.

use crate::Result;
use crate::relay::Relay;
use crate::site::Site;

pub(super) fn start(site: &Site<'_>) -> Result<Relay> {
    let (clients, server) = (site.clients, site.server);
    let text = format!(
        "{} {} {} {}\n",
        clients.ip(),
        clients.port(),
        server.ip(),
        server.port()
    );
    let configuration = site.write("rinetd.conf", &text)?;
    let mut command = site.peer("rinetd")?;
    command.args(["-f", "-c"]).arg(configuration);
    let mut relay = Relay::default();
    relay.start(&command, site.file("rinetd.log"), Some(clients.port()))?;
    Ok(relay)
}
