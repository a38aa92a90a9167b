//! Strings: reading and writing them whole or in part. Numbers are in `counter`, bits in `bitmap`.
//!
//! Invariant: SET without options is one look-up and no allocation beyond the entry's own; the options are parsed only
//! where there are any.
//!
//! Refused: strings longer than `proto-max-bulk-len`, by whatever command they would become so.
//! Source: replies, errors and their precedence are those of redis-server 7.0.15.

use bobbin_proto::Reply;

use super::number::integer;
use super::set_options::{Condition, GetexOptions, Lifetime, SetOptions, deadline};
use super::spec::{Command, Group, KeySpec, Merge, Run, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::{Entry, Expiry, Value};

const FAST_READ: u32 = flag::READONLY | flag::FAST;
const GROWING: u32 = flag::WRITE | flag::DENYOOM;
const READ: u16 = key_flag::RO | key_flag::ACCESS;
const OVERWRITE: u16 = key_flag::OW | key_flag::UPDATE;
const EXCHANGE: u16 = key_flag::RW | key_flag::ACCESS | key_flag::UPDATE;

pub const ROWS: &[Command] = &[
    command("get", 2, FAST_READ, Group::String, Run::Shard(get)).keys(&[KeySpec::one(1, READ)]).docs(
        "1.0.0",
        "O(1)",
        "Answers the string a key holds.",
        "key",
    ),
    command("set", -3, GROWING, Group::String, Run::Shard(set))
        .keys(&[KeySpec::one(1, EXCHANGE | key_flag::VARIABLE_FLAGS)])
        .actual_flags(|args| if has_get(args) { EXCHANGE } else { OVERWRITE })
        .docs(
            "1.0.0",
            "O(1)",
            "Makes a key hold a string, whatever it held before, on conditions if so told.",
            "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
        ),
    command("setnx", 3, GROWING | flag::FAST, Group::String, Run::Shard(setnx))
        .keys(&[KeySpec::one(1, key_flag::OW | key_flag::INSERT)])
        .docs("1.0.0", "O(1)", "Makes a key hold a string unless it exists.", "key value"),
    command("setex", 4, GROWING, Group::String, Run::Shard(setex))
        .keys(&[KeySpec::one(1, OVERWRITE)])
        .docs("2.0.0", "O(1)", "Makes a key hold a string for some seconds.", "key seconds value"),
    command("psetex", 4, GROWING, Group::String, Run::Shard(psetex))
        .keys(&[KeySpec::one(1, OVERWRITE)])
        .docs("2.6.0", "O(1)", "Makes a key hold a string for some milliseconds.", "key milliseconds value"),
    command("getset", 3, GROWING | flag::FAST, Group::String, Run::Shard(getset))
        .keys(&[KeySpec::one(1, EXCHANGE)])
        .docs("1.0.0", "O(1)", "Makes a key hold a string, and answers the one it held before.", "key value"),
    command("getdel", 2, flag::WRITE | flag::FAST, Group::String, Run::Shard(getdel))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::DELETE)])
        .docs("6.2.0", "O(1)", "Answers the string a key holds, and deletes the key.", "key"),
    command("getex", -2, flag::WRITE | flag::FAST, Group::String, Run::Shard(getex))
        .keys(&[KeySpec::one(1, EXCHANGE)])
        .docs(
            "6.2.0",
            "O(1)",
            "Answers the string a key holds, and sets or removes the key's expiry.",
            "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
        ),
    command("getrange", 4, flag::READONLY, Group::String, Run::Shard(getrange))
        .keys(&[KeySpec::one(1, READ)])
        .docs("2.4.0", "O(N) with N bytes answered", "Answers a part of a string.", "key start end"),
    command("substr", 4, flag::READONLY, Group::String, Run::Shard(getrange))
        .keys(&[KeySpec::one(1, READ)])
        .docs("1.0.0", "O(N) with N bytes answered", "GETRANGE under its first name.", "key start end"),
    command("setrange", 4, GROWING, Group::String, Run::Shard(setrange))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)])
        .docs(
            "2.2.0",
            "O(N) with N bytes written, and those the string grows by",
            "Overwrites a part of a string, which grows as needed.",
            "key offset value",
        ),
    command("append", 3, GROWING | flag::FAST, Group::String, Run::Shard(append))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::INSERT)])
        .docs("2.0.0", "O(N) with N bytes added", "Adds bytes at the end of a string.", "key value"),
    command("strlen", 2, FAST_READ, Group::String, Run::Shard(strlen))
        .keys(&[KeySpec::one(1, key_flag::RO)])
        .docs("2.2.0", "O(1)", "Answers how long a string is, in bytes.", "key"),
    command("mget", -2, FAST_READ, Group::String, Run::Scatter(mget, Merge::Positions))
        .keys(&[KeySpec::range(1, -1, 1, READ)])
        .tips(&["request_policy:multi_shard"])
        .docs("1.0.0", "O(N) with N keys", "Answers the strings that several keys hold.", "key [key ...]"),
    command("mset", -3, GROWING, Group::String, Run::Scatter(mset, Merge::Ok))
        .keys(&[KeySpec::range(1, -1, 2, OVERWRITE)])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .docs("1.0.1", "O(N) with N keys", "Makes several keys hold strings.", "key value [key value ...]"),
    command("msetnx", -3, GROWING, Group::String, Run::Shard(msetnx))
        .keys(&[KeySpec::range(1, -1, 2, key_flag::OW | key_flag::INSERT)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .docs(
            "1.0.1",
            "O(N) with N keys",
            "Makes several keys hold strings, unless one of them exists.",
            "key value [key value ...]",
        ),
];

const SET: Event = Event::string("set");
const EXPIRE: Event = Event::generic("expire");
const DEL: Event = Event::generic("del");

/// Whether SET has the word GET among its options, right or wrong: as Redis's COMMAND GETKEYSANDFLAGS looks at it.
fn has_get(args: Args<'_>) -> bool {
    args.iter_from(3).any(|word| word.eq_ignore_ascii_case(b"GET"))
}

/// The bytes of a string. A number's are written into `digits`.
#[inline]
pub(super) fn bytes_of<'a>(entry: &'a Entry, digits: &'a mut itoa::Buffer) -> Result<&'a [u8], CommandError> {
    match entry.value() {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Int(number) => Ok(digits.format(number).as_bytes()),
        Value::Object(_) => Err(CommandError::WrongType),
    }
}

/// The bytes of the string that a key holds, looked up to be read. None where there is no key.
#[inline]
pub(super) fn find_bytes<'a>(
    cx: &'a mut Cx<'_>,
    key: &[u8],
    digits: &'a mut itoa::Buffer,
) -> Result<Option<&'a [u8]>, CommandError> {
    cx.find(key).map(|entry| bytes_of(entry, digits)).transpose()
}

