//! When keys go: setting, telling and removing their deadlines.
//!
//! A deadline is kept in Unix milliseconds, whatever unit and origin it was given in. One that has passed already
//! removes the key at once.

use bobbin_proto::Reply;

use super::spec::{Command, Group, KeySpec, Run, ShardFn, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::{Lookup, parse_canonical};

pub const ROWS: &[Command] = &[
    setter("expire", expire).docs(
        "1.0.0",
        "O(1)",
        "Lets a key go in so many seconds.",
        "key seconds [NX|XX|GT|LT]",
    ),
    setter("pexpire", pexpire).docs(
        "2.6.0",
        "O(1)",
        "Lets a key go in so many milliseconds.",
        "key milliseconds [NX|XX|GT|LT]",
    ),
    setter("expireat", expireat).docs(
        "1.2.0",
        "O(1)",
        "Lets a key go at a time, in Unix seconds.",
        "key unix-time-seconds [NX|XX|GT|LT]",
    ),
    setter("pexpireat", pexpireat).docs(
        "2.6.0",
        "O(1)",
        "Lets a key go at a time, in Unix milliseconds.",
        "key unix-time-milliseconds [NX|XX|GT|LT]",
    ),
    teller("ttl", ttl).tips(VARIES).docs("1.0.0", "O(1)", "Answers how many seconds a key has left.", "key"),
    teller("pttl", pttl).tips(VARIES).docs(
        "2.6.0",
        "O(1)",
        "Answers how many milliseconds a key has left.",
        "key",
    ),
    teller("expiretime", expiretime).docs(
        "7.0.0",
        "O(1)",
        "Answers when a key goes, in Unix seconds.",
        "key",
    ),
    teller("pexpiretime", pexpiretime).docs(
        "7.0.0",
        "O(1)",
        "Answers when a key goes, in Unix milliseconds.",
        "key",
    ),
    command("persist", 2, flag::WRITE | flag::FAST, Group::Generic, Run::Shard(persist)).keys(CHANGED).docs(
        "2.2.0",
        "O(1)",
        "Lets a key stay: removes its deadline.",
        "key",
    ),
];

const CHANGED: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)];
const ASKED: &[KeySpec] = &[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)];
const VARIES: &[&str] = &["nondeterministic_output"];

const fn setter(name: &'static str, run: ShardFn) -> Command {
    command(name, -3, flag::WRITE | flag::FAST, Group::Generic, Run::Shard(run)).keys(CHANGED)
}

const fn teller(name: &'static str, run: ShardFn) -> Command {
    command(name, 2, flag::READONLY | flag::FAST, Group::Generic, Run::Shard(run)).keys(ASKED)
}

const SECOND_MS: i64 = 1000;

fn expire(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms() as i64;
    set_deadline(cx, args, reply, now_ms, SECOND_MS)
}

fn pexpire(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms() as i64;
    set_deadline(cx, args, reply, now_ms, 1)
}

fn expireat(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_deadline(cx, args, reply, 0, SECOND_MS)
}

fn pexpireat(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    set_deadline(cx, args, reply, 0, 1)
}

/// `key time [condition ...]`, the time in units of `unit_ms` since `origin_ms`.
fn set_deadline(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    origin_ms: i64,
    unit_ms: i64,
) -> Result<(), CommandError> {
    let condition = Condition::parse(args)?;
    let time = parse_canonical(args.at(2)).ok_or(CommandError::NotInteger)?;
    let at_ms = time.checked_mul(unit_ms).and_then(|ms| ms.checked_add(origin_ms));
    let at_ms = at_ms.ok_or(CommandError::InvalidExpire(cx.command.name))?;
    let set = apply(cx, args.at(1), at_ms, condition);
    reply.int(i64::from(set));
    Ok(())
}

