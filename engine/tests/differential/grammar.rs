//! All commands that are compared, family by family, and how a case is made of them.
//!
//! Shapes are those of `template`. A line says all that a command takes; what it does not take comes by mutation:
//! arguments left out, doubled, swapped, or replaced by what has no place there.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::call::{Call, Case, Step};
use super::exceptions::{is_comparable, needs_a_step};
use super::session::CLIENTS;
use super::template::{Sequence, expand, parse};
use super::vocabulary::wild;

/// A family's lines, each as likely as its number says.
type Family = &'static [(u8, &'static str)];

const FAMILIES: &[Family] = &[
    STRINGS,
    BITS,
    HYPERLOGLOGS,
    LISTS,
    SETS,
    HASHES,
    SORTED_SETS,
    STREAMS,
    GEO,
    KEYS,
    SORTING,
    DATABASES,
    TRANSACTIONS,
];

const STRINGS: Family = &[
    (
        4,
        "SET <string> <value> [NX|XX] [GET] [EX <seconds>|PX <millis>|EXAT <at-seconds>|PXAT <at-millis>|KEEPTTL]",
    ),
    (2, "SET <counter> <int>"),
    (1, "SETNX <any> <value>"),
    (1, "SETEX <string> <seconds> <value>"),
    (1, "PSETEX <string> <millis> <value>"),
    (3, "GET <string>"),
    (1, "GETSET <string> <value>"),
    (1, "GETDEL <string>"),
    (1, "GETEX <string> [EX <seconds>|PX <millis>|EXAT <at-seconds>|PXAT <at-millis>|PERSIST]"),
    (2, "MGET {<string>}"),
    (1, "MSET {<string> <value>}"),
    (1, "MSETNX {<any> <value>}"),
    (2, "APPEND <string> <value>"),
    (2, "STRLEN <string>"),
    (2, "GETRANGE <string> <index> <index>"),
    (1, "SUBSTR <string> <index> <index>"),
    (2, "SETRANGE <string> <offset> <value>"),
    (2, "INCR <counter>"),
    (1, "DECR <counter>"),
    (2, "INCRBY <counter> <int>"),
    (1, "DECRBY <counter> <int>"),
    (2, "INCRBYFLOAT <counter> <float>"),
    (2, "LCS <string> <string> [LEN] [IDX] [MINMATCHLEN <count>] [WITHMATCHLEN]"),
];

const BITS: Family = &[
    (4, "SETBIT <bits> <offset> <bit>"),
    (2, "GETBIT <bits> <offset>"),
    (3, "BITCOUNT <bits> [<index> <index> [BYTE|BIT]]"),
    (3, "BITPOS <bits> <bit> [<index> [<index> [BYTE|BIT]]]"),
    (3, "BITOP (AND|OR|XOR|NOT) <bits> {<bits>}"),
    (
        4,
        "BITFIELD <bits> {[OVERFLOW (WRAP|SAT|FAIL)] \
         (GET <field-type> <field-offset>|SET <field-type> <field-offset> <int>|INCRBY <field-type> <field-offset> <int>)}",
    ),
    (1, "BITFIELD_RO <bits> {GET <field-type> <field-offset>}"),
    (1, "SET <bits> <value>"),
];

const HYPERLOGLOGS: Family = &[
    (5, "PFADD <hll> {<member>}"),
    (1, "PFADD <hll>"),
    (3, "PFCOUNT {<hll>}"),
    (2, "PFMERGE <hll> {<hll>}"),
];

