//! A disk with no room left, played by a limit on the size of files, and one that fails (see `bobbin_engine::faults`):
//! writes are refused, reads go on, and once the disk is well all that was acknowledged is on it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use bobbin_proto::encode_command;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::files::journals;
use crate::support::{Client, Server, bobbin_journalled, eventually, words};

const PATIENCE: Duration = Duration::from_secs(30);

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

/// What happens to a disk.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Files may grow no more.
    Limit,
    /// Faults at points of the journal.
    Faults(&'static str),
}

const TROUBLES: [Trouble; 4] = [
    Trouble::Limit,
    Trouble::Faults("write short\nwritten ENOSPC"),
    Trouble::Faults("written EIO"),
    // And what was written and not synced is lost.
    Trouble::Faults("synced EIO"),
];

impl Trouble {
    /// `room`: so many bytes of the journal go well.
    fn begin(self, server: &Server, room: u64) {
        match self {
            Self::Limit => {
                let journal = journals(server).pop().expect("a journal");
                limit(server, Some(fs::metadata(&journal).expect("a file").len() + room));
            }
            Self::Faults(lines) => server.set_faults(lines),
        }
    }

    fn end(self, server: &Server) {
        match self {
            Self::Limit => limit(server, None),
            Self::Faults(_) => server.set_faults(""),
        }
    }
}

#[test]
fn a_disk_in_trouble_refuses_writes_until_it_is_well() {
    TROUBLES.into_iter().for_each(|trouble| {
        refuses_writes_until_it_is_well(trouble);
    });
}

fn refuses_writes_until_it_is_well(trouble: Trouble) {
    let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
    let (mut client, mut acknowledged) = (server.connect(), Vec::new());
    let mut next = set_until(&mut client, 0, &mut acknowledged, |reply| reply == b"+OK\r\n");
    trouble.begin(&server, 200);
    next = set_until(&mut client, next, &mut acknowledged, |reply| reply.starts_with(b"-MISCONF"));
    for _ in 0..4 {
        let mut reader = server.connect();
        assert_eq!(reader.call_raw(&["GET", "k0"]), b"$1\r\n0\r\n");
        let info = reader.call_raw(&["INFO", "persistence"]);
        assert!(String::from_utf8_lossy(&info).contains("aof_last_write_status:err"));
    }
    trouble.end(&server);
    set_until(&mut client, next, &mut acknowledged, |reply| reply == b"+OK\r\n");
    let info = client.call_raw(&["INFO", "persistence"]);
    assert!(String::from_utf8_lossy(&info).contains("aof_last_write_status:ok"));
    assert!(server.stop(), "it ended well");
    server.start_again("1", &[]);
    let mut client = server.connect();
    for n in &acknowledged {
        let reply = client.call_raw(&["GET", &format!("k{n}")]);
        assert!(
            reply.ends_with(format!("\r\n{n}\r\n").as_bytes()),
            "{trouble:?}: k{n}: {}",
            reply.escape_ascii()
        );
    }
}

/// With `always` a write that has no room is answered when there is; whoever only reads is answered meanwhile.
#[test]
fn a_disk_in_trouble_holds_back_only_whoever_has_written() {
    TROUBLES.into_iter().for_each(holds_back_only_whoever_has_written);
}

fn holds_back_only_whoever_has_written(trouble: Trouble) {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always"]);
    let mut writers = [(); 4].map(|()| server.connect());
    let mut readers = [(); 4].map(|()| server.connect());
    assert_eq!(writers[0].call_raw(&["SET", "a", "1"]), b"+OK\r\n");
    trouble.begin(&server, 0);
    for writer in &mut writers {
        writer.send(&["INCR", "a"]).expect("the server reads");
    }
    // Whoever comes once the trouble is known is refused at once.
    let is_unacknowledged =
        |writer: &mut Client| writer.is_silent() || writer.received().starts_with(b"-MISCONF");
    assert!(writers.iter_mut().all(is_unacknowledged), "not durable, not acknowledged");
    for reader in &mut readers {
        assert!(reader.call_raw(&["GET", "a"]).starts_with(b"$1\r\n"));
        assert!(reader.call_raw(&["SET", "b", "1"]).starts_with(b"-MISCONF"));
        assert_eq!(reader.call_raw(&["PING"]), b"+PONG\r\n");
    }
    trouble.end(&server);
    let replies = writers.each_mut().map(|writer| writer.read_raw().expect("a reply"));
    let done = replies.iter().filter(|reply| reply.starts_with(b":")).count();
    assert!(
        done > 0 && replies.iter().all(|reply| reply.starts_with(b":") || reply.starts_with(b"-MISCONF"))
    );
    let expected = format!("$1\r\n{}\r\n", 1 + done);
    assert_eq!(server.connect().call_raw(&["GET", "a"]), expected.as_bytes());
    server.kill();
    server.start_again("1", &[]);
    assert_eq!(server.connect().call_raw(&["GET", "a"]), expected.as_bytes(), "{trouble:?}");
}

