//! Listening sockets: how they are made, and what they give.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use mio::event::Source as _;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::socket::{Backlog, listen};
use socket2::{Domain, SockRef, Socket, Type};

use super::accepted::{Accepted, Peer};
use super::end::End;
use super::inherited;
use super::options::{Purpose, prepare};
use super::resolve::lookup_reason;
use super::socket_address::{unix_address, with_zone};
use super::socket_file::{SocketFile, is_stale};
use crate::config::address::{ListenAt, ListenHost, UnixName};
use crate::config::family::Family;
use crate::limits::BACKLOG;

/// A bound socket that clients or links come in by.
#[derive(Debug)]
pub struct Listener {
    acceptor: Acceptor,
    /// The name of a Unix socket that was made here.
    name: Option<UnixName>,
    /// Its file, which is removed in the end.
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The addresses of names to listen on: a range of ports asks for its name once.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, Vec<SocketAddr>>);

impl Names {
    fn addresses(&mut self, name: &str) -> io::Result<&[SocketAddr]> {
        Ok(match self.0.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let found = (name, 0).to_socket_addrs();
                let found = found.map_err(|error| io::Error::other(lookup_reason(&error)))?;
                place.insert(found.collect())
            }
        })
    }
}

/// Binds every address of `at`, which is not stdio.
pub fn bind(
    at: &ListenAt,
    family: Family,
    purpose: Purpose,
    names: &mut Names,
) -> io::Result<Vec<Listener>> {
    match at {
        ListenAt::Tcp {
            host: ListenHost::Any,
            port,
        } => Ok(vec![bind_any(*port, family, purpose)?]),
        ListenAt::Tcp {
            host: ListenHost::Ip(ip, zone),
            port,
        } => {
            if !family.allows(*ip) {
                return Err(Errno::EAFNOSUPPORT.into());
            }
            Ok(vec![bind_tcp(
                with_zone(*ip, *port, *zone),
                false,
                purpose,
            )?])
        }
        ListenAt::Tcp {
            host: ListenHost::Name(name),
            port,
        } => {
            let addresses = names.addresses(name)?.iter();
            let listeners: Vec<_> = addresses
                .filter(|address| family.allows(address.ip()))
                .map(|address| {
                    let mut address = *address;
                    address.set_port(*port);
                    bind_tcp(address, false, purpose)
                })
                .collect::<io::Result<_>>()?;
            if listeners.is_empty() {
                Err(Errno::EADDRNOTAVAIL.into())
            } else {
                Ok(listeners)
            }
        }
        ListenAt::Unix(name) => Ok(vec![bind_unix(name)?]),
        ListenAt::Fd { read, .. } => Ok(vec![adopt(inherited::listener(*read)?, purpose)?]),
        ListenAt::Stdio | ListenAt::SocksBind(_) => Err(Errno::EINVAL.into()),
    }
}

/// One dual-stack socket; IPv4 alone where IPv6 is off.
fn bind_any(port: u16, family: Family, purpose: Purpose) -> io::Result<Listener> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match family {
        Family::V4 => bind_tcp(v4, false, purpose),
        Family::V6 => bind_tcp(v6, false, purpose),
        Family::Any => match bind_tcp(v6, true, purpose) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
                ) =>
            {
                bind_tcp(v4, false, purpose)
            }
            result => result,
        },
    }
}

fn bind_tcp(address: SocketAddr, dual_stack: bool, purpose: Purpose) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    prepare(&socket, purpose)?;
    socket.bind(&address.into())?;
    Ok(Listener {
        acceptor: Acceptor::Tcp(TcpListener::from_std(socket.into())),
        name: None,
        file: None,
    })
}

fn bind_unix(name: &UnixName) -> io::Result<Listener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    let address = unix_address(name)?;
    let path = match name {
        UnixName::Path(path) => Some(path.clone()),
        UnixName::Abstract(_) => None,
    };
    match (socket.bind(&address), &path) {
        (Err(error), Some(path)) if error.kind() == io::ErrorKind::AddrInUse => {
            if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
                return Err(io::Error::other("a file that is no socket has that name"));
            }
            if !is_stale(&address) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        (result, _) => result?,
    }
    Ok(Listener {
        acceptor: Acceptor::Unix(UnixListener::from_std(socket.into())),
        name: Some(name.clone()),
        file: SocketFile::of(name),
    })
}

