//! Reading: which frames may come in which phase, and what each one means.

use std::time::Instant;

use super::event::{Event, Fault};
use super::{Abandoned, Answer, Flow, Link, Pending, Phase, Role, Session};
use crate::limits::{ABORT_DROPPED_BYTES_MAX, FRAME_HEADER_BYTES, HEARTBEAT_MAX, HEARTBEAT_MIN};
use crate::protocol::frame::{AbortCode, Frame, Header, Kind, VERSION};

impl Link {
    /// Takes at most one frame from the front of `input`; the number is how many of its bytes are done with.
    pub fn receive(&mut self, input: &[u8], now: Instant) -> Result<(usize, Event), Fault> {
        debug_assert_eq!(self.payload_left, 0, "payload is not shown to receive");
        if input.is_empty() {
            return Ok((0, Event::Incomplete));
        }
        self.liveness.heard = now;
        let Some((head, rest)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            // The type alone shows another protocol, whose peer may never send the other three bytes.
            Header::parse([input[0], 0, 0, 1]).map_err(Fault::Malformed)?;
            return Ok((0, Event::Incomplete));
        };
        let header = Header::parse(*head).map_err(Fault::Malformed)?;
        self.expects(header.kind)?;
        if header.kind == Kind::Data {
            self.payload_left = header.length;
            return Ok((FRAME_HEADER_BYTES, Event::Payload));
        }
        let Some(payload) = rest.get(..header.length as usize) else {
            return Ok((0, Event::Incomplete));
        };
        let frame = Frame::parse(header.kind, payload).map_err(Fault::Malformed)?;
        Ok((FRAME_HEADER_BYTES + payload.len(), self.take(frame, now)?))
    }

    /// Refuses a frame by its type, before its payload is waited for.
    pub(super) fn expects(&self, kind: Kind) -> Result<(), Fault> {
        use Kind::{Abort, Bye, Data, End, Error, Open, Opened, Ping, Pong, Refused, Want};
        use Role::{Inside, Outside};
        let expected = match (&self.phase, self.role, kind) {
            (_, Outside, Kind::Welcome) | (_, Inside, Kind::Hello) => return Err(Fault::SameRole),
            (Phase::Failed, ..) | (_, _, Error) => true,
            (Phase::ExpectHello { .. }, ..) => kind == Kind::Hello,
            (Phase::ExpectWelcome { .. }, ..) => kind == Kind::Welcome,
            (_, _, Kind::Hello | Kind::Welcome) => false,
            (Phase::Introduced { .. }, ..) => matches!(kind, Ping | Bye),
            (_, _, Ping | Pong | Abort) => true,
            (_, Outside, Bye) => true,
            (Phase::Leaving, ..) => false,
            (Phase::Idle, Inside, Open | Want | Bye) => true,
            (Phase::Session(session), Inside, Data | End) => session.theirs == Flow::Open,
            (Phase::Session(_), Inside, Want) => true,
            (Phase::Session(session), Outside, Data | End) => {
                session.theirs == Flow::Open && session.answer == Answer::Opened
            }
            (Phase::Session(session), Outside, Opened | Refused) => {
                session.theirs == Flow::Open && session.answer != Answer::Opened
            }
            _ => false,
        };
        if expected {
            Ok(())
        } else {
            Err(Fault::Unexpected(kind))
        }
    }

