//! What was delivered and not acknowledged: XACK, XPENDING.

use bobbin_proto::Reply;

use super::super::number::integer;
use super::super::spec::{Command, Group as Family, Run, command, flag};
use super::super::{Args, Cx};
use super::{READ, UPDATE, id, no_key_or_group, reply_id};
use crate::error::CommandError;
use crate::store::encoding::stream::StreamId;
use crate::store::{Consumer, Group, Pending, Stream};

pub const ROWS: &[Command] = &[
    command("xack", -4, flag::WRITE | flag::FAST, Family::Stream, Run::Shard(xack)).keys(UPDATE).docs(
        "5.0.0",
        "O(log(N)) an id, with N entries pending",
        "Acknowledges entries that were delivered to a group; answers how many were pending.",
        "key group id [id ...]",
    ),
    command("xpending", -3, flag::READONLY, Family::Stream, Run::Shard(xpending))
        .keys(READ)
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "O(N) with N entries looked at, or N consumers in the group where no interval is given",
            "Tells how much is pending in a group and with whom, or which entries are.",
            "key group [[IDLE ms] first-id last-id count [consumer]]",
        ),
];

fn xack(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let acknowledge = |group: &mut Group| -> Result<usize, CommandError> {
        let ids = id::list(args.iter_from(3))?;
        Ok(ids.into_iter().filter(|&id| group.acknowledge(id)).count())
    };
    let acknowledged = cx
        .change(args.at(1), |stream: &mut Stream| {
            stream.change_group(args.at(2), |group, _| acknowledge(group))
        })?
        .flatten()
        .unwrap_or(Ok(0))?;
    if acknowledged > 0 {
        cx.changed_unwatched(args.at(1), None);
    }
    reply.int(acknowledged as i64);
    Ok(())
}

/// Which entries XPENDING is asked for.
#[derive(Clone, Copy, Debug)]
struct Filter<'a> {
    from: StreamId,
    to: StreamId,
    count: usize,
    idle_ms_min: u64,
    consumer: Option<&'a [u8]>,
}

/// Without a filter.
const ARGS_PLAIN: usize = 3;
/// With the least and the most that a filter says.
const ARGS_FILTERED: std::ops::RangeInclusive<usize> = 6..=9;
/// A filter with IDLE and all that must follow it.
const ARGS_IDLE_MIN: usize = 8;

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Option<Self>, CommandError> {
        if args.len() == ARGS_PLAIN {
            return Ok(None);
        }
        if !ARGS_FILTERED.contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let (mut at, mut idle_ms_min) = (3, 0);
        if args.is(at, "idle") {
            idle_ms_min = integer(args.at(at + 1))?.max(0) as u64;
            if args.len() < ARGS_IDLE_MIN {
                return Err(CommandError::Syntax);
            }
            at += 2;
        }
        let count = integer(args.at(at + 2))?.max(0) as usize;
        let (from, to) = (id::interval_start(args.at(at))?, id::interval_end(args.at(at + 1))?);
        Ok(Some(Self { from, to, count, idle_ms_min, consumer: args.get(at + 3) }))
    }
}

fn xpending(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (filter, now_ms) = (Filter::parse(args)?, cx.now_ms());
    let (key, name) = (args.at(1), args.at(2));
    let stream = cx.find_as::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.group(name)).ok_or_else(|| no_key_or_group(key, name, ""))?;
    let Some(filter) = filter else {
        reply_summary(group, reply);
        return Ok(());
    };
    match filter.consumer.map(|name| group.consumer(name)) {
        None => {
            let pending = group.pending_from(filter.from).map(|(&id, pending)| (id, pending));
            reply_pending(group, pending, &filter, now_ms, reply);
        }
        Some(Some(consumer)) => {
            reply_pending(group, group.pending_of(consumer, filter.from), &filter, now_ms, reply);
        }
        Some(None) => reply.array(0),
    }
    Ok(())
}

/// How much, from which id through which, and how much with each consumer.
fn reply_summary(group: &Group, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.int(group.pending().len() as i64);
    let ends = (group.pending().first_key_value(), group.pending().last_key_value());
    let (Some((&first, _)), Some((&last, _))) = ends else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(first, reply);
    reply_id(last, reply);
    let has_any = |consumer: &&Consumer| consumer.pending().len() > 0;
    reply.array(group.consumers().filter(has_any).count());
    for consumer in group.consumers().filter(has_any) {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending().len() as i64);
    }
}

fn reply_pending<'a>(
    group: &Group,
    pending: impl Iterator<Item = (StreamId, &'a Pending)>,
    filter: &Filter<'_>,
    now_ms: u64,
    reply: &mut Reply<'_>,
) {
    let (mark, mut answered) = (reply.mark(), 0);
    let wanted = pending
        .take_while(|(id, _)| *id <= filter.to)
        .filter(|(_, pending)| filter.idle_ms_min == 0 || pending.idle_ms(now_ms) >= filter.idle_ms_min)
        .take(filter.count);
    for (id, pending) in wanted {
        reply.array(4);
        reply_id(id, reply);
        reply.bulk(group.owner(pending).name());
        reply.int(pending.idle_ms(now_ms) as i64);
        reply.int(pending.deliveries as i64);
        answered += 1;
    }
    reply.array_at(mark, answered);
}
