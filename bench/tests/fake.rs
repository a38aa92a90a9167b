//! The generator against servers that do wrong on purpose, or that are two: a liar, a stall, a cluster whose
//! nodes send clients on. Every server here is a few lines in this file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bobbin_bench::load::{Subscribers, Target};
use bobbin_cluster::Slot;
use bobbin_proto::decode::{self, Value};
use serde_json::Value as Json;

type Request = Vec<Vec<u8>>;
type Handler = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// A server that answers with what `handler` says, one thread for each connection.
fn serve(listener: TcpListener, handler: Arc<Handler>) -> u16 {
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let handler = Arc::clone(&handler);
            thread::spawn(move || answer(stream.unwrap(), &*handler));
        }
    });
    port
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Until the client goes away.
fn answer(mut stream: TcpStream, handler: &Handler) {
    stream.set_nodelay(true).unwrap();
    let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = stream.read(&mut chunk) {
        received.extend_from_slice(&chunk[..len]);
        while let Some((Value::Array(parts), len)) = decode::decode(&received).unwrap() {
            let bulk = |part| if let Value::Bulk(bytes) = part { bytes } else { panic!("{part:?}") };
            let request: Request = parts.into_iter().map(bulk).collect();
            if stream.write_all(&handler(&request)).is_err() {
                return;
            }
            received.drain(..len);
        }
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn load(port: u16, flags: &[&str]) -> (Output, Json) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobbin-bench"));
    command.args(["load", "--port", &port.to_string(), "--hide-histogram"]).args(flags);
    let output = command.arg("--json-out-file").arg(&file).output().unwrap();
    let json = std::fs::read(file).map_or(Json::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
    (output, json)
}

fn all_text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[derive(Default)]
struct Store(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Store {
    fn handle(&self, request: &Request) -> Vec<u8> {
        let mut map = self.0.lock().unwrap();
        match &request[0][..] {
            b"SET" => {
                map.insert(request[1].clone(), request[2].clone());
                b"+OK\r\n".to_vec()
            }
            b"GET" => map.get(&request[1]).map_or(b"$-1\r\n".to_vec(), |value| bulk(value)),
            _ => b"-ERR unknown command\r\n".to_vec(),
        }
    }
}

const VERIFIED: [&str; 9] =
    ["--populate", "--verify", "--ratio", "1:1", "--key-maximum", "199", "-c", "3", "--pipeline=4"];

#[test]
fn an_honest_server_is_believed() {
    let store = Store::default();
    let port = serve(listener(), Arc::new(move |request| store.handle(request)));
    let (output, json) = load(port, &[&VERIFIED[..], &["-n", "300"]].concat());
    assert!(output.status.success(), "{}", all_text(&output));
    assert_eq!(json["read_back"]["mismatches"], 0);
    assert_eq!(json["totals"]["mismatches"], 0);
}

#[test]
fn a_server_that_drops_overwrites_of_some_keys_is_found_out() {
    let store = Store::default();
    let handler = move |request: &Request| {
        let is_kept = |key: &[u8]| key.ends_with(b"7") && store.0.lock().unwrap().contains_key(key);
        if request[0] == b"SET" && is_kept(&request[1]) { b"+OK\r\n".to_vec() } else { store.handle(request) }
    };
    let (output, json) =
        load(serve(listener(), Arc::new(handler)), &[&VERIFIED[..], &["-n", "300"]].concat());
    assert!(!output.status.success());
    assert_eq!(json["totals"]["mismatches"], 0, "each reply by itself could be right");
    assert!((1..=20).contains(&json["read_back"]["mismatches"].as_u64().unwrap()), "{json}");
    assert!(all_text(&output).contains("NOT as written"), "{}", all_text(&output));
}

#[test]
fn a_server_that_answers_with_another_keys_value_is_found_out() {
    let store = Store::default();
    let handler = move |request: &Request| {
        let mut request = request.clone();
        if request[0] == b"GET" && request[1].ends_with(b"7") {
            let last = request[1].len() - 1;
            request[1][last] = b'8';
        }
        store.handle(&request)
    };
    let (output, json) =
        load(serve(listener(), Arc::new(handler)), &[&VERIFIED[..], &["-n", "300"]].concat());
    assert!(!output.status.success());
    assert!(json["totals"]["mismatches"].as_u64().unwrap() > 0);
    assert_eq!(json["read_back"]["mismatches"], 20);
}

/// The server keeps everybody waiting for half a second, once. Counted from when they were sent, one request
/// of each connection would show it; counted from when they were due, all of that half second do.
#[test]
fn an_open_loop_counts_from_when_a_request_was_due() {
    const STALL: Duration = Duration::from_millis(500);
    let stalling = || {
        let until = Mutex::new(None::<Instant>);
        let handler = move |_: &Request| {
            let until = *until.lock().unwrap().get_or_insert_with(|| Instant::now() + STALL);
            thread::sleep(until.saturating_duration_since(Instant::now()));
            b"+OK\r\n".to_vec()
        };
        serve(listener(), Arc::new(handler))
    };
    let slow = |report: &Json| {
        let above = |step: &&Json| step["us"].as_f64().unwrap() < 100_000.0;
        let steps = report["totals"]["latency"]["percentiles_us"].as_array().unwrap();
        100.0 - steps.iter().filter(above).filter_map(|step| step["percentile"].as_f64()).fold(0.0, f64::max)
    };
    let shape = ["--command", "SET __key__ v", "-c", "2", "--key-maximum", "9"];
    let percentiles = "--print-percentiles=1,10,20,30,40,50,60,70,80,90,95,99,99.9,100";
    let open = ["--rate", "500", "-n", "500", percentiles];
    let (output, report) = load(stalling(), &[&shape[..], &open].concat());
    assert!(output.status.success(), "{}", all_text(&output));
    assert_eq!(report["totals"]["requests"], 1000);
    // 250 of 1000 were due during the stall, 200 of them waited for a tenth of a second or longer.
    assert!(slow(&report) >= 10.0, "{report}");
}

#[test]
fn what_subscribers_are_sent_is_counted() {
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let (sender, subscribed) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n").unwrap();
            sender.send(stream).unwrap();
        }
    });
    let target = Target::local(port);
    let mut subscribers = Subscribers::start(&target, "news", 2, 3, "0".parse().unwrap()).unwrap();
    let mut streams: Vec<TcpStream> = subscribed.iter().take(2).collect();
    let message = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\nabc\r\n";
    let mut publish = || streams.iter_mut().for_each(|stream| stream.write_all(message).unwrap());
    publish();
    publish();
    subscribers.expect(2).unwrap();
    publish();
    subscribers.expect(3).unwrap();
    let error = subscribers.expect(1).unwrap_err().to_string();
    assert_eq!(error, "of 2 messages to subscribers 6 have arrived");
}

