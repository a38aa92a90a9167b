//! One database: keys to entries, with what must be known of them all.
//!
//! Owns: the table, the counts of keys and of expiring keys, and the bytes held, all kept as things change.
//!
//! Times are arguments. A key whose expiry has passed is still here and still found: whether it is gone is
//! decided by the caller, who has to tell the journal; [`Db::find_live`] says so in the same lookup. Every
//! mutable access goes through [`EntryMut`] or a method here, so that no change escapes the books.

use hashbrown::hash_table;

use super::entry::{Entry, INLINE_MAX};
use super::entry_mut::EntryMut;
use super::expire::ExpirePass;
use super::graveyard::Graveyard;
use super::key_hash::KeyHasher;
use super::largest::Largest;
use super::object::Object;
use super::segment::Segment;
use super::table::{Sought, Table};
use super::walk::Recorded;
use crate::journal::Chunk;

/// What SET does with an expiry that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Keep,
    None,
    /// Unix milliseconds.
    At(u64),
}

/// A lookup that minds the expiry.
#[derive(Debug)]
pub enum Lookup<T> {
    Missing,
    /// The key is there and its time is over: remove it and say so to the journal.
    Expired,
    Live(T),
}

impl<T> Lookup<T> {
    pub fn live(self) -> Option<T> {
        if let Self::Live(found) = self { Some(found) } else { None }
    }
}

/// What a write left behind.
#[derive(Debug)]
pub struct Written<'a> {
    pub entry: &'a Entry,
    /// Whether the key was there before.
    pub replaced: bool,
    /// The expiry it had then, which may have passed.
    pub old_expiry_ms: Option<u64>,
}

/// Whether a deadline has passed: Redis keeps a key through the millisecond of its deadline.
#[inline]
pub(crate) fn is_due(expiry_ms: u64, now_ms: u64) -> bool {
    now_ms > expiry_ms
}

/// The sums over a database's entries.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    len: usize,
    volatile: usize,
    /// Hashes of which fields expire.
    with_volatile_fields: usize,
    /// Bytes of blocks and objects.
    entries_memory: usize,
    largest: Largest,
}

impl Totals {
    #[inline]
    fn add(&mut self, entry: &Entry) {
        self.len += 1;
        self.volatile += usize::from(entry.is_volatile());
        self.with_volatile_fields += usize::from(entry.next_field_deadline().is_some());
        let memory = entry.memory();
        self.entries_memory += memory;
        if self.largest.concerns(memory) {
            self.largest.came(entry.key(), memory);
        }
    }

    pub(crate) fn subtract(&mut self, entry: &Entry) {
        self.len -= 1;
        self.volatile -= usize::from(entry.is_volatile());
        self.with_volatile_fields -= usize::from(entry.next_field_deadline().is_some());
        let memory = entry.memory();
        self.entries_memory -= memory;
        if self.largest.concerns(memory) {
            self.largest.went(entry.key());
        }
    }

    /// Follows a change of an entry.
    pub(crate) fn change<R>(&mut self, entry: &mut Entry, change: impl FnOnce(&mut Entry) -> R) -> R {
        self.subtract(entry);
        let result = change(entry);
        self.add(entry);
        result
    }

    /// Follows an object that another value took the place of, but for its memory.
    #[inline]
    pub(crate) fn displaced(&mut self, object: &Object) {
        self.with_volatile_fields -= usize::from(object.next_field_deadline().is_some());
    }

    #[inline]
    pub(crate) fn replace_volatile_fields(&mut self, before: bool, after: bool) {
        self.with_volatile_fields = self.with_volatile_fields - usize::from(before) + usize::from(after);
    }

    /// Follows a change of what the entry of a key holds, in bytes as [`Entry::memory`] has them. The key is asked for only if it is large.
    #[inline]
    pub(crate) fn replace_memory<'k>(&mut self, before: usize, after: usize, key: impl FnOnce() -> &'k [u8]) {
        self.entries_memory = self.entries_memory - before + after;
        if self.largest.concerns(before.max(after)) {
            self.largest.resized(key(), before, after);
        }
    }

    #[inline]
    pub(crate) fn replace_volatile(&mut self, before: bool, after: bool) {
        self.volatile = self.volatile - usize::from(before) + usize::from(after);
    }
}

