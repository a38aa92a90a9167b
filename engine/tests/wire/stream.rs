//! Streams, on one shard and on two.

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin_with, same_replies, same_replies_with};

#[test]
fn adding_is_that_of_redis() {
    same_replies(&[
        "XADD s 1-1 a 1 b two",
        "XADD s 1-2 a 1 b two",
        "XADD s 1-2 a 1",
        "XADD s 1-1 a 1",
        "XADD s 0-0 a 1",
        "XADD s 0 a 1",
        "XADD s 0-* a 1",
        "XADD s 1-* a 2",
        "XADD s 2-* a 2",
        "XADD s 1-* a 2",
        "XADD s 5 a 2 a 3 \"\" \"\"",
        r#"XADD s 6-0 "\x00\xff" "\r\n" 007 -0 9223372036854775808 -9223372036854775808"#,
        "XADD s *",
        "XADD s * a",
        "XADD s * a 1 b",
        "XADD s",
        "XADD s 7-0",
        "XADD s 7-0 a",
        "XADD s + a 1",
        "XADD s - a 1",
        "XADD s x a 1",
        "XADD s 7-x a 1",
        "XADD s 7-1-1 a 1",
        "XADD s -7 a 1",
        "XADD s 7- a 1",
        "XADD s *-* a 1",
        "XADD s ** a 1",
        r#"XADD s " 7-+1" a 1"#,
        r#"XADD s "007-005" a 1"#,
        r#"XADD s "8-1\x00x" a 1"#,
        "XADD s 8--02 a 1",
        "XADD s 8--2 a 1",
        "XADD s 18446744073709551616-0 a 1",
        "XADD s NOMKSTREAM 9-0 a 1",
        "XADD s nomkstream NOMKSTREAM 9-1 a 1",
        "XADD missing NOMKSTREAM 9-0 a 1",
        "XADD missing NOMKSTREAM x a 1",
        "XADD missing NOMKSTREAM NOMKSTREAM NOMKSTREAM NOMKSTREAM",
        "XADD missing LIMIT 1 NOMKSTREAM",
        "EXISTS missing",
        "XADD zero 0-* a 1",
        "XRANGE zero - +",
        "XLEN s",
        "XLEN missing",
        "XLEN",
        "XRANGE s - +",
        "XADD s 18446744073709551615-18446744073709551615 last one",
        "XADD s 18446744073709551615-18446744073709551615 a 1",
        "XADD s * a 1",
        "XADD s 5-5 a 1",
        "XADD s 18446744073709551615-* a 1",
        "XRANGE s - +",
        "TYPE s",
        "OBJECT ENCODING s",
        "EXPIRE s 100",
        "XADD zero 0-* a 1",
        "TTL s",
        "PEXPIREAT s 1",
        "XADD s 1-1 a 1",
        "TTL s",
        "XLEN s",
    ]);
}

