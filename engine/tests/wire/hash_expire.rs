//! Fields that expire: what redis-server 7.4 and 8.0 answer, which the oracle does not know.

use bobbin_proto::Value;

use crate::support::{Client, bobbin, bobbin_with};

/// What makes every hash a table from the first field on.
const ALWAYS_TABLE: &[&str] = &["--hash-max-listpack-entries", "0"];
const ALLOWED: [&str; 2] = ["--enable-debug-command", "yes"];
const FAR: &str = "70000000000000";
const TOO_FAR: &str = "70368744177664";

/// A reply in few words: `[1 nil text]`, errors as they are.
fn shown(value: &Value) -> String {
    match value {
        Value::NullBulk => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Bulk(text) | Value::Simple(text) | Value::Error(text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn expect(client: &mut Client, script: &[(&str, &str)]) {
    for (line, reply) in script {
        let line = line.replace("FAR", FAR).replace("TOOfar", TOO_FAR);
        assert_eq!(shown(&client.run(&line)), *reply, "{line}");
    }
}

fn in_both_encodings(script: &[(&str, &str)]) {
    for directives in [&[][..], ALWAYS_TABLE] {
        let server = bobbin_with(directives);
        expect(&mut server.connect(), script);
    }
}

#[test]
fn deadlines_are_set_told_and_removed() {
    in_both_encodings(&[
        ("HSET h a 1 b 2 c 3", "3"),
        ("HTTL h FIELDS 2 a nobody", "[-1 -2]"),
        ("HTTL missing FIELDS 2 a b", "[-2 -2]"),
        ("HEXPIRE h 100 FIELDS 2 a nobody", "[1 -2]"),
        ("HTTL h FIELDS 2 a b", "[100 -1]"),
        ("HPEXPIRE h 99500 FIELDS 1 b", "[1]"),
        ("HTTL h FIELDS 1 b", "[100]"),
        ("HPEXPIREAT h FAR FIELDS 1 c", "[1]"),
        ("HPEXPIRETIME h FIELDS 1 c", "[70000000000000]"),
        ("HEXPIRETIME h FIELDS 1 c", "[70000000000]"),
        ("HPEXPIREAT h 69999999999001 FIELDS 1 c", "[1]"),
        ("HEXPIRETIME h FIELDS 1 c", "[70000000000]"),
        ("HEXPIREAT h 60000000000 FIELDS 1 c", "[1]"),
        ("HPEXPIRETIME h FIELDS 2 c nobody", "[60000000000000 -2]"),
        ("HPERSIST h FIELDS 3 a nobody a", "[1 -2 -1]"),
        ("HPERSIST missing FIELDS 1 a", "[-2]"),
        ("HEXPIRE missing 10 FIELDS 1 a", "[-2]"),
        ("EXISTS missing", "0"),
        ("HEXPIRE h 0 FIELDS 2 a a", "[2 -2]"),
        ("HEXPIREAT h 1 FIELDS 1 b", "[2]"),
        ("HGETALL h", "[c 3]"),
        ("HPEXPIREAT h 1000 FIELDS 1 c", "[2]"),
        ("EXISTS h", "0"),
    ]);
}

#[test]
fn conditions_are_asked_of_each_field() {
    in_both_encodings(&[
        ("HSET h a 1 b 2", "2"),
        ("HEXPIREAT h 60000000000 XX FIELDS 2 a b", "[0 0]"),
        ("HEXPIREAT h 60000000000 GT FIELDS 1 a", "[0]"),
        ("HEXPIREAT h 60000000000 NX FIELDS 2 a nobody", "[1 -2]"),
        ("HEXPIREAT h 50000000000 nx FIELDS 2 a b", "[0 1]"),
        ("HEXPIREAT h 55000000000 GT FIELDS 2 a b", "[0 1]"),
        ("HEXPIREAT h 55000000000 GT FIELDS 1 b", "[0]"),
        ("HEXPIREAT h 55000000000 LT FIELDS 2 a b", "[1 0]"),
        ("HPERSIST h FIELDS 1 a", "[1]"),
        ("HEXPIREAT h 56000000000 LT FIELDS 2 a b", "[1 0]"),
        ("HEXPIREAT h 57000000000 XX FIELDS 2 a b", "[1 1]"),
        ("HEXPIRETIME h FIELDS 2 a b", "[57000000000 57000000000]"),
        ("HEXPIREAT h 1 GT FIELDS 1 a", "[0]"),
        ("HEXPIREAT h 1 LT FIELDS 1 a", "[2]"),
        ("HLEN h", "1"),
    ]);
}

#[test]
fn errors_are_those_of_redis() {
    const NO_FIELDS: &str = "ERR Mandatory argument FIELDS is missing or not at the right position";
    const MISCOUNTED: &str = "ERR The `numfields` parameter must match the number of arguments";
    const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";
    const PARAMETER: &str = "ERR Parameter `numFields` should be greater than 0";
    const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
    const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
    const NEGATIVE: &str = "ERR invalid expire time, must be >= 0";
    let server = bobbin();
    let mut client = server.connect();
    expect(
        &mut client,
        &[
            ("HSET h a 1", "1"),
            ("SET s v", "OK"),
            ("HEXPIRE h 10 FIELDS 1", "ERR wrong number of arguments for 'hexpire' command"),
            ("HTTL h FIELDS 1", "ERR wrong number of arguments for 'httl' command"),
            ("HEXPIRE s x FIELDS 1 a", WRONG_TYPE),
            ("HEXPIRE s 10 FIELDS 1 a", WRONG_TYPE),
            ("HEXPIRE h x FIELDS 1 a", NOT_INTEGER),
            ("HEXPIRE h x FIELDS 0 a", NOT_INTEGER),
            ("HEXPIRE h -1 FIELDS 1 a", NEGATIVE),
            ("HEXPIRE h FAR FIELDS 1 a", "ERR invalid expire time in 'hexpire' command"),
            ("HPEXPIRE h TOOfar FIELDS 1 a", "ERR invalid expire time in 'hpexpire' command"),
            ("HPEXPIRE h 70368744177663 FIELDS 1 a", "ERR invalid expire time in 'hpexpire' command"),
            ("HPEXPIREAT h TOOfar FIELDS 1 a", "ERR invalid expire time in 'hpexpireat' command"),
            (
                "HPEXPIREAT h 9223372036854775807 FIELDS 1 a",
                "ERR invalid expire time in 'hpexpireat' command",
            ),
            ("HEXPIREAT h 9223372036854775807 FIELDS 1 a", "ERR invalid expire time in 'hexpireat' command"),
            ("HPEXPIREAT h 70368744177663 FIELDS 1 a", "[1]"),
            ("HEXPIRE h 10 a FIELDS 1 a", NO_FIELDS),
            ("HEXPIRE h 10 NX XX FIELDS 1 a", NO_FIELDS),
            ("HEXPIRE h 10 FIELD 1 a", NO_FIELDS),
            ("HEXPIRE h 10 FIELDS 0 a", PARAMETER),
            ("HEXPIRE h 10 FIELDS -1 a", PARAMETER),
            ("HEXPIRE h 10 FIELDS x a", PARAMETER),
            ("HEXPIRE h 10 FIELDS 2 a", MISCOUNTED),
            ("HEXPIRE h 10 FIELDS 1 a b", MISCOUNTED),
            ("HEXPIRE h 10 NX FIELDS 1", MISCOUNTED),
            ("HEXPIRE missing 10 FIELDS 2 a", MISCOUNTED),
            ("HTTL s FIELDS 1 a", WRONG_TYPE),
            ("HTTL s x 1 a", WRONG_TYPE),
            ("HTTL h x 1 a", NO_FIELDS),
            ("HTTL h FIELDS 0 a", NOT_POSITIVE),
            ("HTTL h FIELDS x a", NOT_POSITIVE),
            ("HTTL h FIELDS 2 a", MISCOUNTED),
            ("HTTL missing FIELDS 2 a", MISCOUNTED),
            ("HPERSIST s x 1 a", WRONG_TYPE),
            ("HPERSIST h x 1 a", NO_FIELDS),
            ("HPERSIST h FIELDS 0 a", NOT_POSITIVE),
            ("HPERSIST h FIELDS 1 a b", MISCOUNTED),
            ("HGETDEL s x 1 a", WRONG_TYPE),
            ("HGETDEL h x 1 a", NO_FIELDS),
            ("HGETDEL h FIELDS 0 a", NOT_POSITIVE),
            ("HGETDEL h FIELDS 2 a", MISCOUNTED),
            ("HGETEX s EX x FIELDS 1 a", WRONG_TYPE),
            ("HGETEX h EX x FIELDS 1 a", NOT_INTEGER),
            ("HGETEX h PX -1 FIELDS 1 a", NEGATIVE),
            ("HGETEX h EX 1 PX 1 FIELDS 1 a", NO_FIELDS),
            ("HGETEX h KEEPTTL FIELDS 1 a", NO_FIELDS),
            ("HGETEX h EXAT FAR FIELDS 1 a", "ERR invalid expire time in 'hgetex' command"),
            ("HGETEX h FIELDS 0 a", NOT_POSITIVE),
            ("HGETEX h FIELDS 2 a", MISCOUNTED),
            ("HGETEX h EX 10 FIELDS", NO_FIELDS),
            ("HGETALL h", "[a 1]"),
            ("HPEXPIRETIME h FIELDS 1 a", "[70368744177663]"),
        ],
    );
}

#[test]
fn values_are_set_with_a_deadline() {
    in_both_encodings(&[
        ("HSETEX h FIELDS 2 a 1 b 2", "1"),
        ("HTTL h FIELDS 2 a b", "[-1 -1]"),
        ("HSETEX h EX 100 FIELDS 1 a 3", "1"),
        ("HTTL h FIELDS 2 a b", "[100 -1]"),
        ("HSETEX h KEEPTTL FIELDS 2 a 4 c 5", "1"),
        ("HTTL h FIELDS 2 a c", "[100 -1]"),
        ("HSETEX h FIELDS 1 a 5", "1"),
        ("HTTL h FIELDS 1 a", "[-1]"),
        ("HSETEX h PXAT FAR FNX FIELDS 2 d 1 a 9", "0"),
        ("HSETEX h PXAT FAR FNX FIELDS 2 d 1 e 2", "1"),
        ("HSETEX h FXX EXAT 60000000000 FIELDS 2 d 7 f 8", "0"),
        ("HSETEX h FXX EXAT 60000000000 FIELDS 2 d 7 e 8", "1"),
        ("HPEXPIRETIME h FIELDS 2 d e", "[60000000000000 60000000000000]"),
        ("HMGET h a b c d e f", "[5 2 5 7 8 nil]"),
        ("HSETEX h FIELDS 2 g 1 g 2", "1"),
        ("HGET h g", "2"),
        ("HSETEX missing FXX FIELDS 1 a 1", "0"),
        ("EXISTS missing", "0"),
        ("HSETEX h EX 0 FIELDS 2 a 1 new 1", "1"),
        ("HMGET h a new", "[nil nil]"),
        ("HSETEX gone PXAT 1 FIELDS 1 a 1", "1"),
        ("EXISTS gone", "0"),
        ("SET s v", "OK"),
        ("HSETEX s FIELDS 1 a 1", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("HSETEX s FXX FIELDS 1 a 1", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("HSETEX s x FIELDS 1 a 1", "ERR unknown argument: x"),
        ("HSETEX h PERSIST FIELDS 1 a 1", "ERR unknown argument: PERSIST"),
        ("HSETEX h FXX FNX FIELDS 1 a 1", "ERR Only one of FXX or FNX arguments can be specified"),
        (
            "HSETEX h EX 10 KEEPTTL FIELDS 1 a 1",
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
        ),
        (
            "HSETEX h EX 10 EX 10 FIELDS 1 a 1",
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
        ),
        ("HSETEX h FNX KEEPTTL FNX x", "ERR Only one of FXX or FNX arguments can be specified"),
        ("HSETEX h FNX FIELDS 1 a", "ERR wrong number of arguments for 'hsetex' command"),
        ("HSETEX h FIELDS 2 a 1", "ERR wrong number of arguments for 'hsetex' command"),
        ("HSETEX h FIELDS 1 a 1 b", "ERR wrong number of arguments for 'hsetex' command"),
        ("HSETEX h FIELDS 1 a 1 EX 1", "ERR wrong number of arguments for 'hsetex' command"),
        ("HSETEX h FIELDS 0 a 1", "ERR invalid number of fields"),
        ("HSETEX h FIELDS x a 1", "ERR invalid number of fields"),
        ("HSETEX h FIELDS 2147483648 a 1", "ERR invalid number of fields"),
        ("HSETEX h EX -1 FIELDS 1 a 1", "ERR invalid expire time, must be >= 0"),
        ("HSETEX h EX x FIELDS 1 a 1", "ERR value is not an integer or out of range"),
        ("HSETEX h PX TOOfar FIELDS 1 a 1", "ERR invalid expire time in 'hsetex' command"),
        ("HSETEX h FNX KEEPTTL x EX", "ERR unknown argument: x"),
        ("HSETEX h FNX FNX FNX EX", "ERR Only one of FXX or FNX arguments can be specified"),
    ]);
}

#[test]
fn values_are_read_with_their_deadlines_changed_or_taken_out() {
    in_both_encodings(&[
        ("HSET h a 1 b 2 c 3", "3"),
        ("HGETEX h FIELDS 2 a nobody", "[1 nil]"),
        ("HTTL h FIELDS 1 a", "[-1]"),
        ("HGETEX h EX 100 FIELDS 3 a nobody b", "[1 nil 2]"),
        ("HTTL h FIELDS 3 a b c", "[100 100 -1]"),
        ("HGETEX h FIELDS 1 a", "[1]"),
        ("HTTL h FIELDS 1 a", "[100]"),
        ("HGETEX h PERSIST FIELDS 2 a c", "[1 3]"),
        ("HTTL h FIELDS 3 a b c", "[-1 100 -1]"),
        ("HGETEX h PXAT FAR FIELDS 1 a", "[1]"),
        ("HPEXPIRETIME h FIELDS 1 a", "[70000000000000]"),
        ("HGETEX h EXAT 1 FIELDS 2 a a", "[1 nil]"),
        ("HLEN h", "2"),
        ("HGETDEL h FIELDS 3 b nobody b", "[2 nil nil]"),
        ("HGETALL h", "[c 3]"),
        ("HGETDEL h FIELDS 1 c", "[3]"),
        ("EXISTS h", "0"),
        ("HGETDEL h FIELDS 2 a b", "[nil nil]"),
        ("HGETEX h EX 10 FIELDS 2 a b", "[nil nil]"),
        ("EXISTS h", "0"),
        ("HSET h a 1", "1"),
        ("HGETEX h PX 0 FIELDS 1 a", "[1]"),
        ("EXISTS h", "0"),
    ]);
}

#[test]
fn encodings_are_named_as_in_redis() {
    let server = bobbin();
    let mut client = server.connect();
    expect(
        &mut client,
        &[
            ("HSET h a 1 b 2", "2"),
            ("HEXPIRE h 100 FIELDS 1 nobody", "[-2]"),
            ("OBJECT ENCODING h", "listpack"),
            ("HEXPIRE h 100 FIELDS 1 a", "[1]"),
            ("OBJECT ENCODING h", "listpackex"),
            ("HPERSIST h FIELDS 1 a", "[1]"),
            ("OBJECT ENCODING h", "listpackex"),
            ("HEXPIRE h 100 FIELDS 1 b", "[1]"),
            ("CONFIG SET hash-max-listpack-entries 2", "OK"),
            ("HSET h c 3", "1"),
            ("OBJECT ENCODING h", "hashtable"),
            ("HTTL h FIELDS 3 a b c", "[-1 100 -1]"),
            ("HSETEX new EX 10 FIELDS 1 a 1", "1"),
            ("OBJECT ENCODING new", "listpackex"),
        ],
    );
}

#[test]
fn deadlines_survive_dump_and_restore() {
    for directives in [&[][..], ALWAYS_TABLE] {
        let server = bobbin_with(&[&ALLOWED, directives].concat());
        let mut client = server.connect();
        expect(
            &mut client,
            &[
                ("HSET h a 1 b 2 c 3 12 -5", "4"),
                ("HPEXPIREAT h FAR FIELDS 2 b 12", "[1 1]"),
                ("HPEXPIREAT h 60000000000000 FIELDS 1 c", "[1]"),
            ],
        );
        let Value::Bulk(payload) = client.run("DUMP h") else { panic!("not a payload") };
        for key in ["copy", "h"] {
            let reply = client.call(&[&b"RESTORE"[..], key.as_bytes(), b"0", &payload, b"REPLACE"]);
            assert_eq!(shown(&reply), "OK");
            let ask = format!("HPEXPIRETIME {key} FIELDS 4 a b c 12");
            expect(&mut client, &[(&ask, "[-1 70000000000000 60000000000000 70000000000000]")]);
        }
        let Value::Array(digests) = client.run("DEBUG DIGEST-VALUE h copy") else { panic!("not digests") };
        assert_eq!(digests[0], digests[1]);
        expect(&mut client, &[("HPERSIST copy FIELDS 1 b", "[1]")]);
        let Value::Array(digests) = client.run("DEBUG DIGEST-VALUE h copy") else { panic!("not digests") };
        assert_ne!(digests[0], digests[1], "a deadline is part of the value");
    }
}

#[test]
fn large_hashes_with_deadlines_are_walked_and_drawn_from() {
    let server = bobbin();
    let mut client = server.connect();
    let fields: Vec<String> = (0..5000).map(|n| format!("f{n}")).collect();
    for some in fields.chunks(500) {
        let pairs: Vec<String> = some.iter().map(|field| format!("{field} v")).collect();
        client.run(&format!("HSETEX h EX 1000 FIELDS 500 {}", pairs.join(" ")));
    }
    expect(&mut client, &[("HLEN h", "5000"), ("HPERSIST h FIELDS 1 f77", "[1]")]);
    let Value::Array(drawn) = client.run("HRANDFIELD h 1000") else { panic!("not fields") };
    let different: std::collections::BTreeSet<String> = drawn.iter().map(shown).collect();
    assert_eq!(different.len(), 1000);
    client.run("HPEXPIRE h 0 FIELDS 1 f77");
    expect(&mut client, &[("HLEN h", "4999"), ("HEXISTS h f77", "0"), ("HEXISTS h f78", "1")]);
}
