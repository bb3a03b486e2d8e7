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

mod event;
mod receive;
mod timeout;
mod transmit;

use std::time::{Duration, Instant};

pub use event::{Event, Expired, Fault};

use super::frame::{AbortCode, Frame, Hello};
use crate::limits::{ABORT_TIMEOUT, HANDSHAKE_TIMEOUT};

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
    /// HELLO, WELCOME or ERROR; only one of them can wait.
    greeting: Option<Box<Frame>>,
    /// OPEN or REFUSED; each role sends one of them.
    head: Option<Box<Frame>>,
    opened: Option<OpenedDelay>,
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
enum OpenedDelay {
    Until(Instant),
    Due,
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
    /// This side does not read, because its consumer stalls. The kernel is asked at `check`.
    Stalled {
        check: Instant,
    },
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
