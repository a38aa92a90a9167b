//! Where the state of a data directory is: the journal and the snapshot, for whoever looks at one without a
//! configuration.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::journal::{Directory, Disk as _, Manifest};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    /// What a server holds while it runs.
    pub data_dir: PathBuf,
    /// Where its files are.
    pub path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[error("there is no journal in {} or in {}", .0.display(), StateDir::of(.0).path.display())]
    Nothing(PathBuf),
    #[error("can't read {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

impl StateDir {
    /// Where a data directory has its state by default.
    pub fn of(data_dir: &Path) -> Self {
        let path = data_dir.join(Config::default().appenddirname.path().unwrap_or(Path::new("")));
        Self { data_dir: data_dir.to_owned(), path }
    }

    /// `dir`: a data directory, or the directory of the state in one; that is to be given where `appenddirname` is not
    /// what it is by default.
    pub fn find(dir: &Path) -> Result<Self, StateDirError> {
        let usual = Self::of(dir);
        if usual.path.is_dir() {
            return Ok(usual);
        }
        let io = |cause| StateDirError::Io { path: dir.to_owned(), cause };
        let names = Directory::new(dir).names().map_err(io)?;
        if !names.iter().any(|name| Manifest::knows(name)) {
            return Err(StateDirError::Nothing(dir.to_owned()));
        }
        let path = std::fs::canonicalize(dir).map_err(io)?;
        Ok(Self { data_dir: path.parent().unwrap_or(&path).to_owned(), path })
    }
}
