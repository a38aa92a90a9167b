//! The mesh: lanes between every ordered pair of reactors, and what travels in them.

pub mod batch;
pub mod frame;
pub mod message;

pub use batch::Batch;
pub use frame::{CommandHead, SessionBits};
pub use message::Message;
