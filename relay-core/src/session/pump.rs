//! One direction of a session, written once: bytes of a source to a sink, then the source's end of file.
//!
//! Bytes in flight are those that were taken and not yet delivered; nothing is taken while there are any, so a stalled sink
//! costs a pipe or a buffer and stops the source. Bulk goes by splice(2) through a borrowed pipe, small messages by one read and
//! one write through a buffer of the loop; which, is decided from what is seen.
//!
//! What it does not do: it neither closes an end nor decides what a failure means. The session does.

use std::io;

use crate::event_loop::pump_resources::PumpResources;
use crate::limits::{BULK_BYTES_MIN, SPLICE_BYTES_MIN};
use crate::linux::splice::{Pipe, PipePool};
use crate::session::transfer::{ReadOutcome, Sink, Source};
use crate::sockets::end::is_blocked;

/// One direction.
#[derive(Debug)]
pub struct Direction {
    flow: Flow,
    in_flight: InFlight,
    /// The sink has not sent all that it took.
    held_back: bool,
    way: Way,
    delivered: u64,
    /// Of these, the first are none of the source's.
    preface: u16,
}

/// How far a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Bytes may come.
    Flowing,
    /// The source is known to be reset. Its remaining bytes are delivered, then the reset is reported.
    LastBytes,
    /// The end of file has come; what is in flight goes first.
    Draining,
    /// The end of file was passed on, or the direction was given up.
    Finished,
}

/// Bytes that were taken and not yet delivered.
#[derive(Debug, Default)]
pub enum InFlight {
    /// None.
    #[default]
    Nothing,
    /// In a borrowed pipe.
    Pipe(Pipe),
    /// Copied; the second is how many are delivered.
    Buffer(Box<[u8]>, usize),
}

/// How the next bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Copy,
    /// The last read was large.
    Splice,
    /// One of the ends cannot be spliced.
    CopyOnly,
}

/// Why a pump stopped.
#[derive(Debug)]
pub enum Verdict<N> {
    /// One of the ends has to become ready.
    Blocked,
    /// It moved its share of this turn; there may be more.
    Again,
    /// The direction is finished.
    Finished,
    /// The source was reset, or failed.
    SourceFailed(io::Error),
    /// The sink was reset, or failed.
    SinkFailed(io::Error),
    /// Something for the session; pump again after it.
    Event(N),
}

impl Direction {
    /// Nothing has moved yet.
    pub fn new() -> Self {
        Self::with(Box::default(), 0)
    }

    /// `first` is delivered before all else; `delivered` bytes were so already.
    pub fn with(first: Box<[u8]>, delivered: u64) -> Self {
        let in_flight = if first.is_empty() {
            InFlight::Nothing
        } else {
            InFlight::Buffer(first, 0)
        };
        Self {
            flow: Flow::Flowing,
            in_flight,
            held_back: false,
            way: Way::Copy,
            delivered,
            preface: 0,
        }
    }

    /// The sink gets `preface` before all else, and `first`, the source's first bytes, right behind it.
    pub fn behind(preface: &[u8], mut first: Vec<u8>) -> Self {
        first.splice(0..0, preface.iter().copied());
        Self {
            preface: u16::try_from(preface.len()).unwrap_or(u16::MAX),
            ..Self::with(first.into(), 0)
        }
    }

    /// All of it was delivered by other means: `delivered` bytes and the end of file.
    pub fn finished(delivered: u64) -> Self {
        Self {
            flow: Flow::Finished,
            ..Self::with(Box::default(), delivered)
        }
    }

    /// How far it is.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Bytes of the source that were delivered.
    pub fn delivered(&self) -> u64 {
        self.delivered.saturating_sub(self.preface.into())
    }

    /// Bytes wait for the sink.
    pub fn is_stalled(&self) -> bool {
        self.held_back || !matches!(self.in_flight, InFlight::Nothing)
    }

    /// The end of file has come by other means than the source's bytes.
    pub fn end(&mut self) {
        if self.flow == Flow::Flowing {
            self.flow = Flow::Draining;
        }
    }

    /// The source is known to be reset.
    pub fn expect_reset(&mut self) {
        if self.flow == Flow::Flowing {
            self.flow = Flow::LastBytes;
        }
    }

    /// Gives the direction up; what was in flight is the caller's to drop or deliver.
    pub fn abandon(&mut self) -> InFlight {
        self.flow = Flow::Finished;
        self.held_back = false;
        std::mem::take(&mut self.in_flight)
    }

