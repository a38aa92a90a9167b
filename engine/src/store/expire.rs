//! The active pass: removing keys, and fields of hashes, whose time is over though nobody asks for them.
//!
//! Each segment knows a lower bound of its earliest deadline, so one with nothing due costs a look at its
//! header. One with something due is read whole, its blocks fetched ahead, and its bound made exact. Fields of hashes
//! have a bound of their own beside that; a large hash gives them up in steps. The pass
//! walks the segments in the order of prefixes and remembers where it stopped, by prefix, so that splits and
//! merges between steps neither stall it nor hide a segment.
//!
//! With the pass run every 100 ms and a budget that lets it get round, a key goes within 100 ms of its deadline.

use super::db::{Db, Totals, is_due};
use super::encoding::listpack::Element;
use super::entry::Entry;
use super::hash::Hash;
use super::object::{Collection as _, Type};
use super::segment::Segment;
use super::table::DEPTH_MAX;
use super::walk::Recorder;

/// One past the last position, prefixes taken at the deepest level.
const END: u32 = 1 << DEPTH_MAX;
/// Deadlines looked at in a step to estimate the average time to live.
const TTL_SAMPLES: usize = 16;
/// Weight of the past in that estimate: as in Redis, 49 of 50.
const TTL_WEIGHT: u64 = 50;

/// Where the pass of a database stands, and what it has found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExpirePass {
    next: u32,
    average_ttl_ms: u64,
}

