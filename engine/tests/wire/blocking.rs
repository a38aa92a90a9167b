//! Commands that wait: on one shard, on several, for clients of both reactors.

use std::time::Duration;

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin, same_replies};

/// Pairs of keys on one shard and on two.
const PAIRS: [[&str; 2]; 4] = [["{t}a", "{t}b"], ["{u}a", "{u}b"], ["a", "b"], ["b", "c"]];

#[test]
fn what_is_there_is_served_at_once() {
    for [a, b] in PAIRS {
        same_replies(&[
            format!("RPUSH {a} 1 2 3 4 5 6 7 8"),
            format!("BLPOP {a} 0"),
            format!("BLPOP {b} {a} 0"),
            format!("BRPOP {b} {a} {b} 1.5"),
            format!("BLMOVE {a} {b} LEFT RIGHT 0"),
            format!("BRPOPLPUSH {a} {b} 0"),
            format!("BLMPOP 0 2 {b} {a} LEFT COUNT 10"),
            "BLMPOP 0.01 1 missing RIGHT".to_owned(),
            "BLPOP missing missing2 0.01".to_owned(),
            "BRPOP missing 0.001".to_owned(),
            format!("BLMOVE missing {b} LEFT RIGHT 0.01"),
            format!("BRPOPLPUSH missing {b} 0.01"),
            "BZPOPMIN missing 0.01".to_owned(),
            format!("BZMPOP 0.01 2 missing {b} MIN"),
            format!("DEL {a} {b}"),
            format!("ZADD {b} 1 x 2 y 3 z 2.5 w"),
            format!("BZPOPMIN {a} {b} 0"),
            format!("BZPOPMAX {a} {b} 0"),
            format!("BZMPOP 0 2 {a} {b} MAX COUNT 5"),
            format!("XADD {a} 1-1 f v"),
            format!("XREAD BLOCK 0 STREAMS {a} {b} 0 0"),
            format!("XREAD BLOCK 5 STREAMS {a} {b} $ 0"),
            format!("XREAD BLOCK 5 COUNT 1 STREAMS {a} 5-5"),
        ]);
    }
}

#[test]
fn errors_and_their_precedence_are_those_of_redis() {
    same_replies(&[
        "SET s text",
        "BLPOP",
        "BLPOP a",
        "BLPOP a x",
        "BLPOP a -1",
        "BLPOP a -0.5",
        "BLPOP a 1e400",
        "BLPOP a nan",
        "BLPOP a inf",
        "BLPOP a \"\"",
        "BLPOP s x",
        "BLPOP s 0",
        "BLPOP missing s 0",
        "BRPOP s a 0",
        "BLMOVE a b LEFT x 0",
        "BLMOVE a b LEFT RIGHT x",
        "BLMOVE s b LEFT RIGHT 0",
        "BLMOVE a s LEFT RIGHT 0.01",
        "RPUSH l 1",
        "BLMOVE l s LEFT RIGHT 0",
        "LLEN l",
        "BRPOPLPUSH a b -1",
        "BLMPOP x 0 a LEFT",
        "BLMPOP 0 0 a LEFT",
        "BLMPOP -1 1 a LEFT",
        "BLMPOP x 1 a LEFT",
        "BLMPOP 0 1 a UP",
        "BLMPOP 0 2 a LEFT",
        "BLMPOP 0 1 a LEFT COUNT 0",
        "BLMPOP 0 1 s LEFT",
        "BZPOPMIN s 0",
        "BZPOPMIN a -1",
        "BZMPOP 0 1 s MIN",
        "BZMPOP 0 1 a LEFT",
        "XREAD BLOCK x STREAMS a 0",
        "XREAD BLOCK -1 STREAMS a 0",
        "XREAD BLOCK 0 STREAMS s 0",
        "WAIT a b",
        "WAIT 1 b",
        "WAIT 1 -1",
        "WAIT 1 9223372036854775808",
        "WAIT 0 0",
        "WAIT -1 5",
        "WAIT 1 5",
        "CLIENT UNBLOCK",
        "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK 99999",
        "CLIENT UNBLOCK 99999 TIMEOUT",
        "CLIENT UNBLOCK 99999 FOO",
        "CLIENT UNBLOCK -1",
    ]);
}

