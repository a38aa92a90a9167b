//! Points of the journal at which a test ends the server or has its disk fail.
//!
//! Only the feature `faults`, which this crate's tests turn on for themselves, lets that happen. Without it a point is
//! nothing, at compile time.
//!
//! The environment variable `BOBBIN_FAULTS` names a file. While it is there, each of its lines says what happens at a
//! point, every time it is passed or, with a number, from the nth time on:
//!
//! ```text
//! written kill        the process ends as by kill -9
//! rename 2 kill       the same, at the second file that is renamed since the lines have changed
//! written ENOSPC      that is how it ended; or EIO
//! walk =1 EIO         at the first time only
//! write short         half of what is to be written is; of the journal, or with `store` of another file
//! load wait           for as long as the file says so
//! ```
//!
//! A sync that fails loses all that was written since the last that did not, as a disk may (see
//! [`journal::Writer`](crate::journal::Writer)).

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $point,)*
        }

        #[cfg(feature = "faults")]
        impl Point {
            /// What a line of the file calls it.
            const fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)* }
            }
        }
    };
}

points! {
    /// The snapshot and the journal are about to be read.
    Load = "load",
    /// A part of the snapshot has been read.
    LoadPart = "load-part",
    /// A group of the journal, or the rest of one, is about to be written.
    Write = "write",
    /// It has been, and nobody knows yet.
    Written = "written",
    /// The journal has been synced, and nobody knows yet.
    Synced = "synced",
    /// Some of a snapshot, of a manifest, or of a header is about to be written.
    Store = "store",
    /// It is about to be synced.
    Flush = "flush",
    /// A reactor is about to go on with its part of a snapshot; a failure is the reactor's.
    Walk = "walk",
    /// A file is about to be made.
    Create = "create",
    Rename = "rename",
    Remove = "remove",
    /// The names of a directory are about to be synced.
    Names = "names",
}

#[cfg(feature = "faults")]
pub use real::{part, pass, store, synced, written};

#[cfg(not(feature = "faults"))]
pub use none::{part, pass, store, synced, written};

#[cfg(not(feature = "faults"))]
mod none {
    use std::fs::File;
    use std::io;

    use super::Point;

    #[inline]
    pub const fn pass(_: Point) -> io::Result<()> {
        Ok(())
    }

    #[inline]
    pub const fn part(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    pub const fn store(bytes: &[u8]) -> io::Result<&[u8]> {
        Ok(bytes)
    }

    #[inline]
    pub const fn written(outcome: io::Result<usize>) -> io::Result<usize> {
        outcome
    }

    #[inline]
    pub const fn synced(_: Option<&File>, outcome: io::Result<()>) -> io::Result<()> {
        outcome
    }
}

#[cfg(feature = "faults")]
mod real {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::FileExt as _;
    use std::path::PathBuf;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use super::Point;
    use crate::journal::JournalFile;

    /// How often whoever waits looks again.
    const LOOK_EVERY: Duration = Duration::from_millis(1);
    /// What is to happen, and how often each point has been passed since that was last changed.
    static PASSED: Mutex<(String, BTreeMap<&str, u64>)> = Mutex::new((String::new(), BTreeMap::new()));
    /// How long each of the journal's files was when it was last synced. Their names are never used again.
    static SYNCED_LENS: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to happen now, at a point.
    fn told(point: Point) -> Option<String> {
        let lines = std::fs::read_to_string(std::env::var_os("BOBBIN_FAULTS")?).ok()?;
        let times = pass_again(point, &lines);
        let line = lines.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        { line }.find_map(|words| match words[..] {
            [name, what] if name == point.name() => Some(what.to_owned()),
            [name, from, what] if name == point.name() => {
                let is_now = match from.strip_prefix('=') {
                    Some(nth) => times == nth.parse::<u64>().expect("a number"),
                    None => times >= from.parse::<u64>().expect("a number"),
                };
                is_now.then(|| what.to_owned())
            }
            _ => None,
        })
    }

    /// How often it has been passed with these lines.
    fn pass_again(point: Point, lines: &str) -> u64 {
        let mut passed = lock(&PASSED);
        if passed.0 != lines {
            *passed = (lines.to_owned(), BTreeMap::new());
        }
        let times = passed.1.entry(point.name()).or_default();
        *times += 1;
        *times
    }

    /// Passes a point: fails, or never comes back.
    pub fn pass(point: Point) -> io::Result<()> {
        while let Some(what) = told(point) {
            if what != "wait" {
                return happen(&what);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn happen(what: &str) -> io::Result<()> {
        match what {
            "ENOSPC" => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            "EIO" => Err(io::Error::from_raw_os_error(libc::EIO)),
            "kill" => {
                let killed =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                unreachable!("{killed:?}");
            }
            _ => panic!("unknown fault: {what}"),
        }
    }

    /// Passes the point before a write. What is to be written of the bytes.
    pub fn part(bytes: &[u8]) -> &[u8] {
        match told(Point::Write).as_deref() {
            None => bytes,
            Some("short") => &bytes[..bytes.len().div_ceil(2)],
            Some(what) => {
                happen(what).expect("a write fails when it has ended");
                bytes
            }
        }
    }

    /// Passes the point before bytes are stored. What is to be stored of them.
    pub fn store(bytes: &[u8]) -> io::Result<&[u8]> {
        match told(Point::Store).as_deref() {
            None => Ok(bytes),
            Some("short") => Ok(&bytes[..bytes.len().div_ceil(2)]),
            Some(what) => happen(what).map(|()| bytes),
        }
    }

    /// How a write ended.
    pub fn written(outcome: io::Result<usize>) -> io::Result<usize> {
        pass(Point::Written).and(outcome)
    }

    /// How a sync ended.
    pub fn synced(file: Option<&File>, outcome: io::Result<()>) -> io::Result<()> {
        let ended = pass(Point::Synced).and(outcome);
        let Some(file) = file else { return ended };
        let len = file.metadata()?.len();
        let name = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let mut lens = lock(&SYNCED_LENS);
        let synced = lens.entry(name).or_insert(JournalFile::HEADER_LEN);
        if ended.is_ok() {
            *synced = len;
        } else {
            let synced = (*synced).min(len);
            file.write_all_at(&vec![0; (len - synced) as usize], synced)?;
        }
        ended
    }
}