/// Sets the deadline of a key that is there and meets the condition. Returns whether it did.
fn apply(cx: &mut Cx<'_>, key: &[u8], at_ms: i64, condition: Condition) -> bool {
    let now_ms = cx.now_ms();
    let mut entry = match cx.keyspace.db_mut(cx.db).find_live_mut(key, now_ms) {
        Lookup::Live(entry) => entry,
        Lookup::Missing => return false,
        Lookup::Expired => {
            cx.rest.expire(cx.keyspace, cx.db, key);
            return false;
        }
    };
    cx.rest.touch(&entry, cx.env, cx.session);
    if !condition.holds(entry.expiry(), at_ms) {
        return false;
    }
    match u64::try_from(at_ms) {
        Ok(at_ms) if at_ms > now_ms => {
            entry.set_expiry(Some(at_ms));
            cx.changed(key, Event::generic("expire"));
            cx.tell([b"PEXPIREAT", key, itoa::Buffer::new().format(at_ms).as_bytes()]);
        }
        _ => {
            cx.remove(key);
            cx.changed(key, Event::generic("del"));
            cx.tell([b"DEL", key]);
        }
    }
    true
}

/// When a new deadline may be set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Condition {
    /// There is none yet.
    nx: bool,
    /// There is one.
    xx: bool,
    /// It is later. A key without one stays for ever, so nothing is.
    gt: bool,
    /// It is earlier, or there is none.
    lt: bool,
}

impl Condition {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut condition = Self::default();
        for at in 3..args.len() {
            if !condition.take(args.at(at)) {
                return Err(unsupported(args.at(at)));
            }
        }
        let Self { nx, xx, gt, lt } = condition;
        if nx && (xx || gt || lt) {
            return Err(CommandError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(CommandError::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    /// False if the word is no condition.
    pub(super) fn take(&mut self, word: &[u8]) -> bool {
        let is = |condition: &str| word.eq_ignore_ascii_case(condition.as_bytes());
        match () {
            () if is("nx") => self.nx = true,
            () if is("xx") => self.xx = true,
            () if is("gt") => self.gt = true,
            () if is("lt") => self.lt = true,
            () => return false,
        }
        true
    }

    pub(super) fn holds(self, current: Option<u64>, at_ms: i64) -> bool {
        let later = |than: u64| i128::from(at_ms) > i128::from(than);
        let earlier = |than: u64| i128::from(at_ms) < i128::from(than);
        (!self.nx || current.is_none())
            && (!self.xx || current.is_some())
            && (!self.gt || current.is_some_and(later))
            && (!self.lt || current.is_none_or(earlier))
    }
}

#[cold]
fn unsupported(option: &[u8]) -> CommandError {
    CommandError::quoting("ERR Unsupported option ", option, "")
}

fn ttl(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    tell(cx, args, reply, |at_ms| seconds(at_ms.saturating_sub(now_ms)))
}

fn pttl(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    tell(cx, args, reply, |at_ms| at_ms.saturating_sub(now_ms))
}

fn expiretime(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    tell(cx, args, reply, seconds)
}

fn pexpiretime(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    tell(cx, args, reply, |at_ms| at_ms)
}

/// To the nearest second.
fn seconds(ms: u64) -> u64 {
    (ms + 500) / 1000
}

const NO_KEY: i64 = -2;
const NO_DEADLINE: i64 = -1;

fn tell(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    say: impl FnOnce(u64) -> u64,
) -> Result<(), CommandError> {
    reply.int(match cx.probe(args.at(1)).map(|entry| entry.expiry()) {
        None => NO_KEY,
        Some(None) => NO_DEADLINE,
        Some(Some(at_ms)) => say(at_ms) as i64,
    });
    Ok(())
}

fn persist(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let key = args.at(1);
    let Some(mut entry) = cx.find_mut(key).filter(|entry| entry.is_volatile()) else {
        reply.int(0);
        return Ok(());
    };
    entry.set_expiry(None);
    cx.changed(key, Event::generic("persist"));
    reply.int(1);
    Ok(())
}
