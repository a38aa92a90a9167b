//! Byte layouts of values that users can read as bytes.

pub mod hyperloglog;
