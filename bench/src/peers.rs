//! Servers to measure: which there are, how each is told to run on a port of its own, with a journal or
//! without persistence, and their start and end.
//!
//! A server that was started is killed when its [`Running`] goes out of scope, by a return, a panic or
//! Ctrl-C alike.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bobbin_proto::decode::Value;
use clap::Args;
use tempfile::TempDir;

use crate::cpus::Cpus;
use crate::load::Target;
use crate::machine::server_version;
use crate::process::Process;
use crate::{Error, interrupt};

const START_MAX: Duration = Duration::from_secs(30);
const LOG_TAIL_LEN: usize = 2000;

/// The floor, always at hand: this program's own.
pub const NULL: &str = "null";
const KEVY: &str = "kevy";

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Servers")]
pub struct PeerArgs {
    /// Servers to measure, of those that are found
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "bobbin,redis,valkey,kevy,dragonfly,null"
    )]
    pub peers: Vec<String>,
    /// The bobbin-server to measure [default: beside this program, else target/release, else on PATH]
    #[arg(long, value_name = "PATH")]
    pub bobbin: Option<PathBuf>,
    /// CPUs for the server, as many of them as it has reactors
    #[arg(long, value_name = "CPUS", default_value = "0,1")]
    pub server_cpus: Cpus,
    /// CPUs for the load generator, a thread on each
    #[arg(long, value_name = "CPUS", default_value = "1")]
    pub client_cpus: Cpus,
    /// Write the results as JSON to this file too
    #[arg(long, value_name = "FILE")]
    pub json_out_file: Option<PathBuf>,
}

/// A server that was found.
#[derive(Clone, Debug)]
pub struct Peer {
    pub name: &'static str,
    program: PathBuf,
    arguments: fn(&Launch<'_>) -> Vec<String>,
    journals: bool,
}

/// What becomes of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    Off,
    EverySec,
    Always,
}

/// What a server is told.
struct Launch<'a> {
    port: u16,
    reactors: usize,
    cpus: &'a Cpus,
    directory: &'a Path,
    journal: Journal,
}

/// A server under test; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    pub target: Target,
    pub process: Process,
    child: Child,
    _directory: TempDir,
}

impl PeerArgs {
    /// Those of `--peers` that are on this machine, in the order asked for.
    pub fn find(&self) -> Result<Vec<Peer>, Error> {
        let mut found = Vec::new();
        for name in &self.peers {
            let known = KNOWN.iter().find(|known| known.name == name);
            let known = known.ok_or_else(|| Error::flag("--peers", format!("{name:?} is not known")))?;
            match known.locate(self.bobbin.as_deref()) {
                Some(program) => found.push(known.peer(program)),
                None => eprintln!("{name}: {} is not found", known.binary),
            }
        }
        if found.is_empty() {
            return Err(Error::NoPeers(self.peers.join(", ")));
        }
        Ok(found)
    }
}