#[test]
fn nothing_waits_in_a_transaction() {
    for [a, b] in PAIRS {
        same_replies(&[
            "MULTI".to_owned(),
            format!("BLPOP {a} {b} 0"),
            format!("BLMOVE {a} {b} LEFT RIGHT 0"),
            format!("BZPOPMIN {a} 0"),
            format!("BLMPOP 0 2 {a} {b} LEFT"),
            format!("XREAD BLOCK 0 STREAMS {a} {b} $ $"),
            format!("RPUSH {a} x"),
            format!("BRPOPLPUSH {a} {b} 0"),
            "WAIT 1 0".to_owned(),
            "EXEC".to_owned(),
            "MULTI".to_owned(),
            "DBSIZE".to_owned(),
            format!("BLPOP {a} missing 0"),
            "WAIT 1 0".to_owned(),
            "EXEC".to_owned(),
        ]);
    }
}

/// A command waits, another client does something, and what comes of it is what comes of it in Redis.
#[test]
fn waits_end_as_in_redis() {
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(&[], version);
        (0..3).for_each(|client| pair.client(client).same("PING"));
        for [a, b] in PAIRS {
            for (wait, deed) in [
                (format!("BLPOP {a} 0"), format!("RPUSH {a} 1 2 3")),
                (format!("BLPOP {b} {a} 0"), format!("LPUSH {a} 1 2 3")),
                (format!("BRPOP {a} {b} 0"), format!("RPUSH {b} 1 2 3")),
                (format!("BLPOP {a} {b} 0"), format!("RENAME list {b}")),
                (format!("BLPOP {a} {b} 0"), format!("COPY list {b}")),
                (format!("BLPOP {a} {b} 0"), format!("LMOVE list {b} LEFT RIGHT")),
                (format!("BLMOVE {a} {b} LEFT RIGHT 0"), format!("RPUSH {a} 1 2")),
                (format!("BLMOVE {a} string LEFT RIGHT 0"), format!("RPUSH {a} 1 2")),
                (format!("BRPOPLPUSH {a} {a} 0"), format!("RPUSH {a} 1 2")),
                (format!("BLMPOP 0 2 {a} {b} RIGHT COUNT 2"), format!("RPUSH {b} 1 2 3")),
                (format!("BZPOPMIN {a} {b} 0"), format!("ZADD {b} 2 x 1 y")),
                (format!("BZPOPMAX {a} {b} 0"), format!("ZADD {b} 2 x 1 y")),
                (format!("BZMPOP 0 2 {a} {b} MIN COUNT 5"), format!("ZUNIONSTORE {b} 1 zset")),
                (format!("XREAD BLOCK 0 STREAMS {a} {b} $ $"), format!("XADD {b} 9-9 f v")),
                (format!("XREAD BLOCK 0 COUNT 1 STREAMS {a} {b} 5-5 $"), format!("XADD {a} 9-9 f v")),
                (format!("BLPOP {a} {b} 0"), "SWAPDB 0 3".to_owned()),
            ] {
                pair.client(0).same("FLUSHALL");
                pair.same(&format!("MOVE {a} 3"));
                pair.same("RPUSH list e1 e2");
                pair.same("SET string x");
                pair.same("ZADD zset 1 m 2 n");
                pair.client(2).same("SELECT 3");
                pair.same(&format!("RPUSH {b} from-three"));
                pair.same("SELECT 0");
                pair.client(1).send(&wait);
                pair.until_blocked(1);
                // What does not end the wait.
                pair.client(0).same(&format!("SET {a} text"));
                pair.same(&format!("DEL {a}"));
                pair.client(2).same(&deed);
                pair.client(1).same_next();
                pair.same("PING");
                for key in [a, b, "list", "string"] {
                    pair.client(0).same(&format!("TYPE {key}"));
                    pair.same(&format!("LRANGE {key} 0 -1"));
                    pair.same(&format!("ZRANGE {key} 0 -1"));
                }
            }
        }
    }
}

