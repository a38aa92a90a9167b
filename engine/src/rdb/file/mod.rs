//! Whole dump files: `dump.rdb` as redis-server saves and loads it, read and written from beginning to end.
//!
//! ```text
//!  "REDIS" "0010"                          magic, version in four digits
//!  FA  name  value                         a fact about the server that wrote it
//!  F5  library                             functions
//!  F7  module  pieces  00                  what a module keeps beside its keys
//!  FE  number                              the keys that follow are in this database
//!  FB  keys  expiring                      so many of them, about
//!    FC  i64 LE                            Unix milliseconds, or -1 for never │ the next key
//!    FD  i32 LE                            Unix seconds                       │ expires
//!    F8  seconds                           it has not been used for so long
//!    F9  u8                                how often it is used
//!    type  key  value                      the key
//!  FF  u64 LE                              the end, and the CRC64 of all before; 0 if there is none
//! ```
//!
//! Names, keys and what else is text are strings, and numbers not said otherwise are lengths, both as drawn in
//! `writer`.
//!
//! | module | owns |
//! |---|---|
//! | `writer` | a file being written to any [`std::io::Write`] |
//! | `reader` | a file being read from any [`std::io::Read`]: its items, one after the other |
//! | `window` | the part of a file that is in memory, and the checksum of what is behind it |
//!
//! Invariants: of a file that is read, the value at hand is in memory and a bounded number of bytes more; of one that
//! is written a bounded number. What a length claims is not allocated before as many bytes have come. Whatever the
//! bytes, they are read or refused with the offset; never is half a key read.
//!
//! Refused: files of versions beyond Redis 7.4's, keys of 4 GiB and more, keys whose values only a module understands,
//! functions of Redis 7.0
//! before it was released, and whatever follows the end: that is how an append-only file with a preamble looks, and
//! passing over its commands would lose them. Told, and passed over: functions, what modules keep beside their keys.
//!
//! Source: files of redis-server 7.0.15; `src/rdb.h` and `src/rdb.c` of Redis 7.4 for what others write.

mod reader;
mod window;
mod writer;

use std::io;

pub use reader::{FileReader, Item, Record};
pub use writer::FileWriter;

const MAGIC: &[u8; 5] = b"REDIS";
const VERSION_DIGITS: usize = 4;
/// What is written: that of redis-server 7.0.
const VERSION: u16 = 10;
/// The first version that ends with a checksum.
const VERSION_WITH_CHECKSUM: u16 = 5;

/// What begins an item; any other byte is the type of a value.
mod opcode {
    pub(super) const SLOT_INFO: u8 = 0xF4;
    pub(super) const FUNCTIONS: u8 = 0xF5;
    pub(super) const FUNCTIONS_UNRELEASED: u8 = 0xF6;
    pub(super) const MODULE: u8 = 0xF7;
    pub(super) const IDLE: u8 = 0xF8;
    pub(super) const FREQUENCY: u8 = 0xF9;
    pub(super) const FACT: u8 = 0xFA;
    pub(super) const SIZES: u8 = 0xFB;
    pub(super) const EXPIRES_MS: u8 = 0xFC;
    pub(super) const EXPIRES_SECS: u8 = 0xFD;
    pub(super) const DATABASE: u8 = 0xFE;
    pub(super) const END: u8 = 0xFF;
}

/// What a dump knows of how a key was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    IdleSecs(u64),
    Frequency(u8),
}

/// Why a file cannot be read on, and where.
#[derive(Debug, thiserror::Error)]
#[error("at byte {at}: {cause}")]
pub struct FileError {
    pub at: u64,
    pub cause: Cause,
}

#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Value(#[from] super::Error),
    #[error("this is no dump file: it does not begin with REDIS and a version")]
    Magic,
    #[error("the file is of version {0}; the latest that is known is {max}", max = super::payload::VERSION_MAX)]
    Version(u16),
    #[error("{0} is the type of no value, and begins nothing else")]
    Opcode(u8),
    #[error("a key of {len} bytes, of which there may be {max}")]
    TooLong { len: u64, max: u64 },
    #[error("the key {} has a value that only the module {module} understands", key.escape_ascii())]
    ModuleValue { key: Vec<u8>, module: String },
    #[error("functions of a version of Redis that was not released")]
    UnreleasedFunctions,
    #[error("the checksum of the file is {expected:016x}, and that of its bytes {actual:016x}")]
    Checksum { expected: u64, actual: u64 },
    #[error("more follows behind the end; is this an append-only file with a dump in front?")]
    Trailing,
}