struct Known {
    name: &'static str,
    binary: &'static str,
    arguments: fn(&Launch<'_>) -> Vec<String>,
    /// Whether it can write down every command.
    journals: bool,
}

const KNOWN: [Known; 6] = [
    Known { name: "bobbin", binary: "bobbin-server", arguments: bobbin, journals: true },
    Known { name: "redis", binary: "redis-server", arguments: redis, journals: true },
    Known { name: "valkey", binary: "valkey-server", arguments: redis, journals: true },
    Known { name: KEVY, binary: "kevy", arguments: kevy, journals: true },
    Known { name: "dragonfly", binary: "dragonfly", arguments: dragonfly, journals: false },
    Known { name: NULL, binary: "bobbin-bench", arguments: null, journals: false },
];

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn redis(launch: &Launch<'_>) -> Vec<String> {
    let Launch { port, reactors, journal, .. } = launch;
    let journal = journal.directives();
    let text = format!("--port {port} --bind 127.0.0.1 --io-threads {reactors} {journal} --save");
    let mut arguments = words(&text);
    arguments.push(String::new());
    arguments
}

fn bobbin(launch: &Launch<'_>) -> Vec<String> {
    let Launch { port, reactors, cpus, directory, journal } = launch;
    let journal = journal.directives();
    let text = format!(
        "--port {port} --bind 127.0.0.1 --reactors {reactors} --reactor-cpus {cpus} {journal} --save"
    );
    let mut arguments = words(&text);
    arguments.extend([String::new(), "--dir".to_owned(), directory.display().to_string()]);
    arguments
}

/// How often its journal is synced is in a file only, which it looks for in its directory.
fn kevy(launch: &Launch<'_>) -> Vec<String> {
    let Launch { port, reactors, directory, journal, .. } = launch;
    let mut arguments = words(&format!("--port {port} --bind 127.0.0.1 --threads {reactors}"));
    if *journal == Journal::Off {
        arguments.push("--no-aof".to_owned());
    }
    arguments.extend(["--dir".to_owned(), directory.display().to_string()]);
    arguments
}

fn kevy_file(journal: Journal) -> String {
    format!("[persistence]\naof = {}\nappendfsync = \"{}\"\n", journal != Journal::Off, journal.policy())
}

fn dragonfly(launch: &Launch<'_>) -> Vec<String> {
    let Launch { port, reactors, directory, .. } = launch;
    let mut arguments =
        words(&format!("--port {port} --bind 127.0.0.1 --proactor_threads {reactors} --dbfilename="));
    arguments.extend(["--dir".to_owned(), directory.display().to_string()]);
    arguments
}

fn null(launch: &Launch<'_>) -> Vec<String> {
    words(&format!("null-server --port {} --cpus {}", launch.port, launch.cpus))
}

impl Journal {
    /// As a value of `appendfsync`.
    fn policy(self) -> &'static str {
        match self {
            Self::Off => "no",
            Self::EverySec => "everysec",
            Self::Always => "always",
        }
    }

    /// For servers with Redis's directives.
    fn directives(self) -> String {
        match self {
            Self::Off => "--appendonly no".to_owned(),
            _ => format!("--appendonly yes --appendfsync {}", self.policy()),
        }
    }
}

impl Known {
    fn peer(&self, program: PathBuf) -> Peer {
        Peer { name: self.name, program, arguments: self.arguments, journals: self.journals }
    }

    /// Absolute: servers are started in directories of their own.
    fn locate(&self, bobbin: Option<&Path>) -> Option<PathBuf> {
        std::path::absolute(self.find(bobbin)?).ok()
    }

    fn find(&self, bobbin: Option<&Path>) -> Option<PathBuf> {
        let own = std::env::current_exe().ok()?;
        match (self.name, bobbin) {
            (NULL, _) => Some(own),
            ("bobbin", Some(path)) => path.is_file().then(|| path.to_path_buf()),
            ("bobbin", None) => {
                let built = [own.with_file_name(self.binary), Path::new("target/release").join(self.binary)];
                built.into_iter().find(|path| path.is_file()).or_else(|| on_path(self.binary))
            }
            _ => on_path(self.binary),
        }
    }
}

fn on_path(binary: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(binary)).find(|file| file.is_file())
}

impl Peer {
    /// Starts it pinned to as many of `cpus` as it is to have `reactors`, and waits until it answers.
    pub fn start(&self, reactors: usize, cpus: &Cpus) -> Result<Running, Error> {
        self.start_with(Journal::Off, reactors, cpus)
    }

