//! The NAT laboratory does what its documentation says: the firewalls are tested with plain sockets.

#![allow(
    clippy::expect_used,
    reason = "this is test code: a broken expectation is a failed test"
)]

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use relay_tests::nat_lab::{Answer, Firewall, Laboratory, OUTSIDE_A, OUTSIDE_B};
use relay_tests::requirement::skip;
use relay_tests::timeouts::A_WHILE;
use relay_tests::{Launch, Server, TIMEOUT, eventually};
use socket2::{Domain, Socket, Type};

relay_tests::network_tests! {
    a_host_is_seen_under_its_firewalls_address_and_its_own_port,
    a_firewall_that_changes_ports_shows_others,
    a_firewall_that_drops_answers_nothing,
    a_firewall_that_resets_refuses,
    a_firewall_that_answers_unreachable_gives_that_reason,
    each_firewall_answers_for_itself,
    firewalls_answer_to_ipv6_alike,
    a_firewall_without_a_rate_limit_answers_each_dial,
    a_host_that_knows_the_address_inside_is_not_let_in,
    sockets_that_dial_each_other_at_once_meet,
    they_meet_with_ipv6_too,
    a_path_that_is_cut_carries_nothing_until_it_is_mended,
    a_packet_takes_as_long_as_the_path,
    packets_keep_their_order_on_a_long_path,
    bytes_get_through_a_long_path,
    a_host_knows_the_names_of_both,
    nothing_is_left_of_a_laboratory_that_is_killed
}

fn a_host_is_seen_under_its_firewalls_address_and_its_own_port() {
    let Some(lab) = Laboratory::new(Firewall::DROPS, Firewall::DROPS) else {
        return;
    };
    let server = lab.net.run(|| Server::on("0.0.0.0:80"));
    for (host, outside, router) in [
        (&lab.a, OUTSIDE_A, "198.51.100.1:80"),
        (&lab.b, OUTSIDE_B, "203.0.113.1:80"),
    ] {
        let client = host.run(|| dial_from(PORT, router, TIMEOUT).expect("the network answers"));
        let session = server.accept();
        assert_eq!(session.peer(), SocketAddr::from((outside, PORT)));
        session.send(b"welcome");
        let mut greeting = [0; 7];
        (&client)
            .read_exact(&mut greeting)
            .expect("bytes come back in");
        (&client).write_all(b"thanks").expect("bytes go out");
        session.expect(b"thanks");
    }
}

fn a_firewall_that_changes_ports_shows_others() {
    let Some(lab) = Laboratory::new(Firewall::CHANGES_PORTS, Firewall::DROPS) else {
        return;
    };
    let server = lab.net.run(|| Server::on("0.0.0.0:80"));
    let seen = |port: u16| {
        let _client = lab
            .a
            .run(|| dial_from(port, "198.51.100.1:80", TIMEOUT).expect("the network answers"));
        server.accept().peer().port()
    };
    let kept = (PORT..PORT + 4).filter(|port| seen(*port) == *port).count();
    assert!(kept < 2, "{kept} of 4 ports were kept");
}

fn a_firewall_that_drops_answers_nothing() {
    expect_answer(Firewall::DROPS, ErrorKind::TimedOut);
}

fn a_firewall_that_resets_refuses() {
    expect_answer(Firewall::RESETS, ErrorKind::ConnectionRefused);
}

fn a_firewall_that_answers_unreachable_gives_that_reason() {
    for (code, reason) in [
        ("host-unreachable", ErrorKind::HostUnreachable),
        ("admin-prohibited", ErrorKind::HostUnreachable),
        ("net-unreachable", ErrorKind::NetworkUnreachable),
        ("port-unreachable", ErrorKind::ConnectionRefused),
    ] {
        expect_answer(Firewall::that_answers(Answer::Unreachable(code)), reason);
    }
}

