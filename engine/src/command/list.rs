//! Lists: pushing, popping, reading and changing. Moving elements between lists is in `list_move`.
//!
//! Invariant: an emptied list's key is removed by the command that emptied it.
//!
//! Source: replies, errors and their precedence, and the events, are those of redis-server 7.0.15. A short list is
//! a listpack to OBJECT ENCODING, as from Redis 7.2 on; 7.0 calls every list a quicklist.

use std::ops::Range;

use bobbin_proto::Reply;

use super::element::reply_element;
use super::number::{integer, integer_within};
use super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::List;
use crate::store::encoding::listpack::Wanted;
use crate::store::encoding::quicklist::{ChunkLimit, End};

const PUSH: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;
const GROWS: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::INSERT)];
const POPPED: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::DELETE)];
const SHRINKS: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::DELETE)];
const READ: &[KeySpec] = &[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)];

const PER_ELEMENT: &str = "O(N) with N elements given";
const PER_POPPED: &str = "O(N) with N elements taken";
const MIDDLE: &str = "O(1) at the ends, O(N) in between with N pieces of the list up to there";
const WALK: &str = "O(N) with N elements in the list";

pub const ROWS: &[Command] = &[
    command("lpush", -3, PUSH, Group::List, Run::Shard(lpush)).keys(GROWS).docs(
        "1.0.0",
        PER_ELEMENT,
        "Puts elements before a list, one after the other; the list is created if missing.",
        "key element [element ...]",
    ),
    command("rpush", -3, PUSH, Group::List, Run::Shard(rpush)).keys(GROWS).docs(
        "1.0.0",
        PER_ELEMENT,
        "Puts elements behind a list; the list is created if missing.",
        "key element [element ...]",
    ),
    command("lpushx", -3, PUSH, Group::List, Run::Shard(lpushx)).keys(GROWS).docs(
        "2.2.0",
        PER_ELEMENT,
        "Puts elements before a list, one after the other, if there is one.",
        "key element [element ...]",
    ),
    command("rpushx", -3, PUSH, Group::List, Run::Shard(rpushx)).keys(GROWS).docs(
        "2.2.0",
        PER_ELEMENT,
        "Puts elements behind a list, if there is one.",
        "key element [element ...]",
    ),
    command("lpop", -2, flag::WRITE | flag::FAST, Group::List, Run::Shard(lpop)).keys(POPPED).docs(
        "1.0.0",
        PER_POPPED,
        "Takes the first element of a list, or several from the first on.",
        "key [count]",
    ),
    command("rpop", -2, flag::WRITE | flag::FAST, Group::List, Run::Shard(rpop)).keys(POPPED).docs(
        "1.0.0",
        PER_POPPED,
        "Takes the last element of a list, or several from the last backwards.",
        "key [count]",
    ),
    command("llen", 2, flag::READONLY | flag::FAST, Group::List, Run::Shard(llen))
        .keys(&[KeySpec::one(1, key_flag::RO)])
        .docs("1.0.0", "O(1)", "Answers how many elements a list has.", "key"),
    command("lindex", 3, flag::READONLY, Group::List, Run::Shard(lindex)).keys(READ).docs(
        "1.0.0",
        MIDDLE,
        "Answers one element of a list; -1 is the last.",
        "key index",
    ),
    command("lrange", 4, flag::READONLY, Group::List, Run::Shard(lrange)).keys(READ).docs(
        "1.0.0",
        "O(S+N) with S the way to the first, as for LINDEX, and N elements answered",
        "Answers the elements of a list from one index through another; -1 is the last.",
        "key start stop",
    ),
    command("lset", 4, flag::WRITE | flag::DENYOOM, Group::List, Run::Shard(lset))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)])
        .docs("1.0.0", MIDDLE, "Puts another element where one is.", "key index element"),
    command("linsert", 5, flag::WRITE | flag::DENYOOM, Group::List, Run::Shard(linsert)).keys(GROWS).docs(
        "2.2.0",
        WALK,
        "Puts an element before or behind the first that equals another.",
        "key <BEFORE|AFTER> pivot element",
    ),
    command("lrem", 4, flag::WRITE, Group::List, Run::Shard(lrem)).keys(SHRINKS).docs(
        "1.0.0",
        WALK,
        "Removes the first so many elements that equal one; the last if the count is negative, all if it is 0.",
        "key count element",
    ),
    command("ltrim", 4, flag::WRITE, Group::List, Run::Shard(ltrim)).keys(SHRINKS).docs(
        "1.0.0",
        "O(N) with N pieces of the list removed",
        "Removes all elements but those from one index through another.",
        "key start stop",
    ),
    command("lpos", -3, flag::READONLY, Group::List, Run::Shard(lpos)).keys(READ).docs(
        "6.0.6",
        WALK,
        "Answers at which index an element is, or at which it is several times.",
        "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    ),
];

