//! EXEC and WATCH: where a block runs, and how.
//!
//! | the block's keys and watched keys | how it runs |
//! |---|---|
//! | on this shard, unlocked | at once, in one step |
//! | on one other shard, and it has no command of the connection's own | there, in one step |
//! | on several shards, or locked | the keys are lent to this core, and it runs here in one step |
//! | any, with commands that visit other reactors (DBSIZE, FLUSHALL …), or very many commands | every shard is held, and the commands run one after the other as if they came in a pipeline |
//!
//! Whatever the way, nobody sees a part of it, and it runs whole or not at all: a connection whose socket is gone
//! stays until its block is done.

use bobbin_proto::Reply;

use super::Core;
use super::shard::{Caller, run_on};
use super::submit::Flow;
use crate::command::{self, Args, Command, Run, Session, flag};
use crate::conn::{Conn, Hold, Running, Watching};
use crate::errand::{Asked, Errand, Need, Targets, Ticket};
use crate::error::CommandError;
use crate::ids::{ReactorId, ReplyTo, TxId, WatchId};
use crate::limits::EXEC_STEP_COMMANDS;
use crate::mesh::{Message, SessionBits};
use crate::txn::{Block, BlockJob, Part, Pending, Share, Terms, TxMessage, Work};

/// Who has to take part in a block.
#[derive(Debug, Default)]
struct Reach {
    shards: Vec<ReactorId>,
    /// Keys of each shard, each once.
    keys: Vec<Vec<Box<[u8]>>>,
    /// Some command is the connection's own.
    own: bool,
    /// Some command visits other reactors.
    visits: bool,
}

impl Reach {
    fn shard(&mut self, shard: ReactorId) -> usize {
        self.shards.iter().position(|&other| other == shard).unwrap_or_else(|| {
            self.shards.push(shard);
            self.keys.push(Vec::new());
            self.shards.len() - 1
        })
    }
}

/// Where the keys are that a block runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Shard,
    Workspace,
}

impl Session<'_> {
    /// Runs what is queued.
    pub fn exec(&mut self, args: Args<'_>) {
        let command = self.command;
        let asked = || Asked { command, args: args.into() };
        self.is_deferred = self.core.exec(self.conn, asked) == Flow::NotYet;
    }

    /// Watches keys; the reply is sent once all their shards know.
    pub fn watch(&mut self, args: Args<'_>) {
        let watching = self.conn.watching.get_or_insert_with(|| Box::new(self.core.new_watching()));
        let mut owners: Vec<ReactorId> = args.iter_from(1).map(|key| self.core.owner(key)).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in &owners {
            if !watching.shards.contains(owner) {
                watching.shards.push(*owner);
            }
        }
        let keys = args.iter_from(1).map(Box::from).collect();
        let watch = Watch { id: watching.id, db: self.conn.db, keys };
        if *owners == [self.core.id] && !self.core.schedule.blocks_visit(&watch) {
            watch.visit(self.core);
            return self.ok();
        }
        self.ask(watch, Targets::These(owners));
    }
}

/// Has shards watch keys: each those it owns.
#[derive(Debug)]
struct Watch {
    id: WatchId,
    db: u16,
    keys: Vec<Box<[u8]>>,
}

impl Errand for Watch {
    type Answer = ();

    /// A transaction that has taken effect may be on its way to a key: the watch begins behind it.
    fn need(&self) -> Need {
        Need::Keys
    }

    fn keys(&self) -> &[Box<[u8]>] {
        &self.keys
    }

    fn visit(&self, core: &mut Core) {
        for key in &self.keys {
            if core.owner(key) == core.id {
                core.shard.watch(self.id, self.db, key, core.env.now.unix_ms());
            }
        }
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        reply.ok();
        Ok(())
    }
}

#[derive(Debug)]
struct Unwatch(WatchId);

impl Errand for Unwatch {
    type Answer = ();

    fn visit(&self, core: &mut Core) {
        core.shard.rest.unwatch(self.0);
    }

    fn finish(&self, _: Vec<()>, _: &mut Core, _: &mut Reply<'_>) -> Result<(), CommandError> {
        Ok(())
    }
}

impl Core {
    fn new_watching(&mut self) -> Watching {
        self.last_watch += 1;
        Watching { id: WatchId { reactor: self.id, number: self.last_watch }, shards: Vec::new() }
    }

