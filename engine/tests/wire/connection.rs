//! Greeting, authentication, databases, leaving.

use bobbin_proto::{Value, Version};

use crate::support::{Pair, bobbin, same_replies};

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "PING",
        "ping hello",
        "PING a b",
        r#"PING "\x00\r\n""#,
        "ECHO",
        "ECHO message",
        "ECHO a b",
        "SELECT 15",
        "SELECT 16",
        "SELECT -1",
        "SELECT x",
        r#"SELECT " 3""#,
        "SELECT 99999999999",
        "SELECT -99999999999",
        "SELECT 99999999999999999999",
        "SELECT",
        "AUTH",
        "AUTH password",
        "AUTH user password",
        "AUTH default password",
        "AUTH a b c",
        "HELLO x",
        "HELLO 1",
        "HELLO 4",
        "HELLO 99999999999999999999",
        "HELLO 3 option",
        "HELLO 3 AUTH user",
        "HELLO 3 AUTH user password",
        r#"HELLO 3 SETNAME "a b""#,
        "HELLO 3 SETNAME",
        "HELLO 1 AUTH user password",
        "RESET a",
        "client|id",
        "unknown a b c",
        "RESET",
        "PING",
        "QUIT now",
    ]);
}

/// Without a password, with a wrong one, with the right one, and after RESET.
#[test]
fn an_unauthenticated_connection_gets_what_redis_gives_it() {
    let mut pair = Pair::start(&["--requirepass", "secret"], Version::Resp2);
    for line in [
        "PING",
        "unknown",
        "GET",
        "CLIENT ID",
        "CLIENT unknown",
        "HELLO",
        "HELLO 3",
        "HELLO 3 SETNAME a",
        "HELLO 3 AUTH default wrong",
        "HELLO 3 AUTH other secret",
        "AUTH wrong",
        r#"AUTH """#,
        "AUTH default wrong",
        "AUTH other secret",
        "AUTH default secret more",
        "COMMAND COUNT",
        "MONITOR",
        "RESET",
        "AUTH secret",
        "PING",
        "AUTH wrong",
        "PING",
        "RESET",
        "PING",
        "AUTH default secret",
        "PING",
    ] {
        pair.same(line);
    }
    pair.reconnect();
    pair.same("GET a");
    pair.same("QUIT");
}

/// A client that has not authenticated may not make the server hold much.
#[test]
fn large_requests_need_authentication() {
    let mut pair = Pair::start(&["--requirepass", "secret"], Version::Resp2);
    pair.same_raw(b"*11\r\n", 1);
    pair.reconnect();
    pair.same_raw(b"*2\r\n$4\r\nPING\r\n$16385\r\n", 1);
    pair.reconnect();
    pair.same("AUTH secret");
    pair.same_call(&["PING"; 12]);
}

/// What the two say apart from the version they name and the ids they give.
#[test]
fn hello_answers_with_the_fields_of_redis() {
    let mut pair = Pair::start(&["--requirepass", "secret"], Version::Resp2);
    let masked = |reply: &[u8], old: &str| {
        let reply = String::from_utf8_lossy(reply).replace(old, "$V\r\nV\r\n");
        let (head, tail) = reply.split_once("$2\r\nid\r\n:").expect("an id");
        let (_, tail) = tail.split_once("\r\n").expect("a line's end");
        format!("{head}{tail}")
    };
    for line in [
        "HELLO 2 AUTH default secret",
        "HELLO",
        "HELLO 3",
        "HELLO",
        "HELLO 3 auth default secret setname name",
        "HELLO 2 SETNAME other SETNAME last",
    ] {
        let (bobbin, oracle) = pair.both(line);
        let (bobbin, oracle) = (masked(&bobbin, "$5\r\n7.2.4\r\n"), masked(&oracle, "$6\r\n7.0.15\r\n"));
        assert_eq!(bobbin, oracle, "{line}");
    }
    pair.same("CLIENT GETNAME");
}

#[test]
fn reset_makes_a_connection_as_new_and_keeps_its_library() {
    let server = bobbin();
    let mut client = server.connect();
    for line in [
        "HELLO 3 SETNAME name",
        "SELECT 4",
        "CLIENT SETINFO lib-name lib",
        "CLIENT NO-EVICT on",
        "CLIENT NO-TOUCH on",
    ] {
        client.run(line);
    }
    assert_eq!(client.run("RESET"), Value::Simple(b"RESET".to_vec()));
    let Value::Bulk(info) = client.run("CLIENT INFO") else { panic!("RESP2 has no verbatim texts") };
    let info = String::from_utf8(info).expect("a text");
    for part in [" name= ", " flags=N ", " db=0 ", " resp=2 ", " lib-name=lib "] {
        assert!(info.contains(part), "{part} in {info}");
    }
}

/// Every database is the same in both shards' eyes, and no other's keys are in it.
#[test]
fn databases_are_apart() {
    let server = bobbin();
    let mut client = server.connect();
    for db in 0..16 {
        client.run(&format!("SELECT {db}"));
        for key in ["a", "b", "c", "d"] {
            assert_eq!(client.run(&format!("GET {key}")), Value::NullBulk);
            client.run(&format!("SET {key} {db}"));
        }
    }
    client.run("SELECT 9");
    let nine = || Value::Bulk(b"9".to_vec());
    assert_eq!(client.run("MGET a b c d"), Value::Array(vec![nine(), nine(), nine(), nine()]));
}

#[test]
fn quit_answers_what_came_before_and_nothing_after() {
    let server = bobbin();
    let mut client = server.connect();
    client.send_raw(b"GET a\r\nMGET a b c d\r\nGET b\r\nQUIT\r\nPING\r\n").unwrap();
    let nulls = Value::Array(vec![Value::NullBulk; 4]);
    let ok = Value::Simple(b"OK".to_vec());
    for reply in [Value::NullBulk, nulls, Value::NullBulk, ok] {
        assert_eq!(client.read(), reply);
    }
    assert!(client.is_closed());
}

/// Errors quote a request as it is, up to a zero byte, and not more of it than Redis does.
#[test]
fn errors_quote_the_bytes_of_a_request() {
    let long = format!("{}\\xc3\\xa9{}", "e".repeat(127), "f".repeat(20));
    let mut script: Vec<String> = [
        r#"OBJECT "b\xfe""#,
        r#"OBJECT "b\x00\xfe""#,
        r#"foo "\xfe\x00b" "\xff" "\xc3\xa9""#,
        r#""\xfe\xff""#,
        r#"EXPIRE a 1 "\xfe""#,
        r#"EXPIRE a 1 "\r\na\nb\r\n""#,
        r#"EXPIRE a 1 "\n""#,
        r#"HELLO 2 "\xfe""#,
        r#"LATENCY GRAPH "\xfe""#,
        r#"ACL CAT "\xfe""#,
        r#"CLIENT LIST TYPE "\xfe""#,
        r#"CLIENT KILL USER "\xfe""#,
        r#"CLIENT PAUSE 1 2 "\xfe""#,
        r#"XPENDING "\xfe" "\xff\n""#,
        "XADD x 1 a b",
        r#"XINFO CONSUMERS x "\xfe""#,
        "XGROUP CREATE x g 0",
        r#"XCLAIM x g c 0 1 "\xfe""#,
    ]
    .map(str::to_owned)
    .to_vec();
    script.extend([format!(r#"OBJECT "{long}""#), format!(r#""{long}""#), format!(r#"foo x "{long}" y"#)]);
    same_replies(&script);
}
