//! What is known of snapshots: whether one is being made, how the last ones ended, and when the next is due. Reactors ask
//! for them; the thread in `saver` makes them, one at a time.
//!
//! A snapshot is made for one of two reasons that Redis tells apart: to *save* (SAVE, BGSAVE, save points), or to *rewrite*
//! the journal (BGREWRITEAOF, growth). Here both do the same: the snapshot takes the place of the one before and of the
//! journal up to it. They are counted apart, and either refuses the other, as in Redis.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::ids::{ReactorId, ReplyTo};

/// After a failure the next attempt is made no sooner, unless somebody asks for it.
const RETRY_MS: u64 = 5000;

/// Why a snapshot is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Save,
    Rewrite,
}

/// A snapshot that is to be made.
#[derive(Debug)]
pub struct Request {
    pub reason: Reason,
    pub whom: Whom,
}

/// Who is told how it ended.
#[derive(Debug)]
pub enum Whom {
    Nobody,
    Client(ReplyTo),
    /// The control thread, which is about to end the server: nothing is written any more once the snapshot has its moment,
    /// unless it fails.
    Control(Tell),
}

/// How the control thread is told whether a snapshot was made. Whoever drops it, as by a panic, says that none was.
pub struct Tell(Option<Box<dyn FnOnce(bool) + Send>>);

