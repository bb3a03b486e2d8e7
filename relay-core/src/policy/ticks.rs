//! When a four-tuple is dialled, so that two ends that know nothing of each other dial it at the same moment.
//!
//! A dial that comes early is dropped by the peer's firewall, or answered. A dropped one stays, and meets the peer's whenever that
//! comes: there is nothing to decide. An answered one is over, and so is the hole that it made in its own firewall. Then both
//! dials have to be under way at once: each must have passed its own firewall before the other's arrives there, so that they may
//! be apart by no more than the path is long. Both ends therefore dial at the same instants of the wall clock, the *ticks*:
//!
//! - Around each tick there are several tries, each as soon as the one before is answered. On a path with delay a try lasts a
//!   round trip, and two ends that always have one under way meet at the second at the latest, whatever their clocks say.
//! - On a path with hardly any, only the precision of the clocks counts: every other tick is exact. The ones between are moved at
//!   random, a little at first and more as tries fail, for clocks that differ.
//! - ICMP, unlike a reset, leaves the hole open for as long as the peer may need. What comes through it has to find the try under
//!   way that made it: else a firewall of Linux lets none of our dials out for minutes. So there is always one under way, and ticks
//!   do not matter. The first one finds out; each that follows ICMP is *deaf* to it for a while, and to a peer whose try is deaf, too.
//!   It goes on, and the peer hears it when the kernel repeats its SYN.
//! - Ports of one range have their ticks apart from each other.
//! - After [`EAGER`] only a few ticks in each [`ROUND`] are left. The pause between them is longer than Linux's connection tracking
//!   remembers a connection that was reset ([`FORGOTTEN`]): as long as it does, it lets no SYN of the peer in, and each answer to
//!   one of our own makes it remember anew.
//!
//! The time is that of the wall clock, since 1970, which may be set: [`Ticks::look`]. [`Ticks::due`] says when to dial; each dial is told by [`Ticks::fired`], and its
//! answer by [`Ticks::answered`].

use std::time::Duration;

/// The decider. See the module.
#[derive(Debug)]
pub struct Ticks {
    rng: fastrand::Rng,
    /// Where in each period this pair of ports has its ticks.
    place: Duration,
    eager_until: Duration,
    /// A connection of this four-tuple broke a moment ago, and no try has been answered since.
    after_loss: bool,
    /// The last answer came at once.
    short_path: bool,
    /// Tries since the last tick.
    tries: u32,
    /// The tick that is waited for, or was the last one.
    number: u64,
    /// Ticks that came to nothing.
    failed: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The next try is due then.
    Waiting {
        due: Duration,
        /// No ICMP shall end it.
        deaf: bool,
    },
    /// A try is under way since then.
    Trying {
        since: Duration,
        deaf_until: Option<Duration>,
    },
}

/// What came back of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reset; or ICMP that says the same.
    Reset,
    /// ICMP: no way there, or none that is allowed.
    Unreachable,
    /// Nothing, until the kernel gave up.
    Nothing,
    /// Nothing was sent: this host still has a connection of these ports, or another program has the local one.
    Busy,
}

impl Ticks {
    /// For a pair of ports, whose first try is due at once.
    pub fn new(ports: (u16, u16), after_loss: bool, seed: u64, now: Duration) -> Self {
        // The same sum at both ends. Neighbours in a range differ by two, and by one where one end has a single port.
        let sum = u32::from(ports.0) + u32::from(ports.1);
        let place = Duration::from_millis(u64::from(sum) * 41 % TICK.as_millis() as u64);
        Self {
            rng: fastrand::Rng::with_seed(seed),
            place,
            eager_until: now + EAGER,
            after_loss,
            short_path: false,
            tries: 0,
            number: 0,
            failed: 0,
            stage: Stage::heeding(now),
        }
    }

