//! The figures of all rounds, and the lines in which a trial reports them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use crate::Result;
use crate::contestant::Contestant;
use crate::load::{Load, Quantity};
use crate::punch::{Punch, Setting};
use crate::punches::Punches;
use crate::spread::Spread;

/// One line of a trial's stdout, its words separated by tabs.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Figure {
        contestant: &'static str,
        load: Load,
        quantity: Quantity,
        value: f64,
    },
    Skipped {
        contestant: &'static str,
        load: Load,
        why: String,
    },
    Punch {
        setting: Setting,
        punch: Punch,
    },
}

impl Line {
    pub(crate) fn print(&self) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match self {
            Line::Figure {
                contestant,
                load,
                quantity,
                value,
            } => {
                writeln!(
                    stdout,
                    "figure\t{contestant}\t{load}\t{}\t{value}",
                    quantity.name()
                )?;
            }
            Line::Skipped {
                contestant,
                load,
                why,
            } => writeln!(stdout, "skipped\t{contestant}\t{load}\t{why}")?,
            Line::Punch { setting, punch } => {
                let seconds = punch.seconds.unwrap_or(f64::INFINITY);
                writeln!(stdout, "punch\t{setting}\t{seconds}\t{}", punch.dials)?;
            }
        }
        Ok(stdout.flush()?)
    }

    /// None if it is not such a line.
    pub(crate) fn parse(line: &str) -> Option<Line> {
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["figure", contestant, load, quantity, value] => Some(Line::Figure {
                contestant: Contestant::named(contestant).ok()?.name,
                load: load_named(load)?,
                quantity: Quantity::ALL
                    .into_iter()
                    .find(|known| known.name() == *quantity)?,
                value: value.parse().ok()?,
            }),
            ["skipped", contestant, load, why @ ..] => Some(Line::Skipped {
                contestant: Contestant::named(contestant).ok()?.name,
                load: load_named(load)?,
                why: why.join(" "),
            }),
            ["punch", setting, seconds, dials] => Some(Line::Punch {
                setting: Setting::named(setting)?,
                punch: Punch {
                    seconds: Some(seconds.parse().ok()?)
                        .filter(|seconds: &f64| seconds.is_finite()),
                    dials: dials.parse().ok()?,
                },
            }),
            _ => None,
        }
    }
}

/// For people who wait.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Figure {
                contestant,
                load: load @ Load::Bulk { .. },
                quantity: Quantity::Rate,
                value,
            } => {
                write!(f, "{load}, {contestant}: {:.2} GB/s", value * 1e-9)
            }
            Line::Figure {
                contestant,
                load,
                quantity,
                value,
            } => {
                write!(f, "{load}, {contestant}: {} {value:.3}", quantity.name())
            }
            Line::Skipped {
                contestant,
                load,
                why,
            } => write!(f, "{load}, {contestant}: skipped: {why}"),
            Line::Punch { setting, punch } => match punch.seconds {
                Some(seconds) => {
                    write!(f, "4way, {setting}: {seconds:.3} s, dials {}", punch.dials)
                }
                None => write!(f, "4way, {setting}: never, dials {}", punch.dials),
            },
        }
    }
}

fn load_named(name: &str) -> Option<Load> {
    Load::ALL.into_iter().find(|load| load.name() == name)
}

/// What was measured, by what it is of and then by round.
#[derive(Default)]
pub(crate) struct Figures {
    values: BTreeMap<Key, BTreeMap<u32, f64>>,
    skipped: BTreeMap<(&'static str, Load), String>,
    punches: BTreeMap<Setting, Vec<Punch>>,
}

type Key = (&'static str, Load, Quantity);

impl Figures {
    /// Adds what `round` reports.
    pub(crate) fn add(&mut self, round: u32, line: Line) {
        match line {
            Line::Figure {
                contestant,
                load,
                quantity,
                value,
            } => {
                self.values
                    .entry((contestant, load, quantity))
                    .or_default()
                    .insert(round, value);
            }
            Line::Skipped {
                contestant,
                load,
                why,
            } => {
                self.skipped.insert((contestant, load), why);
            }
            Line::Punch { setting, punch } => {
                self.punches.entry(setting).or_default().push(punch);
            }
        }
    }

    /// A figure itself.
    pub(crate) fn absolute(
        &self,
        contestant: &'static str,
        load: Load,
        quantity: Quantity,
    ) -> Option<Spread> {
        Spread::of(
            self.rounds(contestant, load, quantity)
                .map(|(_, value)| value),
        )
    }

    /// A figure divided by the largest of `others` in the same round; rounds without any of these are left out.
    pub(crate) fn ratio(
        &self,
        contestant: &'static str,
        others: &[&'static str],
        load: Load,
        quantity: Quantity,
    ) -> Option<Spread> {
        let ratios = self
            .rounds(contestant, load, quantity)
            .filter_map(|(round, value)| {
                let of_others = others
                    .iter()
                    .filter_map(|other| self.values.get(&(*other, load, quantity))?.get(&round));
                Some(value / of_others.copied().reduce(f64::max)?)
            });
        Spread::of(ratios)
    }

    /// The trials of a setting.
    pub(crate) fn punches(&self, setting: Setting) -> Option<Punches<'_>> {
        Punches::of(self.punches.get(&setting)?)
    }

    /// What was not measured, and why.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = (&'static str, Load, &str)> {
        self.skipped
            .iter()
            .map(|((contestant, load), why)| (*contestant, *load, why.as_str()))
    }

    fn rounds(
        &self,
        contestant: &'static str,
        load: Load,
        quantity: Quantity,
    ) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.values
            .get(&(contestant, load, quantity))
            .into_iter()
            .flatten()
            .map(|(round, value)| (*round, *value))
    }
}
