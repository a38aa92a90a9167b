//! How long the parts of serving take that are not a command's own: what a request may have waited for.

use super::Timing;

/// Times of one reactor.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// A batch between leaving its reactor and being taken here: a hop is one of these each way, and the run between.
    pub lane: Timing,
    /// An iteration of the loop, waiting excluded: what arrives meanwhile waits as long.
    pub iteration: Timing,
    /// Replies between being handed to the kernel and its having taken them.
    pub send: Timing,
    /// The journal made durable, on the reactor that writes it. Nobody else waits for it but under `appendfsync always`.
    pub sync: Timing,
}

impl Stages {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, &Timing); 4] {
        [("lane", &self.lane), ("iteration", &self.iteration), ("send", &self.send), ("sync", &self.sync)]
    }

    /// Adds another reactor's.
    pub fn merge(&mut self, other: &Self) {
        self.lane.merge(&other.lane);
        self.iteration.merge(&other.iteration);
        self.send.merge(&other.send);
        self.sync.merge(&other.sync);
    }
}
