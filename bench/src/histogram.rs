//! Latencies in nanoseconds, three significant digits up to an hour, and their percentiles.

use hdrhistogram::Histogram;
use serde::Serialize;

const HIGHEST_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// What a report lists unless told otherwise.
pub const PERCENTILES: [f64; 6] = [50.0, 90.0, 95.0, 99.0, 99.9, 99.99];

#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// A histogram in the figures of a report; times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub count: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub max_us: f64,
    pub percentiles_us: Vec<Percentile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentile {
    pub percentile: f64,
    pub us: f64,
}

/// A line of the detailed distribution.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    pub us: f64,
    pub percentile: f64,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(HIGHEST_NS, SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are constants that hdrhistogram accepts"))
    }
}

impl Latency {
    /// Counts `count` replies that took `ns` each; more than an hour counts as an hour.
    #[inline]
    pub fn record(&mut self, ns: u64, count: u64) {
        self.0.saturating_record_n(ns, count);
    }

    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    pub fn percentile_us(&self, percentile: f64) -> f64 {
        us(self.0.value_at_quantile(percentile / 100.0))
    }

    pub fn max_us(&self) -> f64 {
        us(self.0.max())
    }

    pub fn summary(&self, percentiles: &[f64]) -> Summary {
        let at =
            |percentile: &f64| Percentile { percentile: *percentile, us: self.percentile_us(*percentile) };
        Summary {
            count: self.count(),
            min_us: us(self.0.min()),
            mean_us: self.0.mean() / 1000.0,
            max_us: self.max_us(),
            percentiles_us: percentiles.iter().map(at).collect(),
        }
    }

    /// The distribution in steps that halve the distance to 100 %, each cut in `per_half`.
    pub fn steps(&self, per_half: u32) -> impl Iterator<Item = Step> {
        let step = |step: hdrhistogram::iterators::IterationValue<u64>| Step {
            us: us(step.value_iterated_to()),
            percentile: step.quantile_iterated_to() * 100.0,
        };
        self.0.iter_quantiles(per_half).map(step)
    }
}

/// The middle of `figures`, or the mean of the two in the middle; zero of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => 0.0,
        len if len % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform_to(highest_us: u64) -> Latency {
        let mut latency = Latency::default();
        (1..=highest_us).for_each(|us| latency.record(us * 1000, 1));
        latency
    }

    fn assert_near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= expected / 500.0, "{actual} is not {expected}");
    }

    #[test]
    fn percentiles_are_within_three_digits() {
        let latency = uniform_to(100_000);
        for percentile in [0.1, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0] {
            assert_near(latency.percentile_us(percentile), percentile * 1000.0);
        }
        assert_near(latency.max_us(), 100_000.0);
        assert_near(latency.summary(&[]).mean_us, 50_000.5);
    }

    #[test]
    fn counts_weigh_and_histograms_add_up() {
        let (mut few, mut many) = (Latency::default(), Latency::default());
        few.record(1_000_000, 1);
        many.record(1_000, 99);
        few.add(&many);
        assert_eq!(few.count(), 100);
        assert_near(few.percentile_us(99.0), 1.0);
        assert_near(few.percentile_us(99.1), 1000.0);
    }

    #[test]
    fn times_beyond_the_bound_are_kept_as_the_bound() {
        let mut latency = Latency::default();
        latency.record(u64::MAX, 1);
        assert_eq!(latency.count(), 1);
        assert!(latency.max_us() >= 3_600_000_000.0);
    }

    #[test]
    fn steps_rise_to_the_maximum() {
        let latency = uniform_to(1000);
        let steps: Vec<Step> = latency.steps(5).collect();
        assert!(steps.is_sorted_by(|a, b| a.us <= b.us && a.percentile <= b.percentile));
        assert!(steps.len() > 20);
        let last = steps.last().unwrap();
        assert_near(last.us, 1000.0);
        assert_near(last.percentile, 100.0);
    }

    #[test]
    fn the_median_ignores_order_and_outliers() {
        assert_near(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_near(median(vec![4.0, 1.0, 100.0, 2.0]), 3.0);
        assert!(median(Vec::new()) == 0.0);
    }
}
