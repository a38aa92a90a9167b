//! Entries at random: RANDOMKEY, and samples for eviction.
//!
//! A draw takes a place of the directory and a bucket at random, and is rejected where the bucket is empty or,
//! with the odds that make up for a segment standing in several places, because its segment is less deep than
//! the table. So every entry has the same chance. Draws are bounded; should all fail, which takes a table that
//! is all but empty, the first entry from a random place on is taken.

use fastrand::Rng;

use super::db::Db;
use super::entry::Entry;
use super::segment::{BUCKETS_MAX, Segment};
use super::table::Table;

/// At the lowest load that merging and shrinking leave, one draw in 30 succeeds.
const DRAWS_MAX: usize = 512;

/// Which entries a sample is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    All,
    /// Those with an expiry.
    Volatile,
}

impl Pool {
    fn holds(self, entry: &Entry) -> bool {
        self == Self::All || entry.is_volatile()
    }

    fn size_in(self, segment: &Segment) -> usize {
        match self {
            Self::All => segment.entries.len(),
            Self::Volatile => segment.deadlines.volatile(),
        }
    }
}

impl Db {
    /// An entry, each with the same chance; `None` if there is none.
    pub fn random(&self, pool: Pool, rng: &mut Rng) -> Option<&Entry> {
        if self.pool_len(pool) == 0 {
            return None;
        }
        let table = &self.table;
        (0..DRAWS_MAX).find_map(|_| draw(table, pool, rng)).or_else(|| self.neighbours(pool, rng).next())
    }

    /// Entries that stand together from a random place on: as random as the hash, and cheaper to collect than
    /// as many draws. Not more than all.
    pub(crate) fn neighbours(&self, pool: Pool, rng: &mut Rng) -> impl Iterator<Item = &Entry> {
        let table = &self.table;
        let places = table.places();
        let start = if places == 0 { 0 } else { rng.usize(0..places) };
        let bucket = rng.usize(0..BUCKETS_MAX);
        let wanted = self.pool_len(pool);
        segments_from(table, start)
            .filter(move |segment| pool.size_in(segment) > 0)
            .flat_map(move |segment| {
                let buckets = segment.entries.num_buckets();
                (0..buckets).filter_map(move |i| segment.entries.get_bucket((bucket + i) & (buckets - 1)))
            })
            .filter(move |entry| pool.holds(entry))
            .take(wanted)
    }

    pub(crate) fn pool_len(&self, pool: Pool) -> usize {
        match pool {
            Pool::All => self.len(),
            Pool::Volatile => self.volatile_len(),
        }
    }
}

fn draw<'a>(table: &'a Table, pool: Pool, rng: &mut Rng) -> Option<&'a Entry> {
    let segment = table.segment_at(rng.usize(0..table.places()))?;
    let shallower = table.depth() - segment.depth();
    if shallower > 0 && rng.u32(0..1 << shallower) > 0 {
        return None;
    }
    let buckets = if table.depth() == 0 { segment.entries.num_buckets() } else { BUCKETS_MAX };
    segment.entries.get_bucket(rng.usize(0..buckets)).filter(|entry| pool.holds(entry))
}

/// Every segment once, from a place of the directory on and around.
fn segments_from(table: &Table, start: usize) -> impl Iterator<Item = &Segment> {
    let mut left = table.places();
    let mut place = start;
    std::iter::from_fn(move || {
        let segment = (left > 0).then(|| table.segment_at(place & (table.places() - 1)))??;
        let span = 1 << (table.depth() - segment.depth());
        // The first may be entered in the middle of its places; it counts as whole, and is not met again.
        place = (place & !(span - 1)) + span;
        left = left.saturating_sub(span);
        Some(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expiry, Keyspace};

    /// Keys, then draws per key that are expected: the spread of the counts must be that of chance.
    fn assert_uniform(keys: usize, volatile_every: usize, pool: Pool) {
        const DRAWS_PER_KEY: usize = 200;
        let mut keyspace = Keyspace::new(1, 3);
        let db = keyspace.db_mut(0);
        for i in 0..keys {
            let expiry = if i % volatile_every == 0 { Expiry::At(1) } else { Expiry::None };
            db.set_string(&(i as u32).to_be_bytes(), b"value", expiry);
        }
        let chosen = if pool == Pool::All { keys } else { keys.div_ceil(volatile_every) };
        let mut rng = Rng::with_seed(11);
        let mut counts = vec![0usize; keys];
        for _ in 0..chosen * DRAWS_PER_KEY {
            let entry = db.random(pool, &mut rng).expect("there are keys");
            assert!(pool.holds(entry));
            counts[u32::from_be_bytes(entry.key().try_into().expect("4 bytes")) as usize] += 1;
        }
        let expected = DRAWS_PER_KEY as f64;
        let drawn = |i: &usize| pool == Pool::All || i.is_multiple_of(volatile_every);
        let chi_squared: f64 =
            (0..keys).filter(drawn).map(|i| (counts[i] as f64 - expected).powi(2) / expected).sum();
        // Mean k, deviation sqrt(2k): five deviations.
        let freedom = chosen as f64 - 1.0;
        assert!((chi_squared - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{chi_squared} for {freedom}");
    }

    #[test]
    fn every_key_has_the_same_chance() {
        assert_uniform(3, 1, Pool::All);
        assert_uniform(300, 1, Pool::All);
        // Between a first split and all of them: segments of different depths.
        assert_uniform(1830, 1, Pool::All);
        assert_uniform(3620, 1, Pool::All);
        assert_uniform(7100, 7, Pool::Volatile);
    }

    #[test]
    fn the_last_volatile_key_is_found() {
        let mut keyspace = Keyspace::new(1, 3);
        let db = keyspace.db_mut(0);
        let mut rng = Rng::with_seed(1);
        assert!(db.random(Pool::All, &mut rng).is_none());
        (0..20_000u32).for_each(|i| drop(db.insert(Entry::integer(&i.to_be_bytes(), 0, None))));
        assert!(db.random(Pool::Volatile, &mut rng).is_none());
        db.set_expiry(&77u32.to_be_bytes(), Some(5));
        for _ in 0..50 {
            let found = db.random(Pool::Volatile, &mut rng).map(Entry::key);
            assert_eq!(found, Some(&77u32.to_be_bytes()[..]));
        }
    }

    #[test]
    fn neighbours_are_all_entries_once() {
        let mut keyspace = Keyspace::new(1, 3);
        let db = keyspace.db_mut(0);
        (0..9000u32).for_each(|i| drop(db.insert(Entry::integer(&i.to_be_bytes(), 0, None))));
        let mut rng = Rng::with_seed(1);
        for _ in 0..20 {
            let keys: std::collections::HashSet<_> =
                db.neighbours(Pool::All, &mut rng).map(Entry::key).collect();
            assert_eq!(keys.len(), db.len());
        }
    }
}
