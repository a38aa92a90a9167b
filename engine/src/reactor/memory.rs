//! How much memory the server uses, known to every reactor without asking the allocator for a census.
//!
//! jemalloc counts, for each thread, the bytes it has allocated and freed. Each reactor publishes its difference
//! once an iteration, and so do, when they have done something, the threads that free what reactors have allocated, or
//! the other way round. The sum is what the server uses, but for the little that other threads hold.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicI64, Ordering};

use tikv_jemalloc_ctl::thread;

use crate::ids::ReactorId;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Entry(AtomicI64);

/// Threads beside the reactors, through whose hands goes what these allocate or free.
#[derive(Clone, Copy, Debug)]
pub enum Helper {
    Loader,
    Saver,
}

impl Helper {
    const ALL: [Self; 2] = [Self::Loader, Self::Saver];
}

/// Bytes in use by reactor, and by helper; one may be negative, when it frees what another has allocated.
#[derive(Debug)]
pub struct MemoryBook {
    entries: Vec<Entry>,
    helpers: [Entry; Helper::ALL.len()],
    /// What was in use before there were reactors.
    base: AtomicI64,
}

thread_local! {
    static COUNTERS: OnceCell<Option<(thread::ThreadLocal<u64>, thread::ThreadLocal<u64>)>> = const { OnceCell::new() };
}

/// Bytes that the calling thread has allocated, less those it has freed; 0 where the allocator is another.
fn of_this_thread() -> i64 {
    COUNTERS.with(|counters| {
        let counters = counters
            .get_or_init(|| Some((thread::allocatedp::read().ok()?, thread::deallocatedp::read().ok()?)));
        counters.as_ref().map_or(0, |(allocated, freed)| allocated.get().wrapping_sub(freed.get()) as i64)
    })
}

impl MemoryBook {
    pub(super) fn new(reactors: usize) -> Self {
        Self {
            entries: (0..reactors).map(|_| Entry::default()).collect(),
            helpers: Helper::ALL.map(|_| Entry::default()),
            base: AtomicI64::new(of_this_thread()),
        }
    }

    /// Notes what the calling thread, the reactor's, uses.
    #[inline]
    pub(super) fn publish(&self, reactor: ReactorId) {
        self.entries[reactor.index()].0.store(of_this_thread(), Ordering::Relaxed);
    }

    /// Notes what the calling thread, the helper's, uses.
    pub fn publish_helper(&self, helper: Helper) {
        self.helpers[helper as usize].0.store(of_this_thread(), Ordering::Relaxed);
    }

    /// Bytes in use by the server.
    #[inline]
    pub fn total(&self) -> u64 {
        let entries = self.entries.iter().chain(&self.helpers);
        let threads: i64 = entries.map(|entry| entry.0.load(Ordering::Relaxed)).sum();
        (threads + self.base.load(Ordering::Relaxed)).max(0) as u64
    }
}
