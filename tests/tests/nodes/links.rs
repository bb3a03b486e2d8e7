//! Links are kept and used again: what remains after three hundred sessions.

use std::thread;

use nix::sys::signal::Signal;
use relay_tests::data::assert_same;
use relay_tests::kernel::{TcpState, tcp_dials, tcp_sockets};
use relay_tests::network::Hosts;
use relay_tests::plan::Topology;
use relay_tests::{Plan, Service, eventually, network_tests, node};

network_tests! {
    three_hundred_sessions_in_turn_use_the_same_links,
    three_hundred_sessions_side_by_side_use_few_links,
    no_link_is_left_in_time_wait,
    each_outside_node_behind_a_name_gets_links,
    an_outside_node_with_two_addresses_gets_one_set_of_links
}

fn three_hundred_sessions_in_turn_use_the_same_links() {
    let links = count_links(|dial| (0..SESSIONS).for_each(|_| dial()));
    assert!(links <= 16, "{links} links were dialled");
}

fn three_hundred_sessions_side_by_side_use_few_links() {
    let links = count_links(|dial| {
        thread::scope(|side_by_side| {
            for _ in 0..10 {
                side_by_side.spawn(|| (0..SESSIONS / 10).for_each(|_| dial()));
            }
        });
    });
    assert!(
        links <= 64,
        "{links} links were dialled for 10 clients at once"
    );
}

fn no_link_is_left_in_time_wait() {
    let service = Service::greeting("hello");
    let mut outside = node!("listen-listen 127.0.0.1:0 127.0.0.1:{LINK}");
    let mut inside = node!("connect-connect 127.0.0.1:{LINK} {service}");
    for _ in 0..SESSIONS {
        assert_same(&outside.dial().receive_to_eof(), b"hello");
    }
    for node in [&mut outside, &mut inside] {
        node.signal(Signal::SIGTERM);
        assert_eq!(node.exit_code(), 0);
    }
    let left = tcp_sockets()
        .into_iter()
        .filter(|socket| [socket.local_port, socket.remote_port].contains(&LINK));
    assert_eq!(left.count(), 0);
}

fn each_outside_node_behind_a_name_gets_links() {
    let _hosts = Hosts::new("127.0.0.2 ll\n127.0.0.3 ll\n127.0.0.1 localhost\n");
    let service = Service::greeting("hello");
    let outside = ["127.0.0.2", "127.0.0.3"]
        .map(|address| node!("listen-listen 127.0.0.1:0 {address}:{LINK}"));
    let _inside = node!("connect-connect ll:{LINK} {service}");
    for node in &outside {
        assert_same(&node.dial().receive_to_eof(), b"hello");
    }
}

fn an_outside_node_with_two_addresses_gets_one_set_of_links() {
    let _hosts = Hosts::new("127.0.0.2 ll\n127.0.0.3 ll\n127.0.0.1 localhost\n");
    let service = Service::greeting("hello");
    let outside = node!("listen-listen 127.0.0.1:0 {LINK}");
    let _inside = node!("connect-connect --idle 3 ll:{LINK} {service}");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    eventually("surplus links are given back", || established(LINK) < 6);
}

/// How many links both nodes dial for the [`SESSIONS`] that `run` makes by calling its argument.
fn count_links(run: impl FnOnce(&(dyn Fn() + Sync))) -> u64 {
    let service = Service::greeting("hello");
    let route = Plan::through(Topology::BothNodes).to(&service);
    let dial = || assert_same(&route.dial().receive_to_eof(), b"hello");
    dial();
    let before = tcp_dials();
    run(&dial);
    // Each session is dialled by its client and by the inside node.
    tcp_dials() - before - 2 * SESSIONS
}

fn established(port: u16) -> usize {
    let at_port = tcp_sockets()
        .into_iter()
        .filter(|socket| socket.local_port == port);
    at_port
        .filter(|socket| socket.state == TcpState::Established)
        .count()
}

const SESSIONS: u64 = 300;
const LINK: u16 = 8001;