#[test]
fn ranges_are_those_of_redis() {
    let mut script: Vec<String> =
        (1..=12).map(|n| format!("XADD s {}-{} f {n} g x{n}", n / 3, n % 3)).collect();
    let bounds = [
        "-",
        "+",
        "0",
        "1",
        "2",
        "(1",
        "(2-0",
        "(2-1",
        "2-1",
        "(0-0",
        "(0-1",
        "4-0",
        "(4-0",
        "9",
        "(-",
        "(",
        "x",
        "",
        "(18446744073709551615-18446744073709551615",
        "18446744073709551615",
        "1-",
        "(1-x",
    ];
    for (start, end) in bounds.iter().flat_map(|start| bounds.map(|end| (start, end))) {
        script.push(format!(r#"XRANGE s "{start}" "{end}""#));
        script.push(format!(r#"XREVRANGE s "{end}" "{start}""#));
    }
    let more = [
        "XRANGE s - + COUNT 3",
        "XREVRANGE s + - COUNT 3",
        "XRANGE s 2 + count 2",
        "XREVRANGE s 2 - count 2",
        "XRANGE s - + COUNT 0",
        "XRANGE s - + COUNT -1",
        "XRANGE s - + COUNT x",
        "XRANGE s - + COUNT",
        "XRANGE s - + COUNT 1 COUNT 2",
        "XRANGE s - + COUNT 1 FOO 2",
        "XRANGE s - + FOO",
        "XRANGE s - + COUNT 9223372036854775807",
        "XRANGE missing - +",
        "XRANGE missing - + COUNT 0",
        "XRANGE missing x +",
        "XRANGE missing - + FOO 1",
        "XREVRANGE missing + -",
        "XRANGE s -",
        "XREVRANGE s",
    ];
    script.extend(more.map(String::from));
    same_replies(&script);
}

#[test]
fn removing_is_that_of_redis() {
    same_replies(&[
        "XADD s 1-0 a 1",
        "XADD s 2-0 a 2",
        "XADD s 3-0 b 3",
        "XADD s 4-0 a 4",
        "XDEL s 2-0",
        "XDEL s 2-0 2-0 9-9",
        "XDEL s 1-0 x",
        "XDEL missing x",
        "XDEL missing 1-0",
        "XDEL s",
        "XRANGE s - +",
        "XREVRANGE s + -",
        "XDEL s 1 3-0 3-0",
        "XRANGE s - +",
        "XLEN s",
        "XDEL s 4",
        "XLEN s",
        "EXISTS s",
        "XRANGE s - +",
        "XADD s 4-0 a 1",
        "XADD s 5-0 a 1",
        "XADD s 6-0 a 1",
        "XADD s 7-0 a 1",
        "XTRIM s MAXLEN 3",
        "XTRIM s MAXLEN = 3",
        "XTRIM s MAXLEN ~ 1",
        "XTRIM s MINID 6",
        "XTRIM s MINID = 6-1",
        "XRANGE s - +",
        "XTRIM s MAXLEN 0",
        "XLEN s",
        "EXISTS s",
        "XTRIM s MAXLEN 0",
        "XTRIM missing MAXLEN 0",
        "XTRIM s",
        "XTRIM s MAXLEN",
        "XTRIM s MAXLEN ~",
        "XTRIM s MAXLEN x",
        "XTRIM s MAXLEN -1",
        "XTRIM s MAXLEN ~ x",
        "XTRIM s MAXLEN 1 MINID 1",
        "XTRIM s MINID 1 MAXLEN x",
        "XTRIM s MAXLEN 1 MAXLEN 1",
        "XTRIM s MINID x",
        "XTRIM s MINID -",
        "XTRIM s MAXLEN 1 LIMIT 1",
        "XTRIM s MAXLEN 1 LIMIT 0",
        "XTRIM s MAXLEN = 1 LIMIT 1",
        "XTRIM s MAXLEN ~ 1 LIMIT -1",
        "XTRIM s MAXLEN ~ 1 LIMIT x",
        "XTRIM s MAXLEN ~ 1 LIMIT",
        "XTRIM s MAXLEN ~ 1 LIMIT 0",
        "XTRIM s LIMIT 1",
        "XTRIM s LIMIT 0",
        "XTRIM s LIMIT 1 MAXLEN ~ 1",
        "XTRIM s FOO 1",
        "XTRIM s NOMKSTREAM 1",
        "XTRIM missing MAXLEN x",
        "XADD s MAXLEN 2 8-0 a 1",
        "XADD s MAXLEN = 2 8-1 a 1",
        "XADD s MAXLEN ~ 2 8-2 a 1",
        "XADD s MAXLEN 2 8-3 a 1",
        "XRANGE s - +",
        "XADD s MINID 8-3 8-4 a 1",
        "XADD s MINID ~ 9 8-5 a 1",
        "XADD s NOMKSTREAM MAXLEN 2 8-6 a 1",
        "XADD s MAXLEN 2 NOMKSTREAM 8-7 a 1",
        "XRANGE s - +",
        "XADD s MAXLEN 0 8-8 a 1",
        "XLEN s",
        "XADD s MAXLEN ~ 0 LIMIT 0 8-9 a 1",
        "XLEN s",
        "XADD s MAXLEN 1 MINID 1 9-0 a 1",
        "XADD s LIMIT 1 9-0 a 1",
        "XADD s LIMIT 0 9-0 a 1",
        "XADD s MAXLEN 5 LIMIT 1 9-0 a 1",
        "XADD s MAXLEN x 9-0 a 1",
        "XADD s MAXLEN -5 9-0 a 1",
        "XADD s MAXLEN 9-0 a 1",
        "XADD s MAXLEN",
        "XADD s MAXLEN 5 9-0 a",
        "XLEN s",
    ]);
}

#[test]
fn last_ids_are_set_as_in_redis() {
    same_replies(&[
        "XSETID missing 1-1",
        "XSETID missing x",
        "XADD s 5-5 a 1",
        "XADD s 6-6 a 1",
        "XSETID s 6-5",
        "XSETID s 7-0",
        "XADD s 6-7 a 1",
        "XADD s 7-* a 1",
        "XSETID s 8 ENTRIESADDED 3",
        "XSETID s 8 ENTRIESADDED 2",
        "XSETID s 8 ENTRIESADDED -1",
        "XSETID s 8 ENTRIESADDED x",
        "XSETID s 8 ENTRIESADDED",
        "XSETID s 8 MAXDELETEDID 9",
        "XSETID s 8 MAXDELETEDID x",
        "XSETID s 8 MAXDELETEDID 7-7 ENTRIESADDED 100",
        "XSETID s 8 FOO 1",
        "XSETID s + ",
        "XSETID s",
        "XSETID s 18446744073709551615-18446744073709551615",
        "XADD s * a 1",
        "DEL s",
        "XADD s 5-5 a 1",
        "XDEL s 5-5",
        "XSETID s 9-9 ENTRIESADDED 0",
        "XADD s 9-* a 1",
    ]);
}

/// Redis 7.2 does not let the last id fall behind the last that was deleted; 7.0 does.
#[test]
fn the_last_id_stays_above_what_was_deleted() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    client.run("XADD s 5-5 a 1");
    client.run("XDEL s 5-5");
    let refused = client.run("XSETID s 5-4");
    let text = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    assert_eq!(refused, Value::Error(text.as_bytes().to_vec()));
    assert_eq!(client.run("XADD s 5-5 a 1"), client.run("XADD s 5-5 a 1"));
}

/// `{a}`, `b` and `c` are on different shards, most likely.
#[test]
fn reading_of_several_streams_is_that_of_redis() {
    same_replies(&[
        "XADD {a}s 1-0 f 1",
        "XADD {a}s 2-0 f 2",
        "XADD {a}t 3-0 f 3",
        "XADD b 4-0 f 4",
        "XADD b 5-0 f 5",
        "XADD b 5-1 f 6",
        "XREAD STREAMS {a}s 0",
        "XREAD STREAMS {a}s 1",
        "XREAD STREAMS {a}s 2-0",
        "XREAD STREAMS {a}s $",
        "XREAD STREAMS {a}s {a}t 0 0",
        "XREAD STREAMS {a}s b {a}t missing 0 0 0 0",
        "XREAD STREAMS {a}s b {a}t c 1 4 3 0",
        "XREAD STREAMS b {a}s b 4 $ 5",
        "XREAD STREAMS {a}s b $ $",
        "XREAD STREAMS {a}s b $ 0",
        "XREAD COUNT 1 STREAMS {a}s b 0 4",
        "XREAD COUNT 0 STREAMS {a}s b 0 4",
        "XREAD COUNT -1 STREAMS {a}s b 0 4",
        "XREAD count 2 streams b 0",
        "XREAD COUNT 9223372036854775807 STREAMS {a}s b 0 4",
        "XREAD STREAMS b 18446744073709551615-18446744073709551615",
        "XREAD STREAMS b 18446744073709551615",
        "XREAD COUNT x STREAMS b 0",
        "XREAD COUNT STREAMS b 0",
        "XREAD STREAMS b +",
        "XREAD STREAMS b -",
        "XREAD STREAMS b x",
        "XREAD STREAMS missing x",
        "XREAD STREAMS b >",
        "XREAD STREAMS b $$",
        r#"XREAD STREAMS b "$\x00""#,
        "XREAD STREAMS",
        "XREAD FOO STREAMS b 0",
        "XREAD COUNT 1 b 0",
        "XREAD COUNT 1 COUNT 2 STREAMS b 0",
        "XREAD NOACK STREAMS b 0",
        "XREAD GROUP g c STREAMS b 0",
        "XREAD GROUP g STREAMS b",
        "XREAD BLOCK x STREAMS b 0",
        "XREAD BLOCK -1 STREAMS b 0",
        "XREAD BLOCK 9223372036854775808 STREAMS b 0",
        "XREAD BLOCK 0 STREAMS b 4",
        "XREAD COUNT 1 BLOCK 100000 STREAMS {a}s b 0 4",
        "XREAD BLOCK 1 STREAMS b $",
        "XREAD BLOCK 1 COUNT 1 STREAMS {a}s b $ $",
        "MULTI",
        "XREAD BLOCK 0 STREAMS {a}s b $ $",
        "XREAD BLOCK 0 STREAMS {a}s b $ 0",
        "EXEC",
        "SET c string",
        "XREAD STREAMS b c 0 0",
        "XREAD STREAMS c b x 0",
        "XREAD STREAMS b c x 0",
        "XDEL b 5-1",
        "XREAD STREAMS b 5",
        "XREAD STREAMS b 4",
        "XDEL b 5-0 4-0",
        "XREAD STREAMS b 0",
        "XREAD STREAMS b $",
        "COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0",
        "COMMAND GETKEYS XREAD STREAMS a 0",
    ]);
}

/// In the words of Redis 7.2; 7.0 says XREAD whatever the command.
#[test]
fn every_stream_needs_an_id() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let text = "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.";
    let unbalanced = Value::Error(text.as_bytes().to_vec());
    assert_eq!(client.run("XREAD STREAMS a b 0"), unbalanced);
    assert_eq!(client.run("XREAD COUNT 1 STREAMS a"), unbalanced);
}

/// As in Redis 7.2; 7.0 lets the sum of time and time-out wrap.
#[test]
fn a_timeout_beyond_the_end_of_time_is_refused() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let refused = Value::Error(b"ERR timeout is out of range".to_vec());
    assert_eq!(client.run("XREAD BLOCK 9223372036854775807 STREAMS a 0"), refused);
    client.send(&["XREAD", "BLOCK", "9000000000000000000", "STREAMS", "a", "0"]).expect("the server reads");
    assert!(client.is_silent());
}

#[test]
fn wrong_types_are_refused_both_ways() {
    same_replies(&[
        "SET k string",
        "XADD s 1-1 a 1",
        "XADD k 1-1 a 1",
        "XADD k NOMKSTREAM 1-1 a 1",
        "XADD k x a 1",
        "XADD k 1-1 a",
        "XLEN k",
        "XRANGE k - +",
        "XRANGE k x +",
        "XREVRANGE k + - COUNT 0",
        "XDEL k 1-1",
        "XDEL k x",
        "XTRIM k MAXLEN 0",
        "XTRIM k MAXLEN x",
        "XSETID k 1-1",
        "XSETID k x",
        "GET k",
        "GET s",
        "APPEND s x",
        "INCR s",
        "STRLEN s",
        "GETRANGE s 0 1",
        "LPUSH s a",
        "LLEN s",
        "ZADD s 1 a",
        "PFADD s a",
        "MGET s k",
        "XLEN s",
        "SET s x",
        "GET s",
    ]);
}

#[test]
fn generic_commands_take_streams() {
    same_replies(&[
        "XADD s 1-1 a 1 b x",
        "XADD s 1-2 c 1",
        "XADD s 1-3 a 17 b y",
        "XDEL s 1-2",
        "COPY s {copy}",
        "XADD {copy} 1-* a 5",
        "XRANGE s - +",
        "XRANGE {copy} - +",
        "RENAME s m",
        "XRANGE m - +",
        "MOVE m 1",
        "SELECT 1",
        "XRANGE m - +",
        "DEBUG DIGEST-VALUE m",
        "DEBUG DIGEST",
        "OBJECT REFCOUNT m",
        "OBJECT ENCODING m",
        "UNLINK m",
        "EXISTS m",
        "SCAN 0 TYPE stream",
        "XADD m 1-1 a 1",
        "SCAN 0 TYPE stream",
    ]);
}

/// The ids that the server makes are its time, and go up within a millisecond.
#[test]
fn ids_of_the_present() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let now_ms = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("a time after 1970").as_millis() as u64
    };
    let mut last = (now_ms() - 1, 0);
    for _ in 0..500 {
        let Value::Bulk(id) = client.run("XADD s * a 1") else { panic!("no id") };
        let id = String::from_utf8(id).expect("an id");
        let (ms, seq) = id.split_once('-').expect("two parts");
        let id: (u64, u64) = (ms.parse().expect("milliseconds"), seq.parse().expect("a number"));
        assert!(id > last && id.0 <= now_ms(), "{id:?} behind {last:?}");
        last = id;
    }
    client.run("XADD s 99999999999999-7 a 1");
    assert_eq!(client.run("XADD s * a 1"), Value::Bulk(b"99999999999999-8".to_vec()));
}

