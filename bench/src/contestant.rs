//! Who is measured: how each is started, as its users would start it.

mod haproxy;
mod keyed;
mod nginx;
mod rinetd;
mod socat;
mod ssh;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Command;

use crate::Result;
use crate::load::Load;
use crate::relay::Relay;
use crate::site::Site;

/// One way from the clients to the server.
pub(crate) struct Contestant {
    /// On the command line.
    pub(crate) name: &'static str,
    /// In the report.
    pub(crate) title: &'static str,
    /// The tables it stands in.
    pub(crate) contests: &'static [Contest],
    /// Starts its processes, and waits until they listen.
    pub(crate) start: fn(&Site<'_>) -> Result<Relay>,
    /// Loads that would tell nothing about it, or take too long.
    sits_out: &'static [Load],
}

/// What is compared with each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contest {
    /// One relay between client and server.
    OneRelay,
    /// Two, and a link between them.
    TwoNodes,
}

impl Contest {
    /// What bulk is compared with.
    pub(crate) fn bound(self) -> &'static str {
        match self {
            Contest::OneRelay => "bound",
            Contest::TwoNodes => "bound-pair",
        }
    }
}

impl Contestant {
    pub(crate) fn named(name: &str) -> Result<&'static Contestant> {
        ALL.iter()
            .find(|contestant| contestant.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = ALL.iter().map(|contestant| contestant.name).collect();
                format!(
                    "no contestant is called {name:?}; there are {}",
                    known.join(", ")
                )
                .into()
            })
    }

    /// Whether it is measured under `load`.
    pub(crate) fn takes(&self, load: Load) -> bool {
        !self.sits_out.contains(&load)
    }
}

/// Everybody, in the order of a round and of the report.
pub(crate) const ALL: &[Contestant] = &[
    Contestant {
        name: "direct",
        title: "direct",
        contests: &[Contest::OneRelay, Contest::TwoNodes],
        start: |_| Ok(Relay::default()),
        sits_out: &[Load::Idle],
    },
    Contestant {
        name: "bound",
        title: "the bound",
        contests: &[Contest::OneRelay],
        start: bound,
        sits_out: &[Load::Idle],
    },
    Contestant {
        name: "tcpfwd",
        title: "**tcpfwd**",
        contests: &[Contest::OneRelay],
        start: tcpfwd,
        sits_out: &[],
    },
    Contestant {
        name: "haproxy",
        title: "haproxy, splice-auto",
        contests: &[Contest::OneRelay],
        start: haproxy::one,
        sits_out: &[],
    },
    Contestant {
        name: "nginx",
        title: "nginx stream",
        contests: &[Contest::OneRelay],
        start: nginx::start,
        sits_out: &[],
    },
    Contestant {
        name: "rinetd",
        title: "rinetd",
        contests: &[Contest::OneRelay],
        start: rinetd::start,
        sits_out: &[],
    },
    Contestant {
        name: "tcpserver",
        title: "tcpserver + nc",
        contests: &[Contest::OneRelay],
        start: tcpserver,
        sits_out: &[],
    },
    Contestant {
        name: "socat",
        title: "socat, fork",
        contests: &[Contest::OneRelay],
        start: socat::one,
        sits_out: &[],
    },
    Contestant {
        name: "bound-pair",
        title: "two bounds in a row",
        contests: &[Contest::TwoNodes],
        start: bound_pair,
        sits_out: &[Load::Idle],
    },
    Contestant {
        name: "nodes",
        title: "**listen-listen + connect-connect**",
        contests: &[Contest::TwoNodes],
        start: nodes,
        sits_out: &[],
    },
    Contestant {
        name: "nodes-keyed",
        title: "**listen-listen + connect-connect**, `--key-file`",
        contests: &[Contest::TwoNodes],
        start: keyed::nodes,
        sits_out: &[],
    },
    Contestant {
        name: "nodes-stunnel",
        title: "the same without a key, and stunnel on the link",
        contests: &[Contest::TwoNodes],
        start: keyed::stunnel,
        sits_out: &[],
    },
    Contestant {
        name: "haproxy-pair",
        title: "two haproxies in a row, splice-auto",
        contests: &[Contest::TwoNodes],
        start: haproxy::pair,
        sits_out: &[],
    },
    Contestant {
        name: "ssh",
        title: "ssh -R, aes128-gcm",
        contests: &[Contest::TwoNodes],
        start: ssh::start,
        sits_out: &[],
    },
    Contestant {
        name: "socat-pair",
        title: "two socats, interval 2 s",
        contests: &[Contest::TwoNodes],
        start: socat::pair,
        // It opens a connection in two seconds, so that 64 of them or thousands take minutes.
        sits_out: &[
            BULK_8_BOTH_WAYS,
            Load::PingPong,
            Load::PingPongBesideBulk { connections: 64 },
            Load::Idle,
        ],
    },
    Contestant {
        name: "socat-pair-10ms",
        title: "two socats, interval 10 ms",
        contests: &[Contest::TwoNodes],
        start: socat::hasty_pair,
        sits_out: &[],
    },
];

