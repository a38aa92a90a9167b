//! What a connection keeps of the blocking command it is in.

use crate::command::blocking::Patience;
use crate::command::{Command, OwnedArgs};
use crate::ids::ReactorId;

/// A command that has been sent and may wait. Only this connection's reactor decides how the wait ends.
#[derive(Debug)]
pub struct Blocked {
    /// Its place in the reply order.
    pub seq: u32,
    /// What it asks for; `None` of WAIT.
    pub request: Option<(&'static Command, OwnedArgs)>,
    pub patience: Patience,
    pub unserved: Unserved,
    /// Where it stands in line.
    pub shards: Vec<ReactorId>,
    pub state: BlockedState,
    /// Shards whose offers came while it could not take them.
    pub missed: Vec<ReactorId>,
    /// When the wait is over, in microseconds of the monotonic clock; `None`: never, or not known yet.
    pub deadline_us: Option<u64>,
}

impl Blocked {
    /// Of a command that is on its way to these shards.
    pub fn new(
        seq: u32,
        request: Option<(&'static Command, OwnedArgs)>,
        patience: Patience,
        unserved: Unserved,
        shards: Vec<ReactorId>,
    ) -> Self {
        Self {
            seq,
            request,
            patience,
            unserved,
            shards,
            state: BlockedState::Trying,
            missed: Vec::new(),
            deadline_us: None,
        }
    }

    /// It stands in line, or is being served.
    pub fn is_waiting(&self) -> bool {
        self.state != BlockedState::Trying
    }
}

/// What is answered when a wait ends with nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    NullArray,
    /// WAIT: so many replicas.
    Replicas(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedState {
    /// Its first attempt is under way: it may be served yet.
    Trying,
    /// It stands in line.
    Waiting,
    /// It has accepted a shard's offer, and will be served, or wait on.
    Taking,
}
