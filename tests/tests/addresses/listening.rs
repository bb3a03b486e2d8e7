//! Where a program listens: on both IP versions, on Unix sockets, on ports that it prints, and on none if one of them
//! is in use.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;

use relay_tests::data::assert_same;
use relay_tests::kernel::{expect_no_wakeups, resident_bytes};
use relay_tests::name_server::NameServer;
use relay_tests::scratch::Scratch;
use relay_tests::{End, Launch, Node, Server, Service, exchange, network_tests, node};

network_tests! {
    a_bare_port_takes_both_ip_versions,
    ten_thousand_ports_answer_and_cost_neither_wakeups_nor_much_memory,
    a_range_of_a_name_is_looked_up_once
}

fn a_bare_port_takes_both_ip_versions() {
    let service = Service::greeting("hello");
    for word in ["8080", ":8081", "*:8082"] {
        let _tcpfwd = node!("tcpfwd {word} {service}");
        let (_, port) = word.rsplit_once(':').unwrap_or(("", word));
        for host in ["127.0.0.1", "[::1]"] {
            assert_same(
                &End::dial(&format!("{host}:{port}")).receive_to_eof(),
                b"hello",
            );
        }
    }
}

fn ten_thousand_ports_answer_and_cost_neither_wakeups_nor_much_memory() {
    let server = Server::start();
    let one = node!("tcpfwd 127.0.0.1:19999 {server}");
    let all = node!("tcpfwd --send-proxy v1 127.0.0.1:20000-29999 {server}");
    let memory = resident_bytes(all.pid()) - resident_bytes(one.pid());
    assert!(memory < 10_000 * 1024, "{memory} bytes for 10,000 ports");
    for port in 20_000..30_000 {
        let client = End::dial(&format!("127.0.0.1:{port}"));
        let session = server.accept();
        let header = format!(
            "PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\n",
            client.local().port()
        );
        session.expect(header.as_bytes());
        // Neither end stays behind in TIME_WAIT.
        client.reset();
    }
    expect_no_wakeups(all.pid());
}

fn a_range_of_a_name_is_looked_up_once() {
    let names = NameServer::start();
    let service = Service::greeting("hello");
    let line = format!("tcpfwd --print-address listen.example:2000-2009 {service}");
    let tcpfwd = Launch::new(&line).spawn();
    for _ in ["A", "AAAA"] {
        names.answer(&names.receive(), Ipv4Addr::new(127, 0, 0, 5));
    }
    tcpfwd.stdout.wait_for("127.0.0.5:2009");
    assert_same(&End::dial("127.0.0.5:2000").receive_to_eof(), b"hello");
}

#[test]
fn port_0_takes_both_ip_versions() {
    let service = Service::greeting("hello");
    let tcpfwd = node!("tcpfwd 0 {service}");
    let (_, port) = tcpfwd.address(0).rsplit_once(':').unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        assert_same(
            &End::dial(&format!("{host}:{port}")).receive_to_eof(),
            b"hello",
        );
    }
}

#[test]
fn each_listening_socket_is_printed_with_its_word() {
    let service = Service::echo();
    let tcpfwd = node!("tcpfwd 127.0.0.1:0 {service} [::1]:0 {service}");
    let printed = tcpfwd.stdout.text();
    let words: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    assert_eq!(
        words.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
        ["127.0.0.1:0", "[::1]:0"]
    );
    assert!(
        words[0].1.starts_with("127.0.0.1:") && words[1].1.starts_with("[::1]:"),
        "{printed}"
    );
}

#[test]
fn readiness_is_told_on_a_descriptor() {
    let service = Service::echo();
    let tcpfwd = Launch::new(&format!("tcpfwd --ready-fd 1 127.0.0.1:0 {service}")).spawn();
    assert_eq!(tcpfwd.stdout.wait_for_end(), b"\n");
}

