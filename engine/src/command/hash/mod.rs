//! Hashes.
//!
//! | module | owns |
//! |---|---|
//! | `write` | HSET and its kin, HDEL |
//! | `read` | values, fields and lengths |
//! | `count` | HINCRBY, HINCRBYFLOAT |
//! | `walk` | HSCAN, HRANDFIELD |
//! | `expire` | when fields go: HEXPIRE, HTTL, HPERSIST and their kin |
//! | `lifetime` | HSETEX, HGETEX, HGETDEL |
//!
//! Invariants: a key with no fields is removed by the command that took the last; a field whose time is over is not
//! shown to anybody.
//!
//! Source: replies, errors and their precedence, and the events, are those of redis-server 7.0.15; what has to do
//! with deadlines, and NOVALUES of HSCAN, is as in 7.4, HSETEX and its kin as in 8.0 (`src/t_hash.c`). Unlike there
//! HLEN does not count fields that are over, HDEL does not find them, and HEXPIRE does not revive them.

pub mod count;
pub mod expire;
pub mod lifetime;
pub mod read;
pub mod walk;
pub mod write;

use super::number::integer_within;
use super::spec::{KeySpec, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::{Hash, HashLimits, LiveHash, LiveHashMut, Type};

const READ: &[KeySpec] = &[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)];
const UPDATED: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)];
const COUNTED: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::UPDATE)];

/// As the directives say now.
#[inline]
pub(super) fn limits(cx: &mut Cx<'_>) -> HashLimits {
    cx.env.config.hash_limits(cx.rest.rng.u64(..))
}

/// A hash to read.
#[inline]
fn find<'a>(cx: &'a mut Cx<'_>, key: &[u8]) -> Result<Option<LiveHash<'a>>, CommandError> {
    let now_ms = cx.now_ms();
    Ok(cx.find_as(key)?.map(|hash| LiveHash::new(hash, now_ms)))
}

/// What a command has done to a hash.
#[derive(Debug)]
struct Done<R> {
    result: R,
    /// What it is to be announced as.
    events: [Option<&'static str>; 2],
}

impl<R> Done<R> {
    #[inline]
    fn new(result: R, event: Option<&'static str>) -> Self {
        Self { result, events: [event, None] }
    }
}

/// Changes a hash if it is there. Answers what the change answers.
fn change<R>(
    cx: &mut Cx<'_>,
    key: &[u8],
    change: impl FnOnce(&mut LiveHashMut<'_>) -> Done<R>,
) -> Result<Option<R>, CommandError> {
    let (limits, now_ms) = (limits(cx), cx.now_ms());
    let done = cx.change(key, |hash: &mut Hash| {
        let mut live = LiveHashMut::new(hash, &limits, now_ms);
        (change(&mut live), live.expired(), live.is_empty())
    })?;
    Ok(done.map(|(done, expired, emptied)| settle(cx, key, done, expired, emptied)))
}

/// Changes the hash under the first argument, made first with room for some pairs if it is not there. It may be left
/// without fields.
#[inline]
fn create_or_change<'a, R>(
    cx: &mut Cx<'_>,
    args: Args<'a>,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    change: impl FnOnce(&mut LiveHashMut<'_>) -> Done<R>,
) -> Result<R, CommandError> {
    let (key, limits, now_ms) = (args.at(1), limits(cx), cx.now_ms());
    let make = || Hash::with_room_for(pairs, &limits);
    let (done, expired, emptied) = cx.create_or_change(key, make, |hash| {
        let mut live = LiveHashMut::new(hash, &limits, now_ms);
        (change(&mut live), live.expired(), live.is_empty())
    })?;
    Ok(settle(cx, key, done, expired, emptied))
}

/// Announces what was done, fields that were found expired first, and removes a key that has no fields any more.
#[inline]
fn settle<R>(cx: &mut Cx<'_>, key: &[u8], done: Done<R>, expired: usize, emptied: bool) -> R {
    if expired > 0 {
        cx.depends_on_time();
        cx.rest.count_expired_fields(cx.db, key, expired);
    }
    done.events.into_iter().flatten().for_each(|event| cx.changed(key, Event::hash(event)));
    if emptied {
        cx.remove(key);
        cx.changed(key, Event::generic("del"));
    }
    done.result
}

/// Arguments, or the error in them; but the error is that of a key of another type if it is one.
fn or_wrong_type<T>(cx: &mut Cx<'_>, key: &[u8], parsed: Result<T, CommandError>) -> Result<T, CommandError> {
    if parsed.is_err() && cx.peek(key).is_some_and(|entry| entry.type_of() != Type::Hash) {
        return Err(CommandError::WrongType);
    }
    parsed
}

/// The fields of `FIELDS numfields field [field ...]`, which an argument begins and the last ends.
fn fields<'a>(
    args: Args<'a>,
    at: usize,
    bad_count: &CommandError,
) -> Result<impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a>, CommandError> {
    if !args.is(at, "fields") {
        return Err(NO_FIELDS);
    }
    let count = integer_within(args.get(at + 1).ok_or(NO_FIELDS)?, 1, bad_count)?;
    let fields = args.iter_from(at + 2);
    if count == fields.len() { Ok(fields) } else { Err(FIELDS_MISCOUNTED) }
}

const NO_FIELDS: CommandError =
    CommandError::text("ERR Mandatory argument FIELDS is missing or not at the right position");
const FIELDS_MISCOUNTED: CommandError =
    CommandError::text("ERR The `numfields` parameter must match the number of arguments");
const BAD_FIELD_COUNT: CommandError = CommandError::text("ERR Number of fields must be a positive integer");
