//! Keyspace notifications: the events of every family's commands, in the order in which redis-server tells them.

use std::time::Duration;

use bobbin_proto::Version;

use crate::support::{Pair, same_replies};

/// Ends what one command has told.
const DONE: &[u8] = b"$9\r\nall-heard\r\n";

/// Replies without the byte that the protocol decides.
type Heard = Vec<String>;

fn shown(replies: Vec<Vec<u8>>) -> Heard {
    let text = |reply: Vec<u8>| {
        let text = String::from_utf8_lossy(&reply).into_owned();
        text.split("\r\n").skip(2).step_by(2).skip(2).collect::<Vec<_>>().join(" ")
    };
    replies.into_iter().map(text).collect()
}

/// The key that an event is about.
fn key_of(heard: &str) -> String {
    let (channel, payload) = heard.split_once(' ').unwrap_or_default();
    match channel.split_once(':') {
        Some((kind, key)) if kind.starts_with("__keyspace") => key.to_owned(),
        _ => payload.to_owned(),
    }
}

/// Runs a script on both, and compares what is heard after every line; `%` begins a key, and `;` stands between commands
/// of one line. With keys of one shard the order is Redis's; with keys of several it is, for each key.
#[track_caller]
fn same_events_with(directives: &[&str], script: &[&str]) {
    for (version, tag) in [(Version::Resp2, "{t}"), (Version::Resp3, "")] {
        let mut pair = Pair::start(directives, version);
        for listener in [1, 2] {
            pair.client(listener).same("PSUBSCRIBE __key*__:* done");
            pair.same_next();
        }
        for line in script {
            let line = line.replace('%', tag);
            pair.client(0);
            if let Some(ms) = line.strip_prefix("sleep ") {
                std::thread::sleep(Duration::from_millis(ms.parse().expect("milliseconds")));
                continue;
            }
            line.split(" ; ").for_each(|command| pair.same(command));
            pair.same("PUBLISH done all-heard");
            for listener in [1, 2] {
                let (bobbin, oracle) = pair.client(listener).next_until(DONE);
                let (mut bobbin, mut oracle) = (shown(bobbin), shown(oracle));
                if tag.is_empty() {
                    bobbin.sort_by_key(|heard| key_of(heard));
                    oracle.sort_by_key(|heard| key_of(heard));
                }
                assert_eq!(bobbin, oracle, "after {line}: bobbin, then redis");
            }
        }
    }
}

#[track_caller]
fn same_events(script: &[&str]) {
    same_events_with(&["--notify-keyspace-events", "KEA"], script);
}

#[test]
fn the_directive_is_shown_as_redis_shows_it() {
    same_replies(&[
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET notify-keyspace-events KEA",
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET notify-keyspace-events g$lshzxetdmn",
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET notify-keyspace-events tKl",
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET notify-keyspace-events Q",
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET notify-keyspace-events \"\"",
        "CONFIG GET notify-keyspace-events",
    ]);
}

#[test]
fn strings() {
    same_events(&[
        "SET %a 1",
        "SET %a 2 EX 100",
        "SET %a 2 NX",
        "SET %a 3 XX GET",
        "SET %a 3 KEEPTTL",
        "SETNX %b 1",
        "SETNX %b 1",
        "SETEX %a 100 v",
        "PSETEX %a 100000 v",
        "GETSET %a w",
        "GETEX %a EX 100",
        "GETEX %a PERSIST",
        "GETEX %a PERSIST",
        "GETEX %a PXAT 1",
        "GETEX %a",
        "GETDEL %b",
        "GETDEL %b",
        "MSET %a 1 %b 2 %c 3",
        "MSETNX %a 1 %d 2",
        "MSETNX %e 1 %f 2",
        "APPEND %a x",
        "APPEND %new x",
        "SETRANGE %a 3 xyz",
        "SETRANGE %none 0 \"\"",
        "SET %n 5",
        "INCR %n",
        "DECR %n",
        "INCRBY %n 5",
        "DECRBY %n 5",
        "INCRBYFLOAT %n 1.5",
        "LCS %a %b",
        "GET %a",
        "STRLEN %a",
    ]);
}

