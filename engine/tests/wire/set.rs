//! Sets, beside redis-server, as intsets, packed and as tables.
//!
//! redis-server 7.0 has no packed sets and answers members in the order of its own hash: where the order is not that
//! of integers, replies are compared as sets.

use std::collections::BTreeSet;

use bobbin_proto::{Value, Version, decode};

use crate::support::{Client, Pair, bobbin, bobbin_with, same_replies_with};

/// What makes every set a table from the first member on.
const ALWAYS_TABLE: &[&str] =
    &["--enable-debug-command", "yes", "--set-max-intset-entries", "0", "--set-max-listpack-entries", "0"];
/// Without what redis-server 7.0 does not know.
const ORACLE_ALWAYS_TABLE: &[&str] = ALWAYS_TABLE.split_at(4).0;
const SMALL: &[&str] = ALWAYS_TABLE.split_at(2).0;

/// The same replies as redis-server's up to the order of members, whatever the encoding.
#[track_caller]
fn same_in_all_encodings(script: &[&str]) {
    for (directives, oracle_directives) in [(SMALL, SMALL), (ALWAYS_TABLE, ORACLE_ALWAYS_TABLE)] {
        for version in [Version::Resp2, Version::Resp3] {
            let mut pair = Pair::start_each(directives, oracle_directives, version);
            script.iter().for_each(|line| same_unordered(&mut pair, line));
        }
    }
}

/// Runs a command line on both; the replies must be equal up to the order of an array or set.
#[track_caller]
fn same_unordered(pair: &mut Pair, line: &str) {
    let (bobbin, oracle) = pair.both(line);
    assert_eq!(
        sorted(&bobbin),
        sorted(&oracle),
        "{line}\n   redis: {}\n  bobbin: {}",
        oracle.escape_ascii(),
        bobbin.escape_ascii()
    );
}

/// The reply's kind and length, and its elements sorted.
fn sorted(reply: &[u8]) -> (Vec<u8>, Vec<String>) {
    let head = reply.split(|&byte| byte == b'\r').next().unwrap_or_default().to_vec();
    let value = decode::decode(reply).expect("a whole reply").expect("a reply").0;
    let mut elements: Vec<String> = match value {
        Value::Array(elements) | Value::Set(elements) => elements.iter().map(flat).collect(),
        other => return (reply.to_vec(), vec![flat(&other)]),
    };
    elements.sort();
    (head, elements)
}

/// A reply as text, inner arrays sorted.
fn flat(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<String> = elements.iter().map(flat).collect();
            elements.sort();
            format!("{elements:?}")
        }
        other => format!("{other:?}"),
    }
}

fn members(reply: Value) -> Vec<Vec<u8>> {
    let (Value::Array(members) | Value::Set(members)) = reply else { panic!("{reply:?} is no collection") };
    members.into_iter().map(bulk).collect()
}

fn bulk(value: Value) -> Vec<u8> {
    if let Value::Bulk(bytes) = value { bytes } else { panic!("{value:?} is no bulk") }
}

/// `SADD key prefix0 prefix1 ...`, in requests of bounded size.
fn fill(client: &mut Client, key: &str, prefix: &str, numbers: std::ops::Range<usize>) {
    let numbers: Vec<usize> = numbers.collect();
    for chunk in numbers.chunks(1000) {
        let mut command = vec!["SADD".to_owned(), key.to_owned()];
        command.extend(chunk.iter().map(|number| format!("{prefix}{number}")));
        client.call(&command);
    }
}

