//! Lanes: one bounded queue of batches for every ordered pair of reactors, and who of them sleeps.

use crossbeam_queue::ArrayQueue;

use super::{Batch, Parking};
use crate::ids::ReactorId;
use crate::limits::LANE_BATCHES_MAX;

/// All lanes of a server. Each has one reactor that fills it and one that drains it.
#[derive(Debug)]
pub struct Lanes {
    reactors: usize,
    queues: Vec<ArrayQueue<Box<Batch>>>,
    parking: Vec<Parking>,
}

impl Lanes {
    pub fn new(reactors: usize) -> Self {
        Self {
            reactors,
            queues: (0..reactors * reactors).map(|_| ArrayQueue::new(LANE_BATCHES_MAX)).collect(),
            parking: (0..reactors).map(|_| Parking::default()).collect(),
        }
    }

    /// Puts a batch in; a full lane hands it back.
    pub fn push(&self, from: ReactorId, to: ReactorId, batch: Box<Batch>) -> Result<(), Box<Batch>> {
        self.lane(from, to).push(batch)
    }

    pub fn pop(&self, from: ReactorId, to: ReactorId) -> Option<Box<Batch>> {
        self.lane(from, to).pop()
    }

    /// Whether nothing is on its way to a reactor.
    pub fn is_empty(&self, to: ReactorId) -> bool {
        (0..self.reactors).all(|from| self.lane(ReactorId::from_index(from), to).is_empty())
    }

    /// Batches on their way to a reactor.
    pub fn depth(&self, to: ReactorId) -> usize {
        (0..self.reactors).map(|from| self.lane(ReactorId::from_index(from), to).len()).sum()
    }

    pub fn parking(&self, reactor: ReactorId) -> &Parking {
        &self.parking[reactor.index()]
    }

    fn lane(&self, from: ReactorId, to: ReactorId) -> &ArrayQueue<Box<Batch>> {
        &self.queues[from.index() * self.reactors + to.index()]
    }
}
