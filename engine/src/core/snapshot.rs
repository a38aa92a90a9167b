//! A snapshot as a core makes it: the cut, at one moment over all shards, and the walk over this shard's keys as they were
//! at the cut.
//!
//! ```text
//! coordinator                  every shard
//!     ├── Request ────────────────►├ locks the whole of itself, or queues
//!     │◄────────────── Granted ────┤
//!     │ seals its effects; the last stamp is the snapshot's
//!     ├── Cut ────────────────────►├ the walk begins; releases
//!     │                            ├ a step in each iteration: chunks, and when it is over the end
//! ```
//! **All batches up to the stamp are in the snapshot, and no other is.**
//! - *Up to it*: a stamp is taken when its batch is complete, and a reactor seals what it has done before a message leaves
//!   that tells of it. What has a stamp by then was done before the coordinator read the last one, and so before any walk
//!   began: nothing is done and sealed later with an earlier stamp.
//! - *None after it*: what is done on a shard before it grants is sealed by the end of that iteration, before the grant
//!   leaves; on the coordinator, whose grant does not leave, by the seal before the stamp is read. What a coordinator of
//!   another transaction does with keys that it has borrowed, or a block that runs step by step with keys that it holds,
//!   is sealed before the keys' shards are released, and the cut waits for these. Between a grant and the cut nothing runs
//!   on a shard that is held: no command, no expiry, no eviction.
//! - A visit that looks at keys without a lock (RANDOMKEY, SCAN) may remove one whose time is over, and journal that with
//!   a stamp after the cut's although the walk has it no more: doing it again changes nothing.
//! - Without a journal no stamps are taken. The snapshot has that of the last batch there was, and all since.
//!
//! The journal begins and ends with a cut (`saver`), so that it has all that was done after one moment, or before one: a
//! shard that went by itself would leave out what another one's effects build on. Then shards are released when all have made
//! the cut: a transaction is journalled by its coordinator, which may not have made it yet when the shards of the keys have.
//!
//! A cut that holds is the server's end: what is written after it would be neither in the snapshot nor, perhaps, anywhere
//! else. Its shards are not released but may be read; they go on only if the server does not end after all.
//!
//! The walk has bounded steps, and pauses between them while there are commands to run. It waits while much of what it has
//! recorded is not written; what has to be recorded because it is about to change is recorded whatever waits. So it holds
//! at most as many bytes as the keys take on disk, and that only if all are changed faster than the disk takes them.

use std::sync::Arc;

use bobbin_proto::Reply;

use super::{Core, WRITER};
use crate::error::CommandError;
use crate::ids::{ConnId, ReactorId, ReplyTo, TxId};
use crate::journal::{Chunk, SnapshotHead};
use crate::rules::{Rule, holds};
use crate::saves::{Reason, Request, Whom};
use crate::txn::{Cut, Outcome, Pending, Replies, Share, Terms, TxMessage, Work};

/// Entries that a part of a step records at the most, fewer if they are large: a tenth of the time that a step has.
const PART_ENTRIES: usize = 128;
/// Parts of a step, and the time from which on there is no other.
const STEP_PARTS_MAX: usize = 32;
const STEP_NS: u64 = 200_000;
/// While commands run, the pause after a step is so many times as long.
const PAUSES: u64 = 3;
/// From so many chunks on that wait to be written, the walk waits as well.
const AHEAD_CHUNKS_MAX: usize = 8;
/// How soon it looks again whether they have been.
const AHEAD_PAUSE_US: u64 = 1000;

const NEVER: u64 = u64::MAX;

/// A part of a snapshot, as its writer gets it.
#[derive(Debug)]
pub struct Piece {
    /// What the snapshot is to say of itself.
    pub head: SnapshotHead,
    /// `None`: this shard has given all.
    pub chunk: Option<Chunk>,
}

impl Piece {
    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.chunk.as_ref().map_or(0, Chunk::memory)
    }
}

/// What a core knows of a walk.
#[derive(Debug, Default)]
pub(super) struct Walking {
    /// Of the snapshot under way.
    head: Option<SnapshotHead>,
    /// A piece that could not be given yet.
    returned: Option<Piece>,
    due_us: u64,
    /// Commands that had been run at the last step.
    commands: u64,
    /// The cut made by this core that keeps all shards from being written.
    holding: Option<TxId>,
    /// Bytes that the walk held when the books were last told.
    noted_bytes: usize,
}

impl Walking {
    pub(super) fn next_us(&self) -> u64 {
        if self.head.is_some() || self.returned.is_some() { self.due_us } else { NEVER }
    }
}

impl Core {
    /// Input: make a cut over all shards.
    pub fn cut(&mut self, cut: Cut) {
        let all = (0..self.env.shared.reactors()).map(ReactorId::from_index);
        let nobody = ReplyTo { reactor: self.id, conn: ConnId::NOBODY, seq: 0 };
        self.begin_transaction(nobody, Work::Cut(cut), all.map(Share::whole).collect(), Terms::Wait);
    }

    /// All shards are held: this is the moment.
    pub(super) fn make_cut(&mut self, id: TxId) {
        if holds(Rule::CutsSealFirst) {
            self.give_effects();
        }
        let Some(pending) = self.coordinator.remove(id) else { return };
        let Work::Cut(cut) = pending.work else { return };
        let head = SnapshotHead {
            stamp: self.env.shared.last_stamp(),
            made_ms: pending.at_us / 1000,
            clock: self.shard.clock(),
        };
        if cut.holds {
            self.walking.holding = Some(id);
            if !cut.walks {
                self.hurry_journal(head.stamp);
            }
        }
        for share in &pending.shares {
            self.post_tx(share.shard, TxMessage::Cut { id, cut, head });
        }
        if cut.journals.is_some() {
            self.coordinator.insert(id, pending);
        }
    }

