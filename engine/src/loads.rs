//! What is known of the loading of data, while it goes on and afterwards. The loader says it; INFO tells it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::extent::Extent;
use crate::ids::Stamp;

#[derive(Debug)]
pub struct Loads {
    began_ms: AtomicU64,
    bytes: AtomicU64,
    done: AtomicU64,
    snapshot_keys: AtomicU64,
    failed: AtomicU64,
    first_failed: AtomicU64,
}

impl Default for Loads {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            began_ms: zero(),
            bytes: zero(),
            done: zero(),
            snapshot_keys: zero(),
            failed: zero(),
            first_failed: AtomicU64::new(u64::MAX),
        }
    }
}

impl Loads {
    /// A command of the batch with this stamp has failed. Returns how many have.
    pub fn note_failed(&self, stamp: Stamp) -> u64 {
        self.first_failed.fetch_min(stamp.0, Ordering::Relaxed);
        self.failed.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many commands of the journal have failed, and the stamp of the first one's batch.
    pub fn failed(&self) -> Option<(u64, Stamp)> {
        let failed = self.failed.load(Ordering::Relaxed);
        (failed > 0).then(|| (failed, Stamp(self.first_failed.load(Ordering::Relaxed))))
    }

    /// Loading begins, at this time in Unix milliseconds.
    pub fn begin(&self, now_ms: u64) {
        self.began_ms.store(now_ms, Ordering::Relaxed);
    }

    /// How much is to be read and has been, in bytes of the snapshot and the journal.
    pub fn note(&self, extent: Extent) {
        self.bytes.store(extent.total, Ordering::Relaxed);
        self.done.store(extent.done, Ordering::Relaxed);
    }

    /// Keys of the snapshot that have been given to their shards.
    pub fn note_snapshot_keys(&self, keys: u64) {
        self.snapshot_keys.store(keys, Ordering::Relaxed);
    }

    /// Unix milliseconds.
    pub fn began_ms(&self) -> u64 {
        self.began_ms.load(Ordering::Relaxed)
    }

    pub fn extent(&self) -> Extent {
        Extent { done: self.done.load(Ordering::Relaxed), total: self.bytes.load(Ordering::Relaxed) }
    }

    pub fn snapshot_keys(&self) -> u64 {
        self.snapshot_keys.load(Ordering::Relaxed)
    }
}
