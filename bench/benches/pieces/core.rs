//! Commands through cores: bytes in, bytes out, as a reactor hands them over, with a lane between every two. The
//! clock stands still while a command runs, so that reading it is not measured.

use std::collections::VecDeque;
use std::sync::Arc;

use bobbin_engine::config::Config;
use bobbin_engine::conn::{Accepted, Endpoints};
use bobbin_engine::core::{About, Core, Now, Shared, Stopwatch};
use bobbin_engine::ids::{ConnId, ReactorId};
use bobbin_engine::mesh::Batch;
use bobbin_proto::Value;
use bobbin_proto::decode::{decode, skip};

use crate::requests::{all, encoded, random};
use crate::{Call, Piece};

const PIPELINE: usize = 16;
/// Pipelines that are made beforehand, and sent in turn.
const PIPELINES: usize = 256;
const VALUE: &str = "vvvvvvvvvvvvvvvv";

/// Name, what is there before, commands that are sent in turn. An empty line: nothing is there before.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// Collections of 16 elements are packed, those of 1,000 are not.
const ROWS: &[Row] = &[
    ("core/ping", "", &["PING"]),
    ("core/get", "SET key:{key} VALUE", &["GET key:{key}"]),
    ("core/get-missing", "", &["GET key:{key}"]),
    ("core/set", "SET key:{key} VALUE", &["SET key:{key} VALUE"]),
    ("core/set-ex", "SET key:{key} VALUE", &["SET key:{key} VALUE EX 1000"]),
    ("core/incr", "SET key:{key} 7", &["INCR key:{key}"]),
    ("core/append", "", &["SET key:{key} VALUE", "APPEND key:{key} VALUE"]),
    (
        "core/exec5",
        "",
        &["MULTI", "SET {key} 1", "SET {key} 1", "SET {key} 1", "SET {key} 1", "SET {key} 1", "EXEC"],
    ),
    ("core/mget10", "SET {many} VALUE", &["MGET {many} a b c d e f g h i"]),
    ("string/bitmap", "", &["SETBIT b{few} {bit} 1", "GETBIT b{few} {bit}"]),
    ("string/hyperloglog", "PFADD p{few} {many}", &["PFADD p{few} {key}"]),
    ("list/packed", "RPUSH l{many} {few}", &["RPUSH l{many} VALUE", "LPOP l{many}"]),
    ("list/quicklist", "RPUSH l{few} {many}", &["RPUSH l{few} VALUE", "LPOP l{few}"]),
    ("list/range100", "RPUSH l{few} {many}", &["LRANGE l{few} 100 199"]),
    ("set/intset", "SADD s{many} 1{few}", &["SADD s{many} 1{few}", "SISMEMBER s{many} 2{few}"]),
    ("set/packed", "SADD s{many} m{few}", &["SADD s{many} m{few}", "SISMEMBER s{many} n{few}"]),
    ("set/table", "SADD s{few} m{many}", &["SADD s{few} m{many}", "SISMEMBER s{few} n{many}"]),
    ("hash/packed", "HSET h{many} f{few} VALUE", &["HSET h{many} f{few} VALUE", "HGET h{many} f{few}"]),
    ("hash/table", "HSET h{few} f{many} VALUE", &["HSET h{few} f{many} VALUE", "HGET h{few} f{many}"]),
    ("zset/packed", "ZADD z{many} {few} m{few}", &["ZADD z{many} 5 m{few}", "ZSCORE z{many} m{few}"]),
    ("zset/table", "ZADD z{few} {many} m{many}", &["ZADD z{few} {key} m{many}", "ZSCORE z{few} m{many}"]),
    ("zset/range10", "ZADD z{few} {many} m{many}", &["ZRANGE z{few} 100 109"]),
    ("geo/add", "", &["GEOADD g{few} 13.36 38.11 m{many}"]),
    ("stream/add", "", &["XADD x{few} MAXLEN ~ 1000 * field VALUE other {many}"]),
    ("stream/range10", "XADD x{few} * field VALUE other {many}", &["XRANGE x{few} - + COUNT 10"]),
    ("pubsub/publish", "", &["PUBLISH news VALUE"]),
];

/// What is owned by the other of two cores.
const HOPS: &[Row] = &[
    ("hop/get", "SET key:{key} VALUE", &["GET key:{key}"]),
    ("hop/set", "SET key:{key} VALUE", &["SET key:{key} VALUE"]),
];

/// What two cores own together.
const SPANNING: &[Row] = &[("span/mset2", "", &["MSET key:{key} VALUE other:{key} VALUE"])];

pub(crate) fn pieces() -> Vec<Piece> {
    let alone = ROWS.iter().map(|row| piece(*row, 1, |_, _| true));
    let hops = HOPS.iter().map(|row| piece(*row, 2, |cores, key| cores.owner(key) == 1));
    let spanning = SPANNING.iter().map(|row| piece(*row, 2, |_, _| true));
    alone.chain(hops).chain(spanning).collect()
}

