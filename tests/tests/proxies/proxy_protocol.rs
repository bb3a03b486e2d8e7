//! The PROXY protocol, to servers and from proxies, compared with literal bytes, haproxy and nginx.

use std::io::Write as _;
use std::process::Stdio;

use nix::sys::signal::Signal;
use relay_tests::balancer::{Haproxy, Nginx};
use relay_tests::counters::number_of;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::scratch::Scratch;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{
    End, Launch, Node, ReservedPort, Server, Service, eventually, needs, node, requirement,
};

#[test]
fn the_server_receives_the_address_of_the_client() {
    let server = Server::start();
    let route = node!("tcpfwd --send-proxy v1 127.0.0.1:0 {server}");
    let client = route.dial();
    let session = server.accept();
    session.expect(line_of(&client, &route).as_bytes());
    client.send(b"hello");
    session.expect(b"hello");
    session.send(b"220 ready");
    client.expect(b"220 ready");
}

#[test]
fn the_server_behind_both_nodes_receives_the_address_of_the_client() {
    let server = Server::start();
    let outside = Node::outside();
    let _inside = node!(
        "connect-connect --send-proxy v1 {} {server}",
        outside.link()
    );
    let client = outside.dial();
    client.send(b"hello");
    let session = server.accept();
    session.expect((line_of(&client, &outside) + "hello").as_bytes());
    session.send(b"220 ready");
    client.expect(b"220 ready");
}

#[test]
fn each_session_on_a_link_has_its_own_header() {
    let server = Server::start();
    let outside = Node::outside();
    let link = outside.link();
    let _inside = node!("connect-connect --idle 1 --send-proxy v1 {link} {server}");
    for _ in 0..3 {
        let client = outside.dial();
        client.shutdown_write();
        let session = server.accept();
        assert_same(
            &session.receive_to_eof(),
            line_of(&client, &outside).as_bytes(),
        );
        drop(session);
        client.expect_eof();
    }
}

#[test]
fn the_header_is_not_counted_in_the_bytes_that_are_logged() {
    let server = Server::start();
    let route = node!("tcpfwd -v --once --send-proxy v2 127.0.0.1:0 {server}");
    let client = route.dial();
    client.send(b"hello");
    client.shutdown_write();
    let session = server.accept();
    let (header, id) = binary_header(&session);
    assert_eq!(header[12..14], [0x21, 0x11]);
    assert_same(&session.receive_to_eof(), b"hello");
    drop(session);
    client.expect_eof();
    let told = route.stderr.wait_for("session ");
    assert!(
        told.contains(&format!("session {id} from {} ", client.local())),
        "{told}"
    );
    assert!(told.contains(": 5 bytes to server, "), "{told}");
}

#[test]
fn the_server_receives_the_id_that_both_nodes_log() {
    let server = Server::start();
    let outside = node!("listen-listen -v 127.0.0.1:0 127.0.0.1:0");
    let inside = node!(
        "connect-connect -v --send-proxy v2 {} {server}",
        outside.link()
    );
    let client = outside.dial();
    client.shutdown_write();
    let session = server.accept();
    let (_, id) = binary_header(&session);
    session.expect_eof();
    drop(session);
    client.expect_eof();
    let line = format!("session {id} from {} ", client.local());
    outside.stderr.wait_for(&line);
    inside.stderr.wait_for(&line);
}

#[test]
fn an_ipv4_client_of_a_dual_stack_port_is_an_ipv4_client() {
    let server = Server::start();
    let route = node!("tcpfwd --send-proxy v1 0 {server}");
    let port = route.port(0);
    let client = End::dial(&format!("127.0.0.1:{port}"));
    let header = format!(
        "PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\n",
        client.local().port()
    );
    server.accept().expect(header.as_bytes());
    let client = End::dial(&format!("[::1]:{port}"));
    let header = format!("PROXY TCP6 ::1 ::1 {} {port}\r\n", client.local().port());
    server.accept().expect(header.as_bytes());
}

