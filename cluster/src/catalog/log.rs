//! A catalog with its last changes: what it was, and how others catch up with it.

use std::collections::VecDeque;

use super::{Catalog, Change, Declared, Owner, Refusal};
use crate::ids::Version;

/// Changes that are remembered unless another number is asked for.
pub const HISTORY_DEFAULT: usize = 32;

/// A catalog that is changed by compare-and-set, one version at a time, and remembers so many of its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogLog {
    current: Catalog,
    /// Each change with the catalog before it, oldest first.
    past: VecDeque<(Catalog, Change)>,
    most: usize,
    /// What the configuration of its node said at the last start, if that is known.
    pub(super) declared: Option<Declared>,
}

/// Why a change was not saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    #[error("the catalog is of version {current}, not {expected}")]
    Conflict { expected: Version, current: Version },
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What somebody who knows the catalog of a version needs to know the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The changes since, oldest first.
    Changes(Vec<Change>),
    /// All of it: the version is too old, or is none of this catalog.
    Snapshot(Catalog),
}

impl Default for CatalogLog {
    fn default() -> Self {
        Self::new(Catalog::default(), HISTORY_DEFAULT)
    }
}

impl CatalogLog {
    /// A catalog whose past is not known, and of which nothing was declared, that will remember `most` changes.
    pub fn new(catalog: Catalog, most: usize) -> Self {
        let declared = Some(Declared::new_sync());
        Self { current: catalog, past: VecDeque::new(), most, declared }
    }

    pub fn current(&self) -> &Catalog {
        &self.current
    }

    /// Makes a change, if the catalog is of the version that whoever wants it has seen. The catalog is then of the
    /// version after that. Consensus hands the changes it has agreed on to this, each with its place as the version.
    pub fn save(&mut self, expected: Version, change: Change) -> Result<Version, SaveError> {
        let current = self.current.version();
        if expected != current {
            return Err(SaveError::Conflict { expected, current });
        }
        self.make(change)?;
        Ok(self.current.version())
    }

    pub(super) fn make(&mut self, change: Change) -> Result<(), Refusal> {
        let changed = self.current.changed(&change)?;
        self.past.push_back((std::mem::replace(&mut self.current, changed), change));
        self.remember(self.most);
        Ok(())
    }

    /// Remembers so many changes from now on.
    pub(super) fn remember(&mut self, most: usize) {
        self.most = most;
        self.past.drain(..self.past.len().saturating_sub(most));
    }

    /// The catalog as it was at a version, if that is remembered.
    pub fn at(&self, version: Version) -> Option<&Catalog> {
        let past = self.past.iter().map(|(before, _)| before);
        past.chain([&self.current]).find(|catalog| catalog.version() == version)
    }

    /// Who owned a key at a version: `None` if that is not remembered, `Some(None)` if nobody did.
    pub fn owner_at(&self, version: Version, key: &[u8]) -> Option<Option<Owner<'_>>> {
        self.at(version).map(|catalog| catalog.owner(key))
    }

    /// The changes that are remembered, each with the version that it made, newest first.
    pub fn changes(&self) -> impl Iterator<Item = (Version, &Change)> {
        self.past.iter().rev().map(|(before, change)| (before.version().next(), change))
    }

    /// The oldest catalog that is remembered, and what has been made of it since.
    pub fn oldest(&self) -> (&Catalog, impl Iterator<Item = &Change>) {
        let oldest = self.past.front().map_or(&self.current, |(before, _)| before);
        (oldest, self.past.iter().map(|(_, change)| change))
    }

    /// What somebody who knows `version` needs.
    pub fn since(&self, version: Version) -> Update {
        if version == self.current.version() {
            return Update::Changes(Vec::new());
        }
        match self.past.iter().position(|(before, _)| before.version() == version) {
            Some(first) => {
                Update::Changes(self.past.iter().skip(first).map(|(_, change)| change.clone()).collect())
            }
            None => Update::Snapshot(self.current.clone()),
        }
    }
}
