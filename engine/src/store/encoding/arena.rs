//! Numbered places for many values of one type: a value keeps its number while it lives.
//!
//! Values stand in chunks, so that growth copies no more than one chunk, however many there are. A vacant place
//! holds the number of the next one vacant in its chunk; a chunk without values gives its memory back.
//!
//! ```text
//! number   31             8 7        0
//!         ┌────────────────┬──────────┐
//!         │ chunk          │ place    │
//!         └────────────────┴──────────┘
//! ```
//!
//! Invariants: a chunk is in `open` exactly if it has a place to give; only the last of `open` gives, so only it
//! can become full.
//!
//! Refuses: more than 2^32 values, which the machine's memory refuses long before.

use std::ops::Index;

use crate::store::size_class::size_class;

const PLACE_BITS: u32 = 8;
const CHUNK_LEN: usize = 1 << PLACE_BITS;
/// Ends a chunk's list of vacant places.
const NONE: u16 = CHUNK_LEN as u16;

#[derive(Clone, Debug)]
pub(crate) struct Arena<T> {
    chunks: Vec<Chunk<T>>,
    open: Vec<u32>,
    len: usize,
    chunks_memory: usize,
}

#[derive(Clone, Debug)]
struct Chunk<T> {
    places: Vec<Place<T>>,
    vacant: u16,
    len: u16,
}

#[derive(Clone, Debug)]
enum Place<T> {
    Taken(T),
    /// And the next one.
    Vacant(u16),
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), open: Vec::new(), len: 0, chunks_memory: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = self.open_chunk();
        let chunk = &mut self.chunks[number as usize];
        let before = chunk.memory();
        // The first chunk grows as it fills: most arenas are small.
        let place = chunk.insert(value, number == 0);
        self.chunks_memory = self.chunks_memory - before + chunk.memory();
        if chunk.is_full() {
            self.open.pop();
        }
        self.len += 1;
        number << PLACE_BITS | u32::from(place)
    }

    /// Takes a value out. Its number may be given again.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let number = id >> PLACE_BITS;
        let chunk = self.chunks.get_mut(number as usize)?;
        let (was_full, before) = (chunk.is_full(), chunk.memory());
        let value = chunk.remove((id as usize & (CHUNK_LEN - 1)) as u16)?;
        self.chunks_memory = self.chunks_memory - before + chunk.memory();
        if was_full {
            self.open.push(number);
        }
        self.len -= 1;
        Some(value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut((id >> PLACE_BITS) as usize)?;
        match chunk.places.get_mut(id as usize & (CHUNK_LEN - 1)) {
            Some(Place::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// Visits up to `count` values from a number on, in the order of numbers, and looks at `places_max` places and
    /// the rest of a chunk at most. Returns the number to go on from.
    pub(crate) fn scan(
        &self,
        from: u32,
        count: usize,
        places_max: usize,
        mut visit: impl FnMut(&T),
    ) -> Option<u32> {
        let (mut left, mut looks) = (count, places_max);
        let mut first = from as usize & (CHUNK_LEN - 1);
        for number in (from >> PLACE_BITS) as usize..self.chunks.len() {
            if looks == 0 {
                return Some((number << PLACE_BITS) as u32);
            }
            let places = &self.chunks[number].places;
            // A chunk without memory costs a look as well.
            looks = looks.saturating_sub(places.len().max(1));
            for (place, value) in places.iter().enumerate().skip(first) {
                let Place::Taken(value) = value else { continue };
                if left == 0 {
                    return Some((number << PLACE_BITS | place) as u32);
                }
                left -= 1;
                visit(value);
            }
            first = 0;
        }
        None
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        self.chunks_memory
            + size_class(self.chunks.capacity() * size_of::<Chunk<T>>())
            + size_class(self.open.capacity() * size_of::<u32>())
    }

    /// Frees one chunk, for good: numbers are not valid after that. Returns how many places it had.
    pub(crate) fn free_chunk(&mut self) -> Option<usize> {
        self.chunks.pop().map(|chunk| chunk.places.len())
    }

    fn open_chunk(&mut self) -> u32 {
        if let Some(&number) = self.open.last() {
            return number;
        }
        let number = u32::try_from(self.chunks.len()).expect("memory ends before numbers do");
        assert!(number < 1 << (u32::BITS - PLACE_BITS), "memory ends before numbers do");
        self.chunks.push(Chunk { places: Vec::new(), vacant: NONE, len: 0 });
        self.open.push(number);
        number
    }
}

/// A value by its number.
///
/// # Panics
/// If there is none: numbers are the owner's own.
impl<T> Index<u32> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: u32) -> &T {
        match &self.chunks[(id >> PLACE_BITS) as usize].places[id as usize & (CHUNK_LEN - 1)] {
            Place::Taken(value) => value,
            Place::Vacant(_) => panic!("place {id} is vacant"),
        }
    }
}

