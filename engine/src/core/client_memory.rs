//! `maxmemory-clients`: what the buffers of all clients may take together, and who is cut off when they take more.
//!
//! It is whoever takes the most, wherever it is served, and then the next, until the rest is within the limit. Each
//! reactor tells the others what its clients take, and what the largest of them does; the one that has the largest of
//! all cuts it off. A client that is to be spared (CLIENT NO-EVICT) counts and stays, as do monitors.
//!
//! What is told is as old as its reactor's last iteration, and no reactor sleeps for longer than a tick.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Core, Shared};
use crate::config::{Config, MemoryOrPercent};
use crate::conn::Closing;
use crate::ids::ReactorId;

/// No limit is lower, as in Redis: so much a few clients take that do nothing.
const LIMIT_MIN: u64 = 128 << 10;
/// Clients cut off in one iteration.
const EVICTIONS_MAX: usize = 64;

/// What the clients of one reactor take. For the others to read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Claim {
    bytes: AtomicUsize,
    /// Of the largest that may be cut off, or more: it may have become smaller since.
    largest: AtomicUsize,
}

/// Whether there is a limit, so that memory has to be counted.
pub(super) fn is_limited(config: &Config) -> bool {
    config.maxmemory_clients != MemoryOrPercent::Bytes(0)
}

impl Shared {
    fn claimed(&self) -> u64 {
        self.claims.iter().map(|claim| claim.bytes.load(Ordering::Relaxed) as u64).sum()
    }

    /// Whether another reactor has a client that goes before one of so many bytes; of equal ones the first does.
    fn has_larger(&self, than: usize, on: ReactorId) -> bool {
        self.claims.iter().enumerate().any(|(index, claim)| {
            let largest = claim.largest.load(Ordering::Relaxed);
            index != on.index() && (largest > than || (largest == than && index < on.index()))
        })
    }
}

impl Core {
    /// Tells the other reactors.
    pub(super) fn claim_client_memory(&self) {
        let claim = &self.env.shared.claims[self.id.index()];
        claim.bytes.store(self.conns.memory(), Ordering::Relaxed);
        claim.largest.store(self.conns.largest(), Ordering::Relaxed);
    }

    /// Cuts off whom it has to be, if it is one of this reactor's.
    pub(super) fn bound_client_memory(&mut self) {
        let config = &self.env.config;
        let limit = config.maxmemory_clients.resolve(config.maxmemory);
        if limit > 0 && self.env.shared.claimed() > limit.max(LIMIT_MIN) {
            self.evict_clients(limit.max(LIMIT_MIN));
        }
    }

    #[cold]
    fn evict_clients(&mut self, limit: u64) {
        let mut candidates = self.conns.by_memory();
        for _ in 0..EVICTIONS_MAX {
            let largest = candidates.last().map_or(0, |&(bytes, _)| bytes);
            self.conns.set_largest(largest);
            self.claim_client_memory();
            let shared = &self.env.shared;
            if largest == 0 || shared.claimed() <= limit || shared.has_larger(largest, self.id) {
                return;
            }
            let Some((bytes, id)) = candidates.pop() else { return };
            let client = self.conns.find(id).map_or(0, |conn| conn.client_id);
            tracing::warn!(
                client,
                bytes,
                limit,
                "clients take more than maxmemory-clients: the largest is closed"
            );
            self.observed.counts.evicted_clients += 1;
            self.close_client(id, Closing::Now);
        }
    }
}
