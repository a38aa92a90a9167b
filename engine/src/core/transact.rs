//! Both sides of transactions over shards, as a core plays them. The protocol is drawn in [`crate::txn`].

use std::collections::VecDeque;

use bobbin_proto::decode::{Value, decode};
use bobbin_proto::{Reply, Version};

use super::Core;
use super::shard::{Caller, run_on, take_out};
use crate::command::{self, Merge};
use crate::ids::{ReactorId, ReplyTo, TxId};
use crate::mesh::Message;
use crate::mesh::frame::ReplyFrame;
use crate::txn::lock::Verdict;
use crate::txn::{
    Change, Given, Job, Lent, Next, Outcome, Part, Pending, Share, Terms, TxMessage, Wait, Work,
};

impl Core {
    /// Starts a transaction that this core coordinates.
    pub(super) fn begin_transaction(
        &mut self,
        reply_to: ReplyTo,
        work: Work,
        shares: Vec<Share>,
        terms: Terms,
    ) {
        self.ask_shards(Pending::new(reply_to, work, shares, terms));
    }

    fn ask_shards(&mut self, pending: Pending) {
        let id = self.env.shared.next_tx();
        for (shard, part) in pending.parts() {
            let terms = pending.terms;
            self.post_tx(shard, TxMessage::Request { id, from: self.id, part, terms });
        }
        self.coordinator.insert(id, pending);
    }

    pub(super) fn post_tx(&mut self, to: ReactorId, message: TxMessage) {
        self.outbox.post(to, Message::Tx(Box::new(message)));
    }

    pub(super) fn handle_tx(&mut self, message: TxMessage) {
        match message {
            TxMessage::Request { id, from, part, terms } => self.request(id, from, part, terms),
            TxMessage::Run { id } => self.run_part(id),
            TxMessage::Visit { id, round } => self.run_round(id, round.as_ref()),
            TxMessage::Return { id, lent, changed, wait } => self.take_back(id, lent, &changed, wait),
            TxMessage::Wait { job, reply_to } => self.take_wait(job, reply_to),
            TxMessage::Waiting { shard, wait } => self.note_waiting(shard, wait),
            TxMessage::Offer { id, shard, wait, away } => self.offered(id, shard, wait, away),
            TxMessage::Take { id, wait } => self.take_offer(id, wait),
            TxMessage::TakeAway { id, under, keys } => self.lend_offered(id, under, &keys),
            TxMessage::Decline { id, wait, stays } => self.decline_offer(id, wait, stays),
            TxMessage::Recheck { wait } => self.recheck(wait),
            TxMessage::Unserved { wait } => self.waits_on(wait),
            TxMessage::Withdraw { wait } => self.withdraw(wait),
            TxMessage::Cancel { id } => self.cancel(id),
            TxMessage::Block { job, reply_to } => self.take_block(job, reply_to),
            TxMessage::Granted { id, shard, lent, watch_failed } => {
                match self.coordinator.granted(id, shard, lent, watch_failed) {
                    Next::AllGranted => self.all_granted(id),
                    Next::Refused => self.restart(id),
                    Next::Unknown(lent) => {
                        let message = TxMessage::Return { id, lent, changed: Vec::new(), wait: None };
                        self.post_tx(shard, message);
                    }
                    Next::Wait | Next::AllDone => {}
                }
            }
            TxMessage::Refused { id } => self.restart(id),
            TxMessage::Done { id, shard, outcome } => {
                if let Next::AllDone = self.coordinator.done(id, shard, outcome) {
                    self.all_done(id);
                }
            }
        }
    }

    // The shard's side.

    fn request(&mut self, id: TxId, from: ReactorId, part: Part, terms: Terms) {
        match self.schedule.request(id, from, part, terms, &self.shard.rest.watches) {
            Ok(Verdict::Granted) => self.hold_locks(vec![id]),
            Ok(_) => {}
            Err(_) => self.post_tx(from, TxMessage::Refused { id }),
        }
    }

    /// Puts something of this shard alone in line. Nobody else knows its txid, so a refusal costs only another one.
    pub(super) fn schedule_alone(&mut self, mut part: Part) {
        loop {
            let id = self.env.shared.next_tx();
            match self.schedule.request(id, self.id, part, Terms::Wait, &self.shard.rest.watches) {
                Ok(Verdict::Granted) => return self.hold_locks(vec![id]),
                Ok(_) => return,
                Err(refused) => part = refused,
            }
        }
    }

