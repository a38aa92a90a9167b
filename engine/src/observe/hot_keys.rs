//! The keys that commands name most often, from a sample.
//!
//! One command in `hotkeys-sample-ratio` is drawn, at random distances, so that no rhythm of a pipeline hides a key; each
//! of its keys is counted. For all others this costs a decrement and a test. Counts are kept by Space-Saving: a key
//! that has no counter takes over the lowest one, and how high that was is known as the error of its own count. So of
//! the keys drawn, every one that makes up more than 1 in [`COUNTERS`] of them has a counter, and its count is too high
//! by no more than its error.
//!
//! Two windows of [`WINDOW_MS`] are kept, the one under way and the one before: figures are of the last one to two
//! minutes, and what was hot before is forgotten.
//!
//! Memory: two windows of [`COUNTERS`] names of up to [`NAME_MAX`] bytes a reactor; longer names are only counted
//! together.
//!
//! Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams",
//! ICDT 2005.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::ops::{Add, AddAssign};

use foldhash::fast::FixedState;

/// Counters of a window.
const COUNTERS: usize = 128;
/// Bytes of a name.
const NAME_MAX: usize = 1 << 10;
const WINDOW_MS: u64 = 60_000;

/// The sample of one reactor.
#[derive(Debug)]
pub struct HotKeys {
    /// Commands up to the one that is drawn next, that one included.
    distance: u32,
    /// One command in so many is drawn; 0: none.
    ratio: u32,
    rng: fastrand::Rng,
    current: Window,
    before: Window,
}

#[derive(Debug, Default)]
struct Window {
    began_ms: u64,
    /// Names drawn, and those among them that were too long.
    drawn: u64,
    too_long: u64,
    counters: Vec<Counter>,
    /// Of the counters' names and databases, and their counts: apart, because all are looked through each time.
    hashes: Vec<u64>,
    counts: Vec<u64>,
}

#[derive(Debug)]
struct Counter {
    db: u16,
    key: Box<[u8]>,
    error: u64,
}

impl HotKeys {
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { distance: u32::MAX, ratio: 0, rng, current: Window::default(), before: Window::default() }
    }

    /// Takes `hotkeys-sample-ratio` over. Counts of another ratio are forgotten.
    pub fn configure(&mut self, ratio: u32) {
        if ratio != self.ratio {
            self.ratio = ratio;
            self.reset();
            self.draw_distance();
        }
    }

    /// Forgets all counts.
    pub fn reset(&mut self) {
        (self.current, self.before) = (Window::default(), Window::default());
    }

    /// Passes a command. True if its keys are to be counted.
    #[inline]
    pub fn draws(&mut self) -> bool {
        self.distance -= 1;
        self.distance == 0
    }

    /// Begins to count the keys of a command that was drawn. False if nothing is counted.
    #[cold]
    pub fn begin(&mut self, now_ms: u64) -> bool {
        self.draw_distance();
        self.turn(now_ms);
        self.ratio > 0
    }

    /// Counts a key of a command that was drawn.
    pub fn count(&mut self, db: u16, key: &[u8]) {
        self.current.count(db, key);
    }

    /// On average the ratio, and never 0.
    fn draw_distance(&mut self) {
        self.distance = match self.ratio {
            0 => u32::MAX,
            ratio => self.rng.u32(1..ratio.saturating_mul(2)),
        };
    }

    /// Begins another window when the time of the present one is over.
    fn turn(&mut self, now_ms: u64) {
        let age_ms = now_ms.saturating_sub(self.current.began_ms);
        if age_ms >= WINDOW_MS {
            let over = std::mem::replace(&mut self.current, Window { began_ms: now_ms, ..Window::default() });
            self.before = if age_ms < 2 * WINDOW_MS { over } else { Window::default() };
        }
    }

    /// What was counted.
    pub fn view(&mut self, now_ms: u64) -> HotView {
        self.turn(now_ms);
        let mut view = self.before.view(self.ratio);
        view.merge(&self.current.view(self.ratio));
        view
    }
}

impl Window {
    fn count(&mut self, db: u16, key: &[u8]) {
        self.drawn += 1;
        if key.len() > NAME_MAX {
            self.too_long += 1;
            return;
        }
        let hash = FixedState::default().hash_one((db, key));
        let is_it = |(at, &other): (usize, &u64)| {
            other == hash && self.counters[at].db == db && *self.counters[at].key == *key
        };
        if let Some(at) = self.hashes.iter().enumerate().position(is_it) {
            self.counts[at] += 1;
        } else if self.counters.len() < COUNTERS {
            self.counters.push(Counter { db, key: key.into(), error: 0 });
            self.hashes.push(hash);
            self.counts.push(1);
        } else {
            self.take_over_lowest(hash, db, key);
        }
    }

    fn take_over_lowest(&mut self, hash: u64, db: u16, key: &[u8]) {
        let lowest = self.uncounted_max();
        let Some(at) = self.counts.iter().position(|&count| count == lowest) else { return };
        self.counters[at] = Counter { db, key: key.into(), error: lowest };
        self.hashes[at] = hash;
        self.counts[at] += 1;
    }

