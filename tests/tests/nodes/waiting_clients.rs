//! A client that finds no link waits for one: in order, until a timeout, and under the same rules as other clients.

use std::time::Instant;

use relay_tests::data::assert_same;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{Node, Server, Service, eventually, kernel, node};

#[test]
fn a_client_that_came_too_early_is_served_when_the_inside_node_comes() {
    let outside = Node::outside();
    let client = outside.dial();
    client.send(b"question");
    let server = Server::start();
    let _inside = Node::inside(&outside, &server);
    let inside = server.accept();
    inside.expect(b"question");
    inside.send(b"answer");
    client.expect(b"answer");
}

#[test]
fn a_client_that_sent_its_end_of_file_before_a_link_came_is_served() {
    let outside = Node::outside();
    let client = outside.dial();
    client.send(b"request");
    client.shutdown_write();
    client.expect_silence(A_WHILE);
    let service = Service::echo();
    let _inside = Node::inside(&outside, &service);
    assert_same(&client.receive_to_eof(), b"request");
}

#[test]
fn a_client_that_resets_while_it_waits_is_dropped() {
    let outside = Node::outside();
    let sockets = kernel::sockets(outside.pid());
    let dropped = outside.dial();
    dropped.send(b"dropped");
    eventually("it is accepted", || {
        kernel::sockets(outside.pid()) > sockets
    });
    dropped.reset();
    eventually("it is forgotten", || {
        kernel::sockets(outside.pid()) == sockets
    });
    let served = outside.dial();
    served.send(b"served");
    let server = Server::start();
    let _inside = Node::inside(&outside, &server);
    server.accept().expect(b"served");
    server.expect_nobody(A_WHILE);
}

#[test]
fn clients_are_served_in_the_order_they_came() {
    let outside = Node::outside();
    let clients: Vec<_> = (0..5_u8).map(|_| outside.dial()).collect();
    for (number, client) in (0..).zip(&clients) {
        client.send(&[number]);
    }
    let server = Server::start();
    let link = outside.link();
    let _inside = node!("connect-connect --max-links 1 {link} {server}");
    for (number, _client) in (0..).zip(clients) {
        // The session ends here, and the next one begins.
        server.accept().expect(&[number]);
    }
}

#[test]
fn more_clients_than_links_are_served_once_there_are_more() {
    let outside = Node::outside();
    let clients: Vec<_> = (0..40).map(|_| outside.dial()).collect();
    let server = Server::start();
    let link = outside.link();
    let _inside = node!("connect-connect --idle 1 {link} {server}");
    let sessions: Vec<_> = clients.iter().map(|_| server.accept()).collect();
    for session in &sessions {
        session.send(b"hello");
    }
    for client in &clients {
        client.expect(b"hello");
    }
}

#[test]
fn a_client_that_has_waited_long_enough_is_reset() {
    let outside =
        node!("listen-listen --heartbeat 1s --wait-timeout 2600ms 127.0.0.1:0 127.0.0.1:0");
    let since = Instant::now();
    outside.dial().expect_reset();
    assert!(
        since.elapsed().as_millis() >= 2500,
        "after {:?}",
        since.elapsed()
    );
}

#[test]
fn a_client_that_the_queue_has_no_room_for_is_served_after_those_before_it() {
    let outside = node!("listen-listen --queue 2 127.0.0.1:0 127.0.0.1:0");
    let clients: Vec<_> = (0..4).map(|_| outside.dial()).collect();
    let service = Service::greeting("hello");
    let _inside = Node::inside(&outside, &service);
    for client in &clients {
        assert_same(&client.receive_to_eof(), b"hello");
    }
}
