//! Measures how long two hosts behind firewalls take to connect with `4way:`, from the start of the later one.
//!
//! Each trial runs two `connect-connect` in the NAT laboratory of the tests. The later one starts 0.2 to 1.2 seconds after
//! the earlier one. The time ends when each has received the other's message, so it includes the start of a program. Each
//! trial uses a new port, because the firewalls remember the connections of the port before.

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

/// Runs `trials` trials in each setting and prints a [`Line`] for each.
pub(crate) fn run(trials: u16) -> Result<()> {
    leash::end_with_stdin();
    for setting in Setting::ALL {
        let lab = setting
            .laboratory()
            .ok_or("this machine cannot run the laboratory")?;
        for number in 0..trials {
            let punch = trial(&lab, setting, number);
            Line::Punch(setting, punch).print()?;
        }
    }
    Ok(())
}

fn trial(lab: &Laboratory, setting: Setting, number: u16) -> Punch {
    let port = FIRST_PORT + number;
    let earlier = connect_connect(&lab.a, &format!("4way:hostB:{port}"), "earlier");
    thread::sleep(head_start(number));
    let dials_before = lab.b.run(kernel::tcp_dials);
    let started = Instant::now();
    let words = format!("{} 4way:hostA:{port}", setting.clock());
    let later = connect_connect(&lab.b, &words, "later");
    let seconds = loop {
        let taken = started.elapsed();
        if earlier.stdout.bytes() == b"later" && later.stdout.bytes() == b"earlier" {
            break Some(taken.as_secs_f64());
        }
        if taken > TIMEOUT {
            break None;
        }
        thread::sleep(CHECK_INTERVAL);
    };
    Punch {
        seconds,
        dials: lab.b.run(kernel::tcp_dials) - dials_before,
    }
}

/// Starts a `connect-connect` that sends `text` to the other side and prints what it receives.
fn connect_connect(host: &Host, words: &str, text: &str) -> Running {
    let line = format!("connect-connect --raw --once {words} -");
    let mut node = host.launch(&line).stdin(Stdio::piped()).spawn();
    // If the process has ended already, its output is missing and the trial fails.
    let _ = node.take_stdin().write_all(text.as_bytes());
    node
}

/// Returns how long the earlier one dials before the later one starts. The values are spread evenly over one second,
/// because the dials depend on the fraction of a second of the clock.
fn head_start(number: u16) -> Duration {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    Duration::from_millis(200) + Duration::from_secs_f64((f64::from(number) * GOLDEN_RATIO).fract())
}

/// After this time a trial has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The interval between two checks of the output. It limits the precision of a trial.
const CHECK_INTERVAL: Duration = Duration::from_micros(500);

/// The port of the first trial.
const FIRST_PORT: u16 = 5000;
