//! The core's side of the journal: giving away what has been done, and holding back what may not be told yet. Doing it
//! again is in `loading`.

use std::io;
use std::sync::Arc;

use super::Core;
use crate::config::AppendFsync;
use crate::conn::Conn;
use crate::ids::{ConnId, ReactorId, Stamp};
use crate::journal::{Batch, DiskNews, Job, JournalFile, Writer};
use crate::mesh::Message;

/// Something on disk that this server cannot make its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownEffect {
    #[error("the journal has a command that this server cannot do again: {0}")]
    Command(String),
    #[error(
        "a command of the journal took effect when it was written, and fails when it is done again: {command}: {reply}"
    )]
    Failed { command: String, reply: String },
    #[error("the data have keys in database {0}, and there are not that many databases")]
    Database(usize),
    #[error("the snapshot's chunk at byte {at} has a key without a value: {what}")]
    Value { at: u64, what: String },
}

/// The reactor that writes the journal.
pub const WRITER: ReactorId = ReactorId(0);

/// The most memory of an emptied batch that is used again, or asked for at once.
const SPARE_BYTES_MAX: usize = 256 << 10;

/// What a core knows of the journal.
#[derive(Debug, Default)]
pub(super) struct Journalling {
    is_on: bool,
    /// It has ended, and what was journalled before may not be durable yet: replies that have seen it wait.
    is_ending: bool,
    /// On the reactor that writes.
    writer: Option<Box<Writer>>,
    news: DiskNews,
    /// Of the next iteration; where batches go away, as large as the last.
    spare: Batch,
    /// What was done up to here may have been seen by whoever is answered in this iteration.
    seen: Stamp,
    /// Connections whose replies wait for the journal.
    gated: Vec<ConnId>,
    /// What was done up to here is to be durable at once: somebody waits for it.
    hurried: Option<Stamp>,
    /// What the stopwatch showed when the sync that is under way began.
    sync_began: u64,
}

impl Core {
    /// Whether what is done from now on is journalled; on the reactor that writes, by this writer.
    pub fn begin_journal(&mut self, writer: Option<Writer>) {
        self.journalling.is_on = true;
        // What was loaded has been made durable.
        self.journalling.news = DiskNews { durable: self.env.shared.last_stamp(), failure: None };
        self.journalling.writer = writer.map(Box::new);
        self.set_journalled(true);
    }

    /// The journal begins or ends here, at a moment at which it does so everywhere: after this stamp, if it begins. No
    /// transaction runs until all shards have done so, but a visit without locks (RANDOMKEY, SCAN) may have taken a later one.
    pub(super) fn switch_journal(&mut self, is_on: bool, at: Stamp) {
        if is_on {
            self.end_journal();
            self.journalling.news = DiskNews { durable: at, failure: None };
        } else if self.journalling.is_on {
            self.journalling.is_ending = true;
            self.journalling.seen = self.env.shared.last_stamp();
        }
        self.journalling.is_on = is_on;
        self.set_journalled(is_on);
    }

    /// Input: what was journalled before the journal ended is durable, or nobody tries any more. Nothing waits for it from
    /// then on. If the journal has begun anew by now, that was earlier.
    pub fn end_journal(&mut self) {
        if std::mem::take(&mut self.journalling.is_ending) {
            self.env.disk_failure = None;
            self.look_at_gated();
        }
    }

    /// Whether what is done from now on is kept for the journal.
    pub fn set_journalled(&mut self, is_on: bool) {
        self.shard.rest.effects.set_on(is_on);
    }

    /// Output: what has been done since this was last asked, in its order.
    #[inline]
    pub fn take_effects(&mut self, empty: impl FnOnce() -> Batch) -> Option<Batch> {
        self.shard.rest.effects.take(empty)
    }

    /// Sends what was done in this iteration to the journal: before anything that tells of it leaves.
    #[inline]
    pub fn seal_effects(&mut self) {
        if !self.journalling.is_on {
            return;
        }
        self.give_effects();
        if self.is_gating() {
            self.journalling.seen = self.env.shared.last_stamp();
        } else if !self.journalling.gated.is_empty() {
            self.look_at_gated();
        }
    }

