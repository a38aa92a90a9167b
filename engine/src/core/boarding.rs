//! How a connection's commands over several shards come to be one transaction: see [`crate::txn::Train`].
//!
//! While a group of commands is run, scattered ones board. The train leaves when something else comes, it is full, or the
//! group is over. What it holds is a barrier's one place in the reply order; whatever comes next waits for its replies.

use std::sync::Arc;

use super::Core;
use super::exec::{holds_locks, terms_of};
use super::submit::Flow;
use crate::command::{Args, Command, Merge, Run, flag};
use crate::conn::{Conn, Hold};
use crate::ids::ReplyTo;
use crate::limits::EXEC_STEP_COMMANDS;
use crate::rules::{Rule, holds};
use crate::txn::{Scattered, Share, Train, Work, shares};

/// Commands that have boarded.
#[derive(Debug)]
pub(super) struct Boarding {
    train: Train,
    reply_to: ReplyTo,
    keys: usize,
    /// Its place in the reply order is for no reply: nobody boards behind.
    is_silent: bool,
    /// What only reads is on board.
    has_read: bool,
}

/// Keys of a train from which on nothing more boards: a train of short commands takes no longer than a step of an EXEC.
const KEYS_MAX: usize = EXEC_STEP_COMMANDS;

impl Core {
    /// Lets a scattered command board, or starts it at once if it is part of a block.
    pub(super) fn board(
        &mut self,
        conn: &mut Conn,
        row: &'static Command,
        merge: Merge,
        args: Args<'_>,
    ) -> Flow {
        if self.boarding.is_none() && conn.has_to_wait() {
            return Flow::NotYet;
        }
        self.feed_monitors(conn, row, args);
        let shares = shares(row, args, |key| self.owner(key));
        let scattered =
            Scattered { command: row, merge, db: conn.db, session: conn.session, args: args.into(), shares };
        if holds_locks(conn.session) {
            let reply_to = self.hold_behind(conn);
            self.start_train(conn, Train { conn: conn.id, commands: vec![scattered] }, reply_to);
            return Flow::Done;
        }
        let boarding = self.boarding.get_or_insert_with(|| {
            // Nothing is awaited.
            conn.following = None;
            let is_silent = conn.is_silent();
            let reply_to = ReplyTo { reactor: self.id, conn: conn.id, seq: conn.order.hold(is_silent) };
            let train = Train { conn: conn.id, commands: Vec::new() };
            Boarding { train, reply_to, keys: 0, is_silent, has_read: false }
        });
        if !boarding.train.commands.is_empty() {
            conn.order.await_more(boarding.reply_to.seq);
        }
        boarding.has_read |= !row.has(flag::WRITE);
        boarding.keys += scattered.keys();
        boarding.train.commands.push(scattered);
        Flow::Done
    }

    /// How many commands have boarded.
    #[inline]
    pub(super) fn boarded(&self) -> usize {
        self.boarding.as_ref().map_or(0, |boarding| boarding.train.commands.len())
    }

    /// Whether a command may board behind others; they have to leave before it is submitted if it may not.
    pub(super) fn may_board(&self, conn: &Conn, row: Option<&Command>, args: Args<'_>) -> bool {
        let (Some(boarding), Some(row)) = (&self.boarding, row) else { return false };
        let is_scattered =
            matches!(row.run, Run::Scatter(..)) && row.accepts(args.len()) && row.is_whole(args.len());
        let has_room = boarding.keys < KEYS_MAX && boarding.train.commands.len() < conn.order.room();
        // What a read removes because its time is over is journalled behind what the train writes.
        let is_in_order = !(boarding.has_read && row.has(flag::WRITE));
        is_scattered && has_room && is_in_order && !boarding.is_silent && !conn.is_silent()
    }

    /// What has boarded leaves; what the connection has sent behind it waits.
    #[inline]
    pub(super) fn depart(&mut self, conn: &mut Conn) {
        if let Some(Boarding { train, reply_to, .. }) = self.boarding.take() {
            if holds(Rule::BarriersAreWaitedFor) {
                conn.hold = Hold::Order;
            }
            self.start_train(conn, train, reply_to);
        }
    }

    fn start_train(&mut self, conn: &Conn, train: Train, reply_to: ReplyTo) {
        let shares = train.shards().into_iter().map(Share::whole).collect();
        self.begin_transaction(reply_to, Work::Scatter(Arc::new(train)), shares, terms_of(conn.session));
    }
}
