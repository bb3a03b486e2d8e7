//! The end of a session that is a link: payload in frames, and other frames between them.
//!
//! A DATA header is written only for bytes that are already in hand, and with MSG_MORE, so that it travels with its payload.
//! What the socket does not take at once is kept here: bytes of control frames, and the announced payload of a session that
//! is over, which must still be completed. Both are bounded by what one frame may hold.

mod transfer;

use std::io;
use std::time::Instant;

use mio::Registry;

use crate::event_loop::pump_resources::PumpResources;
use crate::limits::{LINK_READ_BYTES, WINDOW_PROBES_MAX};
use crate::linux::tcp_info::{tcp_info, unread_bytes};
use crate::protocol::link::{Event, Expired, Fault, Link};
use crate::session::pump::InFlight;
use crate::session::transfer::{ReadOutcome, Source};
use crate::sockets::end::{End, is_blocked};

/// A link's socket and its protocol.
#[derive(Debug)]
pub struct LinkEnd {
    /// The socket.
    pub end: End,
    /// What may be sent and what was read.
    pub protocol: Link,
    /// Bytes that were read and not used, because the far end is blocked.
    kept: Option<Box<[u8]>>,
    /// Bytes of headers and control frames that the socket did not take.
    unsent: Vec<u8>,
    /// Announced payload of a session that is over.
    leftover: InFlight,
    /// Bytes of control frames and of dropped payload that may still be used up in this turn.
    share: usize,
}

/// What a link says to its owner.
#[derive(Debug)]
pub enum LinkInput {
    /// A frame.
    Frame(Event),
    /// The end of file.
    Eof,
    /// A read failed.
    Failed(io::Error),
    /// The peer broke the protocol.
    Fault(Fault),
}

impl LinkEnd {
    /// A connected socket with the protocol at its start.
    pub fn new(end: End, protocol: Link) -> Self {
        Self {
            end,
            protocol,
            kept: None,
            unsent: Vec::new(),
            leftover: InFlight::Nothing,
            share: 0,
        }
    }

    /// Before the link is read in this turn.
    pub fn begin_turn(&mut self, resources: &mut PumpResources) {
        resources.buffers.window.load(self.kept.take());
        self.share = LINK_READ_BYTES;
    }

    /// Whether there may be more to read, which has to wait for the next turn: a peer that talks without end shall not keep others
    /// waiting.
    pub fn has_used_its_share(&self) -> bool {
        self.share == 0
    }

    /// After it.
    pub fn end_turn(&mut self, resources: &mut PumpResources) {
        self.kept = resources.buffers.window.save();
    }

    /// Reads on where no session takes payload, which is dropped: until there is news, or nothing more.
    pub fn read(&mut self, resources: &mut PumpResources) -> Option<LinkInput> {
        loop {
            match self.take(&mut resources.buffers, false, resources.now) {
                ReadOutcome::Event(news) => return Some(news),
                ReadOutcome::Blocked | ReadOutcome::Eof | ReadOutcome::Failed(_) => return None,
                ReadOutcome::Bytes(..) | ReadOutcome::Bulk => {}
            }
        }
    }

