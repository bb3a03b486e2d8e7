//! Who is measured: how each is started, as its users would start it.

mod bound;
mod haproxy;
mod keyed;
mod nginx;
mod nodes;
mod rinetd;
mod row;
mod socat;
mod ssh;
mod tcpfwd;
mod tcpserver;

use crate::load::Load;
use crate::relay::Relay;
use crate::result::Result;
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
        start: bound::one,
        sits_out: &[Load::Idle],
    },
    Contestant {
        name: "tcpfwd",
        title: "**tcpfwd**",
        contests: &[Contest::OneRelay],
        start: tcpfwd::start,
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
        start: tcpserver::start,
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
        start: bound::pair,
        sits_out: &[Load::Idle],
    },
    Contestant {
        name: "nodes",
        title: "**listen-listen + connect-connect**",
        contests: &[Contest::TwoNodes],
        start: nodes::plain,
        sits_out: &[],
    },
    Contestant {
        name: "nodes-keyed",
        title: "**listen-listen + connect-connect**, `--key-file`",
        contests: &[Contest::TwoNodes],
        start: keyed::key_file,
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
