//! One member's score or rank, and how many members there are.

use bobbin_proto::Reply;

use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::interval::Interval;
use super::{READ, find};
use crate::error::CommandError;
use crate::store::Zset;

const FAST: u32 = flag::READONLY | flag::FAST;

pub const ROWS: &[Command] = &[
    command("zcard", 2, FAST, Group::SortedSet, Run::Shard(zcard))
        .keys(&[KeySpec::one(1, key_flag::RO)])
        .docs("1.2.0", "O(1)", "Answers how many members a sorted set has.", "key"),
    command("zscore", 3, FAST, Group::SortedSet, Run::Shard(zscore)).keys(&[KeySpec::one(1, READ)]).docs(
        "1.2.0",
        "O(1)",
        "Answers a member's score.",
        "key member",
    ),
    command("zmscore", -3, FAST, Group::SortedSet, Run::Shard(zmscore)).keys(&[KeySpec::one(1, READ)]).docs(
        "6.2.0",
        "O(N) with N members asked for",
        "Answers the scores of members.",
        "key member [member ...]",
    ),
    command("zrank", -3, FAST, Group::SortedSet, Run::Shard(zrank)).keys(&[KeySpec::one(1, READ)]).docs(
        "2.0.0",
        "O(log(N)) with N members",
        "Answers how many members come before one, from the lowest score up.",
        "key member [WITHSCORE]",
    ),
    command("zrevrank", -3, FAST, Group::SortedSet, Run::Shard(zrevrank))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "2.0.0",
            "O(log(N)) with N members",
            "Answers how many members come before one, from the highest score down.",
            "key member [WITHSCORE]",
        ),
    command("zcount", 4, FAST, Group::SortedSet, Run::Shard(zcount)).keys(&[KeySpec::one(1, READ)]).docs(
        "2.0.0",
        "O(log(N)) with N members",
        "Answers how many members have scores within a range.",
        "key min-score max-score",
    ),
    command("zlexcount", 4, FAST, Group::SortedSet, Run::Shard(zlexcount))
        .keys(&[KeySpec::one(1, READ)])
        .docs(
            "2.8.9",
            "O(log(N)) with N members",
            "Answers how many members, all of one score, are within a range of names.",
            "key min max",
        ),
];

fn zcard(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = find(cx, args.at(1))?.map_or(0, Zset::len);
    reply.int(len as i64);
    Ok(())
}

fn zscore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_score(find(cx, args.at(1))?, args.at(2), reply);
    Ok(())
}

fn zmscore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let zset = find(cx, args.at(1))?;
    reply.array(args.len() - 2);
    args.iter_from(2).for_each(|member| reply_score(zset, member, reply));
    Ok(())
}

fn reply_score(zset: Option<&Zset>, member: &[u8], reply: &mut Reply<'_>) {
    match zset.and_then(|zset| zset.score(member)) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

fn zrank(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_rank(cx, args, |_, rank| rank, reply)
}

fn zrevrank(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_rank(cx, args, |zset, rank| zset.len() - 1 - rank, reply)
}

fn reply_rank(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    counted: fn(&Zset, usize) -> usize,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let with_score = match args.len() {
        3 => false,
        4 if args.is(3, "withscore") => true,
        4 => return Err(CommandError::Syntax),
        _ => return Err(CommandError::Arity(cx.command.name)),
    };
    let zset = find(cx, args.at(1))?;
    let found = zset.and_then(|zset| zset.rank(args.at(2)).map(|(rank, score)| (counted(zset, rank), score)));
    match found {
        Some((rank, score)) if with_score => {
            reply.array(2);
            reply.int(rank as i64);
            reply.double(score);
        }
        Some((rank, _)) => reply.int(rank as i64),
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

fn zcount(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_count(cx, args, Interval::of_scores(args.at(2), args.at(3))?, reply)
}

fn zlexcount(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_count(cx, args, Interval::of_names(args.at(2), args.at(3))?, reply)
}

fn reply_count(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    interval: Interval<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let count = find(cx, args.at(1))?.map_or(0, |zset| interval.ranks_in(zset).len());
    reply.int(count as i64);
    Ok(())
}
