//! Messages that are not flat frames: what owns something (entries, sockets, errands) and happens seldom enough.

use std::sync::Arc;

use crate::command::OwnedArgs;
use crate::conn::Accepted;
use crate::errand::{AnyAnswer, AnyErrand, Ticket};
use crate::ids::{CommandId, ConnId, ReactorId, Stamp};
use crate::journal::{Batch as JournalBatch, DiskNews};
use crate::pubsub::Push;
use crate::txn::TxMessage;

#[derive(Debug)]
pub enum Message {
    /// A socket accepted by one reactor, to be served by another.
    Adopt(Accepted),
    /// Work on the receiver on behalf of a command of the sender.
    Errand {
        from: ReactorId,
        ticket: Ticket,
        errand: Arc<dyn AnyErrand>,
    },
    ErrandAnswer {
        from: ReactorId,
        ticket: Ticket,
        answer: AnyAnswer,
        /// How long the visit took.
        ns: u64,
    },
    /// The protocol of transactions over shards.
    Tx(Box<TxMessage>),
    /// A command of one of the receiver's connections ran slowly on the sender.
    Slow {
        conn: ConnId,
        command: CommandId,
        ns: u64,
        args: OwnedArgs,
    },
    /// A message for connections of the receiver that are subscribed to something; `number` tells how far it has come.
    Deliver {
        from: ReactorId,
        number: u64,
        conns: Arc<[ConnId]>,
        push: Push,
    },
    /// Every message up to this one has been appended to the outputs of those it is for.
    Delivered {
        by: ReactorId,
        up_to: u64,
    },
    /// Say when everything that has happened to the keys that came home before this has been told.
    TellFirst {
        from: ReactorId,
        ticket: u64,
    },
    ToldFirst {
        ticket: u64,
    },
    /// What the sender's commands have done in one iteration, for the journal.
    Effects {
        stamp: Stamp,
        effects: JournalBatch,
    },
    /// How far the journal is on disk, and why it gets no further, if it does not.
    Disk(DiskNews),
    /// A line for connections of the receiver that run MONITOR.
    Monitor(Arc<[u8]>),
}
