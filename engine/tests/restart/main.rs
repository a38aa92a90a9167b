//! Random commands of all families, then a restart with another number of reactors: every key is what it was, to the byte
//! where its elements have an order.
//!
//! The commands are those of `differential`. A failure names its seed; `BOBBIN_RESTART_SEED=n cargo test -p bobbin-engine
//! --test restart` replays it, `BOBBIN_RESTART_SEEDS=n` sets how many are tried under each of the settings.

#![allow(unreachable_pub, dead_code, reason = "parts of other tests, and a test binary has no outside")]

#[path = "../differential/call.rs"]
mod call;
#[path = "../differential/exceptions.rs"]
mod exceptions;
#[path = "../differential/grammar.rs"]
mod grammar;
#[path = "../differential/state.rs"]
mod state;
#[path = "../support/mod.rs"]
mod support;
#[path = "../differential/template.rs"]
mod template;
#[path = "../differential/vocabulary.rs"]
mod vocabulary;

/// What the grammar wants to know of who sends.
mod session {
    pub const CLIENTS: usize = 4;

    pub fn described(client: usize) -> String {
        client.to_string()
    }
}

use std::collections::BTreeSet;

use bobbin_proto::{Value, encode_command};

use call::{Call, Case};
use grammar::Grammar;
use session::CLIENTS;
use state::State;
use support::{Client, Server, bobbin_journalled};

const SEEDS: u64 = 8;
const STEPS: usize = 250;
/// With each start another.
const REACTORS: [&str; 3] = ["2", "1", "3"];
const LIMITS: [&str; 6] =
    ["--appendfsync", "always", "--enable-debug-command", "yes", "--proto-max-bulk-len", "1mb"];
/// How encodings change is seen best where they change early.
const EARLY: [&str; 14] = [
    "--list-max-listpack-size",
    "3",
    "--hash-max-listpack-entries",
    "3",
    "--hash-max-listpack-value",
    "20",
    "--set-max-intset-entries",
    "3",
    "--zset-max-listpack-entries",
    "3",
    "--stream-node-max-entries",
    "3",
    "--hll-sparse-max-bytes",
    "30",
];
/// What lives no longer may be gone after a restart.
const LIFETIME_MS: i64 = 600_000;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    match number("BOBBIN_RESTART_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BOBBIN_RESTART_SEEDS").unwrap_or(SEEDS),
    }
}

/// Has a case run. Clients that wait are waited for.
fn play(server: &Server, case: &Case) {
    let mut clients = [(); CLIENTS].map(|()| server.connect());
    let mut payload = Vec::new();
    for step in case {
        let mut out = Vec::new();
        step.calls.iter().for_each(|call| encode_command(&mut out, call.with_payload(&payload)));
        clients[step.client].send_raw(&out).expect("the server reads");
        for call in &step.calls {
            let reply = clients[step.client].read();
            if let (Value::Bulk(bytes), "DUMP") = (reply, call.name().as_str()) {
                payload = bytes;
            }
        }
    }
}

/// All keys that live on, with what there is to know of each and, where it has an order, its payload.
fn living(client: &mut Client, until_ms: i64) -> State {
    let mut state = state::read(client).expect("the server answers");
    let dies =
        |facts: &[(Call, Value)]| matches!(facts[3].1, Value::Int(at_ms) if (0..until_ms).contains(&at_ms));
    state.retain(|_, facts| !dies(facts));
    for ((database, key), facts) in &mut state {
        // How a string is encoded depends on which command has made it, and says nothing of what is in it.
        if facts[0].1 == Value::Simple(b"string".to_vec()) {
            facts.remove(1);
        }
        // When a consumer was last seen is journalled only with what else it did.
        if facts.iter_mut().any(|(_, fact)| has_forgotten_seen_times(fact)) {
            continue;
        }
        let is_table = facts.iter().any(|(_, fact)| *fact == Value::Bulk(b"hashtable".to_vec()));
        if !is_table {
            client.run(&format!("SELECT {database}"));
            let dump = Call(vec![b"DUMP".to_vec(), key.clone()]);
            let payload = client.call(&dump.0);
            facts.push((dump, payload));
        }
    }
    state
}

/// Whether there was any such time among what is told of a stream.
fn has_forgotten_seen_times(told: &mut Value) -> bool {
    let Value::Array(items) = told else { return false };
    let mut has_any = false;
    for at in 0..items.len() {
        if at > 0 && items[at - 1] == Value::Bulk(b"seen-time".to_vec()) {
            items[at] = Value::Int(0);
            has_any = true;
        } else {
            has_any |= has_forgotten_seen_times(&mut items[at]);
        }
    }
    has_any
}

fn now_ms(client: &mut Client) -> i64 {
    let Value::Array(parts) = client.run("TIME") else { panic!("TIME is an array") };
    let Value::Bulk(seconds) = &parts[0] else { panic!("of texts") };
    String::from_utf8_lossy(seconds).parse::<i64>().expect("a number") * 1000
}

fn compare(before: &State, after: &State, seed: u64) {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for (database, key) in keys {
        let [before, after] = [before, after].map(|state| state.get(&(*database, key.clone())));
        let all = |facts: Option<&Vec<(Call, Value)>>| format!("{facts:?}");
        assert!(
            before == after,
            "BOBBIN_RESTART_SEED={seed}: key {} of database {database}\n before: {}\n  after: {}",
            key.escape_ascii(),
            all(before),
            all(after),
        );
    }
}

fn restart_after_each_case(directives: &[&str]) {
    let directives = [&LIMITS, directives].concat();
    let grammar = Grammar::of(&grammar::all_names(), &BTreeSet::new());
    let (mut server, mut keys) = (bobbin_journalled(REACTORS[0], &directives), 0);
    for seed in seeds() {
        play(&server, &grammar.case(seed, STEPS));
        let mut client = server.connect();
        let until_ms = now_ms(&mut client) + LIFETIME_MS;
        let before = living(&mut client, until_ms);
        keys += before.len();
        if seed.is_multiple_of(2) {
            server.kill();
        } else {
            assert!(server.stop(), "it ended well");
        }
        server.start_again(REACTORS[(seed as usize + 1) % REACTORS.len()], &directives);
        compare(&before, &living(&mut server.connect(), until_ms), seed);
    }
    assert!(keys > 0, "nothing was compared");
    eprintln!("{keys} keys compared");
}

#[test]
fn every_key_is_what_it_was() {
    restart_after_each_case(&[]);
}

#[test]
fn every_key_is_what_it_was_in_every_encoding() {
    restart_after_each_case(&EARLY);
}