    /// Parts have all their locks. What stands alone runs and lets others go on: in a loop, because thousands may
    /// stand in line behind one key.
    pub(super) fn hold_locks(&mut self, ready: Vec<TxId>) {
        let mut ready = VecDeque::from(ready);
        while let Some(id) = ready.pop_front() {
            ready.extend(self.holds_locks(id));
        }
    }

    /// A part has all its locks: what stands alone runs, the others tell their coordinator. Returns who has all of
    /// theirs because of it.
    fn holds_locks(&mut self, id: TxId) -> Vec<TxId> {
        let now_ms = self.env.now.unix_ms();
        let Some((from, part)) = self.schedule.part(id) else { return Vec::new() };
        match part {
            Part::Alone { .. } | Part::Visit { .. } | Part::Block { .. } => return self.run_alone(id),
            Part::Share(_) | Part::Atomic(_) | Part::Course { .. } => self.grant(id, from, Vec::new(), false),
            Part::Hold { watch } => {
                let failed = self.shard.watch_failed(*watch, now_ms);
                self.grant(id, from, Vec::new(), failed);
            }
            Part::Lend { keys, lent, watch } => {
                *lent = true;
                // Before the keys leave: what is away cannot be looked at.
                let failed = self.shard.watch_failed(*watch, now_ms);
                let keys = keys.clone();
                self.lend(id, from, &keys, failed);
            }
            Part::Settle(_) => return self.settle_part(id),
        }
        Vec::new()
    }

    fn grant(&mut self, id: TxId, from: ReactorId, lent: Vec<Lent>, watch_failed: bool) {
        self.post_tx(from, TxMessage::Granted { id, shard: self.id, lent, watch_failed });
    }

    fn run_alone(&mut self, id: TxId) -> Vec<TxId> {
        match self.schedule.take_part(id) {
            Some(Part::Alone { job, reply_to }) => self.try_wait(&job, reply_to),
            Some(Part::Visit { errand, ticket, from }) => self.visit(from, ticket, &errand),
            Some(Part::Block { job, reply_to }) => self.run_shipped(&job, reply_to),
            _ => {}
        }
        self.finish_part(id)
    }

    fn run_part(&mut self, id: TxId) {
        let Some((from, _)) = self.schedule.part(id) else { return };
        let outcome = match self.schedule.take_part(id) {
            Some(Part::Share(job)) => {
                let (reply, ns, _) = self.run_job(&job);
                Outcome { given: Given::Reply(reply), ns }
            }
            Some(Part::Atomic(errand)) => {
                let (answer, ns) = self.timed_visit(&errand);
                Outcome { given: Given::Answer(answer), ns }
            }
            _ => return,
        };
        self.post_tx(from, TxMessage::Done { id, shard: self.id, outcome });
        let next = self.finish_part(id);
        self.hold_locks(next);
        self.settle_ready();
    }

    fn take_back(&mut self, id: TxId, lent: Vec<Lent>, changed: &[Change], wait: Option<Wait>) {
        self.schedule.note_returned(lent.len());
        for (db, entry) in lent.into_iter().flatten() {
            self.shard.keyspace.db_mut(db as usize).insert(entry);
        }
        self.note_changed(changed);
        if let Some(wait) = wait {
            self.put_in_line(wait);
        }
        if let Some((_, Part::Settle(_))) = self.schedule.part(id) {
            return self.settle_returned(id);
        }
        let next = self.finish_part(id);
        self.hold_locks(next);
        self.settle_ready();
    }

    /// Withdraws a request. What has been lent is on its way back, and releases when it comes.
    fn cancel(&mut self, id: TxId) {
        let is_away = match self.schedule.part(id) {
            Some((_, Part::Lend { lent, .. })) => *lent,
            Some((_, Part::Settle(settling))) => settling.is_lent,
            _ => false,
        };
        if !is_away {
            self.release(id);
        }
    }

    fn release(&mut self, id: TxId) {
        let next = self.finish_part(id);
        self.hold_locks(next);
        self.settle_ready();
    }

