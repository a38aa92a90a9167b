//! What surrounds a core: the time it is told, the configuration, and the few facts all reactors share.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::client_memory::Claim;
use crate::config::Config;
use crate::ids::{ReactorId, Stamp, TxId};
use crate::loads::Loads;
use crate::saves::Saves;
use crate::scopes::Scopes;

/// The time, as the driver tells it at the start of an iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub unix_us: u64,
    pub mono_us: u64,
}

impl Now {
    #[inline]
    pub const fn unix_ms(self) -> u64 {
        self.unix_us / 1000
    }
}

/// Measures how long a command ran. Real time in production, none in a simulation.
#[derive(Debug)]
pub enum Stopwatch {
    /// The processor's time stamp counter where there is one: about 10 ns a reading.
    Real(quanta::Clock),
    Virtual(Cell<u64>),
}

impl Stopwatch {
    #[inline]
    pub fn read(&self) -> u64 {
        match self {
            Self::Real(clock) => clock.raw(),
            Self::Virtual(ns) => ns.get(),
        }
    }

    #[inline]
    pub fn nanos(&self, start: u64, end: u64) -> u64 {
        match self {
            Self::Real(clock) => clock.delta_as_nanos(start, end),
            Self::Virtual(_) => end.saturating_sub(start),
        }
    }
}

/// Facts shared by all reactors of one server. Counters and the configuration's latest version; nothing here is
/// locked on the data path.
#[derive(Debug)]
pub struct Shared {
    reactors: usize,
    last_tx: AtomicU64,
    last_stamp: AtomicU64,
    last_client: AtomicU64,
    next_slow_entry: AtomicU64,
    clients: Vec<AtomicUsize>,
    pub(super) claims: Vec<Claim>,
    /// Whether a reactor's shard has too much and no key to give up; see [`Shared::all_exhausted`].
    exhausted: Vec<AtomicBool>,
    /// The newest configuration; each reactor has its own reference and is told of a new one by an errand. The
    /// mutex is for CONFIG SET, which reads, changes and replaces.
    config: Mutex<Arc<Config>>,
    /// The newest scopes, which reactors get to know in the same way.
    scopes: Mutex<Arc<Scopes>>,
    /// Snapshots: under way, made, due.
    pub saves: Saves,
    /// How far the loading of data is.
    pub loads: Loads,
    pub about: About,
}

/// What does not change while the server runs.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub run_id: String,
    pub pid: u32,
    pub started_unix_ms: u64,
    pub executable: String,
    pub config_file: String,
    pub os: String,
    /// TCP port served; 0: none.
    pub port: u16,
    /// Who is told how the server is.
    pub supervisor: &'static str,
    /// Seed of every hash and of every core's random numbers.
    pub seed: u64,
}

impl Shared {
    pub fn new(reactors: usize, config: Arc<Config>, about: About) -> Self {
        let saves = Saves::new(reactors, about.started_unix_ms);
        saves.set_journalled(config.appendonly);
        Self {
            reactors,
            last_tx: AtomicU64::new(0),
            last_stamp: AtomicU64::new(0),
            last_client: AtomicU64::new(0),
            next_slow_entry: AtomicU64::new(0),
            clients: (0..reactors).map(|_| AtomicUsize::new(0)).collect(),
            claims: (0..reactors).map(|_| Claim::default()).collect(),
            exhausted: (0..reactors).map(|_| AtomicBool::new(false)).collect(),
            config: Mutex::new(config),
            scopes: Mutex::default(),
            saves,
            loads: Loads::default(),
            about,
        }
    }

    pub fn reactors(&self) -> usize {
        self.reactors
    }

    pub fn next_tx(&self) -> TxId {
        TxId(self.last_tx.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The stamp of the next batch of the journal. Stamps are dense: whoever takes one has a batch for it.
    pub fn next_stamp(&self) -> Stamp {
        Stamp(self.last_stamp.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub fn last_stamp(&self) -> Stamp {
        Stamp(self.last_stamp.load(Ordering::Relaxed))
    }

    /// The journal goes on behind this one.
    pub fn set_last_stamp(&self, stamp: Stamp) {
        self.last_stamp.store(stamp.0, Ordering::Relaxed);
    }

    pub fn next_client(&self) -> u64 {
        self.last_client.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Ids of the slow log are in order of time over all reactors.
    pub fn next_slow_entry(&self) -> u64 {
        self.next_slow_entry.fetch_add(1, Ordering::Relaxed)
    }

    pub fn client_came(&self, reactor: ReactorId) {
        self.clients[reactor.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub fn client_went(&self, reactor: ReactorId) {
        self.clients[reactor.index()].fetch_sub(1, Ordering::Relaxed);
    }

    pub fn clients(&self) -> usize {
        self.clients.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Where a new connection is best served: on the reactor that accepted it, unless another has fewer.
    pub fn least_busy(&self, accepted_by: ReactorId) -> ReactorId {
        let load = |reactor: usize| self.clients[reactor].load(Ordering::Relaxed);
        let best = (0..self.reactors).min_by_key(|&reactor| load(reactor)).unwrap_or(0);
        if load(best) < load(accepted_by.index()) { ReactorId::from_index(best) } else { accepted_by }
    }

    /// Says whether a shard holds more than it may and has no key that may be evicted.
    pub fn set_exhausted(&self, reactor: ReactorId, exhausted: bool) {
        let flag = &self.exhausted[reactor.index()];
        // Read first: the line stays shared while nothing changes.
        if flag.load(Ordering::Relaxed) != exhausted {
            flag.store(exhausted, Ordering::Relaxed);
        }
    }

    /// No shard can make room.
    pub fn all_exhausted(&self) -> bool {
        self.able_to_evict() == 0
    }

    /// How many shards can make room.
    pub fn able_to_evict(&self) -> usize {
        self.exhausted.iter().filter(|flag| !flag.load(Ordering::Relaxed)).count()
    }

    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn scopes(&self) -> Arc<Scopes> {
        Arc::clone(&self.scopes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What reactors take over when they are made, or told to.
    pub fn set_scopes(&self, scopes: Arc<Scopes>) {
        *self.scopes.lock().unwrap_or_else(PoisonError::into_inner) = scopes;
    }

    /// Replaces the configuration by what `change` makes of it.
    pub fn change_config<T, E>(
        &self,
        change: impl FnOnce(&Config) -> Result<(Config, T), E>,
    ) -> Result<(Arc<Config>, T), E> {
        let mut current = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let (config, more) = change(&current)?;
        *current = Arc::new(config);
        Ok((Arc::clone(&current), more))
    }
}
