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

use crate::ids::TxId;

/// The hash that stands for a key in locks: the same on every reactor.
pub fn key_hash(key: &[u8]) -> u64 {
    foldhash::quality::FixedState::default().hash_one(key)
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
    locks: Map<Resource, Lock>,
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
        let refused = |(resource, mode): &(Resource, Mode)| {
            self.locks.get(resource).is_some_and(|lock| lock.last > id && lock.conflicts(*mode))
        };
        if footprint.0.iter().any(refused) {
            return Verdict::Refused;
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
        self.holders.insert(id, Holder { footprint, missing });
        if missing == 0 { Verdict::Granted } else { Verdict::Queued }
    }

    /// Whether `id` has all of its locks, and may write a key: it holds that, or the whole shard.
    pub fn holds(&self, id: TxId, key: u64) -> bool {
        let holder = self.holders.get(&id).filter(|holder| holder.missing == 0);
        holder.is_some_and(|holder| {
            holder.footprint.0.contains(&(Resource::Key(key), Mode::Exclusive))
                || holder.footprint.0.contains(&(Resource::Shard, Mode::Exclusive))
        })
    }

    /// Gives who holds all of its locks more keys to write, if nothing stands against it: false, and nothing is taken,
    /// otherwise.
    pub fn extend(&mut self, id: TxId, keys: impl Iterator<Item = u64>) -> bool {
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

    /// Gives back what `id` holds or waits for. Returns those that hold all of theirs now, lowest txid first.
    pub fn release(&mut self, id: TxId) -> Vec<TxId> {
        let Some(holder) = self.holders.remove(&id) else { return Vec::new() };
        let mut complete = Vec::new();
        for (resource, _) in holder.footprint.0 {
            let Some(lock) = self.locks.get_mut(&resource) else { continue };
            lock.remove(id);
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
        complete.sort_unstable();
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(keys: &[(u64, bool)]) -> Footprint {
        Footprint::keys(keys.iter().copied())
    }

    #[test]
    fn readers_share_and_a_writer_waits_for_them() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(1), keys(&[(7, false)])), Verdict::Granted);
        assert_eq!(table.request(TxId(2), keys(&[(7, false)])), Verdict::Granted);
        assert_eq!(table.request(TxId(3), keys(&[(7, true)])), Verdict::Queued);
        assert!(table.release(TxId(1)).is_empty());
        assert_eq!(table.release(TxId(2)), [TxId(3)]);
        assert!(table.release(TxId(3)).is_empty());
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
    fn nobody_overtakes_a_waiter() {
        let mut table = LockTable::default();
        table.request(TxId(1), keys(&[(1, false)]));
        table.request(TxId(2), keys(&[(1, true)]));
        assert_eq!(table.request(TxId(3), keys(&[(1, false)])), Verdict::Queued);
        assert_eq!(table.release(TxId(1)), [TxId(2)]);
        assert_eq!(table.release(TxId(2)), [TxId(3)]);
    }

    #[test]
    fn the_shard_lock_stands_against_every_key() {
        let mut table = LockTable::default();
        table.request(TxId(1), keys(&[(1, false)]));
        assert_eq!(table.request(TxId(2), Footprint::shard(Mode::Exclusive)), Verdict::Queued);
        assert!(table.blocks(&keys(&[(99, false)])));
        assert_eq!(table.release(TxId(1)), [TxId(2)]);
        assert_eq!(table.release(TxId(2)), []);
        table.request(TxId(3), Footprint::shard(Mode::Shared));
        assert!(!table.blocks(&keys(&[(1, false)])));
        assert!(table.blocks(&keys(&[(1, true)])));
    }

    #[test]
    fn a_key_named_twice_is_held_in_its_strongest_mode() {
        let mut table = LockTable::default();
        assert_eq!(table.request(TxId(1), keys(&[(1, false), (1, true)])), Verdict::Granted);
        assert!(table.blocks(&keys(&[(1, false)])));
        table.release(TxId(1));
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
                    for granted in table.release(gone) {
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
                for granted in table.release(gone) {
                    let at = queued.iter().position(|(waiting, _)| *waiting == granted).expect("it was queued");
                    holding.push(queued.remove(at));
                }
            }
            prop_assert!(queued.is_empty(), "nobody waits for nobody");
            prop_assert!(table.is_empty() && table.locks.is_empty());
        }
    }
}
