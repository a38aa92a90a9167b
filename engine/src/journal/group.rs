//! Batches that are written together: the unit of the journal's writes, and of what a crash tears.
//!
//! ```text
//! ┌───────────────┬─────────────┬──────────┬─────────────┬─────────┬─ ─ ─ ─ ─┐
//! │ header CRC32C │ body CRC32C │ body len │ first stamp │ durable │ batches │
//! └───────────────┴─────────────┴──────────┴─────────────┴─────────┴─ ─ ─ ─ ─┘
//!   u32 LE          u32 LE        u64 LE     u64 LE        u64 LE    each: length (varint), records
//! ```
//!
//! Batches have the stamps from the first on, one by one. `durable` is how far the file was synced when the group was
//! written: damage before that point is no crash's doing, and damage behind it may be. A crash may keep a group and
//! lose one before it as long as neither was synced, so "something whole follows" alone proves nothing.
//!
//! The header's checksum is also of the file's salt and of the group's place in the file. So bytes that look like a
//! group and are none, in a value or left by another file, are not taken for one; who chooses the values does not
//! know the salt.

use super::fixed::{u32_at, u64_at};
use super::varint;
use crate::ids::Stamp;

const HEADER_CHECKSUM: usize = 0;
const BODY_CHECKSUM: usize = HEADER_CHECKSUM + 4;
const BODY_LEN: usize = BODY_CHECKSUM + 4;
const FIRST: usize = BODY_LEN + 8;
const DURABLE: usize = FIRST + 8;
pub const GROUP_HEADER_LEN: usize = DURABLE + 8;

type HeaderBytes = [u8; GROUP_HEADER_LEN];

/// Where a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's.
    pub salt: u64,
    /// Of the group's first byte in the file.
    pub at: u64,
}

/// A group being put together. Allocates only to grow, and is used again when it has been written.
#[derive(Clone, Debug)]
pub struct Group {
    bytes: Vec<u8>,
    first: Stamp,
    next: Stamp,
}

impl Group {
    /// An empty one, for the batch with this stamp and those that follow it.
    pub fn new(first: Stamp) -> Self {
        Self::with_capacity(first, GROUP_HEADER_LEN)
    }

    /// The same, with memory for so many bytes.
    pub fn with_capacity(first: Stamp, len: usize) -> Self {
        let mut bytes = Vec::with_capacity(len.max(GROUP_HEADER_LEN));
        bytes.resize(GROUP_HEADER_LEN, 0);
        Self { bytes, first, next: first }
    }

    /// Makes it empty again, for the batches that follow. Keeps the memory.
    pub fn restart(&mut self) {
        self.bytes.truncate(GROUP_HEADER_LEN);
        self.first = self.next;
    }

    /// The same, for batches from another stamp on.
    pub fn restart_at(&mut self, first: Stamp) {
        self.next = first;
        self.restart();
    }

    /// The stamp of the batch that belongs here next.
    pub fn next(&self) -> Stamp {
        self.next
    }

    pub fn is_empty(&self) -> bool {
        self.next == self.first
    }

    /// Bytes it will have in the file.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// All of it; as they are to be written once it has been sealed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends the next batch; see [`super::Batch::bytes`].
    ///
    /// # Panics
    /// If it is not the next: the order of the journal is that of the stamps.
    #[inline]
    pub fn push(&mut self, stamp: Stamp, batch: &[u8]) {
        assert_eq!(stamp, self.next, "batches are journalled in the order of their stamps");
        varint::put(&mut self.bytes, batch.len() as u64);
        self.bytes.extend_from_slice(batch);
        self.next = stamp.next();
    }

