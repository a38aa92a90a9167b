//! Consumers of a group: by name, in the order of names, and by a number that stays.

use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::ops::Bound;

use crate::store::encoding::btree::btree_memory;
use crate::store::encoding::stream::StreamId;
use crate::store::size_class::size_class;

/// A consumer's number within its group; taken again once the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// Who reads for a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to get entries.
    pub seen_ms: u64,
    /// When it last got any.
    pub active_ms: Option<u64>,
    /// What it was given and has not acknowledged.
    pub(super) pending: BTreeSet<StreamId>,
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Ids of what it was given and has not acknowledged.
    pub fn pending(&self) -> btree_set::Iter<'_, StreamId> {
        self.pending.iter()
    }

    pub(super) fn pending_from(&self, from: StreamId) -> btree_set::Range<'_, StreamId> {
        self.pending.range((Bound::Included(from), Bound::Unbounded))
    }

    /// Of the ids alone.
    fn pending_memory(&self) -> usize {
        btree_memory(self.pending.len(), size_of::<StreamId>())
    }
}

/// All consumers of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Consumers {
    slots: Vec<Option<Consumer>>,
    by_name: BTreeMap<Box<[u8]>, ConsumerId>,
    /// Of names and of ids of what is pending.
    content_memory: usize,
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn memory(&self) -> usize {
        size_class(self.slots.capacity() * size_of::<Option<Consumer>>())
            + btree_memory(self.by_name.len(), size_of::<(Box<[u8]>, ConsumerId)>())
            + self.content_memory
    }

    /// In the order of their names.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.by_name.values().map(|&id| self.at(id))
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).copied()
    }

    #[inline]
    pub(super) fn at(&self, ConsumerId(slot): ConsumerId) -> &Consumer {
        self.slots[slot as usize].as_ref().expect("a number goes with its consumer")
    }

    #[inline]
    pub(super) fn at_mut(&mut self, ConsumerId(slot): ConsumerId) -> &mut Consumer {
        self.slots[slot as usize].as_mut().expect("a number goes with its consumer")
    }

    /// Adds one whose name is new.
    pub(super) fn add(&mut self, name: &[u8], seen_ms: u64) -> ConsumerId {
        let consumer = Consumer { name: name.into(), seen_ms, active_ms: None, pending: BTreeSet::new() };
        let free =
            if self.len() < self.slots.len() { self.slots.iter().position(Option::is_none) } else { None };
        let slot = free.unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(consumer);
        let id = ConsumerId(slot as u32);
        self.by_name.insert(name.into(), id);
        self.content_memory += names_memory(name);
        id
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Consumer> {
        let ConsumerId(slot) = self.by_name.remove(name)?;
        let consumer = self.slots[slot as usize].take()?;
        self.content_memory -= names_memory(name) + consumer.pending_memory();
        Some(consumer)
    }

    /// Changes what a consumer has pending.
    pub(super) fn change_pending(&mut self, id: ConsumerId, change: impl FnOnce(&mut BTreeSet<StreamId>)) {
        let consumer = self.at_mut(id);
        let before = consumer.pending_memory();
        change(&mut consumer.pending);
        self.content_memory = self.content_memory - before + self.at(id).pending_memory();
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget.
    pub(super) fn free_step(&mut self, budget: usize) -> usize {
        let mut left = budget;
        while left > 0
            && let Some(last) = self.slots.last_mut()
        {
            let freed_one = last.as_mut().and_then(|consumer| consumer.pending.pop_first()).is_some();
            if !freed_one && let Some(consumer) = self.slots.pop().flatten() {
                self.by_name.remove(&consumer.name);
            }
            left -= 1;
        }
        left
    }
}

/// A name is with the consumer and in the index.
fn names_memory(name: &[u8]) -> usize {
    2 * size_class(name.len())
}

#[cfg(test)]
impl Consumers {
    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.slots.iter().flatten().count(), self.len());
        for (name, &id) in &self.by_name {
            assert_eq!(self.at(id).name(), &name[..]);
        }
        let content = self.iter().map(|consumer| names_memory(consumer.name()) + consumer.pending_memory());
        assert_eq!(content.sum::<usize>(), self.content_memory);
    }
}