    /// Gives what has been done until now a stamp.
    #[inline]
    pub(super) fn give_effects(&mut self) {
        if !self.journalling.is_on {
            return;
        }
        let spare = &mut self.journalling.spare;
        if let Some(effects) = self.shard.rest.effects.take(|| std::mem::take(spare)) {
            let stamp = self.env.shared.next_stamp();
            if self.id == WRITER {
                self.take_to_journal(stamp, effects);
            } else {
                *spare = Batch::with_capacity(effects.bytes().len().min(SPARE_BYTES_MAX));
                self.outbox.post(WRITER, Message::Effects { stamp, effects });
            }
        }
    }

    /// Replies wait until what they may have seen is durable.
    fn is_gating(&self) -> bool {
        let Journalling { is_on, is_ending, .. } = self.journalling;
        (is_on || is_ending) && self.env.config.appendfsync == AppendFsync::Always
    }

    pub(super) fn take_to_journal(&mut self, stamp: Stamp, effects: Batch) {
        if let Some(writer) = &mut self.journalling.writer {
            let empty = writer.arrive(stamp, effects);
            if (self.journalling.spare.capacity()..=SPARE_BYTES_MAX).contains(&empty.capacity()) {
                self.journalling.spare = empty;
            }
        }
    }

    /// How many of the replies in a connection's output may leave. While the disk fails, those of whoever has written
    /// wait for it; others are not held up, though they may see what is not durable yet.
    pub(super) fn open_gate(&mut self, conn: &mut Conn) -> usize {
        let len = conn.out.len();
        if !self.is_gating() || (self.env.disk_failure.is_some() && !conn.has_written) {
            conn.gates.clear();
            return len;
        }
        let Journalling { news, seen, gated, .. } = &mut self.journalling;
        let may_leave = conn.gates.pass(len, *seen, news.durable);
        if may_leave < len {
            gated.push(conn.id);
        }
        may_leave
    }

    pub(super) fn note_disk(&mut self, news: DiskNews) {
        // Of a journal that has ended.
        if !self.journalling.is_on && !self.journalling.is_ending {
            return;
        }
        if self.journalling.news.failure != news.failure {
            self.env.disk_failure.clone_from(&news.failure);
        }
        self.journalling.news = news;
        self.look_at_gated();
    }

    fn look_at_gated(&mut self) {
        for id in std::mem::take(&mut self.journalling.gated) {
            if let Some(mut conn) = self.conns.take_out(id) {
                self.list(&mut conn);
                self.conns.put_back(conn);
            }
        }
    }

