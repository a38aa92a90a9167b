//! Consumer groups of streams, on one shard and on two.
//!
//! Times are another on each server, and so is what Redis tells of its radix tree: both are left out of comparisons,
//! and so is what 7.2 tells and 7.0 does not, when a consumer was last given something.

use bobbin_proto::{Value, Version, decode};

use crate::support::{Client, Pair, bobbin_with};

/// Fields whose values are another on each server.
const BLANKED: [&[u8]; 3] = [b"idle", b"seen-time", b"radix-tree-nodes"];
/// Fields that 7.0 does not have.
const NEWER: [&[u8]; 2] = [b"inactive", b"active-time"];

/// A reply without what is not compared.
fn comparable(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(without_times(fields(items))),
        Value::Map(pairs) => {
            let flat = pairs.into_iter().flat_map(|(name, value)| [name, value]).collect();
            Value::Array(fields(flat))
        }
        other => other,
    }
}

/// Names and values in turn, if that is what they are.
fn fields(items: Vec<Value>) -> Vec<Value> {
    let mut kept = Vec::new();
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        match &item {
            Value::Bulk(name) if NEWER.contains(&&name[..]) => drop(items.next()),
            Value::Bulk(name) if BLANKED.contains(&&name[..]) => {
                items.next();
                kept.extend([item, Value::Int(0)]);
            }
            _ => kept.push(comparable(item)),
        }
    }
    kept
}

/// Of a pending entry, with its owner or without, the time is left out.
fn without_times(mut items: Vec<Value>) -> Vec<Value> {
    use Value::{Bulk, Int};
    match &mut items[..] {
        [Bulk(_), Bulk(_), Int(time), Int(_)] | [Bulk(_), Int(time), Int(_)] => *time = 0,
        _ => {}
    }
    items
}

/// Both servers' replies, times left out.
#[track_caller]
fn same(pair: &mut Pair, line: &str) {
    let (bobbin, oracle) = pair.both(line);
    let value = |reply: &[u8]| comparable(decode::decode(reply).expect("a reply").expect("a whole one").0);
    assert!(
        value(&bobbin) == value(&oracle),
        "{line}\n   redis: {}\n  bobbin: {}",
        oracle.escape_ascii(),
        bobbin.escape_ascii()
    );
}

#[track_caller]
fn same_script<L: AsRef<str>>(script: &[L]) {
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(&[], version);
        script.iter().for_each(|line| same(&mut pair, line.as_ref()));
    }
}

