//! Moves of prefixes from one node to another.
//!
//! ```text
//!          start            commit
//!   ──────────────► migrating ──────► migrated: remembered until the prefix is moved again
//!                       │ abort
//!                       └───────────► as if it had never begun
//! ```
//!
//! While a prefix migrates nobody writes its keys: its old node does not any more, its new one not yet. The commit is
//! the one moment at which the writer becomes another. Of a key's prefixes the longest decides, whether it is migrating
//! or migrated.
//!
//! A move is committed and aborted by its number, not by its prefix: a commit that comes late, for a move that was
//! aborted, must not commit the next move of the same prefix, which others have not heard of yet. Prefixes that migrate
//! at the same time do not overlap, so that no key is in two moves.
//!
//! What makes this safe on several nodes that hear of changes at different times: a node uses a change only when it
//! has stored it, and a move is committed only when its old node uses the start. `tests/migration.rs` tries every
//! order of events, and shows that without either there would be two writers.

use rpds::RedBlackTreeMapSync;

use super::{PREFIX_BYTES_MAX, Prefix, ROUTES_MAX, beginning_with, covering, overlapping};
use crate::ids::Id;
use crate::node::NodeName;

/// A move that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrating {
    pub id: Id,
    pub from: NodeName,
    pub to: NodeName,
}

/// A move that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    pub id: Id,
    pub to: NodeName,
}

/// What moves have made of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase<'t> {
    Migrating(&'t Migrating),
    Migrated(&'t Migrated),
}

/// Why a move can't begin or end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    #[error("a prefix to be moved can't be empty")]
    EmptyPrefix,
    #[error("a prefix to be moved has {PREFIX_BYTES_MAX} bytes at most")]
    LongPrefix,
    #[error("'{}' is migrating already", .0.escape_ascii())]
    Migrating(Prefix),
    #[error("'{}' overlaps with '{}', which is migrating", new.escape_ascii(), old.escape_ascii())]
    Overlap { new: Prefix, old: Prefix },
    #[error("it is node '{0}' that has it")]
    SameNode(NodeName),
    #[error("{ROUTES_MAX} prefixes have been moved already")]
    TooMany,
    #[error("there is no move {0}")]
    Unknown(Id),
    #[error("move {0} has been committed")]
    Committed(Id),
}

/// Prefixes that migrate or have migrated. A copy costs nothing, and shares what is not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationTable {
    /// None of them begins another.
    migrating: RedBlackTreeMapSync<Prefix, Migrating>,
    migrated: RedBlackTreeMapSync<Prefix, Migrated>,
}

impl MigrationTable {
    /// Begins a move.
    pub fn start(&mut self, prefix: Prefix, migrating: Migrating) -> Result<(), MoveError> {
        if prefix.is_empty() {
            return Err(MoveError::EmptyPrefix);
        }
        if prefix.len() > PREFIX_BYTES_MAX {
            return Err(MoveError::LongPrefix);
        }
        if migrating.from == migrating.to {
            return Err(MoveError::SameNode(migrating.to));
        }
        if let Some(old) = overlapping(&self.migrating, &prefix).cloned() {
            return Err(if old == prefix {
                MoveError::Migrating(old)
            } else {
                MoveError::Overlap { new: prefix, old }
            });
        }
        if self.migrating.size() + self.migrated.size() >= ROUTES_MAX {
            return Err(MoveError::TooMany);
        }
        self.migrating.insert_mut(prefix, migrating);
        Ok(())
    }

    /// The new node writes from now on. A second time changes nothing.
    pub fn commit(&mut self, id: Id) -> Result<(), MoveError> {
        let Some(prefix) = self.prefix_of(id) else {
            return if self.is_committed(id) { Ok(()) } else { Err(MoveError::Unknown(id)) };
        };
        if let Some(Migrating { to, .. }) = self.migrating.get(&prefix).cloned() {
            self.migrating.remove_mut(&prefix);
            self.migrated.insert_mut(prefix, Migrated { id, to });
        }
        Ok(())
    }

    /// Everything is as if the move had not begun. A second time changes nothing.
    pub fn abort(&mut self, id: Id) -> Result<(), MoveError> {
        if self.is_committed(id) {
            return Err(MoveError::Committed(id));
        }
        if let Some(prefix) = self.prefix_of(id) {
            self.migrating.remove_mut(&prefix);
        }
        Ok(())
    }

    /// Forgets the moves of prefixes that begin with this one. Fails if one of them is under way.
    pub fn forget(&mut self, prefix: &[u8]) -> Result<(), MoveError> {
        if let Some(migrating) = overlapping(&self.migrating, prefix) {
            return Err(MoveError::Migrating(migrating.clone()));
        }
        let moved: Vec<Prefix> = self.migrated_in(prefix).map(|(moved, _)| moved.clone()).collect();
        for prefix in &moved {
            self.migrated.remove_mut(prefix);
        }
        Ok(())
    }

    /// A migrated prefix as it was stored.
    pub(crate) fn restore(&mut self, prefix: Prefix, migrated: Migrated) {
        self.migrated.insert_mut(prefix, migrated);
    }

    /// The longest prefix of a key that is migrating or has migrated.
    pub fn longest(&self, key: &[u8]) -> Option<(&Prefix, Phase<'_>)> {
        let migrating = covering(&self.migrating, key);
        let migrated = (1..=key.len().min(PREFIX_BYTES_MAX))
            .rev()
            .find_map(|len| self.migrated.get_key_value(&key[..len]));
        match (migrating, migrated) {
            (Some((inner, _)), Some((outer, done))) if outer.len() > inner.len() => {
                Some((outer, Phase::Migrated(done)))
            }
            (Some((prefix, begun)), _) => Some((prefix, Phase::Migrating(begun))),
            (None, Some((prefix, done))) => Some((prefix, Phase::Migrated(done))),
            (None, None) => None,
        }
    }

