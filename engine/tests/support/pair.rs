//! Bobbin beside redis-server: the same commands to both, replies compared byte for byte.

use std::time::Duration;

use bobbin_proto::Version;

use super::client::words;
use super::{Client, Server, bobbin_with, eventually, oracle_with};

/// Long for one message between two cores.
const IN_LINE: Duration = Duration::from_millis(20);

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

/// Connections to both servers; what is sent goes over the ones last chosen, at first the first.
#[derive(Debug)]
pub struct Pair {
    bobbin: Client,
    oracle: Client,
    /// Those not chosen, each in its place.
    others: Vec<Option<(Client, Client)>>,
    chosen: usize,
    bobbin_server: Server,
    oracle_server: Server,
    version: Version,
    done: usize,
}

impl Pair {
    /// Fresh servers. With `requirepass` among the directives the connections are not authenticated, and stay with
    /// RESP2.
    pub fn start(directives: &[&str], version: Version) -> Self {
        Self::start_each(directives, directives, version)
    }

    /// The same, with directives of each server's own.
    pub fn start_each(bobbin: &[&str], oracle: &[&str], version: Version) -> Self {
        let (bobbin_server, oracle_server) = (bobbin_with(bobbin), oracle_with(oracle));
        let (bobbin, oracle) = (bobbin_server.connect(), oracle_server.connect());
        let others = vec![None];
        let mut pair =
            Self { bobbin, oracle, others, chosen: 0, bobbin_server, oracle_server, version, done: 0 };
        pair.greet();
        pair
    }

    fn greet(&mut self) {
        if self.version == Version::Resp3 {
            self.both("HELLO 3");
        }
    }

    /// Chooses the clients with a number, which are connected now if they are the next. Bobbin's reactors serve them
    /// in turn.
    pub fn client(&mut self, number: usize) -> &mut Self {
        if number == self.chosen {
            return self;
        }
        if number == self.others.len() {
            self.others.push(Some((self.bobbin_server.connect(), self.oracle_server.connect())));
            self.choose(number);
            self.greet();
        }
        self.choose(number);
        self
    }

    fn choose(&mut self, number: usize) {
        if let Some((bobbin, oracle)) = self.others[number].take() {
            let before =
                (std::mem::replace(&mut self.bobbin, bobbin), std::mem::replace(&mut self.oracle, oracle));
            self.others[self.chosen] = Some(before);
            self.chosen = number;
        }
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

    /// Sends a command line to both, and waits for nothing.
    pub fn send(&mut self, line: &str) {
        for client in [&mut self.bobbin, &mut self.oracle] {
            client.send(&words(line)).expect("the server reads");
        }
    }

    /// The next replies must be equal.
    #[track_caller]
    pub fn same_next(&mut self) {
        self.same_raw(b"", 1);
    }

    /// The next replies.
    pub fn next(&mut self) -> (Vec<u8>, Vec<u8>) {
        let [bobbin, oracle] =
            [&mut self.bobbin, &mut self.oracle].map(|client| client.read_raw().unwrap_or_default());
        (bobbin, oracle)
    }

    /// Waits until both servers have so many clients that wait in a command.
    #[track_caller]
    pub fn until_blocked(&self, clients: usize) {
        let blocked = format!("\r\nblocked_clients:{clients}\r\n");
        for server in [&self.bobbin_server, &self.oracle_server] {
            let mut observer = server.connect();
            eventually(|| {
                let info = observer.call_raw(&["INFO", "clients"]);
                info.windows(blocked.len()).any(|window| window == blocked.as_bytes())
            });
        }
        // A core that is to serve them may yet have to take them into its line.
        std::thread::sleep(IN_LINE);
    }

    /// What each server has to say, up to a reply that ends so.
    pub fn next_until(&mut self, end: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let [bobbin, oracle] = [&mut self.bobbin, &mut self.oracle].map(|client| {
            let mut replies = vec![client.read_raw().unwrap_or_default()];
            while replies.last().is_some_and(|reply| !reply.is_empty() && !reply.ends_with(end)) {
                replies.push(client.read_raw().unwrap_or_default());
            }
            replies
        });
        (bobbin, oracle)
    }

    /// Neither server has anything to say.
    #[track_caller]
    pub fn silent(&mut self) {
        let [bobbin, oracle] = [&mut self.bobbin, &mut self.oracle].map(|client| client.is_silent());
        assert!(bobbin && oracle, "silent: bobbin {bobbin}, redis {oracle}");
    }

    /// Runs a command line on both: Bobbin's reply and redis-server's.
    pub fn both(&mut self, line: &str) -> (Vec<u8>, Vec<u8>) {
        self.both_call(&words(line))
    }

    /// Runs a command line on Bobbin and another on redis-server.
    pub fn each(&mut self, bobbin: &str, oracle: &str) -> (Vec<u8>, Vec<u8>) {
        self.done += 1;
        (self.bobbin.call_raw(&words(bobbin)), self.oracle.call_raw(&words(oracle)))
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