    /// Runs a command that is not in a connection's input any more. Returns its reply, how long it ran, and whether
    /// it did what it was asked to.
    pub(super) fn run_job(&mut self, job: &Job) -> (Vec<u8>, u64, bool) {
        let mut out = Vec::new();
        let row = command::row(job.command);
        let Some(run) = row.run.on_shard() else { return (out, 0, false) };
        let caller = Caller { db: job.db, session: job.session };
        let start = self.env.stopwatch.read();
        let ok = self.shard.run(&self.env, row, run, caller, job.args.as_args(), &mut out);
        (out, self.ns_since(start), ok)
    }

    // The coordinator's side.

    fn all_granted(&mut self, id: TxId) {
        let Some(pending) = self.coordinator.find(id) else { return };
        match pending.work {
            Work::Together { .. } | Work::Block { .. } => return self.run_together(id),
            Work::Hold { .. } => return self.all_held(id),
            Work::Course { .. } => return self.next_round(id, Vec::new()),
            Work::Scatter { .. } | Work::Atomic { .. } => {}
        }
        let shards: Vec<_> = pending.shares.iter().map(|share| share.shard).collect();
        shards.into_iter().for_each(|shard| self.post_tx(shard, TxMessage::Run { id }));
    }

    /// Every key is here: what is to run runs on them, then they go home.
    fn run_together(&mut self, id: TxId) {
        let Some(mut pending) = self.coordinator.remove(id) else { return };
        for (_, lent) in pending.take_lent() {
            for (db, entry) in lent.into_iter().flatten().flatten() {
                self.workspace.db_mut(db as usize).insert(entry);
            }
        }
        self.shard.rest.follow_changes();
        let out = match &pending.work {
            Work::Together { job } => self.run_lent_job(job, pending.reply_to),
            Work::Block { job, asked, .. } => self.run_lent_block(&pending, job, asked),
            _ => Vec::new(),
        };
        let mut changed = self.shard.rest.take_changes();
        let wait = match &pending.work {
            Work::Together { job } if out.is_empty() && pending.waits_at.is_none() => {
                self.wait_over_shards(job, pending.reply_to)
            }
            _ => None,
        };
        self.end_offer(&pending, !out.is_empty());
        for (at, share) in pending.shares.iter().enumerate() {
            let lent = pending.keys_of(at).map(|key| take_out(&mut self.workspace, key)).collect();
            let changed = changed.extract_if(.., |change| self.owner(&change.key) == share.shard).collect();
            let (id, wait) = (pending.id_at(share.shard, id), wait.clone());
            self.post_tx(share.shard, TxMessage::Return { id, lent, changed, wait });
        }
        if !out.is_empty() {
            self.answer(pending.reply_to, &out);
        }
    }

    fn run_lent_job(&mut self, job: &Job, reply_to: ReplyTo) -> Vec<u8> {
        let mut out = Vec::new();
        let row = command::row(job.command);
        let Some(run) = row.run.on_shard() else { return out };
        // Nothing is taken out for a client that is gone.
        if row.run.blocking().is_some() && self.conns.find(reply_to.conn).is_none() {
            return out;
        }
        let (args, start) = (job.args.as_args(), self.env.stopwatch.read());
        let caller = Caller { db: job.db, session: job.session };
        let (keyspace, rest) = (&mut self.workspace, &mut self.shard.rest);
        let ok = run_on(keyspace, rest, &self.env, row, run, caller, args, &mut out);
        if !out.is_empty() {
            self.observe_away(reply_to, row, args, self.ns_since(start), ok);
        }
        out
    }

    fn all_done(&mut self, id: TxId) {
        if let Some(pending) = self.coordinator.find(id)
            && let Work::Course { .. } = pending.work
        {
            let outcomes = pending.take_outcomes();
            return self.next_round(id, outcomes);
        }
        let Some(mut pending) = self.coordinator.remove(id) else { return };
        let outcomes = pending.take_outcomes();
        let ns = outcomes.iter().map(|outcome| outcome.ns).max().unwrap_or(0);
        let out = match &pending.work {
            Work::Scatter { job, merge } => {
                let replies = outcomes.into_iter().filter_map(Outcome::into_reply).collect();
                let (out, ok) = merge_replies(*merge, job, &pending.shares, replies);
                let row = command::row(job.command);
                self.observe_away(pending.reply_to, row, job.args.as_args(), ns, ok);
                out
            }
            Work::Atomic { errand, asked } => {
                let answers = outcomes.into_iter().filter_map(Outcome::into_answer).collect();
                self.finish_errand(errand, asked, answers, ns, pending.reply_to)
            }
            Work::Together { .. } | Work::Block { .. } | Work::Hold { .. } | Work::Course { .. } => {
                Vec::new()
            }
        };
        self.answer(pending.reply_to, &out);
    }

