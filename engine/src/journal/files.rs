//! The files of the state as they change while a server runs: whoever has this owns the manifest, and nobody else stores
//! it.
//!
//! ```text
//!  rotate    next journal file: header, name ─► manifest lists it ─► batches go there
//!  begin     first journal file: header, name ─► batches go there ─► installed with the snapshot of where it begins
//!  install   snapshot: synced, named ─► manifest lists it, and no journal file before it ─► those are removed
//! ```
//!
//! Invariants:
//! - Whatever step a crash comes after, what the manifest on disk lists is there, and is the state.
//! - Nothing is removed before a manifest that does without it is durable.
//! - If a manifest could not be put in place, either that or the one before may be on disk: both are right then, and stay
//!   so until one of the next has been stored. If it could not even be made, the one before is.

use std::io;

use super::{Disk, DiskFile as _, FileId, JournalFile, Listed, Manifest, SnapshotHead, StoreError};
use crate::ids::Stamp;

/// The manifest of a directory, and the directory.
#[derive(Debug)]
pub struct Files<D> {
    disk: D,
    manifest: Manifest,
    /// No journal file has a higher number, listed or not.
    last: FileId,
    /// Journal files that were given up as a whole.
    dropped: Vec<FileId>,
}

impl<D: Disk> Files<D> {
    /// Of a directory that has been read, or is about to be made.
    pub fn new(disk: D, manifest: Manifest) -> Self {
        let last = manifest.journals.last().map_or(FileId(0), |listed| listed.id);
        Self { disk, manifest, last, dropped: Vec::new() }
    }

    pub fn disk(&self) -> &D {
        &self.disk
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Has a manifest on disk: a directory that has other files and none is damaged.
    pub fn make_manifest(&mut self) -> io::Result<()> {
        if matches!(Manifest::load(&self.disk), Ok(None)) {
            self.store(self.manifest.clone())?;
        }
        Ok(())
    }

    /// Makes the journal file that begins with this stamp. It is not listed yet.
    pub fn make_journal(
        &mut self,
        first: Stamp,
        salt: u64,
        made_ms: u64,
    ) -> io::Result<(JournalFile, D::File)> {
        self.last = self.last.next();
        let facts = JournalFile { id: self.last, first, salt, made_ms };
        let made = facts.create(&self.disk);
        if made.is_err() {
            self.drop_journal(&facts);
        }
        made.map(|file| (facts, file))
    }

    /// Lists a journal file behind the others, the last of which is durable to its end. If it may be listed on disk
    /// although this has failed, it is done again, until it succeeds.
    pub fn list_journal(&mut self, file: &JournalFile) -> Result<(), StoreError> {
        let mut manifest = self.manifest.clone();
        manifest.journals.push(Listed { id: file.id, first: file.first });
        self.store(manifest)
    }

    /// Removes a journal file that is not listed.
    pub fn drop_journal(&self, file: &JournalFile) {
        // It stays if the disk does not let it go. Nobody reads it, and there are not many: the disk is in trouble.
        let _ = self.disk.remove(&file.id.to_string());
    }

    /// Bytes of the last journal file.
    pub fn last_len(&self) -> io::Result<u64> {
        let last = self.manifest.journals.last();
        last.map_or(Ok(0), |listed| self.disk.open(&listed.id.to_string())?.len())
    }

    /// Makes a snapshot that is written whole the state, with what the journal has after it. `journals`: the files that
    /// the journal has from then on, where they are not those that it has.
    pub fn install(
        &mut self,
        head: &SnapshotHead,
        file: &D::File,
        journals: Option<Vec<Listed>>,
    ) -> Result<(), StoreError> {
        head.install(&self.disk, file).map_err(StoreError::Before)?;
        let mut manifest = self.manifest.clone();
        let replaced = journals.map(|journals| std::mem::replace(&mut manifest.journals, journals));
        manifest.set_snapshot(head.stamp);
        self.store(manifest)?;
        self.dropped.extend(replaced.into_iter().flatten().map(|listed| listed.id));
        Ok(())
    }

    /// Removes what the state does not need any more. Returns the names. Not to be done while a file is being made.
    pub fn clean(&mut self) -> io::Result<Vec<String>> {
        let names = self.disk.names()?;
        let dropped = std::mem::take(&mut self.dropped).into_iter().map(|id| id.to_string());
        let dropped: Vec<String> = dropped.filter(|name| names.contains(name)).collect();
        dropped.iter().try_for_each(|name| self.disk.remove(name))?;
        Ok([dropped, self.manifest.clean(&self.disk)?].concat())
    }

    fn store(&mut self, manifest: Manifest) -> Result<(), StoreError> {
        manifest.store(&self.disk)?;
        self.manifest = manifest;
        Ok(())
    }

    /// Bytes of all files that are listed, but the last of the journal's, which is being added to.
    pub fn settled_bytes(&self) -> u64 {
        let journals = self.manifest.journals.iter().rev().skip(1).map(|listed| listed.id.to_string());
        let len = |name: String| self.disk.open(&name).and_then(|file| file.len()).unwrap_or(0);
        journals.chain(self.manifest.snapshot_name()).map(len).sum()
    }
}
