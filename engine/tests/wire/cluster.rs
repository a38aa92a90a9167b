//! Reactors as the nodes of a cluster, beside a cluster of one redis-server, and as client programs see them.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use bobbin_proto::{Value, Version};

use crate::support::{Client, Server, bobbin_with, oracle_with, same_replies, words};

const CLUSTER: [&str; 2] = ["--cluster-enabled", "yes"];
const SLOTS: i64 = 16384;
/// A node that has been started takes two seconds before it writes.
const CLUSTER_UP: Duration = Duration::from_secs(30);

/// A cluster of one redis-server.
fn redis_cluster() -> (Server, Client) {
    let server = oracle_with(&CLUSTER);
    let mut client = server.connect();
    client.run("CLUSTER ADDSLOTSRANGE 0 16383");
    let deadline = Instant::now() + CLUSTER_UP;
    while !text(client.run("CLUSTER INFO")).contains("cluster_state:ok") {
        assert!(Instant::now() < deadline, "the cluster does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    (server, client)
}

fn text(value: Value) -> String {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) | Value::Error(bytes) => {
            String::from_utf8(bytes).expect("text")
        }
        Value::Verbatim { text, .. } => String::from_utf8(text).expect("text"),
        other => panic!("not a text: {other:?}"),
    }
}

fn array(value: Value) -> Vec<Value> {
    let Value::Array(elements) = value else { panic!("not an array: {value:?}") };
    elements
}

fn int(value: &Value) -> i64 {
    let Value::Int(number) = value else { panic!("not an integer: {value:?}") };
    *number
}

/// A node as CLUSTER SLOTS lists it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    slots: (i64, i64),
    host: String,
    port: u16,
    id: String,
}

fn listed(client: &mut Client) -> Vec<Listed> {
    let nodes = array(client.run("CLUSTER SLOTS")).into_iter().map(|range| {
        let range = array(range);
        let slots = (int(&range[0]), int(&range[1]));
        let mut node = array(range.into_iter().nth(2).expect("a node")).into_iter();
        let host = text(node.next().expect("a host"));
        let port = int(&node.next().expect("a port")) as u16;
        Listed { slots, host, port, id: text(node.next().expect("an id")) }
    });
    nodes.collect()
}

fn node(port: u16) -> Client {
    Client::try_connect(port).expect("a node listens")
}

/// What a client may ask a node that owns every slot.
const SCRIPT: &[&str] = &[
    "READONLY",
    "READWRITE",
    "ASKING",
    "CLUSTER KEYSLOT foo",
    "CLUSTER KEYSLOT {foo}bar",
    "CLUSTER LINKS",
    "CLUSTER REPLICAS nobody",
    "CLUSTER SLAVES nobody",
    "CLUSTER COUNT-FAILURE-REPORTS nobody",
    "CLUSTER COUNTKEYSINSLOT 16384",
    "CLUSTER COUNTKEYSINSLOT -1",
    "CLUSTER COUNTKEYSINSLOT x",
    "CLUSTER GETKEYSINSLOT 1 -1",
    "CLUSTER GETKEYSINSLOT 1 x",
    "CLUSTER GETKEYSINSLOT 99999 1",
    "CLUSTER NODES x",
    "CLUSTER NONSENSE",
    "CLUSTER",
    "INFO cluster",
    "SELECT 0",
    "SELECT 1",
    "SELECT x",
    "SWAPDB 0 1",
    "SET a 1",
    "MOVE a 1",
    "MOVE a 0",
    "COPY a a DB 1",
    "COPY a {a}b DB 1",
    "COPY a {a}b DB 0",
    "COPY a b",
    "MGET a b",
    "MGET a {a}b",
    "MSET a 1 b 2",
    "DEL a b",
    "RENAME a b",
    "SINTERSTORE {a}x {a}y b",
    "LMOVE a b LEFT RIGHT",
    "BLPOP a b 1",
    "EVALSHA",
    "WATCH a b",
    "WATCH a {a}b",
    "UNWATCH",
    "OBJECT ENCODING a",
    "ZUNIONSTORE {a}z 2 {a}1 b",
    "XREAD STREAMS a b 0 0",
    "SORT {a}l BY nosort STORE b",
    "SPUBLISH a message",
    "SSUBSCRIBE a b",
    "MULTI",
    "GET a",
    "MGET a b",
    "EXEC",
    "MULTI",
    "SET a 5",
    "SET b 6",
    "EXEC",
    "EXEC",
    "MULTI",
    "SET a 5",
    "GET {a}b",
    "EXEC",
    "GET a",
    "MULTI",
    "WATCH a",
    "PING",
    "EXEC",
    "CLUSTER COUNTKEYSINSLOT 15495",
    "CLUSTER GETKEYSINSLOT 15495 1000",
    "CLUSTER GETKEYSINSLOT 15495 0",
    "CLUSTER COUNTKEYSINSLOT 1",
    "CLUSTER FAILOVER x y",
    "RESET",
    "SELECT 1",
    "DBSIZE",
    "FLUSHALL",
    "DBSIZE",
];

