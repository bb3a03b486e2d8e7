//! A trial of hole punching: its setting and its result.

use std::fmt;
use std::time::Duration;

use relay_tests::nat_lab::{Firewall, Laboratory};

/// What is between the two hosts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Setting {
    /// Firewalls that drop unexpected segments.
    Drop,
    /// Firewalls that answer unexpected segments with a reset; no delay between them.
    Reset,
    /// Firewalls that reset, a delay of 20 ms from one to the other, and clocks that differ by 10 ms.
    ResetSlow,
}

/// The result of one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Punch {
    /// The time until both were connected, in seconds. None if they did not connect.
    pub(crate) seconds: Option<f64>,
    /// The number of dials of the later one.
    pub(crate) dials: u64,
}

impl Setting {
    /// Every setting, in the order of the report.
    pub(crate) const ALL: [Setting; 3] = [Setting::Drop, Setting::Reset, Setting::ResetSlow];

    /// Returns the name in the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Setting::Drop => "firewalls that drop",
            Setting::Reset => "firewalls that reset",
            Setting::ResetSlow => "firewalls that reset, 20 ms apart, clocks 10 ms apart",
        }
    }

    /// Returns the name in lines and targets.
    fn name(self) -> &'static str {
        match self {
            Setting::Drop => "drop",
            Setting::Reset => "reset",
            Setting::ResetSlow => "reset-slow",
        }
    }

    /// Returns the setting of this name.
    pub(crate) fn named(name: &str) -> Option<Setting> {
        Setting::ALL
            .into_iter()
            .find(|setting| setting.name() == name)
    }

    /// Returns the option that sets the clock of the later side.
    pub(crate) fn clock(self) -> &'static str {
        match self {
            Setting::Drop | Setting::Reset => "",
            Setting::ResetSlow => "--four-way-clock-offset 10ms",
        }
    }

    /// Makes the two hosts and what is between them. None if this machine cannot run it.
    pub(crate) fn laboratory(self) -> Option<Laboratory> {
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
