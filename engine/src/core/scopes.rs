//! Scopes on the submit path: whether this node may write the keys of a request, and how the answer changes.
//!
//! Every key of every write is checked, whatever the command does with it; keys come from the command table. Reads are
//! served here. FLUSHALL and its kin, which name no keys and change all, are refused unless this node writes all scopes.
//! What MULTI queues is judged at EXEC, as a whole: one key that is elsewhere refuses all of it, and so do two scopes.
//!
//! **When a change holds.** A table is never changed. The control thread makes and stores the next (`scopes.rs`); then
//! every core takes it over, and whoever asked is answered when all have. So whoever reads that answer finds the change
//! on every connection: a write that is submitted afterwards is judged by it.
//!
//! **What is under way.** The check is at submit, once. A write that has passed it takes effect, also if the table is
//! replaced before: it may be in a lane, in line behind a lock, in a transaction that gathers its shards, or an EXEC that
//! runs step by step. Its client was not answered when the change was made, so it is concurrent with the change, and in
//! the one order of all commands it stands before it. It cannot take effect after all that was under way has ended; it
//! may after the change is answered. So the answer to a change that quiesces a scope says that no write of it will
//! be accepted, not that the last one has been done: whoever ships the keys must let that end first, which is
//! the drain of a migration.
//!
//! **What waits** (BLPOP) is not under way: it may wait for ever. A wait whose keys this node no longer writes is ended
//! with the error, when the table is taken over; an attempt or an offer that is under way then may still serve it, and if
//! it does not, the wait ends where it would have gone on.

use std::borrow::Cow;
use std::sync::Arc;

use bobbin_cluster::catalog::Change;
use bobbin_cluster::scope::{Footprint, OwnershipTable, Verdict};
use bobbin_proto::Reply;

use super::Core;
use crate::command::{Args, Command, flag};
use crate::conn::{BlockedState, Conn};
use crate::errand::{AnyErrand, Asked, Everywhere, Targets};
use crate::error::CommandError;
use crate::ids::{ConnId, ReactorId, ReplyTo};
use crate::rules::{Rule, holds};

const ALL_KEYS: CommandError = CommandError::Redirected(Cow::Borrowed(
    "CROSSSCOPE the command changes all keys, and other nodes write some of them",
));
const SEVERAL: CommandError =
    CommandError::Redirected(Cow::Borrowed("CROSSSCOPE the transaction's keys are in more than one scope"));

/// A change of scopes on its way to the control thread and back.
#[derive(Debug)]
pub struct ScopeChange {
    pub change: Change,
    asked: Asked,
    reply_to: ReplyTo,
}

impl ScopeChange {
    /// Whom to tell what came of it.
    pub fn reactor(&self) -> ReactorId {
        self.reply_to.reactor
    }
}

impl Core {
    /// Whether this node may do what a request wants.
    #[inline(never)]
    pub(super) fn check_scopes(
        &self,
        conn: &Conn,
        row: &Command,
        args: Args<'_>,
    ) -> Result<(), CommandError> {
        let table = &self.env.scopes.table;
        if conn.multi.is_open {
            let runs = row.has(flag::RUNS_QUEUE) && !conn.multi.is_aborted;
            return if runs && holds(Rule::BlocksMindScopes) { check_block(table, conn) } else { Ok(()) };
        }
        if holds(Rule::WritesMindScopes) { check_request(table, row, args) } else { Ok(()) }
    }

    /// Takes over the newest scopes. Whoever changes them has every core do this afterwards; whatever the order of several
    /// changes and calls, the last call finds the last change.
    pub fn adopt_scopes(&mut self) {
        self.env.scopes = self.env.shared.scopes();
        self.env.has_scopes = !self.env.scopes.table.is_empty();
        let waiting: Vec<ConnId> =
            self.conns.iter().filter(|conn| conn.blocked.is_some()).map(|conn| conn.id).collect();
        for id in waiting {
            self.end_misdirected_wait(id);
        }
    }

    /// Ends a wait for keys that this node does not write. False if it waits for none.
    pub(super) fn end_misdirected_wait(&mut self, id: ConnId) -> bool {
        let minds = self.env.has_scopes && holds(Rule::WaitsMindScopes);
        let Some(conn) = self.conns.find(id).filter(|_| minds) else { return false };
        let waits = conn.blocked.as_ref().filter(|blocked| blocked.state == BlockedState::Waiting);
        let Some((row, args)) = waits.and_then(|blocked| blocked.request.as_ref()) else { return false };
        let Err(error) = check_request(&self.env.scopes.table, row, args.as_args()) else { return false };
        let mut out = Vec::new();
        error.write(&mut Reply::new(&mut out, conn.version()));
        self.observed.errors.count(&error);
        self.end_wait(id, &out);
        true
    }

    /// Asks the control thread for a change, for a connection that waits for what comes of it.
    pub(crate) fn ask_scope_change(&mut self, conn: &mut Conn, asked: Asked, change: Change) {
        let reply_to = self.hold_behind(conn);
        self.scope_changes.push_back(ScopeChange { change, asked, reply_to });
    }

    /// Output: a change of scopes that is asked for.
    pub fn take_scope_change(&mut self) -> Option<ScopeChange> {
        self.scope_changes.pop_front()
    }

    /// Input: what came of a change. If it was made, all cores take it over, and then the client is answered.
    pub fn scopes_changed(&mut self, change: ScopeChange, outcome: Result<(), String>) {
        let ScopeChange { asked, reply_to, .. } = change;
        let Err(reason) = outcome else {
            let all = holds(Rule::ChangesReachAllCores);
            let targets = self.targets(if all { Targets::All } else { Targets::One(self.id) });
            let errand: Arc<dyn AnyErrand> = Arc::new(Everywhere(Self::adopt_scopes));
            return self.visit_all(reply_to, asked, &errand, targets);
        };
        let error = CommandError::owned(format!("ERR {reason}"));
        let version = self.conns.find(reply_to.conn).map(|conn| conn.version());
        self.observe_away(reply_to, asked.command, asked.args.as_args(), 0, false);
        self.observed.errors.count(&error);
        let mut out = Vec::new();
        error.write(&mut Reply::new(&mut out, version.unwrap_or_default()));
        self.answer(reply_to, &out);
    }
}

/// One key that is elsewhere refuses the whole.
fn check_request(table: &OwnershipTable, row: &Command, args: Args<'_>) -> Result<(), CommandError> {
    if !row.is_write() {
        return Ok(());
    }
    if row.keys.is_empty() && !table.owns_all() {
        return Err(ALL_KEYS);
    }
    let mut checked = Ok(());
    row.keys_of(args, |index, _| {
        if checked.is_ok() {
            checked = allowed(table.lookup(args.at(index)));
        }
    });
    checked
}

fn check_block(table: &OwnershipTable, conn: &Conn) -> Result<(), CommandError> {
    let (footprint, all): (Footprint, bool) = conn.multi.reach.scopes.of_block(table, &conn.multi.block);
    if all && !table.owns_all() {
        return Err(ALL_KEYS);
    }
    allowed(table.judge(footprint).map_err(|_| SEVERAL)?)
}

fn allowed(verdict: Verdict<'_>) -> Result<(), CommandError> {
    match verdict {
        Verdict::Unscoped | Verdict::Owned => Ok(()),
        Verdict::Misdirected { writer } => Err(redirected(format!("MISDIRECTED writer is {writer}"))),
        Verdict::Quiesced { to } => Err(redirected(format!("QUIESCED migrating to {to}"))),
    }
}

fn redirected(text: String) -> CommandError {
    CommandError::Redirected(text.into())
}
