//! Sets.
//!
//! | module | owns |
//! |---|---|
//! | `add` | SADD, SMOVE |
//! | `remove` | SREM, SPOP |
//! | `read` | one member's presence, how many there are, all of them |
//! | `combine` | union, intersection and difference |
//! | `walk` | SSCAN, SRANDMEMBER |
//!
//! Invariant: a key with no members is removed by the command that took the last.
//!
//! Source: replies, errors and their precedence, and the events, are those of redis-server 7.0.15; encodings are
//! those of Redis 7.2, where a small set of strings is a listpack.

pub mod add;
pub mod combine;
pub mod read;
pub mod remove;
#[cfg(test)]
mod tests;
pub mod walk;

use bobbin_proto::Reply;

use super::Cx;
use super::element::reply_element;
use super::spec::key_flag;
use crate::store::{Set, SetLimits};

const READ: u16 = key_flag::RO | key_flag::ACCESS;

/// As the directives say now.
#[inline]
pub(super) fn limits(cx: &mut Cx<'_>) -> SetLimits {
    cx.env.config.set_limits(cx.rest.rng.u64(..))
}

/// Answers every member, as a set.
fn reply_set(set: &Set, reply: &mut Reply<'_>) {
    reply.set(set.len());
    set.iter().for_each(|member| reply_element(member, reply));
}