#[test]
fn groups_are_made_and_removed_as_in_redis() {
    same_script(&[
        "XGROUP CREATE s g $",
        "XGROUP CREATE s g 0 MKSTREAM",
        "XLEN s",
        "TYPE s",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s g $ MKSTREAM",
        "XGROUP CREATE s h $ MKSTREAM",
        "XGROUP CREATE s h2 5-5 ENTRIESREAD 7",
        "XGROUP CREATE s h3 5 ENTRIESREAD -1 MKSTREAM",
        "XGROUP CREATE s h4 5 MKSTREAM ENTRIESREAD 9223372036854775807",
        "XGROUP CREATE s h5 5 ENTRIESREAD -2",
        "XGROUP CREATE s h5 5 ENTRIESREAD x",
        "XGROUP CREATE s h5 5 ENTRIESREAD",
        "XGROUP CREATE s h5 5 FOO",
        "XGROUP CREATE s h5 5 MKSTREAM MKSTREAM MKSTREAM",
        "XGROUP CREATE s h6 5 MKSTREAM MKSTREAM MKSTREAM MKSTREAM",
        "XGROUP CREATE missing h6 5 ENTRIESREAD 1 ENTRIESREAD 1",
        "XGROUP CREATE s h6 x",
        "XGROUP CREATE s h6 -",
        "XGROUP CREATE s h6 +",
        "XGROUP CREATE missing h6 x MKSTREAM",
        "EXISTS missing",
        "XGROUP CREATE missing h6 x",
        "XGROUP CREATE s h6",
        "XGROUP CREATE",
        "XGROUP",
        "XGROUP NOSUCH s g",
        "XINFO GROUPS s",
        "XADD s 1-1 a 1",
        "XADD s 2-2 a 1",
        "XGROUP CREATE s last $",
        "XGROUP SETID s g 1-1",
        "XGROUP SETID s h $",
        "XGROUP SETID s h - ENTRIESREAD 5",
        "XGROUP SETID s h + ENTRIESREAD -1",
        "XGROUP SETID s h x",
        "XGROUP SETID s h 1 MKSTREAM",
        "XGROUP SETID s h 1 ENTRIESREAD",
        "XGROUP SETID s h 1 ENTRIESREAD 1 ENTRIESREAD 2",
        "XGROUP SETID s nosuch 1",
        "XGROUP SETID s nosuch x",
        "XGROUP SETID missing g 1",
        "XGROUP SETID s h",
        "XINFO GROUPS s",
        "XGROUP CREATECONSUMER s g c",
        "XGROUP CREATECONSUMER s g c",
        "XGROUP CREATECONSUMER s g b",
        "XGROUP CREATECONSUMER s nosuch c",
        "XGROUP CREATECONSUMER missing g c",
        "XGROUP CREATECONSUMER s g",
        "XINFO CONSUMERS s g",
        "XGROUP DELCONSUMER s g b",
        "XGROUP DELCONSUMER s g b",
        "XGROUP DELCONSUMER s nosuch b",
        "XGROUP DELCONSUMER missing g b",
        "XINFO CONSUMERS s g",
        "XGROUP DESTROY s h",
        "XGROUP DESTROY s h",
        "XGROUP DESTROY missing h",
        "XGROUP DESTROY s",
        "XINFO GROUPS s",
        r#"XGROUP CREATE s "" 0"#,
        r#"XGROUP CREATECONSUMER s "" """#,
        r#"XGROUP SETID s "no\x00such" 1"#,
        r#"XINFO CONSUMERS s """#,
        "SET k string",
        "XGROUP CREATE k g 0 MKSTREAM",
        "XGROUP CREATE k g x",
        "XGROUP SETID k g 0",
        "XGROUP DESTROY k g",
        "XGROUP CREATECONSUMER k g c",
        "XGROUP DELCONSUMER k g c",
        "COPY s {copy}",
        "XGROUP DESTROY s g",
        "XINFO STREAM {copy} FULL",
        "DEBUG DIGEST-VALUE s {copy}",
    ]);
}

