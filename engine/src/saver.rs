//! The saver: a thread of the control side that makes snapshots, and gives the journal its next file.
//!
//! ```text
//!  a request ─► the journal goes on in a new file ─► cut ─► pieces of all shards ─► installed, what is before it removed
//! ```
//! It owns the files of the state while the server runs. It waits for disks and for reactors; no reactor waits for it.
//!
//! - *The new file comes first*, so that the file before it has nothing that the snapshot has not: it can go. What the new
//!   one has from before the cut is passed over by a start. To have it, the writer of the journal finishes the old file
//!   and holds back what comes meanwhile; if the new one cannot be made, it goes on in the old one. So it does where a new
//!   one would not be worth it: one that has nothing in it is not followed by another, however often a snapshot fails.
//! - *Pieces* come through a channel with room for a few. A shard that finds no room slows its walk (`core::snapshot`).
//! - A disk that fails ends the snapshot: walks record no more, the file is removed, and the state on disk is what it was,
//!   with one journal file more, unless the last one is short and was begun for another that failed.
//!
//! With `appendonly no` there is no journal; the snapshot takes the place of all files there are. That may change at any
//! time:
//!
//! - *The journal begins* with a snapshot: a new file is made, from the cut on all shards journal into it, and when the
//!   snapshot is whole and the file durable, the two become the state together. Until then a start loads what there was before, whatever has been
//!   acknowledged since. If the snapshot cannot be made, the journal ends at another cut, its file goes, and the next
//!   attempt comes by itself (`saves`).
//! - *It ends* with a cut. What was done before is made durable, if the disk takes it, and stays the state until the next
//!   snapshot.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::background;
use crate::core::{Piece, Shared, WRITER};
use crate::error::CommandError;
use crate::ids::{ReactorId, Stamp};
use crate::journal::{Directory, Disk as _, Files, JournalFile, Listed, NewSnapshot, StoreError, Writer};
use crate::reactor::{Helper, JournalStart, Order, Plant, Reach};
use crate::saves::{Request, Tell, Whom};
use crate::server::caught;
use crate::txn::Cut;

/// Pieces that wait in the channel, for each reactor.
const PIECES_AHEAD: usize = 2;
/// How often it looks whether the server stops.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it waits before it tries again to store the manifest.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// From so many bytes on a journal file that was begun for a snapshot which failed is followed by another.
const FOLLOWED_BYTES_MIN: u64 = 4 << 20;

/// Where a reactor puts the pieces of a snapshot.
#[derive(Clone, Debug)]
pub struct Outlet {
    pieces: SyncSender<Piece>,
    /// Nobody wants them any more.
    pub is_abandoned: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Outlet {
    /// Hands a piece over, if there is room.
    #[expect(clippy::result_large_err, reason = "it is the piece that comes back")]
    pub fn give(&self, piece: Piece) -> Result<(), TrySendError<Piece>> {
        let bytes = piece.memory();
        self.shared.saves.note_given(bytes);
        let given = self.pieces.try_send(piece);
        if given.is_err() {
            self.shared.saves.note_freed(bytes);
        }
        given
    }
}

/// How the journal's file was finished: the stamp with which the next begins; or how far it is durable, if that was asked.
pub type Turned = Result<Stamp, Arc<str>>;

/// What the saver hears from reactors and from the control thread.
#[derive(Debug)]
pub struct Ears {
    pub requests: Receiver<Request>,
    pub turned: Receiver<Turned>,
}

#[derive(Debug)]
pub struct Saver {
    plant: Arc<Plant>,
    shared: Arc<Shared>,
    files: Files<Directory>,
    ears: Ears,
    /// What came while the disk was waited for.
    kept: VecDeque<Request>,
    /// The server is to end with the snapshot under way, and its control thread waits for it.
    ending: Option<Tell>,
    /// The journal's last file was begun for a snapshot that has not been made.
    is_begun_in_vain: bool,
    must_stop: Arc<AtomicBool>,
}

/// The saver on its thread.
#[derive(Debug)]
pub struct Handle {
    thread: JoinHandle<()>,
    must_stop: Arc<AtomicBool>,
}

impl Handle {
    /// Has it end, and a snapshot under way given up. Returns the thread, which does so soon.
    pub fn stop(self) -> JoinHandle<()> {
        self.must_stop.store(true, Ordering::Relaxed);
        self.thread
    }
}

impl Saver {
    /// Starts the thread, for a state that has been loaded.
    pub fn start(
        plant: Arc<Plant>,
        shared: Arc<Shared>,
        files: Files<Directory>,
        ears: Ears,
        reactor_cpus: Vec<usize>,
    ) -> io::Result<Handle> {
        let must_stop = Arc::new(AtomicBool::new(false));
        let saver = Self {
            plant,
            shared,
            files,
            ears,
            kept: VecDeque::new(),
            ending: None,
            is_begun_in_vain: false,
            must_stop: Arc::clone(&must_stop),
        };
        let run = move || {
            background::stand_back(&reactor_cpus);
            saver.run();
        };
        let thread = std::thread::Builder::new().name("saver".into()).spawn(run)?;
        Ok(Handle { thread, must_stop })
    }

