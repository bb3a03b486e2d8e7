//! The texts of the demo: its page, and what it prints where it was started.

use std::net::SocketAddr;

use relay_tests::page::Request;

use crate::nodes::Nodes;

/// The page of the server at `server`, which shows the nodes through which a request came.
pub(crate) fn page(
    nodes: &Nodes,
    server: SocketAddr,
) -> impl Fn(&Request) -> String + Clone + Send + 'static {
    let (clients, links) = (nodes.clients.clone(), nodes.links.clone());
    let (outside, inside) = nodes.pids();
    move |request| {
        let Request { peer, host } = request;
        format!(
            "<!doctype html>
<meta charset=utf-8>
<title>{TITLE}</title>
<style>body {{ max-width: 44em; margin: 3em auto; font-family: sans-serif }} pre {{ line-height: 1.5 }}</style>
<h1>{TITLE}</h1>
<p>The server of this page has never heard of port 8000. It listens on {server}, which stands for a machine behind a
firewall that lets nothing in, and this request came to it from {peer}, a port of <code>connect-connect</code>.</p>
<pre>
your browser
   │  dialled {host}
   ▼
listen-listen     process {outside}, outside: clients on {clients}, links on {links}
   ▲
   │  dialled {links}
connect-connect   process {inside}, inside
   │  dialled {server}
   ▼
this page
</pre>
<p>Only the inside has dialled: nothing came in through the firewall but answers.
Reload the page, and watch the port above change: each request is a session of its own, on links that stay.</p>
"
        )
    }
}

/// What is printed once everything runs.
pub(crate) fn invitation(nodes: &Nodes, server: SocketAddr) -> String {
    let Nodes { clients, links, .. } = nodes;
    format!(
        "demo: a web server on {server}, and two nodes:
demo:     listen-listen {clients} {links}
demo:     connect-connect {links} {server}
demo: its page was fetched through them once; now look for yourself (Ctrl-C ends it):
demo:     http://{clients}/"
    )
}

/// The title of the page, by which it is recognised.
pub(crate) const TITLE: &str = "Reached through the TCP gender changer";
