//! Union, intersection and difference of sets.
//!
//! What a command stores is kept as if its members had been added one by one. A key that is not there stands for an
//! empty set.

use bobbin_proto::Reply;

use super::super::element::reply_element;
use super::super::number::integer_within;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx, Event};
use super::{READ, limits};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::{Object, Set, SetLimits};

const READS: &[KeySpec] = &[KeySpec::range(1, -1, 1, READ)];
const STORES: u32 = flag::WRITE | flag::DENYOOM;
const STORE_KEYS: &[KeySpec] =
    &[KeySpec::one(1, key_flag::OW | key_flag::UPDATE), KeySpec::range(2, -1, 1, READ)];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

const INTER_COMPLEXITY: &str = "O(N*K) with N members in the smallest of K sets";
const SUM_COMPLEXITY: &str = "O(N) with N members in all sets together";

pub const ROWS: &[Command] = &[
    command("sinter", -2, flag::READONLY, Group::Set, Run::Shard(sinter)).keys(READS).tips(UNORDERED).docs(
        "1.0.0",
        INTER_COMPLEXITY,
        "Answers the members that all of the sets have.",
        "key [key ...]",
    ),
    command("sintercard", -3, flag::READONLY | flag::MOVABLEKEYS, Group::Set, Run::Shard(sintercard))
        .keys(&[KeySpec::counted(1, READ)])
        .docs(
            "7.0.0",
            INTER_COMPLEXITY,
            "Answers how many members all of the sets have.",
            "numkeys key [key ...] [LIMIT limit]",
        ),
    command("sinterstore", -3, STORES, Group::Set, Run::Shard(sinterstore))
        // Redis 7.0 says that the destination is read as well.
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::UPDATE), KeySpec::range(2, -1, 1, READ)])
        .docs(
            "1.0.0",
            INTER_COMPLEXITY,
            "Makes a key hold the members that all of the sets have.",
            "destination key [key ...]",
        ),
    command("sunion", -2, flag::READONLY, Group::Set, Run::Shard(sunion)).keys(READS).tips(UNORDERED).docs(
        "1.0.0",
        SUM_COMPLEXITY,
        "Answers the members that any of the sets has.",
        "key [key ...]",
    ),
    command("sunionstore", -3, STORES, Group::Set, Run::Shard(sunionstore)).keys(STORE_KEYS).docs(
        "1.0.0",
        SUM_COMPLEXITY,
        "Makes a key hold the members that any of the sets has.",
        "destination key [key ...]",
    ),
    command("sdiff", -2, flag::READONLY, Group::Set, Run::Shard(sdiff)).keys(READS).tips(UNORDERED).docs(
        "1.0.0",
        SUM_COMPLEXITY,
        "Answers the members of the first set that no other has.",
        "key [key ...]",
    ),
    command("sdiffstore", -3, STORES, Group::Set, Run::Shard(sdiffstore)).keys(STORE_KEYS).docs(
        "1.0.0",
        SUM_COMPLEXITY,
        "Makes a key hold the members of the first set that no other has.",
        "destination key [key ...]",
    ),
];

const BAD_KEY_COUNT: CommandError = CommandError::text("ERR numkeys should be greater than 0");
const TOO_FEW_KEYS: CommandError =
    CommandError::text("ERR Number of keys can't be greater than number of args");
const BAD_LIMIT: CommandError = CommandError::text("ERR LIMIT can't be negative");

/// The sets of keys, which all hold one or nothing.
fn find_sets<'a, 'k>(
    cx: &'a mut Cx<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<Vec<Option<&'a Set>>, CommandError> {
    cx.find_each_as(keys).collect()
}

/// The members that all have: those of the smallest, looked for in the others.
fn intersection(sets: Vec<Option<&Set>>) -> impl Iterator<Item = Element<'_>> {
    let mut sets: Vec<&Set> = sets.into_iter().collect::<Option<_>>().unwrap_or_default();
    sets.sort_by_key(|set| set.len());
    let mut sets = sets.into_iter();
    let smallest = sets.next();
    let others: Vec<&Set> = sets.filter(|&set| !is_same(Some(set), smallest)).collect();
    let members = smallest.into_iter().flatten();
    members.filter(move |&member| others.iter().all(|other| other.contains(member)))
}

fn is_same(a: Option<&Set>, b: Option<&Set>) -> bool {
    a.zip(b).is_some_and(|(a, b)| std::ptr::eq(a, b))
}

