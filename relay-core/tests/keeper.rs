//! When links are dialled, and how many are kept: the rules of [`relay_core::policy::keeper`], one by one.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so and fails"
)]

use std::time::{Duration, Instant};

use relay_core::limits::{
    BACKOFF_MIN, BACKOFF_UNWANTED, IDLE_LINKS_MAX, LINK_DIALS_MAX, LINK_HEALTHY, LOOKUP_FRESH,
    SURPLUS_WINDOW,
};
use relay_core::policy::backoff::Backoff;
use relay_core::policy::keeper::{Decision, Keeper, Policy};
use relay_core::policy::ticks::FORGOTTEN;
use relay_core::protocol::frame::NodeId;

// Addresses.

#[test]
fn the_first_thing_is_a_lookup_and_then_one_dial_of_each_address() {
    let mut inside = Inside::new(POLICY);
    assert_eq!(inside.next(), Some(Decision::Lookup));
    assert_eq!(inside.next(), None);
    inside.keeper.resolved(&["x", "y"], inside.now);
    assert_eq!(inside.decide(), [Decision::Dial("x"), Decision::Dial("y")]);
    assert_eq!(inside.keeper.links(), 2);
}

#[test]
fn a_node_gets_its_links_by_whatever_address_it_was_found() {
    let mut inside = Inside::new(POLICY);
    inside.resolve(&["x", "y"]);
    inside.welcomed("x", A);
    assert_eq!(inside.decide(), dials("x", 3));
    inside.welcomed("y", A);
    assert_eq!(
        inside.decide(),
        [],
        "y leads to the same node, which has four with those in flight and one more"
    );
}

#[test]
fn every_node_behind_a_name_gets_its_own_links() {
    let mut inside = Inside::new(POLICY);
    inside.resolve(&["x", "y"]);
    inside.welcomed("x", A);
    inside.welcomed("y", B);
    assert_eq!(
        inside.decide(),
        dials("x", 3)
            .into_iter()
            .chain(dials("y", 3))
            .collect::<Vec<_>>()
    );
}

#[test]
fn another_address_of_a_node_is_used_while_the_first_is_down() {
    let mut inside = Inside::new(POLICY);
    inside.resolve(&["x", "y"]);
    inside.welcomed("x", A);
    inside.welcomed("y", A);
    assert_eq!(inside.decide(), dials("x", 2));
    inside.fail("x");
    inside.fail("x");
    assert_eq!(inside.decide(), dials("y", 2));
}

#[test]
fn a_node_keeps_its_links_though_an_answer_leaves_its_address_out() {
    let mut inside = Inside::new(POLICY);
    inside.resolve(&["x"]);
    inside.welcomed("x", A);
    inside.keeper.resolved(&["y"], inside.now);
    let expected: Vec<_> = dials("y", 1).into_iter().chain(dials("x", 3)).collect();
    assert_eq!(inside.decide(), expected);
}

#[test]
fn an_answer_of_a_lookup_serves_the_dials_of_two_seconds() {
    let mut inside = Inside::up();
    inside.pass(LOOKUP_FRESH - Duration::from_millis(1));
    inside.open();
    assert_eq!(inside.decide(), dials("x", 1));
    inside.welcomed("x", A);
    inside.pass(Duration::from_millis(1));
    inside.open();
    assert_eq!(inside.next(), Some(Decision::Lookup));
    inside.open();
    assert_eq!(inside.next(), None, "one lookup is in flight");
    inside.keeper.resolved(&["x"], inside.now);
    assert_eq!(inside.decide(), dials("x", 2));
}

#[test]
fn an_address_that_is_typed_is_looked_up_once() {
    let mut inside = Inside::new(Policy {
        literal: true,
        ..POLICY
    });
    inside.resolve(&["x"]);
    inside.fail("x");
    inside.pass(LOOKUP_FRESH * 10);
    assert_eq!(inside.next(), Some(Decision::Dial("x")));
}

#[test]
fn a_failed_dial_asks_for_a_new_lookup_and_a_new_address_is_dialled_at_once() {
    let mut inside = Inside::new(POLICY);
    inside.resolve(&["x"]);
    inside.fail("x");
    inside.pass(POLICY.interval);
    assert_eq!(inside.next(), Some(Decision::Lookup));
    inside.keeper.resolved(&["y"], inside.now);
    assert_eq!(inside.decide(), dials("y", 1));
}

