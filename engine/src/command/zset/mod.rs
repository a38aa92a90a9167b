//! Sorted sets.
//!
//! | module | owns |
//! |---|---|
//! | `add` | ZADD, ZINCRBY |
//! | `read` | one member's score or rank, counts |
//! | `interval` | ranges of ranks, scores and names, as arguments and as ranks |
//! | `range` | ZRANGE and its kin, ZRANGESTORE |
//! | `block` | BZPOPMIN, BZPOPMAX, BZMPOP |
//! | `remove` | ZREM, ZREMRANGEBY…, ZPOPMIN, ZPOPMAX, ZMPOP |
//! | `combine` | union, intersection and difference |
//! | `walk` | ZSCAN, ZRANDMEMBER |
//!
//! Invariant: a key with no members is removed by the command that took the last.
//!
//! Refused: scores that are not a number; with BYLEX nothing, but members of different scores have no useful order.
//! Source: replies, errors and their precedence are those of redis-server 7.0.15; WITHSCORE of ZRANK is as 7.2
//! documents it.

pub mod add;
pub mod block;
pub mod combine;
mod interval;
pub mod range;
pub mod read;
pub mod remove;
pub mod walk;

use std::ops::Range;

use bobbin_proto::{Reply, Version};

use super::element::reply_element;
use super::spec::key_flag;
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::{Entry, Object, ObjectMut, Value, Zset, ZsetLimits};

const READ: u16 = key_flag::RO | key_flag::ACCESS;
const DELETE: u16 = key_flag::RW | key_flag::DELETE;
const OVERWRITE: u16 = key_flag::OW | key_flag::UPDATE;

/// The sorted set of an entry.
fn of_entry(entry: &Entry) -> Result<&Zset, CommandError> {
    match entry.value() {
        Value::Object(Object::Zset(zset)) => Ok(zset),
        _ => Err(CommandError::WrongType),
    }
}

/// A sorted set to read.
#[inline]
pub(super) fn find<'a>(cx: &'a mut Cx<'_>, key: &[u8]) -> Result<Option<&'a Zset>, CommandError> {
    cx.find(key).map(of_entry).transpose()
}

fn of_object(object: &mut Object) -> Result<&mut Zset, CommandError> {
    if let Object::Zset(zset) = object { Ok(zset) } else { Err(CommandError::WrongType) }
}

/// Members that a command takes out of a sorted set.
#[derive(Clone, Copy, Debug)]
struct Taken {
    members: usize,
    /// None is left, or is to be left: then the set may still have them, to be freed with it as a whole.
    all: bool,
}

impl Taken {
    fn ranks(zset: &mut Zset, ranks: Range<usize>) -> Self {
        let (members, all) = (ranks.len(), ranks.len() == zset.len());
        if !all {
            zset.remove_ranks(ranks);
        }
        Self { members, all }
    }
}

/// Takes members out of a sorted set, and with the last the key. Answers how many, if there is such a key.
fn take_out(
    cx: &mut Cx<'_>,
    key: &[u8],
    event: &'static str,
    take: impl FnOnce(&mut Zset) -> Taken,
) -> Result<Option<usize>, CommandError> {
    let Some(mut entry) = cx.find_mut(key) else { return Ok(None) };
    let Some(mut object) = entry.object_mut() else { return Err(CommandError::WrongType) };
    let taken = take(of_object(&mut object)?);
    drop::<ObjectMut<'_>>(object);
    if taken.members > 0 {
        cx.shrunk(key, Event::zset(event), taken.all);
    }
    Ok(Some(taken.members))
}

/// Makes a key hold a sorted set, or nothing if that is empty, whatever it held before. Answers how many members.
pub(super) fn store(cx: &mut Cx<'_>, key: &[u8], zset: Zset, event: &'static str, reply: &mut Reply<'_>) {
    let len = zset.len();
    cx.replace(key, (len > 0).then_some(Object::Zset(zset)), Event::zset(event));
    reply.int(len as i64);
}

/// As the directives say now.
pub(super) fn limits(cx: &mut Cx<'_>) -> ZsetLimits {
    cx.env.config.zset_limits(cx.rest.rng.u64(..))
}

/// Whether scores are answered with the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scores {
    With,
    Without,
}

/// Answers members: with scores in pairs, which RESP2 has one behind the other.
fn reply_members<'a>(
    members: impl ExactSizeIterator<Item = (Element<'a>, f64)>,
    scores: Scores,
    reply: &mut Reply<'_>,
) {
    reply_members_len(members.len(), scores, reply);
    members.for_each(|member| reply_member(member, scores, reply));
}

fn reply_members_len(len: usize, scores: Scores, reply: &mut Reply<'_>) {
    let flat = scores == Scores::With && reply.version() == Version::Resp2;
    reply.array(if flat { 2 * len } else { len });
}

fn reply_member((member, score): (Element<'_>, f64), scores: Scores, reply: &mut Reply<'_>) {
    if scores == Scores::With && reply.version() == Version::Resp3 {
        reply.array(2);
    }
    reply_element(member, reply);
    if scores == Scores::With {
        reply.double(score);
    }
}

/// How many keys follow their number, which is the argument `at`.
fn counted_keys(cx: &Cx<'_>, args: Args<'_>, at: usize) -> Result<usize, CommandError> {
    let count = super::number::integer(args.at(at))?;
    if count < 1 {
        let name = cx.command.name;
        return Err(CommandError::owned(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    usize::try_from(count).ok().filter(|&count| count < args.len() - at).ok_or(CommandError::Syntax)
}
