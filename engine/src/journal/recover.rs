//! From files to state: the batches of all of them in order, and what is to be done about how they end.
//!
//! Reading changes nothing: cutting is asked for (see `cut`).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::batch::Commands;
use super::scan::{Ending, Scan};
use super::snapshot::{self, Snapshot, SnapshotError};
use super::{Cut, Disk, DiskFile, FileId, HeaderError, JournalFile, Listed, Manifest, ManifestError};
use crate::extent::Extent;
use crate::ids::Stamp;

/// What is to be done about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Fine,
    /// A crash may have left it so: what is broken was never said to be durable, and is cut off.
    Torn,
    /// No crash leaves it so: the start stops, and nothing is changed.
    Damage,
}

use Verdict::{Damage, Fine, Torn};

/// What to do, by how a file ends and whether it is the last.
///
/// A file that is not the last was durable to its end before the next one was listed, so a crash explains nothing
/// there. In the last one it explains all bytes behind those last synced, in part or lost, in any order; only a
/// group that was written later and says how far the file was durable tells damage from that. Stamps and batches that
/// do not fit have the right checksum: whoever wrote them wrote them so.
#[rustfmt::skip]
const VERDICTS: [(Ending, Verdict, Verdict); 5] = [
    // how it ends            last    earlier
    (Ending::Whole,           Fine,   Fine),
    (Ending::Broken,          Torn,   Damage),
    (Ending::BrokenDurable,   Damage, Damage),
    (Ending::OutOfOrder,      Damage, Damage),
    (Ending::Malformed,       Damage, Damage),
];

fn verdict(ending: Ending, is_last: bool) -> Verdict {
    let row = VERDICTS.iter().find(|row| row.0 == ending);
    row.map_or(Damage, |&(_, last, earlier)| if is_last { last } else { earlier })
}

/// Where a batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    pub path: PathBuf,
    /// The byte at which the group begins that the batch is in.
    pub at: u64,
    pub stamp: Stamp,
}

impl fmt::Display for BatchPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, at, stamp } = self;
        write!(f, "{}: in the group at byte {at}, of stamp {}", path.display(), stamp.0)
    }
}

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("can't read {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{}: {what}", path.display())]
    Newer { path: PathBuf, what: String },
    #[error("{place}: {what}. Nothing has been changed. To have what is before it, keep a copy of the directory, cut the file there (truncate -s {}), and have `bobbin-server check {} --repair` put the files after it aside", place.at, dir.display())]
    Effect { dir: PathBuf, place: BatchPlace, what: String },
    #[error("{} is damaged at byte {at}: {what}. Nothing has been changed. {}", path.display(), remedy(dir, *cut))]
    Damaged {
        dir: PathBuf,
        path: PathBuf,
        at: u64,
        what: String,
        /// What is to be cut to have a state that is whole; nothing helps where there is none.
        cut: Option<Cut>,
    },
}

fn remedy(dir: &Path, cut: Option<Cut>) -> String {
    let dir = dir.display();
    match cut {
        Some(_) => format!(
            "`bobbin-server check {dir}` tells what is whole; with --repair it keeps that, and puts the rest aside"
        ),
        None => format!(
            "`bobbin-server check {dir}` tells what else there is; put back a copy of this file, or of the directory"
        ),
    }
}

/// The state of a directory, batch by batch.
#[derive(Debug)]
pub struct Replay<'d, D: Disk> {
    disk: &'d D,
    manifest: Manifest,
    /// The file being read, if there is one.
    scan: Option<Scan<D::File>>,
    journal: usize,
    /// Bytes of all journal files, when they were looked at first.
    journal_lens: Vec<u64>,
    torn: Option<Cut>,
    is_over: bool,
}

/// A state, and its snapshot if it has one.
pub(super) type WithSnapshot<'d, D> = (Replay<'d, D>, Option<Snapshot<<D as Disk>::File>>);

impl<'d, D: Disk> Replay<'d, D> {
    /// Reads the manifest and looks whether all its files are there. A directory without files is an empty state.
    pub fn open(disk: &'d D) -> Result<Self, Refusal> {
        let mut replay = Self::of(disk, load_manifest(disk)?);
        replay.check_journals()?;
        replay.is_over = !replay.begin_journal()?;
        Ok(replay)
    }

