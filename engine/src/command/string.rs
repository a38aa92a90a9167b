//! Strings.

use bobbin_proto::Reply;

use super::spec::{Command, Group, KeySpec, Merge, Run, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::{Entry, Expiry, Value};

const READ: u16 = key_flag::RO | key_flag::ACCESS;

pub const ROWS: &[Command] = &[
    command("get", 2, flag::READONLY | flag::FAST, Group::String, Run::Shard(get))
        .keys(&[KeySpec::one(1, READ)])
        .docs("1.0.0", "O(1)", "Answers the value of a key.", "key"),
    command("set", -3, flag::WRITE | flag::DENYOOM, Group::String, Run::Shard(set))
        .keys(&[KeySpec::one(1, key_flag::OW | key_flag::UPDATE)])
        .docs("1.0.0", "O(1)", "Makes a key hold a string.", "key value"),
    command("mget", -2, flag::READONLY | flag::FAST, Group::String, Run::Scatter(mget, Merge::Positions))
        .keys(&[KeySpec::range(1, -1, 1, READ)])
        .docs("1.0.0", "O(N) with N keys", "Answers the values of several keys.", "key [key ...]"),
    command("mset", -3, flag::WRITE | flag::DENYOOM, Group::String, Run::Scatter(mset, Merge::Ok))
        .keys(&[KeySpec::range(1, -1, 2, key_flag::OW | key_flag::UPDATE)])
        .docs("1.0.1", "O(N) with N keys", "Makes several keys hold strings.", "key value [key value ...]"),
];

fn get(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_value(cx, args.at(1), reply);
    Ok(())
}

#[inline]
fn reply_value(cx: &mut Cx<'_>, key: &[u8], reply: &mut Reply<'_>) {
    match cx.find(key).map(Entry::value) {
        None => reply.null(),
        Some(Value::Int(n)) => reply.bulk_int(n),
        Some(Value::Bytes(bytes)) => reply.bulk(bytes),
        Some(Value::Object(object)) => reply.bulk(object.as_bytes().unwrap_or_default()),
    }
}

fn set(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    cx.expire_if_due(args.at(1));
    cx.db().set_string(args.at(1), args.at(2), Expiry::None);
    cx.changed(args.at(1), Event::string("set"));
    reply.ok();
    Ok(())
}

fn mset(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    for index in (1..args.len()).step_by(2) {
        cx.db().set_string(args.at(index), args.at(index + 1), Expiry::None);
    }
    reply.ok();
    Ok(())
}

fn mget(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.array(args.len() - 1);
    args.iter_from(1).for_each(|key| reply_value(cx, key, reply));
    Ok(())
}
