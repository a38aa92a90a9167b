//! What a connection keeps for its transactions: commands queued since MULTI, keys watched, an EXEC under way.

use bobbin_cluster::Version;
use bobbin_cluster::scope::{Footprint, OwnershipTable};

use crate::command::{Args, Command};
use crate::errand::Asked;
use crate::ids::{ReactorId, TxId, WatchId};
use crate::journal::Batch;
use crate::txn::Block;

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Multi {
    pub is_open: bool,
    /// A command could not be queued: EXEC will refuse.
    pub is_aborted: bool,
    pub block: Block,
    pub reach: Reach,
}

/// What a block needs: noted as it is queued, so that EXEC need not look through it.
#[derive(Debug, Default)]
pub struct Reach {
    /// The shards that own its keys.
    pub shards: Vec<ReactorId>,
    /// Some command is the connection's own.
    pub own: bool,
    /// Some command visits other reactors.
    pub visits: bool,
    /// Some command says something to a channel: it runs on the shard that owns it.
    pub says: bool,
    /// What its writes want of scopes.
    pub scopes: ScopeReach,
}

/// What writes want of scopes, by one table of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeReach {
    /// The table's.
    version: Version,
    footprint: Footprint,
    /// Some write names no keys, and changes all.
    all: bool,
    /// Commands that were looked at.
    commands: usize,
}

impl ScopeReach {
    /// Adds a command.
    pub fn add(&mut self, table: &OwnershipTable, row: &Command, args: Args<'_>) {
        if self.commands == 0 {
            self.version = table.version();
        }
        self.commands += 1;
        if !row.is_write() {
            return;
        }
        self.all |= row.keys.is_empty();
        // Of another table than before: it will be looked at again, with all others.
        if self.version == table.version() {
            row.keys_of(args, |index, _| self.footprint.add(table.part(args.at(index))));
        }
    }

    /// That of a block, by this table: what has been noted, or what its commands say if that was by another.
    pub fn of_block(self, table: &OwnershipTable, block: &Block) -> (Footprint, bool) {
        if self.version == table.version() && self.commands == block.len() {
            return (self.footprint, self.all);
        }
        let mut anew = Self::default();
        block.iter().for_each(|(row, args)| anew.add(table, row, args));
        (anew.footprint, anew.all)
    }
}

impl Reach {
    pub fn shard(&mut self, shard: ReactorId) {
        if !self.shards.contains(&shard) {
            self.shards.push(shard);
        }
    }

    fn clear(&mut self) {
        self.shards.clear();
        (self.own, self.visits, self.says) = (false, false, false);
        self.scopes = ScopeReach::default();
    }
}

impl Multi {
    /// Leaves the transaction; what was queued is dropped.
    pub fn end(&mut self) {
        self.is_open = false;
        self.is_aborted = false;
        self.block.clear();
        self.reach.clear();
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
    /// When all of them take effect, in Unix microseconds.
    pub at_us: u64,
    pub shards: Vec<ReactorId>,
    /// What its commands have done so far, for the journal.
    pub effects: Batch,
    /// Clients wait for keys on more than one of them.
    pub is_awaited: bool,
    /// The EXEC itself, and what the stopwatch showed when it began.
    pub asked: Asked,
    pub start: u64,
}
