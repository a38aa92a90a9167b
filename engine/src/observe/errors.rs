//! Error replies by their code, as INFO errorstats tells them.

use std::collections::BTreeMap;

use crate::error::CommandError;

/// Codes told apart, as in Redis: more would let a client that makes up errors grow the table.
const CODES_MAX: usize = 128;

/// Error replies by code.
#[derive(Clone, Debug, Default)]
pub struct ErrorCounts {
    counts: BTreeMap<String, u64>,
    pub total: u64,
}

impl ErrorCounts {
    #[cold]
    pub fn count(&mut self, error: &CommandError) {
        let text = error.to_string();
        let code = text.split(' ').next().unwrap_or_default();
        self.add(code, 1);
    }

    fn add(&mut self, code: &str, times: u64) {
        self.total += times;
        if let Some(count) = self.counts.get_mut(code) {
            *count += times;
        } else if self.counts.len() < CODES_MAX {
            self.counts.insert(code.to_owned(), times);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(code, &times)| self.add(code, times));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(code, &count)| (code.as_str(), count))
    }
}