    /// Sends the control frames that wait, and what was left unsent.
    pub fn flush(&mut self, resources: &mut PumpResources) -> io::Result<()> {
        match self.send_leftovers(resources.now) {
            Ok(()) => {}
            Err(error) if is_blocked(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        // Whatever was announced of it is sent; bytes that never were are dropped with it.
        self.release(resources);
        if !self.protocol.has_pending() {
            return Ok(());
        }
        resources.head.clear();
        self.protocol.transmit(&mut resources.head, resources.now);
        match self.send_head(&resources.head, &[], false) {
            Err(error) if !is_blocked(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The session is over: bytes that were announced are still sent, others are dropped.
    pub fn leave_over(&mut self, in_flight: InFlight, resources: &mut PumpResources) {
        debug_assert!(
            matches!(self.leftover, InFlight::Nothing),
            "a session begins on a link that has sent the last one's bytes"
        );
        if self.protocol.announced_left() > 0 {
            self.leftover = in_flight;
        } else {
            in_flight.release(&mut resources.pipes);
        }
    }

    /// Nothing more is said: the peer would not understand it. What its channel has to say still goes out.
    pub fn give_up(&mut self) {
        self.protocol.give_up();
        self.unsent.clear();
    }

    /// Announced bytes of a session that is over, where no direction holds them.
    pub fn leave_over_bytes(&mut self, bytes: &[u8]) {
        let announced = self.protocol.announced_left() as usize;
        if announced > 0 {
            self.leftover = InFlight::Buffer(bytes[..announced.min(bytes.len())].into(), 0);
        }
    }

    /// Returns what is borrowed, before the link is dropped.
    pub fn release(&mut self, resources: &mut PumpResources) {
        std::mem::take(&mut self.leftover).release(&mut resources.pipes);
    }

    /// Closes the link. What was not sent is lost, and the peer is told by a reset unless both halves are shut.
    pub fn close(self, registry: &Registry) {
        if !self.end.is_socket() {
            self.end.deregister(registry);
        }
    }

    /// Whether everything that was to be sent is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
            && matches!(self.leftover, InFlight::Nothing)
            && self.protocol.is_transmitted()
            && self.end.is_flushed()
    }

    /// What has passed; silence that the kernel can explain is not told.
    pub fn expired(&mut self, now: Instant) -> Option<Expired> {
        loop {
            match self.protocol.handle_timeout(now)? {
                Expired::Silent => match self.heard_by_kernel(now) {
                    Some(at) => self.protocol.heard(at),
                    None => return Some(Expired::Silent),
                },
                Expired::Stalled if !self.is_lost_though_stalled() => {}
                expired => return Some(expired),
            }
        }
    }

    /// When the kernel last heard of the peer, if that is not too long ago: this process was stopped, not the peer.
    fn heard_by_kernel(&self, now: Instant) -> Option<Instant> {
        if unread_bytes(self.end.as_fd()).is_ok_and(|count| count > 0) {
            return Some(now);
        }
        let silence = tcp_info(self.end.as_fd()).ok()?.since_data;
        (silence < self.protocol.silence_max()).then(|| now.checked_sub(silence))?
    }

    /// The peer's host answers neither segments nor window probes.
    fn is_lost_though_stalled(&self) -> bool {
        let limit = self.protocol.silence_max();
        tcp_info(self.end.as_fd()).is_ok_and(|info| {
            (info.unacknowledged > 0 && info.since_ack >= limit) || info.probes > WINDOW_PROBES_MAX
        })
    }

    /// Sends what the socket did not take before, as far as it was announced; fails with `WouldBlock` while any is left.
    pub(super) fn send_leftovers(&mut self, now: Instant) -> io::Result<()> {
        self.end.flush()?;
        while !self.unsent.is_empty() {
            let count = self.end.send(&self.unsent, &[], false)?;
            self.unsent.drain(..count);
        }
        // An idle link owns no buffer.
        self.unsent = Vec::new();
        while !matches!(self.leftover, InFlight::Nothing) && self.protocol.announced_left() > 0 {
            let left = self.protocol.announced_left() as usize;
            let count = match &mut self.leftover {
                InFlight::Pipe(pipe) => self.end.splice_out(pipe, left)?,
                InFlight::Buffer(bytes, at) => {
                    let rest = &bytes[*at..];
                    let count = self.end.send(&[], &rest[..left.min(rest.len())], false)?;
                    *at += count;
                    count
                }
                InFlight::Nothing => 0,
            };
            if count == 0 {
                // What is announced is always in hand: a link that cannot complete a frame is of no use.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.protocol.payload_sent(count as u32, now);
        }
        Ok(())
    }

    /// Sends `head` and then `body`; what is not taken of the head is kept. Returns how much of the body was sent.
    pub(super) fn send_head(&mut self, head: &[u8], body: &[u8], more: bool) -> io::Result<usize> {
        let sent = match self.end.send(head, body, more) {
            Ok(sent) => sent,
            Err(error) if is_blocked(&error) => 0,
            Err(error) => return Err(error),
        };
        match head.get(sent..) {
            Some(unsent) => {
                self.unsent.extend_from_slice(unsent);
                if unsent.is_empty() {
                    Ok(0)
                } else {
                    Err(io::ErrorKind::WouldBlock.into())
                }
            }
            None => Ok(sent - head.len()),
        }
    }

    /// Announces up to `count` bytes, if none are announced; the header, with what waits, is in `head`.
    pub(super) fn announce(
        &mut self,
        count: usize,
        head: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<usize> {
        self.send_leftovers(now)?;
        head.clear();
        if self.protocol.announced_left() == 0 {
            if !self.protocol.may_send_payload() || !self.end.is_writable() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.protocol.announce(count, head, now);
        }
        Ok(count.min(self.protocol.announced_left() as usize))
    }
}
