//! Proxies that listen for us (SOCKS BIND): those of others, and some that the test controls.

use std::io::Read;
use std::thread;

use nix::sys::signal::Signal;
use relay_tests::counters::Counters;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::kernel::cpu_time;
use relay_tests::launch::Launch;
use relay_tests::proxies::{Proxy, add_user};
use relay_tests::timeouts::A_WHILE;
use relay_tests::{End, ReservedPort, Running, Server, Service, needs, network_tests, node};

network_tests! {
    dante_listens_for_one_client_after_the_other,
    dante_listens_for_those_with_a_password,
    dante_listens_several_times_at_once,
    dante_listens_for_clients_and_for_links,
    dante_listens_for_a_raw_link_while_a_client_waits,
    microsocks_does_not_listen
}

fn dante_listens_for_one_client_after_the_other() {
    needs!("danted");
    let proxy = Proxy::dante("none", PASS_BIND);
    let server = Server::start();
    for scheme in ["socks5", "socks4"] {
        let word = format!("bind+{scheme}://{proxy}");
        let route = start(&format!("tcpfwd -v --send-proxy v1 {word} {server}"));
        for number in 1..=3 {
            let address = announced(&route, number);
            let client = End::dial(&address);
            let session = server.accept();
            session.expect(
                format!(
                    "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n",
                    client.local().port(),
                    client.peer().port()
                )
                .as_bytes(),
            );
            client.send(b"hello");
            session.expect(b"hello");
            drop(session);
            client.shutdown_write();
            client.expect_eof();
            route
                .stderr
                .wait_for(&format!("from {} to", client.local()));
        }
    }
}

fn dante_listens_for_those_with_a_password() {
    needs!("danted");
    let _user = add_user();
    let rules = "socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: bind\n socksmethod: username\n }\n\
        socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: bindreply }";
    let proxy = Proxy::dante("username none", rules);
    let service = Service::greeting("hello");
    let launch = Launch::new(&format!(
        "tcpfwd --print-address bind+socks5://jo@{proxy} {service}"
    ));
    let route = launch.env("RELAY_VIA_PASSWORD", "secret").spawn();
    assert_same(&End::dial(&announced(&route, 1)).receive_to_eof(), b"hello");
    let mut wrong = start(&format!("tcpfwd bind+socks5://jo:wrong@{proxy} {service}"));
    assert_eq!(wrong.exit_code(), 100);
    assert_eq!(
        String::from_utf8_lossy(&wrong.stderr.wait_for_end()),
        format!(
            "tcpfwd: fatal: unable to listen on bind+socks5://jo@{proxy}: the proxy does not accept this user and this password\n"
        )
    );
}

fn dante_listens_several_times_at_once() {
    needs!("danted");
    let proxy = Proxy::dante("none", PASS_BIND);
    let server = Server::start();
    let word = format!("bind+socks5://{proxy}");
    let route = start(&format!("tcpfwd {word} {server} {word} {server}"));
    let addresses = [announced(&route, 1), announced(&route, 2)];
    assert_ne!(addresses[0], addresses[1]);
    let clients = addresses.map(|address| End::dial(&address));
    for client in &clients {
        client.send(b"hello");
    }
    let sessions = [server.accept(), server.accept()];
    for session in &sessions {
        session.expect(b"hello");
    }
}

fn dante_listens_for_clients_and_for_links() {
    needs!("danted");
    let proxy = Proxy::dante("none", PASS_BIND);
    let service = Service::greeting("hello");
    let word = format!("bind+socks5://{proxy}");
    let outside = start(&format!("listen-listen -v {word} {word}"));
    let (mut clients, link) = (announced(&outside, 1), announced(&outside, 2));
    let _inside = node!("connect-connect --max-links 1 {link} {service}");
    // The third is for a further link.
    announced(&outside, 3);
    for number in 4..=6 {
        assert_same(&End::dial(&clients).receive_to_eof(), b"hello");
        clients = announced(&outside, number);
    }
    outside.stderr.wait_for("anyone who can reach");
    outside.stderr.wait_for("linked from 127.0.0.1:");
}

fn dante_listens_for_a_raw_link_while_a_client_waits() {
    needs!("danted");
    let proxy = Proxy::dante("none", PASS_BIND);
    let outside = start(&format!(
        "listen-listen --raw 127.0.0.1:0 bind+socks5://{proxy}"
    ));
    let clients = outside.stdout.wait_for("127.0.0.1:0 ");
    let (_, clients) = clients.split_once(' ').unwrap_or_default();
    assert_eq!(outside.stdout.count("bind"), 0);
    for number in 1..=3 {
        let client = End::dial(clients);
        let link = End::dial(&announced(&outside, number));
        client.send(b"hello");
        link.expect(b"hello");
        link.send(b"welcome");
        client.expect(b"welcome");
    }
}

