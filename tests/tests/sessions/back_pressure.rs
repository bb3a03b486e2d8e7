//! A reader that stalls stops its writer, needs no memory meanwhile, and continues where it stopped.

use std::thread;
use std::time::Duration;

use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::kernel;
use relay_tests::plan::Route;
use relay_tests::{End, Plan, Server, session_tests};

session_tests! {
    everywhere:
        a_server_that_does_not_read_stops_the_client_and_nothing_grows,
        a_client_that_does_not_read_stops_the_server_and_nothing_grows,
        one_direction_goes_on_while_the_other_is_stalled,
        a_stalled_session_does_not_stop_the_others;
}

fn a_server_that_does_not_read_stops_the_client_and_nothing_grows(plan: Plan) {
    let (client, server, route) = plan.session();
    stall_and_resume(&route, &client, &server);
}

fn a_client_that_does_not_read_stops_the_server_and_nothing_grows(plan: Plan) {
    let (client, server, route) = plan.session();
    stall_and_resume(&route, &server, &client);
}

fn one_direction_goes_on_while_the_other_is_stalled(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.send_until_stalled(&noise(1, MIB), STALL);
    let download = noise(2, 4 * MIB);
    thread::scope(|both| {
        both.spawn(|| server.send(&download));
        both.spawn(|| client.expect(&download));
    });
}

fn a_stalled_session_does_not_stop_the_others(plan: Plan) {
    let server = Server::start();
    let route = plan.to(&server);
    let stalled = route.dial();
    let _does_not_read = server.accept();
    stalled.send_until_stalled(&noise(1, MIB), STALL);
    let client = route.dial();
    client.send(b"hello");
    server.accept().expect(b"hello");
}

fn stall_and_resume(route: &Route, writer: &End, reader: &End) {
    writer.keep_little();
    reader.keep_little();
    let before = memory(route);
    let chunk = noise(1, MIB);
    let sent = writer.send_until_stalled(&chunk, STALL);
    assert!(
        sent < KERNEL_BUFFERS_MAX,
        "{sent} bytes were taken though nobody reads"
    );
    for (before, now) in before.into_iter().zip(memory(route)) {
        assert!(
            now < before + GROWTH_MAX,
            "memory grew from {before} to {now} bytes"
        );
    }
    writer.shutdown_write();
    let expected: Vec<u8> = chunk.into_iter().cycle().take(sent).collect();
    assert_same(&reader.receive_to_eof(), &expected);
}

fn memory(route: &Route) -> Vec<usize> {
    let nodes = route.nodes().iter();
    nodes
        .map(|node| kernel::resident_bytes(node.pid()))
        .collect()
}

/// A session has stalled if nothing was accepted for this long.
const STALL: Duration = Duration::from_millis(300);

/// The memory that a process may add for a stalled session: code that it has not used before.
const GROWTH_MAX: usize = 2 * MIB;

/// An upper bound for what the kernel's buffers of the sockets and pipes on the way can hold.
const KERNEL_BUFFERS_MAX: usize = 64 * MIB;
