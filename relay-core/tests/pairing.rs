//! Which client gets which link: the rules of [`relay_core::policy::pairing`], one by one.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so and fails"
)]

use std::time::{Duration, Instant};

use relay_core::limits::{PASS_OVER_MAX, PASS_OVER_MIN};
use relay_core::policy::pairing::{Decision, Pairing, Ticket};
use relay_core::protocol::frame::NodeId;

#[test]
fn nodes_are_taken_in_turn_and_within_a_node_the_link_used_last() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2", "a3"]);
    outside.links(B, ["b1", "b2"]);
    assert_eq!(
        outside.opens(["1", "2", "3", "4"]),
        ["a3", "b2", "a2", "b1"]
    );
    outside.pairing.link_idle("b1", B);
    outside.pairing.link_idle("b2", B);
    assert_eq!(outside.opens(["5", "6", "7"]), ["a1", "b2", "b1"]);
}

#[test]
fn a_node_that_leaves_does_not_upset_the_turn() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    outside.links(B, ["b1", "b2"]);
    outside.links(C, ["c1", "c2"]);
    assert_eq!(outside.opens(["1", "2"]), ["a2", "b2"]);
    outside.pairing.link_lost("a1", A);
    outside.pairing.link_lost("a2", A);
    assert_eq!(outside.opens(["3", "4"]), ["c2", "b1"]);
}

#[test]
fn clients_are_served_first_come_first_served() {
    let mut outside = Outside::new();
    outside.arrive(["1", "2", "3"]);
    outside.links(A, ["a1", "a2"]);
    assert_eq!(
        outside.decide(),
        [
            Did::Open("1", "a2"),
            Did::Open("2", "a1"),
            Did::Want("a1", 1)
        ]
    );
}

#[test]
fn a_client_that_comes_back_goes_before_those_who_came_later() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    let tickets = ["1", "2"].map(|client| {
        outside.pass(Duration::from_millis(1));
        outside.ticket(client)
    });
    outside.pass(Duration::from_millis(1));
    outside.arrive(["3"]);
    for (client, ticket) in ["1", "2"].into_iter().zip(tickets) {
        outside.pairing.again(client, ticket);
    }
    outside.links(A, ["a3", "a4", "a5"]);
    assert_eq!(
        outside.decide()[..3],
        [
            Did::Open("1", "a5"),
            Did::Open("2", "a4"),
            Did::Open("3", "a3")
        ]
    );
}

#[test]
fn a_client_that_comes_back_keeps_its_deadline() {
    let mut outside = Outside::new();
    outside.links(A, ["a1"]);
    let ticket = outside.ticket("1");
    outside.pass(WAIT - Duration::from_secs(1));
    outside.pairing.again("1", ticket);
    outside.decide();
    assert_eq!(
        outside.pairing.poll_timeout(),
        Some(outside.now + Duration::from_secs(1))
    );
    outside.pass(Duration::from_secs(1));
    assert_eq!(outside.decide()[0], Did::GiveUp("1"));
}

#[test]
fn a_client_waits_so_long_and_no_longer() {
    let mut outside = Outside::new();
    outside.arrive(["1"]);
    outside.pass(Duration::from_secs(1));
    outside.arrive(["2"]);
    outside.decide();
    outside.pass(WAIT - Duration::from_secs(1));
    assert_eq!(outside.decide(), [Did::GiveUp("1")]);
    assert_eq!(
        outside.pairing.poll_timeout(),
        Some(outside.now + Duration::from_secs(1))
    );
    outside.pairing.leave("2");
    assert_eq!(outside.pairing.poll_timeout(), None);
}

#[test]
fn a_client_waits_for_a_node_that_has_its_service() {
    let mut outside = Outside::new();
    outside.pairing.link_up("a1", A, &[true, false]);
    outside.pairing.arrive("1", 1, outside.now);
    outside.pairing.arrive("2", 0, outside.now);
    assert_eq!(outside.decide(), [Did::Open("2", "a1")]);
    outside.pairing.link_up("b1", B, &[false, true]);
    assert_eq!(outside.decide(), [Did::Open("1", "b1")]);
}

#[test]
fn a_node_is_told_how_many_wait_when_that_changes() {
    let mut outside = Outside::new();
    outside.links(A, ["a1"]);
    assert_eq!(outside.opens(["1"]), ["a1"]);
    outside.arrive(["2", "3"]);
    assert_eq!(outside.decide(), [Did::Want("a1", 2)]);
    assert_eq!(outside.decide(), []);
    outside.pairing.leave("2");
    assert_eq!(outside.decide(), [Did::Want("a1", 1)]);
    outside.links(A, ["a2"]);
    assert_eq!(outside.decide(), [Did::Open("3", "a2"), Did::Want("a2", 0)]);
}

