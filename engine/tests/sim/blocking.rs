//! Commands that wait, under the scheduler.

use std::collections::BTreeMap;

use bobbin_proto::Value;

use crate::for_seeds;
use crate::world::World;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn text(value: &Value) -> Option<String> {
    if let Value::Bulk(bytes) = value { Some(String::from_utf8_lossy(bytes).into_owned()) } else { None }
}

/// Elements in replies of commands that pop, and what is left of the lists.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    /// BLPOP answers the key and the element; what BLMOVE answers stays in a list.
    fn note(&mut self, reply: &Value) {
        if let Value::Array(pair) = reply {
            pair.last().and_then(text).into_iter().for_each(|element| self.one(element));
        }
    }

    fn one(&mut self, element: String) {
        *self.0.entry(element).or_default() += 1;
    }
}

fn remaining(world: &mut World, client: usize, tally: &mut Tally) {
    for key in KEYS {
        world.clients[client].request(&["LRANGE", key, "0", "-1"]);
        world.run();
        let Some(Value::Array(elements)) = world.clients[client].reply() else {
            panic!("LRANGE is answered")
        };
        elements.iter().filter_map(text).for_each(|element| tally.one(element));
    }
}

fn ask_for_elements(world: &mut World, client: usize) {
    let mut keys = KEYS;
    world.rng.shuffle(&mut keys);
    let request: &[&str] = match world.rng.u8(..4) {
        0 => &["BLPOP", keys[0], "0"],
        1 => &["BRPOP", keys[0], keys[1], keys[2], "0"],
        2 => &["BLPOP", keys[0], keys[1], keys[2], keys[3], keys[4], "0"],
        _ => &["BLMOVE", keys[0], keys[1], "LEFT", "RIGHT", "0"],
    };
    world.clients[client].request(request);
}

fn push(world: &mut World, client: usize, next: &mut usize) {
    let mut keys = KEYS;
    world.rng.shuffle(&mut keys);
    let mut element = || {
        *next += 1;
        format!("e{next}")
    };
    let (one, two, three) = (element(), element(), element());
    match world.rng.u8(..4) {
        0 => world.clients[client].request(&["RPUSH", keys[0], &one, &two, &three]),
        1 => {
            for request in [
                &["MULTI"][..],
                &["RPUSH", keys[0], &one],
                &["LPUSH", keys[1], &two],
                &["RPUSH", keys[2], &three],
                &["EXEC"],
            ] {
                world.clients[client].request(request);
            }
        }
        2 => {
            world.clients[client].request(&["RPUSH", keys[0], &one, &two, &three]);
            world.clients[client].request(&["LMOVE", keys[0], keys[1], "LEFT", "RIGHT"]);
        }
        _ => {
            for request in [
                &["MULTI"][..],
                &["RPUSH", keys[0], &one, &two],
                &["DBSIZE"],
                &["RPUSH", keys[1], &three],
                &["EXEC"],
            ] {
                world.clients[client].request(request);
            }
        }
    }
}

/// Elements are pushed by commands and blocks of every kind, and popped by clients that wait on any of the keys. Each
/// element is popped once or still there; no client waits beside an element that it could have; with clients that
/// vanish, no more is missing than was on its way to them.
#[test]
fn every_element_is_popped_once_or_still_there() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 8);
        let vanishing = world.rng.usize(..3);
        let mut pushed = 0;
        for _ in 0..6 {
            (0..5).for_each(|client| ask_for_elements(&mut world, client));
            for client in [5, 6] {
                push(&mut world, client, &mut pushed);
            }
        }
        for client in 0..vanishing {
            for _ in 0..world.rng.usize(..60) {
                world.step();
            }
            world.disconnect(client);
        }
        world.run();
        let mut tally = Tally::default();
        for client in 0..5 {
            while let Some(reply) = world.clients[client].reply() {
                assert!(!matches!(reply, Value::Error(_)), "{reply:?}");
                tally.note(&reply);
            }
        }
        remaining(&mut world, 7, &mut tally);
        assert!(tally.0.values().all(|&times| times == 1), "popped twice: {:?}", tally.0);
        let missing = pushed - tally.0.len();
        // Each that vanished may have had one reply on its way at a time, and replies it had not been sent.
        assert!(missing <= vanishing * 6, "{missing} of {pushed} are lost");
        if vanishing == 0 {
            assert_eq!(missing, 0);
        }
        // Whoever waits still gets something once there is something everywhere.
        for _ in 0..40 {
            let values = ["x"; 3];
            for key in KEYS {
                world.clients[6].request(&["RPUSH", key, values[0], values[1], values[2]]);
            }
        }
        world.run();
        assert!(world.is_at_rest());
    });
}

