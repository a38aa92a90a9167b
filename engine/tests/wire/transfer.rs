//! `bobbin-server import` and `export` beside redis-server: what one has saved the other serves, key by key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use bobbin_engine::rdb::{Checksum, Compression, FileWriter};
use bobbin_engine::store::Entry;
use bobbin_proto::Value;

use super::dump::{Payload, not_error};
use super::rdb_file::{DATABASES, dumped, facts, fill, oracle_on};
use crate::support::{Client, Server, bobbin_journalled};

const ALLOWED: [&str; 2] = ["--enable-debug-command", "yes"];

/// Whether it ended well, and all that it said.
fn bobbin_server(arguments: &[&str]) -> (bool, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_bobbin-server")).args(arguments).output();
    let Output { status, stdout, stderr } = run.expect("it runs");
    (status.success(), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

fn import(file: &Path, dir: &Path) -> String {
    let (is_done, said) = bobbin_server(&["import", text(file), text(dir)]);
    assert!(is_done, "{said}");
    said
}

fn export(dir: &Path, file: &Path, more: &[&str]) -> String {
    let (is_done, said) = bobbin_server(&[&["export", text(dir), text(file)], more].concat());
    assert!(is_done, "{said}");
    said
}

/// A server that has ended and left a directory with no data in it.
fn ended() -> Server {
    let mut server = bobbin_journalled("1", &[]);
    assert!(server.stop());
    server
}

/// Every key of the one is there in the other, and the same.
fn compare(redis: &mut Client, bobbin: &mut Client, keys: &[(String, Payload)]) {
    // What is compressed differs.
    [&mut *redis, &mut *bobbin]
        .into_iter()
        .for_each(|client| not_error(&client.run("CONFIG SET rdbcompression no")));
    for (nth, (key, payload)) in keys.iter().enumerate() {
        for client in [&mut *redis, &mut *bobbin] {
            client.run(&format!("SELECT {}", nth % DATABASES));
        }
        let [mut theirs, mut ours] = [facts(redis, key), facts(bobbin, key)];
        // Small lists and sets have names of Redis 7.2.
        for facts in [&mut theirs, &mut ours] {
            if facts[0] == Value::Simple(b"list".to_vec()) || facts[0] == Value::Simple(b"set".to_vec()) {
                facts[3] = Value::Null;
            }
        }
        assert_eq!(ours, theirs, "{key}");
        if facts(redis, key)[0] == Value::Simple(b"stream".to_vec()) {
            let [theirs, ours] = [groups(redis, key), groups(bobbin, key)];
            assert_eq!(ours, theirs, "{key}");
        }
        if *payload == Payload::Same {
            assert!(dumped(redis, key) == dumped(bobbin, key), "{key}");
        }
    }
    for database in 0..DATABASES {
        for client in [&mut *redis, &mut *bobbin] {
            client.run(&format!("SELECT {database}"));
        }
        assert_eq!(redis.run("DBSIZE"), bobbin.run("DBSIZE"));
    }
}

/// Who has which entries of a stream pending.
fn groups(client: &mut Client, key: &str) -> Vec<Value> {
    let Value::Array(groups) = client.run(&format!("XINFO GROUPS {key}")) else { panic!("an array") };
    let mut all = Vec::new();
    for group in &groups {
        let Value::Array(facts) = group else { panic!("an array") };
        let Value::Bulk(name) = &facts[1] else { panic!("a name") };
        let name = String::from_utf8_lossy(name);
        let Value::Array(mut pending) = client.run(&format!("XPENDING {key} {name} - + 1000")) else {
            panic!("an array")
        };
        // How long ago depends on when it is asked.
        for entry in &mut pending {
            let Value::Array(facts) = entry else { panic!("an array") };
            facts[2] = Value::Null;
        }
        all.extend([group.clone(), Value::Array(pending)]);
    }
    all
}

#[test]
fn what_redis_has_saved_is_served_by_any_number_of_reactors() {
    for compresses in ["yes", "no"] {
        let there = tempfile::tempdir().expect("a directory");
        let redis = oracle_on(there.path(), &["--rdbcompression", compresses]);
        let mut redis = redis.connect();
        let keys = fill(&mut redis);
        redis.run("DEBUG SET-ACTIVE-EXPIRE 0");
        redis.run("SET over v PXAT 1000000000000");
        not_error(&redis.run("SAVE"));
        let mut server = ended();
        let said = import(&there.path().join("dump.rdb"), server.dir());
        let expected =
            format!("{} keys in {DATABASES} databases, 1 left out whose time is over: ", keys.len());
        assert!(said.starts_with(&expected), "{said}");
        redis.run("DEL over");
        for reactors in ["1", "2"] {
            server.start_again(reactors, &ALLOWED);
            compare(&mut redis, &mut server.connect(), &keys);
            assert!(server.stop());
        }
    }
}

#[test]
fn what_bobbin_has_is_loaded_by_redis() {
    // All in the journal; a snapshot and a journal; a snapshot alone.
    for (appendonly, saves) in [("yes", false), ("yes", true), ("no", true)] {
        let directives = [&ALLOWED[..], &["--appendonly", appendonly]].concat();
        let mut server = bobbin_journalled("2", &directives);
        let mut client = server.connect();
        let keys = fill(&mut client);
        client.run("SET before v");
        if saves {
            not_error(&client.run("SAVE"));
        }
        if appendonly == "yes" {
            client.run("DEL before");
            client.run("MSET over:a 1 over:b 2");
        }
        assert!(server.stop());
        let there = tempfile::tempdir().expect("a directory");
        let file = there.path().join("dump.rdb");
        let said = export(server.dir(), &file, &[]);
        let extra = if appendonly == "yes" { 2 } else { 1 };
        let expected = format!("{} keys in {DATABASES} databases, ", keys.len() + extra);
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(fs::read_dir(there.path()).expect("a directory").count(), 1);
        let mode = fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o444, 0o444, "as any file");
        let redis = oracle_on(there.path(), &[]);
        server.start_again("1", &directives);
        compare(&mut redis.connect(), &mut server.connect(), &keys);
    }
}

/// Which no server writes.
#[test]
fn of_a_key_that_is_there_twice_the_last_value_is_served() {
    let mut dump = FileWriter::new(Vec::new(), Compression::On, Checksum::Checked);
    dump.database(0, 4, 1).expect("memory does not fail");
    for (key, value, expiry_ms) in
        [("k", "first", None), ("l", "only", None), ("k", "last", None), ("k", "over", Some(1))]
    {
        let entry = Entry::string(key.as_bytes(), value.as_bytes(), expiry_ms);
        dump.entry(&entry, None).expect("memory does not fail");
    }
    let there = tempfile::tempdir().expect("a directory");
    let [file, back] = ["dump.rdb", "back.rdb"].map(|name| there.path().join(name));
    fs::write(&file, dump.finish().expect("memory does not fail")).expect("there is room");
    let mut server = ended();
    let said = import(&file, server.dir());
    assert!(said.starts_with("3 keys in 1 databases, 1 left out whose time is over: "), "{said}");
    let said = export(server.dir(), &back, &[]);
    assert!(said.starts_with("3 keys in 1 databases, "), "{said}");
    for reactors in ["1", "2"] {
        server.start_again(reactors, &[]);
        let mut client = server.connect();
        assert_eq!(client.run("GET k"), Value::Bulk(b"last".to_vec()));
        assert_eq!(client.run("DBSIZE"), Value::Int(2));
        if reactors == "2" {
            not_error(&client.run("SAVE"));
        }
        assert!(server.stop());
    }
    let said = export(server.dir(), &back, &["--force"]);
    assert!(said.starts_with("2 keys in 1 databases, "), "{said}");
}

/// Its snapshot has no keys, and there is nothing behind it.
#[test]
fn a_server_that_was_emptied_leaves_room_for_an_import() {
    let there = tempfile::tempdir().expect("a directory");
    let file = there.path().join("dump.rdb");
    for reactors in ["1", "2"] {
        let mut server = bobbin_journalled(reactors, &[]);
        let mut client = server.connect();
        client.run("MSET a 1 b 2");
        not_error(&client.run("SAVE"));
        assert!(server.stop());
        export(server.dir(), &file, &["--force"]);
        server.start_again(reactors, &[]);
        let mut client = server.connect();
        client.run("FLUSHALL");
        not_error(&client.run("SAVE"));
        assert!(server.stop());
        let said = import(&file, server.dir());
        assert!(said.starts_with("2 keys in 1 databases: "), "{said}");
        server.start_again(reactors, &[]);
        let mut client = server.connect();
        assert_eq!(client.run("DBSIZE"), Value::Int(2));
        client.run("SET c 3");
        assert!(server.stop());
        server.start_again(reactors, &[]);
        assert_eq!(server.connect().run("DBSIZE"), Value::Int(3));
    }
}

/// The last snapshot is whole whatever the server does.
#[test]
fn a_snapshot_is_exported_while_the_server_runs() {
    let server = bobbin_journalled("2", &[]);
    let mut client = server.connect();
    let there = tempfile::tempdir().expect("a directory");
    let file = there.path().join("dump.rdb");
    let arguments = ["export", text(server.dir()), text(&file)];
    let (is_done, said) = bobbin_server(&arguments);
    let holder = format!("is in use by process {}.", server.pid());
    assert!(!is_done && said.contains(&holder) && said.contains("--snapshot"), "{said}");
    let with_snapshot = [&arguments[..], &["--snapshot"]].concat();
    let (is_done, said) = bobbin_server(&with_snapshot);
    assert!(!is_done && said.contains("there is no snapshot in ") && said.contains("BGSAVE"), "{said}");
    assert_eq!(fs::read_dir(there.path()).expect("a directory").count(), 0);
    client.run("MSET a 1 b 2 c 3");
    not_error(&client.run("SAVE"));
    client.run("DEL a");
    let said = export(server.dir(), &file, &["--snapshot"]);
    assert!(said.starts_with("3 keys in 1 databases, "), "{said}");
    let redis = oracle_on(there.path(), &[]);
    assert_eq!(redis.connect().run("EXISTS a b c"), Value::Int(3));
    // As is the data directory of one that runs no place for an import.
    let (is_done, said) = bobbin_server(&["import", text(&file), text(server.dir())]);
    assert!(!is_done && said.contains(&holder), "{said}");
}

/// How a key was used comes along under the policies that ask.
#[test]
fn access_is_imported() {
    for (policy, question) in [("allkeys-lru", "IDLETIME"), ("allkeys-lfu", "FREQ")] {
        let there = tempfile::tempdir().expect("a directory");
        let directives = ["--maxmemory-policy", policy, "--lfu-decay-time", "0"];
        let redis = oracle_on(there.path(), &directives);
        let mut redis = redis.connect();
        redis.run("SET source v");
        let Value::Bulk(payload) = redis.run("DUMP source") else { panic!("a payload") };
        for (key, given) in [("a", "IDLETIME 70000"), ("b", "FREQ 200"), ("c", "IDLETIME 50")] {
            let given = given.split(' ').map(str::as_bytes);
            let call: Vec<&[u8]> =
                [b"RESTORE", key.as_bytes(), b"0", &payload].into_iter().chain(given).collect();
            not_error(&redis.call(&call));
        }
        not_error(&redis.run("SAVE"));
        let mut server = ended();
        import(&there.path().join("dump.rdb"), server.dir());
        server.start_again("2", &directives);
        let mut bobbin = server.connect();
        for key in ["a", "b", "c"] {
            let question = format!("OBJECT {question} {key}");
            let [Value::Int(theirs), Value::Int(ours)] = [redis.run(&question), bobbin.run(&question)] else {
                panic!("numbers")
            };
            assert!(ours.abs_diff(theirs) < 60, "{policy} {key}: {ours} {theirs}");
        }
    }
}

/// What there is no place for is told, and what is behind it is imported.
#[test]
fn functions_and_high_databases_are_told() {
    let there = tempfile::tempdir().expect("a directory");
    let redis = oracle_on(there.path(), &["--databases", "40"]);
    let mut redis = redis.connect();
    let source = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)";
    not_error(&redis.call(&["FUNCTION", "LOAD", source]));
    redis.run("SELECT 33");
    redis.run("SET k v");
    not_error(&redis.run("SAVE"));
    let mut server = ended();
    let file = there.path().join("dump.rdb");
    let said = import(&file, server.dir());
    assert!(said.contains("libraries of functions are left out: 1\n"), "{said}");
    assert!(said.contains("1 keys in 1 databases; start the server with --databases 34 or more: "), "{said}");
    assert!(!server.try_again("1", &[]));
    assert!(server.log().contains("keys in database 33"), "{}", server.log());
    let high = ["--databases", "34", "--appendfsync", "always"];
    server.start_again("1", &high);
    let mut client = server.connect();
    client.run("SELECT 33");
    assert_eq!(client.run("GET k"), Value::Bulk(b"v".to_vec()));
    client.run("SET l v");
    assert!(server.stop());
    // And back.
    let back = there.path().join("back.rdb");
    let (is_done, said) = bobbin_server(&["export", text(server.dir()), text(&back)]);
    assert!(!is_done && said.contains("--databases says how many there are"), "{said}");
    let said = export(server.dir(), &back, &["--databases", "34"]);
    assert!(said.starts_with("2 keys in 1 databases, "), "{said}");
    assert!(said.contains(" bytes; start redis-server with --databases 34 or more: "), "{said}");
}

/// Redis knows such fields from 7.4 on.
#[test]
fn fields_that_expire_are_exported_for_those_who_know_them() {
    let mut server = bobbin_journalled("1", &[]);
    let mut client = server.connect();
    client.run("HSET h f v g w");
    client.run("HPEXPIREAT h 4000000000000 FIELDS 1 f");
    assert!(server.stop());
    let there = tempfile::tempdir().expect("a directory");
    let file = there.path().join("dump.rdb");
    let (is_done, said) = bobbin_server(&["export", text(server.dir()), text(&file)]);
    assert!(!is_done && said.contains("the hash h in database 0 has fields that expire"), "{said}");
    assert_eq!(fs::read_dir(there.path()).expect("a directory").count(), 0);
    export(server.dir(), &file, &["--redis", "7.4"]);
    let mut other = ended();
    import(&file, other.dir());
    other.start_again("1", &[]);
    let expected = [4_000_000_000_000, -1].map(Value::Int).to_vec();
    assert_eq!(other.connect().run("HPEXPIRETIME h FIELDS 2 f g"), Value::Array(expected));
}
