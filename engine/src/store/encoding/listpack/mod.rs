//! Listpack: a sequence of short byte strings and integers in one allocation, in Redis's bytes.
//!
//! ```text
//!  0             4        6
//! ┌─────────────┬────────┬─────────┬─────────┬─ ─ ─┬──────┐
//! │ total bytes │ count  │ element │ element │     │ 0xFF │
//! └─────────────┴────────┴─────────┴─────────┴─ ─ ─┴──────┘
//!   u32 LE        u16 LE                              u8
//! ```
//!
//! Elements are drawn in [`element`]. Each ends with its own length, so that a listpack is walked both ways. A count
//! of 65535 says "so many or more": then it takes a walk to count.
//!
//! Invariants:
//! - The bytes are what Redis would hold after the same changes, so that DUMP copies them.
//! - The allocation is the size class of the bytes; after removals it is at most about twice that.
//! - A [`Pos`] is that of an element, and good until the next change.
//!
//! Refuses: bytes that are not a listpack ([`Listpack::from_bytes`]). It is the caller who must see that the whole
//! stays below [`BYTES_MAX`] ([`Listpack::has_room_for`]).
//!
//! Source: the bytes that DUMP of redis-server 7.0.15 answers, and `src/listpack.c` of Valkey.

mod element;
#[cfg(test)]
mod tests;

use self::element::{END, Encoded, backlen_len, decode, decode_backlen};
use crate::store::size_class::size_class;

pub use self::element::{Element, Wanted};

/// The most that a listpack may take, as in Redis.
pub const BYTES_MAX: usize = 1 << 30;
/// What an element takes beside its text at most: head and backlen.
const OVERHEAD_MAX: usize = 10;

const TOTAL_AT: usize = 0;
const COUNT_AT: usize = TOTAL_AT + size_of::<u32>();
const ELEMENTS_AT: usize = COUNT_AT + size_of::<u16>();
/// Bytes of a listpack without elements.
pub(crate) const EMPTY_LEN: usize = ELEMENTS_AT + 1;
/// The count that says only that there are so many or more.
const UNCOUNTED: u16 = u16::MAX;

const EMPTY: [u8; EMPTY_LEN] = [EMPTY_LEN as u8, 0, 0, 0, 0, 0, END];

/// Where an element begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(u32);

impl Pos {
    #[inline]
    fn at(self) -> usize {
        self.0 as usize
    }
}

/// Bytes that are not a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a listpack")]
pub struct Malformed;

/// See the module.
#[derive(PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl Listpack {
    pub fn new() -> Self {
        Self::with_capacity(EMPTY_LEN)
    }

    /// An empty one with room for so many bytes in all.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut new = Vec::with_capacity(size_class(bytes.max(EMPTY_LEN)));
        new.extend_from_slice(&EMPTY);
        Self { bytes: new }
    }

    /// One element, in an allocation made for it.
    pub fn of<'a>(element: impl Into<Element<'a>>) -> Self {
        let encoded = Encoded::new(element.into());
        let mut new = Self::with_capacity(EMPTY_LEN + encoded.total_len());
        new.insert_encoded(ELEMENTS_AT, &encoded);
        new
    }

    /// Checks everything: lengths, every element, the count. Numbers need not be in their shortest form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let whole = bytes.len() >= EMPTY_LEN && bytes.len() <= BYTES_MAX;
        if !whole || total_of(bytes) != bytes.len() || bytes[bytes.len() - 1] != END {
            return Err(Malformed);
        }
        let elements = count_checked(&bytes[ELEMENTS_AT..bytes.len() - 1]).ok_or(Malformed)?;
        let count = count_of(bytes);
        if count != UNCOUNTED && usize::from(count) != elements {
            return Err(Malformed);
        }
        let mut new = Vec::with_capacity(size_class(bytes.len()));
        new.extend_from_slice(bytes);
        Ok(Self { bytes: new })
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many elements; a walk if there are 65535 or more.
    #[inline]
    pub fn len(&self) -> usize {
        match count_of(&self.bytes) {
            UNCOUNTED => self.iter().count(),
            count => usize::from(count),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == EMPTY_LEN
    }

    #[inline]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    /// Whether elements with texts of so many bytes in all, `elements` of them, may be put in.
    pub fn has_room_for(&self, text_len: usize, elements: usize) -> bool {
        let more = elements.saturating_mul(OVERHEAD_MAX).saturating_add(text_len);
        self.bytes.len().saturating_add(more) <= BYTES_MAX
    }

    /// Bytes an element takes in a listpack.
    pub fn len_of<'a>(element: impl Into<Element<'a>>) -> usize {
        Encoded::new(element.into()).total_len()
    }
}

