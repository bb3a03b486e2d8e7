//! Two ends that know nothing of each other, in virtual time: whether the ticks bring them together.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use proptest::prelude::*;
use relay_core::policy::ticks::{Answer, DEAF, DEAF_PATIENT, EAGER, FORGOTTEN, ROUND, TICK, Ticks};

#[test]
fn behind_firewalls_that_reset_two_ends_meet_though_the_path_has_no_delay() {
    let mut took = trials(|seed| {
        let mut world = World::new(seed);
        world.one_way = Duration::from_micros(30);
        world.later = world.up_to(Duration::from_secs(10));
        world
    });
    assert!(median(&mut took) < Duration::from_secs(2), "{took:?}");
    assert!(took.iter().all(|time| *time < Duration::from_secs(20)));
}

#[test]
fn on_a_path_with_delay_clocks_may_differ_by_more_than_it() {
    for (one_way_ms, offset_ms) in [(10, 10), (20, 10), (20, 50), (50, 50), (100, 50), (1, 3)] {
        let mut took = trials(|seed| {
            let mut world = World::new(seed);
            world.one_way = Duration::from_millis(one_way_ms);
            world.offset = Duration::from_millis(offset_ms);
            world.later = world.up_to(Duration::from_secs(10));
            world
        });
        let median = median(&mut took);
        assert!(median < Duration::from_secs(2), "{one_way_ms} ms: {took:?}");
        let longest = *took.last().unwrap();
        assert!(
            longest < Duration::from_secs(20),
            "{one_way_ms} ms: {took:?}"
        );
    }
}

#[test]
fn behind_firewalls_that_drop_they_meet_at_the_first_try_of_the_later_one() {
    let took = trials(|seed| {
        let mut world = World::new(seed);
        world.firewalls = [Firewall::Drops; 2];
        world.one_way = Duration::from_millis(20);
        world.later = world.up_to(Duration::from_secs(3600));
        world
    });
    // One way for the SYN, and the next of a long try that was just made anew.
    assert!(took.iter().all(|time| *time < Duration::from_millis(1100)));
    let at_once = took
        .iter()
        .filter(|time| **time < Duration::from_millis(25));
    assert!(at_once.count() > took.len() * 9 / 10, "{took:?}");
}

#[test]
fn one_firewall_that_drops_leaves_all_to_the_ticks_of_the_end_that_is_reset() {
    let took = trials(|seed| {
        let mut world = World::new(seed);
        world.firewalls = [Firewall::Drops, Firewall::Resets];
        world.one_way = Duration::from_micros(30);
        world.later = world.up_to(Duration::from_secs(10));
        world
    });
    assert!(took.iter().all(|time| *time < 2 * TICK), "{took:?}");
}

#[test]
fn where_icmp_answers_the_later_one_finds_a_dial_under_way_whenever_it_comes() {
    use Firewall::{Drops, Icmp, Resets};
    for firewalls in [
        [Icmp, Icmp],
        [Drops, Icmp],
        [Icmp, Drops],
        [Icmp, Resets],
        [Resets, Icmp],
    ] {
        for (waited, longest) in [(0, 3 * TICK), (3600, 2 * ROUND)] {
            let took = trials(|seed| {
                let mut world = World::new(seed);
                world.firewalls = firewalls;
                world.one_way = Duration::from_millis(20);
                world.later = Duration::from_secs(waited) + world.up_to(ROUND);
                world
            });
            // Only an end that is reset has to wait for its instants.
            let longest = if firewalls[1] == Resets {
                longest
            } else {
                Duration::from_millis(30)
            };
            assert!(*took.last().unwrap() < longest, "{firewalls:?}: {took:?}");
        }
    }
}

#[test]
fn who_waited_for_hours_is_found_within_some_rounds() {
    let mut took = trials(|seed| {
        let mut world = World::new(seed);
        world.one_way = Duration::from_millis(10);
        world.later = Duration::from_secs(3600) + world.up_to(ROUND);
        world
    });
    assert!(median(&mut took) < ROUND, "{took:?}");
    assert!(took.iter().all(|time| *time < 3 * ROUND), "{took:?}");
}

