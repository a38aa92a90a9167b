//! Intset: different integers in order, in one allocation, in Redis's bytes.
//!
//! ```text
//!  0         4         8
//! ┌─────────┬─────────┬─────────┬─────────┬─ ─
//! │ width   │ count   │ integer │ integer │        ascending
//! └─────────┴─────────┴─────────┴─────────┴─ ─
//!   u32 LE    u32 LE    `width` bytes each, little-endian, signed
//! ```
//!
//! The width is 2, 4 or 8: what the widest integer put in so far needs. It does not shrink when that one goes.
//!
//! Invariants:
//! - The bytes are what Redis would hold after the same changes, so that DUMP copies them.
//! - The allocation is the size class of the bytes; after removals it is at most about twice that.
//!
//! Refuses: bytes that are not an intset ([`Intset::from_bytes`]), and more than [`LEN_MAX`] integers: it is the caller
//! who must see that there are no more.
//!
//! Source: the bytes that DUMP of redis-server 7.0.15 answers.

use crate::store::size_class::size_class;

/// The most integers that an intset holds, as in Redis.
pub const LEN_MAX: usize = 1 << 30;

const WIDTH_AT: usize = 0;
const COUNT_AT: usize = WIDTH_AT + size_of::<u32>();
const INTEGERS_AT: usize = COUNT_AT + size_of::<u32>();

/// Bytes of one integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    /// The least that an integer fits.
    #[inline]
    fn of(number: i64) -> Self {
        match number {
            -0x8000..=0x7FFF => Self::Two,
            -0x8000_0000..=0x7FFF_FFFF => Self::Four,
            _ => Self::Eight,
        }
    }

    #[inline]
    fn bytes(self) -> usize {
        usize::from(self as u8)
    }
}

/// Bytes that are not an intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not an intset")]
pub struct Malformed;

/// See the module.
#[derive(PartialEq, Eq)]
pub struct Intset {
    bytes: Vec<u8>,
}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

impl Intset {
    pub fn new() -> Self {
        Self::with_width(Width::Two, 0)
    }

    /// An empty one with room for so many integers as wide as one.
    pub fn with_room_for(number: i64, integers: usize) -> Self {
        Self::with_width(Width::of(number), integers)
    }

    fn with_width(width: Width, integers: usize) -> Self {
        let mut bytes = Vec::with_capacity(size_class(INTEGERS_AT + integers * width.bytes()));
        bytes.extend_from_slice(&(width.bytes() as u32).to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        Self { bytes }
    }

    /// Checks everything: width, count, order. The width may be more than the integers need.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (head, body) = bytes.split_at_checked(INTEGERS_AT).ok_or(Malformed)?;
        let width = u32_at(head, WIDTH_AT) as usize;
        let count = u32_at(head, COUNT_AT) as usize;
        if !matches!(width, 2 | 4 | 8) || count > LEN_MAX || body.len() != count * width {
            return Err(Malformed);
        }
        let mut new = Vec::with_capacity(size_class(bytes.len()));
        new.extend_from_slice(bytes);
        let new = Self { bytes: new };
        if new.iter().is_sorted_by(|a, b| a < b) { Ok(new) } else { Err(Malformed) }
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub fn len(&self) -> usize {
        u32_at(&self.bytes, COUNT_AT) as usize
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    #[inline]
    pub fn contains(&self, number: i64) -> bool {
        self.find(number).is_ok()
    }

    /// Where an integer is in the order, or would be.
    #[inline]
    pub fn find(&self, number: i64) -> Result<usize, usize> {
        let width = self.width();
        if Width::of(number) > width {
            return Err(if number < 0 { 0 } else { self.len() });
        }
        let body = &self.bytes[INTEGERS_AT..];
        match width {
            Width::Two => body
                .as_chunks()
                .0
                .binary_search_by_key(&number, |bytes: &[u8; 2]| i16::from_le_bytes(*bytes).into()),
            Width::Four => body
                .as_chunks()
                .0
                .binary_search_by_key(&number, |bytes: &[u8; 4]| i32::from_le_bytes(*bytes).into()),
            Width::Eight => {
                body.as_chunks().0.binary_search_by_key(&number, |bytes: &[u8; 8]| i64::from_le_bytes(*bytes))
            }
        }
    }

    /// The integer with a place in the order; there must be one.
    #[inline]
    pub fn nth(&self, place: usize) -> i64 {
        let body = &self.bytes[INTEGERS_AT..];
        match self.width() {
            Width::Two => i16::from_le_bytes(body.as_chunks().0[place]).into(),
            Width::Four => i32::from_le_bytes(body.as_chunks().0[place]).into(),
            Width::Eight => i64::from_le_bytes(body.as_chunks().0[place]),
        }
    }

    /// In order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { ints: self, next: 0 }
    }

    #[inline]
    fn width(&self) -> Width {
        match self.bytes[WIDTH_AT] {
            2 => Width::Two,
            4 => Width::Four,
            _ => Width::Eight,
        }
    }

    #[inline]
    fn at(&self, place: usize) -> usize {
        INTEGERS_AT + place * self.width().bytes()
    }
}

/// Changing.
impl Intset {
    /// False if it is there already.
    #[inline]
    pub fn insert(&mut self, number: i64) -> bool {
        let Err(place) = self.find(number) else { return false };
        if Width::of(number) > self.width() {
            self.widen(Width::of(number));
        }
        let (at, len, width) = (self.at(place), self.bytes.len(), self.width().bytes());
        self.reserve(len + width);
        self.bytes.resize(len + width, 0);
        self.bytes.copy_within(at..len, at + width);
        self.bytes[at..][..width].copy_from_slice(&number.to_le_bytes()[..width]);
        self.set_count(self.len() + 1);
        true
    }

