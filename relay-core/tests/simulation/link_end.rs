//! One end of a link with its socket and its buffers, and the session that it carries: what both nodes do alike.
//!
//! Payload is taken off the link only while the far end takes it; what has been read is delivered before the frame behind it
//! is looked at, so that a session that has ended has also been delivered.

use std::time::Instant;

use relay_core::limits::{KEPT_BYTES_MAX, LINK_READ_BYTES};
use relay_core::protocol::frame::AbortCode;
use relay_core::protocol::link::{Event, Expired, Link};

use crate::network::{Network, Read, Socket};

/// See the module.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    pub(crate) machine: Link,
    pub(crate) socket: Socket,
    pub(crate) session: Option<Session>,
    /// The owner has changed something.
    pub(crate) changed: bool,
    unread: Vec<u8>,
    /// Control frames, and at their end the header of a DATA frame.
    unsent: Vec<u8>,
    /// The payload of that frame.
    announced: Vec<u8>,
}

/// A client or server, and what is on its way to and from it.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Nobody while the server is dialled, and after a reset.
    pub(crate) stream: Option<Socket>,
    pub(crate) from_stream: FromStream,
    /// The peer has finished its direction.
    eof: bool,
    to_stream: Vec<u8>,
}

/// Bytes of the client or server.
#[derive(Debug, Default)]
pub(crate) struct FromStream {
    /// All from the first one are held until the server has accepted, and then those that are not sent.
    held: Vec<u8>,
    pub(crate) sent: usize,
    keeps: bool,
    eof: bool,
    end_told: bool,
}

/// What the owner of a link is told.
#[derive(Debug)]
pub(crate) enum Notice {
    Event(Event),
    /// The session is over, and the link idle.
    Settled,
    Died(Death),
}

/// How a link ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Orderly,
    Eof,
    Reset,
    Expired(Expired),
}

impl LinkEnd {
    pub(crate) fn new(machine: Link, socket: Socket) -> Self {
        Self {
            machine,
            socket,
            session: None,
            changed: true,
            unread: Vec::new(),
            unsent: Vec::new(),
            announced: Vec::new(),
        }
    }

    /// Whether there may be something to do.
    pub(crate) fn take_stirred(&mut self, net: &mut Network) -> bool {
        let stream = self.session.as_ref().and_then(|session| session.stream);
        let stream = stream.is_some_and(|stream| net.take_stirred(stream));
        std::mem::take(&mut self.changed) | net.take_stirred(self.socket) | stream
    }

    /// Goes on until there is something to tell, or nothing to do.
    pub(crate) fn step(&mut self, net: &mut Network) -> Option<Notice> {
        loop {
            if net.is_reset(self.socket) {
                let orderly = self.machine.ends_orderly();
                return Some(Notice::Died(if orderly {
                    Death::Orderly
                } else {
                    Death::Reset
                }));
            }
            let mut progress = self.write_stream(net) | self.read_stream(net) | self.flush(net);
            if self.is_delivered() && self.machine.settle() {
                return Some(Notice::Settled);
            }
            match self.read_link(net) {
                Ok(more) => progress |= more,
                Err(notice) => return Some(notice),
            }
            self.machine.set_reading(!self.is_blocked(), net.now);
            if !progress {
                return None;
            }
        }
    }

