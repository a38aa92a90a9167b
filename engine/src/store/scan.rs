//! SCAN: a cursor that stays valid while the table splits and merges.
//!
//! ```text
//!  43                       15 14            0
//! ┌──────────────────────────┬───────────────┐
//! │ 1 and `depth` bits prefix│ tag           │     0 is the start, and as an answer the end
//! └──────────────────────────┴───────────────┘
//! ```
//!
//! Entries are visited in the order of (prefix, tag); a cursor stands for "all before this is done". One call
//! takes windows of tags, so it reads only tags to choose, sorts nothing, and an entry that moves between
//! buckets is met all the same.
//!
//! What was done stays done:
//! - the segment has been split since: the cursor's prefix becomes that of the first part, at the same tag. The
//!   parts after it start at tag 0 and may repeat entries.
//! - it has been merged: the part the cursor stands for goes on with its own, longer prefix; entries of the
//!   segment that do not share it are left out by their full hash. Where such a part begins at tag 0 and on the
//!   boundary of a larger one, it becomes the larger one.
//!
//! So an entry that is there from start to end of a scan is returned, and the position only goes forward.
//!
//! Refuses: cursors that no table gave are taken for the position their bits spell, or for the end.

use super::db::Db;
use super::entry::Entry;
use super::key_hash::{TAG_BITS, TAG_END};
use super::segment::Segment;
use super::table::{DEPTH_MAX, Table};

/// No cursor reaches this, so a caller can put a shard's number above.
pub const CURSOR_END: u64 = 1 << CURSOR_BITS;
const CURSOR_BITS: u32 = 1 + DEPTH_MAX as u32 + TAG_BITS;
const _: () = assert!(CURSOR_BITS == 44);

/// Windows that a call may take beyond one for every `ENTRIES_PER_WINDOW` it was asked for: with few entries
/// to a segment it would otherwise walk many segments to fill its count.
const WINDOWS_MIN: usize = 8;
const ENTRIES_PER_WINDOW: usize = 64;

impl Db {
    /// Visits about `count` entries from `cursor` on; 0 begins. Returns the cursor to go on from; 0 if done.
    pub fn scan<'a>(&'a self, cursor: u64, count: usize, mut visit: impl FnMut(&'a Entry)) -> u64 {
        let count = count.max(1);
        let mut at = Position::decode(cursor);
        let mut visited = 0;
        for _ in 0..WINDOWS_MIN + count / ENTRIES_PER_WINDOW {
            let Some(position) = at else { return 0 };
            at = position.visit_window(&self.table, count - visited, &mut |entry| {
                visited += 1;
                visit(entry);
            });
            if visited >= count {
                break;
            }
        }
        at.map_or(0, Position::encode)
    }
}

/// All entries before (prefix, tag) are done, prefixes taken at `depth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    depth: u8,
    prefix: usize,
    tag: u32,
}

impl Position {
    fn decode(cursor: u64) -> Option<Self> {
        let tag = cursor as u32 & (TAG_END - 1);
        let Some(depth) = (cursor >> TAG_BITS).checked_ilog2() else {
            return Some(Self { depth: 0, prefix: 0, tag });
        };
        let depth = u8::try_from(depth).ok().filter(|&depth| depth <= DEPTH_MAX)?;
        Some(Self { depth, prefix: (cursor >> TAG_BITS) as usize & ((1 << depth) - 1), tag })
    }

    fn encode(self) -> u64 {
        ((1u64 << self.depth) | self.prefix as u64) << TAG_BITS | u64::from(self.tag)
    }

    /// Visits the entries of the next window of tags, sized to hold about `wanted`. `None` at the end.
    fn visit_window<'a>(
        self,
        table: &'a Table,
        wanted: usize,
        visit: &mut impl FnMut(&'a Entry),
    ) -> Option<Self> {
        let segment = table.segment_of_prefix(self.prefix, self.depth)?;
        let from = self.fitted_to(segment);
        let until = from.window_end(segment, wanted);
        let is_part = from.depth > segment.depth();
        for entry in &segment.entries {
            let tag = u32::from(entry.tag());
            if (from.tag..until).contains(&tag)
                && (!is_part || table.hash(entry.key()).prefix(from.depth) == from.prefix)
            {
                visit(entry);
            }
        }
        if until < TAG_END { Some(Self { tag: until, ..from }) } else { from.next_prefix() }
    }

    /// The same position, at the segment's depth if it can be said there.
    fn fitted_to(self, segment: &Segment) -> Self {
        if self.depth <= segment.depth() {
            return Self { depth: segment.depth(), prefix: segment.prefix(), ..self };
        }
        let mut fitted = self;
        while fitted.tag == 0 && fitted.depth > segment.depth() && fitted.prefix.is_multiple_of(2) {
            fitted.prefix /= 2;
            fitted.depth -= 1;
        }
        fitted
    }

    fn window_end(self, segment: &Segment, wanted: usize) -> u32 {
        let len = segment.entries.len() >> (self.depth - segment.depth());
        let width = wanted.saturating_mul(TAG_END as usize).div_ceil(len.max(1));
        (self.tag as usize).saturating_add(width).min(TAG_END as usize) as u32
    }

    fn next_prefix(self) -> Option<Self> {
        let prefix = self.prefix + 1;
        (prefix < 1 << self.depth).then_some(Self { prefix, tag: 0, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_their_encoding() {
        for (depth, prefix, tag) in [(0, 0, 1), (1, 1, 0), (5, 17, 32_767), (28, (1 << 28) - 1, 32_767)] {
            let position = Position { depth, prefix, tag };
            assert_eq!(Position::decode(position.encode()), Some(position));
            assert!(position.encode() < CURSOR_END && position.encode() > 0);
        }
    }

    #[test]
    fn a_part_that_was_merged_goes_on_alone() {
        let mut keyspace = crate::store::Keyspace::new(1, 1);
        let db = keyspace.db_mut(0);
        (0..500u32).for_each(|i| drop(db.insert(Entry::integer(&i.to_be_bytes(), 0, None))));
        let last_quarter = Position { depth: 2, prefix: 3, tag: 0 };
        let mut visited = 0;
        let end = db.scan(last_quarter.encode(), 1000, |entry| {
            assert_eq!(db.table.hash(entry.key()).prefix(2), 3);
            visited += 1;
        });
        assert_eq!((end, visited), (0, db.iter().filter(|e| db.table.hash(e.key()).prefix(2) == 3).count()));
    }

    #[test]
    fn cursors_nobody_gave_end_or_go_on() {
        let mut keyspace = crate::store::Keyspace::new(1, 1);
        let db = keyspace.db_mut(0);
        (0..5000u32).for_each(|i| drop(db.insert(Entry::integer(&i.to_be_bytes(), 0, None))));
        for bit in 0..64 {
            let db = &*db;
            let mut cursor = u64::MAX >> bit;
            for _ in 0..5000 {
                cursor = db.scan(cursor, 10, |_| {});
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(cursor, 0);
        }
    }
}
