//! Random operations on a database and on a map must leave the same keys, values and books.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::store::encoding::quicklist::{ChunkLimit, End};
use crate::store::entry::INLINE_MAX;
use crate::store::largest::{LEAST_MIN, NAME_MAX};
use crate::store::{
    Db, Entry, Expired, Expiry, Hash, HashLimits, Keyspace, List, Object, Value, parse_canonical,
};

#[derive(Clone, Debug)]
enum Op {
    Set(Vec<u8>, Vec<u8>, Expiry),
    SetInt(Vec<u8>, i64),
    Extend(Vec<u8>, usize, u8),
    Expire(Vec<u8>, Option<u64>),
    Remove(Vec<u8>),
    Rename(Vec<u8>, Vec<u8>),
    Copy(Vec<u8>, Vec<u8>),
    Clear,
}

#[derive(Clone, Debug, PartialEq)]
struct Model {
    value: Vec<u8>,
    encoding: &'static str,
    expiry: Option<u64>,
}

fn encoding_of(value: &[u8]) -> &'static str {
    match value.len() {
        _ if parse_canonical(value).is_some() => "int",
        0..=44 => "embstr",
        _ => "raw",
    }
}

/// Few keys, so that operations meet; among them the empty one and ones around where lengths turn wide.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        16 => (0u8..24).prop_map(|i| vec![b'k', i, 0xff, 0][..usize::from(i % 5).min(4)].to_vec()),
        8 => (0u32..40).prop_map(|i| format!("key:{i:012}").into_bytes()),
        2 => prop::sample::select(vec![255, 256, 65_535, 65_536, 70_000]).prop_map(|len| vec![b'w'; len]),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0usize..140,
        2 => INLINE_MAX - 80..INLINE_MAX + 80,
        2 => prop::sample::select(vec![44, 45, 8192, 16_384, 65_535, 65_536, 100_000]),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        1 => (-20i64..20).prop_map(|number| number.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..100),
        4 => (length(), any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn expiry() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0u64..1000).prop_map(Some)]
}

fn set_expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![2 => Just(Expiry::Keep), 1 => Just(Expiry::None), 1 => (0u64..1000).prop_map(Expiry::At)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (key(), value(), set_expiry()).prop_map(|(k, v, e)| Op::Set(k, v, e)),
        2 => (key(), any::<i64>()).prop_map(|(k, n)| Op::SetInt(k, n)),
        4 => (key(), length(), any::<u8>()).prop_map(|(k, len, byte)| Op::Extend(k, len, byte)),
        3 => (key(), expiry()).prop_map(|(k, e)| Op::Expire(k, e)),
        3 => key().prop_map(Op::Remove),
        2 => (key(), key()).prop_map(|(a, b)| Op::Rename(a, b)),
        2 => (key(), key()).prop_map(|(a, b)| Op::Copy(a, b)),
        1 => Just(Op::Clear),
    ]
}

fn run(db: &mut Db, op: &Op) {
    match op {
        Op::Set(key, value, expiry) => {
            let existed = db.find(key).is_some();
            assert_eq!(db.set_string(key, value, *expiry).replaced, existed);
        }
        Op::SetInt(key, number) => db.set_int(key, *number),
        Op::Extend(key, len, byte) => {
            let old_len = db.find(key).map_or(0, |entry| bytes_of(entry).len());
            let bytes = db.string_mut(key, *len).expect("all values are strings");
            assert_eq!(bytes.len(), old_len.max(*len));
            assert!(bytes[old_len..].iter().all(|&b| b == 0));
            if let Some(last) = bytes.last_mut() {
                *last = *byte;
            }
        }
        Op::Expire(key, at) => {
            let existed = db.find(key).is_some();
            assert_eq!(db.set_expiry(key, *at), existed);
        }
        Op::Remove(key) => {
            let removed = db.remove(key);
            assert!(removed.is_none_or(|entry| entry.key() == key));
        }
        Op::Rename(from, to) => {
            if let Some(entry) = db.remove(from) {
                db.insert(entry.with_key(to));
            }
        }
        Op::Copy(from, to) => {
            if let Some(copy) = db.find(from).map(|entry| entry.clone().with_key(to)) {
                db.insert(copy);
            }
        }
        Op::Clear => {
            db.clear();
            while db.free_step(7) {}
        }
    }
}

