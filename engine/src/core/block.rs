//! Blocking commands: how they begin to wait, and the connection's side of a wait. The shard's side is in `settle`.
//!
//! ```text
//! arbiter (the connection's core)          shard of the key
//!     ├── Wait ───────────────────────────────►├ tries; finds nothing; stands in line
//!     │◄─────────────────────────── Waiting ───┤                (time-outs count from here)
//!     │                                        ├ a write fills the key; its lock is kept, or taken
//!     │◄─────────────────────────── Offer ─────┤ to whoever came first
//!     ├── Take ───────────────────────────────►├ runs the command for this key, answers, goes on
//!     ├── Decline ────────────────────────────►├ offers to the next
//! ```
//!
//! The arbiter alone decides how a wait ends: by the first offer it takes, a time-out, CLIENT UNBLOCK or the client's
//! end. A key on offer is locked, so nobody overtakes a waiter, and nothing is taken out before somebody has accepted
//! it. Where shard and arbiter are one core, the offer is made and taken in one step.
//!
//! A wait over several shards begins as a transaction: the keys come back with the wait, and it stands in every line
//! before any of them is released. A command that moves an element to another shard takes an offer by having the
//! source lent to it under the offer's lock, and the destination if that is free at once. Otherwise the source goes back,
//! and the command runs as a transaction of its own, in line with others.
//!
//! Invariant: a shard settles the keys that a command has filled before it runs any other command on them.

use std::sync::Arc;

use bobbin_proto::Reply;

use super::Core;
use super::outbox::Outbox;
use super::shard::{Caller, Env, ShardRest};
use super::submit::Flow;
use crate::command::blocking::Patience;
use crate::command::{self, Args, Command, Cx, ShardFn};
use crate::conn::{Blocked, BlockedState, Closing, Conn, Unserved};
use crate::ids::{ConnId, ReactorId, ReplyTo, TxId};
use crate::rules::{Rule, holds};
use crate::store::Keyspace;
use crate::txn::{Job, Part, Pending, Terms, TxMessage, Wait, Work, shares};

/// What a connection says to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    Yes,
    /// It is taking another.
    Busy,
    Gone,
}

impl Core {
    /// Submits a command that may wait. It is a barrier on its connection.
    pub(super) fn submit_blocking(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        run: ShardFn,
        args: Args<'_>,
    ) -> Flow {
        if conn.has_to_wait() {
            return Flow::NotYet;
        }
        match self.sole_owner(row, args) {
            Some(owner) if owner == self.id && !self.is_locked(conn.session, row, args) => {
                self.run_blocking_here(conn, row, run, args);
            }
            Some(owner) => {
                let (job, reply_to) = self.begin_blocking(conn, row, args, vec![owner]);
                self.post_tx(owner, TxMessage::Wait { job, reply_to });
            }
            None => {
                let shares = shares(row, args, |key| self.owner(key));
                let shards = shares.iter().map(|share| share.shard).collect();
                let (job, reply_to) = self.begin_blocking(conn, row, args, shards);
                self.begin_transaction(reply_to, Work::Together { job }, shares, Terms::Wait);
            }
        }
        Flow::Done
    }

    fn run_blocking_here(&mut self, conn: &mut Conn, row: &'static Command, run: ShardFn, args: Args<'_>) {
        let before = conn.out.len();
        let mut dropped = Vec::new();
        let start = self.env.stopwatch.read();
        let caller = Caller { db: conn.db, session: conn.session };
        let out = if conn.is_silent() { &mut dropped } else { &mut conn.out };
        let ok = self.shard.run(&self.env, row, run, caller, args, out);
        if conn.out.len() == before && dropped.is_empty() {
            let (job, reply_to) = self.begin_blocking(conn, row, args, vec![self.id]);
            self.stand_in_line(&job, reply_to);
            return self.begin_waiting(conn);
        }
        self.feed_monitors(conn, row, args);
        self.observe_run(conn, row, args, start, ok);
        self.settle_ready();
    }

    /// The command is under way, and its reply may be long in coming.
    fn begin_blocking(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        args: Args<'_>,
        shards: Vec<ReactorId>,
    ) -> (Job, ReplyTo) {
        self.feed_monitors(conn, row, args);
        let reply_to = self.hold_behind(conn);
        if let Some(blocking) = row.run.blocking() {
            let patience = (blocking.patience)(args);
            let request = Some((row, args.into()));
            let blocked = Blocked::new(reply_to.seq, request, patience, Unserved::NullArray, shards);
            conn.blocked = Some(Box::new(blocked));
        }
        let job = Job { command: row.id, db: conn.db, session: conn.session, args: args.into() };
        (job, reply_to)
    }

    /// WAIT: there are no replicas to wait for, only time.
    pub(crate) fn wait_for_replicas(&mut self, conn: &mut Conn, patience: Patience) {
        let reply_to = self.hold_behind(conn);
        let blocked = Blocked::new(reply_to.seq, None, patience, Unserved::Replicas(0), Vec::new());
        conn.blocked = Some(Box::new(blocked));
        self.begin_waiting(conn);
    }

