//! The dial of one four-tuple: each end dials the other from the port that the other dials (RFC 9293 §3.5, simultaneous open).
//!
//! Being refused is a try, not a failure: [`crate::policy::ticks`] says when the next one is due. A try that nobody answers is left to the
//! kernel, which repeats its SYN until the peer's comes.
//!
//! One end may be connected while the other one's try has just ended by the answer to its own SYN, which was already on its way (ICMP
//! ends a try even then). It learns so from a reset within a round trip; and until then a connection is not handed over.

mod dial_log;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use self::dial_log::DialLog;
use super::accepted::Peer;
use super::dial::dial_options::{DialOptions, FourWayDialOptions};
use super::dial::error::DialError;
use super::dial::step::Step;
use super::end::End;
use super::options::{Purpose, prepare};
use super::socket_address::with_zone;
use crate::ids::random;
use crate::limits::{FOUR_WAY_LEAD, FOUR_WAY_PROOF};
use crate::linux::instant::{CpuPin, SPIN_MAX, spin_until, wall_clock};
use crate::linux::tcp_info::{State, tcp_info};
use crate::linux::{errors, ttl};
use crate::policy::ticks::{Answer, Ticks};
use crate::token::{Key, Slot};

/// See the module.
#[derive(Debug)]
pub(super) struct FourWay {
    local: SocketAddr,
    peer: SocketAddr,
    purpose: Purpose,
    clock_offset: Duration,
    ticks: Ticks,
    attempt: Option<End>,
    /// The try is connected, as far as this end can tell; it is handed over if it still is then.
    proven_at: Option<Instant>,
    wake_at: Instant,
    dial_log: DialLog,
}

/// What came of a try.
enum Outcome {
    Connected,
    Itself,
    Again(Answer, io::Error),
    Failed(DialError),
}

impl FourWay {
    pub(super) fn new(
        peer: SocketAddr,
        local_port: u16,
        options: &DialOptions,
        now: Instant,
    ) -> Self {
        let FourWayDialOptions {
            clock_offset,
            after_loss,
            ..
        } = options.four_way;
        let (ip, zone) = match options.bind {
            Some(bind) => (bind.ip, bind.zone),
            None => (None, 0),
        };
        let unspecified = if peer.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let seed = u64::from_ne_bytes(random());
        let wall = wall_clock() + clock_offset;
        Self {
            local: with_zone(ip.unwrap_or(unspecified), local_port, zone),
            peer,
            purpose: options.purpose,
            clock_offset,
            ticks: Ticks::new((local_port, peer.port()), after_loss, seed, wall),
            attempt: None,
            proven_at: None,
            wake_at: now,
            dial_log: DialLog::new(local_port, peer, options.four_way.report.clone(), now),
        }
    }

    /// Takes in what epoll says of the try.
    pub(super) fn note(&mut self, event: &Event, slot: Slot) {
        if let Some(end) = &mut self.attempt {
            end.note(event, slot);
        }
    }

    /// Whom it dials.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// A try is connected, as far as this end can tell.
    pub(super) fn is_connected(&self) -> bool {
        self.proven_at.is_some()
    }

    /// When [`FourWay::run`] has something to do though nothing came.
    pub(super) fn deadline(&self) -> Instant {
        self.wake_at
    }

    /// Does what is due: some tries at most.
    pub(super) fn run(&mut self, registry: &Registry, key: Key, slot: Slot, now: Instant) -> Step {
        if let Some(mut end) = self.attempt.take_if(|end| end.is_writable()) {
            match self.outcome(&mut end, now) {
                None => self.attempt = Some(end),
                Some(outcome) => {
                    if let Some(step) = self.conclude(outcome, Some(end), now) {
                        return step;
                    }
                }
            }
        }
        if let Some(proven_at) = self.proven_at {
            self.wake_at = proven_at;
            return Step::Pending;
        }
        loop {
            let wall = self.wall();
            self.ticks.look(wall);
            if self.ticks.hears(wall)
                && let Some(end) = &self.attempt
            {
                ttl::hear(end.as_fd(), self.peer.ip());
            }
            let due = self.ticks.due();
            if due > wall + SPIN_MAX {
                self.dial_log.go_on(now);
                let hears_at = self.ticks.deaf_until().map(|until| now + (until - wall));
                self.wake_at = self
                    .dial_log
                    .next_at()
                    .min(now + (due - wall).saturating_sub(FOUR_WAY_LEAD))
                    .min(hears_at.unwrap_or(now + (due - wall)));
                return Step::Pending;
            }
            self.attempt = None;
            let (outcome, mut end) = match self.fire(due, now) {
                Ok((end, outcome)) => (outcome, Some(end)),
                Err(outcome) => (Some(outcome), None),
            };
            if let Some(end) = &mut end
                && matches!(outcome, None | Some(Outcome::Connected))
                && let Err(error) = end.register(registry, key, slot)
            {
                return Step::Failed(DialError::Failed(error));
            }
            match outcome {
                None => {
                    self.dial_log.waits(self.ticks.deaf_until().is_some(), now);
                    self.attempt = end;
                    if let Some(proven_at) = self.proven_at {
                        self.wake_at = proven_at;
                        return Step::Pending;
                    }
                }
                Some(outcome) => {
                    if let Some(step) = self.conclude(outcome, end, now) {
                        return step;
                    }
                }
            }
        }
    }

