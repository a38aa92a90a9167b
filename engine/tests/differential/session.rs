//! Both servers, the connections of a case to each, and the run of a case.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::time::Duration;

use bobbin_proto::{Value, decode, encode_command};

use super::call::{Call, Step};
use super::exceptions::{
    consumers, is_interactive, is_newly_refused, is_same, lexical_source, passes_soon, sorted_source,
};
use super::follow;
use super::state;
use crate::support::{Client, Server, bobbin_with, oracle_with};

/// Connections of a case; every other one speaks RESP3.
pub const CLIENTS: usize = 4;
/// Steps after which all data is compared; it is at the end too.
const STEPS_BETWEEN_STATES: usize = 50;
/// Longer than what is waited for lives.
const PAUSE: Duration = Duration::from_millis(6);
/// Strings as long as this are too long, so that no offset costs more.
const DIRECTIVES: &[&str] = &["--enable-debug-command", "yes", "--proto-max-bulk-len", "1mb"];

pub fn described(client: usize) -> String {
    format!("{client} (RESP{})", if client.is_multiple_of(2) { 2 } else { 3 })
}

/// A server that does not answer any more.
#[derive(Debug)]
pub struct Broken(pub String);

/// Where the servers parted.
#[derive(Debug)]
pub struct Difference {
    /// The step's index in its case.
    pub step: usize,
    what: String,
    bobbin: String,
    oracle: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n   redis: {}\n  bobbin: {}", self.what, self.oracle, self.bobbin)
    }
}

/// The two servers, empty before every case.
#[derive(Debug)]
pub struct Session {
    bobbin: Side,
    oracle: Side,
    defaults: Vec<Call>,
    /// Commands whose replies were compared.
    pub compared: usize,
}

#[derive(Debug)]
struct Side {
    name: &'static str,
    server: Server,
    clients: Vec<Client>,
    payload: Vec<u8>,
}

/// One connection to each.
#[derive(Debug)]
pub struct Two<'a> {
    bobbin: &'a mut Side,
    oracle: &'a mut Side,
    client: usize,
}

impl Two<'_> {
    pub fn ask_bobbin(&mut self, args: &[Vec<u8>]) -> Result<Value, Broken> {
        self.bobbin.ask(self.client, args)
    }

    pub fn ask_oracle(&mut self, args: &[Vec<u8>]) -> Result<Value, Broken> {
        self.oracle.ask(self.client, args)
    }
}

impl Session {
    pub fn start() -> Self {
        let bobbin = Side::start("bobbin", bobbin_with(DIRECTIVES));
        let oracle = Side::start("redis", oracle_with(DIRECTIVES));
        Self { bobbin, oracle, defaults: Vec::new(), compared: 0 }
    }

    /// Calls that set what cases change back, before each.
    pub fn set_defaults(&mut self, defaults: Vec<Call>) {
        self.defaults = defaults;
    }

    /// What both servers answer to a question for names.
    pub fn known_to_both(&mut self, names: impl Fn(&mut Client) -> BTreeSet<String>) -> BTreeSet<String> {
        let bobbin = names(&mut self.bobbin.clients[0]);
        let oracle = names(&mut self.oracle.clients[0]);
        bobbin.intersection(&oracle).cloned().collect()
    }

    /// Runs a case on empty servers, up to the first difference.
    pub fn run(&mut self, case: &[Step]) -> Result<(), Box<Difference>> {
        if self.reset().is_err() {
            let defaults = std::mem::take(&mut self.defaults);
            *self = Self { defaults, compared: self.compared, ..Self::start() };
            self.reset().expect("servers that have just started answer");
        }
        let outcome = self.run_from_empty(case);
        if outcome.is_err() {
            // Replies behind the difference may not have been read.
            self.bobbin.reconnect();
            self.oracle.reconnect();
        }
        outcome
    }

