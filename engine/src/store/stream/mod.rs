//! A stream: the log of its entries.

use super::encoding::stream::Log;

/// See the module. It may be empty: a stream stays when its last entry goes.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub log: Log,
}

impl Stream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes allocated, this struct not.
    #[inline]
    pub fn memory(&self) -> usize {
        self.log.memory()
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        self.log.free_step(budget)
    }
}

/// Of a log alone: what trimming leaves to be freed.
impl From<Log> for Stream {
    fn from(log: Log) -> Self {
        Self { log }
    }
}