    /// What the clock says now. Where it was set back, what it said before must not be waited for.
    pub fn look(&mut self, now: Duration) {
        match self.stage {
            Stage::Waiting { due, .. } if due > now + AHEAD_MAX => {
                self.eager_until = now + EAGER;
                self.tries = 0;
                self.stage = Stage::heeding(now);
            }
            // How long it lasts already is not known: long.
            Stage::Trying { since, deaf_until } if since > now => {
                self.eager_until = self.eager_until.min(now + FORGOTTEN + EAGER);
                self.stage = Stage::Trying {
                    since: now.saturating_sub(TICK),
                    deaf_until: deaf_until.map(|_| now),
                };
            }
            Stage::Waiting { .. } | Stage::Trying { .. } => {}
        }
    }

    /// When to dial: a try that has no answer by then is given up for it.
    pub fn due(&self) -> Duration {
        match self.stage {
            Stage::Waiting { due, .. } => due,
            Stage::Trying { since, .. } => since + TRY_MAX,
        }
    }

    /// Until when the try that is under way is deaf, if it is.
    pub fn deaf_until(&self) -> Option<Duration> {
        match self.stage {
            Stage::Waiting { .. } => None,
            Stage::Trying { deaf_until, .. } => deaf_until,
        }
    }

    /// Whether the try under way has been deaf for long enough, and hears from now on.
    pub fn hears(&mut self, now: Duration) -> bool {
        match &mut self.stage {
            Stage::Waiting { .. } => false,
            Stage::Trying { deaf_until, .. } => deaf_until.take_if(|until| *until <= now).is_some(),
        }
    }

    /// Whether only a dial at the very instant counts.
    pub fn is_exact(&self) -> bool {
        self.short_path
    }

    /// A dial is made; told again if it took time until it was.
    pub fn fired(&mut self, now: Duration) {
        let mut deaf_until = None;
        if let Stage::Waiting { deaf, .. } = self.stage {
            self.tries += 1;
            let is_eager = now < self.eager_until;
            let time = if is_eager { DEAF } else { DEAF_PATIENT };
            deaf_until = deaf.then(|| now + time);
        }
        self.stage = Stage::Trying {
            since: now,
            deaf_until,
        };
    }

    /// The try was connected, and is about to be answered by a reset all the same.
    pub fn broke(&mut self) {
        self.after_loss = true;
    }

    /// It was answered.
    pub fn answered(&mut self, answer: Answer, now: Duration) {
        self.look(now);
        let Stage::Trying { since, deaf_until } = self.stage else {
            return;
        };
        let lasted = now.saturating_sub(since);
        self.short_path = lasted < AT_ONCE && answer != Answer::Busy;
        let next = match answer {
            Answer::Busy => self.next_tick(now, false),
            Answer::Reset | Answer::Unreachable if self.after_loss => {
                let forgotten = now + FORGOTTEN;
                self.eager_until = forgotten + EAGER;
                self.next_tick(forgotten, true)
            }
            Answer::Unreachable if deaf_until.is_none() => {
                self.short_path = false;
                self.stage = Stage::Waiting {
                    due: now.max(since + UNREACHABLE_PAUSE_MIN),
                    deaf: true,
                };
                return;
            }
            // It should not have heard of it.
            Answer::Unreachable if lasted >= AT_ONCE && self.is_active(now) => {
                now.max(since + UNREACHABLE_PAUSE_MIN)
            }
            // What lasted into the next period was nobody's try around a tick.
            _ if lasted >= TICK && self.is_active(now) => now,
            _ if lasted < TICK && self.tries < tries_max(lasted) => {
                self.stage = Stage::heeding(now);
                return;
            }
            _ => {
                self.failed += 1;
                let tick = self.next_tick(now, true);
                self.jittered(tick)
            }
        };
        self.after_loss = self.after_loss && answer == Answer::Busy;
        self.tries = 0;
        self.stage = Stage::heeding(next);
    }

    /// The first tick that was not used and is far enough ahead to be met; one at which dials are made, or any.
    fn next_tick(&mut self, now: Duration, active: bool) -> Duration {
        let ahead = self.number(now + AHEAD_MIN) + 1;
        // A clock that was set back by much begins anew.
        let used = self.number.min(ahead);
        self.number = ahead.max(used + 1);
        if active {
            while !self.is_active(self.tick(self.number)) {
                self.number += 1;
            }
        }
        self.tick(self.number)
    }

