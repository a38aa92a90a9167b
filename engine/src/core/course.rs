//! Both sides of courses, as a core plays them. The protocol is drawn in [`crate::course`].

use std::sync::Arc;

use bobbin_proto::Reply;

use super::Core;
use super::exec::terms_of;
use super::shard::Caller;
use super::submit::Flow;
use crate::command::{self, Args, Command, ShardFn};
use crate::conn::Conn;
use crate::course::Round;
use crate::ids::{ConnId, ReactorId, TxId};
use crate::txn::{Job, Outcome, Share, TxMessage, Work};

impl Core {
    /// Submits a command that may be a course. As one it is a barrier on its connection.
    pub(super) fn submit_wide(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        run: ShardFn,
        args: Args<'_>,
    ) -> Flow {
        let reactors = self.env.shared.reactors();
        let caller = Caller { db: conn.db, session: conn.session };
        let course = if reactors > 1 { row.course(args, caller) } else { None };
        let Some(course) = course else { return self.submit_keyed(conn, row, run, None, args) };
        if conn.has_to_wait() {
            return Flow::NotYet;
        }
        self.feed_monitors(conn, row, args);
        let job = Job { command: row.id, db: conn.db, session: conn.session, args: args.into() };
        let reply_to = self.hold_behind(conn);
        let shares = (0..reactors).map(|shard| Share::whole(ReactorId::from_index(shard))).collect();
        let work = Work::Course { job, course, ns: 0 };
        self.begin_transaction(reply_to, work, shares, terms_of(conn.session));
        Flow::Done
    }

    /// The shard's side.
    pub(super) fn run_round(&mut self, id: TxId, round: &dyn Round, conn: ConnId) {
        let Some((from, _)) = self.schedule.part(id) else { return };
        let start = self.env.stopwatch.read();
        let answer = round.visit(self);
        self.pass_effects(from, conn);
        self.post_done(from, id, Outcome::Answer(answer, self.ns_since(start)));
    }

    /// Carries a course on with what a round gave: every shard makes the next, or is let go.
    pub(super) fn next_round(&mut self, id: TxId, outcomes: Vec<Outcome>) {
        let Some(pending) = self.coordinator.find(id) else { return };
        let Work::Course { job, course, ns } = &mut pending.work else { return };
        *ns += outcomes.iter().map(Outcome::ns).max().unwrap_or(0);
        let start = self.env.stopwatch.read();
        let mut out = Vec::new();
        let version = job.session.version();
        let answers = outcomes.into_iter().filter_map(Outcome::into_answer).collect();
        let next = course.next(answers, &mut Reply::new(&mut out, version));
        *ns += self.env.stopwatch.nanos(start, self.env.stopwatch.read());
        if let Ok(Some(round)) = next {
            let shards: Vec<_> = pending.shares.iter().map(|share| share.shard).collect();
            let (at_us, conn) = (pending.at_us, pending.reply_to.conn);
            return shards.into_iter().for_each(|shard| {
                self.post_tx(shard, TxMessage::Visit { id, at_us, round: Arc::clone(&round), conn });
            });
        }
        if let Err(error) = &next {
            out.clear();
            self.observed.errors.count(error);
            error.write(&mut Reply::new(&mut out, version));
        }
        self.end_course(id, &out, next.is_ok());
    }

    fn end_course(&mut self, id: TxId, reply: &[u8], ok: bool) {
        let Some(pending) = self.coordinator.remove(id) else { return };
        let shards: Vec<_> = pending.shares.iter().map(|share| share.shard).collect();
        self.release_shards(id, &shards);
        if let Work::Course { job, ns, .. } = &pending.work {
            let row = command::row(job.command);
            self.observe_away(pending.reply_to, row, job.args.as_args(), *ns, ok);
        }
        self.answer(pending.reply_to, reply);
    }
}