#[test]
fn a_client_without_an_address_is_unknown() {
    let scratch = Scratch::new();
    let socket = format!("unix:{}", scratch.file("clients").display());
    for (version, header) in [("v1", "PROXY UNKNOWN\r\n".as_bytes()), ("v2", LOCAL)] {
        let server = Server::start();
        let _route = node!("tcpfwd --send-proxy {version} {socket} {server}");
        let client = End::dial(&socket);
        server.accept().expect(header);
        drop(client);
    }
}

#[test]
fn a_raw_link_does_not_carry_the_address_of_its_client() {
    for (version, header) in [("v1", "PROXY UNKNOWN\r\n".as_bytes()), ("v2", LOCAL)] {
        let server = Server::start();
        let outside = node!("listen-listen --raw 127.0.0.1:0 127.0.0.1:0");
        let _inside = node!(
            "connect-connect --raw --send-proxy {version} {} {server}",
            outside.link()
        );
        let client = outside.dial();
        client.send(b"hello");
        let session = server.accept();
        session.expect(header);
        if version == "v1" {
            session.expect(b"hello");
        }
    }
}

#[test]
fn haproxy_takes_our_header() {
    needs!("haproxy");
    for version in ["v1", "v2"] {
        let port = ReservedPort::new();
        let _haproxy = Haproxy::start(&format!(
            "listen clients\n  mode http\n  bind {port} accept-proxy\n  \
             http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port] %[dst_port]\"\n"
        ));
        expect_the_client_is_known(version, &port);
    }
}

#[test]
fn nginx_takes_our_header() {
    needs!("nginx");
    for version in ["v1", "v2"] {
        let port = ReservedPort::new();
        let _nginx = Nginx::start(&format!(
            "http {{ access_log off; server {{ listen {port} proxy_protocol; location / {{ \
             return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\"; }} }} }}"
        ));
        expect_the_client_is_known(version, &port);
    }
}

#[test]
fn haproxy_and_nginx_serve_clients_that_are_not_known() {
    needs!("haproxy", "nginx");
    let scratch = Scratch::new();
    let socket = format!("unix:{}", scratch.file("clients").display());
    for version in ["v1", "v2"] {
        let (haproxy, nginx) = (ReservedPort::new(), ReservedPort::new());
        let _haproxy = Haproxy::start(&format!(
            "listen clients\n  mode http\n  bind {haproxy} accept-proxy\n  http-request return status 200\n"
        ));
        let _nginx = Nginx::start(&format!(
            "http {{ access_log off; server {{ listen {nginx} proxy_protocol; location / {{ return 200 ok; }} }} }}"
        ));
        for port in [&haproxy, &nginx] {
            port.wait_until_listened_on();
            let _route = node!("tcpfwd --send-proxy {version} {socket} {port}");
            let client = End::dial(&socket);
            client.send(b"GET / HTTP/1.0\r\n\r\n");
            let answer = client.receive_to_any_end();
            assert!(
                answer.starts_with(b"HTTP/1."),
                "{version}: {}",
                answer.escape_ascii()
            );
        }
    }
}

/// The server behind `port` answers a client of `tcpfwd`, and of both nodes, with the client's own address and port, and
/// the port that it dialled.
fn expect_the_client_is_known(version: &str, port: &ReservedPort) {
    port.wait_until_listened_on();
    let route = node!("tcpfwd --send-proxy {version} 127.0.0.1:0 {port}");
    expect_own_address(&route);
    let outside = Node::outside();
    let _inside = node!(
        "connect-connect --send-proxy {version} {} {port}",
        outside.link()
    );
    expect_own_address(&outside);
}

fn expect_own_address(node: &Node) {
    let client = node.dial();
    client.send(b"GET / HTTP/1.0\r\n\r\n");
    let answer = String::from_utf8_lossy(&client.receive_to_any_end()).into_owned();
    let own = node.port(0);
    let expected = format!("\r\n\r\n127.0.0.1 {} {own}", client.local().port());
    assert!(
        answer.trim_end().ends_with(&expected),
        "{answer}, not {expected}"
    );
}

/// What a server receives before the bytes of `client`, which dialled the first port of `node`.
fn line_of(client: &End, node: &Node) -> String {
    let port = node.port(0);
    format!(
        "PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\n",
        client.local().port()
    )
}

