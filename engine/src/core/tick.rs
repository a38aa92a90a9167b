//! What a core does from time to time: expiry, eviction, freeing, idle clients, the end of a pause.

use super::Core;
use crate::conn::Hold;

/// Allocations freed in one iteration of what was cleared or replaced.
const FREE_BUDGET: usize = 256;

impl Core {
    pub(super) fn tick(&mut self) {
        let period_us = 1_000_000 / u64::from(self.env.config.hz.per_second());
        self.next_tick_us = self.env.now.mono_us + period_us;
        self.close_idle();
        self.end_pause();
        if self.shard.keyspace.free_step(FREE_BUDGET) {
            self.next_tick_us = self.env.now.mono_us;
        }
    }

    /// Lets paused connections run on once the time is over.
    pub(crate) fn end_pause(&mut self) {
        if self.pause.is_some_and(|pause| pause.until_ms <= self.env.now.unix_ms()) {
            self.unpause();
        }
    }

    pub(crate) fn unpause(&mut self) {
        self.pause = None;
        let paused: Vec<_> =
            self.conns.iter().filter(|conn| conn.hold == Hold::Paused).map(|conn| conn.id).collect();
        paused.into_iter().for_each(|id| self.end_hold(id, Hold::Paused));
    }
}
