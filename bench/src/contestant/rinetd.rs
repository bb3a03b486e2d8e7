//! rinetd with one forwarding rule and no log.

use crate::relay::Relay;
use crate::result::Result;
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
    Relay::single(&command, site.file("rinetd.log"), clients.port())
}
