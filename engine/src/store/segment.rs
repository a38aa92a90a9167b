//! A segment: the bounded swiss table that the directory points to.
//!
//! Owns: entries whose hashes share the segment's prefix, how many of them expire, and a lower bound of the
//! earliest deadline. Growing, shrinking and merging read tags only; only a split reads keys.
//!
//! Invariants:
//! - every entry's hash begins with the `depth` bits of `prefix`;
//! - a segment below the deepest level has at most [`BUCKETS_MAX`] buckets;
//! - `deadlines` counts exactly the volatile entries, and none of them expires before its bound, nor any field of a
//!   hash before the bound of these.

use std::{mem, ptr};

use hashbrown::HashTable;

use super::block::prefetch_line;
use super::db::is_due;
use super::entry::Entry;
use super::key_hash::{KeyHash, KeyHasher};

/// Buckets of a full-grown segment: a split moves at most 7/8 of these.
pub(crate) const BUCKETS_MAX: usize = 2048;
/// Entries in a full segment.
pub(crate) const LEN_MAX: usize = BUCKETS_MAX / 8 * 7;
/// Two buddies with no more than this between them become one: half of what each has after a split.
const MERGED_MAX: usize = LEN_MAX / 4;
/// Tables up to this size are not worth shrinking.
const SHRINK_BUCKETS_MIN: usize = 32;
/// How far ahead a split fetches the keys it has to read.
const SPLIT_LOOKAHEAD: usize = 8;

/// Beyond the slot of its hash's bucket, where an entry may be instead; a line has so many.
const SLOTS_AHEAD: usize = 8;

/// The expiring entries of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    volatile: u32,
    /// No deadline is earlier; `u64::MAX` if there is none. A lower bound: removals leave it.
    earliest_ms: u64,
    /// The same of the fields of hashes.
    earliest_field_ms: u64,
}

impl Deadlines {
    const NONE: Self = Self { volatile: 0, earliest_ms: u64::MAX, earliest_field_ms: u64::MAX };

    #[inline]
    pub(crate) fn add(&mut self, expiry_ms: Option<u64>) {
        if let Some(expiry_ms) = expiry_ms {
            self.volatile += 1;
            self.earliest_ms = self.earliest_ms.min(expiry_ms);
        }
    }

    /// Takes notice of a hash's next field to expire.
    #[inline]
    pub(crate) fn note_field(&mut self, at_ms: Option<u64>) {
        if let Some(at_ms) = at_ms {
            self.earliest_field_ms = self.earliest_field_ms.min(at_ms);
        }
    }

    #[inline]
    pub(crate) fn subtract(&mut self, was_volatile: bool) {
        self.volatile -= u32::from(was_volatile);
        if self.volatile == 0 {
            self.earliest_ms = u64::MAX;
        }
    }

    #[inline]
    pub(crate) fn replace(&mut self, was_volatile: bool, expiry_ms: Option<u64>) {
        self.subtract(was_volatile);
        self.add(expiry_ms);
    }

    pub(crate) fn volatile(&self) -> usize {
        self.volatile as usize
    }

    /// False only if nothing is due.
    #[inline]
    pub(crate) fn may_be_due(&self, now_ms: u64) -> bool {
        is_due(self.earliest_ms, now_ms)
    }

    /// Tightens the bound to the earliest deadline there is.
    pub(crate) fn set_earliest(&mut self, earliest_ms: u64) {
        self.earliest_ms = earliest_ms;
    }

    /// False only if no field is due.
    #[inline]
    pub(crate) fn field_may_be_due(&self, now_ms: u64) -> bool {
        is_due(self.earliest_field_ms, now_ms)
    }

    /// Tightens the bound to the earliest deadline of any field.
    pub(crate) fn set_earliest_field(&mut self, earliest_ms: u64) {
        self.earliest_field_ms = earliest_ms;
    }

    /// What is left of the books when all entries are taken out to be put back: the bound of the fields holds for any
    /// part of them, and is not worth a look into every hash.
    fn emptied(self) -> Self {
        Self { earliest_field_ms: self.earliest_field_ms, ..Self::NONE }
    }

