//! MULTI, EXEC, WATCH: on one shard, on another than the client's, and on several.

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin, same_replies};

/// Keys for every placement: alone on either shard, and on both.
const PLACES: [&[&str]; 4] = [&["a"], &["b"], &["c"], &["a", "b", "c", "d"]];

#[test]
fn errors_and_their_precedence_are_those_of_redis() {
    same_replies(&[
        "EXEC",
        "DISCARD",
        "EXEC extra",
        "DISCARD extra",
        "MULTI extra",
        "UNWATCH extra",
        "WATCH",
        "UNWATCH",
        "MULTI",
        "MULTI",
        "WATCH a",
        "SET a 1",
        "EXEC",
        "MULTI",
        "SET a 2",
        "DISCARD",
        "GET a",
        "EXEC",
        "MULTI",
        "SET a",
        "SET a 3",
        "EXEC",
        "GET a",
        "MULTI",
        "unknown a",
        "EXEC",
        "MULTI",
        "CONFIG unknown",
        "EXEC",
        "MULTI",
        "SET a 4",
        "EXEC extra",
        "EXEC",
        "GET a",
        "MULTI",
        "SHUTDOWN",
        "EXEC",
        "MULTI",
        "INCR a",
        "LPUSH a x",
        "SET a text",
        "INCR a",
        "GET a",
        "EXEC",
        "GET a",
        "MULTI",
        "EXEC",
        "MULTI",
        "PING",
        "PING a",
        "PING a b",
        "ECHO x",
        "UNWATCH",
        "SELECT 99999999",
        "EXEC",
        "MULTI",
        "SET a 5",
        "RESET",
        "EXEC",
        "GET a",
    ]);
}

#[test]
fn blocks_run_wherever_their_keys_are() {
    for keys in PLACES {
        let mut script = vec!["MULTI".to_owned()];
        for key in keys {
            script.extend([
                format!("SET {key} 1"),
                format!("INCR {key}"),
                format!("RPUSH {key}:l x y z"),
                format!("LRANGE {key}:l 0 -1"),
                format!("LMOVE {key}:l other LEFT RIGHT"),
                format!("EXPIRE {key} 100"),
                format!("TTL {key}"),
                format!("LPUSH {key} wrong"),
                format!("SADD {key}:s"),
            ]);
        }
        script.retain(|line| !line.starts_with("SADD"));
        script.push("EXEC".to_owned());
        script.push(format!("MGET {}", keys.join(" ")));
        script.push("LRANGE other 0 -1".to_owned());
        same_replies(&script);
    }
}

#[test]
fn commands_of_the_connection_and_of_the_whole_server_may_stand_between() {
    for keys in PLACES {
        let all = keys.join(" ");
        let mut script = vec!["MULTI".to_owned()];
        script.extend(keys.iter().map(|key| format!("SET {key} 1")));
        script.extend(["PING", "SELECT 3", "ECHO x"].map(str::to_owned));
        script.extend(keys.iter().map(|key| format!("SET {key} 3")));
        script.extend(["SELECT 0".to_owned(), format!("MGET {all}"), "EXEC".to_owned()]);
        script.extend([
            "SELECT 3".to_owned(),
            format!("MGET {all}"),
            "MULTI".to_owned(),
            "DBSIZE".to_owned(),
        ]);
        script.extend([
            format!("DEL {all}"),
            "DBSIZE".to_owned(),
            "FLUSHALL".to_owned(),
            "SELECT 0".to_owned(),
        ]);
        script.extend(
            ["DBSIZE", "SET a 1", "SWAPDB 0 4", "GET a", "SELECT 4", "GET a", "KEYS *", "EXEC"]
                .map(str::to_owned),
        );
        script.extend(["PING", "GET a", "DBSIZE"].map(str::to_owned));
        same_replies(&script);
    }
}

