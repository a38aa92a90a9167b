//! EXEC: where a block runs, and how. What runs step by step is in `held`, WATCH in `watch`.
//!
//! | the block's keys and watched keys | how it runs |
//! |---|---|
//! | on this shard, unlocked | at once, in one step |
//! | on one other shard, and it has no command of the connection's own | there, in one step |
//! | on several shards, or locked | the keys are lent to this core, and it runs here in one step |
//! | any, with commands that visit other reactors (DBSIZE, FLUSHALL …) | every shard is held, and the commands run one after the other as if they came in a pipeline |
//! | any, with very many commands | the same, but what is held is their keys, claimed some at a time: others go on meanwhile |
//!
//! Whatever the way, nobody sees a part of it, and it runs whole or not at all: a connection whose socket is gone
//! stays until its block is done.

use bobbin_proto::{Reply, Version};

use super::Core;
use super::shard::{Caller, run_on};
use super::submit::Flow;
use crate::command::{self, Args, Command, Run, Session, flag};
use crate::conn::{Conn, Following, Hold, Multi};
use crate::errand::Asked;
use crate::error::CommandError;
use crate::ids::{ReactorId, ReplyTo, TxId, WatchId};
use crate::limits::EXEC_STEP_COMMANDS;
use crate::mesh::SessionBits;
use crate::txn::{Block, BlockJob, Claims, Part, Pending, Share, Terms, TxMessage, Work};

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
}

impl Core {
    /// Queues a command for the next EXEC, and notes what that will need for it.
    pub(super) fn queue(&mut self, conn: &mut Conn, row: &'static Command, args: Args<'_>) {
        let caller = Caller { db: conn.db, session: conn.session };
        let several = self.env.shared.reactors() > 1;
        let Multi { block, reach, .. } = &mut conn.multi;
        if self.env.has_scopes {
            reach.scopes.add(&self.env.scopes.table, row, args);
        }
        block.push(row, args);
        if row.run.on_shard().is_none() {
            reach.own = true;
            reach.visits |= row.has(flag::BARRIER);
        } else {
            row.keys_of(args, |index, _| reach.shard(self.owner(args.at(index))));
            if row.says_something() {
                reach.shard(self.owner(args.at(1)));
                reach.says = true;
            }
            reach.visits |= several && row.course(args, caller).is_some();
        }
    }

    /// DISCARD, and what EXEC does when it refuses.
    pub(crate) fn discard(&mut self, conn: &mut Conn) {
        conn.multi.end();
        self.unwatch(conn);
    }

    /// Runs what is queued; `NotYet`: it will run, and be announced then.
    fn exec(&mut self, conn: &mut Conn, asked: impl FnOnce() -> Asked) -> Flow {
        let Conn { multi: Multi { block, reach, .. }, watching, .. } = conn;
        let watched = watching.iter().flat_map(|watching| &watching.shards);
        watched.for_each(|shard| reach.shard(*shard));
        let watch = watching.as_ref().map(|watching| watching.id);
        if !reach.visits && block.len() <= EXEC_STEP_COMMANDS {
            match reach.shards[..] {
                [] => return self.exec_here(conn, watch),
                [owner] if owner == self.id => {
                    let watches = &self.shard.rest.watches;
                    if self.schedule.is_idle() || !self.schedule.blocks_block(block, watch, watches, None) {
                        return self.exec_here(conn, watch);
                    }
                }
                [owner] if !reach.own => return self.ship(conn, owner, watch),
                _ => {}
            }
        }
        self.exec_locked(conn, asked(), watch)
    }

