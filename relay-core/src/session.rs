//! A session: two ends, and a direction each way.
//!
//! What ends how is the table in `ARCHITECTURE.md`; this room has the rules for two plain ends, `crate::relay` those where one
//! end is a link. An end of file is passed on as one, in each direction by itself; all else resets both ends.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;

use crate::access::Seat;
use crate::introduction::Fault;
use crate::plan::Settings;
use crate::proto::frame::{AbortCode, SessionId};
use crate::pump::{Direction, Flow, Tackle, Verdict};
use crate::report::{self, Exit, Report, SessionLine};
use crate::socket::end::End;
use crate::socket::listen::Peer;
use crate::token::Slot;

/// The ends of a session, in the order of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client, or the link.
    Left,
    /// The server, or the link.
    Right,
}

/// A session of two plain ends.
#[derive(Debug)]
pub struct Session {
    left: End,
    right: End,
    /// From left to right.
    rightward: Direction,
    leftward: Direction,
    /// When bytes, or an end of file, last moved.
    active: Instant,
    account: Account,
}

/// How long a session may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// In both directions.
    pub idle: Option<Duration>,
    /// In the open direction, when the other has ended.
    pub half_close: Duration,
}

/// How far a session is.
#[derive(Debug)]
pub enum Progress {
    /// It waits for an event.
    Waiting,
    /// It has used up its share of this turn.
    Again,
    /// It is over.
    Over(CloseReason),
}

/// Why a session ended; printed once.
#[derive(Debug)]
pub enum CloseReason {
    /// Both directions ended by end of file.
    Eof,
    /// An end was reset, or failed.
    Failed(Side, io::Error),
    /// The client came through a proxy, and its header did not.
    NoHeader(Fault),
    /// The client has as many sessions as it may.
    Denied,
    /// The server was not reached.
    Unreached(String),
    /// A proxy on the way will not lead there, however often it is asked.
    Forbidden(String),
    /// Nothing moved for too long.
    IdleTimeout,
    /// Nothing moved for too long in the one direction that was open.
    HalfCloseTimeout,
    /// Outside: no link came for the client in time.
    NoLink,
    /// The other node reset the session.
    Aborted(AbortCode),
    /// The link went down.
    LinkLost(String),
    /// This process ends.
    Shutdown,
}

/// What is known of a session, for its one line in the log.
#[derive(Debug)]
pub struct Account {
    /// The same on both nodes.
    pub id: SessionId,
    /// Who came.
    pub client: Peer,
    /// To where.
    pub to: Arc<str>,
    /// Since when.
    pub started: Instant,
    /// Whose end of file came first.
    pub closed_first: Option<Side>,
    /// Its place among the sessions of its client, where these are counted.
    pub seat: Seat,
}

impl Session {
    /// Joins two connected ends; the right one gets `preface` before the left one's first byte.
    pub fn new(left: End, right: End, preface: Box<[u8]>, account: Account, now: Instant) -> Self {
        Self {
            left,
            right,
            rightward: Direction::behind(&preface, Vec::new()),
            leftward: Direction::new(),
            active: now,
            account,
        }
    }

    /// Which one it is.
    pub fn id(&self) -> SessionId {
        self.account.id
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        match slot {
            Slot::LEFT | Slot::LEFT_WRITE => self.left.note(event, slot),
            _ => self.right.note(event, slot),
        }
    }

    /// Moves what can be moved.
    pub fn run(&mut self, patience: &Patience, tackle: &mut Tackle) -> Progress {
        let before = (self.delivered(), self.flows());
        let mut progress = self.pump(Side::Left, tackle);
        if !matches!(progress, Progress::Over(_)) {
            let other = self.pump(Side::Right, tackle);
            progress = progress.and(other);
        }
        if (self.delivered(), self.flows()) != before {
            self.active = tackle.now;
        }
        match progress {
            Progress::Waiting => self.close_if_due(patience, tackle.now),
            progress => progress,
        }
    }

    /// Pumps the direction whose source is on `side`.
    fn pump(&mut self, side: Side, tackle: &mut Tackle) -> Progress {
        let (source, sink, direction, back) = match side {
            Side::Left => (
                &mut self.left,
                &mut self.right,
                &mut self.rightward,
                &mut self.leftward,
            ),
            Side::Right => (
                &mut self.right,
                &mut self.left,
                &mut self.leftward,
                &mut self.rightward,
            ),
        };
        let verdict = direction.pump(source, sink, tackle);
        if direction.flow() != Flow::Flowing {
            self.account.closed_first.get_or_insert(side);
        }
        match verdict {
            Verdict::Blocked | Verdict::Finished => Progress::Waiting,
            Verdict::Again => Progress::Again,
            Verdict::SourceFailed(error) => Progress::Over(CloseReason::Failed(side, error)),
            // What the failed end had sent before is still delivered.
            Verdict::SinkFailed(error)
                if back.flow() == Flow::Finished || !sink.is_one_descriptor() =>
            {
                Progress::Over(CloseReason::Failed(side.other(), error))
            }
            Verdict::SinkFailed(_) => {
                direction.abandon().release(&mut tackle.pipes);
                back.expect_reset();
                Progress::Again
            }
            Verdict::News(never) => match never {},
        }
    }

    /// Nothing moves: is it over?
    fn close_if_due(&self, patience: &Patience, now: Instant) -> Progress {
        for (side, end, direction) in [
            (Side::Left, &self.left, &self.rightward),
            (Side::Right, &self.right, &self.leftward),
        ] {
            // Its reset is behind bytes that nobody takes, or behind its end of file.
            if end.has_failed() && (direction.is_stalled() || direction.flow() == Flow::Finished) {
                let error = end.failure();
                return Progress::Over(CloseReason::Failed(side, error));
            }
        }
        if self.is_finished() {
            return Progress::Over(CloseReason::Eof);
        }
        match self.silence_ends(patience) {
            Some((deadline, reason)) if now >= deadline => Progress::Over(reason),
            _ => Progress::Waiting,
        }
    }

