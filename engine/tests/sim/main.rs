//! Several cores of the real core code under a seeded scheduler: what a client may rely on, whatever the order in
//! which messages arrive.
//!
//! A failure names its seed; `BOBBIN_SIM_SEED=n cargo test -p bobbin-engine --test sim` replays it, and
//! `BOBBIN_SIM_SEEDS=n` sets how many are tried.

mod barriers;
mod blocking;
mod history;
mod pubsub;
mod record;
mod rules;
mod scopes;
mod transactions;
mod workload;
mod world;

use std::collections::HashMap;

use bobbin_proto::Value;
use world::World;

/// Runs `test` under many seeds, or under the one asked for.
fn for_seeds(test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("BOBBIN_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BOBBIN_SIM_SEEDS").unwrap_or(3000),
    };
    for seed in seeds {
        if let Err(failure) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("failed with BOBBIN_SIM_SEED={seed}");
            std::panic::resume_unwind(failure);
        }
    }
}

fn bulk(text: Option<&String>) -> Value {
    text.map_or(Value::NullBulk, |text| Value::Bulk(text.clone().into_bytes()))
}

/// Each client has keys of its own, on all shards, and pipelines everything it does: every reply is what the client's
/// own commands in the order sent lead to, also behind commands over several shards.
#[test]
fn a_pipeline_is_answered_as_if_it_ran_alone_in_order() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 4);
        let mut expected: Vec<Vec<Value>> = vec![Vec::new(); 4];
        for (client, expected) in expected.iter_mut().enumerate() {
            let mut model: HashMap<String, String> = HashMap::new();
            for step in 0..30 {
                let key = |rng: &mut fastrand::Rng| format!("c{client}:k{}", rng.u8(..6));
                let (a, b) = (key(&mut world.rng), key(&mut world.rng));
                let value = format!("v{step}");
                match world.rng.u8(..4) {
                    0 => {
                        world.clients[client].request(&["SET", &a, &value]);
                        model.insert(a, value);
                        expected.push(Value::Simple(b"OK".to_vec()));
                    }
                    1 => {
                        world.clients[client].request(&["GET", &a]);
                        expected.push(bulk(model.get(&a)));
                    }
                    2 => {
                        world.clients[client].request(&["MSET", &a, &value, &b, &value]);
                        model.insert(a, value.clone());
                        model.insert(b, value);
                        expected.push(Value::Simple(b"OK".to_vec()));
                    }
                    _ => {
                        world.clients[client].request(&["MGET", &a, &b]);
                        expected.push(Value::Array(vec![bulk(model.get(&a)), bulk(model.get(&b))]));
                    }
                }
            }
        }
        world.run();
        for (client, expected) in expected.into_iter().enumerate() {
            for (index, expected) in expected.into_iter().enumerate() {
                assert_eq!(world.clients[client].reply(), Some(expected), "client {client}, reply {index}");
            }
            assert_eq!(world.clients[client].reply(), None);
        }
        assert!(world.is_at_rest());
    });
}

/// Writers set the same keys, spread over all shards, to one value each; whoever reads them sees one value.
#[test]
fn a_write_over_several_shards_is_seen_whole_or_not_at_all() {
    const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
    for_seeds(|seed| {
        let mut world = World::new(seed, 4, 6);
        for client in 0..6 {
            for round in 0..10 {
                let value = format!("{client}.{round}");
                let mut keys = KEYS;
                world.rng.shuffle(&mut keys);
                if client < 3 {
                    let args: Vec<&str> = std::iter::once("MSET")
                        .chain(keys.iter().flat_map(|key| [*key, value.as_str()]))
                        .collect();
                    world.clients[client].request(&args);
                } else {
                    let args: Vec<&str> = std::iter::once("MGET").chain(keys).collect();
                    world.clients[client].request(&args);
                }
            }
        }
        world.run();
        for client in 3..6 {
            for _ in 0..10 {
                let Some(Value::Array(values)) = world.clients[client].reply() else {
                    panic!("MGET is answered")
                };
                assert!(
                    values.windows(2).all(|pair| pair[0] == pair[1]),
                    "a torn write was read: {values:?}"
                );
            }
        }
        assert!(world.is_at_rest());
    });
}

