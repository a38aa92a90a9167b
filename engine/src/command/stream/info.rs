//! XINFO: what a stream, its groups and their consumers are like.
//!
//! There is no radix tree here: its keys are the nodes of the log, and its nodes are counted as one more than those.

use bobbin_proto::Reply;

use super::super::help::{help, wrong_usage};
use super::super::number::integer;
use super::super::spec::{Command, Group as Family, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::{no_group, reply_entries, reply_entry, reply_id};
use crate::error::CommandError;
use crate::store::encoding::stream::{Entry, Log, StreamId};
use crate::store::{Consumer, Group, Stream};

const READ: &[KeySpec] = &[KeySpec::one(2, key_flag::RO | key_flag::ACCESS)];

pub const ROWS: &[Command] = &[
    command("xinfo", -2, 0, Family::Stream, Run::Container).docs(
        "5.0.0",
        "See the subcommands.",
        "Tells about a stream, its groups and their consumers.",
        "",
    ),
    command("xinfo|consumers", 4, flag::READONLY, Family::Stream, Run::Shard(consumers))
        .keys(READ)
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "O(N) with N consumers", "Tells about the consumers of a group.", "key group"),
    command("xinfo|groups", 3, flag::READONLY, Family::Stream, Run::Shard(groups)).keys(READ).docs(
        "5.0.0",
        "O(N) with N groups",
        "Tells about the groups of a stream.",
        "key",
    ),
    command("xinfo|help", 2, flag::LOADING | flag::STALE, Family::Stream, Run::Conn(help)).docs(
        "5.0.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
    command("xinfo|stream", -3, flag::READONLY, Family::Stream, Run::Shard(stream)).keys(READ).docs(
        "5.0.0",
        "O(1), with FULL O(N) with N entries, groups, consumers and what they have pending",
        "Tells about a stream; with FULL also what is in it.",
        "key [FULL [COUNT count]]",
    ),
];

fn find<'a>(cx: &'a mut Cx<'_>, args: Args<'_>) -> Result<&'a Stream, CommandError> {
    cx.find_as(args.at(2))?.ok_or(CommandError::NoSuchKey)
}

fn consumers(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    let group = find(cx, args)?.group(args.at(3)).ok_or_else(|| no_group(args.at(2), args.at(3)))?;
    let since = |at_ms: u64| now_ms.saturating_sub(at_ms) as i64;
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        field(reply, "pending", consumer.pending().len() as i64);
        field(reply, "idle", since(consumer.seen_ms));
        field(reply, "inactive", consumer.active_ms.map_or(-1, since));
    }
    Ok(())
}

fn groups(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let stream = find(cx, args)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        field(reply, "consumers", group.consumers().len() as i64);
        field(reply, "pending", group.pending().len() as i64);
        reply_progress(group, &stream.log, reply);
    }
    Ok(())
}

/// Last id, entries read, and lag.
fn reply_progress(group: &Group, log: &Log, reply: &mut Reply<'_>) {
    id_field(reply, "last-delivered-id", group.last_id);
    optional_field(reply, "entries-read", group.entries_read.map(|read| read as i64));
    optional_field(reply, "lag", group.lag(log));
}

fn stream(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let stream = find(cx, args)?;
    match full_option(args)? {
        None => {
            reply.map(10);
            reply_log(&stream.log, reply);
            field(reply, "groups", stream.groups().len() as i64);
            entry_field(reply, "first-entry", stream.log.entries().next());
            entry_field(reply, "last-entry", stream.log.last());
        }
        Some(count) => {
            reply.map(9);
            reply_log(&stream.log, reply);
            reply.bulk(b"entries");
            reply_entries(stream.log.entries(), count, reply);
            reply.bulk(b"groups");
            reply.array(stream.groups().len());
            stream.groups().for_each(|(name, group)| reply_group(name, group, &stream.log, count, reply));
        }
    }
    Ok(())
}

/// How much of everything FULL is to tell, if it is there.
fn full_option(args: Args<'_>) -> Result<Option<usize>, CommandError> {
    const COUNT_DEFAULT: usize = 10;
    match args.len() - 3 {
        0 => Ok(None),
        1 if args.is(3, "full") => Ok(Some(COUNT_DEFAULT)),
        3 if args.is(3, "full") && args.is(4, "count") => match integer(args.at(5))? {
            0 => Ok(Some(usize::MAX)),
            ..0 => Ok(Some(COUNT_DEFAULT)),
            count => Ok(Some(count as usize)),
        },
        _ => Err(wrong_usage(args)),
    }
}

/// Seven fields.
fn reply_log(log: &Log, reply: &mut Reply<'_>) {
    let nodes = log.nodes().len() as i64;
    field(reply, "length", log.len() as i64);
    field(reply, "radix-tree-keys", nodes);
    field(reply, "radix-tree-nodes", nodes + 1);
    id_field(reply, "last-generated-id", log.last_id);
    id_field(reply, "max-deleted-entry-id", log.max_deleted_id);
    field(reply, "entries-added", log.entries_added as i64);
    id_field(reply, "recorded-first-entry-id", log.first_id());
}

fn reply_group(name: &[u8], group: &Group, log: &Log, count: usize, reply: &mut Reply<'_>) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    reply_progress(group, log, reply);
    field(reply, "pel-count", group.pending().len() as i64);
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(count));
    for (&id, pending) in group.pending().iter().take(count) {
        reply.array(4);
        reply_id(id, reply);
        reply.bulk(group.owner(pending).name());
        reply.int(pending.delivered_ms as i64);
        reply.int(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers().len());
    group.consumers().for_each(|consumer| reply_consumer(group, consumer, count, reply));
}

fn reply_consumer(group: &Group, consumer: &Consumer, count: usize, reply: &mut Reply<'_>) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    field(reply, "seen-time", consumer.seen_ms as i64);
    field(reply, "active-time", consumer.active_ms.map_or(-1, |at_ms| at_ms as i64));
    field(reply, "pel-count", consumer.pending().len() as i64);
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(count));
    for (id, pending) in group.pending_of(consumer, StreamId::MIN).take(count) {
        reply.array(3);
        reply_id(id, reply);
        reply.int(pending.delivered_ms as i64);
        reply.int(pending.deliveries as i64);
    }
}

fn field(reply: &mut Reply<'_>, name: &str, value: i64) {
    optional_field(reply, name, Some(value));
}

fn optional_field(reply: &mut Reply<'_>, name: &str, value: Option<i64>) {
    reply.bulk(name.as_bytes());
    match value {
        Some(value) => reply.int(value),
        None => reply.null(),
    }
}

fn id_field(reply: &mut Reply<'_>, name: &str, id: StreamId) {
    reply.bulk(name.as_bytes());
    reply_id(id, reply);
}

fn entry_field(reply: &mut Reply<'_>, name: &str, entry: Option<Entry<'_>>) {
    reply.bulk(name.as_bytes());
    match entry {
        Some(entry) => reply_entry(entry, reply),
        None => reply.null(),
    }
}
