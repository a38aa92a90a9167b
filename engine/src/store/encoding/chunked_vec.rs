//! A dense sequence that grows and shrinks at its end without a pause.
//!
//! ```text
//! chunks   ┌─────┬─────┬─────┐
//!          │  ●  │  ●  │  ●  │
//!          └──┼──┴──┼──┴──┼──┘
//!             ▼     ▼     ▼
//!           256   256   1..=256 values
//! ```
//!
//! No more than one chunk of values is ever copied, however many there are; the directory of chunks is, at 24 bytes
//! for 256 values. Removing puts the last value where the removed one was, so there are no holes: an index at random
//! is a value at random, and memory goes back as values go.
//!
//! Invariant: every chunk but the last is full, and none is empty.

use std::ops::Index;

use crate::store::size_class::size_class;

const CHUNK_LEN: usize = 256;

pub(crate) type Iter<'a, T> = std::iter::Flatten<std::slice::Iter<'a, Vec<T>>>;

#[derive(Clone, Debug)]
pub(crate) struct ChunkedVec<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> ChunkedVec<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK_LEN)?.get_mut(index % CHUNK_LEN)
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(CHUNK_LEN) {
            // The first chunk grows as it fills: most sequences are short.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(value);
        }
        self.len += 1;
    }

    /// Takes a value out and puts the last one in its place.
    ///
    /// # Panics
    /// If there is no such value: indices are the owner's own.
    pub(crate) fn swap_remove(&mut self, index: usize) -> T {
        let chunk = self.chunks.last_mut().expect("an index of this sequence");
        let last = chunk.pop().expect("no chunk is empty");
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.len -= 1;
        if index == self.len {
            return last;
        }
        std::mem::replace(&mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN], last)
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        self.chunks.iter().flatten()
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        let chunk = |chunk: &Vec<T>| size_class(chunk.capacity() * size_of::<T>());
        let full = self.chunks.len().saturating_sub(2) * size_class(CHUNK_LEN * size_of::<T>());
        // The first may have grown, the last may be of the first's kind; all between are alike.
        let ends = self.chunks.first().map_or(0, chunk)
            + if self.chunks.len() > 1 { self.chunks.last().map_or(0, chunk) } else { 0 };
        ends + full + size_class(self.chunks.capacity() * size_of::<Vec<T>>())
    }

    /// Frees the last chunk, for good: the values are of no use after that. Returns how many there were in it.
    pub(crate) fn free_chunk(&mut self) -> Option<usize> {
        self.chunks.pop().map(|chunk| chunk.len())
    }
}

/// # Panics
/// If there is no such value.
impl<T> Index<usize> for ChunkedVec<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walked(values: &ChunkedVec<u32>) -> usize {
        let chunks = values.chunks.iter().map(|chunk| size_class(chunk.capacity() * size_of::<u32>()));
        chunks.sum::<usize>() + size_class(values.chunks.capacity() * size_of::<Vec<u32>>())
    }

    #[test]
    fn memory_goes_back_as_values_go() {
        let mut values = ChunkedVec::new();
        (0..100_000u32).for_each(|value| values.push(value));
        let full = values.memory();
        assert_eq!(full, walked(&values));
        (0..99_999).for_each(|_| _ = values.swap_remove(0));
        assert!(values.memory() < full / 20, "{}", values.memory());
    }

    proptest! {
        #[test]
        fn behaves_as_a_vec(steps in prop::collection::vec((0..5u8, any::<u16>()), 0..3000)) {
            let mut values = ChunkedVec::new();
            let mut model = Vec::new();
            for (step, (kind, which)) in steps.into_iter().enumerate() {
                if kind > 1 || model.is_empty() {
                    values.push(step as u32);
                    model.push(step as u32);
                } else {
                    let index = usize::from(which) % model.len();
                    prop_assert_eq!(values.swap_remove(index), model.swap_remove(index));
                }
                prop_assert_eq!(values.len(), model.len());
            }
            prop_assert_eq!(values.memory(), walked(&values));
            prop_assert!(values.iter().eq(&model));
            prop_assert!((0..model.len()).all(|index| values[index] == model[index]));
        }
    }
}
