//! Intent locks of one shard: who may touch which key, in txid order.
//!
//! Very lightweight locking (Ren, Thomson, Abadi, VLDB 2013) fitted to lanes: only transactions over several
//! shards, and what meets one of them, take locks; the table is empty otherwise and testing that is all that a
//! command pays. A key is locked by its 64-bit hash: two keys of one hash share a lock, which is safe. The whole
//! shard is a lock above the keys with the usual intention modes (Gray et al., 1976).
//!
//! Invariants:
//! - A transaction waits only for transactions of lower txid. Whoever would wait for a higher one is refused, and
//!   comes back under a new txid. So there is no cycle of waiters, on any number of shards.
//! - Waiters of one lock are granted in the order in which they came; nobody overtakes a waiter it conflicts with.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::hash_map::Entry;

use crate::collections::Map;

use crate::ids::{ReplyTo, TxId};
use crate::rules::{Rule, holds};

/// The hash that stands for a key in locks: the same on every reactor.
pub fn key_hash(key: &[u8]) -> u64 {
    foldhash::quality::FixedState::default().hash_one(key)
}

/// The hash that stands for a connection in locks. It may be that of a key as well, which costs a needless wait.
pub fn conn_hash(of: ReplyTo) -> u64 {
    foldhash::quality::FixedState::default().hash_one((of.reactor, of.conn.to_bits()))
}

/// How it is held. The intention modes are held on the shard by those who hold keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    IntentShared,
    IntentExclusive,
    Shared,
    Exclusive,
}

impl Mode {
    const ALL: [Self; 4] = [Self::IntentShared, Self::IntentExclusive, Self::Shared, Self::Exclusive];

    pub const fn of_key(writes: bool) -> Self {
        if writes { Self::Exclusive } else { Self::Shared }
    }

    /// The mode that the shard is held in by who holds a key in this one.
    const fn intent(self) -> Self {
        match self {
            Self::Exclusive | Self::IntentExclusive => Self::IntentExclusive,
            Self::Shared | Self::IntentShared => Self::IntentShared,
        }
    }

    const fn conflicts(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Exclusive, _)
                | (_, Self::Exclusive)
                | (Self::Shared, Self::IntentExclusive)
                | (Self::IntentExclusive, Self::Shared)
        )
    }
}

/// Everything one transaction locks on one shard: the shard, in one mode, and keys by their hashes, each once and in its
/// strongest mode.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    shard: Option<Mode>,
    keys: Vec<(u64, Mode)>,
}

impl Footprint {
    /// The whole shard.
    pub fn shard(mode: Mode) -> Self {
        Self { shard: Some(mode), keys: Vec::new() }
    }

    /// Keys that may be written, and more of them later.
    pub fn for_writing(keys: impl Iterator<Item = u64>) -> Self {
        let footprint = Self::keys(keys.map(|hash| (hash, true)));
        Self { shard: Some(Mode::IntentExclusive), ..footprint }
    }

    /// Keys: hash, and whether it may be written.
    pub fn keys(keys: impl Iterator<Item = (u64, bool)>) -> Self {
        let mut keys: Vec<_> = keys.map(|(hash, writes)| (hash, Mode::of_key(writes))).collect();
        let shard = keys.iter().map(|(_, mode)| mode.intent()).max().unwrap_or(Mode::IntentShared);
        // The strongest mode of each first, and only it kept.
        keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        keys.dedup_by_key(|(key, _)| *key);
        Self { shard: Some(shard), keys }
    }

    fn is_empty(&self) -> bool {
        self.shard.is_none() && self.keys.is_empty()
    }

    /// Takes up to so many of the locks out of it, the shard's last.
    fn split_off(&mut self, most: usize) -> Self {
        let keys = self.keys.split_off(self.keys.len().saturating_sub(most));
        let shard = if keys.len() < most { self.shard.take() } else { None };
        Self { shard, keys }
    }
}

/// What becomes of a request for locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All are held.
    Granted,
    /// Some are waited for; [`LockTable::release`] of another will name it.
    Queued,
    /// A transaction of higher txid is in the way; nothing was taken.
    Refused,
}

impl Verdict {
    fn of(missing: usize) -> Self {
        if missing == 0 { Self::Granted } else { Self::Queued }
    }
}

/// Those who hold a lock, or wait for it, in the order in which they came. Thousands may: asking whether one of them
/// stands against a mode does not look at each, and whoever came first is found first.
#[derive(Debug, Default)]
struct Line {
    members: VecDeque<(TxId, Mode)>,
    /// How many there are of each mode.
    modes: [usize; Mode::ALL.len()],
}

