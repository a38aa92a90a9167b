//! Setting fields and taking them out: HSET, HMSET, HSETNX, HDEL.

use bobbin_proto::Reply;

use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::{Done, UPDATED, change, create_or_change};
use crate::error::CommandError;
use crate::store::Expiry;

const GROWING: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

pub const ROWS: &[Command] = &[
    command("hset", -4, GROWING, Group::Hash, Run::Shard(hset)).keys(UPDATED).docs(
        "2.0.0",
        "O(N) with N fields given",
        "Gives fields of a hash values; hash and fields are created if missing.",
        "key field value [field value ...]",
    ),
    command("hmset", -4, GROWING, Group::Hash, Run::Shard(hmset))
        .keys(UPDATED)
        .docs(
            "2.0.0",
            "O(N) with N fields given",
            "Gives fields of a hash values.",
            "key field value [field value ...]",
        )
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
    command("hsetnx", 4, GROWING, Group::Hash, Run::Shard(hsetnx))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::INSERT)])
        .docs("2.0.0", "O(1)", "Gives a field of a hash a value, unless it has one.", "key field value"),
    command("hdel", -3, flag::WRITE | flag::FAST, Group::Hash, Run::Shard(hdel))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::DELETE)])
        .differs("Redis 7.4 finds fields that are over until they are removed.")
        .docs("2.0.0", "O(N) with N fields given", "Removes fields of a hash.", "key field [field ...]"),
];

fn hset(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let added = set_all(cx, args)?;
    reply.int(added as i64);
    Ok(())
}

fn hmset(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_all(cx, args)?;
    reply.ok();
    Ok(())
}

/// Sets the pairs behind the key. Returns how many fields are new.
#[inline]
fn set_all(cx: &mut Cx<'_>, args: Args<'_>) -> Result<usize, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(cx.command.name));
    }
    let pairs = (2..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1)));
    create_or_change(cx, args, pairs.clone(), |hash| {
        let added = pairs.filter(|(field, value)| hash.set(field, value, Expiry::None)).count();
        Done::new(added, Some("hset"))
    })
}

fn hsetnx(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (field, value) = (args.at(2), args.at(3));
    let set = create_or_change(cx, args, std::iter::once((field, value)), |hash| {
        let set = hash.get(field).is_none() && hash.set(field, value, Expiry::None);
        Done::new(set, set.then_some("hset"))
    })?;
    reply.int(i64::from(set));
    Ok(())
}

fn hdel(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let removed = change(cx, args.at(1), |hash| {
        let removed = args.iter_from(2).filter(|field| hash.remove(field)).count();
        Done::new(removed, (removed > 0).then_some("hdel"))
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(())
}
