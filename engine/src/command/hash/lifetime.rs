//! Values and deadlines in one command: HSETEX, HGETEX; and values that go as they are read: HGETDEL.

use bobbin_proto::Reply;

use super::super::element::reply_or_null;
use super::super::number::integer_within;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx};
use super::expire::deadline;
use super::{BAD_FIELD_COUNT, COUNTED, Done, UPDATED, change, create_or_change, fields, or_wrong_type};
use crate::error::{CommandError, printable};
use crate::store::{Expiry, LiveHashMut};

pub const ROWS: &[Command] = &[
    command(
        "hsetex",
        -6,
        flag::WRITE | flag::DENYOOM | flag::FAST,
        Group::Hash,
        Run::Shard(hsetex),
    )
    .keys(UPDATED)
    .docs(
        "8.0.0",
        "O(N) with N fields given",
        "Gives fields of a hash values and a deadline.",
        "key [FNX|FXX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] \
         FIELDS numfields <field value [field value ...]>",
    ),
    command("hgetex", -5, flag::WRITE | flag::FAST, Group::Hash, Run::Shard(hgetex)).keys(COUNTED).docs(
        "8.0.0",
        "O(N) with N fields asked for",
        "Answers the values of fields, and gives them a deadline or takes it away.",
        "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] FIELDS \
         numfields field [field ...]",
    ),
    command("hgetdel", -5, flag::WRITE | flag::FAST, Group::Hash, Run::Shard(hgetdel))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::DELETE)])
        .docs(
            "8.0.0",
            "O(N) with N fields asked for",
            "Answers the values of fields and removes them.",
            "key FIELDS numfields field [field ...]",
        ),
];

/// Words before a time: how many milliseconds its unit has, and whether it counts from now on.
const CLOCKS: [(&str, i64, bool); 4] =
    [("ex", 1000, true), ("px", 1, true), ("exat", 1000, false), ("pxat", 1, false)];

/// The Unix millisecond that a word and a time stand for; None if the word has no time behind it.
fn clock(
    word: &[u8],
    now_ms: u64,
) -> Option<impl Fn(&[u8], &'static str) -> Result<u64, CommandError> + use<>> {
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let &(_, unit_ms, relative) = CLOCKS.iter().find(|(name, ..)| is(name))?;
    let origin_ms = if relative { now_ms as i64 } else { 0 };
    Some(move |time: &[u8], command| deadline(time, origin_ms, unit_ms, command))
}

const ONE_CONDITION: CommandError =
    CommandError::text("ERR Only one of FXX or FNX arguments can be specified");
const ONE_EXPIRY: CommandError =
    CommandError::text("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
const NO_TIME: CommandError = CommandError::text("ERR missing expire time");
const BAD_PAIR_COUNT: CommandError = CommandError::text("ERR invalid number of fields");

/// Which fields must be there for any to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    /// FNX
    None,
    /// FXX
    All,
}

impl Condition {
    fn holds<'a>(self, hash: &LiveHashMut<'_>, mut fields: impl Iterator<Item = &'a [u8]>) -> bool {
        match self {
            Self::Always => true,
            Self::None => fields.all(|field| hash.get(field).is_none()),
            Self::All => fields.all(|field| hash.get(field).is_some()),
        }
    }
}

/// What stands between the key and the fields of an HSETEX.
#[derive(Clone, Copy, Debug)]
struct SetOptions {
    condition: Condition,
    /// None: not said.
    expiry: Option<Expiry>,
}

impl SetOptions {
    /// And where the pairs begin.
    fn parse(args: Args<'_>, now_ms: u64, command: &'static str) -> Result<(Self, usize), CommandError> {
        let mut options = Self { condition: Condition::Always, expiry: None };
        let mut at = 2;
        while at < args.len() {
            if args.is(at, "fields") {
                return Ok((options, pairs_at(args, at, command)?));
            }
            at += options.take(args, at, now_ms, command)?;
        }
        Err(CommandError::Arity(command))
    }

    /// Takes in one option; returns how many words it has.
    fn take(
        &mut self,
        args: Args<'_>,
        at: usize,
        now_ms: u64,
        command: &'static str,
    ) -> Result<usize, CommandError> {
        if let Some(deadline) = clock(args.at(at), now_ms) {
            self.may_expire()?;
            let time = args.get(at + 1).ok_or(NO_TIME)?;
            self.expiry = Some(Expiry::At(deadline(time, command)?));
            return Ok(2);
        }
        match () {
            () if args.is(at, "keepttl") => {
                self.may_expire()?;
                self.expiry = Some(Expiry::Keep);
            }
            () if args.is(at, "fnx") => self.require(Condition::None)?,
            () if args.is(at, "fxx") => self.require(Condition::All)?,
            () => {
                let argument = printable(args.at(at));
                return Err(CommandError::owned(format!("ERR unknown argument: {argument}")));
            }
        }
        Ok(1)
    }

