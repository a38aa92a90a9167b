//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, save points, and what INFO tells of them.

use std::time::{Duration, Instant};

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, Server, bobbin_journalled, bobbin_with, same_replies, words};

const PATIENCE: Duration = Duration::from_mins(1);

fn field(client: &mut Client, name: &str) -> String {
    let text = match client.run("INFO persistence") {
        Value::Bulk(text) | Value::Verbatim { text, .. } => String::from_utf8(text).expect("a text"),
        other => panic!("{other:?}"),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
}

fn number(client: &mut Client, name: &str) -> i64 {
    field(client, name).parse().expect("a number")
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_until_saved(client: &mut Client) {
    wait_for("the snapshot ends", || {
        field(client, "rdb_bgsave_in_progress") == "0" && field(client, "aof_rewrite_in_progress") == "0"
    });
}

fn fill(client: &mut Client, keys: usize) {
    let mut bytes = Vec::new();
    for n in 0..keys {
        bobbin_proto::encode_command(&mut bytes, [&b"SET"[..], format!("k{n}").as_bytes(), b"value"]);
    }
    client.send_raw(&bytes).expect("the server reads");
    (0..keys).for_each(|_| assert_eq!(client.read(), Value::Simple(b"OK".to_vec())));
}

fn files(server: &Server) -> Vec<String> {
    let dir = server.dir().join("appendonlydir");
    let entries =
        std::fs::read_dir(dir).map(|dir| dir.map(|entry| entry.expect("a file")).collect::<Vec<_>>());
    let mut names: Vec<_> = entries.unwrap_or_default().iter().map(|entry| entry.file_name()).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().expect("a text")).collect()
}

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "SAVE x",
        "BGSAVE x",
        "BGSAVE SCHEDULE x",
        "BGREWRITEAOF x",
        "LASTSAVE x",
        "SET a 1",
        "SAVE",
        "MULTI",
        "SAVE",
        "EXEC",
        "MULTI",
        "BGSAVE",
        "BGREWRITEAOF",
        "SET b 1",
        "EXEC",
        "GET b",
    ]);
}

/// Slow enough that one is under way while the next is asked for.
#[test]
fn one_at_a_time_as_in_redis() {
    let delay = ["--rdb-key-save-delay", "200000"];
    for (first, others) in [
        ("BGSAVE", ["BGSAVE", "BGSAVE SCHEDULE", "BGREWRITEAOF", "SAVE"]),
        ("BGREWRITEAOF", ["BGREWRITEAOF", "BGSAVE", "BGSAVE SCHEDULE", "bgsave schedule"]),
    ] {
        let mut pair = Pair::start(&delay, Version::Resp2);
        (0..20).for_each(|n| pair.same(&format!("SET k{n} v")));
        pair.same(first);
        others.iter().for_each(|line| pair.same(line));
        pair.same("GET k1");
    }
}

#[test]
fn what_is_saved_is_there_again_and_the_journal_before_it_is_gone() {
    for appendonly in ["yes", "no"] {
        let directives = ["--appendonly", appendonly, "--appendfsync", "always"];
        let mut server = bobbin_journalled("2", &directives);
        let mut client = server.connect();
        fill(&mut client, 5000);
        client.run("SELECT 3");
        client.run("RPUSH l 1 2 3");
        client.run("PEXPIREAT l 4000000000000");
        assert_eq!(client.run("BGSAVE"), Value::Simple(b"Background saving started".to_vec()));
        wait_until_saved(&mut client);
        assert_eq!(field(&mut client, "rdb_last_bgsave_status"), "ok", "{}", server.log());
        assert_eq!(number(&mut client, "rdb_saves"), 1);
        assert_eq!(number(&mut client, "rdb_changes_since_last_save"), 0);
        let names = files(&server);
        let kinds: Vec<_> = names.iter().map(|name| name.split('-').next().unwrap_or_default()).collect();
        let expected = if appendonly == "yes" {
            &["journal", "manifest", "snapshot"][..]
        } else {
            &["manifest", "snapshot"]
        };
        assert_eq!(kinds, expected, "{names:?}");
        client.run("SELECT 0");
        client.run("SET after 1");
        assert_eq!(number(&mut client, "rdb_changes_since_last_save"), 1);
        server.kill();
        server.start_again("3", &directives);
        let mut client = server.connect();
        assert_eq!(client.run("EXISTS k0 k4999"), Value::Int(2));
        let after = if appendonly == "yes" { 5001 } else { 5000 };
        assert_eq!(client.run("DBSIZE"), Value::Int(after));
        client.run("SELECT 3");
        assert_eq!(client.run("PEXPIRETIME l"), Value::Int(4_000_000_000_000));
        assert_eq!(client.run("LLEN l"), Value::Int(3));
    }
}

