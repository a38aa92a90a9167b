//! When fields go: setting, telling and removing their deadlines.
//!
//! A deadline is kept in Unix milliseconds, whatever unit and origin it was given in. One that has passed already
//! removes the field at once.

use bobbin_proto::Reply;

use super::super::expire::Condition;
use super::super::number::integer;
use super::super::spec::{Command, Group, Run, ShardFn, command, flag};
use super::super::{Args, Cx};
use super::{BAD_FIELD_COUNT, Done, READ, UPDATED, change, fields, find, or_wrong_type};
use crate::error::CommandError;
use crate::store::{FIELD_DEADLINE_MAX_MS, LiveHashMut};

const PER_FIELD: &str =
    "O(N) with N fields given, each at O(log(M)) with M fields that expire in a large hash";
const PER_FIELD_ASKED: &str = "O(N) with N fields asked for";
const VARIES: &[&str] = &["nondeterministic_output"];

pub const ROWS: &[Command] = &[
    setter("hexpire", hexpire).differs("Redis 7.4 can revive a field that is over.").docs(
        "7.4.0",
        PER_FIELD,
        "Lets fields of a hash go in so many seconds.",
        "key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
    ),
    setter("hpexpire", hpexpire).docs(
        "7.4.0",
        PER_FIELD,
        "Lets fields of a hash go in so many milliseconds.",
        "key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
    ),
    setter("hexpireat", hexpireat).docs(
        "7.4.0",
        PER_FIELD,
        "Lets fields of a hash go at a time, in Unix seconds.",
        "key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
    ),
    setter("hpexpireat", hpexpireat).docs(
        "7.4.0",
        PER_FIELD,
        "Lets fields of a hash go at a time, in Unix milliseconds.",
        "key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
    ),
    teller("httl", httl).tips(VARIES).docs(
        "7.4.0",
        PER_FIELD_ASKED,
        "Answers how many seconds fields have left.",
        "key FIELDS numfields field [field ...]",
    ),
    teller("hpttl", hpttl).tips(VARIES).docs(
        "7.4.0",
        PER_FIELD_ASKED,
        "Answers how many milliseconds fields have left.",
        "key FIELDS numfields field [field ...]",
    ),
    teller("hexpiretime", hexpiretime).docs(
        "7.4.0",
        PER_FIELD_ASKED,
        "Answers when fields go, in Unix seconds.",
        "key FIELDS numfields field [field ...]",
    ),
    teller("hpexpiretime", hpexpiretime).docs(
        "7.4.0",
        PER_FIELD_ASKED,
        "Answers when fields go, in Unix milliseconds.",
        "key FIELDS numfields field [field ...]",
    ),
    command("hpersist", -5, flag::WRITE | flag::FAST, Group::Hash, Run::Shard(hpersist)).keys(UPDATED).docs(
        "7.4.0",
        PER_FIELD,
        "Lets fields of a hash stay: removes their deadlines.",
        "key FIELDS numfields field [field ...]",
    ),
];

const fn setter(name: &'static str, run: ShardFn) -> Command {
    command(name, -6, flag::WRITE | flag::DENYOOM | flag::FAST, Group::Hash, Run::Shard(run)).keys(UPDATED)
}

const fn teller(name: &'static str, run: ShardFn) -> Command {
    command(name, -5, flag::READONLY | flag::FAST, Group::Hash, Run::Shard(run)).keys(READ)
}

const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const CONDITION_NOT_MET: i64 = 0;
const DONE: i64 = 1;
const REMOVED: i64 = 2;

const SECOND_MS: i64 = 1000;

const NEGATIVE_TIME: CommandError = CommandError::text("ERR invalid expire time, must be >= 0");
const NO_FIELDS_COUNTED: CommandError =
    CommandError::text("ERR Parameter `numFields` should be greater than 0");

fn hexpire(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms() as i64;
    set_deadlines(cx, args, reply, now_ms, SECOND_MS)
}

fn hpexpire(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms() as i64;
    set_deadlines(cx, args, reply, now_ms, 1)
}

fn hexpireat(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_deadlines(cx, args, reply, 0, SECOND_MS)
}

fn hpexpireat(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_deadlines(cx, args, reply, 0, 1)
}