    pub(super) fn take(&mut self, frame: Frame, now: Instant) -> Result<Event, Fault> {
        if matches!(self.phase, Phase::Failed) && !matches!(frame, Frame::Error(..)) {
            return Ok(Event::Handled);
        }
        Ok(match frame {
            Frame::Hello(hello) => {
                if !(hello.versions.0..=hello.versions.1).contains(&VERSION) {
                    return Err(Fault::Version);
                }
                if let Phase::ExpectHello { deadline } = self.phase {
                    self.phase = Phase::Introduced {
                        deadline,
                        heartbeat: hello.heartbeat,
                    };
                }
                Event::Hello(hello)
            }
            Frame::Welcome(welcome) => {
                if welcome.version != VERSION {
                    return Err(Fault::Version);
                }
                self.liveness.heartbeat = welcome.heartbeat.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
                self.phase = Phase::Idle;
                Event::Welcome(welcome.node)
            }
            Frame::Open(open) => {
                if open.number != self.number.wrapping_add(1) {
                    return Err(Fault::Unexpected(Kind::Open));
                }
                self.number = open.number;
                self.phase = Phase::Session(Session::new(Answer::Awaited));
                Event::Open(Box::new(open))
            }
            Frame::Opened => {
                self.liveness.asked = None;
                self.with_session(|session| session.answer = Answer::Opened);
                Event::Opened
            }
            Frame::Refused(code, text) => {
                self.liveness.asked = None;
                self.abandon_by_peer(now);
                Event::Refused(code, text)
            }
            Frame::End => {
                self.with_session(|session| session.theirs = Flow::Ended);
                Event::End
            }
            Frame::Abort(number, code) => {
                let current = number == self.number
                    && matches!(&self.phase, Phase::Session(session) if session.theirs != Flow::Aborted);
                if !current {
                    return Ok(Event::Handled);
                }
                self.abandon_by_peer(now);
                Event::Abort(code)
            }
            Frame::Want(count) => Event::Want(count),
            Frame::Ping(bytes) => {
                if !matches!(self.phase, Phase::Leaving) {
                    self.pending.pong = Some(bytes);
                }
                Event::Handled
            }
            Frame::Pong(bytes) => self.pong(u64::from_be_bytes(bytes)),
            Frame::Bye => {
                match self.role {
                    Role::Outside => self.bye_requested = true,
                    Role::Inside => self.phase = Phase::Leaving,
                }
                Event::Bye
            }
            Frame::Error(code, text) => {
                self.phase = Phase::Failed;
                self.pending = Pending::default();
                Event::Error(code, text)
            }
        })
    }

    pub(super) fn pong(&mut self, number: u64) -> Event {
        if !self
            .liveness
            .asked
            .is_some_and(|(asked, _)| number >= asked && number <= self.liveness.pings)
        {
            return Event::Handled;
        }
        self.liveness.asked = None;
        match &mut self.phase {
            Phase::Session(session) if session.answer == Answer::AwaitedCold => {
                session.answer = Answer::Awaited;
                Event::Answered
            }
            _ => Event::Handled,
        }
    }

    /// An ABORT or REFUSED was read: the peer's direction is finished, and this side's with it.
    pub(super) fn abandon_by_peer(&mut self, now: Instant) {
        let Phase::Session(session) = &mut self.phase else {
            return;
        };
        session.theirs = Flow::Aborted;
        session.abandoned.get_or_insert_with(|| Abandoned::new(now));
        if session.ours == Flow::Open {
            session.ours = Flow::Aborted;
            self.pending.abort = Some(AbortCode::Answer);
        }
    }

    /// Payload bytes that come next, before any other frame.
    pub fn payload_left(&self) -> u32 {
        self.payload_left
    }

    /// The payload that comes belongs to a session that is over: drop it.
    pub fn drops_payload(&self) -> bool {
        matches!(&self.phase, Phase::Session(session) if session.abandoned.is_some())
            || matches!(self.phase, Phase::Failed)
    }

    /// `count` bytes of payload were taken off the link, at most [`Link::payload_left`].
    pub fn payload_taken(&mut self, count: u32, now: Instant) -> Result<(), Fault> {
        debug_assert!(count <= self.payload_left);
        self.payload_left -= count;
        self.liveness.heard = now;
        if let Phase::Session(Session {
            abandoned: Some(abandoned),
            ..
        }) = &mut self.phase
        {
            abandoned.dropped = abandoned.dropped.saturating_add(count);
            if abandoned.dropped > ABORT_DROPPED_BYTES_MAX {
                return Err(Fault::Overrun);
            }
        }
        Ok(())
    }

    /// The peer's end of file: is it the one that follows BYE?
    pub fn ends_orderly(&self) -> bool {
        matches!(self.phase, Phase::Leaving)
    }
}
