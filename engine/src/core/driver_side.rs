//! The core as its driver sees it: inputs that are not bytes, the end of an iteration, and the outputs.

use std::sync::Arc;

use bobbin_proto::{Reply, Span};

use super::client_memory::is_limited;
use super::exec::holds_locks;
use super::shard::Caller;
use super::{Core, Now, Shutdown};
use crate::command::{self, Args};
use crate::conn::{Accepted, Closing, Conn, Hold};
use crate::ids::{ConnId, ReactorId, ReplyTo};
use crate::limits::{LANE_RETRY_US, LOCAL_MESSAGES_MAX, OUTPUT_BUFFERS_KEPT, OUTPUT_KEPT_BYTES};
use crate::mesh::frame::{self, CommandHead, ReplyFrame};
use crate::mesh::{Batch, Message};
use crate::rules::{Rule, holds};
use crate::store::Prefetch;
use crate::txn::{Job, Part};

/// What the driver is to do for one connection.
#[derive(Debug)]
pub struct Action {
    pub conn: ConnId,
    /// Serve this socket from now on.
    pub adopt: Option<i32>,
    /// Send these bytes, whole, then give the buffer back by [`Core::sent`]. One at a time per connection.
    pub send: Option<Vec<u8>>,
    /// Stop (false) or go on (true) receiving.
    pub read: Option<bool>,
    /// Close the socket, then say [`Core::closed`].
    pub close: bool,
}

impl Core {
    /// Starts an iteration: the time, and the bytes that the whole server uses.
    pub fn begin(&mut self, now: Now, memory_used: u64) {
        self.env.now = now;
        self.env.memory_used = memory_used;
        self.env.memory_uncounted = self.env.shared.saves.recorded();
        self.env.save_failed = self.env.shared.saves.is_failing();
        self.iteration_start = self.env.stopwatch.read();
        for id in std::mem::take(&mut self.stalled) {
            self.end_hold(id, Hold::Lane);
        }
        self.step_held();
        self.release_more();
        self.shard.set_clock(now);
        if now.mono_us >= self.timers.next_us() {
            self.run_timers();
        }
        if self.env.config.maxmemory > 0 && !self.env.is_loading {
            self.make_room();
        } else {
            self.env.out_of_memory = false;
        }
        if is_limited(&self.env.config) {
            self.bound_client_memory();
        }
        self.spread_news();
    }

    /// Ends an iteration: notes how long it took.
    #[inline]
    pub fn end(&mut self) {
        if is_limited(&self.env.config) {
            self.claim_client_memory();
        }
        let ns = self.ns_since(self.iteration_start);
        self.observed.loops.went_round(ns / 1000);
        self.observed.stages.iteration.record(ns);
    }

    /// Input: this reactor accepted a socket. The reactor with the fewest clients will serve it, or this one, if the
    /// socket came by its own port.
    pub fn accepted(&mut self, accepted: Accepted) {
        let target = if accepted.is_direct { self.id } else { self.env.shared.least_busy(self.id) };
        self.env.shared.client_came(target);
        self.outbox.post(target, Message::Adopt(accepted));
    }

    fn adopt(&mut self, accepted: Accepted) {
        let refusal = self.refusal(&accepted);
        let client_id = self.env.shared.next_client();
        let authenticated = self.env.config.requirepass.is_empty();
        let now_ms = self.env.now.unix_ms();
        let id = self.conns.insert(|id| Conn::new(id, client_id, accepted, now_ms, authenticated));
        let Some(mut conn) = self.conns.take_out(id) else { return };
        conn.adopted = true;
        match refusal {
            Some(text) => {
                self.observed.counts.rejected_connections += 1;
                Reply::new(&mut conn.out, conn.session.version()).error(text);
                conn.close(Closing::AfterFlush);
            }
            None => self.observed.counts.connections += 1,
        }
        self.list(&mut conn);
        self.conns.put_back(conn);
    }

