//! Whether members are there, how many, and all of them.

use bobbin_proto::Reply;

use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::{READ, reply_set};
use crate::error::CommandError;
use crate::store::Set;
use crate::store::encoding::listpack::Element;

const FAST: u32 = flag::READONLY | flag::FAST;

pub const ROWS: &[Command] = &[
    command("sismember", 3, FAST, Group::Set, Run::Shard(sismember))
        .keys(&[KeySpec::one(1, key_flag::RO)])
        .docs("1.0.0", "O(1)", "Answers whether a set has a member.", "key member"),
    command("smismember", -3, FAST, Group::Set, Run::Shard(smismember)).keys(&[KeySpec::one(1, READ)]).docs(
        "6.2.0",
        "O(N) with N members asked for",
        "Answers of several members whether a set has them.",
        "key member [member ...]",
    ),
    command("scard", 2, FAST, Group::Set, Run::Shard(scard)).keys(&[KeySpec::one(1, key_flag::RO)]).docs(
        "1.0.0",
        "O(1)",
        "Answers how many members a set has.",
        "key",
    ),
    command("smembers", 2, flag::READONLY, Group::Set, Run::Shard(smembers))
        .keys(&[KeySpec::one(1, READ)])
        .tips(&["nondeterministic_output_order"])
        .docs("1.0.0", "O(N) with N members", "Answers all members of a set.", "key"),
];

fn sismember(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let set = cx.find_as::<Set>(args.at(1))?;
    reply.int(has(set, args.at(2)).into());
    Ok(())
}

fn smismember(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let set = cx.find_as::<Set>(args.at(1))?;
    reply.array(args.len() - 2);
    args.iter_from(2).for_each(|member| reply.int(has(set, member).into()));
    Ok(())
}

#[inline]
fn has(set: Option<&Set>, member: &[u8]) -> bool {
    set.is_some_and(|set| set.contains(Element::Str(member)))
}

fn scard(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = cx.find_as(args.at(1))?.map_or(0, Set::len);
    reply.int(len as i64);
    Ok(())
}

fn smembers(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match cx.find_as::<Set>(args.at(1))? {
        Some(set) => reply_set(set, reply),
        None => reply.set(0),
    }
    Ok(())
}
