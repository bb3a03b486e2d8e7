//! Writing: what the caller wants to send, and when it may be sent.

use std::time::Instant;

use super::{Abandoned, Answer, Flow, Link, OpenedDelay, Pending, Phase, Role, Session};
use crate::limits::{DATA_BYTES_MAX, HEARTBEAT_MAX, HEARTBEAT_MIN, LINK_WARM};
use crate::protocol::frame::{
    AbortCode, ErrorCode, Frame, Header, Kind, NodeId, Open, RefusedCode, VERSION, Welcome,
};

impl Link {
    /// Outside: answers HELLO; the link is idle from here.
    pub fn welcome(&mut self, node: NodeId) {
        let Phase::Introduced { heartbeat, .. } = self.phase else {
            return;
        };
        let heartbeat = self
            .liveness
            .heartbeat
            .min(heartbeat)
            .clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
        self.liveness.heartbeat = heartbeat;
        self.phase = Phase::Idle;
        self.pending.greeting = Some(Box::new(Frame::Welcome(Welcome {
            version: VERSION,
            node,
            heartbeat,
        })));
    }

    /// Outside: the signal. `open.number` is filled in here. On a link that was not heard from lately a PING goes with it, and
    /// payload waits for the answer: see [`Link::may_send_payload`].
    pub fn open(&mut self, mut open: Open, now: Instant) {
        debug_assert!(self.is_idle() && self.role == Role::Outside && self.pending.head.is_none());
        self.number = self.number.wrapping_add(1);
        open.number = self.number;
        self.pending.head = Some(Box::new(Frame::Open(open)));
        let warm = now < self.liveness.heard + LINK_WARM;
        if !warm {
            self.probe(now);
        }
        self.phase = Phase::Session(Session::new(if warm {
            Answer::Awaited
        } else {
            Answer::AwaitedCold
        }));
    }

    /// Inside: the server accepted. OPENED waits until `due` for something to travel with.
    pub fn opened(&mut self, due: Instant) {
        if let Phase::Session(session) = &mut self.phase
            && session.awaits_answer()
        {
            session.answer = Answer::Opened;
            self.pending.opened = Some(OpenedDelay::Until(due));
        }
    }

    /// Inside: the server did not accept; both directions are to be finished.
    pub fn refuse(&mut self, code: RefusedCode, text: String, now: Instant) {
        if let Phase::Session(session) = &mut self.phase
            && session.awaits_answer()
        {
            session.ours = Flow::Aborted;
            session.abandoned.get_or_insert_with(|| Abandoned::new(now));
            self.pending.head = Some(Box::new(Frame::Refused(code, text)));
        }
    }

    /// End of file of this direction: nothing more is announced.
    pub fn end(&mut self) {
        if let Phase::Session(session) = &mut self.phase
            && session.ours == Flow::Open
        {
            session.ours = Flow::Ended;
            self.pending.end = true;
        }
    }

    /// Resets the session, if it is not over.
    pub fn abort(&mut self, code: AbortCode, now: Instant) {
        let Phase::Session(session) = &mut self.phase else {
            return;
        };
        session.ours = match session.ours {
            Flow::Open => Flow::Aborted,
            Flow::Ended => Flow::EndedThenAborted,
            Flow::EndedThenAborted | Flow::Aborted => return,
        };
        session.abandoned.get_or_insert_with(|| Abandoned::new(now));
        self.pending.abort = Some(code);
    }

    /// Outside: sends the number of clients that wait. Replaces a number that was not sent yet.
    pub fn want(&mut self, count: u32) {
        if self.is_established() {
            self.pending.want = Some(count);
        }
    }

    /// Asks the peer whether it is there; it has [`LINK_WARM`] to answer.
    pub fn probe(&mut self, now: Instant) {
        if self.is_established() && self.liveness.asked.is_none() {
            self.liveness.asked = Some((self.liveness.pings + 1, now + LINK_WARM));
            self.pending.ping = true;
        }
    }

