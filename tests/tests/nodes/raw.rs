//! `--raw`: a link carries one session and nothing more, and an open link port is the signal.

use std::time::{Duration, Instant};

use relay_tests::data::assert_same;
use relay_tests::scratch::Scratch;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{
    End, Launch, Node, ReservedPort, Server, Service, eventually, kernel, needs, node,
};

#[test]
fn the_link_port_is_closed_while_no_client_waits() {
    let outside = start_outside();
    assert!(End::try_dial(outside.link()).is_err());
    let client = outside.dial();
    let link = eventually_dial(outside.link());
    link.send(b"hello");
    client.expect(b"hello");
    assert!(End::try_dial(outside.link()).is_err());
}

#[test]
fn one_link_is_let_in_for_each_client_that_waits() {
    let outside = start_outside();
    let sockets = kernel::sockets(outside.pid());
    let clients: Vec<End> = (0..3).map(|_| outside.dial()).collect();
    // The port closes when no client waits, and links that were not accepted are reset. So all clients wait first.
    eventually("all wait", || {
        kernel::sockets(outside.pid()) == sockets + clients.len()
    });
    let mut links = Vec::new();
    for _ in &clients {
        links.push(eventually_dial(outside.link()));
    }
    for _ in 0..4 {
        // The port is closed a moment after the last link was accepted, and links that connected meanwhile are reset.
        if let Ok(surplus) = End::try_dial(outside.link()) {
            // A link whose handshake was not finished then is reset when it sends.
            let _ = surplus.try_send(b"surplus");
            surplus.expect_reset();
        }
    }
    for (number, link) in (0..).zip(&links) {
        link.send(&[number]);
    }
    // The first link is for the client that has waited longest.
    for (number, client) in (0..).zip(&clients) {
        client.expect(&[number]);
    }
}

#[test]
fn the_link_port_is_closed_when_the_client_has_gone() {
    let outside = start_outside();
    let port = outside.link().rsplit_once(':').unwrap().1.parse().unwrap();
    let client = outside.dial();
    eventually("the link port opens", || kernel::is_listening(port));
    client.reset();
    eventually("the link port closes", || !kernel::is_listening(port));
}

#[test]
fn a_client_that_has_sent_its_end_of_file_keeps_the_link_port_open() {
    let outside = start_outside();
    let client = outside.dial();
    client.send(b"request");
    client.shutdown_write();
    client.expect_silence(A_WHILE);
    let link = eventually_dial(outside.link());
    assert_same(&link.receive_to_eof(), b"request");
    link.send(b"answer");
    drop(link);
    assert_same(&client.receive_to_eof(), b"answer");
}

#[test]
fn netcat_is_an_inside_node() {
    needs!("nc");
    let outside = start_outside();
    let client = outside.dial();
    client.send(b"question");
    client.shutdown_write();
    let port = outside.link().replace(':', " ");
    let netcat = Launch::shell(&format!(
        "until printf answer | nc -N {port}; do sleep 0.05; done"
    ))
    .run();
    assert_eq!(netcat.stdout, b"question");
    assert_same(&client.receive_to_eof(), b"answer");
}

#[test]
fn netcat_is_an_outside_node() {
    needs!("nc");
    let service = Service::echo();
    let link = ReservedPort::new();
    let _inside = start_inside(&link.to_string(), &service.to_string());
    let netcat = Launch::shell(&format!(
        "printf hello | nc -N -l 127.0.0.1 {}",
        link.number()
    ))
    .run();
    assert_eq!(netcat.stdout, b"hello");
}

#[test]
fn the_inside_node_dials_the_server_only_when_a_link_is_there() {
    let (outside, server) = (ReservedPort::new(), Server::start());
    let _inside = start_inside(&outside.to_string(), &server.to_string());
    server.expect_nobody(A_WHILE);
    let outside = Server::on(&outside.to_string());
    let link = outside.accept();
    link.send(b"hello");
    server.accept().expect(b"hello");
}

#[test]
fn the_inside_node_dials_again_while_a_session_runs() {
    let (outside, server) = (Server::start(), Server::start());
    let _inside = start_inside(&outside.to_string(), &server.to_string());
    let links: Vec<End> = (0..3)
        .map(|_| {
            let link = outside.accept();
            link.send(b"!");
            link
        })
        .collect();
    for _ in &links {
        server.accept().expect(b"!");
    }
}

#[test]
fn a_client_that_has_waited_long_enough_is_reset() {
    let outside = node!("listen-listen --raw --wait-timeout 300ms 127.0.0.1:0 127.0.0.1:0");
    outside.dial().expect_reset();
}

#[test]
fn a_silent_dial_on_the_link_port_does_not_stop_the_next_client() {
    let outside = start_outside();
    let first = outside.dial();
    let silent = eventually_dial(outside.link());
    // The port is closed a moment after the link was accepted. A dial before that would be reset.
    let port = outside.link().rsplit_once(':').unwrap().1.parse().unwrap();
    eventually("the link port closes", || !kernel::is_listening(port));
    let second = outside.dial();
    let link = eventually_dial(outside.link());
    link.send(b"hello");
    second.expect(b"hello");
    drop(silent);
    first.expect_eof();
}

#[test]
fn a_unix_link_serves_clients_in_turn_and_is_closed_in_between() {
    let scratch = Scratch::new();
    let link = format!("unix:{}", scratch.file("link").display());
    let outside = node!("listen-listen --raw 127.0.0.1:0 {link}");
    for message in [b"first", b"again", b"third"] {
        assert!(End::try_dial(&link).is_err(), "the link port is open");
        let client = outside.dial();
        let inside = eventually_dial(&link);
        inside.send(message);
        client.expect(message);
    }
}

#[test]
fn the_inside_node_finds_a_unix_link_again_and_again() {
    let scratch = Scratch::new();
    let link = format!("unix:{}", scratch.file("link").display());
    let service = Service::echo();
    let outside = node!("listen-listen --raw 127.0.0.1:0 {link}");
    let _inside = start_inside(&link, &service.to_string());
    for _ in 0..3 {
        let client = outside.dial();
        client.send(b"hello");
        client.expect(b"hello");
    }
}

// A dial that reaches the link port between two clients, and is dropped there, is repeated by the kernel a second
// later; meanwhile the next client waits.
#[test]
fn no_client_waits_for_a_dial_to_be_repeated() {
    let service = Service::echo();
    let outside = start_outside();
    let link = outside.link();
    let _inside = node!("connect-connect --raw --interval 100ms {link} {service}");
    for number in 0..30 {
        let since = Instant::now();
        let client = outside.dial();
        client.send(b"hello");
        client.expect(b"hello");
        let waited = since.elapsed();
        assert!(waited < REPEATED, "client {number} waited {waited:?}");
    }
}

/// Dials until the port is open, as inside nodes do.
fn eventually_dial(address: &str) -> End {
    relay_tests::timeouts::eventually_some("the link port opens", || End::try_dial(address).ok())
}

fn start_outside() -> Node {
    node!("listen-listen --raw 127.0.0.1:0 127.0.0.1:0")
}

fn start_inside(link: &str, server: &str) -> Node {
    node!("connect-connect --raw --interval 50ms {link} {server}")
}

/// Less than the second after which TCP repeats a SYN that was not answered, and much more than all other steps take.
const REPEATED: Duration = Duration::from_millis(900);