/// Two nodes, each with half of the slots; what CLUSTER SLOTS says is up to the test.
struct Cluster {
    ports: [u16; 2],
    stores: [Arc<Store>; 2],
}

impl Cluster {
    fn start(told: impl Fn([u16; 2]) -> Vec<u8>) -> Self {
        let listeners = [listener(), listener()];
        let ports = [0, 1].map(|node: usize| listeners[node].local_addr().unwrap().port());
        let stores: [Arc<Store>; 2] = [Arc::default(), Arc::default()];
        let slots = told(ports);
        for (node, listener) in listeners.into_iter().enumerate() {
            let (store, slots) = (Arc::clone(&stores[node]), slots.clone());
            let handler = move |request: &Request| match &request[0][..] {
                b"CLUSTER" => slots.clone(),
                b"COMMAND" => [b"*1\r\n", &bulk(&request[3])[..]].concat(),
                _ => {
                    let slot = Slot::of(&request[1]).number();
                    let owner = usize::from(slot >= 8192);
                    let moved = || format!("-MOVED {slot} 127.0.0.1:{}\r\n", ports[owner]).into_bytes();
                    if owner == node { store.handle(request) } else { moved() }
                }
            };
            serve(listener, Arc::new(handler));
        }
        Self { ports, stores }
    }