/// Walking.
impl Listpack {
    #[inline]
    pub fn first(&self) -> Option<Pos> {
        self.pos_at(ELEMENTS_AT)
    }

    #[inline]
    pub fn last(&self) -> Option<Pos> {
        self.pos_before(self.end())
    }

    #[inline]
    pub fn next(&self, pos: Pos) -> Option<Pos> {
        self.pos_at(self.behind(pos))
    }

    #[inline]
    pub fn prev(&self, pos: Pos) -> Option<Pos> {
        self.pos_before(pos.at())
    }

    /// The element at an index, -1 being the last; walks from the nearer end.
    pub fn seek(&self, index: i64) -> Option<Pos> {
        let len = self.len() as i64;
        let index = if index < 0 { index.checked_add(len)? } else { index };
        if !(0..len).contains(&index) {
            return None;
        }
        if index < len / 2 {
            let mut pos = self.first()?;
            for _ in 0..index {
                pos = self.next(pos)?;
            }
            return Some(pos);
        }
        let mut pos = self.last()?;
        for _ in index + 1..len {
            pos = self.prev(pos)?;
        }
        Some(pos)
    }

    #[inline]
    pub fn get(&self, pos: Pos) -> Element<'_> {
        decode(&self.bytes[pos.at()..]).map_or(Element::Str(b""), |(element, _)| element)
    }

    /// The first element with this text at or behind `from`, looking at one and passing over `skip` in turn.
    pub fn find(&self, from: Pos, text: &[u8], skip: usize) -> Option<Pos> {
        let wanted = Wanted::new(text);
        let (mut at, mut left_to_skip) = (from.at(), 0);
        while let Some((element, len)) = decode(&self.bytes[at..]) {
            if left_to_skip > 0 {
                left_to_skip -= 1;
            } else if wanted.is(element) {
                return Some(Pos(at as u32));
            } else {
                left_to_skip = skip;
            }
            at += len + backlen_len(len);
        }
        None
    }

    /// Whether every `step`-th element, from the first on, is there once only among these.
    pub fn are_distinct(&self, step: usize) -> bool {
        let key = |element| match element {
            Element::Int(number) => (Some(number), &b""[..]),
            Element::Str(text) => (None, text),
        };
        // A number may have come in as a text, from outside.
        let one_spelling = |element| if let Element::Str(text) = element { text.into() } else { element };
        let mut keys: Vec<_> = self.iter().step_by(step).map(one_spelling).map(key).collect();
        keys.sort_unstable();
        keys.windows(2).all(|pair| pair[0] != pair[1])
    }

    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes[ELEMENTS_AT..] }
    }

    #[inline]
    pub fn iter_from(&self, pos: Pos) -> Iter<'_> {
        Iter { rest: &self.bytes[pos.at()..] }
    }

    /// The elements from `pos` back to the first.
    #[inline]
    pub fn iter_back_from(&self, pos: Pos) -> IterBack<'_> {
        IterBack { pack: self, next: Some(pos) }
    }

    /// Where the mark of the end stands.
    #[inline]
    fn end(&self) -> usize {
        self.bytes.len() - 1
    }

    /// Where the element behind begins, or the end.
    #[inline]
    fn behind(&self, pos: Pos) -> usize {
        decode(&self.bytes[pos.at()..]).map_or(self.end(), |(_, len)| pos.at() + len + backlen_len(len))
    }

    #[inline]
    fn pos_at(&self, at: usize) -> Option<Pos> {
        (at < self.end()).then_some(Pos(at as u32))
    }

    #[inline]
    fn pos_before(&self, at: usize) -> Option<Pos> {
        let (len, own) = decode_backlen(&self.bytes[ELEMENTS_AT..at])?;
        Some(Pos((at - own - len) as u32))
    }
}

