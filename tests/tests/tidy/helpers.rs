//! The helpers of the tests notice what they promise to notice.

use relay_tests::Launch;

#[test]
#[should_panic(expected = "panicked")]
fn a_thread_of_a_program_that_panics_fails_the_test() {
    Launch::shell("echo \"thread 'resolver' panicked at resolve.rs\" >&2").run();
}