/// `{a}`, `b` and `c` are on different shards, most likely.
#[test]
fn reading_as_a_group_is_that_of_redis() {
    same_script(&[
        "XADD {a}s 1-0 f 1",
        "XADD {a}s 2-0 f 2",
        "XADD {a}s 3-0 f 3",
        "XADD b 4-0 f 4",
        "XADD b 5-0 f 5",
        "XGROUP CREATE {a}s g 0",
        "XGROUP CREATE b g $",
        "XGROUP CREATE c g $ MKSTREAM",
        "XGROUP CREATECONSUMER {a}s g alice",
        "XGROUP CREATECONSUMER b g alice",
        "XGROUP CREATECONSUMER c g alice",
        "XREADGROUP GROUP g alice STREAMS {a}s 0",
        "XREADGROUP GROUP g alice COUNT 1 STREAMS {a}s >",
        "XREADGROUP GROUP g alice STREAMS {a}s 0",
        "XREADGROUP GROUP g alice STREAMS {a}s 1-0",
        "XREADGROUP GROUP g bob STREAMS {a}s >",
        "XREADGROUP GROUP g alice STREAMS {a}s >",
        "XREADGROUP GROUP g bob STREAMS {a}s 2",
        "XREADGROUP GROUP g bob COUNT 1 STREAMS {a}s 0",
        "XREADGROUP GROUP g alice STREAMS b {a}s c > > >",
        "XADD b 6-0 f 6",
        "XADD {a}s 6-0 f 6",
        "XREADGROUP GROUP g alice STREAMS b {a}s c > > >",
        "XREADGROUP GROUP g alice STREAMS b {a}s c 0 > 0",
        "XADD b 7-0 f 7",
        "XREADGROUP GROUP g alice NOACK STREAMS b >",
        "XREADGROUP GROUP g alice STREAMS b 0",
        "XADD b 8-0 f 8",
        "XREADGROUP GROUP g alice STREAMS b b > >",
        "XPENDING b g",
        "XPENDING {a}s g",
        "XPENDING c g",
        "XPENDING {a}s g - + 10",
        "XINFO GROUPS b",
        "XINFO GROUPS {a}s",
        "XDEL {a}s 1-0",
        "XREADGROUP GROUP g alice STREAMS {a}s 0",
        "XREADGROUP GROUP g alice NOACK STREAMS {a}s 0",
        "XGROUP SETID {a}s g 0",
        "XREADGROUP GROUP g alice STREAMS {a}s >",
        "XPENDING {a}s g - + 10",
        "XINFO STREAM {a}s FULL",
        "XGROUP DELCONSUMER {a}s g alice",
        "XPENDING {a}s g",
        "XREADGROUP GROUP g alice STREAMS {a}s 18446744073709551615-18446744073709551615",
        "XREADGROUP GROUP g bob STREAMS {a}s b 0 x",
        "XREADGROUP GROUP g bob STREAMS {a}s missing > >",
        "XREADGROUP GROUP nosuch bob STREAMS {a}s >",
        "XREADGROUP GROUP nosuch bob STREAMS {a}s x",
        "XREADGROUP GROUP g bob STREAMS {a}s $",
        "XREADGROUP GROUP g bob STREAMS {a}s +",
        "XREADGROUP GROUP g bob COUNT x STREAMS {a}s >",
        "XREADGROUP GROUP g bob COUNT STREAMS {a}s >",
        "XREADGROUP GROUP g bob BLOCK x STREAMS {a}s >",
        "XREADGROUP GROUP g bob BLOCK -1 STREAMS {a}s >",
        "XREADGROUP GROUP g bob FOO STREAMS {a}s >",
        "XREADGROUP GROUP g bob STREAMS {a}s",
        "XREADGROUP NOACK COUNT 1 STREAMS {a}s >",
        "XREADGROUP COUNT 1 COUNT 1 STREAMS {a}s >",
        "XREADGROUP GROUP g bob NOACK {a}s >",
        "XREADGROUP STREAMS {a}s b c 1 2 3",
        "XREADGROUP GROUP g alice BLOCK 1 STREAMS b >",
        "XREADGROUP GROUP g alice BLOCK 0 STREAMS b 0",
        "MULTI",
        "XREADGROUP GROUP g alice BLOCK 0 STREAMS b {a}s c > > >",
        "XADD b 9-0 f 9",
        "XREADGROUP GROUP g alice BLOCK 0 STREAMS b c > >",
        "XACK b g 9-0",
        "EXEC",
        "SET k string",
        "XREADGROUP GROUP g alice STREAMS b k > >",
        "XREADGROUP GROUP g alice STREAMS k b x >",
        "XGROUP DESTROY b g",
        "XREADGROUP GROUP g alice STREAMS b >",
        "COMMAND GETKEYS XREADGROUP GROUP g c COUNT 1 STREAMS a b > >",
    ]);
}

