//! A port that is free, and stays free until the program for which it is meant binds it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use crate::kernel;
use crate::timeouts::eventually;

/// A port of 127.0.0.1 on which no program listens, for programs that cannot pick one themselves.
///
/// A socket that is bound and does not listen holds it. The kernel does not give such a port to a program that binds port 0.
/// A program that binds this port and sets SO_REUSEADDR, as servers do, gets it. Until then a dial to it is refused. Its
/// [`Display`](fmt::Display) is `127.0.0.1:PORT`.
pub struct ReservedPort {
    address: SocketAddr,
    _holder: Socket,
}

impl ReservedPort {
    /// Reserves a port.
    pub fn new() -> ReservedPort {
        let holder = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        holder
            .set_reuse_address(true)
            .expect("SO_REUSEADDR can be set");
        holder
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("some port is free");
        let bound = holder.local_addr().expect("a bound socket has an address");
        ReservedPort {
            address: bound.as_socket().expect("the socket is of the internet"),
            _holder: holder,
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// Waits until a program listens on it, without a dial, which would be a client.
    pub fn wait_until_listened_on(&self) {
        eventually(&format!("a program listens on {self}"), || {
            kernel::is_listening(self.number())
        });
    }
}

impl Default for ReservedPort {
    fn default() -> ReservedPort {
        ReservedPort::new()
    }
}

impl fmt::Display for ReservedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
