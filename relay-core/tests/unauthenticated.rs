//! Who goes when too many strangers are on the link port: the rules of [`relay_core::policy::unauthenticated`], and what becomes of a node
//! among them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so and fails"
)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use relay_core::limits::{
    UNAUTHENTICATED_LINKS_MAX, UNAUTHENTICATED_LINKS_OF_NODES_MAX,
    UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX,
};
use relay_core::policy::unauthenticated::{Origin, UnauthenticatedLinks};

#[test]
fn one_place_has_no_more_strangers_than_it_may() {
    let mut port = Port::new(1);
    for _ in 0..1000 {
        port.arrive(place(7));
    }
    assert_eq!(port.count(place(7)), UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX);
    assert_eq!(
        port.unauthenticated.closed(),
        1000 - UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX as u64
    );
}

#[test]
fn all_places_together_have_no_more_strangers_than_they_may() {
    let mut port = Port::new(2);
    for number in 0..10_000 {
        port.arrive(place(number));
    }
    assert_eq!(port.links.len(), UNAUTHENTICATED_LINKS_MAX);
}

#[test]
fn whoever_has_the_most_gives_way_to_whoever_has_few() {
    let mut port = Port::new(3);
    let lonely = port.arrive(place(0));
    for _ in 0..UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX {
        (1..1000).for_each(|number| port.crowd(place(number % 20 + 1)));
    }
    assert!(port.links.contains_key(&lonely));
}

#[test]
fn neither_the_first_nor_the_last_goes_by_rule() {
    let (mut first_stayed, mut last_stayed) = (0, 0);
    for seed in 0..200 {
        let mut port = Port::new(seed);
        let first = port.arrive(place(1));
        let mut last = first;
        for _ in 0..UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX {
            last = port.arrive(place(1));
        }
        first_stayed += usize::from(port.links.contains_key(&first));
        last_stayed += usize::from(port.links.contains_key(&last));
    }
    for stayed in [first_stayed, last_stayed] {
        assert!((150..200).contains(&stayed), "{stayed} of 200");
    }
}

#[test]
fn a_node_may_dial_many_links_at_once() {
    let mut port = Port::new(4);
    (0..1000).for_each(|number| port.crowd(place(number)));
    let first = port.arrive(place(5000));
    port.welcome(first);
    (0..UNAUTHENTICATED_LINKS_OF_NODES_MAX).for_each(|_| port.crowd(place(5000)));
    assert_eq!(
        port.count(place(5000)),
        UNAUTHENTICATED_LINKS_OF_NODES_MAX + 1
    );
    (0..1000).for_each(|number| port.crowd(place(number)));
    assert_eq!(
        port.count(place(5000)),
        UNAUTHENTICATED_LINKS_OF_NODES_MAX + 1
    );
    port.arrive(place(5000));
    assert_eq!(
        port.count(place(5000)),
        UNAUTHENTICATED_LINKS_OF_NODES_MAX + 1
    );
}

#[test]
fn a_place_that_its_node_has_left_is_like_any_other() {
    let mut port = Port::new(5);
    let first = port.arrive(place(1));
    port.welcome(first);
    (0..100).for_each(|_| port.crowd(place(1)));
    assert_eq!(port.count(place(1)), 101);
    port.close(first);
    assert_eq!(port.count(place(1)), UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX);
}

#[test]
fn a_site_of_ipv6_is_one_place_and_a_mapped_address_is_ipv4() {
    let origin = |text: &str| Origin::from(Some(text.parse::<IpAddr>().unwrap()));
    assert_eq!(origin("2001:db8:1::1"), origin("2001:db8:1:ffff::2"));
    assert_ne!(origin("2001:db8:1::1"), origin("2001:db8:2::1"));
    assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
    assert_eq!(Origin::from(None), Origin::Local);
}

/// 10,000 a minute, who say nothing until their five seconds are up; and a node far away.
#[test]
fn a_node_200_ms_away_links_among_10_000_strangers_a_minute() {
    let from_one_place = tries_until_linked(|_| place(1));
    assert_eq!(
        from_one_place, [1; NODES],
        "strangers of one place push out each other"
    );
    let from_a_hundred = tries_until_linked(|rng| place(rng.u32(1..100)));
    assert_few(from_a_hundred, "from a hundred places");
    let from_everywhere = tries_until_linked(|rng| place(rng.u32(1..)));
    assert_few(from_everywhere, "from everywhere");
}

/// The same, but they are behind the same address as the node: there it has one chance in some dozens at each try, until it is in.
#[test]
fn a_node_links_even_among_strangers_of_its_own_address() {
    let mut tries = tries_until_linked(|_| place(0));
    tries.sort_unstable();
    assert!(
        tries[NODES / 2] <= 80,
        "{} tries at the median",
        tries[NODES / 2]
    );
    assert!(
        tries[NODES - 1] <= 600,
        "{} tries at worst",
        tries[NODES - 1]
    );
}

fn assert_few(mut tries: [usize; NODES], whence: &str) {
    tries.sort_unstable();
    assert!(
        tries[NODES / 2] <= 2,
        "{whence}: {} tries at the median",
        tries[NODES / 2]
    );
    assert!(
        tries[NODES - 1] <= 12,
        "{whence}: {} tries at worst",
        tries[NODES - 1]
    );
}

