//! Transactions over several shards: intent locks, the shard's side and the coordinator's side.
//!
//! ```text
//! coordinator                shard A                 shard B
//!     ├── Request ──────────────►├ locks, or queues      │
//!     ├── Request ──────────────────────────────────────►├ locks, or queues
//!     │◄───────────── Granted ───┤                       │
//!     │◄───────────── Granted ───────────────────────────┤      all granted: the one moment it takes effect
//!     ├── Run / Return ─────────►├ runs, releases        │
//!     ├── Run / Return ─────────────────────────────────►├ runs, releases
//! ```
//! A refusal from any shard withdraws the request everywhere, and it starts again under a new txid.
//!
//! Two kinds of work need no code of their own in a command. A *scattered* command (MGET, MSET, DEL …) runs on each
//! shard on the keys it owns, and the replies are merged. Every other one (RENAME, BITOP, COPY …) borrows its keys:
//! with the grant each shard lends the entries, the coordinator runs the ordinary handler on them as if they were
//! one shard's, and gives them back with the release. Memory is shared, so lending moves pointers, never values.

mod coordinator;
pub mod lock;
mod schedule;

pub use coordinator::{Coordinator, Next, Pending, Share, Work, shares};
pub use schedule::{Part, Schedule, footprint_of};

use crate::command::OwnedArgs;
use crate::errand::AnyAnswer;
use crate::ids::{CommandId, ReactorId, TxId};
use crate::mesh::SessionBits;
use crate::store::Entry;

/// A key's entries in all databases, by database. Locks do not tell databases apart either: MOVE and COPY … DB need
/// no special case, at the price of a needless wait where one key name is used in two databases at once.
pub type Lent = Vec<(u16, Entry)>;

/// A command as it is handed to another shard.
#[derive(Clone, Debug)]
pub struct Job {
    pub command: CommandId,
    pub db: u16,
    pub session: SessionBits,
    pub args: OwnedArgs,
}

/// What a coordinator and a shard say to each other.
#[derive(Debug)]
pub enum TxMessage {
    Request {
        id: TxId,
        from: ReactorId,
        part: Part,
    },
    Granted {
        id: TxId,
        shard: ReactorId,
        lent: Vec<Lent>,
    },
    Refused {
        id: TxId,
    },
    /// All have granted: run your part, release, answer.
    Run {
        id: TxId,
    },
    Done {
        id: TxId,
        shard: ReactorId,
        outcome: Outcome,
    },
    /// Takes back what was lent, and releases.
    Return {
        id: TxId,
        lent: Vec<Lent>,
    },
    /// The request is withdrawn.
    Cancel {
        id: TxId,
    },
}

/// What running a part gave, and how long it took.
#[derive(Debug)]
pub struct Outcome {
    pub given: Given,
    pub ns: u64,
}

#[derive(Debug)]
pub enum Given {
    Reply(Vec<u8>),
    Answer(AnyAnswer),
}