/// Clients that vanish at any moment leave no lock behind: those who stay are answered, and the server comes to rest.
#[test]
fn a_client_that_goes_away_holds_nobody_up() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 6);
        for client in 0..6 {
            for round in 0..12 {
                let value = round.to_string();
                world.clients[client].request(&["MSET", "a", &value, "b", &value, "c", &value, "d", &value]);
                world.clients[client].request(&["GET", "a"]);
                world.clients[client].request(&["MGET", "d", "c", "b", "a"]);
            }
        }
        let mut leaving = [0, 1, 2];
        world.rng.shuffle(&mut leaving);
        for client in leaving {
            for _ in 0..world.rng.usize(..60) {
                world.step();
            }
            world.disconnect(client);
        }
        world.run();
        for client in 3..6 {
            let replies = std::iter::from_fn(|| world.clients[client].reply()).count();
            assert_eq!(replies, 36, "client {client} is answered");
        }
        assert!(world.is_at_rest());
    });
}

/// Keys that move between names on all shards are neither lost nor doubled, whoever looks, even while clients that move
/// them vanish, and while others walk over whole shards.
#[test]
fn keys_that_are_renamed_are_always_all_there() {
    const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const WALKS: [&[&str]; 5] =
        [&["KEYS", "*"], &["SCAN", "0"], &["RANDOMKEY"], &["DBSIZE"], &["SWAPDB", "1", "2"]];
    let there = Value::Int(3);
    let look: Vec<&str> = std::iter::once("EXISTS").chain(KEYS).collect();
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 6);
        world.clients[0].request(&["MSET", "a", "1", "b", "2", "c", "3"]);
        world.run();
        assert!(world.clients[0].reply().is_some());
        for _ in 0..15 {
            for mover in 1..4 {
                let mut keys = KEYS;
                world.rng.shuffle(&mut keys);
                world.clients[mover].request(&["RENAMENX", keys[0], keys[1]]);
            }
            world.clients[4].request(&look);
            let walk = WALKS[world.rng.usize(..WALKS.len())];
            world.clients[5].request(walk);
        }
        for mover in [1, 2] {
            for _ in 0..world.rng.usize(..60) {
                world.step();
            }
            world.disconnect(mover);
        }
        world.run();
        world.clients[0].request(&look);
        world.run();
        assert_eq!(world.clients[0].reply(), Some(there.clone()));
        for _ in 0..15 {
            assert_eq!(world.clients[4].reply(), Some(there.clone()));
        }
        for client in [3, 5] {
            assert_eq!(std::iter::from_fn(|| world.clients[client].reply()).count(), 15, "client {client}");
        }
        assert!(world.is_at_rest());
    });
}

/// A SORT whose patterns lead to keys on all shards reads them at one moment, and the elements with them: whatever it
/// answers or stores was written by one command, even while others that sort vanish.
#[test]
fn a_sort_sees_all_that_its_patterns_lead_to_at_one_moment() {
    const GETS: [&[&str]; 4] = [
        &["SORT", "l", "BY", "nosort", "GET", "w_*"],
        &["SORT", "l", "BY", "w_*", "GET", "w_*", "DESC"],
        &["SORT_RO", "l", "BY", "w_*", "ALPHA", "GET", "w_*", "LIMIT", "0", "9"],
        &["SORT", "l", "BY", "w_*", "GET", "w_*", "STORE", "to"],
    ];
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 6);
        world.clients[0].request(&["RPUSH", "l", "a", "b", "c", "d", "e"]);
        world.clients[0].request(&["MSET", "w_a", "0", "w_b", "0", "w_c", "0", "w_d", "0", "w_e", "0"]);
        world.run();
        for round in 0..10 {
            for writer in 0..2 {
                let value = format!("{round}{writer}");
                let mut keys = ["w_a", "w_b", "w_c", "w_d", "w_e"];
                world.rng.shuffle(&mut keys);
                let pairs = keys.iter().flat_map(|key| [*key, value.as_str()]);
                let args: Vec<&str> = std::iter::once("MSET").chain(pairs).collect();
                world.clients[writer].request(&args);
            }
            for sorter in 2..5 {
                let sort = GETS[world.rng.usize(..GETS.len())];
                world.clients[sorter].request(sort);
            }
            world.clients[5].request(&["LRANGE", "to", "0", "-1"]);
        }
        for _ in 0..world.rng.usize(..100) {
            world.step();
        }
        world.disconnect(2);
        world.run();
        for reader in 3..6 {
            let replies: Vec<Value> = std::iter::from_fn(|| world.clients[reader].reply()).collect();
            assert_eq!(replies.len(), 10, "client {reader} is answered");
            for reply in replies {
                let Value::Array(values) = reply else { continue };
                assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "a torn sort: {values:?}");
            }
        }
        assert!(world.is_at_rest());
    });
}

