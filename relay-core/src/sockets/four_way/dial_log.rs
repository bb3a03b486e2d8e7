//! What is told of a dial that may take long: what came back, whenever that changes, and what to look at when nothing helps.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::limits::{FOUR_WAY_SILENCE, FOUR_WAY_WARNING_MAX, FOUR_WAY_WARNING_MIN};
use crate::policy::ticks::Answer;
use crate::report::{self, Report};

/// See the module.
#[derive(Debug)]
pub(super) struct DialLog {
    local_port: u16,
    peer: SocketAddr,
    report: Option<Report>,
    began: Instant,
    tries: u32,
    /// What came back last.
    last: Option<Answer>,
    /// A try is under way that was not answered at once.
    waits: bool,
    /// When the silence is logged, unless an answer comes.
    silent_at: Option<Instant>,
    warn_at: Instant,
    pause: Duration,
}

impl DialLog {
    pub(super) fn new(
        local_port: u16,
        peer: SocketAddr,
        report: Option<Report>,
        now: Instant,
    ) -> Self {
        Self {
            local_port,
            peer,
            report,
            began: now,
            tries: 0,
            last: None,
            waits: false,
            silent_at: None,
            warn_at: now + FOUR_WAY_WARNING_MIN,
            pause: FOUR_WAY_WARNING_MIN,
        }
    }

    /// A try was made that has no answer yet. A deaf one follows ICMP, and would have been answered so, too.
    pub(super) fn waits(&mut self, deaf: bool, now: Instant) {
        self.tries += 1;
        self.waits = true;
        self.silent_at = (!deaf).then(|| now + FOUR_WAY_SILENCE);
    }

    /// A try was answered.
    pub(super) fn answered(&mut self, answer: Answer, error: &io::Error, now: Instant) {
        if !std::mem::take(&mut self.waits) {
            self.tries += 1;
        }
        self.silent_at = None;
        let error = report::reason(error);
        if self.last != Some(answer) {
            let (meaning, then) = explain(answer);
            self.log(answer, format_args!("{error}: {meaning}; {then}"));
        }
        if let Some(report) = &self.report {
            let what = match answer {
                Answer::Reset => "reset",
                Answer::Unreachable => "answered by icmp",
                Answer::Nothing => "not answered",
                Answer::Busy => "not sent",
            };
            report.debug(format_args!(
                "try {} of {} from port {} was {what}: {error}",
                self.tries, self.peer, self.local_port
            ));
        }
        self.warn(now);
    }

    /// Time has passed.
    pub(super) fn go_on(&mut self, now: Instant) {
        let silent = self.silent_at.take_if(|at| *at <= now).is_some();
        if silent && self.last != Some(Answer::Nothing) {
            let (meaning, then) = explain(Answer::Nothing);
            self.log(
                Answer::Nothing,
                format_args!("no answer: {meaning}; {then}"),
            );
        }
        self.warn(now);
    }

    pub(super) fn connected(&mut self, now: Instant) {
        let tries = self.tries + u32::from(!self.waits);
        let took = now.saturating_duration_since(self.began);
        let Some(report) = &self.report else {
            return;
        };
        report.debug(format_args!(
            "met {} from port {} at try {tries}, after {}.{:03} s",
            self.peer,
            self.local_port,
            took.as_secs(),
            took.subsec_millis()
        ));
    }

    /// When [`DialLog::go_on`] may have something to say.
    pub(super) fn next_at(&self) -> Instant {
        self.warn_at.min(self.silent_at.unwrap_or(self.warn_at))
    }

    fn log(&mut self, answer: Answer, text: impl std::fmt::Display) {
        self.last = Some(answer);
        let Some(report) = &self.report else {
            return;
        };
        report.info(format_args!(
            "dialling {} from port {}: {text}",
            self.peer, self.local_port
        ));
    }

    /// Nobody is to wait without knowing what for. Each warning comes after twice the time of the one before.
    fn warn(&mut self, now: Instant) {
        if now < self.warn_at {
            return;
        }
        self.pause = (self.pause * 2).min(FOUR_WAY_WARNING_MAX);
        self.warn_at = now + self.pause;
        let came = match self.last {
            Some(Answer::Reset) => "all tries were reset",
            Some(Answer::Unreachable) => "all tries were answered by icmp, or there is no way",
            Some(Answer::Busy) => "the local port is in use",
            Some(Answer::Nothing) | None => "nothing comes back",
        };
        let passed = humantime::format_duration(Duration::from_secs(
            now.saturating_duration_since(self.began).as_secs(),
        ));
        let Some(report) = &self.report else {
            return;
        };
        report.warning(format_args!(
            "no connection to {} from port {} for {passed}, {came}: does the other end dial this one's port {}? are both clocks right? \
             a firewall that changes the port cannot be passed in this way; use listen-listen on a machine between: see relay-4way(7)",
            self.peer, self.local_port, self.local_port
        ));
    }
}

/// What an answer shows of the firewall, and what the program does then.
fn explain(answer: Answer) -> (&'static str, &'static str) {
    const TICKS: &str = "trying on the ticks of the clock";
    const WAITING: &str = "waiting for the peer's dial";
    match answer {
        Answer::Reset => (
            "a firewall resets what comes early, or the peer's host does",
            TICKS,
        ),
        Answer::Unreachable => (
            "a firewall answers by icmp what comes early, or there is no way",
            WAITING,
        ),
        Answer::Nothing => (
            "a firewall drops what comes early, or the peer is not up",
            WAITING,
        ),
        Answer::Busy => (
            "this host still has a connection of these ports, or another program has the local one",
            "waiting for its end",
        ),
    }
}
