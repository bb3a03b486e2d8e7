//! `4way:`: two hosts behind firewalls that let nothing in, and no machine between them.
//!
//! Each test runs in laboratories side by side, one for each pair of firewalls that it is about.

#![allow(
    clippy::expect_used,
    reason = "this is test code: a broken expectation is a failed test"
)]

use std::io::{Seek, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use relay_tests::counters::number_of;
use relay_tests::data::assert_same;
use relay_tests::kernel;
use relay_tests::nat_lab::{Answer, Firewall, Host, Laboratory, Pace};
use relay_tests::timeouts::{let_pass, some_within};
use relay_tests::{End, Node, Running, Service, TIMEOUT};

relay_tests::network_tests! {
    messages_by_hand_pass_each_pair_of_firewalls,
    either_side_may_come_later,
    a_side_that_comes_much_later_finds_a_dial_under_way,
    a_long_path_makes_no_difference,
    ipv6_is_passed_too,
    firewalls_that_answer_each_dial_by_icmp_are_passed,
    icmp_of_any_kind_is_distinguished_from_a_reset_and_passed,
    an_address_of_this_host_itself_is_reported,
    clocks_that_differ_make_none_either,
    a_port_that_a_firewall_changes_is_thought_of,
    a_side_that_is_alone_dials_seldom,
    a_crowd_of_clients_dials_no_more_than_one,
    two_hundred_sessions_share_four_punched_links,
    a_side_that_is_killed_is_found_again,
    a_side_that_is_killed_far_away_is_found_again,
    a_side_that_dies_in_the_dark_is_found_again,
    two_of_the_same_tool_report_it,
    one_port_of_a_range_is_enough_for_the_one_session,
    a_missing_peer_shows_in_the_exit_status
}

fn messages_by_hand_pass_each_pair_of_firewalls() {
    for_each(&PAIRS, Duration::ZERO, |lab| {
        expect_to_meet(lab, "4way:hostB:5555", "4way:hostA:5555");
    });
}

fn either_side_may_come_later() {
    for_each(&PAIRS, Duration::ZERO, |lab| {
        let a_first = talker(&lab.a, "4way:hostB:5555", "hello\n");
        let b_first = talker(&lab.b, "4way:hostA:5556", "world\n");
        let_pass(LATER);
        let b_second = talker(&lab.b, "4way:hostA:5555", "world\n");
        let a_second = talker(&lab.a, "4way:hostB:5556", "hello\n");
        expect_received(a_first, "world\n");
        expect_received(b_second, "hello\n");
        expect_received(b_first, "hello\n");
        expect_received(a_second, "world\n");
    });
}

/// Nor if it comes when the other side dials less often.
fn a_side_that_comes_much_later_finds_a_dial_under_way() {
    let always = Firewall::ALWAYS_SAYS_UNREACHABLE;
    let pairs = [
        BOTH_SAY_UNREACHABLE,
        BOTH_ALWAYS_SAY_UNREACHABLE,
        (Firewall::DROPS, always),
        (Firewall::RESETS, always),
        (always, Firewall::RESETS),
    ];
    for_each(&pairs, Duration::from_millis(20), |lab| {
        let a = talker(&lab.a, "4way:hostB:5555", "hello\n");
        let_pass(MUCH_LATER);
        let b = talker(&lab.b, "4way:hostA:5555", "world\n");
        expect_received(a, "world\n");
        expect_received(b, "hello\n");
    });
}

fn a_long_path_makes_no_difference() {
    let pairs = [BOTH_DROP, BOTH_RESET, BOTH_SAY_UNREACHABLE];
    for_each(&pairs, Duration::from_millis(100), |lab| {
        expect_to_meet(lab, "4way:hostB:5555", "4way:hostA:5555");
    });
}

fn ipv6_is_passed_too() {
    let pairs = [BOTH_DROP, BOTH_RESET, BOTH_SAY_UNREACHABLE];
    for_each(&pairs, Duration::from_millis(10), |lab| {
        expect_to_meet(lab, "4way:hostB6:5555", "4way:hostA6:5555");
    });
}

fn firewalls_that_answer_each_dial_by_icmp_are_passed() {
    let always = Firewall::ALWAYS_SAYS_UNREACHABLE;
    let pairs = [
        BOTH_ALWAYS_SAY_UNREACHABLE,
        (Firewall::DROPS, always),
        (Firewall::RESETS, always),
        (always, Firewall::RESETS),
    ];
    for_each(&pairs, Duration::from_millis(20), |lab| {
        // More than once, because the outcome depends on the moment.
        for port in 5555..5557 {
            let a = talker(&lab.a, &format!("4way:hostB:{port}"), "hello\n");
            let_pass(A_MOMENT);
            let b = talker(&lab.b, &format!("4way:hostA:{port}"), "world\n");
            expect_received(a, "world\n");
            expect_received(b, "hello\n");
        }
    });
}

/// The kernel reports most of these messages like a reset, or as if this host had refused.
fn icmp_of_any_kind_is_distinguished_from_a_reset_and_passed() {
    let always = |code| {
        let firewall = Firewall {
            pace: Pace::Unlimited,
            ..Firewall::that_answers(Answer::Unreachable(code))
        };
        (firewall, firewall)
    };
    let passed = |lab: &Laboratory, [a, b]: [&str; 2]| {
        let first = talker(&lab.a, &format!("4way:{b}:5555"), "hello\n");
        first.stderr.wait_for("a firewall answers by icmp");
        first.stderr.wait_for("was answered by icmp");
        let second = talker(&lab.b, &format!("4way:{a}:5555"), "world\n");
        for (talker, text) in [(first, "world\n"), (second, "hello\n")] {
            let outcome = talker.finish_within(PUNCHED);
            assert_eq!(outcome.code, 0, "{}", outcome.stderr);
            assert_same(&outcome.stdout, text.as_bytes());
            assert!(!outcome.stderr.contains("resets"), "{}", outcome.stderr);
        }
    };
    let both = ["port-unreachable", "net-unreachable", "admin-prohibited"].map(always);
    let delay = Duration::from_millis(20);
    for_each(&both, delay, |lab| {
        passed(lab, ["hostA", "hostB"]);
        passed(lab, ["hostA6", "hostB6"]);
    });
    for_each(&[always("prot-unreachable")], delay, |lab| {
        passed(lab, ["hostA", "hostB"]);
    });
    for_each(&[always("policy-fail")], delay, |lab| {
        passed(lab, ["hostA6", "hostB6"]);
    });
}

fn an_address_of_this_host_itself_is_reported() {
    for_each(&[BOTH_DROP], Duration::ZERO, |lab| {
        for host in ["127.0.0.1", "0.0.0.0", "[::1]", "[::]", "192.168.1.2"] {
            let talker = talker(&lab.a, &format!("4way:{host}:5555"), "hello\n");
            let outcome = talker.finish_within(TIMEOUT);
            assert_eq!(
                (outcome.code, &outcome.stdout[..]),
                (111, &b""[..]),
                "{host}"
            );
            assert!(
                outcome.stderr.contains("the peer is this host"),
                "{}",
                outcome.stderr
            );
        }
    });
}

fn clocks_that_differ_make_none_either() {
    for_each(
        &[BOTH_RESET, BOTH_SAY_UNREACHABLE],
        Duration::from_millis(20),
        |lab| {
            let late = "--four-way-clock-offset 50ms 4way:hostA:5555";
            expect_to_meet(lab, "4way:hostB:5555", late);
        },
    );
}

/// A node reports what cannot work, and what to do instead.
fn a_port_that_a_firewall_changes_is_thought_of() {
    for_each(
        &[(Firewall::CHANGES_PORTS, Firewall::DROPS)],
        Duration::ZERO,
        |lab| {
            let a = talker(&lab.a, "4way:hostB:5555", "hello\n");
            let b = talker(&lab.b, "4way:hostA:5555", "world\n");
            for talker in [&a, &b] {
                talker.stderr.wait_for("no answer");
                some_within(PUNCHED + TIMEOUT, "a hint is given", || {
                    (talker.stderr.count("a firewall that changes the port") > 0).then_some(())
                });
            }
        },
    );
}

/// Each dial that is answered costs the network a packet there and one back.
fn a_side_that_is_alone_dials_seldom() {
    for_each(&PAIRS, Duration::ZERO, |lab| {
        let _a = talker(&lab.a, "4way:hostB:5555", "hello\n");
        let_pass(ALONE);
        let dials = lab.a.run(kernel::tcp_dials);
        assert!(dials < 100 * ALONE.as_secs(), "{dials} dials in {ALONE:?}");
    });
}

/// They wait for each other: all would dial the same ports at the same instants.
fn a_crowd_of_clients_dials_no_more_than_one() {
    for_each(&[BOTH_RESET], Duration::ZERO, |lab| {
        let tcpfwd = Node::start_on(&lab.a, "tcpfwd 127.0.0.1:0 4way:hostB:5555");
        lab.a.run(|| {
            let crowd: Vec<End> = (0..CROWD).map(|_| tcpfwd.dial()).collect();
            some_within(TIMEOUT, "all have come", || {
                (number_of(&tcpfwd, "sessions") == CROWD).then_some(())
            });
            let before = kernel::tcp_dials();
            let_pass(ALONE);
            let dials = kernel::tcp_dials() - before;
            assert!(dials > 0, "nobody is dialled");
            assert!(dials < 100 * ALONE.as_secs(), "{dials} dials in {ALONE:?}");
            drop(crowd);
        });
    });
}

fn two_hundred_sessions_share_four_punched_links() {
    for_each(&PAIRS, Duration::ZERO, |lab| {
        let service = lab.b.run(Service::echo);
        let outside = Node::start_on(&lab.a, "listen-listen 127.0.0.1:0 4way:hostB:6000-6003");
        let _inside = Node::start_on(
            &lab.b,
            &format!("connect-connect 4way:hostA:6000-6003 {service}"),
        );
        wait_for_links(&outside, 4);
        lab.a.run(|| {
            thread::scope(|side_by_side| {
                for client in 0..8 {
                    let outside = outside.address(0);
                    side_by_side.spawn(move || {
                        for session in 0..25 {
                            echo(outside, &format!("client {client}, session {session}"));
                        }
                    });
                }
            });
        });
        // None was lost or dialled anew on the way.
        wait_for_links(&outside, 4);
    });
}

fn a_side_that_is_killed_is_found_again() {
    killed_and_found_again(&PAIRS, Duration::ZERO);
}

fn a_side_that_is_killed_far_away_is_found_again() {
    let pairs = [
        BOTH_DROP,
        BOTH_RESET,
        BOTH_SAY_UNREACHABLE,
        BOTH_ALWAYS_SAY_UNREACHABLE,
    ];
    killed_and_found_again(&pairs, Duration::from_millis(20));
}

fn killed_and_found_again(pairs: &[Pair], delay: Duration) {
    for_each(pairs, delay, |lab| {
        let service = lab.b.run(Service::echo);
        let outside_line = "listen-listen -vv 127.0.0.1:8000 4way:hostB:6000";
        let inside_line = format!("connect-connect -vv 4way:hostA:6000 {service}");
        let outside = Node::start_on(&lab.a, outside_line);
        let inside = Node::start_on(&lab.b, &inside_line);
        wait_for_links(&outside, 1);
        lab.a.run(|| echo("127.0.0.1:8000", "before"));

        inside.signal(Signal::SIGKILL);
        drop(inside);
        outside.stderr.wait_for("has no link left");
        let _inside = Node::start_on(&lab.b, &inside_line);
        wait_for_links_within(FOUND_AGAIN, &outside, 1);
        lab.a
            .run(|| echo("127.0.0.1:8000", "after the inside node was killed"));

        outside.signal(Signal::SIGKILL);
        drop(outside);
        let outside = Node::start_on(&lab.a, outside_line);
        wait_for_links_within(FOUND_AGAIN, &outside, 1);
        lab.a
            .run(|| echo("127.0.0.1:8000", "after the outside node was killed"));
    });
}

/// Its resets are lost, so the other side still uses the link, and may lose a client to it.
fn a_side_that_dies_in_the_dark_is_found_again() {
    for_each(&PAIRS, Duration::ZERO, |lab| {
        let service = lab.b.run(Service::echo);
        let inside_line = format!("connect-connect 4way:hostA:6000 {service}");
        let outside = Node::start_on(
            &lab.a,
            "listen-listen --heartbeat 1s --wait-timeout 5s 127.0.0.1:8000 4way:hostB:6000",
        );
        let inside = Node::start_on(&lab.b, &inside_line);
        wait_for_links(&outside, 1);

        lab.cut();
        inside.signal(Signal::SIGKILL);
        drop(inside);
        lab.mend();
        let _inside = Node::start_on(&lab.b, &inside_line);
        some_within(FOUND_AGAIN, "a client is served", || {
            let received = lab.a.run(|| {
                let client = End::dial("127.0.0.1:8000");
                client.send(b"after the dark");
                client.shutdown_write();
                client.receive_to_any_end()
            });
            (received == b"after the dark").then_some(())
        });
    });
}

/// Neither waits for the other's frames for ever.
fn two_of_the_same_tool_report_it() {
    for_each(&[BOTH_DROP], Duration::ZERO, |lab| {
        let both = |line_a: &str, line_b: &str| {
            [
                Node::start_on(&lab.a, line_a),
                Node::start_on(&lab.b, line_b),
            ]
        };
        let outside = both(
            "listen-listen 127.0.0.1:0 4way:hostB:6000",
            "listen-listen 127.0.0.1:0 4way:hostA:6000",
        );
        let inside = both(
            "connect-connect 4way:hostB:6001 80",
            "connect-connect 4way:hostA:6001 80",
        );
        for node in &outside {
            node.stderr
                .wait_for("at the other end must be connect-connect");
        }
        for node in &inside {
            node.stderr.wait_for("the peer is the same tool");
        }
    });
}

fn one_port_of_a_range_is_enough_for_the_one_session() {
    for_each(&[BOTH_DROP], Duration::ZERO, |lab| {
        let service = lab.b.run(Service::echo);
        let mut outside = Node::start_on(
            &lab.a,
            "listen-listen --once --connect-timeout 3s 127.0.0.1:8000 4way:hostB:6000-6001",
        );
        let _inside = Node::start_on(
            &lab.b,
            &format!("connect-connect 4way:hostA:6000 {service}"),
        );
        outside.stderr.wait_for("unable to connect to 4way");
        lab.a.run(|| echo("127.0.0.1:8000", "hello"));
        assert_eq!(outside.exit_code(), 0);
    });
}

fn a_missing_peer_shows_in_the_exit_status() {
    for_each(&[BOTH_DROP], Duration::ZERO, |lab| {
        let mut outside = Node::start_on(
            &lab.a,
            "listen-listen --once --connect-timeout 1s 127.0.0.1:8000 4way:hostB:6000-6001",
        );
        assert_eq!(outside.exit_code(), 111);
    });
}

/// Starts a talker on each host with these words, and expects that each receives the other's text.
fn expect_to_meet(lab: &Laboratory, words_a: &str, words_b: &str) {
    let a = talker(&lab.a, words_a, "hello\n");
    let b = talker(&lab.b, words_b, "world\n");
    expect_received(a, "world\n");
    expect_received(b, "hello\n");
}

/// Sends `text` to the other side, and ends when the other side has ended too. `words` are options and the address.
fn talker(host: &Host, words: &str, text: &str) -> Running {
    let mut input = tempfile::tempfile().expect("a temporary file can be had");
    input.write_all(text.as_bytes()).expect("it can be written");
    input.rewind().expect("it can be read from its beginning");
    host.launch(&format!("connect-connect -vv --raw --once {words} -"))
        .stdin(Stdio::from(input))
        .realtime()
        .spawn()
}

#[track_caller]
fn expect_received(talker: Running, text: &str) {
    let outcome = talker.finish_within(PUNCHED);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same(&outcome.stdout, text.as_bytes());
}

/// Waits until `outside` has `links` idle links.
#[track_caller]
fn wait_for_links(outside: &Node, links: u64) {
    wait_for_links_within(PUNCHED, outside, links);
}

#[track_caller]
fn wait_for_links_within(timeout: Duration, outside: &Node, links: u64) {
    some_within(timeout, &format!("{links} links are idle"), || {
        let_pass(LOOK_INTERVAL);
        (number_of(outside, "idle") == links).then_some(())
    });
}

/// One session with a server that sends back what it receives.
fn echo(address: &str, text: &str) {
    let client = End::dial(address);
    client.send(text.as_bytes());
    client.shutdown_write();
    assert_same(&client.receive_to_eof(), text.as_bytes());
}

/// Runs `scenario` in a laboratory for each of `pairs`, all at once.
fn for_each(pairs: &[Pair], delay: Duration, scenario: impl Fn(&Laboratory) + Sync) {
    thread::scope(|side_by_side| {
        for pair in pairs {
            let scenario = &scenario;
            thread::Builder::new()
                .name(format!("{:?} and {:?}", pair.0.answer, pair.1.answer))
                .spawn_scoped(side_by_side, move || {
                    let lab = match delay {
                        Duration::ZERO => Laboratory::new(pair.0, pair.1),
                        delay => Laboratory::with_delay(pair.0, pair.1, delay),
                    };
                    if let Some(lab) = lab {
                        scenario(&lab);
                    }
                })
                .expect("a thread can be started");
        }
    });
}

type Pair = (Firewall, Firewall);

const BOTH_DROP: Pair = (Firewall::DROPS, Firewall::DROPS);
const BOTH_RESET: Pair = (Firewall::RESETS, Firewall::RESETS);
const BOTH_SAY_UNREACHABLE: Pair = (Firewall::SAYS_UNREACHABLE, Firewall::SAYS_UNREACHABLE);
const BOTH_ALWAYS_SAY_UNREACHABLE: Pair = (
    Firewall::ALWAYS_SAYS_UNREACHABLE,
    Firewall::ALWAYS_SAYS_UNREACHABLE,
);

const PAIRS: [Pair; 6] = [
    BOTH_DROP,
    BOTH_RESET,
    BOTH_SAY_UNREACHABLE,
    (Firewall::DROPS, Firewall::RESETS),
    (Firewall::DROPS, Firewall::SAYS_UNREACHABLE),
    (Firewall::RESETS, Firewall::SAYS_UNREACHABLE),
];

/// How long two sides may take to meet, on a machine that is busy with other tests.
const PUNCHED: Duration = Duration::from_secs(60);

/// Connection tracking may have to forget the ports first, which takes it two minutes at most.
const FOUND_AGAIN: Duration = Duration::from_secs(180);
const CROWD: u64 = 50;
const ALONE: Duration = Duration::from_secs(3);
const A_MOMENT: Duration = Duration::from_millis(700);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_secs(10);
const MUCH_LATER: Duration = Duration::from_secs(28);
