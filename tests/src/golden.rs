//! Texts that are compared literally: usage, fatal messages, exit statuses.
//!
//! A golden file is a transcript of commands. It is also the list of them: a test runs the command after each `$ `, and
//! compares the lines that follow. `1> ` marks a line of standard output, `2> ` one of standard error:
//!
//! ```text
//! $ tcpfwd
//! 2> tcpfwd: fatal: …
//! exit 100
//! ```
//!
//! With `UPDATE_GOLDEN=1` in the environment the test rewrites the file instead. To add a case, add its `$ ` line. A value
//! that differs from run to run has a name in braces, such as `{taken}`. The name stands for the value in commands, and replaces
//! it in their output.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::launch::Launch;

/// Runs the commands in the golden file `name`; `names` are the names in braces and their values.
pub fn check(name: &str, names: &[(&str, &str)]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    let expected =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let commands = expected.lines().filter_map(|line| line.strip_prefix("$ "));
    let seen: Vec<String> = commands.map(|command| transcript(command, names)).collect();
    assert!(!seen.is_empty(), "{} has no commands", file.display());
    let seen = seen.join("\n");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, seen).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    } else if let Some(difference) = first_difference(&expected, &seen) {
        panic!("{}: {difference}\n--- now:\n{seen}", file.display());
    }
}

fn transcript(command: &str, names: &[(&str, &str)]) -> String {
    let real = names
        .iter()
        .fold(command.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        });
    let outcome = Launch::new(&real).run();
    let stdout = String::from_utf8(outcome.stdout).expect("output is text");
    let mut text = format!("$ {command}\n");
    for (mark, written) in [("1>", &stdout), ("2>", &outcome.stderr)] {
        let stable = names.iter().fold(written.clone(), |text, (name, value)| {
            text.replace(value, name)
        });
        for line in stable.lines() {
            let _ = writeln!(text, "{}", format!("{mark} {line}").trim_end());
        }
    }
    let _ = writeln!(text, "exit {}", outcome.code);
    text
}

fn first_difference(expected: &str, seen: &str) -> Option<String> {
    if expected == seen {
        return None;
    }
    let agreeing = expected
        .lines()
        .zip(seen.lines())
        .take_while(|(left, right)| left == right)
        .count();
    let line = |text: &str| text.lines().nth(agreeing).unwrap_or("(nothing)").to_owned();
    Some(format!(
        "line {}: expected {:?}, seen {:?}",
        agreeing + 1,
        line(expected),
        line(seen)
    ))
}
