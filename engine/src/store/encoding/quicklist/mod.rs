//! Quicklist: a long list as a deque of chunks.
//!
//! ```text
//!  chunks   ┌──────────┬──────────┬───────────┬──────────┐
//!           │ Packed 3 │ Packed 2 │ Plain     │ Packed 1 │     32 bytes each, side by side
//!           └────┬─────┴────┬─────┴─────┬─────┴────┬─────┘
//!                ▼          ▼           ▼          ▼
//!             a b c        d e      one large     g
//!                                    element
//! ```
//!
//! Both ends are O(1); elsewhere an index is found by a walk over the chunks' counts, which stand side by side, and
//! one inside a chunk. A chunk that is full is split where something is put into its middle. Chunks are not merged:
//! what removals leave gives its memory back.
//!
//! Invariants:
//! - No chunk is empty; the deque may be.
//! - `len` is the sum of the chunks' lengths, `chunks_memory` that of their allocations.
//!
//! Source: the shape, and what `list-max-listpack-size` means, are those of Redis (`src/quicklist.c` of Valkey).

mod chunk;
#[cfg(test)]
mod tests;

use std::collections::{VecDeque, vec_deque};

use super::listpack::{Element, Listpack};
use crate::store::size_class::size_class;

pub(in crate::store) use self::chunk::remove_matching;
pub use self::chunk::{Chunk, ChunkIter, ChunkLimit};

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Quicklist {
    chunks: VecDeque<Chunk>,
    len: usize,
    chunks_memory: usize,
}

impl From<Listpack> for Quicklist {
    fn from(pack: Listpack) -> Self {
        let mut list = Self::default();
        if !pack.is_empty() {
            list.insert_chunk(0, pack.into());
        }
        list
    }
}

impl Quicklist {
    /// An empty one with room for so many chunks.
    pub fn with_capacity(chunks: usize) -> Self {
        Self { chunks: VecDeque::with_capacity(chunks), ..Self::default() }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes allocated, all chunks included, this struct not.
    #[inline]
    pub fn memory(&self) -> usize {
        size_class(self.chunks.capacity() * size_of::<Chunk>()) + self.chunks_memory
    }

    pub fn chunks(&self) -> impl ExactSizeIterator<Item = &Chunk> {
        self.chunks.iter()
    }

    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        let (at, within) = self.locate(index)?;
        self.chunks[at].get(within)
    }

    /// The element at an end.
    #[inline]
    pub fn end(&self, end: End) -> Option<Element<'_>> {
        self.chunks.get(self.chunk_at(end)?)?.end(end)
    }

    /// The elements from an index on: towards the back if `from` is the front, and the other way round.
    pub fn iter(&self, index: usize, from: End) -> QuicklistIter<'_> {
        let Some((at, within)) = self.locate(index) else { return QuicklistIter::default() };
        let rest = match from {
            End::Front => self.chunks.range(at + 1..),
            End::Back => self.chunks.range(..at),
        };
        QuicklistIter { current: self.chunks[at].iter(within, from), rest, from }
    }

    /// The only chunk's listpack, of a list that has one chunk and is within a limit.
    pub fn take_only_pack(&mut self, limit: ChunkLimit) -> Option<Listpack> {
        match self.chunks.front_mut() {
            Some(Chunk::Packed { pack, len })
                if self.len == *len as usize && limit.admits(pack.bytes_len(), self.len) =>
            {
                let pack = std::mem::take(pack);
                *self = Self::default();
                Some(pack)
            }
            _ => None,
        }
    }

    /// Which chunk an index is in, and where in that; walks from the nearer end.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut within = index;
            for (at, chunk) in self.chunks.iter().enumerate() {
                match within.checked_sub(chunk.len()) {
                    Some(rest) => within = rest,
                    None => return Some((at, within)),
                }
            }
            return None;
        }
        let mut begins = self.len;
        for (at, chunk) in self.chunks.iter().enumerate().rev() {
            begins -= chunk.len();
            if begins <= index {
                return Some((at, index - begins));
            }
        }
        None
    }

    #[inline]
    fn chunk_at(&self, end: End) -> Option<usize> {
        match end {
            End::Front => (!self.chunks.is_empty()).then_some(0),
            End::Back => self.chunks.len().checked_sub(1),
        }
    }
}

