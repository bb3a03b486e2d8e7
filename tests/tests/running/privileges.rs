//! The privileges that a program drops once everything is bound: its user, and every part of the system that it does not need.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot go on says so and fails"
)]

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use relay_tests::data::assert_same;
use relay_tests::name_server::{self, NameServer};
use relay_tests::network::{Hosts, mount_nothing_on};
use relay_tests::requirement;
use relay_tests::scratch::Scratch;
use relay_tests::{KeyFile, Launch, Node, Server, Service, needs, network_tests, node};

network_tests! {
    every_thread_has_given_everything_up,
    a_name_server_with_a_zone_is_queried_in_the_sandbox,
    name_servers_may_become_known_after_the_start
}

// The name makes it start a thread that resolves it.
fn every_thread_has_given_everything_up() {
    if !requirement::is_root() {
        return;
    }
    let _hosts = Hosts::new("127.0.0.3 srv\n");
    let _service = Service::greeting_on(Server::on("127.0.0.3:80"), "hello");
    let route = node!("tcpfwd --user 65533:65534 127.0.0.1:0 srv:80");
    assert_same(&route.dial().receive_to_eof(), b"hello");
    let threads = threads(route.pid());
    assert!(threads.len() > 1, "{threads:?}");
    for status in threads {
        let expected = [
            ("Uid", "65533 65533 65533 65533"),
            ("Gid", "65534 65534 65534 65534"),
            ("Groups", ""),
            ("CapInh", NONE),
            ("CapPrm", NONE),
            ("CapEff", NONE),
            ("CapBnd", NONE),
            ("CapAmb", NONE),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ];
        for (field, value) in expected {
            assert_eq!(self::field(&status, field), value, "{field}");
        }
    }
}

// The C library looks up the number of the zone's interface. No host answers there.
fn a_name_server_with_a_zone_is_queried_in_the_sandbox() {
    let _asked =
        name_server::Configuration::new("nameserver fe80::1%lo\noptions timeout:1 attempts:1\n");
    let mut route = node!("tcpfwd -v 127.0.0.1:0 nowhere.example:80");
    let _client = route.dial();
    route.stderr.wait_for("failure in name resolution");
    route.signal(Signal::SIGTERM);
    assert_eq!(route.exit_code(), 0);
}

// As with a relay that is started at boot before the service which makes resolv.conf.
fn name_servers_may_become_known_after_the_start() {
    let scratch = Scratch::new();
    mount_nothing_on("/etc");
    let known = scratch.file("run/resolve/stub-resolv.conf");
    symlink(&known, "/etc/resolv.conf").expect("an /etc of our own");
    // Not the address that the resolver uses by default.
    let names = NameServer::on(Ipv4Addr::new(127, 0, 0, 2));
    let server = Server::on("127.0.0.1:80");
    let _service = Service::greeting_on(server, "hello");
    let route = node!("tcpfwd -v 127.0.0.1:0 late.example:80");
    fs::create_dir_all(known.parent().expect("it has one")).expect("a directory of our own");
    fs::write(&known, "nameserver 127.0.0.2\n").expect("a directory of our own");
    let client = route.dial();
    for _ in 0..2 {
        let question = names.receive();
        names.answer(&question, Ipv4Addr::LOCALHOST);
    }
    assert_same(&client.receive_to_eof(), b"hello");
}

#[test]
fn a_user_without_a_group_has_its_own_groups() {
    if !requirement::is_root() {
        return;
    }
    let service = Service::greeting("hello");
    let route = node!("tcpfwd --user nobody 127.0.0.1:0 {service}");
    assert_same(&route.dial().receive_to_eof(), b"hello");
    let ids = Launch::new("id -u nobody").run();
    let uid = String::from_utf8_lossy(&ids.stdout).trim().to_owned();
    let status = status(route.pid());
    assert_eq!(field(&status, "Uid"), [uid.as_str(); 4].join(" "));
    assert_eq!(field(&status, "CapBnd"), NONE);
}

