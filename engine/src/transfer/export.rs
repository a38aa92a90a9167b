//! `bobbin-server export DIR FILE`: the state of a data directory as one dump file.
//!
//! The file is of the version that redis-server 7.0 writes and loads. Fields of hashes that expire have no form there:
//! such a hash ends the export unless readers are said to know them. How keys were used is left out. Keys whose time is
//! over are written as they are; whoever loads the file drops them.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

use super::databases::Needed;
use super::offline::{Failures, Offline};
use super::{Meter, Stop, Stopped};
use crate::config::Config;
use crate::core::UnknownEffect;
use crate::extent::Extent;
use crate::journal::{BatchPlace, Directory, Disk, DiskFile, Recovered, Refusal, Replay, Snapshot};
use crate::limits::REDIS_VERSION;
use crate::rdb::{Checksum, Compression, FileWriter};
use crate::startup::data_dir::{DataDir, DataDirError};
use crate::startup::state_dir::{StateDir, StateDirError};
use crate::store::Entry;

/// The version of files that redis-server 7.0 knows all of.
const VERSION_OF_7_0: u16 = 10;
/// Of a new file; the umask takes away from it, as from any.
const MODE: u32 = 0o666;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// As [`StateDir::find`] takes it.
    pub dir: PathBuf,
    pub file: PathBuf,
    /// A file that is there already is replaced.
    pub force: bool,
    pub source: Source,
    pub readers: Readers,
    /// As in the server's configuration.
    pub databases: u32,
}

/// What of a directory is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The snapshot and the journal after it, of a directory that no server runs on.
    #[default]
    State,
    /// The last snapshot, whether a server runs or not.
    Snapshot,
}

/// Who is to load the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    #[default]
    From7_0,
    From7_4,
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Nowhere(#[from] StateDirError),
    #[error(transparent)]
    Dir(DataDirError),
    #[error("the data directory {} is in use by {holder}. Stop that server first; or have it make a snapshot with BGSAVE, and give --snapshot, which exports the last one while the server runs", path.display())]
    InUse { path: PathBuf, holder: String },
    #[error("there is no snapshot in {} yet: have the server make one with BGSAVE", .0.display())]
    NoSnapshot(PathBuf),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0}. --databases says how many there are, as in the server's configuration")]
    Database(UnknownEffect),
    #[error(transparent)]
    Effect(UnknownEffect),
    #[error("{} is there already. Name another file, or give --force to replace it", .0.display())]
    Exists(PathBuf),
    #[error("can't write {}: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error(
        "the hash {key} in database {database} has fields that expire, which Redis knows from 7.4 on: an older one loads no file that has it. Give --redis 7.4 if yours is as new"
    )]
    Fields { key: String, database: u32 },
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What has been exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub keys: u64,
    pub databases: usize,
    /// The highest of their numbers.
    pub last_database: Option<u32>,
    pub bytes: u64,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, databases, last_database: last, bytes } = *self;
        let needed = Needed { last, how: "start redis-server with --databases" };
        write!(f, "{keys} keys in {databases} databases, {bytes} bytes{needed}")
    }
}

impl From<DataDirError> for ExportError {
    fn from(error: DataDirError) -> Self {
        match error {
            DataDirError::InUse { path, holder } => Self::InUse { path, holder },
            other => Self::Dir(other),
        }
    }
}

impl From<UnknownEffect> for ExportError {
    fn from(effect: UnknownEffect) -> Self {
        match effect {
            UnknownEffect::Database(_) => Self::Database(effect),
            other => Self::Effect(other),
        }
    }
}

impl Export {
    pub fn run(&self, meter: &mut Meter<impl Write>, stop: &Stop) -> Result<Exported, ExportError> {
        let StateDir { data_dir, path } = StateDir::find(&self.dir)?;
        let disk = Directory::new(path);
        let target = Target::new(self)?;
        match self.source {
            Source::Snapshot => {
                let (replay, snapshot) = Replay::open_snapshot(&disk)?;
                let snapshot = snapshot.ok_or_else(|| ExportError::NoSnapshot(disk.path().to_owned()))?;
                Writing::new(self, target, meter, stop)?.write_snapshot(&replay, &snapshot)
            }
            Source::State => {
                let _held = DataDir::hold_if_used(&data_dir)?;
                self.export_state(&disk, target, meter, stop)
            }
        }
    }