/// A watched key is changed by another client, in many ways; the transaction runs or not as in Redis.
#[test]
fn watch_notices_what_redis_notices() {
    let changes = [
        "PING",
        "GET a",
        "SET a 1",
        "SET b 1",
        "SET unwatched 1",
        "MSET a 1 b 1 c 1 unwatched 1",
        "DEL a",
        "DEL missing",
        "EXPIRE a 100",
        "EXPIRE a -1",
        "PERSIST a",
        "PERSIST c",
        "APPEND a x",
        "RENAME a elsewhere",
        "RENAME unwatched b",
        "COPY unwatched missing",
        "RENAMENX a b",
        "SETNX a 1",
        "SETNX missing 1",
        "LPUSH missing 1",
        "LPUSH a 1",
        "INCR a",
        "FLUSHDB",
        "FLUSHALL",
        "SWAPDB 1 2",
        "SWAPDB 0 1",
        "MOVE a 1",
        "LREM missing 0 x",
        "SINTERSTORE missing nothing",
        "ZADD missing NX 1 x",
        "GETEX a EX 100",
        "GETEX a",
        "GETDEL a",
        "SETRANGE a 0 x",
        "SETRANGE a 0 \"\"",
    ];
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(&[], version);
        for watched in ["a", "b", "a b", "a b c missing", "missing", "missing a"] {
            for (round, change) in changes.iter().enumerate() {
                let both_shards = if round % 2 == 0 { "SET other 1" } else { "MSET other 1 another 1 a 7" };
                pair.client(0).same("FLUSHALL");
                pair.same("MSET a 0 b 0 unwatched 0");
                pair.same("SET c 0 EX 1000");
                pair.same(&format!("WATCH {watched}"));
                pair.same("GET a");
                pair.client(1).both(change);
                pair.client(0).same("MULTI");
                pair.same(both_shards);
                pair.same("EXEC");
                pair.same("MGET a b c missing other another");
            }
        }
    }
}

#[test]
fn a_watch_ends_with_exec_discard_unwatch_and_reset() {
    for ending in ["MULTI|EXEC", "MULTI|DISCARD", "UNWATCH", "RESET", "MULTI|SET|EXEC"] {
        let mut pair = Pair::start(&[], Version::Resp2);
        pair.same("WATCH a b c");
        for line in ending.split('|') {
            pair.same(line);
        }
        pair.client(1).same("MSET a 1 b 1 c 1");
        pair.client(0).same("MULTI");
        pair.same("SET a 2");
        pair.same("EXEC");
    }
}

/// The time of a watched key is over at EXEC, noticed by nobody.
#[test]
fn a_watched_key_whose_time_is_over_has_changed() {
    for key in ["a", "b", "c"] {
        let mut pair = Pair::start(&[], Version::Resp2);
        pair.same("DEBUG SET-ACTIVE-EXPIRE 0");
        // Long enough for the watch to come first on a busy machine.
        pair.same(&format!("SET {key} 1 PX 2000"));
        pair.same(&format!("WATCH {key}"));
        std::thread::sleep(std::time::Duration::from_millis(2100));
        pair.same("MULTI");
        pair.same("SET a 1");
        pair.same("EXEC");
        // One that was missing by time already when it was watched is as good as missing.
        pair.same(&format!("SET {key} 1 PX 30"));
        std::thread::sleep(std::time::Duration::from_millis(60));
        pair.same(&format!("WATCH {key}"));
        pair.same("MULTI");
        pair.same("SET a 1");
        pair.same("EXEC");
    }
}

/// SWAPDB changes what is in one of the two databases under the same name, unless the two are one.
#[test]
fn watched_keys_of_swapped_databases_have_changed() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for swap in ["SWAPDB 0 0", "SWAPDB 1 1", "SWAPDB 1 2", "SWAPDB 0 1", "SWAPDB 1 0"] {
        for held in ["SET a 1", "SET b 1", "PING"] {
            pair.same("FLUSHALL");
            pair.same(held);
            pair.same("WATCH a b");
            pair.same(swap);
            pair.same("MULTI");
            pair.same("EXEC");
        }
    }
}

