//! Members in no order: SSCAN, SRANDMEMBER.

use bobbin_proto::{Reply, Version};

use super::super::element::reply_element;
use super::super::member_scan::{ScanOptions, member_cursor};
use super::super::random::{DIFFERS, Draw, Picks};
use super::super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::super::{Args, Cx};
use super::READ;
use super::remove::places;
use crate::error::CommandError;
use crate::store::Set;
use crate::store::encoding::listpack::Element;

const VARIES: &[&str] = &["nondeterministic_output"];

pub const ROWS: &[Command] = &[
    command("sscan", -3, flag::READONLY, Group::Set, Run::Shard(sscan))
        .keys(&[KeySpec::one(1, READ)])
        .tips(VARIES)
        .docs(
            "2.8.0",
            "O(COUNT) a call, O(N) for all with N members",
            "Walks the members of a set, some at each call.",
            "key cursor [MATCH pattern] [COUNT count]",
        ),
    command("srandmember", -2, flag::READONLY, Group::Set, Run::Shard(srandmember))
        .keys(&[KeySpec::one(1, READ)])
        .tips(VARIES)
        .differs(DIFFERS)
        .docs("1.0.0", "O(N) with N members answered", "Answers members at random.", "key [count]"),
];

fn sscan(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let cursor = member_cursor(args)?;
    let (mut found, mut next, mut elements) = (0, 0, Vec::new());
    if let Some(set) = cx.find_as::<Set>(args.at(1))? {
        let options = ScanOptions::parse(args, None)?;
        let mut members = Reply::new(&mut elements, Version::Resp2);
        let mut digits = itoa::Buffer::new();
        next = set.scan(cursor, options.count, |member| {
            let member = member.text(&mut digits);
            if options.matches(member) {
                members.bulk(member);
                found += 1;
            }
        });
    }
    reply.array(2);
    reply.bulk_int(next as i64);
    reply.array(found);
    reply.raw(&elements);
    Ok(())
}

fn srandmember(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match args.len() {
        2 => {}
        3 => return reply_random(cx, args.at(1), Draw::of_count(args.at(2))?, reply),
        _ => return Err(CommandError::Syntax),
    }
    let mut rng = cx.rest.rng.fork();
    match cx.find_as::<Set>(args.at(1))? {
        Some(set) => reply_element(set.nth(rng.usize(0..set.len())), reply),
        None => reply.null(),
    }
    Ok(())
}

fn reply_random(cx: &mut Cx<'_>, key: &[u8], draw: Draw, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut rng = cx.rest.rng.fork();
    let Some(set) = cx.find_as::<Set>(key)? else {
        reply.array(0);
        return Ok(());
    };
    match draw.of(set.len())? {
        Picks::Repeating(count) => reply_repeating(set, count, &mut rng, reply),
        Picks::All => {
            reply.array(set.len());
            set.iter().for_each(|member| reply_element(member, reply));
        }
        Picks::Different(count) => reply_different(set, count, &mut rng, reply),
    }
    Ok(())
}

pub(super) fn reply_different(set: &Set, count: usize, rng: &mut fastrand::Rng, reply: &mut Reply<'_>) {
    reply.array(count);
    set.visit_places(&places(set, count, rng), |member| reply_element(member, reply));
}

pub(super) fn reply_repeating(set: &Set, count: usize, rng: &mut fastrand::Rng, reply: &mut Reply<'_>) {
    // The way to a member of a listpack is long: where there are many to go, all are put side by side first.
    let side_by_side = matches!(set, Set::Packed(_)) && count > 1;
    let members: Vec<Element<'_>> = if side_by_side { set.iter().collect() } else { Vec::new() };
    reply.array(count);
    for _ in 0..count {
        let place = rng.usize(0..set.len());
        reply_element(members.get(place).copied().unwrap_or_else(|| set.nth(place)), reply);
    }
}
