//! CPU time and memory of a process, from `/proc`.
//!
//! CPU time is the sum over threads of the first field of `schedstat` (nanoseconds on a CPU, user and
//! system together), as `stat` counts in ticks of 10 ms. Where the kernel was built without schedstat
//! the ticks have to do. Source: proc(5), the kernel's `Documentation/scheduler/sched-stats.rst`.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

use crate::Error;

/// A process to be measured.
#[derive(Clone, Debug)]
pub struct Process {
    root: PathBuf,
}

impl Process {
    pub fn new(pid: u32) -> Self {
        Self { root: PathBuf::from(format!("/proc/{pid}")) }
    }

    /// CPU time of all threads alive.
    pub fn cpu_ns(&self) -> Result<u64, Error> {
        let tasks = self.root.join("task");
        let entries = fs::read_dir(&tasks).map_err(|source| Error::File { path: tasks, source })?;
        // A thread may end between the listing and the reading; its time is then lost either way.
        let of_thread = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("schedstat")).ok();
        let texts: Vec<String> = entries.flatten().filter_map(of_thread).collect();
        let times: Option<Vec<u64>> = texts.iter().map(|text| schedstat_ns(text)).collect();
        match times {
            Some(times) if !times.is_empty() => Ok(times.iter().sum()),
            _ => self.cpu_ns_by_ticks(),
        }
    }

    fn cpu_ns_by_ticks(&self) -> Result<u64, Error> {
        let path = self.root.join("stat");
        let text = read(&path)?;
        let ticks = stat_ticks(&text).ok_or_else(|| malformed(path))?;
        Ok(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()))
    }

    /// Resident memory.
    pub fn resident_bytes(&self) -> Result<u64, Error> {
        let path = self.root.join("status");
        let text = read(&path)?;
        status_resident_bytes(&text).ok_or_else(|| malformed(path))
    }
}

/// CPU time of the calling thread.
pub(crate) fn own_thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { path: path.to_path_buf(), source })
}

fn malformed(path: PathBuf) -> Error {
    Error::File { path, source: std::io::ErrorKind::InvalidData.into() }
}

/// `<on-cpu ns> <waiting ns> <slices>`
fn schedstat_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// `<pid> (<name>) <state> …`: utime and stime are fields 14 and 15. The name may hold blanks and
/// parentheses, so counting starts behind the last one.
fn stat_ticks(text: &str) -> Option<u64> {
    const UTIME_BEHIND_NAME: usize = 11;
    let (_, behind_name) = text.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(UTIME_BEHIND_NAME);
    let utime: u64 = fields.next()?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    Some(utime + stime)
}

/// `VmRSS:    1234 kB`
fn status_resident_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn schedstat_is_nanoseconds_first() {
        assert_eq!(schedstat_ns("862156 50185 3\n"), Some(862_156));
        assert_eq!(schedstat_ns(""), None);
        assert_eq!(schedstat_ns("x 1 2"), None);
    }

    #[test]
    fn ticks_are_found_behind_any_name() {
        let text = "12 (a) b (c)) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1 2 3\n";
        assert_eq!(stat_ticks(text), Some(300));
        assert_eq!(stat_ticks("12 (a) S 1 2"), None);
        assert_eq!(stat_ticks(""), None);
    }

    #[test]
    fn resident_memory_is_in_kib() {
        assert_eq!(status_resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\nThreads: 1\n"), Some(2 << 20));
        assert_eq!(status_resident_bytes("VmRSS:\t many\n"), None);
        assert_eq!(status_resident_bytes(""), None);
    }

    #[test]
    fn a_process_that_works_is_charged_for_it() {
        let own = Process::new(std::process::id());
        let (before, thread_before) = (own.cpu_ns().unwrap(), own_thread_cpu_ns());
        let began = Instant::now();
        while own_thread_cpu_ns() - thread_before < 30_000_000 {
            assert!(began.elapsed() < Duration::from_secs(30), "the thread's clock stands still");
        }
        // Other threads of the test run may add to it.
        assert!(own.cpu_ns().unwrap() - before >= 15_000_000);
        assert!(own.cpu_ns_by_ticks().unwrap() > 0);
        assert!(own.resident_bytes().unwrap() > 100_000);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Process::new(u32::MAX).cpu_ns().is_err());
        assert!(Process::new(u32::MAX).resident_bytes().is_err());
    }
}
