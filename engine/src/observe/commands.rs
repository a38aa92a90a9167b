//! Calls, failures and run times of every command.

use super::Timing;
use crate::command::TABLE;
use crate::ids::CommandId;

/// One command's counts.
#[derive(Clone, Debug, Default)]
pub struct CommandCounts {
    pub calls: u64,
    pub ns: u64,
    /// Refused before they ran.
    pub rejected: u64,
    /// Answered with an error.
    pub failed: u64,
    /// Run times, if they are tracked.
    pub latency: Timing,
}

/// Counts of all commands, by row of the table.
#[derive(Debug)]
pub struct CommandStats {
    rows: Vec<CommandCounts>,
    pub total: u64,
    pub track_latency: bool,
}

impl Default for CommandStats {
    fn default() -> Self {
        Self { rows: vec![CommandCounts::default(); TABLE.len()], total: 0, track_latency: true }
    }
}

impl CommandStats {
    /// Counts a command that ran.
    #[inline]
    pub fn ran(&mut self, id: CommandId, ns: u64, ok: bool) {
        self.total += 1;
        let row = &mut self.rows[id.0 as usize];
        row.calls += 1;
        row.ns += ns;
        row.failed += u64::from(!ok);
        if self.track_latency {
            row.latency.record(ns);
        }
    }

    pub fn rejected(&mut self, id: CommandId) {
        self.rows[id.0 as usize].rejected += 1;
    }

    /// Counts by row of the table.
    pub fn rows(&self) -> &[CommandCounts] {
        &self.rows
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        *self = Self { track_latency: self.track_latency, ..Self::default() };
    }
}

impl CommandCounts {
    /// Adds another reactor's counts.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.ns += other.ns;
        self.rejected += other.rejected;
        self.failed += other.failed;
        self.latency.merge(&other.latency);
    }
}
