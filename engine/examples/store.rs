//! What the store costs by itself: nanoseconds for each kind of operation on many keys, bytes per key, and how
//! long single inserts take.
//!
//! `cargo run --release --example store [keys]`, 5 million by default. Keys of 16 bytes, values of 64, random
//! order. Figures are processor time of the thread, and include making the key; those of single inserts are by
//! the clock, so the last of them say something on an idle machine only. One insert in about 1200 splits a segment.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bobbin_engine::store::{Db, Entry, Expiry, Keyspace, Prefetch};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As in the server.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 11] = b"thp:always\0";

const OPS: usize = 4_000_000;
const NOW_MS: u64 = 1_800_000_000_000;

type Key = [u8; 16];

fn key(number: u32) -> Key {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

struct Bench {
    keyspace: Keyspace,
    keys: u32,
    rng: fastrand::Rng,
}

impl Bench {
    fn new(keys: u32) -> Self {
        Self { keyspace: Keyspace::new(16, 0x5eed), keys, rng: fastrand::Rng::with_seed(1) }
    }

    fn db(&mut self) -> &mut Db {
        self.keyspace.db_mut(0)
    }

    fn random_key(&mut self) -> Key {
        key(self.rng.u32(0..self.keys))
    }

    fn fill(&mut self) {
        let before = resident_bytes();
        let start = processor_time();
        let mut each = Vec::with_capacity(self.keys as usize);
        let mut last = Instant::now();
        for i in 0..self.keys {
            // A permutation, so that neighbours in time are not neighbours in number.
            let number = (u64::from(i) * 2_654_435_761 % u64::from(u32::MAX)) as u32;
            self.db().set_string(&key(number), &[b'v'; 64], Expiry::None);
            let now = Instant::now();
            each.push((now - last).as_nanos() as u64);
            last = now;
        }
        report("insert", start, self.keys as usize);
        each.sort_unstable();
        for share in [0.5, 0.999, 0.9995, 0.9999, 1.0] {
            let at = ((each.len() as f64 * share) as usize).min(each.len() - 1);
            println!("insert, {:>6.2} % within {:>12.1} us", share * 100.0, each[at] as f64 / 1000.0);
        }
        drop(each);
        let resident = resident_bytes().saturating_sub(before);
        let (held, len) = (self.db().memory(), self.db().len());
        println!("bytes per key  {:>8.1} resident, {:.1} accounted", per(resident, len), per(held, len));
    }

    fn refill_plain(&mut self) {
        self.keyspace = Keyspace::new(16, 0x5eed);
        for i in 0..self.keys {
            self.db().set_string(&key(i), &[b'v'; 64], Expiry::None);
        }
    }

    fn each(&mut self, name: &str, mut operate: impl FnMut(&mut Db, &Key)) {
        let start = processor_time();
        for _ in 0..OPS {
            let key = self.random_key();
            operate(self.keyspace.db_mut(0), &key);
        }
        report(name, start, OPS);
    }

    fn batched(&mut self, name: &str, batch: usize, mut operate: impl FnMut(&mut Db, &Key)) {
        let mut keys = vec![[0; 16]; batch];
        let start = processor_time();
        for _ in 0..OPS / batch {
            keys.fill_with(|| key(self.rng.u32(0..self.keys)));
            let db = self.keyspace.db_mut(0);
            let mut prefetch = Prefetch::default();
            keys.iter().for_each(|key| prefetch.add(db, key, false));
            prefetch.fetch();
            keys.iter().for_each(|key| operate(db, key));
        }
        report(&format!("{name}, prefetched by {batch}"), start, OPS / batch * batch);
    }
}

fn per(bytes: usize, keys: usize) -> f64 {
    bytes as f64 / keys as f64
}

fn report(name: &str, since: Duration, operations: usize) {
    let took = processor_time().saturating_sub(since);
    println!("{name:<32} {:>8.1} ns", took.as_nanos() as f64 / operations as f64);
}

/// What this thread has run, from the scheduler's books.
fn processor_time() -> Duration {
    let books = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let ran = books.split(' ').next().and_then(|field| field.parse().ok()).expect("a number");
    Duration::from_nanos(ran)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number");
    pages * 4096
}

fn get(db: &mut Db, key: &Key) {
    black_box(db.find_live(key, NOW_MS).live().map(Entry::value));
}

fn set(db: &mut Db, key: &Key) {
    black_box(db.set_string(key, &[b'w'; 64], Expiry::None).replaced);
}

fn main() {
    let keys = std::env::args().nth(1).map_or(5_000_000, |keys| keys.parse().expect("a number of keys"));
    let mut bench = Bench::new(keys);
    println!("{keys} keys");
    bench.fill();
    bench.refill_plain();
    bench.each("make a key", |_, key| _ = black_box(*key));
    bench.each("get", get);
    bench.each("get, missing", |db, key| {
        let mut other = *key;
        other[0] = b'K';
        get(db, &other);
    });
    bench.each("set", set);
    for batch in [4, 16, 64] {
        bench.batched("get", batch, get);
        bench.batched("set", batch, set);
    }
    bench.each("set 64 then 70 bytes", |db, key| {
        black_box(db.set_string(key, &[b'w'; 70], Expiry::None).replaced);
    });
    bench.each("set with expiry", |db, key| {
        black_box(db.set_string(key, &[b'w'; 64], Expiry::At(NOW_MS)).replaced);
    });
    bench.each("remove and insert", |db, key| {
        if let Some(entry) = db.remove(key) {
            db.insert(entry);
        }
    });
    large_values();
}

/// SET of larger values over existing ones: where in-place writing should stop.
fn large_values() {
    for size in [512, 1024, 2048, 4096, 8192, 16_384] {
        let mut bench = Bench::new(20_000);
        let value = vec![b'v'; size];
        for i in 0..20_000 {
            bench.db().set_string(&key(i), &value, Expiry::None);
        }
        let held = per(bench.db().memory(), 20_000);
        let start = processor_time();
        for _ in 0..200_000 {
            let key = bench.random_key();
            bench.db().set_string(&key, &value, Expiry::None);
        }
        report(&format!("set {size} bytes ({held:.0} held)"), start, 200_000);
    }
}