/// Writers do not stop while it is made: it is one moment of what they did, and with the journal all of it.
#[test]
fn a_save_under_load_is_one_moment() {
    const STEPS: usize = 3000;
    let directives = ["--appendonly", "no"];
    let mut server = bobbin_journalled("2", &directives);
    let mut client = server.connect();
    fill(&mut client, 20_000);
    let mut writer = server.connect();
    let mut bytes = Vec::new();
    for step in 0..STEPS {
        // On both shards.
        for line in [
            format!("MSET a {step} b {step} c {step} d {step}"),
            format!("SET k{} {step}", step * 7 % 20_000),
        ] {
            bobbin_proto::encode_command(&mut bytes, words(&line));
        }
    }
    writer.send_raw(&bytes).expect("the server reads");
    wait_for("it has begun", || client.run("EXISTS a") == Value::Int(1));
    assert_eq!(client.run("SAVE"), Value::Simple(b"OK".to_vec()));
    (0..2 * STEPS).for_each(|_| assert_eq!(writer.read(), Value::Simple(b"OK".to_vec())));
    server.kill();
    server.start_again("1", &directives);
    let mut client = server.connect();
    let Value::Array(values) = client.run("MGET a b c d") else { panic!("an array") };
    let texts: Vec<usize> = values
        .iter()
        .map(|value| match value {
            Value::Bulk(text) => String::from_utf8_lossy(text).parse().expect("a number"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "half a write: {texts:?}");
    // What the same client did in the step before, and nothing of the step after next.
    let step = texts[0];
    let value = |client: &mut Client, step: usize| client.run(&format!("GET k{}", step * 7 % 20_000));
    if step > 0 {
        assert_eq!(value(&mut client, step - 1), Value::Bulk((step - 1).to_string().into_bytes()));
    }
    if step + 2 < STEPS {
        assert_eq!(value(&mut client, step + 2), Value::Bulk(b"value".to_vec()));
    }
}

#[test]
fn lastsave_tells_when() {
    let mut pair = Pair::start(&[], Version::Resp2);
    let at = |reply: Vec<u8>| String::from_utf8_lossy(&reply[1..]).trim().parse::<u64>().expect("a number");
    let (ours, redis) = pair.both("LASTSAVE");
    assert!(at(ours).abs_diff(at(redis)) < 30);
}

/// Those that are due by the configuration, and what growth makes due.
#[test]
fn save_points_and_growth_begin_one_by_themselves() {
    let server = bobbin_journalled("2", &["--auto-aof-rewrite-min-size", "10kb"]);
    let mut client = server.connect();
    fill(&mut client, 2000);
    wait_for("the journal has grown", || number(&mut client, "aof_rewrites") > 0);
    assert!(number(&mut client, "aof_base_size") > 0);
    assert_eq!(number(&mut client, "rdb_saves"), 0);
    assert_eq!(client.run("CONFIG SET save '1 10'"), Value::Simple(b"OK".to_vec()));
    fill(&mut client, 10);
    wait_for("enough has changed", || number(&mut client, "rdb_saves") > 0);
}

#[test]
fn a_directory_that_takes_no_snapshot_is_told_and_stops_writes() {
    let server = bobbin_with(&["--save", "10000 10000"]);
    let mut client = server.connect();
    client.run("SET a 1");
    // In the place of the directory a file.
    let path = server.dir().join("appendonlydir");
    std::fs::write(&path, b"").expect("there is room");
    assert_eq!(client.call_raw(&["SAVE"]), b"-ERR\r\n");
    assert_eq!(field(&mut client, "rdb_last_bgsave_status"), "err");
    let refused = client.call_raw(&["SET", "a", "2"]);
    assert!(
        refused.starts_with(b"-MISCONF Redis is configured to save RDB snapshots"),
        "{}",
        refused.escape_ascii()
    );
    assert_eq!(client.run("GET a"), Value::Bulk(b"1".to_vec()));
    client.run("CONFIG SET stop-writes-on-bgsave-error no");
    assert_eq!(client.run("SET a 2"), Value::Simple(b"OK".to_vec()));
    client.run("CONFIG SET stop-writes-on-bgsave-error yes");
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(client.run("SAVE"), Value::Simple(b"OK".to_vec()));
    assert_eq!(client.run("SET a 3"), Value::Simple(b"OK".to_vec()));
    assert_eq!(field(&mut client, "rdb_last_bgsave_status"), "ok");
}

#[test]
fn a_shutdown_saves_first_where_it_is_to() {
    for (save, line, is_saved) in [
        ("", "SHUTDOWN", false),
        ("", "SHUTDOWN SAVE", true),
        ("10000 10000", "SHUTDOWN NOSAVE", false),
        ("10000 10000", "SHUTDOWN", true),
    ] {
        let directives = ["--appendonly", "no", "--save", save];
        let mut server = bobbin_journalled("2", &directives);
        let mut client = server.connect();
        client.run("SET a 1");
        client.send(&words(line)).expect("the server reads");
        assert!(client.is_closed(), "{line}");
        server.wait_ended();
        server.start_again("2", &directives);
        assert_eq!(server.connect().run("EXISTS a"), Value::Int(i64::from(is_saved)), "{save} {line}");
    }
}

/// What is acknowledged while the last snapshot is made would be nowhere: nothing is, and reads go on.
#[test]
fn nothing_is_written_behind_the_last_snapshot() {
    for by_signal in [false, true] {
        let directives = ["--appendonly", "no", "--save", "10000 10000", "--rdb-key-save-delay", "1000"];
        let mut server = bobbin_journalled("2", &directives);
        let mut client = server.connect();
        fill(&mut client, 1000);
        let mut writers: Vec<Client> = (0..4).map(|_| server.connect()).collect();
        let mut asking = server.connect();
        if by_signal {
            server.signal();
        } else {
            asking.send(&["SHUTDOWN"]).expect("the server reads");
        }
        wait_for("the walk is under way", || number(&mut client, "current_save_keys_total") == 1000);
        // On both shards, and on both at once.
        for (n, writer) in writers.iter_mut().enumerate() {
            let line = if n == 0 { "MSET a 1 b 1 c 1 d 1".to_owned() } else { format!("SET w{n} 1") };
            writer.send(&words(&line)).expect("the server reads");
        }
        assert_eq!(client.run("GET k999"), Value::Bulk(b"value".to_vec()));
        let acknowledged: Vec<bool> = writers.iter_mut().map(|writer| writer.read_raw().is_ok()).collect();
        assert!(server.wait_ended(), "it ended well");
        server.start_again("1", &directives);
        let mut client = server.connect();
        assert_eq!(client.run("DBSIZE"), Value::Int(1000), "by signal: {by_signal}");
        assert_eq!(acknowledged, [false; 4], "by signal: {by_signal}");
    }
}

/// What was held back while it was tried to stop runs when that has failed.
#[test]
fn writes_go_on_when_the_last_snapshot_fails() {
    let directives = ["--save", "10000 10000", "--rdb-key-save-delay", "1000"];
    let server = bobbin_with(&directives);
    let (mut client, mut writer, mut asking) = (server.connect(), server.connect(), server.connect());
    fill(&mut client, 1000);
    asking.send(&["SHUTDOWN"]).expect("the server reads");
    wait_for("the walk is under way", || number(&mut client, "current_save_keys_total") == 1000);
    writer.send(&words("MSET a 1 b 1 c 1 d 1")).expect("the server reads");
    server.set_faults("store ENOSPC");
    assert_eq!(asking.read_raw().expect("a reply"), b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert_eq!(writer.read(), Value::Simple(b"OK".to_vec()));
    assert_eq!(client.run("EXISTS a b c d"), Value::Int(4));
}

#[test]
fn a_shutdown_that_cannot_save_goes_on_serving_unless_it_is_forced() {
    let mut server = bobbin_with(&[]);
    let mut client = server.connect();
    std::fs::write(server.dir().join("appendonlydir"), b"").expect("there is room");
    assert_eq!(client.call_raw(&["SHUTDOWN", "SAVE"]), b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert_eq!(client.run("SET a 1"), Value::Simple(b"OK".to_vec()));
    client.send(&["SHUTDOWN", "SAVE", "FORCE"]).expect("the server reads");
    assert!(client.is_closed());
    server.wait_ended();
}

/// One that was refused is over: the next signal is the first again, and loses nothing.
#[test]
fn a_signal_that_cannot_save_is_no_reason_to_end_at_once_at_the_next() {
    let directives = ["--appendonly", "no", "--shutdown-on-sigterm", "save"];
    let mut server = bobbin_journalled("2", &directives);
    let in_the_way = server.dir().join("appendonlydir");
    std::fs::write(&in_the_way, b"").expect("there is room");
    let mut client = server.connect();
    client.run("SET a 1");
    server.signal();
    wait_for("the stop is refused", || server.log().contains("can't exit"));
    assert_eq!(client.run("SET b 1"), Value::Simple(b"OK".to_vec()));
    std::fs::remove_file(&in_the_way).expect("it is there");
    assert!(server.stop(), "it saved, and ended well");
    server.start_again("1", &directives);
    assert_eq!(server.connect().run("EXISTS a b"), Value::Int(2));
}

/// What a snapshot holds, because keys change or are cleared before it is written, costs no key, and is no more than there
/// was.
#[test]
fn what_a_snapshot_holds_evicts_nothing() {
    const KEYS: usize = 8000;
    const VALUE: usize = 1000;
    const ROOM: u64 = 4 << 20;
    for clears in [false, true] {
        let server = bobbin_with(&["--rdbcompression", "no", "--maxmemory-policy", "allkeys-lru"]);
        let mut client = server.connect();
        let set_all = |client: &mut Client, letter: &str| {
            let (mut bytes, value) = (Vec::new(), letter.repeat(VALUE));
            for n in 0..KEYS {
                bobbin_proto::encode_command(
                    &mut bytes,
                    [&b"SET"[..], format!("k{n}").as_bytes(), value.as_bytes()],
                );
            }
            client.send_raw(&bytes).expect("the server reads");
            (0..KEYS).for_each(|_| assert_eq!(client.read(), Value::Simple(b"OK".to_vec())));
        };
        set_all(&mut client, "a");
        let of = |client: &mut Client, section: &str, name: &str| {
            let (Value::Bulk(text) | Value::Verbatim { text, .. }) = client.run(&format!("INFO {section}"))
            else {
                panic!("INFO is a text")
            };
            let text = String::from_utf8(text).expect("a text");
            let line =
                text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).expect("the field");
            line.parse::<u64>().expect("a number")
        };
        let used = of(&mut client, "memory", "used_memory");
        assert_eq!(of(&mut client, "memory", "mem_not_counted_for_evict"), 0);
        client.run("CONFIG SET rdb-key-save-delay 500");
        client.run(&format!("CONFIG SET maxmemory {}", used + ROOM));
        client.run("BGSAVE");
        wait_for("the walk is under way", || number(&mut client, "current_save_keys_total") == KEYS as i64);
        if clears {
            client.run("FLUSHALL");
        }
        set_all(&mut client, "b");
        let uncounted = of(&mut client, "memory", "mem_not_counted_for_evict");
        assert!(uncounted > ROOM, "{uncounted} bytes: there would have been room for it");
        client.run("CONFIG SET rdb-key-save-delay 0");
        wait_until_saved(&mut client);
        assert_eq!(of(&mut client, "stats", "evicted_keys"), 0, "cleared: {clears}");
        assert_eq!(client.run("DBSIZE"), Value::Int(KEYS as i64));
        let peak = number(&mut client, "rdb_last_cow_size") as usize;
        // And a few chunks that are not full, and what is cleared takes more memory than on disk.
        assert!(peak < 3 * KEYS * VALUE, "{peak} bytes");
        wait_for("it is freed", || of(&mut client, "memory", "mem_not_counted_for_evict") == 0);
    }
}

/// What reactors allocate for a snapshot is freed by another thread, and counts no more then.
#[test]
fn snapshots_leave_nothing_in_the_memory_that_is_counted() {
    const SAVES: u64 = 10;
    let server = bobbin_with(&[]);
    let mut client = server.connect();
    fill(&mut client, 2000);
    let mut used = || {
        let (Value::Bulk(text) | Value::Verbatim { text, .. }) = client.run("INFO memory") else {
            panic!("INFO is a text")
        };
        let text = String::from_utf8(text).expect("a text");
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("the field");
        used.parse::<u64>().expect("a number")
    };
    let mut other = server.connect();
    let saved = Value::Simple(b"OK".to_vec());
    assert_eq!(other.run("SAVE"), saved);
    let before = used();
    (0..SAVES).for_each(|_| assert_eq!(other.run("SAVE"), saved));
    // A core gives a chunk of a mebibyte each time.
    wait_for("the memory is no longer counted", || used() < before + SAVES * (1 << 20) / 2);
}
