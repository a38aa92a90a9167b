//! LATENCY: histograms of run times, and the latency monitor.

use bobbin_proto::Value;

use crate::support::{Client, bobbin, bobbin_with, same_replies};

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn text(value: Value) -> String {
    match value {
        Value::Bulk(text) | Value::Verbatim { text, .. } => String::from_utf8(text).expect("a text"),
        other => panic!("not a text: {other:?}"),
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(elements) => elements,
        other => panic!("not an array: {other:?}"),
    }
}

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "LATENCY",
        "LATENCY unknown",
        "LATENCY LATEST",
        "LATENCY LATEST x",
        "LATENCY HISTORY",
        "LATENCY HISTORY unknown",
        "LATENCY HISTORY command",
        "LATENCY HISTORY command x",
        "LATENCY GRAPH",
        "LATENCY GRAPH unknown",
        "LATENCY GRAPH command",
        "LATENCY RESET",
        "LATENCY RESET command unknown",
        "LATENCY DOCTOR x",
        "LATENCY HISTOGRAM unknown",
        "LATENCY HISTOGRAM get config|rewrite",
        "CONFIG SET latency-tracking no",
        "CONFIG RESETSTAT",
        "GET key",
        "LATENCY HISTOGRAM",
        "LATENCY HISTOGRAM get",
    ]);
}

/// RESP3: a map of commands to maps; RESP2: the same, flat.
#[test]
fn histograms_have_the_shape_of_redis() {
    let server = bobbin();
    let mut client = server.connect();
    client.run("HELLO 3");
    for number in 0..20 {
        client.run(&format!("GET key:{number}"));
    }
    client.run("CONFIG GET hz");
    let Value::Map(commands) = client.run("LATENCY HISTOGRAM GET config unknown") else {
        panic!("not a map")
    };
    assert_eq!(
        commands.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        [Value::Bulk(b"get".to_vec()), Value::Bulk(b"config|get".to_vec())]
    );
    let Value::Map(fields) = &commands[0].1 else { panic!("not a map: {commands:?}") };
    assert_eq!(fields[0], (Value::Bulk(b"calls".to_vec()), Value::Int(20)));
    assert_eq!(fields[1].0, Value::Bulk(b"histogram_usec".to_vec()));
    let Value::Map(buckets) = &fields[1].1 else { panic!("not a map: {fields:?}") };
    let buckets: Vec<(i64, i64)> = buckets
        .iter()
        .map(|bucket| match bucket {
            (Value::Int(us), Value::Int(calls)) => (*us, *calls),
            other => panic!("not a bucket: {other:?}"),
        })
        .collect();
    assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1), "{buckets:?}");
    assert_eq!(buckets.last().map(|&(_, calls)| calls), Some(20));

    client.run("HELLO 2");
    let flat = array(client.run("LATENCY HISTOGRAM get"));
    assert_eq!(flat.len(), 2);
    assert_eq!(array(flat[1].clone()).len(), 4);
}

/// Samples of one second are one sample.
fn worst(client: &mut Client) -> i64 {
    match &array(client.run("LATENCY LATEST"))[..] {
        [event] => match &array(event.clone())[..] {
            [Value::Bulk(name), Value::Int(_), Value::Int(_), Value::Int(worst)] if name == b"command" => {
                *worst
            }
            other => panic!("not an event: {other:?}"),
        },
        other => panic!("not one event: {other:?}"),
    }
}

#[test]
fn slow_commands_are_sampled_wherever_they_ran() {
    let server = bobbin_with(&["--latency-monitor-threshold", "30", "--enable-debug-command", "yes"]);
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.run("DEBUG SLEEP 0.04"), ok());
    }
    for client in &mut clients {
        assert!((40..10_000).contains(&worst(client)));
    }
    let history = array(clients[0].run("LATENCY HISTORY command"));
    assert!((1..=6).contains(&history.len()), "{history:?}");
    let graph = text(clients[1].run("LATENCY GRAPH command"));
    assert!(graph.starts_with("command - high ") && graph.contains(&"-".repeat(80)), "{graph}");
    let advice = text(clients[2].run("LATENCY DOCTOR"));
    assert!(advice.starts_with("1. command: ") && advice.contains("SLOWLOG GET"), "{advice}");
    assert!(advice.contains("- An iteration of a reactor's loop took "), "{advice}");
    assert_eq!(clients[3].run("LATENCY RESET fast-command command"), Value::Int(1));
    assert_eq!(clients[4].run("LATENCY LATEST"), Value::Array(Vec::new()));
}

#[test]
fn nothing_is_sampled_below_the_threshold() {
    let server = bobbin_with(&["--latency-monitor-threshold", "10000", "--enable-debug-command", "yes"]);
    let mut client = server.connect();
    assert_eq!(client.run("DEBUG SLEEP 0.02"), ok());
    assert_eq!(client.run("LATENCY LATEST"), Value::Array(Vec::new()));
}
