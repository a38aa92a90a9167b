//! CONFIG SET appendonly: the journal begins and ends while the server runs.

use std::path::Path;

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, Server, bobbin_journalled, bobbin_of, eventually, words};

const OFF: [&str; 4] = ["--appendonly", "no", "--appendfsync", "always"];

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn persistence(client: &mut Client) -> String {
    match client.run("INFO persistence") {
        Value::Bulk(text) => String::from_utf8(text).expect("a text"),
        other => panic!("{other:?}"),
    }
}

fn has(client: &mut Client, line: &str) -> bool {
    persistence(client).lines().any(|found| found == line)
}

/// The journal begins; waits until a start would load it.
fn begin(server: &Server, client: &mut Client) {
    let before = times(server, BEGUN);
    assert_eq!(client.run("CONFIG SET appendonly yes"), ok());
    eventually(|| times(server, BEGUN) > before);
}

fn end(server: &Server, client: &mut Client) {
    let before = times(server, ENDED);
    assert_eq!(client.run("CONFIG SET appendonly no"), ok());
    eventually(|| times(server, ENDED) > before);
}

const BEGUN: &str = "The journal has begun";
const ENDED: &str = "The journal has ended";

fn times(server: &Server, text: &str) -> usize {
    server.log().matches(text).count()
}

fn journals(server: &Server) -> usize {
    let names = std::fs::read_dir(server.dir().join("appendonlydir")).expect("a directory");
    let is_journal = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("journal-");
    names.map(|entry| entry.expect("a file").file_name()).filter(is_journal).count()
}

#[track_caller]
fn same_fields(pair: &mut Pair, names: &[&str]) {
    let (ours, redis) = pair.both("INFO persistence");
    let fields = |text: Vec<u8>| {
        let text = String::from_utf8(text).expect("a text");
        let is_named = |line: &&str| names.iter().any(|name| line.starts_with(&format!("{name}:")));
        text.lines().filter(is_named).map(str::to_owned).collect::<Vec<_>>()
    };
    let (ours, redis) = (fields(ours), fields(redis));
    assert_eq!(redis.len(), names.len(), "{redis:?}");
    assert_eq!(ours, redis);
}

#[test]
fn it_is_switched_in_the_words_of_redis() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for line in [
        "SET a 1",
        "CONFIG SET appendonly no",
        "CONFIG SET appendonly maybe",
        "CONFIG SET appendonly",
        "CONFIG SET appendonly yes appendfsync always hz 20",
        "CONFIG GET append[of]*sync",
        "CONFIG GET appendonly",
        "SET b 1",
    ] {
        pair.same(line);
    }
    same_fields(&mut pair, &["aof_enabled"]);
    for line in [
        "CONFIG SET appendonly no",
        "CONFIG SET appendonly yes",
        "CONFIG SET appendonly no",
        "CONFIG GET appendonly",
        "CONFIG SET appendonly no",
        "SET c 1",
        "MGET a b c",
    ] {
        pair.same(line);
    }
    same_fields(&mut pair, &["aof_enabled", "aof_rewrite_scheduled"]);
}

#[test]
fn a_transaction_may_switch_it() {
    let mut pair = Pair::start(&[], Version::Resp2);
    for line in ["MULTI", "SET a 1", "CONFIG SET appendonly yes", "SET b 1", "CONFIG GET appendonly", "EXEC"]
    {
        pair.same(line);
    }
    same_fields(&mut pair, &["aof_enabled"]);
    for line in ["MULTI", "CONFIG SET appendonly no", "INCR a", "EXEC", "CONFIG GET appendonly", "MGET a b"] {
        pair.same(line);
    }
    same_fields(&mut pair, &["aof_enabled", "aof_rewrite_scheduled"]);
}

/// Slow enough that it is under way meanwhile.
#[test]
fn it_is_scheduled_behind_a_save_that_is_under_way() {
    let mut pair = Pair::start(&["--rdb-key-save-delay", "500000"], Version::Resp2);
    (0..40).for_each(|n| pair.same(&format!("SET k{n} v")));
    pair.same("BGSAVE");
    let names = ["rdb_bgsave_in_progress", "aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"];
    pair.same("CONFIG SET appendonly yes");
    same_fields(&mut pair, &names);
    pair.same("CONFIG SET appendonly no");
    same_fields(&mut pair, &names);
    pair.same("CONFIG SET appendonly yes");
    same_fields(&mut pair, &names);
}

