//! Messages that are not flat frames: what owns something (entries, sockets, errands) and happens seldom enough.

use std::sync::Arc;

use crate::command::OwnedArgs;
use crate::conn::Accepted;
use crate::errand::{AnyAnswer, AnyErrand, Ticket};
use crate::ids::{CommandId, ConnId, ReactorId};
use crate::txn::TxMessage;

#[derive(Debug)]
pub enum Message {
    /// A socket accepted by one reactor, to be served by another.
    Adopt(Accepted),
    /// Work on the receiver on behalf of a command of the sender.
    Errand { from: ReactorId, ticket: Ticket, errand: Arc<dyn AnyErrand> },
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
    Slow { conn: ConnId, command: CommandId, ns: u64, args: OwnedArgs },
    /// A line for connections of the receiver that run MONITOR.
    Monitor(Arc<[u8]>),
}
