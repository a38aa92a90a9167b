//! MONITOR.

use std::time::{SystemTime, UNIX_EPOCH};

use bobbin_proto::Value;

use crate::support::{Client, bobbin, oracle};

/// A monitor's line without its time, which is checked, and with `port` for the client's port.
fn line(monitor: &mut Client) -> String {
    let Value::Simple(line) = monitor.read() else { panic!("not a line") };
    let line = String::from_utf8(line).expect("monitors see ASCII");
    let (time, rest) = line.split_once(' ').expect("a time comes first");
    let (seconds, micros) = time.split_once('.').expect("a time has a fraction");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(now.abs_diff(seconds.parse().expect("seconds")) < 60 && micros.len() == 6, "{time}");
    let (head, tail) = rest.split_once(']').expect("the client stands in brackets");
    let (address, _) = head.rsplit_once(':').expect("an address has a port");
    format!("{address}:port]{tail}")
}

fn monitor(client: &mut Client) {
    assert_eq!(client.run("MONITOR"), Value::Simple(b"OK".to_vec()));
}

/// The same commands to redis-server and to Bobbin are shown in the same words.
#[test]
fn lines_are_those_of_redis() {
    let shown: Vec<Vec<String>> = [oracle(), bobbin()]
        .iter()
        .map(|server| {
            let (mut watcher, mut client) = (server.connect(), server.connect());
            monitor(&mut watcher);
            for command in [
                "SELECT 3",
                "AUTH a",
                "auth default secret",
                "HELLO 3 AUTH default secret SETNAME x",
                "HELLO 2 SETNAME AUTH AUTH default secret",
                r#"SET "k\x00\xff" "v\"\\\n\r\t\a\b""#,
                "CLIENT LIST",
                "GET",
                "unknown",
                "CLIENT unknown",
                "CLIENT SETNAME x",
                r#"ECHO """#,
                "MGET a b c d e f",
                "COMMAND COUNT",
                "RESET",
            ] {
                client.run(command);
            }
            client.run("ECHO last");
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line: &String| !line.ends_with("\"last\"")) {
                lines.push(line(&mut watcher));
            }
            lines
        })
        .collect();
    assert_eq!(shown[1], shown[0]);
}

#[test]
fn a_monitor_sees_the_commands_of_every_reactor_until_it_is_reset() {
    let server = bobbin();
    let mut watchers: Vec<_> = (0..4).map(|_| server.connect()).collect();
    watchers.iter_mut().for_each(monitor);
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.run(&format!("GET key{number}"));
    }
    for watcher in &mut watchers {
        let mut lines: Vec<_> = (0..clients.len()).map(|_| line(watcher)).collect();
        lines.sort_unstable();
        let expected: Vec<_> = (0..4).map(|n| format!(r#"[0 127.0.0.1:port] "GET" "key{n}""#)).collect();
        assert_eq!(lines, expected);
    }
    let mut leaving = watchers.remove(0);
    assert_eq!(leaving.run("RESET"), Value::Simple(b"RESET".to_vec()));
    drop(watchers.remove(0));
    clients.iter_mut().for_each(|client| assert_eq!(client.run("GET a"), Value::NullBulk));
    // RESET itself is shown to the others, not to who is no monitor any more.
    assert!(leaving.is_silent());
    assert_eq!(line(&mut watchers[0]), r#"[0 127.0.0.1:port] "RESET""#);
    assert_eq!(line(&mut watchers[0]), r#"[0 127.0.0.1:port] "GET" "a""#);
}

#[test]
fn a_monitor_may_not_touch_keys_and_is_not_answered_twice() {
    let server = bobbin();
    let mut watcher = server.connect();
    monitor(&mut watcher);
    watcher.send(&["MONITOR"]).unwrap();
    assert!(watcher.is_silent());
    let refused = Value::Error(b"ERR Replica can't interact with the keyspace".to_vec());
    assert_eq!(watcher.run("SET a 1"), refused);
    assert_eq!(watcher.run("PING"), Value::Simple(b"PONG".to_vec()));
}

/// What a monitor leaves unread is bounded, though normal clients have no limit by default.
#[test]
fn a_monitor_that_does_not_read_is_cut_off() {
    let server = bobbin();
    let (mut watcher, mut client) = (server.connect(), server.connect());
    monitor(&mut watcher);
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..64 {
        client.call(&["ECHO", &megabyte]);
    }
    let monitors = |client: &mut Client| match client.run("CLIENT LIST") {
        Value::Bulk(list) => String::from_utf8_lossy(&list).matches("flags=O").count(),
        other => panic!("not a list: {other:?}"),
    };
    assert_eq!(monitors(&mut client), 0);
}