    fn run_from_empty(&mut self, case: &[Step]) -> Result<(), Box<Difference>> {
        for (index, step) in case.iter().enumerate() {
            let mut outcome = self.step(step);
            if (index + 1).is_multiple_of(STEPS_BETWEEN_STATES) || index + 1 == case.len() {
                outcome = outcome.and_then(|()| self.compare_state());
            }
            outcome.map_err(|mut difference| {
                difference.step = index;
                difference
            })?;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Broken> {
        for side in [&mut self.bobbin, &mut self.oracle] {
            side.payload.clear();
            for client in 0..CLIENTS {
                for line in ["DISCARD", "UNWATCH", "SELECT 0"] {
                    side.ask(client, &Call::of(line).0)?;
                }
            }
            side.ask(0, &Call::of("FLUSHALL").0)?;
            for call in &self.defaults {
                side.ask(0, &call.0)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Box<Difference>> {
        if self.is_left_out(step)? {
            return Ok(());
        }
        for call in step.calls.iter().flat_map(consumers) {
            self.bobbin.ask(step.client, &call.0)?;
            self.oracle.ask(step.client, &call.0)?;
        }
        self.bobbin.send(step)?;
        let first = self.bobbin.read(step.client, &step.calls[0])?;
        if is_newly_refused(&first) {
            return Ok(());
        }
        self.oracle.send(step)?;
        let (mut first, mut queued) = (Some(first), Vec::new());
        for call in &step.calls {
            let bobbin = first.take().map_or_else(|| self.bobbin.read(step.client, call), Ok)?;
            let oracle = self.oracle.read(step.client, call)?;
            if call.name() == "EXEC" && are_same(&queued, &bobbin, &oracle) {
                self.compared += queued.len();
            } else {
                self.compare(step.client, call, &bobbin, &oracle)?;
            }
            if bobbin == b"+QUEUED\r\n" {
                queued.push(call);
            }
        }
        if step.calls.iter().any(passes_soon) {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// What is excepted for what a key holds.
    fn is_left_out(&mut self, step: &Step) -> Result<bool, Broken> {
        let [call] = &step.calls[..] else { return Ok(false) };
        if let Some(key) = lexical_source(call) {
            return Ok(!self.has_one_score(step.client, key)?);
        }
        let Some(key) = sorted_source(call) else { return Ok(false) };
        // Its SORT takes what is left in errno, by a number of any command before, for its own; this sets it to zero.
        self.oracle.ask(step.client, &Call::of("SCAN 0").0)?;
        let about = |question: &[&[u8]]| {
            question.iter().copied().chain([key]).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        Ok(self.oracle.ask(step.client, &about(&[b"OBJECT", b"ENCODING"]))?
            == Value::Bulk(b"listpack".to_vec())
            && self.oracle.ask(step.client, &about(&[b"TYPE"]))? == Value::Simple(b"zset".to_vec()))
    }

    /// Also of what is no sorted set.
    fn has_one_score(&mut self, client: usize, key: &[u8]) -> Result<bool, Broken> {
        let mut score = |rank: &[u8]| {
            let range = [&b"ZRANGE"[..], key, rank, rank, b"WITHSCORES"].map(<[u8]>::to_vec);
            self.oracle.ask(client, &range).map(|reply| follow::flat(&reply).pop())
        };
        Ok(score(b"0")? == score(b"-1")?)
    }

    fn compare(
        &mut self,
        client: usize,
        call: &Call,
        bobbin: &[u8],
        oracle: &[u8],
    ) -> Result<(), Box<Difference>> {
        self.compared += 1;
        if bobbin == oracle {
            return Ok(());
        }
        let (bobbin_value, oracle_value) = (value(bobbin), value(oracle));
        let has_failed = is_failure(&bobbin_value) || is_failure(&oracle_value);
        let says_same = if is_interactive(call) && !has_failed {
            let two = &mut Two { bobbin: &mut self.bobbin, oracle: &mut self.oracle, client };
            follow::is_right(two, call, &bobbin_value, &oracle_value)?
        } else {
            is_same(call, &bobbin_value, &oracle_value)
        };
        if says_same { Ok(()) } else { Err(Box::new(Difference::new(call.to_string(), bobbin, oracle))) }
    }

    fn compare_state(&mut self) -> Result<(), Box<Difference>> {
        let state = |side: &mut Side| {
            let client = side.clients.last_mut().expect("there is one besides those of cases");
            state::read(client).map_err(|error| Box::from(side.broken(&error)))
        };
        let (bobbin, oracle) = (state(&mut self.bobbin)?, state(&mut self.oracle)?);
        match state::first_difference(&bobbin, &oracle) {
            None => Ok(()),
            Some((what, bobbin, oracle)) => Err(Box::new(Difference { step: 0, what, bobbin, oracle })),
        }
    }
}

impl Side {
    fn start(name: &'static str, server: Server) -> Self {
        let mut side = Self { name, server, clients: Vec::new(), payload: Vec::new() };
        side.reconnect();
        side
    }

    /// A server that has ended refuses: then the connections stay, and do not answer.
    fn reconnect(&mut self) {
        let clients = (0..=CLIENTS).map(|_| Client::try_connect(self.server.port));
        if let Ok(clients) = clients.collect() {
            self.clients = clients;
            let resp3 = self.clients[..CLIENTS].iter_mut().skip(1).step_by(2);
            resp3.for_each(|client| drop(client.call_raw(&["HELLO", "3"])));
        }
    }

    /// All of a step in one write.
    fn send(&mut self, step: &Step) -> Result<(), Broken> {
        let mut out = Vec::new();
        step.calls.iter().for_each(|call| encode_command(&mut out, call.with_payload(&self.payload)));
        self.clients[step.client].send_raw(&out).map_err(|error| self.broken(&error))
    }

    fn read(&mut self, client: usize, call: &Call) -> Result<Vec<u8>, Broken> {
        let reply = self.clients[client].read_raw().map_err(|error| self.broken(&error))?;
        if let Value::Bulk(payload) = value(&reply)
            && call.name() == "DUMP"
        {
            self.payload = payload;
        }
        Ok(reply)
    }

    fn ask(&mut self, client: usize, args: &[Vec<u8>]) -> Result<Value, Broken> {
        let reply = self.clients[client].send(args).and_then(|()| self.clients[client].read_raw());
        reply.map(|reply| value(&reply)).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &io::Error) -> Broken {
        Broken(format!("{} does not answer: {error}; its log:\n{}", self.name, self.server.log()))
    }
}

impl Difference {
    fn new(what: String, bobbin: &[u8], oracle: &[u8]) -> Self {
        Self {
            step: 0,
            what,
            bobbin: bobbin.escape_ascii().to_string(),
            oracle: oracle.escape_ascii().to_string(),
        }
    }
}

impl From<Broken> for Box<Difference> {
    fn from(broken: Broken) -> Self {
        Self::new(Difference { step: 0, what: broken.0, bobbin: String::new(), oracle: String::new() })
    }
}

/// Whether the replies of a transaction are those of each of its calls.
fn are_same(calls: &[&Call], bobbin: &[u8], oracle: &[u8]) -> bool {
    let (Value::Array(bobbin), Value::Array(oracle)) = (value(bobbin), value(oracle)) else { return false };
    let replies = bobbin.iter().zip(&oracle).zip(calls);
    bobbin.len() == calls.len() && oracle.len() == calls.len() && { replies }
        .all(|((bobbin, oracle), call)| bobbin == oracle || is_same(call, bobbin, oracle))
}

fn is_failure(reply: &Value) -> bool {
    matches!(reply, Value::Error(_) | Value::Null | Value::NullBulk | Value::NullArray)
}

fn value(reply: &[u8]) -> Value {
    let decoded = decode::decode(reply).expect("the reply was measured");
    decoded.expect("the reply is whole").0
}
