//! Both sides of transactions over shards, as a core plays them. The protocol is drawn in [`crate::txn`].

use std::collections::VecDeque;

use bobbin_proto::decode::{Value, decode};
use bobbin_proto::{Reply, Version};

use super::Core;
use super::shard::{Caller, run_on, take_out};
use crate::command::{self, Merge, flag};
use crate::ids::{ConnId, ReactorId, ReplyTo, TxId, WatchId};
use crate::journal::Effects;
use crate::mesh::Message;
use crate::mesh::SessionBits;
use crate::mesh::frame::ReplyFrame;
use crate::rules::{Rule, holds};
use crate::store::is_due;
use crate::txn::lock::Verdict;
use crate::txn::{
    Change, Grant, Job, Lent, Next, Outcome, Part, Pending, Replies, Scattered, Share, Terms, Train,
    TxMessage, Wait, Work,
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
        self.outbox.post_tx(to, message);
    }

    pub(super) fn handle_tx(&mut self, message: TxMessage) {
        match message {
            TxMessage::Request { id, from, part, terms } => self.request(id, from, part, terms),
            TxMessage::Claim { id, keys } => self.claim(id, keys),
            TxMessage::Run { id, at_us } => self.run_part(id, at_us),
            TxMessage::Visit { id, at_us, round, conn } => {
                self.at_time(at_us, |core| core.run_round(id, round.as_ref(), conn));
            }
            TxMessage::Begin { id, from, conn, at_us } => {
                self.held_times.insert((from, conn), (id, at_us));
            }
            TxMessage::Return { id, lent, changed, wait, stays } => {
                self.take_back(lent, &changed, wait);
                if stays { self.tell_filled(id) } else { self.end_part(id) }
            }
            TxMessage::Finish { id } => {
                self.forget_held_time(id);
                self.tell_filled(id);
            }
            TxMessage::Filled { id, shard, keys } => self.note_filled(id, shard, keys),
            TxMessage::Settle { id, keys } => self.settle_due(id, &keys),
            TxMessage::Settled { id } => self.settle_next(id),
            TxMessage::Wait { job, reply_to } => self.take_wait(job, reply_to),
            TxMessage::Waiting { shard, wait } => self.note_waiting(shard, wait),
            TxMessage::Offer { id, shard, wait, away } => self.offered(id, shard, wait, away),
            TxMessage::Take { id, wait } => self.take_offer(id, wait),
            TxMessage::TakeAway { id, under, keys } => self.lend_offered(id, under, &keys),
            TxMessage::Decline { id, wait, stays } => self.decline_offer(id, wait, stays),
            TxMessage::Recheck { wait } => self.recheck(wait),
            TxMessage::Unserved { wait } => self.waits_on(wait),
            TxMessage::Withdraw { wait } => {
                self.withdraw(wait);
                self.withdraw_attempt(wait);
            }
            TxMessage::Cancel { id } => {
                self.forget_held_time(id);
                self.cancel(id);
            }
            TxMessage::Effects { conn, effects } => self.keep_effects(conn, &effects),
            TxMessage::Cut { id, cut, head } => self.take_cut(id, cut, head),
            TxMessage::Block { job, reply_to } => self.take_block(job, reply_to),
            TxMessage::Granted { id, shard, grant } => match self.coordinator.granted(id, shard, grant) {
                Next::AllGranted => self.all_granted(id),
                Next::Refused => self.restart(id),
                Next::Unknown(lent) => {
                    self.post_tx(shard, TxMessage::give_back(id, lent));
                }
                Next::Wait | Next::AllDone => {}
            },
            TxMessage::Refused { id } => self.restart(id),
            TxMessage::Done { id, shard, outcome } => {
                if let Next::AllDone = self.coordinator.done(id, shard, outcome) {
                    self.all_done(id);
                }
            }
        }
    }

    // The shard's side.

    fn forget_held_time(&mut self, id: TxId) {
        if !self.held_times.is_empty() {
            self.held_times.retain(|_, (block, _)| *block != id);
        }
    }

    fn request(&mut self, id: TxId, from: ReactorId, part: Part, terms: Terms) {
        match self.schedule.request(id, from, part, terms, &self.shard.rest.watches) {
            Ok(Verdict::Granted) => self.hold_locks(vec![id]),
            Ok(_) => {}
            Err(_) => self.post_tx(from, TxMessage::Refused { id }),
        }
    }

    fn claim(&mut self, id: TxId, keys: Vec<u64>) {
        let Some((from, _)) = self.schedule.part(id) else { return };
        match self.schedule.claim(id, keys) {
            Verdict::Granted => self.hold_locks(vec![id]),
            Verdict::Queued => {}
            Verdict::Refused => self.post_tx(from, TxMessage::Refused { id }),
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
        let Some((from, part)) = self.schedule.part(id) else { return Vec::new() };
        match part {
            Part::Alone { .. } | Part::Visit { .. } | Part::Block { .. } => return self.run_alone(id),
            Part::Share { .. } | Part::Atomic(_) | Part::Cut | Part::Course { .. } => {
                self.grant(id, from, Grant::default());
            }
            Part::Hold { watch, .. } => {
                let watch = *watch;
                let is_awaited = !self.shard.rest.waits.is_empty();
                let grant = Grant { is_awaited, ..self.look_at_watch(watch) };
                self.grant(id, from, grant);
            }
            Part::Lend { keys, lent, watch } => {
                *lent = true;
                let (keys, watch) = (keys.clone(), *watch);
                self.lend(id, from, &keys, watch);
            }
            Part::Settle(_) => return self.settle_part(id),
        }
        Vec::new()
    }

    /// What a grant says of a watch.
    pub(super) fn look_at_watch(&self, watch: Option<WatchId>) -> Grant {
        let watch_failed = self.shard.watch_failed(watch, self.env.now.unix_ms());
        Grant { watch_failed, watch_ends_ms: self.shard.watch_ends_ms(watch), ..Grant::default() }
    }

    pub(super) fn grant(&mut self, id: TxId, to: ReactorId, grant: Grant) {
        self.post_tx(to, TxMessage::Granted { id, shard: self.id, grant });
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

    fn run_part(&mut self, id: TxId, at_us: u64) {
        let Some((from, _)) = self.schedule.part(id) else { return };
        let outcome = match self.schedule.take_part(id) {
            Some(Part::Share { train, shard }) => {
                let mut replies = Replies::default();
                self.at_time(at_us, |core| core.run_share(&train, shard, &mut replies));
                self.pass_effects(from, train.conn);
                Outcome::Replies(replies)
            }
            Some(Part::Atomic(errand)) => {
                self.shard.rest.effects.mute(errand.effect().is_some());
                let (answer, ns) = self.at_time(at_us, |core| core.timed_visit(&errand));
                self.shard.rest.effects.mute(false);
                Outcome::Answer(answer, ns)
            }
            _ => return,
        };
        self.post_done(from, id, outcome);
        let next = self.finish_part(id);
        self.hold_locks(next);
        self.settle_ready();
    }

    fn run_share(&mut self, train: &Train, shard: ReactorId, replies: &mut Replies) {
        train.run(shard, |scattered, args| {
            let row = scattered.command;
            let Some(run) = row.run.on_shard() else { return };
            self.shard.rest.effects.mute(row.has(flag::WRITE));
            let caller = Caller { db: scattered.db, session: scattered.session };
            let start = self.env.stopwatch.read();
            self.shard.run(&self.env, row, run, caller, args, &mut replies.bytes);
            replies.ends.push((replies.bytes.len(), self.ns_since(start)));
        });
        self.shard.rest.effects.mute(false);
    }

    /// Says how a part went, behind what it has said.
    pub(super) fn post_done(&mut self, from: ReactorId, id: TxId, outcome: Outcome) {
        let message = TxMessage::Done { id, shard: self.id, outcome };
        self.post_behind_news(from, Message::Tx(Box::new(message)));
    }

    fn take_back(&mut self, lent: Vec<Lent>, changed: &[Change], wait: Option<Wait>) {
        self.schedule.note_returned(lent.len());
        for (db, entry) in lent.into_iter().flatten() {
            self.shard.keyspace.db_mut(db as usize).insert(entry);
        }
        self.note_changed(changed);
        if let Some(wait) = wait {
            self.put_in_line(wait);
        }
    }

    /// What was lent is back.
    fn end_part(&mut self, id: TxId) {
        if let Some((_, Part::Settle(_))) = self.schedule.part(id) {
            return self.settle_returned(id);
        }
        self.release(id);
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

    pub(super) fn release(&mut self, id: TxId) {
        let next = self.finish_part(id);
        self.hold_locks(next);
        self.settle_ready();
    }

    /// Goes on with releases that were cut short.
    pub(super) fn release_more(&mut self) {
        if self.schedule.is_leaving() {
            let next = self.schedule.release_more();
            self.hold_locks(next);
            self.settle_ready();
        }
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
        let Some(at_us) = self.time_of(id) else { return };
        let Some(pending) = self.coordinator.find(id) else { return };
        pending.at_us = at_us;
        pending.watch_failed |= pending.watch_ends_ms.is_some_and(|ends_ms| is_due(ends_ms, at_us / 1000));
        match pending.work {
            Work::Together { .. } | Work::Block { .. } => return self.run_together(id),
            Work::Hold { .. } => return self.go_on_claiming(id),
            Work::Course { .. } => return self.next_round(id, Vec::new()),
            Work::Cut(_) => return self.make_cut(id),
            Work::Scatter(_) | Work::Atomic { .. } => {}
        }
        let effects = &mut self.shard.rest.effects;
        if effects.is_on() {
            journal_whole(effects, pending);
            let conn = pending.reply_to.conn;
            self.pass_effects(self.id, conn);
        }
        let Some(pending) = self.coordinator.find(id) else { return };
        let shards: Vec<_> = pending.shares.iter().map(|share| share.shard).collect();
        shards.into_iter().for_each(|shard| self.post_tx(shard, TxMessage::Run { id, at_us }));
    }

    /// When a transaction takes effect: now, or when the block did that it is a part of.
    fn time_of(&mut self, id: TxId) -> Option<u64> {
        let pending = self.coordinator.find(id)?;
        let (terms, conn) = (pending.terms, pending.reply_to.conn);
        let block = (terms == Terms::Held).then(|| self.conns.find(conn)?.running.as_ref()).flatten();
        let now_us = if self.env.is_loading { self.loading.at_us } else { self.env.now.unix_us };
        Some(block.map_or(now_us, |running| running.at_us))
    }

    /// What `run` does is done at another time than this.
    pub(super) fn at_time<T>(&mut self, unix_us: u64, run: impl FnOnce(&mut Self) -> T) -> T {
        let now_us = std::mem::replace(&mut self.env.now.unix_us, unix_us);
        let done = run(self);
        self.env.now.unix_us = now_us;
        done
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
            Work::Together { job } => {
                self.at_time(pending.at_us, |core| core.run_lent_job(job, pending.reply_to))
            }
            Work::Block { job, asked, .. } => self.run_lent_block(&pending, job, asked),
            _ => Vec::new(),
        };
        let mut changed = self.shard.rest.take_changes();
        changed.retain(|_| holds(Rule::ChangesAreTold));
        let wait = match &pending.work {
            Work::Together { job } if out.is_empty() && pending.waits_at.is_none() => {
                self.wait_over_shards(job, pending.reply_to)
            }
            _ => None,
        };
        self.end_offer(&pending, !out.is_empty());
        let stays = pending.awaited.len() > 1 && matches!(pending.work, Work::Block { .. });
        let order = stays.then(|| changed.iter().map(|change| change.key.clone()).collect());
        let mut telling = Vec::new();
        for (at, share) in pending.shares.iter().enumerate() {
            let lent = pending.keys_of(at).map(|key| take_out(&mut self.workspace, key)).collect();
            let changed: Vec<Change> =
                changed.extract_if(.., |change| self.owner(&change.key) == share.shard).collect();
            let bus = &self.shard.rest.bus;
            if changed.iter().filter_map(|change| change.event).any(|event| bus.tells(event)) {
                telling.push(share.shard);
            }
            let (id, wait) = (pending.id_at(share.shard, id), wait.clone());
            self.post_tx(share.shard, TxMessage::Return { id, lent, changed, wait, stays });
        }
        if !out.is_empty() {
            self.answer_behind_shards(pending.reply_to, telling, &out);
        }
        if let Some(order) = order {
            let shards = pending.shares.iter().map(|share| share.shard).collect();
            self.unwind(id, order, shards);
        }
    }

    fn run_lent_job(&mut self, job: &Job, reply_to: ReplyTo) -> Vec<u8> {
        let mut out = Vec::new();
        let row = command::row(job.command);
        let Some(run) = row.run.on_shard() else { return out };
        // Nothing is taken out for a client that is gone.
        let may_wait = row.run.blocking().is_some() && !job.session.has(SessionBits::NEVER_WAITS);
        if may_wait && self.conns.find(reply_to.conn).is_none() {
            return out;
        }
        let (args, start) = (job.args.as_args(), self.env.stopwatch.read());
        let caller = Caller { db: job.db, session: job.session };
        let (keyspace, rest) = (&mut self.workspace, &mut self.shard.rest);
        let ok = run_on(keyspace, rest, &self.env, row, run, caller, args, &mut out);
        if !out.is_empty() {
            self.observe_away(reply_to, row, args, self.ns_since(start), ok);
        }
        if !ok && reply_to.conn == ConnId::NOBODY {
            self.note_failed_load(args, &out);
        }
        self.pass_effects(self.id, reply_to.conn);
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
        if let Work::Cut(_) = pending.work {
            return self.end_switch(id, &pending);
        }
        let outcomes = pending.take_outcomes();
        let ns = outcomes.iter().map(Outcome::ns).max().unwrap_or(0);
        let out = match &pending.work {
            Work::Scatter(train) => {
                let replies: Vec<_> = outcomes.into_iter().filter_map(Outcome::into_replies).collect();
                self.answers_of(train, &pending, &replies)
            }
            Work::Atomic { errand, asked } => {
                let answers = outcomes.into_iter().filter_map(Outcome::into_answer).collect();
                self.finish_errand(errand, asked, answers, ns, pending.reply_to)
            }
            Work::Together { .. }
            | Work::Block { .. }
            | Work::Hold { .. }
            | Work::Cut(_)
            | Work::Course { .. } => Vec::new(),
        };
        self.answer(pending.reply_to, &out);
    }

    /// The replies of a train's commands, one behind the other, from what its shards have answered.
    fn answers_of(&mut self, train: &Train, pending: &Pending, replies: &[Replies]) -> Vec<u8> {
        let mut of_shards: Vec<_> = replies.iter().map(Replies::iter).collect();
        let (mut out, mut parts) = (Vec::new(), Vec::new());
        for scattered in &train.commands {
            parts.clear();
            let mut longest_ns = 0;
            for share in &scattered.shares {
                let at = pending.shares.iter().position(|other| other.shard == share.shard);
                if let Some((reply, ns)) = at.and_then(|at| of_shards.get_mut(at)?.next()) {
                    parts.push(reply);
                    longest_ns = ns.max(longest_ns);
                }
            }
            let ok = merge_replies(scattered, &parts, &mut out);
            let args = scattered.args.as_args();
            self.observe_away(pending.reply_to, scattered.command, args, longest_ns, ok);
        }
        out
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
                Some(lent) if pending.work.lends() => TxMessage::give_back(id, lent),
                _ => TxMessage::Cancel { id },
            };
            self.post_tx(shard, message);
        }
        self.observed.counts.transactions_restarted += 1;
        self.ask_shards(pending.again());
    }

    /// Delivers a reply to wherever its connection is.
    pub(super) fn answer(&mut self, to: ReplyTo, reply: &[u8]) {
        if self.shard.rest.bus.has_news() {
            return self.answer_behind_news(to, reply.to_vec());
        }
        self.send_reply(to, reply);
    }

    pub(super) fn send_reply(&mut self, to: ReplyTo, reply: &[u8]) {
        if to.reactor == self.id {
            return self.fill(to.conn, to.seq, reply);
        }
        let replies = &mut self.outbox.open(to.reactor).replies;
        let frame = ReplyFrame::begin(replies, to.conn, to.seq);
        replies.extend_from_slice(reply);
        frame.finish(replies);
    }
}

