//! What is dialled: each address of a name, found anew each time.

use std::time::{Duration, Instant};

use relay_tests::data::assert_same;
use relay_tests::network::{Hosts, drop_packets};
use relay_tests::{End, ReservedPort, Server, Service, eventually, network_tests, node};

network_tests! {
    each_address_of_a_name_is_tried,
    an_address_that_does_not_answer_does_not_hold_up_the_others,
    a_name_is_looked_up_anew_for_each_session,
    a_name_that_is_not_known_yet_is_looked_up_again,
    a_server_that_never_answers_is_given_up
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

fn a_name_is_looked_up_anew_for_each_session() {
    let hosts = Hosts::new("127.0.0.2 srv\n");
    let _services = [("127.0.0.2:80", "two"), ("127.0.0.3:80", "three")]
        .map(|(address, greeting)| Service::greeting_on(Server::on(address), greeting));
    let tcpfwd = node!("tcpfwd 127.0.0.1:8080 srv:80");
    assert_same(&tcpfwd.dial().receive_to_eof(), b"two");
    hosts.replace("127.0.0.3 srv\n");
    // An answer may be used again for a moment.
    eventually("the new address is dialled", || {
        tcpfwd.dial().receive_to_eof() == b"three"
    });
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
    let scratch = relay_tests::scratch::Scratch::new();
    let named = format!("unix:{}", scratch.file("server").display());
    let hidden = format!("unix:@relay-tests-server-{}", std::process::id());
    for word in [named, hidden] {
        let _service = Service::greeting_on(Server::on(&word), "hello");
        let tcpfwd = node!("tcpfwd 127.0.0.1:0 {word}");
        assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
    }
}
