//! A disk with no room left, played by a limit on the size of files: writes are refused, reads go on, and once there is
//! room all that was acknowledged is on disk.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::files::journals;
use crate::support::{Client, Server, bobbin_journalled};

const PATIENCE: Duration = Duration::from_secs(15);

/// The server's files may grow up to so many bytes.
fn limit(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(server.pid() as i32);
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("the child is ours");
}

/// Sets keys from `from` on until a reply is as wanted. Returns that of the first that was not tried.
fn set_until(
    client: &mut Client,
    from: u64,
    acknowledged: &mut Vec<u64>,
    wanted: impl Fn(&[u8]) -> bool,
) -> u64 {
    let began = Instant::now();
    for n in from.. {
        let reply = client.call_raw(&["SET", &format!("k{n}"), &n.to_string()]);
        if reply == b"+OK\r\n" {
            acknowledged.push(n);
        }
        if wanted(&reply) {
            return n + 1;
        }
        assert!(began.elapsed() < PATIENCE, "the last reply: {}", reply.escape_ascii());
        std::thread::sleep(Duration::from_millis(5));
    }
    from
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
    let (mut client, mut acknowledged) = (server.connect(), Vec::new());
    let mut next = set_until(&mut client, 0, &mut acknowledged, |reply| reply == b"+OK\r\n");
    let journal = journals(&server).pop().expect("a journal");
    limit(&server, Some(fs::metadata(&journal).expect("a file").len() + 200));
    next = set_until(&mut client, next, &mut acknowledged, |reply| reply.starts_with(b"-MISCONF"));
    for _ in 0..4 {
        let mut reader = server.connect();
        assert_eq!(reader.call_raw(&["GET", "k0"]), b"$1\r\n0\r\n");
        let info = reader.call_raw(&["INFO", "persistence"]);
        assert!(String::from_utf8_lossy(&info).contains("aof_last_write_status:err"));
    }
    limit(&server, None);
    set_until(&mut client, next, &mut acknowledged, |reply| reply == b"+OK\r\n");
    assert!(server.stop(), "it ended well");
    server.start_again("1", &[]);
    let mut client = server.connect();
    for n in &acknowledged {
        let reply = client.call_raw(&["GET", &format!("k{n}")]);
        assert!(reply.ends_with(format!("\r\n{n}\r\n").as_bytes()), "k{n}: {}", reply.escape_ascii());
    }
}

/// With `always` a write that has no room is answered when there is; whoever only reads is answered meanwhile.
#[test]
fn a_full_disk_holds_back_only_whoever_has_written() {
    let server = bobbin_journalled("2", &["--appendfsync", "always"]);
    let mut writers = [(); 4].map(|()| server.connect());
    let mut readers = [(); 4].map(|()| server.connect());
    assert_eq!(writers[0].call_raw(&["SET", "a", "1"]), b"+OK\r\n");
    let journal = journals(&server).pop().expect("a journal");
    limit(&server, Some(fs::metadata(&journal).expect("a file").len()));
    for writer in &mut writers {
        writer.send(&["INCR", "a"]).expect("the server reads");
    }
    assert!(writers.iter_mut().all(Client::is_silent), "not durable, not acknowledged");
    for reader in &mut readers {
        assert!(reader.call_raw(&["GET", "a"]).starts_with(b"$1\r\n"));
        assert!(reader.call_raw(&["SET", "b", "1"]).starts_with(b"-MISCONF"));
        assert_eq!(reader.call_raw(&["PING"]), b"+PONG\r\n");
    }
    limit(&server, None);
    let replies = writers.each_mut().map(|writer| writer.read_raw().expect("a reply"));
    let done = replies.iter().filter(|reply| reply.starts_with(b":")).count();
    assert!(
        done > 0 && replies.iter().all(|reply| reply.starts_with(b":") || reply.starts_with(b"-MISCONF"))
    );
    assert_eq!(server.connect().call_raw(&["GET", "a"]), format!("$1\r\n{}\r\n", 1 + done).as_bytes());
}