/// How long a string is.
#[inline]
pub(super) fn len_of(entry: &Entry) -> Result<usize, CommandError> {
    bytes_of(entry, &mut itoa::Buffer::new()).map(<[u8]>::len)
}

/// Refuses a string that would become longer than `proto-max-bulk-len`.
pub(super) fn check_len(cx: &Cx<'_>, start: usize, more: usize) -> Result<usize, CommandError> {
    let max = cx.env.string_len_max() as usize;
    start
        .checked_add(more)
        .filter(|&len| len <= max)
        .ok_or(CommandError::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)"))
}

fn get(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_value(cx, args.at(1), reply).map(drop)
}

/// Answers what a key holds, if it is a string or nothing. Returns whether there is a key.
#[inline]
fn reply_value(cx: &mut Cx<'_>, key: &[u8], reply: &mut Reply<'_>) -> Result<bool, CommandError> {
    let Some(entry) = cx.find(key) else {
        reply.null();
        return Ok(false);
    };
    match entry.value() {
        Value::Bytes(bytes) => reply.bulk(bytes),
        Value::Int(number) => reply.bulk_int(number),
        Value::Object(_) => return Err(CommandError::WrongType),
    }
    Ok(true)
}

#[inline]
fn set(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return set_on_conditions(cx, args, reply);
    }
    store(cx, args.at(1), args.at(2), Expiry::None);
    reply.ok();
    Ok(())
}

fn set_on_conditions(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let options = SetOptions::parse(args)?;
    let expiry = match options.lifetime {
        Lifetime::Unsaid | Lifetime::Persist => Expiry::None,
        Lifetime::Keep => Expiry::Keep,
        Lifetime::Until(clock, time) => Expiry::At(deadline(clock, time, cx.now_ms(), "set")?),
    };
    let exists = match options.condition {
        _ if options.get => reply_value(cx, key, reply)?,
        Condition::Always => false,
        Condition::Missing | Condition::Present => cx.peek(key).is_some(),
    };
    if !options.condition.allows(exists) {
        // A write that is refused is an access as well; one that goes ahead is counted where it is done.
        cx.find_mut(key);
        if !options.get {
            reply.null();
        }
        return Ok(());
    }
    store(cx, key, args.at(2), expiry);
    if !options.get {
        reply.ok();
    }
    Ok(())
}

/// Makes a key hold a string, and says so.
#[inline]
fn store(cx: &mut Cx<'_>, key: &[u8], value: &[u8], expiry: Expiry) {
    cx.set_string(key, value, expiry);
    cx.changed(key, SET);
    if let Expiry::At(at) = expiry {
        cx.changed(key, EXPIRE);
        cx.tell([b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at).as_bytes()]);
    }
}

fn setnx(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let missing = cx.find_mut(args.at(1)).is_none();
    if missing {
        store(cx, args.at(1), args.at(2), Expiry::None);
    }
    reply.int(missing.into());
    Ok(())
}

fn setex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_for(cx, args, super::set_options::SECONDS, reply)
}

fn psetex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_for(cx, args, super::set_options::MILLISECONDS, reply)
}

fn set_for(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    clock: super::set_options::Clock,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let at = deadline(clock, args.at(2), cx.now_ms(), cx.command.name)?;
    store(cx, args.at(1), args.at(3), Expiry::At(at));
    reply.ok();
    Ok(())
}

