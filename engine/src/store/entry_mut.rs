//! An entry of a database that may be changed, with the database's books kept in step.

use std::ops::{Deref, DerefMut};

use super::db::Totals;
use super::entry::{BytesEncoding, Entry};
use super::graveyard::Graveyard;
use super::object::Object;
use super::segment::Deadlines;

/// Reads as the entry; changes go through the methods here, so that counts and bytes held stay exact.
#[derive(Debug)]
pub struct EntryMut<'a> {
    pub(super) entry: &'a mut Entry,
    pub(super) deadlines: &'a mut Deadlines,
    pub(super) totals: &'a mut Totals,
    pub(super) graveyard: &'a mut Graveyard,
}

impl Deref for EntryMut<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry
    }
}

impl<'a> EntryMut<'a> {
    /// The entry, for as long as the database was borrowed.
    pub fn into_ref(self) -> &'a Entry {
        self.entry
    }

    /// Makes the value this string, kept as a number where it spells one; the expiry stays.
    pub fn set_string(&mut self, value: &[u8]) {
        let expiry_ms = self.expiry();
        let before = self.entry.memory();
        let displaced = self.entry.set_string(value, expiry_ms);
        self.settle(before, displaced);
    }

    /// Makes the value these bytes, even where they spell a number; the expiry stays.
    pub fn set_bytes(&mut self, value: &[u8], encoding: BytesEncoding) {
        let before = self.entry.memory();
        let displaced = self.entry.set_bytes(value, encoding);
        self.settle(before, displaced);
    }

    /// Makes the value this number; the expiry stays.
    pub fn set_int(&mut self, value: i64) {
        let before = self.entry.memory();
        let displaced = self.entry.set_int(value);
        self.settle(before, displaced);
    }

    /// Sets or removes the expiry.
    pub fn set_expiry(&mut self, expiry_ms: Option<u64>) {
        let (before, was_volatile) = (self.entry.memory(), self.entry.is_volatile());
        self.entry.set_expiry(expiry_ms);
        self.deadlines.replace(was_volatile, expiry_ms);
        self.totals.replace_volatile(was_volatile, expiry_ms.is_some());
        self.settle(before, None);
    }

    /// The bytes of a string to be modified in place, zero-extended to at least `len`; "raw" from here on.
    /// `None` if the value is of another type.
    pub fn string_mut(&mut self, len: usize) -> Option<&mut [u8]> {
        self.extend_string(len);
        self.entry.bytes_mut()
    }

    /// As [`EntryMut::string_mut`], for as long as the database was borrowed.
    pub fn into_string_mut(mut self, len: usize) -> Option<&'a mut [u8]> {
        self.extend_string(len);
        self.entry.bytes_mut()
    }

    /// The heap object of a value that has one.
    pub fn object_mut(&mut self) -> Option<ObjectMut<'_>> {
        let block_memory = self.entry.block_memory();
        let (key, object) = self.entry.key_and_object_mut()?;
        let memory_before = block_memory + object.memory();
        let had_volatile_fields = object.next_field_deadline().is_some();
        let (totals, deadlines) = (&mut *self.totals, &mut *self.deadlines);
        Some(ObjectMut { key, object, totals, deadlines, block_memory, memory_before, had_volatile_fields })
    }

    fn extend_string(&mut self, len: usize) {
        let before = self.entry.memory();
        self.entry.extend_string(len);
        self.settle(before, None);
    }

    fn settle(&mut self, memory_before: usize, displaced: Option<Box<Object>>) {
        self.totals.replace_memory(memory_before, self.entry.memory(), || self.entry.key());
        if let Some(object) = displaced {
            self.totals.displaced(&object);
            self.graveyard.bury_object(*object);
        }
    }
}

/// A heap object being changed; its size and the deadlines in it are booked when this goes.
#[derive(Debug)]
pub struct ObjectMut<'a> {
    key: &'a [u8],
    object: &'a mut Object,
    totals: &'a mut Totals,
    deadlines: &'a mut Deadlines,
    /// Bytes of the entry's block, which stays as it is.
    block_memory: usize,
    /// Bytes of the whole entry.
    memory_before: usize,
    had_volatile_fields: bool,
}

impl Deref for ObjectMut<'_> {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.object
    }
}

impl DerefMut for ObjectMut<'_> {
    fn deref_mut(&mut self) -> &mut Object {
        self.object
    }
}

impl Drop for ObjectMut<'_> {
    fn drop(&mut self) {
        let memory = self.block_memory + self.object.memory();
        self.totals.replace_memory(self.memory_before, memory, || self.key);
        let next_field_ms = self.object.next_field_deadline();
        self.totals.replace_volatile_fields(self.had_volatile_fields, next_field_ms.is_some());
        self.deadlines.note_field(next_field_ms);
    }
}
