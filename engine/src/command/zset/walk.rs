//! Members in no order: ZSCAN, ZRANDMEMBER.

use bobbin_proto::{Reply, Version};

use super::super::element::reply_element;
use super::super::member_scan::{ScanOptions, member_cursor};
use super::super::random::{DIFFERS, Draw, Picks, different_places};
use super::super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::super::{Args, Cx};
use super::{READ, Scores, find, reply_member, reply_members, reply_members_len};
use crate::error::CommandError;
use crate::store::Zset;
use crate::store::encoding::listpack::Element;

const VARIES: &[&str] = &["nondeterministic_output"];

pub const ROWS: &[Command] = &[
    command("zscan", -3, flag::READONLY, Group::SortedSet, Run::Shard(zscan))
        .keys(&[KeySpec::one(1, READ)])
        .tips(VARIES)
        .docs(
            "2.8.0",
            "O(COUNT) a call, O(N) for all with N members",
            "Walks the members and scores of a sorted set, some at each call.",
            "key cursor [MATCH pattern] [COUNT count]",
        ),
    command("zrandmember", -2, flag::READONLY, Group::SortedSet, Run::Shard(zrandmember))
        .keys(&[KeySpec::one(1, READ)])
        .tips(VARIES)
        .differs(DIFFERS)
        .docs(
            "6.2.0",
            "O(M*log(N)) with N members, M of them answered",
            "Answers members at random.",
            "key [count [WITHSCORES]]",
        ),
];

fn zscan(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let cursor = member_cursor(args)?;
    let (mut found, mut next, mut elements) = (0, 0, Vec::new());
    if let Some(zset) = find(cx, args.at(1))? {
        let options = ScanOptions::parse(args, None)?;
        // Scores are bulks here, in RESP3 as well.
        let mut pairs = Reply::new(&mut elements, Version::Resp2);
        let mut digits = itoa::Buffer::new();
        next = zset.scan(cursor, options.count, |member, score| {
            let member = member.text(&mut digits);
            if options.matches(member) {
                pairs.bulk(member);
                match zset.integer_score(score) {
                    Some(integer) => pairs.bulk_int(integer),
                    None => pairs.double(score),
                }
                found += 1;
            }
        });
    }
    reply.array(2);
    reply.bulk_int(next as i64);
    reply.array(2 * found);
    reply.raw(&elements);
    Ok(())
}

fn zrandmember(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 2 {
        let draw = Draw::parse(args, "withscores")?;
        return reply_random(cx, args.at(1), draw, reply);
    }
    let mut rng = cx.rest.rng.fork();
    match find(cx, args.at(1))? {
        Some(zset) => reply_element(at_random(zset, &mut rng).0, reply),
        None => reply.null(),
    }
    Ok(())
}

fn reply_random(cx: &mut Cx<'_>, key: &[u8], draw: Draw, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut rng = cx.rest.rng.fork();
    let Some(zset) = find(cx, key)? else {
        reply.array(0);
        return Ok(());
    };
    let scores = if draw.with_more { Scores::With } else { Scores::Without };
    match draw.of(zset.len())? {
        Picks::Repeating(count) => {
            reply_members_len(count, scores, reply);
            (0..count).for_each(|_| reply_member(at_random(zset, &mut rng), scores, reply));
        }
        Picks::All => reply_members(zset.iter().rev(), scores, reply),
        Picks::Different(count) => {
            reply_members_len(count, scores, reply);
            chosen(zset, count, &mut rng).for_each(|member| reply_member(member, scores, reply));
        }
    }
    Ok(())
}

/// A member, each with the same chance. There must be one.
fn at_random<'a>(zset: &'a Zset, rng: &mut fastrand::Rng) -> (Element<'a>, f64) {
    let rank = rng.usize(0..zset.len());
    zset.range(rank..rank + 1).next().unwrap_or((Element::Str(b""), 0.0))
}

/// `count` different members, fewer than all, every choice with the same chance, in order.
fn chosen<'a>(
    zset: &'a Zset,
    count: usize,
    rng: &mut fastrand::Rng,
) -> impl Iterator<Item = (Element<'a>, f64)> {
    let mut ranks = different_places(zset.len(), count, rng);
    ranks.sort_unstable();
    ranks.into_iter().flat_map(|rank| zset.range(rank..rank + 1))
}
