//! Eviction: which key to give up when memory is short.
//!
//! Owns: the policies by Redis's names, the 24-bit access clock of an entry and what it means under each, and
//! the pool of candidates.
//!
//! ```text
//!  access clock    23                  8 7        0
//!  LRU            │ Unix seconds                   │   wraps after 194 days
//!  LFU            │ Unix minutes       │ counter  │   wraps after 45 days
//! ```
//!
//! As in Redis a few keys of every database are sampled and the best of them kept in a pool of 16 from one
//! eviction to the next; the best of the pool goes. Frequencies are Morris counters: the higher, the rarer an
//! access counts (`lfu-log-factor`), and minutes without access take away (`lfu-decay-time`).
//!
//! Source: Redis's documentation of maxmemory-policy and of the LFU parameters; Morris, "Counting large numbers
//! of events in small registers", CACM 1978.

use std::mem;

use fastrand::Rng;

use super::block::ACCESS_MAX;
use super::entry::Entry;
use super::keyspace::Keyspace;
use super::sample::Pool;

const POOL_LEN: usize = 16;
/// The counter of a new key: low, but not the first to go.
const LFU_BIRTH: u8 = 5;
const COUNTER_BITS: u32 = 8;
const MINUTES_MASK: u32 = ACCESS_MAX >> COUNTER_BITS;

/// maxmemory-policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    #[default]
    NoEviction,
    AllKeysLru,
    AllKeysLfu,
    AllKeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
}

impl Policy {
    pub const ALL: [Self; 8] = [
        Self::NoEviction,
        Self::AllKeysLru,
        Self::AllKeysLfu,
        Self::AllKeysRandom,
        Self::VolatileLru,
        Self::VolatileLfu,
        Self::VolatileRandom,
        Self::VolatileTtl,
    ];

    /// Redis's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoEviction => "noeviction",
            Self::AllKeysLru => "allkeys-lru",
            Self::AllKeysLfu => "allkeys-lfu",
            Self::AllKeysRandom => "allkeys-random",
            Self::VolatileLru => "volatile-lru",
            Self::VolatileLfu => "volatile-lfu",
            Self::VolatileRandom => "volatile-random",
            Self::VolatileTtl => "volatile-ttl",
        }
    }

    /// The policy with Redis's name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(name))
    }

    /// Whether access clocks are frequencies. OBJECT FREQ answers only then, OBJECT IDLETIME only if not.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::AllKeysLfu | Self::VolatileLfu)
    }

    fn is_random(self) -> bool {
        matches!(self, Self::AllKeysRandom | Self::VolatileRandom)
    }

    fn pool(self) -> Pool {
        match self {
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl => {
                Pool::Volatile
            }
            _ => Pool::All,
        }
    }
}

/// The directives that eviction and access clocks follow.
#[derive(Clone, Copy, Debug)]
pub struct EvictConfig {
    pub policy: Policy,
    /// maxmemory-samples.
    pub samples: usize,
    /// lfu-log-factor.
    pub lfu_log_factor: u32,
    /// lfu-decay-time, in minutes; 0 never decays.
    pub lfu_decay_time: u32,
}

impl Default for EvictConfig {
    fn default() -> Self {
        Self { policy: Policy::NoEviction, samples: 5, lfu_log_factor: 10, lfu_decay_time: 1 }
    }
}

/// Access clocks.
impl EvictConfig {
    /// The clock of a key that is created now.
    pub fn access_at_birth(&self, now_ms: u64) -> u32 {
        if self.policy.is_lfu() {
            minutes(now_ms) << COUNTER_BITS | u32::from(LFU_BIRTH)
        } else {
            seconds(now_ms)
        }
    }

    /// Books an access.
    #[inline]
    pub fn touch(&self, entry: &Entry, now_ms: u64, rng: &mut Rng) {
        let access = if self.policy.is_lfu() {
            let counter = self.increment(self.frequency(entry, now_ms), rng);
            minutes(now_ms) << COUNTER_BITS | u32::from(counter)
        } else {
            seconds(now_ms)
        };
        // Most accesses come within the clock's resolution, and need not dirty the line.
        if entry.access() != access {
            entry.set_access(access);
        }
    }

    /// The clock that makes [`EvictConfig::idle_time_secs`] say `idle_secs`: RESTORE's IDLETIME.
    pub fn access_for_idle_time(&self, idle_secs: u64, now_ms: u64) -> u32 {
        seconds(now_ms).wrapping_sub((idle_secs as u32).min(ACCESS_MAX)) & ACCESS_MAX
    }

    /// The clock that makes [`EvictConfig::frequency`] say `frequency`: RESTORE's FREQ.
    pub fn access_for_frequency(&self, frequency: u8, now_ms: u64) -> u32 {
        minutes(now_ms) << COUNTER_BITS | u32::from(frequency)
    }

