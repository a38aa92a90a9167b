//! Which cores have yet to append what this one has told them, and what is withheld until they have.
//!
//! Tellings are numbered. A core that is told something says, once for a whole batch, up to which telling it has come.
//! What is withheld is let go in the order in which it came, so it may wait for a telling before its own as well.

use std::collections::VecDeque;

use crate::ids::{ReactorId, ReplyTo};
use crate::mesh::Message;

/// Which other cores a telling went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Nobody,
    One(ReactorId),
    Several,
}

impl Told {
    pub fn and(self, reactor: ReactorId) -> Self {
        match self {
            Self::Nobody => Self::One(reactor),
            Self::One(other) if other == reactor => self,
            Self::One(_) | Self::Several => Self::Several,
        }
    }

    /// Whether a reply to a connection of this reactor has to be withheld: one that goes where the message has gone
    /// arrives behind it.
    pub fn holds_up(self, replied_to: ReactorId) -> bool {
        self != Self::Nobody && self != Self::One(replied_to)
    }
}

/// What a core has told others.
#[derive(Debug)]
pub struct Receipts {
    last: u64,
    peers: Vec<Peer>,
    withheld: VecDeque<(u64, Withheld)>,
}

/// What may leave only behind what was said before it.
#[derive(Debug)]
pub enum Withheld {
    Reply(ReplyTo, Vec<u8>),
    /// For another core's part in a reply.
    Message(ReactorId, Message),
}

/// The last telling that went to one other core, and the last it is known to have come to.
#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    sent: u64,
    acknowledged: u64,
}

impl Receipts {
    pub fn new(reactors: usize) -> Self {
        Self { last: 0, peers: vec![Peer::default(); reactors], withheld: VecDeque::new() }
    }

    /// Begins a telling; returns its number.
    pub fn begin(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The telling goes to this core as well.
    pub fn note_sent(&mut self, to: ReactorId) {
        self.peers[to.index()].sent = self.last;
    }

    /// Keeps something until the last telling has arrived.
    pub fn withhold(&mut self, what: Withheld) {
        self.withheld.push_back((self.last, what));
    }

    pub fn acknowledged(&mut self, by: ReactorId, up_to: u64) {
        self.peers[by.index()].acknowledged = up_to;
    }

    /// The next that may leave.
    pub fn next_due(&mut self) -> Option<Withheld> {
        let &(telling, _) = self.withheld.front()?;
        let has_come = |peer: &Peer| peer.acknowledged == peer.sent || peer.acknowledged >= telling;
        if !self.peers.iter().all(has_come) {
            return None;
        }
        self.withheld.pop_front().map(|(_, what)| what)
    }

    pub fn is_idle(&self) -> bool {
        self.withheld.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnId;

    fn reply(seq: u32) -> Withheld {
        let conn = ConnId { index: 0, generation: 0 };
        Withheld::Reply(ReplyTo { reactor: ReactorId(0), conn, seq }, Vec::new())
    }

    fn due(receipts: &mut Receipts) -> Vec<u32> {
        let due = std::iter::from_fn(|| receipts.next_due());
        due.filter_map(|due| if let Withheld::Reply(to, _) = due { Some(to.seq) } else { None }).collect()
    }

    #[test]
    fn a_reply_leaves_once_every_core_it_was_told_to_has_it() {
        let mut receipts = Receipts::new(3);
        let first = receipts.begin();
        receipts.note_sent(ReactorId(1));
        receipts.note_sent(ReactorId(2));
        receipts.withhold(reply(1));
        let second = receipts.begin();
        receipts.note_sent(ReactorId(2));
        receipts.withhold(reply(2));
        assert_eq!(due(&mut receipts), []);
        receipts.acknowledged(ReactorId(2), first);
        assert_eq!(due(&mut receipts), []);
        receipts.acknowledged(ReactorId(1), first);
        assert_eq!(due(&mut receipts), [1]);
        receipts.acknowledged(ReactorId(2), second);
        assert_eq!(due(&mut receipts), [2]);
        assert!(receipts.is_idle());
    }

    #[test]
    fn a_reply_behind_its_message_in_one_lane_waits_for_nobody() {
        let told = Told::Nobody;
        assert!(!told.holds_up(ReactorId(1)));
        let told = told.and(ReactorId(1)).and(ReactorId(1));
        assert!(!told.holds_up(ReactorId(1)) && told.holds_up(ReactorId(0)));
        assert!(told.and(ReactorId(2)).holds_up(ReactorId(1)));
    }
}
