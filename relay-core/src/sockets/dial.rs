//! Dialling: every address of a name, staggered, and the first to connect wins (RFC 8305 §5).
//!
//! A [`Dial`] is driven by its entry: [`Dial::resolved`] and [`Dial::note`] take in what came, [`Dial::run`] does what is due.

mod through;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use self::through::{Obstacle, Through};
use super::dial_queue::{DialQueue, Turn};
use super::end::{End, is_blocked};
use super::four_way::{FourWay, FourWayDialOptions};
use super::listen::{Peer, unix_address, with_zone};
use super::options::{Purpose, prepare};
use super::resolve::{Answer, LookupId, Requester, Resolver, interleave, localhost};
use crate::config::address::{BindAddress, Proxy, TargetAt, TargetHost, UnixName};
use crate::config::settings::{Family, Settings};
use crate::limits::{ADDRESSES_MAX, ATTEMPT_DELAY, FOUR_WAY_NAME_FRESH, UNIX_RETRY};
use crate::protocol::frame::RefusedCode;
use crate::report::{self, Report};
use crate::token::{Key, Slot};

/// How to dial.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// What the sockets are for.
    pub purpose: Purpose,
    /// Which addresses count.
    pub family: Family,
    /// The local address.
    pub bind: Option<BindAddress>,
    /// The proxies on the way, the first one first; none leads straight there.
    pub via: Arc<[Proxy]>,
    /// For all addresses together, the lookup included.
    pub timeout: Duration,
    /// What holds for 4way addresses instead.
    pub four_way: FourWayDialOptions,
}

impl DialOptions {
    /// The family is wanted, and is that of the local address.
    fn may_leave_for(&self, address: &SocketAddr) -> bool {
        let bind = self.bind.and_then(|bind| bind.ip);
        self.family.allows(address.ip()) && bind.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4())
    }

    /// As asked for.
    pub fn of(settings: &Settings, purpose: Purpose) -> Self {
        Self {
            purpose,
            family: settings.family,
            bind: settings.bind,
            via: settings.via.clone(),
            timeout: settings.connect_timeout,
            four_way: FourWayDialOptions {
                timeout: settings.four_way_timeout,
                clock_offset: settings.four_way_clock_offset,
                after_loss: false,
                report: None,
                turns: DialQueue::default(),
            },
        }
    }

    /// Tells there how dials go that may take long, and takes turns with those of the same loop.
    #[must_use]
    pub fn within(mut self, report: &Report, turns: &DialQueue) -> Self {
        self.four_way.report = Some(report.clone());
        self.four_way.turns = turns.clone();
        self
    }
}

/// One dial under way.
#[derive(Debug)]
pub struct Dial {
    options: DialOptions,
    /// The slot of the end that is to be.
    slot: Slot,
    port: u16,
    /// Of a 4way address: the port to leave from.
    local_port: Option<u16>,
    stage: Stage,
    deadline: Instant,
    /// Of a 4way address with a name.
    renewal: Option<Renewal>,
    /// Of a 4way address, until the dial is over.
    turn: Option<Turn>,
}

/// A dial that may take for ever asks from time to time what its name means now.
#[derive(Debug)]
struct Renewal {
    name: String,
    due: Instant,
    asked: Option<LookupId>,
}

#[derive(Debug)]
enum Stage {
    /// Until another dial of the same 4way address is over.
    Queued(TargetHost),
    Resolving(LookupId),
    Trying(Trying),
    Through(Box<Through>),
    FourWay(Box<FourWay>),
    /// A Unix socket whose backlog was full is tried again at that time.
    Unix(UnixName, Instant),
}

#[derive(Debug)]
struct Trying {
    candidates: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    /// When the next candidate is tried though none has failed.
    next_at: Instant,
    last_error: DialError,
}

#[derive(Debug)]
struct Attempt {
    end: End,
    slot: Slot,
    address: SocketAddr,
}

/// How far a dial is.
#[derive(Debug)]
pub enum Step {
    /// Not done: wait for an event, an answer, or [`Dial::deadline`].
    Pending,
    /// Done; the end is registered under the slot that was asked for.
    Connected(End, Peer),
    /// No address can be reached.
    Failed(DialError),
}