    /// OBJECT IDLETIME: seconds since the last access, if clocks are not frequencies.
    pub fn idle_time_secs(&self, entry: &Entry, now_ms: u64) -> u64 {
        u64::from(seconds(now_ms).wrapping_sub(entry.access()) & ACCESS_MAX)
    }

    /// OBJECT FREQ: the counter as it has decayed by now, if clocks are frequencies.
    pub fn frequency(&self, entry: &Entry, now_ms: u64) -> u8 {
        let access = entry.access();
        let elapsed = minutes(now_ms).wrapping_sub(access >> COUNTER_BITS) & MINUTES_MASK;
        let periods = elapsed.checked_div(self.lfu_decay_time).unwrap_or(0);
        (access as u8).saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// Counts an access, the more rarely the higher the counter is.
    fn increment(&self, counter: u8, rng: &mut Rng) -> u8 {
        let above_birth = u64::from(counter.saturating_sub(LFU_BIRTH));
        let one_in = above_birth * u64::from(self.lfu_log_factor) + 1;
        counter.saturating_add(u8::from(rng.u64(0..one_in) == 0))
    }

    /// How good a candidate an entry is: the higher, the sooner it goes.
    fn score(&self, entry: &Entry, now_ms: u64) -> u64 {
        if self.policy == Policy::VolatileTtl {
            u64::MAX - entry.expiry().unwrap_or(u64::MAX)
        } else if self.policy.is_lfu() {
            u64::from(u8::MAX - self.frequency(entry, now_ms))
        } else {
            self.idle_time_secs(entry, now_ms)
        }
    }
}

fn seconds(now_ms: u64) -> u32 {
    (now_ms / 1000) as u32 & ACCESS_MAX
}

fn minutes(now_ms: u64) -> u32 {
    (now_ms / 60_000) as u32 & MINUTES_MASK
}

#[derive(Debug)]
struct Candidate {
    score: u64,
    db: usize,
    key: Vec<u8>,
}

/// Chooses what to evict; keeps the pool of candidates.
#[derive(Debug, Default)]
pub struct Evictor {
    config: EvictConfig,
    /// Ascending by score.
    candidates: Vec<Candidate>,
}

/// Keys that are drawn at random before it is taken that all are in use.
const DRAWS: usize = 16;

impl Evictor {
    pub fn new(config: EvictConfig) -> Self {
        Self { config, candidates: Vec::with_capacity(POOL_LEN + 1) }
    }

    pub fn config(&self) -> &EvictConfig {
        &self.config
    }

    /// CONFIG SET: what was judged by another policy is forgotten.
    pub fn set_config(&mut self, config: EvictConfig) {
        self.config = config;
        self.candidates.clear();
    }

    /// Removes the key to give up next, with the number of its database; not one that is `in_use`. `None` under
    /// `noeviction`, or if no key may be evicted.
    pub fn next_victim(
        &mut self,
        keyspace: &mut Keyspace,
        now_ms: u64,
        in_use: impl Fn(&[u8]) -> bool,
        rng: &mut Rng,
    ) -> Option<(usize, Entry)> {
        if self.config.policy == Policy::NoEviction {
            return None;
        }
        if self.config.policy.is_random() {
            return self.random_victim(keyspace, &in_use, rng);
        }
        loop {
            self.sample(keyspace, now_ms, &in_use, rng);
            if self.candidates.is_empty() {
                return None;
            }
            while let Some(best) = self.candidates.pop() {
                // It may have been free when it was sampled.
                if !in_use(&best.key)
                    && let Some(entry) = self.take(keyspace, &best, now_ms)
                {
                    return Some((best.db, entry));
                }
            }
        }
    }

    fn random_victim(
        &self,
        keyspace: &mut Keyspace,
        in_use: &impl Fn(&[u8]) -> bool,
        rng: &mut Rng,
    ) -> Option<(usize, Entry)> {
        let pool = self.config.policy.pool();
        let total: usize = keyspace.iter().map(|db| db.pool_len(pool)).sum();
        let mut nth = if total == 0 { return None } else { rng.usize(0..total) };
        let (index, db) = keyspace.iter_mut().enumerate().find(|(_, db)| {
            let len = db.pool_len(pool);
            let found = nth < len;
            nth = nth.saturating_sub(len);
            found
        })?;
        let mut draws = std::iter::repeat_with(|| db.random(pool, rng)).take(DRAWS).flatten();
        let key = draws.find(|entry| !in_use(entry.key()))?.key().to_vec();
        Some((index, db.remove(&key)?))
    }