impl Line {
    fn conflicts(&self, mode: Mode) -> bool {
        Mode::ALL.iter().any(|&other| self.modes[other as usize] > 0 && other.conflicts(mode))
    }

    fn push(&mut self, id: TxId, mode: Mode) {
        self.members.push_back((id, mode));
        self.modes[mode as usize] += 1;
    }

    /// The only one there is, if it is exclusive.
    fn writer(&self) -> Option<TxId> {
        self.members.front().filter(|(_, mode)| *mode == Mode::Exclusive).map(|&(id, _)| id)
    }

    /// Removes a member; false if it is none.
    fn remove(&mut self, id: TxId) -> bool {
        let at = self.members.iter().position(|&(member, _)| member == id);
        let Some((_, mode)) = at.and_then(|at| self.members.remove(at)) else { return false };
        self.modes[mode as usize] -= 1;
        true
    }
}

/// Those who hold one lock, and those who wait for it.
#[derive(Debug, Default)]
struct Queue {
    granted: Line,
    waiting: Line,
    /// Highest txid that ever asked while the lock was in use.
    last: TxId,
}

impl Queue {
    fn conflicts(&self, mode: Mode) -> bool {
        self.granted.conflicts(mode) || self.waiting.conflicts(mode)
    }

    /// Takes the lock or stands in line for it. Returns whether it waits.
    fn line_up(&mut self, id: TxId, mode: Mode) -> bool {
        let waits = self.conflicts(mode);
        let line = if waits { &mut self.waiting } else { &mut self.granted };
        line.push(id, mode);
        self.last = self.last.max(id);
        waits
    }

    /// Removes who holds the lock or waits for it.
    fn release(&mut self, id: TxId, granted: impl FnMut(TxId)) {
        if !self.granted.remove(id) {
            self.waiting.remove(id);
        }
        self.advance(granted);
    }

    /// Lets others read what `id` holds for itself.
    fn let_read(&mut self, id: TxId, granted: impl FnMut(TxId)) {
        if self.granted.remove(id) {
            self.granted.push(id, Mode::Shared);
        }
        self.advance(granted);
    }

    /// Grants from the front what nothing granted stands against.
    fn advance(&mut self, mut granted: impl FnMut(TxId)) {
        while let Some(&(id, mode)) = self.waiting.members.front()
            && !self.granted.conflicts(mode)
        {
            self.waiting.remove(id);
            self.granted.push(id, mode);
            granted(id);
        }
    }

    fn is_unused(&self) -> bool {
        self.granted.members.is_empty() && self.waiting.members.is_empty()
    }
}

/// The lock of a key. Most have one holder, and nobody who waits: that takes no memory but its place in the table, which so
/// is small enough to grow in a moment with 100,000 of them.
#[derive(Debug)]
enum Lock {
    One { id: TxId, mode: Mode },
    Many(Box<Queue>),
}

impl Lock {
    fn conflicts(&self, mode: Mode) -> bool {
        match self {
            Self::One { mode: held, .. } => held.conflicts(mode),
            Self::Many(queue) => queue.conflicts(mode),
        }
    }

    fn last(&self) -> TxId {
        match self {
            Self::One { id, .. } => *id,
            Self::Many(queue) => queue.last,
        }
    }

    fn line_up(&mut self, id: TxId, mode: Mode) -> bool {
        if let Self::One { id: first, mode: held } = *self {
            let mut queue = Box::<Queue>::default();
            queue.line_up(first, held);
            *self = Self::Many(queue);
        }
        match self {
            Self::One { .. } => false,
            Self::Many(queue) => queue.line_up(id, mode),
        }
    }

    /// See [`Line::writer`].
    fn writer(&self) -> Option<TxId> {
        match self {
            Self::One { id, mode } => (*mode == Mode::Exclusive).then_some(*id),
            Self::Many(queue) => queue.granted.writer(),
        }
    }

    /// Removes who holds it or waits for it. Returns whether nobody is left.
    fn release(&mut self, id: TxId, granted: impl FnMut(TxId)) -> bool {
        match self {
            Self::One { id: holder, .. } => *holder == id,
            Self::Many(queue) => {
                queue.release(id, granted);
                queue.is_unused()
            }
        }
    }
}

#[derive(Debug)]
struct Holder {
    footprint: Footprint,
    /// Locks it still waits for.
    missing: usize,
}