/// Members of a group that wait get each entry once, the longest wait first, and learn that their group is gone.
#[test]
fn members_of_a_group_wait_for_entries() {
    for [a, b] in PAIRS {
        let mut pair = Pair::start(&[], Version::Resp3);
        for key in [a, b] {
            pair.same(&format!("XGROUP CREATE {key} g $ MKSTREAM"));
        }
        for client in 1..4 {
            pair.client(client).send(&format!("XREADGROUP GROUP g c{client} BLOCK 0 STREAMS {a} {b} > >"));
            pair.until_blocked(client);
        }
        pair.client(0).same(&format!("XADD {b} 1-1 f v"));
        pair.client(1).same_next();
        pair.client(2).silent();
        pair.client(0).same(&format!("XADD {a} 2-2 f v"));
        pair.client(2).same_next();
        pair.client(0).same(&format!("XPENDING {b} g"));
        pair.same(&format!("XPENDING {a} g"));
        // From Redis 7.2 on in other words than in 7.0.
        let (bobbin, oracle) = pair.both(&format!("XGROUP DESTROY {a} g"));
        assert_eq!(bobbin, oracle);
        let (bobbin, oracle) = pair.client(3).next();
        assert!(bobbin.starts_with(b"-NOGROUP") && oracle.starts_with(b"-NOGROUP"));
    }
}

/// As from Redis 7.2 on; in 7.0 they wait for ever.
#[test]
fn members_of_a_group_learn_that_their_stream_is_gone() {
    let server = bobbin();
    for deed in ["DEL s", "SET s text", "FLUSHALL", "RENAME other s", "SWAPDB 0 1"] {
        let (mut member, mut other) = (server.connect(), server.connect());
        other.run("FLUSHALL");
        other.run("RPUSH other x");
        other.run("XGROUP CREATE s g $ MKSTREAM");
        member.send(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]).expect("it reads");
        assert!(member.is_silent());
        other.run(deed);
        let gone = Value::Error(b"UNBLOCKED the stream key no longer exists".to_vec());
        assert_eq!(member.read(), gone, "{deed}");
    }
}

#[test]
fn whoever_came_first_is_served_first() {
    for key in ["a", "b", "c"] {
        let mut pair = Pair::start(&[], Version::Resp2);
        for client in 1..7 {
            pair.client(client).send(&format!("BLPOP missing {key} 0"));
            pair.until_blocked(client);
        }
        pair.client(0).same(&format!("RPUSH {key} 1 2 3"));
        (1..4).for_each(|client| pair.client(client).same_next());
        pair.client(0).same(&format!("EXISTS {key}"));
        pair.same("MULTI");
        pair.same(&format!("RPUSH {key} 4 5"));
        pair.same(&format!("LPOP {key}"));
        pair.same("EXEC");
        pair.client(4).same_next();
        pair.client(5).silent();
        pair.client(0).same(&format!("RPUSH {key} 6 7 8"));
        pair.client(5).same_next();
        pair.client(6).same_next();
        pair.client(0).same(&format!("LRANGE {key} 0 -1"));
    }
}

#[test]
fn keys_that_one_block_fills_are_served_in_its_order() {
    for (order, between) in [("abcd", "PING"), ("dcba", "GET k"), ("bdac", "DBSIZE"), ("acbd", "SELECT 0")] {
        let mut pair = Pair::start(&[], Version::Resp2);
        for client in 1..4 {
            pair.client(client).send("BLPOP a b c d 0");
            pair.until_blocked(client);
        }
        pair.client(0).same("MULTI");
        for key in order.chars() {
            pair.same(&format!("RPUSH {key} 1"));
            pair.same(between);
            pair.same(&format!("RPUSH {key} 2"));
        }
        pair.same("EXEC");
        (1..4).for_each(|client| pair.client(client).same_next());
        "abcd".chars().for_each(|key| pair.client(0).same(&format!("LRANGE {key} 0 -1")));
    }
}