    /// Forgets what a connection watches.
    pub(crate) fn unwatch(&mut self, conn: &mut Conn) {
        let Some(watching) = conn.watching.take() else { return };
        let errand = std::sync::Arc::new(Unwatch(watching.id));
        for shard in watching.shards {
            if shard == self.id {
                self.shard.rest.unwatch(watching.id);
            } else {
                let message =
                    Message::Errand { from: self.id, ticket: Ticket::NOBODY, errand: errand.clone() };
                self.outbox.post(shard, message);
            }
        }
    }

    /// DISCARD, and what EXEC does when it refuses.
    pub(crate) fn discard(&mut self, conn: &mut Conn) {
        conn.multi.end();
        self.unwatch(conn);
    }

    /// Runs what is queued; `NotYet`: it will run, and be announced then.
    fn exec(&mut self, conn: &mut Conn, asked: impl FnOnce() -> Asked) -> Flow {
        let reach = self.reach_of(conn);
        let watch = conn.watching.as_ref().map(|watching| watching.id);
        let large = conn.multi.block.len() > EXEC_STEP_COMMANDS;
        if !reach.visits && !large {
            if reach.shards.is_empty() || *reach.shards == [self.id] {
                let (block, watches) = (&conn.multi.block, &self.shard.rest.watches);
                if self.schedule.is_idle() || !self.schedule.blocks_block(block, watch, watches) {
                    self.exec_here(conn, watch);
                    return Flow::Done;
                }
            } else if let [owner] = *reach.shards
                && !reach.own
            {
                self.ship(conn, owner, watch);
                return Flow::Done;
            }
        }
        self.exec_locked(conn, asked(), reach, watch, large);
        Flow::NotYet
    }

    fn reach_of(&self, conn: &Conn) -> Reach {
        let mut reach = Reach::default();
        let mut seen = hashbrown::HashSet::with_hasher(foldhash::quality::FixedState::default());
        let alone = self.env.shared.reactors() == 1;
        for (row, args) in conn.multi.block.iter() {
            if row.run.on_shard().is_none() {
                reach.own = true;
                reach.visits |= row.has(flag::BARRIER);
                continue;
            }
            row.keys_of(args, |index, _| {
                let key = args.at(index);
                let shard = reach.shard(self.owner(key));
                // What one shard has alone is never lent.
                if !alone && seen.insert(key) {
                    reach.keys[shard].push(key.into());
                }
            });
            reach.visits |=
                !alone && row.course(args, Caller { db: conn.db, session: conn.session }).is_some();
        }
        for shard in conn.watching.iter().flat_map(|watching| &watching.shards) {
            reach.shard(*shard);
        }
        reach
    }

    /// Everything is here: it runs at once.
    fn exec_here(&mut self, conn: &mut Conn, watch: Option<WatchId>) {
        let now_ms = self.env.now.unix_ms();
        if self.shard.watch_failed(watch, now_ms) {
            self.discard(conn);
            let version = conn.version();
            return conn.reply(|out| Reply::new(out, version).null_array());
        }
        let block = std::mem::take(&mut conn.multi.block);
        self.leave_multi(conn);
        self.run_block(conn, &block, Place::Shard);
        self.settle_ready();
        conn.multi.block = block;
        conn.multi.block.clear();
    }

    /// The transaction is being run: the connection is not in it any more, and what it watches has served.
    fn leave_multi(&mut self, conn: &mut Conn) {
        conn.multi.is_open = false;
        self.unwatch(conn);
    }

    /// Runs a block in one step, for a connection that awaits nothing.
    fn run_block(&mut self, conn: &mut Conn, block: &Block, place: Place) {
        let version = conn.version();
        conn.reply(|out| Reply::new(out, version).array(block.len()));
        conn.session.set(SessionBits::NEVER_WAITS, true);
        for (row, args) in block.iter() {
            self.run_queued(conn, row, args, place);
        }
        conn.session.set(SessionBits::NEVER_WAITS, false);
    }

    fn run_queued(&mut self, conn: &mut Conn, row: &'static Command, args: Args<'_>, place: Place) {
        let run = match row.run {
            Run::Shard(run) | Run::Wide(run, _) | Run::Blocking(run, _) | Run::Scatter(run, _) => run,
            Run::Conn(run) | Run::ContainerOr(run) => {
                self.run_on_conn(conn, row, run, args);
                return;
            }
            Run::Container => return,
        };
        self.feed_monitors(conn, row, args);
        let start = self.env.stopwatch.read();
        let caller = Caller { db: conn.db, session: conn.session };
        let mut dropped = Vec::new();
        let out = if conn.is_silent() { &mut dropped } else { &mut conn.out };
        let keyspace = if place == Place::Shard { &mut self.shard.keyspace } else { &mut self.workspace };
        let ok = run_on(keyspace, &mut self.shard.rest, &self.env, row, run, caller, args, out);
        self.observe_run(conn, row, args, start, ok);
    }

