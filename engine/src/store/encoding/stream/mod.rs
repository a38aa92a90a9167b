//! Streams' entries: ids, nodes of up to some kilobytes, and the log that is made of nodes.
//!
//! ```text
//!  log    ┌ 1526-0 ┬ 1530-4 ┬ 1544-0 ┐     a B-tree: node by the id it counts from
//!         └───┬────┴───┬────┴───┬────┘
//!  nodes      ▼        ▼        ▼           listpacks, in Redis's layout
//!          entries  entries  entries
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `id` | [`StreamId`] |
//! | `node` | [`Node`]: entries in one listpack |
//! | `log` | [`Log`]: all nodes, appending, deleting, ranges |
//! | `trim` | removing the oldest entries of a log |

mod id;
mod log;
mod node;
#[cfg(test)]
mod tests;
mod trim;

pub use self::id::StreamId;
pub use self::log::{Log, LogState, NewId, NodeLimits, Order, Range, Refusal};
pub use self::node::{Entry, Fields, MalformedNode, Node};
pub use self::trim::{Exactness, Keep, Trim, Trimmed};
