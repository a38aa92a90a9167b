//! A walk records what was there at the cut, whatever changes while it is under way.

use std::collections::BTreeMap;
use std::io::Write as _;

use fastrand::Rng;

use crate::config::Config;
use crate::ids::Stamp;
use crate::journal::{Chunk, Clock, Snapshot, SnapshotHead, Totals};
use crate::rdb::Limits;
use crate::store::encoding::quicklist::End;
use crate::store::{Collection as _, Entry, Expiry, Hash, Keyspace, List};

/// By database and key: expiry and value.
type State = BTreeMap<(u32, Vec<u8>), (Option<u64>, String)>;

fn limits() -> Limits {
    Config::default().value_limits(&mut Rng::with_seed(1))
}

fn facts(entry: &Entry) -> (Option<u64>, String) {
    (entry.expiry(), format!("{:?}", entry.value()))
}

fn state_of(keyspace: &Keyspace) -> State {
    let dbs = keyspace.iter().enumerate();
    dbs.flat_map(|(at, db)| db.iter().map(move |entry| ((at as u32, entry.key().to_vec()), facts(entry))))
        .collect()
}

/// What chunks have in them; no key may be there twice.
fn state_in(chunks: Vec<Chunk>) -> State {
    let head = SnapshotHead { stamp: Stamp(1), made_ms: 0, clock: Clock::Lru };
    let (mut bytes, mut totals, mut state) = (head.bytes(), Totals::default(), State::new());
    for mut chunk in chunks {
        totals.add(chunk.tally());
        bytes.extend_from_slice(chunk.seal());
    }
    bytes.extend(totals.footer());
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("there is room");
    let snapshot = Snapshot::open(file).expect("a snapshot");
    for &place in snapshot.chunks() {
        for key in snapshot.chunk(place).expect("it is whole").keys() {
            let key = key.expect("a key");
            let entry = key.entry(&limits()).expect("a value");
            let twice = state.insert((key.database, key.key.to_vec()), facts(&entry));
            assert!(twice.is_none(), "{} is there twice", key.key.escape_ascii());
        }
    }
    state
}

const DATABASES: usize = 3;
const NAMES: u32 = 20_000;
const NOW_MS: u64 = 1000;

/// One change of any kind; most of them removals where it is to shrink.
fn change(keyspace: &mut Keyspace, shrinks: bool, rng: &mut Rng) {
    let key = rng.u32(..NAMES).to_string().into_bytes();
    let act = rng.u32(..20_000);
    if act == 0 {
        return keyspace.swapdb(rng.usize(..DATABASES), rng.usize(..DATABASES));
    }
    let db = keyspace.db_mut(rng.usize(..DATABASES));
    match act {
        1 => db.clear(),
        2..40 => drop(db.expire_step(NOW_MS, 4, |_| false, |_| {})),
        _ if shrinks && rng.u8(..10) > 0 => drop(db.remove(&key)),
        40..8000 => drop(db.set_string(&key, &[b'v'; 70][..rng.usize(..70)], Expiry::Keep)),
        8000..12_000 => drop(db.set_string(&key, b"volatile", Expiry::At(rng.u64(..2 * NOW_MS)))),
        12_000..14_000 => drop(db.set_expiry(&key, rng.bool().then(|| rng.u64(..2 * NOW_MS)))),
        14_000..16_000 => db.set_int(&key, rng.i64(..)),
        16_000..18_000 => push(db, &key, rng),
        18_000..18_500 => set_field(db, &key, rng),
        18_500..19_000 => move_to(keyspace, &key, rng),
        _ => drop(db.remove(&key)),
    }
}

fn push(db: &mut crate::store::Db, key: &[u8], rng: &mut Rng) {
    let member = rng.u32(..).to_string();
    let mut entry =
        db.find_or_insert_with(key, || Entry::with_object(key, List::with_room_for(b"").into(), None));
    if let Some(mut object) = entry.object_mut()
        && let Some(list) = List::of_mut(&mut object)
    {
        list.push(End::Back, [member.as_bytes()].into_iter(), limits().list);
    }
}