    /// All keys, watched ones too, are another shard's: it runs the block.
    fn ship(&mut self, conn: &mut Conn, owner: ReactorId, watch: Option<WatchId>) {
        for (row, args) in conn.multi.block.iter() {
            self.feed_monitors(conn, row, args);
        }
        let reply_to = self.begin_exec(conn);
        let job = Box::new(job_of(conn, watch));
        self.post_tx(owner, TxMessage::Block { job, reply_to });
        conn.multi.is_open = false;
        // The shard forgets the watch, once the block has had its turn.
        conn.watching = None;
    }

    fn begin_exec(&mut self, conn: &mut Conn) -> ReplyTo {
        conn.hold = Hold::Order;
        self.hold_reply(conn)
    }

    fn exec_locked(
        &mut self,
        conn: &mut Conn,
        asked: Asked,
        reach: Reach,
        watch: Option<WatchId>,
        large: bool,
    ) {
        let reply_to = self.begin_exec(conn);
        let job = Box::new(job_of(conn, watch));
        conn.multi.is_open = false;
        let (work, shards) = if reach.visits || large {
            let all = (0..self.env.shared.reactors()).map(ReactorId::from_index).collect();
            (Work::Hold { job, asked }, all)
        } else {
            (Work::Block { job, asked, keys: reach.keys }, reach.shards)
        };
        let shares = shards.into_iter().map(Share::whole).collect();
        self.begin_transaction(reply_to, work, shares, Terms::Wait);
    }

    /// The shard's side of [`Core::ship`].
    pub(super) fn take_block(&mut self, job: Box<BlockJob>, reply_to: ReplyTo) {
        let watches = &self.shard.rest.watches;
        if !self.schedule.is_idle() && self.schedule.blocks_block(&job.block, job.watch, watches) {
            return self.schedule_alone(Part::Block { job, reply_to });
        }
        self.run_shipped(&job, reply_to);
        self.settle_ready();
    }

    pub(super) fn run_shipped(&mut self, job: &BlockJob, reply_to: ReplyTo) {
        let mut out = Vec::new();
        let version = job.session.version();
        let now_ms = self.env.now.unix_ms();
        let failed = self.shard.watch_failed(job.watch, now_ms);
        if let Some(watch) = job.watch {
            self.shard.rest.unwatch(watch);
        }
        if failed {
            Reply::new(&mut out, version).null_array();
            return self.answer(reply_to, &out);
        }
        Reply::new(&mut out, version).array(job.block.len());
        let caller = Caller { db: job.db, session: job.session };
        for (row, args) in job.block.iter() {
            let Some(run) = row.run.on_shard() else { continue };
            let start = self.env.stopwatch.read();
            let ok = self.shard.run(&self.env, row, run, caller, args, &mut out);
            self.observe_away(reply_to, row, args, self.ns_since(start), ok);
        }
        self.answer(reply_to, &out);
    }

    /// Every key of a block is in the workspace: it runs. Returns its reply. Without its client it does nothing: what
    /// it would do may depend on the connection.
    pub(super) fn run_lent_block(&mut self, pending: &Pending, job: &BlockJob, asked: &Asked) -> Vec<u8> {
        let Some(mut conn) = self.conns.take_out(pending.reply_to.conn) else { return Vec::new() };
        self.unwatch(&mut conn);
        let start = self.env.stopwatch.read();
        let out =
            if pending.watch_failed { null_array(&conn) } else { self.run_apart(&mut conn, &job.block) };
        self.announce(&conn, asked, start);
        self.conns.put_back(conn);
        out
    }

    /// Shows an EXEC to monitors, behind what it ran, and counts it.
    fn announce(&mut self, conn: &Conn, asked: &Asked, start: u64) {
        let args = asked.args.as_args();
        self.feed_monitors(conn, asked.command, args);
        self.observe_run(conn, asked.command, args, start, true);
    }