    /// Moves bytes until one end blocks, the turn's share is used up, or there is something to say.
    pub fn pump<S: Source>(
        &mut self,
        source: &mut S,
        sink: &mut impl Sink,
        resources: &mut PumpResources,
    ) -> Verdict<S::Event> {
        let (before, way) = (self.delivered, self.way);
        let verdict = self.move_share(source, sink, resources);
        let moved = self.delivered - before;
        let was_message = way != Way::Splice && (1..SPLICE_BYTES_MIN as u64).contains(&moved);
        if was_message && !self.is_stalled() {
            resources.message_at = Some(resources.now);
        }
        verdict
    }

    fn move_share<S: Source>(
        &mut self,
        source: &mut S,
        sink: &mut impl Sink,
        resources: &mut PumpResources,
    ) -> Verdict<S::Event> {
        let share_ends = self.delivered + resources.share as u64;
        loop {
            match self.deliver(sink, resources) {
                Ok(()) => {}
                Err(error) if is_blocked(&error) => return Verdict::Blocked,
                Err(error) => return Verdict::SinkFailed(error),
            }
            match self.flow {
                Flow::Finished => return Verdict::Finished,
                Flow::Draining => {
                    let finished = sink.finish();
                    if finished.as_ref().is_err_and(is_blocked) {
                        return Verdict::Blocked;
                    }
                    self.flow = Flow::Finished;
                    return match finished {
                        Ok(()) => Verdict::Finished,
                        Err(error) => Verdict::SinkFailed(error),
                    };
                }
                Flow::Flowing | Flow::LastBytes => {}
            }
            if self.delivered >= share_ends {
                return Verdict::Again;
            }
            if let Some(verdict) = self.take(source, sink, resources) {
                return verdict;
            }
        }
    }

    /// Delivers all that is in flight, or fails.
    fn deliver(&mut self, sink: &mut impl Sink, resources: &mut PumpResources) -> io::Result<()> {
        loop {
            match &mut self.in_flight {
                InFlight::Nothing => {
                    let flushed = sink.flush();
                    self.held_back = flushed.as_ref().is_err_and(is_blocked);
                    return flushed;
                }
                InFlight::Pipe(pipe) => {
                    match sink.put_pipe(pipe, &mut resources.head, resources.now) {
                        Ok(count) => {
                            self.delivered += count as u64;
                            resources.counters.spliced += count as u64;
                            if pipe.held() == 0 {
                                std::mem::take(&mut self.in_flight).release(&mut resources.pipes);
                            }
                        }
                        Err(error) if cannot_splice(&error) => self.copy_only(resources)?,
                        Err(error) => return Err(error),
                    }
                }
                InFlight::Buffer(bytes, at) => {
                    let count =
                        sink.put(&bytes[*at..], false, &mut resources.head, resources.now)?;
                    *at += count;
                    self.delivered += count as u64;
                    resources.counters.copied += count as u64;
                    if *at == bytes.len() {
                        self.in_flight = InFlight::Nothing;
                    }
                }
            }
        }
    }

    /// Takes what the source has, once.
    fn take<S: Source>(
        &mut self,
        source: &mut S,
        sink: &mut impl Sink,
        resources: &mut PumpResources,
    ) -> Option<Verdict<S::Event>> {
        let PumpResources {
            now,
            buffers,
            head,
            pipes,
            counters,
            share,
            ..
        } = resources;
        let bulk = self.way == Way::Splice && pipes.lends();
        let pipe = match source.spliceable(buffers, bulk) {
            Some(max) if self.way != Way::CopyOnly && sink.takes_pipes() => {
                pipes.borrow().map(|pipe| (pipe, max))
            }
            _ => None,
        };
        let took = match pipe {
            Some((mut pipe, max)) => match source.splice_in(&mut pipe, max.min(*share), *now) {
                Ok(count) if count > 0 => {
                    self.way = if count >= SPLICE_BYTES_MIN {
                        Way::Splice
                    } else {
                        Way::Copy
                    };
                    self.in_flight = InFlight::Pipe(pipe);
                    return None;
                }
                result => {
                    pipes.give_back(pipe);
                    match result {
                        Ok(_) => source.ended(),
                        Err(error) if is_blocked(&error) => ReadOutcome::Blocked,
                        Err(error) if cannot_splice(&error) => {
                            self.way = Way::CopyOnly;
                            return None;
                        }
                        Err(error) => source.broke(error),
                    }
                }
            },
            None => source.take(buffers, bulk, *now),
        };
        match took {
            ReadOutcome::Bytes(bytes, end_follows) => {
                if self.way != Way::CopyOnly {
                    self.way = if bytes.len() >= BULK_BYTES_MIN {
                        Way::Splice
                    } else {
                        Way::Copy
                    };
                }
                let mut rest = bytes;
                while !rest.is_empty() {
                    match sink.put(rest, end_follows, head, *now) {
                        Ok(count) => {
                            rest = &rest[count..];
                            self.delivered += count as u64;
                            counters.copied += count as u64;
                        }
                        Err(error) if is_blocked(&error) => {
                            self.in_flight = InFlight::Buffer(rest.into(), 0);
                            return Some(Verdict::Blocked);
                        }
                        Err(error) => return Some(Verdict::SinkFailed(error)),
                    }
                }
                None
            }
            ReadOutcome::Bulk => None,
            ReadOutcome::Blocked => Some(Verdict::Blocked),
            ReadOutcome::Eof if self.flow == Flow::LastBytes => {
                Some(Verdict::SourceFailed(io::ErrorKind::ConnectionReset.into()))
            }
            ReadOutcome::Eof => {
                self.flow = Flow::Draining;
                None
            }
            ReadOutcome::Failed(error) => Some(Verdict::SourceFailed(error)),
            ReadOutcome::Event(news) => Some(Verdict::Event(news)),
        }
    }

