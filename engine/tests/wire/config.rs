//! CONFIG: one configuration over all reactors.

use std::thread;

use bobbin_proto::Value;

use crate::support::{Client, Server, bobbin, bobbin_of, bobbin_with, same_replies};

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn error(text: &str) -> Value {
    Value::Error(text.into())
}

/// Enough connections that both reactors have some.
fn several(server: &Server) -> Vec<Client> {
    (0..6).map(|_| server.connect()).collect()
}

fn setting(client: &mut Client, name: &str) -> String {
    match client.run(&format!("CONFIG GET {name}")) {
        Value::Array(pair) => match &pair[..] {
            [_, Value::Bulk(value)] => String::from_utf8(value.clone()).expect("a text"),
            other => panic!("{name}: {other:?}"),
        },
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "CONFIG",
        "CONFIG unknown",
        "CONFIG GET",
        "CONFIG GET nothing",
        "CONFIG GET HZ hz h[z]",
        "CONFIG GET maxmemory-p*",
        "CONFIG SET",
        "CONFIG SET hz",
        "CONFIG SET hz 1 timeout",
        "CONFIG SET unknown 1",
        "CONFIG SET hz x",
        "CONFIG SET maxmemory 1tb",
        "CONFIG SET databases 1",
        "CONFIG SET timeout 1 TIMEOUT 2",
        "CONFIG SET hz 20 maxmemory 100mb maxmemory-policy allkeys-lru",
        "CONFIG GET hz",
        "CONFIG GET maxmemory",
        "CONFIG GET maxmemory-policy",
        "CONFIG SET hz 30 maxmemory x",
        "CONFIG GET hz",
        "CONFIG SET hz 30",
        "CONFIG SET hz 30",
        "CONFIG RESETSTAT",
        "CONFIG RESETSTAT x",
        "CONFIG REWRITE",
        "CONFIG REWRITE x",
        "CONFIG HELP x",
    ]);
}

#[test]
fn a_change_is_on_every_reactor_once_it_is_answered() {
    let server = bobbin();
    let mut clients = several(&server);
    for hz in 10..60 {
        let setter = hz % clients.len();
        assert_eq!(clients[setter].run(&format!("CONFIG SET hz {hz}")), ok());
        for client in &mut clients {
            assert_eq!(setting(client, "hz"), hz.to_string());
        }
    }
}

/// Whoever comes last, all reactors agree, and nothing of what others set is lost.
#[test]
fn changes_made_at_once_end_the_same_everywhere() {
    let server = bobbin();
    let names = ["timeout", "tcp-keepalive", "slowlog-max-len", "maxmemory-samples"];
    thread::scope(|scope| {
        for name in names {
            let mut client = server.connect();
            scope.spawn(move || {
                for value in 1..=100 {
                    assert_eq!(client.run(&format!("CONFIG SET {name} {value} hz {value}")), ok());
                }
            });
        }
    });
    let mut clients = several(&server);
    let hz = setting(&mut clients[0], "hz");
    for client in &mut clients {
        names.iter().for_each(|name| assert_eq!(setting(client, name), "100", "{name}"));
        assert_eq!(setting(client, "hz"), hz);
    }
}

#[test]
fn a_change_takes_effect() {
    let server = bobbin();
    let mut clients = several(&server);
    assert_eq!(clients[0].run("CONFIG SET maxmemory 1 maxmemory-policy noeviction"), ok());
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(
            client.run(&format!("SET key{number} 1")),
            error("OOM command not allowed when used memory > 'maxmemory'.")
        );
    }
    assert_eq!(clients[1].run("CONFIG SET maxmemory 0 requirepass s3cret"), ok());
    assert_eq!(clients[2].run("SET key 1"), ok());
    for _ in 0..4 {
        assert_eq!(server.connect().run("PING"), error("NOAUTH Authentication required."));
    }
}

#[test]
fn the_log_follows_loglevel() {
    let server = bobbin_with(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    assert_eq!(client.run("DEBUG LOG first"), ok());
    assert_eq!(client.run("CONFIG SET loglevel nothing"), ok());
    assert_eq!(client.run("DEBUG LOG second"), ok());
    assert_eq!(client.run("CONFIG SET loglevel warning"), ok());
    assert_eq!(client.run("DEBUG LOG third"), ok());
    let log = server.log();
    assert!(log.contains("first") && !log.contains("second") && log.contains("third"), "{log}");
}

#[test]
fn resetstat_sets_every_reactor_back() {
    let server = bobbin();
    let mut clients = several(&server);
    for client in &mut clients {
        assert_eq!(client.run("GET missing"), Value::NullBulk);
    }
    assert_eq!(clients[0].run("CONFIG RESETSTAT"), ok());
    let Value::Bulk(text) = clients[0].run("INFO stats") else { panic!("not a text") };
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("keyspace_misses:0\r\n") && text.contains("total_connections_received:0\r\n"),
        "{text}"
    );
    // The reset itself.
    assert!(text.contains("total_commands_processed:1\r\n"), "{text}");
}

#[test]
fn rewrite_keeps_the_file_and_adds_what_changed() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("bobbin.conf");
    std::fs::write(&file, "# mine\nhz 20\n").unwrap();
    let server = bobbin_of(&file);
    let mut client = server.connect();
    assert_eq!(client.run("CONFIG SET hz 30 timeout 7"), ok());
    assert_eq!(client.run("CONFIG REWRITE"), ok());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\nhz 30\n") && text.contains("\ntimeout 7\n"), "{text}");
}

#[test]
fn help_names_every_subcommand() {
    let Value::Array(lines) = bobbin().connect().run("CONFIG HELP") else { panic!("not an array") };
    for name in ["GET ", "SET ", "RESETSTAT", "REWRITE", "HELP"] {
        let is_line = |line: &Value| matches!(line, Value::Simple(text) if text.starts_with(name.as_bytes()));
        assert!(lines.iter().any(is_line), "{name} in {lines:?}");
    }
}
