//! SIGINT, SIGTERM and SIGHUP, looked at between steps, so that whoever is told to stop can clean up.
//!
//! SIGHUP comes when the terminal goes. Whoever has it ignored, as nohup does, wants the work to go on.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

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
        let hangup = (!is_ignored(SIGHUP)?).then_some(SIGHUP);
        for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
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

/// Whether this process was started with the signal ignored.
fn is_ignored(signal: i32) -> io::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    Ok(mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1))
}
