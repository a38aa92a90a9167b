//! A walk records what was there at the cut, whatever changes while it is under way.

use std::collections::BTreeMap;
use std::io::Write as _;

use fastrand::Rng;

use crate::config::Config;
use crate::ids::Stamp;
use crate::journal::{Chunk, Clock, Snapshot, SnapshotHead, Totals};
use crate::rdb::{Compression, Limits};
use crate::store::encoding::quicklist::End;
use crate::store::{Collection as _, Entry, Expiry, Keyspace, List};

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
            keyspace.begin_walk(Compression::On);
            // Segments merge or split under the walk.
            let (shrinks, between, budget) = (rng.bool(), rng.u32(..8000), rng.usize(1..2000));
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

/// A step does what it is asked to and one segment more at the most.
#[test]
fn a_step_is_bounded() {
    let mut keyspace = Keyspace::new(1, 1);
    let db = keyspace.db_mut(0);
    (0..50_000u32).for_each(|n| drop(db.insert(Entry::integer(&n.to_be_bytes(), 0, None))));
    keyspace.begin_walk(Compression::Off);
    let mut steps = 1;
    while keyspace.walk_step(1) {
        steps += 1;
    }
    assert!(steps >= 50_000 / crate::store::segment::LEN_MAX, "{steps} steps");
    assert_eq!(recorded(&mut keyspace).iter().map(|chunk| chunk.tally().keys).sum::<u64>(), 50_000);
}

/// Records all that is left of a walk.
fn finished(keyspace: &mut Keyspace) -> State {
    while keyspace.walk_step(1) {}
    state_in(recorded(keyspace))
}

/// Nothing but its buddy's shrinking touches a segment that goes into it.
#[test]
fn a_segment_is_recorded_before_its_buddy_takes_it_in() {
    let mut keyspace = Keyspace::new(1, 1);
    let db = keyspace.db_mut(0);
    let keys = (0..2000u32).map(|n| n.to_string().into_bytes());
    let (low, high): (Vec<_>, Vec<_>) = keys.partition(|key| db.table.hash(key).prefix(1) == 0);
    low.iter().chain(&high).for_each(|key| db.set_int(key, 1));
    low[300..].iter().for_each(|key| drop(db.remove(key)));
    assert_eq!(db.table.segments().count(), 2);
    let expected = state_of(&keyspace);
    keyspace.begin_walk(Compression::Off);
    let db = keyspace.db_mut(0);
    high.iter().for_each(|key| drop(db.remove(key)));
    assert_eq!(db.table.segments().count(), 1);
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
    keyspace.begin_walk(Compression::Off);
    keyspace.db_mut(0).expire_step(1, 1 << 20, |_| false, |_| {});
    assert_eq!(keyspace.len(), 2500);
    assert!(finished(&mut keyspace) == expected);
}
