//! What the kernel says of the process: memory, and processor time.
//!
//! Figures for people to read; nothing is decided by them. A figure that cannot be read is 0.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Processor time used.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    pub system: Duration,
    pub user: Duration,
}

impl CpuTime {
    pub fn of_process() -> Self {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// Of the processes that this one waited for.
    pub fn of_children() -> Self {
        Self::of(UsageWho::RUSAGE_CHILDREN)
    }

    /// Of the thread that asks.
    pub fn of_thread() -> Self {
        Self::of(UsageWho::RUSAGE_THREAD)
    }

    fn of(who: UsageWho) -> Self {
        getrusage(who).map_or_else(
            |_| Self::default(),
            |usage| Self { system: duration(usage.system_time()), user: duration(usage.user_time()) },
        )
    }
}

fn duration(time: TimeVal) -> Duration {
    Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
}

/// Bytes of the process that are in memory.
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|statm| resident_pages(&statm));
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// `size resident shared …`, in pages.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Bytes of memory that the machine has.
pub fn system_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_understood() {
        assert_eq!(resident_pages("2611 410 382 1 0 88 0\n"), Some(410));
        assert_eq!(resident_pages(""), None);
    }

    #[test]
    fn the_process_is_somewhere_in_memory_and_has_worked() {
        assert!(resident_bytes() > 0 && resident_bytes() < system_bytes());
        let busy = (0..10_000_000_u64).fold(0, |sum: u64, n| sum.wrapping_add(n * n));
        assert_ne!(busy, 0);
        let process = CpuTime::of_process();
        assert!(process.user + process.system > Duration::ZERO);
    }
}