#[test]
fn acknowledging_and_looking_at_what_is_pending() {
    let mut script: Vec<String> = (1..=6).map(|n| format!("XADD s {n}-0 f {n}")).collect();
    let more = [
        "XGROUP CREATE s g 0",
        "XPENDING s g",
        "XPENDING s g - + 10",
        "XREADGROUP GROUP g zoe COUNT 2 STREAMS s >",
        "XREADGROUP GROUP g bob COUNT 3 STREAMS s >",
        "XPENDING s g",
        "XPENDING s g - + 10",
        "XPENDING s g - + 2",
        "XPENDING s g 2 4 10",
        "XPENDING s g (2 (4 10",
        "XPENDING s g - + 10 bob",
        "XPENDING s g - + 1 bob",
        "XPENDING s g - + 10 nobody",
        "XPENDING s g - + 10 bob more",
        "XPENDING s g - + 0",
        "XPENDING s g - + -1",
        "XPENDING s g - + x",
        "XPENDING s g x + 10",
        "XPENDING s g - x 10",
        "XPENDING s g (- + 10",
        "XPENDING s g (18446744073709551615-18446744073709551615 + 10",
        "XPENDING s g - (0-0 10",
        "XPENDING s g - +",
        "XPENDING s g -",
        "XPENDING s g IDLE 0 - + 10",
        "XPENDING s g IDLE -5 - + 10",
        "XPENDING s g IDLE 9223372036854775807 - + 10",
        "XPENDING s g idle 0 - + 10 bob",
        "XPENDING s g IDLE x - + 10",
        "XPENDING s g IDLE x - +",
        "XPENDING s g IDLE 1 - +",
        "XPENDING s g IDLE 1",
        "XPENDING s g IDLE 1 x + y",
        "XPENDING s g IDLE 1 - + 10 bob more",
        "XPENDING s nosuch",
        "XPENDING missing g",
        "XPENDING missing g x + 10",
        "XPENDING s",
        "XACK s g 1-0",
        "XACK s g 1-0 2-0 2-0 9-9",
        "XACK s g 3-0 x",
        "XACK s g -",
        "XACK s nosuch x",
        "XACK missing g x",
        "XACK s g",
        "XPENDING s g",
        "XACK s g 3 4 5",
        "XPENDING s g",
        "XINFO CONSUMERS s g",
        "XREADGROUP GROUP g bob STREAMS s 0",
        "SET k string",
        "XACK k g x",
        "XPENDING k g",
        "XPENDING k g x + 10",
    ];
    script.extend(more.map(String::from));
    same_script(&script);
}

