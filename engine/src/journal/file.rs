//! Journal files: their names, their header, their making.
//!
//! ```text
//!  facts   ┌────────┬─────────────┬────────┬───────────┐
//!          │ number │ first stamp │ salt   │ made at   │   then groups, to the end of the file
//!          └────────┴─────────────┴────────┴───────────┘
//!            u64 LE   u64 LE        u64 LE   u64 LE, Unix milliseconds
//! ```

use std::fmt;
use std::io;

use super::fixed::u64_at;
use super::header::{self, HeaderError, Magic};
use super::{Disk, DiskFile, Place};
use crate::ids::Stamp;

const MAGIC: Magic = *b"BobbinJ\n";

const NUMBER: usize = 0;
const FIRST: usize = NUMBER + 8;
const SALT: usize = FIRST + 8;
const MADE: usize = SALT + 8;
const FACTS_LEN: usize = MADE + 8;

/// The number of a journal file, which is in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

impl FileId {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The file of this name, if it is a journal file's.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let id = Self(name.strip_prefix("journal-")?.parse().ok()?);
        (id.to_string() == name).then_some(id)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal-{:010}", self.0)
    }
}

/// What a journal file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalFile {
    pub id: FileId,
    /// Of the first batch that is in it, or is to be.
    pub first: Stamp,
    /// Random, so that nobody who chooses values makes one that is taken for a group.
    pub salt: u64,
    /// Unix milliseconds.
    pub made_ms: u64,
}

impl JournalFile {
    /// Where the first group begins.
    pub const HEADER_LEN: u64 = header::len_with(FACTS_LEN) as u64;

    /// Makes the file, with its header and its name on disk. The manifest is to list it before anything is added.
    pub fn create<D: Disk>(&self, disk: &D) -> io::Result<D::File> {
        let file = disk.create(&self.id.to_string())?;
        let facts = [self.id.0, self.first.0, self.salt, self.made_ms].map(u64::to_le_bytes).concat();
        file.write_all_at(&header::seal(MAGIC, &facts), 0)?;
        file.sync()?;
        disk.sync()?;
        Ok(file)
    }

    pub fn read(file: &impl DiskFile) -> Result<Self, HeaderError> {
        let facts = header::read(file, MAGIC, FACTS_LEN)?;
        Ok(Self {
            id: FileId(u64_at(&facts, NUMBER)),
            first: Stamp(u64_at(&facts, FIRST)),
            salt: u64_at(&facts, SALT),
            made_ms: u64_at(&facts, MADE),
        })
    }

    /// Where a group begins that is at this byte.
    pub fn place(&self, at: u64) -> Place {
        Place { salt: self.salt, at }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Directory;
    use super::*;

    #[test]
    fn a_file_says_what_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Directory::make(dir.path().join("journal")).expect("a directory");
        let made = JournalFile { id: FileId(7), first: Stamp(1235), salt: 99, made_ms: 1_700_000_000_000 };
        let file = made.create(&disk).expect("a file");
        assert_eq!(file.metadata().expect("a file").len(), JournalFile::HEADER_LEN);
        assert_eq!(disk.names().expect("a directory"), ["journal-0000000007"]);
        assert_eq!(
            JournalFile::read(&disk.open("journal-0000000007").expect("a file")).expect("a header"),
            made
        );
    }

    #[test]
    fn names_are_numbers_in_one_spelling() {
        assert_eq!(FileId::from_name("journal-0000000007"), Some(FileId(7)));
        assert_eq!(FileId::from_name(&FileId(u64::MAX).to_string()), Some(FileId(u64::MAX)));
        for name in ["journal-7", "journal-+000000007", "journal-000000000x", "snapshot-0000000007"] {
            assert_eq!(FileId::from_name(name), None);
        }
    }
}
