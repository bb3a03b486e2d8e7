//! How the bytes of an end are spliced.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::bytes::poll_one;
use super::{End, Medium, Stops, WriteHalf, is_blocked};
use crate::linux::splice::Pipe;

impl End {
    /// Moves up to `max` bytes into `pipe`; 0 is the end of file, which of a socket only a read tells.
    pub fn splice_in(&mut self, pipe: &mut Pipe, max: usize) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !self.can_be_spliced() {
            return Err(Errno::EINVAL.into());
        }
        if self.read_medium == Medium::Stream {
            poll_one(self.read.as_fd(), PollFlags::POLLIN)
                .inspect_err(|_| self.readable = false)?;
        }
        let empty = pipe.held() == 0;
        let result = pipe.fill(self.read.as_fd(), max);
        if matches!(result, Ok(0)) && self.read_medium == Medium::Socket {
            // The end of file, or urgent data that no event has told of yet, with the end of file somewhere behind it: a read knows.
            self.stops = Stops::AtUrgent;
            return Err(Errno::EINVAL.into());
        }
        // With bytes in the pipe, EAGAIN may mean that the pipe is full.
        if empty && result.as_ref().is_err_and(is_blocked) {
            self.readable = false;
        }
        result
    }

    /// Moves up to `max` bytes out of `pipe`.
    pub fn splice_out(&mut self, pipe: &mut Pipe, max: usize) -> io::Result<usize> {
        if !self.writable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.channel.is_some() {
            return Err(Errno::EINVAL.into());
        }
        let result = match &self.write {
            WriteHalf::Shared => pipe.empty(self.read.as_fd(), max),
            WriteHalf::Own(_, Medium::Terminal) => Err(Errno::EINVAL.into()),
            WriteHalf::Own(write, _) => pipe.empty(write.as_fd(), max),
            WriteHalf::Shut => Err(io::ErrorKind::BrokenPipe.into()),
        };
        // That it moved less than it could says nothing: a process that is stopped (SIGSTOP, a debugger, a freezer) leaves the call
        // where it is, and no event would tell of the room that is still there.
        self.note_written(&result, 0);
        result
    }
}
