//! Dialling: every address of a name, staggered, and the first to connect wins (RFC 8305 §5).
//!
//! A [`Dial`] is driven by its entry: [`Dial::resolved`] and [`Dial::note`] take in what came, [`Dial::run`] does what is due.

mod attempts;
pub mod dial_options;
pub mod error;
pub mod step;
mod through;
mod unix;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use dial_options::{DialOptions, FourWayDialOptions};
pub use error::DialError;
use mio::Registry;
use mio::event::Event;
pub use step::Step;

use self::attempts::Trying;
use self::through::Through;
use self::unix::dial_unix;
use super::dial_queue::Turn;
use super::four_way::FourWay;
use super::resolve::{Answer, LookupId, Requester, Resolver, localhost};
use super::socket_address::with_zone;
use crate::config::address::{TargetAt, TargetHost, UnixName};
use crate::limits::FOUR_WAY_NAME_FRESH;
use crate::policy::name_cache::NO_ANSWER;
use crate::token::{Key, Slot};

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
    /// The name that is dialled, if it is one.
    name: Option<Box<str>>,
    /// Of a 4way address with a name.
    renewal: Option<Renewal>,
    /// Of a 4way address, until the dial is over.
    turn: Option<Turn>,
}

/// A dial that may take for ever asks from time to time what its name means now.
#[derive(Debug)]
struct Renewal {
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
                let nothing = Err(DialError::NoAddress("not an address".into()));
                Stage::Trying(Trying::new(nothing, &options, port, now))
            }
        };
        let name = match host {
            Some(TargetHost::Name(name)) => Some(name.as_str().into()),
            _ => None,
        };
        let mut dial = Self {
            deadline: now + timeout,
            turn: local_port.map(|_| options.four_way.dial_queue.join(target, key)),
            options,
            slot,
            port,
            local_port,
            stage,
            name,
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
        let lookup_id = resolver.lookup_id();
        let answer = match host {
            TargetHost::Localhost => Some(Ok(localhost(self.options.family).into())),
            TargetHost::Ip(ip, zone) => Some(Ok([with_zone(*ip, 0, *zone)].into())),
            TargetHost::Name(name) => {
                let answer = resolver.lookup(name, Requester::Dial(key, lookup_id), now);
                // The last good answer may be old, and a 4way dial may keep it for long: a newer one is due now.
                let due = match answer {
                    Some(_) => now,
                    None => now + FOUR_WAY_NAME_FRESH,
                };
                let renewal = Renewal { due, asked: None };
                self.renewal = self.local_port.map(|_| renewal);
                answer
            }
        };
        self.stage = Stage::Resolving(lookup_id);
        if let Some(answer) = answer {
            self.resolved(lookup_id, answer, now);
        }
    }

    /// The answer to a lookup, if it is this dial's.
    pub fn resolved(&mut self, lookup_id: LookupId, answer: Answer, now: Instant) {
        match &mut self.stage {
            Stage::Resolving(asked) if *asked == lookup_id => {
                let found = answer.map_err(|reason| self.not_found(reason));
                let trying = Trying::new(found, &self.options, self.port, now);
                // Both ends must dial the same pair of addresses: the first one it is.
                self.stage = match (self.local_port, trying.candidates.front()) {
                    (Some(local_port), Some(peer)) => {
                        let four_way = FourWay::new(*peer, local_port, &self.options, now);
                        Stage::FourWay(Box::new(four_way))
                    }
                    _ => Stage::Trying(trying),
                };
            }
            Stage::Through(through) => through.resolved(lookup_id, &answer, &self.options),
            Stage::FourWay(_) => self.renewed(lookup_id, answer, now),
            Stage::Queued(_) | Stage::Resolving(_) | Stage::Trying(_) | Stage::Unix(..) => {}
        }
    }

    /// What the name of a 4way address means now. The peer is dialled on where it was as long as that is one of its addresses, or
    /// nobody knows better, or it seems to be there just now.
    fn renewed(&mut self, lookup_id: LookupId, answer: Answer, now: Instant) {
        let Stage::FourWay(four_way) = &mut self.stage else {
            return;
        };
        let (Some(renewal), Some(local_port)) = (&mut self.renewal, self.local_port) else {
            return;
        };
        if renewal.asked.take_if(|asked| *asked == lookup_id).is_none() {
            return;
        }
        let found = answer.map_err(DialError::NoAddress);
        let candidates = Trying::new(found, &self.options, self.port, now).candidates;
        if !four_way.is_connected()
            && !candidates.contains(&four_way.peer())
            && let Some(peer) = candidates.front()
        {
            **four_way = FourWay::new(*peer, local_port, &self.options, now);
        }
    }

    /// Asks anew what the name of a 4way address means, if that is due.
    fn renew(&mut self, resolver: &mut Resolver, key: Key, now: Instant) {
        if let (Stage::FourWay(_), Some(renewal), Some(name)) =
            (&self.stage, &mut self.renewal, &self.name)
            && now >= renewal.due
        {
            let lookup_id = resolver.lookup_id();
            renewal.due = now + FOUR_WAY_NAME_FRESH;
            renewal.asked = Some(lookup_id);
            if let Some(answer) = resolver.lookup_anew(name, Requester::Dial(key, lookup_id), now) {
                self.renewed(lookup_id, answer, now);
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
            (Step::Pending, Stage::Resolving(_)) if now >= self.deadline => {
                Step::Failed(self.not_found(NO_ANSWER.into()))
            }
            (Step::Pending, _) if now >= self.deadline => Step::Failed(DialError::TimedOut),
            (step, _) => step,
        };
        if matches!(step, Step::Failed(_)) {
            self.refresh_names(resolver, now);
        }
        if !matches!(step, Step::Pending) {
            self.turn = None;
        }
        step
    }

    /// The addresses may have changed: the next dial gets newer ones, as soon as the name server has answered.
    fn refresh_names(&self, resolver: &mut Resolver, now: Instant) {
        let proxies = self
            .options
            .via
            .iter()
            .filter_map(|proxy| match &proxy.host {
                TargetHost::Name(name) => Some(name.as_str()),
                _ => None,
            });
        for name in proxies.chain(self.name.as_deref()) {
            resolver.refresh(name, now);
        }
    }

    fn not_found(&self, reason: Arc<str>) -> DialError {
        match &self.name {
            Some(name) => DialError::NotFound(name.clone(), reason),
            None => DialError::NoAddress(reason),
        }
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

/// Longer than any option can be.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr, TcpListener};

    use mio::{Poll, Token, Waker};

    use super::*;
    use crate::config::family::Family;
    use crate::config::settings::Settings;
    use crate::sockets::options::Purpose;

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
            let lookup_id = match (&self.dial.stage, &self.dial.renewal) {
                (Stage::Resolving(lookup_id), _) => *lookup_id,
                (_, Some(renewal)) => renewal.asked.expect("something was asked"),
                _ => panic!("nothing is asked"),
            };
            let answer = match answer {
                Ok(ip) => Ok([SocketAddr::new(ip.parse().unwrap(), 0)].into()),
                Err(reason) => Err(reason.into()),
            };
            self.dial.resolved(lookup_id, answer, now);
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
    fn a_dial_of_a_four_way_address_with_an_old_answer_looks_the_name_up_at_once() {
        let mut bench = Bench::new();
        bench.answer(Ok("127.0.0.1"), bench.start);
        bench
            .resolver
            .learn("peer.example", "127.0.0.1", bench.start);
        let later = bench.start + Duration::from_secs(3600);
        let options = DialOptions::of(&Settings::default(), Purpose::Session);
        let target = bench.target.clone();
        bench.dial = Dial::start(
            &target,
            options,
            Slot::RIGHT,
            &mut bench.resolver,
            KEY,
            later,
        );
        assert_eq!(bench.peer().to_string(), "127.0.0.1", "no dial waits");
        bench.run(later);
        bench.answer(Ok("127.0.0.2"), later);
        assert_eq!(bench.peer().to_string(), "127.0.0.2");
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
        assert_eq!(options.four_way.dial_queue.called(), []);
        drop(dial);
        assert_eq!(options.four_way.dial_queue.called(), [other]);
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