const NOT_POSITIVE: CommandError = CommandError::text("ERR value is out of range, must be positive");

/// How much a piece of a list holds at present.
#[inline]
pub(super) fn chunk_limit(cx: &Cx<'_>) -> ChunkLimit {
    cx.env.config.list_limit()
}

fn lpush(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    push_args(cx, args, End::Front, reply)
}

fn rpush(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    push_args(cx, args, End::Back, reply)
}

#[inline]
fn push_args(cx: &mut Cx<'_>, args: Args<'_>, end: End, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = push(cx, args.at(1), args.iter_from(2), end)?;
    reply.int(len as i64);
    Ok(())
}

/// Pushes elements to a list that is created if missing. Returns its length.
#[inline]
pub(super) fn push<'a>(
    cx: &mut Cx<'_>,
    key: &[u8],
    elements: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    end: End,
) -> Result<usize, CommandError> {
    let limit = chunk_limit(cx);
    let first = elements.clone().next().unwrap_or_default();
    let push = |list: &mut List| {
        list.push(end, elements, limit);
        list.len()
    };
    let len = cx.create_or_change(key, || List::with_room_for(first), push)?;
    cx.changed(key, pushed(end));
    Ok(len)
}

fn pushed(end: End) -> Event {
    Event::list(if end == End::Front { "lpush" } else { "rpush" })
}

fn lpushx(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    push_if_there(cx, args, End::Front, reply)
}

fn rpushx(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    push_if_there(cx, args, End::Back, reply)
}

fn push_if_there(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let limit = chunk_limit(cx);
    let len = cx.change(args.at(1), |list: &mut List| {
        list.push(end, args.iter_from(2), limit);
        list.len()
    })?;
    if len.is_some() {
        cx.changed(args.at(1), pushed(end));
    }
    reply.int(len.unwrap_or(0) as i64);
    Ok(())
}

fn lpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Front, reply)
}

fn rpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Back, reply)
}

#[inline]
fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match args.len() {
        2 => {
            if !pop_one(cx, args.at(1), end, |_| (), reply)? {
                reply.null();
            }
            Ok(())
        }
        3 => {
            let count = integer_within(args.at(2), 0, &NOT_POSITIVE)?;
            if pop_many(cx, args.at(1), count, end, reply)?.is_none() {
                reply.null_array();
            }
            Ok(())
        }
        _ => Err(CommandError::Arity(cx.command.name)),
    }
}