fn microsocks_does_not_listen() {
    needs!("microsocks");
    let proxy = Proxy::microsocks("");
    let server = Server::start();
    let mut route = start(&format!("tcpfwd bind+socks5://{proxy} {server}"));
    assert_eq!(route.exit_code(), 100);
    assert_eq!(
        String::from_utf8_lossy(&route.stderr.wait_for_end()),
        format!(
            "tcpfwd: fatal: unable to listen on bind+socks5://{proxy}: the proxy does not support this command\n"
        )
    );
}

#[test]
fn what_comes_in_one_segment_with_the_client_belongs_to_the_session() {
    let (proxy, server) = (Server::start(), Server::start());
    let route = start(&format!("tcpfwd bind+socks5://{proxy} {server}"));
    let session = accept_request(&proxy, LISTENING);
    announced(&route, 1);
    let bulk = noise(1, 16 * MIB);
    let inside = thread::scope(|both| {
        both.spawn(|| {
            session.send(&[CLIENT, b"hello", &bulk[..]].concat());
            session.shutdown_write();
        });
        let inside = server.accept();
        inside.expect(b"hello");
        assert_same(&inside.receive_to_eof(), &bulk);
        inside
    });
    drop(inside);
    session.expect_eof();
    let Counters { spliced, copied } = Counters::of(&route);
    assert!(
        spliced > 15 * MIB as u64,
        "{spliced} bytes spliced, {copied} copied"
    );
}

#[test]
fn an_unspecified_address_is_the_proxys_own_and_a_name_is_printed_as_received() {
    let (proxy, server) = (Server::start(), Server::start());
    let route = start(&format!("tcpfwd -v bind+socks5://{proxy} {server}"));
    let first = accept_request(&proxy, b"\x05\x00\x00\x01\x00\x00\x00\x00\x10\x00");
    assert_eq!(announced(&route, 1), "127.0.0.1:4096");
    for byte in CLIENT {
        first.send(&[*byte]);
    }
    drop((server.accept(), first));
    route.stderr.wait_for("from 192.0.2.9:8192 to");
    let second = accept_request(&proxy, b"\x05\x00\x00\x03\x07fw.\x1btld\x10\x00");
    assert_eq!(announced(&route, 2), "fw.\\x1btld:4096");
    second.send(b"\x05\x00\x00\x03\x03who\x20\x00");
    drop((server.accept(), second));
    route.stderr.wait_for("from unknown to");
}

#[test]
fn the_address_that_the_proxy_names_decides_whether_a_client_is_allowed() {
    let (proxy, server) = (Server::start(), Server::start());
    let route = start(&format!(
        "tcpfwd --deny 192.0.2.9 bind+socks5://{proxy} {server}"
    ));
    let denied = accept_request(&proxy, LISTENING);
    announced(&route, 1);
    denied.send(CLIENT);
    denied.expect_reset();
    let other = accept_request(&proxy, LISTENING);
    other.send(b"\x05\x00\x00\x01\xc0\x00\x02\x0a\x20\x00hello");
    server.accept().expect(b"hello");
}

#[test]
fn a_client_without_an_address_is_allowed_unless_there_is_an_allow_rule() {
    let server = Server::start();
    for (options, let_in) in [("--deny 192.0.2.9", true), ("--allow 192.0.2.9", false)] {
        let proxy = Server::start();
        let route = start(&format!(
            "tcpfwd -v {options} bind+socks5://{proxy} {server}"
        ));
        let session = accept_request(&proxy, LISTENING);
        announced(&route, 1);
        session.send(b"\x05\x00\x00\x03\x03who\x20\x00");
        if let_in {
            drop(server.accept());
            session.expect_eof();
        } else {
            session.expect_reset();
            route.stderr.wait_for("denied unknown on bind+socks5");
        }
    }
}

#[test]
fn sighup_ends_the_pause_before_the_next_request_to_the_proxy() {
    let (proxy, server) = (Server::start(), Server::start());
    let route = start(&format!("tcpfwd bind+socks5://{proxy} {server}"));
    accept_request(&proxy, LISTENING).reset();
    // A request that the proxy denies is repeated after half a minute or more.
    let forbidding = accept_request(&proxy, b"\x05\x02");
    forbidding.expect_reset();
    announced(&route, 1);
    proxy.expect_nobody(A_WHILE);
    route.signal(Signal::SIGHUP);
    accept_request(&proxy, LISTENING);
    announced(&route, 2);
}

