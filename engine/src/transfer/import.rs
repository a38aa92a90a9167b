//! `bobbin-server import FILE DIR`: a dump file as the state of a data directory.
//!
//! It becomes a snapshot, from which a server starts with any number of reactors. What is read is what `rdb::file` reads:
//! every version up to Redis 7.4's. Keys whose time is over are left out, as redis-server leaves them out when it
//! loads; functions and what modules keep beside keys are passed over, and told.
//!
//! Refused: a directory that has keys, or a journal with anything behind its snapshot, and one that a server runs on.
//!
//! A key that a file has twice, which no server writes and redis-server does not load, is not found out: that would take
//! memory for all keys. A start serves the last of its values whose time is not over. All are counted, and are in what is
//! exported until a server has made a snapshot of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::databases::{DATABASES_MAX, Needed};
use super::{Meter, Stop, Stopped};
use crate::config::Config;
use crate::extent::Extent;
use crate::ids::Stamp;
use crate::journal::{
    Chunk, Clock, Directory, Disk as _, DiskFile as _, Files, Manifest, NewSnapshot, Refusal, Replay,
    SnapshotHead,
};
use crate::rdb::{Access, Checksum, Compression, FileError, FileReader, Item, Limits, Record};
use crate::startup::data_dir::{DataDir, DataDirError};
use crate::startup::state_dir::StateDir;
use crate::store::{Entry, EvictConfig, Policy};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub file: PathBuf,
    /// A data directory; made if it is not there.
    pub dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("can't read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: FileError },
    #[error("{}: at byte {at}: a key in database {database}; the last there may be is {last}", path.display(), last = DATABASES_MAX - 1)]
    Database { path: PathBuf, at: u64, database: u64 },
    #[error(transparent)]
    Dir(#[from] DataDirError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{} has data already. Name a directory that has none, or move those away", .0.display())]
    NotEmpty(PathBuf),
    #[error("can't write to {}: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What has been imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub keys: u64,
    pub databases: BTreeSet<u32>,
    /// Keys that are left out because their time is over.
    pub expired: u64,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, databases, expired } = self;
        write!(f, "{keys} keys in {} databases", databases.len())?;
        if *expired > 0 {
            write!(f, ", {expired} left out whose time is over")?;
        }
        let last = databases.last().copied();
        write!(f, "{}", Needed { last, how: "start the server with --databases" })
    }
}

impl Import {
    pub fn run(&self, meter: &mut Meter<impl Write>, stop: &Stop) -> Result<Imported, ImportError> {
        let read = |cause| ImportError::Read { path: self.file.clone(), cause };
        let source = File::open(&self.file).map_err(read)?;
        let total = source.len().map_err(read)?;
        let mut reader = FileReader::open(source, Checksum::Checked, usize::MAX)
            .map_err(|error| self.file_error(error))?;
        let config = Config { dir: self.dir.as_os_str().as_bytes().into(), ..Config::default() };
        let held = DataDir::open(&config)?;
        let path = StateDir::of(held.path()).path;
        let disk = Directory::make(&path).map_err(|cause| ImportError::Write { path, cause })?;
        let empty = Empty::of(&disk)?;
        let mut taker = Taker::new(&disk, empty.stamp);
        meter.begin("importing");
        let mut functions = 0;
        while let Some(item) = reader.next_item().map_err(|error| self.file_error(error))? {
            match item {
                Item::Key(record) => self.take(&mut taker, &record)?,
                Item::Fact { name: b"aof-base", value: b"1" } => meter.warn(format_args!(
                    "{} is the base of an append-only file: what the files after it have is not in it",
                    self.file.display()
                )),
                Item::Functions { .. } => functions += 1,
                Item::Module { name } => {
                    meter.warn(format_args!("what the module {name} keeps beside its keys is left out"));
                }
                Item::Fact { .. } | Item::Sizes { .. } => {}
            }
            stop.check()?;
            meter.show(Extent { done: reader.offset(), total }, taker.imported.keys);
        }
        if functions > 0 {
            meter.warn(format_args!("libraries of functions are left out: {functions}"));
        }
        stop.check()?;
        taker.finish(empty.manifest).map_err(|cause| write_error(&disk, cause))
    }

    fn file_error(&self, error: FileError) -> ImportError {
        ImportError::File { path: self.file.clone(), error }
    }

