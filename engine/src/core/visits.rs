//! Errands as a core runs them: asking others, being asked, finishing.

use std::sync::Arc;

use crate::collections::Map;
use bobbin_proto::Reply;

use super::Core;
use crate::conn::{Conn, Hold};
use crate::errand::{AnyAnswer, AnyErrand, Gather, Need, Targets, Ticket};
use crate::ids::{ReactorId, ReplyTo};
use crate::mesh::Message;
use crate::txn::{Part, Share, Work};

/// Errands this core has under way.
#[derive(Debug, Default)]
pub(super) struct Visits {
    last: u64,
    gathers: Map<Ticket, (Gather, ReplyTo)>,
}

impl Visits {
    pub(super) fn is_empty(&self) -> bool {
        self.gathers.is_empty()
    }
}

impl Core {
    /// Sends an errand out for a connection; its reply takes the next place in the order, and the connection waits.
    pub(crate) fn ask(&mut self, conn: &mut Conn, errand: Arc<dyn AnyErrand>, targets: Targets) {
        let reply_to = self.hold_reply(conn);
        conn.hold = Hold::Order;
        let targets = self.targets(targets);
        if errand.need() == Need::Atomic {
            let shares = targets.into_iter().map(|shard| Share { shard, keys: Vec::new() }).collect();
            return self.begin_transaction(reply_to, Work::Atomic(errand), shares);
        }
        self.visits.last += 1;
        let ticket = Ticket(self.visits.last);
        let gather = Gather::new(Arc::clone(&errand), &targets, self.env.shared.reactors());
        self.visits.gathers.insert(ticket, (gather, reply_to));
        for target in targets {
            self.outbox.post(target, Message::Errand { from: self.id, ticket, errand: Arc::clone(&errand) });
        }
    }

    fn targets(&self, targets: Targets) -> Vec<ReactorId> {
        match targets {
            Targets::All => (0..self.env.shared.reactors()).map(ReactorId::from_index).collect(),
            Targets::One(reactor) => vec![reactor],
        }
    }

    /// Is visited; waits first for lent keys to come home if the errand looks at all of them.
    pub(super) fn handle_errand(&mut self, from: ReactorId, ticket: Ticket, errand: Arc<dyn AnyErrand>) {
        if self.schedule.blocks_visit(errand.need()) {
            self.schedule_alone(Part::Visit { errand, ticket, from });
        } else {
            self.visit(from, ticket, errand);
        }
    }

    pub(super) fn visit(&mut self, from: ReactorId, ticket: Ticket, errand: Arc<dyn AnyErrand>) {
        let answer = errand.visit(self);
        self.outbox.post(from, Message::ErrandAnswer { from: self.id, ticket, answer });
    }

    pub(super) fn handle_answer(&mut self, from: ReactorId, ticket: Ticket, answer: AnyAnswer) {
        let Some((gather, _)) = self.visits.gathers.get_mut(&ticket) else { return };
        if !gather.take(from, answer) {
            return;
        }
        let Some((gather, reply_to)) = self.visits.gathers.remove(&ticket) else { return };
        let (errand, answers) = gather.into_answers();
        let mut out = Vec::new();
        self.finish_errand(&errand, answers, reply_to, &mut out);
        self.answer(reply_to, &out);
    }

    pub(super) fn finish_errand(
        &mut self,
        errand: &Arc<dyn AnyErrand>,
        answers: Vec<AnyAnswer>,
        reply_to: ReplyTo,
        out: &mut Vec<u8>,
    ) {
        let Some(conn) = self.conns.find(reply_to.conn) else { return };
        let version = conn.version();
        if let Err(error) = errand.finish(answers, self, &mut Reply::new(out, version)) {
            out.clear();
            self.observed.errors.count(&error);
            error.write(&mut Reply::new(out, version));
        }
    }
}
