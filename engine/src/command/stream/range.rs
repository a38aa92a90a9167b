//! Reading by id: XRANGE, XREVRANGE; and XLEN.

use bobbin_proto::Reply;

use super::super::number::integer;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::{READ, id, reply_entries};
use crate::error::CommandError;
use crate::store::Stream;
use crate::store::encoding::stream::Order;

const BY_ID: &str = "O(log(N)+M) with N entries in the stream, M of them answered";

pub const ROWS: &[Command] = &[
    command("xrange", -4, flag::READONLY, Group::Stream, Run::Shard(xrange)).keys(READ).docs(
        "5.0.0",
        BY_ID,
        "Answers the entries of a stream from one id through another, oldest first.",
        "key first-id last-id [COUNT count]",
    ),
    command("xrevrange", -4, flag::READONLY, Group::Stream, Run::Shard(xrevrange)).keys(READ).docs(
        "5.0.0",
        BY_ID,
        "Answers the entries of a stream from one id back through another, newest first.",
        "key last-id first-id [COUNT count]",
    ),
    command("xlen", 2, flag::READONLY | flag::FAST, Group::Stream, Run::Shard(xlen))
        .keys(&[KeySpec::one(1, key_flag::RO)])
        .docs("5.0.0", "O(1)", "Answers how many entries a stream has.", "key"),
];

fn xrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    range(cx, args, (args.at(2), args.at(3)), Order::Ascending, reply)
}

fn xrevrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    range(cx, args, (args.at(3), args.at(2)), Order::Descending, reply)
}

fn range(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    (start, end): (&[u8], &[u8]),
    order: Order,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (from, to) = (id::interval_start(start)?, id::interval_end(end)?);
    let count = count_option(args)?;
    match cx.find_as::<Stream>(args.at(1))? {
        None => reply.array(0),
        Some(_) if count == 0 => reply.null_array(),
        Some(stream) => reply_entries(stream.log.range(from, to, order), count, reply),
    }
    Ok(())
}

/// The number behind COUNT, 0 for one below; all, if it is not there.
fn count_option(args: Args<'_>) -> Result<usize, CommandError> {
    let mut count = usize::MAX;
    for at in (4..args.len()).step_by(2) {
        match args.get(at + 1) {
            Some(value) if args.is(at, "count") => count = integer(value)?.max(0) as usize,
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(count)
}

fn xlen(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = cx.find_as::<Stream>(args.at(1))?.map_or(0, |stream| stream.log.len());
    reply.int(len as i64);
    Ok(())
}
