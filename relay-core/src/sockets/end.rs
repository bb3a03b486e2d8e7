//! One end of a session: a descriptor to read and one to write, usually the same.
//!
//! Events only set the ready flags; a flag is cleared by the call that finds it wrong. So nothing is called in vain, and no
//! edge is lost: after a short read more may be there, unless the kernel said all it had.
//!
//! Descriptors that are not sockets never get O_NONBLOCK, which would belong to everyone who shares them: they are polled before
//! each read and write. A socket that is dropped without [`End::close`] is reset.
//!
//! An end may have a [`Channel`] on top, which is then what is read and written. Its bytes are never spliced.

mod bytes;
mod splice;

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use socket2::SockRef;

use crate::keyed::{Channel, Keys, Proof};
use crate::linux::errors::{self, Origin};
use crate::token::{Key, Slot, Source, token};

/// One end; see the module.
#[derive(Debug)]
pub struct End {
    read: OwnedFd,
    read_medium: Medium,
    write: WriteHalf,
    /// Bytes may be there to read.
    readable: bool,
    /// There may be room to write.
    writable: bool,
    /// The peer's end of file has arrived, behind what is unread.
    read_closed: bool,
    /// The connection has failed, behind what is unread.
    failed: bool,
    /// A read may stop before the socket is empty.
    stops: Stops,
    /// Where what is read and written is encrypted.
    channel: Option<Box<Channel>>,
}

/// Where a read of a socket stops though more is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stops {
    /// Nowhere.
    Never,
    /// At the end of a packet, or at a descriptor that the peer passes along (unix(7)).
    AtDescriptors,
    /// At urgent data (tcp(7)), where splice(2) would say that there is nothing, or that nothing follows.
    AtUrgent,
}

#[derive(Debug)]
enum WriteHalf {
    /// The descriptor that is also read.
    Shared,
    Own(OwnedFd, Medium),
    Shut,
}

/// How a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A non-blocking socket.
    Socket,
    /// A pipe and its like: polled before each call.
    Stream,
    /// A terminal, opened anew without blocking: splice(2) would block on it all the same.
    Terminal,
    /// A regular file and its like: always ready.
    File,
}

impl End {
    /// A connected non-blocking socket.
    pub fn socket(socket: OwnedFd) -> Self {
        Self {
            read: socket,
            read_medium: Medium::Socket,
            write: WriteHalf::Shared,
            readable: false,
            writable: false,
            read_closed: false,
            failed: false,
            stops: Stops::Never,
            channel: None,
        }
    }

    /// A connected non-blocking Unix socket.
    pub fn unix(socket: OwnedFd) -> Self {
        Self {
            stops: Stops::AtDescriptors,
            ..Self::socket(socket)
        }
    }

    /// Two descriptors.
    pub fn pair(read: (OwnedFd, Medium), write: (OwnedFd, Medium)) -> Self {
        Self {
            read_medium: read.1,
            write: WriteHalf::Own(write.0, write.1),
            // Whatever kind of socket it may be that is read.
            stops: Stops::AtDescriptors,
            ..Self::socket(read.0)
        }
    }

    /// Tells epoll. What epoll does not take is always ready.
    pub fn register(&mut self, registry: &Registry, key: Key, slot: Slot) -> io::Result<()> {
        let interest = self.interest();
        if !add(
            registry,
            &self.read,
            token(Source::Entry(key, slot)),
            interest,
        )? {
            self.read_medium = Medium::File;
            self.readable = true;
        }
        if let WriteHalf::Own(write, medium) = &mut self.write {
            let token = token(Source::Entry(key, slot.write_half()));
            if !add(registry, write, token, Interest::WRITABLE)? {
                *medium = Medium::File;
                self.writable = true;
            }
        }
        Ok(())
    }