    /// As [`Peer::start`], with a journal.
    pub fn start_with(&self, journal: Journal, reactors: usize, cpus: &Cpus) -> Result<Running, Error> {
        let failed = |what: &str, source| Error::system(format!("{}: {what}", self.name), source);
        let directory = tempfile::tempdir().map_err(|source| failed("cannot make a directory", source))?;
        let port = free_port().map_err(|source| failed("no free port", source))?;
        let cpus = cpus.first(reactors);
        let log_path = directory.path().join("log");
        let log = File::create(&log_path).map_err(|source| failed("cannot make a log", source))?;
        let errors = log.try_clone().map_err(|source| failed("cannot make a log", source))?;
        if self.name == KEVY {
            fs::write(directory.path().join("kevy.toml"), kevy_file(journal))
                .map_err(|source| failed("cannot write its configuration", source))?;
        }
        let launch = Launch { port, reactors, cpus: &cpus, directory: directory.path(), journal };
        let mut command = Command::new(&self.program);
        command.args((self.arguments)(&launch)).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = spawn_on(&cpus, &mut command)?.map_err(|source| failed("cannot start", source))?;
        let process = Process::new(child.id());
        let mut running = Running { target: Target::local(port), process, child, _directory: directory };
        running.wait_until_ready(self.name, &log_path)?;
        Ok(running)
    }

    /// Whether it can be started with such a journal.
    pub fn keeps(&self, journal: Journal) -> bool {
        self.journals || journal == Journal::Off
    }

    /// Whether values sent to it can be had back.
    pub fn keeps_values(&self) -> bool {
        self.name != NULL
    }

    /// As it tells it itself.
    pub fn version(&self, cpus: &Cpus) -> Result<Option<String>, Error> {
        Ok(server_version(&self.start(1, cpus)?.target))
    }
}

/// A child inherits the affinity of the thread that starts it.
fn spawn_on(cpus: &Cpus, command: &mut Command) -> Result<std::io::Result<Child>, Error> {
    thread::scope(|scope| {
        let spawn = || {
            cpus.pin_current()?;
            Ok(command.spawn())
        };
        scope.spawn(spawn).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Running {
    fn wait_until_ready(&mut self, peer: &str, log: &Path) -> Result<(), Error> {
        let began = Instant::now();
        while !serves(&self.target) {
            interrupt::check()?;
            if let Ok(Some(status)) = self.child.try_wait() {
                let status = status.to_string();
                return Err(Error::PeerExited { peer: peer.to_owned(), status, log: tail(log) });
            }
            if began.elapsed() > START_MAX {
                let seconds = START_MAX.as_secs();
                return Err(Error::PeerSilent { peer: peer.to_owned(), seconds, log: tail(log) });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that is loading its journal answers already, with an error.
fn serves(target: &Target) -> bool {
    let reply = target.connect().and_then(|mut server| server.call(&["PING"]));
    reply.is_ok_and(|reply| !matches!(reply, Value::Error(_)))
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_LEN)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_peer_that_is_not_known_or_not_there_is_told() {
        let args = |peer: &str| PeerArgs {
            peers: vec![peer.to_owned()],
            bobbin: Some(PathBuf::from("/nonexistent/bobbin-server")),
            server_cpus: "0".parse().unwrap(),
            client_cpus: "0".parse().unwrap(),
            json_out_file: None,
        };
        assert!(matches!(args("memcached").find(), Err(Error::Flag { .. })));
        assert!(matches!(args("bobbin").find(), Err(Error::NoPeers(_))));
    }

    #[test]
    fn a_server_is_found_from_wherever_it_is_started() {
        let bobbin = KNOWN.iter().find(|known| known.name == "bobbin").unwrap();
        let located = bobbin.locate(Some(Path::new("Cargo.toml"))).unwrap();
        assert!(located.is_absolute() && located.is_file(), "{}", located.display());
    }

    #[test]
    fn a_server_that_is_loading_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::local(listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            for reply in ["-LOADING the dataset\r\n", "+PONG\r\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 64]).unwrap() > 0);
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        assert_eq!([serves(&target), serves(&target)], [false, true]);
        server.join().unwrap();
        assert!(!serves(&target), "nobody is there");
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_words() {
        let complains = |_: &Launch<'_>| vec!["-c".to_owned(), "echo no such flag; exit 3".to_owned()];
        let peer =
            Peer { name: "sh", program: PathBuf::from("/bin/sh"), arguments: complains, journals: false };
        let error = peer.start(1, &"0".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("no such flag") && error.contains('3'), "{error}");
    }
}
