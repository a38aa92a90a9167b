//! Which commands are compared: what Redis has and Bobbin has not is known, and what both have is generated.

use std::collections::BTreeSet;

use super::strings;
use crate::grammar;
use crate::support::{Client, bobbin, oracle};

/// ACL categories of the commands that work on data.
const CATEGORIES: &[&str] =
    &["bitmap", "geo", "hash", "hyperloglog", "keyspace", "list", "set", "sortedset", "stream", "string"];

/// The oracle's commands that Bobbin does not have.
const MISSING: &[&str] = &[
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "dump",
    "geoadd",
    "geodist",
    "geohash",
    "geopos",
    "georadius",
    "georadius_ro",
    "georadiusbymember",
    "georadiusbymember_ro",
    "geosearch",
    "geosearchstore",
    "hdel",
    "hexists",
    "hget",
    "hgetall",
    "hincrby",
    "hincrbyfloat",
    "hkeys",
    "hlen",
    "hmget",
    "hmset",
    "hrandfield",
    "hscan",
    "hset",
    "hsetnx",
    "hstrlen",
    "hvals",
    "migrate",
    "restore",
    "restore-asking",
    "sadd",
    "scard",
    "sdiff",
    "sdiffstore",
    "sinter",
    "sintercard",
    "sinterstore",
    "sismember",
    "smembers",
    "smismember",
    "smove",
    "sort",
    "sort_ro",
    "spop",
    "srandmember",
    "srem",
    "sscan",
    "sunion",
    "sunionstore",
    "xack",
    "xadd",
    "xautoclaim",
    "xclaim",
    "xdel",
    "xgroup|create",
    "xgroup|createconsumer",
    "xgroup|delconsumer",
    "xgroup|destroy",
    "xgroup|help",
    "xgroup|setid",
    "xinfo|consumers",
    "xinfo|groups",
    "xinfo|help",
    "xinfo|stream",
    "xlen",
    "xpending",
    "xrange",
    "xread",
    "xreadgroup",
    "xrevrange",
    "xsetid",
    "xtrim",
    "xgroup",
    "xinfo",
];

/// What both have and the grammar does not make.
const NOT_MADE: &[&str] = &[
    // They tell of themselves, or of how they are kept.
    "object|help",
    "pfdebug",
    "pfselftest",
    "xgroup|help",
    "xinfo|help",
    // Every case begins with the one and ends with the other.
    "flushall",
    "dbsize",
    // RESTORE by another name.
    "restore-asking",
];

fn data_commands(client: &mut Client) -> BTreeSet<String> {
    let of = |category: &&str| strings(client.run(&format!("COMMAND LIST FILTERBY ACLCAT {category}")));
    CATEGORIES.iter().flat_map(of).collect()
}

#[test]
fn every_command_that_both_have_is_generated() {
    let (bobbin, oracle) = (data_commands(&mut bobbin().connect()), data_commands(&mut oracle().connect()));
    let made = grammar::all_names();
    let is_made = |name: &&String| made.contains(*name) || NOT_MADE.contains(&name.as_str());
    let containers = ["object", "xgroup", "xinfo"];
    let forgotten: Vec<&String> = bobbin
        .intersection(&oracle)
        .filter(|name| !is_made(name) && !containers.contains(&name.as_str()))
        .collect();
    assert!(forgotten.is_empty(), "the grammar lacks {forgotten:?}");
}

#[test]
fn what_is_missing_is_known() {
    let (bobbin, oracle) = (data_commands(&mut bobbin().connect()), data_commands(&mut oracle().connect()));
    let unknown: Vec<&String> =
        oracle.difference(&bobbin).filter(|name| !MISSING.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "redis-server has them: {unknown:?}");
}