#[test]
fn a_lookup_that_fails_is_asked_again_after_a_pause() {
    for answer in [None, Some(&[][..])] {
        let mut inside = Inside::new(POLICY);
        assert_eq!(inside.next(), Some(Decision::Lookup));
        match answer {
            None => inside.keeper.lookup_failed(inside.now),
            Some(addresses) => inside.keeper.resolved(addresses, inside.now),
        }
        assert!(
            inside
                .keeper
                .poll_timeout(inside.now)
                .is_none_or(|at| at <= inside.now + BACKOFF_MIN)
        );
        inside.pass(BACKOFF_MIN);
        assert_eq!(inside.next(), Some(Decision::Lookup));
    }
}

// Pauses.

#[test]
fn pauses_double_and_are_of_any_length_below_that() {
    let mut rng = fastrand::Rng::with_seed(1);
    let now = Instant::now();
    let interval = Duration::from_secs(2);
    for (failures, most) in [
        (1, 50),
        (2, 100),
        (3, 200),
        (4, 400),
        (6, 1600),
        (7, 2000),
        (100, 2000),
    ] {
        let most = Duration::from_millis(most);
        let pauses: Vec<Duration> = (0..1000)
            .map(|_| {
                let mut backoff = Backoff::default();
                (0..failures).for_each(|_| backoff.failed(interval, &mut rng, now));
                backoff
                    .paused_until(now)
                    .map_or(Duration::ZERO, |until| until - now)
            })
            .collect();
        let mean = pauses.iter().sum::<Duration>() / 1000;
        assert!(pauses.iter().all(|&pause| pause <= most), "{failures}");
        assert!(pauses.iter().any(|&pause| pause < most / 10), "{failures}");
        assert!(
            mean > most * 2 / 5 && mean < most * 3 / 5,
            "{failures}: {mean:?}"
        );
    }
}

#[test]
fn a_peer_that_wants_no_links_is_left_alone_for_half_a_minute_and_more() {
    let mut rng = fastrand::Rng::with_seed(1);
    let now = Instant::now();
    for _ in 0..100 {
        let mut backoff = Backoff::default();
        backoff.unwanted(&mut rng, now);
        let pause = backoff.paused_until(now).expect("it is long") - now;
        assert!(pause >= BACKOFF_UNWANTED / 2 && pause <= BACKOFF_UNWANTED);
    }
}

#[test]
fn an_address_that_is_down_is_probed_by_one_dial_at_a_time() {
    let mut inside = Inside::up();
    (0..4).for_each(|_| inside.lose(Duration::ZERO));
    for _ in 0..20 {
        inside.pass(POLICY.interval);
        assert_eq!(inside.decide(), dials("x", 1));
        assert_eq!(inside.decide(), []);
        inside.fail("x");
    }
    inside.pass(POLICY.interval);
    assert_eq!(inside.decide(), dials("x", 1));
    inside.welcomed("x", A);
    assert_eq!(inside.decide(), dials("x", 3));
}

#[test]
fn only_a_link_that_lived_for_a_healthy_while_ends_the_pauses() {
    for (lived, paused) in [(LINK_HEALTHY, false), (LINK_HEALTHY / 2, true)] {
        let mut inside = Inside::up();
        inside.lose(lived);
        let pauses = inside.decide().is_empty();
        assert_eq!(pauses, paused, "{lived:?}");
    }
}

#[test]
fn a_link_that_went_back_is_no_failure() {
    let mut inside = Inside::up();
    inside.make_links(10);
    inside.pass(SURPLUS_WINDOW);
    let returned = inside.decide();
    assert_eq!(returned.len(), 10);
    for decision in returned {
        let Decision::Return(link) = decision else {
            panic!("{decision:?}")
        };
        inside
            .keeper
            .lost(link, &"x", A, Duration::ZERO, inside.now);
    }
    inside.open();
    assert_eq!(inside.decide(), dials("x", 1), "at once");
}

#[test]
fn a_nudge_ends_the_pauses() {
    let mut inside = Inside::new(POLICY);
    inside.resolve(&["x"]);
    assert_eq!(inside.decide(), []);
    inside.keeper.unwanted(&"x", inside.now);
    assert_eq!(inside.decide(), []);
    inside.keeper.retry_now();
    assert_eq!(inside.decide(), dials("x", 1));
}

// How many.

#[test]
fn each_open_is_refilled_for() {
    let mut inside = Inside::up();
    assert_eq!(inside.decide(), []);
    inside.open();
    assert_eq!(inside.decide(), dials("x", 1));
    inside.open();
    assert_eq!(inside.decide(), dials("x", 1));
}