const LISTS: Family = &[
    (4, "LPUSH <list> {<member>}"),
    (4, "RPUSH <list> {<value>}"),
    (1, "LPUSHX <list> {<member>}"),
    (1, "RPUSHX <list> {<member>}"),
    (2, "LPOP <list> [<count>]"),
    (2, "RPOP <list> [<count>]"),
    (2, "LLEN <list>"),
    (3, "LRANGE <list> <index> <index>"),
    (2, "LINDEX <list> <index>"),
    (2, "LSET <list> <index> <value>"),
    (2, "LINSERT <list> (BEFORE|AFTER) <member> <value>"),
    (2, "LREM <list> <index> <member>"),
    (2, "LTRIM <list> <index> <index>"),
    (2, "LPOS <list> <member> [RANK <index>] [COUNT <count>] [MAXLEN <count>]"),
    (1, "RPOPLPUSH <list> <list>"),
    (2, "LMOVE <list> <list> (LEFT|RIGHT) (LEFT|RIGHT)"),
    (2, "LMPOP #{<list>} (LEFT|RIGHT) [COUNT <count>]"),
    (1, "(BLPOP|BRPOP) {<list>} <timeout>"),
    (1, "BRPOPLPUSH <list> <list> <timeout>"),
    (1, "BLMOVE <list> <list> (LEFT|RIGHT) (LEFT|RIGHT) <timeout>"),
    (1, "BLMPOP <timeout> #{<list>} (LEFT|RIGHT) [COUNT <count>]"),
];

const SETS: Family = &[
    (4, "SADD <set> {<member>}"),
    (4, "SADD <set> {<small>}"),
    (2, "SREM <set> {<member>}"),
    (1, "SCARD <set>"),
    (1, "SISMEMBER <set> <member>"),
    (1, "SMISMEMBER <set> {<member>}"),
    (2, "SMEMBERS <set>"),
    (2, "SMOVE <set> <set> <member>"),
    (2, "SPOP <set> [<count>]"),
    (2, "SRANDMEMBER <set> [<draw>]"),
    (2, "(SINTER|SUNION|SDIFF) {<set>}"),
    (3, "(SINTERSTORE|SUNIONSTORE|SDIFFSTORE) <set> {<set>}"),
    (2, "SINTERCARD #{<set>} [LIMIT <count>]"),
    (1, "SSCAN <set> 0 [MATCH <pattern>] [COUNT <count>]"),
];

const HASHES: Family = &[
    (5, "HSET <hash> {<member> <value>}"),
    (1, "HMSET <hash> {<member> <value>}"),
    (1, "HSETNX <hash> <member> <value>"),
    (2, "HGET <hash> <member>"),
    (1, "HMGET <hash> {<member>}"),
    (1, "HGETALL <hash>"),
    (1, "HKEYS <hash>"),
    (1, "HVALS <hash>"),
    (1, "HLEN <hash>"),
    (1, "HEXISTS <hash> <member>"),
    (1, "HSTRLEN <hash> <member>"),
    (2, "HDEL <hash> {<member>}"),
    (2, "HINCRBY <hash> <member> <int>"),
    (2, "HINCRBYFLOAT <hash> <member> <float>"),
    (1, "HRANDFIELD <hash> [<draw> [WITHVALUES]]"),
    (1, "HSCAN <hash> 0 [MATCH <pattern>] [COUNT <count>]"),
];

