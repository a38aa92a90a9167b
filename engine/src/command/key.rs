//! Keys whatever they hold: removing, renaming, copying and moving them, and what is known of their values.

use bobbin_proto::Reply;

use super::keyspace::parse_db;
use super::spec::{Command, Group, KeySpec, Merge, Run, command, flag, key_flag};
use super::{Args, Cx, Event, help};
use crate::error::CommandError;
use crate::mesh::SessionBits;
use crate::nodes::refuse_as_node;
use crate::store::{Entry, Value};

const REMOVED: &[KeySpec] = &[KeySpec::range(1, -1, 1, key_flag::RM | key_flag::DELETE)];
const LOOKED_AT: &[KeySpec] = &[KeySpec::range(1, -1, 1, key_flag::RO)];
const SUBJECT: &[KeySpec] = &[KeySpec::one(2, key_flag::RO)];
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const VARIES: &[&str] = &["nondeterministic_output"];

const SOURCE_GOES: u16 = key_flag::RW | key_flag::ACCESS | key_flag::DELETE;

pub const ROWS: &[Command] = &[
    command("del", -2, flag::WRITE, Group::Generic, Run::Scatter(del, Merge::Sum))
        .keys(REMOVED)
        .tips(SUMMED)
        .docs("1.0.0", "O(N) with N keys", "Removes keys. Answers how many there were.", "key [key ...]"),
    command("unlink", -2, flag::WRITE | flag::FAST, Group::Generic, Run::Scatter(del, Merge::Sum))
        .keys(REMOVED)
        .tips(SUMMED)
        .docs("4.0.0", "O(N) with N keys", "Removes keys, as DEL does.", "key [key ...]"),
    command("exists", -2, flag::READONLY | flag::FAST, Group::Generic, Run::Scatter(exists, Merge::Sum))
        .keys(LOOKED_AT)
        .tips(SUMMED)
        .docs("1.0.0", "O(N) with N keys", "Answers how many of the keys are there.", "key [key ...]"),
    command("touch", -2, flag::READONLY | flag::FAST, Group::Generic, Run::Scatter(touch, Merge::Sum))
        .keys(LOOKED_AT)
        .tips(SUMMED)
        .docs(
            "3.2.1",
            "O(N) with N keys",
            "Marks keys as used just now. Answers how many there are.",
            "key [key ...]",
        ),
    command("type", 2, flag::READONLY | flag::FAST, Group::Generic, Run::Shard(type_of))
        .keys(&[KeySpec::one(1, key_flag::RO)])
        .docs("1.0.0", "O(1)", "Answers the type of a key's value, or none.", "key"),
    command("rename", 3, flag::WRITE, Group::Generic, Run::Shard(rename))
        .keys(&[KeySpec::one(1, SOURCE_GOES), KeySpec::one(2, key_flag::OW | key_flag::UPDATE)])
        .docs("1.0.0", "O(1)", "Gives a key another name, in place of what had it.", "key newkey"),
    command("renamenx", 3, flag::WRITE | flag::FAST, Group::Generic, Run::Shard(renamenx))
        .keys(&[KeySpec::one(1, SOURCE_GOES), KeySpec::one(2, key_flag::OW | key_flag::INSERT)])
        .docs("1.0.0", "O(1)", "Gives a key another name unless that is taken.", "key newkey"),
    command("copy", -3, flag::WRITE | flag::DENYOOM, Group::Generic, Run::Shard(copy))
        .keys(&[
            KeySpec::one(1, key_flag::RO | key_flag::ACCESS),
            KeySpec::one(2, key_flag::OW | key_flag::UPDATE),
        ])
        .docs(
            "6.2.0",
            "O(N) with N the size of the value",
            "Copies a value, with its expiry, to another key.",
            "source destination [DB destination-db] [REPLACE]",
        ),
    command("move", 3, flag::WRITE | flag::FAST, Group::Generic, Run::Shard(move_key))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::UPDATE)])
        .docs("1.0.0", "O(1)", "Moves a key to another database, unless it is there already.", "key db"),
    command("object", -2, 0, Group::Generic, Run::Container).docs(
        "2.2.3",
        "Depends on the subcommand",
        "Tells how a value is kept.",
        "",
    ),
    command("object|encoding", 3, flag::READONLY, Group::Generic, Run::Shard(object_encoding))
        .keys(SUBJECT)
        .tips(VARIES)
        .differs("Redis 7.2's names: a short list is a listpack, and so is a small set.")
        .docs("2.2.3", "O(1)", "Answers how the value is represented.", "key"),
    command("object|freq", 3, flag::READONLY, Group::Generic, Run::Shard(object_freq))
        .keys(SUBJECT)
        .tips(VARIES)
        .docs("4.0.0", "O(1)", "Answers the counter of accesses, under an LFU policy.", "key"),
    command("object|idletime", 3, flag::READONLY, Group::Generic, Run::Shard(object_idletime))
        .keys(SUBJECT)
        .tips(VARIES)
        .docs(
            "2.2.3",
            "O(1)",
            "Answers the seconds since the last access, unless under an LFU policy.",
            "key",
        ),
    command("object|refcount", 3, flag::READONLY, Group::Generic, Run::Shard(object_refcount))
        .keys(SUBJECT)
        .tips(VARIES)
        .docs("2.2.3", "O(1)", "Answers how many places share the value.", "key"),
    command("object|help", 2, flag::LOADING | flag::STALE, Group::Generic, Run::Conn(help)).docs(
        "6.2.0",
        "O(1)",
        "Lists the subcommands.",
        "",
    ),
];

