//! The largest keys of a reactor, out of the notes that its databases keep (`store/largest.rs`).

use crate::store::{Entry, Keyspace, Type};

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
    /// Bytes from which on no key is missing, as MEMORY USAGE has them.
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
            let complete_from = db.largest_complete_from() + Entry::PLACE_BYTES;
            view.complete_from = view.complete_from.max(complete_from as u64);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Expiry;

    #[test]
    fn the_bound_is_in_the_unit_of_the_keys() {
        let mut keyspace = Keyspace::new(1, 7);
        let db = keyspace.db_mut(0);
        // Sizes on both sides of the bound.
        for length in 850..1050usize {
            db.set_string(format!("key:{length}").as_bytes(), &vec![b'v'; length], Expiry::None);
        }
        let view = BigView::of(&mut keyspace, 0);
        let complete_from = view.complete_from;
        let known = view.top(usize::MAX);
        let smallest = known.iter().map(|big| big.bytes).min();
        assert_eq!(smallest, Some(complete_from), "a block has exactly as many bytes as the bound");
        let db = keyspace.db_mut(0);
        assert!(db.len() > known.len());
        let missing = db.iter().filter(|entry| known.iter().all(|big| *big.key != *entry.key()));
        assert!(missing.map(|entry| entry.memory_with_place() as u64).all(|bytes| bytes < complete_from));
    }
}