    fn tick(&self, number: u64) -> Duration {
        self.place + Duration::from_millis(number * TICK.as_millis() as u64)
    }

    /// The last tick at that time or before.
    fn number(&self, time: Duration) -> u64 {
        (time.saturating_sub(self.place).as_nanos() / TICK.as_nanos()) as u64
    }

    /// Whether dials are made in the period of that time.
    fn is_active(&self, time: Duration) -> bool {
        time < self.eager_until || self.number(time) % TICKS_PER_ROUND < TICKS_PATIENT
    }

    /// Every other tick stays where it is; the same ones at both ends.
    fn jittered(&mut self, tick: Duration) -> Duration {
        if self.number.is_multiple_of(2) {
            return tick;
        }
        let width = JITTER_MIN.saturating_mul(1 << (self.failed / 4).min(16));
        let width = width.min(JITTER_MAX);
        tick + width.mul_f64(2.0 * self.rng.f64()) - width
    }
}

impl Stage {
    /// A try is due then that ICMP may end.
    fn heeding(due: Duration) -> Self {
        Self::Waiting { due, deaf: false }
    }
}

/// More tries are made where they cost nothing but microseconds.
fn tries_max(lasted: Duration) -> u32 {
    if lasted < AT_ONCE {
        TRIES_AT_ONCE
    } else {
        TRIES
    }
}

/// From tick to tick.
pub const TICK: Duration = Duration::from_millis(500);
/// How long every tick is used.
pub const EAGER: Duration = Duration::from_secs(20);
/// After that, so many ticks of so many are.
const TICKS_PATIENT: u64 = 5;
/// See [`TICKS_PATIENT`].
const TICKS_PER_ROUND: u64 = 30;
/// The time of a round of ticks, then.
pub const ROUND: Duration = Duration::from_secs(15);
/// Linux's nf_conntrack_tcp_timeout_close is 10 s.
pub const FORGOTTEN: Duration = Duration::from_secs(11);
/// Tries around a tick: on a path of 20 ms they last for 200 ms.
const TRIES: u32 = 5;
/// A try that lasted for less says that the path has hardly any delay.
const AT_ONCE: Duration = Duration::from_millis(1);
/// Tries around a tick, there.
const TRIES_AT_ONCE: u32 = 16;
/// From one try to the next that ICMP answers. A firewall of Linux takes the second one for the first one repeated if their
/// sequence numbers, which the kernel takes from a clock, differ by less than a window: for these 4 ms it does no harm to be late.
const UNREACHABLE_PAUSE_MIN: Duration = Duration::from_millis(4);
/// Until just before the kernel repeats a SYN for the first time (RFC 6298, section 2.1).
pub const DEAF: Duration = Duration::from_millis(900);
/// After [`EAGER`]. The moment between two tries comes as seldom.
pub const DEAF_PATIENT: Duration = Duration::from_secs(10);
/// An unanswered try is made anew after this time: the kernel repeats its SYN at ever longer intervals, and firewalls forget it.
const TRY_MAX: Duration = Duration::from_secs(60);
/// A tick that is nearer than this is too near to be met.
const AHEAD_MIN: Duration = Duration::from_millis(5);
/// Nothing is due later than so: the next round, after a loss is forgotten.
const AHEAD_MAX: Duration = ROUND.saturating_add(FORGOTTEN);
/// How far a tick is moved at most, at first.
const JITTER_MIN: Duration = Duration::from_millis(1);
/// And in the end.
const JITTER_MAX: Duration = Duration::from_millis(64);

const _: () = {
    assert!(
        TICK.as_millis() as u64 * TICKS_PER_ROUND == ROUND.as_millis() as u64,
        "a round is so many ticks"
    );
    assert!(
        TICK.as_millis() as u64 * (TICKS_PER_ROUND - TICKS_PATIENT) > FORGOTTEN.as_millis() as u64,
        "what was reset is forgotten between rounds"
    );
};
