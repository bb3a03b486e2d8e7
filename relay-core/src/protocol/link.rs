//! One end of a link: what may follow what, and when the peer is taken for dead.
//!
//! [`Link`] serves both roles. It holds no socket, no clock and no buffer; the caller brings the bytes and the time:
//!
//! * **Reading.** The caller shows what it has read to [`Link::receive`], which takes at most one frame and says how many
//!   bytes that was. [`Event::Incomplete`] takes nothing: show the same bytes again with more behind them (4,100 are always
//!   enough). After [`Event::Payload`] the next [`Link::payload_left`] bytes are payload, which the caller moves as it likes and
//!   tells by [`Link::payload_taken`]; `receive` may be called again when none are left.
//! * **Writing.** Control frames wait in the machine, each kind at most once, until [`Link::transmit`] appends them to the
//!   caller's buffer, which it does between DATA frames only. [`Link::announce`] appends the header of a DATA frame, for bytes that the
//!   caller already holds; they are told by [`Link::payload_sent`]. What was appended must be sent, in that order. Neither is
//!   called while an earlier buffer is unsent: a peer that asks and does not read would decide how large it grows.
//! * **The end of a session.** A direction is finished by its first END, ABORT or REFUSED. When both are, and nothing of them
//!   waits to be sent, [`Link::settle`] says so once, and the link is idle. While [`Link::is_over`], nothing is shown to `receive`
//!   before `settle` was called: the frame behind the last one of a session may be the next OPEN, which only an idle link takes.
//! * **Time.** [`Link::handle_timeout`] is called at [`Link::poll_timeout`] or later, until it returns `None`.
//!
//! What it does not do: choose links, keep bytes, decide whether to dial. That is in `crate::policy`.

use std::fmt;
use std::time::{Duration, Instant};

use super::frame::{
    AbortCode, ErrorCode, Frame, Header, Hello, Kind, Malformed, NodeId, Open, RefusedCode,
    VERSION, Welcome, kind_name,
};
use crate::limits::{
    ABORT_DROPPED_BYTES_MAX, ABORT_TIMEOUT, DATA_BYTES_MAX, FRAME_HEADER_BYTES, HANDSHAKE_TIMEOUT,
    HEARTBEAT_MAX, HEARTBEAT_MIN, LINK_WARM,
};

/// One end of a link; see the module for the contract.
#[derive(Debug)]
pub struct Link {
    role: Role,
    phase: Phase,
    /// Payload bytes of the DATA frame that is being read.
    payload_left: u32,
    /// Payload bytes of the DATA frame that is being written.
    announced_left: u32,
    /// The number of the last OPEN on this link.
    number: u32,
    pending: Pending,
    liveness: Liveness,
    /// The inside node asked for BYE.
    bye_requested: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Outside,
    Inside,
}

#[derive(Debug)]
enum Phase {
    ExpectHello {
        deadline: Instant,
    },
    /// HELLO was read, and the caller has not yet answered it.
    Introduced {
        deadline: Instant,
        heartbeat: Duration,
    },
    ExpectWelcome {
        deadline: Instant,
    },
    Idle,
    Session(Session),
    /// BYE was sent (outside) or read (inside): what is left is the end of file.
    Leaving,
    /// ERROR was sent or read.
    Failed,
}

/// The two directions of the session that the link carries.
#[derive(Debug)]
struct Session {
    ours: Flow,
    theirs: Flow,
    answer: Answer,
    /// Since an ABORT or REFUSED was sent or read: what comes is dropped, up to these bounds.
    abandoned: Option<Abandoned>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// By END.
    Ended,
    /// By END, and reset after it.
    EndedThenAborted,
    /// By ABORT or REFUSED.
    Aborted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// OPEN was sent on a link that was not heard from lately: nothing follows until it has answered.
    AwaitedCold,
    Awaited,
    Opened,
}

#[derive(Clone, Copy, Debug)]
struct Abandoned {
    deadline: Instant,
    dropped: u32,
}

