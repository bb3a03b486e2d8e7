//! What is dialled: each address of a name.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use relay_tests::counters::number_of;
use relay_tests::data::assert_same;
use relay_tests::kernel::{cpu_time, tcp_sockets};
use relay_tests::name_server::NameServer;
use relay_tests::network::{Hosts, drop_nothing, drop_packets};
use relay_tests::scratch::Scratch;
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{
    End, Plan, ReservedPort, Server, Service, eventually, network_tests, node, session_tests,
};

network_tests! {
    each_address_of_a_name_is_tried,
    an_address_that_does_not_answer_does_not_hold_up_the_others,
    a_name_that_is_not_known_yet_is_looked_up_again,
    a_server_that_never_answers_is_given_up,
    a_name_may_have_many_addresses,
    many_addresses_that_do_not_answer_are_waited_for_without_work,
    an_answer_that_comes_late_does_not_lead_the_next_session_astray,
    a_proxy_whose_name_nobody_knows_in_time_is_not_said_to_be_down
}

session_tests! {
    ours:
        a_unix_server_with_a_full_backlog_is_waited_for;
}

fn each_address_of_a_name_is_tried() {
    let _hosts = Hosts::new("127.0.0.2 srv\n127.0.0.3 srv\n::1 srv\n");
    let tcpfwd = node!("tcpfwd 127.0.0.1:8080 srv:80");
    for address in ["127.0.0.2:80", "127.0.0.3:80", "[::1]:80"] {
        let _only = Service::greeting_on(Server::on(address), "hello");
        assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    }
}

fn an_address_that_does_not_answer_does_not_hold_up_the_others() {
    let _hosts = Hosts::new("127.0.0.2 srv\n127.0.0.3 srv\n");
    drop_packets("ip daddr 127.0.0.2");
    let _service = Service::greeting_on(Server::on("127.0.0.3:80"), "hello");
    let tcpfwd = node!("tcpfwd 127.0.0.1:8080 srv:80");
    let since = Instant::now();
    assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    // RFC 8305 begins with the next address after a quarter of a second.
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "after {:?}",
        since.elapsed()
    );
}

fn a_name_that_is_not_known_yet_is_looked_up_again() {
    let hosts = Hosts::new("127.0.0.1 localhost\n");
    let service = Service::greeting("hello");
    let outside = node!("listen-listen 127.0.0.1:8000 127.0.0.1:8001");
    let inside = node!("connect-connect --interval 200ms ll:8001 {service}");
    inside.stderr.wait_for("ll");
    hosts.replace("127.0.0.1 ll\n");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

fn a_server_that_never_answers_is_given_up() {
    drop_packets("ip daddr 127.0.0.2");
    let tcpfwd = node!("tcpfwd --connect-timeout 500ms 127.0.0.1:8080 127.0.0.2:80");
    let since = Instant::now();
    tcpfwd.dial().expect_reset();
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "after {:?}",
        since.elapsed()
    );
}

fn a_name_may_have_many_addresses() {
    let addresses = addresses(20);
    let _hosts = Hosts::new(&lines(&addresses));
    let tcpfwd = node!("tcpfwd 127.0.0.1:8080 srv:80");
    // In any order, one of them is the last.
    for address in &addresses {
        let _only = Service::greeting_on(Server::on(&format!("{address}:80")), "hello");
        assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    }
}

fn many_addresses_that_do_not_answer_are_waited_for_without_work() {
    let addresses = addresses(16);
    let _hosts = Hosts::new(&lines(&addresses));
    drop_packets("tcp dport 80");
    let tcpfwd = node!("tcpfwd 127.0.0.1:8080 srv:80");
    let _client = tcpfwd.dial();
    eventually("the name is looked up", || {
        tcp_sockets().iter().any(|socket| socket.remote_port == 80)
    });
    let before = cpu_time(tcpfwd.pid());
    // By then each has been dialled.
    let_pass(ATTEMPT_DELAY * 18);
    let worked = cpu_time(tcpfwd.pid()) - before;
    assert!(worked < Duration::from_millis(100), "{worked:?}");
}

