//! RDB: values as Redis writes them into dump files, to replicas and into the replies of DUMP.
//!
//! | module | owns |
//! |---|---|
//! | `value_type` | the numbers that say how a value is written |
//! | `writer`, `reader` | the pieces that values are made of: lengths, strings, numbers |
//! | `skim` | where a value ends |
//! | `value` | which form a value takes |
//! | `list`, `set`, `zset`, `hash`, `stream` | the forms of each type, both ways |
//! | `lzf` | the compression of strings |
//! | `packed` | collections that come packed in a string |
//! | `ziplist`, `zipmap` | what Redis kept small collections in before listpacks |
//! | `crc64` | the checksum of payloads and files |
//! | `payload` | a value by itself, as DUMP answers it and RESTORE takes it |
//! | `file` | whole dump files, both ways |
//!
//! What is written is what redis-server 7.0 reads, wherever that has a form for the value. What is read is what any
//! version up to 7.4 writes.
//!
//! Invariants: whatever the bytes, reading neither panics nor allocates beyond a small multiple of what they stand
//! for. A value that is read is whole: every element checked, nothing twice that may be there once, nothing empty
//! that may not be.
//!
//! Source: the bytes that DUMP of redis-server 7.0.15 answers; `src/rdb.h` and `src/rdb.c` of Redis 7.2 and 7.4 for
//! what others write.

mod crc64;
mod file;
mod hash;
mod list;
mod lzf;
mod packed;
mod payload;
mod reader;
mod set;
mod skim;
mod stream;
mod value;
mod value_type;
mod writer;
mod ziplist;
mod zipmap;
mod zset;

pub use file::{Access, Cause, FileError, FileReader, FileWriter, Item, Record};
pub use payload::{Checksum, PayloadError, open, seal};
pub use reader::{Reader, Scratch};
pub use value::{Limits, newest_type_of, read_entry, type_of, value_len, write_newest, write_value};
pub use value_type::ValueType;
pub use writer::{ByteCount, Compression, Sink, Writer};

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the bytes end before the value does")]
    Truncated,
    #[error("{0}")]
    Malformed(&'static str),
}
