//! Letting go of a block's shards when it has filled keys on several of them that clients wait for: the keys are offered in
//! the order in which the block filled them, as in Redis, whichever shards they are on.
//!
//! ```text
//! coordinator                         shards of the block
//!     ├── Return / Finish ───────────────►├ keep their locks
//!     │◄─────────────────────── Filled ───┤ keys that somebody waits for
//!     ├── Settle ────────────────────────►├ of one shard: what comes first in the block
//!     │◄────────────────────── Settled ───┤ nobody can be served with it any more
//!     ├── Settle …                        │ what comes next
//!     ├── Cancel ────────────────────────►├ all release
//! ```
//! Where somebody waits on one of the shards alone, or on none, each settles what it has and releases by itself.

use std::collections::VecDeque;

use super::Core;
use crate::collections::Map;
use crate::command::spec::key_flag;
use crate::ids::{ReactorId, TxId};
use crate::txn::{Block, Part, Settling, TxMessage};

/// Blocks that have run, by their coordinator.
#[derive(Debug, Default)]
pub(super) struct Unwinding(Map<TxId, Ran>);

impl Unwinding {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug)]
struct Ran {
    /// Keys as they were filled; others may be among them.
    order: Vec<Box<[u8]>>,
    shards: Vec<ReactorId>,
    /// Shards that have yet to say what is filled.
    missing: usize,
    filled: Vec<(ReactorId, Box<[u8]>)>,
    /// What is still to be settled: keys of one shard each.
    runs: VecDeque<(ReactorId, Vec<Box<[u8]>>)>,
}

impl Core {
    /// A block has run, and its shards were told to say what it has filled; `order`: what it may have, in its order.
    pub(super) fn unwind(&mut self, id: TxId, order: Vec<Box<[u8]>>, shards: Vec<ReactorId>) {
        let missing = shards.len();
        let ran = Ran { order, shards, missing, filled: Vec::new(), runs: VecDeque::new() };
        self.unwinding.0.insert(id, ran);
    }

    /// The shard's side: keeps what is filled until it is due.
    pub(super) fn tell_filled(&mut self, id: TxId) {
        let Some((coordinator, _)) = self.schedule.part(id) else { return };
        let filled = self.take_filled(id);
        let keys = filled.iter().map(|(_, key)| key.clone()).collect();
        let settling = Settling { due: Some((coordinator, 0)), ..Settling::new(filled) };
        self.schedule.replace(id, self.id, Part::Settle(Box::new(settling)));
        self.post_tx(coordinator, TxMessage::Filled { id, shard: self.id, keys });
        self.settle_ready();
    }

    pub(super) fn settle_due(&mut self, id: TxId, keys: &[Box<[u8]>]) {
        self.settling(id, |settling| settling.make_due(keys));
        self.go_on_settling(id);
    }

    pub(super) fn note_filled(&mut self, id: TxId, shard: ReactorId, keys: Vec<Box<[u8]>>) {
        let Some(ran) = self.unwinding.0.get_mut(&id) else { return };
        ran.filled.extend(keys.into_iter().map(|key| (shard, key)));
        ran.missing -= 1;
        if ran.missing == 0 {
            ran.put_in_order();
            self.settle_next(id);
        }
    }

    /// Has the next keys offered, or lets all shards go.
    pub(super) fn settle_next(&mut self, id: TxId) {
        let Some(ran) = self.unwinding.0.get_mut(&id) else { return };
        if let Some((shard, keys)) = ran.runs.pop_front() {
            return self.post_tx(shard, TxMessage::Settle { id, keys });
        }
        if let Some(ran) = self.unwinding.0.remove(&id) {
            self.release_shards(id, &ran.shards);
        }
    }
}

impl Ran {
    fn put_in_order(&mut self) {
        let Self { order, filled, runs, .. } = self;
        let mut left: Map<&[u8], ReactorId> = filled.iter().map(|(shard, key)| (&**key, *shard)).collect();
        // MOVE fills the key of another database.
        for key in order.iter().chain(filled.iter().map(|(_, key)| key)) {
            let Some(shard) = left.remove(&**key) else { continue };
            match runs.back_mut().filter(|(last, _)| *last == shard) {
                Some((_, keys)) => keys.push(key.clone()),
                None => runs.push_back((shard, vec![key.clone()])),
            }
        }
    }
}

/// Keys in the order in which a block's commands say that they fill them: taking something out of one does not.
pub(super) fn filled_by(block: &Block) -> Vec<Box<[u8]>> {
    let mut keys = Vec::new();
    for (row, args) in block.iter() {
        row.key_flags_of(args, |index, flags| {
            if flags & (key_flag::UPDATE | key_flag::INSERT) != 0 {
                keys.push(args.at(index).into());
            }
        });
    }
    keys
}