#[test]
fn adding_removing_and_reading() {
    same_in_all_encodings(&[
        "SADD",
        "SADD s",
        "SADD s 3 1 2",
        "SADD s 2 3 4 4",
        "SMEMBERS s",
        "SADD s -1 40000 -40000 3000000000 9223372036854775807 -9223372036854775808",
        "SMEMBERS s",
        "SISMEMBER s 1",
        "SISMEMBER s 01",
        "SISMEMBER s 9223372036854775808",
        "SISMEMBER s 9223372036854775807",
        "SISMEMBER s a",
        "SADD s a 01 -0 9223372036854775808",
        r#"SADD s "" "\x00\xff" "\r\n" " 1""#,
        "SMEMBERS s",
        "SCARD s",
        "SISMEMBER s a",
        "SISMEMBER s 1",
        "SISMEMBER s 01",
        "SISMEMBER s -0",
        r#"SISMEMBER s """#,
        "SISMEMBER s",
        "SISMEMBER s 1 2",
        "SMISMEMBER s 1 a nobody 01 1",
        "SMISMEMBER s",
        "SMISMEMBER missing 1 2",
        "SISMEMBER missing 1",
        "SCARD missing",
        "SCARD",
        "SMEMBERS missing",
        "SMEMBERS",
        "SREM s",
        "SREM s nobody",
        "SREM s 1 1 a nobody",
        "SREM missing 1",
        "SMEMBERS s",
        "TYPE s",
        "SADD e x",
        "EXPIRE e 100",
        "SADD e y",
        "TTL e",
        "SREM e x y z",
        "EXISTS e",
        "SADD i 1 2",
        "SREM i 2 1 1",
        "EXISTS i",
        "SET str v",
        "SADD str 1",
        "SREM str 1",
        "SISMEMBER str 1",
        "SMISMEMBER str 1",
        "SCARD str",
        "SMEMBERS str",
        "GET s",
        "APPEND s x",
        "LPUSH s x",
        "HSET s f v",
        "ZADD s 1 x",
        "OBJECT REFCOUNT s",
        "COPY s t",
        "SMEMBERS t",
        "RENAME t u",
        "SMEMBERS u",
        "DEBUG DIGEST",
        "DEBUG DIGEST-VALUE s u i",
    ]);
}

/// `{a}` and `b` are on different shards, most likely; `{a}s` and `{a}t` on one.
#[test]
fn moving() {
    same_in_all_encodings(&[
        "SADD {a}s 1 2 3 x",
        "SMOVE {a}s {a}t 1",
        "SMOVE {a}s b x",
        "SMOVE {a}s b nobody",
        "SMOVE {a}s {a}s 2",
        "SMOVE {a}s {a}s nobody",
        "SMEMBERS {a}s",
        "SMEMBERS {a}t",
        "SMEMBERS b",
        "SADD b 2",
        "SMOVE {a}s b 2",
        "SMOVE {a}s b 3",
        "EXISTS {a}s",
        "SMEMBERS b",
        "SMOVE {a}s b 3",
        "SMOVE missing b 3",
        "SET str v",
        "SMOVE missing str 3",
        "SMOVE b str 3",
        "SMOVE b str nobody",
        "SMOVE str b 3",
        "SMOVE str str 3",
        "SMOVE b missing nobody",
        "EXISTS missing",
        "SMOVE one b",
        "SADD one x",
        "SMOVE one one x",
        "SMOVE one two x",
        "EXISTS one",
        "SMEMBERS two",
    ]);
}