/// Changing.
impl Quicklist {
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8], limit: ChunkLimit) {
        match self.chunk_at(end) {
            Some(at) if self.chunks[at].has_room_for(text, limit) => {
                self.edit(at, |chunk| chunk.push(end, text));
            }
            _ => {
                let at = if end == End::Front { 0 } else { self.chunks.len() };
                self.insert_chunk(at, Chunk::of(text, limit));
            }
        }
    }

    /// Puts a whole listpack behind all, as a chunk of its own; an empty one is none.
    pub fn push_pack(&mut self, pack: Listpack) {
        if !pack.is_empty() {
            self.insert_chunk(self.chunks.len(), pack.into());
        }
    }

    /// Puts an element behind all, in a chunk of its own.
    pub fn push_alone(&mut self, text: &[u8], limit: ChunkLimit) {
        self.insert_chunk(self.chunks.len(), Chunk::of(text, limit));
    }

    /// Removes the element at an end.
    #[inline]
    pub fn remove_end(&mut self, end: End) {
        let Some(at) = self.chunk_at(end) else { return };
        let len = self.chunks[at].len();
        if len == 1 {
            self.drop_chunk(at);
        } else {
            let index = if end == End::Front { 0 } else { len - 1 };
            self.edit(at, |chunk| chunk.remove_range(index, 1));
        }
    }

    /// Puts a text before the element at an index, or behind the last.
    pub fn insert(&mut self, index: usize, text: &[u8], limit: ChunkLimit) {
        let Some((at, within)) = self.locate(index) else { return self.push(End::Back, text, limit) };
        if self.chunks[at].has_room_for(text, limit) {
            self.edit(at, |chunk| chunk.insert(within, text));
        } else if within == 0 {
            self.insert_between(at, text, limit);
        } else {
            let behind = self.edit(at, |chunk| chunk.split_off(within));
            self.insert_chunk(at + 1, behind);
            self.insert_between(at + 1, text, limit);
        }
    }

    /// Puts a text where the element at an index is, of which there must be one.
    pub fn replace(&mut self, index: usize, text: &[u8], limit: ChunkLimit) {
        let Some((at, within)) = self.locate(index) else { return };
        if !self.edit(at, |chunk| chunk.replace(within, text, limit)) {
            self.edit(at, |chunk| chunk.remove_range(within, 1));
            self.insert(index, text, limit);
        }
    }

    /// Removes elements from an index on. Chunks that went whole are handed back, for they may take long to free.
    pub fn remove_range(&mut self, index: usize, count: usize) -> Self {
        let Some((mut at, within)) = self.locate(index) else { return Self::default() };
        let mut left = count.min(self.len - index);
        if within > 0 {
            left -= self.edit(at, |chunk| chunk.remove_range(within, left));
            at += 1;
        }
        let mut end = at;
        while end < self.chunks.len() && self.chunks[end].len() <= left {
            left -= self.chunks[end].len();
            end += 1;
        }
        let whole = self.take_chunks(at, end);
        if left > 0 {
            self.edit(at, |chunk| chunk.remove_range(0, left));
        }
        whole
    }

    /// Removes up to `count` elements with this text, those nearest to an end. Returns how many.
    pub fn remove_matching(&mut self, text: &[u8], count: usize, from: End) -> usize {
        let (mut removed, chunks) = (0, self.chunks.len());
        for nth in 0..chunks {
            if removed == count {
                break;
            }
            let at = if from == End::Front { nth } else { chunks - 1 - nth };
            removed += self.edit(at, |chunk| chunk.remove_matching(text, count - removed, from));
        }
        self.drop_empty_chunks();
        removed
    }

    /// Frees up to `budget` chunks of a list that is not used any more. Returns what is left of the budget.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        let kept = self.chunks.len().saturating_sub(budget);
        let left = budget - (self.chunks.len() - kept);
        self.chunks.truncate(kept);
        left
    }

    /// Puts a text between the chunk at `at` and the one before it, into either if there is room.
    fn insert_between(&mut self, at: usize, text: &[u8], limit: ChunkLimit) {
        if at > 0 && self.chunks[at - 1].has_room_for(text, limit) {
            self.edit(at - 1, |chunk| chunk.push(End::Back, text));
        } else if self.chunks[at].has_room_for(text, limit) {
            self.edit(at, |chunk| chunk.push(End::Front, text));
        } else {
            self.insert_chunk(at, Chunk::of(text, limit));
        }
    }

    /// Changes one chunk, the sums kept in step.
    #[inline]
    fn edit<R>(&mut self, at: usize, change: impl FnOnce(&mut Chunk) -> R) -> R {
        let chunk = &mut self.chunks[at];
        let (len, memory) = (chunk.len(), chunk.memory());
        let result = change(chunk);
        self.len = self.len - len + chunk.len();
        self.chunks_memory = self.chunks_memory - memory + chunk.memory();
        result
    }

    fn insert_chunk(&mut self, at: usize, chunk: Chunk) {
        self.len += chunk.len();
        self.chunks_memory += chunk.memory();
        self.chunks.insert(at, chunk);
    }

    fn drop_chunk(&mut self, at: usize) {
        if let Some(chunk) = self.chunks.remove(at) {
            self.len -= chunk.len();
            self.chunks_memory -= chunk.memory();
            self.give_back();
        }
    }

    /// Takes chunks out; the deque gives memory back when it is much too large.
    fn take_chunks(&mut self, start: usize, end: usize) -> Self {
        let chunks: VecDeque<Chunk> = self.chunks.drain(start..end).collect();
        let len = chunks.iter().map(Chunk::len).sum();
        let chunks_memory = chunks.iter().map(Chunk::memory).sum();
        self.len -= len;
        self.chunks_memory -= chunks_memory;
        self.give_back();
        Self { chunks, len, chunks_memory }
    }

    fn drop_empty_chunks(&mut self) {
        let memory = &mut self.chunks_memory;
        self.chunks.retain(|chunk| {
            let keep = chunk.len() > 0;
            *memory -= if keep { 0 } else { chunk.memory() };
            keep
        });
        self.give_back();
    }

    /// A quarter used: shrunk to half, so that pushes and removals at that length do not reallocate each time.
    fn give_back(&mut self) {
        if self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.capacity() / 2);
        }
    }
}

