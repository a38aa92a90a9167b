//! Loading: the control thread reads the snapshot, of which each reactor takes the keys that are its shard's, and then
//! the journal, and the reactors do again what it says, each what concerns its shard.
//!
//! Commands keep their order on each shard; between shards there is none to keep, but for a command with keys of
//! several: all before it are done first, then it borrows its keys as it did when it ran, then the others go on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bobbin_cluster::{Slot, SlotMap};

use crate::command::{self, Args, Command, OwnedArgs, Run};
use crate::core::{Load, LoadFailure, Portion, Shared, UnknownEffect};
use crate::extent::{Extent, Far};
use crate::faults::{self, Point};
use crate::ids::{ReactorId, Stamp};
use crate::journal::{Commands, Directory, Disk, Files, Manifest, Refusal, Replay, Snapshot, Writer};
use crate::reactor::{JournalStart, Order, Plant};
use crate::txn::{share_of, shares};

/// Bytes of commands that a reactor gets at once.
const LOAD_BYTES: usize = 1 << 20;
/// How many such it may have before more are read.
const LOADS_AHEAD: usize = 4;
/// After so many batches it is seen how far it is.
const BATCHES_BETWEEN_LOOKS: u64 = 256;
/// How often the log tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Why the state could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{}", .0.effect)]
    Effect(LoadFailure),
    #[error("can't write to {}: {cause}", path.display())]
    Begin { path: Box<Path>, cause: io::Error },
    #[error("a reactor stopped while the data were loaded")]
    Reactor,
}

impl From<LoadFailure> for LoadError {
    fn from(failure: LoadFailure) -> Self {
        Self::Effect(failure)
    }
}

impl LoadError {
    /// With the place in the journal, if it is about a batch of it.
    fn placed(self, disk: &Directory) -> Self {
        let Self::Effect(LoadFailure { stamp: Some(stamp), effect }) = &self else { return self };
        match reread(disk, *stamp, |replay| replay.effect_refusal(*stamp, effect.to_string())) {
            Ok(Some(refusal)) | Err(refusal) => Self::Refused(refusal),
            Ok(None) => self,
        }
    }
}

