//! Lists: moving an element from one to another, and taking elements from the first of several that has any.

use bobbin_proto::Reply;

use super::list::{chunk_limit, pop_many, popped, push};
use super::pop::Pop;
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::{Args, Cx};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::encoding::quicklist::End;
use crate::store::{List, Type};

pub(super) const TAKEN: u16 = key_flag::RW | key_flag::ACCESS | key_flag::DELETE;
pub(super) const SOURCE_AND_DESTINATION: &[KeySpec] =
    &[KeySpec::one(1, TAKEN), KeySpec::one(2, key_flag::RW | key_flag::INSERT)];

pub const ROWS: &[Command] = &[
    command("lmove", 5, flag::WRITE | flag::DENYOOM, Group::List, Run::Shard(lmove))
        .keys(SOURCE_AND_DESTINATION)
        .docs(
            "6.2.0",
            "O(1)",
            "Moves an element from an end of one list to an end of another, or of the same.",
            "source destination <LEFT|RIGHT> <LEFT|RIGHT>",
        ),
    command("rpoplpush", 3, flag::WRITE | flag::DENYOOM, Group::List, Run::Shard(rpoplpush))
        .keys(SOURCE_AND_DESTINATION)
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")
        .docs(
            "1.2.0",
            "O(1)",
            "Moves the last element of a list to the front of another.",
            "source destination",
        ),
    command("lmpop", -4, flag::WRITE | flag::MOVABLEKEYS, Group::List, Run::Shard(lmpop))
        .keys(&[KeySpec::counted(1, TAKEN)])
        .docs(
            "7.0.0",
            "O(N+M) with N keys and M elements taken",
            "Takes elements from the first of several lists that has any.",
            "numkeys key [key ...] <LEFT|RIGHT> [COUNT count]",
        ),
];

fn lmove(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (from, to) = (end_at(args, 3)?, end_at(args, 4)?);
    if !move_element(cx, (args.at(1), from), (args.at(2), to), reply)? {
        reply.null();
    }
    Ok(())
}

fn rpoplpush(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if !move_element(cx, (args.at(1), End::Back), (args.at(2), End::Front), reply)? {
        reply.null();
    }
    Ok(())
}

pub(super) fn end_at(args: Args<'_>, index: usize) -> Result<End, CommandError> {
    match () {
        () if args.is(index, "left") => Ok(End::Front),
        () if args.is(index, "right") => Ok(End::Back),
        () => Err(CommandError::Syntax),
    }
}

/// Moves and answers an element; false if there is none. The push is told before the pop, as Redis does.
pub(super) fn move_element(
    cx: &mut Cx<'_>,
    (source, from): (&[u8], End),
    (destination, to): (&[u8], End),
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    let limit = chunk_limit(cx);
    cx.expire_if_due(destination);
    let takes_elements = cx.db().find(destination).is_none_or(|entry| entry.type_of() == Type::List);
    let taken = cx.change(source, |list: &mut List| {
        if !takes_elements {
            return Err(CommandError::WrongType);
        }
        let element = list.end(from).map(Element::to_vec).unwrap_or_default();
        list.remove_end(from, limit);
        Ok((element, list.is_empty()))
    })?;
    let Some(taken) = taken else { return Ok(false) };
    let (element, emptied) = taken?;
    push(cx, destination, std::iter::once(&element[..]), to)?;
    popped(cx, source, from, emptied && source != destination);
    reply.bulk(&element);
    Ok(true)
}

fn lmpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if !pop_first(cx, Pop::parse(args, 1, end_at)?, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// Takes from the first list that has any elements; false if none has.
pub(super) fn pop_first(
    cx: &mut Cx<'_>,
    pop: Pop<'_, End>,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    for key in pop.keys() {
        if cx.change(key, |_: &mut List| ())?.is_some() {
            reply.array(2);
            reply.bulk(key);
            pop_many(cx, key, pop.count, pop.end, reply)?;
            return Ok(true);
        }
    }
    Ok(false)
}