/// Changing.
impl Listpack {
    #[inline]
    pub fn push_back<'a>(&mut self, element: impl Into<Element<'a>>) -> Pos {
        let end = self.end();
        self.insert_at(end, element.into())
    }

    pub fn push_front<'a>(&mut self, element: impl Into<Element<'a>>) -> Pos {
        self.insert_at(ELEMENTS_AT, element.into())
    }

    /// Puts elements behind the others, with one change of the header for all. Allocates a quarter ahead: more are
    /// likely to follow.
    #[inline]
    pub fn extend<'a>(&mut self, elements: impl Iterator<Item = Element<'a>>) {
        let mut added = 0;
        self.bytes.truncate(self.end());
        for element in elements {
            let encoded = Encoded::new(element);
            let start = self.bytes.len();
            let behind = start + encoded.total_len();
            if behind >= self.bytes.capacity() {
                self.reserve(behind + behind / 4 + 1);
            }
            self.bytes.resize(behind, END);
            encoded.write(&mut self.bytes[start..]);
            added += 1;
        }
        self.bytes.push(END);
        assert!(self.bytes.len() <= BYTES_MAX, "the caller asked whether there is room");
        self.set_total();
        self.add_count(added);
    }

    /// Gives back what is allocated ahead.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to(size_class(self.bytes.len()));
    }

    /// Returns where the new element is.
    pub fn insert_before<'a>(&mut self, pos: Pos, element: impl Into<Element<'a>>) -> Pos {
        self.insert_at(pos.at(), element.into())
    }

    pub fn insert_after<'a>(&mut self, pos: Pos, element: impl Into<Element<'a>>) -> Pos {
        self.insert_at(self.behind(pos), element.into())
    }

    /// Puts another element where one is; it begins at the same place.
    pub fn replace<'a>(&mut self, pos: Pos, element: impl Into<Element<'a>>) {
        let encoded = Encoded::new(element.into());
        self.resize_gap(pos.at(), self.behind(pos), encoded.total_len());
        encoded.write(&mut self.bytes[pos.at()..][..encoded.total_len()]);
    }

    /// Returns where the element behind is now.
    pub fn remove(&mut self, pos: Pos) -> Option<Pos> {
        self.resize_gap(pos.at(), self.behind(pos), 0);
        self.add_count(-1);
        self.pos_at(pos.at())
    }

    /// Removes up to `count` elements, the first of them at an index, -1 being the last. Returns how many.
    pub fn remove_range(&mut self, index: i64, count: usize) -> usize {
        let Some(first) = self.seek(index) else { return 0 };
        let (mut end, mut removed) = (first.at(), 0);
        while removed < count
            && let Some(pos) = self.pos_at(end)
        {
            end = self.behind(pos);
            removed += 1;
        }
        self.resize_gap(first.at(), end, 0);
        self.add_count(-(removed as isize));
        removed
    }

    /// Removes elements with this text: passes over the first `skip` of them, then removes up to `count`. Returns how
    /// many it removed. One pass, whatever the number.
    pub fn remove_matching(&mut self, text: &[u8], skip: usize, count: usize) -> usize {
        let wanted = Wanted::new(text);
        let mut seen = 0;
        self.remove_where(count, |element| {
            let matches = wanted.is(element);
            seen += usize::from(matches);
            matches && seen > skip
        })
    }

    /// Removes up to `count` of the elements that `goes`, asked of each in turn, says so of. Returns how many. One pass.
    pub fn remove_where(&mut self, count: usize, mut goes: impl FnMut(Element<'_>) -> bool) -> usize {
        let (mut read, mut write, mut removed) = (ELEMENTS_AT, ELEMENTS_AT, 0);
        while removed < count
            && let Some(pos) = self.pos_at(read)
        {
            let behind = self.behind(pos);
            if goes(self.get(pos)) {
                removed += 1;
            } else {
                if write < read {
                    self.bytes.copy_within(read..behind, write);
                }
                write += behind - read;
            }
            read = behind;
        }
        self.resize_gap(write, read, 0);
        self.add_count(-(removed as isize));
        removed
    }

    /// Puts the elements of another behind these.
    pub fn append(&mut self, other: &Self) {
        let (end, more) = (self.end(), &other.bytes[ELEMENTS_AT..other.end()]);
        self.resize_gap(end, end, more.len());
        self.bytes[end..][..more.len()].copy_from_slice(more);
        self.add_count(other.len() as isize);
    }

    /// Takes out the elements from `pos` on.
    #[must_use]
    pub fn split_off(&mut self, pos: Pos) -> Self {
        let end = self.end();
        let mut behind = Self::with_capacity(EMPTY_LEN + end - pos.at());
        behind.resize_gap(ELEMENTS_AT, ELEMENTS_AT, end - pos.at());
        behind.bytes[ELEMENTS_AT..][..end - pos.at()].copy_from_slice(&self.bytes[pos.at()..end]);
        behind.set_count(behind.iter().count());
        self.resize_gap(pos.at(), end, 0);
        self.add_count(-(behind.len() as isize));
        behind
    }

    #[inline]
    fn insert_at(&mut self, at: usize, element: Element<'_>) -> Pos {
        self.insert_encoded(at, &Encoded::new(element))
    }

    #[inline]
    fn insert_encoded(&mut self, at: usize, encoded: &Encoded<'_>) -> Pos {
        self.resize_gap(at, at, encoded.total_len());
        encoded.write(&mut self.bytes[at..][..encoded.total_len()]);
        self.add_count(1);
        Pos(at as u32)
    }

    /// Makes what is between `start` and `end` so long, and moves what is behind; the bytes there are for the
    /// caller to write.
    #[inline]
    fn resize_gap(&mut self, start: usize, end: usize, len: usize) {
        if end - start == len {
            return;
        }
        let old_len = self.bytes.len();
        let new_len = old_len - (end - start) + len;
        assert!(new_len <= BYTES_MAX, "the caller asked whether there is room");
        if new_len > old_len {
            self.reserve(new_len);
            self.bytes.resize(new_len, END);
            self.bytes.copy_within(end..old_len, start + len);
        } else {
            self.bytes.copy_within(end..old_len, start + len);
            self.bytes.truncate(new_len);
            self.give_back();
        }
        self.set_total();
    }

    #[inline]
    fn set_total(&mut self) {
        let total = self.bytes.len() as u32;
        self.bytes[TOTAL_AT..COUNT_AT].copy_from_slice(&total.to_le_bytes());
    }

    #[inline]
    fn reserve(&mut self, len: usize) {
        if len > self.bytes.capacity() {
            self.bytes.reserve_exact(size_class(len) - self.bytes.len());
        }
    }

    /// Shrinks the allocation when half of it is not used: not at each removal, as one often follows an insertion.
    #[inline]
    fn give_back(&mut self) {
        let fitting = size_class(self.bytes.len());
        if fitting <= self.bytes.capacity() / 2 {
            self.bytes.shrink_to(fitting);
        }
    }

    #[inline]
    fn add_count(&mut self, more: isize) {
        let count = count_of(&self.bytes);
        if count != UNCOUNTED {
            self.set_count(usize::from(count).saturating_add_signed(more));
        }
    }

    fn set_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(UNCOUNTED);
        self.bytes[COUNT_AT..ELEMENTS_AT].copy_from_slice(&count.to_le_bytes());
    }
}