    /// False if it is not there.
    #[inline]
    pub fn remove(&mut self, number: i64) -> bool {
        self.find(number).map(|place| self.remove_nth(place)).is_ok()
    }

    /// Removes the integer with a place in the order; there must be one. Returns it.
    pub fn remove_nth(&mut self, place: usize) -> i64 {
        let number = self.nth(place);
        let (at, width) = (self.at(place), self.width().bytes());
        self.bytes.copy_within(at + width.., at);
        self.truncate(self.len() - 1);
        number
    }

    /// Removes the integers that `goes` says so of. One pass.
    pub fn remove_where(&mut self, mut goes: impl FnMut(i64) -> bool) {
        let (len, width) = (self.len(), self.width().bytes());
        let mut kept = 0;
        for place in 0..len {
            if !goes(self.nth(place)) {
                let (from, to) = (self.at(place), self.at(kept));
                self.bytes.copy_within(from..from + width, to);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    #[cold]
    fn widen(&mut self, width: Width) {
        let mut wide = Self::with_width(width, self.len() + 1);
        for number in self.iter() {
            wide.bytes.extend_from_slice(&number.to_le_bytes()[..width.bytes()]);
        }
        wide.set_count(self.len());
        *self = wide;
    }

    #[inline]
    fn reserve(&mut self, len: usize) {
        if len > self.bytes.capacity() {
            self.bytes.reserve_exact(size_class(len) - self.bytes.len());
        }
    }

    /// Leaves the first so many. Shrinks the allocation when half of it is not used: not at each removal, as one often
    /// follows an insertion.
    fn truncate(&mut self, count: usize) {
        self.bytes.truncate(self.at(count));
        self.set_count(count);
        let fitting = size_class(self.bytes.len());
        if fitting <= self.bytes.capacity() / 2 {
            self.bytes.shrink_to(fitting);
        }
    }

    #[inline]
    fn set_count(&mut self, count: usize) {
        debug_assert!(count <= LEN_MAX);
        self.bytes[COUNT_AT..INTEGERS_AT].copy_from_slice(&(count as u32).to_le_bytes());
    }
}

impl Clone for Intset {
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(size_class(self.bytes.len()));
        bytes.extend_from_slice(&self.bytes);
        Self { bytes }
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Intset {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The integers in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    ints: &'a Intset,
    next: usize,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        let place = self.next;
        if place == self.ints.len() {
            return None;
        }
        self.next += 1;
        Some(self.ints.nth(place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.ints.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; size_of::<u32>()];
    number.copy_from_slice(&bytes[at..at + size_of::<u32>()]);
    u32::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[i64]) -> Intset {
        let mut ints = Intset::new();
        numbers.iter().for_each(|&number| _ = ints.insert(number));
        ints
    }

    /// The bytes within DUMP of redis-server 7.0.15.
    #[test]
    fn bytes_are_those_of_redis() {
        assert_eq!(of(&[]).as_bytes(), b"\x02\0\0\0\0\0\0\0");
        assert_eq!(of(&[5, -1]).as_bytes(), b"\x02\0\0\0\x02\0\0\0\xff\xff\x05\0");
        assert_eq!(of(&[5, -32769]).as_bytes(), b"\x04\0\0\0\x02\0\0\0\xff\x7f\xff\xff\x05\0\0\0");
        let wide = of(&[1, 1 << 31]);
        assert_eq!(wide.as_bytes(), b"\x08\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x80\0\0\0\0");
    }

    #[test]
    fn ten_small_integers_take_one_allocation_of_32_bytes() {
        assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).memory(), 32);
    }

    #[test]
    fn memory_goes_back_as_integers_go() {
        let mut ints = of(&(0..10_000).collect::<Vec<_>>());
        let full = ints.memory();
        (0..9_000).for_each(|number| assert!(ints.remove(number)));
        assert!(ints.memory() < full / 4, "{}", ints.memory());
    }

    #[test]
    fn what_is_no_intset_is_refused() {
        let good = of(&[-70_000, 3, 9]);
        let bytes = good.as_bytes();
        assert_eq!(Intset::from_bytes(bytes), Ok(of(&[-70_000, 3, 9])));
        assert_eq!(Intset::from_bytes(b"\x04\0\0\0\x01\0\0\0\x01\0\0\0").map(|ints| ints.nth(0)), Ok(1));
        for len in 0..bytes.len() {
            assert_eq!(Intset::from_bytes(&bytes[..len]), Err(Malformed), "{len}");
        }
        let bad: [&[u8]; 6] = [
            b"\x03\0\0\0\0\0\0\0",
            b"\x00\0\0\0\x05\0\0\0",
            b"\x02\0\0\0\xff\xff\xff\xff",
            b"\x02\0\0\0\x02\0\0\0\x05\0\x05\0",
            b"\x02\0\0\0\x02\0\0\0\x05\0\xff\xff",
            b"\x02\0\0\0\x01\0\0\0\x05\0\x06\0",
        ];
        bad.iter().for_each(|bytes| assert_eq!(Intset::from_bytes(bytes), Err(Malformed), "{bytes:?}"));
    }

    fn numbers() -> impl Strategy<Value = i64> {
        prop_oneof![
            6 => -40..40i64,
            1 => (-2..3i64).prop_flat_map(|d| prop::sample::select(vec![0x7FFF + d, -0x8000 + d])),
            1 => (-2..3i64).prop_flat_map(|d| prop::sample::select(vec![0x7FFF_FFFF + d, -0x8000_0000 + d])),
            1 => any::<i64>(),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_an_ordered_set(steps in prop::collection::vec((0..6u8, numbers()), 0..200)) {
            let (mut ints, mut model) = (Intset::new(), BTreeSet::new());
            for (kind, number) in steps {
                match kind {
                    0 => prop_assert_eq!(ints.remove(number), model.remove(&number)),
                    1 if !model.is_empty() => {
                        let place = number.unsigned_abs() as usize % model.len();
                        let gone = ints.remove_nth(place);
                        prop_assert_eq!(model.iter().nth(place), Some(&gone));
                        model.remove(&gone);
                    }
                    2 if number % 7 == 0 => {
                        ints.remove_where(|other| other % 3 == 0);
                        model.retain(|other| other % 3 != 0);
                    }
                    _ => prop_assert_eq!(ints.insert(number), model.insert(number)),
                }
                prop_assert_eq!(ints.contains(number), model.contains(&number));
                prop_assert_eq!(ints.len(), model.len());
            }
            prop_assert!(ints.iter().eq(model.iter().copied()));
            prop_assert_eq!(Intset::from_bytes(ints.as_bytes()), Ok(ints.clone()));
            prop_assert!(ints.memory() <= 2 * size_class(ints.as_bytes().len()).max(16));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0..9u8, 0..40)) {
            if let Ok(ints) = Intset::from_bytes(&bytes) {
                prop_assert_eq!(ints.as_bytes(), &bytes[..]);
                prop_assert!(ints.iter().all(|number| ints.contains(number)));
            }
        }
    }
}
