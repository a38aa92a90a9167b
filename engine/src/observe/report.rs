//! What INFO tells of a reactor, and of all of them together.

use super::process::CpuTime;
use super::{BigView, CommandCounts, Counts, ErrorCounts, HotView, Loops, Rates, ShardStats, Stages};
use crate::core::Core;
use crate::pubsub::Topic;

/// A database of one shard, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DbReport {
    pub keys: usize,
    pub volatile: usize,
    /// Hashes of which fields expire.
    pub with_volatile_fields: usize,
    /// Of the keys that expire.
    pub average_ttl_ms: u64,
}

/// The figures of one reactor; merged, of all.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub clients: usize,
    /// The largest buffer of a client here, and the bytes of all.
    pub input_max: usize,
    pub output_max: usize,
    pub clients_memory: usize,
    /// Clients in a command that waits, and those of them whose wait has an end.
    pub blocked_clients: usize,
    pub clients_with_timeout: usize,
    /// Keys that somebody waits for, and those whose going ends a wait.
    pub blocking_keys: usize,
    pub blocking_keys_on_nokey: usize,
    pub total_commands: u64,
    pub commands_ns: u64,
    /// By row of the command table; empty unless asked for.
    pub commands: Vec<CommandCounts>,
    pub errors: ErrorCounts,
    pub counts: Counts,
    pub shard: ShardStats,
    pub commands_per_second: u64,
    pub in_per_second: u64,
    pub out_per_second: u64,
    pub loops_per_second: u64,
    pub loops: Loops,
    pub stages: Stages,
    pub cpu: CpuTime,
    pub dbs: Vec<DbReport>,
    /// Names that have subscribers and that this core owns, by [`Topic`].
    pub topics: [usize; Topic::ALL.len()],
    /// Bytes of keys, values and tables.
    pub keyspace_memory: usize,
    pub memory_at_start: u64,
    pub memory_peak: u64,
    /// Empty unless asked for.
    pub hot_keys: HotView,
    pub big_keys: BigView,
}

impl Report {
    /// As [`Report::of`], with hot and big keys and the counts of every command.
    pub fn whole(core: &mut Core) -> Self {
        let now_ms = core.env.now.unix_ms();
        Self {
            hot_keys: core.shard.rest.hot_keys.view(now_ms),
            big_keys: BigView::of(&mut core.shard.keyspace, now_ms),
            ..Self::of(core, true)
        }
    }

    /// The report of a core; called on its thread. `commands`: with the counts of every command.
    pub fn of(core: &Core, commands: bool) -> Self {
        let observed = &core.observed;
        let stats = &core.shard.rest.stats;
        let mut errors = observed.errors.clone();
        errors.merge(&stats.errors);
        let report = Self {
            total_commands: observed.commands.total,
            commands_ns: observed.commands.rows().iter().map(|row| row.ns).sum(),
            commands: if commands { observed.commands.rows().to_vec() } else { Vec::new() },
            errors,
            counts: observed.counts.clone(),
            shard: stats.clone(),
            loops: observed.loops,
            stages: observed.stages.clone(),
            cpu: CpuTime::of_thread(),
            keyspace_memory: core.shard.keyspace.memory(),
            memory_at_start: observed.memory_at_start,
            memory_peak: observed.memory_peak,
            dbs: core.shard.keyspace.iter().map(DbReport::of).collect(),
            topics: Topic::ALL.map(|topic| core.owned_topics(topic).count()),
            ..Self::default()
        };
        report.with_rates(&observed.rates).with_clients(core)
    }

    fn with_rates(self, rates: &Rates) -> Self {
        Self {
            commands_per_second: rates.commands.per_second(),
            in_per_second: rates.net_in.per_second(),
            out_per_second: rates.net_out.per_second(),
            loops_per_second: rates.loops.per_second(),
            ..self
        }
    }

