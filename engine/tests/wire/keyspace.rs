//! FLUSHDB, FLUSHALL, SWAPDB.

use std::time::{Duration, Instant};

use bobbin_proto::Value;

use crate::support::{bobbin, same_replies};

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "FLUSHDB other",
        "FLUSHDB SYNC ASYNC",
        "FLUSHALL other",
        "FLUSHALL async sync",
        "FLUSHDB",
        "FLUSHDB SYNC",
        "flushdb async",
        "FLUSHALL",
        "FLUSHALL sync",
        "FLUSHALL ASYNC",
        "MSET a 1 b 2 c 3 d 4",
        "SELECT 1",
        "MSET x 1 y 2",
        "DBSIZE",
        "SWAPDB 0 1",
        "MGET a b c d x y",
        "DBSIZE",
        "SELECT 0",
        "MGET a b c d x y",
        "DBSIZE",
        "SWAPDB 0 0",
        "SWAPDB 1 0",
        "DBSIZE",
        "FLUSHDB",
        "DBSIZE",
        "SELECT 1",
        "DBSIZE",
        "FLUSHALL",
        "DBSIZE",
        "SWAPDB",
        "SWAPDB 0",
        "SWAPDB 0 1 2",
        "SWAPDB x 1",
        "SWAPDB 1 x",
        "SWAPDB -1 0",
        "SWAPDB 0 -1",
        "SWAPDB 0 16",
        "SWAPDB 99999999999 0",
        "SWAPDB 0 99999999999",
        "SWAPDB 16 x",
    ]);
}

/// Nobody waits for the memory of what FLUSHALL removed: not its caller, nor others.
#[test]
fn flushall_of_many_keys_holds_nobody_up() {
    const KEYS: usize = 300_000;
    let server = bobbin();
    let mut client = server.connect();
    let value = "v".repeat(100);
    for first in (0..KEYS).step_by(500) {
        let mut command = vec!["MSET".to_owned()];
        command.extend((first..first + 500).flat_map(|index| [format!("key:{index}"), value.clone()]));
        assert_eq!(client.call(&command), Value::Simple(b"OK".to_vec()));
    }
    assert_eq!(client.run("DBSIZE"), Value::Int(KEYS as i64));
    let start = Instant::now();
    assert_eq!(client.run("FLUSHALL"), Value::Simple(b"OK".to_vec()));
    let mut longest = start.elapsed();
    let mut other = server.connect();
    while start.elapsed() < Duration::from_secs(1) {
        let asked = Instant::now();
        assert_eq!(other.run("DBSIZE"), Value::Int(0));
        longest = longest.max(asked.elapsed());
    }
    // Freeing it all at once takes longer than that on an idle machine; a busy one may hold a reply up by itself.
    assert!(longest < Duration::from_millis(500), "{longest:?}");
}
