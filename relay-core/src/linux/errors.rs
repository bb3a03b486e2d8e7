//! What the kernel keeps of the errors of a socket (`MSG_ERRQUEUE`, ip(7)), and who told of them.
//!
//! Linux keeps what ICMP says of a TCP connection in the making since 5.18; with IPv6 only if an option asks for it.

use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

/// Who told of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// ICMP, of either version.
    Icmp,
    /// This host.
    Other,
}

/// Asks for errors to be kept, or no more. Meanwhile ICMP is an error even of a connection that is made, which would go on without.
pub fn keep(socket: impl AsFd, ip: IpAddr, keep: bool) -> io::Result<()> {
    if ip.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &keep)?;
    }
    Ok(())
}

/// Takes the oldest error that is kept, if there is one.
pub fn next_origin(socket: impl AsFd) -> Option<Origin> {
    // The beginning of the segment that was refused says nothing.
    let mut segment = [0; 1];
    let mut segment = [IoSliceMut::new(&mut segment)];
    let mut control = cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(
        socket.as_fd().as_raw_fd(),
        &mut segment,
        Some(&mut control),
        flags,
    )
    .ok()?;
    let from_icmp = message.cmsgs().ok()?.any(|control| {
        let (ControlMessageOwned::Ipv4RecvErr(error, _)
        | ControlMessageOwned::Ipv6RecvErr(error, _)) = control
        else {
            return false;
        };
        matches!(
            error.ee_origin,
            libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6
        )
    });
    Some(if from_icmp {
        Origin::Icmp
    } else {
        Origin::Other
    })
}
