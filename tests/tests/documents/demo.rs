//! `make demo`: it shows the page, ends on a signal, and names a port that is in use.

use nix::sys::signal::Signal;
use relay_tests::{End, Launch, Running, Server, page, program};

#[test]
fn its_page_is_reached_through_both_nodes() {
    let (_demo, address) = start();
    let page = page::fetch(&address).unwrap();
    for name in ["listen-listen", "connect-connect", &address] {
        assert!(page.contains(name), "{name} is not on the page:\n{page}");
    }
}

#[test]
fn it_ends_with_ctrl_c_and_its_nodes_with_it() {
    let (mut demo, address) = start();
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.exit_code(), 0);
    assert!(
        End::try_dial(&address).is_err(),
        "the outside node is still there"
    );
}

#[test]
fn its_nodes_end_with_it_when_it_is_killed() {
    let (mut demo, address) = start();
    demo.signal(Signal::SIGKILL);
    demo.exit_code();
    relay_tests::kernel::wait_until_closed(&address);
}

#[test]
fn a_taken_port_is_named() {
    let taken = Server::start();
    let port = taken.port();
    for ports in [
        format!("{port} 0 0"),
        format!("0 {port} 0"),
        format!("0 0 {port}"),
    ] {
        let outcome = demo(&ports).run();
        let expected =
            format!("demo: fatal: port {port} is taken: another program listens on it\n");
        assert_eq!((outcome.code, outcome.stderr), (111, expected));
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    assert_eq!(demo("8000 8001").run().code, 100);
    assert_eq!(demo("8000 8001 http").run().code, 100);
}

/// The demo on free ports, and the address that it prints.
fn start() -> (Running, String) {
    let demo = demo("0 0 0").spawn();
    let line = demo.stdout.wait_for("http://");
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default()
        .to_owned();
    (demo, address)
}

fn demo(ports: &str) -> Launch {
    Launch::program(env!("CARGO_BIN_EXE_demo"))
        .words(ports.split(' '))
        .env("RELAY_BIN_DIR", program::build_directory())
}
