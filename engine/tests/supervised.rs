//! What a supervisor is told of a server, and what it may do to one that is not ready yet.
//!
//! A server is kept from being ready by a file that it cannot open: see [`Withheld`].

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bobbin_proto::Value;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[path = "support/mod.rs"]
mod support;

use support::Client;

/// fcntl(2): the signal that says a lease is broken.
const F_SETSIG: i32 = 10;

/// Long, because the machine may be busy building.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A file that is opened by nobody else while this lives, though whoever tries waits: `F_SETLEASE` of fcntl(2). The
/// kernel ends it after `/proc/sys/fs/lease-break-time`, which is 45 s.
struct Withheld {
    _file: File,
}

impl Withheld {
    fn new(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        // Who breaks a lease is announced by a signal: one that is ignored.
        // SAFETY: the descriptor is open, and the command takes a number.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) }, 0);
        // SAFETY: as above.
        let leased = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
        assert_eq!(leased, 0, "{}", io::Error::last_os_error());
        Self { _file: file }
    }
}

/// A server, and the socket on which it notifies.
struct Supervised {
    child: Child,
    port: u16,
    notifications: UnixDatagram,
}

impl Supervised {
    /// Starts one on the directory's data.
    fn start(dir: &Path, supervised: &str, watchdog: Option<Duration>) -> Self {
        let path = dir.join("notify");
        // Of the server before.
        let _ = std::fs::remove_file(&path);
        let notifications = UnixDatagram::bind(&path).unwrap();
        notifications.set_read_timeout(Some(WAIT_MAX)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bobbin-server"));
        command.args(["--supervised", supervised, "--reactors", "2", "--port", &port.to_string(), "--dir"]);
        command.arg(dir).env("NOTIFY_SOCKET", path).stdout(Stdio::null());
        if let Some(span) = watchdog {
            command.env("WATCHDOG_USEC", span.as_micros().to_string());
        }
        Self { child: command.spawn().unwrap(), port, notifications }
    }

    /// What it says next.
    fn notification(&self) -> String {
        let mut bytes = [0; 4096];
        let len = self.notifications.recv(&mut bytes).expect("a notification");
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    fn has_notified(&self) -> bool {
        self.notifications.set_nonblocking(true).unwrap();
        let received = self.notifications.recv(&mut [0; 4096]);
        self.notifications.set_nonblocking(false).unwrap();
        received.is_ok()
    }

    /// Waits until it answers, and returns what.
    fn first_answer(&self, command: &str) -> Value {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            match Client::try_connect(self.port) {
                Ok(mut client) => return client.run(command),
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory in which a server has left a key, and the file that is read first.
fn with_data() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Supervised::start(dir.path(), "systemd", None);
    assert!(server.notification().starts_with("READY=1\n"));
    assert_eq!(server.first_answer("SET a 1"), Value::Simple(b"OK".to_vec()));
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    let manifest = dir.path().join("appendonlydir/manifest");
    (dir, manifest)
}

fn is_loading(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with(b"LOADING "))
}

#[test]
fn it_is_ready_when_the_data_are_there_and_not_before() {
    let (dir, manifest) = with_data();
    let withheld = Withheld::new(&manifest);
    let mut server = Supervised::start(dir.path(), "auto", None);
    assert!(is_loading(&server.first_answer("GET a")));
    assert!(!server.has_notified());
    drop(withheld);
    assert!(server.notification().starts_with("READY=1\n"));
    assert_eq!(server.first_answer("GET a"), Value::Bulk(b"1".to_vec()));
    server.signal(Signal::TERM);
    assert!(server.notification().starts_with("STOPPING=1\n"));
    assert!(server.ended().success());
}

#[test]
fn a_signal_ends_one_that_still_loads() {
    let (dir, manifest) = with_data();
    let _withheld = Withheld::new(&manifest);
    let mut server = Supervised::start(dir.path(), "systemd", None);
    assert!(is_loading(&server.first_answer("GET a")));
    server.signal(Signal::TERM);
    assert!(server.notification().starts_with("STOPPING=1\n"));
    assert!(server.ended().success());
}

#[test]
fn the_watchdog_hears_from_a_server_whose_reactors_all_run() {
    let dir = tempfile::tempdir().unwrap();
    let server = Supervised::start(dir.path(), "systemd", Some(Duration::from_millis(200)));
    let mut heard = Vec::new();
    while heard.iter().filter(|text| *text == "WATCHDOG=1\n").count() < 3 {
        heard.push(server.notification());
    }
    assert!(heard.iter().any(|text| text.starts_with("READY=1\n")), "{heard:?}");
}

#[test]
fn nobody_is_told_unless_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Supervised::start(dir.path(), "no", Some(Duration::from_millis(100)));
    let deadline = Instant::now() + WAIT_MAX;
    while is_loading(&server.first_answer("GET a")) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let Value::Bulk(info) = server.first_answer("INFO server") else { panic!("no text") };
    assert!(String::from_utf8(info).unwrap().contains("process_supervised:no\r\n"));
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    assert!(!server.has_notified());
}
