//! The mesh: lanes between every ordered pair of reactors, and what travels in them.

pub mod batch;
pub mod frame;
mod lane;
pub mod message;
mod parking;

pub use batch::Batch;
pub use frame::{CommandHead, SessionBits};
pub use lane::Lanes;
pub use message::Message;
pub use parking::Parking;

/// What `parking` is made of; its model test puts loom's in the same place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
}