#[test]
fn bitmaps_and_hyperloglogs() {
    same_events(&[
        "SETBIT %a 7 1",
        "SETBIT %a 7 1",
        "BITFIELD %a SET u8 0 255 INCRBY u8 0 1 GET u8 0",
        "BITFIELD %a GET u8 0",
        "BITFIELD_RO %a GET u8 0",
        "BITOP NOT %b %a",
        "BITOP AND %c %a %b",
        "BITOP OR %c %none %none2",
        "BITOP OR %c %none %none2",
        "PFADD %h a b c",
        "PFADD %h a",
        "PFCOUNT %h",
        "PFCOUNT %h",
        "PFADD %i x",
        "PFMERGE %h %i",
        "PFMERGE %j",
        "PFCOUNT %h %i",
    ]);
}

#[test]
fn keys() {
    same_events(&[
        "SET %a 1",
        "SET %b 1",
        "DEL %a %b %none",
        "SET %a 1",
        "UNLINK %a",
        "SET %a 1",
        "EXPIRE %a 100",
        "EXPIRE %a 100 NX",
        "EXPIREAT %a 99999999999",
        "PEXPIRE %a 100000",
        "PEXPIREAT %a 9999999999999",
        "PERSIST %a",
        "PERSIST %a",
        "EXPIRE %a -1",
        "SET %a 1",
        "EXPIREAT %a 1",
        "SET %a 1",
        "RENAME %a %b",
        "SET %a 2",
        "RENAME %a %b",
        "RENAME %b %b",
        "SET %a 3",
        "RENAMENX %a %b",
        "RENAMENX %a %c",
        "COPY %b %d",
        "COPY %b %d",
        "COPY %b %d REPLACE",
        "COPY %b %e DB 1",
        "COPY %b %e DB 1",
        "MOVE %b 1",
        "MOVE %b 1",
        "TOUCH %c %d",
        "TYPE %c",
        "SELECT 1",
        "DEL %b",
        "SWAPDB 0 1",
        "FLUSHDB",
        "SET %a 1",
        "FLUSHALL",
    ]);
}

#[test]
fn dumped_and_sorted() {
    same_events(&[
        "RESTORE %a 0 \"\\x00\\x01x\\x0a\\x00\\x8e\\xb9\\xbc\\x24\\xb5\\x42\\xd6\\x13\"",
        "RPUSH %l 3 1 2",
        "SORT %l",
        "SORT %l STORE %m",
        "SORT %none STORE %m",
        "SORT %none STORE %m",
        "SET w_1 9",
        "SORT %l BY w_* STORE %m",
        "SORT %l GET w_* STORE %m",
    ]);
}

#[test]
fn lists() {
    same_events(&[
        "LPUSH %a 1 2 3",
        "RPUSH %a 4 5",
        "LPUSHX %a 0",
        "RPUSHX %none 0",
        "LINSERT %a BEFORE 3 x",
        "LINSERT %a BEFORE nothing x",
        "LSET %a 0 y",
        "LREM %a 0 x",
        "LREM %a 0 nothing",
        "LTRIM %a 1 3",
        "LTRIM %a 0 -1",
        "LPOP %a",
        "RPOP %a 5",
        "RPUSH %a 1 2 3 4",
        "LPOP %a 2",
        "LPOP %a 0",
        "LMOVE %a %b LEFT RIGHT",
        "RPOPLPUSH %a %b",
        "RPOPLPUSH %a %b",
        "LMOVE %b %b LEFT RIGHT",
        "BLMOVE %b %a LEFT RIGHT 0",
        "BRPOPLPUSH %b %a 0",
        "LMPOP 2 %none %a LEFT",
        "BLMPOP 0 2 %none %a RIGHT COUNT 5",
        "RPUSH %a 1 2 3",
        "BLPOP %none %a 0",
        "BRPOP %a %none 0",
        "LTRIM %a 5 6",
        "LRANGE %a 0 -1",
        "RPUSH %a 1 1",
        "LREM %a 0 1",
    ]);
}

