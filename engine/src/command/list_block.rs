//! Lists: the commands that wait for an element. How they wait is in `core/block`.
//!
//! Source: replies and errors, and their precedence, are those of redis-server 7.0.15.

use bobbin_proto::Reply;

use super::blocking::{
    Blocking, Nothing, as_it_is, narrow_counted, narrow_keys, narrow_to_all, patience, patience_at_end,
    patience_first,
};
use super::list::pop_one;
use super::list_move::{SOURCE_AND_DESTINATION, TAKEN, end_at, move_element, pop_first};
use super::pop::Pop;
use super::spec::{Command, Group, KeySpec, Run, command, flag};
use super::{Args, Cx};
use crate::error::CommandError;
use crate::store::Type;
use crate::store::encoding::quicklist::End;

const WAITS: u32 = flag::WRITE | flag::NOSCRIPT | flag::BLOCKING;
const KEYS: &[KeySpec] = &[KeySpec::range(1, -2, 1, TAKEN)];

const POP: Blocking = Blocking {
    serves: Type::List,
    nothing: Nothing::NullArray,
    patience: patience_at_end,
    settle: as_it_is,
    narrow: narrow_keys,
    ends_with_key: false,
};
const MOVE: Blocking = Blocking { nothing: Nothing::Null, narrow: narrow_to_all, ..POP };
const POP_MANY: Blocking = Blocking { patience: patience_first, narrow: narrow_counted, ..POP };

pub const ROWS: &[Command] = &[
    command("blpop", -3, WAITS, Group::List, Run::Blocking(blpop, &POP)).keys(KEYS).docs(
        "2.0.0",
        "O(N) with N keys",
        "Takes the first element of the first list that has any; waits for one if none has.",
        "key [key ...] float-timeout",
    ),
    command("brpop", -3, WAITS, Group::List, Run::Blocking(brpop, &POP)).keys(KEYS).docs(
        "2.0.0",
        "O(N) with N keys",
        "Takes the last element of the first list that has any; waits for one if none has.",
        "key [key ...] float-timeout",
    ),
    command("blmove", 6, WAITS | flag::DENYOOM, Group::List, Run::Blocking(blmove, &MOVE))
        .keys(SOURCE_AND_DESTINATION)
        .docs(
            "6.2.0",
            "O(1)",
            "Moves an element from an end of one list to an end of another; waits for one if there is none.",
            "source destination <LEFT|RIGHT> <LEFT|RIGHT> float-timeout",
        ),
    command("brpoplpush", 4, WAITS | flag::DENYOOM, Group::List, Run::Blocking(brpoplpush, &MOVE))
        .keys(SOURCE_AND_DESTINATION)
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")
        .docs(
            "2.2.0",
            "O(1)",
            "Moves the last element of a list to the front of another; waits for one if there is none.",
            "source destination float-timeout",
        ),
    command(
        "blmpop",
        -5,
        flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        Group::List,
        Run::Blocking(blmpop, &POP_MANY),
    )
    .keys(&[KeySpec::counted(2, TAKEN)])
    .docs(
        "7.0.0",
        "O(N+M) with N keys and M elements taken",
        "Takes elements from the first of several lists that has any; waits for some if none has.",
        "float-timeout numkeys key [key ...] <LEFT|RIGHT> [COUNT count]",
    ),
];

fn blpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Front, reply)
}

fn brpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Back, reply)
}

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    patience(args.last())?;
    for key in args.iter_from(1).take(args.len() - 2) {
        let head = |reply: &mut Reply<'_>| {
            reply.array(2);
            reply.bulk(key);
        };
        if pop_one(cx, key, end, head, reply)? {
            break;
        }
    }
    Ok(())
}

fn blmove(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (from, to) = (end_at(args, 3)?, end_at(args, 4)?);
    patience(args.last())?;
    move_element(cx, (args.at(1), from), (args.at(2), to), reply).map(drop)
}

fn brpoplpush(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    patience(args.last())?;
    move_element(cx, (args.at(1), End::Back), (args.at(2), End::Front), reply).map(drop)
}

fn blmpop(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let pop = Pop::parse(args, 2, end_at)?;
    patience(args.at(1))?;
    pop_first(cx, pop, reply).map(drop)
}