    /// When [`Session::run`] has something to do though no event came.
    pub fn deadline(&self, patience: &Patience) -> Option<Instant> {
        self.silence_ends(patience).map(|(deadline, _)| deadline)
    }

    fn silence_ends(&self, patience: &Patience) -> Option<(Instant, CloseReason)> {
        let one_way =
            self.rightward.flow() == Flow::Finished || self.leftward.flow() == Flow::Finished;
        patience.ends(self.active, one_way)
    }

    fn is_finished(&self) -> bool {
        self.rightward.flow() == Flow::Finished && self.leftward.flow() == Flow::Finished
    }

    fn flows(&self) -> [Flow; 2] {
        [self.rightward.flow(), self.leftward.flow()]
    }

    fn delivered(&self) -> u64 {
        self.rightward.delivered() + self.leftward.delivered()
    }

    /// Whether a byte has come from that side.
    pub fn has_heard(&self, side: Side) -> bool {
        match side {
            Side::Left => self.rightward.delivered() > 0 || self.rightward.is_stalled(),
            Side::Right => self.leftward.delivered() > 0 || self.leftward.is_stalled(),
        }
    }

    /// The one way out: closes both ends as the reason asks for, and tells the log.
    pub fn close(
        mut self,
        reason: &CloseReason,
        report: &Report,
        registry: &mio::Registry,
        tackle: &mut Tackle,
    ) {
        self.account.tell(
            reason,
            self.rightward.delivered(),
            self.leftward.delivered(),
            report,
            tackle.now,
        );
        self.rightward.abandon().release(&mut tackle.pipes);
        self.leftward.abandon().release(&mut tackle.pipes);
        for end in [self.left, self.right] {
            close_end(end, reason, registry);
        }
    }
}

/// Closes an end in an orderly way where both directions ended so, and resets it else.
pub fn close_end(end: End, reason: &CloseReason, registry: &mio::Registry) {
    if !end.is_socket() {
        end.deregister(registry);
    }
    if matches!(reason, CloseReason::Eof) {
        end.close();
    }
}

impl Side {
    /// The one that it is not.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl Progress {
    /// Of two directions, what matters more.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (over @ Self::Over(_), _) | (_, over @ Self::Over(_)) => over,
            (Self::Waiting, Self::Waiting) => Self::Waiting,
            _ => Self::Again,
        }
    }
}

impl Patience {
    /// As asked for.
    pub fn of(settings: &Settings) -> Self {
        Self {
            idle: settings.idle_timeout,
            half_close: settings.half_close_timeout,
        }
    }

    /// When a session that was last active then has been silent for too long; `one_way` if one of its directions has ended.
    pub fn ends(&self, active: Instant, one_way: bool) -> Option<(Instant, CloseReason)> {
        let idle = self
            .idle
            .map(|idle| (active + idle, CloseReason::IdleTimeout));
        let half_close = one_way.then(|| (active + self.half_close, CloseReason::HalfCloseTimeout));
        [idle, half_close]
            .into_iter()
            .flatten()
            .min_by_key(|(deadline, _)| *deadline)
    }
}

impl Account {
    /// The session's line in the log.
    pub fn tell(
        &self,
        reason: &CloseReason,
        to_server: u64,
        to_client: u64,
        report: &Report,
        now: Instant,
    ) {
        let first = self.closed_first.or(match reason {
            CloseReason::Failed(side, _) => Some(*side),
            _ => None,
        });
        let first: &dyn fmt::Display = match &first {
            Some(side) => side,
            None => &"nobody",
        };
        if let CloseReason::Failed(_, error) = reason
            && is_full(error)
        {
            report.warning(format_args!(
                "unable to complete session {}: {reason}",
                self.id
            ));
        }
        report.session(&SessionLine {
            id: &self.id,
            client: &self.client,
            to: &self.to,
            bytes_to_server: to_server,
            bytes_to_client: to_client,
            duration: now.saturating_duration_since(self.started),
            closed_first: first,
            why: reason,
        });
    }
}

impl CloseReason {
    /// How a process ends whose only session this was.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Eof => Exit::Done,
            Self::Forbidden(_) => Exit::Permanent,
            _ => Exit::Temporary,
        }
    }

    /// What the other node is told.
    pub fn abort_code(&self) -> AbortCode {
        match self {
            Self::IdleTimeout => AbortCode::IdleTimeout,
            Self::HalfCloseTimeout => AbortCode::HalfCloseTimeout,
            Self::Shutdown => AbortCode::Shutdown,
            Self::Failed(_, error) if !is_reset(error) => AbortCode::Fault,
            _ => AbortCode::Reset,
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// The file that an end is takes no more: its owner can help, and nobody else would tell.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// As the log calls them.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "client",
            Self::Right => "server",
        })
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("end of file"),
            Self::Failed(side, error) => write!(f, "{side}: {}", report::reason(error)),
            Self::NoHeader(fault) => fault.fmt(f),
            Self::Denied => f.write_str("denied"),
            Self::Unreached(why) | Self::Forbidden(why) => f.write_str(why),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::HalfCloseTimeout => f.write_str("half-close timeout"),
            Self::NoLink => f.write_str("no link came in time"),
            Self::Aborted(code) => write!(f, "the other node: {code}"),
            Self::LinkLost(why) => write!(f, "link lost: {why}"),
            Self::Shutdown => f.write_str("shutting down"),
        }
    }
}
