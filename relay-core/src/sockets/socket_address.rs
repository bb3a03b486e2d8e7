//! Addresses of sockets from what was typed.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use socket2::SockAddr;

use crate::config::address::UnixName;

/// The address of a Unix socket.
pub fn unix_address(name: &UnixName) -> io::Result<SockAddr> {
    match name {
        UnixName::Path(path) => SockAddr::unix(path),
        UnixName::Abstract(bytes) => {
            use std::os::unix::ffi::OsStrExt as _;
            let mut name = vec![0];
            name.extend_from_slice(bytes);
            SockAddr::unix(std::ffi::OsStr::from_bytes(&name))
        }
    }
}

/// An address with the interface that a link-local one belongs to.
pub fn with_zone(ip: IpAddr, port: u16, zone: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, zone)),
    }
}
