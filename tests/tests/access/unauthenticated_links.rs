//! A peer on the link port that is no node gets no session, harms no other peer, and does not fill the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use relay_tests::counters::number_of;
use relay_tests::data::{assert_same, noise};
use relay_tests::network::Hosts;
use relay_tests::{
    End, KeyFile, Node, Server, Service, TIMEOUT, eventually, kernel, network_tests, node, wire,
};

network_tests! {
    a_flood_from_one_outside_node_does_not_keep_clients_of_another_waiting
}

#[test]
fn unauthenticated_links_are_closed_while_a_session_continues() {
    let server = Server::start();
    let outside = Node::outside();
    let _inside = Node::inside(&outside, &server);
    let client = outside.dial();
    client.send(b"hello");
    let inside = server.accept();
    inside.expect(b"hello");
    for greeting in greetings() {
        let stranger = End::dial(outside.link());
        // It may be closed before it has sent all.
        let _ = stranger.try_send(&greeting);
        stranger.receive_to_any_end();
    }
    client.send(b"still here");
    inside.expect(b"still here");
}

#[test]
fn a_peer_that_only_checks_whether_the_port_is_open_is_logged_as_such() {
    let outside = Node::outside();
    drop(End::dial(outside.link()));
    let why = "is not a link: it was closed before a greeting";
    outside.stderr.wait_for(why);
}

#[test]
fn a_silent_unauthenticated_link_is_closed_after_five_seconds() {
    let outside = Node::outside();
    let since = Instant::now();
    End::dial(outside.link()).receive_to_any_end();
    let seconds = since.elapsed().as_secs_f32();
    assert!((4.5..8.0).contains(&seconds), "after {seconds} s");
}

#[test]
fn an_unauthenticated_link_never_gets_a_client() {
    let outside = Node::outside();
    let client = outside.dial();
    client.send(b"for the server");
    for greeting in greetings() {
        let stranger = End::dial(outside.link());
        let _ = stranger.try_send(&greeting);
        let seen = stranger.receive_to_any_end();
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.contains("for the server"), "{seen}");
    }
    let service = Service::echo();
    let _inside = Node::inside(&outside, &service);
    client.expect(b"for the server");
}

#[test]
fn many_unauthenticated_links_cost_one_line_of_the_log() {
    let outside = Node::outside();
    thread::scope(|side_by_side| {
        for _ in 0..4 {
            side_by_side.spawn(|| {
                for _ in 0..25 {
                    let stranger = End::dial(outside.link());
                    stranger.send(b"GET / HTTP/1.0\r\n\r\n");
                    stranger.receive_to_any_end();
                }
            });
        }
    });
    let lines = outside.stderr.text().lines().count();
    assert!(lines <= 1, "{}", outside.stderr.text());
}

#[test]
fn an_inside_node_that_dials_a_web_server_logs_it_and_continues() {
    let service = Service::greeting("HTTP/1.0 400 Bad Request\r\n\r\n");
    let mut inside = node!("connect-connect {service} 127.0.0.1:9");
    inside.stderr.wait_for(&service.to_string());
    assert!(inside.is_running());
}

#[test]
fn a_flood_of_unauthenticated_links_does_not_keep_a_node_out() {
    let outside = Node::outside();
    let _silent: Vec<End> = (0..200).map(|_| End::dial(outside.link())).collect();
    let service = Service::greeting("hello");
    let _inside = Node::inside(&outside, &service);
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

#[test]
fn a_steady_flood_of_unauthenticated_links_keeps_neither_nodes_nor_clients_out() {
    let service = Service::greeting("hello");
    let outside = node!("listen-listen 127.0.0.1:0 127.0.0.1:0");
    let is_over = AtomicBool::new(false);
    thread::scope(|side_by_side| {
        let flood = || {
            let mut silent = VecDeque::new();
            for stranger in 0_u32.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let from = format!("127.0.0.{}:0", 2 + stranger % 200);
                silent.push_back(End::dial_from(&from, outside.link()));
                if silent.len() > 500 {
                    silent.pop_front();
                }
            }
        };
        side_by_side.spawn(flood);
        // The flood ends with the test, even if the test fails.
        let _over = OnDrop(|| is_over.store(true, Ordering::Relaxed));
        eventually("they are shown out", || {
            number_of(&outside, "strangers") > 1000
        });
        let _inside = Node::inside(&outside, &service);
        for _ in 0..50 {
            assert_same(&outside.dial().receive_to_eof(), b"hello");
        }
        // The limit, those of one turn, the node's links, listeners and clients.
        let sockets = kernel::sockets(outside.pid());
        assert!(sockets < 128 + 64 + 50, "{sockets} sockets");
    });
    let text = outside.stderr.text();
    assert!(text.matches("is not a link").count() <= 1, "{text}");
}