#[test]
fn combining() {
    same_in_all_encodings(&[
        "SADD a 1 2 3 4 5",
        "SADD b 4 5 6 x",
        "SADD {c}c 5 4 y x",
        "SADD big 1 2 3 4 5 6 7 8 9 10 x y z",
        "SINTER a",
        "SINTER a b",
        "SINTER a b {c}c",
        "SINTER b {c}c big",
        "SINTER a a",
        "SINTER b b b",
        "SINTER a missing",
        "SINTER missing",
        "SINTER",
        "SUNION a",
        "SUNION a b",
        "SUNION a a",
        "SUNION a b {c}c missing",
        "SUNION missing",
        "SUNION missing missing2",
        "SUNION",
        "SDIFF a",
        "SDIFF a b",
        "SDIFF big a b",
        "SDIFF big a b {c}c missing a b a b",
        "SDIFF a b a",
        "SDIFF a a",
        "SDIFF missing a",
        "SDIFF a missing",
        "SDIFF",
        "SINTERCARD 1 a",
        "SINTERCARD 2 a b",
        "SINTERCARD 3 a b {c}c LIMIT 1",
        "SINTERCARD 2 a b LIMIT 0",
        "SINTERCARD 2 a b LIMIT 100",
        "SINTERCARD 2 a b limit 1 LIMIT 2",
        "SINTERCARD 2 a b LIMIT -1",
        "SINTERCARD 2 a b LIMIT x",
        "SINTERCARD 2 a b LIMIT",
        "SINTERCARD 2 a b LIMITS 1",
        "SINTERCARD 2 a missing",
        "SINTERCARD 0 a",
        "SINTERCARD -1 a",
        "SINTERCARD x a",
        "SINTERCARD 3 a b",
        "SINTERCARD 9223372036854775807 a b",
        "SINTERCARD 1",
        "SINTERSTORE to a b",
        "SMEMBERS to",
        "SINTERSTORE to a",
        "SMEMBERS to",
        "SINTERSTORE to a missing",
        "EXISTS to",
        "SINTERSTORE to missing",
        "SINTERSTORE to",
        "SUNIONSTORE to a b {c}c",
        "SMEMBERS to",
        "SUNIONSTORE to missing",
        "EXISTS to",
        "SUNIONSTORE to",
        "SDIFFSTORE to big a b",
        "SMEMBERS to",
        "SDIFFSTORE to a a",
        "EXISTS to",
        "SDIFFSTORE to missing a",
        "SET to v EX 100",
        "SUNIONSTORE to a b",
        "TTL to",
        "SUNIONSTORE a a b",
        "SMEMBERS a",
        "SDIFFSTORE a a b",
        "SMEMBERS a",
        "SINTERSTORE a a big",
        "SMEMBERS a",
        "SET str v",
        "SINTER a str",
        "SINTER str a",
        "SINTER missing str",
        "SUNION a str",
        "SDIFF a str",
        "SDIFF missing str",
        "SINTERCARD 2 missing str",
        "SINTERSTORE to a str",
        "SUNIONSTORE to str",
        "SDIFFSTORE to missing str",
        "SMEMBERS to",
        "SUNIONSTORE str a",
        "TYPE str",
        "SINTERSTORE str missing",
        "EXISTS str",
    ]);
}

/// Sorted sets are combined with sets, whose members score 1.
#[test]
fn sets_among_sorted_sets() {
    same_in_all_encodings(&[
        "SADD s 1 2 x y",
        "SADD ints 1 2 3",
        "ZADD z 5 x 6 z 0.5 1",
        "ZUNION 2 s z WITHSCORES",
        "ZUNION 3 s z ints WEIGHTS 2 1 0.5 WITHSCORES",
        "ZUNION 2 z s AGGREGATE MAX WITHSCORES",
        "ZUNION 1 s WITHSCORES",
        "ZINTER 2 s z WITHSCORES",
        "ZINTER 2 z s WEIGHTS 3 inf AGGREGATE MIN WITHSCORES",
        "ZINTER 2 s ints WITHSCORES",
        "ZINTER 2 s missing",
        "ZDIFF 2 s z WITHSCORES",
        "ZDIFF 2 z s WITHSCORES",
        "ZDIFF 2 s s",
        "ZINTERCARD 2 s z",
        "ZINTERCARD 2 s ints LIMIT 1",
        "ZUNIONSTORE to 2 s z WEIGHTS 2 3",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZINTERSTORE to 2 s z",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZDIFFSTORE to 2 s z",
        "ZRANGE to 0 -1 WITHSCORES",
        "ZUNIONSTORE s 1 s",
        "TYPE s",
        "SINTER z ints",
        "ZRANGESTORE to ints 0 -1",
        "LPUSH l x",
        "ZUNION 2 ints l",
        "ZUNION 2 l ints",
    ]);
}

