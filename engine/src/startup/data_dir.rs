//! The data directory: made if missing, checked, and held by one process for life.
//!
//! `bobbin.lock` in the directory carries an flock(2), which the kernel lets go with the process however that
//! ends, and the holder's process id for the message. The file stays: removing it would race with the next holder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crate::config::Config;

const LOCK_NAME: &str = "bobbin.lock";

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("can't make the data directory {}: {cause}. Make it yourself, or name another with --dir", path.display())]
    NotMade { path: PathBuf, cause: io::Error },
    #[error("no right to make the data directory {} in {}. Give that to the server's user (chown {user} {}), or name another with --dir", path.display(), parent.display(), parent.display())]
    NotAllowed { path: PathBuf, parent: PathBuf, user: u32 },
    #[error("{} is not a directory. Name another with --dir", path.display())]
    NotADirectory { path: PathBuf },
    #[error("the data directory {} is not writable: {cause}. Give it to the server's user (chown -R {user} {}), or name another with --dir", path.display(), path.display())]
    NotWritable { path: PathBuf, cause: io::Error, user: u32 },
    #[error("the data directory {} is in use by {holder}. Stop that server first, or name another directory with --dir", path.display())]
    InUse { path: PathBuf, holder: String },
    #[error("can't tell whether a server runs on {}: its {LOCK_NAME}: {cause}. Run this as the server's user", path.display())]
    Unknown { path: PathBuf, cause: io::Error },
}

/// The directory, held as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    pub fn open(config: &Config) -> Result<Self, DataDirError> {
        let path = config.dir.path().unwrap_or(Path::new("."));
        let not_made = |cause| not_made(path, cause);
        match fs::create_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(DataDirError::NotADirectory { path: path.to_owned() });
            }
            made => made.map_err(not_made)?,
        }
        Self::hold(&fs::canonicalize(path).map_err(not_made)?)
    }

    /// Takes hold of one that is there.
    pub fn hold(path: &Path) -> Result<Self, DataDirError> {
        let lock = open_lock(path)?;
        hold(path, lock).map(|lock| Self { path: path.to_owned(), _lock: lock })
    }

    /// The same for whoever only reads, unless no server has ever held it. The right to read the lock is enough.
    pub fn hold_if_used(path: &Path) -> Result<Option<Self>, DataDirError> {
        let name = path.join(LOCK_NAME);
        let lock = OpenOptions::new().read(true).write(true).open(&name).or_else(|_| File::open(&name));
        match lock {
            Ok(lock) => hold(path, lock).map(|lock| Some(Self { path: path.to_owned(), _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(DataDirError::Unknown { path: path.to_owned(), cause }),
        }
    }

    /// Absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn not_made(path: &Path, cause: io::Error) -> DataDirError {
    if cause.kind() != io::ErrorKind::PermissionDenied {
        return DataDirError::NotMade { path: path.to_owned(), cause };
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let parent = absolute.ancestors().skip(1).find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let user = rustix::process::geteuid().as_raw();
    DataDirError::NotAllowed { path: path.to_owned(), parent: parent.to_owned(), user }
}

/// Opening the lock file proves the right to its content, not to the directory's: both are asked for.
fn open_lock(path: &Path) -> Result<File, DataDirError> {
    let user = rustix::process::geteuid().as_raw();
    let not_writable = |cause| DataDirError::NotWritable { path: path.to_owned(), cause, user };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::accessat(rustix::fs::CWD, path, access, rustix::fs::AtFlags::EACCESS)
        .map_err(|error| not_writable(error.into()))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path.join(LOCK_NAME)).map_err(not_writable)
}

fn hold(path: &Path, mut lock: File) -> Result<File, DataDirError> {
    match lock.try_lock() {
        Ok(()) => {
            // The number is for a message. Without it, where the disk is full or the file may only be read, the lock
            // is held all the same.
            let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => {
            Err(DataDirError::InUse { path: path.to_owned(), holder: holder(&mut lock) })
        }
        Err(TryLockError::Error(cause)) => Err(DataDirError::Unknown { path: path.to_owned(), cause }),
    }
}

/// The holder may not have written its number yet.
fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.take(32).read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(pid)) => format!("process {pid}"),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    fn in_dir(path: &Path) -> Config {
        Config { dir: path.as_os_str().as_bytes().into(), ..Config::default() }
    }

    #[test]
    fn a_missing_directory_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&in_dir(&parent.path().join("a/b"))).unwrap();
        assert!(data_dir.path().is_absolute() && data_dir.path().is_dir());
        let text = fs::read_to_string(data_dir.path().join(LOCK_NAME)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_directory_has_one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(&in_dir(dir.path())).unwrap();
        let text = DataDir::open(&in_dir(dir.path())).unwrap_err().to_string();
        assert!(text.contains(&format!("is in use by process {}.", std::process::id())), "{text}");
        drop(first);
        assert!(DataDir::open(&in_dir(dir.path())).is_ok());
    }

    /// Nor does it matter that the holder's number cannot be written.
    #[test]
    fn a_lock_that_may_only_be_read_is_held_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let read_only = || hold(dir.path(), File::open(dir.path().join(LOCK_NAME)).unwrap());
        let server = DataDir::open(&in_dir(dir.path())).unwrap();
        assert!(matches!(read_only(), Err(DataDirError::InUse { .. })));
        drop(server);
        let reader = read_only().unwrap();
        assert!(matches!(DataDir::open(&in_dir(dir.path())), Err(DataDirError::InUse { .. })));
        drop(reader);
        assert!(DataDir::open(&in_dir(dir.path())).is_ok());
    }

    #[test]
    fn who_only_reads_makes_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DataDir::hold_if_used(dir.path()).unwrap().is_none());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // Nor is a lock that cannot be opened taken for none: one that leads to itself.
        std::os::unix::fs::symlink(LOCK_NAME, dir.path().join(LOCK_NAME)).unwrap();
        let text = DataDir::hold_if_used(dir.path()).unwrap_err().to_string();
        assert!(
            text.starts_with("can't tell whether a server runs on ") && text.contains(LOCK_NAME),
            "{text}"
        );
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = DataDir::open(&in_dir(file.path())).unwrap_err().to_string();
        assert!(text.contains("is not a directory") && text.contains("--dir"), "{text}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let text = DataDir::open(&in_dir(Path::new("/proc/bobbin"))).unwrap_err().to_string();
        assert!(text.starts_with("can't make the data directory /proc/bobbin: "), "{text}");
    }

    #[test]
    fn a_directory_in_one_of_somebody_else_names_that_one() {
        // Whoever runs the tests may be allowed everything: the kernel is not asked.
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let text = not_made(Path::new("/usr/no/such"), denied).to_string();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(
            text,
            format!(
                "no right to make the data directory /usr/no/such in /usr. Give that to the server's user \
                 (chown {user} /usr), or name another with --dir"
            )
        );
    }

    #[test]
    fn a_directory_on_a_read_only_file_system_is_not_writable() {
        // Even root may not write below /proc.
        let text = DataDir::open(&in_dir(Path::new("/proc/self"))).unwrap_err().to_string();
        assert!(text.contains("is not writable") && text.contains("chown -R"), "{text}");
    }
}
