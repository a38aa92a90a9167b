//! The generator against a real redis-server: counts add up, wrong values are seen, a server that dies
//! ends the run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bobbin_bench::load::Target;
use bobbin_proto::decode::Value;
use serde_json::Value as Json;
use tempfile::TempDir;

struct Redis {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Redis {
    /// None without redis-server on a developer's machine; in CI that is a failure.
    fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let spawned = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--enable-debug-command", "yes"])
            .args(flags)
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("redis-server is needed in CI: {error}")
            }
            Err(error) => {
                eprintln!("not tested: cannot start redis-server: {error}");
                return None;
            }
        };
        let redis = Self { child, port, directory };
        redis.wait();
        Some(redis)
    }

    fn wait(&self) {
        self.wait_until(|| {
            Target::local(self.port).connect().and_then(|mut server| server.call(&["PING"])).is_ok()
        });
    }

    fn wait_until(&self, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_mins(1), "redis-server on {} is not ready", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn call(&self, args: &[&str]) -> Value {
        Target::local(self.port).connect().unwrap().call(args).unwrap()
    }

    fn bench(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bobbin-bench"));
        // The subcommand comes first, where there is one.
        let (subcommand, flags) = flags.split_at(usize::from(flags.first() == Some(&"load")));
        command.args(subcommand).args(["--port", &self.port.to_string(), "--hide-histogram"]).args(flags);
        command
    }

    /// Runs to success and returns the JSON.
    fn report(&self, flags: &[&str]) -> Json {
        let file = self.directory.path().join("out.json");
        let output = self.bench(flags).arg("--json-out-file").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", all_text(&output));
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed by the test already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn all_text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_request_is_answered_counted_and_read_back() {
    let Some(redis) = Redis::start() else { return };
    let flags = "--populate --verify --ratio 1:3 --key-maximum 4999 -d 300 -c 5 -t 2 --pipeline 7 -n 1003";
    let report = redis.report(&flags.split(' ').collect::<Vec<_>>());
    assert_eq!(report["totals"]["requests"], 10_030);
    assert_eq!(report["totals"]["latency"]["count"], 10_030);
    assert_eq!(report["totals"]["misses"], 0);
    assert_eq!(report["read_back"]["keys"], 5000);
    assert_eq!(report["read_back"]["missing"], 0);
    assert!(report["server"].as_str().unwrap().starts_with("redis "));
    assert_eq!(redis.call(&["DBSIZE"]), Value::Int(5000));
}

#[test]
fn every_key_pattern_and_protocol_reads_back_clean() {
    let Some(redis) = Redis::start() else { return };
    for pattern in ["R", "Z", "G", "S", "P"] {
        for protocol in ["resp2", "resp3"] {
            let both = format!("{pattern}:{pattern}");
            let flags = ["--key-pattern", &both, "--protocol", protocol, "--verify", "--key-maximum", "999"];
            let report = redis.report(&[&flags[..], &["-c", "3", "-n", "500", "--ratio", "1:1"]].concat());
            assert_eq!(report["read_back"]["mismatches"], 0);
        }
    }
}

#[test]
fn a_transaction_is_one_request_and_its_values_are_read_back() {
    let Some(redis) = Redis::start() else { return };
    let line = "MULTI ; SET __key__ __data__ ; SET __key__ __data__ ; EXEC";
    let flags = ["--command", line, "--verify", "--key-maximum", "99", "-c", "3", "--pipeline", "4"];
    let report = redis.report(&[&["load"], &flags[..], &["-n", "500"]].concat());
    assert_eq!(report["totals"]["requests"], 1500);
    assert_eq!(report["read_back"]["keys"], 100);
    assert_eq!(report["read_back"]["missing"], 0);
    let Value::Bulk(stats) = redis.call(&["INFO", "commandstats"]) else { panic!("INFO") };
    let stats = String::from_utf8(stats).unwrap();
    assert!(stats.contains("cmdstat_exec:calls=1500,") && stats.contains("cmdstat_set:calls=3000,"));
}

#[test]
fn a_mix_from_a_file_keeps_its_ratios() {
    let Some(redis) = Redis::start() else { return };
    let file = redis.directory.path().join("mix");
    std::fs::write(&file, "# three to one\n3 Z GET __key__\n1 R HSET h:__key__ f __data__\n").unwrap();
    let report = redis.report(&["load", "--command-file", file.to_str().unwrap(), "-n", "400", "-c", "5"]);
    assert_eq!(report["commands"][0]["requests"], 1500);
    assert_eq!(report["commands"][1]["requests"], 500);
    assert_eq!(report["totals"]["errors"], 0);
}

#[test]
fn a_cluster_of_redis_servers_is_loaded_node_by_node() {
    // The port for the cluster's bus would otherwise be 10000 above the other, and not always free.
    let bus = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let start = || Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus()]);
    let (Some(one), Some(two)) = (start(), start()) else { return };
    let bus_of_two = two.call(&["CONFIG", "GET", "cluster-port"]);
    let Value::Array(pair) = bus_of_two else { panic!("{bus_of_two:?}") };
    let Value::Bulk(bus_of_two) = &pair[1] else { panic!("{pair:?}") };
    one.call(&["CLUSTER", "ADDSLOTSRANGE", "0", "5000"]);
    two.call(&["CLUSTER", "ADDSLOTSRANGE", "5001", "16383"]);
    let port = two.port.to_string();
    one.call(&["CLUSTER", "MEET", "127.0.0.1", &port, std::str::from_utf8(bus_of_two).unwrap()]);
    for redis in [&one, &two] {
        redis.wait_until(|| {
            let Value::Bulk(info) = redis.call(&["CLUSTER", "INFO"]) else { panic!("CLUSTER INFO") };
            String::from_utf8_lossy(&info).contains("cluster_state:ok")
        });
    }
    let flags =
        "--cluster-mode --populate --verify --key-maximum 999 -c 2 -t 2 --pipeline 4 -n 251 --ratio 1:1";
    let report = one.report(&flags.split(' ').collect::<Vec<_>>());
    assert_eq!((&report["moved"], &report["connections"]), (&Json::from(0), &Json::from(8)));
    assert_eq!(report["totals"]["requests"], 4 * 251);
    assert_eq!(report["read_back"]["keys"], 1000);
    let [Value::Int(of_one), Value::Int(of_two)] = [one.call(&["DBSIZE"]), two.call(&["DBSIZE"])] else {
        panic!("DBSIZE")
    };
    assert!(of_one + of_two == 1000 && of_two > of_one && of_one > 200, "{of_one} {of_two}");
}