/// By force, or it does not stop.
#[test]
fn a_stop_that_leaves_something_behind_is_no_success() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always", "--shutdown-on-sigterm", "force"]);
    let mut client = server.connect();
    client.run("SET durable 1");
    client.run("CONFIG SET appendfsync everysec");
    server.set_faults("write short\nwritten EIO");
    set_until(&mut client, 0, &mut Vec::new(), |reply| reply.starts_with(b"-MISCONF"));
    assert!(!server.stop(), "it ended well");
    let log = server.log();
    assert!(log.contains("what was done last is not in the journal: Input/output error"), "{log}");
    server.set_faults("");
    server.start_again("1", &[]);
    assert_eq!(server.connect().call_raw(&["GET", "durable"]), b"$1\r\n1\r\n");
}

/// Whoever asks is told, everybody is served as before, and once the disk is well a stop loses nothing.
#[test]
fn a_stop_is_refused_while_what_was_acknowledged_is_not_durable() {
    const REFUSED: &[u8] = b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n";
    for policy in ["everysec", "always"] {
        for line in ["SHUTDOWN", "SHUTDOWN NOSAVE"] {
            // Saved would be durable as well.
            let mut server = bobbin_journalled("2", &["--appendfsync", "always", "--save", ""]);
            let (mut client, mut other) = (server.connect(), server.connect());
            // Durable, so that what fails is the sync of what comes next.
            assert_eq!(client.call_raw(&["MSET", "a", "1", "b", "1", "c", "1"]), b"+OK\r\n");
            client.run(&format!("CONFIG SET appendfsync {policy}"));
            server.set_faults("synced EIO");
            // Under `always` nothing is acknowledged that is not durable.
            other.send(&["MSET", "a", "2", "b", "2", "c", "2"]).expect("the server reads");
            if policy == "everysec" {
                assert_eq!(other.read_raw().expect("a reply"), b"+OK\r\n");
            }
            eventually(|| client.call_raw(&["GET", "c"]) == b"$1\r\n2\r\n");
            assert_eq!(client.call_raw(&words(line)), REFUSED, "{policy} {line}");
            assert!(server.log().contains("cannot be made durable in the journal: Input/output error"));
            assert_eq!(client.call_raw(&["GET", "a"]), b"$1\r\n2\r\n");
            server.signal();
            eventually(|| server.log().matches("can't exit").count() == 2);
            server.set_faults("");
            if policy == "always" {
                assert_eq!(other.read_raw().expect("a reply"), b"+OK\r\n");
            }
            eventually(|| client.call_raw(&["SET", "d", "1"]) == b"+OK\r\n");
            client.send(&words(line)).expect("the server reads");
            assert!(client.is_closed(), "{line}");
            server.wait_ended();
            server.start_again("1", &[]);
            let value = server.connect().call_raw(&["MGET", "a", "b", "c", "d"]);
            assert_eq!(value, b"*4\r\n$1\r\n2\r\n$1\r\n2\r\n$1\r\n2\r\n$1\r\n1\r\n", "{policy} {line}");
        }
    }
}

/// Under `appendfsync no` what was written and not synced cannot be had again: only force ends the server.
#[test]
fn a_stop_syncs_what_no_policy_has_synced() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "no"]);
    let mut client = server.connect();
    assert_eq!(client.call_raw(&["SET", "a", "1"]), b"+OK\r\n");
    server.set_faults("synced EIO");
    assert_eq!(client.call_raw(&["SHUTDOWN"]), b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert!(client.call_raw(&["SET", "a", "2"]).starts_with(b"-MISCONF"));
    client.send(&["SHUTDOWN", "FORCE"]).expect("the server reads");
    assert!(client.is_closed());
    server.wait_ended();
    assert!(server.log().contains("what was done last is not in the journal"), "{}", server.log());
}

