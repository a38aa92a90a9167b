//! A stream: the log of its entries, and groups of consumers who read it.
//!
//! | module | owns |
//! |---|---|
//! | `group` | [`Group`]: how far it has read, what was delivered and not acknowledged |
//! | `consumer` | [`Consumer`], and all of a group, by name and by number |
//! | `progress` | how many entries a group has read and has before it |
//!
//! A log may be empty: a stream stays when its last entry goes.

mod consumer;
mod group;
mod progress;

use std::collections::{BTreeMap, btree_map};

use super::encoding::btree::btree_memory;
use super::encoding::stream::Log;
use super::size_class::size_class;

pub use self::consumer::{Consumer, ConsumerId};
pub use self::group::{Group, Pending, Seen};
pub use self::progress::entries_up_to;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub log: Log,
    groups: BTreeMap<Box<[u8]>, Group>,
    /// Of the groups, their names included.
    groups_memory: usize,
}

/// Reading.
impl Stream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes allocated, this struct not.
    #[inline]
    pub fn memory(&self) -> usize {
        let groups = btree_memory(self.groups.len(), size_of::<(Box<[u8]>, Group)>());
        self.log.memory() + groups + self.groups_memory
    }

    /// All groups, in the order of their names.
    pub fn groups(&self) -> btree_map::Iter<'_, Box<[u8]>, Group> {
        self.groups.iter()
    }

    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }
}

/// Changing.
impl Stream {
    /// Adds a group; false, and nothing done, if there is one of that name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups_memory += size_class(name.len()) + group.memory();
        self.groups.insert(name.into(), group);
        true
    }

    /// Takes a group out, as a stream of its own that is to be freed.
    pub fn remove_group(&mut self, name: &[u8]) -> Option<Self> {
        let (name, group) = self.groups.remove_entry(name)?;
        self.groups_memory -= size_class(name.len()) + group.memory();
        let mut remains = Self::new();
        remains.add_group(&name, group);
        Some(remains)
    }

    /// Changes a group that reads the log. `None` if there is no group of that name.
    pub fn change_group<R>(&mut self, name: &[u8], change: impl FnOnce(&mut Group, &Log) -> R) -> Option<R> {
        let group = self.groups.get_mut(name)?;
        let before = group.memory();
        let result = change(group, &self.log);
        self.groups_memory = self.groups_memory - before + group.memory();
        Some(result)
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        let mut left = self.log.free_step(budget);
        while left > 0
            && let Some(mut group) = self.groups.first_entry()
        {
            left = group.get_mut().free_step(left);
            if left > 0 {
                group.remove();
                left -= 1;
            }
        }
        left
    }
}

/// Of a log alone.
impl From<Log> for Stream {
    fn from(log: Log) -> Self {
        Self { log, ..Self::default() }
    }
}
