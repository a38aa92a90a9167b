//! The submit path: every command takes it, in this order, and there is no other gate.
//!
//! Row → arity → authentication → server state → keys → scopes → owner → run: on the connection, on this shard, on another,
//! on several.

use std::sync::Arc;

use bobbin_proto::Reply;

use super::exec::{aborted_because, flags_of, holds_locks, terms_of};
use super::shard::Caller;
use super::{Core, Pause};
use crate::command::{self, Args, Command, Merge, Run, Session, ShardFn, flag};
use crate::conn::{Conn, Following, Hold};
use crate::error::{CommandError, QUOTED_MAX, before_nul, beginning};
use crate::ids::{ReactorId, ReplyTo};
use crate::mesh::SessionBits;
use crate::mesh::frame::{CommandHead, push_command};
use crate::observe::monitor_line;
use crate::rules::{Rule, holds};
use crate::txn::{Job, Part, Work, shares};

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It ran, is on its way, or was answered with an error.
    Done,
    /// The connection's hold has to end first; the command is to be submitted again.
    NotYet,
}

impl Core {
    /// Submits one command of a connection.
    #[inline]
    pub(super) fn submit(&mut self, conn: &mut Conn, row: Option<&'static Command>, args: Args<'_>) -> Flow {
        let checked = match row {
            Some(row) => self.check(conn, row, args),
            None => Err(unknown(args)),
        };
        let row = match checked {
            Ok(row) => row,
            Err(error) => {
                self.reject(conn, row, args, &error);
                return Flow::Done;
            }
        };
        if let Some(pause) = self.pause
            && self.pauses(pause, conn, row)
        {
            conn.hold = Hold::Paused;
            return Flow::NotYet;
        }
        if conn.multi.is_open && !row.has(flag::UNQUEUED) {
            self.queue(conn, row, args);
            conn.reply(|out| out.extend_from_slice(b"+QUEUED\r\n"));
            conn.count_command(row.id);
            return Flow::Done;
        }
        self.dispatch(conn, row, args)
    }

    /// Runs a command that may run, wherever it belongs.
    #[inline]
    pub(super) fn dispatch(&mut self, conn: &mut Conn, row: &'static Command, args: Args<'_>) -> Flow {
        if conn.following.is_some() && Self::waits_for_others(conn, row) {
            return Flow::NotYet;
        }
        conn.has_written |= row.has(flag::WRITE | flag::RUNS_QUEUE);
        if !matches!(row.run, Run::Shard(_) | Run::Scatter(..)) {
            self.lap = None;
        }
        let flow = match row.run {
            Run::Shard(run) => self.submit_keyed(conn, row, run, None, args),
            Run::Wide(run, _) => self.submit_wide(conn, row, run, args),
            Run::Blocking(run, _) if holds_locks(conn.session) => {
                self.submit_keyed(conn, row, run, None, args)
            }
            Run::Blocking(run, _) => self.submit_blocking(conn, row, run, args),
            Run::Publish(run) => self.submit_publish(conn, row, run, args),
            Run::Scatter(run, merge) => self.submit_keyed(conn, row, run, Some(merge), args),
            Run::Conn(run) | Run::ContainerOr(run) => self.run_on_conn(conn, row, run, args),
            Run::Container => Flow::Done,
        };
        if flow == Flow::Done {
            conn.count_command(row.id);
        }
        flow
    }

    /// Whether a command has to wait for those of another kind that its connection awaits.
    #[cold]
    fn waits_for_others(conn: &mut Conn, row: &Command) -> bool {
        if conn.order.is_empty() {
            conn.following = None;
        }
        let waits = match conn.following {
            None => false,
            Some(Following::Publishes(_)) => !row.says_something(),
            // MULTI, or EXEC, which sees for itself whether it may follow.
            Some(Following::Blocks(_)) => !row.has(flag::UNQUEUED),
        };
        if waits {
            conn.hold = Hold::Order;
        }
        waits
    }

