//! The commands that wait for a member: BZPOPMIN, BZPOPMAX, BZMPOP. How they wait is in `core/block`.

use bobbin_proto::Reply;

use super::super::blocking::{
    Blocking, Nothing, as_it_is, narrow_counted, narrow_keys, patience, patience_at_end, patience_first,
};
use super::super::element::reply_element;
use super::super::pop::Pop;
use super::super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::super::{Args, Cx};
use super::remove::{End, POPPED, end_at, pop_first, pop_from};
use crate::error::CommandError;
use crate::store::Type;

const WAITS: u32 = flag::WRITE | flag::BLOCKING;
const KEYS: &[KeySpec] = &[KeySpec::range(1, -2, 1, POPPED)];

const POP: Blocking = Blocking {
    serves: Type::Zset,
    nothing: Nothing::NullArray,
    patience: patience_at_end,
    settle: as_it_is,
    narrow: narrow_keys,
    ends_with_key: false,
};
const POP_MANY: Blocking = Blocking { patience: patience_first, narrow: narrow_counted, ..POP };

pub const ROWS: &[Command] = &[
    command(
        "bzpopmin",
        -3,
        WAITS | flag::NOSCRIPT | flag::FAST,
        Group::SortedSet,
        Run::Blocking(bzpopmin, &POP),
    )
    .keys(KEYS)
    .docs(
        "5.0.0",
        "O(log(N)) with N members",
        "Removes and answers the member with the lowest score of the first sorted set that has any; waits for one \
         if none has.",
        "key [key ...] float-timeout",
    ),
    command(
        "bzpopmax",
        -3,
        WAITS | flag::NOSCRIPT | flag::FAST,
        Group::SortedSet,
        Run::Blocking(bzpopmax, &POP),
    )
    .keys(KEYS)
    .docs(
        "5.0.0",
        "O(log(N)) with N members",
        "Removes and answers the member with the highest score of the first sorted set that has any; waits for one \
         if none has.",
        "key [key ...] float-timeout",
    ),
    command("bzmpop", -5, WAITS | flag::MOVABLEKEYS, Group::SortedSet, Run::Blocking(bzmpop, &POP_MANY))
        .keys(&[KeySpec::counted(2, POPPED)])
        .docs(
            "7.0.0",
            "O(K)+O(M*log(N)) with K keys, N members in the first that has any, M of them removed",
            "Removes and answers members of the first sorted set that has any; waits for some if none has.",
            "float-timeout numkeys key [key ...] <MIN|MAX> [COUNT count]",
        ),
];

fn bzpopmin(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Lowest, reply)
}

fn bzpopmax(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Highest, reply)
}

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    patience(args.last())?;
    for key in args.iter_from(1).take(args.len() - 2) {
        let popped = pop_from(cx, key, end, 1, |zset, ranks| {
            reply.array(3);
            reply.bulk(key);
            for (member, score) in zset.range(ranks) {
                reply_element(member, reply);
                reply.double(score);
            }
        })?;
        if popped.is_some() {
            break;
        }
    }
    Ok(())
}

fn bzmpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let pop = Pop::parse(args, 2, end_at)?;
    patience(args.at(1))?;
    pop_first(cx, pop, reply).map(drop)
}
