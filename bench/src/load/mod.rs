//! The load generator: a session of connections, spread over threads, on which phases run in turn.
//!
//! A phase is closed (each connection sends its next pipeline when the last is answered) or open (each
//! connection's requests are due at times fixed beforehand; latency counts from the due time, so that a
//! stalled server is charged for the requests it kept from being sent).

pub mod batch;
mod cluster;
pub mod connection;
pub mod pace;
pub mod session;
mod subscribers;
pub mod tally;
pub mod target;
pub mod written;

mod worker;

pub use pace::Arrivals;
pub use session::{Check, Limit, Phase, Progress, Role, Session, Shape as SessionShape};
pub use subscribers::Subscribers;
pub use tally::{RowTally, Tally};
pub use target::{Address, Target};