#[test]
fn each_node_is_told_of_the_clients_it_can_serve() {
    let mut outside = Outside::new();
    outside.pairing.link_up("a1", A, &[true, false]);
    outside.pairing.link_up("b1", B, &[true, true]);
    assert_eq!(outside.opens(["1", "2"]), ["a1", "b1"]);
    outside.pairing.arrive("3", 1, outside.now);
    outside.pairing.arrive("4", 0, outside.now);
    assert_eq!(outside.decide(), [Did::Want("a1", 1), Did::Want("b1", 2)]);
}

#[test]
fn a_want_that_may_have_died_with_its_link_is_said_again() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    assert_eq!(outside.opens(["1", "2"]), ["a2", "a1"]);
    outside.arrive(["3"]);
    assert_eq!(outside.decide(), [Did::Want("a1", 1)]);
    outside.pairing.link_lost("a1", A);
    assert_eq!(outside.decide(), [Did::Want("a2", 1)]);
}

#[test]
fn a_want_of_none_is_said_again_too() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    assert_eq!(outside.opens(["1", "2"]), ["a2", "a1"]);
    outside.arrive(["3"]);
    assert_eq!(outside.decide(), [Did::Want("a1", 1)]);
    outside.pairing.leave("3");
    outside.pairing.link_lost("a1", A);
    assert_eq!(outside.decide(), [Did::Want("a2", 0)]);
    assert_eq!(outside.decide(), []);
}

#[test]
fn a_refused_client_goes_to_another_node_or_nowhere() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    outside.links(B, ["b1"]);
    let mut ticket = outside.ticket("1");
    assert!(outside.pairing.refused(A, &mut ticket, outside.now));
    outside.pairing.again("1", ticket);
    let (link, mut ticket) = outside.opened("1");
    assert_eq!(link, "b1");
    assert!(!outside.pairing.refused(B, &mut ticket, outside.now));
}

#[test]
fn a_refused_client_is_given_up_when_the_last_other_node_leaves() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    let mut ticket = outside.ticket("1");
    outside.links(B, ["b1"]);
    outside.opens(["2", "3"]);
    assert!(outside.pairing.refused(A, &mut ticket, outside.now));
    outside.pairing.again("1", ticket);
    assert_eq!(outside.decide(), [Did::Want("b1", 1)]);
    outside.pairing.link_lost("b1", B);
    assert_eq!(outside.decide(), [Did::GiveUp("1")]);
}

#[test]
fn a_node_that_refused_is_passed_over_while_another_can_serve() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    outside.links(B, ["b1"]);
    let mut ticket = outside.ticket("1");
    outside.pairing.refused(A, &mut ticket, outside.now);
    outside.arrive(["2", "3"]);
    assert_eq!(
        outside.decide(),
        [Did::Open("2", "b1"), Did::Want("a2", 1), Did::Want("b1", 1)]
    );
    outside.pairing.link_lost("b1", B);
    assert_eq!(
        outside.decide()[0],
        Did::Open("3", "a1"),
        "nobody else can serve it now"
    );
}

#[test]
fn all_clients_that_waited_for_the_pause_are_served_when_it_ends() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2", "a3"]);
    let mut ticket = outside.ticket("1");
    outside.links(B, ["b1"]);
    outside.pairing.refused(A, &mut ticket, outside.now);
    assert_eq!(outside.opens(["2"]), ["b1"]);
    outside.arrive(["3", "4"]);
    outside.decide();
    assert_eq!(
        outside.pairing.poll_timeout(),
        Some(outside.now + PASS_OVER_MIN)
    );
    outside.pass(PASS_OVER_MIN);
    assert_eq!(
        outside.decide()[..2],
        [Did::Open("3", "a2"), Did::Open("4", "a1")]
    );
}

#[test]
fn the_pause_doubles_up_to_half_a_minute_and_ends_when_the_node_accepts() {
    let mut outside = Outside::new();
    outside.links(A, ["a"]);
    let mut ticket = outside.ticket("1");
    outside.links(B, ["b"]);
    assert_eq!(outside.opens(["2"]), ["b"]);
    let mut pause = |outside: &mut Outside| {
        outside.pairing.refused(A, &mut ticket, outside.now);
        outside.pairing.link_idle("a", A);
        outside.arrive(["3"]);
        outside.decide();
        let pause = outside.pairing.poll_timeout().expect("a client waits") - outside.now;
        outside.pass(pause);
        ticket = outside.opened("3").1;
        pause.as_secs()
    };
    assert_eq!(
        [(); 7].map(|()| pause(&mut outside)),
        [1, 2, 4, 8, 16, 30, PASS_OVER_MAX.as_secs()]
    );
    outside.pairing.accepted(A);
    assert_eq!(pause(&mut outside), PASS_OVER_MIN.as_secs());
}

