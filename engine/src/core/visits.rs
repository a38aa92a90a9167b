//! Errands as a core runs them: asking others, being asked, finishing.

use std::sync::Arc;

use crate::collections::Map;
use bobbin_proto::Reply;

use super::Core;
use super::exec::terms_of;
use crate::conn::Conn;
use crate::errand::{AnyAnswer, AnyErrand, Asked, Gather, Need, Targets, Ticket};
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
    pub(crate) fn ask(
        &mut self,
        conn: &mut Conn,
        asked: Asked,
        errand: Arc<dyn AnyErrand>,
        targets: Targets,
    ) {
        let reply_to = self.hold_behind(conn);
        let targets = self.targets(targets);
        if errand.need() == Need::Atomic {
            let shares = targets.into_iter().map(Share::whole).collect();
            let terms = terms_of(conn.session);
            return self.begin_transaction(reply_to, Work::Atomic { errand, asked }, shares, terms);
        }
        self.visit_all(reply_to, asked, &errand, targets);
    }

    /// Sends an errand out, each visit at a moment of its own.
    pub(super) fn visit_all(
        &mut self,
        reply_to: ReplyTo,
        asked: Asked,
        errand: &Arc<dyn AnyErrand>,
        targets: Vec<ReactorId>,
    ) {
        self.visits.last += 1;
        let ticket = Ticket(self.visits.last);
        let gather = Gather::new(Arc::clone(errand), asked, &targets, self.env.shared.reactors());
        self.visits.gathers.insert(ticket, (gather, reply_to));
        for target in targets {
            self.outbox.post(target, Message::Errand { from: self.id, ticket, errand: Arc::clone(errand) });
        }
    }

    pub(super) fn targets(&self, targets: Targets) -> Vec<ReactorId> {
        match targets {
            Targets::All => (0..self.env.shared.reactors()).map(ReactorId::from_index).collect(),
            Targets::One(reactor) => vec![reactor],
            Targets::These(reactors) => reactors,
        }
    }

    /// Is visited; waits first for lent keys to come home if the errand looks at all of them.
    pub(super) fn handle_errand(&mut self, from: ReactorId, ticket: Ticket, errand: Arc<dyn AnyErrand>) {
        if self.schedule.blocks_visit(&*errand) {
            self.schedule_alone(Part::Visit { errand, ticket, from });
        } else {
            self.visit(from, ticket, &errand);
        }
    }

    pub(super) fn visit(&mut self, from: ReactorId, ticket: Ticket, errand: &Arc<dyn AnyErrand>) {
        let (answer, ns) = self.timed_visit(errand);
        self.outbox.post(from, Message::ErrandAnswer { from: self.id, ticket, answer, ns });
    }

    /// Makes a visit. Also returns how long it takes, the time that the driver is to stand still included.
    pub(super) fn timed_visit(&mut self, errand: &Arc<dyn AnyErrand>) -> (AnyAnswer, u64) {
        let (start, stall_us) = (self.env.stopwatch.read(), self.stall_us);
        let answer = errand.visit(self);
        (answer, self.ns_since(start) + (self.stall_us - stall_us).saturating_mul(1000))
    }

    pub(super) fn handle_answer(&mut self, from: ReactorId, ticket: Ticket, answer: AnyAnswer, ns: u64) {
        let Some((gather, _)) = self.visits.gathers.get_mut(&ticket) else { return };
        if !gather.take(from, answer, ns) {
            return;
        }
        let Some((mut gather, reply_to)) = self.visits.gathers.remove(&ticket) else { return };
        let answers = gather.take_answers();
        let out = self.finish_errand(&gather.errand, &gather.asked, answers, gather.ns, reply_to);
        self.answer(reply_to, &out);
    }

    /// Makes the reply of an errand whose longest visit took `ns`; that and the making are the command's run time.
    pub(super) fn finish_errand(
        &mut self,
        errand: &Arc<dyn AnyErrand>,
        asked: &Asked,
        answers: Vec<AnyAnswer>,
        ns: u64,
        reply_to: ReplyTo,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(conn) = self.conns.find(reply_to.conn) else {
            errand.abandon(self);
            return out;
        };
        let version = conn.version();
        let start = self.env.stopwatch.read();
        let finished = errand.finish(answers, self, &mut Reply::new(&mut out, version));
        let ns = ns + self.ns_since(start);
        self.observe_away(reply_to, asked.command, asked.args.as_args(), ns, finished.is_ok());
        if let Err(error) = finished {
            out.clear();
            self.observed.errors.count(&error);
            error.write(&mut Reply::new(&mut out, version));
        }
        out
    }
}
