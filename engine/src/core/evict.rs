//! `maxmemory`: giving up keys when the server holds more than it may.
//!
//! The figure of bytes used is the whole server's; the driver gives it with every iteration, and it may be some time
//! old. Between two figures a shard goes by what it holds itself. Of the room that a figure leaves below the limit
//! each shard that has keys to give up may take its part, and of an excess each gives up its part: so all of them
//! together neither overshoot nor give up the same bytes twice.
//!
//! Invariants:
//! - With `maxmemory 0` nothing here runs.
//! - What a snapshot under way holds does not count, as in Redis what replicas and the journal's rewrite wait for.
//! - A key under a transaction's locks stays: what the transaction has seen holds until it is done.
//! - A step is bounded by `maxmemory-eviction-tenacity`; the next iteration goes on.
//! - While something waits to be freed the figure says too much, so nothing more is given up, nor any write refused.
//! - A write is refused only over the limit, and when no shard has a key that the policy lets go.

use super::Core;
use crate::observe::Work;
use crate::store::Policy;

/// Keys that one step gives up for each point of `maxmemory-eviction-tenacity`, up to 10 of them. Redis gives itself
/// 50 µs a point; a key takes about 1 µs.
const KEYS_PER_POINT: u32 = 50;
/// Beyond 10 points each makes a step this much longer, as in Redis.
const GROWTH_PER_POINT: f64 = 1.15;
const LINEAR_POINTS: u32 = 10;
const UNBOUNDED_POINTS: u32 = 100;

/// What a shard may hold, by the latest figure.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// The figure and the limit it was made from.
    made_from: (u64, u64),
    /// What the shard held then.
    held_then: usize,
    /// What it may hold until the next figure.
    held_max: usize,
}

impl Core {
    /// Brings the shard within its allowance, or a step closer. Tells by [`super::Env::out_of_memory`] whether writes
    /// that need memory have to be refused.
    #[cold]
    pub(super) fn make_room(&mut self) {
        self.env.out_of_memory = false;
        if self.timers.is_freeing() {
            return;
        }
        self.refresh_allowance();
        if self.shard.rest.evictor.config().policy == Policy::NoEviction {
            self.env.out_of_memory = self.is_over_limit();
            return;
        }
        let exhausted = self.has_too_much() && !self.evict_some();
        self.env.shared.set_exhausted(self.id, exhausted);
        self.env.out_of_memory = exhausted && self.is_over_limit() && self.env.shared.all_exhausted();
    }

    fn has_too_much(&self) -> bool {
        self.shard.keyspace.memory() > self.allowance.held_max
    }

    fn is_over_limit(&self) -> bool {
        let held_then = self.allowance.held_then as u64;
        let grown = (self.counted() + self.shard.keyspace.memory() as u64).saturating_sub(held_then);
        grown > self.env.config.maxmemory
    }

    /// Bytes that `maxmemory` bounds. What a snapshot holds would come back by giving up keys only as more of it.
    fn counted(&self) -> u64 {
        self.env.memory_used.saturating_sub(self.env.memory_uncounted)
    }

    fn refresh_allowance(&mut self) {
        let (used, limit) = (self.counted(), self.env.config.maxmemory);
        if self.allowance.made_from == (used, limit) {
            return;
        }
        let held = self.shard.keyspace.memory();
        let parts = self.env.shared.able_to_evict().max(1) as u64;
        let held_max = if used <= limit {
            held as u64 + (limit - used) / parts
        } else {
            (held as u64).saturating_sub((used - limit).div_ceil(parts))
        };
        self.allowance = Allowance { made_from: (used, limit), held_then: held, held_max: held_max as usize };
    }

    /// Gives up keys until the shard is within its allowance or the step is over. False if it has none to give.
    fn evict_some(&mut self) -> bool {
        let now_ms = self.env.now.unix_ms();
        let start = self.env.stopwatch.read();
        let mut left = step_len(self.env.config.maxmemory_eviction_tenacity);
        let mut found = true;
        while found && left > 0 && self.has_too_much() {
            found = self.shard.evict_one(now_ms, |key| self.schedule.is_locked(key));
            left -= 1;
        }
        self.free_some();
        self.note_work(Work::EvictionCycle, start);
        found
    }
}

fn step_len(tenacity: i32) -> u32 {
    let points = u32::try_from(tenacity).unwrap_or(0);
    match points {
        0..=LINEAR_POINTS => (KEYS_PER_POINT * points).max(1),
        UNBOUNDED_POINTS.. => u32::MAX,
        _ => {
            let growth = GROWTH_PER_POINT.powi((points - LINEAR_POINTS) as i32);
            (f64::from(KEYS_PER_POINT * LINEAR_POINTS) * growth) as u32
        }
    }
}