const SAME_OBJECT: CommandError = CommandError::text("ERR source and destination objects are the same");

fn del(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut removed = 0;
    cx.prefetch(args.iter_from(1));
    for key in args.iter_from(1) {
        if cx.remove(key) {
            cx.changed(key, Event::generic("del"));
            removed += 1;
        }
    }
    reply.int(removed);
    Ok(())
}

fn exists(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    cx.prefetch(args.iter_from(1));
    let found = args.iter_from(1).filter(|key| cx.probe(key).is_some()).count();
    reply.int(found as i64);
    Ok(())
}

/// The one read that touches whatever CLIENT NO-TOUCH says.
fn touch(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    cx.session.0 &= !SessionBits::NO_TOUCH;
    cx.prefetch(args.iter_from(1));
    let found = args.iter_from(1).filter(|key| cx.find(key).is_some()).count();
    reply.int(found as i64);
    Ok(())
}

fn type_of(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.simple(cx.probe(args.at(1)).map_or("none", |entry| entry.type_of().name()));
    Ok(())
}

fn rename(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    give_name(cx, args.at(1), args.at(2), true)?;
    reply.ok();
    Ok(())
}

fn renamenx(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let renamed = give_name(cx, args.at(1), args.at(2), false)?;
    reply.int(i64::from(renamed));
    Ok(())
}

/// Returns whether anything changed.
fn give_name(cx: &mut Cx<'_>, from: &[u8], to: &[u8], replace: bool) -> Result<bool, CommandError> {
    if cx.find_mut(from).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if from == to {
        return Ok(false);
    }
    cx.expire_if_due(to);
    if !replace && cx.db().find(to).is_some() {
        return Ok(false);
    }
    let Some(entry) = cx.db().remove(from) else { return Err(CommandError::NoSuchKey) };
    put(cx, cx.db, entry.with_key(to));
    cx.changed(from, Event::generic("rename_from"));
    cx.changed(to, Event::generic("rename_to"));
    Ok(true)
}

/// Puts an entry into a database, in place of what has its key.
fn put(cx: &mut Cx<'_>, db: usize, entry: Entry) {
    let db = cx.keyspace.db_mut(db);
    if let Some(old) = db.insert(entry) {
        db.bury(old);
    }
}