    fn may_expire(self) -> Result<(), CommandError> {
        if self.expiry.is_some() { Err(ONE_EXPIRY) } else { Ok(()) }
    }

    fn require(&mut self, condition: Condition) -> Result<(), CommandError> {
        if self.condition != Condition::Always {
            return Err(ONE_CONDITION);
        }
        self.condition = condition;
        Ok(())
    }
}

/// Where the pairs begin whose number follows the word at `at`; they end the command.
fn pairs_at(args: Args<'_>, at: usize, command: &'static str) -> Result<usize, CommandError> {
    let words = args.len() - at - 1;
    if words < 3 {
        return Err(CommandError::Arity(command));
    }
    let count = integer_within(args.at(at + 1), 1, &BAD_PAIR_COUNT)?;
    match words - 1 {
        _ if i32::try_from(count).is_err() => Err(BAD_PAIR_COUNT),
        words if words == 2 * count => Ok(at + 2),
        _ => Err(CommandError::Arity(command)),
    }
}

fn hsetex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    cx.depends_on_time();
    let (options, first) = SetOptions::parse(args, now_ms, cx.command.name)?;
    let pairs = (first..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1)));
    let set = |hash: &mut LiveHashMut<'_>| set_all(hash, pairs.clone(), options, now_ms);
    let set = if options.condition == Condition::All {
        change(cx, args.at(1), set)?.unwrap_or(false)
    } else {
        create_or_change(cx, args, pairs.clone(), set)?
    };
    reply.int(i64::from(set));
    Ok(())
}

/// Sets all pairs, or none where the condition does not hold. Fields whose deadline has passed already go at once.
fn set_all<'a>(
    hash: &mut LiveHashMut<'_>,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    options: SetOptions,
    now_ms: u64,
) -> Done<bool> {
    if !options.condition.holds(hash, pairs.clone().map(|(field, _)| field)) {
        return Done::new(false, None);
    }
    let second_event = match options.expiry {
        Some(Expiry::At(at_ms)) if at_ms <= now_ms => {
            pairs.for_each(|(field, _)| _ = hash.remove(field));
            Some("hdel")
        }
        expiry => {
            pairs.for_each(|(field, value)| _ = hash.set(field, value, expiry.unwrap_or(Expiry::None)));
            matches!(expiry, Some(Expiry::At(_))).then_some("hexpire")
        }
    };
    Done { result: true, events: [Some("hset"), second_event] }
}

/// What HGETEX does with the deadlines of the fields it reads.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    Persist,
    Expire(u64),
}

impl Then {
    /// And where FIELDS has to stand.
    fn parse(args: Args<'_>, now_ms: u64, command: &'static str) -> Result<(Self, usize), CommandError> {
        if args.is(2, "persist") {
            return Ok((Self::Persist, 3));
        }
        match clock(args.at(2), now_ms) {
            Some(deadline) => Ok((Self::Expire(deadline(args.at(3), command)?), 4)),
            None => Ok((Self::Nothing, 2)),
        }
    }

    /// Does it to a field that is there. Returns the event.
    fn apply(self, hash: &mut LiveHashMut<'_>, field: &[u8], now_ms: u64) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Persist => {
                hash.get_with_deadline(field)?.1?;
                hash.set_deadline(field, None);
                Some("hpersist")
            }
            Self::Expire(at_ms) if at_ms <= now_ms => hash.remove(field).then_some("hdel"),
            Self::Expire(at_ms) => {
                hash.set_deadline(field, Some(at_ms));
                Some("hexpire")
            }
        }
    }
}

fn hgetex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    cx.depends_on_time();
    let parsed = Then::parse(args, now_ms, cx.command.name)
        .and_then(|(then, at)| Ok((then, fields(args, at, &BAD_FIELD_COUNT)?)));
    let (then, fields) = or_wrong_type(cx, args.at(1), parsed)?;
    read_and(cx, args.at(1), fields, reply, |hash, field| then.apply(hash, field, now_ms))
}

fn hgetdel(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let parsed = fields(args, 2, &BAD_FIELD_COUNT);
    let fields = or_wrong_type(cx, args.at(1), parsed)?;
    read_and(cx, args.at(1), fields, reply, |hash, field| hash.remove(field).then_some("hdel"))
}

/// Answers the values of fields, and does something to each that is there; that may be an event.
fn read_and<'a>(
    cx: &mut Cx<'_>,
    key: &[u8],
    fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    reply: &mut Reply<'_>,
    then: impl Fn(&mut LiveHashMut<'_>, &[u8]) -> Option<&'static str>,
) -> Result<(), CommandError> {
    reply.array(fields.len());
    let done = change(cx, key, |hash| {
        let mut event = None;
        for field in fields.clone() {
            let value = hash.get(field);
            let is_there = value.is_some();
            reply_or_null(value, reply);
            if is_there {
                event = then(hash, field).or(event);
            }
        }
        Done::new((), event)
    })?;
    if done.is_none() {
        fields.for_each(|_| reply.null());
    }
    Ok(())
}
