//! A connection that was accepted, and the peer at its other end.

use std::fmt;
use std::net::SocketAddr;

use super::end::End;
use crate::protocol::addresses::Addresses;

/// The peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address; a v4-mapped one is shown as IPv4.
    Tcp(SocketAddr),
    /// A Unix socket, which has no address that tells anything.
    Unix,
    /// Descriptors that were inherited.
    Inherited,
    /// A client whose proxy named no address.
    Unknown,
}

/// A connection that came in.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, with the options of its listener.
    pub end: End,
    /// The peer of the socket.
    pub peer: Peer,
    /// The client behind the peer, if a PROXY header, the environment or a proxy has named it.
    pub told: Option<Addresses>,
}

impl Accepted {
    /// Returns the client of the session.
    pub fn client(&self) -> Peer {
        match self.told {
            Some(told) => Peer::Tcp(told.client()),
            None => self.peer,
        }
    }

    /// The client's address and the one that it connected to, where it has them.
    pub fn addresses(&self) -> Option<Addresses> {
        self.told.or_else(|| {
            let client = self.peer.address()?;
            Some(Addresses::new(client, self.end.local_address()?))
        })
    }
}

impl Peer {
    /// The address, where it has one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix | Self::Inherited | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => {
                SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f)
            }
            Self::Unix => f.write_str("unix"),
            Self::Inherited => f.write_str("stdin"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