/// The locks of one shard.
#[derive(Debug, Default)]
pub struct LockTable {
    shard: Queue,
    keys: Map<u64, Lock>,
    holders: Map<TxId, Holder>,
}

impl LockTable {
    /// Nothing is locked: whatever fits one shard may run at once.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// Whether something with this footprint would have to wait.
    pub fn blocks(&self, footprint: &Footprint) -> bool {
        footprint.shard.is_some_and(|mode| self.shard.conflicts(mode))
            || footprint
                .keys
                .iter()
                .any(|(key, mode)| self.keys.get(key).is_some_and(|lock| lock.conflicts(*mode)))
    }

    /// Asks for all of `footprint` at once.
    pub fn request(&mut self, id: TxId, footprint: Footprint) -> Verdict {
        let Some(missing) = self.line_up(id, &footprint) else { return Verdict::Refused };
        self.holders.insert(id, Holder { footprint, missing });
        Verdict::of(missing)
    }

    /// Asks for more keys to write, for who holds all that it has asked for so far and means to write.
    pub fn claim(&mut self, id: TxId, mut keys: Vec<u64>) -> Verdict {
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| self.writer_of(*key) != Some(id));
        let keys = keys.into_iter().map(|key| (key, Mode::Exclusive)).collect();
        let more = Footprint { shard: None, keys };
        let Some(missing) = self.line_up(id, &more) else { return Verdict::Refused };
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.footprint.keys.extend(more.keys);
            holder.missing += missing;
        }
        Verdict::of(missing)
    }

    /// Takes the locks of a footprint or stands in line for them: for how many. None, and nothing is taken, if a higher txid
    /// is in the way.
    fn line_up(&mut self, id: TxId, footprint: &Footprint) -> Option<usize> {
        if holds(Rule::LateComersAreRefused) && self.refuses(id, footprint) {
            return None;
        }
        let mut missing = 0;
        if let Some(mode) = footprint.shard {
            missing += usize::from(self.shard.line_up(id, mode));
        }
        for &(key, mode) in &footprint.keys {
            match self.keys.entry(key) {
                Entry::Vacant(entry) => drop(entry.insert(Lock::One { id, mode })),
                Entry::Occupied(mut entry) => missing += usize::from(entry.get_mut().line_up(id, mode)),
            }
        }
        Some(missing)
    }

    fn refuses(&self, id: TxId, footprint: &Footprint) -> bool {
        footprint.shard.is_some_and(|mode| self.shard.last > id && self.shard.conflicts(mode))
            || footprint.keys.iter().any(|(key, mode)| {
                self.keys.get(key).is_some_and(|lock| lock.last() > id && lock.conflicts(*mode))
            })
    }

    /// Whether `id` has all of its locks, and may write a key: it holds that, or the whole shard.
    pub fn holds(&self, id: TxId, key: u64) -> bool {
        self.writer_of(key) == Some(id) && self.holders.get(&id).is_some_and(|holder| holder.missing == 0)
    }

    /// Who may write a key, once it has all of its locks.
    pub fn writer_of(&self, key: u64) -> Option<TxId> {
        self.shard.granted.writer().or_else(|| self.keys.get(&key)?.writer())
    }

    /// Gives who holds all of its locks more keys to write, if nothing stands against it: false, and nothing is taken,
    /// otherwise.
    pub fn extend(&mut self, id: TxId, keys: impl Iterator<Item = u64>) -> bool {
        if !holds(Rule::OffersAreLocked) {
            return true;
        }
        let mut more: Vec<u64> = keys.filter(|key| !self.holds(id, *key)).collect();
        more.sort_unstable();
        more.dedup();
        let keys = &self.keys;
        let is_locked = |key: &u64| keys.contains_key(key);
        let Some(holder) = self.holders.get_mut(&id).filter(|_| !more.iter().any(is_locked)) else {
            return more.is_empty();
        };
        for key in more {
            holder.footprint.keys.push((key, Mode::Exclusive));
            self.keys.insert(key, Lock::One { id, mode: Mode::Exclusive });
        }
        true
    }

    /// Lets others read in the shard that `id` holds for itself. Returns those that hold all of theirs now.
    pub fn let_read(&mut self, id: TxId) -> Vec<TxId> {
        let mut complete = Vec::new();
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.footprint = Footprint::shard(Mode::Shared);
            self.shard.let_read(id, |id| note_granted(&mut self.holders, id, &mut complete));
        }
        complete
    }

    /// Gives back up to so many of the locks that `id` holds or waits for. Returns those that hold all of theirs now,
    /// lowest txid first, and whether none is left.
    pub fn release(&mut self, id: TxId, most: usize) -> (Vec<TxId>, bool) {
        let Some(holder) = self.holders.get_mut(&id) else { return (Vec::new(), true) };
        let some = holder.footprint.split_off(most);
        let is_done = holder.footprint.is_empty();
        if is_done {
            self.holders.remove(&id);
        }
        let mut complete = Vec::new();
        let mut granted = |id| note_granted(&mut self.holders, id, &mut complete);
        for (key, _) in some.keys {
            if let Entry::Occupied(mut entry) = self.keys.entry(key)
                && entry.get_mut().release(id, &mut granted)
            {
                entry.remove();
            }
        }
        if some.shard.is_some() {
            self.shard.release(id, &mut granted);
        }
        if self.shard.is_unused() {
            // Nobody is left who could be waited for.
            self.shard.last = TxId::default();
        }
        if self.keys.is_empty() && self.keys.capacity() > LOCKS_KEPT {
            self.keys = Map::default();
        }
        complete.sort_unstable();
        (complete, is_done)
    }
}