#[test]
fn claiming_is_that_of_redis() {
    let mut script: Vec<String> = (1..=9).map(|n| format!("XADD s {n}-0 f {n}")).collect();
    let more = [
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g zoe COUNT 5 STREAMS s >",
        "XGROUP CREATECONSUMER s g bob",
        "XCLAIM s g bob 0 1-0",
        "XCLAIM s g bob 0 1-0 2-0 9-0 7-7 JUSTID",
        "XCLAIM s g bob 100000 3-0",
        "XCLAIM s g bob -1 3-0",
        "XCLAIM s g bob 0 9-0 FORCE",
        "XCLAIM s g bob 100000 8-0 FORCE JUSTID",
        "XCLAIM s g bob 0 9-9 FORCE",
        "XPENDING s g - + 20",
        "XCLAIM s g zoe 0 1 IDLE 100000",
        "XPENDING s g IDLE 90000 - + 20",
        "XCLAIM s g zoe 0 1 TIME 1",
        "XCLAIM s g zoe 0 2 TIME 99999999999999",
        "XCLAIM s g zoe 0 3 TIME -1",
        "XCLAIM s g zoe 0 3 IDLE -1",
        "XCLAIM s g zoe 0 3 IDLE 9223372036854775807",
        "XCLAIM s g zoe 0 3 IDLE -9223372036854775808",
        "XPENDING s g IDLE 90000 - + 20",
        "XCLAIM s g bob 90000 1 2",
        "XCLAIM s g zoe 0 1 RETRYCOUNT 77 JUSTID",
        "XCLAIM s g zoe 0 1 RETRYCOUNT -5",
        "XCLAIM s g zoe 0 2 RETRYCOUNT 9223372036854775807",
        "XCLAIM s g zoe 0 1 2 RETRYCOUNT 0 FORCE JUSTID IDLE 5 LASTID 7-0",
        "XPENDING s g - + 20",
        "XINFO GROUPS s",
        "XCLAIM s g zoe 0 1 LASTID 3",
        "XINFO GROUPS s",
        "XCLAIM s g zoe 0",
        "XCLAIM s g zoe 0 x",
        "XCLAIM s g zoe 0 1 x",
        "XCLAIM s g zoe x 1",
        "XCLAIM s g zoe 0 1 IDLE",
        "XCLAIM s g zoe 0 1 IDLE x",
        "XCLAIM s g zoe 0 1 TIME x",
        "XCLAIM s g zoe 0 1 RETRYCOUNT x",
        "XCLAIM s g zoe 0 1 LASTID x",
        "XCLAIM s g zoe 0 1 FORCE 2",
        "XCLAIM s g zoe 0 JUSTID",
        "XCLAIM s nosuch zoe x 1",
        "XCLAIM missing g zoe x 1",
        "XDEL s 1-0 3-0 5-0",
        "XCLAIM s g bob 0 1-0 2-0 3-0",
        "XPENDING s g - + 20",
        "XAUTOCLAIM s g zoe 0 0",
        "XPENDING s g - + 20",
        "XAUTOCLAIM s g bob 0 0 COUNT 1",
        "XAUTOCLAIM s g bob 0 2-1 COUNT 1 JUSTID",
        "XAUTOCLAIM s g bob 0 (4-0 COUNT 1",
        "XAUTOCLAIM s g bob 100000 0",
        "XAUTOCLAIM s g bob -1 - JUSTID",
        "XAUTOCLAIM s g bob 0 +",
        "XAUTOCLAIM s g bob 0 9",
        "XAUTOCLAIM s g bob 0 0 COUNT 576460752303423487",
        "XAUTOCLAIM s g bob x 0",
        "XAUTOCLAIM s g bob 0 x",
        "XAUTOCLAIM s g bob 0 (18446744073709551615-18446744073709551615",
        "XAUTOCLAIM s g bob 0 0 COUNT 0",
        "XAUTOCLAIM s g bob 0 0 COUNT x",
        "XAUTOCLAIM s g bob 0 0 COUNT -1",
        "XAUTOCLAIM s g bob 0 0 COUNT 576460752303423488",
        "XAUTOCLAIM s g bob 0 0 COUNT",
        "XAUTOCLAIM s g bob 0 0 FOO",
        "XAUTOCLAIM s g bob 0",
        "XAUTOCLAIM s nosuch bob 0 0",
        "XAUTOCLAIM s nosuch bob x 0",
        "XAUTOCLAIM missing g bob 0 0",
        "XPENDING s g - + 20",
        "SET k string",
        "XCLAIM k g bob x 1",
        "XAUTOCLAIM k g bob x 0",
        "XAUTOCLAIM k g bob 0 0",
    ];
    // Redis makes room for all ids at once, and has none for so many.
    let more = more.iter().filter(|line| !line.ends_with("576460752303423487"));
    script.extend(more.map(ToString::to_string));
    same_script(&script);
}

/// XAUTOCLAIM looks at ten entries for each that it may claim, and says where to go on.
#[test]
fn sweeps_are_bounded_as_in_redis() {
    let mut script: Vec<String> = (1..=60).map(|n| format!("XADD s {n}-0 f {n}")).collect();
    script.extend(
        ["XGROUP CREATE s g 0", "XREADGROUP GROUP g zoe STREAMS s >", "XCLAIM s g zoe 0 35 TIME 1"]
            .map(String::from),
    );
    for start in ["0", "11", "21", "26", "36", "51"] {
        script.push(format!("XAUTOCLAIM s g bob 1000000 {start} COUNT 1 JUSTID"));
        script.push(format!("XAUTOCLAIM s g zoe 1000000 {start} COUNT 2"));
    }
    script.extend((1..=30).map(|n| format!("XDEL s {}-0", n * 2)));
    script
        .extend(["XAUTOCLAIM s g bob 1000000 0 COUNT 3", "XAUTOCLAIM s g bob 0 0 COUNT 5"].map(String::from));
    script.push("XPENDING s g".to_owned());
    same_script(&script);
}

