//! The distribution of the times of all trials in one setting.

use crate::punch::Punch;

/// The trials of a setting. There is at least one.
pub(crate) struct Punches<'a> {
    trials: &'a [Punch],
    /// The times of the trials that connected, in ascending order.
    seconds: Vec<f64>,
}

impl<'a> Punches<'a> {
    /// Returns None if `trials` is empty.
    pub(crate) fn of(trials: &'a [Punch]) -> Option<Punches<'a>> {
        let mut seconds: Vec<f64> = trials.iter().filter_map(|punch| punch.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        (!trials.is_empty()).then_some(Punches { trials, seconds })
    }

    pub(crate) fn trials(&self) -> usize {
        self.trials.len()
    }

    /// Returns the share of the trials that connected within `seconds`.
    pub(crate) fn share_within(&self, seconds: f64) -> f64 {
        let within = self.seconds.iter().filter(|taken| **taken <= seconds);
        self.share(within.count())
    }

    /// Returns the share of the trials that connected on the first dial of the later side.
    pub(crate) fn share_of_first_tries(&self) -> f64 {
        let first = |punch: &&Punch| punch.seconds.is_some() && punch.dials == 1;
        self.share(self.trials.iter().filter(first).count())
    }

    /// Returns the shortest time, in seconds, within which a share of `part` of all trials connected: 0 is the minimum,
    /// 0.5 the median, 1 the maximum. Returns None if fewer trials connected.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let rank = (part * self.trials() as f64).ceil() as usize;
        self.seconds.get(rank.saturating_sub(1)).copied()
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.trials() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_trial_counts_as_longer_than_any_other() {
        let punch = |seconds, dials| Punch { seconds, dials };
        let trials = [
            punch(Some(3.0), 2),
            punch(None, 9),
            punch(Some(1.0), 1),
            punch(Some(2.0), 1),
        ];
        let punches = Punches::of(&trials).unwrap();
        assert_eq!(punches.quantile(0.0), Some(1.0));
        assert_eq!(punches.quantile(0.5), Some(2.0));
        assert_eq!(punches.quantile(0.75), Some(3.0));
        assert_eq!(punches.quantile(1.0), None);
        assert_eq!(punches.share_within(2.0), 0.5);
        assert_eq!(punches.share_of_first_tries(), 0.5);
    }
}
