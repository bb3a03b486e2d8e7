//! `--key-file`: a peer without the key is not the other node, and gets nothing. (The sessions of a keyed link are tested with
//! the other ways: each session test runs through both nodes with a key, too.)

use std::fs;
use std::io::Read;
use std::thread;

use nix::sys::signal::Signal;
use relay_tests::counters::number_of;
use relay_tests::data::assert_same;
use relay_tests::intercept::{expect_more, join, pass_on, pass_record};
use relay_tests::running::Outcome;
use relay_tests::timeouts::{A_WHILE, let_pass, some_within};
use relay_tests::{
    End, KeyFile, Launch, Node, Server, Service, TIMEOUT, eventually, kernel, needs, network_tests,
    node,
};

network_tests! {
    a_4way_link_proves_the_key_whoever_dialled,
    who_has_no_key_is_not_met_again_at_once
}

fn who_has_no_key_is_not_met_again_at_once() {
    let key = KeyFile::of(&[1]);
    let service = Service::echo();
    let outside = node!("listen-listen -vv --raw --key-file {key} 8000 4way:6001:127.0.0.1:6002");
    let _inside = node!("connect-connect --raw 4way:6002:127.0.0.1:6001 {service}");
    let _client = End::dial("127.0.0.1:8000");
    some_within(3 * TIMEOUT, "who has no key is refused", || {
        (outside.stderr.count("link from 127.0.0.1:6002 refused") > 0).then_some(())
    });
    let_pass(5 * A_WHILE);
    assert_eq!(outside.stderr.count("met 127.0.0.1:6002"), 1);
}

fn a_4way_link_proves_the_key_whoever_dialled() {
    let (key, another) = (KeyFile::of(&[1]), KeyFile::of(&[2]));
    let service = Service::greeting("hello");
    let outside = node!("listen-listen --key-file {key} 8000 4way:6001:127.0.0.1:6002");
    let _inside = node!("connect-connect --key-file {key} 4way:6002:127.0.0.1:6001 {service}");
    let _other = node!("listen-listen --key-file {key} 8001 4way:6003:127.0.0.1:6004");
    let wrong = node!("connect-connect --key-file {another} 4way:6004:127.0.0.1:6003 {service}");
    // Both dial on the ticks of the clock, and may miss some.
    some_within(3 * TIMEOUT, "those with one key are linked", || {
        (number_of(&outside, "idle") > 0).then_some(())
    });
    some_within(3 * TIMEOUT, "those with two are not", || {
        (wrong.stderr.count("the other node has another key") > 0).then_some(())
    });
    assert_same(&End::dial("127.0.0.1:8000").receive_to_eof(), b"hello");
}

