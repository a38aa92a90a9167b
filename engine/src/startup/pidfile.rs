//! The file named by `pidfile`: this process's id while the server runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
#[error("can't write pidfile {}: {cause}. Name another with --pidfile", path.display())]
pub struct PidfileError {
    path: PathBuf,
    cause: io::Error,
}

/// Removes the file when dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
}

impl Pidfile {
    pub fn create(path: &Path) -> Result<Self, PidfileError> {
        let failed = |cause| PidfileError { path: path.to_owned(), cause };
        fs::write(path, format!("{}\n", std::process::id())).map_err(failed)?;
        Ok(Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) })
    }
}

impl Drop for Pidfile {
    /// A file that someone else removed is as good as one removed here.
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lives_as_long_as_its_guard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let text = Pidfile::create(Path::new("/nonexistent/pid")).unwrap_err().to_string();
        assert!(text.starts_with("can't write pidfile /nonexistent/pid: "), "{text}");
    }
}
