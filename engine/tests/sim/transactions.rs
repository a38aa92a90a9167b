//! MULTI, EXEC and WATCH under the scheduler.

use bobbin_proto::Value;

use crate::for_seeds;
use crate::world::World;

const ACCOUNTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const EACH: i64 = 100;

fn open_accounts(world: &mut World) {
    let mut mset = vec!["MSET"];
    ACCOUNTS.iter().for_each(|account| mset.extend([*account, "100"]));
    world.clients[0].request(&mset);
    world.run();
    assert!(world.clients[0].reply().is_some());
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        Value::Bulk(digits) => String::from_utf8_lossy(digits).parse().expect("a number was written"),
        other => panic!("no number: {other:?}"),
    }
}

/// Money moves between accounts on all shards, by blocks of every kind; nobody ever sees some of it missing, even while
/// clients vanish in the middle.
#[test]
fn transfers_are_whole_whoever_looks() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 6);
        open_accounts(&mut world);
        for _ in 0..8 {
            for mover in 0..4 {
                let mut accounts = ACCOUNTS;
                world.rng.shuffle(&mut accounts);
                let read = ["GET", accounts[2]];
                let between = [&[][..], &["PING"], &["DBSIZE"], &read][world.rng.usize(..4)];
                let client = &mut world.clients[mover];
                client.request(&["MULTI"]);
                client.request(&["DECRBY", accounts[0], "7"]);
                if !between.is_empty() {
                    client.request(between);
                }
                client.request(&["INCRBY", accounts[1], "7"]);
                client.request(&["EXEC"]);
            }
            let look: Vec<&str> = std::iter::once("MGET").chain(ACCOUNTS).collect();
            world.clients[4].request(&look);
            world.clients[5].request(&["MULTI"]);
            ACCOUNTS.iter().for_each(|account| world.clients[5].request(&["GET", account]));
            world.clients[5].request(&["EXEC"]);
        }
        for mover in [1, 2] {
            for _ in 0..world.rng.usize(..80) {
                world.step();
            }
            world.disconnect(mover);
        }
        world.run();
        for (client, replies_each) in [(4, 1), (5, 8)] {
            for _ in 0..8 {
                (1..replies_each).for_each(|_| assert!(world.clients[client].reply().is_some()));
                let Some(Value::Array(values)) = world.clients[client].reply() else { panic!("no values") };
                let sum: i64 = values.iter().map(int).sum();
                assert_eq!(sum, EACH * ACCOUNTS.len() as i64, "client {client}: {values:?}");
            }
        }
        assert!(world.is_at_rest());
    });
}

/// Where a client is in its loop of reading and setting.
#[derive(Clone, Copy, Debug, Default)]
struct Setter {
    round: usize,
    done: usize,
}