/// What the pass has removed.
#[derive(Debug)]
pub enum Expired<'a> {
    Key(Entry),
    /// A field of the hash that is told of next.
    Field(Element<'a>),
    /// So many fields of a hash.
    Fields(&'a Entry, usize),
    /// A hash that had no other fields.
    Emptied(Entry),
}

impl Db {
    /// Removes keys and fields whose time is over, and tells `expired` of them. Looks at about `budget` segments,
    /// entries and fields, goes round at most once, and goes on there the next time. True if the budget ran out
    /// first.
    ///
    /// A key that is `in_use` stays as it is for now.
    pub fn expire_step(
        &mut self,
        now_ms: u64,
        budget: usize,
        in_use: impl Fn(&[u8]) -> bool,
        mut expired: impl FnMut(Expired<'_>),
    ) -> bool {
        if self.volatile_len() == 0 && self.with_volatile_fields() == 0 {
            self.expire_pass = ExpirePass::default();
            return false;
        }
        self.sample_ttl(now_ms);
        let mut left = budget;
        let mut walked = 0;
        while walked < END {
            if left == 0 {
                return true;
            }
            let (span, cost) = self.expire_segment(now_ms, left, &in_use, &mut expired);
            walked += span;
            left = left.saturating_sub(cost);
        }
        false
    }

    /// An estimate of the expiring keys' average time to live, in milliseconds; 0 while there is none.
    pub fn average_ttl_ms(&self) -> u64 {
        self.expire_pass.average_ttl_ms
    }

    /// The next segment of the pass: how far that took it, and what it cost. It stays where it is if there are more
    /// fields due than the budget allows for.
    fn expire_segment(
        &mut self,
        now_ms: u64,
        budget: usize,
        in_use: &impl Fn(&[u8]) -> bool,
        expired: &mut impl FnMut(Expired<'_>),
    ) -> (u32, usize) {
        let place = (self.expire_pass.next >> (DEPTH_MAX - self.table.depth())) as usize;
        let Some(segment) = self.table.segment_at(place) else { return (END, 1) };
        let (prefix, depth) = (segment.prefix(), segment.depth());
        let span = 1 << (DEPTH_MAX - depth);
        let end = (prefix as u32 + 1) * span;
        let walked = end - self.expire_pass.next;
        let keys_due = segment.deadlines.may_be_due(now_ms);
        let fields_due = segment.deadlines.field_may_be_due(now_ms);
        let next = if end == END { 0 } else { end };
        if !keys_due && !fields_due {
            self.expire_pass.next = next;
            return (walked, 1);
        }
        let Some((segment, mut recorder)) = self.table.segment_at_mut(place) else { return (END, 1) };
        let totals = &mut self.totals;
        let mut cost = 1;
        if keys_due {
            cost += segment.deadlines.volatile();
            segment.remove_due(now_ms, in_use, &mut recorder, |entry| {
                totals.subtract(&entry);
                expired(Expired::Key(entry));
            });
        }
        let mut left = budget;
        if fields_due {
            cost += segment.entries.len();
            left = segment.remove_due_fields(now_ms, budget, totals, (in_use, expired), &mut recorder);
            cost += budget - left;
        }
        self.table.contract_prefix(prefix, depth);
        if left == 0 {
            return (0, budget);
        }
        self.expire_pass.next = next;
        (walked, cost)
    }

    fn sample_ttl(&mut self, now_ms: u64) {
        let place = (self.expire_pass.next >> (DEPTH_MAX - self.table.depth())) as usize;
        let Some(segment) = self.table.segment_at(place) else { return };
        let volatile = segment.entries.iter().filter_map(Entry::expiry).take(TTL_SAMPLES);
        let (sum, count) =
            volatile.fold((0u64, 0), |(sum, n), at| (sum.saturating_add(at.saturating_sub(now_ms)), n + 1));
        let Some(average) = sum.checked_div(count) else { return };
        let past = &mut self.expire_pass.average_ttl_ms;
        *past =
            if *past == 0 { average } else { *past / TTL_WEIGHT * (TTL_WEIGHT - 1) + average / TTL_WEIGHT };
    }
}

impl Segment {
    /// Removes the entries that are due, and makes the bound exact.
    fn remove_due(
        &mut self,
        now_ms: u64,
        in_use: &impl Fn(&[u8]) -> bool,
        recorder: &mut Recorder<'_>,
        mut removed: impl FnMut(Entry),
    ) {
        self.entries.iter().filter(|entry| entry.is_volatile()).for_each(Entry::prefetch);
        let mut earliest_ms = u64::MAX;
        let due = self.entries.extract_if(|entry| {
            let Some(at) = entry.expiry() else { return false };
            let due = is_due(at, now_ms) && !in_use(entry.key());
            if due {
                recorder.before_change(entry);
            } else {
                earliest_ms = earliest_ms.min(at);
            }
            due
        });
        for entry in due {
            self.deadlines.subtract(true);
            removed(entry);
        }
        self.deadlines.set_earliest(earliest_ms);
    }

    /// Removes up to `budget` of the fields that are due, and makes their bound exact once none is left. Returns what
    /// is left of the budget.
    fn remove_due_fields(
        &mut self,
        now_ms: u64,
        budget: usize,
        totals: &mut Totals,
        (in_use, expired): (&impl Fn(&[u8]) -> bool, &mut impl FnMut(Expired<'_>)),
        recorder: &mut Recorder<'_>,
    ) -> usize {
        self.entries.iter().for_each(Entry::prefetch);
        let (mut left, mut earliest_ms, mut emptied) = (budget, u64::MAX, 0);
        for entry in &mut self.entries {
            let Some(at_ms) = entry.next_field_deadline() else { continue };
            if left > 0 && is_due(at_ms, now_ms) && !in_use(entry.key()) {
                recorder.before_change(entry);
                let removed = totals.change(entry, |entry| {
                    expire_fields(entry, now_ms, left, |field| expired(Expired::Field(field)))
                });
                left -= removed;
                emptied += usize::from(is_emptied(entry));
                expired(Expired::Fields(entry, removed));
            }
            earliest_ms = earliest_ms.min(entry.next_field_deadline().unwrap_or(u64::MAX));
        }
        self.deadlines.set_earliest_field(earliest_ms);
        if emptied > 0 {
            for entry in self.entries.extract_if(|entry| is_emptied(entry)) {
                self.deadlines.subtract(entry.is_volatile());
                totals.subtract(&entry);
                expired(Expired::Emptied(entry));
            }
        }
        left
    }
}

fn is_emptied(entry: &Entry) -> bool {
    entry.type_of() == Type::Hash && entry.object().and_then(Hash::of).is_some_and(Hash::is_empty)
}

/// Removes up to `budget` of a hash's fields that are due, and tells `each` of them. Returns how many.
fn expire_fields(entry: &mut Entry, now_ms: u64, budget: usize, each: impl FnMut(Element<'_>)) -> usize {
    let hash = entry.object_mut().and_then(Hash::of_mut);
    hash.map_or(0, |hash| hash.remove_before(now_ms, budget, each))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expiry, Keyspace};
    use fastrand::Rng;

    #[test]
    fn keys_go_within_a_step_of_their_deadline() {
        let mut keyspace = Keyspace::new(1, 3);
        let db = keyspace.db_mut(0);
        let mut rng = Rng::with_seed(5);
        for i in 0..50_000u32 {
            db.set_string(&i.to_be_bytes(), b"value", Expiry::At(rng.u64(1000..20_000)));
            db.set_string(&(i + 1_000_000).to_be_bytes(), b"value", Expiry::None);
        }
        for now in (0..21_000).step_by(100) {
            let cut = db.expire_step(
                now,
                1_000_000,
                |_| false,
                |expired| {
                    let Expired::Key(entry) = expired else { panic!("there are no hashes") };
                    let at = entry.expiry().expect("it expired");
                    assert!(at < now && now <= at + 100, "{at} removed at {now}");
                },
            );
            assert!(!cut);
        }
        db.assert_invariants();
        assert_eq!((db.len(), db.volatile_len()), (50_000, 0));
    }

    #[test]
    fn a_small_budget_gets_round_in_the_end() {
        let mut keyspace = Keyspace::new(1, 3);
        let db = keyspace.db_mut(0);
        (0..40_000u32).for_each(|i| drop(db.insert(Entry::integer(&i.to_be_bytes(), 0, Some(10)))));
        assert!(!db.expire_step(10, 100, |_| false, |_| panic!("nothing is due in its own millisecond")));
        let mut gone = 0;
        let mut steps = 0;
        while db.expire_step(11, 1, |_| false, |_| gone += 1) {
            steps += 1;
            assert!(steps < 1000);
        }
        assert!(steps > 10, "one segment a step: {steps}");
        assert_eq!((gone, db.len()), (40_000, 0));
        db.assert_invariants();
    }

    #[test]
    fn the_average_ttl_follows_the_keys() {
        let mut keyspace = Keyspace::new(1, 3);
        let db = keyspace.db_mut(0);
        assert_eq!(db.average_ttl_ms(), 0);
        (0..1000u32).for_each(|i| drop(db.insert(Entry::integer(&i.to_be_bytes(), 0, Some(60_000)))));
        db.expire_step(10_000, 100, |_| false, |_| {});
        assert_eq!(db.average_ttl_ms(), 50_000);
    }
}