/// A shard that is not there any more gives nothing to the snapshot that is waited for.
#[test]
fn a_reactor_that_fails_during_the_last_snapshot_ends_the_server() {
    for appendonly in ["no", "yes"] {
        let mut server = bobbin_journalled("2", &["--appendonly", appendonly]);
        let mut client = server.connect();
        client.run("SET a 1");
        // The other lives, and waits for it.
        server.set_faults("walk =1 EIO");
        client.send(&["SHUTDOWN", "SAVE"]).expect("the server reads");
        assert!(!server.wait_ended(), "it ended well");
        let log = server.log();
        assert!(log.contains("failed: Input/output error"), "{log}");
    }
}

/// The journal's next file, and the manifest that lists it, cannot be made: it goes on in the one it has.
#[test]
fn a_snapshot_that_has_no_room_to_begin_leaves_the_journal_as_it_is() {
    // The journal's file, its header; the manifest, its bytes, on disk.
    for line in ["create 1 ENOSPC", "store 1 ENOSPC", "create 2 ENOSPC", "store 2 ENOSPC", "flush 2 EIO"] {
        let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
        let mut client = server.connect();
        client.run("MSET a 1 b 1 c 1");
        server.set_faults(line);
        assert_eq!(client.call_raw(&["SAVE"]), b"-ERR\r\n", "{line}");
        assert_eq!(client.call_raw(&["MSET", "a", "2", "b", "2", "c", "2"]), b"+OK\r\n", "{line}");
        assert!(server.stop(), "{line}: {}", server.log());
        server.set_faults("");
        server.start_again("1", &[]);
        let mut client = server.connect();
        assert_eq!(
            client.call_raw(&["MGET", "a", "b", "c"]),
            b"*3\r\n$1\r\n2\r\n$1\r\n2\r\n$1\r\n2\r\n",
            "{line}"
        );
    }
}

/// Whether the manifest lists the journal's next file is not known: nothing is written to either until it is.
#[test]
fn while_it_is_not_known_which_files_are_the_state_nothing_is_written() {
    for line in ["rename 1 EIO", "names 2 EIO"] {
        let mut server = bobbin_journalled("2", &["--appendfsync", "everysec"]);
        let (mut client, mut saving) = (server.connect(), server.connect());
        client.run("SET a 1");
        server.set_faults(line);
        saving.send(&["SAVE"]).expect("the server reads");
        eventually(|| client.call_raw(&["SET", "a", "2"]).starts_with(b"-MISCONF"));
        server.set_faults("");
        assert_eq!(saving.read_raw().expect("a reply"), b"+OK\r\n", "{line}");
        eventually(|| client.call_raw(&["SET", "b", "3"]) == b"+OK\r\n");
        let a = client.call_raw(&["GET", "a"]);
        assert!(server.stop(), "{line}: {}", server.log());
        server.start_again("1", &[]);
        let mut client = server.connect();
        assert_eq!(client.call_raw(&["GET", "a"]), a, "{line}");
        assert_eq!(client.call_raw(&["GET", "b"]), b"$1\r\n3\r\n", "{line}");
    }
}

#[test]
fn snapshots_that_fail_again_and_again_leave_one_file_behind() {
    const TIMES: usize = 12;
    let mut server = bobbin_journalled("2", &["--appendfsync", "everysec", "--save", ""]);
    let mut client = server.connect();
    // A start has begun one; nothing is in it.
    let at_first = journals(&server).len();
    // There is room for the journal's next file and the manifest that lists it.
    server.set_faults("create 3 ENOSPC");
    assert_eq!(
        client.call_raw(&["SAVE"]),
        b"+OK\r\n".to_vec(),
        "a journal with nothing in it is not followed"
    );
    for n in 0..TIMES {
        client.run(&format!("SET k{n} 1"));
        assert_eq!(client.call_raw(&["SAVE"]), b"-ERR\r\n");
    }
    assert!(journals(&server).len() <= at_first + 1, "{:?}", journals(&server));
    server.set_faults("");
    assert_eq!(client.call_raw(&["SAVE"]), b"+OK\r\n");
    client.run("CONFIG SET appendfsync always");
    client.run("SET last 1");
    server.kill();
    server.start_again("1", &[]);
    assert!(journals(&server).len() <= at_first + 1, "{:?}", journals(&server));
    assert_eq!(server.connect().call_raw(&["DBSIZE"]), format!(":{}\r\n", TIMES + 1).as_bytes());
}