    /// Subcommand, arity, authentication, server state, scopes.
    #[inline]
    fn check(
        &mut self,
        conn: &Conn,
        row: &'static Command,
        args: Args<'_>,
    ) -> Result<&'static Command, CommandError> {
        let row = match row.run {
            Run::Container => subcommand(row, args)?,
            Run::ContainerOr(_) if args.len() > 1 => subcommand(row, args)?,
            _ => row,
        };
        if !row.accepts(args.len()) {
            return Err(CommandError::Arity(row.name));
        }
        if self.env.is_loading && !row.has(flag::LOADING) {
            return Err(CommandError::text("LOADING Bobbin is loading the dataset in memory"));
        }
        if conn.is_restricted() {
            self.check_restricted(conn, row, args)?;
        }
        if self.env.config.maxmemory > 0 && flags_of(conn, row, flag::DENYOOM) {
            self.make_room();
            self.lap = None;
            if self.env.out_of_memory {
                return Err(CommandError::OutOfMemory);
            }
        }
        if (self.env.disk_failure.is_some() || self.env.save_failed) && flags_of(conn, row, flag::WRITE) {
            self.check_disk()?;
        }
        if self.env.has_scopes {
            self.check_scopes(conn, row, args)?;
        }
        Ok(row)
    }

    /// Writes that could not be made durable are refused.
    #[cold]
    fn check_disk(&self) -> Result<(), CommandError> {
        if let Some(failure) = &self.env.disk_failure {
            return Err(CommandError::owned(format!("MISCONF Errors writing to the AOF file: {failure}")));
        }
        let config = &self.env.config;
        if self.env.save_failed && config.stop_writes_on_bgsave_error && !config.save.0.is_empty() {
            return Err(CommandError::text(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Commands that may modify the data set are disabled, because this instance is configured to report \
                 errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check \
                 the Redis logs for details about the RDB error.",
            ));
        }
        Ok(())
    }

    /// A password that is no longer asked for need not be given. Monitors keep off the keys, as in Redis.
    #[inline(never)]
    fn check_restricted(
        &self,
        conn: &Conn,
        row: &'static Command,
        args: Args<'_>,
    ) -> Result<(), CommandError> {
        if !conn.authenticated && !row.has(flag::NO_AUTH) && !self.env.config.requirepass.is_empty() {
            return Err(CommandError::NoAuth);
        }
        if conn.monitor && row.run.on_shard().is_some() {
            return Err(CommandError::text("ERR Replica can't interact with the keyspace"));
        }
        if conn.is_listening_only() && !row.has(flag::LISTENING) {
            return Err(CommandError::owned(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                row.name
            )));
        }
        if conn.multi.is_open && row.has(flag::NO_MULTI) {
            return Err(CommandError::text("ERR Command not allowed inside a transaction"));
        }
        if conn.session.has(SessionBits::AS_NODE) { self.check_slots(conn, row, args) } else { Ok(()) }
    }

    #[cold]
    fn reject(
        &mut self,
        conn: &mut Conn,
        row: Option<&'static Command>,
        args: Args<'_>,
        error: &CommandError,
    ) {
        if let Some(row) = row.and_then(|row| named(row, args)) {
            self.observed.commands.rejected(row.id);
        }
        conn.multi.is_aborted = conn.multi.is_open;
        let version = conn.version();
        if row.is_some_and(|row| row.has(flag::RUNS_QUEUE)) {
            self.discard(conn);
            let is_redirected = matches!(error, CommandError::Redirected(_));
            let error = if is_redirected { error.clone() } else { aborted_because(error) };
            self.observed.errors.count(&error);
            conn.reply(|out| error.write(&mut Reply::new(out, version)));
        } else {
            self.observed.errors.count(error);
            conn.reply(|out| error.write(&mut Reply::new(out, version)));
        }
        conn.last_command = row.map(|row| row.id);
        conn.reply_mode.command_done();
    }

    #[cold]
    fn pauses(&self, pause: Pause, conn: &Conn, row: &Command) -> bool {
        if pause.until_ms <= self.env.now.unix_ms() || row.has(flag::UNPAUSED) {
            return false;
        }
        !pause.writes_only || flags_of(conn, row, flag::WRITE | flag::MAY_REPLICATE)
    }

    pub(super) fn run_on_conn(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        run: command::ConnFn,
        args: Args<'_>,
    ) -> Flow {
        if row.has(flag::BARRIER) && !Self::follows_blocks(conn, row) && conn.has_to_wait() {
            return Flow::NotYet;
        }
        conn.last_command = Some(row.id);
        let start = self.env.stopwatch.read();
        let mut session = Session::new(self, conn, row, args);
        let ran = run(&mut session, args);
        let (asked, is_deferred) = (session.asked(), session.is_deferred);
        if is_deferred {
            return Flow::Done;
        }
        // Only now, as in Redis: the database shown is the one that SELECT changed to.
        self.feed_monitors(conn, row, args);
        if !asked {
            self.observe_run(conn, row, args, start, ran.is_ok());
        }
        if let Err(error) = ran {
            self.observed.errors.count(&error);
            let version = conn.version();
            conn.reply(|out| error.write(&mut Reply::new(out, version)));
        }
        Flow::Done
    }

    #[inline]
    pub(super) fn submit_keyed(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        run: ShardFn,
        merge: Option<Merge>,
        args: Args<'_>,
    ) -> Flow {
        if let Some(merge) = merge
            && self.boarding.is_some()
        {
            return self.board(conn, row, merge, args);
        }
        match self.sole_owner(row, args) {
            Some(owner) if owner == self.id => self.run_here(conn, row, run, args),
            Some(owner) => self.send_to(owner, conn, row, args),
            None => match merge {
                Some(merge) => self.board(conn, row, merge, args),
                None => self.start_together(conn, row, args),
            },
        }
    }

    /// The reactor that owns all keys of a command, if it is one. A command whose arguments name no key, or not all
    /// of what belongs to one, runs here: its handler says what is wrong with it.
    #[inline]
    pub(super) fn sole_owner(&self, row: &Command, args: Args<'_>) -> Option<ReactorId> {
        if self.env.shared.reactors() == 1 {
            return Some(self.id);
        }
        if let Some(key) = row.routed_by() {
            return Some(self.owner(args.at(key)));
        }
        let (mut owner, mut several) = (None, false);
        row.keys_of(args, |index, _| {
            let this = self.owner(args.at(index));
            several |= owner.is_some_and(|owner| owner != this);
            owner = Some(this);
        });
        if several && row.is_whole(args.len()) {
            None
        } else {
            Some(owner.filter(|_| !several).unwrap_or(self.id))
        }
    }

    #[inline]
    fn run_here(&mut self, conn: &mut Conn, row: &'static Command, run: ShardFn, args: Args<'_>) -> Flow {
        if self.is_locked(conn.session, row, args) {
            return self.wait_for_locks(conn, row, args);
        }
        self.feed_monitors(conn, row, args);
        let start = self.lap.take().unwrap_or_else(|| self.env.stopwatch.read());
        let caller = Caller { db: conn.db, session: conn.session };
        let (shard, env) = (&mut self.shard, &self.env);
        let ok = if conn.is_silent() {
            let mut dropped = Vec::new();
            let ok = shard.run(env, row, run, caller, args, &mut dropped);
            if shard.rest.bus.has_news() {
                self.reply_behind_news(conn, Vec::new());
            }
            ok
        } else if conn.order.is_empty() {
            let reply = conn.out.len();
            let ok = shard.run(env, row, run, caller, args, &mut conn.out);
            if shard.rest.bus.has_news() {
                let reply = conn.out.split_off(reply);
                self.reply_behind_news(conn, reply);
            }
            ok
        } else {
            let ok = shard.run(env, row, run, caller, args, conn.order.aside());
            if shard.rest.bus.has_news() {
                let reply = conn.order.take_aside();
                self.reply_behind_news(conn, reply);
            } else {
                conn.order.keep();
            }
            ok
        };
        let end = self.env.stopwatch.read();
        self.observe_time(conn, row, args, self.env.stopwatch.nanos(start, end), ok);
        // A block that runs step by step goes on later.
        self.lap = (!holds_locks(conn.session)).then_some(end);
        if !holds_locks(conn.session) {
            self.settle_ready();
        }
        Flow::Done
    }

    /// Whether a transaction's locks stand in a command's way. One test, while there are none.
    #[inline]
    pub(super) fn is_locked(&self, session: SessionBits, row: &Command, args: Args<'_>) -> bool {
        !self.schedule.is_idle() && !holds_locks(session) && self.schedule.blocks(row.id, args)
    }

    /// The keys are under a transaction's locks: the command waits in line behind it.
    #[cold]
    fn wait_for_locks(&mut self, conn: &mut Conn, row: &'static Command, args: Args<'_>) -> Flow {
        if !conn.order.has_room() {
            conn.hold = Hold::Order;
            return Flow::NotYet;
        }
        self.feed_monitors(conn, row, args);
        let reply_to = self.hold_reply(conn);
        let job = Job { command: row.id, db: conn.db, session: conn.session, args: args.into() };
        self.schedule_alone(Part::Alone { job, reply_to });
        Flow::Done
    }

    #[inline]
    fn send_to(&mut self, owner: ReactorId, conn: &mut Conn, row: &'static Command, args: Args<'_>) -> Flow {
        if !conn.order.has_room() {
            conn.hold = Hold::Order;
            return Flow::NotYet;
        }
        if self.outbox.is_full(owner) {
            conn.hold = Hold::Lane;
            self.stalled.push(conn.id);
            return Flow::NotYet;
        }
        self.feed_monitors(conn, row, args);
        self.lap = None;
        let seq = conn.order.hold(conn.is_silent());
        let head = CommandHead { conn: conn.id, seq, command: row.id, db: conn.db, session: conn.session };
        push_command(&mut self.outbox.open(owner).commands, head, args);
        Flow::Done
    }

    /// A command over several shards is a barrier on its connection.
    fn start_together(&mut self, conn: &mut Conn, row: &'static Command, args: Args<'_>) -> Flow {
        if conn.has_to_wait() {
            return Flow::NotYet;
        }
        self.feed_monitors(conn, row, args);
        let shares = shares(row, args, |key| self.owner(key));
        let job = Job { command: row.id, db: conn.db, session: conn.session, args: args.into() };
        let reply_to = self.hold_behind(conn);
        self.begin_transaction(reply_to, Work::Together { job }, shares, terms_of(conn.session));
        Flow::Done
    }

    /// Holds the next place in a connection's reply order for a barrier: what was sent later waits for its reply.
    pub(crate) fn hold_behind(&self, conn: &mut Conn) -> ReplyTo {
        if holds(Rule::BarriersAreWaitedFor) {
            conn.hold = Hold::Order;
        }
        self.hold_reply(conn)
    }

    /// Holds the next place in a connection's reply order.
    pub(super) fn hold_reply(&self, conn: &mut Conn) -> ReplyTo {
        let seq = conn.order.hold(conn.is_silent());
        ReplyTo { reactor: self.id, conn: conn.id, seq }
    }

    #[inline]
    pub(super) fn feed_monitors(&mut self, conn: &Conn, row: &'static Command, args: Args<'_>) {
        if self.observed.monitors.any() && !row.has(flag::SKIP_MONITOR | flag::ADMIN) {
            let line = monitor_line(self.env.now, conn.db, &conn.about.endpoints.monitored(), row, args);
            self.send_to_monitors(&Arc::from(line));
        }
    }
}