#[test]
fn a_foreign_value_and_a_lost_one_are_reported() {
    let Some(redis) = Redis::start() else { return };
    redis.report(&[
        "--command",
        "SET __key__ __data__",
        "-n",
        "allkeys",
        "--command-key-pattern",
        "P",
        "--key-maximum",
        "99",
    ]);
    let gets = [
        "--command",
        "GET __key__",
        "--command-key-pattern",
        "S",
        "-n",
        "100",
        "-c",
        "1",
        "--key-maximum",
        "99",
    ];
    assert_eq!(redis.report(&gets)["totals"]["misses"], 0);
    redis.call(&["SET", "key:000000000042", "foreign"]);
    let output = redis.bench(&gets).arg("--verify").output().unwrap();
    assert!(!output.status.success());
    assert!(all_text(&output).contains("WRONG VALUES in 1 "), "{}", all_text(&output));
    redis.call(&["DEL", "key:000000000042"]);
    assert_eq!(redis.report(&gets)["totals"]["misses"], 1);
}

#[test]
fn a_read_back_sees_values_that_were_not_kept() {
    let Some(redis) = Redis::start() else { return };
    let read_back = |flags: &[&str]| {
        let common = ["--populate", "--verify", "--key-maximum", "99", "-c", "3", "-n", "50"];
        let output = redis.bench(&[&common[..], flags].concat()).output().unwrap();
        assert!(!output.status.success());
        all_text(&output)
    };
    let foreign = read_back(&["--populate-command", "SET __key__ foreign", "--command", "PING"]);
    assert!(foreign.contains("read back 100 keys: NOT as written (100 wrong, 0 missing)"), "{foreign}");
    let deleted = read_back(&["--command", "DEL __key__", "--command-key-pattern", "S"]);
    assert!(deleted.contains("read back 100 keys: NOT as written (50 wrong, 50 missing)"), "{deleted}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_is_charged_for_a_stall() {
    let Some(redis) = Redis::start() else { return };
    let flags = "--rate 2000 --test-time 2 -c 4 --command GET&__key__".split(' ');
    let flags: Vec<String> = flags.map(|flag| flag.replace('&', " ")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let stall = std::thread::spawn({
        let target = Target::local(redis.port);
        move || {
            std::thread::sleep(Duration::from_millis(700));
            target.connect().unwrap().call(&["DEBUG", "SLEEP", "0.4"]).unwrap()
        }
    });
    let report = redis.report(&flags);
    assert_eq!(stall.join().unwrap(), Value::Simple(b"OK".to_vec()));
    let requests = report["totals"]["requests"].as_u64().unwrap();
    assert_eq!(requests + report["overdue"].as_u64().unwrap(), 4_000);
    // A stall of 400 ms out of 2 s: a tenth of all requests waited 200 ms or longer.
    let p90 = report["totals"]["latency"]["percentiles_us"][1]["us"].as_f64().unwrap();
    assert!(p90 > 100_000.0, "{p90}");
}

#[test]
fn error_replies_are_counted_and_shown() {
    let Some(redis) = Redis::start() else { return };
    let output = redis.bench(&["--command", "INCR __key__ x", "-n", "10", "-c", "1"]).output().unwrap();
    assert!(!output.status.success());
    let text = all_text(&output);
    assert!(text.contains("-ERR wrong number of arguments for 'incr' command"), "{text}");
}

#[test]
fn a_server_that_dies_ends_the_run_with_an_error() {
    let Some(mut redis) = Redis::start() else { return };
    let bench =
        redis.bench(&["--test-time", "60", "-t", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    std::thread::sleep(Duration::from_millis(500));
    redis.child.kill().unwrap();
    let began = Instant::now();
    let output = bench.unwrap().wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(all_text(&output).contains("unanswered"), "{}", all_text(&output));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output =
        Command::new(env!("CARGO_BIN_EXE_bobbin-bench")).args(["-p", &free.to_string()]).output().unwrap();
    assert!(!output.status.success());
    assert!(all_text(&output).contains(&format!("cannot connect to 127.0.0.1:{free}")));
}
