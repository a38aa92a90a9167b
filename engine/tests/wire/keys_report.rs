//! HOTKEYS and MEMORY BIGKEYS, the same on the page of metrics, and what redis-cli finds by itself.

use std::process::Command;

use bobbin_proto::Value;

use crate::metrics::{measured, page};
use crate::support::{Client, Server, bobbin, bobbin_with, eventually};

/// Every access is counted.
const ALL: [&str; 2] = ["--hotkeys-sample-ratio", "1"];

/// The fields of a map, or of an array of names and values.
fn fields(value: Value) -> Vec<(String, Value)> {
    let name = |value: Value| match value {
        Value::Bulk(name) => String::from_utf8(name).expect("names are text"),
        other => panic!("no name: {other:?}"),
    };
    match value {
        Value::Map(pairs) => pairs.into_iter().map(|(field, value)| (name(field), value)).collect(),
        Value::Array(flat) => {
            let mut flat = flat.into_iter();
            std::iter::from_fn(|| Some((name(flat.next()?), flat.next().expect("a value")))).collect()
        }
        other => panic!("no map: {other:?}"),
    }
}

fn figure(fields: &[(String, Value)], name: &str) -> i64 {
    match fields.iter().find(|(field, _)| field == name) {
        Some((_, Value::Int(figure))) => *figure,
        other => panic!("{name}: {other:?}"),
    }
}

fn text(fields: &[(String, Value)], name: &str) -> String {
    match fields.iter().find(|(field, _)| field == name) {
        Some((_, Value::Bulk(text))) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{name}: {other:?}"),
    }
}

/// The keys listed, each with its fields.
fn listed(reply: Value, list: &str) -> Vec<Vec<(String, Value)>> {
    let (_, keys) = fields(reply).into_iter().find(|(name, _)| name == list).expect("a list");
    let Value::Array(keys) = keys else { panic!("no list: {keys:?}") };
    keys.into_iter().map(fields).collect()
}

fn names(reply: Value, list: &str) -> Vec<String> {
    listed(reply, list).iter().map(|key| text(key, "key")).collect()
}

fn big(client: &mut Client) -> Vec<String> {
    names(client.run("MEMORY BIGKEYS COUNT 100"), "by-bytes")
}

/// Accesses of a power law, from connections on both reactors.
fn skewed(server: &Server, accesses: usize) -> i64 {
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    let mut rng = fastrand::Rng::with_seed(11);
    let mut times = 0;
    for turn in 0..accesses {
        let rank = 10_000f64.powf(rng.f64()) as u32;
        times += i64::from(rank == 1);
        let command = ["GET", "SET", "INCR"][turn % 3];
        let args: &[String] = &[command.to_owned(), format!("key:{rank}"), String::from("1")];
        clients[turn % 4].call(&args[..if command == "SET" { 3 } else { 2 }]);
    }
    times
}

#[test]
fn what_is_named_most_often_is_named() {
    let server = bobbin_with(&ALL);
    let times = skewed(&server, 3000);
    let mut client = server.connect();
    for version in [2, 3] {
        client.run(&format!("HELLO {version}"));
        let reply = client.run("HOTKEYS GET COUNT 3");
        let all = fields(reply.clone());
        assert_eq!((figure(&all, "tracking-active"), figure(&all, "sample-ratio")), (1, 1));
        assert_eq!(figure(&all, "accesses"), 3000);
        assert!(figure(&all, "collection-start-time-unix-ms") > 1_700_000_000_000);
        assert!((0..120_000).contains(&figure(&all, "collection-duration-ms")));
        let keys = listed(reply, "by-accesses");
        assert_eq!(keys.iter().map(|key| text(key, "key")).collect::<Vec<_>>(), ["key:1", "key:2", "key:3"]);
        // Where the key is counted it has no error, but the other reactors may have seen it too.
        let (accesses, error) = (figure(&keys[0], "accesses"), figure(&keys[0], "error-max"));
        assert!((accesses - error..=accesses).contains(&times), "{accesses} {error} {times}");
        assert!(error <= 3000 / 128, "{error}");
    }
    client.run("HOTKEYS RESET");
    assert!(names(client.run("HOTKEYS GET"), "by-accesses").is_empty());
    client.run("SELECT 3");
    client.run("MGET a b a");
    client.run("MULTI");
    client.run("SET a 1");
    client.run("EXEC");
    let keys = listed(client.run("HOTKEYS GET"), "by-accesses");
    assert_eq!(
        (text(&keys[0], "key").as_str(), figure(&keys[0], "db"), figure(&keys[0], "accesses")),
        ("a", 3, 3)
    );
    client.run("CONFIG SET hotkeys-sample-ratio 0");
    client.run("GET a");
    let reply = client.run("HOTKEYS GET");
    assert_eq!(figure(&fields(reply.clone()), "tracking-active"), 0);
    assert!(names(reply, "by-accesses").is_empty());
}

