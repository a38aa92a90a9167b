//! The page of metrics, as Prometheus asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bobbin_proto::Value;

use crate::support::{Server, bobbin_with, eventually};

/// A server with a page of metrics and more directives, and the page's port.
pub(crate) fn measured(directives: &[&str]) -> (Server, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("it is bound").port().to_string();
    drop(free);
    let all = [&["--metrics-port", &*port], directives].concat();
    (bobbin_with(&all), port)
}

/// Status line, headers and body of the answer to a request.
fn ask(port: &str, request: &str) -> (String, String, String) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let (status, headers) = head.split_once("\r\n").expect("headers");
    (status.to_owned(), headers.to_owned(), body.to_owned())
}

pub(crate) fn page(port: &str) -> BTreeMap<String, f64> {
    let (status, headers, body) = ask(port, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(headers.contains("Content-Type: text/plain; version=0.0.4"), "{headers}");
    assert!(headers.contains(&format!("Content-Length: {}", body.len())), "{headers}");
    figures(&body)
}

/// By name and labels. Every line has to be of the format, in the group of its name, and there once.
fn figures(body: &str) -> BTreeMap<String, f64> {
    let (mut figures, mut groups, mut group) = (BTreeMap::new(), BTreeSet::new(), String::new());
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            help.split(' ').next().expect("a name").clone_into(&mut group);
            assert!(groups.insert(group.clone()), "{group} is there twice");
            assert!(help.len() > group.len() + 1, "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let kind = kind.strip_prefix(&group).expect("the type of what was begun").trim();
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", group.ends_with("_total"), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let bare = name.split('{').next().expect("a name");
            let of_group = ["", "_sum", "_count"].map(|suffix| format!("{group}{suffix}"));
            assert!(of_group.iter().any(|of_group| of_group == bare), "{line} in {group}");
            assert!(bare.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{line}");
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(figures.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        }
    }
    figures
}

#[test]
fn the_page_has_the_figures_of_every_reactor() {
    let (server, port) = measured(&[]);
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        for key in 0..50 {
            client.run(&format!("SET key:{key} {number} EX 1000"));
        }
        client.run("GET missing");
        client.run("LPUSH key:1 x");
        client.run("GET");
    }
    let info = |client: &mut crate::support::Client, name: &str| -> u64 {
        let (Value::Bulk(text) | Value::Verbatim { text, .. }) = client.run("INFO everything") else {
            panic!("INFO is a text")
        };
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("the field is there").parse().expect("a number")
    };
    let sum = |page: &BTreeMap<String, f64>, name: &str| -> u64 {
        [0, 1].map(|reactor| page[&format!("bobbin_{name}{{reactor=\"{reactor}\"}}")] as u64).iter().sum()
    };
    // A page is kept for a second.
    eventually(|| page(&port).get("bobbin_command_calls_total{command=\"set\"}") == Some(&200.0));
    let page = page(&port);
    assert_eq!(sum(&page, "connected_clients"), 4);
    assert_eq!(sum(&page, "keyspace_hits_total"), info(&mut clients[0], "keyspace_hits"));
    assert_eq!(sum(&page, "keyspace_misses_total"), 4);
    assert!(
        [0, 1].iter().all(|reactor| page[&format!("bobbin_commands_total{{reactor=\"{reactor}\"}}")] > 50.0)
    );
    for (name, value) in [
        ("reactors", 2.0),
        ("reactor_up{reactor=\"0\"}", 1.0),
        ("reactor_up{reactor=\"1\"}", 1.0),
        ("lane_batches{reactor=\"1\"}", 0.0),
        ("keys{db=\"0\"}", 50.0),
        ("keys_expiring{db=\"0\"}", 50.0),
        ("command_rejected_total{command=\"get\"}", 4.0),
        ("command_failed_total{command=\"lpush\"}", 4.0),
        ("errors_total{code=\"WRONGTYPE\"}", 4.0),
        ("command_duration_seconds_count{command=\"set\"}", 200.0),
    ] {
        assert_eq!(page.get(&format!("bobbin_{name}")), Some(&value), "{name}");
    }
    // Half of the keys were the other reactor's: batches have gone both ways.
    for reactor in [0, 1] {
        for stage in ["lane", "iteration", "send"] {
            let of = format!("{{reactor=\"{reactor}\",stage=\"{stage}\"");
            assert!(page[&format!("bobbin_stage_duration_seconds_count{of}}}")] > 0.0, "{stage}");
            let median = page[&format!("bobbin_stage_duration_seconds{of},quantile=\"0.5\"}}")];
            assert!(median > 0.0 && median < 60.0, "{stage}: {median}");
        }
    }
    assert!(page["bobbin_memory_used_bytes"] > 0.0 && page["bobbin_memory_resident_bytes"] > 0.0);
    assert!(page["bobbin_start_time_seconds"] > 1.6e9);
}

#[test]
fn what_is_no_request_for_the_page_is_refused() {
    let (server, port) = measured(&[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        ("*1\r\n$4\r\nPING\r\n", "HTTP/1.1 400 Bad Request"),
        (&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000)), "HTTP/1.1 400 Bad Request"),
    ] {
        assert_eq!(ask(&port, request).0, status, "{}", &request[..10]);
    }
    let (status, headers, body) = ask(&port, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert_eq!((&*status, &*body), ("HTTP/1.1 200 OK", ""));
    assert!(!headers.contains("Content-Length: 0"));
    assert_eq!(server.connect().run("PING"), Value::Simple(b"PONG".to_vec()));
}

/// A panel of a figure that is not there stays empty, and nobody is told.
#[test]
fn the_dashboard_shows_what_is_there() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/grafana-dashboard.json");
    let dashboard = std::fs::read_to_string(path).expect("the dashboard");
    let (server, port) = measured(&[]);
    server.connect().run("GET");
    let (_, _, body) = ask(&port, "GET /metrics HTTP/1.1\r\n\r\n");
    let named = dashboard.match_indices("bobbin_").map(|(at, _)| {
        let name = &dashboard[at..];
        &name[..name.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(name.len())]
    });
    let mut figures = 0;
    for name in named {
        figures += 1;
        assert!(body.contains(&format!("# TYPE {name} ")), "{name} is not on the page");
    }
    assert!(figures > 30, "{figures}");
}

/// Whoever is slow is cut off, and then others are answered.
#[test]
fn a_peer_that_says_nothing_does_not_keep_the_page() {
    let (_server, port) = measured(&[]);
    let mut silent = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    silent.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout above zero");
    silent.write_all(b"GET /met").expect("it is read");
    assert!(page(&port).contains_key("bobbin_reactors"));
    assert_eq!(silent.read(&mut [0; 100]).expect("it is closed"), 0);
}

/// One that stands still is told to be down, and the others' figures are there.
#[test]
fn a_reactor_that_does_not_answer_is_told_to_be_down() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("it is bound").port().to_string();
    drop(free);
    let server = bobbin_with(&["--metrics-port", &port, "--enable-debug-command", "yes"]);
    let are_up = || {
        let page = page(&port);
        [0, 1].map(|reactor| page.get(&format!("bobbin_reactor_up{{reactor=\"{reactor}\"}}")) == Some(&1.0))
    };
    let mut client = server.connect();
    client.send(&["DEBUG", "SLEEP", "5"]).expect("the server reads");
    eventually(|| are_up() != [true; 2]);
    assert_eq!(client.read(), Value::Simple(b"OK".to_vec()));
    eventually(|| are_up() == [true; 2]);
}