    /// The snapshot alone: there are no batches. A server may run on the directory meanwhile, and put another snapshot
    /// in the place of this one; an open file stays.
    pub fn open_snapshot(disk: &'d D) -> Result<WithSnapshot<'d, D>, Refusal> {
        let open = || {
            let mut manifest = load_manifest(disk)?;
            manifest.journals.clear();
            Ok(Self { is_over: true, ..Self::of(disk, manifest) })
        };
        let mut replay = open()?;
        loop {
            match replay.snapshot() {
                Ok(snapshot) => return Ok((replay, snapshot)),
                Err(refusal) => {
                    let now = open()?;
                    if now.manifest.snapshot == replay.manifest.snapshot {
                        return Err(refusal);
                    }
                    replay = now;
                }
            }
        }
    }

    fn of(disk: &'d D, manifest: Manifest) -> Self {
        Self { disk, manifest, scan: None, journal: 0, journal_lens: Vec::new(), torn: None, is_over: false }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The stamp behind the last batch that has been read.
    pub fn reached(&self) -> Stamp {
        self.scan.as_ref().map_or(Stamp(1), Scan::next)
    }

    /// Bytes of the journal: of all files, and of what has been read.
    pub fn journal_extent(&self) -> Extent {
        let total = self.journal_lens.iter().sum();
        let before = self.journal_lens.iter().take(self.journal).sum::<u64>();
        let done = before + self.scan.as_ref().map_or(0, Scan::group_at);
        Extent { done: if self.is_over { total } else { done }, total }
    }

    /// The snapshot, if the state has one. The batches come after it.
    pub fn snapshot(&self) -> Result<Option<Snapshot<D::File>>, Refusal> {
        let (Some(name), Some(stamp)) = (self.manifest.snapshot_name(), self.manifest.snapshot) else {
            return Ok(None);
        };
        let file = self.open_file(&name, None)?;
        let snapshot = Snapshot::open(file).map_err(|error| self.snapshot_refusal(error))?;
        if snapshot.head().stamp != stamp {
            return Err(damaged(self.disk, &name, 0, "it is the snapshot of another stamp".into(), None));
        }
        Ok(Some(snapshot))
    }

    /// Why the start stops if the snapshot, or a chunk of it, cannot be read.
    pub fn snapshot_refusal(&self, error: SnapshotError) -> Refusal {
        let name = self.manifest.snapshot_name().unwrap_or_default();
        match error {
            SnapshotError::Io(cause) => io_refusal(self.disk, &name, cause),
            SnapshotError::Header(error) => self.header_refusal(&name, error, None),
            SnapshotError::Damaged { at, .. } => damaged(self.disk, &name, at, error.to_string(), None),
        }
    }

    /// The next batch that the snapshot does not have in it, with its stamp.
    pub fn next_batch(&mut self) -> Result<Option<(Stamp, &[u8])>, Refusal> {
        if !self.advance()? {
            return Ok(None);
        }
        // Found there a moment ago, and still held in memory.
        let batch = self.scan.as_mut().map_or(Ok(None), Scan::next_batch);
        batch.map_err(|cause| io_refusal(self.disk, &self.manifest.journal_name(self.journal), cause))
    }

    /// Where the batch last read is, which has this stamp.
    pub fn place(&self, stamp: Stamp) -> BatchPlace {
        let path = self.disk.path().join(self.manifest.journal_name(self.journal));
        BatchPlace { path, at: self.scan.as_ref().map_or(0, Scan::group_at), stamp }
    }

    /// Why the state ends before the batch last read: it is whole, and cannot be done again.
    pub fn effect_refusal(&self, stamp: Stamp, what: String) -> Refusal {
        Refusal::Effect { dir: self.disk.path().to_owned(), place: self.place(stamp), what }
    }

    /// What has been read, once there is no more.
    pub fn finish(mut self) -> Result<Recovered, Refusal> {
        while self.next_batch()?.is_some() {}
        let journal_next = self.reached();
        let next = self.manifest.snapshot.map_or(journal_next, |stamp| journal_next.max(stamp.next()));
        Ok(Recovered { manifest: self.manifest, journal_next, next, torn: self.torn })
    }
}

/// Going from batch to batch, from group to group, from file to file.
impl<D: Disk> Replay<'_, D> {
    /// Goes to before a batch that is wanted; false if there is none.
    fn advance(&mut self) -> Result<bool, Refusal> {
        while !self.is_over {
            if self.is_before_batch()? {
                return Ok(true);
            }
            let ending = self.with_scan(Scan::next_group)?;
            if let Some(ending) = ending {
                self.end_journal(ending)?;
            }
        }
        Ok(false)
    }

    /// Passes over batches that the snapshot has in it. Every batch is looked at: commands are there whole, or the
    /// batch is refused before any of them is run.
    fn is_before_batch(&mut self) -> Result<bool, Refusal> {
        loop {
            let after = self.manifest.snapshot.unwrap_or_default();
            let Some(scan) = &mut self.scan else { return Ok(false) };
            let peeked = scan.peek_batch().map(|batch| {
                batch.map(|(stamp, batch)| (stamp, Commands::of(batch).all(|command| command.is_ok())))
            });
            let name = self.manifest.journal_name(self.journal);
            match peeked.map_err(|cause| io_refusal(self.disk, &name, cause))? {
                None => return Ok(false),
                Some((_, false)) => return self.end_journal(Ending::Malformed).map(|()| false),
                Some((stamp, true)) if stamp > after => return Ok(true),
                Some(_) => self.with_scan(|scan| scan.next_batch().map(|_| ()))?,
            }
        }
    }

    fn with_scan<T>(&mut self, run: impl FnOnce(&mut Scan<D::File>) -> io::Result<T>) -> Result<T, Refusal>
    where
        T: Default,
    {
        let done = self.scan.as_mut().map_or_else(|| Ok(T::default()), run);
        done.map_err(|cause| io_refusal(self.disk, &self.manifest.journal_name(self.journal), cause))
    }

    fn end_journal(&mut self, ending: Ending) -> Result<(), Refusal> {
        let is_last = self.journal + 1 == self.manifest.journals.len();
        let Some(scan) = &self.scan else { return Ok(()) };
        let at = if ending == Ending::Malformed { scan.group_at() } else { scan.whole_len() };
        let cut = Cut { journal: self.journal, at, len: scan.file_len() - at };
        match verdict(ending, is_last) {
            Fine if is_last => self.is_over = true,
            Fine => {
                self.journal += 1;
                self.begin_journal()?;
            }
            Torn => (self.torn, self.is_over) = (Some(cut), true),
            Damage => {
                let name = self.manifest.journal_name(self.journal);
                return Err(damaged(self.disk, &name, at, ending.text().into(), Some(cut)));
            }
        }
        Ok(())
    }

    /// Opens the file that is the turn's; false if there is none. It begins where the one before ended; the first
    /// begins where the snapshot ends, or before.
    fn begin_journal(&mut self) -> Result<bool, Refusal> {
        let Some(listed) = self.manifest.journals.get(self.journal).copied() else { return Ok(false) };
        let follows = match &self.scan {
            Some(scan) => listed.first == scan.next(),
            None => listed.first <= self.manifest.snapshot.unwrap_or_default().next(),
        };
        let (name, cut) = (listed.id.to_string(), Cut { journal: self.journal, at: 0, len: 0 });
        if !follows {
            let what = format!("the batches before stamp {} are in no file", listed.first.0);
            return Err(damaged(self.disk, &name, 0, what, Some(cut)));
        }
        let file = self.open_file(&name, Some(cut))?;
        let facts = JournalFile::read(&file).map_err(|error| self.header_refusal(&name, error, Some(cut)))?;
        let scan = Scan::new(file, facts).map_err(|cause| io_refusal(self.disk, &name, cause))?;
        self.scan = Some(scan);
        Ok(true)
    }

    /// What can be known before anything is read: files are there, and are those that the manifest means.
    fn check_journals(&mut self) -> Result<(), Refusal> {
        let mut lens = Vec::new();
        for (journal, listed) in self.manifest.journals.iter().enumerate() {
            let (name, cut) = (listed.id.to_string(), Cut { journal, at: 0, len: 0 });
            let file = self.open_file(&name, Some(cut))?;
            let facts =
                JournalFile::read(&file).map_err(|error| self.header_refusal(&name, error, Some(cut)))?;
            if (Listed { id: facts.id, first: facts.first }) != *listed {
                let what = "it is another file than the manifest means".to_owned();
                return Err(damaged(self.disk, &name, 0, what, Some(cut)));
            }
            lens.push(file.len().map_err(|cause| io_refusal(self.disk, &name, cause))?);
        }
        self.journal_lens = lens;
        Ok(())
    }

    fn open_file(&self, name: &str, cut: Option<Cut>) -> Result<D::File, Refusal> {
        self.disk.open(name).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => damaged(self.disk, name, 0, "it is not there".into(), cut),
            _ => io_refusal(self.disk, name, cause),
        })
    }

    fn header_refusal(&self, name: &str, error: HeaderError, cut: Option<Cut>) -> Refusal {
        match error {
            HeaderError::Io(cause) => io_refusal(self.disk, name, cause),
            HeaderError::Newer(_) => {
                Refusal::Newer { path: self.disk.path().join(name), what: error.to_string() }
            }
            HeaderError::Magic | HeaderError::Damaged => damaged(self.disk, name, 0, error.to_string(), cut),
        }
    }
}

