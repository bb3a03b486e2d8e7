//! The channel between an end's socket and its bytes: reads and writes TLS records.
//!
//! Contract: [`Channel::recv`], [`Channel::send`] and [`Channel::flush`] behave like the calls of a non-blocking socket, on a [`Wire`]
//! that is one. `recv` does the handshake. Until it is done, `send` writes nothing. Bytes that `send` encrypted and the wire did not
//! take are kept, and `send` writes nothing more until they are gone. Decrypted bytes for which the caller had no room are kept and
//! returned first. So a channel holds at most one batch of records each way. An idle channel holds none: the buffers of a call belong to
//! the thread. An end of file is the peer's close_notify. Without it, the end of the wire is a reset: the connection was cut.

use std::{fmt, io};

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;

use super::buffers::{RECORD_PAYLOAD, SCRATCH, Scratch, read_limit};
use super::fault::{ALERT, Fault, fault, stranger};
use super::identity::Proof;
use super::records::{Connection, Hands, Held, Step, Task};
use crate::limits::{TLS_BATCH_BYTES, TLS_FRUITLESS_READS_MAX};

/// What carries the records.
pub trait Wire {
    /// Reads; 0 is the end of file.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of the bytes; with `more`, others follow at once.
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;
}

/// See the module.
pub struct Channel {
    connection: Connection,
    stage: Stage,
    /// The front of a record whose rest has not come.
    incoming: Vec<u8>,
    /// Decrypted bytes that the caller had no room for.
    decrypted: Held,
    /// Records that the wire did not take.
    outgoing: Held,
    /// What comes from the peer.
    inward: Half,
    /// What goes there.
    outward: Half,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Open,
    /// The sender has sent its close_notify.
    Closed,
}

#[derive(Clone)]
enum Stage {
    /// Nothing has come yet.
    AwaitsFirst,
    /// The peer has not proved anything yet.
    Handshaking,
    Proven(Proof),
    Failed(Fault),
}

impl Channel {
    /// For a link of the inside node. What is said first waits to be sent.
    pub fn client(connection: UnbufferedClientConnection) -> Self {
        Self::new(Connection::Client(connection))
    }

