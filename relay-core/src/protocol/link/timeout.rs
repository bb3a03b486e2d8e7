//! State and time: when a session is over, and when the peer counts as dead.

use std::time::{Duration, Instant};

use super::event::Expired;
use super::{Flow, Link, Liveness, OpenedDelay, Pending, Phase, Reading, Session};

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
    pub(super) fn is_established(&self) -> bool {
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
            Some(OpenedDelay::Until(due)) => Some(due),
            Some(OpenedDelay::Due) | None => None,
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
        if matches!(self.pending.opened, Some(OpenedDelay::Until(due)) if now >= due) {
            self.pending.opened = Some(OpenedDelay::Due);
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
    pub(super) fn silence_max(&self) -> Duration {
        self.heartbeat * 5 / 2
    }

    pub(super) fn ping_at(&self) -> Instant {
        self.sent + self.heartbeat
    }

    pub(super) fn next(&self) -> Instant {
        let silent = match self.reading {
            Reading::Since(since) => self.heard.max(since) + self.silence_max(),
            Reading::Stalled { check } => check,
        };
        silent.min(self.ping_at())
    }
}
