//! How long a test waits, and for what. No test sleeps in the hope that something has happened by then.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds; fails the test, naming `what`, when that takes longer than [`TIMEOUT`].
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Waits until `attempt` yields something, and returns it; fails the test as [`eventually`] does.
pub fn eventually_some<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> T {
    some_within(TIMEOUT, what, attempt)
}

/// Waits as [`eventually_some`] does, up to `timeout`.
pub fn some_within<T>(timeout: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {timeout:?}: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Lets time pass because its passing is what the test is about: a server that thinks before it answers, a
/// consumer that stalls. Never a way to wait for something to become ready.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// The longest that anything which must happen may take, on a machine that is busy with other tests.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a test watches for something that must not happen.
pub const A_WHILE: Duration = Duration::from_millis(200);

const POLL_INTERVAL: Duration = Duration::from_millis(2);