/// Frames that wait for the end of the DATA frame that is being written. Each at most once: a queue could grow.
#[derive(Debug, Default)]
struct Pending {
    /// HELLO, WELCOME or ERROR, of which only one can wait.
    greeting: Option<Box<Frame>>,
    /// OPEN or REFUSED, of which each role sends one.
    head: Option<Box<Frame>>,
    opened: Option<Company>,
    end: bool,
    abort: Option<AbortCode>,
    want: Option<u32>,
    pong: Option<[u8; 8]>,
    ping: bool,
    bye: bool,
}

/// OPENED travels with the first payload, if some comes soon: nearly every server has something to say, and two frames in one
/// segment are half the work for everybody on their way.
#[derive(Clone, Copy, Debug)]
enum Company {
    AwaitedUntil(Instant),
    NotAwaited,
}

#[derive(Debug)]
struct Liveness {
    heartbeat: Duration,
    heard: Instant,
    sent: Instant,
    reading: Reading,
    pings: u64,
    /// The PING that must be answered, and until when.
    asked: Option<(u64, Instant)>,
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    Since(Instant),
    /// This side does not read: its consumer stalls. The kernel is asked at that time.
    Stalled {
        check: Instant,
    },
}

/// What a frame says to the caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The bytes are not a whole frame yet.
    Incomplete,
    /// A frame that concerns the machine alone.
    Handled,
    /// Outside: the inside node introduced itself; answer by [`Link::welcome`] or [`Link::fail`].
    Hello(Hello),
    /// Inside: the link is idle.
    Welcome(NodeId),
    /// Inside: a client is here; answer by [`Link::opened`] or [`Link::refuse`].
    Open(Box<Open>),
    /// Outside: the server accepted.
    Opened,
    /// Outside: the server did not accept. This side's direction is finished too.
    Refused(RefusedCode, String),
    /// Outside: a link that was not heard from lately has answered; see [`Link::may_send_payload`].
    Answered,
    /// Payload follows: see [`Link::payload_left`].
    Payload,
    /// End of file of the peer's direction.
    End,
    /// The session was reset. This side's direction is finished too.
    Abort(AbortCode),
    /// Inside: so many clients wait.
    Want(u32),
    /// Outside: the inside node wants [`Link::bye`] when the link is idle. Inside: no OPEN follows; shut the write half.
    Bye,
    /// The peer gave the link up.
    Error(ErrorCode, String),
}

/// What a passed deadline says to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// HELLO or WELCOME did not come in time.
    Handshake,
    /// Nothing was heard for 2.5 heartbeats. Ask the kernel; then call [`Link::heard`], or give the link up.
    Silent,
    /// This side does not read, so silence proves nothing. Ask the kernel whether the peer's host is still there.
    Stalled,
    /// An asked link did not answer: give it up.
    Unanswered,
    /// The session did not end in time after its reset: reset the link.
    Abandoned,
}

/// Why bytes of the peer are not taken. The link is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes that are no frame.
    Malformed(Malformed),
    /// A frame that may not come here.
    Unexpected(Kind),
    /// The peer plays this side's role.
    SameRole,
    /// No version in common.
    Version,
    /// More payload after a reset than a peer that behaves has in flight.
    Overrun,
}

impl Link {
    /// The end of the node that accepts clients. Waits for HELLO.
    pub fn outside(heartbeat: Duration, now: Instant) -> Self {
        Self::new(
            Role::Outside,
            Phase::ExpectHello {
                deadline: now + HANDSHAKE_TIMEOUT,
            },
            heartbeat,
            now,
        )
    }

    /// The end of the node that dials servers. HELLO waits to be transmitted.
    pub fn inside(hello: Hello, now: Instant) -> Self {
        let phase = Phase::ExpectWelcome {
            deadline: now + HANDSHAKE_TIMEOUT,
        };
        let mut link = Self::new(Role::Inside, phase, hello.heartbeat, now);
        link.pending.greeting = Some(Box::new(Frame::Hello(hello)));
        link
    }

    fn new(role: Role, phase: Phase, heartbeat: Duration, now: Instant) -> Self {
        Self {
            role,
            phase,
            payload_left: 0,
            announced_left: 0,
            number: 0,
            pending: Pending::default(),
            liveness: Liveness {
                heartbeat,
                heard: now,
                sent: now,
                reading: Reading::Since(now),
                pings: 0,
                asked: None,
            },
            bye_requested: false,
        }
    }
}

