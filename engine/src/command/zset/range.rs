//! Members in order: ZRANGE, its older kin, and ZRANGESTORE.

use std::ops::Range;

use bobbin_proto::Reply;

use super::super::number::integer;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::super::{Args, Cx};
use super::interval::Interval;
use super::{OVERWRITE, READ, Scores, find, limits, reply_members, store};
use crate::error::CommandError;
use crate::store::Zset;
use crate::store::encoding::listpack::Element;
use crate::store::encoding::zset_table::ZsetTable;

const COMPLEXITY: &str = "O(log(N)+M) with N members, M of them answered";

/// Of the commands that ZRANGE replaces.
const fn old(name: &'static str, run: Run) -> Command {
    command(name, -4, flag::READONLY, Group::SortedSet, run).keys(const { &[KeySpec::one(1, READ)] })
}

pub const ROWS: &[Command] = &[
    command("zrange", -4, flag::READONLY, Group::SortedSet, Run::Shard(zrange))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "1.2.0",
            COMPLEXITY,
            "Answers the members within a range of ranks, scores or names.",
            "key first last [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        ),
    command("zrangestore", -5, flag::WRITE | flag::DENYOOM, Group::SortedSet, Run::Shard(zrangestore))
        .keys(&[KeySpec::one(1, OVERWRITE), KeySpec::one(2, READ)])
        .docs(
            "6.2.0",
            "O(log(N)+M) with N members, M of them stored",
            "Makes a key hold the members within a range of another sorted set.",
            "dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]",
        ),
    old("zrevrange", Run::Shard(zrevrange))
        .docs(
            "1.2.0",
            COMPLEXITY,
            "Answers the members within a range of ranks, from the highest score down.",
            "key start stop [WITHSCORES]",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
    old("zrangebyscore", Run::Shard(zrangebyscore))
        .docs(
            "1.0.5",
            COMPLEXITY,
            "Answers the members within a range of scores.",
            "key min-score max-score [WITHSCORES] [LIMIT offset count]",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    old("zrevrangebyscore", Run::Shard(zrevrangebyscore))
        .docs(
            "2.2.0",
            COMPLEXITY,
            "Answers the members within a range of scores, from the highest down.",
            "key max-score min-score [WITHSCORES] [LIMIT offset count]",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    old("zrangebylex", Run::Shard(zrangebylex))
        .docs(
            "2.8.9",
            COMPLEXITY,
            "Answers the members, all of one score, within a range of names.",
            "key min max [LIMIT offset count]",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    old("zrevrangebylex", Run::Shard(zrevrangebylex))
        .docs(
            "2.8.9",
            COMPLEXITY,
            "Answers the members, all of one score, within a range of names, from the last back.",
            "key max min [LIMIT offset count]",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
];

const LIMIT_OF_RANKS: CommandError = CommandError::text(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
);
const SCORES_OF_NAMES: CommandError =
    CommandError::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX");

/// What a range is a range of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Reverse,
}

/// What a command's name says already; None is left to its options.
#[derive(Clone, Copy, Debug)]
struct Form {
    by: Option<By>,
    direction: Option<Direction>,
    stores: bool,
}

impl Form {
    const ANY: Self = Self { by: None, direction: None, stores: false };
    const STORE: Self = Self { stores: true, ..Self::ANY };

    const fn of(by: By, direction: Direction) -> Self {
        Self { by: Some(by), direction: Some(direction), stores: false }
    }
}

/// A request for members in order.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    interval: Interval<'a>,
    direction: Direction,
    /// Members to pass over; all, if negative.
    offset: i64,
    /// Members at most; no bound, if negative.
    count: i64,
    scores: Scores,
}

impl<'a> Request<'a> {
    /// `key` is the index of the key that is read.
    fn parse(args: Args<'a>, key: usize, form: Form) -> Result<Self, CommandError> {
        let (mut by, mut direction) = (form.by, form.direction);
        let (mut offset, mut count, mut scores) = (0, -1, Scores::Without);
        let mut at = key + 3;
        while at < args.len() {
            match () {
                () if !form.stores && args.is(at, "withscores") => scores = Scores::With,
                () if args.is(at, "limit") && at + 2 < args.len() => {
                    (offset, count) = (integer(args.at(at + 1))?, integer(args.at(at + 2))?);
                    at += 2;
                }
                () if direction.is_none() && args.is(at, "rev") => direction = Some(Direction::Reverse),
                () if by.is_none() && args.is(at, "bylex") => by = Some(By::Name),
                () if by.is_none() && args.is(at, "byscore") => by = Some(By::Score),
                () => return Err(CommandError::Syntax),
            }
            at += 1;
        }
        let (by, direction) = (by.unwrap_or(By::Rank), direction.unwrap_or(Direction::Forward));
        if count != -1 && by == By::Rank {
            return Err(LIMIT_OF_RANKS);
        }
        if scores == Scores::With && by == By::Name {
            return Err(SCORES_OF_NAMES);
        }
        let interval = parse_interval(args.at(key + 1), args.at(key + 2), by, direction)?;
        Ok(Self { interval, direction, offset, count, scores })
    }

    /// The ranks of the members asked for.
    fn ranks_in(&self, zset: &Zset) -> Range<usize> {
        let ranks = self.interval.ranks_in(zset);
        let from_end = |rank: usize| zset.len() - rank;
        match (self.interval, self.direction) {
            (Interval::Ranks(..), Direction::Forward) => ranks,
            (Interval::Ranks(..), Direction::Reverse) => from_end(ranks.end)..from_end(ranks.start),
            (_, direction) => self.limit(ranks, direction),
        }
    }

    fn limit(&self, ranks: Range<usize>, direction: Direction) -> Range<usize> {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(ranks.len() - offset);
        match direction {
            Direction::Forward => ranks.start + offset..ranks.start + offset + count,
            Direction::Reverse => ranks.end - offset - count..ranks.end - offset,
        }
    }
}

/// Scores and names are given in the direction they are read in; ranks always from the lower.
fn parse_interval<'a>(
    first: &'a [u8],
    second: &'a [u8],
    by: By,
    direction: Direction,
) -> Result<Interval<'a>, CommandError> {
    let (min, max) = if direction == Direction::Reverse { (second, first) } else { (first, second) };
    match by {
        By::Rank => Interval::of_ranks(first, second),
        By::Score => Interval::of_scores(min, max),
        By::Name => Interval::of_names(min, max),
    }
}

fn zrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Form::ANY, reply)
}