fn run_model(map: &mut HashMap<Vec<u8>, Model>, op: &Op) {
    match op {
        Op::Set(key, value, expiry) => {
            let expiry = match *expiry {
                Expiry::Keep => map.get(key).and_then(|model| model.expiry),
                Expiry::None => None,
                Expiry::At(at) => Some(at),
            };
            map.insert(key.clone(), Model { value: value.clone(), encoding: encoding_of(value), expiry });
        }
        Op::SetInt(key, number) => {
            let expiry = map.get(key).and_then(|model| model.expiry);
            let value = number.to_string().into_bytes();
            map.insert(key.clone(), Model { value, encoding: "int", expiry });
        }
        Op::Extend(key, len, byte) => {
            let model =
                map.entry(key.clone()).or_insert(Model { value: vec![], encoding: "raw", expiry: None });
            model.encoding = "raw";
            let len = model.value.len().max(*len);
            model.value.resize(len, 0);
            if let Some(last) = model.value.last_mut() {
                *last = *byte;
            }
        }
        Op::Expire(key, at) => {
            if let Some(model) = map.get_mut(key) {
                model.expiry = *at;
            }
        }
        Op::Remove(key) => drop(map.remove(key)),
        Op::Rename(from, to) => {
            if let Some(model) = map.remove(from) {
                map.insert(to.clone(), model);
            }
        }
        Op::Copy(from, to) => {
            if let Some(model) = map.get(from).cloned() {
                map.insert(to.clone(), model);
            }
        }
        Op::Clear => map.clear(),
    }
}

fn bytes_of(entry: &Entry) -> Vec<u8> {
    match entry.value() {
        Value::Int(number) => number.to_string().into_bytes(),
        Value::Bytes(bytes) => bytes.to_vec(),
        Value::Object(_) => panic!("all values are strings"),
    }
}

fn model_of(entry: &Entry) -> Model {
    Model { value: bytes_of(entry), encoding: entry.encoding(), expiry: entry.expiry() }
}

proptest! {
    #[test]
    fn a_database_is_a_map(ops in vec(op(), 1..120)) {
        let mut keyspace = Keyspace::new(1, 42);
        let db = keyspace.db_mut(0);
        let mut map = HashMap::new();
        for op in &ops {
            run(db, op);
            run_model(&mut map, op);
            db.assert_invariants();
            prop_assert_eq!(db.len(), map.len());
        }
        for (key, model) in &map {
            prop_assert_eq!(&model_of(db.find(key).expect("the model has it")), model);
        }
        for entry in db.iter() {
            prop_assert_eq!(&model_of(entry), &map[entry.key()]);
        }
    }
}

#[test]
fn a_table_grows_and_shrinks_with_its_keys() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    assert_eq!(db.memory(), 0);
    let key = |i: u32| format!("key:{i}").into_bytes();
    for i in 0..60_000 {
        let expiry = if i % 3 == 0 { Expiry::At(u64::from(i)) } else { Expiry::None };
        db.set_string(&key(i), b"value", expiry);
        if i % 5000 == 0 {
            db.assert_invariants();
        }
    }
    db.assert_invariants();
    let full = db.memory();
    for i in 0..60_000 {
        assert_eq!(db.find(&key(i)).and_then(Entry::expiry), (i % 3 == 0).then_some(u64::from(i)), "{i}");
    }
    // Latest deadline first: the bounds of merged segments must still hold for those that stay.
    for i in (0..60_000).rev() {
        assert!(db.remove(&key(i)).is_some(), "{i}");
        if i % 5000 == 0 {
            db.assert_invariants();
        }
    }
    db.assert_invariants();
    assert_eq!((db.len(), db.volatile_len()), (0, 0));
    assert!(db.memory() < full / 20, "{} of {full}", db.memory());
}

#[test]
fn churn_at_a_constant_size_does_not_grow_the_table() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    let key = |i: u32| format!("key:{i}").into_bytes();
    (0..18_400).for_each(|i| drop(db.insert(Entry::integer(&key(i), 0, None))));
    let settled = db.memory();
    for i in 18_400..200_000 {
        db.remove(&key(i - 18_400)).expect("inserted before");
        db.insert(Entry::integer(&key(i), 0, None));
    }
    db.assert_invariants();
    assert!(db.memory() <= settled * 21 / 20, "{settled} became {}", db.memory());
}

