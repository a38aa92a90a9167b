//! Walking over all keys as they are at one moment, while they change.
//!
//! At that moment, the cut, no segment has been recorded. A step records some, in the order of prefixes; a segment that
//! is about to change before its turn is recorded first. So what is recorded is what was there at the cut, each key once,
//! at the price of one segment's entries for the first change of each; a change while nothing is walked over pays one
//! branch.
//!
//! Invariants:
//! - a segment has been recorded if its mark is its table's; while there is no walk all are so;
//! - what comes of a segment that has been recorded, by a split or a merge, has been recorded;
//! - a table that is emptied meanwhile stays as it was until all of it is recorded, and is freed then.
//!
//! A segment, and a value in it, is recorded whole: the largest value bounds a step from below. The access clocks of
//! keys are those of the moment in which they are recorded.

use std::collections::VecDeque;
use std::mem;

use super::segment::Segment;
use super::table::DEPTH_MAX;
use crate::journal::Chunk;
use crate::rdb::Compression;

/// One past the last position, prefixes taken at the deepest level.
const END: u32 = 1 << DEPTH_MAX;

/// Chunks that are complete, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    chunks: VecDeque<Chunk>,
    /// Of memory that they take.
    bytes: usize,
}

impl Recorded {
    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.memory();
        self.chunks.push_back(chunk);
    }

    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.memory();
        Some(chunk)
    }

    pub(crate) fn append(&mut self, mut later: Self) {
        self.bytes += later.bytes;
        self.chunks.append(&mut later.chunks);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A walk over one table.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The number of the database at the cut.
    database: u32,
    compression: Compression,
    /// All segments before are recorded, prefixes taken at the deepest level.
    next: u32,
    filling: Chunk,
    full: Recorded,
    /// Nobody wants what it would record: it only marks.
    is_abandoned: bool,
}

impl Walk {
    pub(crate) fn new(database: u32, compression: Compression) -> Self {
        let filling = empty_chunk(database, compression);
        Self { database, compression, next: 0, filling, full: Recorded::default(), is_abandoned: false }
    }

    /// Where it goes on in a directory of this depth; `None` at the end.
    pub(crate) fn place(&self, depth: u8) -> Option<usize> {
        (self.next < END).then_some((self.next >> (DEPTH_MAX - depth)) as usize)
    }

    /// It has come by this segment.
    pub(crate) fn passed(&mut self, segment: &Segment) {
        self.next = (segment.prefix() as u32 + 1) << (DEPTH_MAX - segment.depth());
    }

    pub(crate) fn record(&mut self, segment: &Segment) {
        if self.is_abandoned {
            return;
        }
        for entry in &segment.entries {
            self.filling.push(entry, Some(entry.access()));
            if self.filling.is_full() {
                let empty = empty_chunk(self.database, self.compression);
                self.full.push(mem::replace(&mut self.filling, empty));
            }
        }
    }

    /// What it has recorded is dropped, and nothing more recorded.
    pub(crate) fn abandon(&mut self) {
        self.is_abandoned = true;
        self.full.clear();
        self.filling.restart(self.database);
    }

    /// Bytes of memory that what it has recorded holds.
    pub(crate) fn recorded_bytes(&self) -> usize {
        self.full.bytes() + self.filling.memory()
    }

    pub(crate) fn full_chunks(&self) -> usize {
        self.full.len()
    }

    /// The chunks that are full.
    pub(crate) fn take_full(&mut self) -> Recorded {
        mem::take(&mut self.full)
    }

    /// All that is left.
    pub(crate) fn finish(mut self) -> Recorded {
        if !self.filling.is_empty() {
            self.full.push(self.filling);
        }
        self.full
    }
}

fn empty_chunk(database: u32, compression: Compression) -> Chunk {
    let mut chunk = Chunk::new(compression);
    chunk.restart(database);
    chunk
}
