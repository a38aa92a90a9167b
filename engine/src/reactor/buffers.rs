//! Receive buffers: one area of memory that the kernel fills as data arrives, for all connections of a reactor.
//!
//! The area is a few MiB whatever the number of connections: a buffer is taken only when there is data, used in
//! place, and given back in the same loop iteration. From Linux 6.12 on the kernel fills a buffer bit by bit
//! (`IOU_PBUF_RING_INC`), so that 10,000 small requests do not need 10,000 buffers; before, each receipt takes one.
//!
//! ```text
//! area   ┌─ buffer 0 ──────────┬─ buffer 1 ──────────┬─ …
//!        │▓▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░│░░░░░░░░░░░░░░░░░░░░░│      ▓ filled and handled   ░ the kernel's to fill
//!        └───────────▲─────────┴─────────────────────┴─
//!                filled[0]
//! ring   entries (address, length, id) shared with the kernel; its tail is ours to move
//! ```

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Group id of the one buffer ring a reactor registers.
pub(super) const GROUP: u16 = 0;

/// Buffers, and bytes in each: 4 MiB together.
const COUNT: u16 = 128;
const LEN: usize = 32 << 10;

/// The list of them that is shared with the kernel.
pub(super) const ENTRIES_LEN: usize = COUNT as usize * size_of::<BufRingEntry>();

/// `IOU_PBUF_RING_INC`: buffers are filled bit by bit.
const INCREMENTAL: u16 = 2;
/// `IORING_CQE_F_BUF_MORE`: the kernel goes on filling this buffer.
const MORE: u32 = 1 << 4;

const _: () = assert!(COUNT.is_power_of_two());

/// Memory from `mmap`, zeroed, aligned to a page.
#[derive(Debug)]
struct Area {
    start: NonNull<u8>,
    len: usize,
}

impl Area {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe {
            mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The buffers of one reactor.
#[derive(Debug)]
pub(super) struct Buffers {
    entries: Area,
    area: Area,
    incremental: bool,
    tail: u16,
    /// How far each buffer is filled.
    filled: Vec<u32>,
}

impl Buffers {
    /// Makes the buffers and gives all to the kernel. They must not be dropped before the ring.
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let entries = Area::new(ENTRIES_LEN)?;
        let area = Area::new(COUNT as usize * LEN)?;
        let incremental = match register(submitter, &entries, INCREMENTAL) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                register(submitter, &entries, 0)?;
                false
            }
            registered => registered.map(|()| true)?,
        };
        let mut buffers = Self { entries, area, incremental, tail: 0, filled: vec![0; COUNT as usize] };
        (0..COUNT).for_each(|id| buffers.give(id));
        buffers.publish();
        Ok(buffers)
    }

    /// The bytes of a receipt: `len` bytes in buffer `id`, at the place up to which it was filled.
    pub(super) fn filled(&self, id: u16, len: usize) -> &[u8] {
        let start = id as usize * LEN + self.filled[id as usize] as usize;
        assert!(start + len <= (id as usize + 1) * LEN, "the kernel fills buffers within their bounds");
        // SAFETY: in bounds of the area, by the assertion.
        let bytes = unsafe { self.area.start.add(start) };
        // SAFETY:
        // - `len` bytes from here are in bounds of the area, which is initialised memory;
        // - the kernel does not write what it has reported filled until the buffer is given back, which needs `&mut`.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr(), len) }
    }

    /// Ends the use of a receipt. The buffer goes back to the kernel once the kernel is done with it.
    pub(super) fn done(&mut self, id: u16, len: usize, flags: u32) {
        if self.incremental && flags & MORE != 0 {
            self.filled[id as usize] += len as u32;
        } else {
            self.filled[id as usize] = 0;
            self.give(id);
            self.publish();
        }
    }

    /// Writes the entry behind the tail; the kernel sees it when the tail is published.
    fn give(&mut self, id: u16) {
        let at = (self.tail & (COUNT - 1)) as usize;
        // SAFETY: `at` is below the number of entries, for which `entries` has room.
        let entry = unsafe { self.entries.start.cast::<BufRingEntry>().add(at) };
        // SAFETY: in bounds as above.
        let address = unsafe { self.area.start.add(id as usize * LEN) };
        // SAFETY:
        // - aligned: the area starts on a page and an entry is 16 bytes; initialised: mappings are zeroed;
        // - not aliased: entries from the tail on are ours until the tail is published.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(address.as_ptr() as u64);
        entry.set_len(LEN as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the base address of a registered buffer ring, with entries initialised.
        let tail = unsafe { BufRingEntry::tail(self.entries.start.as_ptr().cast()) };
        // SAFETY: aligned and alive as long as `entries`; the kernel only reads it, and reads it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

fn register(submitter: &Submitter<'_>, entries: &Area, flags: u16) -> io::Result<()> {
    // SAFETY: the area holds `COUNT` entries on page boundaries, and outlives the ring by the contract of `Buffers`.
    unsafe { submitter.register_buf_ring_with_flags(entries.start.as_ptr() as u64, COUNT, GROUP, flags) }
}