/// A set of one member has no order, and no choice.
#[test]
fn popping_and_random_members() {
    same_in_all_encodings(&[
        "SADD s a",
        "SRANDMEMBER s",
        "SRANDMEMBER s 1",
        "SRANDMEMBER s 5",
        "SRANDMEMBER s -3",
        "SRANDMEMBER s 0",
        "SRANDMEMBER s x",
        "SRANDMEMBER s 1 2",
        "SRANDMEMBER s x y",
        "SRANDMEMBER s -9223372036854775808",
        "SRANDMEMBER s 9223372036854775807",
        "SRANDMEMBER s 9223372036854775808",
        "SRANDMEMBER missing",
        "SRANDMEMBER missing 3",
        "SRANDMEMBER missing -3",
        "SRANDMEMBER missing x",
        "SRANDMEMBER",
        "SPOP s 0",
        "SPOP s -1",
        "SPOP s x",
        "SPOP s 1 2",
        "SPOP s x y",
        "SPOP",
        "SPOP s",
        "EXISTS s",
        "SPOP s",
        "SPOP s 3",
        "SPOP missing 0",
        "SPOP missing -1",
        "SADD s 1 2 3",
        "SPOP s 9223372036854775807",
        "EXISTS s",
        "SADD s 1 2 b",
        "SRANDMEMBER s 3",
        "SRANDMEMBER s 100",
        "SPOP s 3",
        "EXISTS s",
        "SET str v",
        "SPOP str",
        "SPOP str 1",
        "SPOP str 0",
        "SPOP str -1",
        "SRANDMEMBER str",
        "SRANDMEMBER str 1",
        "SRANDMEMBER str 0",
    ]);
}

#[test]
fn walking() {
    same_in_all_encodings(&[
        "SADD s a b 12 -5",
        "SSCAN s 0 COUNT 100",
        "SSCAN s 0 MATCH * COUNT 100",
        "SSCAN s 0 COUNT 100 MATCH 1*",
        "SSCAN s 0 MATCH z* COUNT 100",
        "SADD i 1 2 3",
        "SSCAN i 0",
        "SSCAN i 0 MATCH 2",
        "SSCAN s 0 COUNT 0",
        "SSCAN s 0 COUNT x",
        "SSCAN s 0 COUNT -1",
        "SSCAN s 0 COUNT",
        "SSCAN s 0 MATCH",
        "SSCAN s 0 TYPE set",
        "SSCAN s 0 NOVALUES",
        "SSCAN s x",
        "SSCAN s",
        "SSCAN missing 0",
        "SSCAN missing 5 COUNT x",
        "SSCAN missing x",
        "SET str v",
        "SSCAN str 0",
        "SSCAN str x",
    ]);
}

/// Where only integers were put in, the order is theirs, and the encoding redis-server's.
#[test]
fn sets_of_integers_are_in_order() {
    let mut script: Vec<String> = (0..500).map(|n| format!("SADD i {}", (n * 7919) % 1013 - 500)).collect();
    script.extend(
        [
            "OBJECT ENCODING i",
            "SMEMBERS i",
            "SADD j 10000000 -7 3 40000",
            "SUNION i j",
            "SINTER i j",
            "SDIFF i j",
            "SUNIONSTORE k i j",
            "OBJECT ENCODING k",
            "SINTERSTORE k j i",
            "OBJECT ENCODING k",
            "SMEMBERS k",
            "SSCAN i 0",
            "SADD i 2001 2002 2003 2004 2005 2006 2007 2008 2009 2010 2011 2012",
            "OBJECT ENCODING i",
            "SADD i 99999",
            "OBJECT ENCODING i",
            "SREM i 99999",
            "OBJECT ENCODING i",
            "COPY j l",
            "OBJECT ENCODING l",
            "CONFIG SET set-max-intset-entries 3",
            "SADD j 3",
            "OBJECT ENCODING j",
            "SADD j 5",
            "OBJECT ENCODING j",
            "SADD m 1 2 3",
            "OBJECT ENCODING m",
        ]
        .map(String::from),
    );
    same_replies_with(&[], &script);
}