    fn export_state(
        &self,
        disk: &Directory,
        target: Target<'_>,
        meter: &mut Meter<impl Write>,
        stop: &Stop,
    ) -> Result<Exported, ExportError> {
        let (mut ahead, replay) = (Replay::open(disk)?, Replay::open(disk)?);
        let snapshot = replay.snapshot()?;
        if ahead.next_batch()?.is_some() {
            let offline = self.recover(replay, snapshot, meter, stop)?;
            return Writing::new(self, target, meter, stop)?.write_keyspace(&offline);
        }
        tell_if_torn(&ahead.finish()?, meter);
        let writing = Writing::new(self, target, meter, stop)?;
        match snapshot {
            Some(snapshot) => writing.write_snapshot(&replay, &snapshot),
            None => writing.finish(),
        }
    }

    /// The snapshot and the journal after it, up to where that is whole.
    fn recover<D: Disk>(
        &self,
        mut replay: Replay<'_, D>,
        snapshot: Option<Snapshot<D::File>>,
        meter: &mut Meter<impl Write>,
        stop: &Stop,
    ) -> Result<Offline, ExportError> {
        let mut offline = Offline::new(self.databases);
        meter.begin("reading");
        let mut extent = Extent { done: 0, total: replay.journal_extent().total };
        if let Some(snapshot) = snapshot {
            extent.total += snapshot.bytes();
            let clock = snapshot.head().clock;
            for &place in snapshot.chunks() {
                stop.check()?;
                let chunk = snapshot.chunk(place).map_err(|error| replay.snapshot_refusal(error))?;
                offline.take_chunk(chunk, clock)?;
                extent.done += place.len;
                meter.show(extent, offline.keyspace().len() as u64);
            }
        }
        let snapshot_bytes = extent.done;
        let mut failed = Failed::default();
        while let Some((stamp, batch)) = replay.next_batch()? {
            stop.check()?;
            let failures = offline.take_batch(batch).map_err(|effect| match effect {
                UnknownEffect::Database(_) => effect.into(),
                other => ExportError::Refused(replay.effect_refusal(stamp, other.to_string())),
            })?;
            failed.take(failures, || replay.place(stamp));
            extent.done = snapshot_bytes + replay.journal_extent().done;
            meter.show(extent, offline.keyspace().len() as u64);
        }
        failed.tell(meter);
        tell_if_torn(&replay.finish()?, meter);
        Ok(offline)
    }
}

/// Commands of the journal that have failed.
#[derive(Debug, Default)]
struct Failed {
    count: u64,
    first: Option<(BatchPlace, UnknownEffect)>,
}

impl Failed {
    fn take(&mut self, failures: Failures, place: impl FnOnce() -> BatchPlace) {
        self.count += failures.count;
        if self.first.is_none() {
            self.first = failures.first.map(|first| (place(), first));
        }
    }

    fn tell(&self, meter: &mut Meter<impl Write>) {
        if let Some((place, first)) = &self.first {
            meter.warn(format_args!(
                "what is exported may not be what the data were: {place}: {first}; it is the first of {} that fail. It is what a start goes on with, unless propagation-error-behavior is panic",
                self.count
            ));
        }
    }
}

fn tell_if_torn(recovered: &Recovered, meter: &mut Meter<impl Write>) {
    if recovered.torn.is_some() {
        meter.warn(format_args!(
            "the end of the journal was torn by a crash: what is exported is the state before it, as a start would load it"
        ));
    }
}

/// The file to be, under another name until it is whole.
#[derive(Debug)]
struct Target<'e> {
    path: &'e Path,
    dir: &'e Path,
    force: bool,
    file: NamedTempFile,
}

impl<'e> Target<'e> {
    fn new(export: &'e Export) -> Result<Self, ExportError> {
        let (path, force) = (export.file.as_path(), export.force);
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !force && fs::symlink_metadata(path).is_ok() {
            return Err(ExportError::Exists(path.to_owned()));
        }
        let write = |cause| ExportError::Write { path: path.to_owned(), cause };
        let name = path.file_name().ok_or_else(|| write(io::ErrorKind::IsADirectory.into()))?;
        let mut prefix = name.to_owned();
        prefix.push(".");
        let mut temporary = tempfile::Builder::new();
        temporary.prefix(&prefix).suffix(".new").permissions(Permissions::from_mode(MODE));
        let file = temporary.tempfile_in(dir).map_err(write)?;
        Ok(Self { path, dir, force, file })
    }

    fn failure(&self, cause: io::Error) -> ExportError {
        ExportError::Write { path: self.path.to_owned(), cause }
    }

