//! Dials through proxies: those of others, each by its own protocol, and some that answer wrongly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use relay_tests::counters::Counters;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::launch::Launch;
use relay_tests::proxies::{Proxy, add_user};
use relay_tests::scratch::Scratch;
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{End, KeyFile, Node, ReservedPort, Server, Service, needs, network_tests, node};

network_tests! {
    dante_by_each_version_of_socks,
    dante_reports_what_its_rules_deny,
    dante_asks_for_a_user_and_a_password,
    microsocks_asks_for_a_user_and_a_password,
    ssh_forwards_dynamically,
    tinyproxy_connects_and_forbids_and_asks_for_a_password,
    squid_connects_and_forbids_and_asks_for_a_password,
    ncat_connects,
    a_chain_leads_through_every_kind,
    links_and_servers_go_through_proxies_of_their_own
}

fn dante_by_each_version_of_socks() {
    needs!("danted");
    let proxy = Proxy::dante("none", PASS_ALL);
    let service = Service::greeting("hello");
    for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
        expect_greeting(&format!("--via {scheme}://{proxy}"), &service);
    }
    let nobody = ReservedPort::new();
    for (scheme, why) in [
        ("socks5", "connection refused"),
        ("socks4", "request rejected or failed"),
    ] {
        expect_failure(
            &format!("--via {scheme}://{proxy}"),
            &nobody,
            111,
            &format!("unable to reach {nobody} through {scheme} proxy {proxy}: {why}"),
        );
    }
}

fn dante_reports_what_its_rules_deny() {
    needs!("danted");
    let rules = "socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 }";
    let proxy = Proxy::dante("none", rules);
    let server = Server::start();
    expect_failure(
        &format!("--via socks5://{proxy}"),
        &server,
        100,
        &format!(
            "unable to reach {server} through socks5 proxy {proxy}: connection not allowed by ruleset"
        ),
    );
}

fn dante_asks_for_a_user_and_a_password() {
    needs!("danted");
    let _user = add_user();
    let proxy = Proxy::dante("username", PASS_ALL);
    ask_for_a_password(&proxy, "socks5");
}

fn microsocks_asks_for_a_user_and_a_password() {
    needs!("microsocks");
    let proxy = Proxy::microsocks("-u jo -P secret");
    ask_for_a_password(&proxy, "socks5h");
}

fn ssh_forwards_dynamically() {
    needs!("sshd", "ssh", "ssh-keygen");
    let proxy = Proxy::ssh();
    let service = Service::greeting("hello");
    for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
        expect_greeting(&format!("--via {scheme}://{proxy}"), &service);
    }
    // It answers that it has connected before it has.
    let nobody = ReservedPort::new();
    let route = node!("tcpfwd --via socks5://{proxy} 127.0.0.1:0 {nobody}");
    assert_same(&route.dial().receive_to_any_end(), b"");
}

fn tinyproxy_connects_and_forbids_and_asks_for_a_password() {
    needs!("tinyproxy");
    {
        let proxy = Proxy::tinyproxy("");
        expect_greeting(
            &format!("--via http://{proxy}"),
            &Service::greeting("hello"),
        );
    }
    {
        let proxy = Proxy::tinyproxy("ConnectPort 1");
        let server = Server::start();
        expect_failure(
            &format!("--via http://{proxy}"),
            &server,
            100,
            &format!("unable to reach {server} through http proxy {proxy}: 403 Access violation"),
        );
    }
    let proxy = Proxy::tinyproxy("BasicAuth jo secret");
    ask_for_a_password(&proxy, "http");
}

fn squid_connects_and_forbids_and_asks_for_a_password() {
    needs!("squid");
    {
        let proxy = Proxy::squid(
            "acl connect method CONNECT\nhttp_access deny !connect\nacl one port 1\nhttp_access deny one\nhttp_access allow all",
        );
        expect_greeting(
            &format!("--via http://{proxy}"),
            &Service::greeting("hello"),
        );
        let nobody = ReservedPort::new();
        expect_failure(
            &format!("--via http://{proxy}"),
            &nobody,
            111,
            &format!(
                "unable to reach {nobody} through http proxy {proxy}: 503 Service Unavailable"
            ),
        );
        expect_failure(
            &format!("--via http://{proxy}"),
            "127.0.0.1:1",
            100,
            &format!("unable to reach 127.0.0.1:1 through http proxy {proxy}: 403 Forbidden"),
        );
    }
    let proxy = Proxy::squid(
        "auth_param basic program /usr/lib/squid/basic_ncsa_auth {}\nacl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all",
    );
    ask_for_a_password(&proxy, "http");
}

