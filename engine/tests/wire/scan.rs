//! KEYS, SCAN, RANDOMKEY and DBSIZE over two shards.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bobbin_proto::Value;

use crate::support::{Client, bobbin, same_replies};

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "SCAN",
        "SCAN x",
        "SCAN -1",
        "SCAN +0",
        "SCAN -",
        "SCAN 0x0",
        r#"SCAN """#,
        r#"SCAN " 0""#,
        r#"SCAN "0 ""#,
        r#"SCAN "0\x00x""#,
        "SCAN 18446744073709551615",
        "SCAN 18446744073709551616",
        "SCAN 0 COUNT",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT -1",
        "SCAN 0 COUNT x",
        "SCAN 0 COUNT 9223372036854775808",
        "SCAN 0 COUNT 9223372036854775807",
        "SCAN 0 MATCH",
        "SCAN 0 TYPE",
        "SCAN 0 TYPE other",
        "SCAN 0 TYPE string MATCH * COUNT 10",
        "SCAN 0 other",
        "SCAN 0 other x",
        "SCAN 0 COUNT x other",
        "KEYS",
        "KEYS *",
        "KEYS a b",
        "RANDOMKEY",
        "RANDOMKEY x",
        "DBSIZE",
        "DBSIZE x",
        "SET key value",
        "RANDOMKEY",
        "KEYS k?y",
        "KEYS [^k]*",
        r"KEYS \k*",
        "KEYS",
        "SCAN 0",
        "SCAN 0 MATCH k*",
        "SCAN 0 MATCH x*",
        "SCAN 0 MATCH x* MATCH k*",
        "SCAN 0 TYPE string",
        "SCAN 0 TYPE STRING",
        "SCAN 0 TYPE list",
        "SCAN 0 TYPE hash TYPE string",
        "DBSIZE",
        "EXPIRE key -1",
        "KEYS *",
        "DBSIZE",
    ]);
}

/// The keys of one call, and the cursor to go on from.
fn scan(client: &mut Client, cursor: &str, options: &str) -> (String, Vec<String>) {
    let Value::Array(reply) = client.run(&format!("SCAN {cursor} {options}")) else { panic!("an array") };
    let [Value::Bulk(cursor), Value::Array(keys)] = &reply[..] else { panic!("a cursor and keys") };
    (text(cursor), keys.iter().map(bulk).collect())
}

fn scan_all(client: &mut Client, options: &str) -> (Vec<String>, usize) {
    let (mut cursor, mut all, mut calls) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let (next, keys) = scan(client, &cursor, options);
        all.extend(keys);
        calls += 1;
        if next == "0" {
            return (all, calls);
        }
        cursor = next;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("tests use text")
}

fn bulk(value: &Value) -> String {
    let Value::Bulk(bytes) = value else { panic!("a bulk, not {value:?}") };
    text(bytes)
}

fn fill(client: &mut Client, prefix: &str, range: Range<usize>) {
    in_hundreds(client, "MSET", range, |index| vec![format!("{prefix}{index}"), index.to_string()]);
}

fn remove(client: &mut Client, prefix: &str, range: Range<usize>) {
    in_hundreds(client, "DEL", range, |index| vec![format!("{prefix}{index}")]);
}

fn in_hundreds(client: &mut Client, name: &str, range: Range<usize>, args: impl Fn(usize) -> Vec<String>) {
    for first in range.clone().step_by(100) {
        let mut command = vec![name.to_owned()];
        command.extend((first..(first + 100).min(range.end)).flat_map(&args));
        client.call(&command);
    }
}

#[test]
fn a_small_database_is_seen_whole_in_one_call() {
    let server = bobbin();
    let mut client = server.connect();
    fill(&mut client, "key:", 0..90);
    for (options, keys, calls) in
        [("COUNT 1000", 90, 1), ("COUNT 1000 MATCH key:1*", 11, 1), ("COUNT 1000 TYPE list", 0, 1)]
    {
        let (found, took) = scan_all(&mut client, options);
        assert_eq!((found.len(), took), (keys, calls), "{options}");
    }
    let (found, calls) = scan_all(&mut client, "COUNT 5");
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), 90);
    assert!((9..60).contains(&calls), "{calls} calls");
}

/// What is there from the first call to the last is returned, while other keys come and go by the thousands.
#[test]
fn keys_that_stay_are_returned_while_the_tables_grow_and_shrink() {
    let server = bobbin();
    let mut client = server.connect();
    fill(&mut client, "stays:", 0..3000);
    let wanted: HashSet<String> = (0..3000).map(|index| format!("stays:{index}")).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut other = server.connect();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fill(&mut other, "goes:", 0..20_000);
                remove(&mut other, "goes:", 0..20_000);
            }
        });
        for count in [1, 10, 100, 1000].repeat(3) {
            let (found, _) = scan_all(&mut client, &format!("COUNT {count} MATCH stays:*"));
            let found: HashSet<String> = found.into_iter().collect();
            let missing: Vec<_> = wanted.difference(&found).take(5).collect();
            assert!(missing.is_empty(), "COUNT {count}: {missing:?} and more are missing");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_cursor_into_what_is_gone_ends() {
    let server = bobbin();
    let mut client = server.connect();
    fill(&mut client, "key:", 0..5000);
    let (cursor, _) = scan(&mut client, "0", "COUNT 10");
    assert_ne!(cursor, "0");
    client.run("FLUSHALL");
    let mut cursor = cursor;
    for _ in 0..3 {
        let (next, keys) = scan(&mut client, &cursor, "COUNT 10");
        assert!(keys.is_empty());
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(cursor, "0");
    // A shard that this server does not have.
    let beyond = (7u64 << 44).to_string();
    assert_eq!(scan(&mut client, &beyond, ""), ("0".to_owned(), Vec::new()));
}

#[test]
fn keys_and_dbsize_see_every_shard() {
    let server = bobbin();
    let mut client = server.connect();
    fill(&mut client, "key:", 0..1000);
    assert_eq!(client.run("DBSIZE"), Value::Int(1000));
    let Value::Array(keys) = client.run("KEYS *") else { panic!("an array") };
    assert_eq!(keys.iter().map(bulk).collect::<HashSet<_>>().len(), 1000);
    let Value::Array(keys) = client.run("KEYS key:99?") else { panic!("an array") };
    assert_eq!(keys.len(), 10);
}

/// 100 keys, one draw in 100 each: the counts must spread as chance spreads them.
#[test]
fn every_key_has_the_same_chance_of_randomkey() {
    const KEYS: usize = 100;
    const DRAWS: usize = 20_000;
    let server = bobbin();
    let mut client = server.connect();
    fill(&mut client, "key:", 0..KEYS);
    let mut counts = HashMap::<String, usize>::new();
    for _ in 0..DRAWS {
        *counts.entry(bulk(&client.run("RANDOMKEY"))).or_default() += 1;
    }
    let expected = DRAWS as f64 / KEYS as f64;
    let chi_squared: f64 = counts.values().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
    // Mean 99, deviation 14: eight deviations, as the seed is another each time.
    assert_eq!(counts.len(), KEYS);
    assert!(chi_squared < 99.0 + 8.0 * 14.1, "{chi_squared}");
}
