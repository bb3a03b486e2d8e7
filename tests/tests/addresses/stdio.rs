//! `-` and `fd:`: an inherited connection, from a super-server, a pipeline, a file or a terminal.

use std::io::{Read, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use relay_tests::counters::{Counters, number_of};
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::peer::{self, Inetd, tcpserver};
use relay_tests::scratch::Scratch;
use relay_tests::terminal::Terminal;
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{
    End, Launch, Node, ReservedPort, Running, Server, Service, eventually, exchange, needs, node,
    program,
};

#[test]
fn one_session_needs_no_limit_of_sessions() {
    let service = Service::greeting("hello");
    let outcome = Launch::new(&format!("prlimit --nofile=1024:1024 tcpfwd -v - {service}")).run();
    assert!(
        !outcome.stderr.contains("--max-sessions"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn tcpserver_hands_its_clients_over() {
    needs!("tcpserver");
    let service = Service::echo();
    let (_tcpserver, address) = tcpserver(&format!("tcpfwd - {service}"));
    expect_echo(&address);
    expect_echo(&address);
}

#[test]
fn tcpserver_passes_the_address_of_the_client() {
    needs!("tcpserver");
    let server = Server::start();
    let (_tcpserver, address) = tcpserver(&format!("tcpfwd --send-proxy v1 - {server}"));
    let client = End::dial(&address);
    let (local, port) = (client.local(), client.peer().port());
    let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\n", local.port());
    server.accept().expect(header.as_bytes());
}

#[test]
fn behind_a_pipe_only_the_environment_knows_the_client() {
    let server = Server::start();
    let mut route = told_of_a_client(&format!("tcpfwd -v --send-proxy v1 - {server}")).spawn();
    drop(route.take_stdin());
    let session = server.accept();
    assert_same(
        &session.receive_to_eof(),
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1234 80\r\n",
    );
    drop(session);
    route.stderr.wait_for(" from 203.0.113.9:1234 to ");
    assert_eq!(route.exit_code(), 0);
}

#[test]
fn the_inside_node_learns_of_the_client_behind_a_pipe() {
    let server = Server::start();
    let link = ReservedPort::new();
    let mut outside = told_of_a_client(&format!("listen-listen - {link}")).spawn();
    let _inside = node!("connect-connect --send-proxy v1 {link} {server}");
    drop(outside.take_stdin());
    let session = server.accept();
    assert_same(
        &session.receive_to_eof(),
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1234 80\r\n",
    );
}

#[test]
fn the_client_that_the_environment_tells_of_may_be_denied() {
    let server = Server::start();
    let outcome = told_of_a_client(&format!("tcpfwd --deny 203.0.113.0/24 - {server}")).run();
    assert_eq!(outcome.code, 111, "{}", outcome.stderr);
    server.expect_nobody(A_WHILE);
}

#[test]
fn an_environment_of_nonsense_is_told_and_not_believed() {
    let server = Server::start();
    let launch = told_of_a_client(&format!("tcpfwd -v --send-proxy v1 - {server}"));
    let mut route = launch.env("TCPREMOTEPORT", "http").spawn();
    drop(route.take_stdin());
    let session = server.accept();
    assert_same(&session.receive_to_eof(), b"PROXY UNKNOWN\r\n");
    drop(session);
    route
        .stderr
        .wait_for("info: the client's address is not known: TCPREMOTEPORT is \"http\"");
    assert_eq!(route.exit_code(), 0);
}

#[test]
fn an_inherited_socket_is_asked_who_is_there() {
    let (server, listener) = (Server::start(), Server::start());
    let client = End::dial(&listener.to_string());
    let launch = Launch::new(&format!("tcpfwd -v --send-proxy v1 fd:0 {server}"));
    let route = launch.stdin(OwnedFd::from(listener.accept())).spawn();
    let port = client.local().port();
    let header = format!(
        "PROXY TCP4 127.0.0.1 127.0.0.1 {port} {}\r\n",
        listener.port()
    );
    let session = server.accept();
    session.expect(header.as_bytes());
    drop((session, client));
    route
        .stderr
        .wait_for(&format!(" from 127.0.0.1:{port} to "));
}

/// A command whose environment is that of a UCSPI server, and whose stdin is a pipe.
fn told_of_a_client(line: &str) -> Launch {
    Launch::new(line)
        .env("PROTO", "TCP")
        .env("TCPREMOTEIP", "203.0.113.9")
        .env("TCPREMOTEPORT", "1234")
        .env("TCPLOCALIP", "192.0.2.1")
        .env("TCPLOCALPORT", "80")
        .stdin(Stdio::piped())
}

#[test]
fn inetd_hands_each_client_over_with_nowait() {
    needs!("inetd");
    let service = Service::echo();
    let (_inetd, port) = inetd(&format!("nowait USER TCPFWD tcpfwd - {service}"));
    expect_echo(&port.to_string());
    expect_echo(&port.to_string());
}

#[test]
fn inetd_hands_the_listening_socket_over_with_wait() {
    needs!("inetd");
    let service = Service::echo();
    let (_inetd, port) = inetd(&format!("wait USER TCPFWD tcpfwd fd:0 {service}"));
    expect_echo(&port.to_string());
    expect_echo(&port.to_string());
}

#[test]
fn inetd_has_its_socket_back_after_expire() {
    needs!("inetd");
    let service = Service::echo();
    let (_inetd, port) = inetd(&format!(
        "wait USER TCPFWD tcpfwd --expire 100ms fd:0 {service}"
    ));
    for _ in 0..3 {
        expect_echo(&port.to_string());
        let_pass(A_WHILE);
    }
}

#[test]
fn messages_never_go_to_a_client_that_is_descriptor_2() {
    let nobody = ReservedPort::new();
    let (client, connection) = connected();
    let copy = || connection.try_clone().expect("a descriptor can be doubled");
    let mut tcpfwd = Launch::new(&format!("tcpfwd -v - {nobody}"))
        .stdin(copy())
        .stdout(copy())
        .stderr(copy())
        .spawn();
    drop(connection);
    assert_eq!(tcpfwd.exit_code(), 111);
    assert_same(&client.receive_to_any_end(), b"");
}

#[test]
fn a_usage_error_does_not_go_to_a_client_that_is_descriptor_2() {
    let (client, connection) = connected();
    let copy = || connection.try_clone().expect("a descriptor can be doubled");
    let mut tcpfwd = Launch::new("tcpfwd --nonsense -")
        .stdin(copy())
        .stdout(copy())
        .stderr(copy())
        .spawn();
    drop(connection);
    assert_eq!(tcpfwd.exit_code(), 100);
    assert_same(&client.receive_to_any_end(), b"");
}

#[test]
fn a_connection_on_descriptor_0_is_a_client() {
    let server = Server::start();
    let (client, connection) = connected();
    let mut tcpfwd = Launch::new(&format!("tcpfwd fd:0 {server}"))
        .stdin(connection)
        .spawn();
    let inside = server.accept();
    exchange(&client, &inside);
    assert_eq!(tcpfwd.exit_code(), 0);
}

#[test]
fn a_reset_of_the_server_resets_a_client_on_descriptor_0() {
    let server = Server::start();
    let (client, connection) = connected();
    let mut tcpfwd = Launch::new(&format!("tcpfwd fd:0 {server}"))
        .stdin(connection)
        .spawn();
    server.accept().reset();
    client.expect_reset();
    assert_eq!(tcpfwd.exit_code(), 111);
}

#[test]
fn an_urgent_byte_on_standard_input_keeps_its_place() {
    let server = Server::start();
    let (client, connection) = connected();
    client.send(b"abc");
    client.send_urgent(b'd');
    client.send(b"efg");
    let _tcpfwd = Launch::new(&format!("tcpfwd - {server}"))
        .stdin(connection)
        .stdout(Stdio::piped())
        .spawn();
    server.accept().expect(b"abcdefg");
}

#[test]
fn packets_on_standard_input_are_all_read() {
    let server = Server::start();
    let (outer, inner) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .unwrap();
    for packet in [b"one ", b"two ", b"six "] {
        send(outer.as_raw_fd(), packet, MsgFlags::empty()).unwrap();
    }
    let _tcpfwd = Launch::new(&format!("tcpfwd - {server}"))
        .stdin(inner)
        .stdout(Stdio::piped())
        .spawn();
    server.accept().expect(b"one two six ");
}

#[test]
fn it_is_a_stage_of_a_pipeline() {
    let service = Service::echo();
    let line = format!("printf 'one two three' | tcpfwd - {service} | tr a-z A-Z");
    let outcome = Launch::shell(&line).run();
    assert_eq!(
        (outcome.code, outcome.stdout.as_slice()),
        (0, b"ONE TWO THREE".as_slice()),
        "{}",
        outcome.stderr
    );
}

#[test]
fn much_goes_through_a_pipeline_with_a_slow_end() {
    let service = Service::echo();
    let message = noise(1, 4 * MIB);
    let line = format!("tcpfwd - {service} | {{ sleep 0.3; cat; }}");
    let mut pipeline = Launch::shell(&line).stdin(Stdio::piped()).spawn();
    let mut stdin = pipeline.take_stdin();
    thread::scope(|both| {
        both.spawn(|| {
            let written = stdin.write_all(&message);
            drop(stdin);
            written.unwrap();
        });
        assert_same(&pipeline.finish().stdout, &message);
    });
}

#[test]
fn a_pipeline_whose_next_stage_has_ended_is_told_by_the_exit_status() {
    let server = Server::start();
    let line = format!("{{ tcpfwd - {server} </dev/null; echo $? >&2; }} | true");
    let pipeline = Launch::shell(&line).spawn();
    let inside = server.accept();
    // The pipe closes some time after `true` has started. What is written before that is lost without an error.
    eventually("the server is told", || inside.try_send(b"answer").is_err());
    assert_eq!(pipeline.finish().stderr.lines().last(), Some("111"));
}

#[test]
fn a_pipeline_whose_next_stage_has_ended_ends_though_its_standard_input_stays_open() {
    let server = Server::start();
    let (next_stage, stdout) = pipe().unwrap();
    let mut tcpfwd = Launch::new(&format!("tcpfwd - {server}"))
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn();
    let inside = server.accept();
    inside.send(b"answer");
    let mut answer = [0; 6];
    (&next_stage).read_exact(&mut answer).unwrap();
    assert_same(&answer, b"answer");
    drop(next_stage);
    // Another test may be forking: until the exec, its child keeps the reader of the pipe open. What is written before that is
    // lost without an error.
    eventually("tcpfwd ends", || {
        let _ = inside.try_send(b"and more");
        !tcpfwd.is_running()
    });
    assert_eq!(tcpfwd.exit_code(), 111);
    eventually("the server is told", || inside.try_send(b"?").is_err());
}

// The first and the last frame of a session arrive together, and the next stage is slow.
#[test]
fn a_whole_session_that_comes_at_once_waits_for_a_full_pipe() {
    let outside = Node::outside();
    let (next_stage, stdout) = pipe().unwrap();
    fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let line = format!("connect-connect {} -", outside.link());
    let mut inside = Launch::new(&line).stdout(stdout).spawn();
    eventually("the nodes are linked", || number_of(&outside, "idle") == 1);
    inside.signal(Signal::SIGSTOP);
    // As much as a node sends before the server has accepted.
    let message = noise(1, 15_000);
    let client = outside.dial();
    client.send(&message);
    client.shutdown_write();
    eventually("the link has it", || {
        Counters::of(&outside).copied == message.len() as u64
    });
    inside.signal(Signal::SIGCONT);
    let_pass(A_WHILE);
    let mut received = Vec::new();
    (&next_stage).read_to_end(&mut received).unwrap();
    assert_same(&received, &message);
    assert_eq!(inside.exit_code(), 0);
    client.expect_eof();
}

#[test]
fn files_are_sent_and_written() {
    let service = Service::echo();
    let scratch = Scratch::new();
    let message = noise(1, 3 * MIB + 17);
    scratch.write("in", &message);
    let line = format!("tcpfwd - {service} <in >out");
    let outcome = Launch::shell(&line).directory(scratch.path()).run();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same(&scratch.read("out"), &message);
}

#[test]
fn a_file_is_appended_to() {
    let service = Service::echo();
    let scratch = Scratch::new();
    let message = noise(1, MIB);
    scratch.write("in", &message);
    scratch.write("out", b"");
    // splice(2) refuses a file that is open for appending.
    let line = format!("tcpfwd - {service} <in >>out && tcpfwd - {service} <in >>out");
    let outcome = Launch::shell(&line).directory(scratch.path()).run();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same(&scratch.read("out"), &[message.clone(), message].concat());
}

#[test]
fn a_file_that_takes_no_more_is_told() {
    let service = Service::greeting("220 ready");
    let scratch = Scratch::new();
    for (line, why) in [
        ("tcpfwd - $0 >/dev/full", "no space left on device"),
        ("ulimit -f 0; tcpfwd - $0 >out", "file too large"),
    ] {
        let line = line.replace("$0", &service.to_string());
        let shell = Launch::shell(&line).directory(scratch.path());
        let outcome = shell.stdin(Stdio::null()).run();
        assert_eq!(outcome.code, 111);
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    }
}

#[test]
fn nothing_to_say_is_said_at_once() {
    let service = Service::greeting("220 ready");
    let outcome = Launch::shell(&format!("tcpfwd - {service} </dev/null")).run();
    assert_eq!(
        (outcome.code, outcome.stdout.as_slice()),
        (0, b"220 ready".as_slice()),
        "{}",
        outcome.stderr
    );
}

#[test]
fn one_talks_to_a_server_at_a_terminal() {
    let server = Server::start();
    let terminal = Terminal::open();
    let screen = terminal.watch_screen();
    let tcpfwd = Launch::new(&format!("tcpfwd - {server}"));
    let mut tcpfwd = tcpfwd
        .stdin(terminal.descriptor())
        .stdout(terminal.descriptor())
        .spawn();
    let inside = server.accept();
    inside.send(b"220 ready\r\n");
    screen.wait_for("220 ready");
    terminal.type_in(b"HELO\n");
    inside.expect(b"HELO\n");
    terminal.type_in(CONTROL_D);
    inside.expect_eof();
    drop(inside);
    assert_eq!(tcpfwd.exit_code(), 0);
}

#[test]
fn a_terminal_on_one_descriptor_is_read_and_written() {
    for word in ["fd:0", "fd:5"] {
        let server = Server::start();
        let terminal = Terminal::open();
        let screen = terminal.watch_screen();
        let _tcpfwd = Launch::shell(&format!("exec tcpfwd {word} {server} 5<&0"))
            .stdin(terminal.descriptor())
            .spawn();
        let inside = server.accept();
        terminal.type_in(b"HELO\n");
        inside.expect(b"HELO\n");
        inside.send(b"220 ready\r\n");
        screen.wait_for("220 ready");
    }
}

// All processes that share a descriptor share O_NONBLOCK: afterwards the terminal is unusable for the shell.
#[test]
fn a_terminal_stays_as_it_was() {
    let server = Server::start();
    let terminal = Terminal::open();
    let flags = || OFlag::from_bits_retain(fcntl(terminal.shared(), FcntlArg::F_GETFL).unwrap());
    let before = flags();
    let tcpfwd = Launch::new(&format!("tcpfwd - {server}"));
    let _tcpfwd = tcpfwd
        .stdin(terminal.descriptor())
        .stdout(terminal.descriptor())
        .spawn();
    let inside = server.accept();
    terminal.type_in(b"HELO\n");
    inside.expect(b"HELO\n");
    assert_eq!(flags(), before);
}

#[test]
fn a_terminal_that_nobody_reads_does_not_keep_a_program_from_ending() {
    let (mut tcpfwd, inside, _terminal) = at_terminal("--drain-timeout 200ms");
    inside.send_until_stalled(TEXT.repeat(MIB / 2).as_bytes(), A_WHILE);
    tcpfwd.signal(Signal::SIGTERM);
    assert_eq!(tcpfwd.exit_code(), 111);
}

#[test]
fn a_terminal_that_is_read_late_shows_everything() {
    let (mut tcpfwd, inside, terminal) = at_terminal("");
    let sent = inside.send_until_stalled(TEXT.repeat(MIB / 2).as_bytes(), A_WHILE);
    let screen = terminal.watch_screen();
    drop(inside);
    terminal.type_in(CONTROL_D);
    assert_eq!(tcpfwd.exit_code(), 0);
    // The terminal makes two bytes of the end of a line.
    let shown = TEXT.repeat(sent.div_ceil(2))[..sent].replace('\n', "\r\n");
    eventually("all is on the screen", || {
        screen.bytes().len() >= shown.len()
    });
    assert_same(&screen.bytes(), shown.as_bytes());
}

#[test]
fn the_client_may_be_on_standard_input_of_the_outside_node() {
    let service = Service::echo();
    let link = ReservedPort::new();
    let line = format!("printf hello | listen-listen - {link}");
    let outside = Launch::shell(&line).spawn();
    let _inside = node!("connect-connect {link} {service}");
    let outcome = outside.finish();
    assert_eq!(
        (outcome.code, outcome.stdout.as_slice()),
        (0, b"hello".as_slice()),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_server_may_be_on_standard_input_of_the_inside_node() {
    let outside = Node::outside();
    let line = format!("printf hello | connect-connect {} -", outside.link());
    let inside = Launch::shell(&line).spawn();
    let client = outside.dial();
    client.send(b"to you too");
    client.shutdown_write();
    assert_same(&client.receive_to_eof(), b"hello");
    let outcome = inside.finish();
    assert_eq!(
        (outcome.code, outcome.stdout.as_slice()),
        (0, b"to you too".as_slice()),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_inside_node_serves_in_turn_on_a_link_that_tcpclient_has_dialled() {
    needs!("tcpclient");
    let service = Service::echo();
    let mut outside = Node::outside();
    let (host, port) = outside.link().split_once(':').unwrap();
    let line = format!("tcpclient -RHl0 {host} {port} connect-connect fd:6,7 {service}");
    let mut inside = Launch::new(&line).spawn();
    for _ in 0..3 {
        expect_echo(outside.address(0));
    }
    outside.signal(Signal::SIGTERM);
    assert_eq!(outside.exit_code(), 0);
    assert_eq!(inside.exit_code(), 0, "the link ended by BYE");
}

#[test]
fn a_link_on_a_descriptor_that_ends_in_order_is_no_failure_whatever_its_sessions_were() {
    let server = Server::start();
    let mut outside = Node::outside();
    let link = OwnedFd::from(End::dial(outside.link()));
    let mut inside = Launch::new(&format!("connect-connect fd:0 {server}"))
        .stdin(link)
        .spawn();
    let client = outside.dial();
    client.send(b"hello");
    let served = server.accept();
    served.expect(b"hello");
    client.reset();
    served.expect_reset();
    outside.signal(Signal::SIGTERM);
    assert_eq!(outside.exit_code(), 0);
    assert_eq!(inside.exit_code(), 0);
}

// As through ssh. Only epoll(7) reports what can be read: no heartbeat wakes the program.
#[test]
fn a_link_over_two_pipes_hands_messages_over_at_once() {
    for link in ["-", "fd:3,4"] {
        let service = Service::echo();
        let clients = ReservedPort::new();
        let (to_inside, from_outside) = pipe().unwrap();
        let (to_outside, from_inside) = pipe().unwrap();
        let _outside = Launch::new(&format!("listen-listen {clients} -"))
            .stdin(to_outside)
            .stdout(from_outside)
            .spawn();
        let _inside = Launch::shell(&format!("exec connect-connect {link} {service} 3<&0 4>&1"))
            .stdin(to_inside)
            .stdout(from_inside)
            .spawn();
        clients.wait_until_listened_on();
        let client = End::dial(&clients.to_string());
        client.send_at_once();
        for size in [1, 100, 10_000, 100_000, 1] {
            let message = noise(1, size);
            let since = Instant::now();
            client.send(&message);
            client.expect(&message);
            let passed = since.elapsed();
            assert!(passed < AT_ONCE, "{size} bytes took {passed:?}");
        }
    }
}

#[test]
fn a_link_on_descriptors_that_dies_is_told_by_the_exit_status() {
    needs!("tcpclient");
    let service = Service::echo();
    let outside = Node::outside();
    let (host, port) = outside.link().split_once(':').unwrap();
    let line = format!("tcpclient -RHl0 {host} {port} connect-connect fd:6,7 {service}");
    let mut inside = Launch::new(&line).spawn();
    expect_echo(outside.address(0));
    drop(outside);
    assert_eq!(inside.exit_code(), 111);
}

/// inetd with a service on a free port; USER and TCPFWD are filled in.
fn inetd(service: &str) -> (Inetd, ReservedPort) {
    let port = ReservedPort::new();
    let tcpfwd = program::path("tcpfwd").display().to_string();
    let service = service
        .replace("USER", &peer::user())
        .replace("TCPFWD", &tcpfwd);
    let inetd = Inetd::start(&format!("{port} stream tcp {service}\n"));
    port.wait_until_listened_on();
    (inetd, port)
}

/// A connection: the test's end of it, and the other as a descriptor.
fn connected() -> (End, OwnedFd) {
    let super_server = Server::start();
    let client = End::dial(&super_server.to_string());
    (client, super_server.accept().into())
}

/// tcpfwd between a terminal and a server, which is returned as well.
fn at_terminal(options: &str) -> (Running, End, Terminal) {
    let server = Server::start();
    let terminal = Terminal::open();
    let tcpfwd = Launch::new(&format!("tcpfwd {options} - {server}"))
        .stdin(terminal.descriptor())
        .stdout(terminal.descriptor())
        .spawn();
    (tcpfwd, server.accept(), terminal)
}

fn expect_echo(address: &str) {
    let client = End::dial(address);
    let message = noise(1, MIB / 2);
    thread::scope(|both| {
        both.spawn(|| {
            client.send(&message);
            client.shutdown_write();
        });
        assert_same(&client.receive_to_eof(), &message);
    });
}

const CONTROL_D: &[u8] = b"\x04";

/// Many short lines: a terminal has less room than it seems.
const TEXT: &str = "x\n";

/// Much less than a heartbeat.
const AT_ONCE: Duration = Duration::from_secs(1);