    /// The journal has begun or ended on every shard: only now may anything run that one core journals for all.
    pub(super) fn end_switch(&mut self, id: TxId, pending: &Pending) {
        let shards: Vec<_> = pending.shares.iter().map(|share| share.shard).collect();
        self.release_shards(id, &shards);
    }

    /// Input, of the core that has made a cut that holds: the server goes on after all.
    pub fn let_write(&mut self) {
        self.end_journal_hurry();
        let Some(id) = self.walking.holding.take() else { return };
        for shard in (0..self.env.shared.reactors()).map(ReactorId::from_index) {
            self.post_tx(shard, TxMessage::Cancel { id });
        }
    }

    /// The shard's side.
    pub(super) fn take_cut(&mut self, id: TxId, cut: Cut, head: SnapshotHead) {
        if let Some(is_on) = cut.journals {
            self.give_effects();
            self.switch_journal(is_on, head.stamp);
        }
        // One that only holds may come while a walk is under way.
        if cut.walks || !cut.holds {
            self.walking.head = Some(head);
            self.walking.due_us = self.env.now.mono_us;
        }
        if cut.walks {
            self.shard.keyspace.begin_walk();
            let saves = &self.env.shared.saves;
            saves.note_cut(self.id, self.shard.rest.stats.changes, self.shard.keyspace.len());
        }
        if cut.holds {
            let readers = self.schedule.let_read(id);
            self.hold_locks(readers);
        } else if cut.journals.is_some() && holds(Rule::SwitchesAreWaitedFor) {
            let Some((from, _)) = self.schedule.part(id) else { return };
            self.post_done(from, id, Outcome::Replies(Replies::default()));
        } else {
            self.release(id);
        }
    }

    /// Goes on with the walk, if one is under way and it is time.
    pub fn walk_some(&mut self) {
        if self.walking.head.is_none() || self.env.now.mono_us < self.walking.due_us {
            return;
        }
        if self.shard.keyspace.recorded_chunks() >= AHEAD_CHUNKS_MAX {
            self.walking.due_us = self.env.now.mono_us + AHEAD_PAUSE_US;
            return;
        }
        let start = self.env.stopwatch.read();
        for _ in 0..STEP_PARTS_MAX {
            if !self.shard.keyspace.walk_step(PART_ENTRIES) || self.ns_since(start) >= STEP_NS {
                break;
            }
        }
        let us = self.ns_since(start) / 1000;
        let commands = self.observed.commands.total;
        let is_idle = std::mem::replace(&mut self.walking.commands, commands) == commands;
        let pause_us = if is_idle { 0 } else { us * (1 + PAUSES) };
        self.walking.due_us = self.env.now.mono_us + pause_us;
        // What was cleared meanwhile and is recorded now.
        self.free_some();
    }

    /// Tells the books how much memory the walk holds, before that counts as used.
    pub fn note_walk(&mut self) {
        if self.walking.head.is_none() && self.walking.noted_bytes == 0 {
            return;
        }
        let returned = self.walking.returned.as_ref().map_or(0, Piece::memory);
        let bytes = self.shard.keyspace.recorded_bytes() + returned;
        if std::mem::replace(&mut self.walking.noted_bytes, bytes) != bytes {
            self.env.shared.saves.note_recorded(self.id, bytes);
        }
    }

    /// Output: the next part of the snapshot under way.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if let Some(piece) = self.walking.returned.take() {
            return Some(piece);
        }
        let head = self.walking.head?;
        let chunk = self.shard.keyspace.take_recorded();
        if chunk.is_none() {
            if self.shard.keyspace.is_walked() {
                return None;
            }
            self.walking.head = None;
        }
        Some(Piece { head, chunk })
    }

    /// Whoever writes the snapshot has no room for this yet.
    pub fn return_piece(&mut self, piece: Piece) {
        self.walking.returned = Some(piece);
        self.walking.due_us = self.env.now.mono_us + AHEAD_PAUSE_US;
    }

    /// Nobody wants the snapshot under way any more.
    pub fn abandon_walk(&mut self) {
        if self.walking.head.is_some() {
            self.walking.returned = None;
            self.shard.keyspace.abandon_walk();
        }
    }

    /// Asks for a snapshot that has been begun in the books.
    pub(crate) fn ask_save(&mut self, reason: Reason, whom: Whom) {
        self.save_requests.push_back(Request { reason, whom });
    }

    /// Output: a snapshot that is to be made, or a client has asked for.
    pub fn next_save_request(&mut self) -> Option<Request> {
        self.save_requests.pop_front()
    }

    /// Tells the books how much has changed; one of the cores begins what is due.
    pub(super) fn look_at_saves(&mut self) {
        let shared = Arc::clone(&self.env.shared);
        shared.saves.note_changes(self.id, self.shard.rest.stats.changes);
        if self.id != WRITER || self.env.is_loading {
            return;
        }
        if let Some(len) = self.journal_file_len() {
            shared.saves.note_journal(len, self.journal_pending_bytes() as u64);
        }
        if let Some(reason) = shared.saves.begin_due(&self.env.config, self.env.now.unix_ms()) {
            self.ask_save(reason, Whom::Nobody);
        }
    }

    /// Input: what a client has waited for has been done, or not.
    pub fn answer_saved(&mut self, to: ReplyTo, outcome: &Result<(), CommandError>) {
        let Some(conn) = self.conns.find(to.conn) else { return };
        let version = conn.version();
        let mut out = Vec::new();
        match outcome {
            Ok(()) => Reply::new(&mut out, version).ok(),
            Err(error) => {
                self.observed.errors.count(error);
                error.write(&mut Reply::new(&mut out, version));
            }
        }
        self.answer(to, &out);
    }
}