    /// Makes the file durable, and gives it its name. Returns its length.
    fn install(self) -> Result<u64, ExportError> {
        let Self { path, dir, force, file } = self;
        let write = |cause| ExportError::Write { path: path.to_owned(), cause };
        file.as_file().sync_all().map_err(write)?;
        let len = DiskFile::len(file.as_file()).map_err(write)?;
        let installed = if force { file.persist(path) } else { file.persist_noclobber(path) };
        installed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ExportError::Exists(path.to_owned()),
            _ => write(error.error),
        })?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(write)?;
        Ok(len)
    }
}

/// A dump file being written.
struct Writing<'e, W: Write> {
    out: FileWriter<File>,
    target: Target<'e>,
    readers: Readers,
    meter: &'e mut Meter<W>,
    stop: &'e Stop,
    exported: Exported,
}

impl<'e, W: Write> Writing<'e, W> {
    fn new(
        export: &'e Export,
        target: Target<'e>,
        meter: &'e mut Meter<W>,
        stop: &'e Stop,
    ) -> Result<Self, ExportError> {
        let file = target.file.as_file().try_clone().map_err(|cause| target.failure(cause))?;
        let mut out = FileWriter::new(file, Compression::On, Checksum::Checked);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let facts: [(&str, &str); 5] = [
            ("redis-ver", REDIS_VERSION),
            ("redis-bits", "64"),
            ("ctime", &now.as_secs().to_string()),
            ("aof-base", "0"),
            ("bobbin-ver", env!("CARGO_PKG_VERSION")),
        ];
        for (name, value) in facts {
            out.fact(name, value.as_bytes()).map_err(|cause| target.failure(cause))?;
        }
        meter.begin("writing");
        Ok(Self { out, target, readers: export.readers, meter, stop, exported: Exported::default() })
    }

    /// A database after the other, chunk by chunk.
    fn write_snapshot<D: Disk>(
        mut self,
        replay: &Replay<'_, D>,
        snapshot: &Snapshot<D::File>,
    ) -> Result<Exported, ExportError> {
        let limits = Config::default().value_limits(&mut fastrand::Rng::new());
        let mut extent = Extent { done: 0, total: snapshot.bytes() };
        let mut buffer = Vec::new();
        let mut places = snapshot.chunks().to_vec();
        places.sort_by_key(|place| place.database);
        // Every database that has chunks has a tally, and the other way round.
        let databases = places.chunk_by(|a, b| a.database == b.database);
        for (tally, places) in snapshot.tallies().iter().zip(databases) {
            self.begin_database(tally.database, tally.keys, tally.expiring)?;
            for &place in places {
                let refused = |error| replay.snapshot_refusal(error);
                for key in snapshot.keys(place, &mut buffer).map_err(refused)? {
                    let entry = key.map_err(refused)?.entry(&limits);
                    let entry = entry.map_err(|error| UnknownEffect::value(place.at, &error))?;
                    self.write(tally.database, &entry)?;
                }
                extent.done += place.len;
                self.meter.show(extent, self.exported.keys);
            }
        }
        self.finish()
    }

    fn write_keyspace(mut self, offline: &Offline) -> Result<Exported, ExportError> {
        let keyspace = offline.keyspace();
        let entries_memory = keyspace.iter().map(|db| db.memory() - db.table_memory()).sum::<usize>();
        let mut extent = Extent { done: 0, total: entries_memory as u64 };
        for (number, db) in keyspace.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            let number = number as u32;
            self.begin_database(number, db.len() as u64, db.volatile_len() as u64)?;
            for entry in db.iter() {
                self.write(number, entry)?;
                extent.done += entry.memory() as u64;
                self.meter.show(extent, self.exported.keys);
            }
        }
        self.finish()
    }

    fn begin_database(&mut self, number: u32, keys: u64, expiring: u64) -> Result<(), ExportError> {
        self.exported.databases += 1;
        self.exported.last_database = self.exported.last_database.max(Some(number));
        let begun = self.out.database(number.into(), keys, expiring);
        begun.map_err(|cause| self.target.failure(cause))
    }

    fn write(&mut self, database: u32, entry: &Entry) -> Result<(), ExportError> {
        self.stop.check()?;
        self.out.entry(entry, None).map_err(|cause| self.target.failure(cause))?;
        if self.readers == Readers::From7_0 && self.out.version_needed() > VERSION_OF_7_0 {
            return Err(ExportError::Fields { key: entry.key().escape_ascii().to_string(), database });
        }
        self.exported.keys += 1;
        Ok(())
    }

    fn finish(self) -> Result<Exported, ExportError> {
        let Self { out, target, exported, stop, .. } = self;
        out.finish().map_err(|cause| target.failure(cause))?;
        stop.check()?;
        Ok(Exported { bytes: target.install()?, ..exported })
    }
}
