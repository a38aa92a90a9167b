//! The shard's side of transactions: what waits for locks, and what runs when it gets them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::collections::Map;

use super::lock::{Footprint, LockTable, Verdict};
use super::{Block, BlockJob, Job, Terms, Turn, Watches, lock};
use crate::command::{Args, row};
use crate::errand::{AnyErrand, Need, Ticket};
use crate::ids::{ReactorId, ReplyTo, TxId, WatchId};

/// What a transaction does on one shard.
#[derive(Debug)]
pub enum Part {
    /// A command of this shard alone that met a lock: runs when it holds its keys.
    Alone { job: Job, reply_to: ReplyTo },
    /// A visit that needs the whole shard in its place.
    Visit { errand: Arc<dyn AnyErrand>, ticket: Ticket, from: ReactorId },
    /// A block of this shard alone that met a lock.
    Block { job: Box<BlockJob>, reply_to: ReplyTo },
    /// One shard's share of a scattered command.
    Share(Job),
    /// Keys to lend, and a watch to look at.
    Lend { keys: Vec<Box<[u8]>>, lent: bool, watch: Option<WatchId> },
    /// The whole shard, and a watch to look at.
    Hold { watch: Option<WatchId> },
    /// A visit that all shards make as one step.
    Atomic(Arc<dyn AnyErrand>),
    /// The whole shard, for the rounds of a course.
    Course { writes: bool },
    /// Keys to offer to those who wait for them.
    Settle(Settling),
}

/// Keys that are being offered to those who wait for them, one after the other.
#[derive(Debug)]
pub struct Settling {
    pub keys: VecDeque<(u16, Box<[u8]>)>,
    /// Keys that are needed as well.
    pub also: Vec<Box<[u8]>>,
    /// Who was last looked at in the first key's line.
    pub after: Option<Turn>,
    /// An offer is under way.
    pub offered: Option<(Turn, ReplyTo)>,
    /// And its taker has the keys.
    pub is_lent: bool,
}

impl Settling {
    pub fn new(keys: VecDeque<(u16, Box<[u8]>)>) -> Self {
        Self { keys, also: Vec::new(), after: None, offered: None, is_lent: false }
    }
}

impl Part {
    fn footprint(&self, watches: &Watches) -> Footprint {
        match self {
            Self::Alone { job, .. } | Self::Share(job) => footprint_of(job.command, job.args.as_args()),
            Self::Block { job, .. } => block_footprint(&job.block, job.watch, watches),
            // A key that is lent is away: even one that is only read must be nobody else's meanwhile.
            Self::Lend { keys, watch, .. } => {
                let lent = keys.iter().map(|key| (lock::key_hash(key), true));
                Footprint::keys(lent.chain(watched(*watch, watches)))
            }
            Self::Settle(Settling { keys, also, .. }) => {
                let keys = keys.iter().map(|(_, key)| key).chain(also);
                Footprint::keys(keys.map(|key| (lock::key_hash(key), true)))
            }
            Self::Visit { errand, .. } => visit_footprint(&**errand),
            Self::Course { writes: false } => Footprint::shard(lock::Mode::Shared),
            Self::Atomic(_) | Self::Hold { .. } | Self::Course { writes: true } => {
                Footprint::shard(lock::Mode::Exclusive)
            }
        }
    }
}

fn visit_footprint(errand: &dyn AnyErrand) -> Footprint {
    match errand.need() {
        Need::Keys => Footprint::keys(errand.keys().iter().map(|key| (lock::key_hash(key), false))),
        Need::Nothing | Need::WholeShard | Need::Atomic => Footprint::shard(lock::Mode::Shared),
    }
}

/// The locks that a block needs on the shard that owns all its keys.
fn block_footprint(block: &Block, watch: Option<WatchId>, watches: &Watches) -> Footprint {
    let mut keys: Vec<_> = watched(watch, watches).collect();
    for (row, args) in block.iter() {
        row.keys_of(args, |index, writes| keys.push((lock::key_hash(args.at(index)), writes)));
    }
    Footprint::keys(keys.into_iter())
}

/// What is watched must not change between the look and the act.
fn watched(watch: Option<WatchId>, watches: &Watches) -> impl Iterator<Item = (u64, bool)> {
    let keys = watch.into_iter().flat_map(|watch| watches.keys_of(watch));
    keys.map(|(_, key)| (lock::key_hash(key), false))
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

    /// Whether a block of this shard alone has to wait.
    #[cold]
    pub fn blocks_block(&self, block: &Block, watch: Option<WatchId>, watches: &Watches) -> bool {
        self.locks.blocks(&block_footprint(block, watch, watches))
    }

    /// Whether a visit has to wait.
    pub fn blocks_visit(&self, errand: &dyn AnyErrand) -> bool {
        match errand.need() {
            Need::Keys => !self.is_idle() && self.locks.blocks(&visit_footprint(errand)),
            Need::WholeShard => self.lent > 0,
            Need::Nothing | Need::Atomic => false,
        }
    }

    /// Asks for the locks of `part`; a refused part is given back.
    pub fn request(
        &mut self,
        id: TxId,
        from: ReactorId,
        part: Part,
        terms: Terms,
        watches: &Watches,
    ) -> Result<Verdict, Part> {
        let footprint = if terms == Terms::Held { Footprint::default() } else { part.footprint(watches) };
        if terms == Terms::Try && self.locks.blocks(&footprint) {
            return Err(part);
        }
        match self.locks.request(id, footprint) {
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

    /// Takes a part out to run it; its locks stay.
    pub fn take_part(&mut self, id: TxId) -> Option<Part> {
        self.parts.remove(&id).map(|scheduled| scheduled.part)
    }

    /// Puts another part in the place of one, under its locks.
    pub fn replace(&mut self, id: TxId, from: ReactorId, part: Part) {
        self.parts.insert(id, Scheduled { from, part });
    }

    /// Whether `id` holds a key, or all of them.
    pub fn holds(&self, id: TxId, key: &[u8]) -> bool {
        self.locks.holds(id, lock::key_hash(key))
    }

    /// Locks more keys for who holds others, if nobody stands in the way.
    pub fn extend<'a>(&mut self, id: TxId, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        self.locks.extend(id, keys.map(lock::key_hash))
    }

    /// Releases the locks of `id`. Returns its part, and those that hold all of theirs now.
    pub fn release(&mut self, id: TxId) -> (Option<Part>, Vec<TxId>) {
        let part = self.parts.remove(&id).map(|scheduled| scheduled.part);
        (part, self.locks.release(id))
    }
}
