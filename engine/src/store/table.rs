//! The table of one database: extendible hashing over bounded swiss tables.
//!
//! ```text
//!  directory, indexed by the top `depth` bits of the hash        segments
//!  ┌────┬────┬────┬────┬────┬────┬────┬────┐      a segment of depth d stands in
//!  │ 000│ 001│ 010│ 011│ 100│ 101│ 110│ 111│      2^(depth - d) neighbouring places
//!  └─┬──┴─┬──┴─┬──┴─┬──┴─┬──┴─┬──┴─┬──┴─┬──┘
//!    └──┬─┘    │    │    └────┴─┬──┴────┘
//!      00     010  011          1
//! ```
//!
//! A full segment of the largest size splits by the next bit; buddies that empty out merge again, and the
//! directory halves when no segment needs its last bit. One operation rehashes one segment at the most; besides
//! that it copies the directory, 4 bytes to a segment, whenever the number of segments has doubled.
//!
//! Invariants:
//! - `directory` is empty (nothing was ever inserted) or has `1 << depth` places;
//! - `at_depth[d]` counts the segments of depth `d`; `at_depth[depth]` is not 0 unless `depth` is 0.
//!
//! Source: Fagin, Nievergelt, Pippenger, Strong, "Extendible hashing", TODS 1979.

use hashbrown::HashTable;

use super::entry::Entry;
use super::key_hash::{KeyHash, KeyHasher};
use super::segment::Segment;
use super::slab::Slab;
use super::walk::{Recorded, Recorder, Walk};

/// Deepest level: 2^28 segments hold over 200 billion entries, and a SCAN cursor stays below 2^44.
pub(crate) const DEPTH_MAX: u8 = 28;

/// Where an entry is to be looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought<'t> {
    segment: &'t Segment,
    hash: KeyHash,
}

impl<'t> Sought<'t> {
    /// Starts fetching the entry, if there is one. Returns what most probably is the key's.
    #[inline]
    pub(super) fn prefetch(&self) -> Option<&'t Entry> {
        self.segment.prefetch(self.hash)
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    hasher: KeyHasher,
    directory: Vec<u32>,
    segments: Slab,
    at_depth: [u32; DEPTH_MAX as usize + 1],
    depth: u8,
    /// Bytes allocated for the segments' buckets.
    buckets_memory: usize,
    /// That of entries which the last walk has recorded, or which came after its cut. See `walk`.
    mark: bool,
    walk: Option<Box<Walk>>,
}

impl Table {
    pub(crate) fn new(hasher: KeyHasher) -> Self {
        Self {
            hasher,
            directory: Vec::new(),
            segments: Slab::default(),
            at_depth: [0; DEPTH_MAX as usize + 1],
            depth: 0,
            buckets_memory: 0,
            mark: false,
            walk: None,
        }
    }

    /// An empty table under the same hash.
    pub(crate) fn new_empty(&self) -> Self {
        Self::new(self.hasher.clone())
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        self.hasher.hash(key)
    }

    /// Bytes allocated, entries' blocks excluded.
    pub(crate) fn memory(&self) -> usize {
        self.buckets_memory + self.directory.capacity() * size_of::<u32>() + self.segments.memory()
    }

    /// The segment of a hash; `None` while there is none at all.
    #[inline]
    pub(crate) fn segment(&self, hash: KeyHash) -> Option<&Segment> {
        let &id = self.directory.get(hash.prefix(self.depth))?;
        Some(self.segments.at(id))
    }

