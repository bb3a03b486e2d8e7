//! How long a test waits, and for what. No test sleeps and hopes that something has happened.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds. If that takes longer than [`TIMEOUT`], fails the test with the text `what`.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, || condition().then_some(()));
}

/// Waits until `attempt` returns something, and returns it. Fails the test as [`eventually`] does.
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

/// Lets time pass because time is the subject of the test: a server that answers late, a reader that stalls. Never use it
/// to wait until something is ready.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// How long a test waits for something that must happen, on a machine that is busy with other tests.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a test watches for something that must not happen.
pub const A_WHILE: Duration = Duration::from_millis(200);

const POLL_INTERVAL: Duration = Duration::from_millis(2);
