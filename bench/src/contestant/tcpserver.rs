//! tcpserver, which starts an nc for each session.

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

pub(super) fn start(site: &Site<'_>) -> Result<Relay> {
    let netcat = site.peer("nc")?;
    let mut command = site.peer("tcpserver")?;
    command
        .args(["-RHl0", "-c5000", "-b1024", "127.0.0.1"])
        .arg(site.clients.port().to_string());
    command
        .arg(netcat.get_program())
        .args(["-N", "127.0.0.1"])
        .arg(site.server.port().to_string());
    Relay::single(&command, site.file("tcpserver.log"), site.clients.port())
}
