//! The keyspace of a shard: its numbered databases.

use super::db::Db;
use super::key_hash::KeyHasher;
use crate::journal::Chunk;

/// The databases of one shard, all under one hash seed.
#[derive(Debug)]
pub struct Keyspace {
    dbs: Vec<Db>,
}

impl Keyspace {
    /// `seed` keys the hash; it must not be known to clients.
    pub fn new(databases: usize, seed: u64) -> Self {
        let hasher = KeyHasher::new(seed);
        Self { dbs: (0..databases).map(|_| Db::new(hasher.clone())).collect() }
    }

    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// # Panics
    /// If there is no such database: indexes are checked where SELECT and its like are parsed.
    #[inline]
    pub fn db(&self, index: usize) -> &Db {
        &self.dbs[index]
    }

    /// # Panics
    /// As [`Keyspace::db`].
    #[inline]
    pub fn db_mut(&mut self, index: usize) -> &mut Db {
        &mut self.dbs[index]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Db> {
        self.dbs.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Db> {
        self.dbs.iter_mut()
    }

    /// # Panics
    /// As [`Keyspace::db`].
    pub fn swapdb(&mut self, a: usize, b: usize) {
        self.dbs.swap(a, b);
    }

    /// Keys in all databases.
    pub fn len(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.dbs.iter().all(Db::is_empty)
    }

    /// Bytes held by all databases.
    pub fn memory(&self) -> usize {
        self.dbs.iter().map(Db::memory).sum()
    }

    /// The access clock that keys get when they are created, in every database.
    pub fn set_access_at_birth(&mut self, access: u32) {
        self.dbs.iter_mut().for_each(|db| db.set_access_at_birth(access));
    }

    /// The cut: what is there now, in all databases, is recorded from here on by [`Keyspace::walk_step`], whatever
    /// changes meanwhile.
    ///
    /// # Panics
    /// If a walk is under way.
    pub fn begin_walk(&mut self) {
        assert!(!self.is_walked(), "one walk at a time");
        for (index, db) in self.dbs.iter_mut().enumerate().filter(|(_, db)| !db.is_empty()) {
            db.begin_walk(index as u32);
        }
    }

    pub fn is_walked(&self) -> bool {
        self.dbs.iter().any(Db::is_walked)
    }

    /// Records about `budget` entries. True if there is more to do.
    pub fn walk_step(&mut self, budget: usize) -> bool {
        let mut left = budget;
        self.dbs.iter_mut().filter(|db| db.is_walked()).for_each(|db| db.walk_step(&mut left));
        self.is_walked()
    }

    /// Bytes of memory that walks hold: what has been recorded and not been taken, and what was cleared and is kept for
    /// them.
    pub fn recorded_bytes(&self) -> usize {
        self.dbs.iter().map(Db::recorded_bytes).sum()
    }

    /// Chunks among it that are full.
    pub fn recorded_chunks(&self) -> usize {
        self.dbs.iter().map(Db::recorded_chunks).sum()
    }

    /// What the walk has not recorded yet, nobody wants any more: it goes on to its end, and records nothing.
    pub fn abandon_walk(&mut self) {
        self.dbs.iter_mut().for_each(Db::abandon_walk);
    }

    /// The next chunk of what has been recorded; a last one of each database comes when the walk is over.
    pub fn take_recorded(&mut self) -> Option<Chunk> {
        self.dbs.iter_mut().find_map(Db::take_recorded)
    }

    /// Frees up to about `budget` allocations of what was cleared, replaced or buried; true if more is left.
    pub fn free_step(&mut self, budget: usize) -> bool {
        let left = self.dbs.iter_mut().filter_map(|db| db.free_step(budget).then_some(())).count();
        left > 0
    }
}