#[test]
fn after_a_loss_the_firewall_is_given_the_time_to_forget() {
    let start = Duration::from_secs(1_800_000_000);
    for answer in [Answer::Reset, Answer::Unreachable] {
        let mut ticks = Ticks::new((5555, 6666), true, 1, start);
        assert_eq!(ticks.due(), start);
        ticks.fired(start);
        let answered = start + Duration::from_millis(1);
        ticks.answered(answer, answered);
        let forgotten = answered + FORGOTTEN;
        assert!(ticks.due() >= forgotten && ticks.due() < forgotten + 2 * TICK);
        let due = ticks.due();
        ticks.fired(due);
        ticks.answered(answer, due + Duration::from_millis(1));
        assert!(ticks.due() < due + TICK);
    }
}

#[test]
fn a_try_that_icmp_ends_is_followed_by_a_deaf_one_at_once() {
    let start = Duration::from_secs(1_800_000_000);
    let mut ticks = Ticks::new((5555, 6666), false, 1, start);
    ticks.fired(start);
    assert_eq!(ticks.deaf_until(), None);
    let mut now = start;
    while now < start + 10 * ROUND {
        now += Duration::from_millis(140);
        ticks.answered(Answer::Unreachable, now);
        assert_eq!(ticks.due(), now);
        ticks.fired(now);
        let is_eager = now < start + EAGER;
        now += if is_eager { DEAF } else { DEAF_PATIENT };
        assert_eq!(ticks.deaf_until(), Some(now));
        assert!(ticks.hears(now) && ticks.deaf_until().is_none());
    }
}

/// As where there is no way at all, or where nothing can be made deaf.
#[test]
fn what_ends_a_deaf_try_all_the_same_is_met_by_rounds_after_a_while() {
    let round_trip = Duration::from_millis(40);
    let start = Duration::from_secs(1_800_000_000);
    let mut ticks = Ticks::new((5555, 6666), false, 1, start);
    let (mut now, mut pauses) = (start, 0);
    while now < start + 10 * ROUND {
        let due = ticks.due().max(now);
        if due > now {
            assert!(now > start + EAGER, "a pause after {:?}", now - start);
            assert!(due < now + ROUND);
            pauses += 1;
        }
        ticks.fired(due);
        now = due + round_trip;
        ticks.answered(Answer::Unreachable, now);
    }
    assert!((8..=9).contains(&pauses), "{pauses} pauses");
}

#[test]
fn a_connection_that_broke_at_once_is_a_loss() {
    let start = Duration::from_secs(1_800_000_000);
    let mut ticks = Ticks::new((5555, 6666), false, 1, start);
    ticks.fired(start);
    ticks.broke();
    ticks.answered(Answer::Reset, start + Duration::from_millis(40));
    assert!(ticks.due() >= start + FORGOTTEN);
}

#[test]
fn ports_in_use_are_asked_for_at_each_tick_however_long_it_takes() {
    let mut now = Duration::from_secs(1_800_000_000);
    let mut ticks = Ticks::new((5555, 6666), false, 1, now);
    for _ in 0..200 {
        ticks.fired(now);
        ticks.answered(Answer::Busy, now);
        assert!(ticks.due() > now && ticks.due() <= now + 2 * TICK);
        now = ticks.due();
    }
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let start = Duration::from_secs(1_800_000_000);
    let back = start - Duration::from_secs(3600);
    for after_loss in [false, true] {
        let mut ticks = Ticks::new((5555, 6666), after_loss, 1, start);
        ticks.fired(start);
        ticks.answered(Answer::Reset, start + Duration::from_millis(40));
        ticks.look(back);
        assert_eq!(ticks.due(), back);
    }

    // While a try is under way it stays, and is made anew in time.
    let mut ticks = Ticks::new((5555, 6666), false, 1, start);
    ticks.fired(start);
    ticks.look(back);
    assert!(ticks.due() > back && ticks.due() < back + Duration::from_secs(61));
    // Nobody knows how long it lasted: it is not taken for one that was answered at once.
    ticks.answered(Answer::Reset, back + Duration::from_micros(10));
    assert!(!ticks.is_exact());
    assert!(ticks.due() < back + 2 * TICK);
    assert_rounds_from(&mut ticks, back);
}

