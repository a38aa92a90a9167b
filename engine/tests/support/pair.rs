//! Bobbin beside redis-server: the same commands to both, replies compared byte for byte.

use bobbin_proto::Version;

use super::client::words;
use super::{Client, Server, bobbin_with, oracle_with};

/// Runs command lines (quoted as in redis-cli) on fresh servers, in RESP2 and again in RESP3, and panics at the
/// first reply that differs.
#[track_caller]
pub fn same_replies<L: AsRef<str>>(script: &[L]) {
    same_replies_with(&[], script);
}

/// The same, with directives for both servers.
#[track_caller]
pub fn same_replies_with<L: AsRef<str>>(directives: &[&str], script: &[L]) {
    for version in [Version::Resp2, Version::Resp3] {
        let mut pair = Pair::start(directives, version);
        script.iter().for_each(|line| pair.same(line.as_ref()));
    }
}

/// One connection to each server.
#[derive(Debug)]
pub struct Pair {
    bobbin: Client,
    oracle: Client,
    bobbin_server: Server,
    oracle_server: Server,
    done: usize,
}

impl Pair {
    /// Fresh servers. With `requirepass` among the directives the connections are not authenticated, and stay with
    /// RESP2.
    pub fn start(directives: &[&str], version: Version) -> Self {
        let (bobbin_server, oracle_server) = (bobbin_with(directives), oracle_with(directives));
        let (bobbin, oracle) = (bobbin_server.connect(), oracle_server.connect());
        let mut pair = Self { bobbin, oracle, bobbin_server, oracle_server, done: 0 };
        if version == Version::Resp3 {
            pair.both("HELLO 3");
        }
        pair
    }

    /// New connections to both, in RESP2.
    pub fn reconnect(&mut self) {
        self.bobbin = self.bobbin_server.connect();
        self.oracle = self.oracle_server.connect();
    }

    /// Runs a command line on both; the replies must be equal.
    #[track_caller]
    pub fn same(&mut self, line: &str) {
        self.same_call(&words(line));
    }

    /// The same, of a command in words.
    #[track_caller]
    pub fn same_call<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let (bobbin, oracle) = self.both_call(args);
        assert!(
            bobbin == oracle,
            "command {}: {}\n   redis: {}\n  bobbin: {}",
            self.done,
            shown(args),
            oracle.escape_ascii(),
            bobbin.escape_ascii(),
        );
    }

    /// Runs a command line on both: Bobbin's reply and redis-server's.
    pub fn both(&mut self, line: &str) -> (Vec<u8>, Vec<u8>) {
        self.both_call(&words(line))
    }

    pub fn both_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> (Vec<u8>, Vec<u8>) {
        self.done += 1;
        (self.bobbin.call_raw(args), self.oracle.call_raw(args))
    }

    /// Sends raw bytes to both; as many replies as said must be equal.
    #[track_caller]
    pub fn same_raw(&mut self, bytes: &[u8], replies: usize) {
        for client in [&mut self.bobbin, &mut self.oracle] {
            client.send_raw(bytes).expect("the server reads");
        }
        for _ in 0..replies {
            self.done += 1;
            let [bobbin, oracle] =
                [&mut self.bobbin, &mut self.oracle].map(|client| client.read_raw().unwrap_or_default());
            assert!(
                bobbin == oracle,
                "reply {} to {}\n   redis: {}\n  bobbin: {}",
                self.done,
                bytes.escape_ascii(),
                oracle.escape_ascii(),
                bobbin.escape_ascii(),
            );
        }
    }
}

fn shown<A: AsRef<[u8]>>(args: &[A]) -> String {
    let args: Vec<_> = args.iter().map(|arg| arg.as_ref().escape_ascii().to_string()).collect();
    args.join(" ")
}