    /// The end belongs to another entry now. The kernel tells again what is ready.
    pub fn reregister(&mut self, registry: &Registry, key: Key, slot: Slot) -> io::Result<()> {
        let interest = self.interest();
        if self.read_medium != Medium::File {
            registry.reregister(
                &mut SourceFd(&self.read.as_raw_fd()),
                token(Source::Entry(key, slot)),
                interest,
            )?;
        }
        if let WriteHalf::Own(write, medium) = &self.write
            && *medium != Medium::File
        {
            let token = token(Source::Entry(key, slot.write_half()));
            registry.reregister(&mut SourceFd(&write.as_raw_fd()), token, Interest::WRITABLE)?;
        }
        Ok(())
    }

    /// Urgent data has an event of its own, because a read stops there.
    fn interest(&self) -> Interest {
        match (&self.write, self.read_medium) {
            (WriteHalf::Shared, Medium::Socket) => {
                Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY
            }
            (WriteHalf::Shared, _) => Interest::READABLE | Interest::WRITABLE,
            (_, Medium::Socket) => Interest::READABLE | Interest::PRIORITY,
            (_, _) => Interest::READABLE,
        }
    }

    /// Something may be there to read, whether epoll has said so yet or not.
    pub fn expect_readable(&mut self) {
        self.readable = true;
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        if slot == Slot::LEFT_WRITE || slot == Slot::RIGHT_WRITE {
            self.writable = true;
            return;
        }
        let shared = matches!(self.write, WriteHalf::Shared);
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= shared && (event.is_writable() || event.is_error());
        if event.is_priority() {
            self.stops = Stops::AtUrgent;
            self.readable = true;
        }
        self.read_closed |= event.is_read_closed();
        self.failed |= event.is_error() && self.read_medium == Medium::Socket;
    }

    /// Nothing is said or heard from here on before the peer has proved that it holds one of the keys.
    pub fn protect(&mut self, keys: &Keys) -> io::Result<()> {
        self.channel = Some(Box::new(keys.channel()?));
        Ok(())
    }

    /// The peer has not proved anything yet.
    pub fn is_authenticating(&self) -> bool {
        self.channel
            .as_ref()
            .is_some_and(|channel| channel.is_authenticating())
    }

    /// Makes the handshake; fails with `WouldBlock` while it is not done.
    pub fn authenticate(&mut self) -> io::Result<()> {
        match self.channel.take() {
            None => Ok(()),
            Some(channel) => self.lend(channel, |end, channel| channel.authenticate(end)),
        }
    }

    /// Where there is a channel, takes in what it has to say for itself, such as that it has failed. Bytes of the peer stay here.
    pub fn attend(&mut self) -> io::Result<()> {
        match self.channel.take() {
            None => Ok(()),
            Some(channel) => self.lend(channel, |end, channel| channel.attend(end)),
        }
    }

    /// What the peer has proved.
    pub fn proof(&self) -> Option<Proof> {
        self.channel.as_ref()?.proof()
    }

    /// The kernel reported an error, which the next read behind the unread bytes will tell.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The peer's end of file has arrived, and what was just read is probably all that was before it.
    pub fn end_follows(&self) -> bool {
        self.read_closed && !self.failed && self.channel.is_none()
    }

    /// Whether bytes can be read by splice(2).
    pub fn can_be_spliced(&self) -> bool {
        self.read_medium != Medium::Terminal
            && self.stops != Stops::AtUrgent
            && self.channel.is_none()
    }

    /// Whether bytes can be written by splice(2), as far as is known.
    pub fn takes_pipes(&self) -> bool {
        self.channel.is_none()
    }

    /// What is read and what is written is one connection: when it is gone for one, it is gone for both.
    pub fn is_one_descriptor(&self) -> bool {
        matches!(self.write, WriteHalf::Shared)
    }

    /// Whether it is a socket that is read.
    pub fn is_socket(&self) -> bool {
        self.read_medium == Medium::Socket
    }