#[test]
fn what_is_told_about_a_stream_is_what_redis_tells() {
    let mut script = vec![
        "XGROUP CREATE s empty $ MKSTREAM".to_owned(),
        "XINFO STREAM s".to_owned(),
        "XINFO STREAM s FULL".to_owned(),
    ];
    script.extend((1..=25).map(|n| format!("XADD s {n}-0 f {n} g x")));
    let more = [
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g zoe COUNT 12 STREAMS s >",
        "XREADGROUP GROUP g bob COUNT 3 STREAMS s >",
        "XINFO STREAM s",
        "XINFO STREAM s FULL",
        "XINFO STREAM s full count 3",
        "XINFO STREAM s FULL COUNT 0",
        "XINFO STREAM s FULL COUNT -1",
        "XINFO STREAM s FULL COUNT x",
        "XINFO STREAM s FULL COUNT",
        "XINFO STREAM s FULL FOO 1",
        "XINFO STREAM s FOO",
        "XINFO STREAM s FULL COUNT 1 2",
        "XINFO STREAM missing",
        "XINFO STREAM missing FOO",
        "XINFO STREAM",
        "XINFO GROUPS s",
        "XINFO GROUPS missing",
        "XINFO GROUPS s x",
        "XINFO CONSUMERS s g",
        "XINFO CONSUMERS s empty",
        "XINFO CONSUMERS s nosuch",
        "XINFO CONSUMERS missing g",
        "XINFO CONSUMERS s",
        "XINFO NOSUCH s",
        "XINFO",
        "SET k string",
        "XINFO STREAM k FOO",
        "XINFO GROUPS k",
        "XINFO CONSUMERS k g",
        "DEL s",
        "XADD s 1-0 a 1",
        "XDEL s 1-0",
        "XGROUP CREATE s g 0",
        "XINFO STREAM s",
        "XINFO STREAM s FULL",
    ];
    script.extend(more.map(String::from));
    same_script(&script);
}

/// What groups have read and have before them, as far as that can be told.
#[test]
fn progress_is_that_of_redis() {
    let mut script = vec!["XGROUP CREATE s zero 0 MKSTREAM".to_owned()];
    let looks = ["XINFO GROUPS s", "XINFO STREAM s"];
    let steps = [
        "XADD s 1-0 f 1",
        "XADD s 2-0 f 2",
        "XADD s 3-0 f 3",
        "XGROUP CREATE s first 1-0",
        "XGROUP CREATE s middle 2-0",
        "XGROUP CREATE s last $",
        "XGROUP CREATE s future 9-0",
        "XGROUP CREATE s told 2-0 ENTRIESREAD 2",
        "XADD s 4-0 f 4",
        "XREADGROUP GROUP first c COUNT 1 STREAMS s >",
        "XREADGROUP GROUP middle c COUNT 1 STREAMS s >",
        "XREADGROUP GROUP zero c COUNT 2 STREAMS s >",
        "XREADGROUP GROUP told c COUNT 1 STREAMS s >",
        "XDEL s 4-0",
        "XADD s 5-0 f 5",
        "XREADGROUP GROUP told c COUNT 1 STREAMS s >",
        "XREADGROUP GROUP zero c COUNT 1 STREAMS s >",
        "XREADGROUP GROUP zero c COUNT 9 STREAMS s >",
        "XDEL s 1-0",
        "XTRIM s MAXLEN 1",
        "XREADGROUP GROUP first c NOACK STREAMS s >",
        "XGROUP SETID s middle 0 ENTRIESREAD 100",
        "XSETID s 8-0 ENTRIESADDED 50 MAXDELETEDID 7-0",
        "XADD s 9-0 f 9",
        "XREADGROUP GROUP middle c COUNT 1 STREAMS s >",
        "XREADGROUP GROUP middle c COUNT 1 STREAMS s >",
        "XTRIM s MAXLEN 0",
        "XSETID s 10-0",
        "XADD s 11-0 f 9",
        "XREADGROUP GROUP last c STREAMS s >",
    ];
    for step in steps {
        script.push(step.to_owned());
        script.extend(looks.map(String::from));
    }
    same_script(&script);
}