#[test]
fn a_node_answers_as_a_cluster_of_one_redis() {
    for version in [Version::Resp2, Version::Resp3] {
        let (_redis, mut redis) = redis_cluster();
        let server = bobbin_with(&[&CLUSTER[..], &["--reactors", "1"]].concat());
        let port = listed(&mut server.connect())[0].port;
        assert_eq!(port, server.port + 1);
        let mut bobbin = node(port);
        if version == Version::Resp3 {
            bobbin.run("HELLO 3");
            redis.run("HELLO 3");
        }
        for line in SCRIPT {
            let [ours, theirs] = [&mut bobbin, &mut redis].map(|client| client.call_raw(&words(line)));
            let is_unordered = line.starts_with("CLUSTER GETKEYS");
            let sorted = |mut bytes: Vec<u8>| {
                bytes.sort_unstable();
                bytes
            };
            let (ours, theirs) = if is_unordered { (sorted(ours), sorted(theirs)) } else { (ours, theirs) };
            // A subcommand's error names all there are; EVALSHA is not there at all.
            if *line != "EVALSHA" && !line.starts_with("CLUSTER FAILOVER") {
                assert!(
                    ours == theirs,
                    "{line}\n redis: {}\nbobbin: {}",
                    theirs.escape_ascii(),
                    ours.escape_ascii()
                );
            }
        }
    }
}

#[test]
fn without_a_cluster_there_is_none() {
    same_replies(&[
        "CLUSTER INFO",
        "CLUSTER NODES",
        "CLUSTER HELP",
        "CLUSTER KEYSLOT a",
        "CLUSTER COUNTKEYSINSLOT 1",
        "CLUSTER ADDSLOTS 1",
        "CLUSTER RESET",
        "CLUSTER NONSENSE",
        "CLUSTER MYID x",
        "READONLY",
        "READWRITE",
        "ASKING",
        "INFO cluster",
    ]);
}

