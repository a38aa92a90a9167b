//! The latency monitor: what took at least `latency-monitor-threshold` milliseconds, by kind of work.

use std::collections::VecDeque;

/// Samples kept of one kind, as in Redis; the worst of a second counts.
const SAMPLES_KEPT: usize = 160;

/// Kinds of work that are watched, under Redis's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A command that is not flagged fast.
    Command,
    FastCommand,
    /// One round of the search for expired keys.
    ExpireCycle,
    /// Making room, one round of it.
    EvictionCycle,
}

impl Work {
    pub const ALL: [Self; 4] = [Self::Command, Self::FastCommand, Self::ExpireCycle, Self::EvictionCycle];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::FastCommand => "fast-command",
            Self::ExpireCycle => "expire-cycle",
            Self::EvictionCycle => "eviction-cycle",
        }
    }

    /// Names are compared exactly, as in Redis.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name().as_bytes() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub unix_s: u64,
    pub ms: u64,
}

/// The samples of one kind, oldest first, each of another second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    samples: VecDeque<Sample>,
    worst_ms: u64,
}

impl Series {
    fn push(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.unix_s == sample.unix_s => last.ms = last.ms.max(sample.ms),
            _ => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES_KEPT {
            self.samples.pop_front();
        }
    }

    /// Takes another reactor's samples in.
    pub fn merge(&mut self, other: &Self) {
        let mut all: Vec<_> = self.samples.iter().chain(&other.samples).copied().collect();
        all.sort_by_key(|sample| sample.unix_s);
        let worst_ms = self.worst_ms.max(other.worst_ms);
        *self = Self { samples: VecDeque::new(), worst_ms };
        all.into_iter().for_each(|sample| self.push(sample));
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sample> + Clone {
        self.samples.iter().copied()
    }

    pub fn last(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// The worst ever, whether or not its sample is still kept.
    pub fn worst_ms(&self) -> u64 {
        self.worst_ms
    }
}

/// The samples of one reactor.
#[derive(Debug)]
pub struct LatencyMonitor {
    /// Nanoseconds; `u64::MAX`: nothing is recorded.
    threshold_ns: u64,
    series: [Series; Work::ALL.len()],
}

impl Default for LatencyMonitor {
    fn default() -> Self {
        Self { threshold_ns: u64::MAX, series: Default::default() }
    }
}

impl LatencyMonitor {
    /// Takes `latency-monitor-threshold` over; 0: nothing is recorded.
    pub fn configure(&mut self, threshold_ms: i64) {
        self.threshold_ns = match u64::try_from(threshold_ms) {
            Ok(ms @ 1..) => ms.saturating_mul(1_000_000),
            _ => u64::MAX,
        };
    }

    pub fn threshold_ns(&self) -> u64 {
        self.threshold_ns
    }

    /// Records work that took as long as the threshold.
    #[inline]
    pub fn note(&mut self, work: Work, now_ms: u64, ns: u64) {
        if ns >= self.threshold_ns {
            self.series[work as usize].push(Sample { unix_s: now_ms / 1000, ms: ns / 1_000_000 });
        }
    }

    pub fn series(&self, work: Work) -> &Series {
        &self.series[work as usize]
    }

    /// Forgets the samples of one kind. Returns whether there were any.
    pub fn reset(&mut self, work: Work) -> bool {
        !std::mem::take(&mut self.series[work as usize]).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[(u64, u64)]) -> Series {
        let mut series = Series::default();
        samples.iter().for_each(|&(unix_s, ms)| series.push(Sample { unix_s, ms }));
        series
    }

    #[test]
    fn the_worst_of_a_second_counts() {
        let series = series(&[(1, 5), (1, 9), (1, 7), (2, 3)]);
        assert_eq!(series.iter().map(|s| (s.unix_s, s.ms)).collect::<Vec<_>>(), [(1, 9), (2, 3)]);
        assert_eq!(series.worst_ms(), 9);
    }

    #[test]
    fn old_samples_go_and_the_worst_ever_stays() {
        let mut samples = vec![(0, 1000)];
        samples.extend((1..=SAMPLES_KEPT as u64).map(|second| (second, 1)));
        let series = series(&samples);
        assert_eq!((series.len(), series.worst_ms()), (SAMPLES_KEPT, 1000));
        assert!(series.iter().all(|sample| sample.ms == 1));
    }

    #[test]
    fn series_of_two_reactors_become_one_in_order_of_time() {
        let mut merged = series(&[(1, 4), (3, 4)]);
        merged.merge(&series(&[(1, 6), (2, 1), (4, 1)]));
        assert_eq!(merged, series(&[(1, 6), (2, 1), (3, 4), (4, 1)]));
    }

    #[test]
    fn only_what_reaches_the_threshold_is_recorded() {
        let mut monitor = LatencyMonitor::default();
        monitor.note(Work::Command, 1000, u64::MAX - 1);
        monitor.configure(2);
        monitor.note(Work::Command, 1000, 1_999_999);
        assert!(monitor.series(Work::Command).is_empty());
        monitor.note(Work::Command, 1000, 2_000_000);
        assert_eq!(monitor.series(Work::Command).last(), Some(Sample { unix_s: 1, ms: 2 }));
        assert!(monitor.reset(Work::Command) && !monitor.reset(Work::Command));
        monitor.configure(0);
        monitor.note(Work::Command, 1000, u64::MAX - 1);
        assert!(monitor.series(Work::Command).is_empty());
    }
}
