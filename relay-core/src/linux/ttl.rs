//! The hop limit (TTL) of a dial, as a means to be deaf to ICMP.
//!
//! The least hop limit that a socket accepts, which was made for peers that must be near (RFC 5082), the kernel compares also with
//! that of ICMP: of the segment that is quoted, which is our own; with IPv6, of the message itself. So a socket that sends with fewer
//! hops than it accepts is not ended by what ICMP says of its SYN, and yet hears a peer that sends with more. With IPv6 it is also
//! deaf to a reset by a firewall, which has as many hops left as ICMP. Where the system refuses, it hears.

use std::net::IpAddr;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};

/// Sends so that a deaf peer hears it, and hears everything.
pub fn hear(socket: impl AsFd, ip: IpAddr) {
    set(socket, ip, MANY, 0);
}

/// Hears no ICMP, and no peer that is deaf itself.
pub fn deafen(socket: impl AsFd, ip: IpAddr) {
    match ip {
        IpAddr::V4(_) => set(socket, ip, FEW, FEW + 1),
        IpAddr::V6(_) => set(socket, ip, USUAL, MANY / 2 + 1),
    }
}

fn set(socket: impl AsFd, ip: IpAddr, sent: libc::c_int, accepted: libc::c_int) {
    let _ = match ip {
        IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4Ttl, &sent)
            .and_then(|()| setsockopt(&socket, Ipv4MinTtl, &accepted)),
        IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6Ttl, &sent)
            .and_then(|()| setsockopt(&socket, Ipv6MinHopCount, &accepted)),
    };
}

/// The most there are.
const MANY: libc::c_int = 255;
/// What Linux and most others send with.
const USUAL: libc::c_int = 64;
/// Paths are hardly longer, so that more is left of [`USUAL`].
const FEW: libc::c_int = 32;

sockopt_impl!(
    /// ip(7).
    Ipv4MinTtl,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MINTTL,
    libc::c_int
);

sockopt_impl!(
    /// The same for IPv6.
    Ipv6MinHopCount,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MINHOPCOUNT,
    libc::c_int
);
