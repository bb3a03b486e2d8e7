//! The figures of all rounds, and the lines in which a round reports them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use crate::Result;
use crate::contestant::Contestant;
use crate::load::{Load, Quantity};
use crate::spread::Spread;

/// One line of a round's stdout, its words separated by tabs.
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