/// The subcommand's row.
fn subcommand(container: &'static Command, args: Args<'_>) -> Result<&'static Command, CommandError> {
    let Some(name) = args.get(1) else { return Err(CommandError::Arity(container.name)) };
    command::find_sub(container, name).ok_or_else(|| {
        let upper = container.name.to_ascii_uppercase();
        let after = format!("'. Try {upper} HELP.");
        CommandError::quoting("ERR unknown subcommand '", beginning(name), after)
    })
}

/// The command that a request names: a subcommand if there is one, and none if it is unknown.
fn named(row: &'static Command, args: Args<'_>) -> Option<&'static Command> {
    match args.get(1) {
        Some(sub) if row.is_container() => command::find_sub(row, sub),
        _ => Some(row),
    }
}

/// Redis's words, with its limits on how much of the request is quoted.
#[cold]
fn unknown(args: Args<'_>) -> CommandError {
    let mut after = b"', with args beginning with: ".to_vec();
    let start = after.len();
    for arg in args.iter_from(1) {
        let quoted = after.len() - start;
        if quoted >= QUOTED_MAX {
            break;
        }
        let arg = before_nul(arg);
        after.push(b'\'');
        after.extend_from_slice(&arg[..arg.len().min(QUOTED_MAX - quoted)]);
        after.extend_from_slice(b"' ");
    }
    CommandError::quoting("ERR unknown command '", beginning(args.at(0)), after)
}
