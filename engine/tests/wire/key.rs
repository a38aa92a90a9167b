//! Generic keys: removing, renaming, copying, moving, OBJECT.

use bobbin_proto::Value;

use crate::support::{Client, bobbin_with, same_replies, words};

#[test]
fn removing_and_counting() {
    same_replies(&[
        "MSET a 1 b 2 c 3 d 4",
        "EXISTS a b c nokey a",
        "TOUCH a b nokey a",
        "DEL a nokey a",
        "UNLINK b nokey b",
        "EXISTS a b c d",
        "DEL c d",
        "DBSIZE",
        "TYPE a",
        "SET a value",
        "TYPE a",
        r#"SET "\x00\xff" value"#,
        r#"EXISTS "\x00\xff" "" "\x00""#,
        r#"DEL "\x00\xff""#,
        r#"SET "" empty"#,
        r#"TYPE """#,
        r#"UNLINK """#,
        "DEL",
        "UNLINK",
        "EXISTS",
        "TOUCH",
        "TYPE",
        "TYPE a b",
    ]);
}

#[test]
fn renaming() {
    let mut script = vec![
        "RENAME nokey other".to_owned(),
        "RENAMENX nokey other".to_owned(),
        "RENAME nokey nokey".to_owned(),
        "RENAME a".to_owned(),
        "RENAME a b c".to_owned(),
        "RENAMENX a".to_owned(),
    ];
    // Names enough that source and target are on one shard, and on two, in both orders.
    for index in 0..30 {
        script.extend([
            format!("SET from:{index} value:{index}"),
            format!("EXPIREAT from:{index} 99999999999"),
            format!("RENAME from:{index} from:{index}"),
            format!("RENAMENX from:{index} from:{index}"),
            format!("RENAME from:{index} to:{index}"),
            format!("EXISTS from:{index}"),
            format!("GET to:{index}"),
            format!("EXPIRETIME to:{index}"),
            format!("SET from:{index} other"),
            format!("RENAMENX from:{index} to:{index}"),
            format!("RENAMENX from:{index} new:{index}"),
            format!("RENAME new:{index} to:{index}"),
            format!("GET to:{index}"),
            format!("TTL to:{index}"),
        ]);
    }
    script.push("DBSIZE".to_owned());
    same_replies(&script);
}

#[test]
fn copying_and_moving() {
    let mut script: Vec<String> = [
        "COPY nokey other",
        "COPY a",
        "COPY a a",
        "COPY a b DB",
        "COPY a b DB x",
        "COPY a b DB 16",
        "COPY a b DB -1",
        "COPY a b DB 99999999999",
        "COPY a b DB 99999999999999999999",
        "COPY a b other",
        "COPY a b REPLACE other",
        "COPY a a DB 0",
        "COPY a a REPLACE",
        "MOVE nokey 1",
        "MOVE a 0",
        "MOVE a 16",
        "MOVE a -1",
        "MOVE a x",
        "MOVE a 99999999999",
        "MOVE a -99999999999",
        "MOVE a",
        "MOVE a 1 2",
    ]
    .map(str::to_owned)
    .to_vec();
    for index in 0..20 {
        script.extend(
            [
                "SET a:N value",
                "PEXPIREAT a:N 99999999999999",
                "COPY a:N b:N",
                "COPY a:N b:N",
                "GET b:N",
                "PEXPIRETIME b:N",
                "SET a:N 12345",
                "COPY a:N b:N REPLACE",
                "OBJECT ENCODING b:N",
                "TTL b:N",
                "COPY a:N c:N DB 3",
                "copy a:N c:N db 3",
                "COPY a:N c:N DB 3 replace",
                "COPY a:N a:N DB 3",
                "MOVE a:N 3",
                "MOVE b:N 3",
                "EXISTS a:N b:N c:N",
                "SELECT 3",
                "MGET a:N b:N c:N",
                "DBSIZE",
                "SELECT 0",
            ]
            .map(|line| line.replace('N', &index.to_string())),
        );
    }
    same_replies(&script);
}

#[test]
fn object() {
    let long = format!("SET long {}", "x".repeat(45));
    let longest = format!("SET longest {}", "x".repeat(100_000));
    same_replies(&[
        "OBJECT",
        "OBJECT ENCODING",
        "OBJECT ENCODING a b",
        "OBJECT FREQ",
        "OBJECT IDLETIME",
        "OBJECT REFCOUNT",
        "OBJECT HELP x",
        "OBJECT other",
        "OBJECT ENCODING nokey",
        "OBJECT FREQ nokey",
        "OBJECT IDLETIME nokey",
        "OBJECT REFCOUNT nokey",
        "MSET number 12345 small 9999 zero 0 minus -1 ten 10000 short text padded 007",
        &long,
        &longest,
        "OBJECT ENCODING number",
        "OBJECT ENCODING short",
        "OBJECT ENCODING padded",
        "OBJECT ENCODING long",
        "object encoding longest",
        "OBJECT REFCOUNT number",
        "OBJECT REFCOUNT small",
        "OBJECT REFCOUNT zero",
        "OBJECT REFCOUNT minus",
        "OBJECT REFCOUNT ten",
        "OBJECT REFCOUNT short",
        "OBJECT FREQ short",
        "OBJECT IDLETIME short",
    ]);
}

