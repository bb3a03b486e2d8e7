//! What is logged of sessions: nothing by default, one line each with -v, and the same id in both nodes.

use std::io;

use relay_tests::data::assert_same;
use relay_tests::scratch::Scratch;
use relay_tests::{End, Launch, Node, ReservedPort, Running, Server, Service, node};

#[test]
fn sessions_are_not_logged_by_default() {
    let service = Service::greeting("hello");
    let mut tcpfwd = node!("tcpfwd --once 127.0.0.1:0 {service}");
    serve(&tcpfwd);
    assert_eq!(tcpfwd.exit_code(), 0);
    assert_same(&tcpfwd.stderr.wait_for_end(), b"");
}

#[test]
fn a_session_is_one_line_with_the_client_and_the_bytes() {
    let service = Service::echo();
    let tcpfwd = node!("tcpfwd -v 127.0.0.1:0 {service}");
    let client = tcpfwd.dial();
    client.send(b"four");
    client.shutdown_write();
    assert_same(&client.receive_to_eof(), b"four");
    let (from, to) = (client.local().to_string(), service.to_string());
    let line = session_line(&tcpfwd);
    for part in [
        &from,
        &to,
        "4 bytes to server",
        "4 bytes to client",
        "client closed first",
    ] {
        assert!(line.contains(part), "{part} is not in {line:?}");
    }
    assert_eq!(tcpfwd.stderr.count("session "), 1);
}

#[test]
fn the_line_of_a_session_shows_that_the_server_closed_first() {
    let server = Server::start();
    let tcpfwd = node!("tcpfwd -v 127.0.0.1:0 {server}");
    let client = tcpfwd.dial();
    drop(server.accept());
    client.expect_eof();
    drop(client);
    let line = session_line(&tcpfwd);
    assert!(line.contains("server closed first"), "{line}");
}

#[test]
fn a_log_that_may_grow_no_further_ends_nothing() {
    let service = Service::greeting("hello");
    let scratch = Scratch::new();
    let line = format!("ulimit -f 1; exec tcpfwd -v --print-address 127.0.0.1:0 {service} 2>log");
    let launch = Launch::shell(&line).directory(scratch.path());
    let tcpfwd = Node::announced(launch).unwrap();
    for _ in 0..20 {
        serve(&tcpfwd);
    }
    let length = scratch.read("log").len();
    assert!(length == 512 || length == 1024, "{length}");
}

#[test]
fn a_session_has_the_same_id_in_both_nodes() {
    let service = Service::greeting("hello");
    let outside = node!("listen-listen -v 127.0.0.1:0 127.0.0.1:0");
    let inside = node!("connect-connect -v {} {service}", outside.link());
    for _ in 0..2 {
        serve(&outside);
    }
    let ids =
        |node: &Node| [1, 2].map(|number| id(&node.stderr.wait_for_number("session ", number)));
    let (outside, inside) = (ids(&outside), ids(&inside));
    assert_eq!(outside, inside);
    assert_ne!(outside[0], outside[1]);
}

#[test]
fn a_refused_server_is_a_warning() {
    let nobody = ReservedPort::new();
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 {nobody}");
    tcpfwd.dial().expect_reset();
    let line = tcpfwd.stderr.wait_for(&nobody.to_string());
    assert_eq!(
        line,
        format!("tcpfwd: warning: unable to connect to {nobody}: connection refused")
    );
}

#[test]
fn quiet_leaves_warnings_out() {
    let nobody = ReservedPort::new();
    let mut tcpfwd = node!("tcpfwd -q --once 127.0.0.1:0 {nobody}");
    tcpfwd.dial().expect_reset();
    assert_eq!(tcpfwd.exit_code(), 111);
    assert_eq!(
        tcpfwd.stderr.count("warning"),
        0,
        "{}",
        tcpfwd.stderr.text()
    );
}

#[test]
fn a_line_may_be_a_json_object() {
    let service = Service::greeting("hello");
    let tcpfwd = node!("tcpfwd -v --log-format json 127.0.0.1:0 {service}");
    serve(&tcpfwd);
    let line = tcpfwd.stderr.wait_for("bytes_to_client");
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    assert!(line.contains("\"bytes_to_client\":5"), "{line}");
}

#[test]
fn a_wrong_command_line_is_reported_as_json_too() {
    for wrong in [
        "tcpfwd --log-format json --bogus 8080 80",
        "tcpfwd --bogus 8080 80 --log-format=json",
        "tcpfwd --log-format json",
        "tcpfwd --log-format json 8080",
    ] {
        let outcome = Launch::new(wrong).run();
        assert_eq!(outcome.code, 100, "{wrong}");
        assert!(!outcome.stderr.is_empty(), "{wrong}");
        for line in outcome.stderr.lines() {
            assert!(
                line.starts_with('{') && line.ends_with('}'),
                "{wrong}: {line}"
            );
        }
    }
}

// If the log takes no more, a message is dropped. A log that nobody reads does not stop the relay.
#[test]
fn a_log_that_nobody_reads_does_not_delay_sessions() {
    let service = Service::greeting("hello");
    let line = format!("tcpfwd -vv --print-address 127.0.0.1:0 {service}");
    let (_unread, log) = io::pipe().unwrap();
    let tcpfwd = Node::announced(Launch::new(&line).stderr(log)).unwrap();
    for _ in 0..1000 {
        serve(&tcpfwd);
    }
}

fn serve(node: &Node) {
    let client: End = node.dial();
    client.shutdown_write();
    assert_same(&client.receive_to_eof(), b"hello");
}

fn session_line(node: &Running) -> String {
    node.stderr.wait_for("session ")
}

/// The id in `… session ID from …`.
fn id(line: &str) -> String {
    let words = line.split(' ').skip_while(|word| *word != "session");
    words.skip(1).take(1).collect()
}
