//! The latencies of many exchanges.

use std::time::Duration;

use crate::quantity::{Quantity, Reading};

/// Every latency of a trial. A few hundred thousand numbers need no histogram.
#[derive(Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn record(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the rate over `elapsed` and two percentiles.
    pub(super) fn readings(mut self, elapsed: Duration) -> Vec<Reading> {
        let rate = self.count() as f64 / elapsed.as_secs_f64();
        self.0.sort_unstable();
        let mut readings = vec![(Quantity::Rate, rate)];
        for (quantity, share) in [(Quantity::P50, 0.50), (Quantity::P99, 0.99)] {
            if let Some(latency) = self.0.get((self.count() as f64 * share) as usize) {
                readings.push((quantity, latency.as_secs_f64() * 1e3));
            }
        }
        readings
    }
}
