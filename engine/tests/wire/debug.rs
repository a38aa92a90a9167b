//! DEBUG, where it is let.

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin_with, eventually, same_replies, same_replies_with};

const ALLOWED: &[&str] = &["--enable-debug-command", "yes"];

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

#[test]
fn without_leave_nothing_is_debugged() {
    same_replies(&["DEBUG", "DEBUG HELP", "DEBUG SLEEP 0"]);
    same_replies_with(&["--enable-debug-command", "local"], &["DEBUG SLEEP 0"]);
}

#[test]
fn replies_are_those_of_redis() {
    let mut script: Vec<String> = [
        "DEBUG unknown",
        "DEBUG SLEEP",
        "DEBUG SLEEP x",
        "DEBUG SLEEP -1",
        "DEBUG SLEEP 0.001",
        "DEBUG OBJECT",
        "DEBUG OBJECT missing",
        "DEBUG SET-ACTIVE-EXPIRE 0",
        "DEBUG SET-ACTIVE-EXPIRE 1",
        "DEBUG SET-ACTIVE-EXPIRE",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 100b",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 0",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 5gb",
        "DEBUG QUICKLIST-PACKED-THRESHOLD x",
        "DEBUG CHANGE-REPL-ID",
        "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1",
        "DEBUG REPLYBUFFER RESIZING 0",
        "DEBUG REPLYBUFFER PEAK-RESET-TIME never",
        "DEBUG REPLYBUFFER unknown 1",
        "DEBUG REPLYBUFFER",
        "DEBUG HTSTATS",
        "DEBUG HTSTATS 16",
        "DEBUG HTSTATS -1",
        "DEBUG HTSTATS x",
        "DEBUG HTSTATS-KEY missing",
        "SET string x",
        "DEBUG HTSTATS-KEY string",
        "DEBUG ERROR",
        r#"DEBUG ERROR "CODE of\r\nours""#,
        r#"DEBUG ERROR "CODE \x00\xfe\r\n""#,
        "DEBUG LOG hello",
        "DEBUG LOG",
        "DEBUG PROTOCOL",
        "DEBUG PROTOCOL unknown",
        "DEBUG POPULATE x",
        "DEBUG POPULATE -1",
        "DEBUG POPULATE 3 p 20",
        "GET p:2",
        "DEBUG POPULATE 20",
        "GET key:19",
    ]
    .map(str::to_owned)
    .to_vec();
    for kind in "string integer double bignum null array set map attrib push verbatim true false".split(' ') {
        script.push(format!("DEBUG PROTOCOL {kind}"));
    }
    same_replies_with(ALLOWED, &script);
}

/// Equal data has an equal digest on both servers, whatever the order it was written in.
#[test]
fn digests_are_those_of_redis() {
    let mut pair = Pair::start(ALLOWED, Version::Resp2);
    pair.same("DEBUG DIGEST");
    for line in [
        "DEBUG POPULATE 300",
        "SET number 12345678901",
        r#"SET binary "\x00\xff""#,
        r#"SET empty """#,
        "SET volatile x EX 100000",
        "SELECT 5",
        "SET other database",
    ] {
        pair.both(line);
        pair.same("DEBUG DIGEST");
    }
    pair.same("DEBUG DIGEST-VALUE other number");
    pair.both("SELECT 0");
    pair.same("DEBUG DIGEST-VALUE");
    pair.same("DEBUG DIGEST-VALUE number missing volatile binary empty key:1 key:1");
}

#[test]
fn objects_are_described_wherever_they_are() {
    let server = bobbin_with(ALLOWED);
    let mut client = server.connect();
    for (key, value, encoding, serialized) in [
        ("int", "1", "int", 2),
        ("int16", "-1000", "int", 3),
        ("int32", "100000", "int", 5),
        ("embstr", "hello", "embstr", 6),
        ("raw", &('A'..='Z').chain('a'..='z').collect::<String>(), "raw", 53),
    ] {
        assert_eq!(client.run(&format!("SET {key} {value}")), ok());
        let Value::Simple(text) = client.run(&format!("DEBUG OBJECT {key}")) else { panic!("not a status") };
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("Value at:0x"), "{text}");
        assert!(
            text.contains(&format!(" refcount:1 encoding:{encoding} serializedlength:{serialized} ")),
            "{text}"
        );
        assert!(text.contains(" lru_seconds_idle:"), "{text}");
    }
}

#[test]
fn what_has_no_meaning_here_is_accepted() {
    let server = bobbin_with(ALLOWED);
    let mut client = server.connect();
    for line in ["DEBUG JMAP", "DEBUG DICT-RESIZING 1"] {
        assert_eq!(client.run(line), ok(), "{line}");
    }
    assert_eq!(client.run("DEBUG STRINGMATCH-LEN h[ae]llo hallo"), Value::Int(1));
    assert_eq!(client.run("DEBUG STRINGMATCH-LEN h[ae]llo hillo"), Value::Int(0));
}

#[test]
fn tables_are_told_of_shard_by_shard() {
    let server = bobbin_with(ALLOWED);
    let mut client = server.connect();
    client.run("DEBUG POPULATE 100");
    let Value::Bulk(text) = client.run("DEBUG HTSTATS 0") else { panic!("not a text") };
    let text = String::from_utf8(text).unwrap();
    let counts = text.lines().filter_map(|line| line.strip_prefix(" number of elements: "));
    let counts: Vec<usize> = counts.map(|count| count.parse().unwrap()).collect();
    assert_eq!(counts.len(), 2, "{text}");
    assert_eq!(counts.iter().sum::<usize>(), 100);
    assert!(text.contains("[Expires HT]\nNo stats available"), "{text}");
}

#[test]
fn sleep_stops_every_reactor() {
    let server = bobbin_with(ALLOWED);
    let mut sleeper = server.connect();
    let mut others: Vec<_> = (0..5).map(|_| server.connect()).collect();
    others.iter_mut().for_each(|client| assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec())));
    let start = std::time::Instant::now();
    assert_eq!(sleeper.run("DEBUG SLEEP 0.3"), ok());
    assert!(start.elapsed() >= std::time::Duration::from_millis(300), "{:?}", start.elapsed());
    others.iter_mut().for_each(|client| assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec())));
}

#[test]
fn expired_keys_stay_until_they_are_looked_at_if_told_so() {
    let server = bobbin_with(ALLOWED);
    let mut client = server.connect();
    assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 0"), ok());
    for key in 0..10 {
        assert_eq!(client.run(&format!("SET key:{key} x PX 1")), ok());
    }
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(client.run("DBSIZE"), Value::Int(10));
    assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 1"), ok());
    eventually(|| client.run("DBSIZE") == Value::Int(0));
}