#[test]
fn a_want_is_answered_less_the_dials_in_flight() {
    let mut inside = Inside::up();
    inside.open_links(4);
    assert_eq!(inside.decide(), dials("x", 4));
    inside.keeper.want(A, 3);
    assert_eq!(inside.decide(), dials("x", 3));
    inside.keeper.want(A, 3);
    assert_eq!(inside.decide(), []);
    inside.keeper.want(A, 5);
    assert_eq!(inside.decide(), dials("x", 2));
    inside.keeper.want(A, 0);
    assert_eq!(inside.decide(), []);
}

#[test]
fn a_want_of_any_size_makes_no_more_than_can_be_kept() {
    let mut inside = Inside::up();
    inside.keeper.want(A, u32::MAX as usize);
    let mut made = 0;
    loop {
        let decisions = inside.decide();
        assert!(decisions.len() <= LINK_DIALS_MAX);
        assert!(
            decisions
                .iter()
                .all(|decision| *decision == Decision::Dial("x")),
            "{decisions:?}"
        );
        if decisions.is_empty() {
            break;
        }
        made += decisions.len();
        decisions.iter().for_each(|_| inside.welcomed("x", A));
    }
    assert_eq!(made + 4, IDLE_LINKS_MAX);
    assert_eq!(inside.keeper.idle_links(), IDLE_LINKS_MAX);
}

#[test]
fn a_want_that_nobody_takes_back_is_forgotten_after_a_quiet_minute() {
    let mut inside = Inside::up();
    inside.keeper.want(A, 6);
    assert_eq!(inside.decide(), dials("x", 6));
    (0..6).for_each(|_| inside.welcomed("x", A));
    inside.pass(SURPLUS_WINDOW);
    let returned = inside.decide();
    assert!(
        returned
            .iter()
            .all(|decision| matches!(decision, Decision::Return(_))),
        "{returned:?}"
    );
    assert_eq!(inside.keeper.idle_links(), POLICY.idle_min);
}

#[test]
fn as_many_are_idle_as_arrive_while_a_link_is_made() {
    let mut inside = Inside::up();
    inside.round_trip = Duration::from_millis(200);
    inside.make_links(50);
    inside.open_links(50);
    assert_eq!(
        inside.decide(),
        dials("x", 6),
        "four are idle, of ten for 50 a second and 200 ms"
    );
    inside.pass(Duration::from_secs(2));
    inside.keeper.dial_failed(&"x", inside.now);
    assert_eq!(inside.decide(), [], "nobody has come for a second");
}

#[test]
fn a_welcome_that_took_long_makes_no_more_than_arrived_in_a_second() {
    let mut inside = Inside::up();
    inside.round_trip = Duration::from_secs(5);
    inside.make_links(20);
    inside.open_links(20);
    assert_eq!(
        inside.decide(),
        dials("x", 16),
        "four are idle, and twenty came"
    );
}

#[test]
fn beyond_the_most_that_are_kept_links_go_back_at_once() {
    let mut inside = Inside::up();
    while inside.idle.len() < IDLE_LINKS_MAX {
        inside.make_links(LINK_DIALS_MAX.min(IDLE_LINKS_MAX - inside.idle.len()));
    }
    let busy = inside.open_links(3);
    inside.make_links(3);
    busy.into_iter()
        .for_each(|link| inside.keeper.idle(link, A));
    let returned = inside.decide();
    assert_eq!(returned.len(), 3);
    assert!(
        returned
            .iter()
            .all(|decision| matches!(decision, Decision::Return(_)))
    );
    assert_eq!(inside.keeper.idle_links(), IDLE_LINKS_MAX);
}

#[test]
fn the_surplus_of_a_minute_goes_back_and_the_links_unused_for_longest_first() {
    let mut inside = Inside::up();
    inside.make_links(4);
    inside.pass(SURPLUS_WINDOW / 2);
    // Six of the eight are never needed.
    for link in [7, 8] {
        inside.keeper.opened(link, A, inside.now);
    }
    for link in [7, 8] {
        inside.keeper.idle(link, A);
    }
    inside.pass(SURPLUS_WINDOW / 2 - Duration::from_millis(1));
    assert_eq!(
        inside.keeper.poll_timeout(inside.now),
        Some(inside.now + Duration::from_millis(1))
    );
    assert_eq!(inside.decide(), []);
    inside.pass(Duration::from_millis(1));
    assert_eq!(inside.decide(), [Decision::Return(1), Decision::Return(2)]);
}