/// The conversions of Redis 7.2, from its source.
#[test]
fn encodings_follow_the_directives() {
    let server = bobbin();
    let mut client = server.connect();
    let long = "x".repeat(65);
    let mut is = |line: &str, key: &str, encoding: &str| {
        client.run(line);
        assert_eq!(client.run(&format!("OBJECT ENCODING {key}")), Value::Bulk(encoding.into()), "{line}");
    };
    is("SADD a 1 2 3", "a", "intset");
    is("SADD a x", "a", "listpack");
    is("SREM a x", "a", "listpack");
    is(&format!("SADD a {}", &long[1..]), "a", "listpack");
    is(&format!("SADD a {long}"), "a", "hashtable");
    is(&format!("SREM a {long}"), "a", "hashtable");
    is("SADD b x 1 2", "b", "listpack");
    is("SPOP b 2", "b", "listpack");
    is(&format!("SADD c {long}"), "c", "hashtable");
    is(&format!("SADD d 1 {long}"), "d", "hashtable");

    let numbers = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let names = |range: std::ops::Range<usize>| range.map(|n| format!("m{n}")).collect::<Vec<_>>().join(" ");
    is(&format!("SADD i {}", numbers(0..512)), "i", "intset");
    is("SADD i 512", "i", "hashtable");
    // So many were announced, although they are fewer.
    is(&format!("SADD j {}", "1 ".repeat(513)), "j", "hashtable");
    is("SADD k 1", "k", "intset");
    is(&format!("SADD k {}", "1 ".repeat(513)), "k", "hashtable");
    is(&format!("SADD l {}", names(0..128)), "l", "listpack");
    is("SADD l m0", "l", "listpack");
    is("SADD l m128", "l", "hashtable");
    is(&format!("SADD m {}", "x ".repeat(129)), "m", "hashtable");
    is("SADD n x", "n", "listpack");
    is(&format!("SADD n {}", "x ".repeat(129)), "n", "hashtable");
    is(&format!("SADD o {}", numbers(0..127)), "o", "intset");
    is("SADD o x", "o", "listpack");
    is(&format!("SADD p {}", numbers(0..128)), "p", "intset");
    is("SADD p x", "p", "hashtable");
    // Many numbers, begun with a text.
    is(&format!("SADD q x {}", numbers(0..128)), "q", "hashtable");

    is("SUNIONSTORE to o a", "to", "hashtable");
    is("SINTERSTORE to a k", "to", "intset");
    is("SADD r m0 m1 7", "r", "listpack");
    is("SINTERSTORE to l r", "to", "listpack");
    is("SDIFFSTORE to l r", "to", "listpack");
    is("SUNIONSTORE to i i", "to", "hashtable");
    is("SDIFFSTORE to p o", "to", "intset");
    is("SDIFFSTORE to i p", "to", "intset");

    // Most of a table popped: what stays is packed again, as is what a destination is given.
    is(&format!("SADD s {}", names(0..300)), "s", "hashtable");
    is("SPOP s 200", "s", "hashtable");
    is("SPOP s 90", "s", "listpack");

    is("CONFIG SET set-max-listpack-entries 2", "r", "listpack");
    is("SADD r 7 m0", "r", "listpack");
    is("SADD r m3", "r", "hashtable");
    is("SADD t x y", "t", "listpack");
    is("SADD u x y z", "u", "hashtable");
    is("CONFIG SET set-max-listpack-value 3", "t", "listpack");
    is("SADD v 12345", "v", "intset");
    is("SADD v x", "v", "hashtable");
    is("SADD w long", "w", "hashtable");
    is("CONFIG SET set-max-intset-entries 0", "to", "intset");
    is("SADD y 1", "y", "listpack");
}