    fn run_apart(&mut self, conn: &mut Conn, block: &Block) -> Vec<u8> {
        // The reply is put together apart: the connection's output is for what is due.
        let (order, out) = (std::mem::take(&mut conn.order), std::mem::take(&mut conn.out));
        let hold = std::mem::take(&mut conn.hold);
        self.run_block(conn, block, Place::Workspace);
        conn.order = order;
        conn.hold = hold;
        std::mem::replace(&mut conn.out, out)
    }

    /// Every shard is held: the commands run as if they came in a pipeline.
    pub(super) fn all_held(&mut self, id: TxId) {
        let Some(pending) = self.coordinator.remove(id) else { return };
        let shards: Vec<ReactorId> = pending.shares.iter().map(|share| share.shard).collect();
        let ReplyTo { conn, seq, .. } = pending.reply_to;
        let (Work::Hold { job, asked }, Some(mut conn)) = (pending.work, self.conns.take_out(conn)) else {
            return self.release_shards(id, &shards);
        };
        let start = self.env.stopwatch.read();
        let mut out = Vec::new();
        if pending.watch_failed {
            out = null_array(&conn);
            self.release_shards(id, &shards);
            self.unwatch(&mut conn);
            self.announce(&conn, &asked, start);
        } else {
            Reply::new(&mut out, conn.version()).array(job.block.len());
            conn.session.set(SessionBits::HOLDS_LOCKS, true);
            let running = Running { id, block: job.block, started: 0, shards, asked, start };
            conn.running = Some(Box::new(running));
        }
        let id = conn.id;
        self.conns.put_back(conn);
        self.fill(id, seq, &out);
    }

    fn release_shards(&mut self, id: TxId, shards: &[ReactorId]) {
        shards.iter().for_each(|&shard| self.post_tx(shard, TxMessage::Cancel { id }));
    }

    /// Goes on with a block that runs step by step.
    pub(super) fn run_on_held(&mut self, conn: &mut Conn) {
        let Some(mut running) = conn.running.take() else { return };
        let end = (running.started + EXEC_STEP_COMMANDS).min(running.block.len());
        while running.started < end {
            let Some((row, args)) = running.block.get(running.started) else { break };
            if self.dispatch(conn, row, args) == Flow::NotYet {
                break;
            }
            running.started += 1;
            if conn.hold != Hold::None {
                break;
            }
        }
        if running.started == running.block.len() && conn.order.is_empty() {
            return self.finish_held(conn, &running);
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

    fn finish_held(&mut self, conn: &mut Conn, running: &Running) {
        conn.session.set(SessionBits::HOLDS_LOCKS, false);
        conn.hold = Hold::None;
        self.unwatch(conn);
        self.announce(conn, &running.asked, running.start);
        self.release_shards(running.id, &running.shards);
    }

    /// Lets blocks that run step by step make their next.
    pub(super) fn step_held(&mut self) {
        for id in std::mem::take(&mut self.stepping) {
            self.end_hold(id, Hold::Exec);
        }
    }
}

/// Takes what is queued out of a connection.
fn job_of(conn: &mut Conn, watch: Option<WatchId>) -> BlockJob {
    let block = std::mem::take(&mut conn.multi.block);
    let mut session = conn.session;
    session.set(SessionBits::NEVER_WAITS, true);
    BlockJob { block, db: conn.db, session, watch }
}

fn null_array(conn: &Conn) -> Vec<u8> {
    let mut out = Vec::new();
    Reply::new(&mut out, conn.version()).null_array();
    out
}

/// Whether commands wait in line for what they need, or run with a transaction's locks.
#[inline]
pub(super) fn holds_locks(session: SessionBits) -> bool {
    session.has(SessionBits::HOLDS_LOCKS)
}

/// How a command over several shards asks for its locks.
pub(super) fn terms_of(session: SessionBits) -> Terms {
    if holds_locks(session) { Terms::Held } else { Terms::Wait }
}

/// The row that EXEC refuses with when the request is refused before it runs.
#[cold]
pub(super) fn aborted_because(error: &CommandError) -> CommandError {
    let text = error.to_string();
    let cause = text.strip_prefix("ERR ").unwrap_or(&text);
    CommandError::owned(format!("EXECABORT Transaction discarded because of: {cause}"))
}

/// Whether a request is one that a block is judged by.
#[inline]
pub(super) fn flags_of(conn: &Conn, row: &command::Command, flags: u32) -> bool {
    row.has(flags) || (row.has(flag::RUNS_QUEUE) && conn.multi.block.has(flags))
}
