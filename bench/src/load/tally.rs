//! What came back: per command latency and counts, and the first few error texts.

use crate::histogram::Latency;

const ERROR_TEXTS_MAX: usize = 5;
const ERROR_TEXT_LEN_MAX: usize = 200;

/// The outcome of a phase, of one thread or of all.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub rows: Vec<RowTally>,
    /// Requests of an open loop that were due in time and found no room in their pipeline.
    pub overdue: u64,
    /// Requests that a node of a cluster has sent on to another.
    pub moved: u64,
    /// The first distinct error replies.
    pub error_texts: Vec<String>,
    /// First request to last reply.
    pub elapsed_ns: u64,
    /// CPU time of the generator's threads.
    pub client_cpu_ns: u64,
    /// Replies counted at points in time, for throughput over time.
    pub timeline: Vec<(u64, u64)>,
}

/// The outcome of one command of the mix.
#[derive(Clone, Debug, Default)]
pub struct RowTally {
    pub latency: Latency,
    /// Error replies; they count as requests too.
    pub errors: u64,
    /// Nil replies to a GET.
    pub misses: u64,
    /// Values that are not the key's.
    pub mismatches: u64,
}

impl Tally {
    pub fn new(rows: usize) -> Self {
        Self { rows: vec![RowTally::default(); rows], ..Self::default() }
    }

    pub(crate) fn note_error(&mut self, row: usize, reply: &[u8]) {
        self.rows[row].errors += 1;
        if self.error_texts.len() < ERROR_TEXTS_MAX {
            let line = reply.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let text = String::from_utf8_lossy(&line[..line.len().min(ERROR_TEXT_LEN_MAX)]).into_owned();
            if !self.error_texts.contains(&text) {
                self.error_texts.push(text);
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (row, theirs) in self.rows.iter_mut().zip(&other.rows) {
            row.latency.add(&theirs.latency);
            row.errors += theirs.errors;
            row.misses += theirs.misses;
            row.mismatches += theirs.mismatches;
        }
        for text in &other.error_texts {
            if self.error_texts.len() < ERROR_TEXTS_MAX && !self.error_texts.contains(text) {
                self.error_texts.push(text.clone());
            }
        }
        self.overdue += other.overdue;
        self.moved += other.moved;
        self.elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
        self.client_cpu_ns += other.client_cpu_ns;
    }

    pub fn requests(&self) -> u64 {
        self.rows.iter().map(|row| row.latency.count()).sum()
    }

    pub fn errors(&self) -> u64 {
        self.rows.iter().map(|row| row.errors).sum()
    }

    pub fn misses(&self) -> u64 {
        self.rows.iter().map(|row| row.misses).sum()
    }

    pub fn mismatches(&self) -> u64 {
        self.rows.iter().map(|row| row.mismatches).sum()
    }

    pub fn requests_per_second(&self) -> f64 {
        if self.elapsed_ns == 0 { 0.0 } else { self.requests() as f64 * 1e9 / self.elapsed_ns as f64 }
    }

    /// All commands in one histogram.
    pub fn latency(&self) -> Latency {
        let mut all = Latency::default();
        self.rows.iter().for_each(|row| all.add(&row.latency));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_kept_once_and_bounded() {
        let mut tally = Tally::new(1);
        for i in 0..20 {
            tally.note_error(0, format!("-ERR number {}\r\n", i / 2).as_bytes());
        }
        assert_eq!(tally.errors(), 20);
        assert_eq!(tally.error_texts, (0..5).map(|i| format!("-ERR number {i}")).collect::<Vec<_>>());
    }

    #[test]
    fn the_rate_is_of_the_slowest_thread_and_all_requests() {
        let (mut one, mut two) = (Tally::new(1), Tally::new(1));
        one.rows[0].latency.record(10, 300);
        one.elapsed_ns = 1_000_000_000;
        two.rows[0].latency.record(10, 100);
        two.elapsed_ns = 2_000_000_000;
        one.add(&two);
        assert_eq!(one.requests(), 400);
        assert!((one.requests_per_second() - 200.0).abs() < 1e-9);
    }
}