/// Anything on two streams with two groups each.
#[test]
fn groups_stay_those_of_redis() {
    for (seed, node_entries) in [(1, "100"), (2, "4")] {
        let mut pair = Pair::start(&["--stream-node-max-entries", node_entries], Version::Resp2);
        let mut rng = fastrand::Rng::with_seed(seed);
        println!("seed {seed}");
        for (stream, group) in [("s", "g"), ("s", "h"), ("t", "g"), ("t", "h")] {
            same(&mut pair, &format!("XGROUP CREATE {stream} {group} 0 MKSTREAM"));
            for name in ["a", "b", "c"] {
                same(&mut pair, &format!("XGROUP CREATECONSUMER {stream} {group} {name}"));
            }
        }
        for step in 0..1000 {
            let line = random_call(&mut rng, step);
            same(&mut pair, &line);
            // Where there is nothing to read, 7.0 does not create who reads.
            if line.contains("DELCONSUMER") {
                same(&mut pair, &line.replace("DELCONSUMER", "CREATECONSUMER"));
            }
            if step % 25 == 0 {
                for stream in ["s", "t"] {
                    same(&mut pair, &format!("XINFO STREAM {stream} FULL COUNT 0"));
                    same(&mut pair, &format!("XPENDING {stream} g"));
                }
            }
        }
    }
}

