//! What is to be written to the journal's file and made durable, and when: batches of all reactors in, writes and syncs out.
//!
//! No I/O: a driver takes [`Job`]s and says how they ended. At most one write and one sync are under way.
//!
//! Invariants:
//! - Batches are written in the order of their stamps, whatever the order in which they arrive.
//! - A group keeps its place in the file and its bytes until they are durable (or, under `appendfsync no`, written):
//!   after a failure the same bytes are written again to the same place. So no later success hides a gap, and after a
//!   failed sync, which may have dropped what was written (Rebello et al., "Can applications recover from fsync
//!   failures?", ATC 2020), all that was not durable is written anew.
//! - A failure is over when a sync has made durable what could not be written or synced, whatever the policy.
//! - When it goes on in another file, nothing is written from [`Writer::turn`] to [`Writer::go_on`] but what has its place
//!   in the old one; that is durable to its end when [`Writer::turned`] says so, and has nothing added after that.
//!
//! Refused: going on after a failed sync where some of what it may have dropped has been let go of under `appendfsync no`.
//! There may be a hole in the file then, and nothing is written behind it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::{Batch, Group, JournalFile};
use crate::config::AppendFsync;
use crate::ids::Stamp;

/// How long after a failure the next attempt is made.
const RETRY_US: u64 = 1_000_000;
/// `appendfsync everysec`.
const SYNC_EVERY_US: u64 = 1_000_000;
/// And the bytes for which it does not wait so long: they are kept in memory until they are durable.
const SYNC_BYTES: u64 = 4 << 20;
/// `appendfsync everysec` and `no`: how long after a write the next may begin, and the bytes for which it is not waited.
/// Every write costs a turn of the kernel's worker and one of this loop: at 400,000 SETs per second a write for each turn
/// of the loop took 24 KiB at a time and a sixth of the CPU.
const WRITE_EVERY_US: u64 = 2_000;
const WRITE_BYTES: usize = 128 << 10;
/// Emptied groups kept for reuse, and the memory that each may hold.
const SPARES_MAX: usize = 4;
const SPARE_BYTES_MAX: usize = 1 << 20;

/// What the driver is to do with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job<'a> {
    /// The bytes stay where they are until [`Writer::written`].
    Write {
        bytes: &'a [u8],
        at: u64,
    },
    Sync,
}

/// How the journal stands, as every reactor has to know it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DiskNews {
    /// The last batch that is durable.
    pub durable: Stamp,
    /// Why nothing can be written at the moment.
    pub failure: Option<Arc<str>>,
}

/// A group with its place.
#[derive(Debug)]
struct Placed {
    group: Group,
    at: u64,
    /// Bytes that are written.
    done: usize,
    last: Stamp,
}

impl Placed {
    fn is_written(&self) -> bool {
        self.done == self.group.len()
    }
}

#[derive(Debug)]
pub struct Writer {
    file: JournalFile,
    policy: AppendFsync,
    now_us: u64,
    /// Batches that came before one that precedes them.
    early: BTreeMap<Stamp, Batch>,
    filling: Group,
    /// Groups that have to be written or made durable, in their order.
    placed: VecDeque<Placed>,
    spares: Vec<Group>,
    /// Where the next group goes.
    at: u64,
    is_writing: bool,
    /// A sync has failed since the write under way began: its group is written anew from its beginning.
    is_stale: bool,
    /// Under way: what will be durable when it has ended.
    syncing: Option<Reached>,
    written: Reached,
    durable: Reached,
    /// The last that was written and let go of before it was durable.
    let_go: Stamp,
    /// When the next group may be written.
    write_due_us: u64,
    sync_due_us: u64,
    failure: Option<Failure>,
    retry_us: u64,
    is_closing: bool,
    /// Another file is to follow: nothing new gets a place in this one.
    is_turning: bool,
    /// Why the other file cannot be had yet.
    stuck: Option<Arc<str>>,
}

