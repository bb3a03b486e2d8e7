//! How the bytes of an end are read and written.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, sendmsg};

use super::{End, Medium, Stops, WriteHalf, is_blocked};
use crate::keyed::{Channel, Wire};

impl End {
    /// Reads into `buffer`; 0 is the end of file.
    pub fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.channel.take() {
            None => self.read(buffer),
            Some(channel) => self.lend(channel, |end, channel| channel.recv(end, buffer)),
        }
    }

    /// Reads bytes to drop them, encrypted or not.
    pub fn recv_unread(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = match self.read_medium {
            Medium::Socket => {
                recv(self.read.as_raw_fd(), buffer, MsgFlags::empty()).map_err(io::Error::from)
            }
            Medium::Stream | Medium::Terminal => poll_one(self.read.as_fd(), PollFlags::POLLIN)
                .and_then(|()| Ok(nix::unistd::read(&self.read, buffer)?)),
            Medium::File => nix::unistd::read(&self.read, buffer).map_err(io::Error::from),
        };
        match &result {
            Err(error) if is_blocked(error) => self.readable = false,
            // A short read has emptied such a socket (epoll(7)): the next byte, or the end of file, is a new event.
            Ok(count)
                if *count < buffer.len()
                    && self.read_medium == Medium::Socket
                    && self.stops == Stops::Never =>
            {
                self.readable = self.read_closed || self.failed;
            }
            _ => {}
        }
        result
    }

    /// Looks at what a socket will give, and leaves it there; 0 is the end of file.
    pub fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result =
            recv(self.read.as_raw_fd(), buffer, MsgFlags::MSG_PEEK).map_err(io::Error::from);
        if result.as_ref().is_err_and(is_blocked) {
            self.readable = false;
        }
        result
    }

    /// Whether the socket is as quiet as an idle link must be: no bytes, no end of file, no error.
    pub fn is_quiet(&self) -> bool {
        if self
            .channel
            .as_ref()
            .is_some_and(|channel| !channel.is_quiet())
        {
            return false;
        }
        let mut byte = [0];
        match self.read_medium {
            Medium::Socket => {
                let result = recv(
                    self.read.as_raw_fd(),
                    &mut byte,
                    MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT,
                );
                result == Err(Errno::EAGAIN)
            }
            Medium::Stream | Medium::Terminal => {
                poll_one(self.read.as_fd(), PollFlags::POLLIN).is_err()
            }
            Medium::File => true,
        }
    }

    /// Writes `head` and then `body`; with `more`, the kernel may wait for what follows. Where there is a channel, what it took may
    /// still be there: see [`End::flush`].
    pub fn send(&mut self, head: &[u8], body: &[u8], more: bool) -> io::Result<usize> {
        match self.channel.take() {
            None => self.write(head, body, more),
            Some(channel) => self.lend(channel, |end, channel| channel.send(end, head, body, more)),
        }
    }

    /// Sends what was taken and not sent; fails with `WouldBlock` while any of it is left.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.channel.take() {
            None => Ok(()),
            Some(channel) => self.lend(channel, |end, channel| channel.flush(end)),
        }
    }

    /// Whether everything that was taken is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.channel
            .as_ref()
            .is_none_or(|channel| channel.is_flushed())
    }

    /// Lends itself to its channel.
    pub(super) fn lend<T>(
        &mut self,
        mut channel: Box<Channel>,
        call: impl FnOnce(&mut Self, &mut Channel) -> T,
    ) -> T {
        let result = call(self, &mut channel);
        self.channel = Some(channel);
        result
    }

    fn write(&mut self, head: &[u8], body: &[u8], more: bool) -> io::Result<usize> {
        if !self.writable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let whole = head.len() + body.len();
        let result = match &self.write {
            WriteHalf::Shared => send_socket(&self.read, head, body, more),
            WriteHalf::Own(write, Medium::Socket) => send_socket(write, head, body, more),
            WriteHalf::Own(write, Medium::Stream | Medium::Terminal) => {
                // POLLOUT promises room for PIPE_BUF bytes and no more; beyond it the write could block.
                let bytes = if head.is_empty() { body } else { head };
                let bytes = &bytes[..bytes.len().min(libc::PIPE_BUF)];
                poll_one(write.as_fd(), PollFlags::POLLOUT)
                    .and_then(|()| Ok(nix::unistd::write(write, bytes)?))
            }
            WriteHalf::Own(write, Medium::File) => {
                let bytes = if head.is_empty() { body } else { head };
                nix::unistd::write(write, bytes).map_err(io::Error::from)
            }
            WriteHalf::Shut => Err(io::ErrorKind::BrokenPipe.into()),
        };
        self.note_written(&result, whole);
        result
    }

    /// Updates readiness after an attempt to write `wanted` bytes.
    pub(super) fn note_written(&mut self, result: &io::Result<usize>, wanted: usize) {
        let is_socket = self.writes_to_socket();
        match result {
            Err(error) if is_blocked(error) => self.writable = false,
            Ok(count) if *count < wanted && is_socket => self.writable = false,
            // The call has taken the error that epoll would have told of.
            Err(error) if is_socket && error.raw_os_error() != Some(libc::EINVAL) => {
                self.failed |= self.is_one_descriptor();
            }
            _ => {}
        }
    }
}

pub(super) fn poll_one(fd: BorrowedFd<'_>, flags: PollFlags) -> io::Result<()> {
    let mut fds = [PollFd::new(fd, flags)];
    match poll(&mut fds, PollTimeout::ZERO)? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// With flags only where they are needed: the sandbox looks at the flags of each sendto(2) and sendmsg(2), which takes some 50 ns. The
/// runtime has set SIGPIPE to be ignored.
fn send_socket(socket: &OwnedFd, head: &[u8], body: &[u8], more: bool) -> io::Result<usize> {
    let slices = [IoSlice::new(head), IoSlice::new(body)];
    let slices = match (head.is_empty(), body.is_empty()) {
        (true, _) => &slices[1..],
        (_, true) => &slices[..1],
        _ => &slices,
    };
    let sent = match (more, slices) {
        (false, [slice]) => nix::unistd::write(socket, slice)?,
        // A short message is joined sooner here than by the kernel.
        (false, _) if head.len() + body.len() <= JOINED_BYTES_MAX => {
            let mut joined = [0; JOINED_BYTES_MAX];
            let (first, rest) = joined.split_at_mut(head.len());
            first.copy_from_slice(head);
            rest[..body.len()].copy_from_slice(body);
            nix::unistd::write(socket, &joined[..head.len() + body.len()])?
        }
        (false, _) => nix::sys::uio::writev(socket, slices)?,
        (true, _) => {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_MORE);
            sendmsg::<()>(socket.as_raw_fd(), slices, &[], flags, None)?
        }
    };
    Ok(sent)
}

/// What is longer is left to the kernel to join.
const JOINED_BYTES_MAX: usize = 512;

/// The socket below the channel.
impl Wire for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read(self, buffer)
    }

    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        Self::write(self, &[], bytes, more)
    }
}