    fn keys(&self) -> [usize; 2] {
        [0, 1].map(|node: usize| self.stores[node].0.lock().unwrap().len())
    }
}

fn slots(ranges: &[(u16, u16, u16)]) -> Vec<u8> {
    let range = |(first, last, port): &(u16, u16, u16)| {
        format!("*3\r\n:{first}\r\n:{last}\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
    };
    let ranges: Vec<String> = ranges.iter().map(range).collect();
    format!("*{}\r\n{}", ranges.len(), ranges.concat()).into_bytes()
}

const CLUSTERED: [&str; 8] = [
    "--cluster-mode",
    "--populate",
    "--verify",
    "--ratio=1:1",
    "--key-maximum=999",
    "-c3",
    "-t2",
    "--pipeline=4",
];

#[test]
fn in_a_cluster_each_key_goes_to_the_node_that_owns_it() {
    let cluster = Cluster::start(|[a, b]| slots(&[(0, 8191, a), (8192, 16383, b)]));
    let (output, json) = load(cluster.ports[0], &[&CLUSTERED[..], &["-n", "301"]].concat());
    assert!(output.status.success(), "{}", all_text(&output));
    assert_eq!((&json["moved"], &json["connections"]), (&Json::from(0), &Json::from(12)));
    assert_eq!(json["totals"]["requests"], 6 * 301);
    assert_eq!((&json["read_back"]["keys"], &json["read_back"]["mismatches"]), (&1000.into(), &0.into()));
    let [a, b] = cluster.keys();
    assert!(a + b == 1000 && a > 400 && b > 400, "{a} {b}");
}

#[test]
fn a_request_that_has_moved_is_followed_to_a_node_nobody_named() {
    let cluster = Cluster::start(|[a, _]| slots(&[(0, 16383, a)]));
    let (output, json) = load(cluster.ports[0], &[&CLUSTERED[..], &["-n", "300"]].concat());
    assert!(output.status.success(), "{}", all_text(&output));
    assert_eq!(json["totals"]["requests"], 1800);
    assert_eq!(json["totals"]["errors"], 0);
    assert_eq!(json["read_back"]["keys"], 1000);
    let [a, b] = cluster.keys();
    assert!(a + b == 1000 && a > 400 && b > 400, "{a} {b}");
}

#[test]
fn requests_that_are_sent_round_in_circles_are_errors() {
    let [one, two] = [listener(), listener()];
    let ports = [one.local_addr().unwrap().port(), two.local_addr().unwrap().port()];
    for (listener, other) in [(one, ports[1]), (two, ports[0])] {
        let handler = move |request: &Request| match &request[0][..] {
            b"CLUSTER" => slots(&[(0, 16383, ports[0])]),
            b"COMMAND" => [b"*1\r\n", &bulk(&request[3])[..]].concat(),
            _ => format!("-MOVED {} 127.0.0.1:{other}\r\n", Slot::of(&request[1]).number()).into_bytes(),
        };
        serve(listener, Arc::new(handler));
    }
    let (output, json) = load(ports[0], &["--cluster-mode", "--key-maximum=99", "-c1", "-n", "20"]);
    assert!(!output.status.success());
    assert_eq!(json["totals"]["errors"], 20);
    assert!(all_text(&output).contains("-MOVED"), "{}", all_text(&output));
}

#[test]
fn a_server_without_a_cluster_is_told() {
    let store = Store::default();
    let port = serve(listener(), Arc::new(move |request| store.handle(request)));
    let (output, _) = load(port, &["--cluster-mode"]);
    assert!(!output.status.success());
    assert!(
        all_text(&output).contains("cluster cannot be loaded: ERR unknown command"),
        "{}",
        all_text(&output)
    );
}