    fn run(mut self) {
        self.shared.saves.set_settled_bytes(self.files.settled_bytes());
        self.shared.saves.set_base();
        while !self.is_stopping() {
            match self.kept.pop_front().map_or_else(|| self.ears.requests.recv_timeout(LOOK_EVERY), Ok) {
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.is_journalled() && !self.shared.config().appendonly {
                self.end_journal();
            }
        }
    }

    fn is_journalled(&self) -> bool {
        self.shared.saves.is_journalled()
    }

    fn is_stopping(&self) -> bool {
        self.must_stop.load(Ordering::Relaxed)
    }

    fn serve(&mut self, Request { reason, whom }: Request) {
        // Whoever asks for a reactor has begun it; the control thread has not, while another was under way.
        let _ = self.shared.saves.begin(reason, now_ms());
        tracing::debug!("Saving ({reason:?})");
        let client = match whom {
            Whom::Nobody => None,
            Whom::Client(reply_to) => Some(reply_to),
            Whom::Control(tell) => {
                self.ending = Some(tell);
                None
            }
        };
        let saved = caught(|| self.save());
        match &saved {
            Ok(keys) => tracing::info!("DB saved on disk: {keys} keys"),
            Err(error) => tracing::error!("Error saving DB on disk: {error}"),
        }
        self.shared.saves.set_settled_bytes(self.files.settled_bytes());
        self.shared.saves.end(saved.is_ok(), now_ms());
        if let Some(tell) = self.ending.take() {
            tell.tell(saved.is_ok());
        }
        if let Some(reply_to) = client {
            let outcome = saved.map(drop).map_err(|_| CommandError::text("ERR"));
            let _ = self.plant.order(reply_to.reactor, Order::Reply { reply_to, outcome });
        }
    }

    /// Makes a snapshot, and drops what is before it. Returns how many keys it has.
    fn save(&mut self) -> io::Result<u64> {
        Directory::make(self.files.disk().path())?;
        self.files.make_manifest()?;
        let keys = if self.is_journalled() {
            self.turn_journal()?;
            // The server may have given up to end meanwhile.
            let file = self.walk(Cut { walks: true, journals: None, holds: self.ending.is_some() })?;
            file.install(&mut self.files, None)?
        } else if self.shared.config().appendonly && self.ending.is_none() {
            self.begin_journal()?
        } else {
            let file = self.walk(Cut { walks: true, journals: None, holds: self.ending.is_some() })?;
            file.install(&mut self.files, Some(Vec::new()))?
        };
        self.is_begun_in_vain = false;
        match self.files.clean() {
            Ok(names) => names.iter().for_each(|name| tracing::debug!("Removed {name}")),
            Err(error) => tracing::warn!("Files that are no longer needed could not be removed: {error}"),
        }
        Ok(keys)
    }

    /// Makes a snapshot with which the journal begins. Returns how many keys it has.
    fn begin_journal(&mut self) -> io::Result<u64> {
        // Nobody takes a stamp before the cut: there is no journal.
        let first = self.shared.last_stamp().next();
        let (facts, file) = self.files.make_journal(first, fastrand::u64(..), now_ms())?;
        let writer = Writer::new(facts, self.shared.config().appendfsync);
        self.plant.order(WRITER, Order::Write(Box::new(JournalStart { writer, file })))?;
        let walked =
            self.walk(Cut { walks: true, journals: Some(true), holds: false }).and_then(|snapshot| {
                // What was done since the cut has to be durable before the journal counts: it is acknowledged.
                self.reach(false)?;
                Ok(snapshot)
            });
        let listed = vec![Listed { id: facts.id, first }];
        let installed = walked
            .map_err(StoreError::Before)
            .and_then(|snapshot| snapshot.install(&mut self.files, Some(listed)));
        match installed {
            Ok(keys) => {
                self.shared.saves.set_journalled(true);
                tracing::info!("The journal has begun");
                Ok(keys)
            }
            Err(error) => {
                tracing::error!("The journal could not begin; the next attempt comes by itself");
                self.end_journal();
                if matches!(error, StoreError::Before(_)) {
                    self.files.drop_journal(&facts);
                }
                Err(error.into())
            }
        }
    }

    /// Has the journal end at one moment on all shards, and what was done before made durable.
    fn end_journal(&mut self) {
        // First, so that nobody relies on a journal that has ended.
        self.shared.saves.set_journalled(false);
        match self.finish_journal() {
            Ok(()) => tracing::info!("The journal has ended"),
            Err(error) => {
                tracing::warn!("The journal has ended, and its last writes may not be durable: {error}");
            }
        }
        self.shared.saves.note_journal(0, 0);
    }

    fn finish_journal(&self) -> io::Result<()> {
        self.cut(Cut { walks: false, journals: Some(false), holds: false }, |_| Ok(()))?;
        let finished = self.reach(true);
        for reactor in (0..self.shared.reactors()).map(ReactorId::from_index) {
            self.plant.order(reactor, Order::JournalEnded)?;
        }
        finished
    }

    /// Has all that was journalled made durable; `is_end`: and the journal's file let go of.
    fn reach(&self, is_end: bool) -> io::Result<()> {
        self.plant.order(WRITER, Order::Reach(Reach { until: self.shared.last_stamp(), is_end }))?;
        self.hear_turned().map(drop)
    }

    /// Has the journal go on in a new file, if that is worth it.
    fn turn_journal(&mut self) -> io::Result<()> {
        self.plant.order(WRITER, Order::Turn)?;
        let next = self.hear_turned().map_err(StoreError::Before).and_then(|first| self.follow(first));
        match next {
            Ok(next) => self.plant.order(WRITER, Order::GoOn(next.map(Box::new))),
            Err(StoreError::Before(error)) => {
                self.plant.order(WRITER, Order::GoOn(None))?;
                Err(error)
            }
            // Neither file may be written to.
            Err(StoreError::Either(error)) => Err(error),
        }
    }

    /// The file that follows the journal's last, listed.
    fn follow(&mut self, first: Stamp) -> Result<Option<(JournalFile, File)>, StoreError> {
        if !self.is_worth_following(first).map_err(StoreError::Before)? {
            return Ok(None);
        }
        let made = self.files.make_journal(first, fastrand::u64(..), now_ms());
        let (facts, file) = made.map_err(StoreError::Before)?;
        match self.files.list_journal(&facts) {
            Ok(()) => {}
            Err(StoreError::Before(error)) => {
                self.files.drop_journal(&facts);
                return Err(StoreError::Before(error));
            }
            Err(StoreError::Either(error)) => self.list_at_last(&facts, error)?,
        }
        self.is_begun_in_vain = true;
        Ok(Some((facts, file)))
    }

    /// Whether the journal's last file, which is durable up to this stamp, is worth another.
    fn is_worth_following(&self, next: Stamp) -> io::Result<bool> {
        let is_empty = self.files.manifest().journals.last().is_some_and(|last| last.first == next);
        Ok(!is_empty && (!self.is_begun_in_vain || self.files.last_len()? >= FOLLOWED_BYTES_MIN))
    }

    /// Lists a file that may be listed already, but for a crash. The server does not end with a snapshot meanwhile: nobody
    /// knows when there will be one.
    fn list_at_last(&mut self, facts: &JournalFile, mut error: io::Error) -> Result<(), StoreError> {
        loop {
            self.plant.order(WRITER, Order::Stuck(error.to_string().into())).map_err(StoreError::Either)?;
            self.refuse_to_end(Instant::now() + STORE_AGAIN);
            match self.files.list_journal(facts).map_err(io::Error::from) {
                Ok(()) => return Ok(()),
                Err(again) if self.is_stopping() => return Err(StoreError::Either(again)),
                Err(again) => error = again,
            }
        }
    }

    /// Until then, or the server ends all the same, has its control thread told at once that no snapshot is made.
    fn refuse_to_end(&mut self, until: Instant) {
        drop(self.ending.take());
        while Instant::now() < until && !self.is_stopping() {
            match self.ears.requests.recv_timeout(LOOK_EVERY) {
                Ok(Request { whom: Whom::Control(tell), .. }) => tell.tell(false),
                Ok(request) => self.kept.push_back(request),
                Err(RecvTimeoutError::Timeout) => {}
                // Whoever asks has ended.
                Err(RecvTimeoutError::Disconnected) => return std::thread::sleep(STORE_AGAIN),
            }
        }
    }

    fn hear_turned(&self) -> io::Result<Stamp> {
        loop {
            match self.ears.turned.recv_timeout(LOOK_EVERY) {
                Ok(Ok(first)) => return Ok(first),
                Ok(Err(failure)) => return Err(io::Error::other(format!("the journal: {failure}"))),
                Err(RecvTimeoutError::Timeout) if !self.is_stopping() => {}
                Err(_) => return Err(stopping()),
            }
        }
    }

    /// Makes a cut, and writes what all shards had at that moment.
    fn walk(&self, cut: Cut) -> io::Result<NewSnapshot<Directory>> {
        self.shared.saves.begin_walk();
        let mut file = None;
        self.cut(cut, |piece| {
            file = Some(self.write(file.take(), piece)?);
            Ok(())
        })?;
        file.ok_or_else(stopping)
    }

    /// Makes a cut, and waits until every shard has made it and given all of its pieces. Once `take` has failed, it is given
    /// no more.
    fn cut(&self, cut: Cut, mut take: impl FnMut(Piece) -> io::Result<()>) -> io::Result<()> {
        let reactors = self.shared.reactors();
        let (sender, pieces) = sync_channel(reactors * PIECES_AHEAD);
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&self.shared);
        let outlet = Outlet { pieces: sender, is_abandoned: Arc::clone(&is_abandoned), shared };
        for reactor in (0..reactors).map(ReactorId::from_index) {
            self.plant.order(reactor, Order::Walk(outlet.clone()))?;
        }
        drop(outlet);
        self.plant.order(WRITER, Order::Cut(cut))?;
        let (mut ended, mut taken) = (0, Ok(()));
        while ended < reactors {
            let piece = self.next_piece(&pieces)?;
            ended += usize::from(piece.chunk.is_none());
            let bytes = piece.memory();
            taken = taken.and_then(|()| take(piece));
            // The piece is freed, which a reactor has allocated.
            self.plant.memory.publish_helper(Helper::Saver);
            self.shared.saves.note_freed(bytes);
            if taken.is_err() {
                is_abandoned.store(true, Ordering::Relaxed);
            }
        }
        taken
    }