#[test]
fn chains_resolve() {
    for keys in [["a", "b", "c", "d"], ["{t}a", "{t}b", "{t}c", "{t}d"], ["{u}a", "b", "{u}c", "d"]] {
        let mut pair = Pair::start(&[], Version::Resp2);
        for (client, pairs) in keys.windows(2).enumerate() {
            pair.client(client + 1).send(&format!("BLMOVE {} {} LEFT RIGHT 0", pairs[0], pairs[1]));
        }
        pair.client(4).send(&format!("BLPOP {} 0", keys[3]));
        pair.silent();
        pair.client(0).same(&format!("RPUSH {} x", keys[0]));
        (1..5).for_each(|client| pair.client(client).same_next());
        pair.client(0).same(&format!("EXISTS {}", keys.join(" ")));
    }
}

#[test]
fn what_follows_in_the_pipeline_waits_too() {
    for [a, b] in PAIRS {
        let mut pair = Pair::start(&[], Version::Resp2);
        pair.client(1).send(&format!("BLPOP {a} {b} 0"));
        pair.send(&format!("SET {a} behind"));
        pair.send(&format!("GET {a}"));
        pair.silent();
        pair.client(0).same(&format!("GET {a}"));
        pair.same(&format!("RPUSH {b} x"));
        (0..3).for_each(|_| pair.client(1).same_next());
    }
}

#[test]
fn client_unblock_ends_a_wait() {
    for how in ["", "TIMEOUT", "ERROR"] {
        for wait in [
            "BLPOP a 0",
            "BLPOP a b c 0",
            "BLMOVE a b LEFT LEFT 0",
            "XREAD BLOCK 0 STREAMS a b $ $",
            "WAIT 3 0",
        ] {
            let mut pair = Pair::start(&[], Version::Resp3);
            let (bobbin, oracle) = pair.client(1).both("CLIENT ID");
            let [bobbin, oracle] =
                [bobbin, oracle].map(|id| String::from_utf8(id).unwrap()[1..].trim().to_owned());
            pair.send(wait);
            pair.until_blocked(1);
            let (bobbin, oracle) = pair
                .client(0)
                .each(&format!("CLIENT UNBLOCK {bobbin} {how}"), &format!("CLIENT UNBLOCK {oracle} {how}"));
            assert_eq!(bobbin, oracle);
            pair.client(1).same_next();
            pair.client(0).same("RPUSH a x");
            pair.same("LLEN a");
        }
    }
}

/// A client that is gone is not served, and those behind it are.
#[test]
fn nothing_is_lost_on_a_client_that_is_gone() {
    let server = bobbin();
    for round in 0..20 {
        let key = format!("k{round}");
        let mut gone: Vec<_> = (0..4).map(|_| server.connect()).collect();
        for client in &mut gone {
            client.send(&["BLPOP", "elsewhere", &key, "0"]).expect("the server reads");
        }
        let mut stays = server.connect();
        assert!(stays.is_silent());
        drop(gone);
        std::thread::sleep(Duration::from_millis(50));
        stays.send(&["BLPOP", &key, "0"]).expect("the server reads");
        let mut other = server.connect();
        assert_eq!(other.call(&["RPUSH", &key, "x"]), Value::Int(1));
        let served = Value::Array(vec![Value::Bulk(key.into_bytes()), Value::Bulk(b"x".to_vec())]);
        assert_eq!(stays.read(), served);
    }
    assert_eq!(server.connect().run("DBSIZE"), Value::Int(0));
}
