//! SLOWLOG: one log over all reactors.

use std::time::{SystemTime, UNIX_EPOCH};

use bobbin_proto::Value;

use crate::support::{Client, Server, bobbin, bobbin_with, same_replies};

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

#[derive(Debug)]
struct Entry {
    id: i64,
    unix_s: i64,
    us: i64,
    request: String,
    peer: String,
    name: String,
}

fn text(value: &Value) -> String {
    match value {
        Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("not a text: {other:?}"),
    }
}

fn entry(value: &Value) -> Entry {
    let Value::Array(fields) = value else { panic!("not an entry: {value:?}") };
    match &fields[..] {
        [Value::Int(id), Value::Int(unix_s), Value::Int(us), Value::Array(args), peer, name] => Entry {
            id: *id,
            unix_s: *unix_s,
            us: *us,
            request: args.iter().map(text).collect::<Vec<_>>().join(" "),
            peer: text(peer),
            name: text(name),
        },
        other => panic!("not an entry: {other:?}"),
    }
}

fn entries(client: &mut Client, line: &str) -> Vec<Entry> {
    match client.run(line) {
        Value::Array(entries) => entries.iter().map(entry).collect(),
        other => panic!("{line}: {other:?}"),
    }
}

/// Everything is slow.
fn logging() -> Server {
    bobbin_with(&["--slowlog-log-slower-than", "0", "--enable-debug-command", "yes"])
}

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "SLOWLOG",
        "SLOWLOG unknown",
        "SLOWLOG GET",
        "SLOWLOG GET 0",
        "SLOWLOG GET -1",
        "SLOWLOG GET -2",
        "SLOWLOG GET x",
        "SLOWLOG GET 1 2",
        "SLOWLOG LEN",
        "SLOWLOG LEN x",
        "SLOWLOG RESET",
        "SLOWLOG RESET x",
        "CONFIG SET slowlog-log-slower-than 0",
        "CONFIG SET slowlog-log-slower-than -1",
        "SLOWLOG LEN",
        "SLOWLOG RESET",
        "SLOWLOG LEN",
    ]);
}

#[test]
fn requests_of_all_connections_are_in_order() {
    let server = logging();
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.run(&format!("SET key:{round}:{number} x")), ok());
        }
    }
    let found = entries(&mut clients[0], "SLOWLOG GET 18");
    let expected: Vec<_> = (0..3)
        .flat_map(|round| (0..6).map(move |number| format!("SET key:{round}:{number} x")))
        .rev()
        .collect();
    assert_eq!(found.iter().map(|entry| entry.request.clone()).collect::<Vec<_>>(), expected);
    assert!(found.windows(2).all(|pair| pair[0].id == pair[1].id + 1), "{found:?}");
    assert_eq!(entries(&mut clients[0], "SLOWLOG GET").len(), 10);
}

#[test]
fn an_entry_tells_who_and_when() {
    let server = logging();
    let mut client = server.connect();
    assert_eq!(client.run("CLIENT SETNAME me"), ok());
    assert_eq!(client.run("DEBUG SLEEP 0.05"), ok());
    let slept = &entries(&mut client, "SLOWLOG GET 1")[0];
    assert_eq!((slept.request.as_str(), slept.name.as_str()), ("DEBUG SLEEP 0.05", "me"));
    assert!((50_000..5_000_000).contains(&slept.us), "{slept:?}");
    assert!(slept.peer.starts_with("127.0.0.1:"), "{slept:?}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - 60..=now).contains(&slept.unix_s), "{slept:?}");
}

#[test]
fn as_many_entries_are_kept_as_configured() {
    let server = logging();
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for number in 0..60 {
        let client = number % clients.len();
        clients[client].run(&format!("GET key:{number}"));
    }
    assert_eq!(clients[0].run("CONFIG SET slowlog-max-len 5"), ok());
    assert_eq!(clients[0].run("SLOWLOG LEN"), Value::Int(5));
    let found = entries(&mut clients[1], "SLOWLOG GET -1");
    assert_eq!(found.len(), 5);
    assert!(found.iter().any(|entry| entry.request.starts_with("CONFIG SET")), "{found:?}");
    assert_eq!(clients[2].run("CONFIG SET slowlog-log-slower-than -1"), ok());
    assert_eq!(clients[2].run("SLOWLOG RESET"), ok());
    assert_eq!(clients[3].run("SLOWLOG LEN"), Value::Int(0));
}

#[test]
fn passwords_are_not_logged() {
    let server = logging();
    let mut client = server.connect();
    assert_eq!(client.run("CONFIG SET requirepass s3cret timeout 0"), ok());
    assert_eq!(client.run("AUTH s3cret"), ok());
    client.run("HELLO 2 AUTH default s3cret");
    let found = entries(&mut client, "SLOWLOG GET -1");
    assert!(found.iter().all(|entry| !entry.request.contains("s3cret")), "{found:?}");
    assert!(
        found.iter().any(|entry| entry.request == "CONFIG SET requirepass (redacted) timeout 0"),
        "{found:?}"
    );
}

#[test]
fn long_requests_are_cut_as_by_redis() {
    let server = bobbin();
    let mut client = server.connect();
    assert_eq!(client.run("CONFIG SET slowlog-log-slower-than 0"), ok());
    let keys: Vec<_> = (0..50).map(|n| format!("k{n}")).collect();
    client.run(&format!("MGET {}", keys.join(" ")));
    client.run(&format!("GET {}", "x".repeat(200)));
    let found = entries(&mut client, "SLOWLOG GET 2");
    assert_eq!(found[0].request, format!("GET {}... (72 more bytes)", "x".repeat(128)));
    assert!(found[1].request.ends_with("k29 ... (20 more arguments)"), "{found:?}");
}

/// A command's time begins where the one before it in its group ended, and no further back.
#[test]
fn what_lies_between_two_commands_is_nobodys_time() {
    let server = bobbin_with(&["--slowlog-log-slower-than", "400000"]);
    let mut client = server.connect();
    client.run("SET key value");
    for line in [&b"GET key\r\n"[..], b"GET key\r\n", b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"] {
        std::thread::sleep(std::time::Duration::from_millis(500));
        client.send_raw(line).expect("it listens");
        client.read();
    }
    assert_eq!(client.run("SLOWLOG LEN"), Value::Int(0));
}
