//! Names of servers: a name server that fails ends no session, and no name waits for another.

use std::net::Ipv4Addr;
use std::time::Duration;

use relay_tests::data::assert_same;
use relay_tests::name_server::NameServer;
use relay_tests::network::Hosts;
use relay_tests::timeouts::let_pass;
use relay_tests::{Server, Service, eventually, network_tests, node};

network_tests! {
    a_name_server_that_goes_silent_ends_no_session_of_tcpfwd,
    a_name_server_that_goes_silent_ends_no_session_of_the_nodes,
    names_that_hang_hold_up_no_other_name,
    a_name_that_was_never_known_fails_with_the_reason,
    a_name_is_looked_up_again_when_a_dial_to_it_fails,
    a_name_in_use_that_changes_is_followed
}

fn a_name_server_that_goes_silent_ends_no_session_of_tcpfwd() {
    let names = NameServer::start();
    let _service = Service::greeting_on(Server::on("127.0.0.2:80"), "hello");
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 srv.test:80");
    let first = tcpfwd.dial();
    answer(&names, SERVER);
    assert_same(&first.receive_to_eof(), b"hello");
    let_pass(ANSWER_IS_OLD);
    assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
}

fn a_name_server_that_goes_silent_ends_no_session_of_the_nodes() {
    let names = NameServer::start();
    let _service = Service::greeting_on(Server::on("127.0.0.2:80"), "hello");
    let outside = node!("listen-listen 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let _inside = node!("connect-connect {link} srv.test:80");
    let first = outside.dial();
    answer(&names, SERVER);
    assert_same(&first.receive_to_eof(), b"hello");
    let_pass(ANSWER_IS_OLD);
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

fn names_that_hang_hold_up_no_other_name() {
    let _hosts = Hosts::new("127.0.0.2 srv\n");
    let _nobody_answers = NameServer::start();
    let _service = Service::greeting_on(Server::on("127.0.0.2:80"), "hello");
    let hanging: String = (0..20)
        .map(|n| format!("127.0.0.1:0 slow-{n}.test:80 "))
        .collect();
    let tcpfwd = node!("tcpfwd {hanging} 127.0.0.1:0 srv:80");
    let _waiting: Vec<_> = (0..20)
        .map(|n| relay_tests::End::dial(tcpfwd.address(n)))
        .collect();
    let client = relay_tests::End::dial(tcpfwd.address(20));
    assert_same(&client.receive_to_eof(), b"hello");
}

fn a_name_that_was_never_known_fails_with_the_reason() {
    let _nobody_answers = NameServer::start();
    let tcpfwd = node!("tcpfwd --connect-timeout 500ms 127.0.0.1:0 srv.test:80");
    tcpfwd.dial().expect_reset();
    tcpfwd
        .stderr
        .wait_for("unable to look up srv.test: no answer from the name server");
}

fn a_name_is_looked_up_again_when_a_dial_to_it_fails() {
    let hosts = Hosts::new("127.0.0.2 srv\n");
    let service = Service::greeting_on(Server::on("127.0.0.2:80"), "two");
    let tcpfwd = node!("tcpfwd -v 127.0.0.1:0 srv:80");
    assert_same(&tcpfwd.dial().receive_to_eof(), b"two");
    drop(service);
    hosts.replace("127.0.0.3 srv\n");
    let _service = Service::greeting_on(Server::on("127.0.0.3:80"), "three");
    eventually("the new address is dialled", || {
        tcpfwd.dial().receive_to_any_end() == b"three"
    });
    tcpfwd.stderr.wait_for("srv is now 127.0.0.3");
}

fn a_name_in_use_that_changes_is_followed() {
    let hosts = Hosts::new("127.0.0.2 srv\n");
    let _services = [("127.0.0.2:80", "two"), ("127.0.0.3:80", "three")]
        .map(|(address, greeting)| Service::greeting_on(Server::on(address), greeting));
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 srv:80");
    assert_same(&tcpfwd.dial().receive_to_eof(), b"two");
    hosts.replace("127.0.0.3 srv\n");
    let_pass(LOOKUP_REFRESH);
    eventually("the new address is dialled", || {
        tcpfwd.dial().receive_to_eof() == b"three"
    });
}

/// Answers both queries of a lookup.
fn answer(names: &NameServer, address: Ipv4Addr) {
    for _ in 0..2 {
        let query = names.receive();
        names.answer(&query, address);
    }
}

const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Longer than an answer counts as new.
const ANSWER_IS_OLD: Duration = Duration::from_secs(3);
/// The age from which an answer is looked up again in the background.
const LOOKUP_REFRESH: Duration = Duration::from_secs(30);