#[test]
fn a_key_lives_through_the_millisecond_of_its_deadline() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    db.set_string(b"key", b"value", Expiry::At(1000));
    assert!(db.find_live(b"key", 1000).live().is_some());
    assert!(matches!(db.find_live(b"key", 1001), crate::store::Lookup::Expired));
    assert!(matches!(db.find_live_mut(b"key", 1001), crate::store::Lookup::Expired));
    assert!(matches!(db.find_live(b"other", 1001), crate::store::Lookup::Missing));
}

#[test]
fn sixteen_and_sixty_four_bytes_cost_96_with_and_without_an_expiry() {
    for expiry in [None, Some(1)] {
        assert_eq!(Entry::bytes(&[b'k'; 16], &[b'v'; 64], expiry).memory(), 96);
    }
}

#[test]
fn an_overwrite_of_like_size_is_written_in_place() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    for len in [64, INLINE_MAX, 4096, 100_000] {
        let at = |db: &Db| match db.find(b"key").map(Entry::value) {
            Some(Value::Bytes(bytes)) => Some(bytes.as_ptr()),
            _ => None,
        };
        db.set_string(b"key", &vec![1; len], Expiry::None);
        let before = at(db);
        db.set_string(b"key", &vec![2; len - 3], Expiry::None);
        assert_eq!(at(db), before, "{len}");
        assert_eq!(bytes_of(db.find(b"key").expect("just set")), vec![2; len - 3]);
    }
}

/// Strings are then fetched ahead as collections are.
#[test]
fn large_values_are_known_by_the_average() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    assert!(!db.is_of_large_values(), "nothing is there");
    db.set_string(b"large", &[b'v'; 4096], Expiry::None);
    assert!(db.is_of_large_values());
    for key in 0..9 {
        db.set_string(&[key], b"small", Expiry::None);
    }
    assert!(!db.is_of_large_values(), "one in ten");
}

/// The table's mark, and what else stands beside the pointer's address.
#[test]
fn entries_keep_their_mark_where_they_are() {
    for mark in [true, false] {
        let mut entry = Entry::string(b"key", b"value", None);
        let is_kept = |entry: &Entry, expires| {
            assert_eq!((entry.mark(), entry.tag(), entry.is_volatile()), (mark, 0x7FFF, expires));
            assert_eq!(entry.key(), b"key");
        };
        entry.set_mark(mark);
        entry.set_tag(0x7FFF);
        is_kept(&entry, false);
        entry.set_string(&[b'v'; 1000], None);
        is_kept(&entry, false);
        entry.set_expiry(Some(7));
        is_kept(&entry, true);
        entry.set_int(12);
        is_kept(&entry, true);
        entry.set_string(&[b'v'; 5000], Some(8));
        is_kept(&entry, true);
        assert!(entry.extend_string(10_000));
        entry.set_string(b"", None);
        is_kept(&entry, false);
        entry.set_mark(!mark);
        assert_eq!((entry.mark(), entry.tag()), (!mark, 0x7FFF));
    }
}

#[test]
fn entries_keep_their_access_clock() {
    let mut keyspace = Keyspace::new(2, 7);
    keyspace.set_access_at_birth(77);
    let db = keyspace.db_mut(1);
    assert_eq!(db.set_string(b"key", b"value", Expiry::None).entry.access(), 77);
    db.find(b"key").expect("just set").set_access(0x00ab_cdef);
    db.set_string(b"key", &[3; 300], Expiry::At(9));
    db.set_int(b"key", 5);
    db.set_expiry(b"key", None);
    let entry = db.remove(b"key").expect("still there").with_key(b"other").clone();
    assert_eq!(entry.access(), 0x00ab_cdef);
    keyspace.swapdb(0, 1);
    assert_eq!(keyspace.db_mut(0).insert(entry).map(|old| old.access()), None);
    assert_eq!(keyspace.db(0).find(b"other").map(Entry::access), Some(0x00ab_cdef));
}

