//! The counters in the status line that a program writes on SIGUSR1.

use nix::sys::signal::Signal;

use crate::running::Running;

/// What a node reports that it has relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that never entered user space.
    pub spliced: u64,
    /// Bytes that went through a buffer.
    pub copied: u64,
}

impl Counters {
    /// Reads the counters from the status line of `node`.
    pub fn of(node: &Running) -> Counters {
        let line = status(node);
        Counters {
            spliced: number(&line, "spliced="),
            copied: number(&line, "copied="),
        }
    }
}

/// The number called `name` in the status line of `node`, such as `idle`.
pub fn number_of(node: &Running, name: &str) -> u64 {
    number(&status(node), &format!("{name}="))
}

/// Sends SIGUSR1 to `node`, and returns its status line.
fn status(node: &Running) -> String {
    let seen = node.stderr.count(MARK);
    node.signal(Signal::SIGUSR1);
    node.stderr.wait_for_number(MARK, seen + 1)
}

/// The number behind `key` in a line of `key=value` words; a limit may stand behind it, as in `3/100`.
fn number(line: &str, key: &str) -> u64 {
    let value = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(key));
    let value = value.unwrap_or_else(|| panic!("no {key} in {line:?}"));
    let (number, _) = value.split_once('/').unwrap_or((value, ""));
    number
        .parse()
        .unwrap_or_else(|_| panic!("{key}{value} is no number"))
}

const MARK: &str = "spliced=";
