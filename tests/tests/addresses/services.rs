//! Which listening port leads to which server port: names, ranges, lists and pairs.

use nix::sys::signal::Signal;
use relay_tests::data::assert_same;
use relay_tests::{End, Launch, Server, Service, network_tests, node};

network_tests! {
    the_nth_port_of_a_range_leads_to_the_nth,
    ranges_and_single_ports_make_one_list,
    a_server_of_one_port_serves_a_whole_range,
    tcpfwd_maps_ranges_and_takes_several_pairs
}

fn the_nth_port_of_a_range_leads_to_the_nth() {
    let _services = three_services();
    let _outside = node!("listen-listen 127.0.0.1:2000-2002 127.0.0.1:8001");
    let _inside = node!("connect-connect 127.0.0.1:8001 127.0.0.1:3000-3002");
    expect_greetings(&["127.0.0.1:2000", "127.0.0.1:2001", "127.0.0.1:2002"]);
}

fn ranges_and_single_ports_make_one_list() {
    let _services = three_services();
    let _outside = node!("listen-listen 127.0.0.1:2000 127.0.0.1:2001-2002 127.0.0.1:8001");
    let _inside = node!("connect-connect 127.0.0.1:8001 127.0.0.1:3000-3001 127.0.0.1:3002");
    expect_greetings(&["127.0.0.1:2000", "127.0.0.1:2001", "127.0.0.1:2002"]);
}

fn a_server_of_one_port_serves_a_whole_range() {
    let _services = three_services();
    let _outside = node!("listen-listen 127.0.0.1:2000-2002 127.0.0.1:8001");
    let _inside = node!("connect-connect 127.0.0.1:8001 127.0.0.1:3001");
    for client in ["127.0.0.1:2000", "127.0.0.1:2001", "127.0.0.1:2002"] {
        assert_same(&End::dial(client).receive_to_eof(), b"one");
    }
}

fn tcpfwd_maps_ranges_and_takes_several_pairs() {
    let _services = three_services();
    let _tcpfwd =
        node!("tcpfwd 127.0.0.1:2000-2001 127.0.0.1:3000-3001 127.0.0.1:2002 127.0.0.1:3002");
    expect_greetings(&["127.0.0.1:2000", "127.0.0.1:2001", "127.0.0.1:2002"]);
}

#[test]
fn a_name_leads_to_the_server_of_that_name() {
    let (web, mail) = (Service::greeting("web"), Service::greeting("mail"));
    let outside = node!("listen-listen web=127.0.0.1:0 mail=127.0.0.1:0 127.0.0.1:0");
    // The order of the names does not matter.
    let _inside = node!("connect-connect {} mail={mail} web={web}", outside.link());
    assert_same(&End::dial(outside.address(0)).receive_to_eof(), b"web");
    assert_same(&End::dial(outside.address(1)).receive_to_eof(), b"mail");
}

#[test]
fn names_may_be_served_by_different_inside_nodes() {
    let (web, mail) = (Service::greeting("web"), Service::greeting("mail"));
    let outside = node!("listen-listen web=127.0.0.1:0 mail=127.0.0.1:0 127.0.0.1:0");
    let _web = node!("connect-connect {} web={web}", outside.link());
    let _mail = node!("connect-connect {} mail={mail}", outside.link());
    for _ in 0..5 {
        assert_same(&End::dial(outside.address(0)).receive_to_eof(), b"web");
        assert_same(&End::dial(outside.address(1)).receive_to_eof(), b"mail");
    }
}

#[test]
fn a_client_of_a_name_does_not_fall_back_to_another() {
    let web = Service::greeting("web");
    let outside = node!(
        "listen-listen --heartbeat 1s --wait-timeout 2600ms web=127.0.0.1:0 mail=127.0.0.1:0 127.0.0.1:0"
    );
    let _inside = node!("connect-connect {} web={web}", outside.link());
    assert_same(&End::dial(outside.address(0)).receive_to_eof(), b"web");
    End::dial(outside.address(1)).expect_reset();
    outside
        .stderr
        .wait_for("on mail=127.0.0.1:0: no inside node that is linked has service mail");
}

#[test]
fn what_an_inside_node_does_not_serve_is_told_when_it_links() {
    let outside = node!("listen-listen -v web=127.0.0.1:0 127.0.0.1:0 127.0.0.1:0");
    let _inside = node!("connect-connect {} web=80", outside.link());
    let said = outside.stderr.wait_for(" linked from ");
    assert!(said.ends_with(", without the nameless service"), "{said}");
}

#[test]
fn nodes_without_a_service_in_common_say_what_each_has() {
    let outside = node!("listen-listen web=127.0.0.1:0 127.0.0.1:0");
    let inside = node!("connect-connect {} 80 www=80", outside.link());
    let both = "outside there is service web, inside the nameless service, service www";
    inside.stderr.wait_for(both);
    outside.stderr.wait_for(both);
}

#[test]
fn lists_of_different_length_are_refused_between_the_nodes() {
    let server = Server::start();
    let outside = node!("listen-listen 127.0.0.1:0 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let inside = node!("connect-connect {link} {server} {server} {server}");
    let said = inside.stderr.wait_for("connect-connect: ");
    assert!(said.contains('2') && said.contains('3'), "{said}");
}

#[test]
fn lists_of_different_length_are_refused_by_tcpfwd() {
    let outcome = Launch::new("tcpfwd 127.0.0.1:2000-2002 127.0.0.1:3000-3001").run();
    assert_eq!(outcome.code, 100, "{}", outcome.stderr);
}

#[test]
fn an_inside_node_that_is_refused_may_be_replaced_by_one_that_fits() {
    let service = Service::greeting("hello");
    let outside = node!("listen-listen 127.0.0.1:0 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let refused = node!("connect-connect {link} {service} {service} {service}");
    refused.stderr.wait_for("connect-connect: ");
    refused.signal(Signal::SIGTERM);
    let _fitting = node!("connect-connect {link} {service} {service}");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

/// Services on the ports 3000, 3001 and 3002, which send "zero", "one" and "two".
fn three_services() -> [Service; 3] {
    [
        ("127.0.0.1:3000", "zero"),
        ("127.0.0.1:3001", "one"),
        ("127.0.0.1:3002", "two"),
    ]
    .map(|(address, greeting)| Service::greeting_on(Server::on(address), greeting))
}

fn expect_greetings(addresses: &[&str; 3]) {
    for (address, greeting) in addresses.iter().zip(["zero", "one", "two"]) {
        assert_same(&End::dial(address).receive_to_eof(), greeting.as_bytes());
    }
}