/// One has been granted a lock that it has waited for; `complete` gets those that wait for no other.
fn note_granted(holders: &mut Map<TxId, Holder>, id: TxId, complete: &mut Vec<TxId>) {
    if let Some(holder) = holders.get_mut(&id) {
        holder.missing -= 1;
        if holder.missing == 0 {
            complete.push(id);
        }
    }
}

/// Room for locks that is kept when there are none.
const LOCKS_KEPT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(keys: &[(u64, bool)]) -> Footprint {
        Footprint::keys(keys.iter().copied())
    }

    fn released(table: &mut LockTable, id: TxId) -> Vec<TxId> {
        let (complete, is_done) = table.release(id, usize::MAX);
        assert!(is_done);
        complete
    }

    #[test]
    fn a_claim_adds_keys_once_and_waits_for_lower_txids_only() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(1), keys(&[(7, true)])), Verdict::Granted);
        assert_eq!(table.request(TxId(2), Footprint::for_writing([5].into_iter())), Verdict::Granted);
        assert_eq!(table.claim(TxId(2), vec![6, 5, 6]), Verdict::Granted);
        assert!([5, 6].iter().all(|&key| table.holds(TxId(2), key)));
        assert_eq!(table.claim(TxId(2), vec![7, 8]), Verdict::Queued);
        assert!(!table.holds(TxId(2), 5), "not all are there");
        assert_eq!(table.request(TxId(3), keys(&[(9, false)])), Verdict::Granted);
        assert_eq!(released(&mut table, TxId(1)), [TxId(2)]);
        assert_eq!(table.claim(TxId(2), vec![10, 9]), Verdict::Refused);
        assert!(!table.blocks(&keys(&[(10, true)])), "the refused one took nothing");
        assert!(table.blocks(&keys(&[(8, false)])));
        assert_eq!(table.request(TxId(4), keys(&[(8, false), (5, true)])), Verdict::Queued);
        let mut complete = Vec::new();
        loop {
            let (some, is_done) = table.release(TxId(2), 2);
            complete.extend(some);
            if is_done {
                break;
            }
            assert!(!table.is_empty());
        }
        assert_eq!(complete, [TxId(4)]);
        for id in [3, 4] {
            released(&mut table, TxId(id));
        }
        assert!(table.is_empty() && table.keys.is_empty());
    }

    #[test]
    fn readers_share_and_a_writer_waits_for_them() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(1), keys(&[(7, false)])), Verdict::Granted);
        assert_eq!(table.request(TxId(2), keys(&[(7, false)])), Verdict::Granted);
        assert_eq!(table.request(TxId(3), keys(&[(7, true)])), Verdict::Queued);
        assert!(released(&mut table, TxId(1)).is_empty());
        assert_eq!(released(&mut table, TxId(2)), [TxId(3)]);
        assert!(released(&mut table, TxId(3)).is_empty());
        assert!(table.is_empty());
    }

    #[test]
    fn who_would_wait_for_a_higher_txid_is_refused() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(5), keys(&[(1, true)])), Verdict::Granted);
        assert_eq!(table.request(TxId(4), keys(&[(1, false), (2, true)])), Verdict::Refused);
        assert_eq!(
            table.request(TxId(6), keys(&[(2, true)])),
            Verdict::Granted,
            "the refused one took nothing"
        );
    }

    #[test]
    fn who_lets_others_read_keeps_writers_out_until_it_goes() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(1), Footprint::shard(Mode::Exclusive)), Verdict::Granted);
        assert_eq!(table.request(TxId(2), keys(&[(7, false)])), Verdict::Queued);
        assert_eq!(table.request(TxId(3), keys(&[(8, true)])), Verdict::Queued);
        assert_eq!(table.let_read(TxId(1)), [TxId(2)]);
        assert!(table.blocks(&keys(&[(9, true)])) && !table.blocks(&keys(&[(9, false)])));
        assert!(table.blocks(&keys(&[(8, false)])), "it would overtake who writes it");
        assert_eq!(released(&mut table, TxId(1)), [TxId(3)]);
        for id in [2, 3] {
            released(&mut table, TxId(id));
        }
        assert!(table.is_empty() && table.keys.is_empty());
    }

    #[test]
    fn nobody_overtakes_a_waiter() {
        let mut table = LockTable::default();
        table.request(TxId(1), keys(&[(1, false)]));
        table.request(TxId(2), keys(&[(1, true)]));
        assert_eq!(table.request(TxId(3), keys(&[(1, false)])), Verdict::Queued);
        assert_eq!(released(&mut table, TxId(1)), [TxId(2)]);
        assert_eq!(released(&mut table, TxId(2)), [TxId(3)]);
    }

    #[test]
    fn the_shard_lock_stands_against_every_key() {
        let mut table = LockTable::default();
        table.request(TxId(1), keys(&[(1, false)]));
        assert_eq!(table.request(TxId(2), Footprint::shard(Mode::Exclusive)), Verdict::Queued);
        assert!(table.blocks(&keys(&[(99, false)])));
        assert_eq!(released(&mut table, TxId(1)), [TxId(2)]);
        assert_eq!(released(&mut table, TxId(2)), []);
        table.request(TxId(3), Footprint::shard(Mode::Shared));
        assert!(!table.blocks(&keys(&[(1, false)])));
        assert!(table.blocks(&keys(&[(1, true)])));
    }

    #[test]
    fn a_key_named_twice_is_held_in_its_strongest_mode() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(1), keys(&[(1, false), (1, true)])), Verdict::Granted);
        assert!(table.blocks(&keys(&[(1, false)])));
        released(&mut table, TxId(1));
        assert!(table.is_empty());
    }

    proptest! {
        /// Random requests and releases: holders never conflict, everyone queued is granted in the end.
        #[test]
        fn holders_never_conflict_and_every_waiter_is_served(
            script in prop::collection::vec((1u64..40, prop::collection::vec((0u64..5, any::<bool>()), 0..4), any::<bool>()), 1..60)
        ) {
            let mut table = LockTable::default();
            let (mut holding, mut queued) = (Vec::<(TxId, Footprint)>::new(), Vec::<(TxId, Footprint)>::new());
            let mut used = Vec::new();
            for (id, wanted, release) in script {
                let id = TxId(id);
                if release && !holding.is_empty() {
                    let (gone, _) = holding.remove(0);
                    for granted in released(&mut table, gone) {
                        let at = queued.iter().position(|(waiting, _)| *waiting == granted).expect("it was queued");
                        holding.push(queued.remove(at));
                    }
                } else if !used.contains(&id) {
                    used.push(id);
                    let footprint = if wanted.is_empty() { Footprint::shard(Mode::Exclusive) } else { keys(&wanted) };
                    match table.request(id, footprint.clone()) {
                        Verdict::Granted => holding.push((id, footprint)),
                        Verdict::Queued => queued.push((id, footprint)),
                        Verdict::Refused => {}
                    }
                }
                for (at, (_, a)) in holding.iter().enumerate() {
                    for (_, b) in &holding[..at] {
                        let shards = a.shard.zip(b.shard).is_some_and(|(x, y)| x.conflicts(y));
                        let clash = shards || a.keys.iter().any(|x| b.keys.iter().any(|y| x.0 == y.0 && x.1.conflicts(y.1)));
                        prop_assert!(!clash);
                    }
                }
            }
            while let Some((gone, _)) = holding.pop() {
                for granted in released(&mut table, gone) {
                    let at = queued.iter().position(|(waiting, _)| *waiting == granted).expect("it was queued");
                    holding.push(queued.remove(at));
                }
            }
            prop_assert!(queued.is_empty(), "nobody waits for nobody");
            prop_assert!(table.is_empty() && table.keys.is_empty());
        }
    }
}