#[test]
fn a_link_that_goes_back_and_is_opened_first_is_not_counted_as_idle_again() {
    let mut inside = Inside::up();
    inside.keeper.drain();
    assert_eq!(inside.decide().len(), 4);
    inside.keeper.opened(1, A, inside.now);
    inside.keeper.idle(1, A);
    assert_eq!(inside.keeper.idle_links(), 0);
    assert_eq!(inside.decide(), []);
}

#[test]
fn no_more_links_are_made_than_may_be() {
    let mut inside = Inside::new(Policy {
        links_max: 6,
        ..POLICY
    });
    inside.resolve(&["x"]);
    inside.welcomed("x", A);
    inside.keeper.want(A, 100);
    assert_eq!(inside.decide(), dials("x", 5));
    inside.fail("x");
    inside.pass(POLICY.interval);
    assert_eq!(
        inside.decide().len(),
        0,
        "four are in flight to an address that is down"
    );
}

#[test]
fn links_that_are_lost_are_made_again() {
    let mut inside = Inside::up();
    inside.pass(LINK_HEALTHY);
    (0..4).for_each(|_| inside.lose(LINK_HEALTHY));
    assert_eq!(
        inside.decide(),
        dials("x", 1),
        "the node may be another one now"
    );
    inside.welcomed("x", B);
    assert_eq!(inside.decide(), dials("x", 3));
}

// The end.

#[test]
fn a_node_that_drains_dials_no_more_and_gives_all_idle_links_back() {
    let mut inside = Inside::up();
    inside.keeper.opened(4, A, inside.now);
    inside.keeper.drain();
    assert_eq!(
        inside.decide(),
        [
            Decision::Return(1),
            Decision::Return(2),
            Decision::Return(3)
        ]
    );
    inside.keeper.idle(4, A);
    assert_eq!(inside.decide(), [Decision::Return(4)]);
    (1..=4).for_each(|link| inside.keeper.lost(link, &"x", A, LINK_HEALTHY, inside.now));
    inside.pass(BACKOFF_UNWANTED);
    assert_eq!(inside.decide(), []);
    assert_eq!(inside.keeper.links(), 0);
}

#[test]
fn one_link_is_dialled_address_by_address_and_never_again() {
    let mut inside = Inside::new(Policy {
        only_one: true,
        ..POLICY
    });
    inside.resolve(&["x", "y", "z"]);
    assert_eq!(inside.keeper.links(), 1);
    inside.fail("x");
    assert_eq!(inside.decide(), dials("y", 1));
    inside.welcomed("y", A);
    assert_eq!(inside.decide(), []);
    inside.keeper.lost(1, &"y", A, LINK_HEALTHY, inside.now);
    inside.pass(BACKOFF_UNWANTED);
    assert_eq!(inside.decide(), []);
    assert!(!inside.keeper.tried_in_vain());
}

#[test]
fn one_link_whose_addresses_all_fail_is_tried_in_vain() {
    let mut inside = Inside::new(Policy {
        only_one: true,
        ..POLICY
    });
    inside.resolve(&["x", "y"]);
    inside.fail("x");
    assert!(!inside.keeper.tried_in_vain());
    assert_eq!(inside.decide(), dials("y", 1));
    assert!(!inside.keeper.tried_in_vain());
    inside.fail("y");
    assert!(inside.keeper.tried_in_vain());
    inside.pass(BACKOFF_UNWANTED);
    assert_eq!(inside.decide(), []);
}

#[test]
fn the_one_link_goes_back_when_the_node_drains() {
    let mut inside = Inside::new(Policy {
        only_one: true,
        ..POLICY
    });
    inside.resolve(&["x"]);
    inside.welcomed("x", A);
    inside.pass(SURPLUS_WINDOW * 3);
    assert_eq!(inside.decide(), []);
    inside.keeper.drain();
    assert_eq!(inside.decide(), [Decision::Return(1)]);
}

// A link for each address.

#[test]
fn each_address_has_one_link_whatever_the_node_wants() {
    let mut inside = Inside::new(ONE_EACH);
    inside.resolve(&["x", "y"]);
    inside.welcomed("x", A);
    inside.keeper.want(A, 5);
    assert_eq!(inside.decide(), []);
    inside.welcomed("y", A);
    inside.open();
    inside.pass(SURPLUS_WINDOW * 3);
    assert_eq!(inside.decide(), [], "no more, and none goes back");
}