/// Why nothing was reached.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address.
    NoName(Arc<str>),
    /// The last address that was tried gave this.
    Failed(io::Error),
    /// The local address could not be had.
    NotBound(SocketAddr, io::Error),
    /// Nobody answered in time.
    TimedOut,
    /// The kernel joined the socket to itself: nobody listens on that local port.
    ToItself,
    /// A proxy on the way.
    Through(Box<Obstacle>),
    /// A 4way dial of this very host.
    OwnAddress,
}

impl Dial {
    /// Begins to dial what is neither stdio nor an inherited descriptor, for the entry `key`.
    pub fn start(
        target: &TargetAt,
        options: DialOptions,
        slot: Slot,
        resolver: &mut Resolver,
        key: Key,
        now: Instant,
    ) -> Self {
        let (host, port, local_port) = match target {
            TargetAt::Tcp { host, port } => (Some(host), *port, None),
            TargetAt::FourWay {
                local_port,
                host,
                port,
            } => (Some(host), *port, Some(*local_port)),
            TargetAt::Unix(_) | TargetAt::Stdio | TargetAt::Fd { .. } => (None, 0, None),
        };
        let timeout = match local_port {
            Some(_) => options.four_way.timeout.unwrap_or(FOREVER),
            None => options.timeout,
        };
        let stage = match (host, target) {
            (Some(host), TargetAt::Tcp { .. }) if !options.via.is_empty() => {
                let through = Through::start(host, port, &options, resolver, key, now);
                Stage::Through(Box::new(through))
            }
            (Some(host), _) => Stage::Queued(host.clone()),
            (None, TargetAt::Unix(name)) => Stage::Unix(name.clone(), now),
            (None, _) => {
                let nothing = Err("not an address".into());
                Stage::Trying(Trying::new(nothing, &options, port, now))
            }
        };
        let mut dial = Self {
            deadline: now + timeout,
            turn: local_port.map(|_| options.four_way.turns.join(target, key)),
            options,
            slot,
            port,
            local_port,
            stage,
            renewal: None,
        };
        dial.begin(resolver, key, now);
        dial
    }

    /// Finds out where to dial, once its turn has come.
    fn begin(&mut self, resolver: &mut Resolver, key: Key, now: Instant) {
        let Stage::Queued(host) = &self.stage else {
            return;
        };
        if self.turn.as_ref().is_some_and(|turn| !turn.has_come()) {
            return;
        }
        let question = resolver.question();
        let answer = match host {
            TargetHost::Localhost => Some(Ok(localhost(self.options.family).into())),
            TargetHost::Ip(ip, zone) => Some(Ok([with_zone(*ip, 0, *zone)].into())),
            TargetHost::Name(name) => {
                self.renewal = self.local_port.map(|_| Renewal::of(name, now));
                resolver.lookup(name, Requester::Dial(key, question), now)
            }
        };
        self.stage = Stage::Resolving(question);
        if let Some(answer) = answer {
            self.resolved(question, answer, now);
        }
    }

    /// The answer to a lookup, if it is this dial's.
    pub fn resolved(&mut self, question: LookupId, answer: Answer, now: Instant) {
        match &mut self.stage {
            Stage::Resolving(asked) if *asked == question => {
                let trying = Trying::new(answer, &self.options, self.port, now);
                // Both ends must dial the same pair of addresses: the first one it is.
                self.stage = match (self.local_port, trying.candidates.front()) {
                    (Some(local_port), Some(peer)) => {
                        let four_way = FourWay::new(*peer, local_port, &self.options, now);
                        Stage::FourWay(Box::new(four_way))
                    }
                    _ => Stage::Trying(trying),
                };
            }
            Stage::Through(through) => through.resolved(question, &answer, &self.options),
            Stage::FourWay(_) => self.renewed(question, answer, now),
            Stage::Queued(_) | Stage::Resolving(_) | Stage::Trying(_) | Stage::Unix(..) => {}
        }
    }

