//! The NAT laboratory by hand: builds one, prints how to enter its hosts, and keeps it until it is interrupted.
//!
//! `lab [A [B [DELAY]]]`: how each firewall answers to what it does not expect (`drop`, `reset`, or an ICMP code of nftables such as
//! `host-unreachable`), or `random` for one that drops and changes ports; and the milliseconds from one to the other.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever tries something out"
)]

use std::env;
use std::fs;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use relay_tests::nat_lab::{Answer, Firewall, Host, Laboratory};
use relay_tests::network;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if !network::is_ours() {
        let error = network::restart_in_one();
        eprintln!("lab: fatal: unable to run unshare: {error}");
        return ExitCode::FAILURE;
    }
    let Some((a, b, delay)) = parse(&words) else {
        eprintln!(
            "lab: fatal: usage: lab [drop|reset|CODE|random [drop|reset|CODE|random [MILLISECONDS]]]"
        );
        return ExitCode::from(EXIT_USAGE);
    };
    let built = match delay {
        Duration::ZERO => Laboratory::new(a, b),
        delay => Laboratory::with_delay(a, b, delay),
    };
    let Some(lab) = built else {
        return ExitCode::FAILURE;
    };
    println!("Two hosts, until Ctrl-C. Each is entered by a command in a terminal of its own:");
    println!("host A, which others see as hostA: {}", entrance(&lab.a));
    println!("host B, which others see as hostB: {}", entrance(&lab.b));
    loop {
        thread::park();
    }
}

fn parse(words: &[String]) -> Option<(Firewall, Firewall, Duration)> {
    let word = |n: usize| words.get(n).map_or("drop", String::as_str);
    let delay = match words.get(2) {
        Some(milliseconds) => milliseconds.parse().ok()?,
        None => 0,
    };
    (words.len() <= 3).then_some(())?;
    Some((
        firewall(word(0))?,
        firewall(word(1))?,
        Duration::from_millis(delay),
    ))
}

fn firewall(word: &str) -> Option<Firewall> {
    match word {
        "drop" => Some(Firewall::DROPS),
        "reset" => Some(Firewall::RESETS),
        "random" => Some(Firewall::CHANGES_PORTS),
        code => CODES
            .into_iter()
            .find(|known| *known == code)
            .map(|code| Firewall::that_answers(Answer::Unreachable(code))),
    }
}

/// The command that opens a shell on a host.
fn entrance(host: &Host) -> String {
    let process = process::id();
    let user = if is_everybody() {
        String::new()
    } else {
        format!(" --user=/proc/{process}/ns/user --preserve-credentials")
    };
    let path = host.path();
    format!("nsenter --net={path} --mount=/proc/{process}/ns/mnt{user}")
}

/// Whether this process is in the user namespace that the machine began with, and root there.
fn is_everybody() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

const CODES: [&str; 4] = [
    "host-unreachable",
    "net-unreachable",
    "port-unreachable",
    "admin-prohibited",
];
const EXIT_USAGE: u8 = 100;
