//! A hash as it is at a moment: without the fields whose time is over.
//!
//! Such fields are removed by the active pass, and by writes as they come across them; nobody is shown them from the
//! millisecond on in which their time is over. How many there are costs O(log n) to know, so lengths are exact.

use super::db::{Expiry, is_due};
use super::encoding::listpack::Element;
use super::hash::{Field, Hash, HashLimits};

/// Fields whose time is over that a write removes beside those it meets: the rest is the active pass's.
const REMOVED_MAX: usize = 64;

/// A hash to read.
#[derive(Clone, Copy, Debug)]
pub struct LiveHash<'a> {
    hash: &'a Hash,
    now_ms: u64,
    /// Fields whose time is over.
    due: usize,
}

impl<'a> LiveHash<'a> {
    #[inline]
    pub fn new(hash: &'a Hash, now_ms: u64) -> Self {
        Self { hash, now_ms, due: hash.count_before(now_ms) }
    }

    #[inline]
    pub fn len(self) -> usize {
        self.hash.len() - self.due
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn get(self, field: &[u8]) -> Option<Element<'a>> {
        self.get_with_deadline(field).map(|(value, _)| value)
    }

    /// A field's value and deadline.
    #[inline]
    pub fn get_with_deadline(self, field: &[u8]) -> Option<(Element<'a>, Option<u64>)> {
        self.hash.get(field).filter(|&(_, at_ms)| is_live(at_ms, self.now_ms))
    }

    pub fn iter(self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> {
        self.hash.iter().filter_map(move |field| self.live(field))
    }

    /// Visits about `count` fields from a cursor on, a packed hash's all at once. Returns the cursor to go on from;
    /// 0 if all were visited.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(Element<'_>, Element<'_>)) -> u64 {
        self.hash.scan(cursor, count, |field| {
            if let Some((field, value)) = self.live(field) {
                visit(field, value);
            }
        })
    }

    /// How many numbers [`Self::nth`] takes.
    pub fn numbers(self) -> usize {
        self.hash.len()
    }

    /// The field with a number, unless its time is over. A packed hash is walked to there.
    pub fn nth(self, number: usize) -> Option<(Element<'a>, Element<'a>)> {
        self.hash.nth(number).and_then(|field| self.live(field))
    }

    /// Whether a number is found without a walk.
    pub fn is_numbered(self) -> bool {
        matches!(self.hash, Hash::Table(_))
    }

    #[inline]
    fn live(self, (field, value, at_ms): Field<'_>) -> Option<(Element<'_>, Element<'_>)> {
        is_live(at_ms, self.now_ms).then_some((field, value))
    }
}

#[inline]
fn is_live(at_ms: Option<u64>, now_ms: u64) -> bool {
    at_ms.is_none_or(|at_ms| !is_due(at_ms, now_ms))
}

/// A hash to change.
#[derive(Debug)]
pub struct LiveHashMut<'a> {
    hash: &'a mut Hash,
    limits: &'a HashLimits,
    now_ms: u64,
    /// Fields removed because their time is over.
    expired: usize,
    /// There may be more of these.
    may_be_due: bool,
}

impl<'a> LiveHashMut<'a> {
    /// Removes some of the fields whose time is over.
    #[inline]
    pub fn new(hash: &'a mut Hash, limits: &'a HashLimits, now_ms: u64) -> Self {
        let due = |hash: &Hash| hash.next_deadline().is_some_and(|at_ms| is_due(at_ms, now_ms));
        let expired = if due(hash) { hash.remove_before(now_ms, REMOVED_MAX, |_| {}) } else { 0 };
        let may_be_due = expired > 0 && due(hash);
        Self { hash, limits, now_ms, expired, may_be_due }
    }

    /// How many fields were removed because their time is over.
    #[inline]
    pub fn expired(&self) -> usize {
        self.expired
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.hash.len() == self.hash.count_before(self.now_ms)
    }

    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        self.get_with_deadline(field).map(|(value, _)| value)
    }

    /// A field's value and deadline.
    #[inline]
    pub fn get_with_deadline(&self, field: &[u8]) -> Option<(Element<'_>, Option<u64>)> {
        self.hash.get(field).filter(|&(_, at_ms)| is_live(at_ms, self.now_ms))
    }

    /// Gives a field a value. Returns whether the field is new.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8], expiry: Expiry) -> bool {
        self.expire(field);
        let is_new = self.hash.set(field, value, self.limits);
        match expiry {
            Expiry::Keep => {}
            Expiry::None if self.hash.next_deadline().is_none() => {}
            Expiry::None => self.hash.set_deadline(field, None),
            Expiry::At(at_ms) => self.hash.set_deadline(field, Some(at_ms)),
        }
        is_new
    }

    /// Gives a field that is there a deadline, or takes it away.
    pub fn set_deadline(&mut self, field: &[u8], at_ms: Option<u64>) {
        self.hash.set_deadline(field, at_ms);
    }

    /// Returns whether the field was there.
    #[inline]
    pub fn remove(&mut self, field: &[u8]) -> bool {
        self.expire(field);
        self.hash.remove(field)
    }

    /// Removes a field if its time is over.
    #[inline]
    fn expire(&mut self, field: &[u8]) {
        if self.may_be_due && self.hash.get(field).is_some_and(|(_, at_ms)| !is_live(at_ms, self.now_ms)) {
            self.hash.remove(field);
            self.expired += 1;
        }
    }
}