    /// Starts fetching what finding a hash begins with.
    #[inline]
    pub(super) fn seek(&self, hash: KeyHash) -> Option<Sought<'_>> {
        let segment = self.segment(hash)?;
        segment.prefetch_buckets(hash);
        Some(Sought { segment, hash })
    }

    /// The segment of a hash, and what has to see every entry of it that changes, goes or comes.
    #[inline]
    pub(crate) fn segment_mut(&mut self, hash: KeyHash) -> Option<(&mut Segment, Recorder<'_>)> {
        let &id = self.directory.get(hash.prefix(self.depth))?;
        Some(self.at_mut(id))
    }

    #[inline]
    fn at_mut(&mut self, id: u32) -> (&mut Segment, Recorder<'_>) {
        (self.segments.at_mut(id), Recorder::new(self.walk.as_deref_mut(), self.mark))
    }

    /// How many bits of the hash the directory is indexed by.
    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Places in the directory.
    pub(crate) fn places(&self) -> usize {
        self.directory.len()
    }

    /// The first segment with entries of a prefix, or the one they share with others.
    pub(crate) fn segment_of_prefix(&self, prefix: usize, depth: u8) -> Option<&Segment> {
        self.segment(KeyHash::of_prefix(prefix, depth))
    }

    /// The segment in a place of the directory.
    pub(crate) fn segment_at(&self, place: usize) -> Option<&Segment> {
        self.directory.get(place).map(|&id| self.segments.at(id))
    }

    /// As [`Table::segment_mut`].
    pub(crate) fn segment_at_mut(&mut self, place: usize) -> Option<(&mut Segment, Recorder<'_>)> {
        let &id = self.directory.get(place)?;
        Some(self.at_mut(id))
    }

    /// Starts a walk over what is there now, under this number of its database.
    pub(crate) fn begin_walk(&mut self, database: u32) {
        self.mark = !self.mark;
        self.walk = Some(Box::new(Walk::new(database, self.mark)));
    }

    pub(crate) fn is_walked(&self) -> bool {
        self.walk.is_some()
    }

    /// Bytes of memory that what the walk has recorded holds.
    pub(crate) fn recorded_bytes(&self) -> usize {
        self.walk.as_ref().map_or(0, |walk| walk.recorded_bytes())
    }

    /// Chunks among it that are full.
    pub(crate) fn recorded_chunks(&self) -> usize {
        self.walk.as_ref().map_or(0, |walk| walk.full_chunks())
    }

    /// The walk records nothing any more.
    pub(crate) fn abandon_walk(&mut self) {
        self.walk.as_mut().into_iter().for_each(|walk| walk.abandon());
    }

    /// Records up to `budget` entries, fewer if they are large; takes off the budget what it did. Returns the chunks
    /// that are complete; after the last step, all that are left.
    pub(crate) fn walk_step(&mut self, budget: &mut usize) -> Recorded {
        while let Some(walk) = &mut self.walk {
            let place = walk.place(self.depth);
            let Some(&id) = place.and_then(|place| self.directory.get(place)) else {
                return self.walk.take().map(|walk| walk.finish()).unwrap_or_default();
            };
            if *budget == 0 {
                return walk.take_full();
            }
            walk.record_some(self.segments.at_mut(id), budget);
        }
        Recorded::default()
    }

    /// Gives back what a segment that lost entries no longer needs.
    pub(crate) fn contract_prefix(&mut self, prefix: usize, depth: u8) {
        self.contract(KeyHash::of_prefix(prefix, depth));
    }

    /// Every segment once, in the order of prefixes.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let segment = self.segment_at(place)?;
            place += 1 << (self.depth - segment.depth());
            Some(segment)
        })
    }

    /// As [`Table::segment_mut`], with room for one more entry.
    #[inline]
    pub(crate) fn segment_with_room(&mut self, hash: KeyHash) -> (&mut Segment, Recorder<'_>) {
        let id = match self.directory.get(hash.prefix(self.depth)) {
            Some(&id) if !self.segments.at(id).is_full() => id,
            _ => self.make_room(hash),
        };
        self.at_mut(id)
    }

    /// Removes an entry, and gives back what the table no longer needs.
    pub(crate) fn remove(&mut self, hash: KeyHash, key: &[u8]) -> Option<Entry> {
        let tag = hash.tag();
        let (segment, mut recorder) = self.segment_mut(hash)?;
        let mut found = segment.entries.find_entry(hash.bucket(), |entry| entry.matches(tag, key)).ok()?;
        recorder.before_change(found.get_mut());
        let (entry, _) = found.remove();
        segment.deadlines.subtract(entry.is_volatile());
        if segment.is_sparse() {
            self.contract(hash);
        }
        Some(entry)
    }

    /// Takes the entries of one segment after another out of a table that is being given up.
    pub(crate) fn take_segment(&mut self) -> Option<HashTable<Entry>> {
        self.segments.pop().map(|segment| segment.entries)
    }

    #[cold]
    fn make_room(&mut self, hash: KeyHash) -> u32 {
        if self.directory.is_empty() {
            self.directory.push(self.segments.insert(Segment::new(0, 0)));
            self.at_depth[0] = 1;
        }
        loop {
            let id = self.directory[hash.prefix(self.depth)];
            let segment = self.segments.at_mut(id);
            if !segment.is_full() {
                return id;
            }
            if segment.can_grow() || segment.depth() == DEPTH_MAX {
                self.buckets_memory -= segment.memory();
                segment.grow();
                self.buckets_memory += segment.memory();
            } else {
                self.split(id);
            }
        }
    }

    fn split(&mut self, id: u32) {
        let segment = self.segments.at_mut(id);
        self.buckets_memory -= segment.memory();
        let high = segment.split(&self.hasher);
        self.buckets_memory += segment.memory() + high.memory();
        let (depth, prefix) = (high.depth(), high.prefix());
        self.at_depth[usize::from(depth) - 1] -= 1;
        self.at_depth[usize::from(depth)] += 2;
        let high = self.segments.insert(high);
        if depth > self.depth {
            self.double_directory();
        }
        self.point(prefix, depth, high);
    }

    fn double_directory(&mut self) {
        self.depth += 1;
        let mut doubled = Vec::with_capacity(self.directory.len() * 2);
        doubled.extend(self.directory.iter().flat_map(|&id| [id, id]));
        self.directory = doubled;
    }

    /// Lets every place that begins with a prefix of `depth` bits point to a segment.
    fn point(&mut self, prefix: usize, depth: u8, id: u32) {
        let shift = self.depth - depth;
        self.directory[prefix << shift..(prefix + 1) << shift].fill(id);
    }

    #[cold]
    fn contract(&mut self, hash: KeyHash) {
        while self.merge_with_buddy(hash) {}
        let id = self.directory[hash.prefix(self.depth)];
        let segment = self.segments.at_mut(id);
        self.buckets_memory -= segment.memory();
        segment.shrink();
        self.buckets_memory += segment.memory();
    }

    fn merge_with_buddy(&mut self, hash: KeyHash) -> bool {
        let id = self.directory[hash.prefix(self.depth)];
        let segment = self.segments.at(id);
        let depth = segment.depth();
        if depth == 0 {
            return false;
        }
        let buddy_id = self.directory[(segment.prefix() ^ 1) << (self.depth - depth)];
        if !segment.fits_with(self.segments.at(buddy_id)) {
            return false;
        }
        let buddy = self.segments.remove(buddy_id);
        let segment = self.segments.at_mut(id);
        self.buckets_memory -= segment.memory() + buddy.memory();
        segment.merge(buddy);
        self.buckets_memory += segment.memory();
        let prefix = segment.prefix();
        self.at_depth[usize::from(depth)] -= 2;
        self.at_depth[usize::from(depth) - 1] += 1;
        self.point(prefix, depth - 1, id);
        self.halve_directory();
        true
    }

    fn halve_directory(&mut self) {
        while self.depth > 0 && self.at_depth[usize::from(self.depth)] == 0 {
            self.depth -= 1;
            self.directory = self.directory.iter().copied().step_by(2).collect();
        }
    }
}

#[cfg(test)]
impl Table {
    /// How many entries a walk has yet to come by.
    pub(crate) fn unrecorded(&self) -> usize {
        self.segments().flat_map(|segment| &segment.entries).filter(|entry| entry.mark() != self.mark).count()
    }

    /// Checks what the module promises of the table's structure.
    pub(crate) fn assert_invariants(&self) {
        let mut at_depth = [0; DEPTH_MAX as usize + 1];
        let mut buckets_memory = 0;
        for segment in self.segments() {
            at_depth[usize::from(segment.depth())] += 1;
            buckets_memory += segment.memory();
            segment.assert_invariants(&self.hasher);
            let places = segment.prefix() << (self.depth - segment.depth());
            let id = self.directory[places];
            let end = places + (1 << (self.depth - segment.depth()));
            assert!(self.directory[places..end].iter().all(|&other| other == id));
        }
        assert!(self.is_walked() || self.unrecorded() == 0);
        assert_eq!(at_depth, self.at_depth);
        assert_eq!(buckets_memory, self.buckets_memory);
        assert!(self.directory.is_empty() || self.directory.len() == 1 << self.depth);
        assert!(self.depth == 0 || self.at_depth[usize::from(self.depth)] > 0);
    }
}
