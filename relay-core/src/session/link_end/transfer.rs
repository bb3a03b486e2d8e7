//! How the payload of a link is read and written.

use std::io;
use std::time::Instant;

use super::{LinkEnd, LinkInput};
use crate::event_loop::pump_resources::Buffers;
use crate::limits::{BULK_BYTES_MIN, FRAME_HEADER_BYTES};
use crate::linux::splice::Pipe;
use crate::protocol::frame::Kind;
use crate::protocol::link::Event;
use crate::session::transfer::{ReadOutcome, Sink, Source};
use crate::sockets::end::is_blocked;

impl Source for LinkEnd {
    type Event = LinkInput;

    fn spliceable(&self, buffers: &Buffers, _: bool) -> Option<usize> {
        let left = self.protocol.payload_left() as usize;
        // What was read past the header is in the window, and comes first.
        let next = buffers.window.unused().is_empty()
            && !self.protocol.drops_payload()
            && self.end.can_be_spliced();
        (next && left >= BULK_BYTES_MIN).then_some(left)
    }

    fn splice_in(&mut self, pipe: &mut Pipe, max: usize, now: Instant) -> io::Result<usize> {
        let count = self.end.splice_in(pipe, max)?;
        self.protocol
            .payload_taken(count as u32, now)
            .map_err(io::Error::other)?;
        Ok(count)
    }

    fn take<'b>(
        &mut self,
        buffers: &'b mut Buffers,
        bulk: bool,
        now: Instant,
    ) -> ReadOutcome<'b, LinkInput> {
        loop {
            if self.share == 0 {
                return ReadOutcome::Blocked;
            }
            let window = &mut buffers.window;
            let unused = window.unused().len();
            let left = self.protocol.payload_left() as usize;
            if left > 0 && unused > 0 {
                let count = left.min(unused);
                let dropped = self.protocol.drops_payload();
                if let Err(fault) = self.protocol.payload_taken(count as u32, now) {
                    return ReadOutcome::Event(LinkInput::Fault(fault));
                }
                if dropped {
                    window.advance(count);
                    self.share = self.share.saturating_sub(count);
                    continue;
                }
                let end_follows = left == count && window.unused()[count..].starts_with(&END);
                return ReadOutcome::Bytes(buffers.window.advance(count), end_follows);
            }
            if left == 0 && unused > 0 {
                match self.protocol.receive(window.unused(), now) {
                    Ok((_, Event::Incomplete)) => {}
                    Ok((count, event)) => {
                        window.advance(count);
                        self.share = self.share.saturating_sub(count);
                        match event {
                            Event::Payload if self.spliceable(buffers, bulk).is_some() => {
                                return ReadOutcome::Bulk;
                            }
                            Event::Payload | Event::Handled => continue,
                            event => return ReadOutcome::Event(LinkInput::Frame(event)),
                        }
                    }
                    Err(fault) => return ReadOutcome::Event(LinkInput::Fault(fault)),
                }
            }
            // What cannot be spliced can at least be read to where it is sent from.
            if left >= BULK_BYTES_MIN
                && !self.end.can_be_spliced()
                && !self.protocol.drops_payload()
            {
                let room = left.min(buffers.copy.len());
                return match self.end.recv(&mut buffers.copy[..room]) {
                    Ok(0) => ReadOutcome::Event(LinkInput::Eof),
                    Ok(count) => match self.protocol.payload_taken(count as u32, now) {
                        Ok(()) => ReadOutcome::Bytes(&buffers.copy[..count], false),
                        Err(fault) => ReadOutcome::Event(LinkInput::Fault(fault)),
                    },
                    Err(error) if is_blocked(&error) => ReadOutcome::Blocked,
                    Err(error) => ReadOutcome::Event(LinkInput::Failed(error)),
                };
            }
            // In bulk a header is read by itself, so that all of its payload can be spliced.
            let wanted = if bulk && left == 0 && unused == 0 && self.end.can_be_spliced() {
                FRAME_HEADER_BYTES
            } else {
                usize::MAX
            };
            match self.end.recv(window.room(wanted)) {
                Ok(0) => return ReadOutcome::Event(LinkInput::Eof),
                Ok(count) => window.grow(count),
                Err(error) if is_blocked(&error) => return ReadOutcome::Blocked,
                Err(error) => return ReadOutcome::Event(LinkInput::Failed(error)),
            }
        }
    }

    fn ended(&self) -> ReadOutcome<'static, LinkInput> {
        ReadOutcome::Event(LinkInput::Eof)
    }

    fn broke(&self, error: io::Error) -> ReadOutcome<'static, LinkInput> {
        ReadOutcome::Event(LinkInput::Failed(error))
    }
}

impl Sink for LinkEnd {
    fn put(
        &mut self,
        bytes: &[u8],
        more: bool,
        head: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<usize> {
        let count = self.announce(bytes.len(), head, now)?;
        let mut sent = self.send_head(head, &bytes[..count], more)?;
        if sent == 0 {
            // A descriptor that is no socket takes the head and the body one by one.
            sent = self.end.send(&[], &bytes[..count], more)?;
        }
        self.protocol.payload_sent(sent as u32, now);
        Ok(sent)
    }

    fn put_pipe(&mut self, pipe: &mut Pipe, head: &mut Vec<u8>, now: Instant) -> io::Result<usize> {
        let count = self.announce(pipe.held(), head, now)?;
        if !head.is_empty() {
            self.send_head(head, &[], true)?;
        }
        let sent = self.end.splice_out(pipe, count)?;
        self.protocol.payload_sent(sent as u32, now);
        Ok(sent)
    }

    fn takes_pipes(&self) -> bool {
        self.end.takes_pipes()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.protocol.end();
        Ok(())
    }
}

/// The whole END frame.
const END: [u8; FRAME_HEADER_BYTES] = [Kind::End as u8, 0, 0, 0];
