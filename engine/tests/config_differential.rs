//! The configuration against a real redis-server: names, defaults, formats, accepted and refused values, texts.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bobbin_engine::config::{Change, Config, DIRECTIVES, Directive, Peer, load_text};
use bobbin_proto::Value;

/// Kills its server when dropped.
struct Redis {
    process: Child,
    stream: UnixStream,
    _dir: tempfile::TempDir,
}

impl Redis {
    /// `None` where there is none and no CI asks for it.
    fn start(file: &str) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redis.conf"), file).unwrap();
        let socket = dir.path().join("socket");
        let process = Command::new("redis-server")
            .arg(dir.path().join("redis.conf"))
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stream = connect(&socket);
        Some(Self { process, stream, _dir: dir })
    }

    fn ask(&mut self, words: &[&[u8]]) -> Value {
        let mut request = Vec::new();
        bobbin_proto::encode_command(&mut request, words);
        self.stream.write_all(&request).unwrap();
        let mut reply = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            if let Some((value, _)) = bobbin_proto::decode::decode(&reply).unwrap() {
                return value;
            }
            let count = self.stream.read(&mut chunk).unwrap();
            assert_ne!(count, 0, "redis-server closed the connection");
            reply.extend(&chunk[..count]);
        }
    }

    fn values(&mut self, pattern: &[u8]) -> BTreeMap<String, String> {
        let Value::Array(words) = self.ask(&[b"CONFIG", b"GET", pattern]) else { panic!("not an array") };
        let words: Vec<_> = words.into_iter().map(bulk).collect();
        words.as_chunks::<2>().0.iter().map(|[name, value]| (name.clone(), value.clone())).collect()
    }

    /// The text of the error, or nothing.
    fn set(&mut self, arguments: &[&[u8]]) -> Option<String> {
        match self.ask(&[&[b"CONFIG".as_slice(), b"SET"], arguments].concat()) {
            Value::Simple(_) => None,
            Value::Error(text) => Some(text_of(&text).trim_start_matches("ERR ").to_owned()),
            other => panic!("neither + nor -: {other:?}"),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn is_installed() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "this test needs redis-server: apt-get install redis-server (or remove CI from the environment)"
    );
    if !found {
        eprintln!("redis-server is not installed: nothing was compared");
    }
    found
}

