//! Fields that count: HINCRBY, HINCRBYFLOAT.
//!
//! Refused: values and steps that are no numbers, and sums out of range; the hash is left as it was.

use bobbin_proto::Reply;

use super::super::long_double::LongDouble;
use super::super::number::{integer, long_double};
use super::super::spec::{Command, Group, Run, command, flag};
use super::super::{Args, Cx};
use super::{COUNTED, Done, create_or_change};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::{Expiry, parse_canonical};

const FLAGS: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

pub const ROWS: &[Command] = &[
    command("hincrby", 4, FLAGS, Group::Hash, Run::Shard(hincrby)).keys(COUNTED).docs(
        "2.0.0",
        "O(1)",
        "Adds to the integer that a field holds; a missing field counts as 0.",
        "key field increment",
    ),
    command("hincrbyfloat", 4, FLAGS, Group::Hash, Run::Shard(hincrbyfloat)).keys(COUNTED).docs(
        "2.6.0",
        "O(1)",
        "Adds to the floating point number that a field holds; a missing field counts as 0.",
        "key field float-increment",
    ),
];

const NOT_AN_INTEGER: CommandError = CommandError::text("ERR hash value is not an integer");
const NOT_A_FLOAT: CommandError = CommandError::text("ERR hash value is not a float");
const OVERFLOW: CommandError = CommandError::text("ERR increment or decrement would overflow");
const NOT_FINITE: CommandError = CommandError::text("ERR value is NaN or Infinity");
const SUM_NOT_FINITE: CommandError = CommandError::text("ERR increment would produce NaN or Infinity");

fn hincrby(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let step = integer(args.at(3))?;
    let sum = add(cx, args, "hincrby", |old| {
        let old = old.map_or(Ok(0), |old| integer_of(old).ok_or(NOT_AN_INTEGER))?;
        old.checked_add(step).ok_or(OVERFLOW)
    })?;
    reply.int(sum);
    Ok(())
}

fn hincrbyfloat(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let step = long_double(args.at(3))?;
    if step.is_infinite() {
        return Err(NOT_FINITE);
    }
    let sum = add(cx, args, "hincrbyfloat", |old| {
        let old = old.map_or(Ok(LongDouble::ZERO), |old| long_double_of(old).ok_or(NOT_A_FLOAT))?;
        old.checked_add(step).ok_or(SUM_NOT_FINITE)
    })?;
    reply.bulk(sum.to_string().as_bytes());
    Ok(())
}

/// Gives a field the sum that `sum_with` makes of its value.
#[inline]
fn add<S: ToString>(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    event: &'static str,
    sum_with: impl FnOnce(Option<Element<'_>>) -> Result<S, CommandError>,
) -> Result<S, CommandError> {
    let field = args.at(2);
    create_or_change(cx, args, std::iter::once((field, args.at(3))), |hash| {
        let sum = sum_with(hash.get(field));
        if let Ok(sum) = &sum {
            hash.set(field, sum.to_string().as_bytes(), Expiry::Keep);
        }
        let event = sum.is_ok().then_some(event);
        Done::new(sum, event)
    })?
}

fn integer_of(value: Element<'_>) -> Option<i64> {
    match value {
        Element::Int(number) => Some(number),
        Element::Str(text) => parse_canonical(text),
    }
}

fn long_double_of(value: Element<'_>) -> Option<LongDouble> {
    match value {
        Element::Int(number) => Some(number.into()),
        Element::Str(text) => LongDouble::parse(text),
    }
}
