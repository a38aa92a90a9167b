//! One journal file, read group by group, and how it ends.

use std::io;

use super::group::{Batches, GROUP_HEADER_LEN, GroupHeader};
use super::{DiskFile, JournalFile};
use crate::ids::Stamp;

/// Bytes read ahead.
const AHEAD: usize = 1 << 20;

/// How a journal file ends, as its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a whole group, or with the header.
    Whole,
    /// With bytes that are no whole group, and nothing says that they were durable.
    Broken,
    /// The same, and a group behind them says that they were.
    BrokenDurable,
    /// A group is whole, and its stamps are not the next.
    OutOfOrder,
    /// A group is whole, and what is in it is none.
    Malformed,
}

impl Ending {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Whole => "the file is whole",
            Self::Broken => "the file ends in the middle of a group",
            Self::BrokenDurable => "a group is broken that was whole on disk when a later one was written",
            Self::OutOfOrder => "a group has other stamps than those that follow",
            Self::Malformed => "a group has the right checksum and no batches in it",
        }
    }
}

/// A journal file being read.
#[derive(Debug)]
pub(super) struct Scan<F> {
    ahead: Ahead<F>,
    facts: JournalFile,
    /// Where the group being read begins, and where it ends.
    at: u64,
    end: u64,
    /// Of the batch that comes next.
    next: Stamp,
    /// What of the group being read has not been taken.
    left: usize,
}

impl<F: DiskFile> Scan<F> {
    pub(super) fn new(file: F, facts: JournalFile) -> io::Result<Self> {
        let at = JournalFile::HEADER_LEN;
        Ok(Self { ahead: Ahead::new(file)?, facts, at, end: at, next: facts.first, left: 0 })
    }

    /// The stamp of the batch that comes next, or is to.
    pub(super) fn next(&self) -> Stamp {
        self.next
    }

    /// Up to where the file is whole, as far as it has been read.
    pub(super) fn whole_len(&self) -> u64 {
        self.end
    }

    pub(super) fn file_len(&self) -> u64 {
        self.ahead.len
    }

    /// Goes to the next group; if there is none, says how the file ends.
    pub(super) fn next_group(&mut self) -> io::Result<Option<Ending>> {
        self.at = self.end;
        if self.at == self.ahead.len {
            return Ok(Some(Ending::Whole));
        }
        let Some(header) = self.header()? else { return self.broken().map(Some) };
        let body_at = self.at + GROUP_HEADER_LEN as u64;
        let Some(body) = self.ahead.bytes(body_at, header.body_len)? else { return self.broken().map(Some) };
        if !header.is_of(body) {
            return self.broken().map(Some);
        }
        if !Batches(body).all(|batch| batch.is_some()) {
            return Ok(Some(Ending::Malformed));
        }
        if header.first != self.next {
            return Ok(Some(Ending::OutOfOrder));
        }
        self.left = body.len();
        self.end = body_at + header.body_len;
        Ok(None)
    }

    /// The next batch of the group, with its stamp.
    pub(super) fn peek_batch(&mut self) -> io::Result<Option<(Stamp, &[u8])>> {
        let rest = self.ahead.bytes(self.end - self.left as u64, self.left as u64)?;
        Ok(Batches(rest.unwrap_or_default()).next().flatten().map(|batch| (self.next, batch)))
    }

    /// The same, taken.
    pub(super) fn next_batch(&mut self) -> io::Result<Option<(Stamp, &[u8])>> {
        let rest = self.ahead.bytes(self.end - self.left as u64, self.left as u64)?;
        let mut rest = Batches(rest.unwrap_or_default());
        let Some(Some(batch)) = rest.next() else { return Ok(None) };
        self.left = rest.0.len();
        let stamp = self.next;
        self.next = stamp.next();
        Ok(Some((stamp, batch)))
    }

    /// Where the group of the batch last taken begins.
    pub(super) fn group_at(&self) -> u64 {
        self.at
    }

    fn header(&mut self) -> io::Result<Option<GroupHeader>> {
        let place = self.facts.place(self.at);
        let bytes = self.ahead.bytes(self.at, GROUP_HEADER_LEN as u64)?;
        Ok(bytes.and_then(|bytes| GroupHeader::read(bytes, place)))
    }

    /// Looks behind what is broken for a group that was written when this was durable. Every byte may begin one: the
    /// length of what is broken is not to be trusted.
    fn broken(&mut self) -> io::Result<Ending> {
        let broken_at = self.at;
        for at in broken_at + 1..self.ahead.len {
            let Some(bytes) = self.ahead.bytes(at, GROUP_HEADER_LEN as u64)? else { break };
            if GroupHeader::read(bytes, self.facts.place(at)).is_some_and(|behind| behind.durable > broken_at)
            {
                return Ok(Ending::BrokenDurable);
            }
        }
        Ok(Ending::Broken)
    }
}

/// A file and a part of it in memory.
#[derive(Debug)]
struct Ahead<F> {
    file: F,
    len: u64,
    held: Vec<u8>,
    held_at: u64,
}

impl<F: DiskFile> Ahead<F> {
    fn new(file: F) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, len, held: Vec::new(), held_at: 0 })
    }

    /// So many bytes of the file; `None` if it does not have them.
    fn bytes(&mut self, at: u64, len: u64) -> io::Result<Option<&[u8]>> {
        let has = at.checked_add(len).is_some_and(|end| end <= self.len);
        let Some(len) = usize::try_from(len).ok().filter(|_| has) else { return Ok(None) };
        if at < self.held_at || at + len as u64 > self.held_at + self.held.len() as u64 {
            self.hold(at, len)?;
        }
        let from = (at - self.held_at) as usize;
        Ok(self.held.get(from..from + len))
    }

    fn hold(&mut self, at: u64, len: usize) -> io::Result<()> {
        let wanted = (len.max(AHEAD) as u64).min(self.len - at) as usize;
        self.held.resize(wanted, 0);
        self.held_at = at;
        let read = self.file.read_full_at(&mut self.held, at)?;
        self.held.truncate(read);
        Ok(())
    }
}
