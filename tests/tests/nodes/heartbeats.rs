//! If a firewall has forgotten a link, the nodes close it within two and a half heartbeats. They do not close a link that only
//! stalls.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use relay_tests::counters::number_of;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::kernel::{TcpState, tcp_sockets};
use relay_tests::network::{drop_nothing, drop_packets};
use relay_tests::plan::{Route, Topology};
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{End, Node, Plan, Service, eventually, network_tests};

network_tests! {
    a_session_on_a_dead_link_is_reset_at_both_ends,
    the_next_client_is_served_by_another_link,
    a_client_that_sent_nothing_on_a_dead_link_gets_another,
    a_network_that_comes_back_is_used_again
}

fn a_session_on_a_dead_link_is_reset_at_both_ends() {
    let (client, server, route) = nodes().session();
    let since = Instant::now();
    forget_links(&route);
    client.expect_reset();
    server.expect_reset();
    let found = since.elapsed();
    assert!(found < DEAD_MAX, "found after {found:?}");
}

fn the_next_client_is_served_by_another_link() {
    let service = Service::greeting("hello");
    let route = nodes().to(&service);
    forget_links(&route);
    let_pass(DEAD_MAX);
    assert_same(&route.dial().receive_to_eof(), b"hello");
}

fn a_client_that_sent_nothing_on_a_dead_link_gets_another() {
    let service = Service::greeting("hello");
    let route = nodes().to(&service);
    assert_same(&route.dial().receive_to_eof(), b"hello");
    forget_links(&route);
    // No node knows yet that the idle links are dead.
    assert_same(&route.dial().receive_to_eof(), b"hello");
}

fn a_network_that_comes_back_is_used_again() {
    let service = Service::greeting("hello");
    let route = nodes().to(&service);
    assert_same(&route.dial().receive_to_eof(), b"hello");
    drop_packets_of(link_port(&route));
    let_pass(DEAD_MAX);
    drop_nothing();
    assert_same(&route.dial().receive_to_eof(), b"hello");
}

#[test]
fn a_client_that_stalls_does_not_cost_its_link() {
    let (client, server, _route) = nodes().session();
    stall_for_longer_than_a_link_may_be_silent(&server, &client);
}

#[test]
fn a_server_that_stalls_does_not_cost_its_link() {
    let (client, server, _route) = nodes().session();
    stall_for_longer_than_a_link_may_be_silent(&client, &server);
}

#[test]
fn a_quiet_session_does_not_cost_its_link() {
    let (client, server, _route) = nodes().session();
    client.expect_silence(Duration::from_secs(4));
    server.send(b"still here");
    client.expect(b"still here");
}

// A heartbeat would notice it, but the longest interval that --wait-timeout allows is longer than the test.
#[test]
fn a_link_that_is_reset_ends_its_session_though_the_reader_stalls() {
    for topology in [Topology::BothNodes, Topology::BothNodesKeyed] {
        let plan = || Plan::through(topology).with("--heartbeat 11900ms");
        let (_client, server, route) = plan().session();
        stall_and_kill(&server, route.innermost(), route.outermost());
        let (client, _server, route) = plan().session();
        stall_and_kill(&client, route.outermost(), route.innermost());
    }
}

/// Sends as much as fits, and kills one node. The other node has a reader that does not read.
fn stall_and_kill(writer: &End, victim: &Node, other: &Node) {
    writer.send_until_stalled(&noise(1, MIB), A_WHILE);
    victim.signal(Signal::SIGKILL);
    eventually("the session is over", || number_of(other, "sessions") == 0);
}

fn stall_for_longer_than_a_link_may_be_silent(writer: &End, reader: &End) {
    reader.keep_little();
    let message = noise(1, 32 * MIB);
    thread::scope(|both| {
        both.spawn(|| {
            writer.send(&message);
            writer.shutdown_write();
        });
        let_pass(Duration::from_secs(4));
        assert_same(&reader.receive_to_eof(), &message);
    });
}

/// Both nodes, with a heartbeat every second.
fn nodes() -> Plan {
    Plan::through(Topology::BothNodes).with("--heartbeat 1s")
}

/// Drops the packets of the present links, as a firewall does when it has forgotten them. New links pass.
fn forget_links(route: &Route) {
    let port = link_port(route);
    let links = tcp_sockets()
        .into_iter()
        .filter(|socket| socket.local_port == port);
    for link in links.filter(|socket| socket.state == TcpState::Established) {
        drop_packets_of(link.remote_port);
    }
}

fn drop_packets_of(port: u16) {
    drop_packets(&format!("tcp sport {port}"));
    drop_packets(&format!("tcp dport {port}"));
}

fn link_port(route: &Route) -> u16 {
    let address: SocketAddr = route
        .outermost()
        .link()
        .parse()
        .unwrap_or_else(|error| panic!("{error}"));
    address.port()
}

/// Two and a half heartbeats of a second, and one for a busy machine.
const DEAD_MAX: Duration = Duration::from_millis(3500);
