//! The keyspace of a shard: databases of keys, in segmented tables of one-block entries.
//!
//! | module | owns |
//! |---|---|
//! | `keyspace` | the numbered databases of a shard |
//! | `db` | one database: lookup, write, counts, bytes held |
//! | `entry_mut` | an entry being changed, the database's books kept in step |
//! | `table`, `slab`, `segment` | extendible hashing: directory, places, bounded swiss tables |
//! | `entry`, `block` | key and value in one block; its layout |
//! | `object` | types of value, and values with a heap of their own |
//! | `list` | the type of that name, over encodings |
//! | `set`, `zset` | sets, sorted sets |
//! | `stream` | streams: a log, and who reads it |
//! | `hash`, `hash_live` | hashes, and what of them is not over |
//! | `scan`, `sample` | cursors, entries at random |
//! | `walk` | all keys as they were at one moment |
//! | `expire`, `evict` | the active pass, the eviction policies and access clocks |
//! | `encoding` | what values are kept in, bytes and structures |
//! | `largest` | the largest keys of a database |
//! | `graveyard` | freeing in slices |
//! | `glob` | Redis's patterns |
//! | `key_hash`, `size_class`, `integer` | the key's hash, jemalloc's size classes, canonical numbers |
//!
//! Single-threaded and sans-IO: no lock, no atomic, no clock (times are arguments, Unix milliseconds), and the
//! same seed and operations give the same result.

mod block;
mod db;
pub mod encoding;
mod entry;
mod entry_mut;
mod evict;
mod expire;
mod glob;
mod graveyard;
mod hash;
mod hash_live;
mod integer;
mod key_hash;
mod keyspace;
mod largest;
mod list;
mod object;
mod prefetch;
mod sample;
mod scan;
mod segment;
mod set;
mod size_class;
mod slab;
mod stream;
mod table;
mod walk;
mod zset;

pub use block::ACCESS_MAX;
pub(crate) use db::is_due;
pub use db::{Db, Expiry, Lookup, Written};
pub use entry::{BytesEncoding, Entry, Value};
pub use entry_mut::{EntryMut, ObjectMut};
pub use evict::{EvictConfig, Evictor, Policy};
pub use expire::Expired;
pub use glob::{Case, glob_matches};
pub use hash::{FIELD_DEADLINE_MAX_MS, Field, Hash, HashLimits};
pub use hash_live::{LiveHash, LiveHashMut};
pub use integer::parse_canonical;
pub use keyspace::Keyspace;
pub use list::{List, Piece};
pub use object::{Collection, Object, Type};
pub use prefetch::Prefetch;
pub use sample::Pool;
pub use scan::CURSOR_END;
pub use set::{Set, SetLimits};
pub use stream::{Consumer, ConsumerId, Group, Pending, Seen, Stream, entries_up_to};
pub use zset::{Zset, ZsetLimits};

#[cfg(test)]
mod tests;
