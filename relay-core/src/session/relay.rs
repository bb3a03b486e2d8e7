//! A session between a plain end and a link: a direction each way.
//!
//! The link outlives the session. So nothing here closes it: a failure of the plain end is for the caller to pass on by
//! ABORT, and a failure of the link is told apart from it.

use std::time::Instant;

use mio::Registry;

use crate::event_loop::pump_resources::PumpResources;
use crate::protocol::link::Event;
use crate::report::Report;
use crate::session::account::Account;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::link_end::{LinkEnd, LinkInput};
use crate::session::plain::close_end;
use crate::session::pump::{Direction, Flow, InFlight, Verdict};
use crate::session::timeouts::Timeouts;
use crate::sockets::end::End;

/// See the module.
#[derive(Debug)]
pub struct Relay {
    /// The client (outside) or the server (inside).
    pub plain: End,
    side: Side,
    from_link: Direction,
    to_link: Direction,
    active: Instant,
    /// For the log.
    pub account: Account,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress {
    /// It waits for an event.
    Waiting,
    /// It has used up its share of this turn.
    Again,
    /// Both directions have ended by end of file.
    Finished,
    /// A frame that is not the session's; go on after it.
    Frame(Event),
    /// The session is over, and the other node does not know it yet.
    Over(CloseReason),
    /// The session is over, and the other node said so.
    Aborted(CloseReason),
    /// The link itself is.
    LinkDown(LinkInput),
}

impl Relay {
    /// Joins the plain end, on its side of the session, to a link. Either direction may have begun.
    pub fn new(
        plain: End,
        side: Side,
        from_link: Direction,
        to_link: Direction,
        account: Account,
        now: Instant,
    ) -> Self {
        Self {
            plain,
            side,
            from_link,
            to_link,
            active: now,
            account,
        }
    }

    /// Moves what can be moved.
    pub fn run(
        &mut self,
        link: &mut LinkEnd,
        timeouts: &Timeouts,
        resources: &mut PumpResources,
    ) -> Progress {
        let before = self.motion();
        let progress = self.pump(link, resources);
        if self.motion() != before {
            self.active = resources.now;
        }
        link.protocol
            .set_reading(!self.from_link.is_stalled(), resources.now);
        match progress {
            Progress::Waiting => self.close_if_due(link, timeouts, resources.now),
            progress => progress,
        }
    }

    /// What changes whenever something moves.
    fn motion(&self) -> (u64, [Flow; 2]) {
        let delivered = self.from_link.delivered() + self.to_link.delivered();
        (delivered, [self.from_link.flow(), self.to_link.flow()])
    }

    fn pump(&mut self, link: &mut LinkEnd, resources: &mut PumpResources) -> Progress {
        let from_link = self.pump_from_link(link, resources);
        if !matches!(from_link, Progress::Waiting | Progress::Again) {
            return from_link;
        }
        match (from_link, self.pump_to_link(link, resources)) {
            (Progress::Again, Progress::Waiting) => Progress::Again,
            (_, to_link) => to_link,
        }
    }

    fn pump_from_link(&mut self, link: &mut LinkEnd, resources: &mut PumpResources) -> Progress {
        loop {
            let news = match self.from_link.pump(link, &mut self.plain, resources) {
                Verdict::Event(news) => news,
                Verdict::Blocked => return Progress::Waiting,
                Verdict::Again => return Progress::Again,
                // What comes behind the last frame of a session is not the session's.
                Verdict::Finished if self.to_link.flow() == Flow::Finished => {
                    return Progress::Waiting;
                }
                // The session's payload has ended; what else comes is read on.
                Verdict::Finished => match link.read(resources) {
                    Some(news) => news,
                    None => return Progress::Waiting,
                },
                Verdict::SourceFailed(error) => {
                    return Progress::LinkDown(LinkInput::Failed(error));
                }
                Verdict::SinkFailed(error)
                    if self.to_link.flow() == Flow::Finished || !self.plain.is_one_descriptor() =>
                {
                    return Progress::Over(CloseReason::Failed(self.side, error));
                }
                // What the failed end had sent before is still delivered.
                Verdict::SinkFailed(_) => {
                    self.from_link.abandon().release(&mut resources.pipes);
                    self.to_link.expect_reset();
                    return Progress::Again;
                }
            };
            match news {
                LinkInput::Frame(Event::End) => {
                    self.from_link.end();
                    self.account.closed_first.get_or_insert(self.side.other());
                }
                LinkInput::Frame(Event::Abort(code)) => {
                    return Progress::Aborted(CloseReason::Aborted(code));
                }
                LinkInput::Frame(event) => return Progress::Frame(event),
                news => return Progress::LinkDown(news),
            }
        }
    }

    fn pump_to_link(&mut self, link: &mut LinkEnd, resources: &mut PumpResources) -> Progress {
        let verdict = self.to_link.pump(&mut self.plain, link, resources);
        if self.to_link.flow() != Flow::Flowing {
            self.account.closed_first.get_or_insert(self.side);
        }
        match verdict {
            Verdict::Blocked | Verdict::Finished => Progress::Waiting,
            Verdict::Again => Progress::Again,
            Verdict::SourceFailed(error) => Progress::Over(CloseReason::Failed(self.side, error)),
            Verdict::SinkFailed(error) => Progress::LinkDown(LinkInput::Failed(error)),
            Verdict::Event(never) => match never {},
        }
    }

    /// Nothing moves: is it over?
    fn close_if_due(&self, link: &LinkEnd, timeouts: &Timeouts, now: Instant) -> Progress {
        // The plain end's reset is behind bytes that the link does not take, or behind its end of file.
        if self.plain.has_failed()
            && (self.to_link.is_stalled() || self.to_link.flow() == Flow::Finished)
        {
            let error = self.plain.failure();
            return Progress::Over(CloseReason::Failed(self.side, error));
        }
        // The link's is behind bytes that the plain end does not take.
        if link.end.has_failed() && self.from_link.is_stalled() {
            return Progress::LinkDown(LinkInput::Failed(link.end.failure()));
        }
        if self.from_link.flow() == Flow::Finished && self.to_link.flow() == Flow::Finished {
            return Progress::Finished;
        }
        match self.silence_ends(timeouts) {
            Some((deadline, reason)) if now >= deadline => Progress::Over(reason),
            _ => Progress::Waiting,
        }
    }

    /// When [`Relay::run`] has something to do though no event came.
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        self.silence_ends(timeouts).map(|(deadline, _)| deadline)
    }

    fn silence_ends(&self, timeouts: &Timeouts) -> Option<(Instant, CloseReason)> {
        let one_way =
            self.from_link.flow() == Flow::Finished || self.to_link.flow() == Flow::Finished;
        timeouts.ends(self.active, one_way)
    }

    /// The one way out: closes the plain end as the reason asks for, and tells the log. Returns what was taken from the plain
    /// end and is not sent.
    pub fn close(
        mut self,
        reason: &CloseReason,
        report: &Report,
        registry: &Registry,
        resources: &mut PumpResources,
    ) -> InFlight {
        let (to_server, to_client) = match self.side {
            Side::Left => (self.to_link.delivered(), self.from_link.delivered()),
            Side::Right => (self.from_link.delivered(), self.to_link.delivered()),
        };
        self.account
            .log(reason, to_server, to_client, report, resources.now);
        self.from_link.abandon().release(&mut resources.pipes);
        close_end(self.plain, reason, registry);
        self.to_link.abandon()
    }
}
