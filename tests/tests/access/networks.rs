//! `--allow` and `--deny`: which addresses are allowed, and which are reset before they cost anything.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use relay_tests::counters::number_of;
use relay_tests::data::assert_same;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{End, Launch, Node, Server, Service, eventually, node};

#[test]
fn a_client_that_is_denied_is_reset_and_the_server_is_not_dialled() {
    let server = Server::start();
    let route = node!("tcpfwd -v --deny 127.0.0.0/8 127.0.0.1:0 {server}");
    route.dial().expect_reset();
    server.expect_nobody(A_WHILE);
    route
        .stderr
        .wait_for("info: denied 127.0.0.1 on 127.0.0.1:0: 127.0.0.0/8 is denied");
    assert_eq!(number_of(&route, "denied"), 1);
    assert_eq!(number_of_sessions(&route), 0);
}

#[test]
fn the_first_rule_that_covers_a_client_decides_whichever_option_it_is() {
    let service = Service::greeting("hello");
    for (options, is_served) in [
        ("--allow 127.0.0.1 --deny 127.0.0.0/8", true),
        ("--deny 127.0.0.0/8 --allow 127.0.0.1", false),
        ("--deny 192.0.2.0/24", true),
        ("--allow 192.0.2.0/24", false),
        ("--allow 192.0.2.0/24 --allow 127.0.0.0/8", true),
        (
            "--deny 127.0.0.2 --allow 127.0.0.0/8 --deny 0.0.0.0/0",
            true,
        ),
        ("--allow ::ffff:127.0.0.0/104", true),
        ("--allow ::1", false),
    ] {
        let route = node!("tcpfwd {options} 127.0.0.1:0 {service}");
        let client = route.dial();
        if is_served {
            assert_same(&client.receive_to_eof(), b"hello");
        } else {
            client.expect_reset();
        }
    }
}

#[test]
fn a_client_with_ipv4_is_one_on_a_dual_stack_socket_too() {
    let service = Service::greeting("hello");
    let route = node!("tcpfwd --deny 127.0.0.0/8 0 {service}");
    let port = route.address(0).rsplit_once(':').expect("a port").1;
    End::dial(&format!("127.0.0.1:{port}")).expect_reset();
}

#[test]
fn a_denied_client_does_not_use_up_the_one_session_of_once() {
    let service = Service::greeting("hello");
    let mut route =
        node!("tcpfwd --once --deny 127.0.0.2 --allow 127.0.0.0/8 127.0.0.1:0 {service}");
    End::dial_from("127.0.0.2:0", route.address(0)).expect_reset();
    assert_same(&route.dial().receive_to_eof(), b"hello");
    assert_eq!(route.exit_code(), 0);
}

#[test]
fn the_outside_node_checks_the_clients_of_both_nodes() {
    for raw in ["", "--raw"] {
        let service = Service::greeting("hello");
        let outside = node!("listen-listen {raw} --deny 127.0.0.2 127.0.0.1:0 127.0.0.1:0");
        let _inside = node!(
            "connect-connect {raw} --interval 50ms {} {service}",
            outside.link()
        );
        End::dial_from("127.0.0.2:0", outside.address(0)).expect_reset();
        assert_same(&outside.dial().receive_to_eof(), b"hello");
        assert_eq!(number_of(&outside, "denied"), 1);
    }
}

#[test]
fn a_link_from_elsewhere_is_reset() {
    for raw in ["", "--raw"] {
        let service = Service::greeting("hello");
        let outside = node!("listen-listen {raw} --allow-link 127.0.0.2 127.0.0.1:0 127.0.0.1:0");
        let client = outside.dial();
        let mut denied = node!(
            "connect-connect {raw} --interval 50ms {} {service}",
            outside.link()
        );
        outside
            .stderr
            .wait_for("warning: denied 127.0.0.1 on 127.0.0.1:0: no rule allows it");
        client.expect_silence(A_WHILE);
        assert!(denied.is_running());
        let _inside = node!(
            "connect-connect {raw} --interval 50ms --bind 127.0.0.2 {} {service}",
            outside.link()
        );
        assert_same(&client.receive_to_eof(), b"hello");
    }
}

#[test]
fn a_list_for_links_stands_in_for_the_warning() {
    let outside = node!("listen-listen --allow-link 127.0.0.0/8 127.0.0.1:0 0");
    assert_eq!(number_of(&outside, "links"), 0);
    assert!(
        !outside.stderr.text().contains("warning"),
        "{}",
        outside.stderr.text()
    );
    let warned = node!("listen-listen 127.0.0.1:0 0");
    warned.stderr.wait_for("anyone who can reach 0");
}

#[test]
fn an_inherited_client_is_checked_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    for (options, is_served) in [("--deny 127.0.0.1", false), ("--allow 127.0.0.1", true)] {
        let service = Service::greeting("hello");
        let client = End::dial(&address.to_string());
        let (inherited, _) = listener.accept().expect("the client has come");
        let descriptor = || OwnedFd::from(inherited.try_clone().expect("descriptors are left"));
        let route = Launch::new(&format!("tcpfwd {options} - {service}"))
            .stdin(descriptor())
            .stdout(descriptor())
            .spawn();
        drop(inherited);
        if is_served {
            assert_same(&client.receive_to_eof(), b"hello");
            client.shutdown_write();
            assert_eq!(route.finish().code, 0);
        } else {
            client.expect_reset();
            let outcome = route.finish();
            assert_eq!(outcome.code, 111, "{}", outcome.stderr);
            assert!(
                outcome.stderr.contains("its peer is denied"),
                "{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn one_client_has_no_more_sessions_than_it_may() {
    let service = Service::echo();
    for raw in ["", "--raw"] {
        let outside =
            node!("listen-listen {raw} --max-sessions-per-client 2 127.0.0.1:0 127.0.0.1:0");
        let _inside = node!(
            "connect-connect {raw} --interval 50ms {} {service}",
            outside.link()
        );
        expect_two_sessions_each(&outside);
    }
    let route = node!("tcpfwd --max-sessions-per-client 2 127.0.0.1:0 {service}");
    expect_two_sessions_each(&route);
}

fn expect_two_sessions_each(node: &Node) {
    let exchange = |client: &End| {
        client.send(b"hello");
        client.expect(b"hello");
    };
    let (first, second) = (node.dial(), node.dial());
    exchange(&first);
    exchange(&second);
    node.dial().expect_reset();
    exchange(&End::dial_from("127.0.0.2:0", node.address(0)));
    drop(first);
    eventually("its place is free again", || {
        let client = TcpStream::connect(node.address(0));
        client.is_ok_and(|mut client| {
            client.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok()
        })
    });
    exchange(&second);
}

fn number_of_sessions(node: &Node) -> usize {
    node.stderr.text().matches("info: session ").count()
}