    /// What the name of a 4way address means now. The peer is dialled on where it was as long as that is one of its addresses, or
    /// nobody knows better, or it seems to be there just now.
    fn renewed(&mut self, question: LookupId, answer: Answer, now: Instant) {
        let Stage::FourWay(four_way) = &mut self.stage else {
            return;
        };
        let (Some(renewal), Some(local_port)) = (&mut self.renewal, self.local_port) else {
            return;
        };
        if renewal.asked.take_if(|asked| *asked == question).is_none() {
            return;
        }
        let candidates = Trying::new(answer, &self.options, self.port, now).candidates;
        if !four_way.is_connected()
            && !candidates.contains(&four_way.peer())
            && let Some(peer) = candidates.front()
        {
            **four_way = FourWay::new(*peer, local_port, &self.options, now);
        }
    }

    /// Asks anew what the name of a 4way address means, if that is due.
    fn renew(&mut self, resolver: &mut Resolver, key: Key, now: Instant) {
        if let (Stage::FourWay(_), Some(renewal)) = (&self.stage, &mut self.renewal)
            && now >= renewal.due
        {
            let question = resolver.question();
            renewal.due = now + FOUR_WAY_NAME_FRESH;
            renewal.asked = Some(question);
            if let Some(answer) =
                resolver.lookup(&renewal.name, Requester::Dial(key, question), now)
            {
                self.renewed(question, answer, now);
            }
        }
    }

    /// Takes in what epoll says of one of the attempts.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        match &mut self.stage {
            Stage::Trying(trying) => trying.note(event, slot, self.slot),
            Stage::Through(through) => through.note(event, slot, self.slot),
            Stage::FourWay(four_way) => four_way.note(event, slot),
            Stage::Queued(_) | Stage::Resolving(_) | Stage::Unix(..) => {}
        }
    }

    /// Does what is due.
    pub fn run(
        &mut self,
        registry: &Registry,
        resolver: &mut Resolver,
        key: Key,
        now: Instant,
    ) -> Step {
        self.begin(resolver, key, now);
        self.renew(resolver, key, now);
        let (options, slot) = (&self.options, self.slot);
        let step = match &mut self.stage {
            Stage::Queued(_) | Stage::Resolving(_) => Step::Pending,
            Stage::Unix(name, due) => dial_unix(name, due, registry, key, slot, now),
            Stage::Trying(trying) => trying.run(options, slot, registry, key, now),
            Stage::Through(through) => through.run(options, slot, registry, key, now),
            Stage::FourWay(four_way) => four_way.run(registry, key, slot, now),
        };
        let step = match (step, &self.stage) {
            (Step::Pending, Stage::Through(through)) if now >= self.deadline => {
                Step::Failed(through.timed_out(options))
            }
            (Step::Pending, _) if now >= self.deadline => Step::Failed(DialError::TimedOut),
            (step, _) => step,
        };
        if !matches!(step, Step::Pending) {
            self.turn = None;
        }
        step
    }

    /// When [`Dial::run`] has something to do though nothing came.
    pub fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Trying(trying) if trying.can_start() => trying.next_at.min(self.deadline),
            Stage::FourWay(four_way) => {
                let renewal = self.renewal.as_ref().map_or(self.deadline, |it| it.due);
                four_way.deadline().min(self.deadline).min(renewal)
            }
            Stage::Unix(_, due) => (*due).min(self.deadline),
            Stage::Through(through) => through
                .next_at()
                .map_or(self.deadline, |next_at| next_at.min(self.deadline)),
            Stage::Queued(_) | Stage::Trying(_) | Stage::Resolving(_) => self.deadline,
        }
    }
}

impl Renewal {
    fn of(name: &str, now: Instant) -> Self {
        Self {
            name: name.to_owned(),
            due: now + FOUR_WAY_NAME_FRESH,
            asked: None,
        }
    }
}

