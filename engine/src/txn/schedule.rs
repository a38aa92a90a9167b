//! The shard's side of transactions: what waits for locks, and what runs when it gets them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::collections::Map;

use super::lock::{Footprint, LockTable, Verdict};
use super::{Block, BlockJob, Job, Terms, Train, Turn, Watches, lock};
use crate::command::{Args, row};
use crate::errand::{AnyErrand, Need, Ticket};
use crate::ids::{ReactorId, ReplyTo, TxId, WatchId};
use crate::limits::RELEASED_LOCKS_MAX;
use crate::rules::{Rule, holds};

/// What a transaction does on one shard.
#[derive(Debug)]
pub enum Part {
    /// A command of this shard alone that met a lock: runs when it holds its keys.
    Alone { job: Job, reply_to: ReplyTo },
    /// A visit that needs the whole shard in its place.
    Visit { errand: Arc<dyn AnyErrand>, ticket: Ticket, from: ReactorId },
    /// A block of this shard alone that met a lock.
    Block { job: Box<BlockJob>, reply_to: ReplyTo },
    /// One shard's share of scattered commands.
    Share { train: Arc<Train>, shard: ReactorId },
    /// Keys to lend, and a watch to look at.
    Lend { keys: Vec<Box<[u8]>>, lent: bool, watch: Option<WatchId> },
    /// The whole shard, or keys that will be named, for the steps of a block; and a watch to look at.
    Hold { watch: Option<WatchId>, whole: bool },
    /// A visit that all shards make as one step.
    Atomic(Arc<dyn AnyErrand>),
    /// The whole shard, for the cut of a snapshot.
    Cut,
    /// The whole shard, for the rounds of a course.
    Course { writes: bool },
    /// Keys to offer to those who wait for them.
    Settle(Box<Settling>),
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
    /// A coordinator says when each is due: who, and how many of the first keys are.
    pub due: Option<(ReactorId, usize)>,
}

impl Settling {
    pub fn new(keys: VecDeque<(u16, Box<[u8]>)>) -> Self {
        Self { keys, also: Vec::new(), after: None, offered: None, is_lent: false, due: None }
    }

    /// Makes these keys the first, and due. The others stay in their order.
    pub fn make_due(&mut self, names: &[Box<[u8]>]) {
        let keys = std::mem::take(&mut self.keys);
        let (now, later): (VecDeque<_>, VecDeque<_>) =
            keys.into_iter().partition(|(_, key)| names.contains(key));
        self.due = self.due.map(|(coordinator, _)| (coordinator, now.len()));
        self.keys = now.into_iter().chain(later).collect();
    }

    /// Nobody is left to whom the first key could be offered.
    pub fn end_first(&mut self) {
        self.keys.pop_front();
        self.after = None;
        self.due = self.due.map(|(coordinator, keys)| (coordinator, keys - 1));
    }
}

impl Part {
    fn footprint(&self, watches: &Watches) -> Footprint {
        match self {
            part if !part.locks() => Footprint::default(),
            Self::Alone { job, .. } => footprint_of(job.command, job.args.as_args()),
            Self::Share { train, shard } => train.footprint(*shard),
            Self::Block { job, reply_to } => block_footprint(&job.block, job.watch, watches, Some(*reply_to)),
            // A key that is lent is away: even one that is only read must be nobody else's meanwhile.
            Self::Lend { keys, watch, .. } => {
                let lent = keys.iter().map(|key| (lock::key_hash(key), holds(Rule::LentKeysAreNobodyElses)));
                Footprint::keys(lent.chain(watched(*watch, watches)))
            }
            Self::Settle(settling) => {
                let keys = settling.keys.iter().map(|(_, key)| key).chain(&settling.also);
                Footprint::keys(keys.map(|key| (lock::key_hash(key), true)))
            }
            Self::Visit { errand, .. } => visit_footprint(&**errand),
            // What is watched may be written as well: locks do not grow stronger later.
            Self::Hold { watch, whole: false } => {
                Footprint::for_writing(watched(*watch, watches).map(|(key, _)| key))
            }
            Self::Course { writes: false } => Footprint::shard(lock::Mode::Shared),
            Self::Atomic(_) | Self::Cut | Self::Hold { whole: true, .. } | Self::Course { writes: true } => {
                Footprint::shard(lock::Mode::Exclusive)
            }
        }
    }

    /// Whether it takes its locks.
    fn locks(&self) -> bool {
        match self {
            Self::Alone { .. } | Self::Visit { .. } | Self::Block { .. } => true,
            Self::Cut => holds(Rule::CutsHoldShards),
            Self::Share { .. } => holds(Rule::SharesAreLocked),
            Self::Lend { .. } => holds(Rule::LentKeysAreLocked),
            Self::Hold { .. } => holds(Rule::BlocksHoldShards),
            Self::Atomic(_) => holds(Rule::VisitsHoldShards),
            Self::Course { .. } => holds(Rule::CoursesHoldShards),
            Self::Settle(_) => holds(Rule::OffersAreLocked),
        }
    }
}

fn visit_footprint(errand: &dyn AnyErrand) -> Footprint {
    match errand.need() {
        // A visit removes keys whose time is over, which others may have locked to read at an earlier time.
        Need::Keys => Footprint::keys(errand.keys().iter().map(|key| (lock::key_hash(key), true))),
        Need::Nothing | Need::WholeShard | Need::Atomic => Footprint::shard(lock::Mode::Shared),
    }
}

