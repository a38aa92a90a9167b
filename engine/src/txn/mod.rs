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
//! shard on the keys it owns, and the replies are merged; those that one pipeline sends in a row make one transaction
//! ([`Train`]). Every other one (RENAME, BITOP, COPY …) borrows its keys:
//! with the grant each shard lends the entries, the coordinator runs the ordinary handler on them as if they were
//! one shard's, and gives them back with the release. Memory is shared, so lending moves pointers, never values.
//!
//! EXEC's block of commands borrows its keys in the same way, and names a watch: each shard looks with its grant
//! whether a watched key of its has changed, and locks those keys too, so nothing comes between the look and the act.
//! `core/exec` tells which blocks need none of this, and which need more.
//!
//! A transaction takes effect at one time on all shards: the coordinator's, once all have granted. What is due then is due
//! everywhere, and what is not, nowhere, whatever the clocks of the shards say when its parts run.
//!
//! A [course](crate::course) makes any number of visits between the grants and the release.

mod block;
mod coordinator;
pub mod lock;
mod schedule;
mod train;
mod wait;
mod watch;

use std::sync::Arc;

pub use block::Block;
pub use coordinator::{Claims, Coordinator, Next, Pending, Share, Work, shares};
pub use schedule::{Part, Schedule, Settling, footprint_of};
pub use train::{Scattered, Train, share_of};
pub use wait::{Turn, Wait, Waits};
pub use watch::Watches;

use crate::command::{Event, OwnedArgs};
use crate::course::Round;
use crate::errand::AnyAnswer;
use crate::ids::{CommandId, ConnId, ReactorId, ReplyTo, TxId, WatchId};
use crate::journal::{Batch, SnapshotHead};
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

/// What happens on every shard at one moment, between all batches up to a stamp and all after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// A walk over its keys begins.
    pub walks: bool,
    /// The journal begins, or ends.
    pub journals: Option<bool>,
    /// Nothing is written from then on, until [`Core::let_write`](crate::core::Core::let_write). A cut for this alone has
    /// what was done before made durable.
    pub holds: bool,
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
    pub concerns: Concerns,
    /// What notifications say of it.
    pub event: Option<Event>,
}

/// Whom a change concerns, beside those who hear of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// Those who watch the key, and those who wait for it.
    All,
    Waiters,
    Nobody,
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
    /// Keys, by their hashes, that a transaction is to hold as well.
    Claim {
        id: TxId,
        keys: Vec<u64>,
    },
    Granted {
        id: TxId,
        shard: ReactorId,
        grant: Grant,
    },
    Refused {
        id: TxId,
    },
    /// All have granted: run your part, release, answer.
    Run {
        id: TxId,
        at_us: u64,
    },
    /// A round of a course: no lock is released.
    Visit {
        id: TxId,
        at_us: u64,
        round: Arc<dyn Round>,
        /// Whose command it is.
        conn: ConnId,
    },
    /// A block of a connection of the sender's runs step by step, all of it at this time.
    Begin {
        id: TxId,
        from: ReactorId,
        conn: ConnId,
        at_us: u64,
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
        /// Do not release yet: say which keys are filled.
        stays: bool,
    },
    /// All commands have run; do not release yet: say which keys are filled.
    Finish {
        id: TxId,
    },
    /// Keys that somebody waits for and the transaction has filled.
    Filled {
        id: TxId,
        shard: ReactorId,
        keys: Vec<Box<[u8]>>,
    },
    /// Offer these of them to who waits.
    Settle {
        id: TxId,
        keys: Vec<Box<[u8]>>,
    },
    /// That is done.
    Settled {
        id: TxId,
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
    /// What a command of a block that runs step by step has done.
    Effects {
        conn: ConnId,
        effects: Batch,
    },
    /// The cut of a snapshot: this is the moment. Release then.
    Cut {
        id: TxId,
        cut: Cut,
        head: SnapshotHead,
    },
    /// Run this block, all of whose keys are yours, in one step, and answer.
    Block {
        job: Box<BlockJob>,
        reply_to: ReplyTo,
    },
}

/// What a shard gives with its locks.
#[derive(Debug, Default)]
pub struct Grant {
    pub lent: Vec<Lent>,
    /// A key that the transaction watches has changed: it must not take effect.
    pub watch_failed: bool,
    /// When the time of the first of the watched keys is over, in Unix milliseconds, if it ever is.
    pub watch_ends_ms: Option<u64>,
    /// Somebody waits for one of the keys.
    pub is_awaited: bool,
}

/// What running a part gave.
#[derive(Debug)]
pub enum Outcome {
    Replies(Replies),
    /// And how long it took, in nanoseconds.
    Answer(AnyAnswer, u64),
}

impl Outcome {
    pub fn into_replies(self) -> Option<Replies> {
        if let Self::Replies(replies) = self { Some(replies) } else { None }
    }

    pub fn into_answer(self) -> Option<AnyAnswer> {
        if let Self::Answer(answer, _) = self { Some(answer) } else { None }
    }

    /// How long the visit took.
    pub fn ns(&self) -> u64 {
        if let Self::Answer(_, ns) = self { *ns } else { 0 }
    }
}

/// What the commands of a train have answered on one shard.
#[derive(Debug, Default)]
pub struct Replies {
    pub bytes: Vec<u8>,
    /// Where each ends, and how long its command ran, in nanoseconds.
    pub ends: Vec<(usize, u64)>,
}

impl Replies {
    /// Each reply, and how long its command ran.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, ns)| (&self.bytes[std::mem::replace(&mut start, end)..end], ns))
    }
}