    /// How often a key may have been drawn that has no counter.
    fn uncounted_max(&self) -> u64 {
        if self.counters.len() < COUNTERS { 0 } else { self.counts.iter().copied().fold(u64::MAX, u64::min) }
    }

    fn estimates(&self) -> impl Iterator<Item = (&Counter, Estimate)> {
        let counted = self.counters.iter().zip(&self.counts);
        counted.map(|(counter, &accesses)| (counter, Estimate { accesses, error: counter.error }))
    }

    fn view(&self, ratio: u32) -> HotView {
        let whole = u64::from(ratio);
        let name = |counter: &Counter| (counter.db, counter.key.clone());
        let keys = self.estimates().map(|(counter, estimate)| (name(counter), estimate.times(whole)));
        HotView {
            ratio,
            began_ms: self.began_ms,
            accesses: self.drawn * whole,
            too_long: self.too_long * whole,
            unlisted_max: self.uncounted_max() * whole,
            keys: keys.collect(),
        }
    }
}

/// How often a key was named, and how much too high that may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    pub accesses: u64,
    pub error: u64,
}

impl Estimate {
    /// Of a key that is not listed, which may have been named so often or never.
    fn all_error(accesses: u64) -> Self {
        Self { accesses, error: accesses }
    }

    fn times(self, ratio: u64) -> Self {
        Self { accesses: self.accesses * ratio, error: self.error * ratio }
    }
}

impl Add for Estimate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { accesses: self.accesses + other.accesses, error: self.error + other.error }
    }
}

impl AddAssign for Estimate {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// A database and a key in it.
type Name = (u16, Box<[u8]>);

/// What was counted in one window; merged, in both, and by all reactors.
#[derive(Clone, Debug, Default)]
pub struct HotView {
    /// One command in so many is drawn; 0: none.
    pub ratio: u32,
    /// Since when was counted, in Unix milliseconds; 0: nothing was.
    pub began_ms: u64,
    /// Keys named by commands, and those of them that have no count of their own because their names are too long;
    /// estimates, as all that follows.
    pub accesses: u64,
    pub too_long: u64,
    /// How often a key may have been named, of those drawn, that is not listed.
    pub unlisted_max: u64,
    keys: BTreeMap<Name, Estimate>,
}

impl HotView {
    /// Adds another window's or another reactor's. A key is counted where its commands run: on its shard, or, with keys
    /// of other shards, on the coordinator. Who does not list a key may still have seen it, as often as `unlisted_max`
    /// says: that is added to accesses and error both, so that accesses stay too high by no more than the error.
    pub fn merge(&mut self, other: &Self) {
        self.ratio = self.ratio.max(other.ratio);
        self.began_ms = match (self.began_ms, other.began_ms) {
            (0, began_ms) | (began_ms, 0) => began_ms,
            (mine, other) => mine.min(other),
        };
        self.accesses += other.accesses;
        self.too_long += other.too_long;
        let unlisted = [self, other].map(|view| Estimate::all_error(view.unlisted_max));
        for (name, sum) in &mut self.keys {
            *sum += other.keys.get(name).copied().unwrap_or(unlisted[1]);
        }
        for (name, &estimate) in &other.keys {
            self.keys.entry(name.clone()).or_insert(unlisted[0] + estimate);
        }
        self.unlisted_max += other.unlisted_max;
    }

