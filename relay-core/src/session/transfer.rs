//! Where the bytes of a direction come from and where they go, and how plain ends do both.

use std::io;
use std::time::Instant;

use crate::event_loop::pump_resources::Buffers;
use crate::limits::PIPE_BYTES;
use crate::linux::splice::Pipe;
use crate::sockets::end::{End, is_blocked};

/// Where bytes come from.
pub trait Source {
    /// What a source says beside its bytes.
    type Event;

    /// How many bytes the next splice may take; `None` where the next bytes are to be copied. `bulk` is what was seen last.
    fn spliceable(&self, buffers: &Buffers, bulk: bool) -> Option<usize>;

    /// Moves up to `max` bytes into the pipe; 0 is the end of file.
    fn splice_in(&mut self, pipe: &mut Pipe, max: usize, now: Instant) -> io::Result<usize>;

    /// Takes bytes by reading.
    fn take<'b>(
        &mut self,
        buffers: &'b mut Buffers,
        bulk: bool,
        now: Instant,
    ) -> ReadOutcome<'b, Self::Event>;

    /// What the end of file, seen by splice, means.
    fn ended(&self) -> ReadOutcome<'static, Self::Event>;

    /// What a failed read means.
    fn broke(&self, error: io::Error) -> ReadOutcome<'static, Self::Event>;
}

/// What a source gives.
#[derive(Debug)]
pub enum ReadOutcome<'b, N> {
    /// Bytes, which are the pump's from here; and whether the end of file is known to be right behind them.
    Bytes(&'b [u8], bool),
    /// Nothing yet; what comes next can be spliced.
    Bulk,
    /// Nothing now.
    Blocked,
    /// End of file.
    Eof,
    /// The source was reset, or failed.
    Failed(io::Error),
    /// Something for the session.
    Event(N),
}

/// Where bytes go.
pub trait Sink {
    /// Delivers some of `bytes`; fails with `WouldBlock` if it can take none now. If `more` follows at once, the two may travel
    /// together.
    fn put(
        &mut self,
        bytes: &[u8],
        more: bool,
        head: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<usize>;

    /// Delivers some of what the pipe holds.
    fn put_pipe(&mut self, pipe: &mut Pipe, head: &mut Vec<u8>, now: Instant) -> io::Result<usize>;

    /// Whether a pipe can be delivered without being emptied first, as far as is known.
    fn takes_pipes(&self) -> bool;

    /// Sends what was delivered and is still held back; fails with `WouldBlock` while any of it is left.
    fn flush(&mut self) -> io::Result<()>;

    /// Passes the end of file on; to be called again while it fails with `WouldBlock`.
    fn finish(&mut self) -> io::Result<()>;
}

/// An end whose bytes are nothing but payload.
impl Source for End {
    type Event = std::convert::Infallible;

    fn spliceable(&self, _: &Buffers, bulk: bool) -> Option<usize> {
        (bulk && self.can_be_spliced()).then_some(PIPE_BYTES)
    }

    fn splice_in(&mut self, pipe: &mut Pipe, max: usize, _: Instant) -> io::Result<usize> {
        Self::splice_in(self, pipe, max)
    }

    fn take<'b>(
        &mut self,
        buffers: &'b mut Buffers,
        _: bool,
        _: Instant,
    ) -> ReadOutcome<'b, Self::Event> {
        match self.recv(&mut buffers.copy) {
            Ok(0) => ReadOutcome::Eof,
            Ok(count) => ReadOutcome::Bytes(&buffers.copy[..count], self.end_follows()),
            Err(error) if is_blocked(&error) => ReadOutcome::Blocked,
            Err(error) => self.broke(error),
        }
    }

    fn ended(&self) -> ReadOutcome<'static, Self::Event> {
        ReadOutcome::Eof
    }

    fn broke(&self, error: io::Error) -> ReadOutcome<'static, Self::Event> {
        // A terminal whose other side has closed.
        if error.raw_os_error() == Some(libc::EIO) && !self.is_socket() {
            ReadOutcome::Eof
        } else {
            ReadOutcome::Failed(error)
        }
    }
}

impl Sink for End {
    fn put(&mut self, bytes: &[u8], more: bool, _: &mut Vec<u8>, _: Instant) -> io::Result<usize> {
        self.send(&[], bytes, more)
    }

    fn put_pipe(&mut self, pipe: &mut Pipe, _: &mut Vec<u8>, _: Instant) -> io::Result<usize> {
        self.splice_out(pipe, usize::MAX)
    }

    fn takes_pipes(&self) -> bool {
        Self::takes_pipes(self)
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown_write()
    }
}
