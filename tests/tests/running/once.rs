//! One session and out: `--once`, `--expire`, and the exit status of each outcome.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use relay_tests::data::assert_same;
use relay_tests::kernel::wait_until_closed;
use relay_tests::{End, Launch, Node, ReservedPort, Server, Service, exchange, node};

#[test]
fn tcpfwd_serves_one_client_and_is_done() {
    let server = Server::start();
    let mut tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {server}");
    exchange(&tcpfwd.dial(), &server.accept());
    assert_eq!(tcpfwd.exit_code(), 0);
}

#[test]
fn tcpfwd_stops_listening_at_its_first_client() {
    let server = Server::start();
    let mut tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {server}");
    let client = tcpfwd.dial();
    let inside = server.accept();
    expect_refused(tcpfwd.address(0));
    exchange(&client, &inside);
    assert_eq!(tcpfwd.exit_code(), 0);
}

#[test]
fn a_client_that_resets_shows_in_the_exit_status() {
    let server = Server::start();
    let mut tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {server}");
    let client = tcpfwd.dial();
    let inside = server.accept();
    client.reset();
    inside.expect_reset();
    assert_eq!(tcpfwd.exit_code(), 111);
}

#[test]
fn a_server_that_refuses_shows_in_the_exit_status() {
    let nobody = ReservedPort::new();
    let mut tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {nobody}");
    tcpfwd.dial().expect_reset();
    assert_eq!(tcpfwd.exit_code(), 111);
}

#[test]
fn a_server_that_refuses_ends_a_pipeline() {
    let nobody = ReservedPort::new();
    expect_unable_to_connect(&format!("tcpfwd - {nobody}"), &nobody);
}

#[test]
fn the_outside_node_serves_one_client_and_is_done() {
    let server = Server::start();
    let mut outside = node!("listen-listen --once 127.0.0.1:0 127.0.0.1:0");
    let _inside = Node::inside(&outside, &server);
    exchange(&outside.dial(), &server.accept());
    assert_eq!(outside.exit_code(), 0);
}

#[test]
fn the_outside_node_stops_listening_at_its_first_client_but_waits_for_a_link() {
    let server = Server::start();
    let mut outside = node!("listen-listen --once 127.0.0.1:0 127.0.0.1:0");
    let client = outside.dial();
    wait_until_closed(outside.address(0));
    let _inside = Node::inside(&outside, &server);
    exchange(&client, &server.accept());
    assert_eq!(outside.exit_code(), 0);
}

#[test]
fn the_inside_node_serves_one_client_and_is_done() {
    let server = Server::start();
    let outside = Node::outside();
    let mut inside = node!("connect-connect --once {} {server}", outside.link());
    exchange(&outside.dial(), &server.accept());
    assert_eq!(inside.exit_code(), 0);
}

#[test]
fn the_inside_node_does_not_wait_for_a_link_that_is_refused() {
    let nobody = ReservedPort::new();
    let service = Service::echo();
    expect_unable_to_connect(
        &format!("connect-connect --once {nobody} {service}"),
        &nobody,
    );
}

#[test]
fn a_link_that_dies_before_its_session_shows_in_the_exit_status() {
    let service = Service::echo();
    let outside = Server::start();
    let mut inside = node!("connect-connect --once {outside} {service}");
    outside.accept().reset();
    assert_eq!(inside.exit_code(), 111);
}

#[test]
fn raw_nodes_serve_one_client_and_are_done() {
    let server = Server::start();
    let mut outside = node!("listen-listen --raw --once 127.0.0.1:0 127.0.0.1:0");
    let client = outside.dial();
    let mut inside = node!(
        "connect-connect --raw --interval 50ms {} {server}",
        outside.link()
    );
    exchange(&client, &server.accept());
    assert_eq!(outside.exit_code(), 0);
    assert!(inside.is_running());
}

#[test]
fn a_momentary_route_stops_listening_and_is_done() {
    let service = Service::echo();
    let mut tcpfwd = node!("tcpfwd --expire 200ms 127.0.0.1:0 {service}");
    assert_eq!(tcpfwd.exit_code(), 0);
    expect_refused(tcpfwd.address(0));
}

#[test]
fn an_outside_node_without_a_client_ends_at_once() {
    for raw in ["", "--raw"] {
        let mut outside = node!("listen-listen {raw} --once 127.0.0.1:0 127.0.0.1:0");
        outside.signal(Signal::SIGTERM);
        assert_eq!(outside.exit_code(), 0);
        let mut outside = node!("listen-listen {raw} --once --expire 1s 127.0.0.1:0 127.0.0.1:0");
        expect_done_promptly(&mut outside);
    }
}

