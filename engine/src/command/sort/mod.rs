//! Sorting the elements of lists, sets and sorted sets.
//!
//! | module | owns |
//! |---|---|
//! | `request` | what is asked for |
//! | `pattern` | the keys and fields that patterns stand for |
//! | `texts` | many texts in one allocation, as they are sorted and sent between shards |
//! | `elements` | what is sorted, in which order |
//! | `values` | what patterns lead to |
//! | `over_shards` | the same where those keys are on several shards |
//!
//! Invariant: all keys, those that patterns lead to included, are read at one moment, and what is stored is stored at
//! that moment.
//!
//! Texts are compared as bytes, as Redis does in the C locale; what the environment says of another is not regarded.
//! Elements that compare as equal keep their order, which Redis leaves open where LIMIT is given.
//!
//! Source: replies, errors and their precedence are those of redis-server 7.0.15.

mod elements;
mod over_shards;
mod pattern;
mod request;
mod texts;
mod values;

use bobbin_proto::Reply;

use self::elements::{Loaded, Order};
use self::request::{Request, stored_key};
use self::values::{Found, Values};
use super::list::chunk_limit;
use super::spec::{Begin, Command, Find, Group, KeySpec, Run, acl, command, flag, key_flag};
use super::{Args, Cx, Event};
use crate::error::CommandError;
use crate::store::List;
use crate::store::encoding::quicklist::End;

const COMPLEXITY: &str = "O(N+M*log(M)) with N elements, M of them answered; O(N) if they are not sorted";
const SORTED: KeySpec = KeySpec::one(1, key_flag::RO | key_flag::ACCESS);
/// Keys that patterns lead to, and the one behind STORE, which may stand anywhere.
const BY_PATTERN: KeySpec = unknown(key_flag::RO | key_flag::ACCESS);
const STORED: KeySpec = unknown(key_flag::OW | key_flag::UPDATE);
const CATEGORIES: u32 = acl::SET | acl::SORTEDSET | acl::LIST | acl::DANGEROUS;
const WRITES: u32 = flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS;

const DIFFERS: &str =
    "Texts are compared byte by byte, whatever the locale; a small sorted set stays packed.";

pub const ROWS: &[Command] = &[
    command("sort", -2, WRITES, Group::Generic, Run::Wide(sort, over_shards::sort))
        .keys(&[SORTED, BY_PATTERN, STORED])
        .further_key(stored_key)
        .acl_apart(CATEGORIES)
        .differs(DIFFERS)
        .docs(
            "1.0.0",
            COMPLEXITY,
            "Answers the elements of a list, set or sorted set in order, or makes a key hold them.",
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] \
             [STORE destination]",
        ),
    command(
        "sort_ro",
        -2,
        flag::READONLY | flag::MOVABLEKEYS,
        Group::Generic,
        Run::Wide(sort_ro, over_shards::sort_ro),
    )
    .keys(&[SORTED, BY_PATTERN])
    .acl_apart(CATEGORIES)
    .differs(DIFFERS)
    .docs(
        "7.0.0",
        COMPLEXITY,
        "Answers the elements of a list, set or sorted set in order.",
        "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]",
    ),
];

const fn unknown(flags: u16) -> KeySpec {
    KeySpec { begin: Begin::Unknown, find: Find::Unknown, flags }
}

fn sort(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    run(cx, &Request::parse(args)?, reply)
}

fn sort_ro(cx: &mut Cx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    run(cx, &Request::parse_read_only(args)?, reply)
}

/// With every key at hand.
fn run(cx: &mut Cx<'_>, request: &Request, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let loaded = Loaded::read(cx, request)?;
    let weights = (loaded.order == Order::ByPattern).then(|| {
        let found = Found::read(cx, request.weight_pattern(), &loaded.elements, |_| true);
        Values::join(request.weight_pattern(), &loaded.elements, [found])
    });
    let chosen = loaded.sorted(request, weights.as_ref())?;
    let results = if request.gets.is_empty() {
        Values::from(chosen)
    } else {
        let found = Found::read(cx, &request.gets, &chosen, |_| true);
        Values::join(&request.gets, &chosen, [found])
    };
    match &request.store {
        Some(key) => {
            store(cx, key, &results);
            reply.int(results.len() as i64);
        }
        None => answer(&results, reply),
    }
    Ok(())
}

fn answer(results: &Values, reply: &mut Reply<'_>) {
    reply.array(results.len());
    for result in results.iter() {
        match result {
            Some(text) => reply.bulk(text),
            None => reply.null(),
        }
    }
}

/// Makes a key hold a list of the results, or nothing if there are none.
fn store(cx: &mut Cx<'_>, key: &[u8], results: &Values) {
    let limit = chunk_limit(cx);
    let elements = results.iter().map(Option::unwrap_or_default);
    let list = elements.clone().next().map(|first| {
        let mut list = List::with_room_for(first);
        list.push(End::Back, elements, limit);
        list.into()
    });
    let changes = cx.rest.stats.changes;
    cx.replace(key, list, Event::list("sortstore"));
    if cx.effects().is_on() && cx.rest.stats.changes != changes {
        tell(cx, key, results);
    }
}

/// Tells the journal the results: the order of a set's elements, which depends on how it is kept, may be in them.
fn tell(cx: &mut Cx<'_>, key: &[u8], results: &Values) {
    cx.tell([b"DEL", key]);
    if results.len() > 0 {
        let db = cx.db;
        let elements = results.iter().map(Option::unwrap_or_default);
        let args: Vec<&[u8]> = [b"RPUSH", key].into_iter().chain(elements).collect();
        cx.effects().tell(db, args);
    }
}