fn copy(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (from, to) = (args.at(1), args.at(2));
    let options = CopyOptions::parse(cx, args)?;
    if options.db != cx.db {
        refuse_as_node(cx.session, "Copying to another database")?;
    }
    if options.db == cx.db && from == to {
        return Err(SAME_OBJECT);
    }
    let copied = cx.find(from).is_some() && copy_to(cx, from, to, options);
    reply.int(i64::from(copied));
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct CopyOptions {
    db: usize,
    replace: bool,
}

impl CopyOptions {
    fn parse(cx: &Cx<'_>, args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self { db: cx.db, replace: false };
        let mut at = 3;
        while at < args.len() {
            if args.is(at, "replace") {
                options.replace = true;
            } else if args.is(at, "db") && at + 1 < args.len() {
                at += 1;
                options.db = parse_db(args.at(at), cx.env)?.into();
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn copy_to(cx: &mut Cx<'_>, from: &[u8], to: &[u8], options: CopyOptions) -> bool {
    cx.expire_if_due_in(options.db, to);
    if !options.replace && cx.keyspace.db(options.db).find(to).is_some() {
        return false;
    }
    let Some(entry) = cx.db().find(from) else { return false };
    let entry = entry.clone().with_key(to);
    // A new key: its access clock begins where it is put in.
    entry.set_access(0);
    put(cx, options.db, entry);
    cx.rest.changed(options.db, to, Event::generic("copy_to"));
    true
}

fn move_key(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    refuse_as_node(cx.session, "MOVE")?;
    let key = args.at(1);
    let to = usize::from(parse_db(args.at(2), cx.env)?);
    if to == cx.db {
        return Err(SAME_OBJECT);
    }
    let moved = cx.find_mut(key).is_some() && move_to(cx, key, to);
    reply.int(i64::from(moved));
    Ok(())
}

fn move_to(cx: &mut Cx<'_>, key: &[u8], to: usize) -> bool {
    cx.expire_if_due_in(to, key);
    if cx.keyspace.db(to).find(key).is_some() {
        return false;
    }
    let Some(entry) = cx.db().remove(key) else { return false };
    put(cx, to, entry);
    cx.changed(key, Event::generic("move_from"));
    cx.rest.changed(to, key, Event::generic("move_to"));
    true
}

fn object_encoding(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match cx.inspect(args.at(2)) {
        Some(entry) => reply.bulk(entry.encoding().as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

const NOT_LFU: CommandError = CommandError::text(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
     between policies at runtime LRU and LFU data will take some time to adjust.",
);
const NOT_LRU: CommandError = CommandError::text(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
     policies at runtime LRU and LFU data will take some time to adjust.",
);

fn object_freq(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (config, now_ms) = (*cx.rest.evictor.config(), cx.now_ms());
    match cx.inspect(args.at(2)) {
        None => reply.null(),
        Some(_) if !config.policy.is_lfu() => return Err(NOT_LFU),
        Some(entry) => reply.int(i64::from(config.frequency(entry, now_ms))),
    }
    Ok(())
}

fn object_idletime(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (config, now_ms) = (*cx.rest.evictor.config(), cx.now_ms());
    match cx.inspect(args.at(2)) {
        None => reply.null(),
        Some(_) if config.policy.is_lfu() => return Err(NOT_LRU),
        Some(entry) => reply.int(config.idle_time_secs(entry, now_ms) as i64),
    }
    Ok(())
}

/// Redis shares one object among all values that are one of these numbers, and answers this count for it.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// Nothing is shared here. Small numbers answer as Redis's do where it shares them.
fn object_refcount(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match cx.inspect(args.at(2)).map(Entry::value) {
        None => reply.null(),
        Some(Value::Int(number)) if SHARED_INTEGERS.contains(&number) => reply.int(SHARED_REFCOUNT),
        Some(_) => reply.int(1),
    }
    Ok(())
}