#[test]
fn a_unix_socket_has_a_path() {
    let scratch = Scratch::new();
    let socket = scratch.file("clients");
    let service = Service::greeting("hello");
    let tcpfwd = node!("tcpfwd unix:{} {service}", socket.display());
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
}

#[test]
fn a_unix_socket_that_was_left_behind_is_replaced() {
    let scratch = Scratch::new();
    let socket = scratch.file("clients");
    let service = Service::greeting("hello");
    let line = format!("tcpfwd unix:{} {service}", socket.display());
    let killed = Node::start(&line);
    killed.signal(nix::sys::signal::Signal::SIGKILL);
    drop(killed);
    assert_same(&Node::start(&line).dial().receive_to_eof(), b"hello");
}

#[test]
fn a_unix_socket_that_is_in_use_is_not_replaced() {
    let scratch = Scratch::new();
    let service = Service::greeting("hello");
    let line = format!(
        "tcpfwd unix:{} {service}",
        scratch.file("clients").display()
    );
    let first = Node::start(&line);
    assert_eq!(Launch::new(&line).run().code, 111);
    assert_same(&first.dial().receive_to_eof(), b"hello");
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced() {
    let scratch = Scratch::new();
    let file = scratch.write("precious", b"bytes");
    for line in [
        format!("tcpfwd unix:{} 80", file.display()),
        format!("listen-listen 127.0.0.1:0 unix:{}", file.display()),
    ] {
        let outcome = Launch::new(&line).run();
        assert_eq!(outcome.code, 111, "{}", outcome.stderr);
        assert_eq!(fs::read(&file).unwrap(), b"bytes");
    }
}

#[test]
fn a_socket_file_that_took_the_place_of_ours_is_not_removed() {
    let scratch = Scratch::new();
    let (socket, aside) = (scratch.file("clients"), scratch.file("aside"));
    let service = Service::greeting("hello");
    let line = format!("tcpfwd unix:{} {service}", socket.display());
    let mut first = Node::start(&line);
    fs::rename(&socket, aside).unwrap();
    let second = Node::start(&line);
    first.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(first.exit_code(), 0);
    assert_same(&second.dial().receive_to_eof(), b"hello");
}

#[test]
fn an_inherited_listener_may_have_any_number() {
    let service = Service::greeting("hello");
    for tool in ["tcpfwd fd:3", "tcpfwd fd:7"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (_, number) = tool.split_once(':').unwrap();
        let _tcpfwd = Launch::shell(&format!("exec {tool} $1 {number}<&0 </dev/null"))
            .word(service.to_string())
            .stdin(OwnedFd::from(listener))
            .spawn();
        assert_same(&End::dial(&address).receive_to_eof(), b"hello");
    }
}

#[test]
fn a_unix_socket_may_be_abstract() {
    let name = format!("unix:@relay-tests-{}", std::process::id());
    let service = Service::greeting("hello");
    let tcpfwd = node!("tcpfwd {name} {service}");
    assert_eq!(tcpfwd.address(0), name);
    assert_same(&tcpfwd.dial().receive_to_eof(), b"hello");
}

#[test]
fn links_and_clients_may_come_by_unix_sockets() {
    let scratch = Scratch::new();
    let [clients, links, server] =
        ["clients", "links", "server"].map(|name| scratch.file(name).display().to_string());
    let server = Server::on(&format!("unix:{server}"));
    let outside = node!("listen-listen unix:{clients} unix:{links}");
    let _inside = node!("connect-connect unix:{links} {server}");
    let client = outside.dial();
    let inside = server.accept();
    exchange(&client, &inside);
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_opened() {
    let taken = Server::start();
    let service = Service::echo();
    let outcome = Launch::new(&format!(
        "tcpfwd --print-address 127.0.0.1:0 {service} {taken} {service}"
    ))
    .run();
    assert_eq!(
        (outcome.code, outcome.stdout.as_slice()),
        (111, b"".as_slice())
    );
    assert!(
        outcome.stderr.contains(&taken.to_string()),
        "{}",
        outcome.stderr
    );
}