/// Takes and answers one element, behind what `head` writes. False if there is no list.
#[inline]
pub(super) fn pop_one(
    cx: &mut Cx<'_>,
    key: &[u8],
    end: End,
    head: impl FnOnce(&mut Reply<'_>),
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    let limit = chunk_limit(cx);
    let emptied = cx.change(key, |list: &mut List| {
        head(reply);
        list.end(end).into_iter().for_each(|element| reply_element(element, reply));
        list.remove_end(end, limit);
        list.is_empty()
    })?;
    if let Some(emptied) = emptied {
        popped(cx, key, end, emptied);
    }
    Ok(emptied.is_some())
}

/// Takes up to `count` elements from an end and answers them as an array. `None`, and no answer, if there is no list.
pub(super) fn pop_many(
    cx: &mut Cx<'_>,
    key: &[u8],
    count: usize,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<Option<()>, CommandError> {
    let limit = chunk_limit(cx);
    let removed = cx.change(key, |list: &mut List| {
        let len = list.len();
        let count = count.min(len);
        let first = if end == End::Front { 0 } else { len - 1 };
        reply_range(list, first, count, end, reply);
        let first = if end == End::Front { 0 } else { len - count };
        (count, count == len, list.remove_range(first, count, limit))
    })?;
    let Some((count, emptied, remains)) = removed else { return Ok(None) };
    remains.into_iter().for_each(|remains| cx.db().bury_object(remains.into()));
    if count > 0 {
        popped(cx, key, end, emptied);
    }
    Ok(Some(()))
}

/// Tells that elements were taken, and removes the key if none are left.
pub(super) fn popped(cx: &mut Cx<'_>, key: &[u8], end: End, emptied: bool) {
    cx.shrunk(key, Event::list(if end == End::Front { "lpop" } else { "rpop" }), emptied);
}

/// Answers `count` elements from an index on, towards the back if `from` is the front.
#[inline]
fn reply_range(list: &List, index: usize, count: usize, from: End, reply: &mut Reply<'_>) {
    reply.array(count);
    list.iter(index, from).take(count).for_each(|element| reply_element(element, reply));
}

fn llen(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let len = cx.find_as(args.at(1))?.map_or(0, List::len);
    reply.int(len as i64);
    Ok(())
}

fn lindex(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let Some(list) = cx.find_as::<List>(args.at(1))? else {
        reply.null();
        return Ok(());
    };
    let index = integer(args.at(2))?;
    match index_in(list, index).and_then(|index| list.get(index)) {
        Some(element) => reply_element(element, reply),
        None => reply.null(),
    }
    Ok(())
}

/// The place that an index stands for, -1 being the last; `None` if there is none.
fn index_in(list: &List, index: i64) -> Option<usize> {
    let len = list.len() as i64;
    let index = if index < 0 { index.checked_add(len)? } else { index };
    (0..len).contains(&index).then_some(index as usize)
}

fn lrange(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (start, stop) = (integer(args.at(2))?, integer(args.at(3))?);
    match cx.find_as::<List>(args.at(1))? {
        Some(list) => {
            let range = range_in(list, start, stop);
            reply_range(list, range.start, range.len(), End::Front, reply);
        }
        None => reply.array(0),
    }
    Ok(())
}

/// The places from one index through another, -1 being the last; what is outside the list is left out.
fn range_in(list: &List, start: i64, stop: i64) -> Range<usize> {
    let len = list.len() as i64;
    let from_front = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let start = from_front(start).max(0);
    let end = from_front(stop).saturating_add(1).min(len);
    if start < end { start as usize..end as usize } else { 0..0 }
}

fn lset(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limit = chunk_limit(cx);
    let set = |list: &mut List| -> Result<(), CommandError> {
        let index = index_in(list, integer(args.at(2))?).ok_or(CommandError::IndexOutOfRange)?;
        list.replace(index, args.at(3), limit);
        Ok(())
    };
    cx.change(args.at(1), set)?.ok_or(CommandError::NoSuchKey)??;
    cx.changed(args.at(1), Event::list("lset"));
    reply.ok();
    Ok(())
}

fn linsert(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let behind = match () {
        () if args.is(2, "before") => 0,
        () if args.is(2, "after") => 1,
        () => return Err(CommandError::Syntax),
    };
    let (limit, pivot) = (chunk_limit(cx), Wanted::new(args.at(3)));
    let inserted = cx.change(args.at(1), |list: &mut List| {
        let index = list.iter(0, End::Front).position(|element| pivot.is(element))?;
        list.insert(index + behind, args.at(4), limit);
        Some(list.len())
    })?;
    if inserted.flatten().is_some() {
        cx.changed(args.at(1), Event::list("linsert"));
    }
    match inserted {
        Some(Some(len)) => reply.int(len as i64),
        Some(None) => reply.int(-1),
        None => reply.int(0),
    }
    Ok(())
}

fn lrem(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let limit = chunk_limit(cx);
    let (count, from) = match integer(args.at(2))? {
        0 => (usize::MAX, End::Front),
        count @ ..0 => (count.unsigned_abs() as usize, End::Back),
        count => (count as usize, End::Front),
    };
    let removed = cx.change(args.at(1), |list: &mut List| {
        let removed = list.remove_matching(args.at(3), count, from, limit);
        (removed, list.is_empty())
    })?;
    let (removed, emptied) = removed.unwrap_or_default();
    if removed > 0 {
        cx.shrunk(args.at(1), Event::list("lrem"), emptied);
    }
    reply.int(removed as i64);
    Ok(())
}

fn ltrim(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (start, stop) = (integer(args.at(2))?, integer(args.at(3))?);
    let limit = chunk_limit(cx);
    let trimmed = cx.change(args.at(1), |list: &mut List| {
        let kept = range_in(list, start, stop);
        if kept.is_empty() {
            return None;
        }
        let behind = list.len() - kept.end;
        Some([list.remove_range(kept.end, behind, limit), list.remove_range(0, kept.start, limit)])
    })?;
    if let Some(remains) = trimmed {
        // A list of which nothing is kept goes with its key.
        cx.shrunk(args.at(1), Event::list("ltrim"), remains.is_none());
        let remains = remains.into_iter().flatten().flatten();
        remains.for_each(|remains| cx.db().bury_object(remains.into()));
    }
    reply.ok();
    Ok(())
}

fn lpos(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let search = Search::parse(args)?;
    let list = cx.find_as::<List>(args.at(1))?;
    match search.count {
        Some(count) => {
            let found: Vec<usize> = list.into_iter().flat_map(|list| search.run(list)).take(count).collect();
            reply.array(found.len());
            found.iter().for_each(|&index| reply.int(index as i64));
        }
        None => match list.and_then(|list| search.run(list).next()) {
            Some(index) => reply.int(index as i64),
            None => reply.null(),
        },
    }
    Ok(())
}

/// What LPOS is asked for.
#[derive(Debug)]
struct Search<'a> {
    wanted: Wanted<'a>,
    from: End,
    /// Matches to pass over.
    skip: usize,
    /// The most matches to answer, if they are to be an array.
    count: Option<usize>,
    /// The most elements to look at.
    looks_max: usize,
}

const RANK_IS_ZERO: CommandError = CommandError::text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
     from the end of the list",
);