#[test]
fn a_momentary_route_lets_its_sessions_finish() {
    let server = Server::start();
    let mut tcpfwd = node!("tcpfwd --expire 200ms 127.0.0.1:0 {server}");
    let client = tcpfwd.dial();
    let inside = server.accept();
    wait_until_closed(tcpfwd.address(0));
    tcpfwd
        .stderr
        .wait_for("waiting up to 30s for 1 session to end; a signal ends it now");
    assert!(tcpfwd.is_running());
    exchange(&client, &inside);
    assert_eq!(tcpfwd.exit_code(), 0);
}

// Nothing comes on an idle link before the next heartbeat: the end must not wait for that.
#[test]
fn a_momentary_outside_node_is_done_though_a_link_is_idle() {
    let service = Service::greeting("hello");
    let mut outside =
        node!("listen-listen --expire 1s {SELDOM} --wait-timeout 60s 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let _inside = node!("connect-connect {SELDOM} {link} {service}");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    expect_done_promptly(&mut outside);
}

#[test]
fn a_momentary_inside_node_is_done_though_a_link_is_idle() {
    let service = Service::greeting("hello");
    let outside = node!("listen-listen {SELDOM} --wait-timeout 60s 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let mut inside = node!("connect-connect --expire 1s {SELDOM} {link} {service}");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    expect_done_promptly(&mut inside);
}

#[test]
fn a_session_that_a_second_signal_cuts_short_shows_in_the_exit_status() {
    let server = Server::start();
    let mut tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {server}");
    expect_cut_short(&mut tcpfwd, &server);
    let mut outside = node!("listen-listen --once 127.0.0.1:0 127.0.0.1:0");
    let _inside = Node::inside(&outside, &server);
    expect_cut_short(&mut outside, &server);
}

#[test]
fn a_link_that_dies_after_its_session_is_no_failure() {
    let server = Server::start();
    let outside = Node::outside();
    let mut inside = node!("connect-connect -v --once {} {server}", outside.link());
    let client = outside.dial();
    client.send(b"question");
    client.shutdown_write();
    let served = server.accept();
    assert_same(&served.receive_to_eof(), b"question");
    // The outside node cannot return the link to idle, and then the link is dead.
    outside.signal(Signal::SIGSTOP);
    drop(served);
    inside.stderr.wait_for("session ");
    outside.signal(Signal::SIGKILL);
    assert_eq!(inside.exit_code(), 0);
}

// No program listens on ::1. That is no failure if 127.0.0.1 answers.
#[test]
fn one_address_of_localhost_is_enough_for_the_one_link() {
    let server = Server::start();
    let outside = Node::outside();
    let (_, port) = outside.link().split_once(':').unwrap();
    let mut inside = node!("connect-connect --once localhost:{port} {server}");
    exchange(&outside.dial(), &server.accept());
    assert_eq!(inside.exit_code(), 0);
    let said = inside.stderr.text();
    assert!(!said.contains("fatal"), "{said}");
}

/// Sends two termination signals to `node`, on which a session with `server` runs.
fn expect_cut_short(node: &mut Node, server: &Server) {
    let client = node.dial();
    client.send(b"question");
    let inside = server.accept();
    inside.expect(b"question");
    node.signal(Signal::SIGTERM);
    // Two signals of a kind that are pending are one: the second is sent when the first was seen.
    node.stderr.wait_for("a second signal");
    node.signal(Signal::SIGTERM);
    client.expect_reset();
    inside.expect_reset();
    assert_eq!(node.exit_code(), 111);
}

/// A momentary node ends after one second. A busy machine may add half a second.
fn expect_done_promptly(node: &mut Node) {
    let since = Instant::now();
    assert_eq!(node.exit_code(), 0);
    let passed = since.elapsed();
    assert!(passed < Duration::from_millis(1500), "after {passed:?}");
}

/// Runs a command that cannot connect to `address`: it fails, and names the address.
fn expect_unable_to_connect(line: &str, address: &ReservedPort) {
    let outcome = Launch::new(line).run();
    assert_eq!(outcome.code, 111);
    assert!(
        outcome.stderr.contains(&address.to_string()),
        "{}",
        outcome.stderr
    );
}

fn expect_refused(address: &str) {
    assert!(
        End::try_dial(address).is_err(),
        "{address} still accepts clients"
    );
}

/// A heartbeat interval that is longer than any test.
const SELDOM: &str = "--heartbeat 20s";
