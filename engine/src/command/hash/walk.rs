//! Fields in no order: HSCAN, HRANDFIELD.

use bobbin_proto::{Reply, Version};

use super::super::element::reply_element;
use super::super::member_scan::{ScanOptions, member_cursor};
use super::super::random::{DIFFERS, Draw, Picks, different_places};
use super::super::spec::{Command, Group, Run, command, flag};
use super::super::{Args, Cx};
use super::{READ, find};
use crate::collections::Set;
use crate::error::CommandError;
use crate::store::LiveHash;
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
        .differs(DIFFERS)
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
    match find(cx, args.at(1))?.and_then(|hash| Choice::of(hash, 1).one(&mut rng)) {
        Some((field, _)) => reply_element(field, reply),
        None => reply.null(),
    }
    Ok(())
}

fn reply_random(cx: &mut Cx<'_>, key: &[u8], draw: Draw, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut rng = cx.rest.rng.fork();
    let Some(hash) = find(cx, key)?.filter(|hash| !hash.is_empty()) else {
        reply.array(0);
        return Ok(());
    };
    match draw.of(hash.len())? {
        Picks::All => {
            reply_len(hash.len(), draw, reply);
            hash.iter().for_each(|pair| reply_pair(pair, draw, reply));
        }
        Picks::Repeating(count) => {
            let choice = Choice::of(hash, count);
            reply_len(count, draw, reply);
            (0..count).filter_map(|_| choice.one(&mut rng)).for_each(|pair| reply_pair(pair, draw, reply));
        }
        Picks::Different(count) => {
            reply_len(count, draw, reply);
            let fields = Choice::of(hash, count).different(count, &mut rng);
            fields.into_iter().for_each(|pair| reply_pair(pair, draw, reply));
        }
    }
    Ok(())
}

type Pair<'a> = (Element<'a>, Element<'a>);

/// Fields to choose from.
enum Choice<'a> {
    /// By numbers, few of which stand for fields whose time is over.
    Numbered(LiveHash<'a>),
    Listed(Vec<Pair<'a>>),
}

impl<'a> Choice<'a> {
    /// From which `count` fields are to be chosen: they are listed where one is found by a walk only, and where so
    /// many are wanted or over that a number at random would often be of no use.
    fn of(hash: LiveHash<'a>, count: usize) -> Self {
        let over = hash.numbers() - hash.len();
        let often_in_vain = over > 0 && over.max(count) > hash.len() / 2;
        let is_walked = !hash.is_numbered() && (count > 1 || over > 0);
        if often_in_vain || is_walked { Self::Listed(hash.iter().collect()) } else { Self::Numbered(hash) }
    }

    /// One at random, each with the same chance, if there are any.
    fn one(&self, rng: &mut fastrand::Rng) -> Option<Pair<'a>> {
        match self {
            Self::Listed(fields) => rng.choice(fields.iter().copied()),
            Self::Numbered(hash) => {
                if hash.is_empty() {
                    return None;
                }
                loop {
                    if let Some(field) = hash.nth(rng.usize(0..hash.numbers())) {
                        return Some(field);
                    }
                }
            }
        }
    }

    /// So many different ones, fewer than there are, each choice with the same chance.
    fn different(self, count: usize, rng: &mut fastrand::Rng) -> Vec<Pair<'a>> {
        match self {
            Self::Listed(fields) => {
                different_places(fields.len(), count, rng).into_iter().map(|at| fields[at]).collect()
            }
            Self::Numbered(hash) if hash.numbers() == hash.len() => {
                different_places(hash.len(), count, rng).into_iter().filter_map(|at| hash.nth(at)).collect()
            }
            Self::Numbered(hash) => {
                let (mut numbers, mut fields) = (Set::default(), Vec::with_capacity(count));
                while fields.len() < count {
                    let number = rng.usize(0..hash.numbers());
                    fields.extend(hash.nth(number).filter(|_| numbers.insert(number)));
                }
                fields
            }
        }
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
