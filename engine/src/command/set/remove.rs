//! Taking members out: SREM, SPOP.

use bobbin_proto::Reply;

use super::super::element::reply_element;
use super::super::number::integer_within;
use super::super::random::different_places;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag, key_flag};
use super::super::{Args, Cx, Event};
use super::{limits, reply_set};
use crate::error::CommandError;
use crate::store::encoding::listpack::Element;
use crate::store::{Set, SetLimits};

const SHRINKS: u32 = flag::WRITE | flag::FAST;

pub const ROWS: &[Command] = &[
    command("srem", -3, SHRINKS, Group::Set, Run::Shard(srem))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::DELETE)])
        .docs("1.0.0", "O(N) with N members given", "Removes members from a set.", "key member [member ...]"),
    command("spop", -2, SHRINKS, Group::Set, Run::Shard(spop))
        .keys(&[KeySpec::one(1, key_flag::RW | key_flag::ACCESS | key_flag::DELETE)])
        .tips(&["nondeterministic_output"])
        .docs(
            "1.0.0",
            "O(N) with N members taken",
            "Takes a member at random out of a set, or several.",
            "key [count]",
        ),
];

const NOT_POSITIVE: CommandError = CommandError::text("ERR value is out of range, must be positive");

fn srem(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let removed = cx.change(args.at(1), |set: &mut Set| {
        let removed = args.iter_from(2).filter(|member| set.remove(Element::Str(member))).count();
        (removed, set.is_empty())
    })?;
    let (removed, emptied) = removed.unwrap_or_default();
    if removed > 0 {
        cx.shrunk(args.at(1), Event::set("srem"), emptied);
    }
    reply.int(removed as i64);
    Ok(())
}

fn spop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match args.len() {
        2 => pop_one(cx, args.at(1), reply),
        3 => pop_many(cx, args.at(1), integer_within(args.at(2), 0, &NOT_POSITIVE)?, reply),
        _ => Err(CommandError::Syntax),
    }
}

fn pop_one(cx: &mut Cx<'_>, key: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut rng = cx.rest.rng.fork();
    let mut taken = Taken::new(cx);
    let emptied = cx.change(key, |set: &mut Set| {
        take_one(set, &mut rng, |member| taken.answer(member, reply));
        set.is_empty()
    })?;
    match emptied {
        Some(emptied) => {
            cx.shrunk(key, Event::set("spop"), emptied);
            taken.tell(cx, key);
        }
        None => reply.null(),
    }
    Ok(())
}

/// Takes a member at random, each with the same chance.
#[inline]
pub(super) fn take_one(set: &mut Set, rng: &mut fastrand::Rng, tell: impl FnOnce(Element<'_>)) {
    let place = rng.usize(0..set.len());
    set.take_nth(place, tell);
}

/// The members that chance has taken out, for the journal.
struct Taken {
    is_kept: bool,
    members: Vec<Vec<u8>>,
}

impl Taken {
    fn new(cx: &mut Cx<'_>) -> Self {
        Self { is_kept: cx.effects().is_on(), members: Vec::new() }
    }

    fn answer(&mut self, member: Element<'_>, reply: &mut Reply<'_>) {
        reply_element(member, reply);
        if self.is_kept {
            self.members.push(member.to_vec());
        }
    }

    fn tell(&self, cx: &mut Cx<'_>, key: &[u8]) {
        if self.is_kept {
            let members = self.members.iter().map(Vec::as_slice);
            let args: Vec<&[u8]> = [b"SREM", key].into_iter().chain(members).collect();
            let db = cx.db;
            cx.effects().tell(db, args);
        }
    }
}

/// What popping members leaves behind.
#[derive(Debug)]
pub(super) enum Left {
    /// The set as it was, to be freed with its key.
    Nothing,
    Members,
    /// Members in a set of their own; the one they were in is to be freed.
    Moved(Set),
}

fn pop_many(cx: &mut Cx<'_>, key: &[u8], count: usize, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (limits, mut rng) = (limits(cx), cx.rest.rng.fork());
    let mut taken = Taken::new(cx);
    let left = cx.change(key, |set: &mut Set| {
        let answer = |member: Element<'_>, reply: &mut Reply<'_>| taken.answer(member, reply);
        take_some(set, count, &limits, &mut rng, reply, answer)
    })?;
    match left {
        None => reply.set(0),
        Some(_) if count == 0 => {}
        Some(Left::Nothing) => {
            cx.shrunk(key, Event::set("spop"), true);
            cx.tell([b"DEL", key]);
        }
        Some(Left::Members) => {
            cx.shrunk(key, Event::set("spop"), false);
            taken.tell(cx, key);
        }
        Some(Left::Moved(rest)) => {
            cx.db().bury_object(rest.into());
            cx.shrunk(key, Event::set("spop"), false);
            taken.tell(cx, key);
        }
    }
    Ok(())
}

/// Takes members at random, every choice with the same chance, and answers them.
pub(super) fn take_some(
    set: &mut Set,
    count: usize,
    limits: &SetLimits,
    rng: &mut fastrand::Rng,
    reply: &mut Reply<'_>,
    mut answer: impl FnMut(Element<'_>, &mut Reply<'_>),
) -> Left {
    /// A large set of which less than this part remains is left behind: choosing who stays is less work, and what
    /// stays is small again. The part is Redis's, as it shows in the encoding.
    const REMAINING_PART: usize = 5;
    let Some(remaining) = set.len().checked_sub(count).filter(|&remaining| remaining > 0) else {
        reply_set(set, reply);
        return Left::Nothing;
    };
    reply.set(count);
    let tell = |member: Element<'_>| answer(member, reply);
    if matches!(set, Set::Table(_)) && remaining * REMAINING_PART <= count {
        Left::Moved(set.leave_places(&places(set, remaining, rng), limits, tell))
    } else {
        set.take_places(&places(set, count, rng), tell);
        Left::Members
    }
}

/// So many different places of a set, ascending.
pub(super) fn places(set: &Set, count: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
    let mut places = different_places(set.len(), count, rng);
    places.sort_unstable();
    places
}