#[test]
fn refusals_of_what_was_sent_before_the_pause_do_not_double_it() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2", "a3"]);
    let tickets = ["1", "2", "3"].map(|client| outside.ticket(client));
    for mut ticket in tickets {
        outside.pairing.refused(A, &mut ticket, outside.now);
    }
    outside.arrive(["4"]);
    assert_eq!(
        outside.pairing.poll_timeout(),
        Some(outside.now + PASS_OVER_MIN)
    );
}

#[test]
fn a_node_that_accepts_is_taken_at_once_for_those_who_wait() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    let mut ticket = outside.ticket("1");
    outside.links(B, ["b1"]);
    outside.pairing.refused(A, &mut ticket, outside.now);
    assert_eq!(outside.opens(["2"]), ["b1"]);
    outside.arrive(["3"]);
    outside.decide();
    outside.pairing.accepted(A);
    assert_eq!(outside.decide()[0], Did::Open("3", "a1"));
}

#[test]
fn a_drained_pool_hands_out_nothing_more() {
    let mut outside = Outside::new();
    outside.links(A, ["a1", "a2"]);
    outside.links(B, ["b1"]);
    let mut drained = outside.pairing.drain_idle();
    drained.sort_unstable();
    assert_eq!(drained, ["a1", "a2", "b1"]);
    assert_eq!(outside.pairing.idle(), 0);
    outside.arrive(["1"]);
    assert!(
        !outside
            .decide()
            .iter()
            .any(|did| matches!(did, Did::Open(..)))
    );
    for (link, node) in [("a1", A), ("a2", A), ("b1", B)] {
        outside.pairing.link_lost(link, node);
    }
    assert_eq!(outside.pairing.links_of(A), 0);
}

/// The decider, and a clock.
struct Outside {
    pairing: Pairing<&'static str, &'static str>,
    now: Instant,
}

/// A decision without its ticket.
#[derive(Debug, PartialEq)]
enum Did {
    Open(&'static str, &'static str),
    Want(&'static str, u32),
    GiveUp(&'static str),
}

impl Outside {
    fn new() -> Self {
        Self {
            pairing: Pairing::new(WAIT),
            now: Instant::now(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Idle links of a node that has one service.
    fn links<const N: usize>(&mut self, node: NodeId, links: [&'static str; N]) {
        for link in links {
            self.pairing.link_up(link, node, &[true]);
        }
    }

    fn arrive<const N: usize>(&mut self, clients: [&'static str; N]) {
        for client in clients {
            self.pairing.arrive(client, 0, self.now);
        }
    }

    fn decide(&mut self) -> Vec<Did> {
        std::iter::from_fn(|| self.pairing.next(self.now))
            .map(|decision| match decision {
                Decision::Open { client, link, .. } => Did::Open(client, link),
                Decision::Want { link, count } => Did::Want(link, count),
                Decision::GiveUp(client) => Did::GiveUp(client),
            })
            .collect()
    }

    /// The links that clients who arrive are given.
    fn opens<const N: usize>(&mut self, clients: [&'static str; N]) -> Vec<&'static str> {
        self.arrive(clients);
        let open = |did| {
            if let Did::Open(_, link) = did {
                Some(link)
            } else {
                None
            }
        };
        self.decide().into_iter().filter_map(open).collect()
    }

    /// A client arrives and is given a link.
    fn ticket(&mut self, client: &'static str) -> Ticket {
        self.arrive([client]);
        self.opened(client).1
    }

    /// The client that waits is given a link.
    fn opened(&mut self, expected: &str) -> (&'static str, Ticket) {
        match self.pairing.next(self.now) {
            Some(Decision::Open {
                client,
                link,
                ticket,
            }) if client == expected => (link, ticket),
            other => panic!("{other:?}"),
        }
    }
}

const A: NodeId = NodeId([0xa; 16]);
const B: NodeId = NodeId([0xb; 16]);
const C: NodeId = NodeId([0xc; 16]);
/// Longer than any pause.
const WAIT: Duration = Duration::from_secs(60);