    /// The sink cannot be spliced into (a file opened for appending, a terminal): what is in the pipe is copied out of it.
    fn copy_only(&mut self, resources: &mut PumpResources) -> io::Result<()> {
        self.way = Way::CopyOnly;
        if let InFlight::Pipe(mut pipe) = std::mem::take(&mut self.in_flight) {
            let bytes = pipe.read_all();
            resources.pipes.give_back(pipe);
            self.in_flight = InFlight::Buffer(bytes?.into(), 0);
        }
        Ok(())
    }
}

impl Default for Direction {
    fn default() -> Self {
        Self::new()
    }
}

impl InFlight {
    /// Drops what is left, and gives the pipe back.
    pub fn release(self, pipes: &mut PipePool) {
        if let Self::Pipe(pipe) = self {
            pipes.give_back(pipe);
        }
    }
}

/// splice(2): EINVAL where one of the descriptors does not support it.
fn cannot_splice(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::event_loop::pump_resources::Buffers;
    use crate::limits::{
        MESSAGES_OVER, SHARE_BYTES_BESIDE_MESSAGES, SHARE_BYTES_MAX, SHARE_BYTES_MIN, TURN_BYTES,
    };
    use crate::linux::splice::Pipe;

    /// Has reads of these sizes to give, the last one first.
    struct Reads(Vec<usize>);

    impl Source for Reads {
        type Event = std::convert::Infallible;

        fn spliceable(&self, _: &Buffers, _: bool) -> Option<usize> {
            None
        }

        fn splice_in(&mut self, _: &mut Pipe, _: usize, _: Instant) -> io::Result<usize> {
            unreachable!("nothing is spliced")
        }

        fn take<'b>(
            &mut self,
            buffers: &'b mut Buffers,
            _: bool,
            _: Instant,
        ) -> ReadOutcome<'b, Self::Event> {
            match self.0.pop() {
                Some(count) => ReadOutcome::Bytes(&buffers.copy[..count], false),
                None => ReadOutcome::Blocked,
            }
        }

        fn ended(&self) -> ReadOutcome<'static, Self::Event> {
            ReadOutcome::Eof
        }

        fn broke(&self, error: io::Error) -> ReadOutcome<'static, Self::Event> {
            ReadOutcome::Failed(error)
        }
    }

    /// Takes everything.
    struct Hole;

    impl Sink for Hole {
        fn put(&mut self, bytes: &[u8], _: bool, _: &mut Vec<u8>, _: Instant) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn put_pipe(&mut self, _: &mut Pipe, _: &mut Vec<u8>, _: Instant) -> io::Result<usize> {
            unreachable!("nothing is spliced")
        }

        fn takes_pipes(&self) -> bool {
            false
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// How much one direction of bulk moves in a turn.
    fn share(resources: &mut PumpResources) -> u64 {
        resources.share_out(1);
        let mut bulk = Direction::new();
        let verdict = bulk.pump(&mut Reads(vec![BULK_BYTES_MIN; 1000]), &mut Hole, resources);
        assert!(matches!(verdict, Verdict::Again));
        bulk.delivered()
    }

    #[test]
    fn a_message_makes_the_shares_small_for_a_while() {
        let now = Instant::now();
        let mut resources = PumpResources::new(0, now);
        assert_eq!(share(&mut resources), SHARE_BYTES_MAX as u64);

        let mut session = Direction::new();
        session.pump(&mut Reads(vec![64]), &mut Hole, &mut resources);
        assert_eq!(share(&mut resources), SHARE_BYTES_BESIDE_MESSAGES as u64);

        resources.now = now + MESSAGES_OVER;
        assert_eq!(share(&mut resources), SHARE_BYTES_MAX as u64);
    }

    #[test]
    fn many_who_have_their_turn_have_small_shares() {
        let mut resources = PumpResources::new(0, Instant::now());
        resources.share_out(TURN_BYTES / SHARE_BYTES_MIN);
        assert_eq!(resources.share, SHARE_BYTES_MIN);
    }
}