#[test]
fn a_process_that_changed_its_user_leaves_no_core_and_cannot_be_looked_into() {
    if !requirement::is_root() {
        return;
    }
    let route = node!("tcpfwd --user 65534:65534 127.0.0.1:0 127.0.0.1:9");
    let limits = proc(route.pid(), "limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.expect("it is there").split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"]);
    // A process that is not dumpable belongs to root (proc(5)), no matter which user runs it.
    let environ = fs::metadata(format!("/proc/{}/environ", route.pid())).expect("it runs");
    assert_eq!(environ.uid(), 0);
}

#[test]
fn a_step_that_fails_ends_the_process() {
    if !requirement::is_root() {
        return;
    }
    for (without, step) in [
        ("setuid", "unable to set its user"),
        ("setgid", "unable to set its groups"),
        ("setpcap", "unable to bound capabilities"),
    ] {
        let line = format!(
            "setpriv --bounding-set=-{without} tcpfwd --user 65534:65534 127.0.0.1:0 127.0.0.1:9"
        );
        let outcome = Launch::new(&line).run();
        assert_eq!(outcome.code, 111, "{without}: {}", outcome.stderr);
        let expected =
            format!("fatal: unable to become 65534:65534: {step}: operation not permitted\n");
        assert!(
            outcome.stderr.contains(&expected),
            "{without}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn a_socket_file_is_removed_in_the_end_where_the_user_may_do_that() {
    if !requirement::is_root() {
        return;
    }
    let scratch = Scratch::new();
    chown(scratch.path(), Some(65534), Some(65534)).expect("root may");
    let socket = scratch.file("socket");
    let mut route = node!(
        "tcpfwd --user 65534:65534 unix:{} 127.0.0.1:9",
        socket.display()
    );
    assert!(socket.exists());
    route.signal(Signal::SIGTERM);
    assert_eq!(route.exit_code(), 0);
    assert!(!socket.exists());
}

#[test]
fn a_key_file_that_the_user_could_not_read_again_is_refused_by_its_name() {
    if !requirement::is_root() {
        return;
    }
    let key = KeyFile::of(&[1]);
    for line in [
        format!("listen-listen --user 65534:65534 --key-file {key} 127.0.0.1:0 127.0.0.1:0"),
        format!("connect-connect --user 65534:65534 --key-file {key} 127.0.0.1:9 127.0.0.1:9"),
    ] {
        let outcome = Launch::new(&line).run();
        assert_eq!(outcome.code, 111, "{}", outcome.stderr);
        let expected =
            format!("fatal: unable to read {key} on SIGHUP, as 65534:65534: permission denied");
        assert!(outcome.stderr.contains(&expected), "{}", outcome.stderr);
    }
}

#[test]
fn a_key_file_that_was_replaced_is_read_again_in_the_sandbox() {
    let key = KeyFile::of(&[1]);
    let nodes = [
        node!("listen-listen --key-file {key} 127.0.0.1:0 127.0.0.1:0"),
        node!("connect-connect --key-file {key} 127.0.0.1:9 127.0.0.1:9"),
    ];
    // Ready, so that the first file has been read.
    nodes[1].stderr.wait_for("unable to connect to 127.0.0.1:9");
    let next = key.path().with_extension("next");
    fs::write(&next, "another file").expect("a directory of our own");
    fs::set_permissions(&next, Permissions::from_mode(0o600)).expect("a file of our own");
    fs::rename(&next, key.path()).expect("a directory of our own");
    for node in &nodes {
        node.signal(Signal::SIGHUP);
        let told = node.stderr.wait_for("unable to use the key file");
        assert!(told.ends_with("is not base64"), "{told}");
    }
}

#[test]
fn a_key_file_is_read_again_where_a_link_on_the_way_leads_elsewhere_by_now() {
    let scratch = Scratch::new();
    for directory in ["conf", "gen.1", "gen.2"] {
        fs::create_dir(scratch.file(directory)).expect("a directory of our own");
    }
    fs::copy(KeyFile::of(&[1]).path(), scratch.file("gen.1/key")).expect("our own files");
    fs::write(scratch.file("gen.2/key"), "another file").expect("a directory of our own");
    let private = Permissions::from_mode(0o600);
    fs::set_permissions(scratch.file("gen.2/key"), private).expect("a file of our own");
    symlink("gen.1", scratch.file("gen")).expect("a directory of our own");
    symlink("../gen/key", scratch.file("conf/key")).expect("a directory of our own");
    let key = scratch.file("conf/key");
    let node = node!(
        "listen-listen --key-file {} 127.0.0.1:0 127.0.0.1:0",
        key.display()
    );
    symlink("gen.2", scratch.file("gen.next")).expect("a directory of our own");
    fs::rename(scratch.file("gen.next"), scratch.file("gen")).expect("a directory of our own");
    node.signal(Signal::SIGHUP);
    let told = node.stderr.wait_for("unable to use the key file");
    assert!(told.ends_with("is not base64"), "{told}");
}

#[test]
fn the_sandbox_is_on_unless_it_is_off() {
    for (option, filters) in [
        ("", "2"),
        ("--sandbox", "2"),
        ("--sandbox=on", "2"),
        ("--sandbox=off", "0"),
    ] {
        for node in [
            node!("tcpfwd {option} 127.0.0.1:0 127.0.0.1:9"),
            node!("listen-listen {option} 127.0.0.1:0 127.0.0.1:0"),
        ] {
            assert_eq!(field(&status(node.pid()), "Seccomp"), filters, "{option}");
        }
    }
}

#[test]
fn a_layer_that_fails_causes_a_warning_and_ends_the_process_if_the_sandbox_was_required() {
    needs!("strace");
    for (option, code, severity) in [("", 0, "warning"), ("--sandbox=on", 111, "fatal")] {
        let line = format!(
            "strace -o /dev/null -e inject=landlock_restrict_self:error=E2BIG \
             tcpfwd {option} --expire 50ms 127.0.0.1:0 127.0.0.1:9"
        );
        let outcome = Launch::new(&line).run();
        assert_eq!(outcome.code, code, "{option}: {}", outcome.stderr);
        let expected = format!("{severity}: unable to confine files: ");
        assert!(
            outcome.stderr.contains(&expected),
            "{option}: {}",
            outcome.stderr
        );
    }
}

// What is not dumpable belongs to root (proc(5)), also to its group.
#[test]
fn a_keyed_node_cannot_be_looked_into() {
    let key = KeyFile::of(&[1]);
    let (group, as_group) = match nix::unistd::geteuid().is_root() {
        true => (65534, "setpriv --regid=65534 --clear-groups "),
        false => (nix::unistd::getegid().as_raw(), ""),
    };
    for (option, expected) in [(format!("--key-file {key}"), 0), (String::new(), group)] {
        let line =
            format!("{as_group}listen-listen --print-address {option} 127.0.0.1:0 127.0.0.1:0");
        let node = Node::announced(Launch::new(&line)).expect("it serves");
        let environ = fs::metadata(format!("/proc/{}/environ", node.pid())).expect("it runs");
        assert_eq!(environ.gid(), expected, "{line}");
    }
}

#[test]
fn the_layers_of_the_sandbox_are_logged() {
    let route = node!("tcpfwd -v 127.0.0.1:0 127.0.0.1:9");
    route.stderr.wait_for("info: sandbox: ");
}

#[test]
fn sockets_of_the_abstract_namespace_are_dialled_where_they_are_named() {
    let service = format!("unix:@a-test-{}", std::process::id());
    let greeting = Service::greeting("hello");
    let mut inner = node!("tcpfwd --once {service} {greeting}");
    let route = node!("tcpfwd 127.0.0.1:0 {service}");
    let client = route.dial();
    client.shutdown_write();
    assert_same(&client.receive_to_eof(), b"hello");
    assert_eq!(inner.exit_code(), 0);
}

fn threads(pid: Pid) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    tasks
        .map(|task| {
            let path = task.expect("it can be listed").path().join("status");
            fs::read_to_string(path).expect("its threads live as long as it does")
        })
        .collect()
}

fn status(pid: Pid) -> String {
    proc(pid, "status")
}

fn proc(pid: Pid, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs")
}

fn field(status: &str, name: &str) -> String {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let words = value
        .unwrap_or_else(|| panic!("no {name}"))
        .split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

const NONE: &str = "0000000000000000";
