//! A disk in memory that does what disks do at the worst moment.
//!
//! What was not synced is lost in a crash, in part and in any order: of each write since the last sync all, nothing,
//! or the bytes up to any point remain, whatever becomes of the writes before and after it; of names that were
//! created, renamed and removed since the directory was synced, the first few. Writes are short, fail and fill the
//! disk as told.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

use bobbin_engine::journal::{Disk, DiskFile};
use fastrand::Rng;

#[derive(Clone, Debug, Default)]
struct Content {
    synced: Vec<u8>,
    now: Vec<u8>,
    /// Since the last sync.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, written) => {
                let (at, end) = (*at as usize, *at as usize + written.len());
                bytes.resize(bytes.len().max(end), 0);
                bytes[at..end].copy_from_slice(written);
            }
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.changes.push(change);
    }

    fn crash(&mut self, rng: &mut Rng) {
        let mut left = self.synced.clone();
        for change in &self.changes {
            match (rng.u8(..3), change) {
                (0, _) => {}
                (1, Change::Write(at, bytes)) => {
                    Change::Write(*at, bytes[..rng.usize(..=bytes.len())].to_vec()).apply(&mut left);
                }
                _ => change.apply(&mut left),
            }
        }
        *self = Self { synced: left.clone(), now: left, changes: Vec::new() };
    }
}

type Names = BTreeMap<String, Rc<RefCell<Content>>>;

/// A disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk {
    names: Rc<RefCell<Names>>,
    /// The names at the last sync, and after each change since.
    history: Rc<RefCell<Vec<Names>>>,
    faults: Rc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Operations that change something, so far.
    done: Cell<u64>,
    /// From this one on all fail: the machine is gone.
    stops_at: Cell<Option<u64>>,
    /// This one fails, once.
    fails_at: Cell<Option<(u64, io::ErrorKind)>>,
    /// Writes end after at most so many bytes.
    short: Cell<Option<usize>>,
    /// A sync that fails takes what it was to sync for synced from then on, as Linux does.
    forgets: Cell<bool>,
}

impl Faults {
    fn step(&self) -> io::Result<()> {
        let nth = self.done.replace(self.done.get() + 1);
        if self.stops_at.get().is_some_and(|stop| nth >= stop) {
            return Err(io::Error::other("the machine is gone"));
        }
        match self.fails_at.get() {
            Some((fails, kind)) if nth == fails => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

impl FaultyDisk {
    pub(crate) fn steps(&self) -> u64 {
        self.faults.done.get()
    }

    /// Everything fails after so many more changes.
    pub(crate) fn stop_after(&self, steps: u64) {
        self.faults.stops_at.set(Some(self.steps() + steps));
    }

    /// The change after so many fails.
    pub(crate) fn fail_after(&self, steps: u64, kind: io::ErrorKind) {
        self.faults.fails_at.set(Some((self.steps() + steps, kind)));
    }

    pub(crate) fn short_writes(&self, len_max: usize) {
        self.faults.short.set(Some(len_max));
    }

    /// What a failed sync should have synced is not synced by the next one.
    pub(crate) fn forget_when_syncs_fail(&self) {
        self.faults.forgets.set(true);
    }

    /// A copy as it would be if the power went now and came back, with no faults to come.
    pub(crate) fn crashed(&self, rng: &mut Rng) -> Self {
        let copy = Self::default();
        let content = |content: &Rc<RefCell<Content>>| Rc::new(RefCell::new(content.borrow().clone()));
        *copy.names.borrow_mut() =
            self.names.borrow().iter().map(|(name, now)| (name.clone(), content(now))).collect();
        copy.crash(rng);
        copy
    }

    /// The power goes and comes back.
    pub(crate) fn crash(&self, rng: &mut Rng) {
        self.restart();
        let mut history = self.history.borrow_mut();
        if !history.is_empty() {
            let left = rng.usize(..history.len());
            *self.names.borrow_mut() = history[left].clone();
        }
        history.clear();
        self.names.borrow().values().for_each(|content| content.borrow_mut().crash(rng));
    }

    /// The process ends and another begins; the kernel has it all.
    pub(crate) fn restart(&self) {
        self.faults.stops_at.set(None);
        self.faults.fails_at.set(None);
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.names.borrow()[name].borrow().now.clone()
    }

    /// As if it had always been so.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let content = Content { synced: bytes.to_vec(), now: bytes.to_vec(), changes: Vec::new() };
        self.names.borrow_mut().insert(name.to_owned(), Rc::new(RefCell::new(content)));
    }

    /// A copy that goes its own way.
    pub(crate) fn snapshot(&self) -> Self {
        let copy = Self::default();
        self.names.borrow().iter().for_each(|(name, content)| copy.put(name, &content.borrow().now));
        copy
    }

    fn change_names<T>(&self, change: impl FnOnce(&mut Names) -> io::Result<T>) -> io::Result<T> {
        self.faults.step()?;
        let mut names = self.names.borrow_mut();
        let mut history = self.history.borrow_mut();
        if history.is_empty() {
            history.push(names.clone());
        }
        let changed = change(&mut names);
        history.push(names.clone());
        changed
    }

    fn find(&self, name: &str) -> io::Result<Rc<RefCell<Content>>> {
        self.names.borrow().get(name).cloned().ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn path(&self) -> &Path {
        Path::new("/faulty")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.names.borrow().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile> {
        let content = match self.find(name) {
            Ok(content) => {
                self.faults.step()?;
                content.borrow_mut().change(Change::SetLen(0));
                content
            }
            Err(_) => self.change_names(|names| Ok(names.entry(name.to_owned()).or_default().clone()))?,
        };
        Ok(FaultyFile { content, faults: self.faults.clone() })
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        Ok(FaultyFile { content: self.find(name)?, faults: self.faults.clone() })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change_names(|names| {
            let content = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            names.insert(to.to_owned(), content);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change_names(|names| names.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into()))
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.step()?;
        self.history.borrow_mut().clear();
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct FaultyFile {
    content: Rc<RefCell<Content>>,
    faults: Rc<Faults>,
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.borrow().now.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let content = self.content.borrow();
        let rest = content.now.get(at as usize..).unwrap_or_default();
        let len = rest.len().min(bytes.len());
        bytes[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    /// What fails has written something all the same.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let len = self.faults.short.get().map_or(bytes.len(), |short| short.min(bytes.len()));
        let failed = self.faults.step();
        let written = if failed.is_ok() { len } else { len / 2 };
        self.content.borrow_mut().change(Change::Write(at, bytes[..written].to_vec()));
        failed.map(|()| len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.step()?;
        self.content.borrow_mut().change(Change::SetLen(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let outcome = self.faults.step();
        let mut content = self.content.borrow_mut();
        let Content { synced, changes, .. } = &mut *content;
        if outcome.is_ok() {
            changes.iter().for_each(|change| change.apply(synced));
        }
        let was_interrupted = outcome.as_ref().err().is_some_and(|error| {
            matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
        });
        if outcome.is_ok() || (self.faults.forgets.get() && !was_interrupted) {
            changes.clear();
        }
        outcome
    }
}