impl Tell {
    pub fn new(tell: impl FnOnce(bool) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    pub fn tell(mut self, is_saved: bool) {
        self.say(is_saved);
    }

    fn say(&mut self, is_saved: bool) {
        if let Some(tell) = self.0.take() {
            tell(is_saved);
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.say(false);
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

/// How snapshots for one reason went.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The last one did not fail.
    pub is_ok: bool,
    /// How long the last one took, if there was one.
    pub took_ms: Option<u64>,
    /// How many did not fail, and how many have failed since.
    pub done: u64,
    pub failures: u64,
    /// Bytes that waited to be written in the last one, at the most.
    pub waiting_bytes_max: u64,
}

impl Default for Record {
    fn default() -> Self {
        Self { is_ok: true, took_ms: None, done: 0, failures: 0, waiting_bytes_max: 0 }
    }
}

/// A snapshot being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub reason: Reason,
    pub began_ms: u64,
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub running: Option<Running>,
    pub is_save_scheduled: bool,
    pub is_rewrite_scheduled: bool,
    pub save: Record,
    pub rewrite: Record,
    /// When the last one was made, or the server started; Unix milliseconds.
    pub saved_ms: u64,
    tried_ms: u64,
    /// Changes of keys, since the start, that are in the last snapshot.
    pub saved_changes: u64,
    /// Bytes of the snapshot and the journal after the last snapshot, or at the start.
    pub base_bytes: u64,
}

impl State {
    pub fn record(&self, reason: Reason) -> &Record {
        match reason {
            Reason::Save => &self.save,
            Reason::Rewrite => &self.rewrite,
        }
    }

    fn record_mut(&mut self, reason: Reason) -> &mut Record {
        match reason {
            Reason::Save => &mut self.save,
            Reason::Rewrite => &mut self.rewrite,
        }
    }

    pub fn is_running(&self, reason: Reason) -> bool {
        self.running.is_some_and(|running| running.reason == reason)
    }

    fn take_scheduled(&mut self) -> Option<Reason> {
        if std::mem::take(&mut self.is_rewrite_scheduled) {
            return Some(Reason::Rewrite);
        }
        std::mem::take(&mut self.is_save_scheduled).then_some(Reason::Save)
    }
}

/// Figures of one reactor.
#[derive(Debug, Default)]
struct Figures {
    /// Changes of keys since the start: now, and at the last cut.
    changes: AtomicU64,
    changes_at_cut: AtomicU64,
    /// Bytes that a walk holds.
    recorded: AtomicU64,
}

/// Shared by all reactors and the saver. The mutex is for commands about snapshots, for INFO, and for the saver.
#[derive(Debug)]
pub struct Saves {
    state: Mutex<State>,
    reactors: Vec<Figures>,
    is_failing: AtomicBool,
    is_journalled: AtomicBool,
    keys_total: AtomicU64,
    keys_done: AtomicU64,
    /// Of all reactors, and on its way to be written.
    recorded: AtomicU64,
    recorded_max: AtomicU64,
    /// Bytes of the files that are not being added to, and of the one that is.
    settled_bytes: AtomicU64,
    journal_bytes: AtomicU64,
    pending_bytes: AtomicU64,
}

impl Saves {
    pub fn new(reactors: usize, started_ms: u64) -> Self {
        Self {
            state: Mutex::new(State { saved_ms: started_ms, ..State::default() }),
            reactors: (0..reactors).map(|_| Figures::default()).collect(),
            is_failing: AtomicBool::new(false),
            is_journalled: AtomicBool::new(false),
            keys_total: AtomicU64::new(0),
            keys_done: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            recorded_max: AtomicU64::new(0),
            settled_bytes: AtomicU64::new(0),
            journal_bytes: AtomicU64::new(0),
            pending_bytes: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// The last save failed.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// What is done is journalled, in files that a start would load. Whether it is to be is in the configuration; the saver
    /// has the one follow the other.
    pub fn is_journalled(&self) -> bool {
        self.is_journalled.load(Ordering::Acquire)
    }

    pub fn set_journalled(&self, is_journalled: bool) {
        self.is_journalled.store(is_journalled, Ordering::Release);
    }

    /// Begins one, or says what is under way. Whoever begins one has the saver asked for it.
    pub fn begin(&self, reason: Reason, now_ms: u64) -> Result<(), Reason> {
        let mut state = self.lock();
        if let Some(running) = state.running {
            return Err(running.reason);
        }
        state.running = Some(Running { reason, began_ms: now_ms });
        Ok(())
    }

    /// Has another made when the one under way is over.
    pub fn schedule(&self, reason: Reason) {
        let mut state = self.lock();
        match reason {
            Reason::Save => state.is_save_scheduled = true,
            Reason::Rewrite => state.is_rewrite_scheduled = true,
        }
    }

    /// None for this reason is made any more but the one under way, until somebody asks for it.
    pub fn unschedule(&self, reason: Reason) {
        let mut state = self.lock();
        match reason {
            Reason::Save => state.is_save_scheduled = false,
            Reason::Rewrite => state.is_rewrite_scheduled = false,
        }
    }

    /// One that is scheduled, or due by the configuration, has begun: nothing is under way yet.
    pub fn begin_due(&self, config: &Config, now_ms: u64) -> Option<Reason> {
        let mut state = self.lock();
        if state.running.is_some() {
            return None;
        }
        let due = state.take_scheduled().or_else(|| self.due(&state, config, now_ms))?;
        state.running = Some(Running { reason: due, began_ms: now_ms });
        Some(due)
    }

    fn due(&self, state: &State, config: &Config, now_ms: u64) -> Option<Reason> {
        let may = |record: &Record| record.is_ok || now_ms >= state.tried_ms + RETRY_MS;
        let changes = self.changes().saturating_sub(state.saved_changes);
        let since_s = now_ms.saturating_sub(state.saved_ms) / 1000;
        let mut points = config.save.0.iter();
        if may(&state.save) && points.any(|point| changes >= point.changes && since_s > point.seconds) {
            return Some(Reason::Save);
        }
        let (percentage, now) = (u64::from(config.auto_aof_rewrite_percentage.unsigned_abs()), self.bytes());
        let is_grown = now > config.auto_aof_rewrite_min_size
            && now.saturating_sub(state.base_bytes).saturating_mul(100)
                >= percentage.saturating_mul(state.base_bytes.max(1));
        // The journal begins with one: if that has failed, with the next.
        let is_due = !self.is_journalled() || (percentage > 0 && is_grown);
        (config.appendonly && may(&state.rewrite) && is_due).then_some(Reason::Rewrite)
    }

    /// The one under way is over.
    pub fn end(&self, is_ok: bool, now_ms: u64) {
        let mut state = self.lock();
        let Some(Running { reason, began_ms }) = state.running.take() else { return };
        state.tried_ms = now_ms;
        if is_ok {
            state.saved_ms = now_ms;
            let at_cut = |figures: &Figures| figures.changes_at_cut.load(Ordering::Relaxed);
            state.saved_changes = self.reactors.iter().map(at_cut).sum();
            state.base_bytes = self.bytes();
        }
        let waiting_bytes_max = self.recorded_max();
        let record = state.record_mut(reason);
        record.is_ok = is_ok;
        record.took_ms = Some(now_ms.saturating_sub(began_ms));
        record.done += u64::from(is_ok);
        record.failures = if is_ok { 0 } else { record.failures + 1 };
        record.waiting_bytes_max = waiting_bytes_max;
        self.is_failing.store(!state.save.is_ok, Ordering::Relaxed);
    }

    /// Before a cut: figures of the walk begin anew.
    pub fn begin_walk(&self) {
        [&self.keys_total, &self.keys_done, &self.recorded_max]
            .into_iter()
            .for_each(|figure| figure.store(0, Ordering::Relaxed));
    }

    /// A shard has made the cut: what it holds, and how often its keys had changed.
    pub fn note_cut(&self, reactor: ReactorId, changes: u64, keys: usize) {
        self.reactors[reactor.index()].changes_at_cut.store(changes, Ordering::Relaxed);
        self.keys_total.fetch_add(keys as u64, Ordering::Relaxed);
    }

    /// Bytes of memory that a shard's walk holds: what it has recorded and not given away, and what it has still to record
    /// although it was cleared.
    pub fn note_recorded(&self, reactor: ReactorId, bytes: usize) {
        let before = self.reactors[reactor.index()].recorded.swap(bytes as u64, Ordering::Relaxed);
        self.recorded.fetch_add((bytes as u64).wrapping_sub(before), Ordering::Relaxed);
        self.recorded_max.fetch_max(self.recorded(), Ordering::Relaxed);
    }

    /// Bytes that a shard is about to give to the saver.
    pub fn note_given(&self, bytes: usize) {
        self.recorded.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// And that are freed, or were not given after all.
    pub fn note_freed(&self, bytes: usize) {
        self.recorded.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    pub fn note_written(&self, keys: u64) {
        self.keys_done.fetch_add(keys, Ordering::Relaxed);
    }

    pub fn note_changes(&self, reactor: ReactorId, changes: u64) {
        self.reactors[reactor.index()].changes.store(changes, Ordering::Relaxed);
    }

    /// Bytes of the journal's file being written, and of what has yet to be.
    pub fn note_journal(&self, file: u64, pending: u64) {
        self.journal_bytes.store(file, Ordering::Relaxed);
        self.pending_bytes.store(pending, Ordering::Relaxed);
    }

    pub fn set_settled_bytes(&self, bytes: u64) {
        self.settled_bytes.store(bytes, Ordering::Relaxed);
    }

    /// As if a snapshot had just been made: what there is is what growth is measured against.
    pub fn set_base(&self) {
        self.lock().base_bytes = self.bytes();
    }

    fn changes(&self) -> u64 {
        self.reactors.iter().map(|figures| figures.changes.load(Ordering::Relaxed)).sum()
    }

    /// Of the snapshot and the journal on disk.
    pub fn bytes(&self) -> u64 {
        self.settled_bytes.load(Ordering::Relaxed) + self.journal_bytes.load(Ordering::Relaxed)
    }

    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of memory that snapshots hold. They go when it is written, so `maxmemory` does not count them.
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    pub fn recorded_max(&self) -> u64 {
        self.recorded_max.load(Ordering::Relaxed)
    }

    /// Keys that are written of the snapshot under way, and all of it.
    pub fn keys(&self) -> (u64, u64) {
        (self.keys_done.load(Ordering::Relaxed), self.keys_total.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SavePoint, SavePoints};

    const START_MS: u64 = 1_000_000_000;

    fn with_points(points: &[(u64, u64)]) -> Config {
        let points = points.iter().map(|&(seconds, changes)| SavePoint { seconds, changes }).collect();
        Config { save: SavePoints(points), appendonly: false, ..Config::default() }
    }

    fn growing(percentage: i32, min_bytes: u64) -> Config {
        Config {
            save: SavePoints::default(),
            appendonly: true,
            auto_aof_rewrite_percentage: percentage,
            auto_aof_rewrite_min_size: min_bytes,
            ..Config::default()
        }
    }

    /// Two reactors, whose keys have changed so often.
    fn changed(changes: [u64; 2]) -> Saves {
        let saves = Saves::new(2, START_MS);
        for (reactor, changes) in changes.into_iter().enumerate() {
            saves.note_changes(ReactorId::from_index(reactor), changes);
        }
        saves
    }

    #[test]
    fn a_save_point_is_due_after_more_than_its_seconds_with_its_changes_on_all_reactors() {
        let config = with_points(&[(100, 1), (10, 5)]);
        assert_eq!(changed([0, 0]).begin_due(&config, START_MS + 1_000_000), None, "nothing has changed");
        assert_eq!(changed([3, 2]).begin_due(&config, START_MS + 10_999), None, "not more than 10 seconds");
        assert_eq!(changed([3, 2]).begin_due(&config, START_MS + 11_000), Some(Reason::Save));
        assert_eq!(changed([2, 2]).begin_due(&config, START_MS + 11_000), None, "too few");
        assert_eq!(changed([0, 1]).begin_due(&config, START_MS + 101_000), Some(Reason::Save));
        assert_eq!(changed([9, 9]).begin_due(&with_points(&[]), START_MS + 1_000_000), None, "no points");
    }

    #[test]
    fn what_is_in_the_last_snapshot_is_no_change() {
        let (config, saves) = (with_points(&[(10, 5)]), changed([5, 5]));
        assert_eq!(saves.begin_due(&config, START_MS + 11_000), Some(Reason::Save));
        assert_eq!(saves.begin_due(&config, START_MS + 12_000), None, "one at a time");
        saves.note_cut(ReactorId(0), 6, 100);
        saves.note_cut(ReactorId(1), 5, 100);
        saves.end(true, START_MS + 20_000);
        saves.note_changes(ReactorId(0), 10);
        assert_eq!(saves.begin_due(&config, START_MS + 31_000), None, "4 since the cut");
        saves.note_changes(ReactorId(1), 6);
        assert_eq!(saves.begin_due(&config, START_MS + 30_999), None, "it counts from the end of the last");
        assert_eq!(saves.begin_due(&config, START_MS + 31_000), Some(Reason::Save));
    }

    #[test]
    fn after_a_failure_the_next_comes_after_five_seconds_unless_it_is_asked_for() {
        let (config, saves) = (with_points(&[(1, 1)]), changed([1, 0]));
        assert_eq!(saves.begin_due(&config, START_MS + 2000), Some(Reason::Save));
        saves.note_cut(ReactorId(0), 1, 1);
        saves.end(false, START_MS + 3000);
        assert!(saves.is_failing());
        let state = saves.state();
        assert!(!state.save.is_ok && state.rewrite.is_ok);
        assert_eq!((state.saved_ms, state.saved_changes), (START_MS, 0), "it has saved nothing");
        assert_eq!((state.save.done, state.save.failures, state.save.took_ms), (0, 1, Some(1000)));
        assert_eq!(saves.begin_due(&config, START_MS + 7999), None);
        assert_eq!(saves.begin(Reason::Save, START_MS + 4000), Ok(()), "who asks need not wait");
        saves.end(false, START_MS + 4000);
        assert_eq!(saves.state().save.failures, 2);
        assert_eq!(saves.begin_due(&config, START_MS + 8999), None);
        assert_eq!(saves.begin_due(&config, START_MS + 9000), Some(Reason::Save));
        saves.end(true, START_MS + 9500);
        let state = saves.state();
        assert!(state.save.is_ok && !saves.is_failing());
        assert_eq!((state.save.done, state.save.failures, state.saved_changes), (1, 0, 1));
    }

    /// A failed rewrite is told apart: it neither stops writes nor holds up a save.
    #[test]
    fn a_rewrite_that_fails_is_no_save_that_fails() {
        let (config, saves) = (with_points(&[(1, 1)]), changed([1, 0]));
        assert_eq!(saves.begin(Reason::Rewrite, START_MS), Ok(()));
        assert_eq!(saves.begin(Reason::Save, START_MS), Err(Reason::Rewrite));
        saves.end(false, START_MS + 2000);
        assert!(!saves.is_failing() && !saves.state().rewrite.is_ok);
        assert_eq!(saves.begin_due(&config, START_MS + 2001), Some(Reason::Save));
    }

    #[test]
    fn what_is_scheduled_comes_when_nothing_is_under_way_a_rewrite_first() {
        let (config, saves) = (with_points(&[]), changed([0, 0]));
        assert_eq!(saves.begin(Reason::Save, START_MS), Ok(()));
        saves.schedule(Reason::Save);
        saves.schedule(Reason::Rewrite);
        assert_eq!(saves.begin_due(&config, START_MS), None);
        saves.end(true, START_MS);
        assert_eq!(saves.begin_due(&config, START_MS), Some(Reason::Rewrite));
        saves.end(false, START_MS);
        assert_eq!(saves.begin_due(&config, START_MS), Some(Reason::Save));
        saves.end(true, START_MS);
        assert_eq!(saves.begin_due(&config, START_MS), None);
    }

    #[test]
    fn growth_is_measured_against_what_was_there_after_the_last_snapshot() {
        let saves = Saves::new(1, START_MS);
        saves.set_journalled(true);
        saves.set_settled_bytes(600);
        saves.note_journal(400, 0);
        saves.set_base();
        let due = |config: &Config, journal: u64| {
            saves.note_journal(journal, 0);
            let due = saves.begin_due(config, START_MS);
            saves.end(false, START_MS - RETRY_MS);
            due
        };
        let doubling = growing(100, 0);
        assert_eq!(due(&doubling, 1399), None, "1999 of 1000");
        assert_eq!(due(&doubling, 1400), Some(Reason::Rewrite));
        assert_eq!(due(&growing(50, 0), 899), None);
        assert_eq!(due(&growing(50, 0), 900), Some(Reason::Rewrite));
        assert_eq!(due(&growing(100, 2000), 1400), None, "not more than the least");
        assert_eq!(due(&growing(100, 1999), 1400), Some(Reason::Rewrite));
        assert_eq!(due(&growing(0, 0), 1_000_000), None, "0 turns it off");
        let without = Config { appendonly: false, ..growing(100, 0) };
        assert_eq!(due(&without, 1_000_000), None, "there is no journal");
        // A success is the new base.
        saves.note_journal(1400, 0);
        assert_eq!(saves.begin(Reason::Rewrite, START_MS), Ok(()));
        saves.set_settled_bytes(100);
        saves.note_journal(50, 0);
        saves.end(true, START_MS);
        assert_eq!(saves.state().base_bytes, 150);
        assert_eq!(due(&doubling, 199), None);
        assert_eq!(due(&doubling, 200), Some(Reason::Rewrite));
    }

    #[test]
    fn whoever_is_to_tell_and_does_not_has_saved_nothing() {
        let (sender, told) = std::sync::mpsc::channel();
        let tell = || {
            let sender = sender.clone();
            Tell::new(move |is_saved| sender.send(is_saved).expect("it is heard"))
        };
        tell().tell(true);
        drop(tell());
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_journal_that_could_not_begin_is_begun_again_after_five_seconds() {
        let (config, saves) = (growing(0, 0), changed([0, 0]));
        assert_eq!(saves.begin(Reason::Rewrite, START_MS), Ok(()));
        saves.end(false, START_MS);
        assert_eq!(saves.begin_due(&config, START_MS + 4999), None);
        let without = Config { appendonly: false, ..growing(0, 0) };
        assert_eq!(saves.begin_due(&without, START_MS + 5000), None, "it is not to begin any more");
        assert_eq!(saves.begin_due(&config, START_MS + 5000), Some(Reason::Rewrite));
        saves.set_journalled(true);
        saves.end(true, START_MS + 6000);
        assert_eq!(saves.begin_due(&config, START_MS + 60_000), None);
    }
}