/// How often each of many nodes, at place 0, has to dial. It is two round trips until it has told whose it is, with a key.
fn tries_until_linked(whence: fn(&mut fastrand::Rng) -> Origin) -> [usize; NODES] {
    const EVERY_MS: u64 = 60_000 / 10_000;
    const NODE_NEEDS_MS: u64 = 2 * 200;
    const SILENT_MS: u64 = 5000;
    std::array::from_fn(|seed| {
        let mut rng = fastrand::Rng::with_seed(seed as u64);
        let mut port = Port::new(seed as u64);
        let mut silent = VecDeque::new();
        let mut node = None;
        let mut tries = 0;
        for now_ms in (0..).step_by(EVERY_MS as usize) {
            silent.push_back((now_ms, port.arrive(whence(&mut rng))));
            while let Some((came, stranger)) = silent.front().copied()
                && now_ms >= came + SILENT_MS
            {
                silent.pop_front();
                port.close(stranger);
            }
            // It comes once the flood is on.
            if now_ms < SILENT_MS {
                continue;
            }
            match node {
                Some((link, _)) if !port.links.contains_key(&link) => node = None,
                Some((link, since)) if now_ms >= since + NODE_NEEDS_MS => {
                    port.welcome(link);
                    break;
                }
                Some(_) => {}
                None => {
                    tries += 1;
                    node = Some((port.arrive(place(0)), now_ms));
                }
            }
        }
        tries
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_limits_hold_whatever_comes(steps in prop::collection::vec((0..4_u8, 0..40_u32), 1..1000), seed: u64) {
        let mut port = Port::new(seed);
        for (what, which) in steps {
            let chosen = port.links.keys().nth(which as usize).copied();
            match (what, chosen) {
                (2, Some(link)) => port.welcome(link),
                (3, Some(link)) => port.close(link),
                _ => port.crowd(place(which)),
            }
            port.check();
        }
        let all: Vec<u32> = port.links.keys().copied().collect();
        all.into_iter().for_each(|link| port.close(link));
        prop_assert!(port.unauthenticated.is_empty());
    }
}

/// A link port, and who is there.
struct Port {
    unauthenticated: UnauthenticatedLinks<u32>,
    links: HashMap<u32, Link>,
    next: u32,
}

struct Link {
    origin: Origin,
    is_welcome: bool,
}

impl Port {
    fn new(seed: u64) -> Self {
        Self {
            unauthenticated: UnauthenticatedLinks::new(fastrand::Rng::with_seed(seed)),
            links: HashMap::new(),
            next: 0,
        }
    }

    fn arrive(&mut self, origin: Origin) -> u32 {
        self.next += 1;
        let link = Link {
            origin,
            is_welcome: false,
        };
        self.links.insert(self.next, link);
        self.unauthenticated.arrive(self.next, origin);
        self.show_out();
        self.next
    }

    fn crowd(&mut self, origin: Origin) {
        self.arrive(origin);
    }

    fn welcome(&mut self, link: u32) {
        let known = self.links.get_mut(&link).unwrap();
        known.is_welcome = true;
        self.unauthenticated.welcome(link, known.origin);
        self.show_out();
    }

    fn close(&mut self, link: u32) {
        if let Some(Link { origin, .. }) = self.links.remove(&link) {
            self.unauthenticated.gone(link, origin);
            self.show_out();
        }
    }

    fn show_out(&mut self) {
        while let Some(link) = self.unauthenticated.surplus() {
            let Link { origin, is_welcome } = self.links.remove(&link).expect("it is there");
            assert!(!is_welcome, "a node's link was shown out");
            self.unauthenticated.gone(link, origin);
        }
    }

    fn count(&self, origin: Origin) -> usize {
        self.links
            .values()
            .filter(|link| link.origin == origin)
            .count()
    }

    fn check(&self) {
        let mut unauthenticated: HashMap<Origin, usize> = HashMap::new();
        for link in self.links.values().filter(|link| !link.is_welcome) {
            *unauthenticated.entry(link.origin).or_default() += 1;
        }
        let nodes: HashSet<Origin> = self
            .links
            .values()
            .filter(|link| link.is_welcome)
            .map(|link| link.origin)
            .collect();
        let (known, unknown): (Vec<_>, Vec<_>) = unauthenticated
            .iter()
            .partition(|(origin, _)| nodes.contains(origin));
        let sum =
            |places: &[(&Origin, &usize)]| places.iter().map(|(_, count)| **count).sum::<usize>();
        assert!(
            unknown
                .iter()
                .all(|(_, count)| **count <= UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX)
        );
        assert!(sum(&unknown) <= UNAUTHENTICATED_LINKS_MAX);
        assert!(sum(&known) <= UNAUTHENTICATED_LINKS_OF_NODES_MAX);
        assert_eq!(sum(&known) + sum(&unknown), self.unauthenticated.len());
    }
}

fn place(number: u32) -> Origin {
    Origin::V4(Ipv4Addr::from_bits(number))
}

const NODES: usize = 40;
