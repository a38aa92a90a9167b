//! What a connection keeps for its transactions: commands queued since MULTI, keys watched, an EXEC under way.

use crate::errand::Asked;
use crate::ids::{ReactorId, TxId, WatchId};
use crate::txn::Block;

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Multi {
    pub is_open: bool,
    /// A command could not be queued: EXEC will refuse.
    pub is_aborted: bool,
    pub block: Block,
}

impl Multi {
    /// Leaves the transaction; what was queued is dropped.
    pub fn end(&mut self) {
        self.is_open = false;
        self.is_aborted = false;
        self.block.clear();
    }
}

/// Keys that must not change before EXEC.
#[derive(Debug)]
pub struct Watching {
    pub id: WatchId,
    /// The shards that own them.
    pub shards: Vec<ReactorId>,
}

/// An EXEC whose commands run one after the other, under the locks of a transaction on all shards.
#[derive(Debug)]
pub struct Running {
    pub id: TxId,
    pub block: Block,
    /// Commands that have been started.
    pub started: usize,
    pub shards: Vec<ReactorId>,
    /// The EXEC itself, and what the stopwatch showed when it began.
    pub asked: Asked,
    pub start: u64,
}
