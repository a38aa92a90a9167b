//! The program when it must not start: it ends with an error that names what to do, and holds on to nothing.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    io::Write as _,
    net::TcpListener,
    process::{Command, Output, Stdio},
};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bobbin-server")).args(arguments).output().unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn version_and_help_are_printed() {
    let text = |arguments: &[&str]| String::from_utf8(run(arguments).stdout).unwrap();
    assert_eq!(text(&["--version"]), format!("Bobbin server v={}\n", env!("CARGO_PKG_VERSION")));
    assert!(text(&["-h"]).starts_with("Usage: bobbin-server [config-file]"));
}

#[test]
fn a_bad_line_names_file_and_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# first\nmaxmemry 5\n").unwrap();
    let path = file.path().to_str().unwrap();
    let text = refusal(&[path, "--hz", "20"]);
    assert!(text.contains(&format!("{path}:2: unknown directive 'maxmemry'")), "{text}");
    assert!(text.contains("did you mean 'maxmemory'?"), "{text}");
}

#[test]
fn a_bad_option_names_the_command_line() {
    let text = refusal(&["--port", "abc"]);
    assert!(text.contains("command line: argument couldn't be parsed into an integer"), "{text}");
    assert!(text.contains("expected: port <an integer from 0 to 65535>"), "{text}");
}

#[test]
fn standard_input_is_read_as_a_file() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_bobbin-server"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.stdin.take().unwrap().write_all(b"hz 10\nport 99999\n").unwrap();
    let output = server.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("standard input:2: argument must be between 0 and 65535 inclusive"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    assert!(refusal(&["no-such.conf"]).contains("can't open config file 'no-such.conf': No such file"));
}

#[test]
fn a_port_in_use_is_named_and_the_directory_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    for _ in 0..2 {
        let text = refusal(&["--dir", dir.path().to_str().unwrap(), "--port", &port]);
        assert!(
            text.contains(&format!("127.0.0.1:{port} is in use: another program listens there.")),
            "{text}"
        );
    }
}

#[test]
fn a_directory_in_use_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let config = bobbin_engine::config::Config { dir: dir.path().into(), ..Default::default() };
    let _held = bobbin_engine::startup::data_dir::DataDir::open(&config).unwrap();
    let text = refusal(&["--dir", dir.path().to_str().unwrap(), "--port", "0"]);
    assert!(text.contains(&format!("is in use by process {}.", std::process::id())), "{text}");
}

#[test]
fn too_few_file_descriptors_name_the_limit() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 20; exec \"$0\" --port 0", env!("CARGO_BIN_EXE_bobbin-server")])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the limit of 20 open files leaves none for clients"), "{text}");
}

/// The kernel counts a ring against the limit of whoever may not lock as much as they like. Before 6.14 it does not.
#[test]
fn too_little_locked_memory_for_a_reactor_names_the_limit() {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut version = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    if (version.next(), version.next()) < (Some(6), Some(14)) {
        println!("not to be seen on Linux {release}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -l 400; exec setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock \"$@\"",
        "sh",
    ]);
    command.args([env!("CARGO_BIN_EXE_bobbin-server"), "--reactors", "2", "--port", "0", "--unixsocket"]);
    let output = command.arg(dir.path().join("s")).arg("--dir").arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        text.contains("failed: there is no memory for an io_uring. Raise the locked-memory limit"),
        "{text}"
    );
    assert!(text.contains("Raise the limit: ulimit -l 544, LimitMEMLOCK=557056"), "{text}");
}

#[test]
fn directives_without_effect_are_logged_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let dir = dir.path().to_str().unwrap();
    let common = ["--dir", dir, "--port", &port, "--io-threads", "4", "--logfile", log.to_str().unwrap()];
    refusal(&common);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.ends_with("the directive 'io-threads' has no effect here: Every reactor does its own input and output: use reactors.\n"), "{text}");
    refusal(&[common.as_slice(), &["--loglevel", "warning"]].concat());
    assert_eq!(std::fs::read_to_string(&log).unwrap(), text);
}
