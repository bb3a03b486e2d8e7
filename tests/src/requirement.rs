//! What a test needs of the machine. If it is missing, the test prints that it was skipped, and passes. If `CI` is `true`, the
//! test fails instead, so that nothing is skipped unnoticed.

use std::env;
use std::fs;
use std::io::{self, Write};

use nix::unistd::geteuid;

use crate::program;

/// Returns from the test that is running if a program it needs is not installed.
///
/// ```no_run
/// # use relay_tests::needs;
/// needs!("socat", "curl");
/// ```
#[macro_export]
macro_rules! needs {
    ($($program:expr),+) => {
        if $crate::requirement::is_missing(&[$($program),+]) {
            return;
        }
    };
}

/// Whether one of `programs` is missing. If so, the test is skipped, or fails in CI.
pub fn is_missing(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|name| program::find(name).is_none());
    if let Some(name) = missing {
        skip(&format!("{name} is not installed"));
    }
    missing.is_some()
}

/// Whether this user is root of the machine, and not only of a namespace without other users. If not, the test is skipped.
pub fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_root = geteuid().is_root() && map.split_whitespace().nth(2) == Some(ALL_USERS);
    if !is_root {
        skip("only root can become another user");
    }
    is_root
}

/// Prints that the calling test is skipped, and `why`. Fails in CI.
pub fn skip(why: &str) {
    assert!(
        env::var_os("CI").is_none_or(|ci| ci != "true"),
        "nothing is skipped in CI, but {why}"
    );
    // Not eprintln: the test passes, and the text of tests that pass is not shown.
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

/// The size of a map of users that leaves none out (user_namespaces(7)).
const ALL_USERS: &str = "4294967295";
