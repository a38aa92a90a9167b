//! INFO: Redis's sections and fields, with figures of all reactors.

use std::collections::HashMap;

use bobbin_proto::{Value, Version};

use crate::support::{Client, Pair, bobbin, bobbin_with, eventually, words};

/// Fields of Redis 7.0.15 that stand only in a server which has what they tell of.
const OF_REDIS_ALONE: &[&str] = &[];

fn text(value: Value) -> String {
    match value {
        Value::Bulk(text) | Value::Verbatim { text, .. } => String::from_utf8(text).expect("a text"),
        other => panic!("not a text: {other:?}"),
    }
}

fn fields(client: &mut Client, sections: &str) -> HashMap<String, String> {
    let text = text(client.run(&format!("INFO {sections}")));
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn number(fields: &HashMap<String, String>, name: &str) -> u64 {
    fields[name].parse().unwrap_or_else(|_| panic!("{name}: {}", fields[name]))
}

/// A verbatim text in RESP3, a bulk in RESP2; sections apart by an empty line.
#[test]
fn every_section_and_field_of_redis_is_there() {
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(&[], version);
        pair.same("INFO nothing");
        for sections in
            ["", "default", "all", "everything", "server", "CLIENTS stats", "modules", "module_list"]
        {
            let (ours, redis) = pair.both(&format!("INFO {sections}"));
            assert_eq!(ours[0], redis[0], "the type of the reply");
            let (ours, redis) = (names(&ours), names(&redis));
            let missing: Vec<_> = redis
                .iter()
                .filter(|name| !ours.contains(name) && !OF_REDIS_ALONE.contains(&name.as_str()))
                .collect();
            assert!(missing.is_empty(), "INFO {sections} lacks {missing:?}");
            let common: Vec<_> = ours.iter().filter(|name| redis.contains(name)).collect();
            let in_redis: Vec<_> = redis.iter().filter(|name| ours.contains(name)).collect();
            assert_eq!(common, in_redis, "the order of INFO {sections}");
        }
    }
}