impl Trying {
    /// The answer's addresses, in the order in which they are tried.
    fn new(answer: Answer, options: &DialOptions, port: u16, now: Instant) -> Self {
        let (found, last_error) = match answer {
            // This stays the error where none of them is usable, for which a local address is needed.
            Ok(found) => match options.bind.and_then(|bind| bind.ip) {
                Some(ip) => {
                    let why = format!("no address of the family of {ip}").into();
                    (found, DialError::NoName(why))
                }
                None => (found, DialError::Failed(Errno::EADDRNOTAVAIL.into())),
            },
            Err(reason) => (Arc::default(), DialError::NoName(reason)),
        };
        let usable = found
            .iter()
            .copied()
            .filter(|address| options.may_leave_for(address));
        let mut candidates: VecDeque<_> =
            interleave(&usable.take(ADDRESSES_MAX).collect::<Vec<_>>()).into();
        candidates
            .iter_mut()
            .for_each(|address| address.set_port(port));
        Self {
            candidates,
            attempts: Vec::new(),
            next_at: now,
            last_error,
        }
    }

    /// Takes in what epoll says of one of the attempts, whose winner will have the slot `own`.
    fn note(&mut self, event: &Event, slot: Slot, own: Slot) {
        let mut attempts = self.attempts.iter_mut();
        if let Some(attempt) = attempts.find(|attempt| attempt.slot == slot) {
            attempt.end.note(event, own);
        }
    }

    fn run(
        &mut self,
        options: &DialOptions,
        slot: Slot,
        registry: &Registry,
        key: Key,
        now: Instant,
    ) -> Step {
        if let Some(winner) = self.collect(now) {
            let Attempt {
                mut end,
                slot: had,
                address,
            } = winner;
            if had != slot
                && let Err(error) = end.reregister(registry, key, slot)
            {
                return Step::Failed(DialError::Failed(error));
            }
            return Step::Connected(end, Peer::Tcp(address));
        }
        while now >= self.next_at
            && let Some(free) = self.free_slot(slot)
            && let Some(address) = self.candidates.pop_front()
        {
            match start_attempt(address, options, registry, key, free) {
                Ok(end) => {
                    self.attempts.push(Attempt {
                        end,
                        slot: free,
                        address,
                    });
                    self.next_at = now + ATTEMPT_DELAY;
                }
                Err(error) => self.last_error = error,
            }
        }
        if self.attempts.is_empty() && self.candidates.is_empty() {
            let last_error = std::mem::replace(&mut self.last_error, DialError::TimedOut);
            return Step::Failed(last_error);
        }
        Step::Pending
    }

    /// The end's own slot, or one of those for further attempts, that no attempt has now.
    fn free_slot(&self, own: Slot) -> Option<Slot> {
        let further = (0..Slot::ATTEMPTS).map(|at| Slot(Slot::ATTEMPT.0 + at));
        std::iter::once(own)
            .chain(further)
            .find(|slot| self.attempts.iter().all(|attempt| attempt.slot != *slot))
    }

    /// There is an address left to try, and room to try it.
    fn can_start(&self) -> bool {
        !self.candidates.is_empty() && self.attempts.len() <= usize::from(Slot::ATTEMPTS)
    }

    /// The attempt that connected, if one did. Those that failed are dropped, and the next candidate is due at once.
    fn collect(&mut self, now: Instant) -> Option<Attempt> {
        let mut at = 0;
        while at < self.attempts.len() {
            let attempt = &self.attempts[at];
            if !attempt.end.is_writable() {
                at += 1;
                continue;
            }
            let attempt = self.attempts.swap_remove(at);
            let error = if attempt.end.has_failed() {
                attempt.end.take_error()
            } else {
                None
            };
            self.last_error = match error {
                Some(error) => DialError::Failed(error),
                None if attempt.end.is_joined_to_itself(attempt.address) => DialError::ToItself,
                None => return Some(attempt),
            };
            self.next_at = now;
        }
        None
    }
}

fn start_attempt(
    address: SocketAddr,
    options: &DialOptions,
    registry: &Registry,
    key: Key,
    slot: Slot,
) -> Result<End, DialError> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    prepare(&socket, options.purpose)?;
    if let Some(bind) = options.bind {
        bind_local(&socket, bind, address)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error.into()),
        _ => {}
    }
    let mut end = End::socket(socket.into());
    end.register(registry, key, slot)?;
    Ok(end)
}