#[test]
fn it_is_ready_once_the_proxy_listens() {
    let (proxy, server) = (Server::start(), Server::start());
    let (mut ready, writer) = std::io::pipe().expect("a pipe can be had");
    let line = format!(
        "exec tcpfwd --print-address --ready-fd 0 127.0.0.1:0 {server} bind+socks5://{proxy} {server}"
    );
    let route = Launch::shell(&line).stdin(writer).spawn();
    let session = proxy.accept();
    assert_eq!(route.stdout.text(), "");
    answer(&session, LISTENING);
    let mut told = String::new();
    ready.read_to_string(&mut told).expect("text");
    assert_eq!(told, "\n");
    route.stdout.wait_for("127.0.0.1:0 ");
    assert_eq!(announced(&route, 1), "192.0.2.1:4096");
}

#[test]
fn a_proxy_that_gives_up_gets_another_request() {
    let (proxy, server) = (Server::start(), Server::start());
    let route = start(&format!("tcpfwd bind+socks5://{proxy} {server}"));
    let first = accept_request(&proxy, LISTENING);
    announced(&route, 1);
    first.send(b"\x05\x06");
    first.expect_reset();
    let second = accept_request(&proxy, LISTENING);
    announced(&route, 2);
    second.reset();
    let third = accept_request(&proxy, LISTENING);
    announced(&route, 3);
    third.send(CLIENT);
    third.send(b"hello");
    server.accept().expect(b"hello");
    assert_eq!(
        route.stderr.text(),
        format!("tcpfwd: warning: unable to listen on bind+socks5://{proxy}: ttl expired\n")
    );
}

#[test]
fn a_proxy_that_is_not_there_yet_is_waited_for() {
    let (port, server) = (ReservedPort::new(), Server::start());
    let mut once = start(&format!("tcpfwd --once bind+socks4://{port} {server}"));
    assert_eq!(once.exit_code(), 111);
    let route = start(&format!("tcpfwd bind+socks4://{port} {server}"));
    let told = route.stderr.wait_for("unable");
    assert_eq!(
        told.trim_end(),
        format!(
            "tcpfwd: warning: unable to listen on bind+socks4://{port}: unable to connect to socks4 proxy {port}: connection refused"
        )
    );
    let proxy = Server::on(&port.to_string());
    let session = proxy.accept();
    session.expect(b"\x04\x02\x00\x00\x00\x00\x00\x00\x00");
    session.send(b"\x00\x5a\x10\x00\xc0\x00\x02\x01");
    assert_eq!(announced(&route, 1), "192.0.2.1:4096");
}

#[test]
fn with_once_the_proxy_gets_one_request() {
    let (proxy, server) = (Server::start(), Server::start());
    let mut route = start(&format!("tcpfwd --once bind+socks5://{proxy} {server}"));
    let session = accept_request(&proxy, LISTENING);
    announced(&route, 1);
    session.send(CLIENT);
    let inside = server.accept();
    proxy.expect_nobody(A_WHILE);
    inside.shutdown_write();
    session.expect_eof();
    session.shutdown_write();
    inside.expect_eof();
    assert_eq!(route.exit_code(), 0);
}

#[test]
fn beyond_the_sessions_that_may_be_no_client_is_taken() {
    let (proxy, server) = (Server::start(), Server::start());
    let route = start(&format!(
        "tcpfwd --max-sessions 1 bind+socks5://{proxy} {server}"
    ));
    let first = accept_request(&proxy, LISTENING);
    announced(&route, 1);
    first.send(CLIENT);
    let inside = server.accept();
    let before = cpu_time(route.pid());
    proxy.expect_nobody(A_WHILE);
    let worked = cpu_time(route.pid()) - before;
    assert!(worked < A_WHILE / 4, "it worked for {worked:?} to wait");
    drop(inside);
    first.expect_eof();
    drop(first);
    let second = accept_request(&proxy, LISTENING);
    announced(&route, 2);
    second.send(CLIENT);
    server.accept();
}

/// Starts one of our programs, which listens through a proxy for at least one word.
fn start(line: &str) -> Running {
    let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
    Launch::new(&format!("{program} --print-address {rest}")).spawn()
}

/// The address of its `number`th listening port at a proxy.
#[track_caller]
fn announced(running: &Running, number: usize) -> String {
    let line = running.stdout.wait_for_number("bind+", number);
    let (_, address) = line.trim_end().split_once(' ').unwrap_or_default();
    address.to_owned()
}

/// Reads the request to listen, and answers it.
#[track_caller]
fn accept_request(proxy: &Server, reply: &[u8]) -> End {
    let session = proxy.accept();
    answer(&session, reply);
    session
}

#[track_caller]
fn answer(session: &End, reply: &[u8]) {
    session.send_at_once();
    session.expect(b"\x05\x01\x00");
    session.send(b"\x05\x00");
    session.expect(b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00");
    session.send(reply);
}

const LISTENING: &[u8] = b"\x05\x00\x00\x01\xc0\x00\x02\x01\x10\x00";
const CLIENT: &[u8] = b"\x05\x00\x00\x01\xc0\x00\x02\x09\x20\x00";
const PASS_BIND: &str =
    "socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: bind connect bindreply }";