/// `key time [condition] FIELDS ...`, the time in units of `unit_ms` since `origin_ms`.
fn set_deadlines(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    origin_ms: i64,
    unit_ms: i64,
) -> Result<(), CommandError> {
    let parsed = deadline(args.at(2), origin_ms, unit_ms, cx.command.name).and_then(|at_ms| {
        let mut condition = Condition::default();
        let at = if condition.take(args.at(3)) { 4 } else { 3 };
        Ok((at_ms, condition, fields(args, at, &NO_FIELDS_COUNTED)?))
    });
    let (at_ms, condition, fields) = or_wrong_type(cx, args.at(1), parsed)?;
    let now_ms = cx.now_ms();
    cx.depends_on_time();
    reply.array(fields.len());
    let done = change(cx, args.at(1), |hash| {
        let mut event = None;
        for field in fields.clone() {
            let code = set_deadline(hash, field, at_ms, condition, now_ms);
            match code {
                REMOVED => event = Some("hdel"),
                DONE => event = Some("hexpire"),
                _ => {}
            }
            reply.int(code);
        }
        Done::new((), event)
    })?;
    if done.is_none() {
        fields.for_each(|_| reply.int(NO_FIELD));
    }
    Ok(())
}

fn set_deadline(
    hash: &mut LiveHashMut<'_>,
    field: &[u8],
    at_ms: u64,
    condition: Condition,
    now_ms: u64,
) -> i64 {
    let Some((_, current)) = hash.get_with_deadline(field) else { return NO_FIELD };
    if !condition.holds(current, at_ms as i64) {
        return CONDITION_NOT_MET;
    }
    if at_ms <= now_ms {
        hash.remove(field);
        return REMOVED;
    }
    hash.set_deadline(field, Some(at_ms));
    DONE
}

/// The Unix millisecond that a time in units of `unit_ms` since `origin_ms` stands for.
pub(super) fn deadline(
    time: &[u8],
    origin_ms: i64,
    unit_ms: i64,
    command: &'static str,
) -> Result<u64, CommandError> {
    let time = u64::try_from(integer(time)?).map_err(|_| NEGATIVE_TIME)?;
    let at_ms = time.checked_mul(unit_ms as u64).and_then(|ms| ms.checked_add(origin_ms as u64));
    at_ms.filter(|&at_ms| at_ms <= FIELD_DEADLINE_MAX_MS).ok_or(CommandError::InvalidExpire(command))
}

fn httl(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    tell(cx, args, reply, |at_ms| seconds(at_ms.saturating_sub(now_ms)))
}

fn hpttl(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    tell(cx, args, reply, |at_ms| at_ms.saturating_sub(now_ms))
}

fn hexpiretime(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    tell(cx, args, reply, seconds)
}

fn hpexpiretime(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    tell(cx, args, reply, |at_ms| at_ms)
}

/// Begun seconds count, other than for keys.
fn seconds(ms: u64) -> u64 {
    ms.div_ceil(SECOND_MS as u64)
}

fn tell(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    say: impl Fn(u64) -> u64,
) -> Result<(), CommandError> {
    let hash = find(cx, args.at(1))?;
    let fields = fields(args, 2, &BAD_FIELD_COUNT)?;
    reply.array(fields.len());
    for field in fields {
        reply.int(match hash.and_then(|hash| hash.get_with_deadline(field)) {
            None => NO_FIELD,
            Some((_, None)) => NO_DEADLINE,
            Some((_, Some(at_ms))) => say(at_ms) as i64,
        });
    }
    Ok(())
}

fn hpersist(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let parsed = fields(args, 2, &BAD_FIELD_COUNT);
    let fields = or_wrong_type(cx, args.at(1), parsed)?;
    reply.array(fields.len());
    let done = change(cx, args.at(1), |hash| {
        let mut event = None;
        for field in fields.clone() {
            let code = persist(hash, field);
            if code == DONE {
                event = Some("hpersist");
            }
            reply.int(code);
        }
        Done::new((), event)
    })?;
    if done.is_none() {
        fields.for_each(|_| reply.int(NO_FIELD));
    }
    Ok(())
}

fn persist(hash: &mut LiveHashMut<'_>, field: &[u8]) -> i64 {
    match hash.get_with_deadline(field) {
        None => NO_FIELD,
        Some((_, None)) => NO_DEADLINE,
        Some((_, Some(_))) => {
            hash.set_deadline(field, None);
            DONE
        }
    }
}