    /// Whether there is room, as far as is known.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Passes an end of file on; to be called again while it fails with `WouldBlock`.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        if let Some(channel) = self.channel.take() {
            self.lend(channel, |end, channel| channel.close(end))?;
        }
        match std::mem::replace(&mut self.write, WriteHalf::Shut) {
            WriteHalf::Shared => {
                self.write = WriteHalf::Shared;
                SockRef::from(&self.read).shutdown(Shutdown::Write)
            }
            WriteHalf::Own(write, Medium::Socket) => {
                SockRef::from(&write).shutdown(Shutdown::Write)
            }
            // Closing it is all that a pipe's reader can see.
            WriteHalf::Own(..) | WriteHalf::Shut => Ok(()),
        }
    }

    /// The error that the kernel holds for the socket, once.
    pub fn take_error(&self) -> Option<io::Error> {
        if self.read_medium != Medium::Socket {
            return None;
        }
        SockRef::from(&self.read).take_error().ok().flatten()
    }

    /// Takes off what ICMP said of a connection that goes on, and that epoll tells as an error for as long as it is there.
    pub fn forgive(&mut self) {
        while errors::next_origin(&self.read).is_some() {}
        self.failed = false;
    }

    /// Whether ICMP said of a connection that could not be made what [`End::failure`] tells, and no segment of TCP did.
    pub fn was_refused_by_icmp(&self) -> bool {
        std::iter::from_fn(|| errors::next_origin(&self.read)).any(|origin| origin == Origin::Icmp)
    }

    /// Why it has failed, as far as the kernel still knows.
    pub fn failure(&self) -> io::Error {
        self.take_error()
            .unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
    }

    /// The address that the peer is connected to, where it has one.
    pub fn local_address(&self) -> Option<SocketAddr> {
        SockRef::from(&self.read).local_addr().ok()?.as_socket()
    }

    /// The address of the peer, where it has one.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        SockRef::from(&self.read).peer_addr().ok()?.as_socket()
    }

    /// A dial of a local port without a listener can connect to itself if the kernel picked that port for it.
    pub fn is_joined_to_itself(&self, peer: SocketAddr) -> bool {
        peer.ip().is_loopback() && self.local_address() == Some(peer)
    }

    /// Closes in an orderly way: what is sent is delivered.
    pub fn close(self) {
        if self.read_medium == Medium::Socket {
            // Fails for a Unix socket, which never had it.
            let _ = SockRef::from(&self.read).set_linger(None::<Duration>);
        }
        if let WriteHalf::Own(write, Medium::Socket) = &self.write {
            let _ = SockRef::from(write).set_linger(None::<Duration>);
        }
    }

    /// Returns the descriptor that is read.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Tells epoll to forget an inherited end: whoever shares its descriptors would keep it alive there.
    pub fn deregister(&self, registry: &Registry) {
        let _ = registry.deregister(&mut SourceFd(&self.read.as_raw_fd()));
        if let WriteHalf::Own(write, _) = &self.write {
            let _ = registry.deregister(&mut SourceFd(&write.as_raw_fd()));
        }
    }

    fn writes_to_socket(&self) -> bool {
        matches!(
            &self.write,
            WriteHalf::Shared | WriteHalf::Own(_, Medium::Socket)
        )
    }
}

/// The call found nothing to do now.
pub fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// False where epoll does not take the descriptor (EPERM): it is always ready.
fn add(
    registry: &Registry,
    fd: &OwnedFd,
    token: mio::Token,
    interest: Interest,
) -> io::Result<bool> {
    match registry.register(&mut SourceFd(&fd.as_raw_fd()), token, interest) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    // The write takes the error from the socket, and no event tells of it any more.
    #[test]
    fn a_socket_that_was_reset_has_failed_though_a_write_finds_out_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        SockRef::from(&far)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(far);
        near.set_nonblocking(true).unwrap();
        let mut end = End::socket(near.into());
        end.writable = true;
        let error = end.send(&[], b"are you there?", false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(end.take_error().is_none());
        assert!(end.has_failed());
    }
}
