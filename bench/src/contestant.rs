//! The contestants: every relay that is measured, started as its users start it.

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

/// A relay, or several in a row, between the clients and the server.
pub(crate) struct Contestant {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// The name in the report.
    pub(crate) title: &'static str,
    /// The comparisons it takes part in.
    pub(crate) contests: &'static [Contest],
    /// Starts its processes and waits until they listen.
    pub(crate) start: fn(&Site<'_>) -> Result<Relay>,
    /// Loads that are not measured, because the result means nothing or takes too long.
    loads_skipped: &'static [Load],
}

/// A group of contestants that are compared with each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contest {
    /// One relay between client and server.
    OneRelay,
    /// Two relays, and a link between them.
    TwoNodes,
}

impl Contest {
    /// The contestant that bulk throughput is compared with.
    pub(crate) fn bound(self) -> &'static str {
        match self {
            Contest::OneRelay => "bound",
            Contest::TwoNodes => "bound-pair",
        }
    }
}

impl Contestant {
    /// Returns the contestant of this name. The error lists all names.
    pub(crate) fn named(name: &str) -> Result<&'static Contestant> {
        ALL.iter()
            .find(|contestant| contestant.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = ALL.iter().map(|contestant| contestant.name).collect();
                format!(
                    "unknown contestant {name:?}; the contestants are {}",
                    known.join(", ")
                )
                .into()
            })
    }

    /// Reports whether this contestant is measured under `load`.
    pub(crate) fn is_measured_under(&self, load: Load) -> bool {
        !self.loads_skipped.contains(&load)
    }
}

/// All contestants, in the order of a round and of the report.
pub(crate) const ALL: &[Contestant] = &[
    Contestant {
        name: "direct",
        title: "direct",
        contests: &[Contest::OneRelay, Contest::TwoNodes],
        start: |_| Ok(Relay::default()),
        loads_skipped: &[Load::Idle],
    },
    Contestant {
        name: "bound",
        title: "the bound",
        contests: &[Contest::OneRelay],
        start: bound::one,
        loads_skipped: &[Load::Idle],
    },
    Contestant {
        name: "tcpfwd",
        title: "**tcpfwd**",
        contests: &[Contest::OneRelay],
        start: tcpfwd::start,
        loads_skipped: &[],
    },
    Contestant {
        name: "haproxy",
        title: "haproxy, splice-auto",
        contests: &[Contest::OneRelay],
        start: haproxy::one,
        loads_skipped: &[],
    },
    Contestant {
        name: "nginx",
        title: "nginx stream",
        contests: &[Contest::OneRelay],
        start: nginx::start,
        loads_skipped: &[],
    },
    Contestant {
        name: "rinetd",
        title: "rinetd",
        contests: &[Contest::OneRelay],
        start: rinetd::start,
        loads_skipped: &[],
    },
    Contestant {
        name: "tcpserver",
        title: "tcpserver + nc",
        contests: &[Contest::OneRelay],
        start: tcpserver::start,
        loads_skipped: &[],
    },
    Contestant {
        name: "socat",
        title: "socat, fork",
        contests: &[Contest::OneRelay],
        start: socat::one,
        loads_skipped: &[],
    },
    Contestant {
        name: "bound-pair",
        title: "two bounds in a row",
        contests: &[Contest::TwoNodes],
        start: bound::pair,
        loads_skipped: &[Load::Idle],
    },
    Contestant {
        name: "nodes",
        title: "**listen-listen + connect-connect**",
        contests: &[Contest::TwoNodes],
        start: nodes::plain,
        loads_skipped: &[],
    },
    Contestant {
        name: "nodes-keyed",
        title: "**listen-listen + connect-connect**, `--key-file`",
        contests: &[Contest::TwoNodes],
        start: keyed::key_file,
        loads_skipped: &[],
    },
    Contestant {
        name: "nodes-stunnel",
        title: "the same without a key, and stunnel on the link",
        contests: &[Contest::TwoNodes],
        start: keyed::stunnel,
        loads_skipped: &[],
    },
    Contestant {
        name: "haproxy-pair",
        title: "two haproxies in a row, splice-auto",
        contests: &[Contest::TwoNodes],
        start: haproxy::pair,
        loads_skipped: &[],
    },
    Contestant {
        name: "ssh",
        title: "ssh -R, aes128-gcm",
        contests: &[Contest::TwoNodes],
        start: ssh::start,
        loads_skipped: &[],
    },
    Contestant {
        name: "socat-pair",
        title: "two socats, interval 2 s",
        contests: &[Contest::TwoNodes],
        start: socat::pair,
        // It takes two seconds to open a connection, so 64 or 2000 of them take minutes.
        loads_skipped: &[
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
        start: socat::fast_pair,
        loads_skipped: &[],
    },
];

const BULK_8_BOTH_WAYS: Load = Load::Bulk {
    streams: 8,
    both_ways: true,
};