/// Counters raised by reading and setting them under WATCH: no raise is lost, and with two counters raised together,
/// both are the same whenever they are read together.
#[test]
fn what_is_set_under_watch_builds_on_what_was_read() {
    const ROUNDS: usize = 8;
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 5);
        let mut counters = ["x", "y", "z", "w"];
        world.rng.shuffle(&mut counters);
        let [first, second, ..] = counters;
        world.clients[0].request(&["MSET", first, "0", second, "0"]);
        world.run();
        assert!(world.clients[0].reply().is_some());
        let mut setters = [Setter::default(); 4];
        let begin = |world: &mut World, client: usize| {
            world.clients[client].request(&["WATCH", first, second]);
            world.clients[client].request(&["MGET", first, second]);
        };
        (0..4).for_each(|client| begin(&mut world, client));
        while world.step() {
            for (client, setter) in setters.iter_mut().enumerate() {
                while let Some(reply) = world.clients[client].reply() {
                    match reply {
                        Value::Array(values)
                            if values.iter().all(|value| matches!(value, Value::Bulk(_))) =>
                        {
                            assert_eq!(values[0], values[1], "client {client}");
                            let next = (int(&values[0]) + 1).to_string();
                            world.clients[client].request(&["MULTI"]);
                            if setter.round % 3 == 2 {
                                world.clients[client].request(&["DBSIZE"]);
                            }
                            world.clients[client].request(&["SET", first, &next]);
                            world.clients[client].request(&["SET", second, &next]);
                            world.clients[client].request(&["EXEC"]);
                        }
                        Value::Array(_) | Value::NullArray | Value::Null => {
                            setter.done += usize::from(matches!(reply, Value::Array(_)));
                            setter.round += 1;
                            if setter.round < ROUNDS {
                                begin(&mut world, client);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        let done: usize = setters.iter().map(|setter| setter.done).sum();
        assert!(setters.iter().all(|setter| setter.round == ROUNDS), "{setters:?}");
        assert!(done >= ROUNDS, "at least one of all gets through each time");
        world.clients[4].request(&["MGET", first, second]);
        world.run();
        let Some(Value::Array(values)) = world.clients[4].reply() else { panic!("no values") };
        assert_eq!(values.iter().map(int).collect::<Vec<_>>(), [done as i64; 2]);
        assert!(world.is_at_rest());
    });
}

/// A watch fails for what was written after it, and for nothing else: not for what had been answered before.
#[test]
fn a_watch_does_not_fail_for_what_was_there_before() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 4, 3);
        let mut keys = ACCOUNTS;
        for round in 0..10 {
            world.rng.shuffle(&mut keys);
            let value = round.to_string();
            world.clients[0].request(&["MULTI"]);
            keys[..4].iter().for_each(|key| world.clients[0].request(&["SET", key, &value]));
            world.clients[0].request(&["EXEC"]);
            // Until the last of the replies has come, and no further: what follows it is still under way.
            let mut replies = 0;
            while replies < 6 {
                replies += std::iter::from_fn(|| world.clients[0].reply()).count();
                assert!(replies == 6 || world.step(), "EXEC is answered");
            }
            world.clients[1].request(&["WATCH", keys[0], keys[3]]);
            world.clients[1].request(&["MULTI"]);
            world.clients[1].request(&["GET", keys[0]]);
            world.clients[1].request(&["EXEC"]);
            world.clients[2].request(&["MSET", keys[4], &value, keys[5], &value]);
            world.run();
            let exec = std::iter::from_fn(|| world.clients[1].reply()).last();
            assert_eq!(exec, Some(Value::Array(vec![Value::Bulk(value.into_bytes())])));
        }
        assert!(world.is_at_rest());
    });
}

/// Two clients each raise a flag of their own if the other's is down, both flags watched: never both (write skew).
#[test]
fn what_is_only_watched_holds_when_the_block_takes_effect() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 2);
        let mut flags = ACCOUNTS;
        world.rng.shuffle(&mut flags);
        for client in 0..2 {
            world.clients[client].request(&["WATCH", flags[0], flags[1]]);
            world.clients[client].request(&["MGET", flags[0], flags[1]]);
        }
        let mut raised = 0;
        loop {
            let stepped = world.step();
            for (client, flag) in flags[..2].iter().enumerate() {
                while let Some(reply) = world.clients[client].reply() {
                    let Value::Array(values) = reply else { continue };
                    if values.len() == 1 {
                        raised += 1;
                    } else if values.iter().all(|value| *value == Value::NullBulk) {
                        world.clients[client].request(&["MULTI"]);
                        world.clients[client].request(&["SET", flag, "1"]);
                        world.clients[client].request(&["EXEC"]);
                    }
                }
            }
            if !stepped {
                break;
            }
        }
        assert_eq!(raised, 1);
        assert!(world.is_at_rest());
    });
}