/// A key whose time is over is missing, in the database that is watched and in the one that takes its place.
#[test]
fn what_is_missing_by_time_does_not_change_by_swapping_databases() {
    let mut pair = Pair::start(&["--enable-debug-command", "yes"], Version::Resp2);
    pair.same("DEBUG SET-ACTIVE-EXPIRE 0");
    for key in ["a", "b"] {
        for held in ["PING", "SET {key} 1", "SET {key} 1 PX 30"] {
            pair.same("FLUSHALL");
            pair.same(&held.replace("{key}", key));
            pair.same(&format!("WATCH {key}"));
            pair.same("SELECT 1");
            pair.same(&format!("SET {key} 1 PX 30"));
            std::thread::sleep(std::time::Duration::from_millis(60));
            pair.same("SWAPDB 0 1");
            pair.same("MULTI");
            pair.same("EXEC");
            pair.same("SELECT 0");
        }
    }
}

/// Of a stream, WATCH sees the entries: not its groups, nor its last id.
#[test]
fn what_changes_beside_a_streams_entries_is_not_seen_by_watch() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for change in [
        "XGROUP CREATE x h 0",
        "XGROUP CREATE y h 0 MKSTREAM",
        "XGROUP SETID x g 0",
        "XGROUP DESTROY x g",
        "XGROUP CREATECONSUMER x g d",
        "XGROUP DELCONSUMER x g c",
        "XREADGROUP GROUP g c STREAMS x >",
        "XREADGROUP GROUP g c NOACK STREAMS x >",
        "XACK x g 5-0",
        "XCLAIM x g d 0 5-0",
        "XAUTOCLAIM x g d 0 0",
        "XSETID x 9",
        "XDEL x 5",
        "XTRIM x MAXLEN 1",
    ] {
        pair.same("FLUSHALL");
        pair.same("XADD x 5 a 1");
        pair.same("XADD x 6 a 1");
        pair.same("XGROUP CREATE x g 0");
        pair.same("XREADGROUP GROUP g c COUNT 1 STREAMS x >");
        pair.same("WATCH x y");
        pair.same(change);
        pair.same("MULTI");
        pair.same("EXEC");
    }
}

#[test]
fn a_pipeline_of_transactions_is_answered_in_order() {
    let mut pair = Pair::start(&[], Version::Resp3);
    let mut bytes = Vec::new();
    let mut replies = 0;
    for round in 0..200 {
        for line in
            ["GET a", "MULTI", "INCR a", "INCR b", "LPUSH c x", "EXEC", "GET b", "MULTI", "DBSIZE", "EXEC"]
        {
            let words: Vec<&str> = line.split(' ').collect();
            if round % 3 != 0 && words[0] == "DBSIZE" {
                bobbin_proto::encode_command(&mut bytes, ["GET", "d"]);
            } else {
                bobbin_proto::encode_command(&mut bytes, &words);
            }
            replies += 1;
        }
    }
    pair.same_raw(&bytes, replies);
}

/// Far more commands than one step runs, on one shard and on both.
#[test]
fn a_large_block_runs_whole() {
    let server = bobbin();
    for keys in [1, 50] {
        let mut client = server.connect();
        let mut bytes = Vec::new();
        bobbin_proto::encode_command(&mut bytes, ["MULTI"]);
        for n in 0..20_000 {
            bobbin_proto::encode_command(&mut bytes, ["INCR".to_owned(), format!("{keys}:{}", n % keys)]);
        }
        bobbin_proto::encode_command(&mut bytes, ["EXEC"]);
        client.send_raw(&bytes).expect("the server reads");
        assert_eq!(client.read(), Value::Simple(b"OK".to_vec()));
        for _ in 0..20_000 {
            assert_eq!(client.read(), Value::Simple(b"QUEUED".to_vec()));
        }
        let Value::Array(replies) = client.read() else { panic!("EXEC answers an array") };
        assert_eq!(replies.len(), 20_000);
        for (n, reply) in replies.into_iter().enumerate() {
            assert_eq!(reply, Value::Int(n as i64 / keys + 1));
        }
        assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
    }
}
