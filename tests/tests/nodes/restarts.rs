//! Either of the two nodes may start first, end, be killed and come back.

use std::time::Duration;

use nix::sys::signal::Signal;
use relay_tests::data::{MIB, assert_prefix, assert_same, noise};
use relay_tests::plan::{Route, Topology};
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{End, Node, Plan, ReservedPort, Server, Service, eventually, kernel, node};

#[test]
fn the_inside_node_may_be_started_first() {
    let service = Service::greeting("hello");
    let link = ReservedPort::new();
    let inside = node!("connect-connect --interval 100ms {link} {service}");
    inside.stderr.wait_for(&link.to_string());
    let outside = node!("listen-listen 127.0.0.1:0 {link}");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

#[test]
fn the_inside_node_may_come_back() {
    let service = Service::greeting("hello");
    let outside = Node::outside();
    for _ in 0..3 {
        let inside = Node::inside(&outside, &service);
        assert_same(&outside.dial().receive_to_eof(), b"hello");
        drop(inside);
    }
}

#[test]
fn the_outside_node_may_come_back() {
    let service = Service::greeting("hello");
    let (clients, link) = (ReservedPort::new(), ReservedPort::new());
    let _inside = node!("connect-connect --interval 100ms {link} {service}");
    for _ in 0..3 {
        let outside = node!("listen-listen {clients} {link}");
        assert_same(&outside.dial().receive_to_eof(), b"hello");
        drop(outside);
    }
}

#[test]
fn an_outage_soon_after_another_is_logged_too() {
    let link = ReservedPort::new();
    let inside = node!("connect-connect -v {link} 80");
    inside.stderr.wait_for("warning: ");
    let outside = node!("listen-listen 127.0.0.1:0 {link}");
    inside.stderr.wait_for("linked to");
    // A link that breaks sooner may break again and again, and that is logged once a minute.
    let_pass(Duration::from_secs(5));
    outside.signal(Signal::SIGKILL);
    inside.stderr.wait_for_number("warning: ", 2);
}

#[test]
fn an_inside_node_that_is_killed_resets_both_ends() {
    let (client, server, route) = session();
    route.innermost().signal(Signal::SIGKILL);
    client.expect_reset();
    server.expect_reset();
}

#[test]
fn an_outside_node_that_is_killed_resets_both_ends() {
    let (client, server, route) = session();
    route.outermost().signal(Signal::SIGKILL);
    client.expect_reset();
    server.expect_reset();
}

#[test]
fn an_inside_node_that_is_killed_resets_a_client_that_has_sent_its_end_of_file() {
    let (client, server, route) = session();
    client.shutdown_write();
    server.expect_eof();
    route.innermost().signal(Signal::SIGKILL);
    client.expect_reset();
    eventually("the server is told", || server.try_send(b"answer").is_err());
}

#[test]
fn an_outside_node_that_is_killed_resets_a_client_that_waits() {
    let outside = Node::outside();
    let client = outside.dial();
    client.expect_silence(A_WHILE);
    outside.signal(Signal::SIGKILL);
    client.expect_reset();
}

#[test]
fn a_client_comes_to_no_harm_when_an_idle_inside_node_is_killed() {
    let service = Service::greeting("hello");
    let outside = Node::outside();
    let killed = Node::inside(&outside, &service);
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    killed.signal(Signal::SIGKILL);
    let client = outside.dial();
    let _another = Node::inside(&outside, &service);
    assert_same(&client.receive_to_eof(), b"hello");
}

#[test]
fn a_refused_server_does_not_cost_the_link() {
    let nobody = ReservedPort::new();
    let outside = Node::outside();
    let _inside = Node::inside(&outside, &nobody);
    for _ in 0..5 {
        outside.dial().expect_reset();
    }
    let server = Server::on(&nobody.to_string());
    let client = outside.dial();
    client.send(b"hello");
    server.accept().expect(b"hello");
}

#[test]
fn uploads_that_are_reset_while_the_server_stalls_do_not_cost_the_links() {
    reset_uploads_while_the_server_stalls("");
}

#[test]
fn uploads_that_are_reset_while_the_server_stalls_do_not_cost_the_links_by_copying() {
    reset_uploads_while_the_server_stalls("--no-splice");
}

// What a link could not send of one session must not block the sessions after it.
fn reset_uploads_while_the_server_stalls(options: &str) {
    let server = Server::start();
    let route = Plan::through(Topology::BothNodes).with(options).to(&server);
    let chunk = noise(1, MIB);
    for _ in 0..3 {
        let client = route.dial();
        let served = server.accept();
        let sent = client.send_until_stalled(&chunk, A_WHILE);
        client.reset();
        let upload: Vec<u8> = chunk.iter().copied().cycle().take(sent).collect();
        assert_prefix(&served.receive_to_reset(), &upload);
    }
    let client = route.dial();
    client.send(b"hello");
    server.accept().expect(b"hello");
    for node in route.nodes() {
        kernel::expect_little_work(node.pid());
    }
}

/// A session through both nodes, on which a byte has passed: until then a client may be given another link.
fn session() -> (End, End, Route) {
    let (client, server, route) = Plan::through(Topology::BothNodes).session();
    server.send(b"ready");
    client.expect(b"ready");
    (client, server, route)
}