/// How far something has come: the last batch, and where the file ends behind it.
#[derive(Clone, Copy, Debug)]
struct Reached {
    stamp: Stamp,
    len: u64,
}

#[derive(Clone, Debug)]
struct Failure {
    text: Arc<str>,
    /// It is over when this is durable; `None` if it never is.
    until: Option<Stamp>,
}

impl Writer {
    /// For a file that has nothing in it but its header.
    pub fn new(file: JournalFile, policy: AppendFsync) -> Self {
        let before = Reached { stamp: Stamp(file.first.0 - 1), len: JournalFile::HEADER_LEN };
        Self {
            file,
            policy,
            now_us: 0,
            early: BTreeMap::new(),
            filling: Group::new(file.first),
            placed: VecDeque::new(),
            spares: Vec::new(),
            at: JournalFile::HEADER_LEN,
            is_writing: false,
            is_stale: false,
            syncing: None,
            written: before,
            durable: before,
            let_go: before.stamp,
            write_due_us: 0,
            sync_due_us: 0,
            failure: None,
            retry_us: 0,
            is_closing: false,
            is_turning: false,
            stuck: None,
        }
    }

    /// What the file says of itself.
    pub fn file(&self) -> JournalFile {
        self.file
    }

    pub fn policy(&self) -> AppendFsync {
        self.policy
    }

    pub fn set_policy(&mut self, policy: AppendFsync) {
        self.policy = policy;
    }

    /// Input: the time, in microseconds of the monotonic clock.
    pub fn set_now(&mut self, now_us: u64) {
        self.now_us = now_us;
    }

    /// Input: a batch of any reactor. Gives an empty one back, with the memory if it is not needed.
    pub fn arrive(&mut self, stamp: Stamp, mut batch: Batch) -> Batch {
        if stamp < self.filling.next() {
            // Of a journal that was ended before it came: the snapshot with which this one begins has what it did.
            batch.clear();
            return batch;
        }
        if stamp != self.filling.next() {
            self.early.insert(stamp, batch);
            return Batch::default();
        }
        self.filling.push(stamp, batch.bytes());
        self.take_early();
        batch.clear();
        batch
    }

    fn take_early(&mut self) {
        while let Some(next) = self.early.first_entry().filter(|next| *next.key() == self.filling.next()) {
            let (stamp, batch) = next.remove_entry();
            self.filling.push(stamp, batch.bytes());
        }
    }