#[test]
fn a_cleared_database_is_freed_in_slices() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    for i in 0..5000u32 {
        db.set_string(&i.to_be_bytes(), &[0; 10], Expiry::None);
    }
    db.set_string(b"large", &vec![0; 1 << 20], Expiry::None);
    db.clear();
    assert!(db.is_empty() && db.memory() == 0);
    db.set_string(b"new", b"value", Expiry::None);
    let steps = (1..1000).find(|_| !keyspace.free_step(100)).expect("it ends");
    assert!((50..60).contains(&steps), "{steps}");
    assert_eq!(keyspace.len(), 1);
}

/// A hash of so many fields; those with deadlines have them from a time on, one after the other.
fn hash_of(fields: u32, expiring: u32, from_ms: u64) -> Hash {
    let limits = HashLimits { packed_len_max: 8, packed_text_len_max: 64, seed: 1 };
    let mut hash = Hash::with_room_for(std::iter::empty(), &limits);
    for field in 0..fields {
        hash.set(&field.to_be_bytes(), b"value", &limits);
        if field < expiring {
            hash.set_deadline(&field.to_be_bytes(), Some(from_ms + u64::from(field)));
        }
    }
    hash
}

fn expire_all(db: &mut Db, now_ms: u64, budget: usize) -> (usize, usize, usize) {
    let (mut keys, mut fields, mut emptied, mut steps) = (0, 0, 0, 0);
    while db.expire_step(
        now_ms,
        budget,
        |_| false,
        |expired| match expired {
            Expired::Key(_) => keys += 1,
            Expired::Field(_) => {}
            Expired::Fields(_, some) => {
                assert!(some <= budget);
                fields += some;
            }
            Expired::Emptied(entry) => {
                assert!(matches!(entry.value(), Value::Object(Object::Hash(hash)) if hash.is_empty()));
                emptied += 1;
            }
        },
    ) {
        steps += 1;
        assert!(steps < 100_000, "it comes to an end");
        db.assert_invariants();
    }
    db.assert_invariants();
    (keys, fields, emptied)
}

#[test]
fn fields_go_at_their_deadlines_and_the_last_takes_the_key() {
    let mut keyspace = Keyspace::new(1, 3);
    let db = keyspace.db_mut(0);
    for key in 0..5000u32 {
        let (fields, expiring) = if key % 2 == 0 { (3, 3) } else { (20, 5) };
        let hash = Object::Hash(hash_of(fields, expiring, 1000));
        db.insert(Entry::with_object(&key.to_be_bytes(), hash, (key % 10 == 0).then_some(500)));
    }
    // Segments split with the hashes in, and merge again.
    let string = |key: u32| [&b"string"[..], &key.to_be_bytes()].concat();
    (0..20_000).for_each(|key| _ = db.set_string(&string(key), b"value", Expiry::None));
    db.assert_invariants();
    (5000..20_000).for_each(|key| drop(db.remove(&string(key))));
    db.assert_invariants();
    assert_eq!(db.with_volatile_fields(), 5000);
    assert_eq!(expire_all(db, 1000, 1_000_000), (500, 0, 0), "in its own millisecond a field is there");
    assert_eq!(expire_all(db, 1002, 100), (0, 2 * 4500, 0));
    assert_eq!(expire_all(db, 1003, 1000), (0, 4500, 2000));
    assert_eq!(expire_all(db, 9999, 50), (0, 2 * 2500, 0));
    assert_eq!((db.len(), db.with_volatile_fields()), (7500, 0));
}

#[test]
fn a_large_hash_gives_its_fields_up_in_steps() {
    let mut keyspace = Keyspace::new(1, 3);
    let db = keyspace.db_mut(0);
    db.insert(Entry::with_object(b"hash", Object::Hash(hash_of(100_000, 100_000, 1)), None));
    let mut steps = 0;
    while !db.is_empty() {
        let mut removed = 0;
        db.expire_step(
            1_000_000,
            1000,
            |_| false,
            |expired| {
                if let Expired::Fields(_, fields) = expired {
                    removed += fields;
                }
            },
        );
        assert!((1..=1000).contains(&removed), "{removed}");
        steps += 1;
    }
    assert_eq!(steps, 100);
    db.assert_invariants();
}

