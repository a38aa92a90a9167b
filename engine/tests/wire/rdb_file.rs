//! Dump files between Bobbin and redis-server: one that it saves is read, one that is written it loads.

use std::fs::{self, File};
use std::path::Path;

use bobbin_engine::config::Config;
use bobbin_engine::rdb::{
    Access, Checksum, Compression, FileReader, FileWriter, Item, Limits, Record, ValueType,
};
use bobbin_engine::store::Entry;
use bobbin_proto::Value;
use fastrand::Rng;

use super::dump::{Payload, bulk, hashes, lists, not_error, scripted, sets, streams, strings, zsets};
use crate::support::{Client, Server, oracle_with};

pub(crate) const DATABASES: usize = 3;
const STRING_LEN_MAX: usize = 512 << 20;

/// A key of a file, its value as bytes.
#[derive(Debug)]
struct Saved {
    database: u64,
    key: String,
    expiry_ms: Option<u64>,
    access: Option<Access>,
    value_type: ValueType,
    value: Vec<u8>,
    entry: Entry,
}

impl Saved {
    fn of(record: &Record<'_>) -> Self {
        Self {
            database: record.database,
            key: String::from_utf8(record.key.to_vec()).expect("the test's key"),
            expiry_ms: record.expiry_ms,
            access: record.access,
            value_type: record.value_type,
            value: record.value.to_vec(),
            entry: record.entry(&limits()).expect("a value"),
        }
    }
}

/// Those of redis-server.
fn limits() -> Limits {
    Config::default().value_limits(&mut Rng::with_seed(1))
}

/// A redis-server on a dump file of this directory, or on none.
pub(crate) fn oracle_on(dir: &Path, directives: &[&str]) -> Server {
    let dir = dir.to_str().expect("a path that is text");
    oracle_with(&[&["--dir", dir, "--enable-debug-command", "yes"], directives].concat())
}

/// Values of all types and encodings over three databases, every third with a deadline. Returns which of the payloads
/// are the same as Bobbin's.
pub(crate) fn fill(client: &mut Client) -> Vec<(String, Payload)> {
    let group = [
        "XADD k 1-1 a 1",
        "XADD k 2-1 a 1",
        "XGROUP CREATE k reading 0",
        "XREADGROUP GROUP reading alice COUNT 1 STREAMS k >",
    ];
    let groups = scripted(Payload::Own, group.map(String::from));
    let samples =
        [strings(), lists(), sets(), zsets(), hashes(), streams(), vec![groups]].into_iter().flatten();
    let mut keys = Vec::new();
    for (nth, sample) in samples.enumerate() {
        client.run(&format!("SELECT {}", nth % DATABASES));
        sample.commands.iter().for_each(|command| not_error(&client.call(command)));
        client.run(&format!("RENAME k key:{nth}"));
        if nth % 3 == 1 {
            client.run(&format!("PEXPIREAT key:{nth} {}", 4_000_000_000_000 + nth as u64));
        }
        keys.push((format!("key:{nth}"), sample.payload));
    }
    keys
}

fn read(path: &Path) -> Vec<Saved> {
    let file = File::open(path).expect("a dump file");
    let mut file = FileReader::open(file, Checksum::Checked, STRING_LEN_MAX).expect("a version");
    let mut saved = Vec::new();
    while let Some(item) = file.next_item().expect("an item") {
        if let Item::Key(record) = item {
            saved.push(Saved::of(&record));
        }
    }
    saved
}

fn write(path: &Path, saved: &[Saved], compression: Compression, checksum: Checksum) {
    let out = File::create(path).expect("a file");
    let mut file = FileWriter::new(out, compression, checksum);
    file.fact("redis-ver", b"7.0.15").expect("there is room");
    for of_one in saved.chunk_by(|a, b| a.database == b.database) {
        let expiring = of_one.iter().filter(|saved| saved.expiry_ms.is_some()).count();
        file.database(of_one[0].database, of_one.len() as u64, expiring as u64).expect("there is room");
        for saved in of_one {
            assert_eq!((saved.entry.expiry(), saved.entry.key()), (saved.expiry_ms, saved.key.as_bytes()));
            file.entry(&saved.entry, saved.access).expect("there is room");
        }
    }
    assert_eq!(file.version_needed(), 10);
    file.finish().expect("there is room");
}

/// What redis-server says of a key.
pub(crate) fn facts(client: &mut Client, key: &str) -> [Value; 4] {
    ["TYPE", "PEXPIRETIME", "DEBUG DIGEST-VALUE", "OBJECT ENCODING"]
        .map(|question| client.run(&format!("{question} {key}")))
}

/// The type and the value of what DUMP answers.
pub(crate) fn dumped(client: &mut Client, key: &str) -> Vec<u8> {
    const FOOTER_LEN: usize = 2 + 8;
    let mut payload = bulk(client.run(&format!("DUMP {key}")));
    payload.truncate(payload.len() - FOOTER_LEN);
    payload
}

