//! Strings that count: INCR and its kin.
//!
//! Refused: values and steps that are no numbers, and sums out of range; the key is left as it was.
//! Source: replies, errors and digits are those of redis-server 7.0.15 on x86-64.

use bobbin_proto::Reply;

use super::long_double::LongDouble;
use super::number::{integer, long_double};
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::{BytesEncoding, Entry, Value, parse_canonical};

const FLAGS: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;
const KEY: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::UPDATE)];

pub const ROWS: &[Command] = &[
    command("incr", 2, FLAGS, Group::String, Run::Shard(incr)).keys(KEY).docs(
        "1.0.0",
        "O(1)",
        "Adds one to the integer a key holds; a missing key counts as 0.",
        "key",
    ),
    command("decr", 2, FLAGS, Group::String, Run::Shard(decr)).keys(KEY).docs(
        "1.0.0",
        "O(1)",
        "Takes one from the integer a key holds; a missing key counts as 0.",
        "key",
    ),
    command("incrby", 3, FLAGS, Group::String, Run::Shard(incrby)).keys(KEY).docs(
        "1.0.0",
        "O(1)",
        "Adds to the integer a key holds; a missing key counts as 0.",
        "key increment",
    ),
    command("decrby", 3, FLAGS, Group::String, Run::Shard(decrby)).keys(KEY).docs(
        "1.0.0",
        "O(1)",
        "Takes from the integer a key holds; a missing key counts as 0.",
        "key decrement",
    ),
    command("incrbyfloat", 3, FLAGS, Group::String, Run::Shard(incrbyfloat)).keys(KEY).docs(
        "2.6.0",
        "O(1)",
        "Adds to the floating point number a key holds; a missing key counts as 0.",
        "key float-increment",
    ),
];

fn incr(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    add(cx, args.at(1), 1, reply)
}

fn decr(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    add(cx, args.at(1), -1, reply)
}

fn incrby(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    add(cx, args.at(1), integer(args.at(2))?, reply)
}

fn decrby(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let step =
        integer(args.at(2))?.checked_neg().ok_or(CommandError::text("ERR decrement would overflow"))?;
    add(cx, args.at(1), step, reply)
}

#[inline]
fn add(cx: &mut Cx<'_>, key: &[u8], step: i64, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut sum = step;
    if let Some(mut entry) = cx.find_mut(key) {
        sum = integer_of(&entry)?
            .checked_add(step)
            .ok_or(CommandError::text("ERR increment or decrement would overflow"))?;
        entry.set_int(sum);
    } else {
        cx.db().set_int(key, sum);
    }
    cx.changed(key, Event::string("incrby"));
    reply.int(sum);
    Ok(())
}

#[inline]
fn integer_of(entry: &Entry) -> Result<i64, CommandError> {
    match entry.value() {
        Value::Int(number) => Ok(number),
        Value::Bytes(bytes) => parse_canonical(bytes).ok_or(CommandError::NotInteger),
        Value::Object(_) => Err(CommandError::WrongType),
    }
}

fn incrbyfloat(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let old = cx.find_mut(key).map_or(Ok(LongDouble::ZERO), |entry| long_double_of(&entry))?;
    let sum = old
        .checked_add(long_double(args.at(2))?)
        .ok_or(CommandError::text("ERR increment would produce NaN or Infinity"))?;
    let text = sum.to_string();
    // Never kept as a number, even where it is an integer.
    cx.db()
        .find_or_insert_with(key, || Entry::bytes(key, b"", None))
        .set_bytes(text.as_bytes(), BytesEncoding::ByLength);
    cx.changed(key, Event::string("incrbyfloat"));
    reply.bulk(text.as_bytes());
    Ok(())
}

fn long_double_of(entry: &Entry) -> Result<LongDouble, CommandError> {
    match entry.value() {
        Value::Int(number) => Ok(number.into()),
        Value::Bytes(bytes) => long_double(bytes),
        Value::Object(_) => Err(CommandError::WrongType),
    }
}
