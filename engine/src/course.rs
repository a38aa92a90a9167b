//! Courses: commands whose arguments do not name all the keys they need. What one round finds on the shards says what
//! the next has to look for; all shards are held from the first to the last, so that all is seen at one moment.
//! SORT with patterns is a course.
//!
//! ```text
//! coordinator               every shard
//!     ├── Request ─────────────►├ locks the whole of itself, or queues
//!     │◄──────────── Granted ───┤
//!     ├── Visit ───────────────►├ a round ┐
//!     │◄─────────────── Done ───┤         ┘ any number of times
//!     ├── Return ──────────────►├ releases
//! ```
//! A course that only reads shares the shards with other readers.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use bobbin_proto::Reply;

use crate::core::Core;
use crate::errand::AnyAnswer;
use crate::error::CommandError;

/// What every shard does in one round. It cannot suspend.
pub trait Round: Debug + Send + Sync {
    fn visit(&self, core: &mut Core) -> AnyAnswer;
}

/// A command in rounds, as its coordinator carries it on.
pub trait Course: Debug + Send {
    /// Whether a round may change anything.
    fn writes(&self) -> bool;

    /// Goes on with the answers of the last round, in the order of the shards; with none at first. Returns the next
    /// round; without one, the reply is written.
    fn next(
        &mut self,
        answers: Vec<AnyAnswer>,
        reply: &mut Reply<'_>,
    ) -> Result<Option<Arc<dyn Round>>, CommandError>;
}

/// The answers of a round, which are all of one type.
pub fn typed<A: Any>(answers: Vec<AnyAnswer>) -> impl Iterator<Item = A> {
    answers.into_iter().map(|answer| *answer.downcast().expect("a round's answers are its own"))
}
