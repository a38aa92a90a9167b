//! Snapshots: what is in one is there again after a start.

use bobbin_engine::ids::Stamp;
use bobbin_engine::journal::{Chunk, Clock, Directory, DiskFile as _, Replay, SnapshotHead, Totals};
use bobbin_engine::store::Entry;
use bobbin_proto::decode::Value;

use crate::support::{Client, Server, bobbin_with};

const KEYS: u64 = 5000;
/// Beyond the life of any test.
const LATER_MS: u64 = 4_000_000_000_000;

/// Makes a snapshot with keys in two databases, in chunks of a few.
fn write_snapshot(disk: &Directory, stamp: Stamp) {
    let mut manifest = Replay::open(disk).expect("a state").manifest().clone();
    let head = SnapshotHead { stamp, made_ms: 1, clock: Clock::Lru };
    let file = head.create(disk).expect("there is room");
    let (mut bytes, mut totals) = (head.bytes(), Totals::default());
    let mut chunk = Chunk::new(0);
    for first in (0..KEYS).step_by(100) {
        for database in [0, 3] {
            chunk.restart(database);
            for n in first..first + 100 {
                let expiry_ms = n.is_multiple_of(2).then_some(LATER_MS + n);
                chunk.push(
                    &Entry::string(
                        format!("k{n}").as_bytes(),
                        format!("{database}:{n}").as_bytes(),
                        expiry_ms,
                    ),
                    Some(7),
                );
            }
            bytes.extend_from_slice(chunk.seal());
            totals.add(chunk.tally());
        }
    }
    bytes.extend(totals.footer());
    file.write_all_at(&bytes, 0).expect("there is room");
    head.install(disk, &file).expect("there is room");
    manifest.set_snapshot(stamp);
    manifest.store(disk).expect("there is room");
}

fn start(dir: &std::path::Path, reactors: &str) -> Server {
    let dir = dir.to_str().expect("a path that is text");
    bobbin_with(&["--dir", dir, "--appendonly", "yes", "--appendfsync", "always", "--reactors", reactors])
}

fn check_keys(client: &mut Client) {
    for database in [0, 3] {
        client.run(&format!("SELECT {database}"));
        assert_eq!(client.run("DBSIZE"), Value::Int(KEYS as i64));
        for n in (0..KEYS).step_by(37) {
            let value = format!("{database}:{n}");
            assert_eq!(client.run(&format!("GET k{n}")), Value::Bulk(value.into_bytes()), "{n}");
            let expires = if n.is_multiple_of(2) { (LATER_MS + n) as i64 } else { -1 };
            assert_eq!(client.run(&format!("PEXPIRETIME k{n}")), Value::Int(expires));
        }
    }
}

/// Any number of reactors, and what was done after the snapshot comes after it.
#[test]
fn a_snapshot_is_loaded_and_the_journal_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Directory::make(dir.path().join("appendonlydir")).expect("a directory");
    write_snapshot(&disk, Stamp(41));
    for reactors in ["2", "1", "2"] {
        let server = start(dir.path(), reactors);
        check_keys(&mut server.connect());
        assert!(server.log().contains("DB loaded from the snapshot: 10000 keys"), "{}", server.log());
    }
    let server = start(dir.path(), "2");
    let mut client = server.connect();
    client.run("DEL k0 k1 k2");
    client.run("SET new 1");
    drop(server);
    let server = start(dir.path(), "1");
    let mut client = server.connect();
    assert_eq!(client.run("EXISTS k0 k1 k2 k3 new"), Value::Int(2));
}

#[test]
fn more_databases_than_there_are_stop_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Directory::make(dir.path().join("appendonlydir")).expect("a directory");
    write_snapshot(&disk, Stamp(41));
    let path = dir.path().to_str().expect("a path that is text");
    let started =
        std::panic::catch_unwind(|| bobbin_with(&["--dir", path, "--appendonly", "yes", "--databases", "3"]));
    let log = *started.expect_err("it does not start").downcast::<String>().expect("a text");
    assert!(log.contains("the data have keys in database 3, and there are not that many databases"), "{log}");
}
