//! What a start makes of the files it finds, and what the log says of it.

use std::fs;
use std::path::PathBuf;

use bobbin_proto::Value;

use crate::support::{Server, bobbin_journalled};

/// The journal's files, in order.
pub(crate) fn journals(server: &Server) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(server.dir().join("appendonlydir"))
        .expect("the journal's directory")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal-")))
        .collect();
    all.sort();
    all
}

/// Ten keys, each in a group of its own, and the last file.
pub(crate) fn filled() -> (Server, PathBuf) {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always"]);
    let mut client = server.connect();
    for n in 0..10 {
        client.run(&format!("SET k{n} {n}"));
    }
    server.kill();
    let last = journals(&server).pop().expect("a journal");
    (server, last)
}

#[test]
fn times_of_expiry_do_not_move() {
    let mut server = bobbin_journalled("2", &[]);
    let mut client = server.connect();
    let lines = ["SET a v EX 1000", "SET b v", "EXPIRE b 2000", "SETEX c 3000 v", "GETEX c PX 5000000"];
    lines.iter().for_each(|line| drop(client.run(line)));
    let times = |client: &mut crate::support::Client| {
        ["a", "b", "c"].map(|key| client.run(&format!("PEXPIRETIME {key}")))
    };
    let before = times(&mut client);
    assert!(server.stop(), "it ended well");
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.start_again("1", &[]);
    assert_eq!(times(&mut server.connect()), before);
}

#[test]
fn a_torn_tail_is_cut_and_kept_aside() {
    let (mut server, last) = filled();
    let bytes = fs::read(&last).expect("a journal");
    fs::write(&last, &bytes[..bytes.len() - 3]).expect("there is room");
    server.start_again("1", &[]);
    assert_eq!(server.connect().run("DBSIZE"), Value::Int(9));
    let log = server.log();
    assert!(log.contains("The end of the journal was torn by a crash"), "{log}");
    let aside = server
        .dir()
        .join("appendonlydir")
        .read_dir()
        .expect("a directory")
        .any(|entry| entry.expect("a file").file_name().to_string_lossy().starts_with("aside-journal-"));
    assert!(aside && log.contains("aside-journal-"), "{log}");
}

#[test]
fn damage_stops_the_start_and_changes_nothing() {
    let (mut server, last) = filled();
    let mut bytes = fs::read(&last).expect("a journal");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&last, &bytes).expect("there is room");
    assert!(!server.try_again("2", &[]), "it started");
    let log = server.log();
    assert!(log.contains("is damaged at byte") && log.contains("bobbin-server check"), "{log}");
    assert_eq!(fs::read(&last).expect("a journal"), bytes);
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let server = bobbin_journalled("1", &[]);
    let dir = server.dir().to_str().expect("a path");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_bobbin-server"))
        .args(["--port", "0", "--dir", dir])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && text.contains(&format!("is in use by process {}", server.pid())),
        "{text}"
    );
}
