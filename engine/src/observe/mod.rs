//! What a core knows of its own work: counters, latency histograms, the slow log, hot and big keys, who watches.

mod big_keys;
mod commands;
mod errors;
mod hot_keys;
mod latency;
mod loops;
mod monitor;
pub mod process;
mod rates;
mod report;
mod slow_log;
mod stages;
mod timing;

pub use big_keys::{BigKey, BigView};
pub use commands::{CommandCounts, CommandStats};
pub use errors::ErrorCounts;
pub use hot_keys::{HotKeys, HotView};
pub use latency::{LatencyMonitor, Sample, Series, Work};
pub use loops::Loops;
pub use monitor::{Monitors, monitor_line};
pub use rates::{Rate, Rates};
pub use report::{DbReport, Report};
pub use slow_log::{SlowEntry, SlowLog, shortened};
pub use stages::Stages;
pub use timing::Timing;

use crate::config::Config;

/// What one reactor knows of its work. INFO adds those of all reactors up.
#[derive(Debug, Default)]
pub struct Observed {
    pub commands: CommandStats,
    pub errors: ErrorCounts,
    pub slow_log: SlowLog,
    pub latency: LatencyMonitor,
    /// The least run time that the slow log or the latency monitor wants to hear of: the one test that a command
    /// pays for both.
    pub notable_ns: u64,
    pub monitors: Monitors,
    pub rates: Rates,
    pub loops: Loops,
    pub stages: Stages,
    pub counts: Counts,
    /// Bytes that the server used when this core first looked, and the most since.
    pub memory_at_start: u64,
    pub memory_peak: u64,
}

/// Counters of the connection side of one reactor.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub net_in: u64,
    pub net_out: u64,
    /// Times that a socket was read from, and written to.
    pub reads: u64,
    pub writes: u64,
    pub connections: u64,
    pub rejected_connections: u64,
    /// Passwords that were wrong.
    pub denied_auth: u64,
    pub protocol_errors: u64,
    pub query_limit_disconnections: u64,
    pub output_limit_disconnections: u64,
    /// By `maxmemory-clients`.
    pub evicted_clients: u64,
    /// Transactions over shards that began again because another was in the way.
    pub transactions_restarted: u64,
}

impl Observed {
    /// Takes over what the configuration says of watching.
    pub fn configure(&mut self, config: &Config) {
        self.slow_log.configure(config.slowlog_log_slower_than, config.slowlog_max_len as usize);
        self.latency.configure(config.latency_monitor_threshold);
        self.notable_ns = self.slow_log.threshold_ns().min(self.latency.threshold_ns());
        self.commands.track_latency = config.latency_tracking;
    }

    /// What is done from time to time.
    pub fn tick(&mut self, now_us: u64, memory_used: u64) {
        let totals = rates::Totals {
            commands: self.commands.total,
            net_in: self.counts.net_in,
            net_out: self.counts.net_out,
            loops: self.loops.count,
        };
        self.rates.tick(now_us, totals);
        if self.memory_at_start == 0 {
            self.memory_at_start = memory_used;
        }
        self.memory_peak = self.memory_peak.max(memory_used);
    }

    /// What is on disk has been loaded: how long that took is nothing that a client waits for from here on.
    pub fn serving_begins(&mut self) {
        self.loops = Loops::default();
        self.stages.iteration = Timing::default();
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        self.commands.reset();
        self.errors = ErrorCounts::default();
        self.counts = Counts::default();
        self.loops = Loops::default();
        self.stages = Stages::default();
        self.rates.reset();
    }
}

/// Counters of one shard's keys.
#[derive(Clone, Debug, Default)]
pub struct ShardStats {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    /// Fields of hashes.
    pub expired_fields: u64,
    pub evicted: u64,
    /// Changes of keys since the start.
    pub changes: u64,
    pub errors: ErrorCounts,
}

impl ShardStats {
    /// CONFIG RESETSTAT: what a snapshot counts from stays.
    pub fn reset(&mut self) {
        *self = Self { changes: self.changes, ..Self::default() };
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.expired += other.expired;
        self.expired_fields += other.expired_fields;
        self.evicted += other.evicted;
        self.changes += other.changes;
        self.errors.merge(&other.errors);
    }
}

impl Counts {
    /// Adds another reactor's.
    pub fn merge(&mut self, other: &Self) {
        self.net_in += other.net_in;
        self.net_out += other.net_out;
        self.reads += other.reads;
        self.writes += other.writes;
        self.connections += other.connections;
        self.rejected_connections += other.rejected_connections;
        self.denied_auth += other.denied_auth;
        self.protocol_errors += other.protocol_errors;
        self.query_limit_disconnections += other.query_limit_disconnections;
        self.output_limit_disconnections += other.output_limit_disconnections;
        self.evicted_clients += other.evicted_clients;
        self.transactions_restarted += other.transactions_restarted;
    }
}