/// Both ways: what redis-server saves is read, key by key as DUMP has it; what is made of it redis-server loads, and
/// says the same of every key.
#[test]
fn files_go_both_ways() {
    for (directive, compression, checksum) in
        [("yes", Compression::On, Checksum::Checked), ("no", Compression::Off, Checksum::Ignored)]
    {
        let [there, here] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
        let server = oracle_on(there.path(), &["--rdbcompression", directive, "--rdbchecksum", directive]);
        let mut redis = server.connect();
        let keys = fill(&mut redis);
        not_error(&redis.run("SAVE"));
        let saved = read(&there.path().join("dump.rdb"));
        assert_eq!(saved.len(), keys.len());
        write(&here.path().join("dump.rdb"), &saved, compression, checksum);
        let loaded = oracle_on(here.path(), &["--rdbcompression", directive]);
        let mut loaded = loaded.connect();
        for saved in &saved {
            let key = &saved.key;
            for client in [&mut redis, &mut loaded] {
                client.run(&format!("SELECT {}", saved.database));
            }
            let payload = dumped(&mut redis, key);
            assert!(payload == [&[saved.value_type.number()], &saved.value[..]].concat(), "{key}");
            let at = saved.expiry_ms.map_or(-1, |at_ms| at_ms as i64);
            assert_eq!(redis.run(&format!("PEXPIRETIME {key}")), Value::Int(at), "{key}");
            assert_eq!(facts(&mut redis, key), facts(&mut loaded, key), "{key}");
            if keys.iter().any(|(name, payload)| name == key && *payload == Payload::Same) {
                assert!(payload == dumped(&mut loaded, key), "{key}");
            }
        }
        for database in 0..DATABASES {
            for client in [&mut redis, &mut loaded] {
                client.run(&format!("SELECT {database}"));
            }
            assert_eq!(redis.run("DBSIZE"), loaded.run("DBSIZE"));
        }
    }
}

/// How a key was used goes with it under the policies that ask.
#[test]
fn access_goes_both_ways() {
    for (policy, question) in [("allkeys-lru", "IDLETIME"), ("allkeys-lfu", "FREQ")] {
        let [there, here] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
        let server = oracle_on(there.path(), &["--maxmemory-policy", policy]);
        let mut redis = server.connect();
        redis.run("SET source v");
        let payload = bulk(redis.run("DUMP source"));
        redis.run("DEL source");
        for (key, given) in [("a", "IDLETIME 70000"), ("b", "FREQ 200"), ("c", "IDLETIME 50")] {
            let given = given.split(' ').map(str::as_bytes);
            let call: Vec<&[u8]> =
                [b"RESTORE", key.as_bytes(), b"0", &payload].into_iter().chain(given).collect();
            not_error(&redis.call(&call));
        }
        not_error(&redis.run("SAVE"));
        let saved = read(&there.path().join("dump.rdb"));
        assert!(saved.iter().all(|saved| match saved.access {
            Some(Access::IdleSecs(secs)) => policy == "allkeys-lru" && !(1000..70_000).contains(&secs),
            Some(Access::Frequency(_)) => policy == "allkeys-lfu",
            None => false,
        }));
        write(&here.path().join("dump.rdb"), &saved, Compression::On, Checksum::Checked);
        let loaded = oracle_on(here.path(), &["--maxmemory-policy", policy]);
        let (mut loaded, number) = (loaded.connect(), |client: &mut Client, key: &str| {
            match client.run(&format!("OBJECT {question} {key}")) {
                Value::Int(number) => number,
                other => panic!("{other:?}"),
            }
        });
        for key in ["a", "b", "c"] {
            let difference = number(&mut loaded, key) - number(&mut redis, key);
            assert!((0..30).contains(&difference), "{policy} {key}: {difference}");
        }
    }
}

/// Functions are told of, and what is behind them is read.
#[test]
fn functions_are_told_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = oracle_on(dir.path(), &[]);
    let mut redis = server.connect();
    let source = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)";
    not_error(&redis.call(&["FUNCTION", "LOAD", source]));
    redis.run("SET k v");
    not_error(&redis.run("SAVE"));
    let file = fs::read(dir.path().join("dump.rdb")).expect("a dump file");
    let mut file = FileReader::open(&file[..], Checksum::Checked, STRING_LEN_MAX).expect("a version");
    let (mut functions, mut names) = (Vec::new(), Vec::new());
    while let Some(item) = file.next_item().expect("an item") {
        match item {
            Item::Functions { source } => functions.push(source.to_vec()),
            Item::Key(record) => assert_eq!(record.key, b"k"),
            Item::Fact { name, .. } => names.push(String::from_utf8(name.to_vec()).expect("a name")),
            Item::Sizes { database, keys, expiring } => assert_eq!((database, keys, expiring), (0, 1, 0)),
            Item::Module { name } => panic!("{name}"),
        }
    }
    assert_eq!(functions, [source.as_bytes()]);
    assert_eq!(names, ["redis-ver", "redis-bits", "ctime", "used-mem", "aof-base"]);
}
