//! jemalloc: how it is set, what it says of its heap, and having it give pages back.
//!
//! Its figures are for people to read; nothing is decided by them. All are 0 where it is not the allocator.

use tikv_jemalloc_ctl::stats_print::{Options, stats_print};
use tikv_jemalloc_ctl::{Access, AsName, arenas, background_thread, epoch, stats, version};

use crate::config::Config;

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

/// `jemalloc-bg-thread`: without these threads free pages are given back only by one that allocates, and a server that has
/// been emptied holds them for as long as nobody asks it anything.
pub fn configure(config: &Config) {
    if let Err(error) = background_thread::write(config.jemalloc_bg_thread) {
        tracing::warn!("the allocator starts no threads of its own: {error}");
    }
}

/// Address space that a reactor's heap begins with, in parts: jemalloc puts what is larger than one elsewhere. A heap grows by
/// steps that are small at first and begin anywhere, which leaves half of one of 100 MiB in small pages.
const RESERVED_PARTS: usize = 9;
const RESERVED_PART_BYTES: usize = 7 << 20;

/// Has the calling thread's heap begin with one long range of addresses; no page of it is touched.
pub fn reserve() {
    let parts: Vec<Vec<u8>> = (0..RESERVED_PARTS).map(|_| Vec::with_capacity(RESERVED_PART_BYTES)).collect();
    std::hint::black_box(parts);
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