    /// The command found nothing and stands in line: its time counts from now.
    fn begin_waiting(&mut self, conn: &mut Conn) {
        let Some(blocked) = &mut conn.blocked else { return };
        let wait = ReplyTo { reactor: self.id, conn: conn.id, seq: blocked.seq };
        self.outbox.ask_again(blocked, wait);
        if let Patience::Ms(ms) = blocked.patience {
            let deadline_us = self.env.now.mono_us.saturating_add(ms.saturating_mul(1000));
            blocked.deadline_us = Some(deadline_us);
            self.timers.wait_until(deadline_us, conn.id);
        }
        self.leave_if_ended(conn);
    }

    /// A client that has closed its half gets what it has asked for; it is not waited for.
    pub(super) fn leave_if_ended(&mut self, conn: &mut Conn) {
        let waits = conn.blocked.as_ref().is_some_and(|blocked| blocked.state == BlockedState::Waiting);
        if waits && conn.closing >= Closing::AfterInput {
            conn.close(Closing::Now);
            self.list(conn);
        }
    }

    /// A shard, or this core as coordinator, says that a command stands in line.
    fn is_waiting(&mut self, reply_to: ReplyTo) -> bool {
        let Some(mut conn) = self.conns.take_out(reply_to.conn) else { return false };
        let is_awaited = conn.blocked.as_ref().is_some_and(|blocked| blocked.seq == reply_to.seq);
        if is_awaited {
            self.begin_waiting(&mut conn);
        }
        self.conns.put_back(conn);
        is_awaited && !self.end_misdirected_wait(reply_to.conn)
    }

    /// Ends waits whose time is over.
    pub(super) fn end_due_waits(&mut self) {
        for id in self.timers.take_due_waits(self.env.now.mono_us) {
            self.end_wait_if_due(id);
        }
    }

    fn end_wait_if_due(&mut self, id: ConnId) {
        let now_us = self.env.now.mono_us;
        let Some(conn) = self.conns.find(id) else { return };
        let Some(blocked) = &conn.blocked else { return };
        if blocked.state == BlockedState::Waiting && blocked.deadline_us.is_some_and(|at| at <= now_us) {
            let mut out = Vec::new();
            unserved_reply(blocked.unserved, &mut Reply::new(&mut out, conn.version()));
            self.end_wait(id, &out);
        }
    }

    /// CLIENT UNBLOCK, of a client of this reactor. False if it does not wait.
    pub(crate) fn unblock(&mut self, client_id: u64, with_error: bool) -> bool {
        let waits = |conn: &&Conn| {
            let waits = |blocked: &Blocked| blocked.state == BlockedState::Waiting;
            conn.client_id == client_id && conn.blocked.as_deref().is_some_and(waits)
        };
        let Some(conn) = self.conns.iter().find(waits) else { return false };
        let Some(blocked) = &conn.blocked else { return false };
        let (id, mut out) = (conn.id, Vec::new());
        let mut reply = Reply::new(&mut out, conn.version());
        if with_error {
            reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
        } else {
            unserved_reply(blocked.unserved, &mut reply);
        }
        self.end_wait(id, &out);
        true
    }

    pub(super) fn end_wait(&mut self, id: ConnId, reply: &[u8]) {
        let Some(conn) = self.conns.find(id) else { return };
        let Some(seq) = conn.blocked.as_ref().map(|blocked| blocked.seq) else { return };
        self.fill(id, seq, reply);
    }

    /// A reply has come for a place in a connection's order, or the connection is gone: it waits no more.
    pub(super) fn leave_lines(&mut self, blocked: &Blocked, reply_to: ReplyTo) {
        if blocked.is_waiting() {
            self.withdraw_everywhere(blocked, reply_to);
        }
    }

    fn withdraw_everywhere(&mut self, blocked: &Blocked, reply_to: ReplyTo) {
        if let Some(deadline_us) = blocked.deadline_us {
            self.timers.forget_wait(deadline_us, reply_to.conn);
        }
        for &shard in &blocked.shards {
            self.post_tx(shard, TxMessage::Withdraw { wait: reply_to });
        }
    }

    /// The connection's socket is gone. A request that is still on its way goes before this.
    pub(super) fn abandon_wait(&mut self, conn: &mut Conn) {
        let Some(blocked) = conn.blocked.take() else { return };
        let reply_to = ReplyTo { reactor: self.id, conn: conn.id, seq: blocked.seq };
        if holds(Rule::TheGoneDoNotWait) {
            self.withdraw_everywhere(&blocked, reply_to);
        }
    }

