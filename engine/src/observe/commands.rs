//! Calls, failures and run times of every command.

use hdrhistogram::Histogram;

use crate::command::TABLE;
use crate::ids::CommandId;

/// Longest run time told apart, in nanoseconds; longer ones count as this.
const NS_MAX: u64 = 60_000_000_000;
/// Two digits: 1 % error, 24 KiB a histogram at most.
const DIGITS: u8 = 2;

/// One command's counts.
#[derive(Clone, Debug, Default)]
pub struct CommandCounts {
    pub calls: u64,
    pub ns: u64,
    /// Refused before they ran.
    pub rejected: u64,
    /// Answered with an error.
    pub failed: u64,
    /// Run times; none before the first call.
    pub latency: Option<Box<Histogram<u64>>>,
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
            match &mut row.latency {
                Some(latency) => latency.saturating_record(ns),
                None => row.latency = first_latency(ns),
            }
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
        match (&mut self.latency, &other.latency) {
            (Some(mine), Some(other)) => mine.add(&**other).expect("all histograms have the same bounds"),
            (mine @ None, Some(other)) => *mine = Some(other.clone()),
            (_, None) => {}
        }
    }
}

#[cold]
fn first_latency(ns: u64) -> Option<Box<Histogram<u64>>> {
    let mut latency = Histogram::new_with_bounds(1, NS_MAX, DIGITS).expect("the bounds are valid");
    latency.saturating_record(ns);
    Some(Box::new(latency))
}