fn ncat_connects() {
    needs!("ncat");
    {
        let proxy = Proxy::ncat("");
        expect_greeting(
            &format!("--via http://{proxy}"),
            &Service::greeting("hello"),
        );
    }
    let proxy = Proxy::ncat("--proxy-auth jo:secret");
    ask_for_a_password(&proxy, "http");
}

fn a_chain_leads_through_every_kind() {
    needs!("danted", "microsocks", "tinyproxy");
    let (first, second, third) = (
        Proxy::tinyproxy(""),
        Proxy::dante("none", PASS_ALL),
        Proxy::microsocks(""),
    );
    let service = Service::greeting("hello");
    let chain = format!("--via http://{first} --via socks4://{second} --via socks5h://{third}");
    expect_greeting(&chain, &service);
    drop(third);
    expect_failure(
        &chain,
        &service,
        111,
        &format!(
            "unable to reach {service}: unable to reach 127.0.0.1:1081 through socks4 proxy {second}: request rejected or failed"
        ),
    );
}

fn links_and_servers_go_through_proxies_of_their_own() {
    needs!("danted", "microsocks");
    let link_proxy = Proxy::dante("none", PASS_ALL);
    let server_proxy = Proxy::microsocks("");
    let service = Service::greeting("hello");
    let file = KeyFile::of(&[1]);
    let key = format!("--key-file {file}");
    for options in ["", "--raw", &key, &format!("--raw {key}")] {
        let outside = node!("listen-listen {options} 127.0.0.1:0 127.0.0.1:0");
        let link = outside.link();
        let inside = node!(
            "connect-connect {options} --via socks5://{link_proxy} --server-via socks5://{server_proxy} {link} {service}"
        );
        for _ in 0..3 {
            assert_same(&outside.dial().receive_to_eof(), b"hello");
        }
        // If no client waits, the raw link port is closed. That is no failure, even if a proxy reports it.
        let_pass(A_WHILE);
        assert_eq!(inside.stderr.text(), "");
    }
}

#[test]
fn a_name_that_only_the_proxy_knows_is_left_to_it() {
    let outside = Node::outside();
    let service = Service::greeting("hello");
    let link: std::net::SocketAddr = outside.link().parse().expect("it is numeric");
    let proxy = socks5h_that_leads("ll.invalid", link);
    let _inside = node!(
        "connect-connect --via socks5h://{proxy} ll.invalid:{} {service}",
        link.port()
    );
    for _ in 0..3 {
        assert_same(&outside.dial().receive_to_eof(), b"hello");
    }
}

#[test]
fn an_answer_may_come_one_byte_at_a_time() {
    for (scheme, first, second) in [
        (
            "socks5",
            &b"\x05\x00"[..],
            &b"\x05\x00\x00\x03\x0bproxy.local\x00\x50"[..],
        ),
        ("socks4", b"", b"\x00\x5a\x00\x00\x00\x00\x00\x00"),
        (
            "http",
            b"",
            b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
        ),
    ] {
        let proxy = Server::start();
        let route = node!("tcpfwd --via {scheme}://{proxy} 127.0.0.1:0 127.0.0.1:80");
        let client = route.dial();
        client.send(b"from the client");
        let session = proxy.accept();
        session.send_at_once();
        read_request(&session, scheme, first);
        for byte in second.iter().chain(b"from the server") {
            session.send(&[*byte]);
            let_pass(Duration::from_millis(1));
        }
        client.expect(b"from the server");
        session.expect(b"from the client");
    }
}