fn bind_local(socket: &Socket, bind: BindAddress, remote: SocketAddr) -> Result<(), DialError> {
    let unspecified = if remote.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    match bind.port {
        Some(_) => socket.set_reuse_address(true)?,
        // The port is picked when the peer is known, so that one port can serve dials to several peers.
        None => setsockopt(socket, sockopt::IpBindAddressNoPort, &true).map_err(io::Error::from)?,
    }
    let local = with_zone(
        bind.ip.unwrap_or(unspecified),
        bind.port.unwrap_or(0),
        bind.zone,
    );
    socket
        .bind(&local.into())
        .map_err(|error| DialError::NotBound(local, error))
}

/// A Unix socket connects at once or not at all; EAGAIN says that its backlog is full.
fn dial_unix(
    name: &UnixName,
    due: &mut Instant,
    registry: &Registry,
    key: Key,
    slot: Slot,
    now: Instant,
) -> Step {
    if now < *due {
        return Step::Pending;
    }
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&unix_address(name)?)?;
        let mut end = End::unix(socket.into());
        end.register(registry, key, slot)?;
        Ok(end)
    };
    match connect() {
        Ok(end) => Step::Connected(end, Peer::Unix),
        Err(error) if is_blocked(&error) => {
            *due = now + UNIX_RETRY;
            Step::Pending
        }
        Err(error) => Step::Failed(DialError::Failed(error)),
    }
}

impl DialError {
    /// The whole sentence: what was not reached, and why.
    pub fn sentence(&self, to: &dyn fmt::Display) -> String {
        match self {
            Self::Through(obstacle) => obstacle.sentence(to),
            error => format!("unable to connect to {to}: {error}"),
        }
    }

    /// Somebody is there, and refuses, himself or by the words of a proxy.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Failed(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            Self::Through(obstacle) => obstacle.code() == RefusedCode::Refused,
            Self::NoName(_)
            | Self::NotBound(..)
            | Self::TimedOut
            | Self::ToItself
            | Self::OwnAddress => false,
        }
    }

    /// Trying again will not help.
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Through(obstacle) if obstacle.lasts())
    }

    /// What the other node is told.
    pub fn code(&self) -> RefusedCode {
        match self {
            Self::NoName(_) => RefusedCode::NoName,
            Self::TimedOut => RefusedCode::Timeout,
            Self::ToItself | Self::OwnAddress => RefusedCode::Refused,
            Self::Through(obstacle) => obstacle.code(),
            Self::NotBound(..) => RefusedCode::Other,
            Self::Failed(error) => match error.raw_os_error() {
                Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOENT) => RefusedCode::Refused,
                Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EPERM) => {
                    RefusedCode::Unreachable
                }
                Some(libc::ETIMEDOUT) => RefusedCode::Timeout,
                _ => RefusedCode::Other,
            },
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName(reason) => f.write_str(reason),
            Self::TimedOut => f.write_str("connection timed out"),
            Self::ToItself => f.write_str("nobody listens there: the socket connected to itself"),
            Self::OwnAddress => {
                f.write_str("the peer is this very host: the socket connected to itself")
            }
            Self::Failed(error) => f.write_str(&report::reason(error)),
            Self::NotBound(local, error) => {
                f.write_str("unable to bind to ")?;
                match local.port() {
                    0 => local.ip().fmt(f)?,
                    _ => local.fmt(f)?,
                }
                write!(f, ": {}", report::reason(error))
            }
            Self::Through(obstacle) => obstacle.fmt(f),
        }
    }
}