    /// Output: what is to be done next.
    pub fn next_job(&mut self) -> Option<Job<'_>> {
        if self.failure.as_ref().is_some_and(|failure| failure.until.is_none() || self.now_us < self.retry_us)
        {
            return None;
        }
        if self.is_sync_due() {
            self.syncing = Some(self.written);
            return Some(Job::Sync);
        }
        if self.is_writing || (self.policy == AppendFsync::Always && self.syncing.is_some()) {
            return None;
        }
        if self.placed.back().is_none_or(Placed::is_written) && self.is_write_due() {
            self.place();
            self.write_due_us = self.now_us + WRITE_EVERY_US;
        }
        let next = self.placed.iter_mut().find(|placed| !placed.is_written())?;
        self.is_writing = true;
        let durable_len = self.durable.len;
        let place = self.file.place(next.at);
        if next.done == 0 {
            next.group.seal(place, durable_len);
        }
        Some(Job::Write { bytes: &next.group.bytes()[next.done..], at: next.at + next.done as u64 })
    }

    fn is_write_due(&self) -> bool {
        let is_hurried = self.policy == AppendFsync::Always || self.is_closing || self.failure.is_some();
        !self.filling.is_empty()
            && !self.is_turning
            && (is_hurried || self.now_us >= self.write_due_us || self.filling.len() >= WRITE_BYTES)
    }

    fn is_sync_due(&self) -> bool {
        let may = self.syncing.is_none() && !self.is_writing && self.written.stamp > self.durable.stamp;
        may && match self.policy {
            _ if self.is_closing || self.is_turning || self.is_rewritten() => true,
            AppendFsync::Always => true,
            AppendFsync::EverySec => self.now_us >= self.sync_due_us || self.unsynced() >= SYNC_BYTES,
            AppendFsync::No => false,
        }
    }

    /// Bytes that are written and not durable.
    fn unsynced(&self) -> u64 {
        self.written.len - self.durable.len
    }

    /// What could not be written or synced has been written; a sync tells whether the failure is over.
    fn is_rewritten(&self) -> bool {
        let until = self.failure.as_ref().and_then(|failure| failure.until);
        until.is_some_and(|until| until <= self.written.stamp)
    }

    /// Input: another file is to follow. What arrives from now on waits for it.
    pub fn turn(&mut self) {
        self.is_turning = true;
    }

    /// Output: the stamp with which the next file begins, once this one is durable to its end and may be left; or why it
    /// cannot be made durable.
    pub fn turned(&self) -> Option<Result<Stamp, Arc<str>>> {
        if let Some(failure) = self.failure.as_ref().filter(|_| self.is_turning) {
            return Some(Err(Arc::clone(&failure.text)));
        }
        let is_left = self.placed.is_empty() && !self.is_writing && self.syncing.is_none();
        let is_durable = self.written.stamp == self.durable.stamp;
        (self.is_turning && is_left && is_durable).then(|| Ok(self.durable.stamp.next()))
    }

    /// Input: the next file has been made, but whether the manifest lists it is not known. Neither may be written to until
    /// it is.
    pub fn stuck(&mut self, why: Arc<str>) {
        self.stuck = Some(why);
    }

    /// Input: the next file, whose header is durable and which the manifest lists; `None`: there is none after all.
    ///
    /// # Panics
    /// If the file before cannot be left yet, or the next does not begin where it ends.
    pub fn go_on(&mut self, next: Option<JournalFile>) {
        if let Some(file) = next {
            assert_eq!(self.turned(), Some(Ok(file.first)), "a file follows one that is durable to its end");
            self.file = file;
            self.at = JournalFile::HEADER_LEN;
            (self.written.len, self.durable.len) = (self.at, self.at);
        }
        (self.is_turning, self.stuck) = (false, None);
    }

    fn place(&mut self) {
        let next = self.filling.next();
        let empty = self.spares.pop().map_or_else(
            || Group::with_capacity(next, self.filling.len().next_power_of_two().min(SPARE_BYTES_MAX)),
            |mut spare| {
                spare.restart_at(next);
                spare
            },
        );
        let group = std::mem::replace(&mut self.filling, empty);
        let (at, last) = (self.at, Stamp(next.0 - 1));
        self.at += group.len() as u64;
        self.placed.push_back(Placed { group, at, done: 0, last });
    }

    /// Input: how a write ended.
    pub fn written(&mut self, outcome: io::Result<usize>) {
        self.is_writing = false;
        if std::mem::take(&mut self.is_stale) {
            return;
        }
        let Some(placed) = self.placed.iter_mut().find(|placed| !placed.is_written()) else { return };
        let last = placed.last;
        match outcome {
            Ok(0) => self.failed(&io::Error::from(io::ErrorKind::WriteZero), last),
            Ok(len) => {
                placed.done += len;
                if placed.is_written() {
                    self.written = Reached { stamp: last, len: placed.at + placed.group.len() as u64 };
                    self.let_go_of_written();
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => self.failed(&error, last),
        }
    }

    /// Under `appendfsync no` nothing is kept to be written again, unless that is what is being done.
    fn let_go_of_written(&mut self) {
        if self.policy == AppendFsync::No && self.failure.is_none() && self.syncing.is_none() {
            self.let_go = self.written.stamp;
            self.forget(self.let_go);
        }
    }

    /// Input: how a sync ended.
    pub fn synced(&mut self, outcome: io::Result<()>) {
        let Some(reached) = self.syncing.take() else { return };
        match outcome {
            Ok(()) => {
                self.durable = reached;
                self.sync_due_us = self.now_us + SYNC_EVERY_US;
                self.failure.take_if(|failure| failure.until.is_some_and(|until| until <= reached.stamp));
                self.forget(reached.stamp);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) if self.let_go > self.durable.stamp => self.give_up(&error),
            Err(error) => {
                for placed in &mut self.placed {
                    placed.done = 0;
                }
                self.is_stale = self.is_writing;
                self.written = self.durable;
                self.failed(&error, reached.stamp);
            }
        }
    }

    /// Something cannot be written; that is over when this is durable.
    fn failed(&mut self, error: &io::Error, until: Stamp) {
        let until = match &self.failure {
            Some(Failure { until: None, .. }) => return,
            Some(Failure { until: Some(before), .. }) => until.max(*before),
            None => until,
        };
        self.failure = Some(Failure { text: error.to_string().into(), until: Some(until) });
        self.retry_us = self.now_us + RETRY_US;
    }

    fn give_up(&mut self, error: &io::Error) {
        let text =
            format!("{error}; what was written under appendfsync no may be lost, only a restart can tell");
        self.failure = Some(Failure { text: text.into(), until: None });
    }

    /// Groups up to a stamp need not be written again.
    fn forget(&mut self, stamp: Stamp) {
        while self.placed.front().is_some_and(|placed| placed.is_written() && placed.last <= stamp) {
            if let Some(placed) = self.placed.pop_front()
                && self.spares.len() < SPARES_MAX
                && placed.group.capacity() <= SPARE_BYTES_MAX
            {
                self.spares.push(placed.group);
            }
        }
    }

    /// How it stands.
    pub fn news(&self) -> DiskNews {
        let failure = self.failure.as_ref().map(|failure| &failure.text).or(self.stuck.as_ref()).cloned();
        DiskNews { durable: self.durable.stamp, failure }
    }

    /// Bytes in memory that are not on disk.
    pub fn pending_bytes(&self) -> usize {
        let placed: usize = self.placed.iter().map(|placed| placed.group.len()).sum();
        let early: usize = self.early.values().map(|batch| batch.bytes().len()).sum();
        placed + early + if self.filling.is_empty() { 0 } else { self.filling.len() }
    }

    /// Where the file ends, once what has arrived is written.
    pub fn file_len(&self) -> u64 {
        self.at
    }

    /// No more batches come: what is there is to be made durable at once, whatever the policy.
    pub fn close(&mut self) {
        self.is_closing = true;
    }

    /// More comes after all.
    pub fn reopen(&mut self) {
        self.is_closing = false;
    }

    /// Everything that has arrived is durable.
    pub fn is_settled(&self) -> bool {
        self.filling.is_empty()
            && self.early.is_empty()
            && self.written.stamp == self.durable.stamp
            && self.placed.is_empty()
    }

    /// When there is something to do by time, in microseconds of the monotonic clock. While something is under way its
    /// end is waited for.
    pub fn next_deadline_us(&self) -> u64 {
        const NEVER: u64 = u64::MAX;
        let is_syncing = self.syncing.is_some();
        if self.is_writing || (is_syncing && (self.policy == AppendFsync::Always || self.failure.is_some())) {
            return NEVER;
        }
        if let Some(failure) = &self.failure {
            return failure.until.map_or(NEVER, |_| self.retry_us);
        }
        if self.is_turning {
            return NEVER;
        }
        let awaits_sync = self.policy == AppendFsync::EverySec && self.written.stamp > self.durable.stamp;
        let sync_us = if awaits_sync && !is_syncing { self.sync_due_us } else { NEVER };
        let write_us = if self.filling.is_empty() { NEVER } else { self.write_due_us };
        write_us.min(sync_us)
    }
}

/// Not a failure: it is done again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
