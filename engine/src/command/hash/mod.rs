//! Hashes.
//!
//! | module | owns |
//! |---|---|
//! | `write` | HSET and its kin, HDEL |
//! | `read` | values, fields and lengths |
//! | `count` | HINCRBY, HINCRBYFLOAT |
//! | `walk` | HSCAN, HRANDFIELD |
//!
//! Invariant: a key with no fields is removed by the command that took the last.
//!
//! Source: replies, errors and their precedence, and the events, are those of redis-server 7.0.15; NOVALUES of HSCAN
//! is as 7.4 documents it.

pub mod count;
pub mod read;
pub mod walk;
pub mod write;

use super::spec::{KeySpec, key_flag};
use super::{Args, Cx};
use crate::error::CommandError;
use crate::store::{Hash, HashLimits};

const READ: &[KeySpec] = &[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)];
const UPDATED: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)];
const COUNTED: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::UPDATE)];

/// As the directives say now.
#[inline]
pub(super) fn limits(cx: &mut Cx<'_>) -> HashLimits {
    let config = &cx.env.config;
    HashLimits {
        packed_len_max: config.hash_max_listpack_entries as usize,
        packed_text_len_max: config.hash_max_listpack_value as usize,
        seed: cx.rest.rng.u64(..),
    }
}

/// A hash to read.
#[inline]
fn find<'a>(cx: &'a mut Cx<'_>, key: &[u8]) -> Result<Option<&'a Hash>, CommandError> {
    cx.find_as(key)
}

/// Changes the hash under the first argument, made first with room for some pairs if it is not there.
#[inline]
fn create_or_change<'a, R>(
    cx: &mut Cx<'_>,
    args: Args<'a>,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    change: impl FnOnce(&mut Hash, &HashLimits) -> R,
) -> Result<R, CommandError> {
    let limits = limits(cx);
    cx.create_or_change(args.at(1), || Hash::with_room_for(pairs, &limits), |hash| change(hash, &limits))
}
