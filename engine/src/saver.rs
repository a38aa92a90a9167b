//! The saver: a thread of the control side that makes snapshots, and gives the journal its next file.
//!
//! ```text
//!  a request ─► the journal goes on in a new file ─► cut ─► pieces of all shards ─► installed, what is before it removed
//! ```
//! It owns the files of the state while the server runs. It waits for disks and for reactors; no reactor waits for it.
//!
//! - *The new file comes first*, so that the file before it has nothing that the snapshot has not: it can go. What the new
//!   one has from before the cut is passed over by a start. To have it, the writer of the journal finishes the old file
//!   and holds back what comes meanwhile; if the new one cannot be made, it goes on in the old one.
//! - *Pieces* come through a channel with room for a few. A shard that finds no room slows its walk (`core::snapshot`).
//! - A disk that fails ends the snapshot: walks record no more, the file is removed, and the state on disk is what it was,
//!   with one journal file more.
//!
//! With `appendonly no` there is no journal; the snapshot takes the place of all files there are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::core::{Piece, Shared, WRITER};
use crate::error::CommandError;
use crate::ids::{ReactorId, Stamp};
use crate::journal::{Directory, Disk as _, Files, NewSnapshot};
use crate::reactor::{Helper, Order, Plant};
use crate::saves::{Request, Whom};
use crate::txn::Cut;

/// Pieces that wait in the channel, for each reactor.
const PIECES_AHEAD: usize = 2;
/// How often it looks whether the server stops.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it waits before it tries again to store the manifest.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Where a reactor puts the pieces of a snapshot.
#[derive(Clone, Debug)]
pub struct Outlet {
    pub pieces: SyncSender<Piece>,
    /// Nobody wants them any more.
    pub is_abandoned: Arc<AtomicBool>,
}

/// How the journal's file was finished: the stamp with which the next begins.
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
    /// What is done is journalled.
    is_journalled: bool,
    must_stop: Arc<AtomicBool>,
}

/// The saver on its thread.
#[derive(Debug)]
pub struct Handle {
    thread: JoinHandle<()>,
    must_stop: Arc<AtomicBool>,
}

impl Handle {
    /// Ends it; a snapshot under way is given up.
    pub fn stop(self) {
        self.must_stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("The thread that makes snapshots panicked");
        }
    }
}

impl Saver {
    /// Starts the thread, for a state that has been loaded.
    pub fn start(
        plant: Arc<Plant>,
        shared: Arc<Shared>,
        files: Files<Directory>,
        ears: Ears,
    ) -> io::Result<Handle> {
        let must_stop = Arc::new(AtomicBool::new(false));
        let is_journalled = shared.config().appendonly;
        let saver = Self { plant, shared, files, ears, is_journalled, must_stop: Arc::clone(&must_stop) };
        let thread = std::thread::Builder::new().name("saver".into()).spawn(move || saver.run())?;
        Ok(Handle { thread, must_stop })
    }

    fn run(mut self) {
        self.shared.saves.set_settled_bytes(self.files.settled_bytes());
        self.shared.saves.set_base();
        while !self.is_stopping() {
            match self.ears.requests.recv_timeout(LOOK_EVERY) {
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.must_stop.load(Ordering::Relaxed)
    }

    fn serve(&mut self, request: Request) {
        // Whoever asks for a reactor has begun it; the control thread has not, while another was under way.
        let _ = self.shared.saves.begin(request.reason, now_ms());
        tracing::debug!("Saving ({:?})", request.reason);
        let saved = self.save(matches!(request.whom, Whom::Control(_)));
        match &saved {
            Ok(keys) => tracing::info!("DB saved on disk: {keys} keys"),
            Err(error) => tracing::error!("Error saving DB on disk: {error}"),
        }
        self.shared.saves.set_settled_bytes(self.files.settled_bytes());
        self.shared.saves.end(saved.is_ok(), now_ms());
        match request.whom {
            Whom::Nobody => {}
            Whom::Client(reply_to) => {
                let outcome = saved.map(drop).map_err(|_| CommandError::text("ERR"));
                let _ = self.plant.order(reply_to.reactor, Order::Reply { reply_to, outcome });
            }
            Whom::Control(tell) => (tell.0)(saved.is_ok()),
        }
    }

    /// Makes a snapshot, and drops what is before it; `holds`: the server is to end with it. Returns how many keys it has.
    fn save(&mut self, holds: bool) -> io::Result<u64> {
        Directory::make(self.files.disk().path())?;
        if self.is_journalled {
            self.turn_journal()?;
        }
        let file = self.walk(Cut { walks: true, journals: None, holds })?;
        let journals = if self.is_journalled { None } else { Some(Vec::new()) };
        let keys = file.install(&mut self.files, journals)?;
        match self.files.clean() {
            Ok(names) => names.iter().for_each(|name| tracing::debug!("Removed {name}")),
            Err(error) => tracing::warn!("Files that are no longer needed could not be removed: {error}"),
        }
        Ok(keys)
    }

    /// Has the journal go on in a new file.
    fn turn_journal(&mut self) -> io::Result<()> {
        self.plant.order(WRITER, Order::Turn)?;
        let first = match self.hear_turned() {
            Ok(first) => first,
            Err(error) => {
                self.plant.order(WRITER, Order::GoOn(None))?;
                return Err(error);
            }
        };
        let (facts, file) = match self.files.make_journal(first, fastrand::u64(..), now_ms()) {
            Ok(made) => made,
            Err(error) => {
                self.plant.order(WRITER, Order::GoOn(None))?;
                return Err(error);
            }
        };
        while let Err(error) = self.files.list_journal(&facts) {
            self.plant.order(WRITER, Order::Stuck(error.to_string().into()))?;
            std::thread::sleep(STORE_AGAIN);
            if self.is_stopping() {
                return Err(error);
            }
        }
        self.plant.order(WRITER, Order::GoOn(Some(Box::new((facts, file)))))
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
        let reactors = self.shared.reactors();
        let (sender, pieces) = sync_channel(reactors * PIECES_AHEAD);
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let outlet = Outlet { pieces: sender, is_abandoned: Arc::clone(&is_abandoned) };
        self.shared.saves.begin_walk();
        for reactor in (0..reactors).map(ReactorId::from_index) {
            self.plant.order(reactor, Order::Walk(outlet.clone()))?;
        }
        drop(outlet);
        self.plant.order(WRITER, Order::Cut(cut))?;
        let (mut ended, mut file) = (0, Ok(None));
        while ended < reactors {
            let piece = self.next_piece(&pieces)?;
            ended += usize::from(piece.chunk.is_none());
            file = file.and_then(|file| self.write(file, piece));
            // The piece is freed, which a reactor has allocated.
            self.plant.memory.publish_helper(Helper::Saver);
            if file.is_err() {
                is_abandoned.store(true, Ordering::Relaxed);
            }
        }
        file?.ok_or_else(stopping)
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
    ) -> io::Result<Option<NewSnapshot<Directory>>> {
        let mut file = file.map_or_else(|| NewSnapshot::create(self.files.disk(), piece.head), Ok)?;
        let Some(mut chunk) = piece.chunk else { return Ok(Some(file)) };
        let config = self.shared.config();
        let keys = chunk.tally().keys;
        file.append(&mut chunk, config.rdb_save_incremental_fsync)?;
        self.shared.saves.note_written(keys);
        self.rest(keys.saturating_mul(config.rdb_key_save_delay.unsigned_abs().into()));
        Ok(Some(file))
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
