//! Bulk data never enters user space, small messages are copied, and the counters show it.

use std::thread;
use std::time::Duration;

use relay_tests::counters::Counters;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::plan::{Route, Topology};
use relay_tests::{Plan, Server, Service, eventually, kernel, session_tests};

session_tests! {
    ours:
        bulk_is_spliced_unless_that_is_forbidden,
        small_messages_are_copied;
}

fn bulk_is_spliced_unless_that_is_forbidden(plan: Plan) {
    let may_splice = plan.may_splice();
    let service = Service::echo();
    let route = plan.to(&service);
    let client = route.dial();
    let message = noise(1, 32 * MIB);
    thread::scope(|both| {
        both.spawn(|| {
            client.send(&message);
            client.shutdown_write();
        });
        assert_same(&client.receive_to_eof(), &message);
    });
    let total = 2 * message.len() as u64;
    for Counters { spliced, copied } in counters(&route) {
        assert_eq!(spliced + copied, total);
        let share = spliced as f64 / total as f64;
        if may_splice {
            assert!(share > 0.95, "only {spliced} of {total} bytes were spliced");
        } else {
            assert_eq!(spliced, 0);
        }
    }
}

fn small_messages_are_copied(plan: Plan) {
    let service = Service::echo();
    let route = plan.to(&service);
    let client = route.dial();
    for seed in 0..100 {
        let message = noise(seed, 64);
        client.send(&message);
        client.expect(&message);
    }
    for counters in counters(&route) {
        assert_eq!(
            counters,
            Counters {
                spliced: 0,
                copied: 2 * 100 * 64
            }
        );
    }
}

#[test]
fn uploads_that_are_reset_leave_no_pipes_and_bulk_is_spliced_as_before() {
    leave_no_pipes(Topology::Tcpfwd);
}

#[test]
fn uploads_that_are_reset_leave_no_pipes_in_the_nodes_and_bulk_is_spliced_as_before() {
    leave_no_pipes(Topology::BothNodes);
}

fn leave_no_pipes(topology: Topology) {
    let server = Server::start();
    let route = Plan::through(topology).to(&server);
    let chunk = noise(1, MIB);
    for _ in 0..RESETS {
        let client = route.dial();
        let inside = server.accept();
        client.send_until_stalled(&chunk, STALL);
        client.reset();
        inside.receive_to_reset();
    }
    eventually("the pipes are given back", || {
        let mut nodes = route.nodes().iter();
        nodes.all(|node| kernel::pipe_ends(node.pid()) <= PIPE_ENDS_MAX)
    });
    let spliced_before = counters(&route);
    let client = route.dial();
    let inside = server.accept();
    let download = noise(2, 8 * MIB);
    thread::scope(|both| {
        both.spawn(|| {
            inside.send(&download);
            inside.shutdown_write();
        });
        assert_same(&client.receive_to_eof(), &download);
    });
    for (now, before) in counters(&route).iter().zip(&spliced_before) {
        let spliced = now.spliced - before.spliced;
        assert!(
            spliced > 4 * MIB as u64,
            "only {spliced} bytes were spliced"
        );
    }
}

fn counters(route: &Route) -> Vec<Counters> {
    route
        .nodes()
        .iter()
        .map(|node| Counters::of(node))
        .collect()
}

const RESETS: usize = 10;

/// An upload has stalled if nothing was accepted for this long.
const STALL: Duration = Duration::from_millis(50);

/// A session that leaks leaves two. A node writes to two pipes of the test, and sessions in turn share a few.
const PIPE_ENDS_MAX: usize = 12;