/// Titles and field names, in their order; not of what depends on what was called.
fn names(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(reply);
    text.lines()
        .map(|line| line.split(':').next().unwrap_or_default())
        .filter(|name| {
            !["cmdstat_", "latency_perc", "errorstat_", "db0"].iter().any(|of| name.starts_with(of))
        })
        .filter(|name| {
            name.starts_with("# ")
                || name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        })
        .filter(|name| !name.chars().all(|c| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn figures_are_those_of_all_reactors() {
    let server = bobbin();
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.run(&format!("SET key:{number} value"));
        client.run(&format!("GET key:{number}"));
        client.run(&format!("GET missing:{number}"));
        client.run("GET");
    }
    clients[0].run("SELECT 3");
    clients[0].run("MSET a 1 b 2 c 3 d 4");
    let info = fields(&mut clients[0], "everything");
    assert_eq!(number(&info, "connected_clients"), 6);
    assert_eq!(number(&info, "keyspace_hits"), 6);
    assert_eq!(number(&info, "keyspace_misses"), 6);
    assert_eq!(number(&info, "total_error_replies"), 6);
    assert_eq!(info["errorstat_ERR"], "count=6");
    assert_eq!(info["db0"], "keys=6,expires=0,avg_ttl=0,subexpiry=0");
    assert_eq!(info["db3"], "keys=4,expires=0,avg_ttl=0,subexpiry=0");
    assert!(info["cmdstat_get"].starts_with("calls=12,usec="), "{}", info["cmdstat_get"]);
    assert!(info["cmdstat_get"].ends_with(",rejected_calls=6,failed_calls=0"), "{}", info["cmdstat_get"]);
    assert!(info["cmdstat_mset"].starts_with("calls=1,"), "{}", info["cmdstat_mset"]);
    assert!(info["latency_percentiles_usec_get"].starts_with("p50="), "{info:?}");
    assert_eq!(number(&info, "reactors"), 2);
    assert_eq!(info["process_id"], server.pid().to_string());
    assert_eq!(info["tcp_port"], server.port.to_string());
}

#[test]
fn figures_of_the_process_are_real() {
    let server = bobbin();
    let mut client = server.connect();
    let before = fields(&mut client, "");
    client.call(&[&b"SET"[..], b"large", &vec![b'x'; 8 << 20]]);
    let used = number(&before, "used_memory");
    // A tick later every reactor knows.
    eventually(|| number(&fields(&mut client, ""), "used_memory") >= used + (8 << 20));
    let after = fields(&mut client, "");
    let grown = number(&after, "used_memory") - used;
    assert!((8 << 20..24 << 20).contains(&grown), "{grown}");
    assert!(number(&after, "used_memory_dataset") > 8 << 20, "{after:?}");
    assert!(number(&after, "used_memory_peak") >= number(&after, "used_memory"), "{after:?}");
    assert!(number(&after, "used_memory_rss") > 8 << 20, "{after:?}");
    assert!(number(&after, "allocator_allocated") > 8 << 20, "{after:?}");
    assert!(number(&after, "total_net_input_bytes") > 8 << 20, "{after:?}");
    assert!(number(&after, "eventloop_cycles") > number(&before, "eventloop_cycles"), "{after:?}");
    assert!(
        after["used_cpu_user"].parse::<f64>().unwrap() + after["used_cpu_sys"].parse::<f64>().unwrap() > 0.0
    );
    assert!(after["mem_allocator"].starts_with("jemalloc-5"), "{after:?}");
}

#[test]
fn commands_that_visit_all_reactors_count_once_and_take_their_time() {
    let server = bobbin_with(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.run("DEBUG SLEEP 0.05");
    client.run("DBSIZE");
    let info = fields(&mut client, "commandstats");
    assert!(info["cmdstat_dbsize"].starts_with("calls=1,"), "{info:?}");
    let us = info["cmdstat_debug"].strip_prefix("calls=1,usec=").and_then(|rest| rest.split(',').next());
    assert!(us.and_then(|us| us.parse::<u64>().ok()).is_some_and(|us| us >= 50_000), "{info:?}");
}

#[test]
fn an_error_code_cannot_forge_a_field() {
    let server = bobbin_with(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.run(r#"DEBUG ERROR "A:1\r\n#B""#);
    let info = fields(&mut client, "errorstats");
    assert_eq!(info.len(), 1, "{info:?}");
    assert!(info.keys().all(|name| name.starts_with("errorstat_A_1")), "{info:?}");
}

/// Whoever waits is counted until the wait is over, however it ends; a key counts once, whoever waits for it.
#[test]
fn those_who_wait_are_counted() {
    let server = bobbin();
    let (mut observer, mut clients) = (server.connect(), [(); 4].map(|()| server.connect()));
    // Each core is looked at in its own moment, and the lines on another may yet have to hear of what has happened.
    let mut are = |[blocked, timeouts, keys, on_nokey]: [&str; 4]| {
        let shown = fields(&mut observer, "clients");
        let names = [
            "blocked_clients",
            "clients_in_timeout_table",
            "total_blocking_keys",
            "total_blocking_keys_on_nokey",
        ];
        names.map(|name| shown[name].clone()) == [blocked, timeouts, keys, on_nokey]
    };
    assert!(are(["0"; 4]));
    clients[0].run("XGROUP CREATE s g $ MKSTREAM");
    for (client, wait) in clients.iter_mut().zip([
        "BLPOP a b 0",
        "BRPOP b c 100",
        "XREADGROUP GROUP g me BLOCK 100000 STREAMS s >",
        "WAIT 1 0",
    ]) {
        client.send(&words(wait)).expect("the server reads");
        assert!(client.is_silent());
    }
    eventually(|| are(["4", "2", "4", "1"]));
    server.connect().run("RPUSH b x");
    eventually(|| are(["3", "2", "3", "1"]));
    let [first, _, third, fourth] = clients;
    drop((third, fourth));
    eventually(|| are(["1", "1", "2", "0"]));
    drop(first);
}
