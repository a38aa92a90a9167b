//! Taking over what others have pending: XCLAIM, XAUTOCLAIM.
//!
//! An entry that is pending and was deleted ends to be pending when it is come across.

use bobbin_proto::Reply;

use super::super::spec::{Command, Group as Family, Run, command, flag};
use super::super::{Args, Cx};
use super::{DELETE, UPDATE, group_changed, id, no_key_or_group, reply_entry, reply_id};
use crate::error::CommandError;
use crate::store::encoding::stream::{Log, StreamId};
use crate::store::{Group, Pending, Seen, Stream, parse_canonical};

pub const ROWS: &[Command] = &[
    command("xclaim", -6, flag::WRITE | flag::FAST, Family::Stream, Run::Shard(xclaim))
        .keys(UPDATE)
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "O(log(N)) an id, with N entries pending",
            "Gives entries that are pending to another consumer, as if they were delivered to it.",
            "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] \
             [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        ),
    command("xautoclaim", -6, flag::WRITE | flag::FAST, Family::Stream, Run::Shard(xautoclaim))
        .keys(DELETE)
        .tips(&["nondeterministic_output"])
        .docs(
            "6.2.0",
            "O(1) if the count is small",
            "Gives entries that have been pending long enough to another consumer; answers where to go on.",
            "key group consumer min-idle-time start-id [COUNT count] [JUSTID]",
        ),
];

/// What an entry becomes that is claimed.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    idle_ms_min: u64,
    now_ms: u64,
    delivered_ms: u64,
    /// Instead of one more than there were.
    deliveries: Option<u64>,
    /// Makes entries pending that are not.
    force: bool,
    /// Answers ids alone, and does not count as a delivery.
    just_ids: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Claimed,
    /// There is no such entry any more; it is not pending any more either.
    Deleted,
    Refused,
}

impl Claim {
    /// Claims one entry.
    fn run(&self, group: &mut Group, log: &Log, id: StreamId, by: Seen) -> Outcome {
        let before = group.pending().get(&id).copied();
        if !log.contains(id) {
            return if group.acknowledge(id) { Outcome::Deleted } else { Outcome::Refused };
        }
        let deliveries = match before {
            Some(pending) if self.is_too_fresh(&pending) => return Outcome::Refused,
            Some(pending) => pending.deliveries,
            None if self.force => 1,
            None => return Outcome::Refused,
        };
        let counted = if self.just_ids { deliveries } else { deliveries.saturating_add(1) };
        let deliveries = self.deliveries.unwrap_or(counted);
        group.assign(id, Pending { owner: by.id, delivered_ms: self.delivered_ms, deliveries });
        group.consumer_mut(by.id).active_ms = Some(self.now_ms);
        Outcome::Claimed
    }

    fn is_too_fresh(&self, pending: &Pending) -> bool {
        self.idle_ms_min > 0 && pending.idle_ms(self.now_ms) < self.idle_ms_min
    }

    fn reply(&self, log: &Log, id: StreamId, reply: &mut Reply<'_>) {
        match log.get(id) {
            Some(entry) if !self.just_ids => reply_entry(entry, reply),
            _ => reply_id(id, reply),
        }
    }
}

/// What XCLAIM is asked for.
#[derive(Debug)]
struct Request {
    claim: Claim,
    ids: Vec<StreamId>,
    /// The group is to have read up to here at least.
    last_id: StreamId,
}

const BAD_XCLAIM_IDLE: CommandError = CommandError::text("ERR Invalid min-idle-time argument for XCLAIM");
const BAD_XAUTOCLAIM_IDLE: CommandError =
    CommandError::text("ERR Invalid min-idle-time argument for XAUTOCLAIM");
const BAD_IDLE: CommandError = CommandError::text("ERR Invalid IDLE option argument for XCLAIM");
const BAD_TIME: CommandError = CommandError::text("ERR Invalid TIME option argument for XCLAIM");
const BAD_RETRYCOUNT: CommandError = CommandError::text("ERR Invalid RETRYCOUNT option argument for XCLAIM");

fn number(arg: &[u8], error: CommandError) -> Result<i64, CommandError> {
    parse_canonical(arg).ok_or(error)
}

impl Request {
    fn parse(args: Args<'_>, now_ms: u64) -> Result<Self, CommandError> {
        let idle_ms_min = number(args.at(4), BAD_XCLAIM_IDLE)?.max(0) as u64;
        let ids: Vec<StreamId> = args.iter_from(5).map_while(|arg| id::strict(arg, 0).ok()).collect();
        let claim = Claim { idle_ms_min, now_ms, delivered_ms: now_ms, ..Claim::default() };
        let mut request = Self { claim, last_id: StreamId::MIN, ids };
        let mut at = 5 + request.ids.len();
        while at < args.len() {
            at = request.take(args, at)?;
        }
        Ok(request)
    }

    /// Takes the option at `at`. Returns where the next is.
    fn take(&mut self, args: Args<'_>, at: usize) -> Result<usize, CommandError> {
        let (claim, value) = (&mut self.claim, args.get(at + 1));
        match value {
            _ if args.is(at, "force") => claim.force = true,
            _ if args.is(at, "justid") => claim.just_ids = true,
            Some(value) => return self.take_value(args, at, value),
            None => return Err(unrecognized(args.at(at))),
        }
        Ok(at + 1)
    }

