//! Blocks that run step by step, as if their commands came in a pipeline, under locks that are held from the first to the
//! last: of whole shards, where a command visits other reactors, or of their keys, where there are very many.
//!
//! Keys are claimed a step at a time, so that neither the coordinator nor a shard is kept busy by all of them at once;
//! the locks are given back in the same way. A claim that is refused because a later transaction is in the way
//! starts over, and after some attempts claims its shards whole.

use bobbin_proto::Reply;

use super::Core;
use super::exec::null_array;
use super::submit::Flow;
use super::unwind::filled_by;
use crate::conn::{Conn, Hold, Running};
use crate::ids::{ConnId, ReactorId, ReplyTo, TxId};
use crate::journal::Batch;
use crate::limits::EXEC_STEP_COMMANDS;
use crate::mesh::SessionBits;
use crate::txn::lock::key_hash;
use crate::txn::{Claims, TxMessage, Work};

impl Core {
    /// A block that runs step by step has all that it has asked for: it runs, or asks for the keys of more commands when the
    /// next iteration begins.
    pub(super) fn go_on_claiming(&mut self, id: TxId) {
        let Some(pending) = self.coordinator.find(id) else { return };
        match &pending.work {
            Work::Hold { job, claims: Claims::Keys { commands, .. }, .. }
                if *commands < job.block.len() && !pending.watch_failed =>
            {
                self.claiming.push(id);
            }
            _ => self.all_held(id),
        }
    }

    fn claim_some(&mut self, id: TxId) {
        let Some(mut pending) = self.coordinator.remove(id) else { return };
        let shards: Vec<ReactorId> = pending.shares.iter().map(|share| share.shard).collect();
        let Work::Hold { job, claims: Claims::Keys { commands, .. }, .. } = &mut pending.work else { return };
        if self.conns.find(pending.reply_to.conn).is_none() {
            return self.release_shards(id, &shards);
        }
        let end = (*commands + EXEC_STEP_COMMANDS).min(job.block.len());
        let mut keys: Vec<Vec<u64>> = vec![Vec::new(); shards.len()];
        for (row, args) in (*commands..end).filter_map(|index| job.block.get(index)) {
            row.keys_of(args, |index, _| {
                let (key, owner) = (args.at(index), self.owner(args.at(index)));
                let share = shards.iter().position(|shard| *shard == owner);
                share.into_iter().for_each(|at| keys[at].push(key_hash(key)));
            });
        }
        *commands = end;
        let claimed: Vec<_> = (0..shards.len()).filter(|&at| !keys[at].is_empty()).collect();
        for &at in &claimed {
            pending.await_again(at);
            self.post_tx(shards[at], TxMessage::Claim { id, keys: std::mem::take(&mut keys[at]) });
        }
        self.coordinator.insert(id, pending);
        if claimed.is_empty() {
            self.go_on_claiming(id);
        }
    }

    /// Shards are held, or all keys: the commands run as if they came in a pipeline.
    pub(super) fn all_held(&mut self, id: TxId) {
        let Some(pending) = self.coordinator.remove(id) else { return };
        let shards: Vec<ReactorId> = pending.shares.iter().map(|share| share.shard).collect();
        let ReplyTo { conn, seq, .. } = pending.reply_to;
        let (Work::Hold { job, asked, .. }, Some(mut conn)) = (pending.work, self.conns.take_out(conn))
        else {
            return self.release_shards(id, &shards);
        };
        let start = self.env.stopwatch.read();
        let mut out = Vec::new();
        if pending.watch_failed {
            out = null_array(conn.version());
            self.release_shards(id, &shards);
            self.unwatch(&mut conn);
            self.announce(&conn, &asked, start);
        } else {
            Reply::new(&mut out, conn.version()).array(job.block.len());
            conn.session.set(SessionBits::HOLDS_LOCKS, true);
            let is_awaited = pending.awaited.len() > 1;
            let effects = Batch::default();
            let block = job.block;
            let at_us = pending.at_us;
            for &shard in &shards {
                let begin = TxMessage::Begin { id, from: self.id, conn: conn.id, at_us };
                self.post_tx(shard, begin);
            }
            let running = Running { id, block, started: 0, at_us, shards, effects, is_awaited, asked, start };
            conn.running = Some(Box::new(running));
        }
        let id = conn.id;
        self.conns.put_back(conn);
        self.fill(id, seq, &out);
    }

    /// Goes on with a block that runs step by step.
    pub(super) fn run_on_held(&mut self, conn: &mut Conn) {
        let Some(mut running) = conn.running.take() else { return };
        let end = (running.started + EXEC_STEP_COMMANDS).min(running.block.len());
        while running.started < end {
            let Some((row, args)) = running.block.get(running.started) else { break };
            if self.at_time(running.at_us, |core| core.dispatch(conn, row, args)) == Flow::NotYet {
                break;
            }
            if let Some(effects) = self.shard.rest.effects.take_aside() {
                running.effects.append(&effects);
            }
            running.started += 1;
            if conn.hold != Hold::None {
                break;
            }
        }
        if running.started == running.block.len() && conn.order.is_empty() {
            return self.finish_held(conn, *running);
        }
        if conn.hold == Hold::None {
            if running.started == running.block.len() {
                conn.hold = Hold::Order;
            } else {
                conn.hold = Hold::Exec;
                self.stepping.push(conn.id);
            }
        }
        conn.running = Some(running);
    }

    fn finish_held(&mut self, conn: &mut Conn, running: Running) {
        conn.session.set(SessionBits::HOLDS_LOCKS, false);
        conn.hold = Hold::None;
        self.unwatch(conn);
        self.announce(conn, &running.asked, running.start);
        let Running { id, block, shards, effects, is_awaited, .. } = running;
        self.shard.rest.effects.join(&effects);
        if !is_awaited {
            return self.release_shards(id, &shards);
        }
        shards.iter().for_each(|&shard| self.post_tx(shard, TxMessage::Finish { id }));
        self.unwind(id, filled_by(&block), shards);
    }

    /// A command of a block has run here: what it has done is journalled with the block.
    #[inline]
    pub(super) fn pass_effects(&mut self, reactor: ReactorId, conn: ConnId) {
        if let Some(effects) = self.shard.rest.effects.take_aside() {
            self.post_tx(reactor, TxMessage::Effects { conn, effects });
        }
    }

    pub(super) fn keep_effects(&mut self, conn: ConnId, effects: &Batch) {
        if let Some(running) = self.conns.find(conn).and_then(|conn| conn.running.as_mut()) {
            running.effects.append(effects);
        }
    }

    /// Lets blocks that run step by step make their next.
    pub(super) fn step_held(&mut self) {
        for id in std::mem::take(&mut self.claiming) {
            self.claim_some(id);
        }
        for id in std::mem::take(&mut self.stepping) {
            self.end_hold(id, Hold::Exec);
        }
    }
}
