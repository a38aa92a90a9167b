//! The largest keys of a reactor, out of the notes that its databases keep (`store/largest.rs`).

use crate::store::{Keyspace, Type};

/// A large key as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BigKey {
    pub db: u16,
    pub key: Box<[u8]>,
    pub type_of: Type,
    /// As MEMORY USAGE has them.
    pub bytes: u64,
    /// Bytes of a string, elements, members, fields, entries.
    pub elements: u64,
}

/// The largest keys of one reactor; merged, of all.
#[derive(Clone, Debug, Default)]
pub struct BigView {
    /// Bytes from which on no key is missing.
    pub complete_from: u64,
    keys: Vec<BigKey>,
}

impl BigView {
    pub fn of(keyspace: &mut Keyspace, now_ms: u64) -> Self {
        let mut view = Self::default();
        for (index, db) in keyspace.iter_mut().enumerate() {
            view.keys.extend(db.largest(now_ms).map(|entry| BigKey {
                db: index as u16,
                key: entry.key().into(),
                type_of: entry.type_of(),
                bytes: entry.memory_with_place() as u64,
                elements: entry.elements() as u64,
            }));
            view.complete_from = view.complete_from.max(db.largest_complete_from() as u64);
        }
        view
    }

    /// Adds another reactor's.
    pub fn merge(&mut self, other: Self) {
        self.complete_from = self.complete_from.max(other.complete_from);
        self.keys.extend(other.keys);
    }

    /// The largest, largest first.
    pub fn top(mut self, count: usize) -> Vec<BigKey> {
        self.keys
            .sort_unstable_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| (a.db, &a.key).cmp(&(b.db, &b.key))));
        self.keys.truncate(count);
        self.keys
    }
}
