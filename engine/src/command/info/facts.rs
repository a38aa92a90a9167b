//! What the sections of INFO are written from, read once for all of them.

use crate::allocator::Heap;
use crate::core::Env;
use crate::observe::Report;
use crate::observe::process;

pub(super) struct Facts<'a> {
    pub(super) env: &'a Env,
    pub(super) reactors: &'a [Report],
    pub(super) total: Report,
    pub(super) heap: Heap,
    pub(super) resident_bytes: u64,
    /// What counts against `maxmemory`.
    pub(super) used_bytes: u64,
    pub(super) peak_bytes: u64,
}

impl<'a> Facts<'a> {
    pub(super) fn gather(reactors: &'a [Report], env: &'a Env) -> Self {
        let mut total = Report::default();
        reactors.iter().for_each(|report| total.merge(report));
        Self {
            env,
            reactors,
            heap: Heap::read(),
            resident_bytes: process::resident_bytes(),
            used_bytes: env.memory_used,
            peak_bytes: total.memory_peak.max(env.memory_used),
            total,
        }
    }

    pub(super) fn uptime_s(&self) -> u64 {
        self.env.now.unix_ms().saturating_sub(self.env.shared.about.started_unix_ms) / 1000
    }
}
