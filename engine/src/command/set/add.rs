//! Putting members in, and moving them: SADD, SMOVE.

use bobbin_proto::Reply;

use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx, Event};
use super::limits;
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::{Set, Type};

pub const ROWS: &[Command] = &[
    command("sadd", -3, flag::WRITE | flag::DENYOOM | flag::FAST, Group::Set, Run::Shard(sadd))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::INSERT)])
        .docs(
            "1.0.0",
            "O(N) with N members given",
            "Puts members into a set, which is created if missing.",
            "key member [member ...]",
        ),
    command("smove", 4, flag::WRITE | flag::FAST, Group::Set, Run::Shard(smove))
        .keys(&[
            KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::DELETE),
            KeySpec::one(2, key_flag::RW | key_flag::INSERT),
        ])
        .docs("1.0.0", "O(1)", "Moves a member from one set to another.", "source destination member"),
];

fn sadd(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let added = add(cx, args.at(1), args.iter_from(2))?;
    reply.int(added as i64);
    Ok(())
}

/// Puts members, of which there must be one, into a set that is created if missing. Returns how many are new.
#[inline]
fn add<'a>(
    cx: &mut Cx<'_>,
    key: &[u8],
    members: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Result<usize, CommandError> {
    let limits = limits(cx);
    let count = members.len();
    let first = members.clone().next().unwrap_or_default();
    let add = |set: &mut Set| {
        set.expect(count, &limits);
        members.filter(|member| set.add(Element::Str(member), &limits)).count()
    };
    let added = cx.create_or_change(key, || Set::with_room_for(first, count, &limits), add)?;
    if added > 0 {
        cx.changed(key, Event::set("sadd"));
    }
    Ok(added)
}

fn smove(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (source, destination, member) = (args.at(1), args.at(2), args.at(3));
    let no_place = cx.find_mut(destination).is_some_and(|entry| entry.type_of() != Type::Set);
    let removed = cx.change(source, |set: &mut Set| match () {
        () if no_place => Err(CommandError::WrongType),
        () if source == destination => Ok((set.contains(Element::Str(member)), false)),
        () => Ok((set.remove(Element::Str(member)), set.is_empty())),
    })?;
    let (found, emptied) = removed.transpose()?.unwrap_or_default();
    if found && source != destination {
        cx.shrunk(source, Event::set("srem"), emptied);
        add(cx, destination, std::iter::once(member))?;
    }
    reply.int(found.into());
    Ok(())
}