    /// Outside, on an idle link: no OPEN follows. Inside, from HELLO on: asks for that.
    pub fn bye(&mut self) {
        match (self.role, &self.phase) {
            (Role::Outside, Phase::Idle) => {
                self.pending.bye = true;
                self.phase = Phase::Leaving;
            }
            (Role::Inside, Phase::ExpectWelcome { .. } | Phase::Idle | Phase::Session(_)) => {
                self.pending.bye = true;
            }
            _ => {}
        }
    }

    /// Closes the link: only ERROR is still sent.
    pub fn fail(&mut self, code: ErrorCode, text: String) {
        self.phase = Phase::Failed;
        self.pending = Pending {
            greeting: Some(Box::new(Frame::Error(code, text))),
            ..Pending::default()
        };
    }

    /// Sends nothing more: the peer would not understand it.
    pub fn give_up(&mut self) {
        self.phase = Phase::Failed;
        self.pending = Pending::default();
    }

    /// Whether it is time for [`Link::transmit`].
    pub fn has_pending(&self) -> bool {
        let Pending {
            greeting,
            head,
            opened,
            end,
            abort,
            want,
            pong,
            ping,
            bye,
        } = &self.pending;
        let opened = matches!(opened, Some(OpenedDelay::Due));
        self.may_transmit()
            && (greeting.is_some()
                || head.is_some()
                || opened
                || *end
                || abort.is_some()
                || want.is_some()
                || pong.is_some()
                || *ping
                || *bye)
    }

    /// No DATA frame is being written, and WELCOME or ERROR does not have to come first.
    pub(super) fn may_transmit(&self) -> bool {
        self.announced_left == 0 && !matches!(self.phase, Phase::Introduced { .. })
    }

    /// Returns whether every waiting frame was transmitted.
    pub fn is_transmitted(&self) -> bool {
        !self.has_pending() && self.pending.opened.is_none()
    }

    /// Appends the control frames that wait, unless a DATA frame is still being written.
    pub fn transmit(&mut self, out: &mut Vec<u8>, now: Instant) {
        if !self.may_transmit() {
            return;
        }
        let before = out.len();
        let Pending {
            greeting,
            head,
            opened,
            end,
            abort,
            want,
            pong,
            ping,
            bye,
        } = std::mem::take(&mut self.pending);
        for frame in [greeting, head].into_iter().flatten() {
            frame.encode(out);
        }
        if opened.is_some() {
            Frame::Opened.encode(out);
        }
        if end {
            Frame::End.encode(out);
        }
        if let Some(code) = abort {
            Frame::Abort(self.number, code).encode(out);
        }
        if let Some(count) = want {
            Frame::Want(count).encode(out);
        }
        if let Some(bytes) = pong {
            Frame::Pong(bytes).encode(out);
        }
        if ping {
            self.liveness.pings += 1;
            Frame::Ping(self.liveness.pings.to_be_bytes()).encode(out);
        }
        if bye {
            Frame::Bye.encode(out);
        }
        if out.len() > before {
            self.liveness.sent = now;
        }
    }

    /// Payload may be announced: the direction is open, the last DATA frame is written, and the link is known to be up.
    pub fn may_send_payload(&self) -> bool {
        self.announced_left == 0
            && matches!(&self.phase, Phase::Session(session) if session.ours == Flow::Open && match self.role {
                Role::Outside => session.answer != Answer::AwaitedCold,
                Role::Inside => session.answer == Answer::Opened,
            })
    }

    /// Appends what waits, and the header of a DATA frame for `count` bytes or as many as one frame takes; returns how many.
    pub fn announce(&mut self, count: usize, out: &mut Vec<u8>, now: Instant) -> u32 {
        debug_assert!(self.may_send_payload() && count > 0);
        self.transmit(out, now);
        let length = count.min(DATA_BYTES_MAX) as u32;
        out.extend_from_slice(
            &Header {
                kind: Kind::Data,
                length,
            }
            .bytes(),
        );
        self.announced_left = length;
        self.liveness.sent = now;
        length
    }

    /// Payload bytes that were announced and not yet sent.
    pub fn announced_left(&self) -> u32 {
        self.announced_left
    }

    /// `count` announced bytes were sent.
    pub fn payload_sent(&mut self, count: u32, now: Instant) {
        debug_assert!(count <= self.announced_left);
        self.announced_left -= count;
        self.liveness.sent = now;
    }
}