/// A dial to the host behind `firewall`, from the network or from the other host, ends with `answer`, even if a program listens.
fn expect_answer(firewall: Firewall, answer: ErrorKind) {
    let Some(lab) = Laboratory::new(firewall, firewall) else {
        return;
    };
    let inside = lab.b.run(|| Server::on(&format!("0.0.0.0:{PORT}")));
    let outside_b = format!("{OUTSIDE_B}:{PORT}");
    let dial = || {
        dial_from(0, &outside_b, timeout_for(answer))
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    assert_eq!(lab.net.run(dial), Err(answer), "a stranger");
    assert_eq!(lab.a.run(dial), Err(answer), "the other host");
    inside.expect_nobody(A_WHILE);
}

fn each_firewall_answers_for_itself() {
    let Some(lab) = Laboratory::new(Firewall::RESETS, Firewall::DROPS) else {
        return;
    };
    let dial = |address: Ipv4Addr| {
        dial_from(0, &format!("{address}:{PORT}"), A_WHILE)
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    assert_eq!(
        lab.b.run(|| dial(OUTSIDE_A)),
        Err(ErrorKind::ConnectionRefused)
    );
    assert_eq!(lab.a.run(|| dial(OUTSIDE_B)), Err(ErrorKind::TimedOut));
}

fn a_host_that_knows_the_address_inside_is_not_let_in() {
    let Some(lab) = Laboratory::new(Firewall::RESETS, Firewall::RESETS) else {
        return;
    };
    let inside = lab.b.run(|| Server::on(&format!("0.0.0.0:{PORT}")));
    let routed = lab
        .net
        .launch("ip route add 192.168.1.0/24 via 203.0.113.2");
    assert_eq!(routed.run().code, 0);
    let dialled = lab
        .net
        .run(|| dial_from(0, &format!("192.168.1.2:{PORT}"), A_WHILE));
    assert_eq!(
        dialled.map_err(|error| error.kind()).err(),
        Some(ErrorKind::ConnectionRefused)
    );
    inside.expect_nobody(A_WHILE);
}

fn sockets_that_dial_each_other_at_once_meet() {
    let Some(lab) = Laboratory::new(Firewall::DROPS, Firewall::DROPS) else {
        return;
    };
    thread::scope(|scope| {
        let a = scope.spawn(|| {
            lab.a
                .run(|| dial_from(PORT, &format!("{OUTSIDE_B}:{PORT}"), TIMEOUT))
        });
        let b = lab
            .b
            .run(|| dial_from(PORT, &format!("{OUTSIDE_A}:{PORT}"), TIMEOUT));
        let a = a.join().expect("dialling does not panic");
        let (a, b) = (a.expect("A is let in"), b.expect("B is let in"));
        (&a).write_all(b"hello").expect("A sends");
        let mut greeting = [0; 5];
        (&b).read_exact(&mut greeting).expect("B receives");
        assert_eq!(&greeting, b"hello");
    });
}

fn a_firewall_without_a_rate_limit_answers_each_dial() {
    let always = Firewall::ALWAYS_SAYS_UNREACHABLE;
    let Some(lab) = Laboratory::with_delay(always, always, Duration::from_millis(2)) else {
        return;
    };
    let began = Instant::now();
    for _ in 0..50 {
        let dialled = lab
            .a
            .run(|| dial_from(0, &format!("{OUTSIDE_B}:{PORT}"), TIMEOUT));
        let error = dialled.map_err(|error| error.kind()).err();
        assert_eq!(error, Some(ErrorKind::HostUnreachable));
    }
    // With the kernel's limit it would take longer than 40 seconds.
    assert!(began.elapsed() < TIMEOUT);
}

fn firewalls_answer_to_ipv6_alike() {
    if !knows_v6() {
        return;
    }
    for (firewall, answer) in [
        (Firewall::DROPS, ErrorKind::TimedOut),
        (Firewall::RESETS, ErrorKind::ConnectionRefused),
        (Firewall::SAYS_UNREACHABLE, ErrorKind::HostUnreachable),
    ] {
        let Some(lab) = Laboratory::new(firewall, firewall) else {
            return;
        };
        let inside = lab.b.run(|| Server::on(&format!("[::]:{PORT}")));
        let dialled = lab.a.run(|| dial_from(0, B_V6, timeout_for(answer)));
        assert_eq!(dialled.map_err(|error| error.kind()).err(), Some(answer));
        inside.expect_nobody(A_WHILE);
    }
}

fn they_meet_with_ipv6_too() {
    if !knows_v6() {
        return;
    }
    let Some(lab) = Laboratory::with_delay(Firewall::DROPS, Firewall::DROPS, DELAY) else {
        return;
    };
    let dialled = Instant::now();
    thread::scope(|scope| {
        let a = scope.spawn(|| lab.a.run(|| dial_from(PORT, B_V6, TIMEOUT)));
        lab.b
            .run(|| dial_from(PORT, A_V6, TIMEOUT))
            .expect("B is let in");
        a.join()
            .expect("dialling does not panic")
            .expect("A is let in");
    });
    assert!(dialled.elapsed() >= DELAY, "the path is not of {DELAY:?}");
}

fn a_path_that_is_cut_carries_nothing_until_it_is_mended() {
    let Some(lab) = Laboratory::new(Firewall::RESETS, Firewall::RESETS) else {
        return;
    };
    let answer = || {
        let dialled = lab
            .a
            .run(|| dial_from(0, &format!("{OUTSIDE_B}:{PORT}"), A_WHILE));
        dialled.map_err(|error| error.kind()).err()
    };
    lab.cut();
    assert_eq!(answer(), Some(ErrorKind::TimedOut));
    lab.mend();
    assert_eq!(answer(), Some(ErrorKind::ConnectionRefused));
}

fn a_packet_takes_as_long_as_the_path() {
    let Some(lab) = Laboratory::with_delay(Firewall::DROPS, Firewall::RESETS, DELAY) else {
        return;
    };
    // A SYN and its RST: one round trip. The fastest of several counts, because the machine is busy with other tests.
    let round_trips = (0..5).map(|_| {
        let dialled = Instant::now();
        let refused = lab
            .a
            .run(|| dial_from(0, &format!("{OUTSIDE_B}:{PORT}"), TIMEOUT));
        assert_eq!(
            refused.map_err(|error| error.kind()).err(),
            Some(ErrorKind::ConnectionRefused)
        );
        dialled.elapsed()
    });
    let fastest = round_trips.min().expect("there were five");
    assert!(fastest >= 2 * DELAY, "{fastest:?} for a path of {DELAY:?}");
    assert!(
        fastest < 2 * DELAY + DELAY / 2,
        "{fastest:?} for a path of {DELAY:?}"
    );
}

fn packets_keep_their_order_on_a_long_path() {
    let Some(lab) = Laboratory::with_delay(Firewall::DROPS, Firewall::DROPS, DELAY) else {
        return;
    };
    let a = lab.a.run(|| datagrams_to(OUTSIDE_B));
    let b = lab.b.run(|| datagrams_to(OUTSIDE_A));
    // The firewalls forget a datagram later than it takes to send these.
    b.send(&[0]).expect("B opens its firewall");
    for number in 1..=200 {
        a.send(&[number]).expect("A sends");
    }
    let mut datagram = [0];
    let received: Vec<u8> = (1..=200)
        .map(|_| {
            b.recv(&mut datagram).expect("a datagram arrives");
            datagram[0]
        })
        .collect();
    assert_eq!(received, (1..=200).collect::<Vec<u8>>());
}

fn bytes_get_through_a_long_path() {
    let Some(lab) =
        Laboratory::with_delay(Firewall::DROPS, Firewall::DROPS, Duration::from_millis(5))
    else {
        return;
    };
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            lab.a.run(|| {
                let mut socket =
                    dial_from(PORT, &format!("{OUTSIDE_B}:{PORT}"), TIMEOUT).expect("A is let in");
                socket.write_all(&vec![b'x'; MANY_BYTES]).expect("A sends");
            });
        });
        let mut socket = lab
            .b
            .run(|| dial_from(PORT, &format!("{OUTSIDE_A}:{PORT}"), TIMEOUT))
            .expect("B is let in");
        let mut received = Vec::new();
        socket.read_to_end(&mut received).expect("B receives");
        assert_eq!(received.len(), MANY_BYTES);
        sender.join().expect("A does not panic");
    });
}

