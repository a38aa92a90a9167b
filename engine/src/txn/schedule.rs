//! The shard's side of transactions: what waits for locks, and what runs when it gets them.

use std::sync::Arc;

use crate::collections::Map;

use super::lock::{Footprint, LockTable, Verdict};
use super::{Job, lock};
use crate::command::{Args, row};
use crate::errand::{AnyErrand, Need, Ticket};
use crate::ids::{ReactorId, ReplyTo, TxId};

/// What a transaction does on one shard.
#[derive(Debug)]
pub enum Part {
    /// A command of this shard alone that met a lock: runs when it holds its keys.
    Alone { job: Job, reply_to: ReplyTo },
    /// A visit that needs the whole shard in its place.
    Visit { errand: Arc<dyn AnyErrand>, ticket: Ticket, from: ReactorId },
    /// One shard's share of a scattered command.
    Share(Job),
    /// Keys to lend.
    Lend { keys: Vec<Box<[u8]>>, lent: bool },
    /// A visit that all shards make as one step.
    Atomic(Arc<dyn AnyErrand>),
}

impl Part {
    fn footprint(&self) -> Footprint {
        match self {
            Self::Alone { job, .. } | Self::Share(job) => footprint_of(job.command, job.args.as_args()),
            // A key that is lent is away: even one that is only read must be nobody else's meanwhile.
            Self::Lend { keys, .. } => Footprint::keys(keys.iter().map(|key| (lock::key_hash(key), true))),
            Self::Visit { .. } => Footprint::shard(lock::Mode::Shared),
            Self::Atomic(_) => Footprint::shard(lock::Mode::Exclusive),
        }
    }
}

/// The locks that a command needs on the shard that runs it.
pub fn footprint_of(command: crate::ids::CommandId, args: Args<'_>) -> Footprint {
    let mut keys = Vec::new();
    row(command).keys_of(args, |index, writes| keys.push((lock::key_hash(args.at(index)), writes)));
    Footprint::keys(keys.into_iter())
}

#[derive(Debug)]
struct Scheduled {
    from: ReactorId,
    part: Part,
}

/// Transactions that hold or await locks of this shard.
#[derive(Debug, Default)]
pub struct Schedule {
    locks: LockTable,
    parts: Map<TxId, Scheduled>,
    /// Keys that are lent at the moment.
    lent: usize,
}

impl Schedule {
    /// The one test that a command of one shard pays.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    /// Whether a command of this shard alone has to wait.
    #[cold]
    pub fn blocks(&self, command: crate::ids::CommandId, args: Args<'_>) -> bool {
        self.locks.blocks(&footprint_of(command, args))
    }

    /// Whether a visit with this need has to wait.
    pub fn blocks_visit(&self, need: Need) -> bool {
        need == Need::WholeShard && self.lent > 0
    }

    /// Asks for the locks of `part`; a refused part is given back.
    pub fn request(&mut self, id: TxId, from: ReactorId, part: Part) -> Result<Verdict, Part> {
        match self.locks.request(id, part.footprint()) {
            Verdict::Refused => Err(part),
            verdict => {
                self.parts.insert(id, Scheduled { from, part });
                Ok(verdict)
            }
        }
    }

    /// The part of a transaction that holds or awaits locks here.
    pub fn part(&mut self, id: TxId) -> Option<(ReactorId, &mut Part)> {
        self.parts.get_mut(&id).map(|scheduled| (scheduled.from, &mut scheduled.part))
    }

    pub fn note_lent(&mut self, keys: usize) {
        self.lent += keys;
    }

    pub fn note_returned(&mut self, keys: usize) {
        self.lent -= keys;
    }

    /// Releases the locks of `id`. Returns its part, and those that hold all of theirs now.
    pub fn release(&mut self, id: TxId) -> (Option<Part>, Vec<TxId>) {
        let part = self.parts.remove(&id).map(|scheduled| scheduled.part);
        (part, self.locks.release(id))
    }
}