    /// Whether a connection still wants what a wait of its was for; if so, it is being served.
    pub(super) fn accept(&mut self, shard: ReactorId, wait: ReplyTo) -> Accepted {
        let blocked = self.conns.find(wait.conn).and_then(|conn| conn.blocked.as_mut());
        let Some(blocked) = blocked.filter(|blocked| blocked.seq == wait.seq) else {
            return if holds(Rule::TheGoneTakeNothing) { Accepted::Gone } else { Accepted::Yes };
        };
        match blocked.state {
            BlockedState::Taking if !holds(Rule::OneOfferIsTaken) => Accepted::Yes,
            BlockedState::Waiting => {
                blocked.state = BlockedState::Taking;
                Accepted::Yes
            }
            // One that has just been put in line may not have been told so yet.
            BlockedState::Taking | BlockedState::Trying => {
                blocked.missed.extend(holds(Rule::MissedOffersAreMadeAgain).then_some(shard));
                Accepted::Busy
            }
        }
    }

    /// The offer that was accepted came to nothing.
    pub(super) fn waits_on(&mut self, wait: ReplyTo) {
        let blocked = self.conns.find(wait.conn).and_then(|conn| conn.blocked.as_mut());
        let Some(blocked) = blocked.filter(|blocked| blocked.seq == wait.seq) else { return };
        self.outbox.ask_again(blocked, wait);
        if !self.end_misdirected_wait(wait.conn) {
            self.end_wait_if_due(wait.conn);
        }
    }

    pub(super) fn offered(&mut self, id: TxId, shard: ReactorId, wait: ReplyTo, away: Option<Box<Job>>) {
        match (self.accept(shard, wait), away) {
            (Accepted::Yes, None) => self.post_tx(shard, TxMessage::Take { id, wait }),
            (Accepted::Yes, Some(job)) => self.take_away(id, shard, wait, *job),
            (Accepted::Busy, _) => self.post_tx(shard, TxMessage::Decline { id, wait, stays: true }),
            (Accepted::Gone, _) => self.post_tx(shard, TxMessage::Decline { id, wait, stays: false }),
        }
    }

    /// Takes an offer of a command that needs keys of other shards: all come here. Others may wait for the keys on
    /// offer, so the rest is had at once or not at all.
    fn take_away(&mut self, offer: TxId, shard: ReactorId, wait: ReplyTo, job: Job) {
        let shares = shares(command::row(job.command), job.args.as_args(), |key| self.owner(key));
        let mut pending = Pending::new(wait, Work::Together { job }, shares, Terms::Try);
        (pending.waits_at, pending.offer) = (Some(shard), Some(offer));
        let id = self.env.shared.next_tx();
        for (owner, part) in pending.parts() {
            let message = match part {
                Part::Lend { keys, .. } if owner == shard => {
                    TxMessage::TakeAway { id: offer, under: id, keys }
                }
                part => TxMessage::Request { id, from: self.id, part, terms: Terms::Try },
            };
            self.post_tx(owner, message);
        }
        self.coordinator.insert(id, pending);
    }

    /// The end of a transaction for a command that stands in line, before the keys go home.
    pub(super) fn end_offer(&mut self, pending: &Pending, is_served: bool) {
        let Some(shard) = pending.waits_at else { return };
        if is_served {
            self.post_tx(shard, TxMessage::Withdraw { wait: pending.reply_to });
        } else {
            self.waits_on(pending.reply_to);
        }
    }

    /// A shard says that a command of a connection here stands in line.
    pub(super) fn note_waiting(&mut self, shard: ReactorId, wait: ReplyTo) {
        if !self.is_waiting(wait) {
            self.post_tx(shard, TxMessage::Withdraw { wait });
        }
    }

    /// A command over several shards found nothing in the workspace: what its shards are to put in line, if its client
    /// is still there.
    pub(super) fn wait_over_shards(&mut self, job: &Job, reply_to: ReplyTo) -> Option<Wait> {
        let wait = settled_wait(&mut self.workspace, &mut self.shard.rest, &self.env, job, reply_to);
        self.is_waiting(reply_to).then_some(wait)
    }
}

impl Outbox {
    /// A command stands in line, or stands on: shards whose offers it could not take look again.
    fn ask_again(&mut self, blocked: &mut Blocked, wait: ReplyTo) {
        blocked.state = BlockedState::Waiting;
        for shard in std::mem::take(&mut blocked.missed) {
            self.post_tx(shard, TxMessage::Recheck { wait });
        }
    }
}

/// The request as it waits, its keys being in a keyspace.
pub(super) fn settled_wait(
    keyspace: &mut Keyspace,
    rest: &mut ShardRest,
    env: &Env,
    job: &Job,
    reply_to: ReplyTo,
) -> Wait {
    let row = command::row(job.command);
    let mut cx = Cx { command: row, keyspace, rest, env, db: job.db.into(), session: job.session };
    let settle = row.run.blocking().map(|blocking| blocking.settle);
    let args = settle.map(|settle| settle(&mut cx, job.args.as_args()));
    let args = args.unwrap_or_else(|| job.args.clone());
    Wait { job: Arc::new(Job { args, ..*job }), reply_to }
}

fn unserved_reply(unserved: Unserved, reply: &mut Reply<'_>) {
    match unserved {
        Unserved::NullArray => reply.null_array(),
        Unserved::Replicas(count) => reply.int(count),
    }
}