const SORTED_SETS: Family = &[
    (6, "ZADD <zset> [NX|XX] [GT|LT] [CH] {<score> <member>}"),
    (2, "ZADD <zset> {0 <member>}"),
    (1, "ZADD <zset> [NX|XX] [GT|LT] [CH] INCR <score> <member>"),
    (2, "ZINCRBY <zset> <score> <member>"),
    (1, "ZCARD <zset>"),
    (1, "ZSCORE <zset> <member>"),
    (1, "ZMSCORE <zset> {<member>}"),
    (1, "ZRANK <zset> <member>"),
    (1, "ZREVRANK <zset> <member>"),
    (2, "ZREM <zset> {<member>}"),
    (1, "ZCOUNT <zset> <score-bound> <score-bound>"),
    (1, "ZLEXCOUNT <zset> <lex-bound> <lex-bound>"),
    (2, "ZRANGE <zset> <index> <index> [REV] [WITHSCORES]"),
    (2, "ZRANGE <zset> <score-bound> <score-bound> BYSCORE [REV] [LIMIT <index> <index>] [WITHSCORES]"),
    (2, "ZRANGE <zset> <lex-bound> <lex-bound> BYLEX [REV] [LIMIT <index> <index>]"),
    (1, "ZREVRANGE <zset> <index> <index> [WITHSCORES]"),
    (
        1,
        "(ZRANGEBYSCORE|ZREVRANGEBYSCORE) <zset> <score-bound> <score-bound> [WITHSCORES] [LIMIT <index> <index>]",
    ),
    (1, "(ZRANGEBYLEX|ZREVRANGEBYLEX) <zset> <lex-bound> <lex-bound> [LIMIT <index> <index>]"),
    (1, "ZRANGESTORE <zset> <zset> <index> <index> [REV]"),
    (1, "ZRANGESTORE <zset> <zset> <score-bound> <score-bound> BYSCORE [REV] [LIMIT <index> <index>]"),
    (1, "ZRANGESTORE <zset> <zset> <lex-bound> <lex-bound> BYLEX [REV] [LIMIT <index> <index>]"),
    (1, "ZREMRANGEBYRANK <zset> <index> <index>"),
    (1, "ZREMRANGEBYSCORE <zset> <score-bound> <score-bound>"),
    (1, "ZREMRANGEBYLEX <zset> <lex-bound> <lex-bound>"),
    (1, "(ZPOPMIN|ZPOPMAX) <zset> [<count>]"),
    (1, "ZMPOP #{<zset>} (MIN|MAX) [COUNT <count>]"),
    (1, "(BZPOPMIN|BZPOPMAX) {<zset>} <timeout>"),
    (1, "BZMPOP <timeout> #{<zset>} (MIN|MAX) [COUNT <count>]"),
    (2, "(ZUNION|ZINTER) #{(<zset>|<set>)} [WEIGHTS ={<score>}] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]"),
    (2, "(ZUNIONSTORE|ZINTERSTORE) <zset> #{(<zset>|<set>)} [WEIGHTS ={<score>}] [AGGREGATE (SUM|MIN|MAX)]"),
    (1, "ZDIFF #{<zset>} [WITHSCORES]"),
    (1, "ZDIFFSTORE <zset> #{<zset>}"),
    (1, "ZINTERCARD #{<zset>} [LIMIT <count>]"),
    (1, "ZRANDMEMBER <zset> [<draw> [WITHSCORES]]"),
    (1, "ZSCAN <zset> 0 [MATCH <pattern>] [COUNT <count>]"),
];

const STREAMS: Family = &[
    (6, "XADD <stream> [NOMKSTREAM] [(MAXLEN|MINID) [=|~] <small> [LIMIT <count>]] <id> {<member> <value>}"),
    (3, "XADD <stream> <id> a 1 b 2"),
    (1, "XLEN <stream>"),
    (2, "XRANGE <stream> <id-bound> <id-bound> [COUNT <count>]"),
    (2, "XREVRANGE <stream> <id-bound> <id-bound> [COUNT <count>]"),
    (2, "XDEL <stream> {<id>}"),
    (1, "XTRIM <stream> (MAXLEN|MINID) [=|~] <small> [LIMIT <count>]"),
    (1, "XSETID <stream> <id> [ENTRIESADDED <count>] [MAXDELETEDID <id>]"),
    (2, "XREAD [COUNT <count>] [BLOCK <block>] STREAMS <stream> <id>"),
    (1, "XREAD [COUNT <count>] STREAMS <stream> <stream> <id> (<id>|$)"),
    (2, "XGROUP CREATE <stream> <group> (<id>|$) [MKSTREAM] [ENTRIESREAD <count>]"),
    (1, "XGROUP SETID <stream> <group> (<id>|$) [ENTRIESREAD <count>]"),
    (1, "XGROUP DESTROY <stream> <group>"),
    (1, "XGROUP (CREATECONSUMER|DELCONSUMER) <stream> <group> <consumer>"),
    (
        3,
        "XREADGROUP GROUP <group> <consumer> [COUNT <count>] [BLOCK <block>] [NOACK] STREAMS <stream> (>|>|<id>)",
    ),
    (1, "XREADGROUP GROUP <group> <consumer> [COUNT <count>] [NOACK] STREAMS <stream> <stream> > (>|<id>)"),
    (2, "XACK <stream> <group> {<id>}"),
    (2, "XPENDING <stream> <group> [[IDLE <count>] <id-bound> <id-bound> <count> [<consumer>]]"),
    (
        2,
        "XCLAIM <stream> <group> <consumer> 0 {<id>} [IDLE <count>] [RETRYCOUNT <count>] [FORCE] [JUSTID] [LASTID <id>]",
    ),
    (2, "XAUTOCLAIM <stream> <group> <consumer> 0 <id-bound> [COUNT <count>] [JUSTID]"),
    (1, "XINFO STREAM <stream>"),
    (1, "XINFO STREAM <stream> FULL [COUNT <count>]"),
    (1, "XINFO GROUPS <stream>"),
    (1, "XINFO CONSUMERS <stream> <group>"),
];

