//! Every interleaving, and every reordering that the memory model allows, of going to sleep and calling.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
}

#[path = "../src/mesh/parking.rs"]
#[expect(unreachable_pub, reason = "the file is a module of the engine")]
mod parking;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use parking::Parking;

/// One sleeper, two callers: when all is over, the sleeper has seen everything or has a call waiting.
#[test]
fn nothing_is_put_in_a_lane_unnoticed() {
    loom::model(|| {
        let parking = Arc::new(Parking::default());
        let lanes = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let calls = Arc::new(AtomicUsize::new(0));
        let callers = [0, 1].map(|lane| {
            let (parking, lanes, calls) = (Arc::clone(&parking), Arc::clone(&lanes), Arc::clone(&calls));
            thread::spawn(move || {
                lanes[lane].store(1, Ordering::Release);
                if parking.must_wake() {
                    calls.fetch_add(1, Ordering::AcqRel);
                }
            })
        });
        parking.announce();
        let seen: usize = lanes.iter().map(|lane| lane.load(Ordering::Acquire)).sum();
        callers.into_iter().for_each(|caller| caller.join().expect("no caller fails"));
        let calls = calls.load(Ordering::Acquire);
        assert!(seen == 2 || calls == 1, "asleep for ever: {seen} seen, {calls} calls");
        assert!(calls <= 1, "one call is enough");
    });
}

/// After waking, the reactor is called no more until it announces its next sleep.
#[test]
fn a_reactor_that_is_awake_is_not_called() {
    loom::model(|| {
        let parking = Parking::default();
        parking.announce();
        parking.awake();
        assert!(!parking.must_wake());
    });
}
