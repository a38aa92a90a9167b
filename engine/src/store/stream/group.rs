//! A group of consumers: how far it has read, and what was delivered and not acknowledged.
//!
//! What is pending is kept twice: in the group by id, with its owner, and with the owner as an id. Acknowledging is
//! O(log(N)) in either.
//!
//! Invariant: an id is pending in the group exactly if it is with one consumer, and then that is its owner.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use super::consumer::{Consumer, ConsumerId, Consumers};
use crate::store::encoding::btree::btree_memory;
use crate::store::encoding::stream::StreamId;

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub owner: ConsumerId,
    pub delivered_ms: u64,
    pub deliveries: u64,
}

impl Pending {
    /// How long ago it was delivered.
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.delivered_ms)
    }
}

/// A consumer that was looked for, and is there now.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub id: ConsumerId,
    /// It was not there before.
    pub is_new: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Of the last entry that was delivered as a new one.
    pub last_id: StreamId,
    /// How many entries were read of all that the stream has ever had; `None` if that cannot be told.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: Consumers,
}

/// Reading.
impl Group {
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, ..Self::default() }
    }

    /// Bytes allocated, this struct not.
    pub fn memory(&self) -> usize {
        btree_memory(self.pending.len(), size_of::<(StreamId, Pending)>()) + self.consumers.memory()
    }

    /// In the order of their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.consumers.iter()
    }

    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.find(name).map(|id| self.consumers.at(id))
    }

    /// Who has it.
    pub fn owner(&self, pending: &Pending) -> &Consumer {
        self.consumers.at(pending.owner)
    }

    /// What was delivered to anyone and not acknowledged.
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    pub fn pending_from(&self, from: StreamId) -> btree_map::Range<'_, StreamId, Pending> {
        self.pending.range((Bound::Included(from), Bound::Unbounded))
    }

    /// What one consumer has of it.
    pub fn pending_of<'a>(
        &'a self,
        consumer: &'a Consumer,
        from: StreamId,
    ) -> impl Iterator<Item = (StreamId, &'a Pending)> {
        consumer.pending_from(from).filter_map(|&id| Some((id, self.pending.get(&id)?)))
    }
}

/// Changing.
impl Group {
    /// Adds a consumer; `None` if there is one of that name.
    pub fn add_consumer(&mut self, name: &[u8], now_ms: u64) -> Option<ConsumerId> {
        let is_new = self.consumers.find(name).is_none();
        is_new.then(|| self.consumers.add(name, now_ms))
    }

    /// Notes that a consumer asks for entries; it is added if it is not there.
    pub fn see(&mut self, name: &[u8], now_ms: u64) -> Seen {
        match self.consumers.find(name) {
            Some(id) => {
                self.consumers.at_mut(id).seen_ms = now_ms;
                Seen { id, is_new: false }
            }
            None => Seen { id: self.consumers.add(name, now_ms), is_new: true },
        }
    }

    /// Removes a consumer with what it has pending. Answers how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        consumer.pending().for_each(|id| _ = self.pending.remove(id));
        Some(consumer.pending().len())
    }

    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers.at_mut(id)
    }

    /// Makes an entry pending as said, whoever had it before.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        match before {
            Some(before) if before.owner == pending.owner => return,
            Some(before) => self.consumers.change_pending(before.owner, |ids| _ = ids.remove(&id)),
            None => {}
        }
        self.consumers.change_pending(pending.owner, |ids| _ = ids.insert(id));
    }

    /// Ends that an entry is pending. False if it was not.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.consumers.change_pending(pending.owner, |ids| _ = ids.remove(&id));
        true
    }

    /// Shows each entry that a consumer has pending, from one on, to `each`, which may change all but the owner.
    pub fn redeliver(
        &mut self,
        consumer: ConsumerId,
        from: StreamId,
        count: usize,
        mut each: impl FnMut(StreamId, &mut Pending),
    ) {
        for &id in self.consumers.at(consumer).pending_from(from).take(count) {
            if let Some(pending) = self.pending.get_mut(&id) {
                each(id, pending);
            }
        }
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget.
    pub(super) fn free_step(&mut self, budget: usize) -> usize {
        let mut left = budget;
        while left > 0 && self.pending.pop_first().is_some() {
            left -= 1;
        }
        self.consumers.free_step(left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::Stream;

    fn assert_invariants(group: &Group) {
        group.consumers.assert_invariants();
        let owned: usize = group.consumers().map(|consumer| consumer.pending().len()).sum();
        assert_eq!(owned, group.pending.len());
        for (id, pending) in &group.pending {
            assert!(group.owner(pending).pending.contains(id));
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Assign(u64, u8),
        Acknowledge(u64),
        RemoveConsumer(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..40u64, 0..5u8).prop_map(|(id, consumer)| Step::Assign(id, consumer)),
            3 => (0..40u64).prop_map(Step::Acknowledge),
            1 => (0..5u8).prop_map(Step::RemoveConsumer),
        ];
        prop::collection::vec(step, 0..100)
    }

    proptest! {
        #[test]
        fn what_is_pending_has_one_owner(steps in steps()) {
            let (mut stream, mut model) = (Stream::new(), BTreeMap::new());
            prop_assert!(stream.add_group(b"g", Group::default()));
            let empty = stream.memory();
            for step in steps {
                stream.change_group(b"g", |group, _| {
                    match step {
                        Step::Assign(ms, consumer) => {
                            let owner = group.see(&[consumer], 0).id;
                            group.assign(StreamId::new(ms, 0), Pending { owner, delivered_ms: 0, deliveries: 1 });
                            model.insert(ms, consumer);
                        }
                        Step::Acknowledge(ms) => {
                            assert_eq!(group.acknowledge(StreamId::new(ms, 0)), model.remove(&ms).is_some());
                        }
                        Step::RemoveConsumer(consumer) => {
                            let had = model.values().filter(|&&owner| owner == consumer).count();
                            assert_eq!(group.remove_consumer(&[consumer]).unwrap_or(0), had);
                            model.retain(|_, owner| *owner != consumer);
                        }
                    }
                });
            }
            let group = stream.group(b"g").expect("it was added");
            assert_invariants(group);
            let pending = group.pending().iter().map(|(id, pending)| (id.ms, group.owner(pending).name()[0]));
            prop_assert!(pending.eq(model));
            for consumer in 0..5 {
                stream.change_group(b"g", |group, _| group.remove_consumer(&[consumer]));
            }
            prop_assert!(stream.memory() <= empty + 8 * size_of::<Option<Consumer>>());
        }
    }

    #[test]
    fn a_group_is_freed_in_steps() {
        let mut stream = Stream::new();
        stream.add_group(b"g", Group::default());
        stream.change_group(b"g", |group, _| {
            for ms in 0..1000u64 {
                let owner = group.see(format!("c{}", ms % 3).as_bytes(), 0).id;
                group.assign(StreamId::new(ms, 0), Pending { owner, delivered_ms: 0, deliveries: 1 });
            }
        });
        let mut remains = stream.remove_group(b"g").expect("a group");
        assert_eq!(stream.memory(), 0);
        let mut steps = 0;
        while remains.free_step(100) == 0 {
            steps += 1;
        }
        assert!((20..23).contains(&steps), "{steps} steps");
    }
}