const NEGATIVE_COUNT: CommandError = CommandError::text("ERR COUNT can't be negative");
const NEGATIVE_MAXLEN: CommandError = CommandError::text("ERR MAXLEN can't be negative");

impl<'a> Search<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let wanted = Wanted::new(args.at(2));
        let mut search = Self { wanted, from: End::Front, skip: 0, count: None, looks_max: usize::MAX };
        for at in (3..args.len()).step_by(2) {
            let value = args.get(at + 1).ok_or(CommandError::Syntax)?;
            if args.is(at, "rank") {
                search.set_rank(integer(value)?)?;
            } else if args.is(at, "count") {
                search.count = Some(or_all(integer_within(value, 0, &NEGATIVE_COUNT)?));
            } else if args.is(at, "maxlen") {
                search.looks_max = or_all(integer_within(value, 0, &NEGATIVE_MAXLEN)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    fn set_rank(&mut self, rank: i64) -> Result<(), CommandError> {
        self.from = if rank < 0 { End::Back } else { End::Front };
        // The least number has no opposite: Redis 7.0 takes it for -1.
        let nth = rank.checked_abs().unwrap_or(1) as usize;
        self.skip = nth.checked_sub(1).ok_or(RANK_IS_ZERO)?;
        Ok(())
    }

    /// The indexes of the matches, in the order in which they are found.
    fn run(&self, list: &List) -> impl Iterator<Item = usize> {
        let last = list.len() - 1;
        let first = if self.from == End::Front { 0 } else { last };
        list.iter(first, self.from)
            .take(self.looks_max)
            .enumerate()
            .filter(|&(_, element)| self.wanted.is(element))
            .skip(self.skip)
            .map(move |(nth, _)| first.abs_diff(nth))
    }
}

/// A limit; 0 is none.
fn or_all(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}