#[test]
fn sets() {
    same_events(&[
        "SADD %a 1 2 3",
        "SADD %a 1",
        "SREM %a 1 9",
        "SREM %a 9",
        "SMOVE %a %b 2",
        "SMOVE %a %b 9",
        "SMOVE %a %b 3",
        "SADD %a 2 3",
        "SMOVE %a %b 2",
        "SMOVE %b %b 2",
        "SPOP %none",
        "SADD %one x",
        "SPOP %one",
        "SADD %one x",
        "SPOP %one 5",
        "SADD %two 1 2",
        "SPOP %two 2",
        "SPOP %two 0",
        "SADD %x 1 2 3",
        "SADD %y 2 3 4",
        "SINTERSTORE %z %x %y",
        "SUNIONSTORE %z %x %y",
        "SDIFFSTORE %z %x %y",
        "SDIFFSTORE %z %x %x",
        "SINTERSTORE %z %x %none",
        "SREM %x 1 2 3",
    ]);
}

#[test]
fn sorted_sets_and_geo() {
    same_events(&[
        "ZADD %a 1 x 2 y 3 z",
        "ZADD %a 1 x",
        "ZADD %a XX 5 none",
        "ZADD %a 9 x",
        "ZADD %a INCR 2 x",
        "ZADD %a NX INCR 2 x",
        "ZINCRBY %a 1 x",
        "ZREM %a x",
        "ZREM %a none",
        "ZREMRANGEBYRANK %a 0 0",
        "ZREMRANGEBYSCORE %a 100 200",
        "ZREMRANGEBYSCORE %a 0 200",
        "ZADD %a 0 a 0 b 0 c",
        "ZREMRANGEBYLEX %a [a [b",
        "ZADD %a 1 x 2 y 3 z 4 w",
        "ZPOPMIN %a",
        "ZPOPMAX %a 2",
        "ZPOPMIN %none",
        "BZPOPMIN %none %a 0",
        "ZADD %a 1 x 2 y 3 z 4 w",
        "ZMPOP 2 %none %a MIN",
        "BZPOPMAX %a 0",
        "BZMPOP 0 1 %a MAX COUNT 9",
        "ZADD %x 1 a 2 b",
        "ZADD %y 1 b 2 c",
        "ZUNIONSTORE %z 2 %x %y",
        "ZINTERSTORE %z 2 %x %y",
        "ZDIFFSTORE %z 2 %x %y",
        "ZDIFFSTORE %z 2 %x %x",
        "ZINTERSTORE %z 2 %x %none",
        "ZRANGESTORE %z %x 0 -1",
        "ZRANGESTORE %z %x 5 9",
        "ZRANGESTORE %z %none 5 9",
        "GEOADD %g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "GEOADD %g 13.361389 38.115556 Palermo",
        "GEOSEARCHSTORE %h %g FROMLONLAT 15 37 BYRADIUS 200 km",
        "GEOSEARCHSTORE %h %g FROMLONLAT 0 0 BYRADIUS 1 km",
        "GEORADIUS %g 15 37 200 km STORE %h",
        "GEORADIUSBYMEMBER %g Palermo 500 km STOREDIST %h",
    ]);
}

#[test]
fn hashes() {
    same_events(&[
        "HSET %a f 1 g 2",
        "HSET %a f 1",
        "HMSET %a f 1 h 3",
        "HSETNX %a f 1",
        "HSETNX %a i 1",
        "HINCRBY %a f 5",
        "HINCRBYFLOAT %a f 1.5",
        "HDEL %a f none",
        "HDEL %a none",
        "HGETALL %none",
        "HDEL %a g h i",
        "HSET %one f 1",
        "HDEL %one f",
    ]);
}