#[test]
fn object_under_an_lfu_policy() {
    let lfu = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"];
    crate::support::same_replies_with(
        &lfu,
        &[
            "SET a value",
            "OBJECT FREQ a",
            "GET a",
            "GET a",
            "TOUCH a",
            "OBJECT FREQ a",
            "EXISTS a",
            "TYPE a",
            "TTL a",
            "OBJECT FREQ a",
            "OBJECT IDLETIME a",
            "OBJECT IDLETIME nokey",
            "OBJECT FREQ nokey",
            "EXPIRE a 100",
            "OBJECT FREQ a",
            "RENAME a b",
            "OBJECT FREQ b",
        ],
    );
}

/// A change of policy reaches every shard before CONFIG SET is answered.
#[test]
fn a_change_of_policy_changes_what_object_tells() {
    let keys = ["a", "b", "c", "d", "e"];
    let mut script: Vec<String> = keys.map(|key| format!("SET {key} value")).to_vec();
    for policy in ["allkeys-lru", "volatile-lfu", "noeviction"] {
        script.push(format!("CONFIG SET maxmemory-policy {policy}"));
        let tells = if policy.ends_with("lfu") { "IDLETIME" } else { "FREQ" };
        script.extend(keys.map(|key| format!("OBJECT {tells} {key}")));
    }
    same_replies(&script);
}

/// Commands that make a key of every type and encoding; what is long is made so by `%`.
const OF_EVERY_KIND: &[&[&str]] = &[
    &["SET k 12345"],
    &["SET k short"],
    &["SET k a", "APPEND k b"],
    &["SET k %"],
    &["SET k x", "SETRANGE k 5000 y"],
    &["PFADD k a b c"],
    &["RPUSH k a b 3"],
    &["RPUSH k a %", "RPUSH k % % % % % % % %"],
    &["SADD k 1 2 3"],
    &["SADD k a b 3"],
    &["SADD k a %"],
    &["HSET k f v g 5"],
    &["HSET k f %"],
    &["HSET k f v g w h x", "HPEXPIREAT k 9999999999999 FIELDS 1 g"],
    &["HSET k f % g w", "HPEXPIREAT k 9999999999999 FIELDS 1 g"],
    &["ZADD k 1 a 2.5 b"],
    &["ZADD k 1 a 2.5 %"],
    &["GEOADD k 1 2 a 3 4 b"],
    &["XADD k 1-1 f v", "XGROUP CREATE k g 0", "XREADGROUP GROUP g c STREAMS k >", "XDEL k 1-1"],
];

/// What there is to know of a key, but its name.
fn facts(client: &mut Client, key: &str) -> Vec<Vec<u8>> {
    let questions = ["TYPE", "OBJECT ENCODING", "DEBUG DIGEST-VALUE", "PEXPIRETIME", "DUMP"];
    questions.map(|question| client.call_raw(&words(&format!("{question} {key}")))).into()
}

/// Whatever a key holds and wherever it goes, between shards and databases, it stays what it was.
#[test]
fn a_key_of_any_kind_goes_anywhere_as_it_is() {
    let server = bobbin_with(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let long = "long".repeat(3000);
    for commands in OF_EVERY_KIND {
        for expires in [false, true] {
            client.run("FLUSHALL");
            commands.iter().for_each(|command| {
                let reply = client.run(&command.replace('%', &long));
                assert!(!matches!(reply, Value::Error(_)), "{command}: {reply:?}");
            });
            if expires {
                client.run("PEXPIREAT k 9999999999999");
            }
            let before = facts(&mut client, "k");
            let mut at = String::from("k");
            for number in 0..8 {
                let (renamed, copied) = (format!("r{number}"), format!("c{number}"));
                assert_eq!(client.run(&format!("COPY {at} {copied}")), Value::Int(1));
                assert_eq!(facts(&mut client, &copied), before, "COPY of {commands:?}");
                assert_eq!(client.run(&format!("COPY {copied} {renamed} DB 1 REPLACE")), Value::Int(1));
                assert_eq!(client.run(&format!("RENAME {at} {renamed}")), Value::Simple(b"OK".to_vec()));
                assert_eq!(facts(&mut client, &renamed), before, "RENAME of {commands:?}");
                assert_eq!(client.run(&format!("MOVE {renamed} 1")), Value::Int(0));
                assert_eq!(client.run(&format!("MOVE {renamed} 2")), Value::Int(1));
                for database in [1, 2] {
                    client.run(&format!("SELECT {database}"));
                    assert_eq!(facts(&mut client, &renamed), before, "database {database} has {commands:?}");
                }
                assert_eq!(client.run(&format!("MOVE {renamed} 0")), Value::Int(1));
                client.run("SELECT 0");
                at = renamed;
            }
            assert_eq!(client.run("DBSIZE"), Value::Int(9));
        }
    }
}