/// After the eager time at the latest, tries are made in rounds.
fn assert_rounds_from(ticks: &mut Ticks, start: Duration) {
    let (mut now, mut pauses) = (start, 0);
    while now < start + 10 * ROUND {
        let due = ticks.due().max(now);
        pauses += u32::from(due > now + FORGOTTEN);
        ticks.fired(due);
        now = due + Duration::from_millis(40);
        ticks.answered(Answer::Reset, now);
    }
    assert!(pauses >= 7, "{pauses} pauses");
}

proptest! {
    #[test]
    fn tries_come_in_bounded_numbers_and_after_a_while_in_rounds(
        seed: u64,
        ports: (u16, u16),
        start_ms in 0..100_000_u64,
        lasted_us in 1..400_000_u64,
    ) {
        let start = Duration::from_secs(1_800_000_000) + Duration::from_millis(start_ms);
        let mut ticks = Ticks::new(ports, false, seed, start);
        let mut now = start;
        let mut fired = Vec::new();
        while now < start + Duration::from_secs(120) {
            now = now.max(ticks.due());
            ticks.fired(now);
            fired.push(now);
            now += Duration::from_micros(lasted_us);
            ticks.answered(Answer::Reset, now);
        }
        prop_assert!(fired.len() < (2 * 20 + 8 * 5 + 10) * 16);
        let late = fired.windows(2).filter(|pair| pair[0] > start + EAGER);
        let pauses = late.filter(|pair| pair[1] - pair[0] > FORGOTTEN).count();
        prop_assert!((5..=7).contains(&pauses), "{}", pauses);
    }
}

/// How long after the later start each of some trials took, in ascending order.
fn trials(world: impl Fn(u64) -> World) -> Vec<Duration> {
    let mut took: Vec<_> = (0..100).map(|seed| world(seed).run()).collect();
    took.sort_unstable();
    took
}

fn median(took: &mut [Duration]) -> Duration {
    took[took.len() / 2]
}

/// Two ends, each behind a firewall, and a path between the firewalls.
struct World {
    rng: fastrand::Rng,
    one_way: Duration,
    /// By how much the clock of the later one is ahead.
    offset: Duration,
    /// When it starts.
    later: Duration,
    firewalls: [Firewall; 2],
    on_the_way: Vec<(Duration, Packet)>,
}

/// What a firewall does with what comes early.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Firewall {
    Drops,
    Resets,
    Icmp,
}

struct End {
    ticks: Ticks,
    /// The number of the try under way, and whether a reset for it is on its way.
    trying: Option<(u32, bool)>,
    tries: u32,
    /// When the next try will really be made: nobody is as fast as their clock.
    fires_at: Duration,
    offset: Duration,
}

#[derive(Clone, Copy)]
enum Packet {
    Syn(Syn),
    Reset { to: usize, number: u32 },
    Icmp(Syn),
}

#[derive(Clone, Copy)]
struct Syn {
    to: usize,
    number: u32,
    sent: Duration,
    /// A deaf end hears it.
    far: bool,
}

