//! Signals: draining, the second request to end, terminals that go away, the status line.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use relay_tests::counters::{Counters, number_of};
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::kernel::wait_until_closed;
use relay_tests::terminal::Terminal;
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{
    End, Launch, Node, Plan, Server, Service, eventually, exchange, kernel, node, session_tests,
    wire,
};

session_tests! {
    ours:
        a_program_without_sessions_ends_at_once,
        a_session_may_finish_while_no_new_one_begins,
        a_second_request_ends_at_once_and_resets_what_runs,
        a_session_that_outlasts_the_drain_timeout_is_reset,
        a_program_that_is_killed_resets_its_sessions,
        bulk_goes_on_when_the_programs_were_stopped_and_continued;
}

fn a_program_without_sessions_ends_at_once(plan: Plan) {
    let service = Service::greeting("hello");
    let mut route = plan.to(&service);
    // An inside node does not report that it is ready, but when it serves, it is.
    assert_same(&route.dial().receive_to_eof(), b"hello");
    for node in route.nodes_mut() {
        node.signal(Signal::SIGTERM);
        assert_eq!(node.exit_code(), 0);
    }
}

fn a_session_may_finish_while_no_new_one_begins(plan: Plan) {
    let (client, server, mut route) = plan.session();
    for node in route.nodes() {
        node.signal(Signal::SIGINT);
    }
    wait_until_closed(route.clients());
    exchange(&client, &server);
    for node in route.nodes_mut() {
        assert_eq!(node.exit_code(), 0);
    }
}

fn a_second_request_ends_at_once_and_resets_what_runs(plan: Plan) {
    let (client, server, mut route) = plan.session();
    let node = &mut route.nodes_mut()[0];
    node.signal(Signal::SIGTERM);
    // Two signals of a kind that are pending are one: the second is sent when the first was seen.
    wait_until_closed(node.address(0));
    client.expect_silence(A_WHILE);
    node.signal(Signal::SIGTERM);
    client.expect_reset();
    server.expect_reset();
    node.exit_code();
}

fn a_session_that_outlasts_the_drain_timeout_is_reset(plan: Plan) {
    let (client, server, mut route) = plan.with("--drain-timeout 300ms").session();
    let node = &mut route.nodes_mut()[0];
    node.signal(Signal::SIGTERM);
    client.expect_reset();
    server.expect_reset();
    node.exit_code();
}

fn a_program_that_is_killed_resets_its_sessions(plan: Plan) {
    let (client, server, route) = plan.session();
    client.send(b"hello");
    server.expect(b"hello");
    for node in route.nodes() {
        node.signal(Signal::SIGKILL);
    }
    client.expect_reset();
    server.expect_reset();
}

// As by ^Z and fg, a debugger, or a freezer. A splice that is interrupted moves less than it could.
fn bulk_goes_on_when_the_programs_were_stopped_and_continued(plan: Plan) {
    let (client, server, route) = plan.session();
    let chunk = noise(1, MIB);
    let enough = AtomicBool::new(false);
    thread::scope(|all| {
        all.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                client.send(&chunk);
            }
            client.shutdown_write();
        });
        let interruptions = all.spawn(|| {
            for _ in 0..500 {
                for node in route.nodes() {
                    node.signal(Signal::SIGSTOP);
                    node.signal(Signal::SIGCONT);
                }
                let_pass(Duration::from_micros(500));
            }
        });
        while !interruptions.is_finished() {
            server.expect(&chunk);
        }
        enough.store(true, Ordering::Relaxed);
        server.receive_to_eof();
    });
}

// The outside node chooses a link for a client as soon as it has read HELLO.
#[test]
fn a_client_that_is_on_its_way_to_an_inside_node_that_ends_is_served() {
    let service = Service::echo();
    let outside = Server::start();
    let mut inside = node!("connect-connect --idle 1 {outside} {service}");
    let link = outside.accept();
    wire::receive_hello(&link);
    inside.signal(Signal::SIGTERM);
    wire::receive_bye(&link);
    wire::send_welcome(&link);
    wire::open(&link, b"question");
    wire::expect_session(&link, b"question");
    wire::send_bye(&link);
    link.expect_eof();
    drop(link);
    assert_eq!(inside.exit_code(), 0);
}

#[test]
fn links_that_come_with_two_requests_to_end_change_nothing() {
    let mut outside = Node::outside();
    let link = outside.link().to_owned();
    let _stranger = End::dial(&link);
    eventually("it is let in", || number_of(&outside, "links") == 1);
    outside.signal(Signal::SIGSTOP);
    eventually("the node stands still", || {
        kernel::is_stopped(outside.pid())
    });
    outside.signal(Signal::SIGTERM);
    outside.signal(Signal::SIGINT);
    let _newcomer = End::dial(&link);
    outside.signal(Signal::SIGCONT);
    assert_eq!(outside.exit_code(), 0);
}

#[test]
fn a_program_logs_how_many_sessions_it_waits_for() {
    let server = Server::start();
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 {server}");
    let _client = tcpfwd.dial();
    let _inside = server.accept();
    tcpfwd.signal(Signal::SIGTERM);
    let line = tcpfwd.stderr.wait_for("tcpfwd: ");
    assert!(line.contains('1'), "{line}");
}

#[test]
fn a_hangup_without_a_terminal_ends_nothing() {
    let service = Service::greeting("hello");
    let mut tcpfwd = node!("tcpfwd 127.0.0.1:0 {service}");
    tcpfwd.signal(Signal::SIGHUP);
    assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    assert!(tcpfwd.is_running());
}

#[test]
fn a_momentary_route_dies_with_its_terminal() {
    let service = Service::echo();
    let terminal = Terminal::open();
    let mut tcpfwd = at_terminal(
        &terminal,
        &format!("tcpfwd --print-address 127.0.0.1:0 {service}"),
    );
    drop(terminal);
    assert_eq!(tcpfwd.exit_code(), 0);
}

#[test]
fn a_route_under_nohup_outlives_its_terminal() {
    let service = Service::greeting("hello");
    let terminal = Terminal::open();
    let tcpfwd = at_terminal(
        &terminal,
        &format!("nohup tcpfwd --print-address 127.0.0.1:0 {service}"),
    );
    drop(terminal);
    for _ in 0..3 {
        assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let service = Service::greeting("hello");
    let line = format!("trap '' INT; exec tcpfwd --print-address 127.0.0.1:0 {service}");
    let mut tcpfwd = Node::announced(Launch::shell(&line)).unwrap();
    tcpfwd.signal(Signal::SIGINT);
    assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    tcpfwd.signal(Signal::SIGTERM);
    assert_eq!(tcpfwd.exit_code(), 0);
}

#[test]
fn the_status_line_is_one_line_and_counts_what_was_carried() {
    let service = Service::echo();
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 {service}");
    let client = tcpfwd.dial();
    client.send(b"four");
    client.expect(b"four");
    let Counters { spliced, copied } = Counters::of(&tcpfwd);
    assert_eq!(spliced + copied, 8);
    assert_eq!(tcpfwd.stderr.text().lines().count(), 1);
}

#[test]
fn the_status_line_counts_a_link_once_it_is_welcome() {
    let silent = Server::start();
    let inside = node!("connect-connect {silent} 80");
    let _link = silent.accept();
    assert_eq!(number_of(&inside, "links"), 0);
}

fn at_terminal(terminal: &Terminal, line: &str) -> Node {
    let launch = Launch::new(line)
        .stdin(terminal.descriptor())
        .with_controlling_terminal();
    Node::announced(launch).unwrap_or_else(|outcome| panic!("{line} has ended: {outcome:?}"))
}