fn connect(socket: &Path) -> UnixStream {
    for _ in 0..500 {
        if let Ok(stream) = UnixStream::connect(socket) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("redis-server did not start");
}

fn bulk(value: Value) -> String {
    match value {
        Value::Bulk(bytes) => text_of(&bytes),
        other => panic!("not a bulk: {other:?}"),
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ours(config: &Config, pattern: &[u8]) -> BTreeMap<String, String> {
    config.matching(&[pattern]).into_iter().map(|(name, value)| (text_of(&name), text_of(&value))).collect()
}

/// Defaults of Bobbin's own, and what the test's own command line sets.
const OTHER_DEFAULTS: [&str; 7] = ["appendonly", "bind", "dir", "disable-thp", "port", "save", "unixsocket"];

#[test]
fn defaults_are_those_of_redis() {
    let Some(mut redis) = Redis::start("") else { return };
    let ours = ours(&Config::default(), b"*");
    for (name, value) in redis.values(b"*") {
        let our_value = ours.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(
            *our_value == value || OTHER_DEFAULTS.contains(&name.as_str()),
            "{name}: {our_value:?}, redis {value:?}"
        );
    }
}

#[test]
fn patterns_find_what_redis_finds() {
    let Some(mut redis) = Redis::start("") else { return };
    let redis_names = redis.values(b"*");
    for pattern in
        ["*max*", "slow*-l?n", "[pt]*t", "PORT", "MAX*", "lua*", "*-ziplist-*", "none", "h\\z", "[^a-z]*", ""]
    {
        let mut found = ours(&Config::default(), pattern.as_bytes());
        found.retain(|name, _| redis_names.contains_key(&name.to_lowercase()));
        let names = |values: BTreeMap<String, String>| values.into_keys().collect::<Vec<_>>();
        assert_eq!(names(found), names(redis.values(pattern.as_bytes())), "{pattern}");
    }
}

/// Rows whose setting reaches beyond the value, in redis-server or on this machine, or that differ on purpose.
fn is_comparable(row: &Directive) -> bool {
    let beyond = [
        "maxclients",
        "activedefrag",
        "oom-score-adj",
        "oom-score-adj-values",
        "appendonly",
        "requirepass",
        "repl-backlog-size",
    ];
    // Canonical order in Redis, as given here: nothing acts on it.
    let spelled = ["notify-keyspace-events"];
    // Redis 7.0 has four levels.
    let newer = ["loglevel"];
    let names = beyond.iter().chain(&spelled).chain(&newer);
    row.group != "TLS" && row.change == Change::Runtime && !names.into_iter().any(|name| *name == row.name)
}

/// What Redis takes for something it is not: bytes beyond 63 bits for a percentage, C's hexadecimal for a percentile,
/// nothing for a number of changes.
fn is_misread_by_redis(row: &Directive, value: &str) -> bool {
    match row.name {
        "maxmemory-clients" => ["9223372036854775808", "99999999999999999999"].contains(&value),
        "latency-tracking-info-percentiles" => value == "0x10",
        "save" => value == "5 ",
        _ => false,
    }
}

const VALUES: [&str; 40] = [
    "",
    " ",
    "0",
    "1",
    "7",
    "-1",
    "-2",
    "+5",
    "05",
    " 5",
    "5 ",
    "5.5",
    "0x10",
    "100",
    "101",
    "1000",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999",
    "yes",
    "YES",
    "no",
    "1kb",
    "2MB",
    "3g",
    "1b",
    "1x",
    "1.5gb",
    "5%",
    "101%",
    "-1%",
    "900 1",
    "900 1 300",
    "50 99.99 0.1",
    "normal 1kb 2 3",
    "foo",
];

#[test]
fn values_are_taken_and_refused_as_by_redis() {
    let Some(mut redis) = Redis::start("") else { return };
    let known = redis.values(b"*");
    let mut config = Config::default();
    for row in DIRECTIVES.iter().filter(|row| is_comparable(row) && known.contains_key(row.name)) {
        for value in VALUES.iter().filter(|value| !is_misread_by_redis(row, value)) {
            let pair = [row.name.as_bytes(), value.as_bytes()];
            let our_error = match config.set(&pair, Peer::Local) {
                Ok((changed, _)) => {
                    config = changed;
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            assert_eq!(our_error, redis.set(&pair), "{} {value:?}", row.name);
            let name = row.name.as_bytes();
            assert_eq!(ours(&config, name), redis.values(name), "{} {value:?}", row.name);
        }
    }
}

#[test]
fn refusals_of_whole_sets_are_those_of_redis() {
    let Some(mut redis) = Redis::start("") else { return };
    for arguments in [
        &["hz", "5", "hz"] as &[&str],
        &["foo", "bar"],
        &["FOO", "bar", "databases", "3"],
        &["databases", "3", "foo", "bar"],
        &["DATABASES", "3"],
        &["maxmemory", "5", "MaxMemory", "6"],
        &["hz", "x", "timeout", "y"],
        &["timeout", "y", "hz", "x"],
        &["TIMEOUT", "y"],
        &["lua-time-limit", "x"],
        &["dbfilename", "a"],
        &["dir", "/"],
        &["hz", "5", "dbfilename", "a"],
        &["enable-debug-command", "yes"],
        &["io-threads", "3"],
        &["rename-command", "a b"],
        &["client-output-buffer-limit", "normal 1 2 3 foo 1 2 3"],
        &["client-output-buffer-limit", "normal 1 2 -3"],
        &["client-output-buffer-limit", "master 1 2 3"],
        &["shutdown-on-sigterm", "save nosave"],
        &["proc-title-template", "{foo}"],
        &["cluster-announce-hostname", "a_b"],
    ] {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        let error = Config::default().set(&arguments, Peer::Local).map(|_| ()).unwrap_err().to_string();
        assert_eq!(Some(error), redis.set(&arguments));
    }
}

const FILE: &str = r#"# comment
  MAXMEMORY   1GB
maxmemory-policy allkeys-LRU
save 900 1
save 300 10 60 100
client-output-buffer-limit replica 10mb 2k 3
client-output-buffer-limit normal 1 2 3
masterauth "a\x41\n'b\"\t\q"
masteruser 'x\'y "z"'
hz 1000
latency-tracking-info-percentiles 1 2.50 99.99
latency-tracking-info-percentiles "3 4"
maxmemory-clients 5%
shutdown-on-sigterm NOW save
replica-serve-stale-data no
slave-priority 7
timeout 1
timeout 2
"#;

#[test]
fn files_are_read_as_by_redis() {
    let Some(mut redis) = Redis::start(FILE) else { return };
    let config = load_text(Path::new("redis.conf"), FILE.as_bytes()).unwrap().config;
    let ours = ours(&config, b"*");
    for (name, value) in
        redis.values(b"*").into_iter().filter(|(name, _)| !SET_BY_THE_TEST.contains(&name.as_str()))
    {
        assert_eq!(ours[&name], value, "{name}");
    }
}

/// As `OTHER_DEFAULTS`, without what the file sets.
const SET_BY_THE_TEST: [&str; 6] = ["appendonly", "bind", "dir", "disable-thp", "port", "unixsocket"];

#[test]
fn bad_lines_are_refused_in_the_words_of_redis() {
    if !is_installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.conf");
    for line in [
        "port abc",
        "port 1 2",
        "port",
        "port 65536",
        "port \"1",
        "port \"1\"2",
        "unixsocketperm 999",
        "unixsocketperm 7777",
        "databases 0",
        "supervised x",
        "save 1",
        "save 0 1",
        "appendfsync 5",
        "client-output-buffer-limit normal 1",
        "maxmemory 1x",
        "maxmemory-clients 101%",
        "enable-debug-command x",
        "replicaof a",
        "replicaof a 99999",
        "appendfilename a/b",
        "appendfilename \"\"",
        "appenddirname a/b",
        "dbfilename a/b",
        "oom-score-adj-values 1 2",
        "oom-score-adj-values 1 2 9999",
        "shutdown-on-sigint foo",
        "notify-keyspace-events q",
        "latency-tracking-info-percentiles a",
        "loadmodule",
        "protected-mode 1",
    ] {
        std::fs::write(&path, line).unwrap();
        let output = Command::new("redis-server").arg(&path).output().unwrap();
        let text = text_of(&output.stderr);
        let reason = text.trim_end().lines().last().unwrap_or_default().to_owned();
        let error = load_text(&path, line.as_bytes()).map(|_| ()).expect_err(line).to_string();
        let is_said = error.lines().next().is_some_and(|first| first.ends_with(&reason));
        assert!(
            is_said || reason == "Bad directive or wrong number of arguments",
            "{error}\nredis: {reason}"
        );
    }
}