    fn take(&self, taker: &mut Taker<'_>, record: &Record<'_>) -> Result<(), ImportError> {
        let database = record.database;
        let number = u32::try_from(database).ok().filter(|&number| number < DATABASES_MAX);
        let number = number.ok_or_else(|| {
            let path = self.file.clone();
            ImportError::Database { path, at: record.at, database }
        })?;
        let entry = record.entry(&taker.limits).map_err(|error| self.file_error(error))?;
        if taker.is_over(record) {
            taker.imported.expired += 1;
            return Ok(());
        }
        taker.take(number, &entry, record.access).map_err(|cause| write_error(taker.disk, cause))
    }
}

fn write_error(disk: &Directory, cause: io::Error) -> ImportError {
    ImportError::Write { path: disk.path().to_owned(), cause }
}

/// A directory that has no keys. It may have files: a snapshot of nothing, and a journal without batches.
struct Empty {
    manifest: Manifest,
    /// No batch and no snapshot of the directory has it.
    stamp: Stamp,
}

impl Empty {
    fn of(disk: &Directory) -> Result<Self, ImportError> {
        let mut replay = Replay::open(disk)?;
        let has_keys =
            replay.snapshot()?.is_some_and(|snapshot| snapshot.tallies().iter().any(|tally| tally.keys > 0));
        let is_empty = !has_keys && replay.next_batch()?.is_none();
        let recovered = replay.finish()?;
        if is_empty && recovered.torn.is_none() {
            Ok(Self { manifest: recovered.manifest, stamp: recovered.next })
        } else {
            Err(ImportError::NotEmpty(disk.path().to_owned()))
        }
    }
}

/// Values on their way into a snapshot.
struct Taker<'d> {
    disk: &'d Directory,
    /// Of the snapshot.
    stamp: Stamp,
    now_ms: u64,
    limits: Limits,
    /// Of the first key: a file has the clocks of one policy.
    clock: Clock,
    chunk: Chunk,
    /// From the first chunk on.
    file: Option<NewSnapshot<Directory>>,
    imported: Imported,
}

impl<'d> Taker<'d> {
    fn new(disk: &'d Directory, stamp: Stamp) -> Self {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Self {
            disk,
            stamp,
            now_ms,
            limits: Config::default().value_limits(&mut fastrand::Rng::new()),
            clock: Clock::None,
            chunk: Chunk::new(0),
            file: None,
            imported: Imported::default(),
        }
    }

    /// Whether its time is over. Source: redis-server 7.0.15, which loads what expires at this very moment.
    fn is_over(&self, record: &Record<'_>) -> bool {
        record.expiry_ms.is_some_and(|at_ms| at_ms < self.now_ms)
    }

    fn take(&mut self, database: u32, entry: &Entry, access: Option<Access>) -> io::Result<()> {
        if self.imported.keys == 0 {
            self.clock = match access {
                Some(Access::IdleSecs(_)) => Clock::Lru,
                Some(Access::Frequency(_)) => Clock::Lfu,
                None => Clock::None,
            };
        }
        if self.chunk.is_full() || self.chunk.tally().database != database {
            self.flush()?;
            self.chunk.restart(database);
        }
        self.chunk.push(entry, self.access_clock(access));
        self.imported.keys += 1;
        self.imported.databases.insert(database);
        Ok(())
    }

    fn access_clock(&self, access: Option<Access>) -> Option<u32> {
        let of = |policy| EvictConfig { policy, ..EvictConfig::default() };
        match (self.clock, access?) {
            (Clock::Lru, Access::IdleSecs(secs)) => {
                Some(of(Policy::AllKeysLru).access_for_idle_time(secs, self.now_ms))
            }
            (Clock::Lfu, Access::Frequency(frequency)) => {
                Some(of(Policy::AllKeysLfu).access_for_frequency(frequency, self.now_ms))
            }
            _ => None,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let mut file = self.file.take().map_or_else(|| self.create(), Ok)?;
        file.append(&mut self.chunk, true)?;
        self.file = Some(file);
        Ok(())
    }

    fn create(&self) -> io::Result<NewSnapshot<Directory>> {
        let head = SnapshotHead { stamp: self.stamp, made_ms: self.now_ms, clock: self.clock };
        NewSnapshot::create(self.disk, head, Compression::On)
    }

    /// Makes what has been taken the state.
    fn finish(mut self, manifest: Manifest) -> io::Result<Imported> {
        self.flush()?;
        let file = self.file.take().map_or_else(|| self.create(), Ok)?;
        // Should the end come in between, there is a manifest that does without the snapshot.
        manifest.store(self.disk)?;
        let mut files = Files::new(self.disk.clone(), manifest);
        file.install(&mut files, Some(Vec::new()))?;
        files.clean()?;
        Ok(self.imported)
    }
}
