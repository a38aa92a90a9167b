//! A scan among inserts and deletes must return every key that was there throughout.

use std::collections::HashSet;

use proptest::prelude::*;

use crate::store::{CURSOR_END, Db, Entry, Keyspace};

/// What happens between two calls of a scan.
#[derive(Clone, Debug)]
enum Phase {
    Grow(u32),
    Shrink(u32),
    Rest,
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        2 => (1u32..4000).prop_map(Phase::Grow),
        3 => (1u32..6000).prop_map(Phase::Shrink),
        1 => Just(Phase::Rest),
    ]
}

/// A database whose first keys stay, and whose others come and go.
struct Subject {
    keyspace: Keyspace,
    passing: Vec<u32>,
    next: u32,
}

impl Subject {
    fn new(seed: u64, staying: u32, passing: u32) -> Self {
        let mut subject = Self { keyspace: Keyspace::new(1, seed), passing: vec![], next: staying };
        (0..staying).for_each(|i| subject.insert(i));
        subject.enter(&Phase::Grow(passing));
        subject
    }

    fn db(&self) -> &Db {
        self.keyspace.db(0)
    }

    fn insert(&mut self, i: u32) {
        self.keyspace.db_mut(0).insert(Entry::integer(&i.to_be_bytes(), 0, None));
    }

    fn enter(&mut self, phase: &Phase) {
        match *phase {
            Phase::Grow(count) => {
                for i in self.next..self.next + count {
                    self.insert(i);
                    self.passing.push(i);
                }
                self.next += count;
            }
            Phase::Shrink(count) => {
                for _ in 0..count {
                    let Some(i) = self.passing.pop() else { break };
                    self.keyspace.db_mut(0).remove(&i.to_be_bytes()).expect("it is there");
                }
            }
            Phase::Rest => {}
        }
    }
}

/// The keys of a whole scan, with the phases between its calls, and how many calls it took.
fn scan_through(subject: &mut Subject, count: usize, phases: &[Phase]) -> (HashSet<Vec<u8>>, usize) {
    let mut found = HashSet::new();
    let mut cursor = 0;
    for calls in 1..100_000 {
        let mut visited = 0;
        cursor = subject.db().scan(cursor, count, |entry| {
            visited += 1;
            found.insert(entry.key().to_vec());
        });
        assert!(cursor < CURSOR_END);
        assert!(visited <= 20 * count + 100, "{visited} where {count} were asked for");
        if cursor == 0 {
            return (found, calls);
        }
        if let Some(phase) = phases.get(calls - 1) {
            subject.enter(phase);
        }
    }
    panic!("the scan does not end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_stays_is_returned(
        seed: u64,
        staying in 1u32..2000,
        passing in 0u32..12_000,
        count in 1usize..700,
        phases in prop::collection::vec(phase(), 0..60),
    ) {
        let mut subject = Subject::new(seed, staying, passing);
        let (found, _) = scan_through(&mut subject, count, &phases);
        for i in 0..staying {
            prop_assert!(found.contains(&i.to_be_bytes()[..]), "{} is missing", i);
        }
        subject.db().assert_invariants();
    }
}

#[test]
fn a_scan_at_rest_returns_each_key_once_in_calls_of_about_count() {
    for (keys, count) in
        [(0, 10), (1, 10), (10, 10), (5000, 10), (30_000, 100), (30_000, 5000), (3000, 100_000)]
    {
        let mut subject = Subject::new(1, keys, 0);
        let mut returned = 0;
        let (found, calls) = scan_through(&mut subject, count, &[]);
        let mut cursor = 0;
        loop {
            cursor = subject.db().scan(cursor, count, |_| returned += 1);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((found.len(), returned), (keys as usize, keys as usize));
        let expected = keys as usize / count + 1;
        assert!(calls <= 2 * expected + 8, "{calls} calls for {keys} keys by {count}");
    }
}
