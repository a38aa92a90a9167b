//! What values are kept in: bytes that users can read, flat collections, structures. They know nothing of keys,
//! types and thresholds.

pub(crate) mod arena;
pub(crate) mod btree;
pub(crate) mod chunked_vec;
pub(crate) mod field_deadlines;
pub(crate) mod hash_expiring;
pub(crate) mod hash_packed;
pub(crate) mod hash_table;
pub mod hyperloglog;
pub(crate) mod id_index;
pub mod intset;
pub mod listpack;
pub(crate) mod member_table;
pub mod quicklist;
pub(crate) mod score_tree;
pub(crate) mod short_bytes;
pub mod stream;
pub(crate) mod zset_packed;
pub(crate) mod zset_table;
