//! Random commands over all families, the same to Bobbin (two reactors) and to redis-server: replies are compared byte
//! for byte, in RESP2 and RESP3, alone and many in one write; every few steps all data is. What is excepted stands in
//! `exceptions`, and nothing else is.
//!
//! A failure is shrunk, printed as a script for redis-cli, and names its seed; `BOBBIN_DIFF_SEED=n cargo test -p
//! bobbin-engine --test differential` replays it. `BOBBIN_DIFF_SEEDS=n` or `from..to` sets which cases are tried,
//! `BOBBIN_DIFF_STEPS` how many steps each has.

#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod call;
mod coverage;
mod exceptions;
mod follow;
mod grammar;
mod session;
mod shrink;
mod state;
#[path = "../support/mod.rs"]
mod support;
mod template;
mod vocabulary;

use std::collections::BTreeSet;
use std::ops::Range;

use bobbin_proto::Value;

use grammar::Grammar;
use session::Session;
use support::Client;

/// About 75 seconds on two cores, in the profile that tests are built in.
const CASES: u64 = 400;
const STEPS: usize = 250;

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("BOBBIN_DIFF_{name}")).ok()
}

/// The seeds that were asked for.
fn seeds() -> Range<u64> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text} is no number of a seed"));
    if let Some(seed) = setting("SEED") {
        return number(&seed)..number(&seed) + 1;
    }
    let Some(seeds) = setting("SEEDS") else { return 0..CASES };
    match seeds.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&seeds),
    }
}

fn strings(reply: Value) -> BTreeSet<String> {
    let items = match reply {
        Value::Array(items) | Value::Set(items) => items,
        other => panic!("not a list: {other:?}"),
    };
    let text = |item: Value| match item {
        Value::Bulk(text) | Value::Simple(text) => String::from_utf8_lossy(&text).into_owned(),
        other => panic!("not a text: {other:?}"),
    };
    items.into_iter().map(text).collect()
}

fn commands(client: &mut Client) -> BTreeSet<String> {
    strings(client.run("COMMAND LIST"))
}

fn directives(client: &mut Client) -> BTreeSet<String> {
    strings(client.run("CONFIG GET *"))
}

fn grammar(session: &mut Session) -> Grammar {
    let grammar = Grammar::of(&session.known_to_both(commands), &session.known_to_both(directives));
    session.set_defaults(grammar.defaults());
    grammar
}

#[test]
fn replies_and_data_are_those_of_redis() {
    let steps = setting("STEPS").map_or(STEPS, |steps| steps.parse().expect("a number of steps"));
    let mut session = Session::start();
    let grammar = grammar(&mut session);
    for seed in seeds() {
        let mut case = grammar.case(seed, steps);
        if let Err(difference) = session.run(&case) {
            case.truncate(difference.step + 1);
            fail(&mut session, seed, case, &difference.to_string());
        }
    }
    eprintln!("{} commands compared", session.compared);
}

fn fail(session: &mut Session, seed: u64, case: call::Case, first: &str) -> ! {
    eprintln!("BOBBIN_DIFF_SEED={seed} fails at step {}, and is being shrunk: {first}", case.len());
    let mut last = first.to_owned();
    let small = shrink::shrink(case, |case| match session.run(case) {
        Ok(()) => false,
        Err(difference) => {
            last = difference.to_string();
            true
        }
    });
    panic!("failed with BOBBIN_DIFF_SEED={seed}\n{}{last}", call::script(&small));
}
