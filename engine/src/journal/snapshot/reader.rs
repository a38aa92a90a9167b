//! A snapshot being read: its chunks, in any order, by any number of threads.

use std::collections::BTreeMap;
use std::io;

use super::super::fixed::{u32_at, u64_at};
use super::super::header::{self, HeaderError};
use super::super::{DiskFile, varint};
use super::{
    ACCESS_LEN, CHECKSUM, CHUNK_HEADER_LEN, CLOCK, COUNT_LEN, Clock, DATABASE, FACTS_LEN, FLAG_ACCESS,
    FLAG_EXPIRES, FLAGS, KEYS, KIND, KIND_FOOTER, KIND_KEYS, KIND_PACKED, MADE, MAGIC, PAYLOAD_LEN, STAMP,
    SnapshotHead, Tally, pack,
};
use crate::ids::Stamp;
use crate::rdb::{self, Limits, Reader, ValueType, read_entry};
use crate::store::Entry;

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{what}")]
    Damaged { at: u64, what: &'static str },
}

impl SnapshotError {
    /// The byte of the file it was found at.
    pub fn at(&self) -> u64 {
        if let Self::Damaged { at, .. } = self { *at } else { 0 }
    }
}

/// A file that is whole: it has a header, a footer, and between them the chunks of which the footer tells. What is in
/// the chunks is checked as they are read.
#[derive(Debug)]
pub struct Snapshot<F> {
    file: F,
    head: SnapshotHead,
    chunks: Vec<ChunkPlace>,
    tallies: Vec<Tally>,
}

/// A chunk in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    pub at: u64,
    /// Of all of it.
    pub len: u64,
    pub database: u32,
    pub keys: u32,
    pub is_packed: bool,
}

impl<F: DiskFile> Snapshot<F> {
    /// Reads the headers of the file and of all chunks, and the footer.
    pub fn open(file: F) -> Result<Self, SnapshotError> {
        let head = head(&file)?;
        let (chunks, footer) = places(&file)?;
        let tallies = tallies(&file, &footer, &chunks)?;
        Ok(Self { file, head, chunks, tallies })
    }

    pub fn head(&self) -> SnapshotHead {
        self.head
    }

    pub fn chunks(&self) -> &[ChunkPlace] {
        &self.chunks
    }

    /// Of all chunks.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len).sum()
    }

    /// How many keys there are in each database that has chunks, in the order of their numbers.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// Reads a chunk and checks it, for several to take keys of.
    pub fn chunk(&self, place: ChunkPlace) -> Result<ReadChunk, SnapshotError> {
        let mut bytes = Vec::new();
        let keys_at = read_keys(&self.file, &place, &mut bytes)?;
        Ok(ReadChunk { bytes, keys_at, place })
    }

    /// Reads a chunk into the buffer, and checks it.
    pub fn keys<'b>(&self, chunk: ChunkPlace, buffer: &'b mut Vec<u8>) -> Result<Keys<'b>, SnapshotError> {
        let keys_at = read_keys(&self.file, &chunk, buffer)?;
        Ok(Keys::of(&buffer[keys_at..], chunk))
    }
}

/// A chunk in memory, with the right checksum.
#[derive(Debug)]
pub struct ReadChunk {
    bytes: Vec<u8>,
    keys_at: usize,
    place: ChunkPlace,
}

impl ReadChunk {
    pub fn place(&self) -> ChunkPlace {
        self.place
    }

    pub fn keys(&self) -> Keys<'_> {
        Keys::of(&self.bytes[self.keys_at..], self.place)
    }
}

fn head(file: &impl DiskFile) -> Result<SnapshotHead, SnapshotError> {
    let facts = header::read(file, MAGIC, FACTS_LEN)?;
    let clock = Clock::from_number(u32_at(&facts, CLOCK)).ok_or(HeaderError::Damaged)?;
    Ok(SnapshotHead { stamp: Stamp(u64_at(&facts, STAMP)), made_ms: u64_at(&facts, MADE), clock })
}

/// The chunks, and the footer, which ends where the file does.
fn places(file: &impl DiskFile) -> Result<(Vec<ChunkPlace>, ChunkPlace), SnapshotError> {
    let (file_len, mut at, mut chunks) = (file.len()?, SnapshotHead::LEN, Vec::new());
    loop {
        let mut bytes = [0; CHUNK_HEADER_LEN];
        if file.read_full_at(&mut bytes, at)? < bytes.len() {
            return Err(SnapshotError::Damaged { at, what: "the file ends without its footer" });
        }
        let len = u64_at(&bytes, PAYLOAD_LEN).checked_add(CHUNK_HEADER_LEN as u64);
        let len = len.filter(|len| *len <= file_len.saturating_sub(at));
        let len =
            len.ok_or(SnapshotError::Damaged { at, what: "a chunk goes beyond the end of the file" })?;
        let (kind, database, keys) = (u32_at(&bytes, KIND), u32_at(&bytes, DATABASE), u32_at(&bytes, KEYS));
        let place = ChunkPlace { at, len, database, keys, is_packed: kind == KIND_PACKED };
        match kind {
            KIND_KEYS | KIND_PACKED => chunks.push(place),
            KIND_FOOTER if at + len == file_len => return Ok((chunks, place)),
            KIND_FOOTER => return Err(SnapshotError::Damaged { at, what: "more follows behind the footer" }),
            _ => return Err(SnapshotError::Damaged { at, what: "a chunk of no known kind" }),
        }
        at += len;
    }
}

