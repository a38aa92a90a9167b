//! What a core knows of its own work: counters, latency histograms, the slow log, who watches.

mod commands;
mod errors;
mod monitor;
mod slow_log;

pub use commands::{CommandCounts, CommandStats};
pub use errors::ErrorCounts;
pub use monitor::{Monitors, monitor_line};
pub use slow_log::{SlowEntry, SlowLog};

/// Counters of the connection side of one reactor. INFO adds those of all reactors up.
#[derive(Debug, Default)]
pub struct Observed {
    pub commands: CommandStats,
    pub errors: ErrorCounts,
    pub slow_log: SlowLog,
    pub monitors: Monitors,
    pub net_in: u64,
    pub net_out: u64,
    pub connections: u64,
    pub rejected_connections: u64,
    /// Passwords that were wrong.
    pub denied_auth: u64,
    pub protocol_errors: u64,
    pub query_limit_disconnections: u64,
    pub output_limit_disconnections: u64,
    /// Transactions over shards that began again because another was in the way.
    pub transactions_restarted: u64,
}

/// Counters of one shard's keys.
#[derive(Clone, Debug, Default)]
pub struct ShardStats {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub evicted: u64,
    /// Changes of keys since the start.
    pub changes: u64,
    pub errors: ErrorCounts,
}
