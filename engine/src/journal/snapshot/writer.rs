//! A snapshot being written: its parts, in bytes. Where they go in the file is for whoever writes them.

use std::collections::BTreeMap;
use std::io;

use super::super::disk::NEW;
use super::super::{Disk, DiskFile as _, header, varint};
use super::{
    ACCESS_LEN, CHUNK_BYTES, CHUNK_HEADER_LEN, DATABASE, FACTS_LEN, FLAG_ACCESS, FLAG_EXPIRES, KEYS, KIND,
    KIND_FOOTER, KIND_KEYS, KIND_PACKED, MAGIC, PAYLOAD_LEN, Packer, SnapshotHead, Tally,
};
use crate::rdb::{Compression, Writer, newest_type_of, write_newest};
use crate::store::Entry;

impl SnapshotHead {
    pub const LEN: u64 = header::len_with(FACTS_LEN) as u64;

    /// With what the file begins.
    pub fn bytes(&self) -> Vec<u8> {
        let facts = [&self.stamp.0.to_le_bytes()[..], &self.made_ms.to_le_bytes()].concat();
        header::seal(MAGIC, &[&facts[..], &(self.clock as u32).to_le_bytes()].concat())
    }

    /// Makes a file to write a snapshot into. It has a name of its own, because there may be a snapshot of this stamp
    /// already, and the manifest may list it.
    pub fn create<D: Disk>(&self, disk: &D) -> io::Result<D::File> {
        disk.create(&self.new_name())
    }

    /// Makes the file durable, and gives it its name. The manifest may list it from then on.
    pub fn install<D: Disk>(&self, disk: &D, file: &D::File) -> io::Result<()> {
        file.sync()?;
        disk.rename(&self.new_name(), &self.name())?;
        disk.sync()
    }

    /// Removes a file that is not finished.
    pub fn remove_new<D: Disk>(&self, disk: &D) -> io::Result<()> {
        disk.remove(&self.new_name())
    }

    fn new_name(&self) -> String {
        format!("{}{NEW}", self.name())
    }
}

/// A chunk being put together. Allocates only to grow, and is used again when it has been written. Its strings are not
/// compressed: that takes longer than all the rest, and is for whoever writes the chunk ([`Packer`]).
#[derive(Debug)]
pub struct Chunk {
    writer: Writer<Vec<u8>>,
    tally: Tally,
}

impl Chunk {
    /// An empty one, for keys of this database.
    pub fn new(database: u32) -> Self {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        bytes.resize(CHUNK_HEADER_LEN, 0);
        let writer = Writer::new(bytes, Compression::Off);
        Self { writer, tally: Tally { database, ..Tally::default() } }
    }

    /// Empties it, for keys of this database.
    pub fn restart(&mut self, database: u32) {
        let bytes = self.writer.sink_mut();
        bytes.truncate(CHUNK_HEADER_LEN);
        // One large value is no reason to hold as much to the end.
        bytes.shrink_to(2 * CHUNK_BYTES);
        self.tally = Tally { database, ..Tally::default() };
    }

    /// Appends a key with its value.
    pub fn push(&mut self, entry: &Entry, access: Option<u32>) {
        let (key, expiry_ms) = (entry.key(), entry.expiry());
        let bytes = self.writer.sink_mut();
        bytes.push(flag(FLAG_EXPIRES, expiry_ms.is_some()) | flag(FLAG_ACCESS, access.is_some()));
        varint::put(bytes, key.len() as u64);
        bytes.extend_from_slice(key);
        if let Some(expiry_ms) = expiry_ms {
            bytes.extend_from_slice(&expiry_ms.to_le_bytes());
        }
        if let Some(access) = access {
            bytes.extend_from_slice(&access.to_le_bytes()[..ACCESS_LEN]);
        }
        bytes.push(newest_type_of(entry.value()).number());
        write_newest(&mut self.writer, entry.value());
        self.tally.keys += 1;
        self.tally.expiring += u64::from(expiry_ms.is_some());
    }

    pub fn is_full(&self) -> bool {
        self.len() >= CHUNK_BYTES
    }

    /// Bytes of it that there are.
    pub(crate) fn len(&self) -> usize {
        self.writer.sink().len()
    }

    pub fn is_empty(&self) -> bool {
        self.tally.keys == 0
    }

    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.writer.sink().capacity()
    }

    /// What is in it.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The bytes to be written.
    pub fn seal(&mut self) -> &[u8] {
        let bytes = self.writer.sink_mut();
        seal(bytes, KIND_KEYS, self.tally.database, self.tally.keys as u32);
        bytes
    }

    /// The same bytes, with the keys compressed if that is worth it.
    pub fn seal_packed<'c>(&'c mut self, packer: &'c mut Packer) -> &'c [u8] {
        let Some(packed) = packer.pack(&self.writer.sink()[CHUNK_HEADER_LEN..]) else { return self.seal() };
        seal(packed, KIND_PACKED, self.tally.database, self.tally.keys as u32);
        packed
    }
}

fn flag(flag: u8, is_set: bool) -> u8 {
    if is_set { flag } else { 0 }
}

/// Fills in the header that has been left free.
pub(super) fn seal(bytes: &mut [u8], kind: u32, database: u32, keys: u32) {
    let payload_len = (bytes.len() - CHUNK_HEADER_LEN) as u64;
    bytes[KIND..DATABASE].copy_from_slice(&kind.to_le_bytes());
    bytes[DATABASE..KEYS].copy_from_slice(&database.to_le_bytes());
    bytes[KEYS..PAYLOAD_LEN].copy_from_slice(&keys.to_le_bytes());
    bytes[PAYLOAD_LEN..CHUNK_HEADER_LEN].copy_from_slice(&payload_len.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[KIND..]);
    bytes[..KIND].copy_from_slice(&checksum.to_le_bytes());
}

/// What all chunks of a file have in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    chunks: u64,
    databases: BTreeMap<u32, Tally>,
}

impl Totals {
    /// Counts a chunk.
    pub fn add(&mut self, chunk: Tally) {
        self.chunks += 1;
        let database = self.databases.entry(chunk.database).or_default();
        database.database = chunk.database;
        database.keys += chunk.keys;
        database.expiring += chunk.expiring;
    }

    /// With what the file ends.
    pub fn footer(&self) -> Vec<u8> {
        let mut bytes = vec![0; CHUNK_HEADER_LEN];
        bytes.extend(self.chunks.to_le_bytes());
        for tally in self.databases.values() {
            bytes.extend(tally.database.to_le_bytes());
            bytes.extend(tally.keys.to_le_bytes());
            bytes.extend(tally.expiring.to_le_bytes());
        }
        seal(&mut bytes, KIND_FOOTER, 0, 0);
        bytes
    }
}