#[test]
fn streams() {
    same_events(&[
        "XADD %a 1-1 f v",
        "XADD %a NOMKSTREAM 2-1 f v",
        "XADD %none NOMKSTREAM 2-1 f v",
        "XADD %a MAXLEN = 2 3-1 f v",
        "XADD %a MINID = 3 4-1 f v",
        "XTRIM %a MAXLEN 1",
        "XTRIM %a MAXLEN 1",
        "XDEL %a 4-1",
        "XDEL %a 4-1",
        "XSETID %a 9-1",
        "XADD %a 10-1 f v",
        "XADD %a 11-1 f v",
        "XADD %a 12-1 f v",
        "XGROUP CREATE %a g 0",
        "XGROUP CREATE %new g $ MKSTREAM",
        "XGROUP CREATECONSUMER %a g c",
        "XGROUP CREATECONSUMER %a g c",
        "XGROUP SETID %a g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS %a >",
        "XREADGROUP GROUP g d COUNT 1 STREAMS %a >",
        "XREADGROUP GROUP g d STREAMS %a 0",
        "XACK %a g 10-1",
        "XCLAIM %a g e 0 11-1",
        "XAUTOCLAIM %a g f 0 0",
        "XGROUP DELCONSUMER %a g d",
        "XGROUP DELCONSUMER %a g nobody",
        "XGROUP DESTROY %a g",
        "XGROUP DESTROY %a g",
    ]);
}

#[test]
fn transactions_and_commands_that_wait() {
    same_events(&[
        "MULTI ; SET %a 1 ; RPUSH %l 1 2 ; LMOVE %l %m LEFT RIGHT ; DEL %a ; EXEC",
        "MULTI ; SET %a 1 ; DBSIZE ; RENAME %a %b ; MSET %a 1 %b 2 %c 3 ; EXEC",
    ]);
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(&["--notify-keyspace-events", "KEA"], version);
        pair.client(1).same("PSUBSCRIBE __keyspace*__:l");
        pair.client(2).send("BLPOP l 0");
        pair.until_blocked(1);
        pair.client(0).same("RPUSH l 1 2");
        pair.client(2).same_next();
        (0..2).for_each(|_| pair.client(1).same_next());
    }
}

#[test]
fn keys_whose_time_is_over() {
    let directives = ["--notify-keyspace-events", "KEAm", "--enable-debug-command", "yes"];
    same_events_with(
        &directives,
        &[
            "DEBUG SET-ACTIVE-EXPIRE 0",
            "MSET %a 1 %b 2 %c 3 %d 4 %e 5",
            "PEXPIRE %a 20",
            "PEXPIRE %b 20",
            "PEXPIRE %c 20",
            "PEXPIRE %d 20",
            "sleep 30",
            "GET %a",
            "GET %a",
            "SET %b 1",
            "EXISTS %c %c %none",
            "MGET %d %none %e",
            "DEL %none",
            "TTL %none",
            "TYPE %none",
            "HGET %none f",
            "LRANGE %none 0 -1",
            "OBJECT ENCODING %none",
            "LPUSHX %none 1",
            "SINTERCARD 2 %none %none2",
            "STRLEN %none",
            "SADD %s 1",
            "PEXPIRE %s 20",
            "SADD %r 2",
            "PEXPIRE %r 20",
            "sleep 30",
            "SUNIONSTORE %u %s %r",
            "SET %a 1 PX 20",
            "sleep 30",
            "RENAME %e %a",
            "SET %a 1 PX 20",
            "sleep 30",
            "APPEND %a x",
        ],
    );
    same_events_with(
        &["--notify-keyspace-events", "KEx"],
        &["SET %a 1 PX 20", "sleep 300", "PING", "SET %b 1", "DEL %b", "EXPIRE %none 1"],
    );
}

#[test]
fn only_what_is_asked_for_is_told() {
    for flags in ["Kg", "E$", "KEl", "K", "A", "KEt", "KEAm"] {
        same_events_with(
            &["--notify-keyspace-events", flags],
            &["SET %a 1 EX 100", "GET %none", "RPUSH %l 1", "LPOP %l", "DEL %a", "XADD %s 1-1 f v"],
        );
    }
    same_events_with(
        &[],
        &[
            "SET %a 1",
            "CONFIG SET notify-keyspace-events KEA",
            "SET %a 1",
            "DEL %a",
            "CONFIG SET notify-keyspace-events \"\"",
            "SET %a 1",
        ],
    );
}