    /// The keys named most often, most often first.
    pub fn top(&self, count: usize) -> Vec<(u16, &[u8], Estimate)> {
        let mut keys: Vec<_> =
            self.keys.iter().map(|((db, key), estimate)| (*db, &**key, *estimate)).collect();
        keys.sort_by_key(|(_, _, estimate)| std::cmp::Reverse(estimate.accesses));
        keys.truncate(count);
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn sampled(ratio: u32) -> HotKeys {
        let mut hot = HotKeys::new(7);
        hot.configure(ratio);
        hot
    }

    fn access(hot: &mut HotKeys, now_ms: u64, key: u64) {
        if hot.draws() && hot.begin(now_ms) {
            hot.count(0, &key.to_be_bytes());
        }
    }

    /// The rank of a key, the lower the more often: a power law with exponent 1 over a million.
    fn zipf(rng: &mut fastrand::Rng) -> u64 {
        1_000_000f64.powf(rng.f64()) as u64
    }

    #[test]
    fn estimates_keep_their_bound_and_no_frequent_key_is_missing() {
        let (mut hot, mut rng) = (sampled(1), fastrand::Rng::with_seed(3));
        let mut exact = BTreeMap::<u64, u64>::new();
        for _ in 0..200_000 {
            let key = zipf(&mut rng);
            *exact.entry(key).or_default() += 1;
            access(&mut hot, NOW_MS, key);
        }
        let view = hot.view(NOW_MS);
        assert_eq!(view.accesses, 200_000);
        let listed = view.top(usize::MAX);
        assert_eq!(listed.len(), COUNTERS);
        for (_, key, estimate) in &listed {
            let times = exact[&u64::from_be_bytes((*key).try_into().unwrap())];
            assert!(
                (estimate.accesses - estimate.error..=estimate.accesses).contains(&times),
                "{estimate:?} {times}"
            );
            assert!(estimate.error <= 200_000 / COUNTERS as u64, "{estimate:?}");
        }
        let is_listed = |key: u64| listed.iter().any(|(_, listed, _)| **listed == key.to_be_bytes());
        assert!(view.unlisted_max <= 200_000 / COUNTERS as u64);
        for (&key, &times) in &exact {
            assert!(times <= view.unlisted_max || is_listed(key), "{key} was named {times} times");
        }
        assert_eq!(listed[0].1, 1u64.to_be_bytes());
    }

    #[test]
    fn a_sample_estimates_the_whole_whatever_the_rhythm() {
        let mut hot = sampled(16);
        (0..160_000).for_each(|turn| access(&mut hot, NOW_MS, turn % 16));
        let view = hot.view(NOW_MS);
        assert!((150_000..170_000).contains(&view.accesses), "{}", view.accesses);
        let top = view.top(usize::MAX);
        assert_eq!(top.len(), 16);
        for (_, key, estimate) in top {
            assert!((8_000..12_000).contains(&estimate.accesses), "{key:?} {estimate:?}");
        }
    }

    #[test]
    fn what_was_hot_is_forgotten_after_two_windows() {
        let mut hot = sampled(1);
        let listed = |hot: &mut HotKeys, now_ms| hot.view(now_ms).top(9).len();
        access(&mut hot, NOW_MS, 1);
        access(&mut hot, NOW_MS + WINDOW_MS, 2);
        assert_eq!(listed(&mut hot, NOW_MS + WINDOW_MS), 2);
        assert_eq!(hot.view(NOW_MS + WINDOW_MS).began_ms, NOW_MS);
        assert_eq!(listed(&mut hot, NOW_MS + 2 * WINDOW_MS), 1);
        access(&mut hot, NOW_MS + 2 * WINDOW_MS, 3);
        assert_eq!(listed(&mut hot, NOW_MS + 4 * WINDOW_MS), 0);
    }

    #[test]
    fn memory_is_bounded_whatever_the_names() {
        let mut hot = sampled(1);
        for number in 0..10_000u64 {
            let key = [&number.to_be_bytes()[..], &vec![b'x'; (number % 3000) as usize]].concat();
            assert!(hot.draws() && hot.begin(NOW_MS));
            hot.count(0, &key);
        }
        assert_eq!(hot.current.counters.len(), COUNTERS);
        assert!(hot.current.counters.iter().all(|counter| counter.key.len() <= NAME_MAX));
        let view = hot.view(NOW_MS);
        assert!(view.too_long > 5900 && view.accesses == 10_000, "{view:?}");
    }

    /// Of two windows and two reactors, each with other keys that are frequent.
    #[test]
    fn estimates_keep_their_bound_when_windows_and_reactors_are_merged() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut exact = BTreeMap::<u64, u64>::new();
        let mut view = HotView::default();
        for reactor in 0..2 {
            let mut hot = sampled(1);
            for now_ms in [NOW_MS, NOW_MS + WINDOW_MS] {
                for _ in 0..20_000 {
                    // Ranks are shifted from window to window: what is frequent here is rare there.
                    let key = zipf(&mut rng) + 100 * (reactor + now_ms % 7);
                    *exact.entry(key).or_default() += 1;
                    access(&mut hot, now_ms, key);
                }
            }
            view.merge(&hot.view(NOW_MS + WINDOW_MS));
        }
        assert_eq!(view.accesses, 80_000);
        let listed = view.top(usize::MAX);
        for (_, key, estimate) in &listed {
            let times = exact[&u64::from_be_bytes((*key).try_into().unwrap())];
            assert!(
                (estimate.accesses - estimate.error..=estimate.accesses).contains(&times),
                "{estimate:?} {times}"
            );
        }
        let is_listed = |key: u64| listed.iter().any(|(_, listed, _)| **listed == key.to_be_bytes());
        for (&key, &times) in &exact {
            assert!(times <= view.unlisted_max || is_listed(key), "{key} was named {times} times");
        }
    }

    /// A key that each of several reactors has seen as often as its lowest counter, and none lists.
    #[test]
    fn what_is_not_listed_adds_up_over_reactors() {
        let mut view = HotView::default();
        for _ in 0..3 {
            let mut hot = sampled(1);
            (0..COUNTERS as u64).chain(0..COUNTERS as u64).for_each(|key| access(&mut hot, NOW_MS, key));
            assert_eq!(hot.view(NOW_MS).unlisted_max, 2);
            view.merge(&hot.view(NOW_MS));
        }
        assert_eq!(view.unlisted_max, 6);
    }

    #[test]
    fn a_ratio_of_zero_counts_nothing() {
        let mut hot = sampled(1);
        access(&mut hot, NOW_MS, 1);
        hot.configure(0);
        (0..1000).for_each(|_| access(&mut hot, NOW_MS, 1));
        assert!(hot.view(NOW_MS).top(1).is_empty());
    }
}
