//! Waiting for what a server does by itself, a little later.

use std::time::{Duration, Instant};

/// Long, because the machine may be busy building.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until something is so.
#[track_caller]
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never is");
        std::thread::sleep(Duration::from_millis(5));
    }
}