/// Sets a field of a hash, and gives it a deadline.
fn set_field(db: &mut crate::store::Db, key: &[u8], rng: &mut Rng) {
    let limits = limits().hash;
    let mut entry = db.find_or_insert_with(key, || {
        let pair = [(&b"field"[..], &b"value"[..])].into_iter();
        Entry::with_object(key, Hash::with_room_for(pair, &limits).into(), None)
    });
    if let Some(mut object) = entry.object_mut()
        && let Some(hash) = Hash::of_mut(&mut object)
    {
        let field = rng.u8(..8).to_string();
        hash.set(field.as_bytes(), b"value", &limits);
        hash.set_deadline(field.as_bytes(), Some(rng.u64(1..2 * NOW_MS)));
    }
}

/// Takes an entry out, and puts it in under another name, anywhere.
fn move_to(keyspace: &mut Keyspace, key: &[u8], rng: &mut Rng) {
    let (from, to) = (rng.usize(..DATABASES), rng.usize(..DATABASES));
    if let Some(entry) = keyspace.db_mut(from).remove(key) {
        keyspace.db_mut(to).insert(entry.with_key(rng.u32(..NAMES).to_string().as_bytes()));
    }
}

fn recorded(keyspace: &mut Keyspace) -> Vec<Chunk> {
    std::iter::from_fn(|| keyspace.take_recorded()).collect()
}

/// Two walks, one behind the other: marks of the first must not be taken for marks of the second.
#[test]
fn what_is_recorded_is_what_was_there_at_the_cut() {
    for seed in 0..8 {
        let mut rng = Rng::with_seed(seed);
        let mut keyspace = Keyspace::new(DATABASES, seed);
        for _ in 0..2 {
            (0..rng.u32(..60_000)).for_each(|_| change(&mut keyspace, false, &mut rng));
            let (expected, mut chunks) = (state_of(&keyspace), Vec::new());
            keyspace.begin_walk();
            // Segments merge or split under the walk.
            let (shrinks, budget) = (rng.bool(), rng.usize(1..2000));
            let between = rng.usize(..=5 * budget);
            while keyspace.walk_step(budget) {
                (0..between).for_each(|_| change(&mut keyspace, shrinks, &mut rng));
                chunks.extend(recorded(&mut keyspace));
            }
            chunks.extend(recorded(&mut keyspace));
            assert!(state_in(chunks) == expected, "seed {seed}");
            keyspace.iter().for_each(crate::store::Db::assert_invariants);
        }
    }
}

/// A keyspace of one database with so many keys, `0`, `1` and so on.
fn keyspace_of(keys: u32) -> Keyspace {
    let mut keyspace = Keyspace::new(1, 1);
    (0..keys).for_each(|n| keyspace.db_mut(0).set_int(n.to_string().as_bytes(), 1));
    keyspace
}

fn unrecorded(keyspace: &Keyspace) -> usize {
    keyspace.iter().map(|db| db.table.unrecorded()).sum()
}

/// A step ends within a segment as well; passing one by costs something.
#[test]
fn a_step_records_what_it_may_and_no_more() {
    for budget in [1, 7, 100, 5000] {
        let mut keyspace = keyspace_of(10_000);
        keyspace.begin_walk();
        let (mut steps, mut left) = (1, 10_000);
        while keyspace.walk_step(budget) {
            let before = std::mem::replace(&mut left, unrecorded(&keyspace));
            assert!(before - left <= budget, "{} of {budget}", before - left);
            steps += 1;
        }
        let passed = keyspace.db(0).table.segments().count() * 2 + 10_000 / 64;
        assert!(steps <= 10_000 / budget + passed + 1, "{steps} steps of {budget}");
        assert_eq!(recorded(&mut keyspace).iter().map(|chunk| chunk.tally().keys).sum::<u64>(), 10_000);
    }
}

/// Ten values of 10 KiB are a step's work as are 400 small ones.
#[test]
fn large_values_count_for_more() {
    let mut keyspace = Keyspace::new(1, 1);
    (0..100u32).for_each(|n| {
        keyspace.db_mut(0).set_string(&n.to_be_bytes(), &[b'x'; 10 << 10], Expiry::None);
    });
    keyspace.begin_walk();
    assert!(keyspace.walk_step(400));
    assert_eq!(unrecorded(&keyspace), 90);
}

