//! Times by how often they were so long.

use hdrhistogram::Histogram;

/// Longest time told apart, in nanoseconds; longer ones count as this.
const NS_MAX: u64 = 60_000_000_000;
/// Two digits: 1 % error, 24 KiB a histogram at most.
const DIGITS: u8 = 2;

/// How long something took each time, in nanoseconds. Takes no memory before the first time.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    times: Option<Box<Histogram<u64>>>,
    sum_ns: u64,
}

impl Timing {
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.sum_ns += ns;
        match &mut self.times {
            Some(times) => times.saturating_record(ns),
            None => self.times = first(ns),
        }
    }

    /// Adds another reactor's.
    pub fn merge(&mut self, other: &Self) {
        self.sum_ns += other.sum_ns;
        match (&mut self.times, &other.times) {
            (Some(mine), Some(other)) => mine.add(&**other).expect("all histograms have the same bounds"),
            (mine @ None, Some(other)) => *mine = Some(other.clone()),
            (_, None) => {}
        }
    }

    /// `None` before the first time.
    pub fn histogram(&self) -> Option<&Histogram<u64>> {
        self.times.as_deref()
    }

    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
}

#[cold]
fn first(ns: u64) -> Option<Box<Histogram<u64>>> {
    let mut times = Histogram::new_with_bounds(1, NS_MAX, DIGITS).expect("the bounds are valid");
    times.saturating_record(ns);
    Some(Box::new(times))
}