#[test]
fn an_address_whose_link_is_lost_is_dialled_again() {
    let mut inside = Inside::new(ONE_EACH);
    inside.resolve(&["x", "y"]);
    inside.welcomed("x", A);
    inside.welcomed("y", A);
    inside.keeper.lost(1, &"x", A, LINK_HEALTHY, inside.now);
    assert!(inside.keeper.has_just_broken(&"x") && !inside.keeper.has_just_broken(&"y"));
    assert_eq!(inside.decide(), dials("x", 1));
    inside.fail("x");
    assert!(!inside.keeper.has_just_broken(&"x"));
    inside.pass(ONE_EACH.interval);
    assert_eq!(inside.decide(), dials("x", 1), "after a pause");
}

#[test]
fn a_connection_that_was_no_link_is_made_again_when_firewalls_have_forgotten_it() {
    let mut inside = Inside::new(ONE_EACH);
    inside.resolve(&["x"]);
    inside.keeper.not_welcomed(&"x", inside.now);
    inside.pass(FORGOTTEN - Duration::from_millis(1));
    assert_eq!(inside.decide(), []);
    inside.pass(Duration::from_millis(1));
    assert_eq!(inside.decide(), dials("x", 1));
}

/// The decider, a clock, and what LINK's name means.
struct Inside {
    keeper: Keeper<&'static str, u32>,
    now: Instant,
    addresses: Vec<&'static str>,
    round_trip: Duration,
    /// The idle links, the one made last at the end.
    idle: Vec<u32>,
    /// How many were made; each has its number as a name.
    made: u32,
}

impl Inside {
    fn new(policy: Policy) -> Self {
        Self {
            keeper: Keeper::new(policy, 1),
            now: Instant::now(),
            addresses: Vec::new(),
            round_trip: Duration::from_millis(1),
            idle: Vec::new(),
            made: 0,
        }
    }

    /// With the least number of idle links, 1 to 4, to A at "x".
    fn up() -> Self {
        let mut inside = Self::new(POLICY);
        inside.resolve(&["x"]);
        inside.welcomed("x", A);
        assert_eq!(inside.decide(), dials("x", 3));
        (0..3).for_each(|_| inside.welcomed("x", A));
        inside
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn next(&mut self) -> Option<Decision<&'static str, u32>> {
        self.keeper.next(self.now)
    }

    /// All decisions but lookups, which are answered.
    fn decide(&mut self) -> Vec<Decision<&'static str, u32>> {
        let mut decisions = Vec::new();
        while let Some(decision) = self.next() {
            match decision {
                Decision::Lookup => self.keeper.resolved(&self.addresses, self.now),
                decision => decisions.push(decision),
            }
        }
        decisions
    }

    /// The first lookup, and the first dials.
    fn resolve(&mut self, addresses: &[&'static str]) {
        self.addresses = addresses.to_vec();
        self.decide();
    }

    fn welcomed(&mut self, address: &'static str, node: NodeId) {
        self.made += 1;
        self.idle.push(self.made);
        self.keeper
            .welcomed(self.made, &address, node, self.round_trip, self.now);
    }

    fn fail(&mut self, address: &'static str) {
        self.keeper.dial_failed(&address, self.now);
    }

    /// Links for clients that have found another one when they are there.
    fn make_links(&mut self, count: usize) {
        self.keeper
            .want(A, self.idle.len() - POLICY.idle_min + count);
        assert_eq!(self.decide(), dials("x", count));
        self.keeper.want(A, 0);
        (0..count).for_each(|_| self.welcomed("x", A));
    }

    /// OPEN comes on the link made last.
    fn open(&mut self) {
        self.open_links(1);
    }

    fn open_links(&mut self, count: usize) -> Vec<u32> {
        let opened = self.idle.split_off(self.idle.len() - count);
        opened
            .iter()
            .for_each(|&link| self.keeper.opened(link, A, self.now));
        opened
    }

    /// The link made last is gone.
    fn lose(&mut self, lived: Duration) {
        let link = self.idle.pop().expect("a link is idle");
        self.keeper.lost(link, &"x", A, lived, self.now);
    }
}

fn dials(address: &'static str, count: usize) -> Vec<Decision<&'static str, u32>> {
    (0..count).map(|_| Decision::Dial(address)).collect()
}

const A: NodeId = NodeId([0xa; 16]);
const B: NodeId = NodeId([0xb; 16]);
const POLICY: Policy = Policy {
    idle_min: 4,
    interval: Duration::from_secs(2),
    links_max: 1000,
    only_one: false,
    one_each: false,
    literal: false,
};
const ONE_EACH: Policy = Policy {
    one_each: true,
    literal: true,
    ..POLICY
};