#[test]
fn two_nodes_with_the_same_key_serve_clients() {
    let (outside, inside) = (KeyFile::of(&[1]), KeyFile::of(&[1]));
    let service = Service::greeting("hello");
    let outside = start_outside(&outside);
    let _inside = start_inside(&outside, &inside, &service);
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

#[test]
fn with_another_key_each_side_logs_it_and_no_client_is_served() {
    let (one, other) = (KeyFile::of(&[1]), KeyFile::of(&[2]));
    for raw in ["", "--raw"] {
        let server = Server::start();
        let outside = node!("listen-listen {raw} --key-file {one} 127.0.0.1:0 127.0.0.1:0");
        let client = outside.dial();
        let link = outside.link();
        let inside = node!("connect-connect {raw} --key-file {other} {link} {server}");
        let told = inside.stderr.wait_for("unable to link to");
        assert!(told.ends_with("the other node has another key"), "{told}");
        let told = outside.stderr.wait_for("refused");
        assert!(
            told.ends_with("the other node does not accept this one's key"),
            "{told}"
        );
        server.expect_nobody(A_WHILE);
        client.expect_silence(A_WHILE);
    }
}

#[test]
fn with_a_key_on_one_side_only_each_side_logs_it_and_no_client_is_served() {
    let key = KeyFile::of(&[1]);
    let option = format!("--key-file {key}");
    for (at_outside, at_inside) in [("", option.as_str()), (option.as_str(), "")] {
        let server = Server::start();
        let outside = node!("listen-listen {at_outside} 127.0.0.1:0 127.0.0.1:0");
        let client = outside.dial();
        let inside = node!("connect-connect {at_inside} {} {server}", outside.link());
        for node in [&outside, &inside] {
            let told = node.stderr.wait_for("warning");
            assert!(told.ends_with("--key-file on one side only?"), "{told}");
        }
        server.expect_nobody(A_WHILE);
        client.expect_silence(A_WHILE);
    }
}

#[test]
fn an_inside_node_with_a_wrong_key_waits_until_it_gets_another() {
    let (right, wrong) = (KeyFile::of(&[1]), KeyFile::of(&[2]));
    let service = Service::greeting("hello");
    let outside = start_outside(&right);
    let client = outside.dial();
    let inside = start_inside(&outside, &wrong, &service);
    inside.stderr.wait_for("another key");
    assert_eq!(number_of(&inside, "links"), 0);
    wrong.put(&[1]);
    inside.signal(Signal::SIGHUP);
    assert_same(&client.receive_to_eof(), b"hello");
}

#[test]
fn a_key_is_changed_while_sessions_go_on() {
    let (at_outside, at_inside) = (KeyFile::of(&[1]), KeyFile::of(&[1]));
    let service = Service::echo();
    let outside = start_outside(&at_outside);
    let inside = start_inside(&outside, &at_inside, &service);
    let long = outside.dial();
    let ask = |client: &End, question: &[u8]| {
        client.send(question);
        client.expect(question);
    };
    ask(&long, b"before");
    let steps: [(&Node, &KeyFile, &[u8]); 6] = [
        (&outside, &at_outside, &[1, 2]),
        (&inside, &at_inside, &[1, 2]),
        (&inside, &at_inside, &[2, 1]),
        (&outside, &at_outside, &[2, 1]),
        (&outside, &at_outside, &[2]),
        (&inside, &at_inside, &[2]),
    ];
    for (node, file, keys) in steps {
        file.put(keys);
        node.signal(Signal::SIGHUP);
        ask(&long, b"meanwhile");
        ask(&outside.dial(), b"short");
    }
    // The link with the old key has the long session. The idle links are new.
    eventually("idle links have the new key", || {
        number_of(&inside, "idle") >= 4 && number_of(&outside, "idle") >= 4
    });
    ask(&long, b"after");
    let old = KeyFile::of(&[1]);
    let left_over = start_inside(&outside, &old, &service);
    left_over.stderr.wait_for("another key");
}

#[test]
fn idle_links_of_a_key_that_is_gone_leave_and_busy_ones_at_their_end() {
    let (at_outside, at_inside) = (KeyFile::of(&[1]), KeyFile::of(&[1]));
    let service = Service::echo();
    let outside = start_outside(&at_outside);
    let _inside = start_inside(&outside, &at_inside, &service);
    let busy = outside.dial();
    busy.send(b"hello");
    busy.expect(b"hello");
    eventually("links are idle", || number_of(&outside, "idle") >= 4);
    at_outside.put(&[2]);
    outside.signal(Signal::SIGHUP);
    // The inside node has the old key still: its links are not replaced.
    eventually("idle links leave", || number_of(&outside, "links") == 1);
    busy.send(b"still here");
    busy.expect(b"still here");
    busy.shutdown_write();
    assert_same(&busy.receive_to_eof(), b"");
    eventually("the last link leaves", || number_of(&outside, "links") == 0);
}

#[test]
fn a_file_that_cannot_be_used_on_sighup_leaves_the_old_keys() {
    let key = KeyFile::of(&[1]);
    let service = Service::greeting("hello");
    let outside = start_outside(&key);
    let inside = start_inside(&outside, &key, &service);
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    key.write("no key any more");
    for node in [&outside, &inside] {
        node.signal(Signal::SIGHUP);
        let told = node.stderr.wait_for("unable to use the key file");
        assert!(told.ends_with("line 1 is not base64"), "{told}");
    }
    assert_same(&outside.dial().receive_to_eof(), b"hello");
}

#[test]
fn a_file_that_is_no_secret_is_refused_by_its_name_before_anything_is_bound() {
    let key = KeyFile::of(&[1]);
    let refusal = |key: &KeyFile| {
        let line = format!("listen-listen --key-file {key} 127.0.0.1:0 127.0.0.1:0");
        let Outcome { code, stderr, .. } = Launch::new(&line).run();
        assert_eq!(code, 100, "{stderr}");
        assert!(stderr.contains(&key.to_string()), "{stderr}");
        stderr
    };
    key.allow(0o604);
    assert!(refusal(&key).contains("others can read it"));
    key.allow(0o640);
    key.write("c2hvcnQ=\n");
    assert!(refusal(&key).contains("the key in line 1 has 5 bytes: expected 32 or more"));
    key.put(&[1, 2, 3]);
    assert!(refusal(&key).contains("expected at most 2 keys"));
    fs::remove_file(key.path()).expect("it is there");
    assert!(refusal(&key).contains("no such file or directory"));
}

#[test]
fn an_unauthenticated_link_receives_nothing_of_a_client() {
    let key = KeyFile::of(&[1]);
    let outside = start_outside(&key);
    let client = outside.dial();
    client.send(b"for the server");
    let hello = recorded_hello(&key);
    let greetings: [&[u8]; 5] = [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x80\x00\x00\x10GCHGR",
        b"\x16\x03\x01\x40\x00",
        b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        &hello,
    ];
    // The node waits for some of them until a timeout.
    thread::scope(|side_by_side| {
        for greeting in greetings {
            let stranger = End::dial(outside.link());
            side_by_side.spawn(move || {
                stranger.send(greeting);
                let received = stranger.receive_to_any_end();
                assert!(!contains(&received, b"for the server"));
            });
        }
    });
    let service = Service::echo();
    let _inside = start_inside(&outside, &key, &service);
    client.expect(b"for the server");
}

/// The first bytes of an inside node, to be replayed by another peer.
fn recorded_hello(key: &KeyFile) -> Vec<u8> {
    let listener = Server::start();
    let _inside = node!("connect-connect --key-file {key} {listener} 127.0.0.1:9");
    let link = listener.accept();
    let head = link.receive(5);
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    [head, link.receive(length)].concat()
}

#[test]
fn a_tls_client_without_the_key_gets_nowhere() {
    needs!("openssl");
    let key = KeyFile::of(&[1]);
    let outside = start_outside(&key);
    let client = outside.dial();
    client.send(b"for the server");
    for options in ["", "-alpn relay-link/1", "-tls1_2"] {
        let line = format!("openssl s_client -connect {} {options}", outside.link());
        let received = Launch::new(&line).run().stdout;
        assert!(!contains(&received, b"for the server"), "{options}");
    }
    outside.stderr.wait_for("refused: tls");
    eventually("nobody is linked", || number_of(&outside, "links") == 0);
}

#[test]
fn an_unauthenticated_raw_link_does_not_take_the_client() {
    let key = KeyFile::of(&[1]);
    let outside = node!("listen-listen --raw --key-file {key} 127.0.0.1:0 127.0.0.1:0");
    let client = outside.dial();
    client.send(b"hello");
    eventually("a stranger is let in and shown out", || {
        End::try_dial(outside.link()).is_ok_and(|stranger| {
            let _ = stranger.try_send(b"GET / HTTP/1.0\r\n\r\n");
            !contains(&stranger.receive_to_any_end(), b"hello")
        })
    });
    let service = Service::echo();
    let link = outside.link();
    let _inside = node!("connect-connect --raw --interval 50ms --key-file {key} {link} {service}");
    client.expect(b"hello");
}

#[test]
fn the_other_node_can_read_why_a_link_is_given_up_before_it_is_closed() {
    let (one, other) = (KeyFile::of(&[1]), KeyFile::of(&[2]));
    let outside = start_outside(&one);
    let middle = Server::start();
    let _inside = node!("connect-connect --key-file {other} {middle} 127.0.0.1:9");
    let (mut near, far) = join(middle, outside.link());
    pass_record(&near, &far);
    pass_on(&far, &near);
    let mut said = Vec::new();
    near.read_to_end(&mut said)
        .expect("an end of file, and no reset");
    // It is encrypted.
    assert!(!said.is_empty());
}

#[test]
fn a_raw_link_does_not_authenticate_to_the_outside_node_by_a_key_that_was_removed() {
    let (at_outside, at_inside) = (KeyFile::of(&[1]), KeyFile::of(&[1]));
    let outside = node!("listen-listen -v --raw --key-file {at_outside} 127.0.0.1:0 127.0.0.1:0");
    let client = outside.dial();
    let service = Service::greeting("hello");
    let middle = Server::start();
    let _inside = node!("connect-connect --raw --key-file {at_inside} {middle} {service}");
    let (near, far) = join(middle, outside.link());
    pass_record(&near, &far);
    pass_on(&far, &near);
    expect_more(&near);
    read_again(&outside, &at_outside, &[2]);
    pass_on(&near, &far);
    let told = outside.stderr.wait_for("refused");
    assert!(told.ends_with("the other node has another key"), "{told}");
    client.expect_silence(A_WHILE);
}

#[test]
fn a_raw_link_does_not_authenticate_to_the_inside_node_by_a_key_that_was_removed() {
    let (at_outside, at_inside) = (KeyFile::of(&[1]), KeyFile::of(&[1]));
    let outside = node!("listen-listen --raw --key-file {at_outside} 127.0.0.1:0 127.0.0.1:0");
    let _client = outside.dial();
    let server = Server::start();
    let middle = Server::start();
    let inside = node!("connect-connect -v --raw --key-file {at_inside} {middle} {server}");
    let (near, far) = join(middle, outside.link());
    pass_on(&near, &far);
    expect_more(&far);
    read_again(&inside, &at_inside, &[2]);
    pass_on(&far, &near);
    let told = inside.stderr.wait_for("unable to link to");
    assert!(told.ends_with("the other node has another key"), "{told}");
    server.expect_nobody(A_WHILE);
}

fn read_again(node: &Node, file: &KeyFile, keys: &[u8]) {
    file.put(keys);
    node.signal(Signal::SIGHUP);
    node.stderr.wait_for("was read again");
}

#[test]
fn a_raw_inside_node_whose_key_is_refused_logs_it_and_waits() {
    // The outside node authenticates by the second key, the inside node by the first one, and the inside node is checked last.
    let (at_outside, at_inside) = (KeyFile::of(&[2]), KeyFile::of(&[1, 2]));
    let silent = Server::start();
    for via in [String::new(), format!("--server-via socks5://{silent}")] {
        let outside = node!("listen-listen --raw --key-file {at_outside} 127.0.0.1:0 127.0.0.1:0");
        let client = outside.dial();
        let server = Server::start();
        let link = outside.link();
        let inside = node!(
            "connect-connect -vv --raw --interval 50ms --key-file {at_inside} {via} {link} {server}"
        );
        let told = inside.stderr.wait_for("unable to link to");
        assert!(
            told.ends_with("the other node does not accept this one's key"),
            "{told}"
        );
        client.expect_silence(A_WHILE);
        assert_eq!(inside.stderr.count("linked to"), 1);
    }
}

#[test]
fn neither_the_key_nor_what_is_made_of_it_is_in_a_log_or_a_command_line() {
    let key = KeyFile::of(&[0x6b]);
    let service = Service::greeting("hello");
    let outside = node!("listen-listen -vv --key-file {key} 127.0.0.1:0 127.0.0.1:0");
    let link = outside.link();
    let inside = node!("connect-connect -vv --key-file {key} {link} {service}");
    assert_same(&outside.dial().receive_to_eof(), b"hello");
    let secret = fs::read_to_string(key.path()).expect("it is there");
    for node in [&outside, &inside] {
        node.signal(Signal::SIGHUP);
        number_of(node, "links");
        let log = node.stderr.text();
        assert!(
            !log.contains(secret.trim()) && !log.contains("kkkkkkkk"),
            "{log}"
        );
        let line = fs::read(format!("/proc/{}/cmdline", node.pid())).expect("it runs");
        assert!(!contains(&line, secret.trim().as_bytes()));
    }
}

#[test]
fn an_idle_keyed_link_takes_less_than_24_kibibytes_in_each_node() {
    const LINKS: usize = 200;
    let key = KeyFile::of(&[1]);
    let service = Service::echo();
    let outside = start_outside(&key);
    let link = outside.link();
    // After a few links, or a refused one, a node has allocated what it needs once.
    let _few = start_inside(&outside, &key, &service);
    eventually("a few links are up", || number_of(&outside, "idle") >= 4);
    let at_inside = KeyFile::of(&[2]);
    let inside = node!("connect-connect --idle {LINKS} --key-file {at_inside} {link} {service}");
    inside.stderr.wait_for("another key");
    let nodes = [&outside, &inside];
    let before = nodes.map(|node| kernel::resident_bytes(node.pid()));
    at_inside.put(&[1]);
    inside.signal(Signal::SIGHUP);
    eventually("many links are up", || {
        number_of(&outside, "idle") as usize >= 4 + LINKS
    });
    for (node, before) in nodes.into_iter().zip(before) {
        let each = (kernel::resident_bytes(node.pid()) - before) / LINKS;
        assert!(each < 24 * 1024, "{each} bytes");
    }
}

fn start_outside(key: &KeyFile) -> Node {
    node!("listen-listen --key-file {key} 127.0.0.1:0 127.0.0.1:0")
}

fn start_inside(outside: &Node, key: &KeyFile, server: impl std::fmt::Display) -> Node {
    let link = outside.link();
    node!("connect-connect --key-file {key} {link} {server}")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