/// Entries with the same names and with others, nodes of many sizes, entries removed anywhere: what has been done is
/// read back now and then. The lengths tell whether approximate trimming takes the same nodes.
#[test]
fn long_streams_stay_those_of_redis() {
    for (seed, entries, bytes) in [(1, "100", "4096"), (2, "5", "0"), (3, "0", "300"), (4, "1", "100")] {
        let directives = ["--stream-node-max-entries", entries, "--stream-node-max-bytes", bytes];
        let mut pair = Pair::start(&directives, Version::Resp2);
        let mut rng = fastrand::Rng::with_seed(seed);
        println!("seed {seed}");
        for step in 0..1500 {
            pair.same(&random_call(&mut rng, step));
            pair.same("XLEN s");
            if step % 50 == 0 {
                ["XRANGE s - +", "XREVRANGE s + -", "DEBUG DIGEST-VALUE s"]
                    .iter()
                    .for_each(|line| pair.same(line));
            }
        }
    }
}

fn random_call(rng: &mut fastrand::Rng, step: u64) -> String {
    // About the last hundred milliseconds have entries.
    let id =
        |rng: &mut fastrand::Rng| format!("{}-{}", (step / 2).saturating_sub(rng.u64(0..120)), rng.u8(0..3));
    let trim = |rng: &mut fastrand::Rng| match rng.u8(0..4) {
        0 => format!("MAXLEN {}", rng.u8(20..100)),
        1 => format!("MINID {}", id(rng)),
        2 => format!("MAXLEN ~ {}", rng.u8(20..100)),
        _ => format!("MINID ~ {} LIMIT {}", id(rng), rng.u8(0..20)),
    };
    match rng.u8(0..20) {
        0..12 => format!("XADD s {}-* {}", step / 2, random_fields(rng)),
        12 => format!("XADD s {} {}-* {}", trim(rng), step / 2, random_fields(rng)),
        13..16 => format!("XDEL s {} {}", id(rng), id(rng)),
        16 => format!("XTRIM s {}", trim(rng)),
        17 => format!("XRANGE s {} {} COUNT {}", id(rng), id(rng), rng.u8(1..9)),
        18 => format!("XREVRANGE s {} {} COUNT {}", id(rng), id(rng), rng.u8(1..9)),
        _ => format!("XREAD COUNT {} STREAMS s {}", rng.u8(1..9), id(rng)),
    }
}