    /// The bytes to be written at a place in a file that is durable up to `durable`.
    pub fn seal(&mut self, place: Place, durable: u64) -> &[u8] {
        let (header, body) = self.bytes.split_at_mut(GROUP_HEADER_LEN);
        header[BODY_CHECKSUM..BODY_LEN].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        header[BODY_LEN..FIRST].copy_from_slice(&(body.len() as u64).to_le_bytes());
        header[FIRST..DURABLE].copy_from_slice(&self.first.0.to_le_bytes());
        header[DURABLE..].copy_from_slice(&durable.to_le_bytes());
        let checksum = header_checksum(place, &header[BODY_CHECKSUM..]);
        header[..BODY_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        &self.bytes
    }
}

fn header_checksum(place: Place, sealed: &[u8]) -> u32 {
    let of_place = crc32c::crc32c_append(crc32c::crc32c(&place.salt.to_le_bytes()), &place.at.to_le_bytes());
    crc32c::crc32c_append(of_place, sealed)
}

/// What a group says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    pub body_len: u64,
    pub first: Stamp,
    pub durable: u64,
    body_checksum: u32,
}

impl GroupHeader {
    /// The header with which these bytes begin; `None` if they are none, or not one of this place.
    pub fn read(bytes: &[u8], place: Place) -> Option<Self> {
        let bytes: &HeaderBytes = bytes.first_chunk()?;
        // Cheap, and nearly always enough where a group is looked for byte by byte.
        let durable = u64_at(bytes, DURABLE);
        if durable > place.at
            || header_checksum(place, &bytes[BODY_CHECKSUM..]) != u32_at(bytes, HEADER_CHECKSUM)
        {
            return None;
        }
        let (body_len, first) = (u64_at(bytes, BODY_LEN), Stamp(u64_at(bytes, FIRST)));
        Some(Self { body_len, first, durable, body_checksum: u32_at(bytes, BODY_CHECKSUM) })
    }

    pub fn is_of(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_checksum
    }
}

/// The batches of a group's body, in order. `None` in place of one that goes beyond the body; there are no more then.
#[derive(Clone, Debug)]
pub(super) struct Batches<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Batches<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let batch = varint::take_bytes(&mut self.0);
        if batch.is_none() {
            self.0 = &[];
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { salt: 77, at: 4096 };

    fn sealed() -> Vec<u8> {
        let mut group = Group::new(Stamp(5));
        for stamp in 5..8 {
            group.push(Stamp(stamp), format!("batch {stamp}").as_bytes());
        }
        group.seal(PLACE, 1000).to_vec()
    }

    #[test]
    fn batches_come_back() {
        let bytes = sealed();
        let header = GroupHeader::read(&bytes, PLACE).expect("a header");
        let body = &bytes[GROUP_HEADER_LEN..];
        assert_eq!((header.body_len, header.first, header.durable), (body.len() as u64, Stamp(5), 1000));
        assert!(header.is_of(body));
        let batches: Option<Vec<&[u8]>> = Batches(body).collect();
        assert_eq!(batches, Some(vec![&b"batch 5"[..], b"batch 6", b"batch 7"]));
        assert_eq!(Batches(&body[..body.len() - 1]).last(), Some(None));
    }

    #[test]
    fn a_group_is_used_again() {
        let mut group = Group::new(Stamp(1));
        group.push(Stamp(1), b"a");
        group.restart();
        assert!(group.is_empty() && group.len() == GROUP_HEADER_LEN);
        group.push(Stamp(2), b"b");
        let header = GroupHeader::read(group.seal(PLACE, 0), PLACE).expect("a header");
        assert_eq!((header.first, header.body_len), (Stamp(2), 2));
    }

    #[test]
    fn a_group_is_one_at_its_place_only() {
        let bytes = sealed();
        for elsewhere in [Place { salt: 78, ..PLACE }, Place { at: 4097, ..PLACE }] {
            assert_eq!(GroupHeader::read(&bytes, elsewhere), None);
        }
        for len in 0..GROUP_HEADER_LEN {
            assert_eq!(GroupHeader::read(&bytes[..len], PLACE), None);
        }
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let header = GroupHeader::read(&damaged, PLACE);
            assert!(!header.is_some_and(|header| header.is_of(&damaged[GROUP_HEADER_LEN..])), "{at} {bit}");
        }
    }

    #[test]
    #[should_panic(expected = "in the order of their stamps")]
    fn a_batch_out_of_order_is_a_bug() {
        Group::new(Stamp(5)).push(Stamp(6), b"");
    }
}