    fn merge(&mut self, other: Self) {
        self.volatile += other.volatile;
        self.earliest_ms = self.earliest_ms.min(other.earliest_ms);
        self.note_field(Some(other.earliest_field_ms));
    }
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) entries: HashTable<Entry>,
    pub(crate) deadlines: Deadlines,
    prefix: u32,
    depth: u8,
    /// Where the control bytes are: only ever fetched, so it may be wrong, as it is before the table first grows.
    control_hint: usize,
}

impl Segment {
    pub(crate) const fn new(prefix: u32, depth: u8) -> Self {
        Self { entries: HashTable::new(), deadlines: Deadlines::NONE, prefix, depth, control_hint: 0 }
    }

    pub(crate) fn prefix(&self) -> usize {
        self.prefix as usize
    }

    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Bytes allocated for buckets.
    pub(crate) fn memory(&self) -> usize {
        self.entries.allocation_size()
    }

    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<&Entry> {
        let tag = hash.tag();
        self.entries.find(hash.bucket(), |entry| entry.matches(tag, key))
    }

    /// Starts fetching the control bytes that a look-up begins with, and the slots that most probably go with them.
    #[inline]
    pub(super) fn prefetch_buckets(&self, hash: KeyHash) {
        let bucket = hash.bucket() as usize & (self.entries.num_buckets() - 1);
        let control = self.control_hint;
        // The entry is in the bucket of its hash, or in one of the next.
        let slot = control.wrapping_sub((bucket + 1) * size_of::<Entry>());
        let slots_ahead = slot.wrapping_sub(SLOTS_AHEAD * size_of::<Entry>());
        for line in [control.wrapping_add(bucket), slot, slots_ahead] {
            prefetch_line(ptr::without_provenance(line));
        }
    }

    /// Starts fetching the entry that most probably is the key's.
    #[inline]
    pub(super) fn prefetch(&self, hash: KeyHash) -> Option<&Entry> {
        let tag = hash.tag();
        let mut candidates = self.entries.iter_hash_buckets(hash.bucket());
        candidates.find_map(|bucket| {
            let entry = self.entries.get_bucket(bucket).filter(|entry| entry.tag() == tag)?;
            entry.prefetch();
            Some(entry)
        })
    }

    /// Whether one more entry would rehash the table.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() == self.entries.capacity()
    }

    /// Whether a full segment can make room without a split.
    pub(crate) fn can_grow(&self) -> bool {
        self.entries.num_buckets() < BUCKETS_MAX
    }

    /// Makes room for at least an eighth more: the next size up, or where replaced keys left tombstones the same
    /// size without them. (hashbrown's own choice is to double from half full on, so that a table of constant
    /// size would double once.)
    pub(crate) fn grow(&mut self) {
        let len = self.entries.len();
        let old = mem::replace(&mut self.entries, HashTable::with_capacity(len + len / 8 + 1));
        self.take_in(old);
        self.note_buckets();
    }

    /// Whether the segment and its buddy should be one.
    pub(crate) fn fits_with(&self, buddy: &Self) -> bool {
        self.depth == buddy.depth && self.entries.len() + buddy.entries.len() <= MERGED_MAX
    }

    /// Whether it is worth asking the buddy.
    #[inline]
    pub(crate) fn is_sparse(&self) -> bool {
        self.entries.len() <= MERGED_MAX / 2
    }

    /// Gives back buckets that a shrunken segment does not need. A few stay: keys that come and go one at a time
    /// should not allocate a table each time.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        let (len, buckets) = (self.entries.len(), self.entries.num_buckets());
        if buckets >= SHRINK_BUCKETS_MIN && len < buckets / 8 {
            self.entries.shrink_to(len * 2, Entry::bucket_hash);
            self.note_buckets();
        }
    }

    /// Moves the entries whose next bit is 1 into a new segment, and goes one bit deeper.
    pub(crate) fn split(&mut self, hasher: &KeyHasher) -> Self {
        self.depth += 1;
        self.prefix <<= 1;
        let mut high = Self::new(self.prefix | 1, self.depth);
        let (zeros, ones) = self.partition(hasher);
        self.deadlines = self.deadlines.emptied();
        high.deadlines = self.deadlines;
        self.fill(zeros);
        high.fill(ones);
        high
    }

    /// Takes in the entries of the buddy, and goes one bit up.
    pub(crate) fn merge(&mut self, buddy: Self) {
        self.depth -= 1;
        self.prefix >>= 1;
        self.deadlines.merge(buddy.deadlines);
        let room = self.entries.len() + buddy.entries.len();
        let own = mem::replace(&mut self.entries, HashTable::with_capacity(room));
        self.take_in(own);
        self.take_in(buddy.entries);
        self.note_buckets();
    }

    /// The entries by the last bit of the prefix at the present depth.
    fn partition(&mut self, hasher: &KeyHasher) -> (Vec<Entry>, Vec<Entry>) {
        let entries: Vec<Entry> = mem::take(&mut self.entries).into_iter().collect();
        let high: Vec<bool> = (0..entries.len())
            .map(|i| {
                if let Some(ahead) = entries.get(i + SPLIT_LOOKAHEAD) {
                    ahead.prefetch();
                }
                hasher.hash(entries[i].key()).prefix(self.depth) & 1 == 1
            })
            .collect();
        let (mut zeros, mut ones) = (Vec::with_capacity(LEN_MAX), Vec::with_capacity(LEN_MAX));
        for (entry, high) in entries.into_iter().zip(high) {
            if high { ones.push(entry) } else { zeros.push(entry) }
        }
        (zeros, ones)
    }

    fn fill(&mut self, entries: Vec<Entry>) {
        self.entries = HashTable::with_capacity(entries.len());
        for entry in entries {
            self.deadlines.add(entry.expiry());
            self.entries.insert_unique(entry.bucket_hash(), entry, Entry::bucket_hash);
        }
        self.note_buckets();
    }

    /// To be called whenever there may be a table with other buckets.
    fn note_buckets(&mut self) {
        let mut buckets = 0..self.entries.num_buckets();
        let found = buckets.find_map(|bucket| Some(control_bytes(bucket, self.entries.get_bucket(bucket)?)));
        self.control_hint = found.unwrap_or(0);
    }

    fn take_in(&mut self, entries: HashTable<Entry>) {
        for entry in entries {
            self.entries.insert_unique(entry.bucket_hash(), entry, Entry::bucket_hash);
        }
    }
}