fn random_fields(rng: &mut fastrand::Rng) -> String {
    let value = match rng.u8(0..10) {
        0..7 => rng.i64(-5..1000).to_string(),
        7..9 => "v".repeat(rng.usize(1..80)),
        _ => "large".repeat(rng.usize(1..300)),
    };
    match rng.u8(0..5) {
        0 => format!("one {value}"),
        1 => format!("one {value} three {value} 5 {value}"),
        _ => format!("one {value} two {value}"),
    }
}

/// Without a limit given, approximate trimming takes up to a hundred nodes at once.
#[test]
fn approximate_trimming_is_limited() {
    let mut script: Vec<String> = (1..=900).map(|n| format!("XADD s {n}-0 a 1")).collect();
    script.extend(
        ["XTRIM s MAXLEN ~ 0", "XLEN s", "XTRIM s MINID ~ 800", "XLEN s", "XRANGE s - + COUNT 1"]
            .map(String::from),
    );
    same_replies_with(&["--stream-node-max-entries", "4"], &script);
    same_replies_with(&["--stream-node-max-entries", "0", "--stream-node-max-bytes", "64"], &script);
}

/// The directives act at once: nodes tell by what approximate trimming leaves.
#[test]
fn node_limits_follow_the_directives() {
    let mut script: Vec<String> = Vec::new();
    for (round, limits) in ["100 0", "3 0", "0 60", "2 4096"].iter().enumerate() {
        let (entries, bytes) = limits.split_once(' ').expect("two");
        script.push(format!("CONFIG SET stream-node-max-entries {entries} stream-node-max-bytes {bytes}"));
        script.extend((1..=20).map(|n| format!("XADD s {round}-{n} a {n}")));
        script.extend([
            format!("XTRIM s MINID ~ {round}-12"),
            "XLEN s".into(),
            "XRANGE s - + COUNT 1".into(),
        ]);
    }
    same_replies(&script);
}

/// A stream of a hundred thousand entries is trimmed and removed; the server stays ready and gives the memory back.
#[test]
fn a_large_stream_comes_and_goes() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let mut requests = Vec::new();
    for _ in 0..1000 {
        bobbin_proto::encode_command(&mut requests, ["XADD", "s", "*", "sensor", "17", "value", "23.5"]);
    }
    for _ in 0..100 {
        client.send_raw(&requests).expect("the server reads");
        (0..1000).for_each(|_| drop(client.read()));
    }
    assert_eq!(client.run("XLEN s"), Value::Int(100_000));
    let Value::Int(memory) = client.run("MEMORY USAGE s") else { panic!("no number") };
    assert!((1_500_000..2_500_000).contains(&memory), "{memory} bytes");
    assert_eq!(client.run("XTRIM s MAXLEN 40000"), Value::Int(60_000));
    assert_eq!(client.run("XLEN s"), Value::Int(40_000));
    assert_eq!(client.run("DEL s"), Value::Int(1));
    assert_eq!(client.run("EXISTS s"), Value::Int(0));
}