    fn take_value(&mut self, args: Args<'_>, at: usize, value: &[u8]) -> Result<usize, CommandError> {
        let claim = &mut self.claim;
        let now_ms = claim.now_ms as i64;
        match () {
            () if args.is(at, "idle") => {
                claim.delivered_ms = past_or_now(now_ms.wrapping_sub(number(value, BAD_IDLE)?), claim.now_ms);
            }
            () if args.is(at, "time") => {
                claim.delivered_ms = past_or_now(number(value, BAD_TIME)?, claim.now_ms);
            }
            () if args.is(at, "retrycount") => {
                claim.deliveries = u64::try_from(number(value, BAD_RETRYCOUNT)?).ok();
            }
            () if args.is(at, "lastid") => self.last_id = id::strict(value, 0)?,
            () => return Err(unrecognized(args.at(at))),
        }
        Ok(at + 2)
    }
}

/// A time that cannot be is now.
fn past_or_now(at_ms: i64, now_ms: u64) -> u64 {
    u64::try_from(at_ms).ok().filter(|&at_ms| at_ms <= now_ms).unwrap_or(now_ms)
}

fn unrecognized(option: &[u8]) -> CommandError {
    CommandError::quoting("ERR Unrecognized XCLAIM option '", option, "'")
}

fn xclaim(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    let seen = change_group(cx, args, |group, log| -> Result<Seen, CommandError> {
        let request = Request::parse(args, now_ms)?;
        group.last_id = group.last_id.max(request.last_id);
        let seen = group.see(args.at(3), now_ms);
        let (mark, mut claimed) = (reply.mark(), 0);
        for &id in &request.ids {
            if request.claim.run(group, log, id, seen) == Outcome::Claimed {
                request.claim.reply(log, id, reply);
                claimed += 1;
            }
        }
        reply.array_at(mark, claimed);
        Ok(seen)
    })??;
    group_changed(cx, args.at(1), seen.is_new);
    Ok(())
}

/// Changes the group that the arguments name.
fn change_group<R>(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    change: impl FnOnce(&mut Group, &Log) -> R,
) -> Result<R, CommandError> {
    let (key, name) = (args.at(1), args.at(2));
    cx.change(key, |stream: &mut Stream| stream.change_group(name, change))?
        .flatten()
        .ok_or_else(|| no_key_or_group(key, name, ""))
}

/// What XAUTOCLAIM is asked for.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    claim: Claim,
    from: StreamId,
    count: usize,
}

/// So many entries are looked at for each that may be claimed.
const LOOKS_PER_CLAIM: usize = 10;
const COUNT_DEFAULT: usize = 100;
/// An entry's id takes so many bytes in Redis, which makes room for all of them.
const COUNT_MAX: i64 = i64::MAX / 16;
const BAD_COUNT: CommandError = CommandError::text("ERR COUNT must be > 0");

impl Sweep {
    fn parse(args: Args<'_>, now_ms: u64) -> Result<Self, CommandError> {
        let idle_ms_min = number(args.at(4), BAD_XAUTOCLAIM_IDLE)?.max(0) as u64;
        let from = id::interval_start(args.at(5))?;
        let claim = Claim { idle_ms_min, now_ms, delivered_ms: now_ms, ..Claim::default() };
        let mut sweep = Self { claim, from, count: COUNT_DEFAULT };
        let mut at = 6;
        while at < args.len() {
            if args.is(at, "count") && at + 1 < args.len() {
                sweep.count = count(args.at(at + 1))?;
                at += 2;
            } else if args.is(at, "justid") {
                sweep.claim.just_ids = true;
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(sweep)
    }

    fn run(&self, group: &mut Group, log: &Log, by: Seen) -> Swept {
        let mut swept = Swept::default();
        let mut next = first_pending(group, self.from);
        for _ in 0..self.count.saturating_mul(LOOKS_PER_CLAIM) {
            if swept.claimed.len() + swept.deleted.len() == self.count {
                break;
            }
            let Some(id) = next else { break };
            match self.claim.run(group, log, id, by) {
                Outcome::Claimed => swept.claimed.push(id),
                Outcome::Deleted => swept.deleted.push(id),
                Outcome::Refused => {}
            }
            next = id.next().and_then(|from| first_pending(group, from));
        }
        swept.next = next.unwrap_or(StreamId::MIN);
        swept
    }
}

fn count(arg: &[u8]) -> Result<usize, CommandError> {
    let count = parse_canonical(arg).filter(|count| (1..=COUNT_MAX).contains(count));
    count.map(|count| count as usize).ok_or(BAD_COUNT)
}

fn first_pending(group: &Group, from: StreamId) -> Option<StreamId> {
    group.pending_from(from).next().map(|(&id, _)| id)
}

/// What a sweep has come across.
#[derive(Debug, Default)]
struct Swept {
    claimed: Vec<StreamId>,
    deleted: Vec<StreamId>,
    /// Where to go on; 0-0 at the end.
    next: StreamId,
}

fn xautoclaim(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms();
    let sweep = Sweep::parse(args, now_ms)?;
    let seen = change_group(cx, args, |group, log| {
        let seen = group.see(args.at(3), now_ms);
        let swept = sweep.run(group, log, seen);
        reply.array(3);
        reply_id(swept.next, reply);
        reply.array(swept.claimed.len());
        swept.claimed.iter().for_each(|&id| sweep.claim.reply(log, id, reply));
        reply.array(swept.deleted.len());
        swept.deleted.iter().for_each(|&id| reply_id(id, reply));
        seen
    })?;
    group_changed(cx, args.at(1), seen.is_new);
    Ok(())
}