/// Clients of all cores begin to wait one after the other; elements come by and by, and each goes to whoever has waited
/// longest.
#[test]
fn whoever_has_waited_longest_is_served_first() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 8);
        let mut waiting: Vec<usize> = (0..6).collect();
        world.rng.shuffle(&mut waiting);
        let key = KEYS[world.rng.usize(..KEYS.len())];
        for &client in &waiting {
            let other = if world.rng.bool() { "elsewhere" } else { "nowhere" };
            world.clients[client].request(&["BLPOP", other, key, "0"]);
            world.run();
        }
        // Takes what it finds, if it can: it came last.
        let thief = 7;
        for number in 0..6 {
            let element = number.to_string();
            if world.rng.bool() {
                world.clients[6].request(&["RPUSH", key, &element]);
            } else {
                for request in [&["MULTI"][..], &["RPUSH", key, &element], &["SET", "beside", "1"], &["EXEC"]]
                {
                    world.clients[6].request(request);
                }
            }
            world.clients[thief].request(&["LPOP", key]);
        }
        world.run();
        let mut stolen: Vec<String> = Vec::new();
        while let Some(reply) = world.clients[thief].reply() {
            stolen.extend(text(&reply));
        }
        assert!(stolen.is_empty(), "taken from under those who waited: {stolen:?}");
        for (number, client) in waiting.into_iter().enumerate() {
            let Some(Value::Array(pair)) = world.clients[client].reply() else {
                panic!("{client} is served")
            };
            assert_eq!(text(&pair[1]), Some(number.to_string()), "client {client}");
        }
        assert!(world.is_at_rest());
    });
}

/// Waits with a time-out: each is answered once, with an element or with nothing, and no element is lost to one whose
/// time was over.
#[test]
fn a_wait_ends_once() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 6);
        let (mut pushed, rounds) = (0, 8);
        for _ in 0..rounds {
            for client in 0..4 {
                let mut keys = KEYS;
                world.rng.shuffle(&mut keys);
                world.clients[client].request(&["BLPOP", keys[0], keys[1], "0.0005"]);
            }
            push(&mut world, 4, &mut pushed);
        }
        world.run();
        let mut tally = Tally::default();
        for client in 0..4 {
            for _ in 0..rounds {
                let reply = world.clients[client].reply().expect("a wait ends");
                tally.note(&reply);
            }
            assert_eq!(world.clients[client].reply(), None);
        }
        remaining(&mut world, 5, &mut tally);
        assert!(tally.0.values().all(|&times| times == 1), "{:?}", tally.0);
        assert_eq!(tally.0.len(), pushed);
        assert!(world.is_at_rest());
    });
}

/// A block fills keys of several cores; those who wait for any of them are served in the order in which it filled them.
#[test]
fn keys_that_one_block_fills_are_served_in_its_order() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 5);
        let mut keys = KEYS;
        for client in 0..3 {
            world.rng.shuffle(&mut keys);
            world.clients[client].request(&["BLPOP", keys[0], keys[1], keys[2], keys[3], keys[4], "0"]);
            world.run();
        }
        world.rng.shuffle(&mut keys);
        let in_steps = world.rng.bool();
        let beside = ["SET", "beside", "1"];
        let others = if in_steps { &[&["DBSIZE"][..], &beside] } else { &[&["PING"][..], &beside] };
        let mut block: Vec<Vec<&str>> = keys[..3].iter().map(|key| vec!["RPUSH", key, key]).collect();
        for other in others {
            let at = world.rng.usize(..=block.len());
            block.insert(at, other.to_vec());
        }
        // What names keys and fills none does not count.
        block.insert(0, vec!["LMPOP", "3", keys[2], keys[1], keys[0], "LEFT"]);
        world.clients[3].request(&["MULTI"]);
        block.iter().for_each(|request| world.clients[3].request(request));
        world.clients[3].request(&["EXEC"]);
        // Takes what it finds, if it can.
        keys.iter().for_each(|key| world.clients[4].request(&["LPOP", key]));
        world.run();
        for (client, key) in keys[..3].iter().enumerate() {
            let Some(Value::Array(pair)) = world.clients[client].reply() else {
                panic!("{client} is served")
            };
            assert_eq!(pair.iter().filter_map(text).collect::<Vec<_>>(), [*key; 2], "client {client}");
        }
        assert!(world.is_at_rest());
    });
}