#[test]
fn deadlines_of_fields_are_booked_whatever_becomes_of_the_hash() {
    let mut keyspace = Keyspace::new(2, 3);
    let db = keyspace.db_mut(0);
    let insert =
        |db: &mut Db, key: &[u8]| drop(db.insert(Entry::with_object(key, hash_of(5, 2, 100).into(), None)));
    let hashes = |db: &Db| {
        db.assert_invariants();
        db.with_volatile_fields()
    };
    [b"a", b"b", b"c", b"d"].iter().for_each(|key| insert(db, *key));
    insert(db, b"a");
    assert_eq!(hashes(db), 4);
    db.set_string(b"a", b"value", Expiry::None);
    assert_eq!(hashes(db), 3);
    db.find_mut(b"b").expect("it is there").set_string(b"value");
    assert_eq!(hashes(db), 2);
    let entry = db.remove(b"c").expect("it is there");
    assert_eq!(hashes(db), 1);
    db.insert(entry.with_key(b"e"));
    assert_eq!(hashes(db), 2);
    let change = |db: &mut Db, at_ms| {
        let mut entry = db.find_mut(b"d").expect("it is there");
        let mut object = entry.object_mut().expect("it is a hash");
        let Object::Hash(hash) = &mut *object else { panic!("it is a hash") };
        (0..2u32).for_each(|field| hash.set_deadline(&field.to_be_bytes(), at_ms));
    };
    change(db, None);
    assert_eq!(hashes(db), 1);
    // Earlier than any that the segment knew of.
    change(db, Some(7));
    assert_eq!(hashes(db), 2);
    assert_eq!(expire_all(db, 8, 100), (0, 2, 0));
    assert_eq!(hashes(db), 1);
    db.clear();
    assert_eq!(hashes(db), 0);
}

/// Keys come, grow, shrink and go, at sizes that are a power law; the notes are right all the time, and bounded.
#[test]
fn the_largest_keys_are_known_whatever_changes() {
    let mut keyspace = Keyspace::new(2, 7);
    let mut churn = Churn::new(5, 1500, |rng| 300_000f64.powf(rng.f64()) as usize);
    churn.run(&mut keyspace, 6000);
    let db = keyspace.db_mut(0);
    let complete_from = db.largest_complete_from();
    assert!((10_000..300_000).contains(&complete_from), "{complete_from}");
    let named = db.iter().filter(|entry| entry.key().len() <= NAME_MAX);
    let mut all: Vec<_> = named.map(Entry::memory).filter(|&bytes| bytes >= complete_from).collect();
    let mut largest: Vec<_> =
        db.largest(0).map(Entry::memory).filter(|&bytes| bytes >= complete_from).collect();
    all.sort_unstable();
    largest.sort_unstable();
    assert!(!all.is_empty());
    assert_eq!(largest, all);
    db.clear();
    assert_eq!(db.largest(0).count(), 0);
}

/// A key's size is that of its block and of its object, whichever of the two makes it large. Few are noted here, so the
/// bound stays at its lowest.
#[test]
fn keys_near_the_bound_are_known_whatever_changes() {
    let mut keyspace = Keyspace::new(2, 7);
    let mut churn = Churn::new(9, 150, |rng| rng.usize(1..1600));
    churn.run(&mut keyspace, 12_000);
    let db = keyspace.db_mut(0);
    assert_eq!(db.largest_complete_from(), LEAST_MIN);
    let is_noted = |entry: &&Entry| entry.memory() >= LEAST_MIN && entry.key().len() <= NAME_MAX;
    let objects = db.iter().filter(is_noted).filter(|entry| matches!(entry.value(), Value::Object(_)));
    assert!(objects.count() > 10);
}

/// Random changes of all kinds to random keys, with names short and long.
struct Churn {
    rng: fastrand::Rng,
    keys: u32,
    size: fn(&mut fastrand::Rng) -> usize,
}