/// Two that each sort what the other stores come one after the other: both keys hold the same then.
#[test]
fn sorts_that_store_do_not_pass_each_other() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 2);
        world.clients[0].request(&["RPUSH", "x", "1"]);
        world.clients[0].request(&["RPUSH", "y", "2"]);
        world.run();
        world.clients[0].request(&["SORT", "x", "BY", "w_*", "STORE", "y"]);
        world.clients[1].request(&["SORT", "y", "BY", "w_*", "STORE", "x"]);
        world.run();
        world.clients[0].request(&["LRANGE", "x", "0", "-1"]);
        world.clients[0].request(&["LRANGE", "y", "0", "-1"]);
        world.run();
        let replies: Vec<Value> = std::iter::from_fn(|| world.clients[0].reply()).collect();
        assert_eq!(replies[3], replies[4]);
    });
}

/// A client that closes its half of the connection at any moment gets the reply of everything that it sent whole, and
/// then the connection ends.
#[test]
fn whoever_closes_its_half_is_answered_to_the_end() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 3);
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); 3];
        for (client, ends) in ends.iter_mut().enumerate() {
            for round in 0..12 {
                let value = round.to_string();
                let mset = ["MSET", "a", &value, "b", &value, "c", &value, "d", &value];
                for request in [&mset[..], &["GET", "a"], &["GET", "b"], &["MGET", "d", "c", "b", "a"]] {
                    world.clients[client].request(request);
                    ends.push(world.clients[client].unsent_len());
                }
            }
        }
        for _ in 0..world.rng.usize(..80) {
            world.step();
        }
        world.close_half(0);
        world.run();
        for (client, ends) in ends.iter().enumerate() {
            let whole = ends.iter().filter(|&&end| end <= world.clients[client].sent).count();
            let replies = std::iter::from_fn(|| world.clients[client].reply()).count();
            assert_eq!(replies, whole, "client {client}");
            assert_eq!(world.clients[client].is_served(), client > 0);
        }
        assert!(world.is_at_rest());
    });
}

/// A reply orders what follows it: who has read a new value under one key does not read an older one under another
/// that was written with it, by commands of one shard each.
#[test]
fn single_reads_do_not_see_a_write_half_done() {
    const ROUNDS: usize = 12;
    for_seeds(|seed| {
        let mut world = World::new(seed, 4, 4);
        let mut pairs = [("a", "b"), ("c", "d"), ("b", "c")];
        world.rng.shuffle(&mut pairs);
        for round in 1..=ROUNDS {
            let value = round.to_string();
            world.clients[0].request(&["MSET", "a", &value, "b", &value, "c", &value, "d", &value]);
        }
        let mut seen: [Vec<usize>; 3] = Default::default();
        for (reader, (first, _)) in pairs.iter().enumerate() {
            world.clients[reader + 1].request(&["GET", first]);
        }
        while world.step() {
            for (reader, (first, second)) in pairs.iter().enumerate() {
                let Some(value) = world.clients[reader + 1].reply() else { continue };
                seen[reader].push(number(&value));
                if seen[reader].len() < 2 * ROUNDS {
                    let next = if seen[reader].len().is_multiple_of(2) { first } else { second };
                    world.clients[reader + 1].request(&["GET", next]);
                }
            }
        }
        for values in seen {
            assert_eq!(values.len(), 2 * ROUNDS);
            assert!(values.is_sorted(), "time went backwards: {values:?}");
        }
    });
}

fn number(value: &Value) -> usize {
    match value {
        Value::Bulk(digits) => String::from_utf8_lossy(digits).parse().expect("a number was written"),
        _ => 0,
    }
}

/// What random clients get from any number of cores, one thread could have given them, even while they vanish; and
/// nothing is left of those who are gone.
#[test]
fn every_history_is_strictly_serializable() {
    for_seeds(|seed| workload::play_and_check(workload::Plan::of(seed), seed));
}

/// A client vanishes, or closes its half, after each step in turn of some histories.
#[test]
fn a_client_may_vanish_after_any_step() {
    for_seeds(|seed| {
        let (history, step) = (seed / 128, seed as usize % 128);
        let plan = workload::Plan::of(history);
        let client = history as usize % plan.clients;
        let vanishing = workload::Vanishing { client, step, half: history % 3 == 2 };
        workload::play_and_check(workload::Plan { vanishes: Some(vanishing), ..plan }, history);
    });
}