const GEO: Family = &[
    (5, "GEOADD <geo> [NX|XX] [CH] {<longitude> <latitude> <member>}"),
    (1, "GEODIST <geo> <member> <member> [<unit>]"),
    (1, "GEOHASH <geo> {<member>}"),
    (1, "GEOPOS <geo> {<member>}"),
    (
        2,
        "(GEORADIUS|GEORADIUS_RO) <geo> <longitude> <latitude> <radius> <unit> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT <count> [ANY]] [ASC|DESC]",
    ),
    (
        1,
        "GEORADIUS <geo> <longitude> <latitude> <radius> <unit> [COUNT <count>] [ASC|DESC] (STORE|STOREDIST) <geo>",
    ),
    (
        2,
        "(GEORADIUSBYMEMBER|GEORADIUSBYMEMBER_RO) <geo> <member> <radius> <unit> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT <count>] [ASC|DESC]",
    ),
    (
        1,
        "GEORADIUSBYMEMBER <geo> <member> <radius> <unit> [COUNT <count>] [ASC|DESC] (STORE|STOREDIST) <geo>",
    ),
    (
        3,
        "GEOSEARCH <geo> (FROMMEMBER <member>|FROMLONLAT <longitude> <latitude>) \
         (BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>) [ASC|DESC] [COUNT <count> [ANY]] [WITHCOORD] \
         [WITHDIST] [WITHHASH]",
    ),
    (
        2,
        "GEOSEARCHSTORE <geo> <geo> (FROMMEMBER <member>|FROMLONLAT <longitude> <latitude>) \
         (BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>) [ASC|DESC] [COUNT <count>] [STOREDIST]",
    ),
];

const KEYS: Family = &[
    (2, "DEL {<any>}"),
    (1, "UNLINK {<any>}"),
    (2, "EXISTS {<any>}"),
    (1, "TOUCH {<any>}"),
    (2, "TYPE <any>"),
    (2, "EXPIRE <any> <seconds> [NX|XX|GT|LT]"),
    (3, "PEXPIRE <any> <millis> [NX|XX|GT|LT]"),
    (1, "EXPIREAT <any> <at-seconds> [NX|XX|GT|LT]"),
    (1, "PEXPIREAT <any> <at-millis> [NX|XX|GT|LT]"),
    (1, "(TTL|PTTL) <any>"),
    (1, "(EXPIRETIME|PEXPIRETIME) <any>"),
    (1, "PERSIST <any>"),
    (2, "RENAME <any> <any>"),
    (1, "RENAMENX <any> <any>"),
    (3, "COPY <any> <any> [DB <db>] [REPLACE]"),
    (3, "OBJECT ENCODING <any>"),
    (1, "OBJECT (REFCOUNT|IDLETIME|FREQ) <any>"),
    (1, "KEYS <pattern>"),
    (1, "SCAN 0 [MATCH <pattern>] [COUNT <count>] [TYPE <type-name>]"),
    (1, "RANDOMKEY"),
    (2, "DUMP <any>"),
    (3, "RESTORE <any> 0 <payload> [REPLACE]"),
    (1, "RESTORE <any> <millis> <payload> [REPLACE] [ABSTTL] [IDLETIME <count>] [FREQ <count>]"),
];

