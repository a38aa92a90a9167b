//! Ids found by the hash of what they stand for: a hash table whose growth never stops the world.
//!
//! Extendible hashing: a directory over the hash's top bits points to small swiss tables. A full one is split
//! alone, so an insert moves at most [`SEGMENT_MAX`] ids, and only the directory (4 bytes for every segment) is
//! ever copied whole.
//!
//! ```text
//! directory     000 001 010 011 100 101 110 111
//!                └───┬───┘   │   └───────┬───┘
//! segments      depth 2   depth 3     depth 1
//! ```
//!
//! A slot holds the id alone: what it stands for is with the owner, who compares it and hashes it anew when ids
//! move.
//!
//! Invariant: the places of a segment in the directory are those whose first `depth` bits are its own.

use hashbrown::HashTable;

use crate::store::key_hash::KeyHash;

/// Ids of a segment before it is split: what fits 1024 buckets.
const SEGMENT_MAX: usize = 896;
/// Segments up to this many buckets are not worth shrinking.
const SHRINK_BUCKETS_MIN: usize = 32;
/// Prefixes longer than the hash's would never tell two ids apart; segments grow from there on.
const DEPTH_MAX: u8 = 28;

#[derive(Clone, Debug)]
pub(crate) struct IdIndex {
    directory: Vec<u32>,
    segments: Vec<Segment>,
    depth: u8,
    tables_memory: usize,
}

#[derive(Clone, Debug)]
struct Segment {
    ids: HashTable<u32>,
    depth: u8,
}

impl IdIndex {
    pub(crate) fn new() -> Self {
        let segments = vec![Segment { ids: HashTable::new(), depth: 0 }];
        Self { directory: vec![0], segments, depth: 0, tables_memory: 0 }
    }

    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let segment = &self.segments[self.directory[hash.prefix(self.depth)] as usize];
        segment.ids.find(hash.bucket(), |&id| is_it(id)).copied()
    }

    /// Puts in an id that is not there yet. `hash_of` is asked for the hashes of those that have to move.
    pub(crate) fn insert(&mut self, hash: KeyHash, id: u32, hash_of: impl Fn(u32) -> KeyHash) {
        let number = self.segment_with_room(hash, &hash_of);
        let ids = &mut self.segments[number].ids;
        let before = ids.allocation_size();
        ids.insert_unique(hash.bucket(), id, |&id| hash_of(id).bucket());
        self.tables_memory = self.tables_memory - before + ids.allocation_size();
    }

    pub(crate) fn remove(&mut self, hash: KeyHash, id: u32, hash_of: impl Fn(u32) -> KeyHash) {
        let ids = &mut self.segments[self.directory[hash.prefix(self.depth)] as usize].ids;
        if let Ok(place) = ids.find_entry(hash.bucket(), |&other| other == id) {
            place.remove();
        }
        if ids.num_buckets() > SHRINK_BUCKETS_MIN && ids.len() < ids.num_buckets() / 8 {
            let before = ids.allocation_size();
            ids.shrink_to(ids.len() * 2, |&id| hash_of(id).bucket());
            self.tables_memory = self.tables_memory - before + ids.allocation_size();
        }
    }

    /// Gives what an id stands for another id.
    pub(crate) fn replace(&mut self, hash: KeyHash, id: u32, by: u32) {
        let ids = &mut self.segments[self.directory[hash.prefix(self.depth)] as usize].ids;
        if let Some(slot) = ids.find_mut(hash.bucket(), |&other| other == id) {
            *slot = by;
        }
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        self.tables_memory
            + self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
    }

    /// Frees one segment, for good: nothing is found after that. False if none was left.
    pub(crate) fn free_segment(&mut self) -> bool {
        self.segments.pop().is_some()
    }

    fn segment_with_room(&mut self, hash: KeyHash, hash_of: &impl Fn(u32) -> KeyHash) -> usize {
        loop {
            let number = self.directory[hash.prefix(self.depth)] as usize;
            let segment = &self.segments[number];
            if segment.ids.len() < SEGMENT_MAX || segment.depth == DEPTH_MAX {
                return number;
            }
            self.split(number, hash, hash_of);
        }
    }

    /// Splits the segment that a hash belongs to.
    fn split(&mut self, number: usize, hash: KeyHash, hash_of: &impl Fn(u32) -> KeyHash) {
        let depth = self.segments[number].depth + 1;
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|&number| [number, number]).collect();
            self.depth = depth;
        }
        let high_number = self.segments.len() as u32;
        let width = 1usize << (self.depth - depth);
        let first_high = (hash.prefix(depth) | 1) * width;
        self.directory[first_high..][..width].fill(high_number);

        let all = std::mem::take(&mut self.segments[number].ids);
        let before = all.allocation_size();
        let (mut low, mut high) = (table_for_half(&all), table_for_half(&all));
        for id in all {
            let hash = hash_of(id);
            let half = if hash.prefix(depth) & 1 == 1 { &mut high } else { &mut low };
            half.insert_unique(hash.bucket(), id, |&id| hash_of(id).bucket());
        }
        self.tables_memory = self.tables_memory - before + low.allocation_size() + high.allocation_size();
        self.segments[number] = Segment { ids: low, depth };
        self.segments.push(Segment { ids: high, depth });
    }
}

/// Room for half the ids and the odds of hashing.
fn table_for_half(ids: &HashTable<u32>) -> HashTable<u32> {
    HashTable::with_capacity(ids.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key_hash::KeyHasher;

    #[test]
    fn ids_are_found_until_they_are_removed() {
        const LEN: u32 = 50_000;
        let hasher = KeyHasher::new(7);
        let hash_of = |id: u32| hasher.hash(&id.to_be_bytes());
        let mut index = IdIndex::new();
        for id in 0..LEN {
            assert_eq!(index.find(hash_of(id), |other| other == id), None);
            index.insert(hash_of(id), id, hash_of);
        }
        let full = index.memory();
        assert!(full < LEN as usize * 13, "{full}");
        assert!(index.segments.len() > 32);
        let walked: usize = index.segments.iter().map(|segment| segment.ids.allocation_size()).sum();
        assert_eq!(index.tables_memory, walked);
        for id in (0..LEN).filter(|id| id % 100 > 0) {
            index.remove(hash_of(id), id, hash_of);
        }
        for id in 0..LEN {
            let found = index.find(hash_of(id), |other| other == id);
            assert_eq!(found, id.is_multiple_of(100).then_some(id));
        }
        assert!(index.memory() < full / 5, "{}", index.memory());
    }
}
