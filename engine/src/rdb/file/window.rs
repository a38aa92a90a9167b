//! The part of a file that is in memory.
//!
//! ```text
//!          kept        at
//!           │           │
//!  ┌────────┬───────────┬─────────────┐
//!  │ over   │ in use    │ read ahead  │ ◄── source
//!  └────────┴───────────┴─────────────┘
//!   0                                  bytes.len()
//! ```
//!
//! What is over goes when more is read; the checksum has been taken of it then. Bytes come in steps of bounded size,
//! so that a claim of many allocates no more than there are.

use std::io::{self, Read};

use super::super::crc64::Crc64;
use super::super::payload::Checksum;
use super::super::skim::Pieces;
use super::super::{Error, Reader, Scratch, skim};
use super::Cause;

/// Bytes asked of the source at a time.
const STEP: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    kept: usize,
    at: usize,
    /// Where in the file `bytes` begins.
    offset: u64,
    /// Of all before that; `None` if nobody asks.
    checksum: Option<Crc64>,
    string_len_max: usize,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R, checksum: Checksum, string_len_max: usize) -> Self {
        let checksum = (checksum == Checksum::Checked).then(Crc64::new);
        Self { source, bytes: Vec::new(), kept: 0, at: 0, offset: 0, checksum, string_len_max }
    }

    /// Where in the file the next byte is.
    pub(super) fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// Says that nothing before the next byte is in use.
    pub(super) fn release(&mut self) {
        self.kept = self.at;
    }

    /// Bytes in use, of which more may follow.
    pub(super) fn used(&self) -> usize {
        self.at - self.kept
    }

    /// Those in use but the first `from`.
    pub(super) fn in_use(&self, from: usize) -> &[u8] {
        &self.bytes[self.kept + from..self.at]
    }

    pub(super) fn length(&mut self) -> Result<u64, Cause> {
        skim::length(self)
    }

    /// Reads a string of at most `len_max` bytes, in place or in the scratch. None of one that is longer.
    pub(super) fn string<'s>(
        &'s mut self,
        len_max: u64,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [u8], Cause> {
        let from = self.used();
        let lens = skim::string_lens(self)?;
        if lens.unpacked > len_max {
            return Err(Cause::TooLong { len: lens.unpacked, max: len_max });
        }
        self.skip(lens.stored)?;
        Ok(Reader::new(self.in_use(from), self.string_len_max).string(scratch)?)
    }

    pub(super) fn string_len_max(&self) -> usize {
        self.string_len_max
    }

    /// The checksum of all before the next byte, if anybody asked for one.
    pub(super) fn checksum(&self) -> Option<u64> {
        let mut checksum = self.checksum.clone()?;
        checksum.update(&self.bytes[..self.at]);
        Some(checksum.value())
    }

    pub(super) fn is_at_end(&mut self) -> Result<bool, Cause> {
        Ok(self.at == self.bytes.len() && self.read_on()? == 0)
    }

    /// Makes sure that the next `len` bytes are there.
    fn need(&mut self, len: usize) -> Result<(), Cause> {
        while self.bytes.len() - self.at < len {
            if self.read_on()? == 0 {
                return Err(Error::Truncated.into());
            }
        }
        Ok(())
    }

    /// Returns how many bytes came; none is the end.
    fn read_on(&mut self) -> io::Result<usize> {
        self.forget();
        (&mut self.source).take(STEP as u64).read_to_end(&mut self.bytes)
    }

    /// Lets go of what is over.
    fn forget(&mut self) {
        let over = self.bytes.drain(..self.kept);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(over.as_slice());
        }
        drop(over);
        self.offset += self.kept as u64;
        self.at -= self.kept;
        self.kept = 0;
        // One large value is no reason to hold as much to the end.
        if self.bytes.capacity() > 16 * STEP && self.bytes.len() < STEP {
            self.bytes.shrink_to(2 * STEP);
        }
    }
}

impl<R: Read> Pieces for Window<R> {
    type Failure = Cause;

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Cause> {
        self.need(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        Ok(array)
    }

    fn skip(&mut self, len: u64) -> Result<(), Cause> {
        let len = usize::try_from(len).ok().filter(|&len| len <= self.string_len_max);
        let len = len.ok_or(Error::Malformed("a string beyond proto-max-bulk-len"))?;
        self.need(len)?;
        self.at += len;
        Ok(())
    }
}