    /// One try. On a short path its answer is there when the call returns.
    fn fire(&mut self, due: Duration, now: Instant) -> Result<(End, Option<Outcome>), Outcome> {
        self.ticks.fired(self.wall());
        let session_slot = self.ticks.is_exact().then(CpuPin::at_random);
        let socket = Socket::new(
            Domain::for_address(self.peer),
            Type::STREAM.nonblocking(),
            None,
        )?;
        prepare(&socket, self.purpose)?;
        errors::keep(&socket, self.peer.ip(), true)?;
        match self.ticks.deaf_until() {
            Some(_) => ttl::deafen(&socket, self.peer.ip()),
            None => ttl::hear(&socket, self.peer.ip()),
        }
        socket.set_reuse_address(true)?;
        socket
            .bind(&self.local.into())
            .map_err(|error| Outcome::of_bind(self.local, error))?;
        if session_slot.is_some() {
            spin_until(due.saturating_sub(self.clock_offset));
            self.ticks.fired(self.wall());
        }
        let result = socket.connect(&self.peer.into());
        drop(session_slot);
        match result {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                return Err(error.into());
            }
            _ => {}
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        let answered = poll(&mut fds, PollTimeout::ZERO).map_err(io::Error::from)? > 0;
        let mut end = End::socket(socket.into());
        let outcome = if answered {
            self.outcome(&mut end, now)
        } else {
            None
        };
        Ok((end, outcome))
    }

    /// What came of a try that epoll has something to tell of. ICMP may have come while the kernel was busy with the socket, which
    /// then goes on with its try.
    fn outcome(&mut self, end: &mut End, now: Instant) -> Option<Outcome> {
        let Ok(info) = tcp_info(end.as_fd()) else {
            return Some(end.failure().into());
        };
        match info.state {
            State::Closed => {
                if self.proven_at.take().is_some() {
                    self.ticks.broke();
                }
                let error = end.failure();
                let answer = match answer_of(&error) {
                    Some(answer) if !end.was_refused_by_icmp() => answer,
                    // What ends a try that is under way came from outside, and a kernel that keeps no errors did not say so.
                    _ => Answer::Unreachable,
                };
                return Some(Outcome::Again(answer, error));
            }
            State::Opening | State::Open => end.forgive(),
        }
        if info.state == State::Opening {
            return None;
        }
        // Not what was dialled: 0.0.0.0 is this host, too.
        let local = end.local_address();
        if local.is_some() && local == end.peer_address() {
            return Some(Outcome::Itself);
        }
        let proven_at = *self.proven_at.get_or_insert_with(|| {
            // From here on it is a connection as any other.
            let _ = errors::keep(end.as_fd(), self.peer.ip(), false);
            ttl::hear(end.as_fd(), self.peer.ip());
            let _ = end.failure();
            now + FOUR_WAY_PROOF + info.round_trip.mul_f64(1.5)
        });
        (now >= proven_at).then_some(Outcome::Connected)
    }

    fn conclude(&mut self, outcome: Outcome, end: Option<End>, now: Instant) -> Option<Step> {
        match (outcome, end) {
            (Outcome::Connected, Some(end)) => {
                self.dial_log.connected(now);
                Some(Step::Connected(end, Peer::Tcp(self.peer)))
            }
            (Outcome::Itself | Outcome::Connected, _) => Some(Step::Failed(DialError::OwnAddress)),
            (Outcome::Failed(error), _) => Some(Step::Failed(error)),
            (Outcome::Again(answer, error), end) => {
                // The next try is another connection of the same ports.
                drop(end);
                self.dial_log.answered(answer, &error, now);
                self.ticks.answered(answer, self.wall());
                None
            }
        }
    }

    fn wall(&self) -> Duration {
        wall_clock() + self.clock_offset
    }
}

impl Outcome {
    /// In use, the address may be free later; not of this host, it is a fault to be told.
    fn of_bind(local: SocketAddr, error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EADDRINUSE) => Self::Again(Answer::Busy, error),
            _ => Self::Failed(DialError::NotBound(local, error)),
        }
    }
}

/// Of a call.
impl From<io::Error> for Outcome {
    fn from(error: io::Error) -> Self {
        match answer_of(&error) {
            Some(answer) => Self::Again(answer, error),
            None => Self::Failed(error.into()),
        }
    }
}

fn answer_of(error: &io::Error) -> Option<Answer> {
    match error.raw_os_error()? {
        libc::ECONNREFUSED | libc::ECONNRESET | libc::ECONNABORTED => Some(Answer::Reset),
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENETDOWN
        | libc::ENONET
        | libc::EPROTO
        | libc::EPERM => Some(Answer::Unreachable),
        libc::ETIMEDOUT => Some(Answer::Nothing),
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => Some(Answer::Busy),
        _ => None,
    }
}