fn random_call(rng: &mut fastrand::Rng, step: u64) -> String {
    let one_of = |rng: &mut fastrand::Rng, words: &[&'static str]| words[rng.usize(..words.len())];
    let stream = one_of(rng, &["s", "t"]);
    let group = format!("{} {}", stream, one_of(rng, &["g", "h"]));
    let name = one_of(rng, &["g", "h"]);
    let consumer = one_of(rng, &["a", "b", "c"]);
    let id = |rng: &mut fastrand::Rng| format!("{}-0", step.saturating_sub(rng.u64(0..60)));
    let idle_min = one_of(rng, &["0", "0", "1000000"]);
    let count = rng.u8(1..6);
    match rng.u8(0..24) {
        0..8 => format!("XADD {stream} {step}-0 f {step}"),
        8..11 => format!("XREADGROUP GROUP {name} {consumer} COUNT {count} STREAMS {stream} >"),
        11 => format!("XREADGROUP GROUP {name} {consumer} COUNT {count} STREAMS s t > >"),
        12 => format!("XREADGROUP GROUP {name} {consumer} COUNT {count} NOACK STREAMS {stream} >"),
        13 => format!("XREADGROUP GROUP {name} {consumer} COUNT {count} STREAMS {stream} {}", id(rng)),
        14..16 => format!("XACK {group} {} {} {}", id(rng), id(rng), id(rng)),
        16 => format!("XDEL {stream} {}", id(rng)),
        17 => format!("XCLAIM {group} {consumer} {idle_min} {} {} FORCE TIME {step}", id(rng), id(rng)),
        18 => format!("XCLAIM {group} {consumer} {idle_min} {} {} JUSTID", id(rng), id(rng)),
        19 => format!("XAUTOCLAIM {group} {consumer} {idle_min} {} COUNT {count}", id(rng)),
        20 if rng.u8(0..4) == 0 => format!("XGROUP SETID {group} {}", id(rng)),
        20 => format!("XTRIM {stream} MAXLEN {}", rng.u8(20..60)),
        21 if rng.u8(0..4) == 0 => format!("XGROUP DELCONSUMER {group} {consumer}"),
        21 => format!("XGROUP CREATECONSUMER {group} {consumer}"),
        22 => format!("XPENDING {group} IDLE 1000000 - + {count}"),
        _ => format!("XPENDING {group} {} + {count} {consumer}", id(rng)),
    }
}

/// The value of a field in a reply of names and values.
fn field(reply: &Value, name: &str) -> Value {
    let Value::Array(fields) = reply else { panic!("no fields: {reply:?}") };
    let at = fields.iter().position(|field| *field == Value::Bulk(name.as_bytes().to_vec()));
    fields[at.unwrap_or_else(|| panic!("no {name} in {reply:?}")) + 1].clone()
}

fn only(reply: Value) -> Value {
    let Value::Array(mut items) = reply else { panic!("no list: {reply:?}") };
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn consumer_info(client: &mut Client, field_name: &str) -> i64 {
    let info = only(client.run("XINFO CONSUMERS s g"));
    match field(&info, field_name) {
        Value::Int(number) => number,
        other => panic!("no number: {other:?}"),
    }
}

/// From Redis 7.2 on a consumer is seen when it asks, and active when it gets something; it is there once it asks.
#[test]
fn consumers_are_seen_and_active_as_in_redis_7_2() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    client.run("XGROUP CREATE s g $ MKSTREAM");
    assert_eq!(client.run("XREADGROUP GROUP g c STREAMS s >"), Value::NullArray);
    assert!(consumer_info(&mut client, "idle") < 1000);
    assert_eq!(consumer_info(&mut client, "inactive"), -1);
    assert_eq!(client.run("XAUTOCLAIM s g c 0 0"), client.run("XAUTOCLAIM s g c 0 0"));
    assert_eq!(consumer_info(&mut client, "inactive"), -1);
    client.run("XADD s 1-1 a 1");
    client.run("XREADGROUP GROUP g c NOACK STREAMS s >");
    assert_eq!(consumer_info(&mut client, "inactive"), -1);
    client.run("XADD s 1-2 a 1");
    client.run("XREADGROUP GROUP g c STREAMS s >");
    assert!((0..1000).contains(&consumer_info(&mut client, "inactive")));
    std::thread::sleep(std::time::Duration::from_millis(50));
    client.run("XREADGROUP GROUP g c STREAMS s >");
    assert!(consumer_info(&mut client, "inactive") >= 50);
    assert!(consumer_info(&mut client, "idle") < 50);
    client.run("XCLAIM s g c 0 1-2");
    assert!(consumer_info(&mut client, "inactive") < 50);
    let full = client.run("XINFO STREAM s FULL");
    let consumer = only(field(&only(field(&full, "groups")), "consumers"));
    let (Value::Int(seen), Value::Int(active)) =
        (field(&consumer, "seen-time"), field(&consumer, "active-time"))
    else {
        panic!("no times: {consumer:?}");
    };
    assert!(seen >= active && active > 1_600_000_000_000);
}

/// A hundred thousand pending entries are delivered, claimed, acknowledged and removed; the memory is given back.
#[test]
fn much_that_is_pending_comes_and_goes() {
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    let mut requests = Vec::new();
    for _ in 0..1000 {
        bobbin_proto::encode_command(&mut requests, ["XADD", "s", "*", "a", "1"]);
    }
    for _ in 0..100 {
        client.send_raw(&requests).expect("the server reads");
        (0..1000).for_each(|_| drop(client.read()));
    }
    let memory = |client: &mut Client| match client.run("MEMORY USAGE s") {
        Value::Int(bytes) => bytes,
        other => panic!("no number: {other:?}"),
    };
    let entries_alone = memory(&mut client);
    client.run("XGROUP CREATE s g 0");
    client.run("XREADGROUP GROUP g c STREAMS s >");
    let pending = |client: &mut Client| match client.run("XPENDING s g") {
        Value::Array(summary) => summary[0].clone(),
        other => panic!("no summary: {other:?}"),
    };
    assert_eq!(pending(&mut client), Value::Int(100_000));
    let each = (memory(&mut client) - entries_alone) / 100_000;
    assert!((60..200).contains(&each), "{each} bytes for each pending entry");
    client.run("XAUTOCLAIM s g d 0 - COUNT 50000 JUSTID");
    assert_eq!(client.run("XGROUP DELCONSUMER s g c"), Value::Int(50_000));
    assert_eq!(pending(&mut client), Value::Int(50_000));
    assert_eq!(client.run("XGROUP DESTROY s g"), Value::Int(1));
    assert_eq!(memory(&mut client), entries_alone);
    assert_eq!(client.run("DEL s"), Value::Int(1));
}