fn piece(row: Row, cores: usize, wanted: fn(&Cores, &[u8]) -> bool) -> Piece {
    let (name, _, lines) = row;
    Piece {
        name: name.to_owned(),
        operations: pipeline_of(lines) as u64,
        prepare: Box::new(move || prepare(row, cores, wanted)),
    }
}

/// Commands that belong together are in one pipeline.
fn pipeline_of(lines: &[&str]) -> usize {
    PIPELINE.next_multiple_of(lines.len())
}

fn prepare((name, fill, lines): Row, cores: usize, wanted: fn(&Cores, &[u8]) -> bool) -> Call {
    let mut cores = Cores::new(cores);
    if !fill.is_empty() {
        all(&fill.replace("VALUE", VALUE))
            .iter()
            .for_each(|line| cores.expect_no_error(name, &encoded(line)));
    }
    let (mut rng, mut turn) = (fastrand::Rng::with_seed(1), lines.iter().cycle());
    let mut pipelines = Vec::new();
    for _ in 0..PIPELINES {
        let mut pipeline = Vec::new();
        for line in turn.by_ref().take(pipeline_of(lines)) {
            pipeline.extend(request(&line.replace("VALUE", VALUE), &cores, wanted, &mut rng));
        }
        cores.expect_no_error(name, &pipeline);
        pipelines.push(pipeline);
    }
    let mut next = (0..PIPELINES).cycle();
    Box::new(move || cores.send(&pipelines[next.next().unwrap_or(0)]))
}

fn request(line: &str, cores: &Cores, wanted: fn(&Cores, &[u8]) -> bool, rng: &mut fastrand::Rng) -> Vec<u8> {
    loop {
        let line = random(line, rng);
        let key = line.split(' ').nth(1).unwrap_or_default();
        if wanted(cores, key.as_bytes()) {
            return encoded(&line);
        }
    }
}

/// A server without sockets, and a client of its first core.
struct Cores {
    all: Vec<Core>,
    /// Batches under way: from, to, batch.
    lanes: VecDeque<(usize, usize, Box<Batch>)>,
    client: Option<ConnId>,
    received: Vec<u8>,
    now_us: u64,
}

impl Cores {
    fn new(reactors: usize) -> Self {
        let config = Arc::new(Config::default());
        let shared =
            Arc::new(Shared::new(reactors, Arc::clone(&config), About { seed: 7, ..About::default() }));
        let core = |index| {
            let stopwatch = Stopwatch::Virtual(std::cell::Cell::new(0));
            Core::new(ReactorId::from_index(index), Arc::clone(&shared), Arc::clone(&config), stopwatch)
        };
        let mut this = Self {
            all: (0..reactors).map(core).collect(),
            lanes: VecDeque::new(),
            client: None,
            received: Vec::new(),
            now_us: 1_800_000_000_000_000,
        };
        let address = ([127, 0, 0, 1], 6379).into();
        let endpoints = Endpoints::Tcp { peer: address, local: address };
        this.iterate(0, |core| core.accepted(Accepted { fd: 3, endpoints, is_direct: false }));
        assert!(this.client.is_some(), "the first client is the first core's");
        this
    }

    fn owner(&self, key: &[u8]) -> usize {
        self.all[0].owner(key).index()
    }

    /// Sends requests and lets everything come to rest; returns the bytes of the replies.
    fn send(&mut self, requests: &[u8]) -> usize {
        let client = self.client.expect("it has connected");
        self.received.clear();
        self.iterate(0, |core| core.receive(client, requests));
        while let Some((from, to, batch)) = self.lanes.pop_front() {
            self.iterate(to, |core| core.deliver(ReactorId::from_index(from), batch));
        }
        self.received.len()
    }

    /// A piece that measures refusals would measure nothing.
    fn expect_no_error(&mut self, piece: &str, requests: &[u8]) {
        self.send(requests);
        let mut at = 0;
        while let Some(len) = skip(&self.received[at..]).expect("replies are well-formed") {
            if let Some((Value::Error(text), _)) = decode(&self.received[at..]).expect("as skipped") {
                panic!("{piece}: {}", String::from_utf8_lossy(&text));
            }
            at += len;
        }
        assert!(at > 0, "{piece}: no reply");
    }

    fn iterate(&mut self, index: usize, input: impl FnOnce(&mut Core)) {
        self.now_us += 10;
        let core = &mut self.all[index];
        core.begin(Now { unix_us: self.now_us, mono_us: self.now_us }, 0);
        input(core);
        core.settle();
        for to in 0..self.all.len() {
            if let Some(batch) = self.all[index].take_batch(ReactorId::from_index(to)) {
                self.lanes.push_back((index, to, batch));
            }
        }
        let core = &mut self.all[index];
        while let Some(action) = core.next_action() {
            if action.adopt.is_some() {
                self.client = Some(action.conn);
            }
            if let Some(bytes) = action.send {
                self.received.extend_from_slice(&bytes);
                core.sent(action.conn, bytes);
            }
        }
        core.end();
    }
}
