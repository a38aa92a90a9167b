//! Hashes, beside redis-server, packed and as tables.

use std::collections::BTreeMap;

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, bobbin, bobbin_with, same_replies, same_replies_with};

/// What makes every hash a table from the first field on.
const ALWAYS_TABLE: &[&str] = &["--hash-max-listpack-entries", "0"];

const ALLOWED: [&str; 2] = ["--enable-debug-command", "yes"];

/// The same replies as redis-server's, whatever the encoding.
fn same_in_both_encodings(script: &[&str]) {
    same_replies_with(&ALLOWED, script);
    same_replies_with(&[&ALLOWED, ALWAYS_TABLE].concat(), script);
}

#[test]
fn setting_and_removing() {
    same_in_both_encodings(&[
        "HSET",
        "HSET h",
        "HSET h f",
        "HSET h f v",
        "HSET h f w",
        "HSET h f 1 g",
        "HSET h f 1 g 2 g 3",
        "HGET h g",
        "HMSET h",
        "HMSET h f",
        "HMSET h f v i",
        "HMSET h f v i 4",
        "HSETNX h f x",
        "HSETNX h j 5",
        "HSETNX h j",
        "HSETNX new f v",
        r#"HSET h "" empty novalue "" "\x00\xff" "\r\n" 12 012 -5 5"#,
        "HMGET h f g i j \"\" novalue \"\\x00\\xff\" 12 -5",
        "HLEN h",
        "HDEL h",
        "HDEL h nobody",
        "HDEL h f nobody f g",
        "HLEN h",
        "HDEL missing f",
        "HDEL new f f",
        "EXISTS new",
        "TYPE h",
        "SET s v",
        "HSET s f v",
        "HSET s f",
        "HSET s f v g",
        "HMSET s f v",
        "HSETNX s f v",
        "HDEL s f",
        "GET s",
        "DEBUG DIGEST",
        "DEBUG DIGEST-VALUE h new s",
    ]);
}

#[test]
fn reading() {
    same_in_both_encodings(&[
        "HSET h f value",
        "HGET h f",
        "HGET h nobody",
        "HGET missing f",
        "HGET h",
        "HMGET h f nobody f",
        "HMGET missing f g",
        "HMGET h",
        "HEXISTS h f",
        "HEXISTS h nobody",
        "HEXISTS missing f",
        "HSTRLEN h f",
        "HSTRLEN h nobody",
        "HSTRLEN missing f",
        "HGETALL h",
        "HKEYS h",
        "HVALS h",
        "HSET h f -1234",
        "HSTRLEN h f",
        "HGETALL h",
        "HGETALL missing",
        "HKEYS missing",
        "HVALS missing",
        "HLEN missing",
        "HSET t 9223372036854775807 -9223372036854775808",
        "HGETALL t",
        "SET s v",
        "HGET s f",
        "HMGET s f",
        "HEXISTS s f",
        "HSTRLEN s f",
        "HGETALL s",
        "HKEYS s",
        "HVALS s",
        "HLEN s",
    ]);
}

#[test]
fn a_packed_hash_is_in_the_order_in_which_fields_came() {
    let script = [
        "HSET h c 1 a 2 b 3",
        "HSET h a changed-to-something-longer",
        "HSET h 10 ten 9 9",
        "HGETALL h",
        "HDEL h c 10",
        "HSET h c 4",
        "HGETALL h",
        "HKEYS h",
        "HVALS h",
        "HSCAN h 0",
        "HSCAN h 0 MATCH [ab] COUNT 1",
        "HRANDFIELD h 10",
        "HRANDFIELD h 10 WITHVALUES",
        "DEBUG DIGEST-VALUE h",
    ];
    same_replies_with(&ALLOWED, &script);
}