#[test]
fn every_reactor_is_a_node() {
    let server = bobbin_with(&CLUSTER);
    let nodes = listed(&mut server.connect());
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes.iter().map(|node| node.slots.1 - node.slots.0 + 1).sum::<i64>(), SLOTS);
    assert_eq!((nodes[0].slots.0, nodes[1].slots.1), (0, SLOTS - 1));
    assert_eq!(nodes[0].slots.1 + 1, nodes[1].slots.0);
    for listed_node in &nodes {
        assert_eq!(listed_node.host, "127.0.0.1");
        let mut client = node(listed_node.port);
        assert_eq!(text(client.run("CLUSTER MYID")), listed_node.id);
        assert_eq!(listed(&mut client), nodes);
        let lines = text(client.run("CLUSTER NODES"));
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        for (line, node) in lines.iter().zip(&nodes) {
            let mine = if node == listed_node { "myself,master" } else { "master" };
            let epoch = if node.slots.0 == 0 { 1 } else { 2 };
            let Listed { slots: (first, last), host, port, id } = node;
            assert_eq!(*line, format!("{id} {host}:{port}@0 {mine} - 0 0 {epoch} connected {first}-{last}"));
        }
        let info = text(client.run("CLUSTER INFO"));
        for field in
            ["cluster_state:ok", "cluster_slots_assigned:16384", "cluster_known_nodes:2", "cluster_size:2"]
        {
            assert!(info.lines().any(|line| line == field), "{field} is not in {info}");
        }
        assert!(text(client.run("INFO server")).contains("redis_mode:cluster"));
        assert_eq!(client.run(&format!("CLUSTER REPLICAS {}", listed_node.id)), Value::Array(Vec::new()));
    }
    assert!(
        text(server.connect().run("CLUSTER ADDSLOTS 1")).starts_with("ERR CLUSTER ADDSLOTS is not possible")
    );
}

#[test]
fn shards_are_told_as_by_redis() {
    let (_redis, mut redis) = redis_cluster();
    let server = bobbin_with(&[&CLUSTER[..], &["--reactors", "1"]].concat());
    // Redis does not know its own address until it has met others.
    for (directive, value) in
        [("cluster-announce-ip", "192.0.2.7"), ("cluster-announce-hostname", "db.example")]
    {
        for kind in ["ip", "hostname", "unknown-endpoint"] {
            let mut bobbin = node(server.port + 1);
            for client in [&mut bobbin, &mut redis] {
                client.run(&format!("CONFIG SET {directive} {value} cluster-preferred-endpoint-type {kind}"));
            }
            for line in ["CLUSTER SHARDS", "CLUSTER SLOTS"] {
                let [ours, theirs] = [&mut bobbin, &mut redis].map(|client| {
                    let id = text(client.run("CLUSTER MYID"));
                    let reply = String::from_utf8(client.call_raw(&words(line))).expect("text");
                    reply.replace(&id, "ID")
                });
                let port = |port: u16| format!(":{port}\r\n");
                let [ours, theirs] = [
                    ours.replace(&port(server.port + 1), ":PORT\r\n"),
                    theirs.replace(&port(redis_port(&mut redis)), ":PORT\r\n"),
                ];
                assert_eq!(ours, theirs, "{line} with {directive} {kind}");
            }
        }
    }
}

fn redis_port(client: &mut Client) -> u16 {
    let values = array(client.run("CONFIG GET port"));
    text(values.into_iter().nth(1).expect("a value")).parse().expect("a port")
}

#[test]
fn keys_of_other_nodes_are_told_to_move() {
    let server = bobbin_with(&CLUSTER);
    let mut main = server.connect();
    let nodes = listed(&mut main);
    let mut clients: Vec<Client> = nodes.iter().map(|listed| node(listed.port)).collect();
    for number in 0..200 {
        let key = format!("key:{number}");
        let slot = int(&main.run(&format!("CLUSTER KEYSLOT {key}")));
        for (listed, client) in nodes.iter().zip(&mut clients) {
            let is_there = (listed.slots.0..=listed.slots.1).contains(&slot);
            let reply = client.run(&format!("SET {key} {number}"));
            if is_there {
                assert_eq!(reply, Value::Simple(b"OK".to_vec()));
            } else {
                let owner = nodes.iter().find(|node| (node.slots.0..=node.slots.1).contains(&slot));
                let owner = owner.expect("every slot has an owner");
                assert_eq!(text(reply), format!("MOVED {slot} {}:{}", owner.host, owner.port));
                assert!(text(client.run(&format!("BLPOP {key} 1"))).starts_with("MOVED"));
                client.run("MULTI");
                assert!(text(client.run(&format!("GET {key}"))).starts_with("MOVED"));
                assert!(text(client.run("EXEC")).starts_with("EXECABORT"));
            }
        }
        assert_eq!(text(main.run(&format!("GET {key}"))), number.to_string());
    }
    // The main port serves keys of any nodes together, in any database.
    let keys: Vec<String> = (0..200).map(|number| format!("key:{number}")).collect();
    assert_eq!(int(&main.run(&format!("EXISTS {}", keys.join(" ")))), 200);
    assert_eq!(main.run("SELECT 3"), Value::Simple(b"OK".to_vec()));
}