    /// A shard refused: the request is withdrawn everywhere and made again under a new txid.
    fn restart(&mut self, id: TxId) {
        let Some(mut pending) = self.coordinator.remove(id) else { return };
        if pending.offer.is_some() && pending.waits_at.is_some_and(|shard| pending.awaits(shard)) {
            pending.is_refused = true;
            return self.coordinator.insert(id, pending);
        }
        for (shard, lent) in pending.take_lent() {
            let id = pending.id_at(shard, id);
            let message = match lent {
                Some(lent) if pending.work.lends() => {
                    TxMessage::Return { id, lent, changed: Vec::new(), wait: None }
                }
                _ => TxMessage::Cancel { id },
            };
            self.post_tx(shard, message);
        }
        self.observed.counts.transactions_restarted += 1;
        // What could not be had at once is waited for.
        let terms = if pending.terms == Terms::Try { Terms::Wait } else { pending.terms };
        let Pending { reply_to, work, shares, waits_at, .. } = pending;
        let mut again = Pending::new(reply_to, work, shares, terms);
        again.waits_at = waits_at;
        self.ask_shards(again);
    }

    /// Delivers a reply to wherever its connection is.
    pub(super) fn answer(&mut self, to: ReplyTo, reply: &[u8]) {
        if to.reactor == self.id {
            return self.fill(to.conn, to.seq, reply);
        }
        let replies = &mut self.outbox.open(to.reactor).replies;
        let frame = ReplyFrame::begin(replies, to.conn, to.seq);
        replies.extend_from_slice(reply);
        frame.finish(replies);
    }
}

impl Outcome {
    fn into_reply(self) -> Option<Vec<u8>> {
        if let Given::Reply(reply) = self.given { Some(reply) } else { None }
    }

    pub(super) fn into_answer(self) -> Option<crate::errand::AnyAnswer> {
        if let Given::Answer(answer) = self.given { Some(answer) } else { None }
    }
}

/// Makes one reply of those of the shards. An error of any of them is the whole's, and false is returned then.
fn merge_replies(merge: Merge, job: &Job, shares: &[Share], mut replies: Vec<Vec<u8>>) -> (Vec<u8>, bool) {
    if let Some(failed) = replies.iter().position(|reply| reply.starts_with(b"-")) {
        return (replies.swap_remove(failed), false);
    }
    let mut out = Vec::new();
    match merge {
        Merge::Ok => out.extend_from_slice(&replies[0]),
        Merge::Sum => {
            let sum = replies.iter().filter_map(|reply| integer(reply)).sum();
            Reply::new(&mut out, Version::Resp2).int(sum);
        }
        Merge::Positions => {
            let mut elements: Vec<(usize, &[u8])> = Vec::new();
            for (share, reply) in shares.iter().zip(&replies) {
                let keys = share.keys.iter().map(|&(index, _)| index);
                elements.extend(keys.zip(array_elements(reply)));
            }
            elements.sort_unstable_by_key(|&(index, _)| index);
            Reply::new(&mut out, job.session.version()).array(elements.len());
            elements.iter().for_each(|(_, element)| out.extend_from_slice(element));
        }
    }
    (out, true)
}

fn integer(reply: &[u8]) -> Option<i64> {
    match decode(reply) {
        Ok(Some((Value::Int(n), _))) => Some(n),
        _ => None,
    }
}

/// The elements of an array reply, still encoded.
fn array_elements(reply: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = reply.iter().position(|&b| b == b'\n').map_or(reply.len(), |at| at + 1);
    let mut rest = &reply[body..];
    std::iter::from_fn(move || {
        let len = bobbin_proto::decode::skip(rest).ok().flatten()?;
        let (element, behind) = rest.split_at(len);
        rest = behind;
        Some(element)
    })
}
