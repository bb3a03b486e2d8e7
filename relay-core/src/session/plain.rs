//! A session: two ends, and a direction each way.
//!
//! What ends how is the table in `ARCHITECTURE.md`; this room has the rules for two plain ends, `crate::session::relay` those where one
//! end is a link. An end of file is passed on as one, in each direction by itself; all else resets both ends.

use std::time::Instant;

use mio::event::Event;

use crate::event_loop::pump_resources::PumpResources;
use crate::protocol::frame::SessionId;
use crate::report::Report;
use crate::session::account::Account;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::pump::{Direction, Flow, Verdict};
use crate::session::timeouts::Timeouts;
use crate::sockets::end::End;
use crate::token::Slot;

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
    pub fn run(&mut self, timeouts: &Timeouts, resources: &mut PumpResources) -> Progress {
        let before = (self.delivered(), self.flows());
        let mut progress = self.pump(Side::Left, resources);
        if !matches!(progress, Progress::Over(_)) {
            let other = self.pump(Side::Right, resources);
            progress = progress.and(other);
        }
        if (self.delivered(), self.flows()) != before {
            self.active = resources.now;
        }
        match progress {
            Progress::Waiting => self.close_if_due(timeouts, resources.now),
            progress => progress,
        }
    }

    /// Pumps the direction whose source is on `side`.
    fn pump(&mut self, side: Side, resources: &mut PumpResources) -> Progress {
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
        let verdict = direction.pump(source, sink, resources);
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
                direction.abandon().release(&mut resources.pipes);
                back.expect_reset();
                Progress::Again
            }
            Verdict::Event(never) => match never {},
        }
    }

    /// Nothing moves: is it over?
    fn close_if_due(&self, timeouts: &Timeouts, now: Instant) -> Progress {
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
        match self.silence_ends(timeouts) {
            Some((deadline, reason)) if now >= deadline => Progress::Over(reason),
            _ => Progress::Waiting,
        }
    }

    /// When [`Session::run`] has something to do though no event came.
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        self.silence_ends(timeouts).map(|(deadline, _)| deadline)
    }

    fn silence_ends(&self, timeouts: &Timeouts) -> Option<(Instant, CloseReason)> {
        let one_way =
            self.rightward.flow() == Flow::Finished || self.leftward.flow() == Flow::Finished;
        timeouts.ends(self.active, one_way)
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
    pub fn has_received(&self, side: Side) -> bool {
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
        resources: &mut PumpResources,
    ) {
        self.account.log(
            reason,
            self.rightward.delivered(),
            self.leftward.delivered(),
            report,
            resources.now,
        );
        self.rightward.abandon().release(&mut resources.pipes);
        self.leftward.abandon().release(&mut resources.pipes);
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