fn tallies(
    file: &impl DiskFile,
    footer: &ChunkPlace,
    chunks: &[ChunkPlace],
) -> Result<Vec<Tally>, SnapshotError> {
    let damaged = |what| SnapshotError::Damaged { at: footer.at, what };
    let mut bytes = Vec::new();
    read_chunk(file, footer, &mut bytes)?;
    let (count, counts) =
        bytes[CHUNK_HEADER_LEN..].split_first_chunk().ok_or(damaged("the footer is too short"))?;
    let tallies: Vec<Tally> = counts.chunks_exact(COUNT_LEN).map(tally).collect();
    let mut counted = BTreeMap::<u32, u64>::new();
    for chunk in chunks {
        *counted.entry(chunk.database).or_default() += u64::from(chunk.keys);
    }
    let agree = tallies.iter().map(|tally| (tally.database, tally.keys)).eq(counted);
    if u64::from_le_bytes(*count) == chunks.len() as u64 && agree {
        Ok(tallies)
    } else {
        Err(damaged("the footer tells of other chunks than there are"))
    }
}

fn tally(bytes: &[u8]) -> Tally {
    Tally { database: u32_at(bytes, 0), keys: u64_at(bytes, 4), expiring: u64_at(bytes, 12) }
}

/// Reads a chunk of keys, and checks it. Returns where in the buffer the keys begin.
fn read_keys(file: &impl DiskFile, chunk: &ChunkPlace, buffer: &mut Vec<u8>) -> Result<usize, SnapshotError> {
    read_chunk(file, chunk, buffer)?;
    if !chunk.is_packed {
        return Ok(CHUNK_HEADER_LEN);
    }
    let damaged = SnapshotError::Damaged { at: chunk.at, what: "a chunk that cannot be unpacked" };
    *buffer = pack::unpack(&buffer[CHUNK_HEADER_LEN..]).ok_or(damaged)?;
    Ok(0)
}

/// Reads all of a chunk, which is within the file, and checks it.
fn read_chunk(file: &impl DiskFile, chunk: &ChunkPlace, buffer: &mut Vec<u8>) -> Result<(), SnapshotError> {
    buffer.clear();
    buffer.resize(usize::try_from(chunk.len).map_err(io::Error::other)?, 0);
    if file.read_full_at(buffer, chunk.at)? < buffer.len() {
        return Err(SnapshotError::Damaged { at: chunk.at, what: "the file has become shorter" });
    }
    if crc32c::crc32c(&buffer[KIND..]) != u32_at(buffer, CHECKSUM) {
        return Err(SnapshotError::Damaged { at: chunk.at, what: "the checksum of a chunk is wrong" });
    }
    Ok(())
}

/// The keys of a chunk, in order. After a failure there are no more.
#[derive(Clone, Debug)]
pub struct Keys<'b> {
    rest: &'b [u8],
    chunk: ChunkPlace,
    left: u32,
}

/// A key with its value, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotEntry<'b> {
    pub database: u32,
    pub key: &'b [u8],
    /// Unix milliseconds.
    pub expiry_ms: Option<u64>,
    pub access: Option<u32>,
    pub value_type: ValueType,
    pub value: &'b [u8],
}

impl SnapshotEntry<'_> {
    /// Reads the value.
    pub fn entry(&self, limits: &Limits) -> Result<Entry, rdb::Error> {
        let mut reader = Reader::new(self.value, usize::MAX);
        let entry = read_entry(&mut reader, self.value_type, self.key, self.expiry_ms, limits)?;
        if let Some(access) = self.access {
            entry.set_access(access);
        }
        Ok(entry)
    }
}

impl<'b> Keys<'b> {
    pub(super) fn of(payload: &'b [u8], chunk: ChunkPlace) -> Self {
        Self { rest: payload, chunk, left: chunk.keys }
    }

    fn take(&mut self) -> Option<SnapshotEntry<'b>> {
        let flags = *self.rest.split_off_first()?;
        if flags & !FLAGS != 0 {
            return None;
        }
        let key = varint::take_bytes(&mut self.rest)?;
        let expiry_ms =
            if flags & FLAG_EXPIRES == 0 { None } else { Some(u64_at(self.rest.split_off(..8)?, 0)) };
        let access = if flags & FLAG_ACCESS == 0 { None } else { Some(self.take_access()?) };
        let value_type = ValueType::from_number(*self.rest.split_off_first()?)?;
        let mut reader = Reader::new(self.rest, usize::MAX);
        let value = reader.value(value_type).ok()?;
        self.rest = reader.rest();
        Some(SnapshotEntry { database: self.chunk.database, key, expiry_ms, access, value_type, value })
    }
}

impl Keys<'_> {
    /// Where in the file the next is; of a packed chunk, where that is.
    fn at(&self) -> u64 {
        let ahead = if self.chunk.is_packed { self.chunk.len } else { self.rest.len() as u64 };
        self.chunk.at + self.chunk.len - ahead
    }

    fn take_access(&mut self) -> Option<u32> {
        let bytes = self.rest.split_off(..ACCESS_LEN)?;
        Some(bytes.iter().rev().fold(0, |access, &byte| access << 8 | u32::from(byte)))
    }
}

impl<'b> Iterator for Keys<'b> {
    type Item = Result<SnapshotEntry<'b>, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 && self.rest.is_empty() {
            return None;
        }
        let at = self.at();
        let taken = self.left.checked_sub(1).and_then(|left| {
            self.left = left;
            self.take()
        });
        if taken.is_none() {
            (self.rest, self.left) = (&[], 0);
        }
        Some(taken.ok_or(SnapshotError::Damaged { at, what: "a chunk that is no run of keys" }))
    }
}