/// A database of a keyspace.
#[derive(Debug)]
pub struct Db {
    pub(super) table: Table,
    pub(super) totals: Totals,
    pub(super) expire_pass: ExpirePass,
    graveyard: Graveyard,
    access_at_birth: u32,
    /// The table that a walk is over, if the database was emptied meanwhile.
    emptied: Option<Table>,
    /// Bytes of that, until all of it is freed.
    emptied_bytes: usize,
    /// What walks have recorded.
    recorded: Recorded,
}

impl Db {
    pub(crate) fn new(hasher: KeyHasher) -> Self {
        Self {
            table: Table::new(hasher),
            totals: Totals::default(),
            expire_pass: ExpirePass::default(),
            graveyard: Graveyard::default(),
            access_at_birth: 0,
            emptied: None,
            emptied_bytes: 0,
            recorded: Recorded::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.totals.len
    }

    pub fn is_empty(&self) -> bool {
        self.totals.len == 0
    }

    /// How many keys have an expiry.
    pub fn volatile_len(&self) -> usize {
        self.totals.volatile
    }

    /// How many hashes have fields that expire.
    pub fn with_volatile_fields(&self) -> usize {
        self.totals.with_volatile_fields
    }

    /// Bytes held by entries and table.
    pub fn memory(&self) -> usize {
        self.totals.entries_memory + self.table.memory()
    }

    /// Whether the average entry is so large that even strings are mostly objects, worth fetching ahead like collections.
    #[inline]
    pub fn is_of_large_values(&self) -> bool {
        self.totals.entries_memory > self.totals.len * INLINE_MAX
    }

    /// Bytes held by the table alone.
    pub fn table_memory(&self) -> usize {
        self.table.memory()
    }

    /// The largest keys whose time is not over, in no useful order; [`Db::largest_complete_from`] says what is missing.
    pub fn largest(&mut self, now_ms: u64) -> impl Iterator<Item = &Entry> {
        if self.is_empty() {
            self.totals.largest.clear();
        }
        let table = &self.table;
        self.totals.largest.look(|key| {
            let hash = table.hash(key);
            table.segment(hash)?.find(hash, key).map(Entry::memory)
        });
        let db = &*self;
        db.totals.largest.names().filter_map(move |key| db.find_live(key, now_ms).live())
    }

    /// Bytes, as [`Entry::memory`] has them, from which on [`Db::largest`] has every key whose name is not longer than
    /// 1 KiB.
    pub fn largest_complete_from(&self) -> usize {
        self.totals.largest.complete_from()
    }

    /// The access clock that keys get when they are created.
    pub fn set_access_at_birth(&mut self, access: u32) {
        self.access_at_birth = access;
    }

    /// The first step of a lookup that is about to be made, see `prefetch`. `None` while there are no keys at all.
    #[inline]
    pub(super) fn seek(&self, key: &[u8]) -> Option<Sought<'_>> {
        self.table.seek(self.table.hash(key))
    }

    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&Entry> {
        let hash = self.table.hash(key);
        self.table.segment(hash)?.find(hash, key)
    }

    #[inline]
    pub fn find_live(&self, key: &[u8], now_ms: u64) -> Lookup<&Entry> {
        match self.find(key) {
            None => Lookup::Missing,
            Some(entry) if entry.expiry().is_some_and(|at| is_due(at, now_ms)) => Lookup::Expired,
            Some(entry) => Lookup::Live(entry),
        }
    }