impl Clone for Listpack {
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(size_class(self.bytes.len()));
        bytes.extend_from_slice(&self.bytes);
        Self { bytes }
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The elements from some place on.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, len) = decode(self.rest)?;
        self.rest = &self.rest[len + backlen_len(len)..];
        Some(element)
    }
}

/// The elements from some place back to the first.
#[derive(Clone, Debug)]
pub struct IterBack<'a> {
    pack: &'a Listpack,
    next: Option<Pos>,
}

impl<'a> Iterator for IterBack<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let pos = self.next?;
        self.next = self.pack.prev(pos);
        Some(self.pack.get(pos))
    }
}

/// The total that a header states.
fn total_of(bytes: &[u8]) -> usize {
    let mut total = [0; size_of::<u32>()];
    total.copy_from_slice(&bytes[TOTAL_AT..COUNT_AT]);
    u32::from_le_bytes(total) as usize
}

#[inline]
fn count_of(bytes: &[u8]) -> u16 {
    let mut count = [0; size_of::<u16>()];
    count.copy_from_slice(&bytes[COUNT_AT..ELEMENTS_AT]);
    u16::from_le_bytes(count)
}

/// Counts elements that fill `bytes` exactly; `None` if any is malformed.
fn count_checked(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (_, len) = decode(bytes)?;
        let (element, rest) = bytes.split_at_checked(len + backlen_len(len))?;
        if decode_backlen(element) != Some((len, backlen_len(len))) {
            return None;
        }
        bytes = rest;
        count += 1;
    }
    Some(count)
}
