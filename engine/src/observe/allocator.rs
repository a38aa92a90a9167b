//! What jemalloc says of its heap, and asking it to give pages back.
//!
//! Figures for people to read; nothing is decided by them. All are 0 where jemalloc is not the allocator.

use tikv_jemalloc_ctl::stats_print::{Options, stats_print};
use tikv_jemalloc_ctl::{Access, AsName, arenas, epoch, stats, version};

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

/// jemalloc's own report.
pub fn statistics() -> Vec<u8> {
    let mut text = Vec::new();
    match stats_print(&mut text, Options::default()) {
        Ok(()) => text,
        Err(error) => error.to_string().into_bytes(),
    }
}

/// Gives every free page back to the system at once: it is what an arena does when free pages may wait for nothing.
/// False if no arena did.
pub fn purge() -> bool {
    let arenas = arenas::narenas::read().unwrap_or(0);
    (0..arenas).filter(|&arena| purge_arena(arena).is_ok()).count() > 0
}

fn purge_arena(arena: u32) -> tikv_jemalloc_ctl::Result<()> {
    let decay_ms = format!("arena.{arena}.dirty_decay_ms\0");
    let decay_ms = decay_ms.as_bytes().name();
    let usual: isize = decay_ms.update(0)?;
    decay_ms.write(usual)
}
