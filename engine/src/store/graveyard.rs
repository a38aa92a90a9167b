//! Freeing in slices what is too large to free at once: cleared tables, replaced or unlinked objects.
//!
//! What is buried is no longer part of the database: it is not found, counted or accounted.

use std::collections::VecDeque;

use hashbrown::hash_table::IntoIter;

use super::entry::Entry;
use super::object::Object;
use super::table::Table;

/// Buried things, oldest first.
#[derive(Default)]
pub(crate) struct Graveyard {
    tables: VecDeque<Table>,
    /// The segment being freed.
    entries: IntoIter<Entry>,
    objects: Vec<Object>,
}

impl Graveyard {
    pub(crate) fn bury(&mut self, mut entry: Entry) {
        self.objects.extend(entry.take_object().map(|object| *object));
    }

    pub(crate) fn bury_object(&mut self, object: Object) {
        self.objects.push(object);
    }

    pub(crate) fn bury_table(&mut self, table: Table) {
        self.tables.push_back(table);
    }

    /// Frees about `budget` allocations. True if more is left.
    pub(crate) fn step(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while left > 0 {
            if let Some(object) = self.objects.last_mut() {
                left = object.free_step(left);
                if left > 0 {
                    self.objects.pop();
                    left -= 1;
                }
            } else if self.free_one() {
                left -= 1;
            } else {
                return false;
            }
        }
        self.objects.len() + self.entries.len() + self.tables.len() > 0
    }

    /// Frees one block, or finds the next segment to free. False if nothing is left.
    fn free_one(&mut self) -> bool {
        if let Some(mut entry) = self.entries.next() {
            self.objects.extend(entry.take_object().map(|object| *object));
            return true;
        }
        let Some(table) = self.tables.front_mut() else { return false };
        match table.take_segment() {
            Some(entries) => self.entries = entries.into_iter(),
            None => drop(self.tables.pop_front()),
        }
        true
    }
}

impl std::fmt::Debug for Graveyard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graveyard")
            .field("tables", &self.tables.len())
            .field("entries", &self.entries.len())
            .field("objects", &self.objects.len())
            .finish()
    }
}