/// Reads up to the batch once more, and asks about it: only its stamp is known.
fn reread<T>(
    disk: &Directory,
    stamp: Stamp,
    ask: impl FnOnce(&Replay<'_, Directory>) -> T,
) -> Result<Option<T>, Refusal> {
    let mut replay = Replay::open(disk)?;
    while let Some((at, _)) = replay.next_batch()? {
        if at == stamp {
            return Ok(Some(ask(&replay)));
        }
    }
    Ok(None)
}

/// What a reactor says when it is done with a load.
pub type Done = Result<ReactorId, LoadFailure>;

/// Loads the state of the directory into the reactors, and has them journal there from then on, if they are to.
pub fn load(plant: &Plant, shared: &Shared) -> Result<Files<Directory>, LoadError> {
    let config = shared.config();
    let [dir, name] = [&config.dir, &config.appenddirname].map(|path| path.path().unwrap_or(Path::new(".")));
    let path = std::path::absolute(dir.join(name)).unwrap_or_else(|_| dir.join(name));
    if !config.appendonly && !path.exists() {
        Loader::new(plant, shared).finish(None)?;
        return Ok(Files::new(Directory::new(path), Manifest::default()));
    }
    let begin = |cause| LoadError::Begin { path: path.clone().into(), cause };
    let disk = Directory::make(&path).map_err(begin)?;
    let mut replay = Replay::open(&disk)?;
    let snapshot = replay.snapshot()?;
    let mut loader = Loader::new(plant, shared);
    loader.extent.total = replay.journal_extent().total + snapshot.as_ref().map_or(0, Snapshot::bytes);
    shared.loads.note(loader.extent);
    faults::pass(Point::Load).map_err(begin)?;
    if let Some(snapshot) = snapshot {
        loader.take_snapshot(&replay, &snapshot)?;
    }
    loader.take_journal(&mut replay).map_err(|error| error.placed(&disk))?;
    if let Some((failed, first)) = shared.loads.failed()
        && let Some(place) = reread(&disk, first, |replay| replay.place(first))?
    {
        tracing::error!(
            "The data may not be what they were: {place}: the first of {failed} commands that took effect when they were written, and failed now"
        );
    }
    let mut recovered = replay.finish()?;
    if recovered.torn.is_some() {
        tracing::warn!("The end of the journal was torn by a crash: it is cut off and kept aside");
    }
    tracing::info!("DB loaded from the journal: {} commands in {:.3} s", loader.commands, loader.seconds());
    if !config.appendonly {
        shared.set_last_stamp(Stamp(recovered.next.0 - 1));
        loader.finish(None)?;
        return Ok(Files::new(disk, recovered.manifest));
    }
    let (file, open, aside) = recovered.begin(&disk, fastrand::u64(..), now_ms()).map_err(begin)?;
    aside.iter().for_each(|name| tracing::warn!("What was cut off is in {}", path.join(name).display()));
    shared.set_last_stamp(Stamp(file.first.0 - 1));
    loader.finish(Some(JournalStart { writer: Writer::new(file, config.appendfsync), file: open }))?;
    let mut files = Files::new(disk, recovered.manifest);
    files.clean().map_err(begin)?;
    Ok(files)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

struct Loader<'p> {
    plant: &'p Plant,
    shared: &'p Shared,
    slots: SlotMap,
    /// For each reactor: commands that it has not got yet, and how many loads it has.
    waiting: Vec<Portion>,
    under_way: Vec<usize>,
    sender: Sender<Done>,
    done: Receiver<Done>,
    /// Of the batch at hand.
    stamp: Stamp,
    commands: u64,
    /// Bytes of the snapshot and the journal.
    extent: Extent,
    began: Instant,
    told: Instant,
}

impl<'p> Loader<'p> {
    fn new(plant: &'p Plant, shared: &'p Shared) -> Self {
        let ((sender, done), reactors) = (channel(), shared.reactors());
        let now = Instant::now();
        shared.loads.begin(now_ms());
        Self {
            plant,
            shared,
            slots: SlotMap::new(reactors),
            waiting: vec![Portion::default(); reactors],
            stamp: Stamp::default(),
            under_way: vec![0; reactors],
            sender,
            done,
            commands: 0,
            extent: Extent::default(),
            began: now,
            told: now,
        }
    }

    fn owner(&self, key: &[u8]) -> ReactorId {
        ReactorId::from_index(self.slots.owner(Slot::of(key)))
    }

    /// Has all batches done again.
    fn take_journal<D: Disk>(&mut self, replay: &mut Replay<'_, D>) -> Result<(), LoadError> {
        let (mut batches, snapshot_bytes) = (0u64, self.extent.done);
        while let Some((stamp, batch)) = replay.next_batch()? {
            batches += 1;
            self.stamp = stamp;
            for command in Commands::of(batch).flatten() {
                let args = OwnedArgs::new(command.args);
                self.take(command.database, command.at_ms, args.as_args())?;
            }
            if batches.is_multiple_of(BATCHES_BETWEEN_LOOKS) {
                self.reach(snapshot_bytes + replay.journal_extent().done, (self.commands, "commands"));
            }
        }
        self.fence()
    }

    /// Has a command done by whom it concerns.
    fn take(&mut self, db: u32, at_ms: Option<u64>, args: Args<'_>) -> Result<(), LoadError> {
        self.commands += 1;
        let Some(row) = command::find_request(args) else {
            let (stamp, effect) = (Some(self.stamp), UnknownEffect::command(args));
            return Err(LoadFailure { stamp, effect }.into());
        };
        if row.replay().is_some() {
            return (0..self.waiting.len()).try_for_each(|index| self.give(index, db, at_ms, args));
        }
        let mut shares = shares(row, args, |key| self.owner(key));
        match &mut shares[..] {
            [] => Ok(()),
            [only] => self.give(only.shard.index(), db, at_ms, args),
            _ if matches!(row.run, Run::Scatter(..)) => shares.iter().try_for_each(|share| {
                let mut spans = Vec::new();
                self.give(share.shard.index(), db, at_ms, share_of(row, args, share, &mut spans))
            }),
            [first, ..] => self.take_together(first.shard, db, at_ms, row, args),
        }
    }

    /// Gives all keys of the snapshot to all reactors: each looks for its own.
    fn take_snapshot<D: Disk>(
        &mut self,
        replay: &Replay<'_, D>,
        snapshot: &Snapshot<D::File>,
    ) -> Result<(), LoadError> {
        let clock = snapshot.head().clock;
        let mut keys = 0;
        for &place in snapshot.chunks() {
            let chunk = snapshot.chunk(place).map_err(|error| replay.snapshot_refusal(error))?;
            let chunk = Arc::new(chunk);
            for index in 0..self.waiting.len() {
                self.order(index, Load::Keys { chunk: Arc::clone(&chunk), clock })?;
                self.wait_for_room(index)?;
            }
            keys += u64::from(place.keys);
            self.shared.loads.note_snapshot_keys(keys);
            self.reach(self.extent.done + place.len, (keys, "keys"));
            faults::pass(Point::LoadPart).map_err(|cause| replay.snapshot_refusal(cause.into()))?;
        }
        self.fence()?;
        tracing::info!("DB loaded from the snapshot: {keys} keys in {:.3} s", self.seconds());
        Ok(())
    }

    fn give(&mut self, index: usize, db: u32, at_ms: Option<u64>, args: Args<'_>) -> Result<(), LoadError> {
        self.waiting[index].push(self.stamp, db, at_ms, args);
        if self.waiting[index].len() < LOAD_BYTES {
            return Ok(());
        }
        self.flush(index)?;
        self.wait_for_room(index)
    }

    fn wait_for_room(&mut self, index: usize) -> Result<(), LoadError> {
        while self.under_way[index] >= LOADS_AHEAD {
            self.wait_for_one()?;
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<(), LoadError> {
        let effects = std::mem::take(&mut self.waiting[index]);
        if effects.is_empty() { Ok(()) } else { self.order(index, Load::Effects(effects)) }
    }

    fn order(&mut self, index: usize, load: Load) -> Result<(), LoadError> {
        self.tell(index, Order::Load { load, done: self.sender.clone() })
    }

    fn wait_for_one(&mut self) -> Result<(), LoadError> {
        let reactor = self.done.recv().map_err(|_| LoadError::Reactor)??;
        self.under_way[reactor.index()] -= 1;
        Ok(())
    }

    /// Waits until everything is done.
    fn fence(&mut self) -> Result<(), LoadError> {
        (0..self.waiting.len()).try_for_each(|index| self.flush(index))?;
        while self.under_way.iter().any(|&loads| loads > 0) {
            self.wait_for_one()?;
        }
        Ok(())
    }

    /// Its keys are on several shards.
    fn take_together(
        &mut self,
        first: ReactorId,
        db: u32,
        at_ms: Option<u64>,
        row: &Command,
        args: Args<'_>,
    ) -> Result<(), LoadError> {
        self.fence()?;
        self.order(
            first.index(),
            Load::Together { stamp: self.stamp, db, at_ms, command: row.id, args: args.into() },
        )?;
        self.fence()?;
        // Those who have lent have back what they lent.
        (0..self.waiting.len()).try_for_each(|index| self.order(index, Load::Rest))?;
        self.fence()
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// So many bytes have been read; the log tells how far that is now and then.
    fn reach(&mut self, bytes: u64, count: (u64, &'static str)) {
        self.extent.done = bytes;
        self.shared.loads.note(self.extent);
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            tracing::info!("Loading: {}", Far { extent: self.extent, count, elapsed: self.began.elapsed() });
        }
    }

    /// All reactors journal, if they are to, and serve from now on: none serves before all journal, because what it is
    /// asked may be done by any.
    fn finish(&mut self, start: Option<JournalStart>) -> Result<(), LoadError> {
        self.shared.saves.set_journalled(start.is_some());
        if let Some(start) = start {
            let mut start = Some(Box::new(start));
            for index in 0..self.waiting.len() {
                self.tell(index, Order::Journal { start: start.take(), done: self.sender.clone() })?;
            }
            self.fence()?;
        }
        for index in 0..self.waiting.len() {
            self.tell(index, Order::Loaded { done: self.sender.clone() })?;
        }
        self.fence()
    }

    /// Orders something that a reactor says is done.
    fn tell(&mut self, index: usize, order: Order) -> Result<(), LoadError> {
        self.under_way[index] += 1;
        self.plant.order(ReactorId::from_index(index), order).map_err(|_| LoadError::Reactor)
    }
}