    /// Input: the buffer of an [`Action::send`] is out.
    pub fn sent(&mut self, id: ConnId, mut buffer: Vec<u8>) {
        if let Some(mut conn) = self.conns.take_out(id) {
            conn.last_active_ms = self.env.now.unix_ms();
            conn.bytes_out += buffer.len() as u64;
            self.observed.counts.net_out += buffer.len() as u64;
            self.observed.counts.writes += 1;
            conn.sending = 0;
            self.observed.stages.send.record(self.env.stopwatch.nanos(conn.sent_at, self.iteration_start));
            conn.has_written &= !(conn.out.is_empty() && conn.order.is_empty());
            if !conn.out.is_empty()
                || conn.closing != Closing::No
                || conn.hold == Hold::Output
                || conn.reading_paused
            {
                self.list(&mut conn);
            }
            self.conns.put_back(conn);
        }
        if buffer.capacity() <= OUTPUT_KEPT_BYTES && self.output_buffers.len() < OUTPUT_BUFFERS_KEPT {
            buffer.clear();
            self.output_buffers.push(buffer);
        }
    }

    /// Input: the peer sends nothing more. As in Redis, what it has sent is run and answered first; a pause is not
    /// waited for.
    pub fn input_ended(&mut self, id: ConnId) {
        let Some(mut conn) = self.conns.take_out(id) else { return };
        conn.close(Closing::AfterInput);
        self.run_query(&mut conn);
        self.leave_if_ended(&mut conn);
        self.after_input(conn);
    }

    /// Input: the peer is gone, or the socket failed.
    pub fn hung_up(&mut self, id: ConnId) {
        self.close_client(id, Closing::Now);
    }

    /// Input: the socket is closed, nothing of it is in flight. The connection is forgotten.
    pub fn closed(&mut self, id: ConnId) {
        let Some(mut conn) = self.conns.take_out(id) else { return };
        self.env.shared.client_went(self.id);
        if conn.monitor {
            self.forget_monitor(conn.id);
        }
        if holds(Rule::TheGoneDoNotWatch) {
            self.unwatch(&mut conn);
        }
        self.abandon_wait(&mut conn);
        conn.is_orphan = true;
        let stays = conn.running.is_some() || conn.is_subscribing();
        if !stays {
            self.forget_subscriber(&mut conn);
        }
        self.conns.put_back(conn);
        if !stays {
            self.conns.remove(id);
        }
    }

