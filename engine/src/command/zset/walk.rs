//! Members in no order: ZSCAN, ZRANDMEMBER.

use bobbin_proto::{Reply, Version};

use super::super::number::integer;
use super::super::scan::{parse_cursor, parse_scan_count};
use super::super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::super::{Args, Cx};
use super::{READ, Scores, find, reply_member, reply_members, reply_members_len, reply_name};
use crate::error::CommandError;
use crate::limits::RANDOM_MEMBERS_MAX;
use crate::store::encoding::listpack::Element;
use crate::store::{Case, Zset, glob_matches};

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
        .docs(
            "6.2.0",
            "O(M*log(N)) with N members, M of them answered",
            "Answers members at random.",
            "key [count [WITHSCORES]]",
        ),
];

const COUNT_DEFAULT: usize = 10;

/// MATCH and COUNT.
#[derive(Clone, Copy, Debug)]
struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, count: COUNT_DEFAULT };
        for at in (3..args.len()).step_by(2) {
            let value = args.get(at + 1).ok_or(CommandError::Syntax)?;
            match () {
                () if args.is(at, "count") => options.count = parse_scan_count(value)?,
                () if args.is(at, "match") => options.pattern = (value != b"*").then_some(value),
                () => return Err(CommandError::Syntax),
            }
        }
        Ok(options)
    }

    fn matches(self, member: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_matches(pattern, member, Case::Sensitive))
    }
}

fn zscan(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.at(2)).ok_or(CommandError::text("ERR invalid cursor"))?;
    let (mut found, mut next, mut elements) = (0, 0, Vec::new());
    if let Some(zset) = find(cx, args.at(1))? {
        let options = ScanOptions::parse(args)?;
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

const OUT_OF_RANGE: CommandError = CommandError::text("ERR value is out of range");
const COUNT_OUT_OF_RANGE: CommandError = CommandError::text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

fn zrandmember(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 2 {
        let (count, scores) = parse_random(args)?;
        return reply_random(cx, args.at(1), count, scores, reply);
    }
    let mut rng = cx.rest.rng.fork();
    match find(cx, args.at(1))? {
        Some(zset) => reply_name(at_random(zset, &mut rng).0, reply),
        None => reply.null(),
    }
    Ok(())
}

fn parse_random(args: Args<'_>) -> Result<(i64, Scores), CommandError> {
    let count = integer(args.at(2))?;
    if count == i64::MIN {
        return Err(COUNT_OUT_OF_RANGE);
    }
    let scores = match args.len() {
        3 => Scores::Without,
        4 if args.is(3, "withscores") => Scores::With,
        _ => return Err(CommandError::Syntax),
    };
    let out_of_range = scores == Scores::With && count.unsigned_abs() > i64::MAX as u64 / 2;
    if out_of_range { Err(OUT_OF_RANGE) } else { Ok((count, scores)) }
}

fn reply_random(
    cx: &mut Cx<'_>,
    key: &[u8],
    count: i64,
    scores: Scores,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let mut rng = cx.rest.rng.fork();
    let Some(zset) = find(cx, key)? else {
        reply.array(0);
        return Ok(());
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        if wanted > RANDOM_MEMBERS_MAX {
            return Err(OUT_OF_RANGE);
        }
        reply_members_len(wanted, scores, reply);
        (0..wanted).for_each(|_| reply_member(at_random(zset, &mut rng), scores, reply));
    } else if wanted >= zset.len() {
        reply_members(zset.iter().rev(), scores, reply);
    } else {
        reply_members_len(wanted, scores, reply);
        chosen(zset, wanted, &mut rng).for_each(|member| reply_member(member, scores, reply));
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
    let mut ranks = different_ranks(zset.len(), count, rng);
    ranks.sort_unstable();
    ranks.into_iter().flat_map(|rank| zset.range(rank..rank + 1))
}

/// Floyd's choice of `count` out of `len`: as many draws as members wanted, however large the set.
fn different_ranks(len: usize, count: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
    let mut taken =
        hashbrown::HashSet::with_capacity_and_hasher(count, foldhash::fast::FixedState::default());
    for last in len - count..len {
        let rank = rng.usize(0..=last);
        if !taken.insert(rank) {
            taken.insert(last);
        }
    }
    taken.into_iter().collect()
}