#[test]
fn unauthenticated_raw_links_displace_each_other_and_no_node() {
    let key = KeyFile::of(&[1]);
    let service = Service::greeting("hello");
    let outside = node!("listen-listen --raw --key-file {key} 127.0.0.1:0 127.0.0.1:0");
    // As many as wait may dial at once.
    let clients: Vec<End> = (0..20).map(|_| outside.dial()).collect();
    eventually("the link port is open", || {
        End::try_dial(outside.link()).is_ok()
    });
    let _silent: Vec<End> = (0..200)
        .map(|stranger| End::dial_from(&format!("127.0.0.{}:0", 2 + stranger % 20), outside.link()))
        .collect();
    let link = outside.link();
    let _inside = node!("connect-connect --raw --interval 50ms --key-file {key} {link} {service}");
    for client in clients {
        assert_same(&client.receive_to_eof(), b"hello");
    }
    assert!(number_of(&outside, "strangers") >= 200 - 128);
}

#[test]
fn a_flood_on_one_link_does_not_keep_clients_of_another_waiting() {
    let service = Service::greeting("hello");
    let mut outside =
        node!("listen-listen --drain-timeout 200ms 127.0.0.1:0 other=127.0.0.1:0 127.0.0.1:0");
    let _inside = Node::inside(&outside, &service);
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    let flooding = End::dial(outside.link());
    // It gets no client, which would wait in vain.
    wire::enter(&flooding, "other");
    thread::spawn(move || wire::flood(flooding));
    expect_served_soon(&outside);
    outside.signal(Signal::SIGTERM);
    let since = Instant::now();
    outside.exit_code();
    assert!(since.elapsed() < SOON, "after {:?}", since.elapsed());
}

// The inside node serves two outside nodes, and one of them does not authenticate.
fn a_flood_from_one_outside_node_does_not_keep_clients_of_another_waiting() {
    let _hosts = Hosts::new("127.0.0.2 ll\n127.0.0.3 ll\n127.0.0.1 localhost\n");
    let service = Service::greeting("hello");
    let outside = node!("listen-listen 127.0.0.1:0 127.0.0.2:8001");
    let (flooded, floods) = mpsc::channel();
    let _flooding = Service::on(Server::on("127.0.0.3:8001"), move |link| {
        wire::welcome(&link);
        let _ = flooded.send(());
        wire::flood(link);
    });
    let mut inside = node!("connect-connect --idle 1 --drain-timeout 200ms ll:8001 {service}");
    assert_eq!(floods.recv_timeout(TIMEOUT), Ok(()));
    expect_served_soon(&outside);
    inside.signal(Signal::SIGTERM);
    let since = Instant::now();
    inside.exit_code();
    assert!(since.elapsed() < SOON, "after {:?}", since.elapsed());
}

fn expect_served_soon(outside: &Node) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let since = Instant::now();
        assert_same(&outside.dial().receive_to_eof(), b"hello");
        assert!(since.elapsed() < SOON, "after {:?}", since.elapsed());
    }
}

/// The first bytes of peers that are no nodes.
fn greetings() -> Vec<Vec<u8>> {
    vec![
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec(),
        // A TLS ClientHello: a handshake record of version 3.1, and its body.
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
            &noise(1, 512),
        ]
        .concat(),
        // A SOCKS5 greeting.
        b"\x05\x01\x00".iter().copied().chain([0; 61]).collect(),
        b"SSH-2.0-OpenSSH_9.2\r\n"
            .iter()
            .copied()
            .chain([b' '; 64])
            .collect(),
        vec![0; 1000],
        vec![0xff; 1000],
        // The type of a frame, and the greatest length that can be written.
        [b"\x80\xff\xff\xff".as_slice(), &noise(2, 8192)].concat(),
        noise(3, 100_000),
    ]
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Much longer than a client takes that does not wait for others.
const SOON: Duration = Duration::from_secs(1);