/// The binary header that `session` begins with, and the id in it, its one TLV.
fn binary_header(session: &End) -> (Vec<u8>, String) {
    let mut header = session.receive(16);
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    let addresses = if header[13] == 0x11 { 12 } else { 0 };
    let block = session.receive(length);
    let (tlv, id) = block[addresses..].split_at(3);
    assert_eq!(tlv, [5, 0, id.len() as u8]);
    header.extend(&block);
    (header, String::from_utf8_lossy(id).into_owned())
}

/// LOCAL, and no family: the connection's own addresses hold.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00";

#[test]
fn a_proxy_sends_the_address_of_the_client() {
    for options in ["", "--no-splice"] {
        for way in Way::ALL {
            let server = Server::start();
            let nodes = way.open(
                &format!("-v --accept-proxy {options}"),
                "--send-proxy v1",
                &server,
            );
            let client = nodes[0].dial();
            client.send(format!("{LINE}hello").as_bytes());
            let session = server.accept();
            session.expect(way.passed_on(LINE).as_bytes());
            session.expect(b"hello");
            session.send(b"220 ready");
            client.expect(b"220 ready");
            client.shutdown_write();
            session.expect_eof();
            drop(session);
            client.expect_eof();
            nodes[0].stderr.wait_for(" from 203.0.113.9:1234 to ");
        }
    }
}

#[test]
fn a_client_need_not_be_of_the_family_of_its_proxy() {
    for line in [
        "PROXY TCP6 2001:db8::9 2001:db8::1 1234 80\r\n",
        "PROXY TCP6 ::ffff:203.0.113.9 2001:db8::1 1234 80\r\n",
    ] {
        for way in [Way::Tcpfwd, Way::BothNodes] {
            let server = Server::start();
            let nodes = way.open("--accept-proxy", "--send-proxy v1", &server);
            let client = nodes[0].dial();
            client.send(line.as_bytes());
            server.accept().expect(line.as_bytes());
        }
    }
}

#[test]
fn the_one_client_of_once_has_a_header_or_fails() {
    let service = Service::greeting("hello");
    for (sent, code) in [(LINE, 0), ("GET / HTTP/1.0\r\n", 111)] {
        for way in Way::ALL {
            let mut nodes = way.open("--once --accept-proxy", "", &service);
            let client = nodes[0].dial();
            client.send(sent.as_bytes());
            if code == 0 {
                client.shutdown_write();
            }
            client.receive_to_any_end();
            assert_eq!(nodes[0].exit_code(), code, "{sent}");
            let told = String::from_utf8_lossy(&nodes[0].stderr.wait_for_end()).into_owned();
            let is_fatal = told.contains(": fatal: unable to serve ");
            assert_eq!(is_fatal, code != 0, "{sent}: {told}");
        }
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    for way in Way::ALL {
        let server = Server::start();
        let nodes = way.open("--accept-proxy", "--send-proxy v1", &server);
        let client = nodes[0].dial();
        client.send_at_once();
        for byte in format!("{LINE}hello").as_bytes() {
            client.send(&[*byte]);
        }
        server
            .accept()
            .expect((way.passed_on(LINE) + "hello").as_bytes());
    }
}

#[test]
fn what_follows_the_header_is_spliced() {
    let server = Server::start();
    let route = node!("tcpfwd --accept-proxy 127.0.0.1:0 {server}");
    let client = route.dial();
    let sent = noise(1, 8 * MIB);
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send(LINE.as_bytes());
            client.send(&sent);
            client.shutdown_write();
        });
        server.accept().receive_to_eof()
    });
    assert_same(&received, &sent);
    assert!(number_of(&route, "spliced") > 0);
}

#[test]
fn a_binary_header_may_be_long() {
    let server = Server::start();
    let route = node!("tcpfwd --accept-proxy --send-proxy v1 127.0.0.1:0 {server}");
    let client = route.dial();
    let tlv = [&[0xe0, 0xea, 0x60][..], &[b'x'; 60_000]].concat();
    client.send(&binary(0x21, 0x11, &[&ADDRESSES, &tlv[..]].concat()));
    client.send(b"hello");
    server.accept().expect(format!("{LINE}hello").as_bytes());
}