/// Where the control bytes of a table are that has this entry in this bucket: hashbrown keeps the buckets before them, the
/// first one last.
fn control_bytes(bucket: usize, entry: &Entry) -> usize {
    ptr::from_ref(entry).wrapping_add(bucket + 1).addr()
}

#[cfg(test)]
impl Segment {
    pub(crate) fn assert_invariants(&self, hasher: &KeyHasher) {
        assert!(self.entries.num_buckets() <= BUCKETS_MAX);
        for bucket in 0..self.entries.num_buckets() {
            let Some(entry) = self.entries.get_bucket(bucket) else { continue };
            assert!([0, control_bytes(bucket, entry)].contains(&self.control_hint));
        }
        for entry in &self.entries {
            let hash = hasher.hash(entry.key());
            assert_eq!(hash.prefix(self.depth), self.prefix());
            assert_eq!(hash.tag(), entry.tag());
            assert!(entry.expiry().is_none_or(|at| at >= self.deadlines.earliest_ms));
            let next = entry.next_field_deadline();
            assert!(next.is_none_or(|at| at >= self.deadlines.earliest_field_ms));
        }
        let volatile = self.entries.iter().filter(|entry| entry.is_volatile()).count();
        assert_eq!(volatile, self.deadlines.volatile as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// What hashbrown says nowhere: if it changes, prefetches miss.
    #[test]
    fn the_bucket_of_one_entry_tells_where_all_are() {
        let hasher = KeyHasher::new(1);
        let mut segment = Segment::new(0, 0);
        for number in 0..1000u32 {
            let mut entry = Entry::integer(&number.to_be_bytes(), 0, None);
            entry.set_tag(hasher.hash(entry.key()).tag());
            if segment.is_full() {
                segment.grow();
            }
            segment.entries.insert_unique(entry.bucket_hash(), entry, Entry::bucket_hash);
        }
        let ends: HashSet<usize> = (0..segment.entries.num_buckets())
            .filter_map(|bucket| Some(control_bytes(bucket, segment.entries.get_bucket(bucket)?)))
            .collect();
        assert_eq!(ends.len(), 1);
        let hash = hasher.hash(&7u32.to_be_bytes());
        let entry = segment.prefetch(hash).expect("it is there");
        assert_eq!(entry.key(), 7u32.to_be_bytes());
        assert_eq!(HashSet::from([segment.control_hint]), ends);
    }
}