/// The locks that a block needs on the shard that owns all its keys. One that was sent there also locks its connection: it
/// runs behind those that the connection sent before it.
fn block_footprint(
    block: &Block,
    watch: Option<WatchId>,
    watches: &Watches,
    sent: Option<ReplyTo>,
) -> Footprint {
    let mut keys: Vec<_> = watched(watch, watches).collect();
    keys.extend(sent.map(|sent| (lock::conn_hash(sent), true)));
    for (row, args) in block.iter() {
        row.keys_of(args, |index, writes| keys.push((lock::key_hash(args.at(index)), writes)));
    }
    Footprint::keys(keys.into_iter())
}

/// What is watched must not change between the look and the act.
fn watched(watch: Option<WatchId>, watches: &Watches) -> impl Iterator<Item = (u64, bool)> {
    let watch = watch.filter(|_| holds(Rule::WatchedKeysAreLocked));
    let keys = watch.into_iter().flat_map(|watch| watches.keys_of(watch));
    keys.map(|(_, key)| (lock::key_hash(key), false))
}

/// The locks that a command needs on the shard that runs it. One without keys (PUBLISH) waits only for who has the whole
/// shard.
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
    /// Whose locks are being released, some at a time.
    leaving: Vec<TxId>,
}

impl Schedule {
    /// The one test that a command of one shard pays.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    /// Whether a transaction stands against removing a key.
    pub fn is_locked(&self, key: &[u8]) -> bool {
        !self.is_idle() && self.locks.blocks(&Footprint::keys(std::iter::once((lock::key_hash(key), true))))
    }

    /// Whether a command of this shard alone has to wait.
    #[cold]
    pub fn blocks(&self, command: crate::ids::CommandId, args: Args<'_>) -> bool {
        holds(Rule::CommandsMindLocks) && self.locks.blocks(&footprint_of(command, args))
    }

    /// Whether a block of this shard alone has to wait.
    #[cold]
    pub fn blocks_block(
        &self,
        block: &Block,
        watch: Option<WatchId>,
        watches: &Watches,
        sent: Option<ReplyTo>,
    ) -> bool {
        holds(Rule::BlocksMindLocks) && self.locks.blocks(&block_footprint(block, watch, watches, sent))
    }

    /// Whether a visit has to wait.
    pub fn blocks_visit(&self, errand: &dyn AnyErrand) -> bool {
        match errand.need() {
            Need::Keys if !holds(Rule::WatchesMindLocks) => false,
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
        if terms == Terms::Try && holds(Rule::TakersDoNotWait) && self.locks.blocks(&footprint) {
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

    /// Asks for more keys, by their hashes, for a part that holds what it has asked for so far.
    pub fn claim(&mut self, id: TxId, keys: Vec<u64>) -> Verdict {
        self.locks.claim(id, keys)
    }

    /// The part of a transaction that holds or awaits locks here.
    pub fn part(&mut self, id: TxId) -> Option<(ReactorId, &mut Part)> {
        self.parts.get_mut(&id).map(|scheduled| (scheduled.from, &mut scheduled.part))
    }

    /// The command that waits, of this shard alone, which has yet to get its locks.
    pub fn attempt_of(&self, wait: ReplyTo) -> Option<TxId> {
        let is_attempt = |part: &Part| {
            matches!(part, Part::Alone { job, reply_to }
                if *reply_to == wait && row(job.command).run.blocking().is_some())
        };
        self.parts.iter().find(|(_, scheduled)| is_attempt(&scheduled.part)).map(|(id, _)| *id)
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

    /// Whether a block that runs step by step has a key.
    pub fn is_held(&self, key: &[u8]) -> bool {
        let holder = self.locks.writer_of(lock::key_hash(key)).and_then(|id| self.parts.get(&id));
        holder.is_some_and(|scheduled| matches!(scheduled.part, Part::Hold { .. }))
    }

    /// Locks more keys for who holds others, if nobody stands in the way.
    pub fn extend<'a>(&mut self, id: TxId, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        self.locks.extend(id, keys.map(lock::key_hash))
    }

    /// Releases the locks of `id`. Returns its part, and those that hold all of theirs now.
    pub fn release(&mut self, id: TxId) -> (Option<Part>, Vec<TxId>) {
        let part = self.parts.remove(&id).map(|scheduled| scheduled.part);
        (part, self.release_some(id))
    }

    /// Lets others read what `id` holds, which is the whole shard. Returns those that hold all of their locks now.
    pub fn let_read(&mut self, id: TxId) -> Vec<TxId> {
        self.locks.let_read(id)
    }

    fn release_some(&mut self, id: TxId) -> Vec<TxId> {
        let (complete, is_done) = self.locks.release(id, RELEASED_LOCKS_MAX);
        if !is_done {
            self.leaving.push(id);
        }
        complete
    }

    /// Locks are left to be released.
    pub fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Releases more of what is left. Returns those that hold all of theirs now.
    pub fn release_more(&mut self) -> Vec<TxId> {
        let leaving = std::mem::take(&mut self.leaving);
        leaving.into_iter().flat_map(|id| self.release_some(id)).collect()
    }
}