fn zrevrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Form::of(By::Rank, Direction::Reverse), reply)
}

fn zrangebyscore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Form::of(By::Score, Direction::Forward), reply)
}

fn zrevrangebyscore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Form::of(By::Score, Direction::Reverse), reply)
}

fn zrangebylex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Form::of(By::Name, Direction::Forward), reply)
}

fn zrevrangebylex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    answer(cx, args, Form::of(By::Name, Direction::Reverse), reply)
}

fn answer(cx: &mut Cx<'_>, args: Args<'_>, form: Form, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let request = Request::parse(args, 1, form)?;
    let Some(zset) = find(cx, args.at(1))? else {
        reply.array(0);
        return Ok(());
    };
    let members = zset.range(request.ranks_in(zset));
    match request.direction {
        Direction::Forward => reply_members(members, request.scores, reply),
        Direction::Reverse => reply_members(members.rev(), request.scores, reply),
    }
    Ok(())
}

fn zrangestore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let request = Request::parse(args, 2, Form::STORE)?;
    let limits = limits(cx);
    let mut stored = Zset::new();
    if let Some(zset) = find(cx, args.at(2))? {
        let ranks = request.ranks_in(zset);
        if matches!(request.interval, Interval::Ranks(..)) && ranks.len() > limits.packed_len_max {
            stored = Zset::from(ZsetTable::new(limits.seed));
        }
        let mut digits = itoa::Buffer::new();
        let mut keep =
            |(member, score): (Element<'_>, f64)| stored.set(member.text(&mut digits), score, &limits);
        // In Redis's order: a score of -0 is 0 in a packed set, and what it is in the table that one may become.
        match request.direction {
            Direction::Forward => zset.range(ranks).for_each(&mut keep),
            Direction::Reverse => zset.range(ranks).rev().for_each(&mut keep),
        }
    }
    store(cx, args.at(1), stored, "zrangestore", reply);
    Ok(())
}
