//! A snapshot's file while it is written: chunk by chunk, from the beginning to the end.

use std::io;

use super::super::{Disk, DiskFile as _, Files, Listed, StoreError};
use super::{Chunk, Packer, SnapshotHead, Totals};
use crate::rdb::Compression;

/// `rdb-save-incremental-fsync`: so many bytes are made durable at once, as in Redis.
const SYNC_BYTES: u64 = 4 << 20;

/// A file that is removed again if it does not become a snapshot.
#[derive(Debug)]
pub struct NewSnapshot<D: Disk> {
    disk: D,
    head: SnapshotHead,
    file: D::File,
    at: u64,
    synced: u64,
    keys: u64,
    totals: Totals,
    packer: Option<Packer>,
    is_whole: bool,
}

impl<D: Disk + Clone> NewSnapshot<D> {
    /// Makes the file, and writes with what it begins.
    pub fn create(disk: &D, head: SnapshotHead, compression: Compression) -> io::Result<Self> {
        let (file, totals) = (head.create(disk)?, Totals::default());
        let packer = (compression == Compression::On).then(Packer::default);
        let disk = disk.clone();
        let mut new = Self { disk, head, file, at: 0, synced: 0, keys: 0, totals, packer, is_whole: false };
        new.write(&head.bytes(), false)?;
        Ok(new)
    }
}

impl<D: Disk> NewSnapshot<D> {
    /// Writes a chunk, which may be used again then. `syncs`: makes what there is durable now and then.
    pub fn append(&mut self, chunk: &mut Chunk, syncs: bool) -> io::Result<()> {
        let tally = chunk.tally();
        match self.packer.take() {
            None => self.write(chunk.seal(), syncs)?,
            Some(mut packer) => {
                self.write(chunk.seal_packed(&mut packer), syncs)?;
                self.packer = Some(packer);
            }
        }
        self.keys += tally.keys;
        self.totals.add(tally);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], syncs: bool) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        if syncs && self.at - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.at;
        }
        Ok(())
    }

    /// Writes the end, and makes it the state (see [`Files::install`]). Returns how many keys it has.
    pub fn install(mut self, files: &mut Files<D>, journals: Option<Vec<Listed>>) -> Result<u64, StoreError> {
        self.write(&self.totals.footer(), false).map_err(StoreError::Before)?;
        files.install(&self.head, &self.file, journals)?;
        self.is_whole = true;
        Ok(self.keys)
    }
}

impl<D: Disk> Drop for NewSnapshot<D> {
    fn drop(&mut self) {
        // If that fails as well, the next clean-up removes it.
        if !self.is_whole {
            let _ = self.head.remove_new(&self.disk);
        }
    }
}
