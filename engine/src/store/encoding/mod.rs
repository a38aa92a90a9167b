//! What values are kept in: bytes that users can read, flat collections, structures. They know nothing of keys,
//! types and thresholds.

pub mod hyperloglog;
pub mod listpack;