fn io_refusal(disk: &impl Disk, name: &str, cause: io::Error) -> Refusal {
    Refusal::Io { path: disk.path().join(name), cause }
}

fn damaged(disk: &impl Disk, name: &str, at: u64, what: String, cut: Option<Cut>) -> Refusal {
    Refusal::Damaged { dir: disk.path().to_owned(), path: disk.path().join(name), at, what, cut }
}

fn load_manifest(disk: &impl Disk) -> Result<Manifest, Refusal> {
    match Manifest::load(disk) {
        Ok(Some(manifest)) => Ok(manifest),
        Ok(None) => no_manifest(disk),
        Err(ManifestError::Io(cause)) => Err(io_refusal(disk, Manifest::NAME, cause)),
        Err(error @ ManifestError::Damaged) => Err(damaged(disk, Manifest::NAME, 0, error.to_string(), None)),
        Err(error @ ManifestError::Newer(_)) => {
            Err(Refusal::Newer { path: disk.path().join(Manifest::NAME), what: error.to_string() })
        }
    }
}

/// A directory without a manifest has nothing in it yet; at most a journal file that was being made.
fn no_manifest(disk: &impl Disk) -> Result<Manifest, Refusal> {
    let in_dir = |cause| io_refusal(disk, "", cause);
    for name in disk.names().map_err(in_dir)? {
        let has_state = match FileId::from_name(&name) {
            Some(_) => {
                disk.open(&name).and_then(|file| file.len()).map_err(in_dir)? > JournalFile::HEADER_LEN
            }
            None => snapshot::stamp_of(&name).is_some(),
        };
        if has_state {
            let what = format!("it is not there, and {name} is");
            return Err(damaged(disk, Manifest::NAME, 0, what, None));
        }
    }
    Ok(Manifest::default())
}