    /// For a link of the outside node.
    pub fn server(connection: UnbufferedServerConnection) -> Self {
        Self::new(Connection::Server(connection))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            stage: Stage::AwaitsFirst,
            incoming: Vec::new(),
            decrypted: Held::default(),
            outgoing: Held::default(),
            inward: Half::Open,
            outward: Half::Open,
        }
    }

    /// What the peer has proved, once it has.
    pub fn proof(&self) -> Option<Proof> {
        match self.stage {
            Stage::Proven(proof) => Some(proof),
            _ => None,
        }
    }

    /// The peer has not proved anything, and still may.
    pub fn is_authenticating(&self) -> bool {
        matches!(self.stage, Stage::AwaitsFirst | Stage::Handshaking)
    }

    /// Nothing that was read waits here.
    pub fn is_quiet(&self) -> bool {
        self.decrypted.is_empty() && self.incoming.is_empty()
    }

    /// Everything that was taken is with the wire.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Makes the handshake, and nothing else; fails with `WouldBlock` while it is not done.
    pub fn authenticate(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        if self.proof().is_none() {
            SCRATCH.with_borrow_mut(|scratch| self.read_records(wire, &mut [], scratch))?;
        }
        match self.proof() {
            Some(_) => self.flush(wire),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Reads until there are bytes for [`Channel::recv`], to see whether the channel fails instead.
    pub fn attend(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        for _ in 0..TLS_FRUITLESS_READS_MAX {
            if !self.decrypted.is_empty() || self.inward == Half::Closed {
                return Ok(());
            }
            SCRATCH.with_borrow_mut(|scratch| self.read_records(wire, &mut [], scratch))?;
        }
        Err(self.fail(Fault::Endless))
    }

    /// Reads into `buffer`; 0 is the end of file.
    pub fn recv(&mut self, wire: &mut impl Wire, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decrypted.take(buffer);
        if count > 0 {
            return Ok(count);
        }
        SCRATCH.with_borrow_mut(|scratch| self.read_records(wire, buffer, scratch))
    }

    fn read_records(
        &mut self,
        wire: &mut impl Wire,
        buffer: &mut [u8],
        scratch: &mut Scratch,
    ) -> io::Result<usize> {
        let mut fruitless = 0;
        while fruitless < TLS_FRUITLESS_READS_MAX {
            if let Stage::Failed(fault) = &self.stage {
                return Err(fault.clone().into());
            }
            if matches!(self.stage, Stage::AwaitsFirst) && self.outgoing.is_empty() {
                // The client speaks first.
                self.show(&mut [], &mut [], &mut scratch.output, Task::Nothing)?;
            }
            // A failure shows in what is read, behind what is still to be read.
            let _ = self.flush(wire);
            if self.inward == Half::Closed {
                return Ok(0);
            }
            let held = self.incoming.len();
            let end = read_limit(buffer.len());
            if held >= end {
                return Err(self.fail(Fault::Endless));
            }
            let count = match wire.read(&mut scratch.input[held..end]) {
                Ok(0) if matches!(self.stage, Stage::Proven(_)) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Ok(0) => return Ok(0),
                Ok(count) => count,
                Err(error) => {
                    if held == 0 {
                        self.incoming = Vec::new();
                    }
                    return Err(error);
                }
            };
            scratch.input[..held].copy_from_slice(&self.incoming);
            if matches!(self.stage, Stage::AwaitsFirst) {
                self.stage = Stage::Handshaking;
                if let Some(fault) = stranger(scratch.input[0]) {
                    self.outgoing.extend(&HANDSHAKE_FAILURE);
                    let error = self.fail(fault);
                    let _ = self.flush(wire);
                    return Err(error);
                }
            }
            let input = &mut scratch.input[..held + count];
            let done = self.show(input, buffer, &mut scratch.output, Task::Nothing);
            let (used, filled) = match done {
                Ok(done) => (done.used, done.filled),
                Err(error) => {
                    let _ = self.flush(wire);
                    return Err(error);
                }
            };
            self.incoming.clear();
            self.incoming
                .extend_from_slice(&scratch.input[used..held + count]);
            if filled > 0 || (buffer.is_empty() && self.proof().is_some()) {
                return Ok(filled);
            }
            if used > 0 {
                fruitless += 1;
            }
        }
        Err(self.fail(Fault::Endless))
    }

    /// Takes some of `head` and then `body`: all of one batch, or nothing.
    pub fn send(
        &mut self,
        wire: &mut impl Wire,
        head: &[u8],
        body: &[u8],
        more: bool,
    ) -> io::Result<usize> {
        self.flush(wire)?;
        match &self.stage {
            Stage::Failed(fault) => return Err(fault.clone().into()),
            Stage::Proven(_) if self.outward == Half::Closed => {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Stage::Proven(_) => {}
            Stage::AwaitsFirst | Stage::Handshaking => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let head = &head[..head.len().min(TLS_BATCH_BYTES)];
        let body = &body[..body.len().min(TLS_BATCH_BYTES - head.len())];
        SCRATCH.with_borrow_mut(|scratch| {
            self.write_records(wire, head, body, more, scratch)
                .map(|()| head.len() + body.len())
        })
    }

    fn write_records(
        &mut self,
        wire: &mut impl Wire,
        head: &[u8],
        body: &[u8],
        more: bool,
        scratch: &mut Scratch,
    ) -> io::Result<()> {
        // The two begin one record together; the rest of the body is not copied for it.
        let (first, rest) = if head.is_empty() || head.len() >= RECORD_PAYLOAD {
            (head, body)
        } else {
            let (extra, rest) = body.split_at(body.len().min(RECORD_PAYLOAD - head.len()));
            let first = &mut scratch.first[..head.len() + extra.len()];
            first[..head.len()].copy_from_slice(head);
            first[head.len()..].copy_from_slice(extra);
            (&*first, rest)
        };
        let mut incoming = std::mem::take(&mut self.incoming);
        let done = self.show(
            &mut incoming,
            &mut [],
            &mut scratch.output,
            Task::Send(first, rest),
        );
        let done = done.inspect(|done| {
            incoming.drain(..done.used);
        });
        self.incoming = incoming;
        let records = &scratch.output[..done?.written];
        // What rustls had to say by itself comes first.
        if !self.outgoing.is_empty() {
            self.outgoing.extend(records);
            return unblocked(self.flush(wire));
        }
        match wire.write(records, more) {
            Ok(count) => self.outgoing.extend(&records[count..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.outgoing.extend(records);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Sends what was taken; fails with `WouldBlock` while any of it is left.
    pub fn flush(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            let count = wire.write(self.outgoing.rest(), false)?;
            self.outgoing.advance(count);
        }
        Ok(())
    }

    /// Tells the peer that nothing follows; to be called again while it fails with `WouldBlock`.
    pub fn close(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        if matches!(self.stage, Stage::Proven(_)) && self.outward == Half::Open {
            self.outward = Half::Closed;
            let mut incoming = std::mem::take(&mut self.incoming);
            SCRATCH.with_borrow_mut(|scratch| {
                let done = self.show(&mut incoming, &mut [], &mut scratch.output, Task::Close)?;
                incoming.drain(..done.used);
                self.outgoing.extend(&scratch.output[..done.written]);
                io::Result::Ok(())
            })?;
            self.incoming = incoming;
        }
        self.flush(wire)
    }

    /// Shows the input to rustls until it asks for more, or has done the task.
    fn show(
        &mut self,
        input: &mut [u8],
        room: &mut [u8],
        output: &mut [u8],
        task: Task<'_>,
    ) -> io::Result<Done> {
        let mut hands = Hands {
            room,
            filled: 0,
            decrypted: &mut self.decrypted,
            outgoing: &mut self.outgoing,
            output,
            task,
            written: 0,
        };
        let mut used = 0;
        let result = loop {
            let (discard, step) = self.connection.step(&mut input[used..], &mut hands);
            used += discard;
            match step {
                Ok(Step::Again) => {}
                Ok(Step::PeerClosed) => self.inward = Half::Closed,
                Ok(Step::Blocked) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if result.is_err() {
            // The alert that the peer shall read is behind what was already said. Nothing more is shown to rustls.
            while self.connection.wants_to_write()
                && self.connection.step(&mut [], &mut hands).1.is_ok()
            {}
        }
        let done = Done {
            used,
            filled: hands.filled,
            written: hands.written,
        };
        if let Err(error) = result {
            let error = self.fail(fault(error));
            // What came before it is the caller's.
            return if done.filled > 0 {
                Ok(done)
            } else {
                Err(error)
            };
        }
        if matches!(self.stage, Stage::AwaitsFirst | Stage::Handshaking)
            && let Some(proof) = self.connection.proof()
        {
            self.stage = Stage::Proven(proof);
        }
        Ok(done)
    }

    fn fail(&mut self, fault: Fault) -> io::Error {
        self.stage = Stage::Failed(fault.clone());
        fault.into()
    }
}

/// What [`Channel::show`] did.
struct Done {
    /// Bytes of the input.
    used: usize,
    /// Bytes of the room.
    filled: usize,
    /// Bytes of records that the task gave.
    written: usize,
}

/// What waits is the wire's to take later.
fn unblocked(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("proof", &self.proof())
            .field("incoming", &self.incoming.len())
            .field("decrypted", &self.decrypted.rest().len())
            .field("outgoing", &self.outgoing.rest().len())
            .finish_non_exhaustive()
    }
}

/// An alert (RFC 8446 §6) that needs no keys: what a peer that speaks no TLS hears.
const HANDSHAKE_FAILURE: [u8; 7] = [ALERT, 3, 3, 0, 2, 2, 40];