    /// What time has brought about.
    pub(crate) fn expire(&mut self, net: &Network) -> Option<Death> {
        if self.machine.poll_timeout()? > net.now {
            return None;
        }
        self.changed = true;
        loop {
            let silence = self.machine.silence_max();
            let expired = self.machine.handle_timeout(net.now)?;
            let heard = net.heard_at(self.socket);
            match expired {
                Expired::Silent if heard + silence > net.now => self.machine.heard(heard),

                Expired::Stalled if !net.unacknowledged_for(self.socket, silence) => {}
                _ => return Some(Death::Expired(expired)),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// Whether all that was to be said has left.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty() && self.announced.is_empty() && self.machine.is_transmitted()
    }

    /// Nothing is taken off the link: the far end does not take what was read, or is not there yet and enough is held for it.
    fn is_blocked(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| match session.stream {
                Some(_) => !session.to_stream.is_empty(),
                None => session.to_stream.len() >= KEPT_BYTES_MAX,
            })
    }

    /// All that was read for the client or server has been passed on.
    fn is_delivered(&self) -> bool {
        self.session
            .as_ref()
            .is_none_or(|session| session.to_stream.is_empty())
    }

    fn read_link(&mut self, net: &mut Network) -> Result<bool, Notice> {
        if self.is_blocked() {
            return Ok(false);
        }
        if self.take_payload(net) {
            return Ok(true);
        }
        if self.machine.payload_left() == 0 {
            let (taken, event) = self
                .machine
                .receive(&self.unread, net.now)
                .expect("the peer keeps to the protocol");
            self.unread.drain(..taken);
            if event != Event::Incomplete {
                self.changed = true;
                return if self.note(&event, net) {
                    Err(Notice::Event(event))
                } else {
                    Ok(true)
                };
            }
        }
        match net.read(self.socket, LINK_READ_BYTES, &mut self.unread) {
            Read::Bytes(_) => Ok(true),
            Read::WouldBlock => Ok(false),
            Read::Reset => Err(Notice::Died(Death::Reset)),
            Read::Eof if self.machine.ends_orderly() => Err(Notice::Died(Death::Orderly)),
            Read::Eof => Err(Notice::Died(Death::Eof)),
        }
    }

    fn take_payload(&mut self, net: &Network) -> bool {
        let count = self.unread.len().min(self.machine.payload_left() as usize);
        if count == 0 {
            return false;
        }
        let payload = self.unread.drain(..count);
        if !self.machine.drops_payload() {
            self.session
                .as_mut()
                .expect("payload has a session")
                .to_stream
                .extend(payload);
        }
        self.machine
            .payload_taken(count as u32, net.now)
            .expect("less than a mebibyte is on its way");
        true
    }

    /// What an event means to the session; whether the owner is told.
    fn note(&mut self, event: &Event, net: &mut Network) -> bool {
        match event {
            Event::Handled | Event::Payload | Event::Answered => return false,
            Event::Open(_) => self.session = Some(Session::default()),
            Event::Opened => self
                .session
                .iter_mut()
                .for_each(|session| session.from_stream.let_go()),
            Event::End => self
                .session
                .iter_mut()
                .for_each(|session| session.eof = true),
            Event::Abort(_) => self.reset_stream(net),
            Event::Error(..) => panic!("the peer keeps to the protocol: {event:?}"),
            _ => {}
        }
        true
    }

    /// The session is reset from here: its stream, and the peer by ABORT.
    pub(crate) fn abort(&mut self, code: AbortCode, net: &mut Network) {
        self.machine.abort(code, net.now);
        self.reset_stream(net);
    }

    fn reset_stream(&mut self, net: &mut Network) {
        if let Some(session) = &mut self.session {
            session.to_stream.clear();
            session.from_stream = FromStream::default();
            if let Some(stream) = session.stream.take() {
                net.reset(stream);
            }
        }
    }

    fn write_stream(&mut self, net: &mut Network) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        let Some(stream) = session.stream else {
            return false;
        };
        if session.to_stream.is_empty() {
            if session.eof {
                net.shutdown_write(stream);
            }
            return false;
        }
        match net.write(stream, &session.to_stream) {
            Some(count) => {
                session.to_stream.drain(..count);
                count > 0
            }
            None => {
                self.abort(AbortCode::Reset, net);
                true
            }
        }
    }

    fn read_stream(&mut self, net: &mut Network) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        let Some(stream) = session.stream else {
            return false;
        };
        let from = &mut session.from_stream;
        let room = KEPT_BYTES_MAX - from.held.len();
        let read = if net.is_reset(stream) {
            Read::Reset
        } else if from.eof || room == 0 {
            Read::WouldBlock
        } else {
            net.read(stream, room, &mut from.held)
        };
        let mut progress = true;
        match read {
            Read::Bytes(_) => {}
            Read::WouldBlock => progress = false,
            Read::Eof => from.eof = true,
            Read::Reset => {
                self.abort(AbortCode::Reset, net);
                return true;
            }
        }
        let may_announce =
            self.unsent.is_empty() && self.announced.is_empty() && self.machine.may_send_payload();
        if from.sent < from.held.len() && may_announce {
            let unsent = &from.held[from.sent..];
            let length =
                self.machine
                    .announce(unsent.len(), &mut self.unsent, net.now) as usize;
            self.announced.extend_from_slice(&unsent[..length]);
            from.sent += length;
            from.forget_sent();
            progress = true;
        }
        if from.eof && from.sent == from.held.len() && !from.end_told {
            from.end_told = true;
            self.machine.end();
            progress = true;
        }
        progress
    }

    fn flush(&mut self, net: &mut Network) -> bool {
        if self.unsent.is_empty() && self.announced.is_empty() && self.machine.has_pending() {
            self.machine.transmit(&mut self.unsent, net.now);
        }
        let mut progress = false;
        for payload in [false, true] {
            let waits = if payload {
                &mut self.announced
            } else {
                &mut self.unsent
            };
            if waits.is_empty() {
                continue;
            }
            let Some(count) = net.write(self.socket, waits) else {
                return true;
            };
            waits.drain(..count);
            progress |= count > 0;
            if payload {
                self.machine.payload_sent(count as u32, net.now);
            } else if !waits.is_empty() {
                break;
            }
        }
        progress
    }
}

impl Session {
    /// A client whose first bytes may have to be sent again on another link.
    pub(crate) fn kept(stream: Socket, from_stream: FromStream) -> Self {
        Self {
            stream: Some(stream),
            from_stream,
            ..Self::default()
        }
    }

    /// The server has refused.
    pub(crate) fn drop_bytes(&mut self) {
        self.to_stream.clear();
    }

    /// The server has accepted.
    pub(crate) fn connected(&mut self, stream: Socket) {
        self.stream = Some(stream);
    }
}

impl FromStream {
    /// Of a client that has no link yet.
    pub(crate) fn keeping() -> Self {
        Self {
            keeps: true,
            ..Self::default()
        }
    }

    /// All of it has yet to be sent, on another link.
    pub(crate) fn again(self) -> Self {
        assert!(self.keeps);
        Self {
            sent: 0,
            end_told: false,
            ..self
        }
    }

    /// No other link will be needed.
    fn let_go(&mut self) {
        self.keeps = false;
        self.forget_sent();
    }

    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    fn forget_sent(&mut self) {
        if !self.keeps {
            self.held.drain(..self.sent);
            self.sent = 0;
        }
    }
}