/// Longer than any option can be.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Poll, Token, Waker};
    use std::net::{IpAddr, TcpListener};

    const KEY: Key = Key {
        index: 0,
        generation: 0,
    };

    /// A dial of a 4way address with a name, and what it needs. Nobody answers a lookup but the test.
    struct Bench {
        target: TargetAt,
        dial: Dial,
        poll: Poll,
        resolver: Resolver,
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let poll = Poll::new().unwrap();
            let waker = Waker::new(poll.registry(), Token(0)).unwrap();
            let mut resolver = Resolver::new(Family::Any, waker);
            let start = Instant::now();
            let free_port = || {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap().port()
            };
            let target = TargetAt::FourWay {
                local_port: free_port(),
                host: TargetHost::Name("peer.example".to_owned()),
                port: free_port(),
            };
            let options = DialOptions::of(&Settings::default(), Purpose::Session);
            let dial = Dial::start(&target, options, Slot::RIGHT, &mut resolver, KEY, start);
            Self {
                target,
                dial,
                poll,
                resolver,
                start,
            }
        }

        fn run(&mut self, now: Instant) -> Step {
            let registry = self.poll.registry();
            self.dial.run(registry, &mut self.resolver, KEY, now)
        }

        fn answer(&mut self, answer: Result<&str, &str>, now: Instant) {
            let question = match (&self.dial.stage, &self.dial.renewal) {
                (Stage::Resolving(question), _) => *question,
                (_, Some(renewal)) => renewal.asked.expect("something was asked"),
                _ => panic!("nothing is asked"),
            };
            let answer = match answer {
                Ok(ip) => Ok([SocketAddr::new(ip.parse().unwrap(), 0)].into()),
                Err(reason) => Err(reason.into()),
            };
            self.dial.resolved(question, answer, now);
        }

        fn peer(&self) -> IpAddr {
            match &self.dial.stage {
                Stage::FourWay(four_way) => four_way.peer().ip(),
                stage => panic!("nobody is dialled: {stage:?}"),
            }
        }
    }

    #[test]
    fn the_name_of_a_four_way_address_is_asked_for_again_and_again() {
        let mut bench = Bench::new();
        bench.answer(Ok("127.0.0.1"), bench.start);
        let mut now = bench.start;
        for peer in [
            Ok("127.0.0.1"),
            Err("no answer"),
            Ok("127.0.0.2"),
            Err("no answer"),
        ] {
            let before = bench.peer();
            now += FOUR_WAY_NAME_FRESH;
            assert!(bench.dial.deadline() <= now);
            assert!(matches!(bench.run(now), Step::Pending));
            assert_eq!(bench.peer(), before);
            bench.answer(peer, now);
            let after = peer.map_or(before, |ip| ip.parse().unwrap());
            assert_eq!(bench.peer(), after);
        }
    }

    #[test]
    fn a_second_dial_of_a_four_way_address_waits_until_the_first_one_is_over() {
        let mut bench = Bench::new();
        let (start, options) = (bench.start, bench.dial.options.clone());
        let (other, patient) = (Key { index: 1, ..KEY }, start + FOUR_WAY_NAME_FRESH);
        let target = bench.target.clone();
        let mut second = Dial::start(
            &target,
            options.clone(),
            Slot::RIGHT,
            &mut bench.resolver,
            other,
            start,
        );
        assert!(matches!(second.stage, Stage::Queued(_)));
        assert!(second.deadline() > patient);
        let Bench {
            dial,
            poll,
            mut resolver,
            ..
        } = bench;
        let mut run = |dial: &mut Dial, key| dial.run(poll.registry(), &mut resolver, key, start);
        assert!(matches!(run(&mut second, other), Step::Pending));
        assert!(matches!(second.stage, Stage::Queued(_)));
        assert_eq!(options.four_way.turns.called(), []);
        drop(dial);
        assert_eq!(options.four_way.turns.called(), [other]);
        assert!(matches!(run(&mut second, other), Step::Pending));
        assert!(matches!(second.stage, Stage::Resolving(_)));
    }

    #[test]
    fn a_dial_that_has_asked_anew_waits_for_something_to_come() {
        let mut bench = Bench::new();
        bench.answer(Ok("127.0.0.1"), bench.start);
        let now = bench.start + FOUR_WAY_NAME_FRESH;
        // The tries around one tick.
        let mut turns = 0;
        while bench.dial.deadline() <= now {
            assert!(matches!(bench.run(now), Step::Pending));
            turns += 1;
            assert!(turns < 100, "it is due for ever");
        }
    }
}
