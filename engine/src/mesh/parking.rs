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
//! before the sleep, or the call is made. The kernel keeps a call that comes before the sleep. Checked with loom.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

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

/// `RUSTFLAGS="--cfg loom" cargo test -p bobbin-engine --lib --release parking`
#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    /// One sleeper, two callers: when all is over, the sleeper has seen everything or has a call waiting.
    #[test]
    fn nothing_is_put_in_a_lane_unnoticed() {
        loom::model(|| {
            let parking = Arc::new(Parking::default());
            let lanes = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            let called = Arc::new(AtomicUsize::new(0));
            let callers: Vec<_> = (0..2)
                .map(|lane| {
                    let (parking, lanes, called) =
                        (Arc::clone(&parking), Arc::clone(&lanes), Arc::clone(&called));
                    thread::spawn(move || {
                        lanes[lane].store(1, Ordering::Release);
                        if parking.must_wake() {
                            called.fetch_add(1, Ordering::AcqRel);
                        }
                    })
                })
                .collect();
            parking.announce();
            let seen: usize = lanes.iter().map(|lane| lane.load(Ordering::Acquire)).sum();
            callers.into_iter().for_each(|caller| caller.join().unwrap());
            let calls = called.load(Ordering::Acquire);
            assert!(seen == 2 || calls >= 1, "asleep for ever: {seen} seen, {calls} calls");
            assert!(calls <= 1, "one call is enough");
        });
    }
}
