//! The recipes of relay-recipes(7), with the programs that they are for.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use relay_tests::balancer::{Haproxy, Nginx};
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::network::{Hosts, add_address};
use relay_tests::running::Outcome;
use relay_tests::sshd::Sshd;
use relay_tests::timeouts::eventually_some;
use relay_tests::vsftpd::Vsftpd;
use relay_tests::{End, Launch, Server, Service, eventually, needs};
use socket2::{Domain, Socket, Type};

use super::{example, expect_greeting, start};

pub(super) fn ftp_server() {
    needs!("vsftpd", "curl");
    let _world = world();
    let _server = ftp(b"hello");
    // The server itself sends the address of the relay, on which no program listens yet.
    eventually("the server names the relay", || {
        let outcome = curl("--disable-epsv ftp://127.0.0.3/hello");
        outcome
            .stderr
            .contains("227 Entering Passive Mode (192,0,2,7,117,")
    });
}

pub(super) fn ftp_tcpfwd() {
    needs!("vsftpd", "curl");
    let _world = world();
    let file = noise(1, 4 * MIB);
    let _server = ftp(&file);
    let _example = start("ftp-tcpfwd");
    expect_file(&file);
}

pub(super) fn ftp_nodes() {
    needs!("vsftpd", "curl");
    let _world = world();
    let file = noise(2, 4 * MIB);
    let _server = ftp(&file);
    let _example = start("ftp-nodes");
    expect_file(&file);
}

pub(super) fn ssh_nodes() {
    needs!("sshd", "ssh", "ssh-keygen");
    let _world = world();
    let sshd = Sshd::start("127.0.0.3:22");
    let _example = start("ssh-nodes");
    // The server sends first.
    eventually("the server sends its greeting", || {
        End::try_dial("127.0.0.2:2222").is_ok_and(|client| client.receive(8) == b"SSH-2.0-")
    });
    let outcome = sshd.client("-p 2222 ll echo hello").run();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same(&outcome.stdout, b"hello\n");
}

pub(super) fn http_haproxy() {
    needs!("haproxy");
    let _world = world();
    let relay = Server::on("127.0.0.1:8000");
    let _haproxy = Haproxy::start(&lines("http-haproxy"));
    let client = dial_from(11, "192.0.2.7:80");
    client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    let header = relay.accept().receive(28);
    assert_same(
        &header[12..],
        &[
            0x21, 0x11, 0, 12, 127, 0, 0, 11, 192, 0, 2, 7, header[24], header[25], 0, 80,
        ],
    );
}

pub(super) fn http_nginx() {
    needs!("nginx");
    let _world = world();
    let _nginx = nginx();
    eventually("nginx tells the address of the header", || {
        let Ok(client) = End::try_dial("127.0.0.3:80") else {
            return false;
        };
        client.send(b"PROXY TCP4 203.0.113.9 192.0.2.7 1234 80\r\nGET / HTTP/1.0\r\n\r\n");
        client.receive_to_any_end().ends_with(b"203.0.113.9")
    });
}

pub(super) fn http_nodes() {
    needs!("haproxy", "nginx");
    let _world = world();
    let _nginx = nginx();
    let _example = start("http-nodes");
    // Even though it may share its connections.
    let _haproxy = Haproxy::start(&(lines("http-haproxy") + "    http-reuse always\n"));
    eventually("the whole way is open", || {
        let client = dial_from(10, "192.0.2.7:80");
        client.send(b"GET / HTTP/1.0\r\n\r\n");
        client.receive_to_any_end().ends_with(b"127.0.0.10")
    });
    // Connections are kept, by the clients and by haproxy, and the clients take turns.
    let clients = [11, 12, 13].map(|host| (host, dial_from(host, "192.0.2.7:80")));
    for _ in 0..3 {
        for (host, client) in &clients {
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n");
            assert_eq!(body(client), format!("127.0.0.{host}"));
        }
    }
}

pub(super) fn links_socks() {
    needs!("microsocks");
    let _world = world();
    let _server = Service::greeting_on(Server::on("127.0.0.3:7200"), "hello");
    let firewall = Launch::new("microsocks -i 127.0.0.4 -p 1080").spawn();
    let _example = start("links-socks");
    expect_greeting("127.0.0.1:8000", "hello");
    firewall.stderr.wait_for("connected to ll:8001");
}

pub(super) fn two_firewalls() {
    let _world = world();
    let _server = Service::greeting_on(Server::on("127.0.0.3:80"), "hello");
    let _example = start("two-firewalls");
    expect_greeting("127.0.0.4:8080", "hello");
}

pub(super) fn two_firewalls_address() {
    let _world = world();
    let _server = Service::on(Server::on("127.0.0.3:80"), |end| {
        let header = end.receive(28);
        let _ = end.try_send(&header[16..]);
    });
    let _example = start("two-firewalls-address");
    eventually("the server is told who the client is", || {
        let Ok(client) = End::try_dial("127.0.0.4:8080") else {
            return false;
        };
        let [high, low] = client.local().port().to_be_bytes();
        let told = [127, 0, 0, 1, 127, 0, 0, 4, high, low, 0x1f, 0x90];
        client.receive_to_any_end() == told
    });
}

/// The hosts of the page, and the address by which clients know the relay.
fn world() -> Hosts {
    add_address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    Hosts::new(
        "127.0.0.1 localhost\n127.0.0.2 ll\n127.0.0.3 srv\n127.0.0.4 fw fw1\n127.0.0.5 fw2\n",
    )
}

/// The lines of an example that are a configuration.
fn lines(name: &str) -> String {
    example(name).lines.join("\n") + "\n"
}

fn ftp(file: &[u8]) -> Vsftpd {
    Vsftpd::start("127.0.0.3", &lines("ftp-server"), file)
}

fn nginx() -> Nginx {
    Nginx::start(&format!(
        "http {{ access_log off; {} }}",
        lines("http-nginx")
    ))
}

/// The file arrives in both modes of sending a port, from the address that clients know.
fn expect_file(file: &[u8]) {
    eventually("the server is reached", || {
        curl("ftp://192.0.2.7/hello").code == 0
    });
    for options in ["--disable-epsv --no-ftp-skip-pasv-ip", ""] {
        let outcome = curl(&format!("{options} ftp://192.0.2.7/hello"));
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_same(&outcome.stdout, file);
    }
}

fn curl(words: &str) -> Outcome {
    Launch::new(&format!("curl -sv --max-time 5 {words}")).run()
}

/// A client at 127.0.0.`host`.
fn dial_from(host: u8, address: &str) -> End {
    let address: SocketAddr = address
        .parse()
        .unwrap_or_else(|_| panic!("{address} is an address"));
    eventually_some(&format!("{address} is reached"), || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket
            .bind(&SocketAddr::from(([127, 0, 0, host], 0)).into())
            .ok()?;
        socket.connect(&address.into()).ok()?;
        Some(End::from(socket))
    })
}

/// The body of an answer after which the connection stays open.
fn body(client: &End) -> String {
    let mut reader = BufReader::with_capacity(1, client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    String::from_utf8_lossy(&client.receive(length)).into_owned()
}