const BULK_8_BOTH_WAYS: Load = Load::Bulk {
    streams: 8,
    both_ways: true,
};

fn bound(site: &Site<'_>) -> Result<Relay> {
    let mut relay = Relay::default();
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("bound")
        .arg(site.clients.to_string())
        .arg(site.server.to_string());
    relay.start(&command, site.file("bound.log"), Some(site.clients.port()))?;
    Ok(relay)
}

fn bound_pair(site: &Site<'_>) -> Result<Relay> {
    let mut relay = Relay::default();
    for (number, (listen, dial)) in [(site.clients, site.link), (site.link, site.server)]
        .into_iter()
        .enumerate()
    {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("bound")
            .arg(listen.to_string())
            .arg(dial.to_string());
        relay.start(
            &command,
            site.file(&format!("bound-{number}.log")),
            Some(listen.port()),
        )?;
    }
    Ok(relay)
}

fn tcpfwd(site: &Site<'_>) -> Result<Relay> {
    let mut relay = Relay::default();
    let mut command = site.tool("tcpfwd")?;
    command
        .arg(site.clients.to_string())
        .arg(site.server.to_string());
    relay.start(&command, site.file("tcpfwd.log"), Some(site.clients.port()))?;
    Ok(relay)
}

fn nodes(site: &Site<'_>) -> Result<Relay> {
    let mut relay = Relay::default();
    two_nodes(site, &mut relay, &[], site.link, site.link, |_| Ok(()))?;
    Ok(relay)
}

/// Both nodes with these options, the link from `dialled` to `accepted`, and what is `between` the two.
fn two_nodes(
    site: &Site<'_>,
    relay: &mut Relay,
    options: &[&OsStr],
    accepted: SocketAddr,
    dialled: SocketAddr,
    between: impl FnOnce(&mut Relay) -> Result<()>,
) -> Result<()> {
    let mut outer = site.tool("listen-listen")?;
    outer.args(options);
    outer
        .arg(site.clients.to_string())
        .arg(accepted.to_string());
    let log = site.file("listen-listen.log");
    relay.start(&outer, log, Some(accepted.port()))?;
    between(relay)?;
    let mut inner = site.tool("connect-connect")?;
    inner.args(options);
    inner.arg(dialled.to_string()).arg(site.server.to_string());
    relay.start(&inner, site.file("connect-connect.log"), None)
}

fn tcpserver(site: &Site<'_>) -> Result<Relay> {
    let mut relay = Relay::default();
    let netcat = site.peer("nc")?;
    let mut command = site.peer("tcpserver")?;
    command
        .args(["-RHl0", "-c5000", "-b1024", "127.0.0.1"])
        .arg(site.clients.port().to_string());
    command
        .arg(netcat.get_program())
        .args(["-N", "127.0.0.1"])
        .arg(site.server.port().to_string());
    relay.start(
        &command,
        site.file("tcpserver.log"),
        Some(site.clients.port()),
    )?;
    Ok(relay)
}
