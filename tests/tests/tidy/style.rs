//! Style is a test: what a reviewer would say again and again is said here. Each ban names what to do instead.

use relay_tests::workspace::{ProductFile, product_files};

#[test]
fn nothing_panics_by_unwrapping() {
    let instead = "return an error, or match and say in an `unreachable!` why it cannot be";
    ban(&[".unwrap()", ".expect("], &[], instead);
}

#[test]
fn the_clock_is_read_in_one_place() {
    let instead = "take `now` as an argument, as the event loop hands it down";
    ban(
        &["Instant::now", ".elapsed()"],
        &["relay-core/src/event_loop/mod.rs", REPORT],
        instead,
    );
}

#[test]
fn one_file_prints() {
    let instead = "say it through `Report`, which knows where messages go";
    ban(
        &[
            "println!",
            "print!(",
            "eprint!(",
            "stdout().lock()",
            "stderr().lock()",
            "dbg!",
        ],
        &[REPORT],
        instead,
    );
}

#[test]
fn nothing_sleeps() {
    ban(
        &["thread::sleep", "sleep("],
        &[],
        "set a deadline and go back to the event loop",
    );
}

#[test]
fn nothing_is_put_off() {
    ban(
        &["todo!", "unimplemented!", "TODO", "FIXME", "XXX"],
        &[],
        "do it, or leave it out",
    );
}

#[test]
fn warnings_are_not_allowed_without_a_reason() {
    let attributes = |file: &ProductFile| -> Vec<String> {
        let allowed = file
            .code
            .split("#[allow(")
            .skip(1)
            .filter_map(|rest| rest.split(")]").next());
        // Unsafe code has a SAFETY line, which clippy asks for.
        let silent =
            allowed.filter(|inner| !inner.contains("reason") && !inner.contains("unsafe_code"));
        silent
            .map(|inner| format!("{}: #[allow({inner})]", file.name))
            .collect()
    };
    expect_none(
        product_files().iter().flat_map(attributes).collect(),
        "add `reason = \"…\"`, or use `#[expect]`",
    );
}

#[test]
fn the_protocols_and_decisions_know_no_socket() {
    let pure: Vec<ProductFile> = product_files().into_iter().filter(is_pure).collect();
    assert!(!pure.is_empty(), "nothing is left of protocol/ and policy/");
    let needles = [
        "std::net::Tcp",
        "std::os::fd",
        "use mio",
        "mio::",
        "nix::",
        "libc::",
        "socket2::",
    ];
    let found = pure
        .iter()
        .flat_map(|file| needles.iter().flat_map(|needle| file.lines_with(needle)));
    expect_none(
        found.collect(),
        "take bytes and `now`, return bytes and actions; sockets are in sockets/",
    );
}

#[test]
fn a_main_is_short() {
    for file in product_files()
        .iter()
        .filter(|file| file.name.ends_with("src/main.rs"))
    {
        let lines = file.code.lines().count();
        assert!(
            lines < MAIN_LINES_MAX,
            "{}: {lines} lines; what it does belongs into relay-core",
            file.name
        );
    }
}

#[test]
fn each_file_says_what_it_is_for() {
    let without = product_files()
        .into_iter()
        .filter(|file| !file.code.starts_with("//! "));
    expect_none(
        without.map(|file| file.name).collect(),
        "begin with `//!` and the one idea of the file",
    );
}

#[test]
fn nothing_tells_where_it_was_written() {
    let places = ["/home/", "/root/", "/Users/"];
    let files = product_files();
    let found = files
        .iter()
        .flat_map(|file| places.iter().flat_map(|place| file.lines_with(place)));
    expect_none(found.collect(), "name files from the top of the workspace");
}

/// Fails if one of `needles` is in a file that is not an exception.
fn ban(needles: &[&str], exceptions: &[&str], instead: &str) {
    let files: Vec<ProductFile> = product_files()
        .into_iter()
        .filter(|file| !exceptions.contains(&file.name.as_str()))
        .collect();
    let found = files
        .iter()
        .flat_map(|file| needles.iter().flat_map(|needle| file.lines_with(needle)));
    expect_none(found.collect(), instead);
}

fn expect_none(found: Vec<String>, instead: &str) {
    assert!(found.is_empty(), "{instead}:\n{}", found.join("\n"));
}

fn is_pure(file: &ProductFile) -> bool {
    ["relay-core/src/protocol/", "relay-core/src/policy/"]
        .iter()
        .any(|room| file.name.starts_with(room))
}

const REPORT: &str = "relay-core/src/report/writer.rs";
const MAIN_LINES_MAX: usize = 40;
