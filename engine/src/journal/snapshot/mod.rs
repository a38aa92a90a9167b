//! Snapshot files: all keys as they were at one stamp.
//!
//! ```text
//!  header · chunk · chunk · … · footer
//!
//!  facts   ┌────────┬───────────┬───────┐      `header` draws the rest
//!          │ stamp  │ made at   │ clock │
//!          └────────┴───────────┴───────┘
//!            u64 LE   u64 LE      u32 LE: 0 none, 1 LRU, 2 LFU
//!
//!  chunk   ┌────────┬────────┬──────────┬────────┬─────────────┬─ ─ ─ ─ ─┐
//!          │ CRC32C │ kind   │ database │ keys   │ payload len │ payload │
//!          └────────┴────────┴──────────┴────────┴─────────────┴─ ─ ─ ─ ─┘
//!            u32 LE   u32 LE   u32 LE     u32 LE   u64 LE
//!
//!  keys    each: flags (u8) · key length (varint), key · expiry (u64 LE, Unix milliseconds)* · access (u24 LE)*
//!          · type of value (u8) · value in RDB           * if the flags say so
//!  packed  a chunk of another kind: length of the keys (u64 LE) · the keys, as a block of LZ4
//!  footer  and of another: chunks (u64 LE) · each database: number (u32 LE), keys (u64 LE), of which so
//!          many expire (u64 LE)
//! ```
//!
//! The lengths alone lead from chunk to chunk, so that threads can decode them in parallel. A chunk has keys of one
//! database, and about [`CHUNK_BYTES`] before they are packed; a large value makes it longer. Chunks are in no order.
//!
//! Version 1 had no packed chunks; strings of more than 20 bytes were compressed each by itself, as RDB has it.
//!
//! Invariants: without its footer, at the very end, a file is not whole. The footer's counts are those of the chunks'
//! headers. The access clock of a key is what its entry has, and means something under the policies its clock is of.

mod new;
mod pack;
mod reader;
mod writer;

use super::header::Magic;
use crate::ids::Stamp;

pub use new::NewSnapshot;
pub use pack::Packer;
pub use reader::{ChunkPlace, Keys, ReadChunk, Snapshot, SnapshotEntry, SnapshotError};
pub use writer::{Chunk, Totals};

const MAGIC: Magic = *b"BobbinS\n";

const STAMP: usize = 0;
const MADE: usize = STAMP + 8;
const CLOCK: usize = MADE + 8;
const FACTS_LEN: usize = CLOCK + 4;

const CHECKSUM: usize = 0;
const KIND: usize = CHECKSUM + 4;
const DATABASE: usize = KIND + 4;
const KEYS: usize = DATABASE + 4;
const PAYLOAD_LEN: usize = KEYS + 4;
const CHUNK_HEADER_LEN: usize = PAYLOAD_LEN + 8;

const KIND_KEYS: u32 = 1;
const KIND_FOOTER: u32 = 2;
const KIND_PACKED: u32 = 3;

const FLAG_EXPIRES: u8 = 1 << 0;
const FLAG_ACCESS: u8 = 1 << 1;
const FLAGS: u8 = FLAG_EXPIRES | FLAG_ACCESS;
const ACCESS_LEN: usize = 3;

const COUNT_LEN: usize = 4 + 8 + 8;

/// From here on a chunk is full.
pub const CHUNK_BYTES: usize = 1 << 20;

/// What the access clocks of keys are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Clock {
    /// Keys have none.
    #[default]
    None = 0,
    Lru = 1,
    Lfu = 2,
}

impl Clock {
    fn from_number(number: u32) -> Option<Self> {
        [Self::None, Self::Lru, Self::Lfu].into_iter().find(|clock| *clock as u32 == number)
    }
}

/// What a snapshot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// All batches up to it are in the snapshot, and none after it.
    pub stamp: Stamp,
    /// Unix milliseconds.
    pub made_ms: u64,
    pub clock: Clock,
}

impl SnapshotHead {
    /// The file's name.
    pub fn name(&self) -> String {
        name(self.stamp)
    }
}

pub(super) fn name(stamp: Stamp) -> String {
    format!("snapshot-{:020}", stamp.0)
}

/// The stamp of the snapshot of this name, if it is one's.
pub(super) fn stamp_of(name_given: &str) -> Option<Stamp> {
    let stamp = Stamp(name_given.strip_prefix("snapshot-")?.parse().ok()?);
    (name(stamp) == name_given).then_some(stamp)
}

/// Keys of one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub database: u32,
    pub keys: u64,
    pub expiring: u64,
}

#[cfg(test)]
mod tests;