#[test]
fn a_connection_of_the_proxy_itself_has_its_own_addresses() {
    for header in [
        binary(0x20, 0x00, &[]),
        binary(0x20, 0x11, &ADDRESSES),
        binary(0x21, 0x00, &[]),
        b"PROXY UNKNOWN what ever\r\n".to_vec(),
    ] {
        let server = Server::start();
        let route = node!("tcpfwd --accept-proxy --send-proxy v1 127.0.0.1:0 {server}");
        let client = route.dial();
        client.send(&header);
        server.accept().expect(line_of(&client, &route).as_bytes());
    }
}

#[test]
fn a_client_without_a_header_is_reset_and_no_server_dialled() {
    for way in Way::ALL {
        let server = Server::start();
        let nodes = way.open("-v --accept-proxy", "", &server);
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        ] {
            let client = nodes[0].dial();
            client.send(wrong);
            client.expect_reset();
        }
        server.expect_nobody(A_WHILE);
        let client = nodes[0].dial().local();
        nodes[0]
            .stderr
            .wait_for("warning: unable to serve 127.0.0.1:");
        nodes[0].stderr.wait_for(&format!(" from {client} to "));
        // A client that connects and closes causes no warning.
        assert!(
            !nodes[0]
                .stderr
                .text()
                .contains(&format!("unable to serve {client}"))
        );
    }
}

#[test]
fn a_client_without_a_header_is_reset_after_three_seconds() {
    let server = Server::start();
    let waits = Way::ALL.map(|way| {
        let nodes = way.open("--max-sessions 1 --accept-proxy", "", &server);
        let client = nodes[0].dial();
        client.send(b"PROXY TCP4");
        eventually("the client counts as a session", || {
            number_of(&nodes[0], "sessions") == 1
        });
        // So another one has to wait.
        let other = nodes[0].dial();
        other.send(format!("{LINE}hello").as_bytes());
        (nodes, client, other)
    });
    server.expect_nobody(A_WHILE);
    for (nodes, client, _other) in waits {
        client.expect_reset();
        server.accept().expect(b"hello");
        nodes[0].stderr.wait_for(": no proxy header within 3s");
    }
}

#[test]
fn a_pipe_may_begin_with_a_header() {
    let tlv = [&ADDRESSES, &[4, 0, 2, 0, 0][..]].concat();
    for header in [LINE.as_bytes().to_vec(), binary(0x21, 0x11, &tlv)] {
        let (server, link) = (Server::start(), ReservedPort::new());
        let _inside = node!("connect-connect --send-proxy v1 {link} {server}");
        for line in [
            format!("tcpfwd --accept-proxy --send-proxy v1 - {server}"),
            format!("listen-listen --accept-proxy - {link}"),
        ] {
            let mut node = Launch::new(&line).stdin(Stdio::piped()).spawn();
            let mut stdin = node.take_stdin();
            stdin.write_all(&[&header[..], b"hello"].concat()).unwrap();
            drop(stdin);
            let session = server.accept();
            assert_same(&session.receive_to_eof(), format!("{LINE}hello").as_bytes());
            drop(session);
            assert_eq!(node.exit_code(), 0, "{line}");
        }
    }
}

#[test]
fn the_sessions_of_a_client_are_counted_behind_its_proxy() {
    let service = Service::echo();
    for way in Way::ALL {
        let nodes = way.open("--max-sessions-per-client 1 --accept-proxy", "", &service);
        let [first, other, second] = [1, 2, 1].map(|host| {
            let client = nodes[0].dial();
            client
                .send(format!("PROXY TCP4 203.0.113.{host} 192.0.2.1 1234 80\r\nhello").as_bytes());
            if host == 2 {
                client.expect(b"hello");
            }
            client
        });
        second.expect_reset();
        first.expect(b"hello");
        drop(other);
    }
}

#[test]
fn a_client_whose_header_is_on_its_way_is_served_while_draining() {
    for way in Way::ALL {
        let service = Service::greeting("hello");
        let mut nodes = way.open("--accept-proxy", "", &service);
        let client = nodes[0].dial();
        eventually("the client is there", || {
            number_of(&nodes[0], "sessions") == 1
        });
        nodes[0].signal(Signal::SIGTERM);
        nodes[0].stderr.wait_for("waiting up to");
        client.send(LINE.as_bytes());
        assert_same(&client.receive_to_eof(), b"hello");
        drop(client);
        assert_eq!(nodes[0].exit_code(), 0);
    }
}

