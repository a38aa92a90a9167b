//! Where keys live: hash slots and the shards that own them. Pure data: no clock, no socket, no thread.
#![forbid(unsafe_code)]

pub mod slot;

pub use slot::{Slot, SlotMap};