#[test]
fn counting() {
    same_in_both_encodings(&[
        "HINCRBY h f 5",
        "HINCRBY h f -7",
        "HINCRBY h f x",
        "HINCRBY h f 1.5",
        "HINCRBY h f",
        "HINCRBY h f 9223372036854775807",
        "HINCRBY h f 9223372036854775807",
        "HINCRBY h f -9223372036854775808",
        "HGET h f",
        r#"HSET h text abc zeros 007 blank " 1" float 1.5 exponent 1e3 long 9223372036854775808"#,
        "HINCRBY h text 1",
        "HINCRBY h zeros 1",
        "HINCRBY h blank 1",
        "HINCRBY h float 1",
        "HINCRBY h long 1",
        "HINCRBYFLOAT h text 1",
        "HINCRBYFLOAT h zeros 1",
        "HINCRBYFLOAT h blank 1",
        "HINCRBYFLOAT h float 1.6",
        "HINCRBYFLOAT h exponent 0.1",
        "HINCRBYFLOAT h long 1",
        "HINCRBYFLOAT h new 0.1",
        "HINCRBYFLOAT h new 0.2",
        "HINCRBYFLOAT h new -0.3",
        "HINCRBYFLOAT h new 3.0e3",
        "HINCRBYFLOAT h new 0x10",
        "HGET h new",
        "HINCRBY h new 1",
        "HINCRBYFLOAT h new x",
        "HINCRBYFLOAT h new \"\"",
        "HINCRBYFLOAT h new inf",
        "HINCRBYFLOAT h new -infinity",
        "HINCRBYFLOAT h new nan",
        "HINCRBYFLOAT h large 1.1e4932",
        "HINCRBYFLOAT h large 1.1e4932",
        "HSET h infinite inf",
        "HINCRBYFLOAT h infinite 1",
        "HINCRBYFLOAT h f",
        "HINCRBYFLOAT missing f inf",
        "HINCRBY missing f x",
        "EXISTS missing",
        "SET s v",
        "HINCRBY s f 1",
        "HINCRBY s f x",
        "HINCRBYFLOAT s f 1",
        "HINCRBYFLOAT s f inf",
    ]);
}

#[test]
fn arguments_of_walks() {
    same_in_both_encodings(&[
        "HSET h f v",
        "HSCAN h 0",
        "HSCAN h",
        "HSCAN h x",
        "HSCAN h 0 COUNT",
        "HSCAN h 0 COUNT 0",
        "HSCAN h 0 COUNT x",
        "HSCAN h 0 COUNT 10 MATCH",
        "HSCAN h 0 MATCH f COUNT 1000",
        "HSCAN h 0 MATCH g",
        "HSCAN h 0 TYPE hash",
        "HSCAN missing 0",
        "HSCAN missing 0 COUNT",
        "HSCAN missing x",
        "HRANDFIELD h",
        "HRANDFIELD h 0",
        "HRANDFIELD h 1",
        "HRANDFIELD h 5 WITHVALUES",
        "HRANDFIELD h -3",
        "HRANDFIELD h -3 WITHVALUES",
        "HRANDFIELD h 1 VALUES",
        "HRANDFIELD h 1 WITHVALUES x",
        "HRANDFIELD h x",
        "HRANDFIELD h -9223372036854775808",
        "HRANDFIELD h 9223372036854775807",
        "HRANDFIELD h -9223372036854775807 WITHVALUES",
        "HRANDFIELD missing",
        "HRANDFIELD missing 5",
        "HRANDFIELD missing -5 WITHVALUES",
        "HRANDFIELD missing x",
        "SET s v",
        "HSCAN s 0",
        "HSCAN s x",
        "HSCAN s 0 COUNT",
        "HRANDFIELD s",
        "HRANDFIELD s 1",
        "HRANDFIELD s x",
    ]);
}

