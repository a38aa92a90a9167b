//! The loop of a reactor: how often it went round, how long it worked, and the longest it kept anyone waiting.

/// Figures of one reactor's loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loops {
    /// Iterations since loading ended.
    pub count: u64,
    /// Time in iterations that worked, waiting excluded.
    pub busy_us: u64,
    /// The longest iteration: what arrives meanwhile waits as long. The bound of tail latency.
    pub longest_us: u64,
}

impl Loops {
    /// Takes one iteration in: the time from waking up to being ready to wait again.
    #[inline]
    pub fn went_round(&mut self, us: u64) {
        self.count += 1;
        self.busy_us += us;
        self.longest_us = self.longest_us.max(us);
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.busy_us += other.busy_us;
        self.longest_us = self.longest_us.max(other.longest_us);
    }
}
