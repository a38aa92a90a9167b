//! Servers under test: started in a directory of their own, serving before the test goes on, killed when their
//! handle is dropped.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Client;

const BOBBIN: &str = env!("CARGO_BIN_EXE_bobbin-server");
const JOURNALLED: [&str; 2] = ["--appendonly", "yes"];
const ORACLE: &str = "redis-server";
/// What both servers log when they have loaded what they load.
const READY: &str = "Ready to accept connections";
/// What Bobbin says if another has taken the port meanwhile.
const PORT_TAKEN: &str = "another program listens there";
/// In the server's directory: see `bobbin_engine::faults`.
const FAULTS: &str = "faults";
/// Long, because the machine may be busy building.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const PORT_TRIES: usize = 5;

/// A server of this test.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub port: u16,
    dir: TempDir,
    /// Bytes of the log that are of those that served the directory before.
    logged_before: usize,
}

/// Bobbin with two reactors, so that keys and connections are on both.
pub fn bobbin() -> Server {
    bobbin_with(&[])
}

/// Bobbin with more directives, as on its command line: `&["--requirepass", "secret"]`.
pub fn bobbin_with(directives: &[&str]) -> Server {
    let mut all = vec!["--reactors", "2"];
    all.extend(directives);
    Server::start(BOBBIN, None, &all)
}

/// Bobbin that may have so many open files.
pub fn bobbin_with_files(files: u32, directives: &[&str]) -> Server {
    let dir = TempDir::new().expect("a temporary directory");
    let script = dir.path().join("limited");
    std::fs::write(&script, format!("ulimit -n {files}; exec {BOBBIN} \"$@\"\n")).expect("there is room");
    let all = [&["--reactors", "2"], directives].concat();
    Server::start("sh", Some(&script), &all)
}

/// Bobbin with a configuration file.
pub fn bobbin_of(file: &Path) -> Server {
    Server::start(BOBBIN, Some(file), &["--reactors", "2"])
}

/// Bobbin that journals into its directory, with so many reactors and more directives.
pub fn bobbin_journalled(reactors: &str, directives: &[&str]) -> Server {
    Server::start(BOBBIN, None, &[&JOURNALLED, &["--reactors", reactors], directives].concat())
}

/// The redis-server that replies are compared with.
pub fn oracle() -> Server {
    oracle_with(&[])
}

pub fn oracle_with(directives: &[&str]) -> Server {
    Server::start(ORACLE, None, directives)
}

impl Server {
    fn start(program: &str, file: Option<&Path>, directives: &[&str]) -> Self {
        let mut last = String::new();
        for _ in 0..PORT_TRIES {
            match Self::try_start(program, file, directives) {
                Ok(server) => return server,
                Err(log) => last = log,
            }
        }
        panic!("{program} {directives:?} did not start:\n{last}");
    }

    /// Fails, with the log, where the server ends at once: another may have taken the port meanwhile.
    fn try_start(program: &str, file: Option<&Path>, directives: &[&str]) -> Result<Self, String> {
        let dir = TempDir::new().expect("a temporary directory");
        let port = free_port();
        let child = Self::spawn(program, file, port, dir.path(), directives);
        let mut server = Self { child, port, dir, logged_before: 0 };
        if server.serves() { Ok(server) } else { Err(server.log()) }
    }

    fn spawn(program: &str, file: Option<&Path>, port: u16, dir: &Path, directives: &[&str]) -> Child {
        let log = File::options().create(true).append(true).open(dir.join("log")).expect("a log file");
        Command::new(program)
            .args(file)
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(dir)
            .args(directives)
            .env("BOBBIN_FAULTS", dir.join(FAULTS))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; Debian's package redis-server has the oracle")
            })
    }

    /// The same directory served again, once the server has ended: by [`Self::kill`] or [`Self::stop`].
    pub fn start_again(&mut self, reactors: &str, directives: &[&str]) {
        assert!(self.try_again(reactors, directives), "it did not start again:\n{}", self.log());
    }

    /// Whether it starts.
    pub fn try_again(&mut self, reactors: &str, directives: &[&str]) -> bool {
        self.again(reactors, directives, Self::serves)
    }

    /// The same, but it listens and need not have loaded anything yet.
    pub fn listen_again(&mut self, reactors: &str, directives: &[&str]) {
        assert!(self.again(reactors, directives, Self::listens), "it does not listen:\n{}", self.log());
    }

    fn again(&mut self, reactors: &str, directives: &[&str], is_up: fn(&mut Self) -> bool) -> bool {
        let all = [&JOURNALLED, &["--reactors", reactors], directives].concat();
        (0..PORT_TRIES).any(|_| {
            self.port = free_port();
            self.logged_before = self.log().len();
            self.child = Self::spawn(BOBBIN, None, self.port, self.dir.path(), &all);
            is_up(self) || !self.log()[self.logged_before..].contains(PORT_TAKEN)
        }) && self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline && self.child.try_wait().expect("the child is ours").is_none() {
            if Client::try_connect(self.port).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Waits until it serves.
    pub fn await_ready(&mut self) {
        assert!(self.serves(), "it does not serve:\n{}", self.log());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// What happens at points of the journal from now on, a line each; nothing if there is none.
    pub fn set_faults(&self, lines: &str) {
        let (new, path) = (self.dir.path().join("faults.new"), self.dir.path().join(FAULTS));
        std::fs::write(&new, lines).expect("there is room");
        std::fs::rename(new, path).expect("it is in the same directory");
    }

    /// Waits until the server has ended by itself; true if it ended well.
    pub fn wait_ended(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status.success();
            }
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// SIGTERM.
    pub fn signal(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the child is ours");
    }

    /// SIGTERM; true if it ended well.
    pub fn stop(&mut self) -> bool {
        self.signal();
        self.child.wait().expect("the child is ours").success()
    }

    /// Waits until it says that it serves: whoever asked it would be in its figures.
    fn serves(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("the child is ours").is_some() {
                return false;
            }
            if self.log().get(self.logged_before..).is_some_and(|log| log.contains(READY)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    pub fn connect(&self) -> Client {
        Client::try_connect(self.port).unwrap_or_else(|error| panic!("{error}; the log:\n{}", self.log()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its working directory.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of the server on port {}:\n{}", self.port, self.log());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
