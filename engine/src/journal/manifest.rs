//! The manifest: which files are the state.
//!
//! ```text
//! bobbin-manifest 2
//! snapshot snapshot-00000000000000001234
//! journal journal-0000000007 from 1201
//! journal journal-0000000008 from 1300
//! crc32c 1a2b3c4d
//! ```
//!
//! Text, for the eyes of whoever looks into the directory. The checksum is that of all lines before it. The file is
//! replaced whole, so there is always one that is right. Nothing but what is written is read: a line too many, a
//! space too many, files out of order are all refused.

use std::fmt::{self, Write as _};
use std::io;

use super::disk::NEW;
use super::header::{FORMAT_VERSION, OLDEST_VERSION};
use super::snapshot;
use super::{Disk, FileId};
use crate::ids::Stamp;

const NAME: &str = "manifest";
const TITLE: &str = "bobbin-manifest";
const CHECKSUM: &str = "crc32c";
/// Of journal files there are a few; a snapshot does away with them.
const BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not as it was written")]
    Damaged,
    #[error(
        "it is of format version {0}, written by a later Bobbin; this one reads versions up to {FORMAT_VERSION}"
    )]
    Newer(u32),
}

/// Why a manifest could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The one before is on disk, as it was.
    #[error("{0}")]
    Before(io::Error),
    /// Either may be.
    #[error("{0}")]
    Either(io::Error),
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Before(error) | StoreError::Either(error) => error,
        }
    }
}

/// A journal file of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: FileId,
    /// Of the first batch that is in it, or is to be.
    pub first: Stamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Of the snapshot.
    pub snapshot: Option<Stamp>,
    /// In order; batches are added to the last.
    pub journals: Vec<Listed>,
}

impl Manifest {
    pub const NAME: &str = NAME;