    /// Lets a few keys of every database try for the pool.
    fn sample(&mut self, keyspace: &Keyspace, now_ms: u64, in_use: &impl Fn(&[u8]) -> bool, rng: &mut Rng) {
        let pool = self.config.policy.pool();
        for (index, db) in keyspace.iter().enumerate() {
            let free =
                db.neighbours(pool, rng).take(self.config.samples).filter(|entry| !in_use(entry.key()));
            for entry in free {
                self.consider(self.config.score(entry, now_ms), index, entry.key());
            }
        }
    }

    fn consider(&mut self, score: u64, db: usize, key: &[u8]) {
        let full = self.candidates.len() == POOL_LEN;
        if full && self.candidates.first().is_some_and(|worst| score <= worst.score) {
            return;
        }
        if self.candidates.iter().any(|known| known.db == db && known.key == key) {
            return;
        }
        // The place of the one that leaves serves the one that comes, its allocation included.
        let mut candidate = if full { self.candidates.remove(0) } else { Candidate::empty() };
        candidate.fill(score, db, key);
        let at = self.candidates.partition_point(|known| known.score < score);
        self.candidates.insert(at, candidate);
    }

    /// Removes a candidate's key, if it is still there, still in question and not used since it was judged.
    fn take(&self, keyspace: &mut Keyspace, candidate: &Candidate, now_ms: u64) -> Option<Entry> {
        let db = keyspace.db_mut(candidate.db);
        let entry = db.find(&candidate.key)?;
        let persists = self.config.policy.pool() == Pool::Volatile && !entry.is_volatile();
        if persists || self.config.score(entry, now_ms) < candidate.score {
            return None;
        }
        db.remove(&candidate.key)
    }
}

impl Candidate {
    fn empty() -> Self {
        Self { score: 0, db: 0, key: Vec::new() }
    }

