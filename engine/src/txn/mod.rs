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
//!
//! EXEC's block of commands borrows its keys in the same way, and names a watch: each shard looks with its grant
//! whether a watched key of its has changed, and locks those keys too, so nothing comes between the look and the act.
//! `core/exec` tells which blocks need none of this, and which need more.
//!
//! A [course](crate::course) makes any number of visits between the grants and the release.

mod block;
mod coordinator;
pub mod lock;
mod schedule;
mod wait;
mod watch;

use std::sync::Arc;

pub use block::Block;
pub use coordinator::{Coordinator, Next, Pending, Share, Work, shares};
pub use schedule::{Part, Schedule, Settling, footprint_of};
pub use wait::{Turn, Wait, Waits};
pub use watch::Watches;

use crate::command::OwnedArgs;
use crate::course::Round;
use crate::errand::AnyAnswer;
use crate::ids::{CommandId, ReactorId, ReplyTo, TxId, WatchId};
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

/// The commands of an EXEC, as they are handed to another shard.
#[derive(Debug)]
pub struct BlockJob {
    pub block: Block,
    pub db: u16,
    pub session: SessionBits,
    pub watch: Option<WatchId>,
}

/// A key that has changed.
#[derive(Debug)]
pub struct Change {
    pub db: u16,
    pub key: Box<[u8]>,
    /// Whoever watches the key is to see it.
    pub is_watched: bool,
}

/// How a request asks for its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// In line.
    Wait,
    /// At once, or not at all: somebody may wait for locks that the coordinator has under another txid.
    Try,
    /// For none: a transaction around it holds them.
    Held,
}

/// What a coordinator and a shard say to each other.
#[derive(Debug)]
pub enum TxMessage {
    Request {
        id: TxId,
        from: ReactorId,
        part: Part,
        terms: Terms,
    },
    Granted {
        id: TxId,
        shard: ReactorId,
        lent: Vec<Lent>,
        /// A key that the transaction watches has changed: it must not take effect.
        watch_failed: bool,
    },
    Refused {
        id: TxId,
    },
    /// All have granted: run your part, release, answer.
    Run {
        id: TxId,
    },
    /// A round of a course: no lock is released.
    Visit {
        id: TxId,
        round: Arc<dyn Round>,
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
        changed: Vec<Change>,
        /// The command found nothing, and is to stand in line.
        wait: Option<Wait>,
    },
    /// The request is withdrawn, or the transaction is over.
    Cancel {
        id: TxId,
    },
    /// Run this, and put it in line if it finds nothing.
    Wait {
        job: Job,
        reply_to: ReplyTo,
    },
    /// It stands in line.
    Waiting {
        shard: ReactorId,
        wait: ReplyTo,
    },
    /// A key that it waits for is there, and locked; `away`: the command for that key, which needs others elsewhere.
    Offer {
        id: TxId,
        shard: ReactorId,
        wait: ReplyTo,
        away: Option<Box<Job>>,
    },
    /// Serve it.
    Take {
        id: TxId,
        wait: ReplyTo,
    },
    /// Lend these keys for it, under another txid.
    TakeAway {
        id: TxId,
        under: TxId,
        keys: Vec<Box<[u8]>>,
    },
    /// It wants nothing any more, or, if it stays in line, nothing at the moment.
    Decline {
        id: TxId,
        wait: ReplyTo,
        stays: bool,
    },
    /// It could be served again: look at its keys.
    Recheck {
        wait: ReplyTo,
    },
    /// There was nothing in it for the command: it waits on.
    Unserved {
        wait: ReplyTo,
    },
    /// It stands in line no more.
    Withdraw {
        wait: ReplyTo,
    },
    /// Run this block, all of whose keys are yours, in one step, and answer.
    Block {
        job: Box<BlockJob>,
        reply_to: ReplyTo,
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
