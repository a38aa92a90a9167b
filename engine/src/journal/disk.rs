//! What the journal asks of a directory and its files, and the directory that there is.
//!
//! The seam at which a test puts a disk that loses what was not synced, tears writes and fails.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::faults::{self, Point};

/// Behind the name of a file that is not whole yet.
pub(super) const NEW: &str = ".new";

/// A directory. Names are those of files in it; what is created, renamed and removed is durable when the directory
/// is synced.
pub trait Disk {
    type File: DiskFile;

    /// For messages.
    fn path(&self) -> &Path;

    /// The names of all files, in no order.
    fn names(&self) -> io::Result<Vec<String>>;

    /// A new file, or one there already with nothing in it.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Takes the place of a file that has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&self, name: &str) -> io::Result<()>;

    fn sync(&self) -> io::Result<()>;

    /// Makes a file that is there whole or not at all, even after a crash, in place of one of the same name.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.prepare(name, bytes)?;
        self.put_in_place(name)
    }

    /// Makes the file that is to take a place. What is there stays as it is.
    fn prepare(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.create(&format!("{name}{NEW}"))?;
        file.write_all_at(bytes, 0)?;
        file.sync()
    }

    /// Puts it there. After a failure either may be there, or be there after a crash.
    fn put_in_place(&self, name: &str) -> io::Result<()> {
        self.rename(&format!("{name}{NEW}"), name)?;
        self.sync()
    }

    /// All of a small file; what is beyond `len_max` is left out.
    fn read(&self, name: &str, len_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(name)?;
        let mut bytes = vec![0; file.len()?.min(len_max) as usize];
        let read = file.read_full_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// A file. What is written is durable when the file is synced.
pub trait DiskFile {
    fn len(&self) -> io::Result<u64>;

    /// May read less than there is, as read(2) does; nothing is the end.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;

    /// May write less than asked.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    fn set_len(&self, len: u64) -> io::Result<()>;

    fn sync(&self) -> io::Result<()>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads to the end of the buffer or of the file.
    fn read_full_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            match self.read_at(&mut bytes[done..], at + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.write_at(&bytes[done..], at + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// One that is there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Made if it is not there, its name durable.
    pub fn make(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = std::path::absolute(path.into())?;
        fs::create_dir_all(&path)?;
        path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())?;
        Ok(Self { path })
    }
}

impl Disk for Directory {
    type File = File;

    fn path(&self) -> &Path {
        &self.path
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            // No file of the journal has a name that is no text.
            Ok(entry
                .file_name()
                .into_string()
                .ok()
                .filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())))
        };
        fs::read_dir(&self.path)?.map(name).filter_map(Result::transpose).collect()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        faults::pass(Point::Create)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        match OpenOptions::new().read(true).write(true).open(&path) {
            // Looking needs no right to write.
            Err(error) if is_read_only(&error) => File::open(path),
            opened => opened,
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        faults::pass(Point::Rename)?;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        faults::pass(Point::Remove)?;
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        faults::pass(Point::Names)?;
        File::open(&self.path)?.sync_all()
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, faults::store(bytes)?, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        faults::pass(Point::Flush)?;
        self.sync_data()
    }
}
