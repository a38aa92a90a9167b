//! TIME, ROLE, MODULE, LOLWUT, SHUTDOWN.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bobbin_proto::Value;

use crate::support::{Client, bobbin, bobbin_with, eventually, same_replies};

#[test]
fn replies_are_those_of_redis() {
    same_replies(&[
        "TIME x",
        "ROLE",
        "ROLE x",
        "MODULE",
        "MODULE unknown",
        "MODULE LIST",
        "MODULE LIST x",
        "LOLWUT VERSION x",
        "SHUTDOWN ABORT",
        "SHUTDOWN abort now",
        "SHUTDOWN SAVE NOSAVE",
        "SHUTDOWN NOW later",
        "SHUTDOWN SAVE ABORT",
    ]);
}

#[test]
fn time_is_the_clocks() {
    let Value::Array(time) = bobbin().connect().run("TIME") else { panic!("not an array") };
    let number = |value: &Value| match value {
        Value::Bulk(digits) => String::from_utf8_lossy(digits).parse::<u64>().expect("a number"),
        other => panic!("not a number: {other:?}"),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((now - 60..=now).contains(&number(&time[0])), "{time:?}");
    assert!(number(&time[1]) < 1_000_000, "{time:?}");
}

#[test]
fn lolwut_draws_and_ends_with_a_version() {
    let server = bobbin();
    let mut client = server.connect();
    for (line, turns) in [("LOLWUT", 9), ("LOLWUT 3", 3), ("LOLWUT VERSION 5 0", 0), ("LOLWUT 1000000", 64)] {
        let Value::Bulk(text) = client.run(line) else { panic!("not a text") };
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text.lines().filter(|line| line.trim().starts_with('|') && line.ends_with('|')).count() - 2,
            turns
        );
        assert!(text.trim_end().lines().next_back().unwrap().contains("Redis ver. 7.2"), "{text}");
    }
}

fn ends(client: &mut Client, pid: u32) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Its parent, this test, has not taken the end of it in yet.
        if stat.is_empty() || stat.contains(") Z ") {
            return client.is_closed();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn shutdown_ends_the_server_without_a_reply() {
    for line in ["SHUTDOWN", "shutdown NOSAVE now force"] {
        let server = bobbin();
        let mut client = server.connect();
        client.send_raw(format!("SET a 1\r\n{line}\r\nSET a 2\r\n").as_bytes()).unwrap();
        assert_eq!(client.read(), Value::Simple(b"OK".to_vec()));
        assert!(ends(&mut client, server.pid()), "{line}: {}", server.log());
        assert!(server.log().contains("bye bye"), "{}", server.log());
    }
}

/// What `bobbin-server ping` ends with and says.
fn ping(arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bobbin-server"));
    let output = command.arg("ping").args(arguments).output().expect("it runs");
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).expect("text"))
}

#[test]
fn ping_asks_the_server_that_the_same_arguments_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let socket = ["--unixsocket", path.to_str().unwrap()];
    let server = bobbin_with(&[&socket[..], &["--requirepass", "secret"]].concat());
    let port = server.port.to_string();
    let answered = (true, "PONG\n".to_owned());
    assert_eq!(ping(&["--port", &port, "--requirepass", "secret"]), answered);
    assert_eq!(ping(&["--port", "0", "--requirepass", "secret", socket[0], socket[1]]), answered);
    // The password may have changed since the start: whoever asks for one serves.
    assert_eq!(ping(&["--port", &port, "--requirepass", "old"]), answered);
    drop(server);
    let (is_served, text) = ping(&["--port", &port]);
    assert!(!is_served && text.starts_with("bobbin-server: no answer from "), "{text}");
}

#[test]
fn the_log_changes_its_form_while_the_server_runs() {
    let server = bobbin_with(&["--log-format", "logfmt", "--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let line = |text: &str| {
        eventually(|| server.log().contains(text));
        let log = server.log();
        log.lines().find(|line| line.contains(text)).expect("it is there").to_owned()
    };
    client.run("DEBUG LOG first");
    let first = line("first");
    assert!(first.contains(" level=warning thread=reactor-"), "{first}");
    assert!(first.contains(r#" message="DEBUG LOG: first""#), "{first}");
    client.run("CONFIG SET log-format legacy log-timestamp-format milliseconds");
    client.run("DEBUG LOG second");
    let second = line("second");
    let time = second.split(' ').nth(1).expect("a time");
    assert!(second.ends_with(" # DEBUG LOG: second") && time.parse::<u64>().is_ok(), "{second}");
}