#[test]
fn a_change_records_its_entry_alone() {
    let mut keyspace = keyspace_of(1000);
    keyspace.begin_walk();
    let db = keyspace.db_mut(0);
    let acts: [fn(&mut crate::store::Db); 7] = [
        |db| assert!(db.set_string(b"1", b"text", Expiry::None).replaced),
        |db| assert!(db.set_expiry(b"2", Some(1))),
        |db| drop(db.remove(b"3")),
        |db| drop(db.insert(Entry::string(b"4", b"text", None))),
        |db| db.set_int(b"5", 2),
        |db| db.set_int(b"new", 2),
        |db| assert!(db.find_mut(b"no such key").is_none()),
    ];
    for (act, left) in acts.iter().zip([999, 998, 997, 996, 995, 995, 995]) {
        act(db);
        act(db);
        assert_eq!(db.table.unrecorded(), left);
    }
}

/// As RENAME, MOVE and transactions that borrow do it: whatever the table it was in said of it, the one it comes to says
/// what is so there.
#[test]
fn an_entry_that_moves_is_recorded_once_and_where_it_was() {
    for steps in 0..4 {
        let mut keyspace = Keyspace::new(3, 1);
        // One has its second walk when the others have their first: marks differ.
        for _ in 0..2 {
            (0..2000u32).for_each(|n| keyspace.db_mut(0).set_int(n.to_string().as_bytes(), 1));
            let expected = state_of(&keyspace);
            keyspace.begin_walk();
            for _ in 0..steps {
                keyspace.walk_step(500);
            }
            for n in 0..500u32 {
                let (key, new) = (n.to_string(), format!("new {n}"));
                let to = n as usize % 3;
                let entry = keyspace.db_mut(0).remove(key.as_bytes()).expect("it is there");
                match n % 4 {
                    0 => drop(keyspace.db_mut(0).insert(entry)),
                    1 => drop(keyspace.db_mut(to).insert(entry.with_key(new.as_bytes()))),
                    2 => drop(keyspace.db_mut(to).insert(entry.clone().with_key(key.as_bytes()))),
                    _ => drop(keyspace.db_mut(to).insert(entry)),
                }
            }
            assert!(finished(&mut keyspace) == expected, "{steps} steps");
            keyspace.iter().for_each(crate::store::Db::assert_invariants);
        }
    }
}

/// It goes on to its end, so that the next one finds marks as they are to be.
#[test]
fn a_walk_that_is_abandoned_leaves_no_trace() {
    let mut keyspace = keyspace_of(5000);
    keyspace.begin_walk();
    keyspace.walk_step(1000);
    keyspace.abandon_walk();
    (0..100u32).for_each(|n| drop(keyspace.db_mut(0).remove(n.to_string().as_bytes())));
    while keyspace.walk_step(1000) {}
    assert!(recorded(&mut keyspace).is_empty());
    keyspace.db(0).assert_invariants();
    let expected = state_of(&keyspace);
    keyspace.begin_walk();
    assert!(finished(&mut keyspace) == expected);
}

/// Records all that is left of a walk.
fn finished(keyspace: &mut Keyspace) -> State {
    while keyspace.walk_step(1) {}
    state_in(recorded(keyspace))
}

/// Nothing but its buddy's shrinking touches a segment that goes into it.
#[test]
fn what_a_buddy_takes_in_is_recorded_there() {
    let mut keyspace = Keyspace::new(1, 1);
    let db = keyspace.db_mut(0);
    let keys = (0..2000u32).map(|n| n.to_string().into_bytes());
    let (low, high): (Vec<_>, Vec<_>) = keys.partition(|key| db.table.hash(key).prefix(1) == 0);
    low.iter().chain(&high).for_each(|key| db.set_int(key, 1));
    low[300..].iter().for_each(|key| drop(db.remove(key)));
    assert_eq!(db.table.segments().count(), 2);
    let expected = state_of(&keyspace);
    keyspace.begin_walk();
    let db = keyspace.db_mut(0);
    high.iter().for_each(|key| drop(db.remove(key)));
    assert_eq!(db.table.segments().count(), 1);
    assert_eq!(db.table.unrecorded(), 300);
    assert!(finished(&mut keyspace) == expected);
}

#[test]
fn what_expires_is_recorded_before() {
    let mut keyspace = Keyspace::new(1, 1);
    let db = keyspace.db_mut(0);
    for n in 0..5000u32 {
        db.set_string(&n.to_be_bytes(), b"v", Expiry::At(u64::from(n % 2) * NOW_MS));
    }
    let expected = state_of(&keyspace);
    keyspace.begin_walk();
    keyspace.db_mut(0).expire_step(1, 1 << 20, |_| false, |_| {});
    assert_eq!((keyspace.len(), unrecorded(&keyspace)), (2500, 2500));
    assert!(finished(&mut keyspace) == expected);
}
