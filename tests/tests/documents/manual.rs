//! The manual pages are true: they name each option and no other, and their examples work as they are printed.
//!
//! An example is a literal block behind a comment `.\" test: NAME`, and NAME is a function below. It runs in a
//! network of its own in which `ll` and `srv` are known, so that nothing in it needs to be replaced.

mod recipes;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use recipes::{
    ftp_nodes, ftp_server, ftp_tcpfwd, http_haproxy, http_nginx, http_nodes, links_socks,
    ssh_nodes, two_firewalls, two_firewalls_address,
};
use relay_tests::data::assert_same;
use relay_tests::manual::{self, Example};
use relay_tests::network::{self, Hosts};
use relay_tests::peer::{self, Inetd};
use relay_tests::requirement;
use relay_tests::scratch::Scratch;
use relay_tests::{End, Launch, Running, Server, Service, eventually, needs, node, page, program};

/// Makes a test in a network of its own of each example, and keeps the list of them.
macro_rules! examples {
    ($($name:ident),+) => {
        relay_tests::network_tests! { $($name),+ }

        const TESTED: &[&str] = &[$(stringify!($name)),+];
    };
}

examples! {
    gender_changer,
    gender_changer_inside,
    listen_listen_inside_address,
    listen_listen_allow_link,
    keyed,
    services,
    ranges,
    listen_listen_raw,
    listen_listen_pipeline,
    connect_connect_raw,
    connect_connect_tcpclient,
    connect_connect_via,
    connect_connect_once,
    tcpfwd_route,
    tcpfwd_expire,
    tcpfwd_allow,
    tcpfwd_user,
    tcpfwd_via,
    tcpfwd_tcpserver,
    tcpfwd_inetd,
    tcpfwd_pipeline,
    tcpfwd_print_address,
    ftp_server,
    ftp_tcpfwd,
    ftp_nodes,
    ssh_nodes,
    http_haproxy,
    http_nodes,
    http_nginx,
    links_socks,
    two_firewalls,
    two_firewalls_address
}

#[test]
fn each_option_is_in_the_page_and_each_in_the_page_is_an_option() {
    needs!("mandoc");
    for tool in ["tcpfwd", "listen-listen", "connect-connect"] {
        let help = Launch::new(&format!("{tool} --help")).run().stdout;
        let offered = manual::long_options(&String::from_utf8_lossy(&help));
        let described = manual::long_options(&manual::section(&format!("{tool}.1"), "OPTIONS"));
        assert_eq!(
            described, offered,
            "{tool}: the page describes the left, --help offers the right"
        );
    }
}

#[test]
fn each_exit_status_is_in_the_page() {
    needs!("mandoc");
    for tool in ["tcpfwd", "listen-listen", "connect-connect"] {
        let section = manual::section(&format!("{tool}.1"), "EXIT STATUS");
        let first_words: BTreeSet<_> = section
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(
            ["0", "100", "111"]
                .iter()
                .all(|status| first_words.contains(status)),
            "{tool}: {section}"
        );
    }
}

#[test]
fn each_example_has_a_test_and_each_test_an_example() {
    let marked: Vec<String> = all_examples()
        .into_iter()
        .map(|example| example.name.replace('-', "_"))
        .collect();
    let names: BTreeSet<&str> = marked.iter().map(String::as_str).collect();
    assert_eq!(names.len(), marked.len(), "a name stands twice: {marked:?}");
    assert_eq!(
        names,
        TESTED.iter().copied().collect(),
        "the pages mark the left, the tests know the right"
    );
}