    fn with_clients(mut self, core: &Core) -> Self {
        self.clients = core.conns.len();
        for conn in core.conns.iter() {
            let (input, output) = (conn.query.capacity(), conn.out.capacity() + conn.sending);
            self.input_max = self.input_max.max(input);
            self.output_max = self.output_max.max(output);
            self.clients_memory += input + output + size_of_val(conn);
            let blocked = conn.blocked.as_ref().filter(|blocked| blocked.is_waiting());
            self.blocked_clients += usize::from(blocked.is_some());
            let has_end = blocked.is_some_and(|blocked| blocked.deadline_us.is_some());
            self.clients_with_timeout += usize::from(has_end);
        }
        (self.blocking_keys, self.blocking_keys_on_nokey) = core.shard.rest.waits.count_keys();
        self
    }

    /// Adds another reactor's.
    pub fn merge(&mut self, other: &Self) {
        self.clients += other.clients;
        self.input_max = self.input_max.max(other.input_max);
        self.output_max = self.output_max.max(other.output_max);
        self.clients_memory += other.clients_memory;
        self.blocked_clients += other.blocked_clients;
        self.clients_with_timeout += other.clients_with_timeout;
        self.blocking_keys += other.blocking_keys;
        self.blocking_keys_on_nokey += other.blocking_keys_on_nokey;
        self.total_commands += other.total_commands;
        self.commands_ns += other.commands_ns;
        self.commands.resize_with(other.commands.len().max(self.commands.len()), CommandCounts::default);
        self.commands.iter_mut().zip(&other.commands).for_each(|(mine, other)| mine.merge(other));
        self.errors.merge(&other.errors);
        self.counts.merge(&other.counts);
        self.shard.merge(&other.shard);
        self.commands_per_second += other.commands_per_second;
        self.in_per_second += other.in_per_second;
        self.out_per_second += other.out_per_second;
        self.loops_per_second += other.loops_per_second;
        self.loops.merge(&other.loops);
        self.stages.merge(&other.stages);
        self.cpu.user += other.cpu.user;
        self.cpu.system += other.cpu.system;
        self.dbs.resize(other.dbs.len().max(self.dbs.len()), DbReport::default());
        self.dbs.iter_mut().zip(&other.dbs).for_each(|(mine, other)| mine.merge(*other));
        self.topics.iter_mut().zip(other.topics).for_each(|(mine, other)| *mine += other);
        self.keyspace_memory += other.keyspace_memory;
        self.memory_at_start = self.memory_at_start.max(other.memory_at_start);
        self.memory_peak = self.memory_peak.max(other.memory_peak);
        self.hot_keys.merge(&other.hot_keys);
        self.big_keys.merge(other.big_keys.clone());
    }

    /// Keys in all databases.
    pub fn keys(&self) -> usize {
        self.dbs.iter().map(|db| db.keys).sum()
    }
}

impl DbReport {
    fn of(db: &crate::store::Db) -> Self {
        Self {
            keys: db.len(),
            volatile: db.volatile_len(),
            with_volatile_fields: db.with_volatile_fields(),
            average_ttl_ms: db.average_ttl_ms(),
        }
    }

    fn merge(&mut self, other: Self) {
        let volatile = self.volatile + other.volatile;
        let weighted = |db: Self| u128::from(db.average_ttl_ms) * db.volatile as u128;
        let sum = weighted(*self) + weighted(other);
        self.average_ttl_ms = sum.checked_div(volatile as u128).unwrap_or(0) as u64;
        self.volatile = volatile;
        self.with_volatile_fields += other.with_volatile_fields;
        self.keys += other.keys;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_ttls_count_by_their_keys() {
        let db = |keys, volatile, average_ttl_ms| DbReport {
            keys,
            volatile,
            with_volatile_fields: 0,
            average_ttl_ms,
        };
        let mut merged = db(5, 1, 4000);
        merged.merge(db(4, 3, 8000));
        assert_eq!(merged, db(9, 4, 7000));
        let mut empty = DbReport::default();
        empty.merge(DbReport::default());
        assert_eq!(empty, DbReport::default());
    }
}