/// What the shards are about to do together is one thing: the journal has it from here, not from each of them. It takes
/// effect now, so nothing that follows from it can be journalled before it.
fn journal_whole(effects: &mut Effects, pending: &Pending) {
    let aside = pending.terms == Terms::Held;
    match &pending.work {
        Work::Scatter(train) => {
            for scattered in train.commands.iter().filter(|scattered| scattered.command.has(flag::WRITE)) {
                effects.note_whole(aside, scattered.db.into(), scattered.args.as_args().iter());
            }
        }
        Work::Atomic { errand, .. } => {
            if let Some((db, args)) = errand.effect() {
                effects.note_whole(aside, db, args.as_args().iter());
            }
        }
        _ => {}
    }
}

impl TxMessage {
    /// Nothing was done with what was lent.
    fn give_back(id: TxId, lent: Vec<Lent>) -> Self {
        Self::Return { id, lent, changed: Vec::new(), wait: None, stays: false }
    }
}

/// Makes one reply of those of the shards, in their order. An error of any of them is the whole's, and false is returned
/// then.
fn merge_replies(scattered: &Scattered, replies: &[&[u8]], out: &mut Vec<u8>) -> bool {
    if let Some(failed) = replies.iter().find(|reply| reply.starts_with(b"-")) {
        out.extend_from_slice(failed);
        return false;
    }
    match scattered.merge {
        Merge::Ok => out.extend_from_slice(replies.first().unwrap_or(&&b""[..])),
        Merge::Sum => {
            let sum = replies.iter().filter_map(|reply| integer(reply)).sum();
            Reply::new(out, Version::Resp2).int(sum);
        }
        Merge::Positions => {
            let mut elements: Vec<(usize, &[u8])> = Vec::with_capacity(scattered.keys());
            for (share, reply) in scattered.shares.iter().zip(replies) {
                let keys = share.keys.iter().map(|&(index, _)| index);
                elements.extend(keys.zip(array_elements(reply)));
            }
            elements.sort_unstable_by_key(|&(index, _)| index);
            Reply::new(out, scattered.session.version()).array(elements.len());
            elements.iter().for_each(|(_, element)| out.extend_from_slice(element));
        }
    }
    true
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
