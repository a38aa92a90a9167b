//! Members with something beside each, found by hash, in no order: large sets and hashes.
//!
//! ```text
//!   IdIndex ──place──►  ChunkedVec  place   ┌────────────────┬───────┐
//!   by member                               │ member, ≤ 22   │ value │  24 bytes, longer members on the heap
//!                                           └────────────────┴───────┘
//! ```
//!
//! A member of up to 22 bytes takes 24 bytes and its value's in the sequence, 5 to 10 in the index, and no allocation
//! of its own. Nothing is copied as a whole when it grows. The sequence has no holes, so a place at random is a
//! member at random.
//!
//! Scanning goes from the last place to the first. Removing a member moves the last into its place: a member not yet
//! visited moves, if at all, to a place not yet visited, and a new one comes behind all. So whoever stays is met.
//!
//! Invariant: the index holds the places of the sequence, each once.
//!
//! Refuses: more than 2^32 members, which the machine's memory refuses long before.

use std::ops::Range;

use super::chunked_vec::{self, ChunkedVec};
use super::id_index::IdIndex;
use super::short_bytes::ShortBytes;
use crate::store::key_hash::KeyHasher;

#[derive(Clone, Debug)]
pub struct MemberTable<V> {
    members: ChunkedVec<Member<V>>,
    index: IdIndex,
    hasher: KeyHasher,
    /// Bytes of members that are on the heap.
    heap_memory: usize,
}

#[derive(Clone, Debug)]
struct Member<V> {
    text: ShortBytes,
    value: V,
}

/// Where a member is, until one is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(u32);

impl Place {
    /// The number that [`MemberTable::nth`] takes.
    pub(crate) fn number(self) -> usize {
        self.0 as usize
    }
}

/// A member taken out.
#[derive(Debug)]
pub(crate) struct Removed<V> {
    pub text: ShortBytes,
    pub value: V,
    /// Where the member was that is now in its place, if another is.
    pub moved_from: Option<Place>,
}

impl<V> MemberTable<V> {
    /// `seed` keys the hash of members; it must not be known to clients.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            members: ChunkedVec::new(),
            index: IdIndex::new(),
            hasher: KeyHasher::new(seed),
            heap_memory: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes allocated, without what values have on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.members.memory() + self.index.memory() + self.heap_memory
    }

    #[inline]
    pub(crate) fn find(&self, text: &[u8]) -> Option<Place> {
        self.index.find(self.hasher.hash(text), |id| *self.members[id as usize].text == *text).map(Place)
    }

    /// # Panics
    /// If there is no such place.
    #[inline]
    pub(crate) fn get(&self, place: Place) -> (&[u8], &V) {
        let Member { text, value } = &self.members[place.0 as usize];
        (text, value)
    }

    #[inline]
    pub(crate) fn value_mut(&mut self, place: Place) -> Option<&mut V> {
        self.members.get_mut(place.0 as usize).map(|member| &mut member.value)
    }

    /// The member with a number below [`Self::len`]: every member has one, and another after a removal.
    #[inline]
    pub(crate) fn nth(&self, number: usize) -> Place {
        debug_assert!(number < self.len());
        Place(number as u32)
    }

    /// Where a member is, put in first if it is not there. Returns also whether it was put in.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, text: &[u8], value: impl FnOnce() -> V) -> (Place, bool) {
        let hash = self.hasher.hash(text);
        let Self { members, index, hasher, heap_memory } = self;
        if let Some(id) = index.find(hash, |id| *members[id as usize].text == *text) {
            return (Place(id), false);
        }
        let id = u32::try_from(members.len()).expect("memory ends before numbers do");
        let text = ShortBytes::from(text);
        *heap_memory += text.memory();
        members.push(Member { text, value: value() });
        index.insert(hash, id, |id| hasher.hash(&members[id as usize].text));
        (Place(id), true)
    }

    pub(crate) fn remove(&mut self, text: &[u8]) -> Option<Removed<V>> {
        self.find(text).map(|place| self.remove_at(place))
    }

    /// # Panics
    /// If there is no such place.
    pub(crate) fn remove_at(&mut self, place: Place) -> Removed<V> {
        let Self { members, index, hasher, heap_memory } = self;
        let hash_of = |id: u32| hasher.hash(&members[id as usize].text);
        index.remove(hash_of(place.0), place.0, hash_of);
        let last = members.len() as u32 - 1;
        if place.0 != last {
            index.replace(hash_of(last), last, place.0);
        }
        let Member { text, value } = members.swap_remove(place.0 as usize);
        *heap_memory -= text.memory();
        Removed { text, value, moved_from: (place.0 != last).then_some(Place(last)) }
    }

    /// Every member, in the order of places.
    pub(crate) fn iter(&self) -> Iter<'_, V> {
        Iter(self.members.iter())
    }

    /// Visits up to `count` members, from a cursor on; 0 begins. Returns where to go on; 0 if all were visited.
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &V)) -> u64 {
        let page = self.page(cursor, count);
        for number in page.clone().rev() {
            let (text, value) = self.get(self.nth(number));
            visit(text, value);
        }
        page.start as u64
    }

    /// The numbers of the members that a call of a scan visits, the last first. The start is where to go on.
    pub(crate) fn page(&self, cursor: u64, count: usize) -> Range<usize> {
        let len = self.len();
        let end = if cursor == 0 { len } else { usize::try_from(cursor).map_or(len, |end| end.min(len)) };
        end.saturating_sub(count)..end
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        let mut left = budget;
        while left > 0 {
            let freed = if self.index.free_segment() {
                1
            } else if let Some(members) = self.members.free_chunk() {
                members
            } else {
                break;
            };
            left = left.saturating_sub(freed);
        }
        left
    }
}

