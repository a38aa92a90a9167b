//! MEMORY: replies beside redis-server's where they do not tell of the server, and figures that add up.

use bobbin_proto::Value;

use crate::support::{Client, Server, bobbin, bobbin_with, eventually, same_replies};

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "MEMORY",
        "MEMORY other",
        "MEMORY USAGE",
        "MEMORY USAGE nokey",
        "MEMORY USAGE nokey SAMPLES",
        "MEMORY USAGE nokey SAMPLES x",
        "MEMORY USAGE nokey SAMPLES -1",
        "MEMORY USAGE nokey SAMPLES 0",
        "MEMORY USAGE nokey samples 5",
        "MEMORY USAGE nokey other",
        "MEMORY USAGE nokey other 5",
        "MEMORY USAGE nokey SAMPLES x other",
        "MEMORY PURGE",
        "MEMORY PURGE x",
        "MEMORY DOCTOR x",
        "MEMORY STATS x",
        "MEMORY MALLOC-STATS x",
        "MEMORY HELP x",
    ]);
}

#[test]
fn usage_follows_the_value() {
    let server = bobbin();
    let mut client = server.connect();
    for (len, least, most) in [(1, 20, 100), (1000, 1000, 1400), (100_000, 100_000, 130_000)] {
        client.call(&["SET".to_owned(), "key".to_owned(), "v".repeat(len)]);
        let Value::Int(bytes) = client.run("MEMORY USAGE key") else { panic!("an integer") };
        assert!((least..most).contains(&bytes), "{bytes} for {len}");
    }
}

fn figure(client: &mut Client, name: &str) -> Value {
    let Value::Map(fields) = client.run("MEMORY STATS") else { panic!("a map") };
    let field = fields.into_iter().find(|(key, _)| *key == Value::Bulk(name.as_bytes().to_vec()));
    field.unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn stats_follow_the_keys_and_the_doctor_reads_them() {
    let server = bobbin();
    let mut client = server.connect();
    client.run("HELLO 3");
    assert_eq!(figure(&mut client, "keys.count"), Value::Int(0));
    let value = "v".repeat(10_000);
    for index in 0..2000 {
        client.call(&["SET", &format!("key:{index}"), &value]);
    }
    assert_eq!(figure(&mut client, "keys.count"), Value::Int(2000));
    let Value::Int(dataset) = figure(&mut client, "dataset.bytes") else { panic!("an integer") };
    assert!((20_000_000..30_000_000).contains(&dataset), "{dataset}");
    let Value::Int(each) = figure(&mut client, "keys.bytes-per-key") else { panic!("an integer") };
    assert!((10_000..15_000).contains(&each), "{each}");
    assert!(matches!(figure(&mut client, "db.0"), Value::Map(tables) if tables.len() == 3));
    let Value::Verbatim { format, text } = client.run("MEMORY DOCTOR") else { panic!("a text") };
    assert_eq!(&format, b"txt");
    assert!(!text.starts_with(b"The server holds too little"), "{}", text.escape_ascii());
    let Value::Verbatim { text, .. } = client.run("MEMORY MALLOC-STATS") else { panic!("a text") };
    assert!(text.starts_with(b"___ Begin jemalloc statistics ___"), "{}", text.escape_ascii());
    client.run("CONFIG SET maxmemory 1");
    let Value::Verbatim { text, .. } = client.run("MEMORY DOCTOR") else { panic!("a text") };
    assert!(String::from_utf8_lossy(&text).contains("maxmemory"), "{}", text.escape_ascii());
}

/// What `/proc` says of a server's memory, in KiB.
fn kib(server: &Server, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/{file}", server.pid())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
    line.trim_end_matches(" kB").trim().parse().expect("a number")
}

fn fill(server: &Server) {
    let (mut client, value) = (server.connect(), "v".repeat(1000));
    for first in (0..80_000).step_by(1000) {
        let keys = (first..first + 1000).flat_map(|key| [format!("key:{key}"), value.clone()]);
        client.call(&std::iter::once("MSET".to_owned()).chain(keys).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_kept_is_in_huge_pages_unless_they_are_not_wanted() {
    let offered = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let is_offered = offered.contains("[always]") || offered.contains("[madvise]");
    for (directives, wants) in [(&[][..], true), (&["--disable-thp", "yes"][..], false)] {
        let server = bobbin_with(directives);
        fill(&server);
        let huge = kib(&server, "smaps_rollup", "AnonHugePages:");
        assert_eq!(huge > 40 * 1024, wants && is_offered, "{huge} KiB, offered: {offered}");
    }
}

/// Nobody asks it anything meanwhile, so that no allocation of a reactor gives the pages back.
#[test]
fn memory_goes_back_to_the_system_by_itself() {
    let server = bobbin();
    fill(&server);
    let full = kib(&server, "status", "VmRSS:");
    server.connect().run("FLUSHALL");
    eventually(|| kib(&server, "status", "VmRSS:") < full / 2);
}
