//! A request to a proxy in any protocol, and its progress.

use std::fmt;
use std::net::IpAddr;

/// A host and a port in a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{}:{}", name.escape_ascii(), self.port),
        }
    }
}

/// A host in a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name for the proxy to resolve: 1 to 255 bytes. A name in an answer may hold any bytes.
    Name(Vec<u8>),
}

/// What the proxy is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Connect to the place.
    Connect,
    /// Listen for one connection; SOCKS only.
    Bind,
}

/// Bytes that no message and no log may show.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The user and the password for a proxy that requires them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How far an inquiry is.
#[derive(Debug)]
pub enum Progress<I> {
    /// More bytes have to come.
    More(I),
    /// These bytes are to be sent; then more have to come.
    Send(Secret, I),
    /// To [`Command::Bind`]: the proxy listens there. Later it will tell who came.
    Listening(Place, I),
    /// What comes from now on is from behind the proxy. To [`Command::Bind`]: who came.
    Done(Option<Place>),
}

impl<I> Progress<I> {
    /// Returns the same progress of a request that `wrap` makes of this one.
    pub fn map<J>(self, wrap: impl FnOnce(I) -> J) -> Progress<J> {
        match self {
            Self::More(request) => Progress::More(wrap(request)),
            Self::Send(bytes, request) => Progress::Send(bytes, wrap(request)),
            Self::Listening(place, request) => Progress::Listening(place, wrap(request)),
            Self::Done(place) => Progress::Done(place),
        }
    }
}
