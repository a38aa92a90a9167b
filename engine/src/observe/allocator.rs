//! What jemalloc says of its heap.
//!
//! Figures for people to read; nothing is decided by them. All are 0 where jemalloc is not the allocator.

use tikv_jemalloc_ctl::{epoch, stats, version};

/// Bytes, by how much of jemalloc's own bookkeeping is counted in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap {
    /// In use by the server.
    pub allocated: u64,
    /// In pages that hold something in use.
    pub active: u64,
    /// In physical pages.
    pub resident: u64,
}

impl Heap {
    /// Refreshes jemalloc's figures and reads them; some tens of microseconds.
    pub fn read() -> Self {
        let bytes = |read: tikv_jemalloc_ctl::Result<usize>| read.map_or(0, |bytes| bytes as u64);
        let _ = epoch::advance();
        Self {
            allocated: bytes(stats::allocated::read()),
            active: bytes(stats::active::read()),
            resident: bytes(stats::resident::read()),
        }
    }
}

/// `jemalloc-5.3.0`, as INFO has it.
pub fn name() -> String {
    let text = version::read().unwrap_or_default();
    format!("jemalloc-{}", text.split('-').next().unwrap_or_default())
}
