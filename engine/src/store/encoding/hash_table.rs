//! A large hash: fields found by hash, each with its value beside it, and deadlines where there are any.
//!
//! A field and a value of up to 22 bytes each take 48 bytes and 5 to 10 in the index, and no allocation of their own;
//! redis-server 7.0 takes about 75 in three. Nothing is copied as a whole when it grows. Deadlines are a structure of
//! their own, made with the first of them: hashes without pay a pointer.
//!
//! Invariants: `values_memory` is the sum over the values; the deadlines are those of the fields' places.

use super::field_deadlines::FieldDeadlines;
use super::listpack::Element;
use super::member_table::{MemberTable, Place};
use super::short_bytes::ShortBytes;
use crate::store::size_class::size_class;

#[derive(Clone, Debug)]
pub struct HashTable {
    fields: MemberTable<ShortBytes>,
    deadlines: Option<Box<FieldDeadlines>>,
    /// Bytes of values that are on the heap.
    values_memory: usize,
}

/// A field, its value, and its deadline if it has one.
pub(crate) type Field<'a> = (&'a [u8], &'a [u8], Option<u64>);

impl HashTable {
    /// `seed` keys the hash of fields; it must not be known to clients.
    pub(crate) fn new(seed: u64) -> Self {
        Self { fields: MemberTable::new(seed), deadlines: None, values_memory: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        let deadlines = self.deadlines.as_deref();
        self.fields.memory()
            + self.values_memory
            + deadlines.map_or(0, |deadlines| size_class(size_of::<FieldDeadlines>()) + deadlines.memory())
    }

    #[inline]
    pub(crate) fn get(&self, field: &[u8]) -> Option<(&[u8], Option<u64>)> {
        let place = self.fields.find(field)?;
        Some((self.fields.get(place).1, self.deadline_of(place)))
    }

    /// Gives a field a value; its deadline stays. Returns whether the field is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let value = ShortBytes::from(value);
        self.values_memory += value.memory();
        let mut value = Some(value);
        let (place, is_new) = self.fields.find_or_insert(field, || value.take().unwrap_or_default());
        if let Some((old, value)) = self.fields.value_mut(place).zip(value) {
            self.values_memory -= old.memory();
            *old = value;
        }
        is_new
    }

    /// Gives a field that is there a deadline, or takes it away.
    pub(crate) fn set_deadline(&mut self, field: &[u8], at_ms: Option<u64>) {
        let Some(place) = self.fields.find(field) else { return };
        if self.deadlines.is_none() && at_ms.is_none() {
            return;
        }
        let deadlines = self.deadlines.get_or_insert_with(|| Box::new(FieldDeadlines::new()));
        deadlines.set(place.number(), at_ms);
        if deadlines.is_empty() {
            self.deadlines = None;
        }
    }

    /// Returns whether the field was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        self.fields.find(field).map(|place| self.remove_at(place)).is_some()
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        Some(self.deadlines.as_deref()?.first()?.0)
    }

    /// How many deadlines are before a time.
    pub(crate) fn count_before(&self, time_ms: u64) -> usize {
        self.deadlines.as_deref().map_or(0, |deadlines| deadlines.count_before(time_ms))
    }

    /// Removes up to `budget` of the fields whose deadlines are before a time. Returns how many.
    pub(crate) fn remove_before(
        &mut self,
        time_ms: u64,
        budget: usize,
        mut each: impl FnMut(Element<'_>),
    ) -> usize {
        let mut removed = 0;
        while removed < budget
            && let Some((at_ms, place)) = self.deadlines.as_deref().and_then(FieldDeadlines::first)
            && at_ms < time_ms
        {
            let place = self.fields.nth(place);
            each(Element::Str(self.fields.get(place).0));
            self.remove_at(place);
            removed += 1;
        }
        removed
    }

    /// The field with a number below [`Self::len`]: every field has one, and another after a removal.
    pub(crate) fn nth(&self, number: usize) -> Field<'_> {
        let place = self.fields.nth(number);
        let (field, value) = self.fields.get(place);
        (field, value, self.deadline_of(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let deadlines = self.deadlines.as_deref();
        let deadline_at = move |place| deadlines.and_then(|deadlines| deadlines.get(place));
        let fields = self.fields.iter().enumerate();
        fields.map(move |(place, (field, value))| (field, &**value, deadline_at(place)))
    }

    /// Visits up to `count` fields, from a cursor on; 0 begins. Returns where to go on; 0 if all were visited.
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Field<'_>)) -> u64 {
        let page = self.fields.page(cursor, count);
        page.clone().rev().for_each(|number| visit(self.nth(number)));
        page.start as u64
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        let left = self.deadlines.as_deref_mut().map_or(budget, |deadlines| deadlines.free_step(budget));
        if left > 0 { self.fields.free_step(left) } else { 0 }
    }

    #[inline]
    fn deadline_of(&self, place: Place) -> Option<u64> {
        self.deadlines.as_deref()?.get(place.number())
    }

    fn remove_at(&mut self, place: Place) {
        let removed = self.fields.remove_at(place);
        self.values_memory -= removed.value.memory();
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.vacate(place.number(), removed.moved_from.map(Place::number));
            if deadlines.is_empty() {
                self.deadlines = None;
            }
        }
    }
}