#[test]
fn encodings_follow_the_directives() {
    let long = "v".repeat(65);
    let fits = "v".repeat(64);
    let set = |key: &str, fields: std::ops::Range<usize>| {
        let pairs: Vec<String> = fields.map(|n| format!("f{n} {n}")).collect();
        format!("HSET {key} {}", pairs.join(" "))
    };
    let script = [
        set("h", 0..512),
        "OBJECT ENCODING h".to_owned(),
        "HSET h f0 again".to_owned(),
        "OBJECT ENCODING h".to_owned(),
        "HSET h one-more v".to_owned(),
        "OBJECT ENCODING h".to_owned(),
        "HDEL h one-more f1".to_owned(),
        "OBJECT ENCODING h".to_owned(),
        set("many", 0..600),
        "OBJECT ENCODING many".to_owned(),
        format!("HSET long f {fits} {fits} v"),
        "OBJECT ENCODING long".to_owned(),
        format!("HSET long f {long}"),
        "OBJECT ENCODING long".to_owned(),
        format!("HSET longfield {long} v"),
        "OBJECT ENCODING longfield".to_owned(),
        format!("HSETNX nx f {long}"),
        "OBJECT ENCODING nx".to_owned(),
        "CONFIG SET hash-max-listpack-entries 3 hash-max-listpack-value 4".to_owned(),
        set("few", 0..3),
        "OBJECT ENCODING few".to_owned(),
        "HSET few f3 v".to_owned(),
        "OBJECT ENCODING few".to_owned(),
        "HINCRBY by f 9999".to_owned(),
        "OBJECT ENCODING by".to_owned(),
        "HINCRBY by f 1".to_owned(),
        "OBJECT ENCODING by".to_owned(),
        "CONFIG SET hash-max-ziplist-entries 2".to_owned(),
        "CONFIG GET hash-max-listpack-entries".to_owned(),
        "HSET shrunk a 1 b 2".to_owned(),
        "CONFIG SET hash-max-listpack-entries 1".to_owned(),
        "OBJECT ENCODING shrunk".to_owned(),
        "HSET shrunk a 2".to_owned(),
        "OBJECT ENCODING shrunk".to_owned(),
    ];
    same_replies(&script);
}

#[test]
fn other_commands_know_hashes() {
    same_in_both_encodings(&[
        "HSET {a}h f v",
        "COPY {a}h {a}copy",
        "HSET {a}copy g w",
        "HLEN {a}h",
        "RENAME {a}copy {a}other",
        "HMGET {a}other f g",
        "MOVE {a}other 3",
        "SELECT 3",
        "HLEN {a}other",
        "SWAPDB 0 3",
        "HLEN {a}h",
        "EXPIRE {a}h 100",
        "HSET {a}h f v2",
        "TTL {a}h",
        "SCAN 0 TYPE hash COUNT 100",
        "GET {a}h",
        "SET {a}h v",
        "HSET {a}big f v",
        "UNLINK {a}big",
        "EXISTS {a}big",
    ]);
}

#[test]
fn keys_of_different_shards() {
    let pair = |version| Pair::start(&[], version);
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = pair(version);
        for key in 0..20 {
            pair.same(&format!("HSET h{key} f {key} g x"));
            pair.same(&format!("HINCRBY h{key} f 1"));
            pair.same(&format!("HGETALL h{key}"));
        }
        pair.same("COPY h0 h1 REPLACE");
        pair.same("RENAME h2 h3");
        for key in 0..20 {
            pair.same(&format!("HGETALL h{key}"));
            pair.same(&format!("HDEL h{key} f g"));
        }
        pair.same("DBSIZE");
    }
}

fn texts(value: Value) -> Vec<Vec<u8>> {
    let Value::Array(items) = value else { panic!("not an array: {value:?}") };
    let text = |item| if let Value::Bulk(text) = item { text } else { panic!("not a text: {item:?}") };
    items.into_iter().map(text).collect()
}

fn pairs(value: Value) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let texts = texts(value);
    let (pairs, rest) = texts.as_chunks::<2>();
    assert!(rest.is_empty());
    pairs.iter().map(|[field, value]| (field.clone(), value.clone())).collect()
}

/// A table of so many fields with values of their own.
fn filled(client: &mut Client, fields: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let all: Vec<[String; 2]> = (0..fields).map(|n| [format!("field:{n}"), format!("value:{n}")]).collect();
    for some in all.chunks(1000) {
        let mut command = vec!["HSET".to_owned(), "h".to_owned()];
        command.extend(some.iter().flatten().cloned());
        assert_eq!(client.call(&command), Value::Int(some.len() as i64));
    }
    all.into_iter().map(|[field, value]| (field.into_bytes(), value.into_bytes())).collect()
}

#[test]
fn a_large_hash_is_answered_whole() {
    let server = bobbin();
    let mut client = server.connect();
    let all = filled(&mut client, 5000);
    assert_eq!(pairs(client.run("HGETALL h")), all);
    let mut fields = texts(client.run("HKEYS h"));
    fields.sort();
    assert!(fields.iter().eq(all.keys()));
    let mut values = texts(client.run("HVALS h"));
    values.sort();
    let mut expected: Vec<_> = all.values().cloned().collect();
    expected.sort();
    assert_eq!(values, expected);
}