/// Members with what is beside them, in the order of places.
#[derive(Clone, Debug)]
pub struct Iter<'a, V>(chunked_vec::Iter<'a, Member<V>>);

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (&'a [u8], &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|Member { text, value }| (&**text, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn name(n: u32) -> Vec<u8> {
        // Some longer than a place holds.
        format!("{}{n}", "m".repeat(n as usize % 40)).into_bytes()
    }

    fn of(len: u32) -> MemberTable<u32> {
        let mut table = MemberTable::new(1);
        (0..len).for_each(|n| assert!(table.find_or_insert(&name(n), || n).1));
        table
    }

    #[test]
    fn a_short_member_takes_no_more_than_34_bytes() {
        let mut table = MemberTable::new(1);
        (0..200_000).for_each(|n| _ = table.find_or_insert(format!("member:{n:08}").as_bytes(), || ()));
        let each = table.memory() / table.len();
        assert!(each <= 34, "{each}");
    }

    #[test]
    fn a_scan_meets_every_member_that_stays() {
        let mut table = of(50_000);
        let (mut met, mut cursor, mut calls) = (HashSet::new(), 0, 0);
        loop {
            let mut seen = 0;
            cursor = table.scan(cursor, 100, |text, _| {
                seen += 1;
                met.insert(text.to_vec());
            });
            assert!(seen <= 100);
            if cursor == 0 {
                break;
            }
            // Odd members go, from both ends of what is left, and others come, while the scan is under way.
            calls += 1;
            for n in [calls * 2 + 1, 50_000 - calls * 2 + 1] {
                table.remove(&name(n));
            }
            if calls % 2 == 0 {
                table.find_or_insert(format!("new:{calls}").as_bytes(), || 0);
            }
        }
        assert!((0..50_000).step_by(2).all(|n| met.contains(&name(n))));
    }

    #[test]
    fn cursors_nobody_gave_end() {
        let table = of(1000);
        for cursor in [999, 1000, 1001, 1 << 32, u64::MAX] {
            let mut next = cursor;
            for _ in 0..101 {
                next = table.scan(next, 10, |_, _| {});
                if next == 0 {
                    break;
                }
            }
            assert_eq!(next, 0, "{cursor}");
        }
    }

    #[test]
    fn a_table_is_freed_in_steps() {
        let mut table = of(100_000);
        let mut steps = 0;
        while table.free_step(1000) == 0 {
            steps += 1;
        }
        assert!((50..500).contains(&steps), "{steps}");
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((0..4u8, 0..1500u32), 0..4000)) {
            let mut table = MemberTable::new(3);
            let mut model = HashMap::new();
            for (kind, n) in steps {
                let text = name(n);
                if kind > 0 {
                    let (place, put) = table.find_or_insert(&text, || n);
                    prop_assert_eq!(put, model.insert(text.clone(), n).is_none());
                    prop_assert_eq!(table.get(place), (&*text, &n));
                } else {
                    let removed = table.remove(&text).map(|removed| removed.value);
                    prop_assert_eq!(removed, model.remove(&text));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            prop_assert!(model.iter().all(|(text, n)| table.find(text).map(|at| *table.get(at).1) == Some(*n)));
            let all: HashMap<_, _> = table.iter().map(|(text, n)| (text.to_vec(), *n)).collect();
            prop_assert_eq!(all, model);
            let heap: usize = table.members.iter().map(|member| member.text.memory()).sum();
            prop_assert_eq!(heap, table.heap_memory);
        }
    }
}
