//! Ctrl-C and SIGTERM as a flag that loops look at, so that servers under test are stopped on the way out.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::Error;

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Turns the signals into the flag, the second one into an exit.
pub fn install() -> Result<(), Error> {
    for signal in [SIGINT, SIGTERM] {
        let failed = |source| Error::system("cannot install a signal handler", source);
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&REQUESTED))
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&REQUESTED)).map_err(failed)?;
    }
    Ok(())
}

pub fn requested() -> bool {
    REQUESTED.load(Relaxed)
}

/// Sleeps, unless a signal comes.
pub fn sleep(time: Duration) -> Result<(), Error> {
    const STEP: Duration = Duration::from_millis(50);
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        check()?;
        std::thread::sleep(left.min(STEP));
    }
    check()
}

/// An error once a signal has come.
pub fn check() -> Result<(), Error> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}