#[test]
fn a_scan_of_a_table_meets_every_field_in_bounded_steps() {
    let server = bobbin();
    let mut client = server.connect();
    let all = filled(&mut client, 20_000);
    for more in ["", " NOVALUES", " MATCH field:1*", " NOVALUES MATCH *9"] {
        let (mut met, mut cursor, mut calls) = (BTreeMap::new(), b"0".to_vec(), 0);
        loop {
            let line = format!("HSCAN h {} COUNT 100{more}", String::from_utf8_lossy(&cursor));
            let Value::Array(mut reply) = client.run(&line) else { panic!("{line}") };
            let Some(Value::Array(found)) = reply.pop() else { panic!("{line}") };
            let found = Value::Array(found);
            let some = if more.contains("NOVALUES") {
                texts(found).into_iter().map(|field| (field.clone(), all[&field].clone())).collect()
            } else {
                pairs(found)
            };
            assert!(some.len() <= 100);
            met.extend(some);
            let Some(Value::Bulk(next)) = reply.pop() else { panic!("{line}") };
            cursor = next;
            calls += 1;
            if cursor == b"0" {
                break;
            }
        }
        let wanted = |field: &[u8]| match more {
            " MATCH field:1*" => field.starts_with(b"field:1"),
            " NOVALUES MATCH *9" => field.ends_with(b"9"),
            _ => true,
        };
        let expected = all.iter().filter(|(field, _)| wanted(field));
        assert!(met.iter().eq(expected), "{more}");
        assert!(calls >= 200, "{calls}");
    }
}

#[test]
fn a_scan_of_a_packed_hash_can_leave_values_out() {
    let server = bobbin();
    let mut client = server.connect();
    client.run("HSET h a 1 b 2 3 c");
    let Value::Array(mut reply) = client.run("HSCAN h 0 NOVALUES") else { panic!("not a scan") };
    assert_eq!(reply.pop().map(texts), Some(vec![b"a".to_vec(), b"b".to_vec(), b"3".to_vec()]));
}

#[test]
fn random_fields_are_fields() {
    for directives in [&[][..], ALWAYS_TABLE] {
        let server = bobbin_with(directives);
        let mut client = server.connect();
        let all = filled(&mut client, 50);
        for count in [1, 10, 49, 50, 60] {
            let some = pairs(client.run(&format!("HRANDFIELD h {count} WITHVALUES")));
            assert_eq!(some.len(), count.min(50), "different fields");
            assert!(some.iter().all(|(field, value)| all.get(field) == Some(value)));
        }
        let drawn = texts(client.run("HRANDFIELD h -1000"));
        assert_eq!(drawn.len(), 1000);
        let different: std::collections::BTreeSet<_> = drawn.iter().collect();
        assert!(different.len() > 40 && different.iter().all(|field| all.contains_key(*field)));
    }
}

/// Chi-squared with 49 degrees of freedom stays below 94 in all but one case of 10 000.
#[test]
fn every_field_has_the_same_chance() {
    for directives in [&[][..], ALWAYS_TABLE] {
        let server = bobbin_with(directives);
        let mut client = server.connect();
        filled(&mut client, 50);
        let mut drawn = texts(client.run("HRANDFIELD h -50000"));
        for _ in 0..1000 {
            drawn.extend(texts(client.run("HRANDFIELD h 25")));
        }
        let mut counts = BTreeMap::new();
        drawn.iter().for_each(|field| *counts.entry(field).or_insert(0) += 1);
        let expected = drawn.len() as f64 / 50.0;
        let chi: f64 = counts.values().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!(counts.len() == 50 && chi < 94.0, "{chi}");
    }
}

#[test]
fn draws_have_a_limit() {
    let server = bobbin();
    let mut client = server.connect();
    client.run("HSET h f v");
    let refused = Value::Error(b"ERR value is out of range".to_vec());
    assert_eq!(client.run("HRANDFIELD h -9223372036854775807"), refused);
}