#[test]
fn a_node_tells_of_its_own_keys() {
    let server = bobbin_with(&CLUSTER);
    let mut main = server.connect();
    (0..300).for_each(|number| drop(main.run(&format!("SET key:{number} x"))));
    let all: BTreeSet<String> = (0..300).map(|number| format!("key:{number}")).collect();
    let nodes = listed(&mut main);
    let (mut by_keys, mut by_scan, mut by_slot, mut sizes) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), 0);
    for listed in &nodes {
        let mut client = node(listed.port);
        sizes += int(&client.run("DBSIZE"));
        by_keys.extend(array(client.run("KEYS *")).into_iter().map(text));
        let mut cursor = String::from("0");
        loop {
            let mut page = array(client.run(&format!("SCAN {cursor} COUNT 7"))).into_iter();
            cursor = text(page.next().expect("a cursor"));
            for key in array(page.next().expect("keys")).into_iter().map(text) {
                let slot = int(&client.run(&format!("CLUSTER KEYSLOT {key}")));
                assert!((listed.slots.0..=listed.slots.1).contains(&slot));
                by_scan.insert(key);
            }
            if cursor == "0" {
                break;
            }
        }
        let drawn = text(client.run("RANDOMKEY"));
        let slot = int(&client.run(&format!("CLUSTER KEYSLOT {drawn}")));
        assert!((listed.slots.0..=listed.slots.1).contains(&slot));
    }
    for key in &all {
        let slot = int(&main.run(&format!("CLUSTER KEYSLOT {key}")));
        let found = array(main.run(&format!("CLUSTER GETKEYSINSLOT {slot} 10")));
        assert_eq!(int(&main.run(&format!("CLUSTER COUNTKEYSINSLOT {slot}"))), found.len() as i64);
        by_slot.extend(found.into_iter().map(text));
    }
    assert_eq!(sizes, 300);
    assert_eq!((&by_keys, &by_scan, &by_slot), (&all, &all, &all));
    assert_eq!(int(&main.run("DBSIZE")), 300);
}

#[test]
fn programs_for_clusters_work() {
    let server = bobbin_with(&CLUSTER);
    let port = (server.port + 1).to_string();
    for number in 0..20 {
        let (key, value) = (format!("key:{number}"), number.to_string());
        let set = Command::new("redis-cli").args(["-c", "-p", &port, "SET", &key, &value]).output();
        assert_eq!(set.expect("redis-cli runs").stdout, b"OK\n");
        assert_eq!(text(server.connect().run(&format!("GET {key}"))), value);
    }
    let check = Command::new("redis-cli").args(["--cluster", "check", &format!("127.0.0.1:{port}")]).output();
    let check = String::from_utf8(check.expect("redis-cli runs").stdout).expect("text");
    assert!(check.contains("[OK] All 16384 slots covered."), "{check}");
    server.connect().run("CONFIG RESETSTAT");
    let bench = Command::new("redis-benchmark")
        .args([
            "-p",
            &port,
            "--cluster",
            "-t",
            "set,get",
            "-n",
            "2000",
            "-r",
            "100000",
            "-P",
            "4",
            "-c",
            "4",
            "-q",
        ])
        .output()
        .expect("redis-benchmark runs");
    let out = String::from_utf8_lossy(&bench.stdout);
    assert!(bench.status.success() && !out.contains("rror"), "{out}");
    assert!(int(&server.connect().run("DBSIZE")) > 1000);
}