/// A block behind another that holds every shard finds what that has written, on any number of shards.
#[test]
fn a_block_finds_what_the_block_before_it_has_written() {
    for_seeds(|seed| {
        let cores = 1 + seed as usize % 3;
        let mut world = World::new(seed, cores, 2);
        for client in 0..2 {
            for request in [&["MULTI"][..], &["INCR", "a"], &["DBSIZE"], &["EXEC"]] {
                world.clients[client].request(request);
            }
            for request in [&["MULTI"][..], &["INCR", "a"], &["EXEC"], &["MULTI"], &["PING"], &["INCR", "a"]]
            {
                world.clients[client].request(request);
            }
            world.clients[client].request(&["EXEC"]);
        }
        world.run();
        world.clients[0].request(&["GET", "a"]);
        world.run();
        let last = std::iter::from_fn(|| world.clients[0].reply()).last();
        assert_eq!(last, Some(Value::Bulk(b"6".to_vec())));
        assert!(world.is_at_rest());
    });
}

/// Also what no argument of its commands names.
#[test]
fn a_block_that_sorts_finds_what_the_block_before_it_has_written() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 1 + seed as usize % 3, 1);
        world.clients[0].request(&["RPUSH", "l", "1"]);
        for request in [&["MULTI"][..], &["SET", "w_1", "x"], &["DBSIZE"], &["EXEC"]] {
            world.clients[0].request(request);
        }
        for request in [&["MULTI"][..], &["SORT", "l", "BY", "nosort", "GET", "w_*"], &["EXEC"]] {
            world.clients[0].request(request);
        }
        world.run();
        let last = std::iter::from_fn(|| world.clients[0].reply()).last();
        assert_eq!(last, Some(Value::Array(vec![Value::Array(vec![Value::Bulk(b"x".to_vec())])])));
    });
}

/// Clients that vanish at any moment while they watch keys that others write leave no watch behind.
#[test]
fn a_client_that_goes_away_watches_nothing() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 6);
        for client in 0..6 {
            let mut keys = ACCOUNTS;
            world.rng.shuffle(&mut keys);
            for _ in 0..4 {
                world.clients[client].request(&["MSET", keys[0], "1", keys[1], "1", keys[2], "1"]);
                world.clients[client].request(&["WATCH", keys[3], keys[4]]);
            }
        }
        for client in 0..6 {
            for _ in 0..world.rng.usize(..40) {
                world.step();
            }
            world.disconnect(client);
        }
        world.run();
        assert!(world.is_at_rest());
        assert_eq!(world.left_of_clients(), [""; 0]);
    });
}

/// The time of keys of all shards is over at one moment: whoever looks at them together sees all or none.
#[test]
fn time_is_over_for_all_keys_at_once() {
    for_seeds(|seed| {
        let mut world = World::new(seed, 3, 5);
        let keys = &ACCOUNTS[..4];
        for _ in 0..3 {
            let due_ms = (world.now_us() / 1000 + 1).to_string();
            world.clients[0].request(&["MULTI"]);
            keys.iter().for_each(|key| world.clients[0].request(&["SET", key, "1", "PXAT", &due_ms]));
            world.clients[0].request(&["EXEC"]);
            world.run();
            for _ in 0..12 {
                let look: Vec<&str> = std::iter::once("MGET").chain(keys.iter().copied()).collect();
                world.clients[1].request(&look);
                for client in [2, 3] {
                    let watch = if client == 3 { [&["WATCH"], keys].concat() } else { vec!["PING"] };
                    world.clients[client].request(&watch);
                    world.clients[client].request(&["MULTI"]);
                    keys.iter().for_each(|key| world.clients[client].request(&["GET", key]));
                    if world.rng.bool() {
                        world.clients[client].request(&["DBSIZE"]);
                    }
                    world.clients[client].request(&["EXEC"]);
                }
                for _ in 0..world.rng.usize(..12) {
                    world.step();
                }
            }
            world.run();
        }
        for client in 1..4 {
            let replies = std::iter::from_fn(|| world.clients[client].reply());
            let looks = replies
                .filter_map(|reply| if let Value::Array(values) = reply { Some(values) } else { None });
            for values in looks {
                assert!(values[..4].windows(2).all(|pair| pair[0] == pair[1]), "client {client}: {values:?}");
            }
        }
        assert!(world.is_at_rest());
    });
}
