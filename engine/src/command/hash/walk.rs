//! Fields in no order: HSCAN, HRANDFIELD.

use bobbin_proto::{Reply, Version};

use super::super::element::reply_element;
use super::super::member_scan::{ScanOptions, member_cursor};
use super::super::random::{Draw, Picks, different_places};
use super::super::spec::{Command, Group, Run, command, flag};
use super::super::{Args, Cx};
use super::{READ, find};
use crate::error::CommandError;
use crate::store::Hash;
use crate::store::encoding::listpack::Element;

const VARIES: &[&str] = &["nondeterministic_output"];

pub const ROWS: &[Command] = &[
    command("hscan", -3, flag::READONLY, Group::Hash, Run::Shard(hscan)).keys(READ).tips(VARIES).docs(
        "2.8.0",
        "O(COUNT) a call, O(N) for all with N fields",
        "Walks the fields and values of a hash, some at each call.",
        "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    ),
    command("hrandfield", -2, flag::READONLY, Group::Hash, Run::Shard(hrandfield))
        .keys(READ)
        .tips(VARIES)
        .docs(
            "6.2.0",
            "O(M) with M fields answered",
            "Answers fields at random.",
            "key [count [WITHVALUES]]",
        ),
];

fn hscan(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let cursor = member_cursor(args)?;
    let (mut found, mut next, mut elements) = (0, 0, Vec::new());
    if let Some(hash) = find(cx, args.at(1))? {
        let options = ScanOptions::parse(args, Some("novalues"))?;
        let mut texts = Reply::new(&mut elements, Version::Resp2);
        let mut digits = itoa::Buffer::new();
        next = hash.scan(cursor, options.count, |field, value| {
            let field = field.text(&mut digits);
            if options.matches(field) {
                texts.bulk(field);
                if !options.has_flag {
                    reply_element(value, &mut texts);
                }
                found += if options.has_flag { 1 } else { 2 };
            }
        });
    }
    reply.array(2);
    reply.bulk_int(next as i64);
    reply.array(found);
    reply.raw(&elements);
    Ok(())
}

fn hrandfield(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 2 {
        let draw = Draw::parse(args, "withvalues")?;
        return reply_random(cx, args.at(1), draw, reply);
    }
    let mut rng = cx.rest.rng.fork();
    match find(cx, args.at(1))?.and_then(|hash| hash.nth(rng.usize(0..hash.len()))) {
        Some((field, _)) => reply_element(field, reply),
        None => reply.null(),
    }
    Ok(())
}

fn reply_random(cx: &mut Cx<'_>, key: &[u8], draw: Draw, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut rng = cx.rest.rng.fork();
    let Some(hash) = find(cx, key)? else {
        reply.array(0);
        return Ok(());
    };
    match draw.of(hash.len())? {
        Picks::All => {
            reply_len(hash.len(), draw, reply);
            hash.iter().for_each(|pair| reply_pair(pair, draw, reply));
        }
        Picks::Repeating(count) => {
            let numbers = (0..count).map(|_| rng.usize(0..hash.len()));
            reply_numbered(hash, numbers, draw, reply);
        }
        Picks::Different(count) => {
            let numbers = different_places(hash.len(), count, &mut rng).into_iter();
            reply_numbered(hash, numbers, draw, reply);
        }
    }
    Ok(())
}

/// Answers fields by their numbers.
fn reply_numbered(
    hash: &Hash,
    numbers: impl ExactSizeIterator<Item = usize>,
    draw: Draw,
    reply: &mut Reply<'_>,
) {
    reply_len(numbers.len(), draw, reply);
    // A packed hash is walked once, and not to each field anew.
    let packed: Vec<_> = if hash.as_listpack().is_some() { hash.iter().collect() } else { Vec::new() };
    for number in numbers {
        let pair = packed.get(number).copied().or_else(|| hash.nth(number));
        pair.into_iter().for_each(|pair| reply_pair(pair, draw, reply));
    }
}

/// Fields with values are pairs, which RESP2 has one behind the other.
fn reply_len(len: usize, draw: Draw, reply: &mut Reply<'_>) {
    let flat = draw.with_more && reply.version() == Version::Resp2;
    reply.array(if flat { 2 * len } else { len });
}

fn reply_pair((field, value): (Element<'_>, Element<'_>), draw: Draw, reply: &mut Reply<'_>) {
    if draw.with_more && reply.version() == Version::Resp3 {
        reply.array(2);
    }
    reply_element(field, reply);
    if draw.with_more {
        reply_element(value, reply);
    }
}
