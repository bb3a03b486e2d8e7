//! Pipes for splice(2), borrowed from a pool only while bytes are in flight.
//!
//! A pipe is full by slots, not by bytes: what fits is known only by trying, and EAGAIN on the way in means "the socket is
//! empty" only if the pipe is. A pipe that still holds bytes is closed, never put back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::{pipe2, read};

use crate::limits::{PIPE_BYTES, PIPES_KEPT_MAX};

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

impl Pipe {
    /// Bytes in the pipe.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves up to `max` bytes from `source` into the pipe; 0 is the end of file.
    pub fn fill(&mut self, source: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let moved = splice(source, None, &self.write, None, max, flags())?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves up to `max` bytes from the pipe into `sink`.
    pub fn empty(&mut self, sink: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let moved = splice(&self.read, None, sink, None, max.min(self.held), flags())?;
        self.held -= moved;
        Ok(moved)
    }

    /// Copies out all that the pipe holds, which is little more than its size.
    pub fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.held];
        let mut at = 0;
        while at < bytes.len() {
            match read(&self.read, &mut bytes[at..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => at += count,
            }
        }
        self.held = 0;
        Ok(bytes)
    }
}

/// No SPLICE_F_MORE: it delays the last part of a message by 200 ms.
fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

/// The pipes of one loop.
#[derive(Debug)]
pub struct PipePool {
    kept: Vec<Pipe>,
    lent: usize,
    lent_max: usize,
}

impl PipePool {
    /// A pool that lends at most `lent_max` pipes at once; 0 where nothing is to be spliced.
    pub fn new(lent_max: usize) -> Self {
        Self {
            kept: Vec::new(),
            lent: 0,
            lent_max,
        }
    }

    /// Whether a pipe can be borrowed, as far as is known.
    pub fn lends(&self) -> bool {
        self.lent < self.lent_max
    }

    /// An empty pipe, or `None` where descriptors or pipe memory ran out: then copy.
    pub fn borrow(&mut self) -> Option<Pipe> {
        if !self.lends() {
            return None;
        }
        let pipe = self.kept.pop().or_else(|| Self::make().ok())?;
        self.lent += 1;
        Some(pipe)
    }

    /// Takes a pipe back.
    pub fn give_back(&mut self, pipe: Pipe) {
        self.lent -= 1;
        if pipe.held == 0 && self.kept.len() < PIPES_KEPT_MAX {
            self.kept.push(pipe);
        }
    }

    fn make() -> io::Result<Pipe> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // A user without privileges has 64 MiB of pipes in all; beyond that a pipe of the default size does as well.
        let _ = fcntl(write.as_fd(), FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as i32));
        Ok(Pipe {
            read,
            write,
            held: 0,
        })
    }
}