    #[inline]
    pub fn find_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        let hash = self.table.hash(key);
        let (Segment { entries, deadlines, .. }, mut recorder) = self.table.segment_mut(hash)?;
        let tag = hash.tag();
        let entry = entries.find_mut(hash.bucket(), |entry| entry.matches(tag, key))?;
        recorder.before_change(entry);
        Some(EntryMut { entry, deadlines, totals: &mut self.totals, graveyard: &mut self.graveyard })
    }

    #[inline]
    pub fn find_live_mut(&mut self, key: &[u8], now_ms: u64) -> Lookup<EntryMut<'_>> {
        match self.find_mut(key) {
            None => Lookup::Missing,
            Some(entry) if entry.expiry().is_some_and(|at| is_due(at, now_ms)) => Lookup::Expired,
            Some(entry) => Lookup::Live(entry),
        }
    }

    /// The entry of a key, put in first if it is not there. `make` must make it under the same key.
    pub fn find_or_insert_with(&mut self, key: &[u8], make: impl FnOnce() -> Entry) -> EntryMut<'_> {
        let hash = self.table.hash(key);
        let tag = hash.tag();
        let (Segment { entries, deadlines, .. }, mut recorder) = self.table.segment_with_room(hash);
        let entry = match entries.entry(hash.bucket(), |entry| entry.matches(tag, key), Entry::bucket_hash) {
            hash_table::Entry::Occupied(place) => {
                let entry = place.into_mut();
                recorder.before_change(entry);
                entry
            }
            hash_table::Entry::Vacant(place) => {
                let mut entry = make();
                debug_assert_eq!(entry.key(), key);
                entry.set_tag(tag);
                entry.set_access(self.access_at_birth);
                recorder.admit(&mut entry);
                deadlines.add(entry.expiry());
                deadlines.note_field(entry.next_field_deadline());
                self.totals.add(&entry);
                place.insert(entry).into_mut()
            }
        };
        EntryMut { entry, deadlines, totals: &mut self.totals, graveyard: &mut self.graveyard }
    }

    /// Puts an entry in, and hands back the one it replaces.
    pub fn insert(&mut self, mut entry: Entry) -> Option<Entry> {
        let hash = self.table.hash(entry.key());
        let tag = hash.tag();
        entry.set_tag(tag);
        if entry.access() == 0 {
            entry.set_access(self.access_at_birth);
        }
        let (Segment { entries, deadlines, .. }, mut recorder) = self.table.segment_with_room(hash);
        recorder.admit(&mut entry);
        deadlines.add(entry.expiry());
        deadlines.note_field(entry.next_field_deadline());
        match entries.entry(hash.bucket(), |other| other.matches(tag, entry.key()), Entry::bucket_hash) {
            hash_table::Entry::Vacant(place) => {
                self.totals.add(&entry);
                place.insert(entry);
                None
            }
            hash_table::Entry::Occupied(mut place) => {
                recorder.before_change(place.get_mut());
                deadlines.subtract(place.get().is_volatile());
                // The old one first: its key is the new one's, which may be among the largest.
                self.totals.subtract(place.get());
                self.totals.add(&entry);
                Some(std::mem::replace(place.get_mut(), entry))
            }
        }
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let hash = self.table.hash(key);
        let entry = self.table.remove(hash, key)?;
        self.totals.subtract(&entry);
        Some(entry)
    }

    /// SET: one lookup; over an existing string of like size, one copy in place.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Written<'_> {
        let hash = self.table.hash(key);
        let tag = hash.tag();
        let (Segment { entries, deadlines, .. }, mut recorder) = self.table.segment_with_room(hash);
        match entries.entry(hash.bucket(), |entry| entry.matches(tag, key), Entry::bucket_hash) {
            hash_table::Entry::Occupied(place) => {
                let entry = place.into_mut();
                recorder.before_change(entry);
                let old_expiry_ms = entry.expiry();
                let expiry_ms = match expiry {
                    Expiry::Keep => old_expiry_ms,
                    Expiry::None => None,
                    Expiry::At(at) => Some(at),
                };
                let (memory_before, was_volatile) = (entry.memory(), old_expiry_ms.is_some());
                if let Some(object) = entry.set_string(value, expiry_ms) {
                    self.totals.displaced(&object);
                    self.graveyard.bury_object(*object);
                }
                deadlines.replace(was_volatile, expiry_ms);
                self.totals.replace_memory(memory_before, entry.memory(), || entry.key());
                self.totals.replace_volatile(was_volatile, expiry_ms.is_some());
                Written { entry, replaced: true, old_expiry_ms }
            }
            hash_table::Entry::Vacant(place) => {
                let expiry_ms = if let Expiry::At(at) = expiry { Some(at) } else { None };
                let mut entry = Entry::string(key, value, expiry_ms);
                entry.set_tag(tag);
                entry.set_access(self.access_at_birth);
                recorder.admit(&mut entry);
                deadlines.add(expiry_ms);
                self.totals.add(&entry);
                Written { entry: place.insert(entry).into_mut(), replaced: false, old_expiry_ms: None }
            }
        }
    }

    /// INCR and its kin: makes the value a number; an expiry that is there stays.
    pub fn set_int(&mut self, key: &[u8], value: i64) {
        self.find_or_insert_with(key, || Entry::integer(key, value, None)).set_int(value);
    }

    /// The bytes of a string to be modified in place (APPEND, SETRANGE, SETBIT, PFADD), created if missing and
    /// zero-extended to at least `new_len`. `None` if the key holds another type.
    pub fn string_mut(&mut self, key: &[u8], new_len: usize) -> Option<&mut [u8]> {
        self.find_or_insert_with(key, || Entry::bytes(key, b"", None)).into_string_mut(new_len)
    }

    /// Sets or removes the expiry; false if there is no such key.
    pub fn set_expiry(&mut self, key: &[u8], expiry_ms: Option<u64>) -> bool {
        self.find_mut(key).map(|mut entry| entry.set_expiry(expiry_ms)).is_some()
    }

    /// Every entry, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.segments().flat_map(|segment| segment.entries.iter())
    }

    /// Empties the database; what it held is freed by [`Db::free_step`].
    pub fn clear(&mut self) {
        let (empty, bytes) = (self.table.new_empty(), self.memory());
        let emptied = std::mem::replace(&mut self.table, empty);
        if emptied.is_walked() {
            (self.emptied, self.emptied_bytes) = (Some(emptied), bytes);
        } else {
            self.graveyard.bury_table(emptied);
        }
        self.totals = Totals::default();
        self.expire_pass = ExpirePass::default();
    }

    /// Starts a walk over the keys that there are now, under this number.
    pub(crate) fn begin_walk(&mut self, database: u32) {
        self.table.begin_walk(database);
    }

    pub(crate) fn is_walked(&self) -> bool {
        self.emptied.is_some() || self.table.is_walked()
    }

    /// Goes on with a walk for about so many entries, and takes them off the budget.
    pub(crate) fn walk_step(&mut self, budget: &mut usize) {
        let table = self.emptied.as_mut().unwrap_or(&mut self.table);
        self.recorded.append(table.walk_step(budget));
        if let Some(table) = self.emptied.take_if(|table| !table.is_walked()) {
            self.graveyard.bury_table(table);
        }
    }

    /// The tables that a walk may be over.
    fn walked(&self) -> impl Iterator<Item = &Table> {
        self.emptied.iter().chain([&self.table])
    }

    /// Bytes of memory that walks hold: what they have recorded, and what is kept for them.
    pub(crate) fn recorded_bytes(&self) -> usize {
        self.recorded.bytes() + self.emptied_bytes + self.walked().map(Table::recorded_bytes).sum::<usize>()
    }

    pub(crate) fn recorded_chunks(&self) -> usize {
        self.recorded.len() + self.walked().map(Table::recorded_chunks).sum::<usize>()
    }

    pub(crate) fn abandon_walk(&mut self) {
        self.recorded.clear();
        self.emptied.iter_mut().chain([&mut self.table]).for_each(Table::abandon_walk);
    }

    /// The next chunk of what walks have recorded.
    pub(crate) fn take_recorded(&mut self) -> Option<Chunk> {
        self.recorded.pop()
    }

    /// Lets an entry be freed by [`Db::free_step`] if it is large, at once if not.
    pub fn bury(&mut self, entry: Entry) {
        self.graveyard.bury(entry);
    }

    /// The same of a value that no key has.
    pub fn bury_object(&mut self, object: Object) {
        self.graveyard.bury_object(object);
    }

    /// Frees up to about `budget` allocations of what was cleared, replaced or buried; true if more is left.
    pub fn free_step(&mut self, budget: usize) -> bool {
        let is_left = self.graveyard.step(budget);
        if !is_left && self.emptied.is_none() {
            self.emptied_bytes = 0;
        }
        is_left
    }
}

#[cfg(test)]
impl Db {
    /// Checks structure and books against a walk over everything.
    pub(crate) fn assert_invariants(&self) {
        self.table.assert_invariants();
        assert_eq!(self.iter().count(), self.len());
        assert_eq!(self.iter().filter(|entry| entry.is_volatile()).count(), self.volatile_len());
        let hashes = self.iter().filter(|entry| entry.next_field_deadline().is_some());
        assert_eq!(hashes.count(), self.with_volatile_fields());
        assert_eq!(self.iter().map(Entry::memory).sum::<usize>(), self.totals.entries_memory);
        self.totals.largest.assert_has(self.iter().map(|entry| (entry.key(), entry.memory())));
    }
}
