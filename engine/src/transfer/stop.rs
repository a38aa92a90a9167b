//! SIGINT and SIGTERM, looked at between steps, so that whoever is told to stop can clean up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// The signal that has come; 0: none.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicUsize>);

/// The work was ended by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped by a signal; what had been written is removed")]
pub struct Stopped;

impl Stop {
    /// From here on these signals are taken note of, and no longer end the process.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.0), signal as usize)?;
        }
        Ok(stop)
    }

    /// As if a signal had come.
    pub fn tell(&self, signal: i32) {
        self.0.store(signal as usize, Ordering::Relaxed);
    }

    /// What a shell expects of a program that a signal has ended.
    pub fn exit_code(&self) -> Option<u8> {
        let signal = self.0.load(Ordering::Relaxed);
        (signal > 0).then_some(128 + signal as u8)
    }

    pub(super) fn check(&self) -> Result<(), Stopped> {
        if self.0.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(Stopped) }
    }
}
