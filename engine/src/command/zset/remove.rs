//! Taking members out: by name, by range, from either end.

use std::ops::Range;

use bobbin_proto::{Reply, Version};

use super::super::element::reply_element;
use super::super::number::integer_within;
use super::super::pop::Pop;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::interval::Interval;
use super::{DELETE, Taken, take_out};
use crate::error::CommandError;
use crate::store::Zset;

pub(super) const POPPED: u16 = key_flag::RW | key_flag::ACCESS | key_flag::DELETE;
const RANGE_COMPLEXITY: &str = "O(M*log(N)) with N members, M of them removed";

pub const ROWS: &[Command] = &[
    command("zrem", -3, flag::WRITE | flag::FAST, Group::SortedSet, Run::Shard(zrem))
        .keys(&[KeySpec::one(1, DELETE)])
        .docs(
            "1.2.0",
            "O(M*log(N)) with N members, M of them removed",
            "Removes members.",
            "key member [member ...]",
        ),
    command("zremrangebyrank", 4, flag::WRITE, Group::SortedSet, Run::Shard(zremrangebyrank))
        .keys(&[KeySpec::one(1, DELETE)])
        .docs("2.0.0", RANGE_COMPLEXITY, "Removes the members within a range of ranks.", "key start stop"),
    command("zremrangebyscore", 4, flag::WRITE, Group::SortedSet, Run::Shard(zremrangebyscore))
        .keys(&[KeySpec::one(1, DELETE)])
        .docs(
            "1.2.0",
            RANGE_COMPLEXITY,
            "Removes the members within a range of scores.",
            "key min-score max-score",
        ),
    command("zremrangebylex", 4, flag::WRITE, Group::SortedSet, Run::Shard(zremrangebylex))
        .keys(&[KeySpec::one(1, DELETE)])
        .docs(
            "2.8.9",
            RANGE_COMPLEXITY,
            "Removes the members, all of one score, within a range of names.",
            "key min max",
        ),
    command("zpopmin", -2, flag::WRITE | flag::FAST, Group::SortedSet, Run::Shard(zpopmin))
        .keys(&[KeySpec::one(1, POPPED)])
        .docs(
            "5.0.0",
            "O(M*log(N)) with N members, M of them removed",
            "Removes and answers the members with the lowest scores.",
            "key [count]",
        ),
    command("zpopmax", -2, flag::WRITE | flag::FAST, Group::SortedSet, Run::Shard(zpopmax))
        .keys(&[KeySpec::one(1, POPPED)])
        .docs(
            "5.0.0",
            "O(M*log(N)) with N members, M of them removed",
            "Removes and answers the members with the highest scores.",
            "key [count]",
        ),
    command("zmpop", -4, flag::WRITE | flag::MOVABLEKEYS, Group::SortedSet, Run::Shard(zmpop))
        .keys(&[KeySpec::counted(1, POPPED)])
        .docs(
            "7.0.0",
            "O(K)+O(M*log(N)) with K keys, N members in the first that has any, M of them removed",
            "Removes and answers members of the first sorted set that has any.",
            "numkeys key [key ...] <MIN|MAX> [COUNT count]",
        ),
];

fn zrem(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let removed = take_out(cx, args.at(1), "zrem", |zset| {
        let members = args.iter_from(2).filter(|member| zset.remove(member).is_some()).count();
        Taken { members, all: zset.is_empty() }
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(())
}

fn zremrangebyrank(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let interval = Interval::of_ranks(args.at(2), args.at(3))?;
    remove_range(cx, args, interval, "zremrangebyrank", reply)
}

fn zremrangebyscore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let interval = Interval::of_scores(args.at(2), args.at(3))?;
    remove_range(cx, args, interval, "zremrangebyscore", reply)
}

fn zremrangebylex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let interval = Interval::of_names(args.at(2), args.at(3))?;
    remove_range(cx, args, interval, "zremrangebylex", reply)
}

fn remove_range(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    interval: Interval<'_>,
    event: &'static str,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let removed = take_out(cx, args.at(1), event, |zset| {
        let ranks = interval.ranks_in(zset);
        Taken::ranks(zset, ranks)
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Lowest,
    Highest,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            Self::Lowest => "zpopmin",
            Self::Highest => "zpopmax",
        }
    }

    fn ranks_in(self, zset: &Zset, count: usize) -> Range<usize> {
        let len = zset.len();
        match self {
            Self::Lowest => 0..count.min(len),
            Self::Highest => len - count.min(len)..len,
        }
    }
}

fn zpopmin(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Lowest, reply)
}

fn zpopmax(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Highest, reply)
}

const BAD_COUNT: CommandError = CommandError::text("ERR value is out of range, must be positive");

/// How popped members are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Members and scores in turn.
    Flat,
    /// In pairs.
    Nested,
}

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (count, shape) = match args.len() {
        2 => (1, Shape::Flat),
        3 if reply.version() == Version::Resp3 => (integer_within(args.at(2), 0, &BAD_COUNT)?, Shape::Nested),
        3 => (integer_within(args.at(2), 0, &BAD_COUNT)?, Shape::Flat),
        _ => return Err(CommandError::Syntax),
    };
    if pop_from(cx, args.at(1), end, count, |zset, ranks| reply_popped(zset, ranks, end, shape, reply))?
        .is_none()
    {
        reply.array(0);
    }
    Ok(())
}

/// Takes up to `count` members off an end, once `answer` has seen which.
pub(super) fn pop_from(
    cx: &mut Cx<'_>,
    key: &[u8],
    end: End,
    count: usize,
    answer: impl FnOnce(&Zset, Range<usize>),
) -> Result<Option<usize>, CommandError> {
    take_out(cx, key, end.event(), |zset| {
        let ranks = end.ranks_in(zset, count);
        answer(zset, ranks.clone());
        Taken::ranks(zset, ranks)
    })
}

pub(super) fn reply_popped(zset: &Zset, ranks: Range<usize>, end: End, shape: Shape, reply: &mut Reply<'_>) {
    reply.array(if shape == Shape::Flat { 2 * ranks.len() } else { ranks.len() });
    let mut members = zset.range(ranks);
    while let Some((member, score)) = if end == End::Lowest { members.next() } else { members.next_back() } {
        if shape == Shape::Nested {
            reply.array(2);
        }
        reply_element(member, reply);
        reply.double(score);
    }
}

fn zmpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if !pop_first(cx, Pop::parse(args, 1, end_at)?, reply)? {
        reply.null_array();
    }
    Ok(())
}

pub(super) fn end_at(args: Args<'_>, index: usize) -> Result<End, CommandError> {
    match () {
        () if args.is(index, "min") => Ok(End::Lowest),
        () if args.is(index, "max") => Ok(End::Highest),
        () => Err(CommandError::Syntax),
    }
}

/// Takes from the first sorted set that has any members; false if none has.
pub(super) fn pop_first(
    cx: &mut Cx<'_>,
    pop: Pop<'_, End>,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    for key in pop.keys() {
        let popped = pop_from(cx, key, pop.end, pop.count, |zset, ranks| {
            reply.array(2);
            reply.bulk(key);
            reply_popped(zset, ranks, pop.end, Shape::Nested, reply);
        })?;
        if popped.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
