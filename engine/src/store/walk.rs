//! Walking over all keys as they are at one moment, while they change.
//!
//! At that moment, the cut, the table changes its mark, so that no entry has it: none has been recorded. A step records
//! some, segment by segment in the order of prefixes; an entry that is about to change or to go before its turn is recorded
//! first, it alone. So what is recorded is what was there at the cut, each key once; a change while nothing is walked over
//! pays one branch.
//!
//! Invariants:
//! - an entry has been recorded, or came after the cut, if its mark is its table's; while there is no walk all are so;
//! - all entries of segments that the walk has come by are so. Whatever splits or merges, entries keep their marks, and one
//!   that has not been recorded lies where the walk still comes by;
//! - a table that is emptied meanwhile stays as it was until all of it is recorded, and is freed then.
//!
//! A step that ends within a segment leaves no place to go on at: the next looks for entries without the mark again, for
//! which it reads no more than the segment's slots. A value is recorded whole: the largest bounds a step from below. The
//! access clocks of keys are those of the moment in which they are recorded.

use std::collections::VecDeque;
use std::mem;

use arrayvec::ArrayVec;

use super::entry::Entry;
use super::segment::Segment;
use super::table::DEPTH_MAX;
use crate::journal::Chunk;
use crate::rules::{Rule, holds};

/// One past the last position, prefixes taken at the deepest level.
const END: u32 = 1 << DEPTH_MAX;
/// Entries that are fetched together.
const FETCHED_TOGETHER: usize = 16;
/// What an entry takes off a step's budget is 1, and 1 more for every so many bytes that are written of it.
const COST_BYTES: usize = 256;
/// A segment takes 1 more for so many entries, which are looked at.
const COST_LOOKS: usize = 64;

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
    /// The table's since the cut.
    mark: bool,
    /// All segments before are recorded, prefixes taken at the deepest level.
    next: u32,
    filling: Chunk,
    full: Recorded,
    /// Nobody wants what it would record: it only marks.
    is_abandoned: bool,
}

impl Walk {
    pub(crate) fn new(database: u32, mark: bool) -> Self {
        let filling = Chunk::new(database);
        Self { database, mark, next: 0, filling, full: Recorded::default(), is_abandoned: false }
    }

    /// Where it goes on in a directory of this depth; `None` at the end.
    pub(crate) fn place(&self, depth: u8) -> Option<usize> {
        (self.next < END).then_some((self.next >> (DEPTH_MAX - depth)) as usize)
    }

    /// Records what is left of the segment it has come to, or as much as the budget allows for. Goes by if all is.
    pub(crate) fn record_some(&mut self, segment: &mut Segment, budget: &mut usize) {
        let mark = self.mark;
        let mut left = segment.entries.iter_mut().filter(|entry| entry.mark() != mark);
        loop {
            let fetched = left.by_ref().take(FETCHED_TOGETHER).inspect(|entry| entry.prefetch());
            let fetched: ArrayVec<_, FETCHED_TOGETHER> = fetched.collect();
            if fetched.is_empty() {
                break;
            }
            for entry in fetched {
                if *budget == 0 {
                    return;
                }
                *budget = budget.saturating_sub(self.record(entry));
            }
        }
        *budget = budget.saturating_sub(1 + segment.entries.len() / COST_LOOKS);
        self.next = (segment.prefix() as u32 + 1) << (DEPTH_MAX - segment.depth());
    }

    /// Records an entry. Returns what it takes off a budget.
    fn record(&mut self, entry: &mut Entry) -> usize {
        entry.set_mark(self.mark);
        if self.is_abandoned {
            return 1;
        }
        let len = self.filling.len();
        self.filling.push(entry, Some(entry.access()));
        let written = self.filling.len() - len;
        if self.filling.is_full() {
            self.full.push(mem::replace(&mut self.filling, Chunk::new(self.database)));
        }
        1 + written / COST_BYTES
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

/// What a table hands out with a segment that may change: the walk over it, if there is one, which has to see every entry
/// before that changes or goes; and the mark of those that come.
#[derive(Debug)]
pub(crate) struct Recorder<'t> {
    walk: Option<&'t mut Walk>,
    mark: bool,
}

impl<'t> Recorder<'t> {
    #[inline]
    pub(crate) fn new(walk: Option<&'t mut Walk>, mark: bool) -> Self {
        Self { walk, mark }
    }

    /// To be called with an entry that is about to change, or to go.
    #[inline]
    pub(crate) fn before_change(&mut self, entry: &mut Entry) {
        if let Some(walk) = &mut self.walk
            && entry.mark() != self.mark
            && holds(Rule::ChangesAreRecordedFirst)
        {
            walk.record(entry);
        }
    }

    /// To be called with an entry that is put in: it was not there at the cut, or has been recorded where it was.
    #[inline]
    pub(crate) fn admit(&mut self, entry: &mut Entry) {
        entry.set_mark(self.mark);
    }
}