#[test]
fn haproxy_sends_the_address_of_the_client() {
    needs!("haproxy");
    for version in ["send-proxy", "send-proxy-v2"] {
        for way in Way::ALL {
            let (server, clients) = (Server::start(), ReservedPort::new());
            let nodes = way.open("--accept-proxy", "--send-proxy v1", &server);
            let _haproxy = Haproxy::start(&format!(
                "listen clients\n  mode tcp\n  bind {clients}\n  server node {} {version}\n",
                nodes[0].address(0)
            ));
            clients.wait_until_listened_on();
            let client = End::dial(&clients.to_string());
            client.send(b"hello");
            let session = server.accept();
            let line = format!(
                "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n",
                client.local().port(),
                clients.number()
            );
            session.expect((way.passed_on(&line) + "hello").as_bytes());
            session.send(b"220 ready");
            client.expect(b"220 ready");
        }
    }
}

#[test]
fn a_health_check_of_haproxy_causes_no_warning() {
    needs!("haproxy");
    let (server, clients) = (Service::greeting("hello"), ReservedPort::new());
    let route = node!("tcpfwd -v --accept-proxy 127.0.0.1:0 {server}");
    let _haproxy = Haproxy::start(&format!(
        "listen clients\n  mode tcp\n  bind {clients}\n  server node {} send-proxy-v2 check inter 50ms\n",
        route.address(0)
    ));
    clients.wait_until_listened_on();
    route.stderr.wait_for("session ");
    assert_same(&End::dial(&clients.to_string()).receive_to_eof(), b"hello");
    assert!(
        !route.stderr.text().contains("warning"),
        "{}",
        route.stderr.text()
    );
}

#[test]
fn nginx_sends_the_address_of_the_client() {
    needs!("nginx");
    const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
    if !std::path::Path::new(STREAM).exists() {
        return requirement::skip("nginx has no stream module");
    }
    let (server, clients) = (Server::start(), ReservedPort::new());
    let route = node!("tcpfwd --accept-proxy --send-proxy v1 127.0.0.1:0 {server}");
    let _nginx = Nginx::with_module(
        STREAM,
        &format!(
            "stream {{ server {{ listen {clients}; proxy_pass {}; proxy_protocol on; }} }}",
            route.address(0)
        ),
    );
    clients.wait_until_listened_on();
    let client = End::dial(&clients.to_string());
    client.send(b"hello");
    let line = format!(
        "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n",
        client.local().port(),
        clients.number()
    );
    server.accept().expect((line + "hello").as_bytes());
}

/// The ways on which a client's side and a server's side are ours.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Tcpfwd,
    BothNodes,
    BothNodesRaw,
}

impl Way {
    const ALL: [Way; 3] = [Way::Tcpfwd, Way::BothNodes, Way::BothNodesRaw];

    /// Opens it to `server`; clients dial the first port of the first node.
    fn open(self, outside: &str, inside: &str, server: &impl std::fmt::Display) -> Vec<Node> {
        let raw = if self == Way::BothNodesRaw {
            "--raw"
        } else {
            ""
        };
        if self == Way::Tcpfwd {
            return vec![node!("tcpfwd {outside} {inside} 127.0.0.1:0 {server}")];
        }
        let outside = node!("listen-listen {raw} {outside} 127.0.0.1:0 127.0.0.1:0");
        let inside = node!("connect-connect {raw} {inside} {} {server}", outside.link());
        vec![outside, inside]
    }

    /// The line that the server receives if the client's header is `line`. A raw link does not carry an address.
    fn passed_on(self, line: &str) -> String {
        match self {
            Way::BothNodesRaw => "PROXY UNKNOWN\r\n".to_owned(),
            _ => line.to_owned(),
        }
    }
}

fn binary(version_and_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let [high, low] = (block.len() as u16).to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[version_and_command, family, high, low][..],
        block,
    ]
    .concat()
}

/// The header of a proxy about a client, as a line and in binary.
const LINE: &str = "PROXY TCP4 203.0.113.9 192.0.2.1 1234 80\r\n";
const ADDRESSES: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0x04, 0xd2, 0, 80];