fn info_has(client: &mut Client, line: &str) -> bool {
    String::from_utf8_lossy(&client.call_raw(&["INFO", "persistence"])).contains(line)
}

fn set_all(client: &mut Client, value: &str) {
    let mut bytes = Vec::new();
    (0..600).for_each(|n| encode_command(&mut bytes, words(&format!("SET k{n} {value}"))));
    client.send_raw(&bytes).expect("the server reads");
    (0..600).for_each(|_| assert_eq!(client.read_raw().expect("a reply"), b"+OK\r\n"));
}

/// In the middle of a walk, under writes: it is told, nothing is lost, nothing is left of it, and the next one is made.
#[test]
fn a_disk_that_fails_in_the_middle_of_a_snapshot_loses_nothing() {
    for (appendonly, line) in
        [("yes", "store ENOSPC"), ("yes", "store EIO"), ("no", "store ENOSPC"), ("yes", "flush EIO")]
    {
        let directives =
            ["--appendonly", appendonly, "--save", "10000 10000", "--rdb-key-save-delay", "5000"];
        let mut server = bobbin_journalled("2", &[&directives[..], &["--appendfsync", "always"]].concat());
        let mut client = server.connect();
        set_all(&mut client, "old");
        assert_eq!(client.call_raw(&["BGSAVE"]), b"+Background saving started\r\n");
        eventually(|| info_has(&mut client, "current_save_keys_total:600\r\n"));
        set_all(&mut client, "new");
        server.set_faults(line);
        eventually(|| info_has(&mut client, "rdb_last_bgsave_status:err\r\n"));
        assert!(server.log().contains("Error saving DB on disk: "), "{line}: {}", server.log());
        let refused = client.call_raw(&["SET", "more", "1"]);
        assert!(
            refused.starts_with(b"-MISCONF Redis is configured to save RDB"),
            "{}",
            refused.escape_ascii()
        );
        client.run("CONFIG SET stop-writes-on-bgsave-error no");
        assert_eq!(client.call_raw(&["SET", "more", "1"]), b"+OK\r\n");
        server.set_faults("");
        let names = || fs::read_dir(server.dir().join("appendonlydir")).expect("a directory");
        let is_new = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("a file").file_name().to_string_lossy().ends_with(".new")
        };
        assert!(!names().any(is_new), "{line}: something is left");
        if appendonly == "yes" {
            server.kill();
            server.start_again("1", &directives);
            client = server.connect();
        }
        client.run("CONFIG SET rdb-key-save-delay 0");
        assert_eq!(client.call_raw(&["SAVE"]), b"+OK\r\n");
        assert!(info_has(&mut client, "rdb_last_bgsave_status:ok\r\n"));
        assert_eq!(client.call_raw(&["SET", "more", "2"]), b"+OK\r\n");
        server.kill();
        server.start_again("3", &directives);
        let mut client = server.connect();
        assert_eq!(client.call_raw(&["DBSIZE"]), b":601\r\n", "{appendonly} {line}");
        assert!((0..600).all(|n| client.call_raw(&["GET", &format!("k{n}")]) == b"$3\r\nnew\r\n"));
    }
}

/// A bit that flips in what is durable: the start stops, and says where.
#[test]
fn a_bit_that_flips_under_the_server_stops_the_next_start() {
    let mut server = bobbin_journalled("2", &["--appendfsync", "always"]);
    let mut client = server.connect();
    client.run("SET a 1");
    let journal = journals(&server).pop().expect("a journal");
    let at = fs::metadata(&journal).expect("a file").len() - 1;
    client.run("SET b 1");
    let file = fs::OpenOptions::new().read(true).write(true).open(&journal).expect("a journal");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it is there");
    file.write_all_at(&[byte[0] ^ 4], at).expect("there is room");
    client.run("SET c 1");
    server.kill();
    assert!(!server.try_again("1", &[]), "it started");
    let log = server.log();
    assert!(log.contains("is damaged at byte"), "{log}");
}