/// A state that has been read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub manifest: Manifest,
    /// Of the batch that would be next in the last file.
    journal_next: Stamp,
    /// Of the next batch.
    pub next: Stamp,
    /// What a crash has torn, and is to be cut before anything is added.
    pub torn: Option<Cut>,
}

impl Recovered {
    /// Cuts what is torn, and makes a new file for the batches to come, listed by the manifest. Returns the names of
    /// what was put aside.
    pub fn begin<D: Disk>(
        &mut self,
        disk: &D,
        salt: u64,
        now_ms: u64,
    ) -> io::Result<(JournalFile, D::File, Vec<String>)> {
        let aside = self.torn.take().map_or(Ok(Vec::new()), |torn| torn.apply(disk, &mut self.manifest))?;
        let last = self.manifest.journals.last().map_or(FileId(0), |listed| listed.id);
        if last != FileId(0) {
            // What has been read may be in memory only, and would look like damage behind a file that follows.
            disk.open(&last.to_string())?.sync()?;
        }
        let facts = JournalFile { id: last.next(), first: self.next, salt, made_ms: now_ms };
        let file = facts.create(disk)?;
        if self.journal_next != self.next {
            // The snapshot was durable before the batches that it has in it were.
            self.manifest.journals.clear();
        }
        self.manifest.journals.push(Listed { id: facts.id, first: facts.first });
        self.manifest.store(disk)?;
        self.journal_next = self.next;
        Ok((facts, file, aside))
    }
}
