//! What cores journal under random commands of all families leads another core to the same state, at any moment.
//!
//! Cores run under the scheduler of `sim`, commands come from the grammar of `differential`, and those whose effects
//! depend on the time or on chance from `grammar` here. A failure names its seed and the batches since the state was last
//! the same; `BOBBIN_REPLAY_SEED=n cargo test -p bobbin-engine --test replay` replays it, `BOBBIN_REPLAY_SEEDS=n` sets
//! how many are tried.

#![allow(unreachable_pub, dead_code, reason = "parts of other tests, and a test binary has no outside")]

#[path = "../differential/call.rs"]
mod call;
#[path = "../support/disk.rs"]
mod disk;
#[path = "../differential/exceptions.rs"]
mod exceptions;
#[path = "../differential/grammar.rs"]
mod grammar;
mod replica;
mod snapshot;
mod state;
mod switch;
#[path = "../differential/template.rs"]
mod template;
mod timed;
#[path = "../differential/vocabulary.rs"]
mod vocabulary;
mod whole;
#[path = "../sim/world.rs"]
mod world;

/// What the grammar wants to know of who sends.
mod session {
    pub const CLIENTS: usize = 4;

    pub fn described(client: usize) -> String {
        client.to_string()
    }
}

use bobbin_engine::config::Config;
use bobbin_proto::{Value, encode_command};

use call::{Call, Step};
use grammar::Grammar;
use replica::{Replica, described};
use session::CLIENTS;
use state::{first_difference, state};
use timed::Timed;
use vocabulary::{Kind, value};
use world::World;

const STEPS: usize = 150;
/// Commands that a failure shows from before the states were last the same: a client that waits sends them late.
const SHOWN: usize = 100;
const DIRECTIVES: &[&str] = &[
    "list-max-listpack-size",
    "hash-max-listpack-entries",
    "set-max-intset-entries",
    "zset-max-listpack-entries",
    "stream-node-max-entries",
    "stream-node-max-bytes",
];

/// Strings as long as this are too long, so that no offset costs more.
const STRING_LEN_MAX: u64 = 1 << 20;
/// Far more than what is sent between two looks takes.
const SETTLING_STEPS_MAX: usize = 1_000_000;

/// Runs `test` under many seeds, or under the one asked for.
fn for_seeds(count: u64, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("BOBBIN_REPLAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BOBBIN_REPLAY_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        if let Err(failure) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("failed with BOBBIN_REPLAY_SEED={seed}");
            std::panic::resume_unwind(failure);
        }
    }
}

fn grammar() -> Grammar {
    Grammar::of(&grammar::all_names(), &DIRECTIVES.iter().map(|&name| name.to_owned()).collect())
}

/// Cores under load, and one that does again what they journal.
struct Play {
    world: World,
    replica: Replica,
    timed: Timed,
    payload: Vec<u8>,
    /// Batches that have been done again.
    replayed: usize,
    /// What was sent last.
    sent: Vec<String>,
}

/// Somebody who only asks for values as bytes.
const DUMPER: usize = CLIENTS;

impl Play {
    fn new(seed: u64) -> Self {
        let config = Config { proto_max_bulk_len: STRING_LEN_MAX, ..Config::default() };
        let mut world = World::configured(seed, 1 + seed as usize % 3, CLIENTS + 1, config);
        world.cores.iter_mut().for_each(|core| core.set_journalled(true));
        let (replica, timed) = (Replica::new(!seed), Timed::new());
        Self { world, replica, timed, payload: Vec::new(), replayed: 0, sent: Vec::new() }
    }

    fn step(&mut self, step: &Step) {
        let rng = &mut self.world.rng;
        let timed: Vec<Call> = (0..rng.usize(..3)).map(|_| self.timed.call(rng)).collect();
        let at = rng.usize(..CLIENTS);
        self.send(step.client, &step.calls);
        self.send(at, &timed);
        let any = value(Kind::Any, &mut self.world.rng);
        self.send(DUMPER, &[Call(vec![b"DUMP".to_vec(), any])]);
        match self.world.rng.u8(..8) {
            0..4 => self.settle(),
            4..7 => {
                for _ in 0..self.world.rng.usize(..60) {
                    self.world.step();
                }
            }
            _ => {
                let us = Timed::pause_us(&mut self.world.rng);
                self.world.now_us += us;
            }
        }
        while let Some(reply) = self.world.clients[DUMPER].reply() {
            if let Value::Bulk(payload) = reply {
                self.payload = payload;
            }
        }
    }

    fn send(&mut self, client: usize, calls: &[Call]) {
        let mut bytes = Vec::new();
        for call in calls {
            self.sent.push(format!("{client}: {call}"));
            encode_command(&mut bytes, call.with_payload(&self.payload));
        }
        self.world.clients[client].unsent.extend(bytes);
    }

    /// Lets things happen until nothing can.
    fn settle(&mut self) {
        let mut left = SETTLING_STEPS_MAX;
        while self.world.step() {
            left -= 1;
            assert!(left > 0, "no end is in sight; sent, by clients:\n{}", self.sent.join("\n"));
        }
    }

    /// Nothing is under way: what has been journalled is what there is.
    fn compare(&mut self) {
        self.settle();
        let (now_ms, batches) = (self.world.now_us / 1000, &self.world.journal[self.replayed..]);
        batches.iter().for_each(|batch| self.replica.replay(batch.bytes()));
        let difference =
            first_difference(&state(&self.world.cores, now_ms), &state([&self.replica.core], now_ms));
        if let Some(difference) = difference {
            let sent = self.sent.join("\n");
            let journal: String = batches.iter().map(|batch| described(batch.bytes())).collect();
            panic!("{difference}\n--- sent, by clients:\n{sent}\n--- journalled:\n{journal}");
        }
        self.replayed = self.world.journal.len();
        let surplus = self.sent.len().saturating_sub(SHOWN);
        self.sent.drain(..surplus);
    }
}

#[test]
fn what_is_journalled_leads_to_the_same_state() {
    let grammar = grammar();
    for_seeds(300, |seed| {
        let mut play = Play::new(seed);
        for (number, step) in grammar.case(seed, STEPS).iter().enumerate() {
            play.step(step);
            if number % 5 == 4 {
                play.compare();
            }
        }
        play.compare();
    });
}