fn adopt(socket: OwnedFd, purpose: Purpose) -> io::Result<Listener> {
    let is_unix = SockRef::from(&socket).local_addr()?.is_unix();
    let acceptor = if is_unix {
        Acceptor::Unix(UnixListener::from_std(socket.into()))
    } else {
        prepare(&socket, purpose)?;
        Acceptor::Tcp(TcpListener::from_std(socket.into()))
    };
    Ok(Listener {
        acceptor,
        name: None,
        file: None,
    })
}

impl Listener {
    /// Starts to listen, or sets how many connections may wait to be accepted.
    pub fn listen(&self, backlog: i32) -> io::Result<()> {
        let backlog = Backlog::new(backlog.clamp(0, BACKLOG)).unwrap_or(Backlog::MAXCONN);
        Ok(listen(&self.as_fd(), backlog)?)
    }

    /// A socket whose port outlives [`Listener::stop`]: the kernel gives one that it picked itself back, so that one is bound
    /// again by its number.
    pub fn pinned(self, purpose: Purpose) -> io::Result<Self> {
        let Acceptor::Tcp(listener) = &self.acceptor else {
            return Ok(self);
        };
        let address = listener.local_addr()?;
        let dual_stack = address.is_ipv6() && !SockRef::from(listener).only_v6()?;
        drop(self);
        bind_tcp(address, dual_stack, purpose)
    }

    /// Stops listening but keeps the port: what was not accepted is reset, and new connections are refused. A Unix socket that
    /// was shut never listens again; it is made anew.
    pub fn stop(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let Some(name) = self.name.clone() else {
            return SockRef::from(&self.as_fd()).shutdown(std::net::Shutdown::Both);
        };
        let address = unix_address(&name)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        let mut next = Acceptor::Unix(UnixListener::from_std(socket.into()));
        std::mem::swap(&mut self.acceptor, &mut next);
        // Closed before the name is taken again.
        drop(next);
        self.remove_file()?;
        SockRef::from(&self.as_fd()).bind(&address)?;
        self.file = SocketFile::of(&name);
        self.register(registry, token)
    }

    /// Whether it is a Unix socket that is made anew when it stops.
    pub fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// Removes the socket file, if it is still the one that was made here.
    fn remove_file(&mut self) -> io::Result<()> {
        match &self.name {
            Some(name @ UnixName::Path(path))
                if self.file.is_some() && SocketFile::of(name) == self.file =>
            {
                self.file = None;
                std::fs::remove_file(path)
            }
            _ => Ok(()),
        }
    }

    /// Tells epoll.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.acceptor {
            Acceptor::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Acceptor::Unix(listener) => listener.register(registry, token, Interest::READABLE),
        }
    }

    /// Tells epoll to forget it; an inherited one lives on in other processes.
    pub fn deregister(&mut self, registry: &Registry) {
        let _ = match &mut self.acceptor {
            Acceptor::Tcp(listener) => listener.deregister(registry),
            Acceptor::Unix(listener) => listener.deregister(registry),
        };
    }

    /// The next connection that waits.
    pub fn accept(&self) -> io::Result<Accepted> {
        match &self.acceptor {
            Acceptor::Tcp(listener) => {
                let (socket, peer) = listener.accept()?;
                Ok(Accepted {
                    end: End::socket(socket.into()),
                    peer: Peer::Tcp(peer),
                    told: None,
                })
            }
            Acceptor::Unix(listener) => {
                let (socket, _) = listener.accept()?;
                Ok(Accepted {
                    end: End::unix(socket.into()),
                    peer: Peer::Unix,
                    told: None,
                })
            }
        }
    }

    /// The socket file that was made for it.
    pub fn socket_file(&self) -> Option<&Path> {
        match &self.name {
            Some(UnixName::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// Where it listens, as it is printed.
    pub fn address(&self) -> Result<String, io::Error> {
        match &self.acceptor {
            Acceptor::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Acceptor::Unix(listener) => {
                use std::os::linux::net::SocketAddrExt as _;
                let address = listener.local_addr()?;
                Ok(match (address.as_pathname(), address.as_abstract_name()) {
                    (Some(path), _) => format!("unix:{}", path.display()),
                    (_, Some(name)) => format!("unix:@{}", String::from_utf8_lossy(name)),
                    _ => "unix:".to_owned(),
                })
            }
        }
    }

    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        match &self.acceptor {
            Acceptor::Tcp(listener) => listener
                .local_addr()
                .is_ok_and(|address| address.ip().to_canonical().is_loopback()),
            Acceptor::Unix(_) => true,
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.acceptor {
            Acceptor::Tcp(listener) => listener.as_fd(),
            Acceptor::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.remove_file();
    }
}
