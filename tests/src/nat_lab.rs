//! The NAT laboratory: two hosts that cannot reach each other, because a firewall stands before each.
//!
//! ```text
//! host A ── firewall A ── net ── firewall B ── host B
//!    192.168.1.2     198.51.100.2  203.0.113.2    192.168.1.2
//! ```
//!
//! A firewall translates addresses (nftables' `masquerade`), lets out whatever the inside begins and lets in only what
//! belongs to that. How it answers everything else is chosen for each by itself: see [`Firewall`]. The path through
//! `net` may be as long as one likes. Both hosts know the outside addresses of the firewalls as `hostA` and `hostB`.
//!
//! With IPv6 the firewalls are as strict, but translate nothing: `hostA6` and `hostB6` are the hosts' own addresses.
//!
//! Each of the five is a network namespace without a name, held by a descriptor of this process and by what runs in
//! it: when those are gone, however they went, so is the laboratory. Several may exist at once.
//!
//! ```no_run
//! use relay_tests::nat_lab::{Firewall, Laboratory};
//!
//! let Some(lab) = Laboratory::new(Firewall::DROPS, Firewall::RESETS) else {
//!     return; // The reason was printed.
//! };
//! let talk = lab.a.launch("connect-connect --raw --once 4way:hostB:5555 -").spawn();
//! ```

mod firewall;
mod namespace;
mod slow_path;

use std::net::Ipv4Addr;
use std::sync::Once;
use std::time::Duration;

use crate::launch::Launch;
use crate::network::{self, Hosts};
use crate::requirement;

pub use firewall::{Answer, Firewall, Pace, Ports};
pub use namespace::Namespace;

use slow_path::SlowPath;

/// Two hosts, their firewalls, and the network between.
pub struct Laboratory {
    /// The one behind the firewall at [`OUTSIDE_A`].
    pub a: Host,
    /// The one behind the firewall at [`OUTSIDE_B`].
    pub b: Host,
    /// The network between. To both firewalls, a dial from here is unsolicited.
    pub net: Namespace,
    _slow_path: Option<SlowPath>,
}

/// A host, which is a [`Namespace`], and the firewall before it.
pub struct Host {
    inside: Namespace,
    /// The firewall, on which commands may be run as on a host.
    pub firewall: Namespace,
}

impl Laboratory {
    /// Builds it without delay between the firewalls. If the machine does not allow that, prints the reason and returns None.
    pub fn new(a: Firewall, b: Firewall) -> Option<Laboratory> {
        is_possible().then(|| Laboratory::build(a, b))
    }

    /// Builds it with `delay` on each packet between the firewalls, in both directions. Returns None as
    /// [`Laboratory::new`] does.
    pub fn with_delay(a: Firewall, b: Firewall, delay: Duration) -> Option<Laboratory> {
        let mut lab = Laboratory::new(a, b)?;
        match SlowPath::new(&lab.net, delay) {
            Ok(slow_path) => {
                let [turn_a, turn_b] =
                    [&A, &B].map(|side| format!("rule add iif {} table {SLOW}", side.port));
                let slow = format!("route add default dev {} table {SLOW}", slow_path::DEVICE);
                let up = format!("link set {} up", slow_path::DEVICE);
                lab.net.ip(&[&up, &slow, &turn_a, &turn_b]);
                lab.net.ip_v6(&[&slow, &turn_a, &turn_b]);
                lab._slow_path = Some(slow_path);
                Some(lab)
            }
            Err(error) => {
                requirement::skip(&format!("no tun device can be made: {error}"));
                None
            }
        }
    }

    /// Drops every packet between the firewalls without an answer.
    pub fn cut(&self) {
        self.net.nft("table inet cut { chain passing { type filter hook forward priority filter; policy drop; }; }");
    }

    /// Drops no packet any more.
    pub fn mend(&self) {
        self.net.nft("delete table inet cut");
    }

    fn build(a: Firewall, b: Firewall) -> Laboratory {
        assert!(
            network::is_ours(),
            "a laboratory is built by a test of network_tests!: no other network knows the names of its hosts"
        );
        NAMES.call_once(|| {
            // What is mounted stays when the file is gone.
            drop(Hosts::new(&format!(
                "127.0.0.1 localhost\n\
                 {OUTSIDE_A} hostA\n{OUTSIDE_B} hostB\n\
                 {}::2 hostA6\n{}::2 hostB6\n",
                A.inside_v6, B.inside_v6
            )));
        });
        let net = Namespace::new();
        net.forward_packets();
        Laboratory {
            a: Host::behind(a, &net, &A),
            b: Host::behind(b, &net, &B),
            net,
            _slow_path: None,
        }
    }
}