// No byte of the session is lost, and the session is spliced although the answer was read.
#[test]
fn what_comes_in_one_segment_with_the_answer_belongs_to_the_session() {
    for (scheme, first, second) in [
        (
            "socks5",
            &b"\x05\x00"[..],
            &b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"[..],
        ),
        ("socks4", b"", b"\x00\x5a\x00\x00\x00\x00\x00\x00"),
        ("http", b"", b"HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let proxy = Server::start();
        let route = node!("tcpfwd --via {scheme}://{proxy} 127.0.0.1:0 127.0.0.1:80");
        let client = route.dial();
        let session = proxy.accept();
        read_request(&session, scheme, first);
        let bulk = noise(1, 16 * MIB);
        thread::scope(|both| {
            both.spawn(|| {
                session.send(&[second, b"SSH-2.0-server\r\n", &bulk[..]].concat());
                session.shutdown_write();
            });
            client.expect(b"SSH-2.0-server\r\n");
            assert_same(&client.receive_to_eof(), &bulk);
        });
        let Counters { spliced, copied } = Counters::of(&route);
        assert!(
            spliced > 15 * MIB as u64,
            "{scheme}: {spliced} bytes spliced, {copied} copied"
        );
    }
}

#[test]
fn each_wrong_answer_has_its_message() {
    let long = [
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        b"X-Filler: aaaaaaaaaaaaaaaa\r\n".repeat(3000),
    ]
    .concat();
    for (scheme, answer, code, why) in [
        (
            "socks5",
            &b""[..],
            111,
            "it closed the connection without an answer",
        ),
        (
            "socks5",
            b"\x05",
            111,
            "it closed the connection in the middle of its answer",
        ),
        (
            "socks5",
            b"\x05\x00\x05\x00\x00\x01\x00",
            111,
            "it closed the connection in the middle of its answer",
        ),
        (
            "socks5",
            b"\x05\x01",
            100,
            "this is no socks5 proxy: it answers \\x05\\x01",
        ),
        (
            "socks5",
            b"\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00",
            111,
            "general failure of the proxy",
        ),
        (
            "socks5",
            b"SSH-2.0-OpenSSH\r\n",
            100,
            "this is no socks5 proxy: it answers SSH-2.0-OpenSSH",
        ),
        (
            "socks4",
            b"\x00\x5a\x00",
            111,
            "it closed the connection in the middle of its answer",
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nVia: x\r\n",
            111,
            "it closed the connection in the middle of its answer",
        ),
        ("http", &long, 111, "the head of the answer is too long"),
        (
            "http",
            b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\n\r\n",
            100,
            "the proxy wants a login that is not supported: Negotiate",
        ),
        (
            "http",
            b"HTTP/1.1 501 Unsupported method ('CONNECT')\r\n\r\n",
            111,
            "501 Unsupported method ('CONNECT')",
        ),
        (
            "http",
            b"HTTP/1.1 404 Not\x1b[31m\r\n\r\n",
            100,
            "this is no http proxy: it answers HTTP/1.1 404 Not\\x1b[31m",
        ),
    ] {
        let answer = answer.to_vec();
        let proxy = Service::on(Server::start(), move |end| {
            let _ = end.try_send(&answer);
            let _ = end.try_shutdown_write();
            end.receive_to_any_end();
        });
        expect_failure(
            &format!("--via {scheme}://{proxy}"),
            "127.0.0.1:80",
            code,
            &format!("unable to reach 127.0.0.1:80 through {scheme} proxy {proxy}: {why}"),
        );
    }
}

#[test]
fn a_proxy_that_never_answers_is_given_up() {
    let proxy = Server::start();
    let since = Instant::now();
    expect_failure(
        &format!("--connect-timeout 300ms --via socks5h://{proxy}"),
        "srv.invalid:80",
        111,
        &format!("unable to reach srv.invalid:80 through socks5h proxy {proxy}: no answer in time"),
    );
    assert!(since.elapsed() < Duration::from_secs(5));
    let nobody = ReservedPort::new();
    expect_failure(
        &format!("--via socks5h://{nobody}"),
        "srv.invalid:80",
        111,
        &format!(
            "unable to reach srv.invalid:80: unable to connect to socks5h proxy {nobody}: connection refused"
        ),
    );
}

#[test]
fn each_address_of_a_name_is_requested_until_one_is_reached() {
    // localhost is ::1 first.
    let proxy = Service::on(Server::start(), |end| {
        end.expect(b"\x05\x01\x00");
        end.send(b"\x05\x00");
        if end.receive(4)[3] == 4 {
            end.receive(18);
            end.send(b"\x05\x08");
        } else {
            end.expect(b"\x7f\x00\x00\x01\x00\x50");
            end.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00hello");
        }
    });
    let via = format!("--via socks5://{proxy}");
    let route = node!("tcpfwd {via} 127.0.0.1:0 localhost:80");
    assert_same(&route.dial().receive_to_eof(), b"hello");
}

#[test]
fn one_link_that_a_proxy_forbids_is_the_end() {
    let proxy = Service::on(Server::start(), |end| {
        let _ = end.try_send(b"HTTP/1.1 403 Forbidden\r\n\r\n");
        end.receive_to_any_end();
    });
    for raw in ["", "--raw"] {
        let line = format!("connect-connect {raw} --once --via http://{proxy} ll.invalid:1 srv:80");
        let outcome = Launch::new(&line).run();
        assert_eq!(outcome.code, 100);
        assert_eq!(
            outcome.stderr,
            format!(
                "connect-connect: fatal: unable to reach ll.invalid:1 through http proxy {proxy}: 403 Forbidden\n"
            )
        );
    }
}

#[test]
fn a_password_comes_from_a_file_or_the_environment_and_is_never_shown() {
    let scratch = Scratch::new();
    let file = scratch.write("password", b"top:secret\n");
    let server = Server::start();
    let proxy = Server::start();
    let run = |launch: Launch| {
        let node = Node::announced(launch).expect("it runs");
        let _client = node.dial();
        let session = proxy.accept();
        session.expect(b"\x05\x02\x00\x02");
        session.send(b"\x05\x02");
        session.expect(b"\x01\x02jo\x0atop:secret");
        session.send(b"\x01\x01");
        node.stderr
            .wait_for("does not accept this user and this password");
        assert!(
            !node.stderr.text().contains("secret"),
            "{}",
            node.stderr.text()
        );
    };
    let line = |options: &str, login: &str| {
        Launch::new(&format!(
            "tcpfwd -vv --print-address {options} --via socks5://{login}@{proxy} 127.0.0.1:0 {server}"
        ))
    };
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let open = line(&format!("--via-password-file {}", file.display()), "jo").run();
    assert_eq!(open.code, 100);
    assert!(
        open.stderr.contains("others can read it"),
        "{}",
        open.stderr
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
    run(line(
        &format!("--via-password-file {}", file.display()),
        "jo",
    ));
    run(line("", "jo").env("RELAY_VIA_PASSWORD", "top:secret"));
    run(line("", "jo:top%3Asecret"));
    let missing = line("", "jo").run();
    assert_eq!(missing.code, 100);
    assert!(missing.stderr.contains(&format!(
        "unable to use --via socks5://jo@{proxy}: no password: expected one in the url, in the file of --via-password-file, or in RELAY_VIA_PASSWORD"
    )), "{}", missing.stderr);
}

#[test]
fn no_usage_message_repeats_a_password() {
    for line in [
        "tcpfwd --via socks5://jo:secret@fw 8080 srv:80",
        "tcpfwd --via https://jo:secret@fw:1 8080 srv:80",
        "tcpfwd --vai=socks5://jo:secret@fw:1 8080 srv:80",
        "tcpfwd socks5://jo:secret@fw:1 8080",
        "tcpfwd x=bind+socks5://jo:secret@fw:1 srv:80",
        "tcpfwd bind+socks5://jo:secret@fw:1",
        "connect-connect x=socks5://jo:secret@fw:1 srv:80",
    ] {
        let outcome = Launch::new(line).run();
        assert_eq!(outcome.code, 100, "{line}");
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
    }
}

/// The service at the other end of `via` sends its greeting.
#[track_caller]
fn expect_greeting(via: &str, service: &Service) {
    let route = node!("tcpfwd -v --once {via} 127.0.0.1:0 {service}");
    assert_same(&route.dial().receive_to_eof(), b"hello");
}

/// The one client is reset, and the reason is logged.
#[track_caller]
fn expect_failure(via: &str, target: impl std::fmt::Display, code: i32, message: &str) {
    let mut route = node!("tcpfwd --once {via} 127.0.0.1:0 {target}");
    route.dial().expect_reset();
    assert_eq!(route.exit_code(), code, "{}", route.stderr.text());
    let told = route.stderr.wait_for_end();
    assert_eq!(
        String::from_utf8_lossy(&told),
        format!("tcpfwd: fatal: {message}\n")
    );
}

#[track_caller]
fn ask_for_a_password(proxy: &Proxy, scheme: &str) {
    let service = Service::greeting("hello");
    expect_greeting(&format!("--via {scheme}://jo:secret@{proxy}"), &service);
    for (login, why) in [
        ("", "the proxy wants a user and a password"),
        (
            "jo:wrong@",
            "the proxy does not accept this user and this password",
        ),
    ] {
        expect_failure(
            &format!("--via {scheme}://{login}{proxy}"),
            &service,
            100,
            &format!("unable to reach {service} through {scheme} proxy {proxy}: {why}"),
        );
    }
}

/// Reads the request to its end, and answers with `first` in between.
fn read_request(session: &End, scheme: &str, first: &[u8]) {
    match scheme {
        "socks5" => {
            session.expect(b"\x05\x01\x00");
            session.send(first);
            let head = session.receive(4);
            let rest = if head[3] == 4 { 18 } else { 6 };
            session.receive(rest);
        }
        "socks4" => {
            session.receive(9);
        }
        _ => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.extend(session.receive(1));
            }
        }
    }
}

/// A SOCKS 5 proxy that knows one name and its address.
fn socks5h_that_leads(name: &'static str, to: std::net::SocketAddr) -> Service {
    Service::on(Server::start(), move |end| {
        end.expect(b"\x05\x01\x00");
        end.send(b"\x05\x00");
        end.expect(
            &[
                b"\x05\x01\x00\x03",
                &[name.len() as u8][..],
                name.as_bytes(),
            ]
            .concat(),
        );
        end.expect(&to.port().to_be_bytes());
        let target = TcpStream::connect(to).unwrap_or_else(|error| panic!("{to}: {error}"));
        end.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00");
        thread::scope(|both| {
            both.spawn(|| copy(&end, &target));
            copy(&target, &end);
        });
    })
}

fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

const PASS_ALL: &str = "socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }";
