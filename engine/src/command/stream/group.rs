//! XGROUP: consumer groups, made, moved and removed.

use bobbin_proto::Reply;

use super::super::help::{help, wrong_usage};
use super::super::number::integer;
use super::super::spec::{Command, Group as Family, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx, Event};
use super::{id, no_group};
use crate::error::{CommandError, before_nul};
use crate::store::encoding::stream::StreamId;
use crate::store::{Group, Stream};

const GROWS: &[KeySpec] = &[KeySpec::one(2, key_flag::RW | key_flag::INSERT)];
const CHANGES: &[KeySpec] = &[KeySpec::one(2, key_flag::RW | key_flag::UPDATE)];
const SHRINKS: &[KeySpec] = &[KeySpec::one(2, key_flag::RW | key_flag::DELETE)];
const GROWING: u32 = flag::WRITE | flag::DENYOOM;

pub const ROWS: &[Command] = &[
    command("xgroup", -2, 0, Family::Stream, Run::Container).docs(
        "5.0.0",
        "See the subcommands.",
        "Makes, moves and removes groups of consumers.",
        "",
    ),
    command("xgroup|create", -5, GROWING, Family::Stream, Run::Shard(create)).keys(GROWS).docs(
        "5.0.0",
        "O(1)",
        "Makes a group that reads what is behind an id; $ stands for the last there is.",
        "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    ),
    command("xgroup|createconsumer", 5, GROWING, Family::Stream, Run::Shard(create_consumer))
        .keys(GROWS)
        .docs(
            "6.2.0",
            "O(log(N)) with N consumers in the group",
            "Adds a consumer to a group, if it is not there.",
            "key group consumer",
        ),
    command("xgroup|delconsumer", 5, flag::WRITE, Family::Stream, Run::Shard(delete_consumer))
        .keys(SHRINKS)
        .docs(
            "5.0.0",
            "O(N*log(M)) with N entries that the consumer has pending, of M in the group",
            "Removes a consumer with what it has pending, and answers how much that was.",
            "key group consumer",
        ),
    command("xgroup|destroy", 4, flag::WRITE, Family::Stream, Run::Shard(destroy)).keys(SHRINKS).docs(
        "5.0.0",
        "O(log(N)) with N groups of the stream",
        "Removes a group with all its consumers.",
        "key group",
    ),
    command("xgroup|help", 2, flag::LOADING | flag::STALE, Family::Stream, Run::Conn(help)).docs(
        "5.0.0",
        "O(1)",
        "Prints this help.",
        "",
    ),
    command("xgroup|setid", -5, flag::WRITE, Family::Stream, Run::Shard(set_id)).keys(CHANGES).docs(
        "5.0.0",
        "O(1)",
        "Lets a group read on behind an id; $ stands for the last there is.",
        "key group <id | $> [ENTRIESREAD entries-read]",
    ),
];

const NO_KEY: CommandError = CommandError::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);
const BUSY_GROUP: CommandError = CommandError::text("BUSYGROUP Consumer Group name already exists");
const BAD_ENTRIES_READ: CommandError = CommandError::text("ERR value for ENTRIESREAD must be positive or -1");
/// With every option once.
const CREATE_ARGS_MAX: usize = 8;
const SETID_ARGS: [usize; 2] = [5, 7];

/// What follows the id.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    makes_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: Args<'_>, takes_mkstream: bool) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 5;
        while at < args.len() {
            if takes_mkstream && args.is(at, "mkstream") {
                options.makes_stream = true;
                at += 1;
            } else if args.is(at, "entriesread") && at + 1 < args.len() {
                options.entries_read = match integer(args.at(at + 1))? {
                    -1 => None,
                    read => Some(u64::try_from(read).map_err(|_| BAD_ENTRIES_READ)?),
                };
                at += 2;
            } else {
                return Err(wrong_usage(args));
            }
        }
        Ok(options)
    }
}

fn create(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (options, key) = (Options::parse(args, true)?, args.at(2));
    let last_id = cx.change(key, |stream: &mut Stream| stream.log.last_id)?;
    if last_id.is_none() && !options.makes_stream {
        return Err(NO_KEY);
    }
    if args.len() > CREATE_ARGS_MAX {
        return Err(wrong_usage(args));
    }
    let id = match before_nul(args.at(4)) {
        b"$" => last_id.unwrap_or(StreamId::MIN),
        _ => id::strict(args.at(4), 0)?,
    };
    let group = Group::new(id, options.entries_read);
    if !cx.create_or_change(key, Stream::new, |stream| stream.add_group(args.at(3), group))? {
        return Err(BUSY_GROUP);
    }
    let event = Event::stream("xgroup-create");
    match last_id {
        Some(_) => cx.changed_unwatched(key, Some(event)),
        None => cx.changed(key, event),
    }
    reply.ok();
    Ok(())
}

fn set_id(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args, false)?;
    change_group(cx, args, |group, last_id| {
        if !SETID_ARGS.contains(&args.len()) {
            return Err(wrong_usage(args));
        }
        group.last_id = match before_nul(args.at(4)) {
            b"$" => last_id,
            _ => id::lenient(args.at(4), 0)?,
        };
        group.entries_read = options.entries_read;
        Ok(())
    })??;
    cx.changed_unwatched(args.at(2), Some(Event::stream("xgroup-setid")));
    reply.ok();
    Ok(())
}

/// Changes the group that the arguments name; `change` is told the last id of the stream too.
fn change_group<R>(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    change: impl FnOnce(&mut Group, StreamId) -> R,
) -> Result<R, CommandError> {
    let (key, name) = (args.at(2), args.at(3));
    cx.change(key, |stream: &mut Stream| stream.change_group(name, |group, log| change(group, log.last_id)))?
        .ok_or(NO_KEY)?
        .ok_or_else(|| no_group(key, name))
}

fn destroy(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(2);
    let removed = cx.change(key, |stream: &mut Stream| stream.remove_group(args.at(3)))?.ok_or(NO_KEY)?;
    reply.int(removed.is_some().into());
    if let Some(remains) = removed {
        cx.changed_unwatched(key, Some(Event::stream("xgroup-destroy")));
        cx.wake(key);
        cx.db().bury_object(remains.into());
    }
    Ok(())
}

fn create_consumer(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    let added = change_group(cx, args, |group, _| group.add_consumer(args.at(4), now_ms))?;
    if added.is_some() {
        cx.depends_on_time();
        cx.changed_unwatched(args.at(2), Some(Event::stream("xgroup-createconsumer")));
    }
    reply.int(added.is_some().into());
    Ok(())
}

fn delete_consumer(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let removed = change_group(cx, args, |group, _| group.remove_consumer(args.at(4)))?;
    if removed.is_some() {
        cx.changed_unwatched(args.at(2), Some(Event::stream("xgroup-delconsumer")));
    }
    reply.int(removed.unwrap_or(0) as i64);
    Ok(())
}