    /// Everything is here: it runs at once.
    fn exec_here(&mut self, conn: &mut Conn, watch: Option<WatchId>) -> Flow {
        let now_ms = self.env.now.unix_ms();
        if self.shard.watch_failed(watch, now_ms) {
            self.discard(conn);
            let version = conn.version();
            conn.reply(|out| Reply::new(out, version).null_array());
            return Flow::Done;
        }
        let mut multi = std::mem::take(&mut conn.multi);
        self.unwatch(conn);
        let before = conn.out.len();
        self.run_block(conn, &multi.block, Place::Shard);
        if self.shard.rest.bus.has_news() {
            let reply = conn.out.split_off(before);
            self.reply_behind_news(conn, reply);
            conn.hold = if conn.order.is_empty() { Hold::None } else { Hold::Order };
        }
        self.settle_ready();
        multi.end();
        conn.multi = multi;
        Flow::Done
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
            Run::Shard(run)
            | Run::Wide(run, _)
            | Run::Blocking(run, _)
            | Run::Publish(run)
            | Run::Scatter(run, _) => run,
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

    /// Whether a command is an EXEC that need not wait for those before it: its block goes where theirs went.
    pub(super) fn follows_blocks(conn: &Conn, row: &Command) -> bool {
        let Some(Following::Blocks(owner)) = conn.following else { return false };
        let Multi { is_open, is_aborted, block, reach } = &conn.multi;
        let goes_there = reach.shards == [owner] && !reach.own && !reach.visits && !reach.says;
        row.has(flag::RUNS_QUEUE)
            && *is_open
            && !is_aborted
            && goes_there
            && block.len() <= EXEC_STEP_COMMANDS
            && conn.watching.is_none()
            && conn.order.has_room()
    }

    /// All keys, watched ones too, are another shard's: it runs the block.
    fn ship(&mut self, conn: &mut Conn, owner: ReactorId, watch: Option<WatchId>) -> Flow {
        for (row, args) in conn.multi.block.iter() {
            self.feed_monitors(conn, row, args);
        }
        // More such may follow at once: that shard runs them in the order in which they come.
        conn.following = Some(Following::Blocks(owner));
        let reply_to = self.hold_reply(conn);
        let job = Box::new(job_of(conn, watch));
        self.post_tx(owner, TxMessage::Block { job, reply_to });
        // The shard forgets the watch, once the block has had its turn.
        conn.watching = None;
        Flow::Done
    }

    fn exec_locked(&mut self, conn: &mut Conn, asked: Asked, watch: Option<WatchId>) -> Flow {
        let reply_to = self.hold_behind(conn);
        // What is said is not lent: it is said where its channel is.
        let apart = conn.multi.reach.visits || conn.multi.reach.says;
        let shards = std::mem::take(&mut conn.multi.reach.shards);
        let job = Box::new(job_of(conn, watch));
        let is_large = job.block.len() > EXEC_STEP_COMMANDS;
        // Nor does a shard that is alone lend: a command may look at keys that its arguments do not name (SORT).
        let is_alone = self.env.shared.reactors() == 1;
        let (work, shards) = match () {
            () if apart || (is_alone && !is_large) => {
                let all = (0..self.env.shared.reactors()).map(ReactorId::from_index).collect();
                (Work::Hold { job, asked, claims: Claims::Shards }, all)
            }
            () if is_large => {
                let claims = Claims::Keys { commands: 0, refusals: 0 };
                let shards = if shards.is_empty() { vec![self.id] } else { shards };
                (Work::Hold { job, asked, claims }, shards)
            }
            () => {
                let keys = self.keys_by_shard(&job.block, &shards);
                (Work::Block { job, asked, keys }, shards)
            }
        };
        let shares = shards.into_iter().map(Share::whole).collect();
        self.begin_transaction(reply_to, work, shares, Terms::Wait);
        Flow::NotYet
    }

    /// The keys of a block that each of these shards is to lend, each once.
    fn keys_by_shard(&self, block: &Block, shards: &[ReactorId]) -> Vec<Vec<Box<[u8]>>> {
        let mut keys: Vec<Vec<Box<[u8]>>> = vec![Vec::new(); shards.len()];
        let mut seen = hashbrown::HashSet::with_hasher(foldhash::quality::FixedState::default());
        for (row, args) in block.iter().filter(|(row, _)| row.run.on_shard().is_some()) {
            row.keys_of(args, |index, _| {
                let key = args.at(index);
                let owner = self.owner(key);
                if let Some(at) = shards.iter().position(|shard| *shard == owner)
                    && seen.insert(key)
                {
                    keys[at].push(key.into());
                }
            });
        }
        keys
    }

    /// The shard's side of [`Core::ship`].
    pub(super) fn take_block(&mut self, job: Box<BlockJob>, reply_to: ReplyTo) {
        let watches = &self.shard.rest.watches;
        if !self.schedule.is_idle()
            && self.schedule.blocks_block(&job.block, job.watch, watches, Some(reply_to))
        {
            return self.schedule_alone(Part::Block { job, reply_to });
        }
        self.run_shipped(&job, reply_to);
        self.settle_ready();
    }

    pub(super) fn run_shipped(&mut self, job: &BlockJob, reply_to: ReplyTo) {
        let version = job.session.version();
        let now_ms = self.env.now.unix_ms();
        let failed = self.shard.watch_failed(job.watch, now_ms);
        if let Some(watch) = job.watch {
            self.shard.rest.unwatch(watch);
        }
        if failed {
            return self.answer(reply_to, &null_array(version));
        }
        let mut out = Vec::new();
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
        let out = if pending.watch_failed {
            null_array(conn.version())
        } else {
            self.run_apart(&mut conn, &job.block)
        };
        self.announce(&conn, asked, start);
        self.conns.put_back(conn);
        out
    }

    /// Shows an EXEC to monitors, behind what it ran, and counts it.
    pub(super) fn announce(&mut self, conn: &Conn, asked: &Asked, start: u64) {
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

    pub(super) fn release_shards(&mut self, id: TxId, shards: &[ReactorId]) {
        shards.iter().for_each(|&shard| self.post_tx(shard, TxMessage::Cancel { id }));
    }
}

/// Takes what is queued out of a connection, which is in no transaction any more.
fn job_of(conn: &mut Conn, watch: Option<WatchId>) -> BlockJob {
    let block = std::mem::take(&mut conn.multi.block);
    conn.multi.end();
    let mut session = conn.session;
    session.set(SessionBits::NEVER_WAITS, true);
    BlockJob { block, db: conn.db, session, watch }
}

pub(super) fn null_array(version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    Reply::new(&mut out, version).null_array();
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