    /// Input: a batch from another reactor.
    pub fn deliver(&mut self, from: ReactorId, mut batch: Box<Batch>) {
        let ns = self.ns_since(batch.left_at);
        self.observed.stages.lane.record(ns);
        while let Some(message) = batch.messages.pop_front() {
            self.handle(message);
        }
        self.acknowledge_deliveries();
        let mut replies = &batch.replies[..];
        while let Some((conn, seq, reply, rest)) = frame::read_reply(replies) {
            self.fill(conn, seq, reply);
            replies = rest;
        }
        self.run_frames(from, &batch.commands);
        self.spread_news();
        self.outbox.recycle(from, batch);
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Adopt(accepted) => self.adopt(accepted),
            Message::Errand { from, ticket, errand } => self.handle_errand(from, ticket, errand),
            Message::ErrandAnswer { from, ticket, answer, ns } => {
                self.handle_answer(from, ticket, answer, ns);
            }
            Message::Tx(message) => self.handle_tx(*message),
            Message::Deliver { from, number, conns, push } => {
                self.take_delivery(from, number, &conns, &push);
            }
            Message::Delivered { by, up_to } => self.take_receipt(by, up_to),
            Message::TellFirst { from, ticket } => self.tell_first(from, ticket),
            Message::ToldFirst { ticket } => self.told_first(ticket),
            Message::Effects { stamp, effects } => self.take_to_journal(stamp, effects),
            Message::Disk(news) => self.note_disk(news),
            Message::Monitor(line) => self.show_to_monitors(&line),
            Message::Slow { conn, command, ns, args } => {
                self.log_slow_away(conn, command::row(command), ns, args.as_args());
            }
        }
    }

    fn run_frames(&mut self, from: ReactorId, frames: &[u8]) {
        let mut spans = std::mem::take(&mut self.frame_spans);
        self.prefetch_frames(frames, &mut spans);
        let mut rest = frames;
        while let Some((head, bytes, behind)) = frame::read_command(rest, &mut spans) {
            let args = Args::new(bytes, &spans);
            match self.held_time(from, &head) {
                Some(at_us) => self.at_time(at_us, |core| core.run_frame(from, head, args)),
                None => self.run_frame(from, head, args),
            }
            rest = behind;
        }
        self.frame_spans = spans;
    }

    fn prefetch_frames(&self, frames: &[u8], spans: &mut Vec<Span>) {
        let (mut rest, mut prefetch) = (frames, Prefetch::default());
        while let Some((head, bytes, behind)) = frame::read_command(rest, spans) {
            let row = command::row(head.command);
            if let Some(key) = row.only_key() {
                let (db, key) = (self.shard.keyspace.db(head.db as usize), Args::new(bytes, spans).at(key));
                prefetch.add(db, key, row.group.is_of_collections());
            }
            rest = behind;
        }
        prefetch.fetch();
    }

    /// When a command takes effect that is one of a block's.
    #[inline]
    fn held_time(&self, from: ReactorId, head: &CommandHead) -> Option<u64> {
        let block = holds_locks(head.session).then(|| self.held_times.get(&(from, head.conn)));
        block.flatten().map(|(_, at_us)| *at_us)
    }

    fn run_frame(&mut self, from: ReactorId, head: CommandHead, args: Args<'_>) {
        let row = command::row(head.command);
        let Some(run) = row.run.on_shard() else { return };
        if !self.schedule.is_idle() && !holds_locks(head.session) && self.schedule.blocks(row.id, args) {
            let job = Job { command: row.id, db: head.db, session: head.session, args: args.into() };
            let reply_to = ReplyTo { reactor: from, conn: head.conn, seq: head.seq };
            return self.schedule_alone(Part::Alone { job, reply_to });
        }
        let start = self.env.stopwatch.read();
        let replies = &mut self.outbox.open(from).replies;
        let frame = ReplyFrame::begin(replies, head.conn, head.seq);
        let caller = Caller { db: head.db, session: head.session };
        let ok = self.shard.run(&self.env, row, run, caller, args, replies);
        let reply_to = ReplyTo { reactor: from, conn: head.conn, seq: head.seq };
        if self.shard.rest.bus.has_news() {
            let reply = frame.take_back(replies);
            self.answer_behind_news(reply_to, reply);
        } else {
            frame.finish(replies);
        }
        let ns = self.ns_since(start);
        self.observe_away(reply_to, row, args, ns, ok);
        if holds_locks(head.session) {
            self.pass_effects(from, head.conn);
        } else {
            self.settle_ready();
        }
    }

    /// Fills a connection's awaited place; the connection runs on when none is left.
    pub(super) fn fill(&mut self, id: ConnId, seq: u32, reply: &[u8]) {
        let Some(conn) = self.conns.find(id) else { return };
        conn.order.fill(seq, reply, &mut conn.out);
        let blocked = conn.blocked.take_if(|blocked| blocked.seq == seq);
        if conn.hold == Hold::Order && conn.order.is_empty() {
            conn.hold = Hold::None;
            self.resumed.push(id);
        }
        if !conn.listed {
            conn.listed = true;
            self.listed.push(id);
        }
        if let Some(blocked) = blocked {
            self.leave_lines(&blocked, ReplyTo { reactor: self.id, conn: id, seq });
        }
    }

    /// Lets a connection run on if this is what held it.
    pub(super) fn end_hold(&mut self, id: ConnId, hold: Hold) {
        if let Some(conn) = self.conns.find(id)
            && conn.hold == hold
        {
            conn.hold = Hold::None;
            self.resumed.push(id);
        }
    }

    /// Ends the inputs of an iteration: handles what this core has to say to itself, and what may run on because of
    /// it. Bounded; see [`Core::has_work`].
    pub fn settle(&mut self) {
        let mut budget = LOCAL_MESSAGES_MAX;
        while budget > 0 && self.has_work() {
            budget -= 1;
            if let Some(message) = self.outbox.next_local() {
                self.handle(message);
                self.spread_news();
            } else {
                for id in std::mem::take(&mut self.resumed) {
                    self.resume(id);
                }
            }
        }
    }

    /// Something is left to do that no input will announce.
    pub fn has_work(&self) -> bool {
        self.outbox.has_local() || !self.resumed.is_empty() || self.has_loads()
    }

    /// Nothing is under way: no lock is held, no transaction or errand awaits an answer, no reply is awaited.
    pub fn is_at_rest(&self) -> bool {
        self.schedule.is_idle()
            && self.coordinator.is_empty()
            && self.unwinding.is_empty()
            && self.visits.is_empty()
            && self.receipts.is_idle()
            && self.telling.is_idle()
            && self.undelivered.is_empty()
            && !self.has_work()
            && self.conns.iter().all(|conn| conn.order.is_empty())
    }

    /// Output: what to do for the next connection that needs something.
    pub fn next_action(&mut self) -> Option<Action> {
        while let Some(id) = self.listed.pop() {
            let Some(mut conn) = self.conns.take_out(id) else { continue };
            conn.listed = false;
            if conn.is_orphan {
                self.conns.put_back(conn);
                continue;
            }
            let action = self.action(&mut conn);
            self.conns.put_back(conn);
            return Some(action);
        }
        None
    }

    fn action(&mut self, conn: &mut Conn) -> Action {
        self.check_output_limit(conn);
        let mut action = Action { conn: conn.id, adopt: None, send: None, read: None, close: false };
        if std::mem::take(&mut conn.adopted) {
            action.adopt = Some(conn.about.fd);
        }
        let may_leave = self.open_gate(conn);
        if conn.sending == 0 && may_leave > 0 && conn.closing != Closing::Now {
            let mut rest = self.output_buffers.pop().unwrap_or_default();
            rest.extend_from_slice(&conn.out[may_leave..]);
            conn.out.truncate(may_leave);
            let full = std::mem::replace(&mut conn.out, rest);
            conn.gates.sent(full.len());
            conn.sending = full.len();
            conn.sent_at = self.env.stopwatch.read();
            action.send = Some(full);
        }
        let flushed = conn.sending == 0 && conn.out.is_empty();
        action.close = match conn.closing {
            Closing::No | Closing::AfterInput => false,
            Closing::AfterFlush => flushed && conn.order.is_empty(),
            Closing::Now => true,
        };
        self.weigh(conn);
        let pause = conn.wants_pause();
        if pause != conn.reading_paused {
            conn.reading_paused = pause;
            action.read = Some(!pause);
        }
        action
    }

    /// Output: the batch for another reactor, if there is anything in it.
    #[inline]
    pub fn take_batch(&mut self, to: ReactorId) -> Option<Box<Batch>> {
        let mut batch = self.outbox.take(to)?;
        batch.left_at = self.env.stopwatch.read();
        Some(batch)
    }

    /// A batch that found its lane full comes back, and goes on filling.
    pub fn return_batch(&mut self, to: ReactorId, batch: Box<Batch>) {
        self.outbox.put_back(to, batch);
    }

    /// Output: when [`Core::begin`] has to be called at the latest, in microseconds of the monotonic clock.
    pub fn next_deadline_us(&self) -> u64 {
        let timers_us = self.timers.next_us().min(self.journal_deadline_us()).min(self.walking.next_us());
        if !self.stepping.is_empty() || !self.claiming.is_empty() || self.schedule.is_leaving() {
            return self.env.now.mono_us;
        }
        if self.stalled.is_empty() && !self.outbox.is_held_up() {
            return timers_us;
        }
        timers_us.min(self.env.now.mono_us + LANE_RETRY_US)
    }

    /// Output: how long the driver is to stand still (DEBUG SLEEP).
    pub fn take_stall_us(&mut self) -> u64 {
        std::mem::take(&mut self.stall_us)
    }

    /// Output: how the server is asked to stop.
    pub fn next_shutdown(&mut self) -> Option<Shutdown> {
        self.shutdowns.pop_front()
    }

    pub(super) fn send_to_monitors(&mut self, line: &Arc<[u8]>) {
        for reactor in self.observed.monitors.reactors() {
            self.outbox.post(reactor, Message::Monitor(Arc::clone(line)));
        }
    }

    fn show_to_monitors(&mut self, line: &[u8]) {
        for id in self.observed.monitors.here(self.id) {
            let Some(conn) = self.conns.find(id).filter(|conn| conn.closing == Closing::No) else { continue };
            conn.reply(|out| out.extend_from_slice(line));
            if !conn.listed {
                conn.listed = true;
                self.listed.push(id);
            }
        }
    }
}
