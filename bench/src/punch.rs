//! How long two hosts behind firewalls take to find each other with `4way:`, from the start of the later one.
//!
//! Each trial is two `connect-connect` in the NAT laboratory of the tests. The earlier one has been dialling for up to a
//! second; the time ends when each has the other's message, so what starting a program takes is part of it. What stands
//! in the way of a second trial of the same ports, the firewalls' memory of the first one, is another matter: each
//! trial has ports of its own.

use std::fmt;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use relay_tests::nat_lab::{Firewall, Host, Laboratory};
use relay_tests::{Running, kernel};

use crate::figures::Line;
use crate::{Result, trial_process};

/// What is between the two.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Setting {
    /// Firewalls that drop what they do not expect.
    Drop,
    /// Firewalls that reset it, and nothing that takes time.
    Reset,
    /// Firewalls that reset it, 20 ms from one to the other, and clocks that differ by 10 ms.
    ResetSlow,
}

/// One trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Punch {
    /// None if they did not meet in [`PATIENCE`].
    pub(crate) seconds: Option<f64>,
    /// How often the later one dialled.
    pub(crate) dials: u64,
}

/// Runs so many trials in each setting, and prints a [`Line`] for each.
pub(crate) fn run(trials: u16) -> Result<()> {
    trial_process::end_with_stdin();
    for setting in Setting::ALL {
        let lab = setting
            .laboratory()
            .ok_or("this machine allows no laboratory")?;
        for number in 0..trials {
            let punch = trial(&lab, setting, number);
            Line::Punch { setting, punch }.print()?;
        }
    }
    Ok(())
}

impl Setting {
    /// Every setting, in the order of the report.
    pub(crate) const ALL: [Setting; 3] = [Setting::Drop, Setting::Reset, Setting::ResetSlow];

    /// For the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Setting::Drop => "firewalls that drop",
            Setting::Reset => "firewalls that reset",
            Setting::ResetSlow => "firewalls that reset, 20 ms apart, clocks 10 ms apart",
        }
    }

    /// The word that stands for it in lines and targets.
    fn name(self) -> &'static str {
        match self {
            Setting::Drop => "drop",
            Setting::Reset => "reset",
            Setting::ResetSlow => "reset-slow",
        }
    }

    /// The setting of that name.
    pub(crate) fn named(name: &str) -> Option<Setting> {
        Setting::ALL
            .into_iter()
            .find(|setting| setting.name() == name)
    }

    /// The option that sets the clock of the later side.
    fn clock(self) -> &'static str {
        match self {
            Setting::Drop | Setting::Reset => "",
            Setting::ResetSlow => "--four-way-clock-offset 10ms",
        }
    }

    fn laboratory(self) -> Option<Laboratory> {
        match self {
            Setting::Drop => Laboratory::new(Firewall::DROPS, Firewall::DROPS),
            Setting::Reset => Laboratory::new(Firewall::RESETS, Firewall::RESETS),
            Setting::ResetSlow => Laboratory::with_delay(
                Firewall::RESETS,
                Firewall::RESETS,
                Duration::from_millis(20),
            ),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