    /// Output, of the reactor that writes: what to do with the journal's file.
    pub fn next_disk_job(&mut self) -> Option<Job<'_>> {
        let (now_us, policy) = (self.env.now.mono_us, self.env.config.appendfsync);
        let writer = self.journalling.writer.as_mut()?;
        writer.set_now(now_us);
        if policy != writer.policy() {
            writer.set_policy(policy);
            self.tell_reactors();
        }
        let job = self.journalling.writer.as_mut()?.next_job();
        if let Some(Job::Sync) = job {
            self.journalling.sync_began = self.env.stopwatch.read();
        }
        job
    }

    /// Under `appendfsync always` every reactor has to know what is durable, under other policies none.
    fn tell_reactors(&mut self) {
        let Some(writer) = &self.journalling.writer else { return };
        let news = writer.news();
        for reactor in (0..self.env.shared.reactors()).map(ReactorId::from_index) {
            self.outbox.post(reactor, Message::Disk(news.clone()));
        }
    }

    /// Input: how a write of the journal ended.
    pub fn disk_written(&mut self, outcome: io::Result<usize>) {
        self.after_disk(|writer| writer.written(outcome));
    }

    /// Input: how a sync of the journal ended.
    pub fn disk_synced(&mut self, outcome: io::Result<()>) {
        let ns = self.ns_since(self.journalling.sync_began);
        self.observed.stages.sync.record(ns);
        self.after_disk(|writer| writer.synced(outcome));
    }

    fn after_disk(&mut self, input: impl FnOnce(&mut Writer)) {
        let Some(writer) = &mut self.journalling.writer else { return };
        input(writer);
        let news = writer.news();
        let before = &self.journalling.news;
        if news == *before {
            return;
        }
        if news.failure != before.failure {
            tell_of_failure(news.failure.as_deref());
        } else if self.env.config.appendfsync != AppendFsync::Always {
            self.journalling.news = news;
            return;
        }
        self.tell_reactors();
    }

    /// Input, of the reactor that writes: the journal is to go on in another file.
    pub fn turn_journal(&mut self) {
        if let Some(writer) = &mut self.journalling.writer {
            writer.turn();
        }
    }

    /// Output: see [`Writer::turned`].
    pub fn journal_turned(&self) -> Option<Result<Stamp, Arc<str>>> {
        self.journalling.writer.as_ref()?.turned()
    }

    /// Input: see [`Writer::stuck`].
    pub fn journal_stuck(&mut self, why: Arc<str>) {
        self.after_disk(|writer| writer.stuck(why));
    }

    /// Input: see [`Writer::go_on`].
    pub fn go_on_journal(&mut self, next: Option<JournalFile>) {
        self.after_disk(|writer| writer.go_on(next));
    }

    /// What was done up to here is to be made durable at once, whatever the policy.
    pub(super) fn hurry_journal(&mut self, until: Stamp) {
        self.journalling.hurried = Some(until);
        self.close_journal();
    }

    pub(super) fn end_journal_hurry(&mut self) {
        self.journalling.hurried = None;
        self.reopen_journal();
    }

    /// Input: what was closed goes on as the policy says, unless it is hurried.
    pub fn reopen_journal(&mut self) {
        if self.journalling.hurried.is_none()
            && let Some(writer) = &mut self.journalling.writer
        {
            writer.reopen();
        }
    }

    /// Output: what came of the hurry, once that is known: all is durable, or why it cannot be for the moment.
    pub fn journal_hurried(&self) -> Option<Result<(), Arc<str>>> {
        self.journal_reached(self.journalling.hurried?)
    }

    /// Output: all that was done up to here is durable, or why it cannot be for the moment; `None` while that is not known.
    pub fn journal_reached(&self, until: Stamp) -> Option<Result<(), Arc<str>>> {
        let Some(writer) = &self.journalling.writer else { return Some(Ok(())) };
        let news = writer.news();
        match news.failure {
            _ if news.durable >= until => Some(Ok(())),
            failure => failure.map(Err),
        }
    }

    /// Input: what is done from now on is not written, or by this writer. That of the writer before is not under way.
    pub fn set_journal_writer(&mut self, writer: Option<Writer>) {
        self.journalling.writer = writer.map(Box::new);
    }

    /// Bytes of the file that is being written.
    pub(super) fn journal_file_len(&self) -> Option<u64> {
        self.journalling.writer.as_ref().map(|writer| writer.file_len())
    }

    /// Bytes that have yet to be written.
    pub(super) fn journal_pending_bytes(&self) -> usize {
        self.journalling.writer.as_ref().map_or(0, |writer| writer.pending_bytes())
    }

    /// What has been done is to be made durable at once: the server or the journal ends, or somebody waits for it.
    pub fn close_journal(&mut self) {
        if let Some(writer) = &mut self.journalling.writer {
            writer.close();
        }
    }

    /// Everything that has been done is durable, or never will be; or it is on its way to who writes it.
    pub fn is_journal_settled(&self) -> bool {
        match &self.journalling.writer {
            Some(writer) => writer.is_settled() || writer.news().failure.is_some(),
            None => !self.outbox.is_held_up_to(WRITER),
        }
    }

    /// Why not all that has been done is durable, if it is not.
    pub fn journal_loss(&self) -> Option<String> {
        let writer = self.journalling.writer.as_ref().filter(|writer| !writer.is_settled())?;
        Some(
            writer.news().failure.map_or_else(|| "the disk takes too long".to_owned(), |why| why.to_string()),
        )
    }

    pub(super) fn journal_deadline_us(&self) -> u64 {
        self.journalling.writer.as_ref().map_or(u64::MAX, |writer| writer.next_deadline_us())
    }
}

fn tell_of_failure(failure: Option<&str>) {
    if let Some(failure) = failure {
        tracing::error!(
            "Error writing to the journal: {failure}. Writes are refused until it can be written"
        );
    } else {
        tracing::warn!("The journal can be written again");
    }
}