const SORTING: Family = &[
    (
        4,
        "(SORT|SORT_RO) (<list>|<set>|<zset>) [BY <sort-by>] [LIMIT <index> <index>] [GET (#|<sort-by>)] \
         [GET <sort-by>] [ASC|DESC] [ALPHA]",
    ),
    (
        2,
        "SORT (<list>|<set>|<zset>) [BY <sort-by>] [LIMIT <index> <index>] [GET (#|<sort-by>)] [ASC|DESC] [ALPHA] \
         STORE <list>",
    ),
];

const DATABASES: Family = &[
    (6, "SELECT <db>"),
    (4, "MOVE <any> <db>"),
    (4, "SWAPDB <db> <db>"),
    (1, "FLUSHDB [ASYNC|SYNC]"),
    (3, "ECHO <value>"),
    (2, "PING [<value>]"),
    (4, "COMMAND (GETKEYS|GETKEYSANDFLAGS) {<wild>}"),
];

/// What stands around or beside commands that take effect together; see [`Grammar::transaction`].
const TRANSACTIONS: Family = &[(6, "WATCH {<any>}"), (1, "UNWATCH"), (1, "EXEC"), (1, "DISCARD")];

/// How often each family is met, of all.
const FAMILY_WEIGHTS: &[u32] = &[6, 4, 2, 6, 6, 6, 8, 7, 4, 8, 3, 2, 2];

/// How encodings change is seen best where they change early.
const THRESHOLDS: &[(&str, &[&str])] = &[
    ("list-max-listpack-size", &["-2", "-1", "1", "3", "0", "128"]),
    ("zset-max-listpack-entries", &["128", "0", "3", "20"]),
    ("zset-max-listpack-value", &["64", "0", "3", "500"]),
    ("hash-max-listpack-entries", &["512", "0", "3", "20"]),
    ("hash-max-listpack-value", &["64", "0", "3", "500"]),
    ("set-max-intset-entries", &["512", "0", "3", "20"]),
    ("stream-node-max-entries", &["100", "0", "1", "3"]),
    ("stream-node-max-bytes", &["4096", "0", "50"]),
    ("hll-sparse-max-bytes", &["3000", "0", "30", "200"]),
];

