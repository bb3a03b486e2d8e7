//! The PROXY protocol, towards servers and from proxies: against bytes that are written down here, haproxy and nginx.

use relay_tests::balancer::{Haproxy, Nginx};
use relay_tests::data::assert_same;
use relay_tests::scratch::Scratch;
use relay_tests::{End, Node, ReservedPort, Server, needs, node};

#[test]
fn the_server_is_told_who_the_client_is() {
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
fn the_server_is_told_who_the_client_is_behind_both_nodes() {
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
fn the_header_is_none_of_the_bytes_that_are_told() {
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
fn the_server_is_told_the_id_that_both_nodes_log() {
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
fn a_raw_link_tells_nobody_who_its_client_is() {
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

/// What a server gets before the bytes of `client`, who dialled the first port of `node`.
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
