//! Bulk never enters user space, small messages are copied, and the counters say so.

use std::thread;

use relay_tests::counters::Counters;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::plan::Route;
use relay_tests::{Plan, Service, session_tests};

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

fn counters(route: &Route) -> Vec<Counters> {
    route
        .nodes()
        .iter()
        .map(|node| Counters::of(node))
        .collect()
}