/// The elements of a list, from some index towards either end.
#[derive(Clone, Debug)]
pub struct QuicklistIter<'a> {
    current: ChunkIter<'a>,
    rest: vec_deque::Iter<'a, Chunk>,
    from: End,
}

impl Default for QuicklistIter<'_> {
    fn default() -> Self {
        ChunkIter::Plain(None).into()
    }
}

/// Of one chunk alone.
impl<'a> From<ChunkIter<'a>> for QuicklistIter<'a> {
    fn from(current: ChunkIter<'a>) -> Self {
        Self { current, rest: vec_deque::Iter::default(), from: End::Front }
    }
}

impl<'a> Iterator for QuicklistIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(element) = self.current.next() {
                return Some(element);
            }
            let chunk = match self.from {
                End::Front => self.rest.next(),
                End::Back => self.rest.next_back(),
            }?;
            self.current = chunk.iter_all(self.from);
        }
    }
}

#[cfg(test)]
impl Quicklist {
    fn assert_invariants(&self, limit: ChunkLimit) {
        assert_eq!(self.chunks.iter().map(Chunk::len).sum::<usize>(), self.len);
        assert_eq!(self.chunks.iter().map(Chunk::memory).sum::<usize>(), self.chunks_memory);
        for chunk in &self.chunks {
            match chunk {
                Chunk::Packed { pack, len } => {
                    assert_eq!(pack.len(), *len as usize);
                    assert!(*len > 0, "an empty chunk");
                    assert!(
                        *len == 1 || limit.admits(pack.bytes_len(), pack.len()),
                        "a chunk beyond the limit"
                    );
                }
                Chunk::Plain(text) => {
                    assert!(!limit.admits(text.len(), 1), "a small element in a chunk of its own");
                }
            }
        }
    }
}