fn a_host_knows_the_names_of_both() {
    let Some(lab) = Laboratory::new(Firewall::DROPS, Firewall::DROPS) else {
        return;
    };
    let looked_up = lab.a.launch("getent ahostsv4 hostA hostB").run();
    let text = String::from_utf8_lossy(&looked_up.stdout).into_owned();
    assert!(
        text.contains("198.51.100.2") && text.contains("203.0.113.2"),
        "{text}"
    );
}

/// A process that is killed runs no destructor.
fn nothing_is_left_of_a_laboratory_that_is_killed() {
    let lab = Launch::new(env!("CARGO_BIN_EXE_lab"))
        .words(["drop", "reset"])
        .spawn();
    let entrance = lab.stdout.wait_for("host A, ");
    let path = entrance
        .split("--net=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let namespace =
        fs::read_link(path.expect("the host is named")).expect("the namespace is there");
    assert!(is_held(&namespace), "nobody holds {}", namespace.display());
    lab.signal(Signal::SIGKILL);
    eventually("nobody holds the namespace", || !is_held(&namespace));
}

/// Whether a process is in `namespace`, or has a descriptor of it.
fn is_held(namespace: &Path) -> bool {
    let is_it = |file: &Path| fs::read_link(file).is_ok_and(|target| target == namespace);
    entries(Path::new("/proc")).any(|process| {
        is_it(&process.join("ns/net")) || entries(&process.join("fd")).any(|file| is_it(&file))
    })
}

/// The entries of a directory, or none if it no longer exists.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Dials `address` from the port `from`, or from any port if that is 0.
fn dial_from(from: u16, address: &str, timeout: Duration) -> io::Result<Socket> {
    let address: SocketAddr = address.parse().expect("an address is an address");
    let any = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.bind(&SocketAddr::from((any, from)).into())?;
    socket.connect_timeout(&address.into(), timeout)?;
    Ok(socket)
}

/// How long an answer may take. One that comes while connect(2) still sends is not noticed before the next SYN, a
/// second later: the kernel only takes a note of an ICMP message for a socket that is in use.
fn timeout_for(answer: ErrorKind) -> Duration {
    match answer {
        ErrorKind::TimedOut => A_WHILE,
        _ => TIMEOUT,
    }
}

/// Whether the kernel supports IPv6. If not, the test is skipped.
fn knows_v6() -> bool {
    let known = Path::new("/proc/sys/net/ipv6").exists();
    if !known {
        skip("the kernel does not know IPv6");
    }
    known
}

fn datagrams_to(outside: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("the port is free");
    socket.connect((outside, PORT)).expect("there is a route");
    socket
        .set_read_timeout(Some(TIMEOUT))
        .expect("a timeout can be set");
    socket
}

const PORT: u16 = 5555;
const A_V6: &str = "[2001:db8:a:2::2]:5555";
const B_V6: &str = "[2001:db8:b:2::2]:5555";
const DELAY: Duration = Duration::from_millis(40);
const MANY_BYTES: usize = 4 << 20;
