//! The scripts that run other people's load generators: what they ask of them, and what they say without them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory with a program of that name that prints its arguments.
fn with_fake(program: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(program);
    std::fs::write(&path, "#!/bin/sh\necho \"RUN $*\"\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn script(name: &str, path: &Path, flags: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name);
    let mut command = Command::new("/bin/bash");
    command.arg(script).args(flags).env("PATH", path).env("PORT", "7001").env("PIPELINES", "1 16");
    command.output().unwrap()
}

fn runs(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix("RUN ")).map(str::to_owned).collect()
}

#[test]
fn memtier_fills_every_key_and_then_measures() {
    let runs = runs(&script("run-memtier", with_fake("memtier_benchmark").path(), &["--cluster-mode"]));
    assert_eq!(runs.len(), 7, "{runs:?}");
    assert!(runs[0].contains("--ratio 1:0 --key-pattern P:P --requests allkeys"));
    assert!(runs[1].contains("--ratio 0:1") && runs[1].contains("--pipeline 1 --test-time"));
    for run in runs {
        assert!(
            run.contains("--port 7001")
                && run.contains("--key-maximum 1000000")
                && run.ends_with("--cluster-mode")
        );
    }
}

#[test]
fn redis_benchmark_has_random_keys() {
    let runs = runs(&script("run-redis-benchmark", with_fake("redis-benchmark").path(), &["--cluster"]));
    assert_eq!(runs.len(), 4, "{runs:?}");
    for run in runs {
        assert!(run.contains("-p 7001") && run.contains("-r 1000000") && run.contains("--cluster"));
    }
}

#[test]
fn a_tool_that_is_missing_is_named_with_its_package() {
    let empty = tempfile::tempdir().unwrap();
    for (name, package) in [("run-memtier", "memtier-benchmark"), ("run-redis-benchmark", "redis-tools")] {
        let output = script(name, empty.path(), &[]);
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("apt-get install") && text.contains(package), "{text}");
    }
}
