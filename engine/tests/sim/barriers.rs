//! Each kind of barrier: it starts when all that its connection sent before has taken effect, and nothing sent later
//! overtakes it.
//!
//! A client writes a round's number to keys of all shards, lets a barrier follow, and writes the number to other keys.
//! Whoever then finds the number under one of the second finds it, or a later one, under each of the first. The
//! lanes are as late as the scheduler likes. Either half of the promise alone keeps these writes in order; each by itself
//! shows in what the barrier answers, which random histories check: they miss the rules `BarriersWait` and
//! `BarriersAreWaitedFor`.

use bobbin_proto::Value;

use crate::for_seeds;
use crate::world::World;

const BEFORE: [&str; 3] = ["a", "b", "c"];
const BEHIND: [&str; 3] = ["d", "e", "f"];
const ROUNDS: usize = 4;

type Barrier = &'static [&'static [&'static str]];

/// Barriers that are answered at once or after a while: requests, and how they differ.
const BARRIERS: &[Barrier] = &[
    // Commands whose keys lie on several shards: scattered, and on borrowed keys.
    &[&["MGET", "p", "q", "r", "s"]],
    &[&["MSET", "p", "1", "q", "1", "r", "1", "s", "1"]],
    &[&["SINTERSTORE", "x", "y", "z", "t"]],
    // Blocks: shipped, lent, held.
    &[&["MULTI"], &["GET", "p"], &["EXEC"]],
    &[&["MULTI"], &["SET", "q", "1"], &["EXEC"]],
    &[&["MULTI"], &["GET", "p"], &["GET", "q"], &["GET", "r"], &["GET", "s"], &["EXEC"]],
    &[&["MULTI"], &["GET", "p"], &["DBSIZE"], &["EXEC"]],
    // Commands that wait, whether they find something, give up, or have keys on several shards.
    &[&["BLPOP", "full", "0"]],
    &[&["BLPOP", "none", "0.0005"]],
    &[&["BLPOP", "none", "never", "nothing", "nowhere", "0.0005"]],
    &[&["BLMOVE", "full", "full2", "LEFT", "RIGHT", "0"]],
    &[&["BZPOPMIN", "none", "0.0005"]],
    &[&["XREAD", "BLOCK", "1", "STREAMS", "none", "$"]],
    // Errands: as one step of the whole database, and shard by shard.
    &[&["SWAPDB", "1", "2"]],
    &[&["DBSIZE"]],
    &[&["KEYS", "nothing*"]],
    &[&["SCAN", "0"]],
    &[&["RANDOMKEY"]],
    // A course.
    &[&["SORT", "none", "BY", "w_*", "GET", "w_*"]],
];

/// Whether the reader found a later write without an earlier one.
fn is_overtaken(seed: u64, barrier: Barrier) -> bool {
    let mut world = World::new(seed, 4, 3);
    world.clients[0].request(&["SELECT", "3"]);
    for client in [1, 2] {
        world.clients[client].request(&["SELECT", "3"]);
    }
    for _ in 0..ROUNDS {
        world.clients[2].request(&["RPUSH", "full", "x"]);
    }
    world.run();
    for round in 1..=ROUNDS {
        let number = round.to_string();
        BEFORE.iter().for_each(|key| world.clients[0].request(&["SET", key, &number]));
        barrier.iter().for_each(|request| world.clients[0].request(request));
        BEHIND.iter().for_each(|key| world.clients[0].request(&["SET", key, &number]));
    }
    look_until_quiet(&mut world)
}

/// Reads one of the keys written behind the barrier, then, once that is answered, one of those written before.
fn look_until_quiet(world: &mut World) -> bool {
    while world.clients[1].reply().is_some() {}
    let (mut asked, mut behind) = (0, 0);
    loop {
        if asked == 0 {
            let key = BEHIND[world.rng.usize(..BEHIND.len())];
            world.clients[1].request(&["GET", key]);
            asked = 1;
        }
        let stepped = world.step();
        if let Some(reply) = world.clients[1].reply() {
            if asked == 1 {
                behind = number(&reply);
                let key = BEFORE[world.rng.usize(..BEFORE.len())];
                world.clients[1].request(&["GET", key]);
                asked = 2;
            } else {
                asked = 0;
                if number(&reply) < behind {
                    return true;
                }
            }
            if behind == ROUNDS && asked == 0 {
                return false;
            }
        }
        assert!(stepped || world.clients[1].unsent_len() > 0, "an answer is missing");
    }
}

fn number(value: &Value) -> usize {
    match value {
        Value::Bulk(digits) => String::from_utf8_lossy(digits).parse().expect("a number was written"),
        _ => 0,
    }
}

#[test]
fn nothing_passes_a_barrier() {
    for_seeds(|seed| {
        let barrier = BARRIERS[seed as usize % BARRIERS.len()];
        assert!(!is_overtaken(seed, barrier), "{barrier:?}");
    });
}

/// What is no barrier is passed: the test above would see it.
#[test]
fn what_is_no_barrier_is_passed() {
    let between: [Barrier; 3] = [&[], &[&["GET", "p"]], &[&["PING"]]];
    for barrier in between {
        assert!((0..2000).any(|seed| is_overtaken(seed, barrier)), "{barrier:?}");
    }
}