impl<T> Chunk<T> {
    fn is_full(&self) -> bool {
        usize::from(self.len) == CHUNK_LEN
    }

    fn insert(&mut self, value: T, gradually: bool) -> u16 {
        self.len += 1;
        if let Some(place) = self.places.get_mut(usize::from(self.vacant)) {
            let number = self.vacant;
            if let Place::Vacant(next) = *place {
                self.vacant = next;
            }
            *place = Place::Taken(value);
            return number;
        }
        if !gradually && self.places.is_empty() {
            self.places.reserve_exact(CHUNK_LEN);
        }
        self.places.push(Place::Taken(value));
        self.places.len() as u16 - 1
    }

    fn remove(&mut self, number: u16) -> Option<T> {
        let place = self.places.get_mut(usize::from(number))?;
        if let Place::Vacant(_) = place {
            return None;
        }
        let Place::Taken(value) = std::mem::replace(place, Place::Vacant(self.vacant)) else { return None };
        self.vacant = number;
        self.len -= 1;
        if self.len == 0 {
            self.places = Vec::new();
            self.vacant = NONE;
        }
        Some(value)
    }

    fn memory(&self) -> usize {
        size_class(self.places.capacity() * size_of::<Place<T>>())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(arena: &Arena<u32>) -> Vec<u32> {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(number) = from {
            from = arena.scan(number, 7, 30, |&value| all.push(value));
        }
        all
    }

    #[test]
    fn a_place_costs_no_tag_where_the_value_has_room_for_one() {
        assert_eq!(size_of::<Place<Box<u8>>>(), 16);
        assert_eq!(size_of::<Place<super::super::zset_table::Member>>(), 32);
    }

    #[test]
    fn emptied_chunks_give_memory_back() {
        let mut arena = Arena::new();
        let ids: Vec<u32> = (0..10_000).map(|value| arena.insert(value)).collect();
        let full = arena.memory();
        assert!(ids.iter().all(|&id| arena.remove(id).is_some()));
        assert!(arena.memory() < full / 20, "{}", arena.memory());
        assert_eq!(arena.remove(ids[0]), None);
    }

    proptest! {
        #[test]
        fn values_stay_under_their_numbers(steps in prop::collection::vec((any::<bool>(), any::<u16>()), 0..3000)) {
            let mut arena = Arena::new();
            let mut model: Vec<(u32, u32)> = Vec::new();
            for (step, (put, which)) in steps.into_iter().enumerate() {
                if put || model.is_empty() {
                    model.push((arena.insert(step as u32), step as u32));
                } else {
                    let (id, value) = model.swap_remove(usize::from(which) % model.len());
                    prop_assert_eq!(arena.remove(id), Some(value));
                }
            }
            prop_assert!(model.iter().all(|&(id, value)| arena[id] == value));
            model.sort_unstable();
            prop_assert_eq!(contents(&arena), model.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        }
    }
}