#[test]
fn what_is_done_while_it_is_on_is_there_after_a_kill() {
    let mut server = bobbin_journalled("2", &OFF);
    let mut client = server.connect();
    assert_eq!(client.run("MSET before 1 b 1 c 1 d 1"), ok());
    begin(&server, &mut client);
    assert_eq!(client.run("MSET during 1 b 2 c 2 d 2"), ok());
    server.kill();
    server.start_again("3", &OFF);
    let mut client = server.connect();
    assert_eq!(client.run("EXISTS before during"), Value::Int(2));
    // It is off again, as the start says.
    assert_eq!(client.run("SET lost 1"), ok());
    server.kill();
    server.start_again("1", &OFF);
    let mut client = server.connect();
    assert_eq!(client.run("EXISTS before during lost"), Value::Int(2));
    begin(&server, &mut client);
    assert_eq!(client.run("SET more 1"), ok());
    end(&server, &mut client);
    assert_eq!(client.run("SET lost 1"), ok());
    server.kill();
    server.start_again("2", &OFF);
    let mut client = server.connect();
    assert_eq!(client.run("EXISTS before during more lost"), Value::Int(3), "what it had when it ended");
    // What was done while it was off is in the snapshot with which it begins.
    assert_eq!(client.run("SET off 1"), ok());
    begin(&server, &mut client);
    assert_eq!(client.run("SET on 1"), ok());
    server.kill();
    server.start_again("2", &["--appendfsync", "always"]);
    assert_eq!(server.connect().run("EXISTS before during more off on"), Value::Int(5));
}

#[test]
fn a_snapshot_after_its_end_takes_the_place_of_its_files() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
    let mut client = server.connect();
    assert_eq!(client.run("SET a 1"), ok());
    end(&server, &mut client);
    assert_eq!(client.run("SET b 1"), ok());
    assert_eq!(journals(&server), 1, "what was journalled is the state");
    assert_eq!(client.run("SAVE"), ok());
    assert_eq!(journals(&server), 0);
    assert_eq!(client.run("SET c 1"), ok());
    server.kill();
    server.start_again("1", &OFF);
    assert_eq!(server.connect().run("EXISTS a b c"), Value::Int(2));
}

/// With every policy; under `no` it is synced at the end, too.
#[test]
fn it_begins_and_ends_again_and_again_under_writes() {
    for policy in ["always", "everysec", "no"] {
        let directives = ["--appendonly", "no", "--appendfsync", policy];
        let mut server = bobbin_journalled("3", &directives);
        let (mut client, mut writer) = (server.connect(), server.connect());
        let mut n = 0;
        for _ in 0..4 {
            let mut write = || {
                n += 1;
                assert_eq!(writer.run(&format!("MSET a {n} b {n} c {n} d {n}")), ok());
            };
            let begun = times(&server, BEGUN);
            assert_eq!(client.run("CONFIG SET appendonly yes"), ok());
            eventually(|| {
                write();
                times(&server, BEGUN) > begun
            });
            let ended = times(&server, ENDED);
            assert_eq!(client.run("CONFIG SET appendonly no"), ok());
            eventually(|| {
                write();
                times(&server, ENDED) > ended
            });
        }
        begin(&server, &mut client);
        end(&server, &mut client);
        server.kill();
        server.start_again("1", &directives);
        let value = Value::Bulk(n.to_string().into_bytes());
        let all = Value::Array(vec![value.clone(), value.clone(), value.clone(), value]);
        assert_eq!(server.connect().run("MGET a b c d"), all, "{policy}");
    }
}

/// What was acknowledged is in no file that a start would load.
#[test]
fn a_shutdown_is_refused_until_it_has_begun() {
    let mut server = bobbin_journalled("2", &[&OFF[..], &["--rdb-key-save-delay", "20000"]].concat());
    let (mut client, mut asking) = (server.connect(), server.connect());
    (0..100).for_each(|n| assert_eq!(client.run(&format!("SET k{n} v")), ok()));
    assert_eq!(client.run("CONFIG SET appendonly yes"), ok());
    eventually(|| has(&mut client, "current_save_keys_total:100"));
    assert_eq!(asking.call_raw(&["SHUTDOWN"]), b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert_eq!(client.run("SET more 1"), ok());
    assert_eq!(client.run("CONFIG SET rdb-key-save-delay 0"), ok());
    eventually(|| times(&server, BEGUN) == 1);
    asking.send(&words("SHUTDOWN")).expect("the server reads");
    assert!(asking.is_closed());
    assert!(server.wait_ended(), "{}", server.log());
    server.start_again("1", &OFF);
    assert_eq!(server.connect().run("DBSIZE"), Value::Int(101));
}

#[test]
fn a_rewrite_of_the_configuration_keeps_it() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let file = dir.path().join("bobbin.conf");
    std::fs::write(&file, "appendonly no\nhz 20\n").expect("there is room");
    let text = |file: &Path| std::fs::read_to_string(file).expect("a file");
    let server = bobbin_of(&file);
    let mut client = server.connect();
    begin(&server, &mut client);
    assert_eq!(client.run("CONFIG REWRITE"), ok());
    assert!(text(&file).contains("appendonly yes\n"), "{}", text(&file));
    end(&server, &mut client);
    assert_eq!(client.run("CONFIG REWRITE"), ok());
    assert!(text(&file).contains("appendonly no\n"), "{}", text(&file));
}