    fn fill(&mut self, score: u64, db: usize, key: &[u8]) {
        let mut buffer = mem::take(&mut self.key);
        buffer.clear();
        buffer.extend_from_slice(key);
        *self = Self { score, db, key: buffer };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Expiry;

    const START_MS: u64 = 1_800_000_000_000;

    fn evictor(policy: Policy) -> Evictor {
        Evictor::new(EvictConfig { policy, ..EvictConfig::default() })
    }

    /// Keys 0..1000, those below 200 in use all the time; half of the keys are evicted. How many of the 200 stay?
    fn hot_keys_kept(policy: Policy) -> usize {
        let mut keyspace = Keyspace::new(2, 3);
        let mut evictor = evictor(policy);
        let mut rng = Rng::with_seed(9);
        let key = |i: u32| i.to_be_bytes();
        keyspace.set_access_at_birth(evictor.config().access_at_birth(START_MS));
        for i in 0..1000 {
            keyspace.db_mut(1).set_string(&key(i), b"value", Expiry::At(u64::MAX));
        }
        let mut now_ms = START_MS;
        for _ in 0..20_000 {
            now_ms += 50;
            let i = if rng.u32(0..10) > 0 { rng.u32(0..200) } else { rng.u32(200..1000) };
            evictor.config().touch(keyspace.db(1).find(&key(i)).expect("it is there"), now_ms, &mut rng);
        }
        for _ in 0..500 {
            let (db, entry) =
                evictor.next_victim(&mut keyspace, now_ms, |_| false, &mut rng).expect("keys are left");
            assert_eq!((db, entry.type_of()), (1, crate::store::Type::String));
        }
        assert_eq!(keyspace.len(), 500);
        (0..200).filter(|&i| keyspace.db(1).find(&key(i)).is_some()).count()
    }

    #[test]
    fn lru_and_lfu_keep_what_is_used_and_random_does_not() {
        for policy in [Policy::AllKeysLru, Policy::VolatileLru, Policy::AllKeysLfu, Policy::VolatileLfu] {
            let kept = hot_keys_kept(policy);
            assert!(kept > 185, "{} kept {kept}", policy.name());
        }
        for policy in [Policy::AllKeysRandom, Policy::VolatileRandom] {
            let kept = hot_keys_kept(policy);
            assert!((70..130).contains(&kept), "{} kept {kept}", policy.name());
        }
    }

    #[test]
    fn ttl_takes_the_nearest_deadlines() {
        let mut keyspace = Keyspace::new(1, 3);
        (0..1000u64)
            .for_each(|i| drop(keyspace.db_mut(0).insert(Entry::integer(&i.to_be_bytes(), 0, Some(i)))));
        let (mut evictor, mut rng) = (evictor(Policy::VolatileTtl), Rng::with_seed(9));
        let deadlines: Vec<u64> = (0..300)
            .filter_map(|_| evictor.next_victim(&mut keyspace, 0, |_| false, &mut rng)?.1.expiry())
            .collect();
        assert_eq!(deadlines.len(), 300);
        let mean = deadlines.iter().sum::<u64>() / 300;
        assert!(mean < 220, "at random it would be 500: {mean}");
    }

    #[test]
    fn volatile_policies_leave_persistent_keys_alone() {
        for policy in [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom, Policy::VolatileTtl]
        {
            let mut keyspace = Keyspace::new(3, 3);
            for i in 0..300u32 {
                keyspace.db_mut(0).set_string(&i.to_be_bytes(), b"value", Expiry::None);
                keyspace.db_mut(2).set_string(&i.to_be_bytes(), b"value", Expiry::At(u64::from(i)));
            }
            keyspace.db_mut(2).set_expiry(&7u32.to_be_bytes(), None);
            let (mut evictor, mut rng) = (evictor(policy), Rng::with_seed(9));
            let mut evicted = 0;
            while let Some((db, entry)) = evictor.next_victim(&mut keyspace, START_MS, |_| false, &mut rng) {
                assert!(db == 2 && entry.is_volatile());
                evicted += 1;
            }
            assert_eq!((evicted, keyspace.len()), (299, 301), "{}", policy.name());
        }
    }

    #[test]
    fn noeviction_evicts_nothing() {
        let mut keyspace = Keyspace::new(1, 3);
        keyspace.db_mut(0).set_string(b"key", b"value", Expiry::At(1));
        assert!(
            evictor(Policy::NoEviction)
                .next_victim(&mut keyspace, 0, |_| false, &mut Rng::with_seed(1))
                .is_none()
        );
    }

    #[test]
    fn a_candidate_used_since_is_spared() {
        let mut keyspace = Keyspace::new(1, 3);
        let (mut evictor, mut rng) = (evictor(Policy::AllKeysLru), Rng::with_seed(9));
        keyspace.set_access_at_birth(evictor.config().access_at_birth(START_MS));
        for i in 0..8u8 {
            keyspace.db_mut(0).set_string(&[i], b"value", Expiry::None);
        }
        let now_ms = START_MS + 60_000;
        evictor.sample(&keyspace, now_ms, &|_: &[u8]| false, &mut rng);
        let spared: Vec<Vec<u8>> = evictor.candidates.iter().map(|candidate| candidate.key.clone()).collect();
        for key in &spared {
            evictor.config().touch(keyspace.db(0).find(key).expect("sampled"), now_ms, &mut rng);
        }
        for _ in 0..8 - spared.len() {
            let (_, entry) =
                evictor.next_victim(&mut keyspace, now_ms, |_| false, &mut rng).expect("keys are left");
            assert!(!spared.iter().any(|key| key == entry.key()));
        }
    }

    #[test]
    fn clocks_wrap_and_counters_decay() {
        let entry = Entry::string(b"key", b"value", None);
        let lru = EvictConfig { policy: Policy::AllKeysLru, ..EvictConfig::default() };
        let wrap_ms = (u64::from(ACCESS_MAX) + 1) * 1000;
        entry.set_access(lru.access_at_birth(wrap_ms - 3000));
        assert_eq!(lru.idle_time_secs(&entry, wrap_ms + 4000), 7);
        entry.set_access(lru.access_for_idle_time(90, wrap_ms + 4000));
        assert_eq!(lru.idle_time_secs(&entry, wrap_ms + 4000), 90);

        let lfu = EvictConfig { policy: Policy::AllKeysLfu, lfu_decay_time: 2, ..EvictConfig::default() };
        let wrap_ms = (u64::from(MINUTES_MASK) + 1) * 60_000;
        entry.set_access(lfu.access_for_frequency(100, wrap_ms - 60_000));
        assert_eq!(lfu.frequency(&entry, wrap_ms + 60_000 * 9), 95);
        assert_eq!(lfu.frequency(&entry, wrap_ms + 60_000 * 900), 0);
        let never = EvictConfig { lfu_decay_time: 0, ..lfu };
        assert_eq!(never.frequency(&entry, wrap_ms + 60_000 * 900), 100);
    }

    #[test]
    fn frequencies_grow_as_the_log_factor_says() {
        // The table in Redis's documentation: hits, and the counter for log factors 0, 1 and 10.
        let counter_after = |hits: u32, lfu_log_factor: u32| {
            let config = EvictConfig { policy: Policy::AllKeysLfu, lfu_log_factor, ..EvictConfig::default() };
            let (entry, mut rng) = (Entry::string(b"key", b"value", None), Rng::with_seed(2));
            entry.set_access(config.access_at_birth(START_MS));
            (0..hits).for_each(|_| config.touch(&entry, START_MS, &mut rng));
            config.frequency(&entry, START_MS)
        };
        assert_eq!(counter_after(100, 0), 104 + 1);
        assert_eq!(counter_after(1000, 0), 255);
        assert!((40..58).contains(&counter_after(1000, 1)));
        assert!((8..13).contains(&counter_after(100, 10)));
        assert!((120..165).contains(&counter_after(100_000, 10)));
    }
}
