//! Every batch is a state: what takes effect together is in one, over however many shards and in whatever way it ran.

use bobbin_engine::config::Config;
use bobbin_engine::store::{Entry, Object, Value};

use super::replica::{Replica, described};
use super::world::World;

const CLIENTS: usize = 4;
const CALLS: usize = 12;
/// On all shards.
const STRINGS: [&str; 5] = ["a", "b", "c", "d", "e"];
const LISTS: [&str; 3] = ["l", "m", "n"];
const ELEMENTS: usize = 3;
/// More than a block runs in one step.
const MANY: usize = 300;

/// Sets all strings to one value, or moves an element from list to list.
fn request(world: &mut World, client: usize, value: &str) {
    let kind = world.rng.u8(..8);
    let mut keys = STRINGS;
    world.rng.shuffle(&mut keys);
    let (from, to) = (LISTS[world.rng.usize(..3)], LISTS[world.rng.usize(..3)]);
    let client = &mut world.clients[client];
    match kind {
        0..2 => {
            let pairs = keys.iter().flat_map(|key| [*key, value]);
            client.request(&std::iter::once("MSET").chain(pairs).collect::<Vec<_>>());
        }
        2..5 => {
            client.request(&["MULTI"]);
            let times = if kind == 2 { MANY } else { 1 };
            (0..times).for_each(|_| keys.iter().for_each(|key| client.request(&["SET", key, value])));
            if kind == 3 {
                // A visit to all shards: the block runs step by step.
                client.request(&["DBSIZE"]);
                client.request(&["SORT", "nothing", "BY", "w*", "STORE", keys[0]]);
                client.request(&["SET", keys[0], value]);
            }
            client.request(&["EXEC"]);
        }
        5 => client.request(&["LMOVE", from, to, "LEFT", "RIGHT"]),
        6 => client.request(&["BLMOVE", from, to, "RIGHT", "LEFT", "0.001"]),
        _ => client.request(&["FLUSHDB"]),
    }
}

/// The strings' values and the number of elements, as the replica has them.
fn seen(replica: &Replica) -> (Vec<Option<String>>, usize) {
    let db = replica.core.shard.keyspace.db(0);
    let text = |key: &&str| match db.find(key.as_bytes())?.value() {
        Value::Int(number) => Some(number.to_string()),
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Object(_) => Some("a list".to_owned()),
    };
    let len = |key: &&str| match db.find(key.as_bytes()).map(Entry::value) {
        Some(Value::Object(Object::List(list))) => list.len(),
        _ => 0,
    };
    (STRINGS.iter().map(text).collect(), LISTS.iter().map(len).sum())
}

#[test]
fn what_takes_effect_together_is_in_one_batch() {
    super::for_seeds(100, |seed| {
        let mut world = World::configured(seed, 1 + seed as usize % 4, CLIENTS, Config::default());
        world.cores.iter_mut().for_each(|core| core.set_journalled(true));
        world.clients[0].request(&["RPUSH", LISTS[0], "1", "2", "3"]);
        world.run();
        for call in 0..CALLS {
            for client in 0..CLIENTS {
                request(&mut world, client, &format!("{client}.{call}"));
            }
        }
        let leaving = world.rng.usize(..CLIENTS);
        for _ in 0..world.rng.usize(..2000) {
            world.step();
        }
        world.disconnect(leaving);
        world.run();
        let mut replica = Replica::new(!seed);
        for batch in &world.journal {
            replica.replay(batch.bytes());
            let (texts, elements) = seen(&replica);
            let is_whole =
                texts.windows(2).all(|pair| pair[0] == pair[1]) && [0, ELEMENTS].contains(&elements);
            assert!(is_whole, "{texts:?}, {elements} elements, after {}", described(batch.bytes()));
        }
    });
}