    /// The manifest of a directory, if it has one.
    pub fn load(disk: &impl Disk) -> Result<Option<Self>, ManifestError> {
        let bytes = match disk.read(NAME, BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        Self::parse(&bytes).map(Some)
    }

    /// Whether this is the name of a manifest, or of something that one may list.
    pub fn knows(name: &str) -> bool {
        name == NAME || FileId::from_name(name).is_some() || snapshot::stamp_of(name).is_some()
    }

    /// Takes the place of the one before, durably.
    pub fn store(&self, disk: &impl Disk) -> Result<(), StoreError> {
        let text = self.to_string();
        if text.len() as u64 > BYTES_MAX {
            let files = self.journals.len();
            let why = format!("a manifest of {files} journal files would be too long to be read again");
            return Err(StoreError::Before(io::Error::other(why)));
        }
        disk.prepare(NAME, text.as_bytes()).map_err(StoreError::Before)?;
        disk.put_in_place(NAME).map_err(StoreError::Either)
    }

    /// The snapshot's name.
    pub fn snapshot_name(&self) -> Option<String> {
        self.snapshot.map(snapshot::name)
    }

    /// The name of a journal file by its place in the list; of none, if there is none.
    pub(super) fn journal_name(&self, place: usize) -> String {
        self.journals.get(place).map(|listed| listed.id.to_string()).unwrap_or_default()
    }

    /// Puts a snapshot in place of the one before, and leaves out the journal files that it makes superfluous: those
    /// with nothing after its stamp.
    pub fn set_snapshot(&mut self, stamp: Stamp) {
        self.snapshot = Some(stamp);
        let needed = self.journals.iter().rposition(|listed| listed.first <= stamp.next());
        self.journals.drain(..needed.unwrap_or(0));
    }

    /// Removes what a crash has left behind of files being made, and of those that a snapshot has made superfluous.
    /// Returns their names. Not to be done while a file is being made.
    pub fn clean(&self, disk: &impl Disk) -> io::Result<Vec<String>> {
        let names = disk.names()?;
        let left: Vec<String> = names.into_iter().filter(|name| self.is_superfluous(name)).collect();
        left.iter().try_for_each(|name| disk.remove(name))?;
        Ok(left)
    }

    /// A journal file that follows those listed is none: there may be something in it that is worth a look.
    fn is_superfluous(&self, name: &str) -> bool {
        let is_over = |id: FileId| self.journals.first().is_some_and(|first| id < first.id);
        match name.strip_suffix(NEW) {
            Some(made) => Self::knows(made),
            None => {
                snapshot::stamp_of(name).is_some_and(|stamp| self.snapshot != Some(stamp))
                    || FileId::from_name(name).is_some_and(is_over)
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = str::from_utf8(bytes).map_err(|_| ManifestError::Damaged)?;
        let lines = sealed_lines(text).ok_or(ManifestError::Damaged)?;
        let mut lines = lines.lines();
        let version = lines.next().and_then(|title| title.strip_prefix(TITLE)?.trim_start().parse().ok());
        let version = version.ok_or(ManifestError::Damaged)?;
        if version > FORMAT_VERSION {
            return Err(ManifestError::Newer(version));
        }
        if version < OLDEST_VERSION {
            return Err(ManifestError::Damaged);
        }
        let mut manifest = Self::default();
        for line in lines {
            manifest.take(line).ok_or(ManifestError::Damaged)?;
        }
        let is_same = Text { manifest: &manifest, version }.to_string() == text && manifest.is_in_order();
        if is_same { Ok(manifest) } else { Err(ManifestError::Damaged) }
    }

    fn take(&mut self, line: &str) -> Option<()> {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["snapshot", name] => self.snapshot = Some(snapshot::stamp_of(name)?),
            ["journal", name, "from", first] => {
                self.journals
                    .push(Listed { id: FileId::from_name(name)?, first: Stamp(first.parse().ok()?) });
            }
            _ => return None,
        }
        Some(())
    }

    fn is_in_order(&self) -> bool {
        self.journals.is_sorted_by(|a, b| a.id < b.id && a.first <= b.first)
    }
}

/// The lines before the checksum, if it is theirs.
fn sealed_lines(text: &str) -> Option<&str> {
    let (lines, checksum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let lines = &text[..=lines.len()];
    let expected = u32::from_str_radix(checksum.strip_prefix(CHECKSUM)?.trim_start(), 16).ok()?;
    (crc32c::crc32c(lines.as_bytes()) == expected).then_some(lines)
}

/// A manifest as a version has it.
struct Text<'m> {
    manifest: &'m Manifest,
    version: u32,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = format!("{TITLE} {}\n", self.version);
        if let Some(name) = self.manifest.snapshot_name() {
            writeln!(lines, "snapshot {name}")?;
        }
        for Listed { id, first } in &self.manifest.journals {
            writeln!(lines, "journal {id} from {}", first.0)?;
        }
        writeln!(f, "{lines}{CHECKSUM} {:08x}", crc32c::crc32c(lines.as_bytes()))
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text { manifest: self, version: FORMAT_VERSION }.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Directory;
    use super::*;

    fn manifest() -> Manifest {
        let listed = |id, first| Listed { id: FileId(id), first: Stamp(first) };
        Manifest {
            snapshot: Some(Stamp(1234)),
            journals: vec![listed(7, 1201), listed(8, 1300), listed(9, 1400)],
        }
    }

    fn sealed(lines: &str) -> String {
        format!("{lines}crc32c {:08x}\n", crc32c::crc32c(lines.as_bytes()))
    }

    #[test]
    fn it_comes_back_from_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Directory::new(dir.path());
        assert!(Manifest::load(&disk).expect("none is no failure").is_none());
        for manifest in [Manifest::default(), manifest()] {
            manifest.store(&disk).expect("there is room");
            assert_eq!(Manifest::load(&disk).expect("a manifest"), Some(manifest));
        }
        assert_eq!(disk.names().expect("a directory"), ["manifest"]);
    }

    /// What is stored can be read again, so one that could not is not stored.
    #[test]
    fn it_is_not_stored_beyond_the_bytes_that_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Directory::new(dir.path());
        let of = |files: u64| Manifest {
            snapshot: None,
            journals: (1..=files).map(|n| Listed { id: FileId(n), first: Stamp(1) }).collect(),
        };
        let line = "journal journal-0000000001 from 1\n".len() as u64;
        let most = (BYTES_MAX - 100) / line;
        of(most).store(&disk).expect("there is room");
        assert!(matches!(of(BYTES_MAX / line + 1).store(&disk), Err(StoreError::Before(_))));
        assert_eq!(
            Manifest::load(&disk).expect("the one before").expect("it is there").journals.len() as u64,
            most
        );
    }