#[test]
fn a_sample_names_the_hot_key() {
    let server = bobbin();
    let mut client = server.connect();
    let request =
        b"*2\r\n$3\r\nGET\r\n$3\r\nhot\r\n*2\r\n$3\r\nGET\r\n$4\r\ncold\r\n*2\r\n$3\r\nGET\r\n$3\r\nhot\r\n";
    for _ in 0..60 {
        client.send_raw(&request.repeat(500)).expect("it is taken");
        (0..1500).for_each(|_| drop(client.read()));
    }
    let keys = listed(client.run("HOTKEYS GET"), "by-accesses");
    assert_eq!(text(&keys[0], "key"), "hot");
    // 60,000 of 90,000: a sample of about 117.
    assert!((30_000..90_000).contains(&figure(&keys[0], "accesses")), "{keys:?}");
}

#[test]
fn big_keys_of_every_type_are_found_until_they_are_big_no_more() {
    let server = bobbin_with(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let value = "v".repeat(1000);
    client.call(&["SET", "string", &"v".repeat(60_000)]);
    for number in 0..50 {
        let number = number.to_string();
        client.call(&["RPUSH", "list", &value]);
        client.call(&["SADD", "set", &format!("{value}{number}")]);
        client.call(&["HSET", "hash", &number, &value]);
        client.call(&["ZADD", "zset", &number, &format!("{value}{number}")]);
        client.call(&["XADD", "stream", "*", &number, &value]);
        client.call(&["SET", &format!("small:{number}"), "x"]);
    }
    // One whose time is over is still there, and none.
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.call(&["SET", "over", &value.repeat(2), "PX", "200"]);
    assert!(big(&mut client).contains(&String::from("over")));
    eventually(|| !big(&mut client).contains(&String::from("over")));
    assert_eq!(client.run("DBSIZE"), Value::Int(57));
    let all = ["hash", "list", "set", "stream", "string", "zset"];
    for version in [2, 3] {
        client.run(&format!("HELLO {version}"));
        let mut found = listed(client.run("MEMORY BIGKEYS"), "by-bytes");
        found.sort_by_key(|key| text(key, "key"));
        assert_eq!(found.iter().map(|key| text(key, "key")).collect::<Vec<_>>(), all);
        for key in &found {
            let name = text(key, "key");
            assert_eq!(text(key, "type"), name);
            assert_eq!(figure(key, "elements"), if name == "string" { 60_000 } else { 50 }, "{name}");
            let Value::Int(bytes) = client.run(&format!("MEMORY USAGE {name}")) else { panic!("an integer") };
            assert_eq!(figure(key, "bytes"), bytes, "{name}");
        }
    }
    assert_eq!(figure(&fields(client.run("MEMORY BIGKEYS")), "complete-from-bytes"), 1032);
    assert_eq!(names(client.run("MEMORY BIGKEYS COUNT 1"), "by-bytes").len(), 1);
    client.run("DEL set");
    client.run("LTRIM list 0 0");
    client.run("SET zset 1");
    client.run("RENAME hash renamed");
    client.run("MOVE stream 1");
    client.run("PEXPIRE string 1");
    eventually(|| client.run("EXISTS string") == Value::Int(0));
    let mut left = big(&mut client);
    left.sort();
    // The list has an element of 1,000 bytes, and what keeps it.
    left.retain(|name| name != "list");
    assert_eq!(left, ["renamed", "stream"]);
    client.run("FLUSHALL");
    assert!(big(&mut client).is_empty());
}

#[test]
fn keys_of_several_shards_stay_known() {
    let server = bobbin();
    let mut client = server.connect();
    let value = "v".repeat(3000);
    for number in 0..8 {
        client.call(&["SADD", &format!("set:{number}"), &value, &number.to_string()]);
    }
    client.run("SUNIONSTORE all set:0 set:1 set:2 set:3 set:4 set:5 set:6 set:7");
    client.run("COPY all copy");
    client.run("RENAME set:0 other");
    let mut found = big(&mut client);
    found.sort();
    let sets = (1..8).map(|number| format!("set:{number}"));
    let expected: Vec<_> = ["all", "copy", "other"].map(String::from).into_iter().chain(sets).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_page_of_metrics_names_ten() {
    let (server, port) = measured(&ALL);
    let mut client = server.connect();
    for number in 0..30 {
        client.call(&["SET", &format!("key:{number:02}"), &"v".repeat(2000 + 100 * number)]);
    }
    (0..50).for_each(|_| drop(client.call(&["GET", "a\"\n\\b"])));
    client.call(&["SET", &"n".repeat(300), &"v".repeat(100_000)]);
    let figures = page(&port);
    let of = |name: &str| figures.iter().filter(|(line, _)| line.starts_with(name)).collect::<Vec<_>>();
    let (hot, big) = (of("bobbin_hot_key_accesses{"), of("bobbin_big_key_bytes{"));
    assert_eq!((hot.len(), big.len()), (10, 10));
    let hottest = r#"bobbin_hot_key_accesses{db="0",key="a\\\"\\n\\\\b"}"#;
    assert!((figures[hottest] - 50.0).abs() < 0.5, "{figures:?}");
    assert!(big.iter().any(|(line, _)| line.contains(r#"key="key:29",type="string""#)), "{big:?}");
    let long = big.iter().find(|(line, _)| line.contains("more bytes")).expect("the long name is cut");
    assert!(long.0.len() < 250, "{long:?}");
}

#[test]
fn wrong_requests_are_told_of() {
    let server = bobbin();
    let mut client = server.connect();
    for (request, error) in [
        ("HOTKEYS GET COUNT 0", "ERR COUNT must be > 0"),
        ("HOTKEYS GET COUNT x", "ERR value is not an integer or out of range"),
        ("HOTKEYS GET COUNT", "ERR syntax error"),
        ("HOTKEYS GET LIMIT 3", "ERR syntax error"),
        ("MEMORY BIGKEYS COUNT -1", "ERR COUNT must be > 0"),
        ("MEMORY BIGKEYS COUNT 1 2", "ERR syntax error"),
        ("HOTKEYS START METRICS 1 CPU", "ERR unknown subcommand 'START'. Try HOTKEYS HELP."),
        (
            "CONFIG SET hotkeys-sample-ratio -1",
            "ERR CONFIG SET failed (possibly related to argument \
          'hotkeys-sample-ratio') - argument must be between 0 and 1000000 inclusive",
        ),
    ] {
        assert_eq!(client.run(request), Value::Error(error.into()), "{request}");
    }
}

fn redis_cli(server: &Server, option: &str) -> String {
    let ran = Command::new("redis-cli").args(["-p", &server.port.to_string(), option]).output();
    let ran = ran.expect("redis-cli runs; Debian's package redis-tools has it");
    assert!(ran.status.success(), "{option}: {ran:?}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// redis-cli scans and asks key by key.
#[test]
fn what_redis_cli_looks_for_it_finds() {
    let server = bobbin_with(&["--maxmemory-policy", "allkeys-lfu"]);
    let mut client = server.connect();
    client.call(&["SET", "long", &"v".repeat(5000)]);
    (0..300).for_each(|number| drop(client.call(&["RPUSH", "list", &number.to_string()])));
    (0..2000).for_each(|_| drop(client.run("GET long")));
    let found = redis_cli(&server, "--bigkeys");
    assert!(
        found.contains("'\"long\"' has 5000 bytes") && found.contains("'\"list\"' has 300 items"),
        "{found}"
    );
    let found = redis_cli(&server, "--memkeys");
    assert!(found.contains("'\"long\"' has") && found.contains("'\"list\"' has"), "{found}");
    let found = redis_cli(&server, "--hotkeys");
    assert!(found.contains("keyname: \"long\""), "{found}");
}