impl Host {
    /// A host on one side of `net`, and its firewall.
    fn behind(kind: Firewall, net: &Namespace, side: &Side) -> Host {
        let Side { port, outside, .. } = side;
        let host = Host {
            inside: Namespace::new(),
            firewall: Namespace::new(),
        };
        let router = neighbour(*outside);
        net.ip(&[
            &format!(
                "link add {port} type veth peer outside netns {}",
                host.firewall.path()
            ),
            &format!("address add {router}/24 dev {port}"),
            &format!("link set {port} up"),
        ]);
        host.firewall.forward_packets();
        if kind.pace == Pace::Unlimited {
            host.firewall.limit_no_icmp();
        }
        host.firewall.ip(&[
            &format!(
                "link add inside type veth peer eth0 netns {}",
                host.inside.path()
            ),
            "address add 192.168.1.1/24 dev inside",
            "link set inside up",
            &format!("address add {outside}/24 dev outside"),
            "link set outside up",
            &format!("route add default via {router}"),
        ]);
        host.firewall.nft(&kind.rules("inside", "outside"));
        host.inside.ip(&[
            "address add 192.168.1.2/24 dev eth0",
            "link set eth0 up",
            "route add default via 192.168.1.1",
        ]);
        host.add_v6(net, side);
        host
    }

    fn add_v6(&self, net: &Namespace, side: &Side) {
        let Side {
            port,
            outside_v6,
            inside_v6,
            ..
        } = side;
        net.ip_v6(&[
            &format!("address add {outside_v6}::1/64 dev {port}"),
            &format!("route add {inside_v6}::/64 via {outside_v6}::2"),
        ]);
        self.firewall.ip_v6(&[
            &format!("address add {outside_v6}::2/64 dev outside"),
            &format!("address add {inside_v6}::1/64 dev inside"),
            &format!("route add default via {outside_v6}::1"),
        ]);
        self.inside.ip_v6(&[
            &format!("address add {inside_v6}::2/64 dev eth0"),
            &format!("route add default via {inside_v6}::1"),
        ]);
    }

    /// The command `line`, to be run on the host.
    pub fn launch(&self, line: &str) -> Launch {
        self.inside.launch(line)
    }

    /// A file by which nsenter(1) finds the host's network, as long as this process holds it.
    pub fn path(&self) -> String {
        self.inside.path()
    }

    /// What `action` returns when it runs on the host. Sockets that it opens stay there.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        self.inside.run(action)
    }
}

/// Where one of the two is.
struct Side {
    /// The interface of `net` on this side.
    port: &'static str,
    /// What the firewall puts in the place of the host's address.
    outside: Ipv4Addr,
    /// The first half of addresses between `net` and the firewall.
    outside_v6: &'static str,
    /// The first half of addresses behind the firewall.
    inside_v6: &'static str,
}

/// The address of the router in the network of `outside`.
fn neighbour(outside: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = outside.octets();
    Ipv4Addr::new(a, b, c, 1)
}

/// Whether this machine allows firewalls. (That it allows namespaces was tested before.)
fn is_possible() -> bool {
    let probe = Namespace::new();
    let rules = Firewall::RESETS.rules("inside", "outside");
    match probe.try_nft(&rules) {
        Ok(()) => true,
        Err(why) => {
            requirement::skip(&format!("nftables cannot do what firewalls do: {why}"));
            false
        }
    }
}

/// The address of A's firewall, and `hostA`.
pub const OUTSIDE_A: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The address of B's firewall, and `hostB`.
pub const OUTSIDE_B: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

const A: Side = Side {
    port: "toA",
    outside: OUTSIDE_A,
    outside_v6: "2001:db8:a:1",
    inside_v6: "2001:db8:a:2",
};
const B: Side = Side {
    port: "toB",
    outside: OUTSIDE_B,
    outside_v6: "2001:db8:b:1",
    inside_v6: "2001:db8:b:2",
};

/// The names are the same in each laboratory of a process.
static NAMES: Once = Once::new();

/// The routing table of packets that have not been delayed yet.
const SLOW: u32 = 100;
