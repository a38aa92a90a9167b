//! Reading: values of fields, whole hashes, lengths.

use bobbin_proto::Reply;

use super::super::element::{reply_element, reply_or_null};
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::{READ, find};
use crate::error::CommandError;
use crate::store::LiveHash;

const FAST: u32 = flag::READONLY | flag::FAST;
const TOLD: &[KeySpec] = &[KeySpec::one(1, key_flag::RO)];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const PER_FIELD: &str = "O(N) with N fields in the hash";

pub const ROWS: &[Command] =
    &[
        command("hget", 3, FAST, Group::Hash, Run::Shard(hget)).keys(READ).docs(
            "2.0.0",
            "O(1)",
            "Answers the value of a field.",
            "key field",
        ),
        command("hmget", -3, FAST, Group::Hash, Run::Shard(hmget)).keys(READ).docs(
            "2.0.0",
            "O(N) with N fields asked for",
            "Answers the values of fields.",
            "key field [field ...]",
        ),
        command("hgetall", 2, flag::READONLY, Group::Hash, Run::Shard(hgetall))
            .keys(READ)
            .tips(UNORDERED)
            .docs("2.0.0", PER_FIELD, "Answers all fields of a hash with their values.", "key"),
        command("hkeys", 2, flag::READONLY, Group::Hash, Run::Shard(hkeys)).keys(READ).tips(UNORDERED).docs(
            "2.0.0",
            PER_FIELD,
            "Answers all fields of a hash.",
            "key",
        ),
        command("hvals", 2, flag::READONLY, Group::Hash, Run::Shard(hvals)).keys(READ).tips(UNORDERED).docs(
            "2.0.0",
            PER_FIELD,
            "Answers the values of all fields of a hash.",
            "key",
        ),
        command("hexists", 3, FAST, Group::Hash, Run::Shard(hexists)).keys(TOLD).docs(
            "2.0.0",
            "O(1)",
            "Tells whether a hash has a field.",
            "key field",
        ),
        command("hlen", 2, FAST, Group::Hash, Run::Shard(hlen))
            .keys(TOLD)
            .differs("Redis 7.4 counts fields that are over until they are removed.")
            .docs("2.0.0", "O(1)", "Answers how many fields a hash has.", "key"),
        command("hstrlen", 3, FAST, Group::Hash, Run::Shard(hstrlen)).keys(TOLD).docs(
            "3.2.0",
            "O(1)",
            "Answers how many bytes the value of a field has.",
            "key field",
        ),
    ];

fn hget(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let hash = find(cx, args.at(1))?;
    reply_or_null(hash.and_then(|hash| hash.get(args.at(2))), reply);
    Ok(())
}

fn hmget(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let hash = find(cx, args.at(1))?;
    reply.array(args.len() - 2);
    for field in args.iter_from(2) {
        reply_or_null(hash.and_then(|hash| hash.get(field)), reply);
    }
    Ok(())
}

fn hgetall(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let hash = find(cx, args.at(1))?;
    reply.map(hash.map_or(0, LiveHash::len));
    hash.into_iter().flat_map(LiveHash::iter).for_each(|(field, value)| {
        reply_element(field, reply);
        reply_element(value, reply);
    });
    Ok(())
}

fn hkeys(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let hash = find(cx, args.at(1))?;
    reply.array(hash.map_or(0, LiveHash::len));
    hash.into_iter().flat_map(LiveHash::iter).for_each(|(field, _)| reply_element(field, reply));
    Ok(())
}

fn hvals(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let hash = find(cx, args.at(1))?;
    reply.array(hash.map_or(0, LiveHash::len));
    hash.into_iter().flat_map(LiveHash::iter).for_each(|(_, value)| reply_element(value, reply));
    Ok(())
}

fn hexists(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let found = find(cx, args.at(1))?.is_some_and(|hash| hash.get(args.at(2)).is_some());
    reply.int(i64::from(found));
    Ok(())
}

fn hlen(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = find(cx, args.at(1))?.map_or(0, LiveHash::len);
    reply.int(len as i64);
    Ok(())
}

fn hstrlen(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let value = find(cx, args.at(1))?.and_then(|hash| hash.get(args.at(2)));
    reply.int(value.map_or(0, |value| value.text_len()) as i64);
    Ok(())
}