impl Churn {
    fn new(seed: u64, keys: u32, size: fn(&mut fastrand::Rng) -> usize) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), keys, size }
    }

    fn run(&mut self, keyspace: &mut Keyspace, turns: u32) {
        for turn in 0..turns {
            self.change(keyspace);
            if turn % 50 == 0 {
                keyspace.db_mut(0).assert_invariants();
            }
        }
        keyspace.db_mut(0).assert_invariants();
    }

    fn change(&mut self, keyspace: &mut Keyspace) {
        let (key, size) = (self.key(), (self.size)(&mut self.rng));
        let db = keyspace.db_mut(0);
        match self.rng.u32(0..12) {
            0 => drop(db.remove(&key)),
            1 => drop(db.string_mut(&key, size)),
            2 => {
                let name = self.key();
                let renamed = db.remove(&key).map(|entry| entry.with_key(&name));
                renamed.into_iter().for_each(|entry| drop(db.insert(entry)));
            }
            // RESTORE: over whatever is there.
            3 => drop(db.insert(Entry::with_object(&key, self.object(size), None))),
            4 => {
                // Lent to another shard, changed there, and given back.
                let lent = db.remove(&key);
                let there = keyspace.db_mut(1);
                lent.into_iter().for_each(|entry| drop(there.insert(entry)));
                self.change_object(there, &key, size);
                let back = there.remove(&key);
                back.into_iter().for_each(|entry| drop(keyspace.db_mut(0).insert(entry)));
            }
            5 => drop(db.set_expiry(&key, self.rng.bool().then_some(1 << 40))),
            6..10 => self.change_object(db, &key, size),
            _ => drop(db.set_string(&key, &vec![b'v'; size], Expiry::None)),
        }
    }

    /// A name that always has the same number, and so the same length.
    fn key(&mut self) -> Vec<u8> {
        let number = self.rng.u32(0..self.keys);
        let padding = [0, 0, 0, 0, 100, 500, 900, 1010, 1020, 1500][number as usize % 10];
        format!("key:{number}{}", "-".repeat(padding)).into_bytes()
    }

    /// A hash or a list that holds about so many bytes.
    fn object(&mut self, bytes: usize) -> Object {
        let mut object = if self.rng.bool() {
            Object::Hash(hash_of(0, 0, 0))
        } else {
            Object::List(List::with_room_for(b""))
        };
        self.resize(&mut object, bytes);
        object
    }

    fn change_object(&mut self, db: &mut Db, key: &[u8], bytes: usize) {
        let Some(mut entry) = db.find_mut(key) else { return };
        let Some(mut object) = entry.object_mut() else { return };
        self.resize(&mut object, bytes);
    }

    /// Grows or shrinks what a hash or a list holds to about so many bytes.
    fn resize(&mut self, object: &mut Object, bytes: usize) {
        let (part, limit) = (self.rng.usize(10..60) + bytes / 100, ChunkLimit::from_directive(-2));
        let (fields, value) = ((bytes / (part + 10)).max(1), vec![b'v'; part]);
        match object {
            Object::Hash(hash) => {
                let limits = HashLimits { packed_len_max: 20, packed_text_len_max: 64, seed: 1 };
                for field in 0..fields.max(hash.len()) {
                    let name = field.to_be_bytes();
                    _ = if field < fields { hash.set(&name, &value, &limits) } else { hash.remove(&name) };
                }
            }
            Object::List(list) => {
                while list.len() > fields {
                    list.remove_end(End::Back, limit);
                }
                while list.len() < fields {
                    list.push(End::Back, std::iter::once(&*value), limit);
                }
            }
            _ => {}
        }
    }
}

/// When the large ones go, smaller ones that come are known.
#[test]
fn the_bound_of_large_keys_falls_with_them() {
    let mut keyspace = Keyspace::new(1, 7);
    let db = keyspace.db_mut(0);
    let key = |i: u32| format!("key:{i}").into_bytes();
    let value = vec![b'v'; 200_000];
    for i in 0..1000 {
        db.set_string(&key(i), &value[..100_000], Expiry::None);
    }
    assert!((100..=256).contains(&db.largest(0).count()));
    db.set_string(b"small", &[b'v'; 5000], Expiry::None);
    assert!(!db.largest(0).any(|entry| entry.key() == b"small"));
    (0..1000).for_each(|i| drop(db.remove(&key(i))));
    (0..100u32).for_each(|_| {
        db.set_string(b"other", &value, Expiry::None);
        db.remove(b"other");
    });
    db.set_string(b"later", &[b'v'; 5000], Expiry::None);
    let names = |db: &mut Db| -> Vec<_> { db.largest(0).map(|entry| entry.key().to_vec()).collect() };
    assert_eq!(names(db), [b"later".to_vec()]);
    assert!(db.largest_complete_from() > 100_000, "the small one of before is not known");
    [b"small", b"later"].iter().for_each(|key| drop(db.remove(*key)));
    assert!(names(db).is_empty());
    assert_eq!(db.largest_complete_from(), 1024);
    db.assert_invariants();
}
