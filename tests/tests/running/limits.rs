//! What happens at a limit: of sessions, descriptors, memory.

use std::thread;

use relay_tests::data::assert_same;
use relay_tests::plan::Topology;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{
    End, Launch, Node, Plan, Running, Server, Service, eventually, kernel, node, session_tests,
};

session_tests! {
    ours:
        the_client_after_the_last_waits_and_is_served_when_one_leaves,
        sessions_that_have_ended_leave_no_descriptors;
}

fn the_client_after_the_last_waits_and_is_served_when_one_leaves(plan: Plan) {
    let server = Server::start();
    let route = plan.with("--max-sessions 2").to(&server);
    let first = route.dial();
    let first_inside = server.accept();
    let _second = route.dial();
    let _second_inside = server.accept();
    let third = route.dial();
    third.send(b"third");
    server.expect_nobody(A_WHILE);
    drop(first);
    drop(first_inside);
    server.accept().expect(b"third");
}

fn sessions_that_have_ended_leave_no_descriptors(plan: Plan) {
    let service = Service::greeting("hello");
    let route = plan.to(&service);
    let dial = || assert_same(&route.dial().receive_to_eof(), b"hello");
    (0..10).for_each(|_| dial());
    let count = || {
        route
            .nodes()
            .iter()
            .map(|node| kernel::sockets(node.pid()))
            .collect::<Vec<_>>()
    };
    let before = count();
    (0..30).for_each(|_| dial());
    eventually("they are closed", || {
        count()
            .iter()
            .zip(&before)
            .all(|(now, before)| *now <= before + LINKS_MORE)
    });
}

#[test]
fn a_client_that_has_to_wait_is_logged_with_verbose() {
    let server = Server::start();
    let tcpfwd = node!("tcpfwd -v --max-sessions 1 127.0.0.1:0 {server}");
    let _first = tcpfwd.dial();
    let _inside = server.accept();
    let _second = tcpfwd.dial();
    tcpfwd
        .stderr
        .wait_for("info: 1 session: new clients of 127.0.0.1:0 wait");
}

#[test]
fn an_idle_session_costs_no_wakeups() {
    for topology in [Topology::Tcpfwd, Topology::BothNodes] {
        let (client, server, route) = Plan::through(topology).session();
        client.send(b"hello");
        server.expect(b"hello");
        for node in route.nodes() {
            kernel::expect_no_wakeups(node.pid());
        }
    }
}

#[test]
fn more_sessions_than_descriptors_allow_are_cut_with_a_warning() {
    let service = Service::echo();
    let line = format!(
        "prlimit --nofile=100:100 tcpfwd --print-address --max-sessions 1000 127.0.0.1:0 {service}"
    );
    let tcpfwd = Node::announced(Launch::new(&line)).unwrap();
    let warning = tcpfwd.stderr.wait_for("tcpfwd: warning: ");
    assert!(warning.contains("1000"), "{warning}");
}

#[test]
fn the_limit_of_descriptors_is_raised_to_what_is_allowed() {
    let service = Service::echo();
    let line = format!(
        "prlimit --nofile=64:1024 tcpfwd --print-address --max-sessions 300 127.0.0.1:0 {service}"
    );
    let tcpfwd = Node::announced(Launch::new(&line)).unwrap();
    let clients: Vec<_> = (0..200).map(|_| tcpfwd.dial()).collect();
    for client in &clients {
        client.send(b"hello");
        client.expect(b"hello");
    }
}

#[test]
fn descriptors_that_listen_are_none_for_sessions() {
    let service = Service::echo();
    let words = format!("127.0.0.1:0 {service} ").repeat(200);
    let line = format!("prlimit --nofile=400:400 tcpfwd --print-address {words}");
    let tcpfwd = Node::announced(Launch::new(&line)).unwrap();
    tcpfwd.stderr.wait_for("--max-sessions cut from 10000 to ");
    let dial = |n| End::dial(tcpfwd.address(n));
    let served: Vec<_> = (0..60).map(dial).collect();
    for client in &served {
        client.send(b"hello");
        client.expect(b"hello");
    }
    let others: Vec<_> = (60..100).map(dial).collect();
    // The clients beyond the limit wait.
    others[39].expect_silence(A_WHILE);
    assert_eq!(tcpfwd.stderr.count(COMPLAINT), 0);
}

#[test]
fn a_program_out_of_descriptors_logs_it_once_and_continues_later() {
    let service = Service::echo();
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 {service}");
    let open = kernel::descriptors(tcpfwd.pid());
    // Two sessions of two descriptors each, and no third client.
    limit_descriptors(&tcpfwd, open + 4);
    let clients: Vec<_> = (0..20).map(|_| tcpfwd.dial()).collect();
    tcpfwd.stderr.wait_for(COMPLAINT);
    clients[19].expect_silence(A_WHILE);
    assert_eq!(
        tcpfwd.stderr.count(COMPLAINT),
        1,
        "{}",
        tcpfwd.stderr.text()
    );
    limit_descriptors(&tcpfwd, 1024);
    let client = tcpfwd.dial();
    client.send(b"hello");
    client.expect(b"hello");
}

#[test]
fn a_storm_of_clients_on_few_descriptors_is_weathered() {
    let service = Service::greeting("hello");
    let line = format!("prlimit --nofile=40:40 tcpfwd --print-address -q 127.0.0.1:0 {service}");
    let tcpfwd = Node::announced(Launch::new(&line)).unwrap();
    thread::scope(|storm| {
        for _ in 0..50 {
            storm.spawn(|| assert_same(&tcpfwd.dial().receive_to_eof(), b"hello"));
        }
    });
}

fn limit_descriptors(running: &Running, descriptors: usize) {
    let outcome = Launch::new(&format!(
        "prlimit --pid {} --nofile={descriptors}:",
        running.pid()
    ))
    .run();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

/// Idle links that may have been added in between.
const LINKS_MORE: usize = 16;

const COMPLAINT: &str = "tcpfwd: warning: unable to accept, trying again: too many open files";