/// A scan of a large set in steps of any size meets every member once.
#[test]
fn a_scan_meets_every_member() {
    let server = bobbin_with(ALWAYS_TABLE);
    let mut client = server.connect();
    fill(&mut client, "s", "member:", 0..2000);
    for count in [1, 10, 333, 100_000] {
        let (mut met, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let Value::Array(page) = client.run(&format!("SSCAN s {cursor} COUNT {count}")) else {
                panic!("a page is an array")
            };
            let Ok([next, found]) = <[Value; 2]>::try_from(page) else { panic!("cursor and members") };
            let found = members(found);
            assert!(found.len() <= count);
            met.extend(found);
            cursor = String::from_utf8(bulk(next)).expect("digits");
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(met.len(), 2000);
        assert_eq!(met.into_iter().collect::<BTreeSet<_>>().len(), 2000);
    }
}

/// Random members are all different, or where repetition is asked for, all met.
#[test]
fn random_members() {
    for (directives, prefix) in [(SMALL, ""), (SMALL, "m"), (ALWAYS_TABLE, "m")] {
        let server = bobbin_with(directives);
        let mut client = server.connect();
        fill(&mut client, "s", prefix, 0..100);
        for count in [1, 50, 99, 100, 200] {
            let found = members(client.run(&format!("SRANDMEMBER s {count}")));
            assert_eq!(found.len(), count.min(100));
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), count.min(100));
        }
        let found = members(client.run("SRANDMEMBER s -3000"));
        assert_eq!(found.len(), 3000);
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), 100);
        let error = client.call_raw(&["SRANDMEMBER", "s", "-9223372036854775807"]);
        assert_eq!(error, b"-ERR value is out of range\r\n");
    }
}

/// What is popped is what is gone, whichever part of the set it is.
#[test]
fn popped_members_are_those_that_go() {
    for (directives, prefix) in [(SMALL, ""), (SMALL, "m"), (ALWAYS_TABLE, ""), (ALWAYS_TABLE, "m")] {
        let server = bobbin_with(directives);
        let mut client = server.connect();
        for count in [1, 2, 50, 82, 84, 97, 98, 99, 100, 1000] {
            client.run("DEL s");
            fill(&mut client, "s", prefix, 0..100);
            let mut popped = members(client.run(&format!("SPOP s {count}")));
            assert_eq!(popped.len(), count.min(100));
            let left = members(client.run("SMEMBERS s"));
            assert_eq!(client.run("SCARD s"), Value::Int(left.len() as i64));
            popped.extend(left);
            let all: BTreeSet<_> = (0..100).map(|n| format!("{prefix}{n}").into_bytes()).collect();
            assert_eq!(popped.len(), 100);
            assert_eq!(popped.into_iter().collect::<BTreeSet<_>>(), all);
        }
        assert_eq!(client.run("EXISTS s"), Value::Int(0));
        fill(&mut client, "s", prefix, 0..100);
        let one_by_one: BTreeSet<_> = (0..100).map(|_| bulk(client.run("SPOP s"))).collect();
        assert_eq!(one_by_one.len(), 100);
        assert_eq!(client.run("EXISTS s"), Value::Int(0));
    }
}

