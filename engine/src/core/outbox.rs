//! What a core has to say to others: one open batch per reactor, and a queue of messages to itself.

use std::collections::VecDeque;

use crate::ids::ReactorId;
use crate::limits::BATCH_BYTES_MAX;
use crate::mesh::{Batch, Message};
use crate::txn::TxMessage;

/// Emptied batches kept for each peer.
const SPARES_MAX: usize = 4;

#[derive(Debug)]
struct Peer {
    open: Box<Batch>,
    /// It found its lane full.
    held_up: bool,
    #[expect(clippy::vec_box, reason = "a batch moves between lanes as the box it is")]
    spare: Vec<Box<Batch>>,
}

#[derive(Debug)]
pub(super) struct Outbox {
    me: ReactorId,
    peers: Vec<Peer>,
    local: VecDeque<Message>,
}

impl Outbox {
    pub(super) fn new(me: ReactorId, reactors: usize) -> Self {
        let peers =
            (0..reactors).map(|_| Peer { open: Box::default(), held_up: false, spare: Vec::new() }).collect();
        Self { me, peers, local: VecDeque::new() }
    }

    /// The batch that is being filled for a reactor.
    #[inline]
    pub(super) fn open(&mut self, to: ReactorId) -> &mut Batch {
        &mut self.peers[to.index()].open
    }

    /// Whether a batch is so full that connections should wait for it to leave.
    #[inline]
    pub(super) fn is_full(&self, to: ReactorId) -> bool {
        self.peers[to.index()].open.len() >= BATCH_BYTES_MAX
    }

    /// Sends a message; one to itself is handled in this iteration.
    pub(super) fn post(&mut self, to: ReactorId, message: Message) {
        if to == self.me {
            self.local.push_back(message);
        } else {
            self.open(to).messages.push_back(message);
        }
    }

    /// Sends a message of the protocol of transactions.
    pub(super) fn post_tx(&mut self, to: ReactorId, message: TxMessage) {
        self.post(to, Message::Tx(Box::new(message)));
    }

    pub(super) fn next_local(&mut self) -> Option<Message> {
        self.local.pop_front()
    }

    pub(super) fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// Takes the batch for a reactor if there is anything in it.
    #[inline]
    pub(super) fn take(&mut self, to: ReactorId) -> Option<Box<Batch>> {
        let peer = &mut self.peers[to.index()];
        peer.held_up = false;
        if peer.open.is_empty() {
            return None;
        }
        let empty = peer.spare.pop().unwrap_or_default();
        Some(std::mem::replace(&mut peer.open, empty))
    }

    /// Puts a batch back that found its lane full. Nothing was added meanwhile.
    pub(super) fn put_back(&mut self, to: ReactorId, batch: Box<Batch>) {
        let peer = &mut self.peers[to.index()];
        peer.held_up = true;
        let empty = std::mem::replace(&mut peer.open, batch);
        self.recycle(to, empty);
    }

    /// Whether a batch has to be offered to its lane again.
    pub(super) fn is_held_up(&self) -> bool {
        self.peers.iter().any(|peer| peer.held_up)
    }

    /// Whether the batch for this reactor does.
    pub(super) fn is_held_up_to(&self, to: ReactorId) -> bool {
        self.peers[to.index()].held_up
    }

    /// Keeps an emptied batch that came from a reactor for what goes back to it.
    pub(super) fn recycle(&mut self, from: ReactorId, mut batch: Box<Batch>) {
        batch.clear();
        let spare = &mut self.peers[from.index()].spare;
        if spare.len() < SPARES_MAX {
            spare.push(batch);
        }
    }
}
