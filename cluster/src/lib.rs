//! Who owns keys: within a node the shards, by hash slot; between nodes their writers, by prefix. Pure data: no clock,
//! no socket, no thread.
//!
//! | module    | owns                                                                                      |
//! |-----------|-------------------------------------------------------------------------------------------|
//! | `slot`    | hash slots and the shards that own them                                                   |
//! | `ids`     | numbers of routes, moves and versions                                                     |
//! | `node`    | the nodes there are                                                                       |
//! | `scope`   | prefixes and their writers, moves of prefixes, and the table that says who may write a key |
//! | `catalog` | all of that as one value with a version, its changes, its history and its file            |
#![forbid(unsafe_code)]

pub mod catalog;
pub mod ids;
pub mod node;
pub mod scope;
pub mod slot;

pub use ids::{Id, Version};
pub use node::{Address, Node, NodeName, Nodes};
pub use slot::{Slot, SlotMap};