/// A random command over a few keys on both shards.
fn random_change(rng: &mut fastrand::Rng, step: usize) -> String {
    let [key, other, third] = std::array::from_fn(|_| format!("k{}", rng.u32(0..6)));
    let [member, another] = std::array::from_fn(|_| match rng.u32(0..4) {
        0 => format!("m{}", rng.u32(0..200)),
        1 => rng.i64(..).to_string(),
        _ => rng.i32(-300..300).to_string(),
    });
    match rng.u32(0..40) {
        0..12 => format!("SADD {key} {member} {another}"),
        12..15 => format!("SADD {key} {} {}", rng.i32(0..200), rng.i32(0..200)),
        15..20 => format!("SREM {key} {member} {another}"),
        20..23 => format!("SMOVE {key} {other} {member}"),
        23 => format!("SUNIONSTORE {key} {other} {third}"),
        24 => format!("SINTERSTORE {key} {other} {third}"),
        25 => format!("SDIFFSTORE {key} {other} {third}"),
        26 => format!("SUNION {key} {other} {third}"),
        27 => format!("SINTER {key} {other}"),
        28 => format!("SDIFF {key} {other} {third} missing {other}"),
        29 => format!("SDIFF {key} {other}"),
        30 => format!("SINTERCARD 2 {key} {other}"),
        31 => format!("SMISMEMBER {key} {member} {another}"),
        32 => format!("SCARD {key}"),
        33 => format!("COPY {key} {other} REPLACE"),
        34 if step.is_multiple_of(7) => format!("SPOP {key} 10000"),
        35 => format!("ZUNION 2 {key} {other} WITHSCORES"),
        36 => format!("SADD {key} {}", (0..150).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")),
        _ => format!("SISMEMBER {key} {member}"),
    }
}

/// Thousands of random changes and combinations on both servers, over thresholds and shards.
#[test]
fn random_changes_leave_the_same_sets() {
    for (directives, oracle_directives) in [(SMALL, SMALL), (ALWAYS_TABLE, ORACLE_ALWAYS_TABLE)] {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::start_each(directives, oracle_directives, Version::Resp3);
        for step in 0..4000 {
            let line = random_change(&mut rng, step);
            same_unordered(&mut pair, &line);
            if step % 500 == 0 {
                same_unordered(&mut pair, "DEBUG DIGEST");
            }
        }
        (0..6).for_each(|n| same_unordered(&mut pair, &format!("SMEMBERS k{n}")));
    }
}

/// SDIFF looks members up, or strikes them out, whichever is less work: both leave the same.
#[test]
fn both_ways_to_a_difference_lead_there() {
    for directives in [SMALL, ALWAYS_TABLE] {
        let server = bobbin_with(directives);
        let mut client = server.connect();
        fill(&mut client, "first", "", 0..100);
        fill(&mut client, "large", "", 50..1000);
        let expected: BTreeSet<_> = (0..100).filter(|n| ![1, 20, 77].contains(n)).collect();
        client.run("SADD x 1 5000");
        client.run("SADD y 20 a");
        client.run("SADD z 77");
        let numbers = |reply| {
            let texts = members(reply).into_iter().map(|text| String::from_utf8(text).expect("digits"));
            texts.map(|text| text.parse().expect("a number")).collect::<Vec<usize>>()
        };
        let struck = numbers(client.run("SDIFF first x y z x y z"));
        assert_eq!(struck.len(), expected.len());
        assert_eq!(struck.into_iter().collect::<BTreeSet<_>>(), expected);
        let looked_up = numbers(client.run("SDIFF first large"));
        assert_eq!(looked_up.into_iter().collect::<BTreeSet<_>>(), (0..50).collect());
        assert_eq!(numbers(client.run("SDIFF x first large first")), [5000]);
        assert_eq!(members(client.run("SDIFF z first x y")).len(), 0);
    }
}

#[test]
fn expired_sets_are_gone() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for line in ["SADD s 1", "PEXPIRE s 1"] {
        pair.same(line);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    for line in ["SCARD s", "SADD s 2", "TTL s", "SMEMBERS s", "PEXPIRE s 1"] {
        pair.same(line);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    for line in
        ["SUNIONSTORE to s", "EXISTS to", "SPOP s", "SADD t 5", "SMOVE s t 2", "SMOVE t s 5", "SMEMBERS s"]
    {
        pair.same(line);
    }
}
