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

/// What a lock is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    Shard,
    Key(u64),
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

/// Everything one transaction locks on one shard, each resource once, in its strongest mode.
#[derive(Clone, Debug, Default)]
pub struct Footprint(Vec<(Resource, Mode)>);

impl Footprint {
    /// The whole shard.
    pub fn shard(mode: Mode) -> Self {
        Self(vec![(Resource::Shard, mode)])
    }

    /// Keys that may be written, and more of them later.
    pub fn for_writing(keys: impl Iterator<Item = u64>) -> Self {
        let mut footprint = Self::keys(keys.map(|hash| (hash, true)));
        footprint.0.retain(|(resource, _)| *resource != Resource::Shard);
        footprint.0.push((Resource::Shard, Mode::IntentExclusive));
        footprint
    }

    /// Keys: hash, and whether it may be written.
    pub fn keys(keys: impl Iterator<Item = (u64, bool)>) -> Self {
        let mut all: Vec<_> =
            keys.map(|(hash, writes)| (Resource::Key(hash), Mode::of_key(writes))).collect();
        let intent = all.iter().map(|(_, mode)| mode.intent()).max().unwrap_or(Mode::IntentShared);
        all.push((Resource::Shard, intent));
        // The strongest mode of each resource first, and only it kept.
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        all.dedup_by_key(|(resource, _)| *resource);
        Self(all)
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

#[derive(Debug, Default)]
struct Lock {
    granted: Line,
    waiting: Line,
    /// Highest txid that ever asked while the lock was in use.
    last: TxId,
}

impl Lock {
    fn conflicts(&self, mode: Mode) -> bool {
        self.granted.conflicts(mode) || self.waiting.conflicts(mode)
    }

    fn remove(&mut self, id: TxId) {
        if !self.granted.remove(id) {
            self.waiting.remove(id);
        }
    }

    fn is_unused(&self) -> bool {
        self.granted.members.is_empty() && self.waiting.members.is_empty()
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
    /// Boxed: a table of 100,000 locks is still small enough to grow in a moment.
    locks: Map<Resource, Box<Lock>>,
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
        footprint
            .0
            .iter()
            .any(|(resource, mode)| self.locks.get(resource).is_some_and(|lock| lock.conflicts(*mode)))
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
        let more = Footprint(keys.iter().map(|key| (Resource::Key(*key), Mode::Exclusive)).collect());
        let Some(missing) = self.line_up(id, &more) else { return Verdict::Refused };
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.footprint.0.extend(more.0);
            holder.missing += missing;
        }
        Verdict::of(missing)
    }

    /// Takes the locks of a footprint or stands in line for them: for how many. None, and nothing is taken, if a higher txid
    /// is in the way.
    fn line_up(&mut self, id: TxId, footprint: &Footprint) -> Option<usize> {
        let is_refused = |(resource, mode): &(Resource, Mode)| {
            self.locks.get(resource).is_some_and(|lock| lock.last > id && lock.conflicts(*mode))
        };
        if holds(Rule::LateComersAreRefused) && footprint.0.iter().any(is_refused) {
            return None;
        }
        let mut missing = 0;
        for &(resource, mode) in &footprint.0 {
            let lock = self.locks.entry(resource).or_default();
            if lock.conflicts(mode) {
                lock.waiting.push(id, mode);
                missing += 1;
            } else {
                lock.granted.push(id, mode);
            }
            lock.last = lock.last.max(id);
        }
        Some(missing)
    }

    /// Whether `id` has all of its locks, and may write a key: it holds that, or the whole shard.
    pub fn holds(&self, id: TxId, key: u64) -> bool {
        self.writer_of(key) == Some(id) && self.holders.get(&id).is_some_and(|holder| holder.missing == 0)
    }

    /// Who may write a key, once it has all of its locks.
    pub fn writer_of(&self, key: u64) -> Option<TxId> {
        let resources = [Resource::Shard, Resource::Key(key)];
        resources.iter().find_map(|resource| self.locks.get(resource)?.granted.writer())
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
        let locks = &self.locks;
        let is_locked = |key: &u64| locks.contains_key(&Resource::Key(*key));
        let Some(holder) = self.holders.get_mut(&id).filter(|_| !more.iter().any(is_locked)) else {
            return more.is_empty();
        };
        for key in more {
            let resource = Resource::Key(key);
            holder.footprint.0.push((resource, Mode::Exclusive));
            let lock = self.locks.entry(resource).or_default();
            lock.granted.push(id, Mode::Exclusive);
            lock.last = id;
        }
        true
    }

    /// Lets others read in the shard that `id` holds for itself. Returns those that hold all of theirs now.
    pub fn let_read(&mut self, id: TxId) -> Vec<TxId> {
        let mut complete = Vec::new();
        let Some(holder) = self.holders.get_mut(&id) else { return complete };
        holder.footprint = Footprint::shard(Mode::Shared);
        let Some(lock) = self.locks.get_mut(&Resource::Shard) else { return complete };
        if lock.granted.remove(id) {
            lock.granted.push(id, Mode::Shared);
        }
        self.advance(Resource::Shard, &mut complete);
        complete
    }

    /// Gives back up to so many of the locks that `id` holds or waits for. Returns those that hold all of theirs now,
    /// lowest txid first, and whether none is left.
    pub fn release(&mut self, id: TxId, most: usize) -> (Vec<TxId>, bool) {
        let Some(holder) = self.holders.get_mut(&id) else { return (Vec::new(), true) };
        let footprint = &mut holder.footprint.0;
        let some = footprint.split_off(footprint.len().saturating_sub(most));
        let is_done = footprint.is_empty();
        if is_done {
            self.holders.remove(&id);
        }
        let mut complete = Vec::new();
        for (resource, _) in some {
            self.release_one(id, resource, &mut complete);
        }
        if self.locks.is_empty() && self.locks.capacity() > LOCKS_KEPT {
            self.locks = Map::default();
        }
        complete.sort_unstable();
        (complete, is_done)
    }

    fn release_one(&mut self, id: TxId, resource: Resource, complete: &mut Vec<TxId>) {
        if let Some(lock) = self.locks.get_mut(&resource) {
            lock.remove(id);
            self.advance(resource, complete);
        }
    }

    fn advance(&mut self, resource: Resource, complete: &mut Vec<TxId>) {
        let Some(lock) = self.locks.get_mut(&resource) else { return };
        lock.advance(|granted| {
            if let Some(holder) = self.holders.get_mut(&granted) {
                holder.missing -= 1;
                if holder.missing == 0 {
                    complete.push(granted);
                }
            }
        });
        if lock.is_unused() {
            self.locks.remove(&resource);
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
        assert!(table.is_empty() && table.locks.is_empty());
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
        assert!(table.is_empty() && table.locks.is_empty());
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
                        let clash = a.0.iter().any(|x| b.0.iter().any(|y| x.0 == y.0 && x.1.conflicts(y.1)));
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
            prop_assert!(table.is_empty() && table.locks.is_empty());
        }
    }
}