/// Reading.
impl Link {
    /// Takes at most one frame from the front of `input`; the number is how many of its bytes are done with.
    pub fn receive(&mut self, input: &[u8], now: Instant) -> Result<(usize, Event), Fault> {
        debug_assert_eq!(self.payload_left, 0, "payload is not shown to receive");
        if input.is_empty() {
            return Ok((0, Event::Incomplete));
        }
        self.liveness.heard = now;
        let Some((head, rest)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            // The type alone tells a stranger, who may never send the other three bytes.
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
    fn expects(&self, kind: Kind) -> Result<(), Fault> {
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

    fn take(&mut self, frame: Frame, now: Instant) -> Result<Event, Fault> {
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

    fn pong(&mut self, number: u64) -> Event {
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
    fn abandon_by_peer(&mut self, now: Instant) {
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

/// Writing.
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
            self.pending.opened = Some(Company::AwaitedUntil(due));
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

    /// Outside: so many clients wait now. Replaces what waits to be sent.
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

    /// Gives the link up: ERROR is all that is still sent.
    pub fn fail(&mut self, code: ErrorCode, text: String) {
        self.phase = Phase::Failed;
        self.pending = Pending {
            greeting: Some(Box::new(Frame::Error(code, text))),
            ..Pending::default()
        };
    }

    /// Nothing more is said: the peer would not understand it.
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
        let opened = matches!(opened, Some(Company::NotAwaited));
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
    fn may_transmit(&self) -> bool {
        self.announced_left == 0 && !matches!(self.phase, Phase::Introduced { .. })
    }

    /// Whether all that was to be said has been transmitted.
    pub fn has_said_all(&self) -> bool {
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

/// State and time.
impl Link {
    /// True once, when the session is over and all of it is sent: the link is idle.
    pub fn settle(&mut self) -> bool {
        if !self.is_over() {
            return false;
        }
        self.phase = Phase::Idle;
        self.pending.abort = None;
        self.liveness.asked = None;
        true
    }

    /// [`Link::settle`] is due. What comes next may be the next OPEN, so nothing more is to be shown to [`Link::receive`] before.
    pub fn is_over(&self) -> bool {
        let Phase::Session(session) = &self.phase else {
            return false;
        };
        let Pending {
            head,
            opened,
            end,
            abort,
            ..
        } = &self.pending;
        // For the peer, whose direction is finished, our END ended the session: it would ignore an ABORT behind it.
        let abort_is_due = abort.is_some() && session.ours != Flow::EndedThenAborted;
        let is_said = head.is_none() && opened.is_none() && !end && !abort_is_due;
        let is_finished = session.ours != Flow::Open && session.theirs != Flow::Open;
        is_finished && is_said && self.announced_left == 0 && self.payload_left == 0
    }

    /// The handshake is done, and neither BYE nor ERROR has ended the link.
    fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Session(_))
    }

    /// No session, and the handshake is done.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// The inside node asked for BYE (outside only).
    pub fn bye_requested(&self) -> bool {
        self.bye_requested
    }

    /// Whether this side reads the link. Where its consumer stalls, the peer's silence proves nothing.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        match (self.liveness.reading, reading) {
            (Reading::Since(_), false) => {
                self.liveness.reading = Reading::Stalled {
                    check: now + self.liveness.silence_max(),
                }
            }
            (Reading::Stalled { .. }, true) => self.liveness.reading = Reading::Since(now),
            _ => {}
        }
    }

    /// The kernel says that the peer was there `at` that time: now, if bytes wait to be read; else when it last heard of it.
    pub fn heard(&mut self, at: Instant) {
        self.liveness.heard = self.liveness.heard.max(at);
    }

    /// The time after which the peer's silence, or its host's, means that it is gone.
    pub fn silence_max(&self) -> Duration {
        self.liveness.silence_max()
    }

    /// When [`Link::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = match &self.phase {
            Phase::ExpectHello { deadline }
            | Phase::Introduced { deadline, .. }
            | Phase::ExpectWelcome { deadline } => {
                return Some(*deadline);
            }
            Phase::Failed => return None,
            Phase::Session(Session {
                abandoned: Some(abandoned),
                ..
            }) => Some(abandoned.deadline),
            Phase::Idle | Phase::Session(_) | Phase::Leaving => None,
        };
        let asked = self.liveness.asked.map(|(_, deadline)| deadline);
        let opened = match self.pending.opened {
            Some(Company::AwaitedUntil(due)) => Some(due),
            Some(Company::NotAwaited) | None => None,
        };
        [deadlines, asked, opened, Some(self.liveness.next())]
            .into_iter()
            .flatten()
            .min()
    }

    /// What has passed by `now`; a PING or OPENED may have come to wait for [`Link::transmit`].
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Expired> {
        match &self.phase {
            Phase::ExpectHello { deadline }
            | Phase::Introduced { deadline, .. }
            | Phase::ExpectWelcome { deadline } => {
                return (now >= *deadline).then_some(Expired::Handshake);
            }
            Phase::Failed => return None,
            Phase::Session(Session {
                abandoned: Some(abandoned),
                ..
            }) if now >= abandoned.deadline => return Some(Expired::Abandoned),
            Phase::Idle | Phase::Session(_) | Phase::Leaving => {}
        }
        if matches!(self.pending.opened, Some(Company::AwaitedUntil(due)) if now >= due) {
            self.pending.opened = Some(Company::NotAwaited);
        }
        if self
            .liveness
            .asked
            .is_some_and(|(_, deadline)| now >= deadline)
        {
            return Some(Expired::Unanswered);
        }
        if now >= self.liveness.ping_at() {
            self.liveness.sent = now;
            self.pending.ping |= !matches!(self.phase, Phase::Leaving);
        }
        let silence_max = self.liveness.silence_max();
        match &mut self.liveness.reading {
            Reading::Since(since) if now >= self.liveness.heard.max(*since) + silence_max => {
                Some(Expired::Silent)
            }
            Reading::Stalled { check } if now >= *check => {
                *check = now + self.liveness.heartbeat;
                Some(Expired::Stalled)
            }
            _ => None,
        }
    }
}

impl Liveness {
    fn silence_max(&self) -> Duration {
        self.heartbeat * 5 / 2
    }

    fn ping_at(&self) -> Instant {
        self.sent + self.heartbeat
    }

    fn next(&self) -> Instant {
        let silent = match self.reading {
            Reading::Since(since) => self.heard.max(since) + self.silence_max(),
            Reading::Stalled { check } => check,
        };
        silent.min(self.ping_at())
    }
}

impl Link {
    fn with_session(&mut self, change: impl FnOnce(&mut Session)) {
        if let Phase::Session(session) = &mut self.phase {
            change(session);
        }
    }
}

impl Session {
    fn new(answer: Answer) -> Self {
        Self {
            ours: Flow::Open,
            theirs: Flow::Open,
            answer,
            abandoned: None,
        }
    }

    /// Inside: neither OPENED nor REFUSED was said, and nothing that would come too late for either.
    fn awaits_answer(&self) -> bool {
        self.ours == Flow::Open && self.answer != Answer::Opened
    }
}

impl Abandoned {
    fn new(now: Instant) -> Self {
        Self {
            deadline: now + ABORT_TIMEOUT,
            dropped: 0,
        }
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "no greeting in time: --raw on one side only?",
            Self::Silent => "silent for 2.5 heartbeats",
            Self::Stalled => "the peer's host does not answer",
            Self::Unanswered => "no answer when asked",
            Self::Abandoned => "the session did not end in time after its reset",
        })
    }
}

impl Fault {
    /// The code that tells the peer in ERROR.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Malformed(Malformed::Tls) => ErrorCode::Key,
            Self::Malformed(_) | Self::Unexpected(_) | Self::Overrun => ErrorCode::Violation,
            Self::SameRole => ErrorCode::SameRole,
            Self::Version => ErrorCode::Version,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unexpected(kind) => write!(f, "unexpected {} frame", kind_name(*kind)),
            Self::SameRole => f.write_str("the peer is the same tool"),
            Self::Version => f.write_str("no protocol version in common"),
            Self::Overrun => f.write_str("too much payload after a reset"),
        }
    }
}

impl std::error::Error for Fault {}
