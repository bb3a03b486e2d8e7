//! The figures of all rounds.

use std::collections::BTreeMap;

use crate::line::Line;
use crate::load::Load;
use crate::punch::{Punch, Setting};
use crate::punches::Punches;
use crate::quantity::Quantity;
use crate::spread::Spread;

/// What was measured, by contestant, load and quantity, and then by round.
#[derive(Default)]
pub(crate) struct Figures {
    values: BTreeMap<Key, BTreeMap<u32, f64>>,
    skipped: BTreeMap<(&'static str, Load), String>,
    punches: BTreeMap<Setting, Vec<Punch>>,
}

type Key = (&'static str, Load, Quantity);

impl Figures {
    /// Adds a line that `round` reported.
    pub(crate) fn add(&mut self, round: u32, line: Line) {
        match line {
            Line::Figure(figure) => {
                self.values
                    .entry((figure.contestant, figure.load, figure.quantity))
                    .or_default()
                    .insert(round, figure.value);
            }
            Line::Skipped(skipped) => {
                self.skipped
                    .insert((skipped.contestant, skipped.load), skipped.why);
            }
            Line::Punch(setting, punch) => {
                self.punches.entry(setting).or_default().push(punch);
            }
        }
    }

    /// Returns the figure of a contestant over all rounds.
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

    /// Returns a figure divided by the largest figure of `others` in the same round. A round in which none of `others` was
    /// measured is left out.
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

    /// Returns the trials of a setting, or None if there are none.
    pub(crate) fn punches(&self, setting: Setting) -> Option<Punches<'_>> {
        Punches::of(self.punches.get(&setting)?)
    }

    /// Returns each contestant and load that was not measured, and the reason.
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
