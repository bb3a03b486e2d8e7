//! The figures of all rounds.

use std::collections::BTreeMap;

use crate::line::Line;
use crate::load::Load;
use crate::punch::{Punch, Setting};
use crate::punches::Punches;
use crate::quantity::Quantity;
use crate::spread::Spread;

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
