//! haproxy in TCP mode, allowed to splice.

use std::net::SocketAddr;

use crate::Result;
use crate::relay::Relay;
use crate::site::Site;

/// One haproxy from the clients to the server.
pub(super) fn one(site: &Site<'_>) -> Result<Relay> {
    start(site, &[(site.clients, site.server)])
}

/// Two in a row, with the link between them.
pub(super) fn pair(site: &Site<'_>) -> Result<Relay> {
    start(site, &[(site.clients, site.link), (site.link, site.server)])
}

fn start(site: &Site<'_>, hops: &[(SocketAddr, SocketAddr)]) -> Result<Relay> {
    let mut relay = Relay::default();
    for (number, (listen, dial)) in hops.iter().enumerate() {
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
        let configuration = site.write(&format!("haproxy-{number}.cfg"), &text)?;
        let mut command = site.peer("haproxy")?;
        command.args(["-db", "-f"]).arg(configuration);
        relay.start(
            &command,
            site.file(&format!("haproxy-{number}.log")),
            Some(listen.port()),
        )?;
    }
    Ok(relay)
}
