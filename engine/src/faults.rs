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
//! rename 2 kill       the same, at the second file that is renamed
//! written ENOSPC      that is how it ended; or EIO
//! write short         half of what is to be written is
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
    /// The journal is about to be read.
    Load = "load",
    /// A group of the journal, or the rest of one, is about to be written.
    Write = "write",
    /// It has been, and nobody knows yet.
    Written = "written",
    /// The journal has been synced, and nobody knows yet.
    Synced = "synced",
    /// A file is about to be made.
    Create = "create",
    Rename = "rename",
    Remove = "remove",
    /// The names of a directory are about to be synced.
    Names = "names",
}

#[cfg(feature = "faults")]
pub use real::{part, pass, synced, written};

#[cfg(not(feature = "faults"))]
pub use none::{part, pass, synced, written};

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
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::Point;
    use crate::journal::JournalFile;

    /// How often whoever waits looks again.
    const LOOK_EVERY: Duration = Duration::from_millis(1);
    /// How often each point has been passed.
    static PASSED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
    /// How long the journal's file was when it was last synced.
    static SYNCED_LEN: AtomicU64 = AtomicU64::new(JournalFile::HEADER_LEN);

    /// What is to happen now, at a point.
    fn told(point: Point) -> Option<String> {
        let times = PASSED[point as usize].fetch_add(1, Ordering::Relaxed) + 1;
        let lines = std::fs::read_to_string(std::env::var_os("BOBBIN_FAULTS")?).ok()?;
        let line = lines.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        { line }.find_map(|words| match words[..] {
            [name, what] if name == point.name() => Some(what.to_owned()),
            [name, from, what] if name == point.name() => {
                let from: u64 = from.parse().expect("a number");
                (times >= from).then(|| what.to_owned())
            }
            _ => None,
        })
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

    /// How a write ended.
    pub fn written(outcome: io::Result<usize>) -> io::Result<usize> {
        pass(Point::Written).and(outcome)
    }

    /// How a sync ended.
    pub fn synced(file: Option<&File>, outcome: io::Result<()>) -> io::Result<()> {
        let ended = pass(Point::Synced).and(outcome);
        let Some(file) = file else { return ended };
        let len = file.metadata()?.len();
        if ended.is_ok() {
            SYNCED_LEN.store(len, Ordering::Relaxed);
        } else {
            let synced = SYNCED_LEN.load(Ordering::Relaxed).min(len);
            file.write_all_at(&vec![0; (len - synced) as usize], synced)?;
        }
        ended
    }
}
