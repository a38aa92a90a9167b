//! What the machine offers, read once: plain values, so that checks can be tested without the machine.

use std::{fs, io, path::Path};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cores::{self, CpuQuota};
use super::huge_pages;

const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// A limit of the process; `None` is no limit.
type Limit = Option<u64>;

#[derive(Debug, Clone)]
pub struct Host {
    /// As `uname -r` prints it.
    pub kernel_release: String,
    /// `kernel.io_uring_disabled`; `None` where the kernel does not have it (before 6.6).
    pub io_uring_disabled: Option<u8>,
    /// `kernel.io_uring_group`; -1 is no group.
    pub io_uring_group: i64,
    /// The error number of an attempt to set up a ring, if it failed.
    pub ring_error: Option<i32>,
    /// `RLIMIT_NOFILE`, after the soft limit was raised to the hard one.
    pub open_files: Limit,
    /// `RLIMIT_MEMLOCK` likewise.
    pub locked_memory: Limit,
    /// CPUs the scheduler may put this process on.
    pub affinity: Vec<usize>,
    pub cpu_quota: Option<CpuQuota>,
    /// Not even to those who ask.
    pub gives_no_huge_pages: bool,
}

impl Host {
    /// Raises the soft limits to the hard ones, then looks at the machine.
    pub fn read() -> Self {
        Self {
            open_files: raised(Resource::Nofile),
            locked_memory: raised(Resource::Memlock),
            kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
            io_uring_disabled: sysctl("kernel/io_uring_disabled"),
            io_uring_group: sysctl("kernel/io_uring_group").unwrap_or(-1),
            ring_error: probe_ring().err().map(|error| error.raw_os_error().unwrap_or(0)),
            affinity: core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect(),
            cpu_quota: cores::read_cpu_quota(Path::new("/")),
            gives_no_huge_pages: fs::read_to_string(HUGE_PAGES).is_ok_and(|text| huge_pages::is_never(&text)),
        }
    }
}

/// The soft limit, after it was raised as far as it goes without privileges.
fn raised(resource: Resource) -> Limit {
    let limit = getrlimit(resource);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(resource, raised).is_ok() { limit.maximum } else { limit.current }
}

fn sysctl<T: std::str::FromStr>(name: &str) -> Option<T> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// Sets up a small ring with the flags a reactor uses, and gives it back.
fn probe_ring() -> io::Result<()> {
    let mut builder = io_uring::IoUring::<io_uring::squeue::Entry>::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun();
    builder.build(8).map(drop)
}

#[cfg(test)]
pub(super) fn capable() -> Host {
    Host {
        kernel_release: "6.1.0-13-amd64".into(),
        io_uring_disabled: Some(0),
        io_uring_group: -1,
        ring_error: None,
        open_files: Some(20_000),
        locked_memory: Some(8 << 20),
        affinity: vec![0, 1],
        cpu_quota: None,
        gives_no_huge_pages: false,
    }
}