/// What both servers know of the grammar.
#[derive(Debug)]
pub struct Grammar {
    families: Vec<(u32, Vec<(u32, Sequence)>)>,
    thresholds: Vec<(&'static str, &'static [&'static str])>,
    has_transactions: bool,
}

impl Grammar {
    /// Of the commands (subcommands as `object|encoding`) and directives that both servers know.
    pub fn of(commands: &BTreeSet<String>, directives: &BTreeSet<String>) -> Self {
        let family = |lines: Family| {
            let known =
                lines.iter().filter(|(_, line)| names(line).iter().all(|name| commands.contains(name)));
            known.map(|(weight, line)| (u32::from(*weight), parse(line))).collect::<Vec<_>>()
        };
        let families = FAMILY_WEIGHTS.iter().copied().zip(FAMILIES.iter().map(|lines| family(lines)));
        Self {
            families: families.filter(|(_, lines)| !lines.is_empty()).collect(),
            thresholds: THRESHOLDS.iter().filter(|(name, _)| directives.contains(*name)).copied().collect(),
            has_transactions: commands.contains("multi"),
        }
    }

    /// The case of a seed.
    pub fn case(&self, seed: u64, steps: usize) -> Case {
        let rng = &mut Rng::with_seed(seed);
        let mut case: Case = self.settings(rng);
        while case.len() < steps {
            case.push(self.step(rng));
        }
        case
    }

    /// What restores the directives that a case may have changed.
    pub fn defaults(&self) -> Vec<Call> {
        self.thresholds.iter().map(|(name, values)| config_set(name, values[0])).collect()
    }

    fn settings(&self, rng: &mut Rng) -> Case {
        let changed: Vec<_> = self.thresholds.iter().filter(|_| rng.u8(..3) == 0).collect();
        let call = |(name, values): &(&str, &[&str]), rng: &mut Rng| {
            config_set(name, values[rng.usize(..values.len())])
        };
        changed.into_iter().map(|row| Step { client: 0, calls: vec![call(row, rng)] }).collect()
    }

    fn step(&self, rng: &mut Rng) -> Step {
        let client = rng.usize(..CLIENTS);
        if self.has_transactions && rng.u8(..25) == 0 {
            return Step { client, calls: self.transaction(rng) };
        }
        let together = if rng.u8(..8) == 0 { rng.usize(2..12) } else { 1 };
        let mut calls = vec![self.call(rng)];
        while calls.len() < together && !needs_a_step(calls.last().expect("one from the start")) {
            calls.push(self.call(rng));
        }
        if calls.len() > 1 {
            calls.retain(|call| !needs_a_step(call));
        }
        Step { client, calls }
    }

    /// Most are carried out.
    fn transaction(&self, rng: &mut Rng) -> Vec<Call> {
        let mut calls = vec![Call::of("MULTI")];
        for _ in 0..rng.u8(1..8) {
            let call = self.call(rng);
            if !needs_a_step(&call) {
                calls.push(call);
            }
        }
        calls.push(Call::of(if rng.u8(..8) == 0 { "DISCARD" } else { "EXEC" }));
        calls
    }

    fn call(&self, rng: &mut Rng) -> Call {
        loop {
            let lines = weighted(&self.families, rng);
            let line: &Sequence = weighted(lines, rng);
            let mut call = Call(expand(line, rng));
            if rng.u8(..8) == 0 {
                mutate(&mut call, rng);
            }
            if rng.u8(..100) == 0 {
                call.0.splice(0..0, [b"COMMAND".to_vec(), b"GETKEYS".to_vec()]);
            }
            if is_comparable(&call) {
                return call;
            }
        }
    }
}

fn config_set(name: &str, value: &str) -> Call {
    Call::of(&format!("CONFIG SET {name} {value}"))
}

fn weighted<'a, T>(all: &'a [(u32, T)], rng: &mut Rng) -> &'a T {
    let sum: u32 = all.iter().map(|(weight, _)| weight).sum();
    let mut at = rng.u32(..sum);
    for (weight, one) in all {
        match at.checked_sub(*weight) {
            None => return one,
            Some(rest) => at = rest,
        }
    }
    unreachable!("the number drawn is below the sum")
}

/// One thing that is not as the grammar says, seldom more.
fn mutate(call: &mut Call, rng: &mut Rng) {
    let args = &mut call.0;
    loop {
        let at = rng.usize(..args.len());
        match rng.u8(..8) {
            0 if at > 0 => drop(args.remove(at)),
            1 => args.truncate(at.max(1)),
            2 if at > 0 => args.insert(at, args[at].clone()),
            3 if at > 1 => args.swap(at, at - 1),
            4 => args.push(wild(rng)),
            5.. if at > 0 => args[at] = wild(rng),
            _ => continue,
        }
        if rng.u8(..4) > 0 {
            return;
        }
    }
}

/// The commands that a line may begin with, as COMMAND LIST names them.
fn names(line: &str) -> Vec<String> {
    let (first, second) = heads(line);
    let containers = ["object", "xgroup", "xinfo", "command"];
    let full = |name: &String| {
        let subs = second.iter().map(move |sub| format!("{name}|{sub}"));
        if containers.contains(&name.as_str()) { subs.collect() } else { vec![name.clone()] }
    };
    first.iter().flat_map(full).collect()
}

/// The first two words of a line, with all their alternatives.
fn heads(line: &str) -> (Vec<String>, Vec<String>) {
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_start();
        let (head, tail) = match rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            Some(parts) => parts,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        rest = tail;
        head.split('|').map(str::to_ascii_lowercase).collect::<Vec<_>>()
    };
    (next(), next())
}

/// All commands that the grammar makes, known or not.
pub fn all_names() -> BTreeSet<String> {
    FAMILIES.iter().flat_map(|lines| lines.iter()).flat_map(|(_, line)| names(line)).collect()
}