fn getset(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply_value(cx, args.at(1), reply)?;
    store(cx, args.at(1), args.at(2), Expiry::None);
    Ok(())
}

fn getdel(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if reply_value(cx, args.at(1), reply)? {
        cx.remove(args.at(1));
        cx.changed(args.at(1), DEL);
    }
    Ok(())
}

fn getex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let GetexOptions { lifetime } = GetexOptions::parse(args)?;
    // As in Redis, a time that makes no sense is an error only where there is a key.
    if !reply_value(cx, key, reply)? {
        return Ok(());
    }
    match lifetime {
        Lifetime::Unsaid | Lifetime::Keep => {}
        Lifetime::Persist => persist(cx, key),
        Lifetime::Until(clock, time) => {
            let at = deadline(clock, time, cx.now_ms(), "getex")?;
            expire_at(cx, key, at);
        }
    }
    Ok(())
}

/// Removes the expiry of a key that has just been read.
fn persist(cx: &mut Cx<'_>, key: &[u8]) {
    if let Some(mut entry) = cx.db().find_mut(key)
        && entry.is_volatile()
    {
        entry.set_expiry(None);
        cx.changed(key, Event::generic("persist"));
    }
}

/// Sets the expiry of a key that is there; one that has passed deletes it.
fn expire_at(cx: &mut Cx<'_>, key: &[u8], at: u64) {
    if at <= cx.now_ms() {
        cx.remove(key);
        cx.changed(key, DEL);
        cx.tell([b"DEL", key]);
    } else {
        cx.db().set_expiry(key, Some(at));
        cx.changed(key, EXPIRE);
        cx.tell([b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
    }
}

fn getrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let mut digits = itoa::Buffer::new();
    let bytes = find_bytes(cx, args.at(1), &mut digits)?.unwrap_or_default();
    reply.bulk(&bytes[span(start, end, bytes.len())]);
    Ok(())
}

/// The indices from `start` to `end`, both included and counted from the end where negative, that exist.
fn span(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let from_start = |index: i64| {
        if index < 0 { len.saturating_sub(index.unsigned_abs() as usize) } else { index as usize }
    };
    // Redis compares two negative indices before it cuts them to the string.
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let end = from_start(end).saturating_add(1).min(len);
    from_start(start).min(end)..end
}

fn setrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (key, value) = (args.at(1), args.at(3));
    let offset = integer(args.at(2))?;
    if offset < 0 {
        return Err(CommandError::text("ERR offset is out of range"));
    }
    let offset = offset as usize;
    let old_len = cx.find_mut(key).map_or(Ok(0), |entry| len_of(&entry))?;
    if value.is_empty() {
        reply.int(old_len as i64);
        return Ok(());
    }
    let end = check_len(cx, offset, value.len())?;
    let bytes = cx.db().string_mut(key, end).ok_or(CommandError::WrongType)?;
    bytes[offset..end].copy_from_slice(value);
    reply.int(bytes.len() as i64);
    cx.changed(key, Event::string("setrange"));
    Ok(())
}

fn append(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    const APPEND: Event = Event::string("append");
    let (key, value) = (args.at(1), args.at(2));
    let Some(old_len) = cx.find_mut(key).map(|entry| len_of(&entry)).transpose()? else {
        // What is appended to nothing may be kept as a number.
        cx.set_string(key, value, Expiry::None);
        cx.changed(key, APPEND);
        reply.int(value.len() as i64);
        return Ok(());
    };
    let len = check_len(cx, old_len, value.len())?;
    let bytes = cx.db().string_mut(key, len).ok_or(CommandError::WrongType)?;
    bytes[old_len..].copy_from_slice(value);
    cx.changed(key, APPEND);
    reply.int(len as i64);
    Ok(())
}

fn strlen(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = cx.find(args.at(1)).map_or(Ok(0), len_of)?;
    reply.int(len as i64);
    Ok(())
}

fn mget(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.array(args.len() - 1);
    cx.prefetch(args.iter_from(1));
    for key in args.iter_from(1) {
        // A key that holds no string is answered like one that is not there.
        if reply_value(cx, key, reply).is_err() {
            reply.null();
        }
    }
    Ok(())
}

fn mset(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    check_pairs(args, "mset")?;
    set_pairs(cx, args);
    reply.ok();
    Ok(())
}

fn msetnx(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    check_pairs(args, "msetnx")?;
    let none_exists = (1..args.len()).step_by(2).all(|index| cx.find_mut(args.at(index)).is_none());
    if none_exists {
        set_pairs(cx, args);
    }
    reply.int(none_exists.into());
    Ok(())
}

fn check_pairs(args: Args<'_>, command: &'static str) -> Result<(), CommandError> {
    if args.len() % 2 == 1 { Ok(()) } else { Err(CommandError::Arity(command)) }
}

fn set_pairs(cx: &mut Cx<'_>, args: Args<'_>) {
    cx.prefetch(args.iter_from(1).step_by(2));
    for index in (1..args.len()).step_by(2) {
        store(cx, args.at(index), args.at(index + 1), Expiry::None);
    }
}
