//! Histories: what clients asked and were answered, and whether one thread could have done it.
//!
//! An operation is one command, or one EXEC with its block, of one connection. It is *sent* when its last byte is and
//! *answered* when its reply is there, both in microseconds of the world's clock, which no two steps share.
//!
//! A history is strictly serializable if its operations can be put in a row such that
//! - each answer is what [`State`] gives when the operations run one after the other in that row;
//! - what was answered before another was sent comes before it (a reply received orders all that follows);
//! - of one connection, an operation comes before a later one if either is a *barrier* or they share a key; nothing is
//!   promised about two commands of one key each on different keys. Barriers are EXEC, commands that may wait, and
//!   commands whose keys lie on several shards, or that concern all of them;
//! - a command that waits begins to wait at one place of the row and is served at a later one: at once when a command,
//!   or the whole of a block, has filled a key of its, in the order in which those who wait came. It ends
//!   unserved only if its reply says so or its client was gone. One whose keys lie on several shards may miss its turn:
//!   another's offer may be before it, or a key that it needs as well be locked. It then takes what is left at some later
//!   time, and what it has moved to another shard may be taken before the next in its own line is served;
//! - a key with a time-out is there before its time and not after, the time of each operation being between its sending
//!   and its answer, and never less than that of the one before.
//!
//! An operation without an answer, its client being gone, took effect at any time after it was sent, or never; one
//! that waits is not served by what was sent after its client had gone. What is known to have waited when the world
//! was quiet had begun to by then. Commands that look at each shard at its own moment (DBSIZE outside a block) are
//! barriers whose answers are not looked at.

mod check;
mod name;
mod operation;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use check::{Anomaly, check};
pub(crate) use operation::{Call, Ending, History, Operation};