    fn next_piece(&self, pieces: &Receiver<Piece>) -> io::Result<Piece> {
        loop {
            match pieces.recv_timeout(LOOK_EVERY) {
                Ok(piece) if !self.is_stopping() => return Ok(piece),
                Err(RecvTimeoutError::Timeout) if !self.is_stopping() => {}
                _ => return Err(stopping()),
            }
        }
    }

    /// Writes a piece; the first makes the file.
    fn write(
        &self,
        file: Option<NewSnapshot<Directory>>,
        piece: Piece,
    ) -> io::Result<NewSnapshot<Directory>> {
        let config = self.shared.config();
        let create = || NewSnapshot::create(self.files.disk(), piece.head, config.rdbcompression.into());
        let mut file = file.map_or_else(create, Ok)?;
        let Some(mut chunk) = piece.chunk else { return Ok(file) };
        let keys = chunk.tally().keys;
        file.append(&mut chunk, config.rdb_save_incremental_fsync)?;
        self.shared.saves.note_written(keys);
        self.rest(keys.saturating_mul(config.rdb_key_save_delay.unsigned_abs().into()));
        Ok(file)
    }

    /// `rdb-key-save-delay`.
    fn rest(&self, us: u64) {
        let mut left = Duration::from_micros(us);
        while !left.is_zero() && !self.is_stopping() {
            let step = left.min(LOOK_EVERY);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

fn stopping() -> io::Error {
    io::Error::other("the server stops")
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
