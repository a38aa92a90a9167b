//! The measurements that start servers: figures come out for each, and no server is left behind.
//! redis-server is needed in CI; elsewhere these tests say that they were left out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// One CPU is all a machine is sure to have.
const ONE_CPU: [&str; 4] = ["--server-cpus", "0", "--client-cpus", "0"];

fn redis_is_here() -> bool {
    let found = Command::new("redis-server").arg("--version").output().is_ok();
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !in_ci, "redis-server is needed in CI");
    if !found {
        eprintln!("not tested: redis-server is not on PATH");
    }
    found
}

fn bench(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobbin-bench"));
    command.args(flags).args(ONE_CPU);
    command
}

fn json_of(flags: &[&str]) -> Json {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out.json");
    let output = bench(flags).arg("--json-out-file").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn servers_are_measured_side_by_side() {
    if !redis_is_here() {
        return;
    }
    let workloads =
        "get-p1,set-p16,incr-p16,mset10-p4,mget10-p4,exec5-p16,publish-p16,mix-zipf-p16,mix-open-70";
    let flags = ["compare", "--peers", "redis,null", "--rounds", "2", "--scale", "0.02", "--only", workloads];
    let times = ["--test-time", "0.1", "--warmup-time", "0.02", "--reactors", "1"];
    let report = json_of(&[&flags[..], &times].concat());
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 18);
    for entry in entries {
        assert_eq!(entry["rounds"].as_array().unwrap().len(), 2);
        let median = &entry["median"];
        for figure in
            ["requests_per_second", "server_cpu_us_per_request", "p50_us", "p999_us", "resident_bytes"]
        {
            assert!(median[figure].as_f64().unwrap() > 0.0, "{figure} of {entry}");
        }
        assert_eq!(entry["ratios"][0]["to"], "redis");
        if entry["peer"] == "redis" {
            assert_eq!(entry["ratios"][0]["server_cpu"], 1.0);
        }
        assert_eq!(entry["rate"].is_number(), entry["workload"] == "mix-open-70", "{entry}");
    }
    assert!(report["versions"][0]["version"].as_str().unwrap().starts_with("redis "));
    assert!(report["machine"]["kernel"].is_string());
}

#[test]
fn journals_are_kept_by_servers_that_have_one() {
    if !redis_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("journals");
    let flags = ["compare", "--peers", "redis,null", "--quick", "--only", "set-p16-everysec,set-p1-always"];
    let output = bench(&flags).args(["--reactors", "1", "--save"]).arg(&name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Json = serde_json::from_slice(&std::fs::read(name.with_extension("json")).unwrap()).unwrap();
    let entries = json["entries"].as_array().unwrap();
    assert!(entries.len() == 2 && entries.iter().all(|entry| entry["peer"] == "redis"), "{entries:?}");
    assert_eq!(std::fs::read(name.with_extension("txt")).unwrap(), output.stdout);
    let page = std::fs::read_to_string(name.with_extension("html")).unwrap();
    assert!(page.contains("<h3>set-p16-everysec</h3>") && page.ends_with("</html>\n"));
}

#[test]
fn a_server_that_does_not_start_fails_alone() {
    // The bench in Bobbin's place ends at once: it does not know Bobbin's flags.
    let flags = [
        "compare",
        "--peers",
        "bobbin,null",
        "--bobbin",
        env!("CARGO_BIN_EXE_bobbin-bench"),
        "--rounds",
        "1",
    ];
    let output = bench(&flags).args(["--only", "get-p16", "--test-time", "0.1"]).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("get-p16          bobbin     FAILED: bobbin ended at start-up"), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("get-p16          null ") && !line.contains("FAILED")),
        "{text}"
    );
}

#[test]
fn memory_idleness_and_growth_are_measured() {
    if !redis_is_here() {
        return;
    }
    let memory = json_of(&["memory", "--peers", "redis,null", "--keys", "100000"]);
    let servers = memory["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 1, "the null server keeps nothing");
    assert!((100.0..500.0).contains(&servers[0]["growth_per_key"].as_f64().unwrap()), "{servers:?}");
    let idle = json_of(&["idle", "--peers", "redis,null", "--clients", "50", "--test-time", "0.5"]);
    assert!(idle["servers"][0]["cpu_percent"].as_f64().unwrap() < 50.0);
    let growth = json_of(&["growth", "--peers", "redis", "--keys", "100000"]);
    let pauses = &growth["servers"][0];
    assert!(pauses["probes"].as_u64().unwrap() > 1);
    assert!(pauses["longest_us"].as_f64().unwrap() >= pauses["p50_us"].as_f64().unwrap());
}

#[test]
fn an_interrupt_ends_the_server_too() {
    let mut bench =
        bench(&["idle", "--peers", "null", "--test-time", "600"]).stderr(Stdio::null()).spawn().unwrap();
    let server = child_of(&bench);
    let interrupted = Command::new("kill").args(["-INT", &bench.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert!(!bench.wait().unwrap().success());
    assert!(!Path::new("/proc").join(&server).exists(), "server {server} is left behind");
}

/// The process the bench has started, once there is one.
fn child_of(bench: &Child) -> String {
    let children = format!("/proc/{0}/task/{0}/children", bench.id());
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(&children).unwrap();
        if let Some(child) = text.split_ascii_whitespace().next() {
            return child.to_owned();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no server was started");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The trouble cannot be made, so nothing may be said of how it felt.
#[test]
fn a_trouble_that_lacks_descriptors_is_a_failure_and_no_figure() {
    if !redis_is_here() {
        return;
    }
    let flags = ["overload", "--peers", "redis", "--clients", "500", "--test-time", "0.3"];
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_bobbin-bench")])
        .args(flags)
        .args(ONE_CPU)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(told.contains("no descriptors for so many clients; raise the limit on open files"), "{told}");
}