// One client closes while its server's name is looked up. The next client is served on the same link.
fn an_answer_that_comes_late_does_not_lead_the_next_session_astray() {
    let names = NameServer::start();
    let first_server = Server::on("127.0.0.2:80");
    let second_server = Server::on("127.0.0.3:81");
    // It takes a moment to answer the dial.
    drop_packets("tcp dport 81");
    let outside = node!("listen-listen first=127.0.0.1:0 second=127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let _inside =
        node!("connect-connect --idle 1 {link} first=slow.test:80 second={second_server}");
    let first = End::dial(outside.address(0));
    let questions = [names.receive(), names.receive()];
    first.reset();
    eventually("its link is idle, beside the one in its place", || {
        number_of(&outside, "idle") >= 2
    });
    let second = End::dial(outside.address(1));
    second.send(b"for the second");
    eventually("its server is dialled", || {
        tcp_sockets().iter().any(|socket| socket.remote_port == 81)
    });
    for question in &questions {
        names.answer(question, Ipv4Addr::new(127, 0, 0, 2));
    }
    first_server.expect_nobody(2 * ATTEMPT_DELAY);
    drop_nothing();
    second_server.accept().expect(b"for the second");
}

fn a_proxy_whose_name_nobody_knows_in_time_is_not_said_to_be_down() {
    let _nobody_answers = NameServer::start();
    let via = "--via http://proxy.test:3128 --connect-timeout 500ms";
    let tcpfwd = node!("tcpfwd {via} 127.0.0.1:0 srv.test:80");
    tcpfwd.dial().expect_reset();
    let told = tcpfwd.stderr.wait_for("unable to reach srv.test:80");
    let why = "unable to look up proxy.test: no answer from the name server";
    assert!(told.ends_with(why), "{told}");
}

/// Addresses of this network.
fn addresses(count: u8) -> Vec<Ipv4Addr> {
    (0..count)
        .map(|at| Ipv4Addr::new(127, 0, 1, 1 + at))
        .collect()
}

/// Lines of hosts(5), in which the server has all of `addresses`.
fn lines(addresses: &[Ipv4Addr]) -> String {
    let lines = addresses.iter().map(|address| format!("{address} srv\n"));
    lines.collect()
}

#[test]
fn localhost_is_both_ip_versions() {
    for host in ["127.0.0.1", "[::1]"] {
        let server = Server::on(&format!("{host}:0"));
        let port = server.port();
        for target in [
            format!("localhost:{port}"),
            format!("{port}"),
            format!(":{port}"),
        ] {
            let tcpfwd = node!("tcpfwd 127.0.0.1:0 {target}");
            let client = tcpfwd.dial();
            client.send(b"hello");
            server.accept().expect(b"hello");
        }
    }
}

#[test]
fn one_ip_version_may_be_asked_for() {
    let server = Server::on("[::1]:0");
    let target = format!("localhost:{}", server.port());
    node!("tcpfwd -4 127.0.0.1:0 {target}")
        .dial()
        .expect_reset();
    let six = node!("tcpfwd -6 [::1]:0 {target}");
    let client = six.dial();
    client.send(b"hello");
    server.accept().expect(b"hello");
}

#[test]
fn a_local_address_may_be_asked_for() {
    let server = Server::start();
    let tcpfwd = node!("tcpfwd --bind 127.0.0.9 127.0.0.1:0 {server}");
    let _client = tcpfwd.dial();
    assert_eq!(server.accept().peer().ip().to_string(), "127.0.0.9");
}

#[test]
fn links_and_servers_may_be_dialled_from_different_addresses() {
    let server = Server::start();
    let outside = node!("listen-listen -v 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let _inside = node!("connect-connect --bind 127.0.0.8 --server-bind 127.0.0.9 {link} {server}");
    let _client = outside.dial();
    assert_eq!(server.accept().peer().ip().to_string(), "127.0.0.9");
    outside.stderr.wait_for("linked from 127.0.0.8");
}

#[test]
fn an_address_that_this_host_does_not_have_is_told_by_its_name() {
    let tcpfwd = node!("tcpfwd --bind 192.0.2.9 127.0.0.1:0 127.0.0.1:80");
    tcpfwd.dial().expect_reset();
    tcpfwd.stderr.wait_for(
        "unable to connect to 127.0.0.1:80: unable to bind to 192.0.2.9: cannot assign requested address",
    );
    for (link, local) in [
        ("127.0.0.2:6000", "192.0.2.9"),
        ("4way:127.0.0.2:6000", "192.0.2.9:6000"),
    ] {
        let inside = node!("connect-connect --bind 192.0.2.9 {link} 80");
        inside.stderr.wait_for(&format!(
            "unable to connect to {link}: unable to bind to {local}: cannot assign requested address"
        ));
    }
}

#[test]
fn a_server_that_comes_back_is_dialled_again() {
    let address = ReservedPort::new();
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 {address}");
    for _ in 0..3 {
        tcpfwd.dial().expect_reset();
        let service = Service::greeting_on(Server::on(&address.to_string()), "hello");
        assert_same(&End::dial(tcpfwd.address(0)).receive_to_eof(), b"hello");
        drop(service);
        eventually("the server has gone", || {
            End::try_dial(&address.to_string()).is_err()
        });
    }
}

#[test]
fn a_server_may_be_a_unix_socket() {
    let scratch = Scratch::new();
    let named = format!("unix:{}", scratch.file("server").display());
    let hidden = format!("unix:@relay-tests-server-{}", std::process::id());
    for word in [named, hidden] {
        let _service = Service::greeting_on(Server::on(&word), "hello");
        let tcpfwd = node!("tcpfwd 127.0.0.1:0 {word}");
        assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    }
}

// A dial of a Unix socket that has no room is not refused, but fails with EAGAIN.
fn a_unix_server_with_a_full_backlog_is_waited_for(plan: Plan) {
    let scratch = Scratch::new();
    let server = Server::on(&format!("unix:{}", scratch.file("server").display()));
    server.keep_few_waiting(1);
    let route = plan.to(&server);
    let clients: Vec<End> = (0..CLIENTS)
        .map(|number| {
            let client = route.dial();
            client.send(&[number]);
            client
        })
        .collect();
    let_pass(A_WHILE);
    thread::scope(|side_by_side| {
        for _ in &clients {
            let inside = server.accept();
            side_by_side.spawn(move || {
                let number = inside.receive(1);
                inside.send(&number);
            });
        }
    });
    for (number, client) in (0..CLIENTS).zip(&clients) {
        client.expect(&[number]);
    }
}

const CLIENTS: u8 = 8;

/// RFC 8305 §5: how long a dial waits for one address before it tries the next one too.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