    pub fn migrating(&self) -> impl Iterator<Item = (&Prefix, &Migrating)> {
        self.migrating.iter()
    }

    pub fn migrated(&self) -> impl Iterator<Item = (&Prefix, &Migrated)> {
        self.migrated.iter()
    }

    /// Those that begin with this one.
    pub fn migrating_in(&self, prefix: &[u8]) -> impl Iterator<Item = (&Prefix, &Migrating)> {
        beginning_with(&self.migrating, prefix)
    }

    /// Those that begin with this one.
    pub fn migrated_in(&self, prefix: &[u8]) -> impl Iterator<Item = (&Prefix, &Migrated)> {
        beginning_with(&self.migrated, prefix)
    }

    fn prefix_of(&self, id: Id) -> Option<Prefix> {
        self.migrating.iter().find(|(_, begun)| begun.id == id).map(|(prefix, _)| prefix.clone())
    }

    fn is_committed(&self, id: Id) -> bool {
        self.migrated.values().any(|done| done.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> NodeName {
        NodeName::new(name.as_bytes()).unwrap()
    }

    fn start(table: &mut MigrationTable, id: u64, prefix: &str, to: &str) -> Result<(), MoveError> {
        table.start(prefix.as_bytes().into(), Migrating { id: Id(id), from: name("a"), to: name(to) })
    }

    /// Where a key goes, and by which prefix.
    fn seen(table: &MigrationTable, key: &str) -> String {
        match table.longest(key.as_bytes()) {
            None => "nothing".into(),
            Some((prefix, Phase::Migrating(begun))) => format!("{} to {}", prefix.escape_ascii(), begun.to),
            Some((prefix, Phase::Migrated(done))) => format!("{} at {}", prefix.escape_ascii(), done.to),
        }
    }

    #[test]
    fn a_second_start_is_refused() {
        let mut table = MigrationTable::default();
        start(&mut table, 1, "user:", "b").unwrap();
        assert_eq!(start(&mut table, 2, "user:", "c"), Err(MoveError::Migrating(b"user:"[..].into())));
        for (prefix, text) in [
            ("user:1", "'user:1' overlaps with 'user:', which is migrating"),
            ("us", "'us' overlaps with 'user:', which is migrating"),
            ("", "a prefix to be moved can't be empty"),
        ] {
            assert_eq!(start(&mut table, 2, prefix, "c").unwrap_err().to_string(), text);
        }
        assert_eq!(start(&mut table, 2, "x", "a"), Err(MoveError::SameNode(name("a"))));
    }

    #[test]
    fn commit_and_abort_may_be_repeated() {
        let mut table = MigrationTable::default();
        start(&mut table, 1, "user:", "b").unwrap();
        table.abort(Id(1)).unwrap();
        assert_eq!(table, MigrationTable::default());
        table.abort(Id(1)).unwrap();
        start(&mut table, 2, "user:", "b").unwrap();
        table.commit(Id(2)).unwrap();
        let committed = table.clone();
        table.commit(Id(2)).unwrap();
        assert_eq!(table, committed);
        assert_eq!(table.abort(Id(2)), Err(MoveError::Committed(Id(2))));
    }

    #[test]
    fn a_late_commit_of_an_aborted_move_does_not_commit_the_next() {
        let mut table = MigrationTable::default();
        start(&mut table, 1, "user:", "b").unwrap();
        table.abort(Id(1)).unwrap();
        start(&mut table, 2, "user:", "c").unwrap();
        assert_eq!(table.commit(Id(1)), Err(MoveError::Unknown(Id(1))));
        assert_eq!(seen(&table, "user:1"), "user: to c");
    }

    #[test]
    fn an_abort_brings_back_what_was_moved_before() {
        let mut table = MigrationTable::default();
        start(&mut table, 1, "user:", "b").unwrap();
        table.commit(Id(1)).unwrap();
        start(&mut table, 2, "user:", "c").unwrap();
        assert_eq!(seen(&table, "user:1"), "user: to c");
        table.abort(Id(2)).unwrap();
        assert_eq!(seen(&table, "user:1"), "user: at b");
    }

    #[test]
    fn the_longest_prefix_decides_whether_it_is_migrating_or_migrated() {
        let mut table = MigrationTable::default();
        start(&mut table, 1, "user:1", "b").unwrap();
        table.commit(Id(1)).unwrap();
        start(&mut table, 2, "user:", "c").unwrap();
        assert_eq!(seen(&table, "user:12"), "user:1 at b");
        assert_eq!(seen(&table, "user:2"), "user: to c");
        table.commit(Id(2)).unwrap();
        start(&mut table, 3, "user:12", "c").unwrap();
        assert_eq!(seen(&table, "user:12"), "user:12 to c");
        assert_eq!(seen(&table, "user:1"), "user:1 at b");
        assert_eq!(seen(&table, "use"), "nothing");
    }

    #[test]
    fn what_is_forgotten_takes_its_moves_along() {
        let mut table = MigrationTable::default();
        for (id, prefix) in [(1, "user:1"), (2, "user:2"), (3, "x")] {
            start(&mut table, id, prefix, "b").unwrap();
            table.commit(Id(id)).unwrap();
        }
        start(&mut table, 4, "user:3", "b").unwrap();
        assert_eq!(table.forget(b"user:"), Err(MoveError::Migrating(b"user:3"[..].into())));
        table.abort(Id(4)).unwrap();
        table.forget(b"user:").unwrap();
        assert_eq!((seen(&table, "user:1").as_str(), seen(&table, "x").as_str()), ("nothing", "x at b"));
    }
}