fn gender_changer() {
    let _world = World::new();
    let _example = start("gender-changer");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn gender_changer_inside() {
    let _world = World::new();
    let _example = start("gender-changer-inside");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn listen_listen_inside_address() {
    let _world = World::new();
    network::add_address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let _example = start("listen-listen-inside-address");
    let _inside = node!("connect-connect 192.0.2.7:8001 srv:7200");
    expect_page("127.0.0.1:8000", "srv:7200");
    assert!(End::try_dial("127.0.0.1:8001").is_err());
}

fn listen_listen_allow_link() {
    let _world = World::new();
    network::add_address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let _example = start("listen-listen-allow-link");
    let mut denied = node!("connect-connect --once 127.0.0.1:8001 srv:7200");
    assert_eq!(denied.exit_code(), 111);
    let _inside = node!("connect-connect --bind 192.0.2.7 192.0.2.7:8001 srv:7200");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn keyed() {
    let _world = World::new();
    let scratch = Scratch::new();
    let recipe = Launch::shell("head -c 32 /dev/urandom | base64 >link.key; chmod 600 link.key");
    assert_eq!(recipe.directory(scratch.path()).run().code, 0);
    let _nodes: Vec<Running> = example("keyed")
        .lines
        .iter()
        .map(|line| Launch::shell(line).directory(scratch.path()).spawn())
        .collect();
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn services() {
    let _world = World::new();
    let _ssh = Service::greeting_on(Server::on("127.0.0.1:22"), "SSH-2.0");
    let _example = start("services");
    expect_page("127.0.0.1:8000", "srv:80");
    expect_greeting("127.0.0.1:2222", "SSH-2.0");
}

fn ranges() {
    let _world = World::new();
    let _servers = [("127.0.0.3:3000", "first"), ("127.0.0.3:3007", "last")]
        .map(|(address, greeting)| Service::greeting_on(Server::on(address), greeting));
    let _example = start("ranges");
    expect_greeting("127.0.0.1:2000", "first");
    expect_greeting("127.0.0.1:2007", "last");
}

fn listen_listen_raw() {
    needs!("socat");
    let _world = World::new();
    let _example = start("listen-listen-raw");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn listen_listen_pipeline() {
    let _world = World::new();
    let server = Server::start();
    let example = start("listen-listen-pipeline");
    let _inside = node!("connect-connect ll:8001 {server}");
    let session = server.accept();
    assert_same(&session.receive_to_eof(), b"hello\n");
    drop(session);
    expect_done(example);
}

fn connect_connect_raw() {
    needs!("socat");
    let _world = World::new();
    let _example = start("connect-connect-raw");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn connect_connect_tcpclient() {
    needs!("tcpclient");
    let _world = World::new();
    let _outside = node!("listen-listen 8000 8001");
    let _example = start("connect-connect-tcpclient");
    expect_page("127.0.0.1:8000", "srv:7200");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn connect_connect_via() {
    needs!("microsocks");
    let _world = World::new();
    let _proxy = Launch::new("microsocks -i 127.0.0.1 -p 1080").spawn();
    let _outside = node!("listen-listen 8000 8001");
    let _example = start("connect-connect-via");
    expect_page("127.0.0.1:8000", "srv:7200");
}

fn connect_connect_once() {
    let _world = World::new();
    let outside = node!("listen-listen 8000 8001");
    let example = start("connect-connect-once");
    // One session only: a client that comes before the link is there waits for it.
    assert!(page::fetch("127.0.0.1:8000").is_ok_and(|page| page == "srv:7200"));
    expect_done(example);
    drop(outside);
}

fn tcpfwd_route() {
    let _world = World::new();
    let _example = start("tcpfwd-route");
    expect_page("127.0.0.1:8080", "srv:80");
}

fn tcpfwd_expire() {
    let _world = World::new();
    let _ssh = Service::greeting_on(Server::on("127.0.0.3:22"), "SSH-2.0");
    let _example = start("tcpfwd-expire");
    expect_page("127.0.0.1:8080", "srv:80");
    expect_greeting("127.0.0.1:2222", "SSH-2.0");
}

fn tcpfwd_user() {
    if !requirement::is_root() {
        return;
    }
    let _world = World::new();
    let _example = start("tcpfwd-user");
    expect_page("127.0.0.1:443", "srv:80");
}

fn tcpfwd_allow() {
    let _world = World::new();
    network::add_address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let _example = start("tcpfwd-allow");
    // This host dials its own address from that address.
    expect_page("192.0.2.7:8080", "srv:80");
    End::dial("127.0.0.1:8080").expect_reset();
}

fn tcpfwd_via() {
    needs!("microsocks");
    let _world = World::new();
    let _proxy = Launch::new("microsocks -i 127.0.0.1 -p 1080").spawn();
    let _example = start("tcpfwd-via");
    expect_page("127.0.0.1:8080", "srv:80");
}

fn tcpfwd_tcpserver() {
    needs!("tcpserver");
    let _world = World::new();
    let _example = start("tcpfwd-tcpserver");
    expect_page("127.0.0.1:8080", "srv:80");
}

fn tcpfwd_inetd() {
    needs!("inetd");
    let _world = World::new();
    // The user nobody may have no access to the directory of the build, which has the program.
    let program = program::path("tcpfwd").display().to_string();
    let here = |line: &String| {
        line.replace("/usr/local/bin/tcpfwd", &program)
            .replace("nobody", &peer::user())
    };
    let services: Vec<String> = example("tcpfwd-inetd").lines.iter().map(here).collect();
    let _inetd = Inetd::start(&(services.join("\n") + "\n"));
    expect_page("127.0.0.1:8080", "srv:80");
    expect_page("127.0.0.1:8081", "srv:80");
}

fn tcpfwd_pipeline() {
    let _world = World::new();
    let [pipeline] = start("tcpfwd-pipeline")
        .try_into()
        .unwrap_or_else(|_| panic!("the example is one line"));
    assert_same(&pipeline.finish().stdout, b"HTTP/1.0 200 OK\r\n");
}

fn tcpfwd_print_address() {
    let _world = World::new();
    let example = start("tcpfwd-print-address");
    let printed = example[0].stdout.wait_for("127.0.0.1:0 ");
    let (_, address) = printed.split_once(' ').unwrap_or_default();
    expect_page(address, "srv:80");
}

/// What the examples need: the hosts `ll` and `srv`, and a web server on two ports of `srv`.
struct World {
    _hosts: Hosts,
}

impl World {
    fn new() -> World {
        let hosts = Hosts::new("127.0.0.1 localhost\n127.0.0.2 ll\n127.0.0.3 srv\n");
        for (port, name) in [(80, "srv:80"), (7200, "srv:7200")] {
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 3), port));
            let listener =
                listener.unwrap_or_else(|error| panic!("unable to bind to {name}: {error}"));
            page::serve(listener, move |_| name.to_owned());
        }
        World { _hosts: hosts }
    }
}

/// Starts the lines of an example, one after the other, as commands of a shell.
fn start(name: &str) -> Vec<Running> {
    example(name)
        .lines
        .iter()
        .map(|line| Launch::shell(line).spawn())
        .collect()
}

fn example(name: &str) -> Example {
    let found = all_examples()
        .into_iter()
        .find(|example| example.name == name);
    found.unwrap_or_else(|| panic!("no page has an example {name}"))
}

fn all_examples() -> Vec<Example> {
    manual::pages()
        .iter()
        .flat_map(|page| manual::examples(page))
        .collect()
}

fn expect_page(address: &str, name: &str) {
    eventually(&format!("{name} is reached at {address}"), || {
        page::fetch(address).is_ok_and(|page| page == name)
    });
}

fn expect_greeting(address: &str, greeting: &str) {
    eventually(&format!("{greeting} is heard at {address}"), || {
        End::try_dial(address)
            .is_ok_and(|client| client.receive_to_any_end() == greeting.as_bytes())
    });
}

fn expect_done(example: Vec<Running>) {
    for running in example {
        let outcome = running.finish();
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
}