    #[test]
    fn every_change_is_noticed() {
        let text = manifest().to_string();
        for at in 0..text.len() {
            assert!(Manifest::parse(&text.as_bytes()[..at]).is_err());
            for bit in 0..8 {
                let mut damaged = text.clone().into_bytes();
                damaged[at] ^= 1 << bit;
                assert!(Manifest::parse(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn what_was_not_written_is_refused_although_it_is_sealed() {
        let refused = [
            "bobbin-manifest 1\njournal journal-0000000007  from 1\n",
            "bobbin-manifest 1\njournal journal-7 from 1\n",
            "bobbin-manifest 1\njournal journal-0000000007 from 1\nsnapshot snapshot-00000000000000001234\n",
            "bobbin-manifest 1\njournal journal-0000000008 from 1\njournal journal-0000000007 from 1\n",
            "bobbin-manifest 1\njournal journal-0000000007 from 9\njournal journal-0000000008 from 1\n",
            "bobbin-manifest 1\nother thing\n",
            "bobbin-manifest 01\n",
            "bobbin-manifest\n",
            "",
        ];
        for lines in refused {
            assert!(
                matches!(Manifest::parse(sealed(lines).as_bytes()), Err(ManifestError::Damaged)),
                "{lines}"
            );
        }
        let newer = Manifest::parse(sealed("bobbin-manifest 3\nwhatever\n").as_bytes());
        assert!(matches!(newer, Err(ManifestError::Newer(3))));
    }

    #[test]
    fn an_earlier_version_is_read() {
        for version in 1..=FORMAT_VERSION {
            let lines = format!("bobbin-manifest {version}\njournal journal-0000000007 from 1\n");
            let manifest = Manifest::parse(sealed(&lines).as_bytes()).expect("a manifest");
            assert_eq!(manifest.journals, [Listed { id: FileId(7), first: Stamp(1) }]);
        }
        let none = Manifest::parse(sealed("bobbin-manifest 0\n").as_bytes());
        assert!(matches!(none, Err(ManifestError::Damaged)));
    }

    #[test]
    fn what_is_left_behind_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Directory::new(dir.path());
        let [stay, go] = [
            [
                "manifest",
                "snapshot-00000000000000001234",
                "journal-0000000007",
                "journal-0000000010",
                "other.new",
                "aside-journal-0000000001",
            ],
            [
                "manifest.new",
                "snapshot-00000000000000001234.new",
                "snapshot-00000000000000000005",
                "journal-0000000006",
                "journal-0000000009.new",
                "snapshot-00000000000000009999",
            ],
        ];
        stay.iter().chain(&go).for_each(|name| drop(disk.create(name).expect("there is room")));
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let [stay, go] = [stay, go].map(|names| sorted(names.map(String::from).to_vec()));
        assert_eq!(sorted(manifest().clean(&disk).expect("a directory")), go);
        assert_eq!(sorted(disk.names().expect("a directory")), stay);
    }

    #[test]
    fn a_snapshot_makes_files_superfluous() {
        let kept = |stamp| {
            let mut manifest = manifest();
            manifest.set_snapshot(Stamp(stamp));
            assert_eq!(manifest.snapshot, Some(Stamp(stamp)));
            manifest.journals.iter().map(|listed| listed.id.0).collect::<Vec<_>>()
        };
        assert_eq!(kept(1298), [7, 8, 9]);
        assert_eq!(kept(1299), [8, 9]);
        assert_eq!(kept(1398), [8, 9]);
        assert_eq!(kept(5000), [9]);
    }
}