/// The members of the first that no other has.
fn difference<'a>(sets: &[Option<&'a Set>]) -> Vec<Element<'a>> {
    let Some((&Some(first), others)) = sets.split_first() else { return Vec::new() };
    if others.iter().any(|&other| is_same(other, Some(first))) {
        return Vec::new();
    }
    let mut others: Vec<&Set> = others.iter().copied().flatten().collect();
    // Looking up costs one look-up for each member and set until it is found; striking out one for each member of
    // the others. Redis expects half of the former to be found halfway.
    let looking_up = first.len() * (others.len() + 1) / 2;
    let striking_out = others.iter().map(|other| other.len()).sum::<usize>() + first.len();
    if looking_up > striking_out {
        return not_struck_out(first, &others);
    }
    others.sort_by_key(|other| std::cmp::Reverse(other.len()));
    first.iter().filter(|&member| !others.iter().any(|other| other.contains(member))).collect()
}

/// The members of a set without those of others, by striking these out.
fn not_struck_out<'a>(first: &'a Set, others: &[&Set]) -> Vec<Element<'a>> {
    let (mut stays, mut left) = (vec![true; first.len()], first.len());
    for member in others.iter().copied().flatten() {
        if let Some(place) = first.place_of(member)
            && std::mem::replace(&mut stays[place], false)
        {
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    first.iter().zip(stays).filter(|&(_, stays)| stays).map(|(member, _)| member).collect()
}

/// The largest set, if it is so large that every union with it is a table.
fn base_of<'a>(sets: &[&'a Set], limits: &SetLimits) -> Option<&'a Set> {
    let largest = sets.iter().copied().max_by_key(|set| set.len())?;
    let is_large = largest.len() > limits.ints_len_max.max(limits.packed_len_max);
    (is_large && matches!(largest, Set::Table(_))).then_some(largest)
}

/// The members of all sets but one.
fn members_but<'a>(sets: &[&'a Set], but: Option<&'a Set>) -> impl Iterator<Item = Element<'a>> {
    sets.iter().copied().filter(move |&set| !is_same(Some(set), but)).flatten()
}

fn reply_members(members: &[Element<'_>], reply: &mut Reply<'_>) {
    reply.set(members.len());
    members.iter().for_each(|&member| reply_element(member, reply));
}

fn collect<'a>(members: impl Iterator<Item = Element<'a>>, limits: &SetLimits) -> Set {
    let mut set = Set::new();
    members.for_each(|member| set.add_new(member, limits));
    set
}

/// Makes a key hold a set, or nothing if that is empty. Answers how many members.
fn store(cx: &mut Cx<'_>, key: &[u8], set: Set, reply: &mut Reply<'_>) {
    let len = set.len();
    cx.replace(key, (len > 0).then_some(Object::Set(set)), Event::set(cx.command.name));
    reply.int(len as i64);
}

fn sinter(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let members: Vec<_> = intersection(find_sets(cx, args.iter_from(1))?).collect();
    reply_members(&members, reply);
    Ok(())
}

fn sinterstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limits = limits(cx);
    let result = collect(intersection(find_sets(cx, args.iter_from(2))?), &limits);
    store(cx, args.at(1), result, reply);
    Ok(())
}

fn sintercard(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let keys = integer_within(args.at(1), 1, &BAD_KEY_COUNT)?;
    if keys > args.len() - 2 {
        return Err(TOO_FEW_KEYS);
    }
    let mut limit = 0;
    for at in (2 + keys..args.len()).step_by(2) {
        if !args.is(at, "limit") || at + 1 == args.len() {
            return Err(CommandError::Syntax);
        }
        limit = integer_within(args.at(at + 1), 0, &BAD_LIMIT)?;
    }
    let members = intersection(find_sets(cx, args.iter_from(2).take(keys))?);
    let count = members.take(if limit == 0 { usize::MAX } else { limit }).count();
    reply.int(count as i64);
    Ok(())
}

fn sunion(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limits = limits(cx);
    let sets: Vec<&Set> = find_sets(cx, args.iter_from(1))?.into_iter().flatten().collect();
    let base = base_of(&sets, &limits);
    let mut others = Set::new();
    for member in members_but(&sets, base) {
        if base.is_none_or(|base| !base.contains(member)) {
            others.add(member, &limits);
        }
    }
    reply.set(base.map_or(0, Set::len) + others.len());
    base.into_iter().flatten().chain(&others).for_each(|member| reply_element(member, reply));
    cx.db().bury_object(others.into());
    Ok(())
}

fn sunionstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limits = limits(cx);
    let sets: Vec<&Set> = find_sets(cx, args.iter_from(2))?.into_iter().flatten().collect();
    let base = base_of(&sets, &limits);
    let mut result = base.cloned().unwrap_or_default();
    members_but(&sets, base).for_each(|member| _ = result.add(member, &limits));
    store(cx, args.at(1), result, reply);
    Ok(())
}

fn sdiff(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let sets = find_sets(cx, args.iter_from(1))?;
    reply_members(&difference(&sets), reply);
    Ok(())
}

fn sdiffstore(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limits = limits(cx);
    let sets = find_sets(cx, args.iter_from(2))?;
    let result = collect(difference(&sets).into_iter(), &limits);
    store(cx, args.at(1), result, reply);
    Ok(())
}
