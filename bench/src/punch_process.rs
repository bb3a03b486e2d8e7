//! How long two hosts behind firewalls take to find each other with `4way:`, from the start of the later one.
//!
//! Each trial is two `connect-connect` in the NAT laboratory of the tests. The earlier one has been dialling for up to a
//! second; the time ends when each has the other's message, so what starting a program takes is part of it. What stands
//! in the way of a second trial of the same ports, the firewalls' memory of the first one, is another matter: each
//! trial has ports of its own.

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use relay_tests::nat_lab::{Host, Laboratory};
use relay_tests::{Running, kernel};

use crate::leash;
use crate::line::Line;
use crate::punch::{Punch, Setting};
use crate::result::Result;

/// Runs so many trials in each setting, and prints a [`Line`] for each.
pub(crate) fn run(trials: u16) -> Result<()> {
    leash::end_with_stdin();
    for setting in Setting::ALL {
        let lab = setting
            .laboratory()
            .ok_or("this machine allows no laboratory")?;
        for number in 0..trials {
            let punch = trial(&lab, setting, number);
            Line::Punch(setting, punch).print()?;
        }
    }
    Ok(())
}

fn trial(lab: &Laboratory, setting: Setting, number: u16) -> Punch {
    let port = PORTS_FROM + number;
    let earlier = talker(&lab.a, &format!("4way:hostB:{port}"), "earlier");
    thread::sleep(head_start(number));
    let dials_before = lab.b.run(kernel::tcp_dials);
    let started = Instant::now();
    let words = format!("{} 4way:hostA:{port}", setting.clock());
    let later = talker(&lab.b, &words, "later");
    let seconds = loop {
        let taken = started.elapsed();
        if earlier.stdout.bytes() == b"later" && later.stdout.bytes() == b"earlier" {
            break Some(taken.as_secs_f64());
        }
        if taken > PATIENCE {
            break None;
        }
        thread::sleep(LOOK_INTERVAL);
    };
    Punch {
        seconds,
        dials: lab.b.run(kernel::tcp_dials) - dials_before,
    }
}

/// Says `text` to the other side and prints what that says; both end when both have.
fn talker(host: &Host, words: &str, text: &str) -> Running {
    let line = format!("connect-connect --raw --once {words} -");
    let mut talker = host.launch(&line).stdin(Stdio::piped()).spawn();
    // One that has ended already is seen by what it does not print.
    let _ = talker.take_stdin().write_all(text.as_bytes());
    talker
}

/// How long the earlier one has been dialling when the later one starts: evenly spread over a second, because what it
/// does may depend on the second of the clock.
fn head_start(number: u16) -> Duration {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    Duration::from_millis(200) + Duration::from_secs_f64((f64::from(number) * GOLDEN_RATIO).fract())
}

/// When a trial has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How exact a trial is.
const LOOK_INTERVAL: Duration = Duration::from_micros(500);

/// The port of the first trial.
const PORTS_FROM: u16 = 5000;
