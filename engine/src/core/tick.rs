//! What a core does from time to time: expiry (of keys that no transaction has locked), freeing, idle clients, the end of a pause. Each in bounded steps, so
//! that replies wait for none of it.

use std::collections::BTreeSet;

use super::Core;
use crate::ids::ConnId;
use crate::observe::Work;

/// Allocations freed in one iteration of what was cleared or replaced: about 20 µs.
const FREE_BUDGET: usize = 256;

/// Segments and keys that one step of the active expiry looks at, and what each level of `active-expire-effort`
/// above the first adds.
const EXPIRE_BUDGET: usize = 1024;
const EXPIRE_BUDGET_PER_EFFORT: usize = 256;
/// How long the step after one that was cut short waits, so that expiry never has more than a part of the core.
const EXPIRE_PAUSE_US: u64 = 1000;

const NEVER: u64 = u64::MAX;

/// When the core next has something to do of its own, in microseconds of the monotonic clock.
#[derive(Debug)]
pub(super) struct Timers {
    pub(super) tick_us: u64,
    /// An expiry pass goes on that was cut short.
    expire_us: u64,
    /// Something waits to be freed.
    free_us: u64,
    /// The database at which the expiry pass goes on.
    expire_db: usize,
    /// When the waits of blocking commands are over.
    waits: BTreeSet<(u64, u64)>,
}

impl Default for Timers {
    fn default() -> Self {
        Self { tick_us: 0, expire_us: NEVER, free_us: NEVER, expire_db: 0, waits: BTreeSet::new() }
    }
}

impl Timers {
    pub(super) fn next_us(&self) -> u64 {
        let wait_us = self.waits.first().map_or(NEVER, |&(at, _)| at);
        self.tick_us.min(self.expire_us).min(self.free_us).min(wait_us)
    }

    pub(super) fn wait_until(&mut self, at_us: u64, conn: ConnId) {
        self.waits.insert((at_us, conn.to_bits()));
    }

    pub(super) fn forget_wait(&mut self, at_us: u64, conn: ConnId) {
        self.waits.remove(&(at_us, conn.to_bits()));
    }

    /// The connections whose waits are over.
    pub(super) fn take_due_waits(&mut self, now_us: u64) -> Vec<ConnId> {
        let later = self.waits.split_off(&(now_us + 1, 0));
        let due = std::mem::replace(&mut self.waits, later);
        due.into_iter().map(|(_, conn)| ConnId::from_bits(conn)).collect()
    }

    pub(super) fn is_freeing(&self) -> bool {
        self.free_us != NEVER
    }
}

impl Core {
    /// Does what is due.
    #[cold]
    pub(super) fn run_timers(&mut self) {
        let now_us = self.env.now.mono_us;
        if now_us >= self.timers.tick_us {
            self.tick();
        } else if now_us >= self.timers.expire_us {
            self.expire_some();
        }
        if now_us >= self.timers.free_us {
            self.free_some();
        }
        self.end_due_waits();
        self.settle_ready();
    }

    fn tick(&mut self) {
        let period_us = 1_000_000 / u64::from(self.env.config.hz.per_second());
        self.timers.tick_us = self.env.now.mono_us + period_us;
        self.observed.tick(self.env.now.mono_us, self.env.memory_used);
        self.look_at_saves();
        self.close_idle();
        self.end_pause();
        self.expire_some();
        self.free_some();
    }

    /// One step of the active expiry. Every database gets its turn; a pass that was cut short goes on soon.
    fn expire_some(&mut self) {
        self.timers.expire_us = NEVER;
        if !self.shard.rest.active_expire || self.env.is_loading {
            return;
        }
        let start = self.env.stopwatch.read();
        self.expire_within_budget();
        self.note_work(Work::ExpireCycle, start);
    }

    fn expire_within_budget(&mut self) {
        let effort = usize::try_from(self.env.config.active_expire_effort).unwrap_or(1);
        let budget = EXPIRE_BUDGET + EXPIRE_BUDGET_PER_EFFORT * (effort - 1);
        let databases = self.shard.keyspace.databases();
        for _ in 0..databases {
            let db = self.timers.expire_db;
            let in_use = |key: &[u8]| self.schedule.is_locked(key);
            if self.shard.expire_step(db, self.env.now.unix_ms(), budget, in_use) {
                self.timers.expire_us = self.env.now.mono_us + EXPIRE_PAUSE_US;
                return;
            }
            self.timers.expire_db = (db + 1) % databases;
        }
    }

    /// Frees some of what was cleared, replaced or removed; goes on in the next iteration if there is more.
    pub(super) fn free_some(&mut self) {
        let left = [&mut self.shard.keyspace, &mut self.workspace].map(|keys| keys.free_step(FREE_BUDGET));
        self.timers.free_us = if left.contains(&true) { self.env.now.mono_us } else { NEVER };
    }

    /// Empties one database of this shard, or all.
    pub(crate) fn flush(&mut self, db: Option<usize>) {
        self.shard.flush(db);
        self.timers.free_us = self.env.now.mono_us;
    }
}