impl End {
    fn hears(&mut self, now: Duration) -> bool {
        self.ticks.hears(now + self.offset) || self.ticks.deaf_until().is_none()
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            one_way: Duration::ZERO,
            offset: Duration::ZERO,
            later: Duration::ZERO,
            firewalls: [Firewall::Resets; 2],
            on_the_way: Vec::new(),
        }
    }

    fn up_to(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.f64())
    }

    fn run(mut self) -> Duration {
        let epoch = Duration::from_secs(1_800_000_000) + self.up_to(Duration::from_secs(60));
        let (start, offset) = (epoch + self.later, self.offset);
        let mut ends = [(epoch, Duration::ZERO), (start, offset)].map(|(start, offset)| End {
            ticks: Ticks::new((5555, 6666), false, self.rng.u64(..), start + offset),
            trying: None,
            tries: 0,
            fires_at: start,
            offset,
        });
        loop {
            let next = (0..self.on_the_way.len()).min_by_key(|at| self.on_the_way[*at].0);
            let fires = usize::from(ends[1].fires_at < ends[0].fires_at);
            if let Some(next) = next
                && self.on_the_way[next].0 <= ends[fires].fires_at
            {
                let (now, packet) = self.on_the_way.swap_remove(next);
                if self.arrives(packet, &mut ends, now) {
                    return now.saturating_sub(start);
                }
            } else {
                let now = ends[fires].fires_at;
                assert!(now < start + Duration::from_secs(600), "they never meet");
                self.fire(fires, &mut ends[fires], now);
            }
        }
    }

    fn fire(&mut self, at: usize, end: &mut End, now: Duration) {
        end.ticks.fired(now + end.offset);
        end.tries += 1;
        end.trying = Some((end.tries, false));
        let syn = Syn {
            to: 1 - at,
            number: end.tries,
            sent: now,
            far: end.ticks.deaf_until().is_none(),
        };
        self.on_the_way.push((now + self.one_way, Packet::Syn(syn)));
        end.fires_at = end.ticks.due() - end.offset;
    }

    /// Whether the two ends have met.
    fn arrives(&mut self, packet: Packet, ends: &mut [End; 2], now: Duration) -> bool {
        match packet {
            Packet::Syn(syn) => {
                let Syn {
                    to, number, far, ..
                } = syn;
                let trying = ends[to].trying;
                // What the other firewall reset has closed the hole in this one.
                let open = match self.firewalls[1 - to] {
                    Firewall::Resets => trying.is_some_and(|(_, reset)| !reset),
                    Firewall::Drops | Firewall::Icmp => ends[to].tries > 0,
                };
                let from = &mut ends[1 - to];
                if from.trying.is_none_or(|(trying, _)| trying != number) {
                    return false;
                }
                if open {
                    assert!(
                        trying.is_some(),
                        "nobody is there, and a firewall remembers"
                    );
                    let reset = from.trying.is_some_and(|(_, reset)| reset);
                    if !reset && (far || ends[to].hears(now)) {
                        return true;
                    }
                    self.repeat(syn, &ends[1 - to]);
                } else {
                    match self.firewalls[to] {
                        Firewall::Drops => self.repeat(syn, from),
                        Firewall::Resets => {
                            from.trying = Some((number, true));
                            let reset = Packet::Reset { to: 1 - to, number };
                            self.on_the_way.push((now + self.one_way, reset));
                        }
                        Firewall::Icmp => {
                            let icmp = Packet::Icmp(syn);
                            self.on_the_way.push((now + self.one_way, icmp));
                        }
                    }
                }
            }
            Packet::Icmp(syn) => {
                let end = &mut ends[1 - syn.to];
                if end.trying.is_none_or(|(trying, _)| trying != syn.number) {
                    return false;
                }
                if end.hears(now) {
                    self.answered(Answer::Unreachable, end, now);
                } else {
                    self.repeat(syn, end);
                }
            }
            Packet::Reset { to, number } => {
                let end = &mut ends[to];
                if end.trying.is_some_and(|(trying, _)| trying == number) {
                    self.answered(Answer::Reset, end, now);
                }
            }
        }
        false
    }

    /// The kernel of `from` repeats it.
    fn repeat(&mut self, syn: Syn, from: &End) {
        let sent = syn.sent + Duration::from_secs(1);
        let deaf_until = from.ticks.deaf_until();
        let again = Syn {
            sent,
            far: deaf_until.is_none_or(|until| until <= sent + from.offset),
            ..syn
        };
        self.on_the_way
            .push((sent + self.one_way, Packet::Syn(again)));
    }

    fn answered(&mut self, answer: Answer, end: &mut End, now: Duration) {
        end.trying = None;
        end.ticks.answered(answer, now + end.offset);
        let due = end.ticks.due() - end.offset;
        let late = match (due > now, end.ticks.is_exact()) {
            (true, true) => Duration::from_micros(self.rng.u64(..20)),
            (true, false) => Duration::from_micros(self.rng.u64(..1500)),
            (false, _) => Duration::from_micros(self.rng.u64(25..100)),
        };
        end.fires_at = due.max(now) + late;
    }
}
