//! Going to sleep without missing a call.
//!
//! A reactor with nothing to do sleeps in the kernel; who puts a batch in its lane wakes it, but only if it sleeps.
//! Both sides write one thing and then read the other's:
//!
//! ```text
//! sleeper                         caller
//! sleeping = true                 put batch in lane
//! ── fence ──                     ── fence ──
//! lanes empty? then sleep         sleeping? then wake
//! ```
//! With a sequentially consistent fence between, at least one of them sees what the other wrote: the batch is found
//! before the sleep, or the call is made. The kernel keeps a call that comes before the sleep. `tests/loom.rs` checks
//! this file, with loom's atomics in the place of the standard library's.

use super::sync::{AtomicBool, Ordering, fence};

/// Whether one reactor sleeps, or is about to.
#[derive(Debug)]
#[repr(align(128))]
pub struct Parking {
    sleeping: AtomicBool,
}

impl Default for Parking {
    fn default() -> Self {
        Self { sleeping: AtomicBool::new(false) }
    }
}

impl Parking {
    /// The reactor says that it is going to sleep. It looks at its lanes once more after this, before it does.
    pub fn announce(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The reactor is awake.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Asked after putting something in the reactor's lane: whether to wake it. One caller of several is told yes.
    pub fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed)
    }
}
