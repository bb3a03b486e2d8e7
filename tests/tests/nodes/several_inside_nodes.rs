//! Several inside nodes of one outside node share the load, and replace each other on a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use relay_tests::data::assert_same;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{Node, ReservedPort, Server, Service, eventually};

#[test]
fn two_inside_nodes_share_the_load() {
    let (outside, _nodes) = two_inside_nodes();
    let mut served = [0, 0];
    for _ in 0..20 {
        match outside.dial().receive_to_eof().as_slice() {
            b"left" => served[0] += 1,
            b"right" => served[1] += 1,
            other => panic!("{other:?} is neither of them"),
        }
    }
    assert!(
        served.into_iter().all(|sessions| sessions >= 5),
        "{served:?}"
    );
}

#[test]
fn one_inside_node_stands_in_for_another_that_is_killed() {
    let (outside, [(left, _service), _right]) = two_inside_nodes();
    left.signal(Signal::SIGKILL);
    drop(left);
    for _ in 0..20 {
        assert_same(&outside.dial().receive_to_eof(), b"right");
    }
}

#[test]
fn a_client_that_one_server_refuses_is_served_by_the_other() {
    let nobody = ReservedPort::new();
    let service = Service::greeting("right");
    let outside = Node::outside();
    let _refusing = Node::inside(&outside, &nobody);
    outside.dial().expect_reset();
    let _serving = Node::inside(&outside, &service);
    eventually("the other node serves", || {
        outside.dial().receive_to_any_end() == b"right"
    });
    for _ in 0..20 {
        assert_same(&outside.dial().receive_to_eof(), b"right");
    }
}

#[test]
fn what_a_client_sent_before_a_refusal_reaches_the_other_server_once() {
    let nobody = ReservedPort::new();
    let server = Server::start();
    let outside = Node::outside();
    let request = || {
        let client = outside.dial();
        client.send(b"request");
        client.shutdown_write();
        assert_same(&server.accept().receive_to_eof(), b"request");
    };
    let _serving = Node::inside(&outside, &server);
    request();
    let refusing = Node::inside(&outside, &nobody);
    eventually("the other node refuses", || {
        request();
        refusing.stderr.count("connection refused") > 0
    });
    server.expect_nobody(A_WHILE);
}

#[test]
fn an_inside_node_that_ends_under_load_costs_no_session() {
    let (outside, [(mut left, _service), _right]) = two_inside_nodes();
    let loaded = AtomicBool::new(true);
    thread::scope(|side_by_side| {
        for _ in 0..8 {
            side_by_side.spawn(|| {
                while loaded.load(Ordering::Relaxed) {
                    assert!(!outside.dial().receive_to_eof().is_empty());
                }
            });
        }
        for _ in 0..50 {
            assert!(!outside.dial().receive_to_eof().is_empty());
        }
        left.signal(Signal::SIGTERM);
        assert_eq!(left.exit_code(), 0);
        for _ in 0..50 {
            assert_same(&outside.dial().receive_to_eof(), b"right");
        }
        loaded.store(false, Ordering::Relaxed);
    });
}

#[test]
fn an_inside_node_finishes_its_session_before_it_ends() {
    let server = Server::start();
    let outside = Node::outside();
    let mut ending = Node::inside(&outside, &server);
    let client = outside.dial();
    let inside = server.accept();
    ending.signal(Signal::SIGTERM);
    let service = Service::greeting("right");
    let _another = Node::inside(&outside, &service);
    assert_same(&outside.dial().receive_to_eof(), b"right");
    client.send(b"still here");
    client.shutdown_write();
    assert_same(&inside.receive_to_eof(), b"still here");
    drop(inside);
    client.expect_eof();
    assert_eq!(ending.exit_code(), 0);
}

/// An outside node and two linked inside nodes, whose services send "left" and "right".
fn two_inside_nodes() -> (Node, [(Node, Service); 2]) {
    let outside = Node::outside();
    let nodes = ["left", "right"].map(|greeting| {
        let service = Service::greeting(greeting);
        (Node::inside(&outside, &service), service)
    });
    for greeting in [b"left".as_slice(), b"right"] {
        eventually("both nodes serve", || {
            outside.dial().receive_to_eof() == greeting
        });
    }
    (outside, nodes)
}
