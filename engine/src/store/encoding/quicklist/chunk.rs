//! One chunk of a quicklist: a listpack, or a single element too large for one.

use super::super::listpack::{Element, Iter, IterBack, Listpack, Wanted};
use super::End;
use crate::store::size_class::size_class;

/// What an element takes in a listpack beside its text, as Redis reckons it.
const OVERHEAD: usize = 8;

/// How much a chunk holds: `list-max-listpack-size`. One element is always admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimit {
    bytes: usize,
    elements: usize,
}

impl ChunkLimit {
    /// Bytes of a chunk whose elements are counted.
    const COUNTED_BYTES: usize = 8 << 10;
    const ELEMENTS_MAX: usize = (1 << 15) - 1;

    /// -1 to -5 stand for 4 to 64 KiB; a positive number counts elements.
    pub fn from_directive(list_max_listpack_size: i32) -> Self {
        match list_max_listpack_size {
            size @ ..0 => Self { bytes: 2048 << size.unsigned_abs().min(5), elements: usize::MAX },
            count => Self {
                bytes: Self::COUNTED_BYTES,
                elements: usize::try_from(count).unwrap_or(1).clamp(1, Self::ELEMENTS_MAX),
            },
        }
    }

    pub fn admits(self, bytes: usize, elements: usize) -> bool {
        bytes <= self.bytes && elements <= self.elements
    }

    /// Half of it: what a list must shrink below to become a single listpack again.
    #[must_use]
    pub fn halved(self) -> Self {
        Self { bytes: self.bytes / 2, elements: self.elements / 2 }
    }

    /// Whether a text has a chunk of its own.
    fn is_large(self, text: &[u8]) -> bool {
        text.len() > self.bytes
    }
}

/// See the module. A chunk in a list is never empty.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// The number of elements stands here too, so that a walk over chunks does not touch their bytes.
    Packed { pack: Listpack, len: u32 },
    /// One element.
    Plain(Box<[u8]>),
}

impl From<Listpack> for Chunk {
    fn from(pack: Listpack) -> Self {
        let len = pack.len() as u32;
        Self::Packed { pack, len }
    }
}

impl Chunk {
    pub(super) fn of(text: &[u8], limit: ChunkLimit) -> Self {
        if limit.is_large(text) { Self::Plain(text.into()) } else { Listpack::of(text).into() }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packed { len, .. } => *len as usize,
            Self::Plain(_) => 1,
        }
    }

    /// Bytes allocated.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Packed { pack, .. } => pack.memory(),
            Self::Plain(text) => size_class(text.len()),
        }
    }

    #[inline]
    pub(super) fn has_room_for(&self, text: &[u8], limit: ChunkLimit) -> bool {
        match self {
            Self::Packed { pack, len } => {
                !limit.is_large(text)
                    && limit.admits(pack.bytes_len() + text.len() + OVERHEAD, *len as usize + 1)
            }
            Self::Plain(_) => false,
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Element<'_>> {
        match self {
            Self::Packed { pack, .. } => pack.seek(index as i64).map(|pos| pack.get(pos)),
            Self::Plain(text) => (index == 0).then_some(Element::Str(text)),
        }
    }

    #[inline]
    pub(super) fn end(&self, end: End) -> Option<Element<'_>> {
        match (self, end) {
            (Self::Packed { pack, .. }, End::Front) => pack.first().map(|pos| pack.get(pos)),
            (Self::Packed { pack, .. }, End::Back) => pack.last().map(|pos| pack.get(pos)),
            (Self::Plain(text), _) => Some(Element::Str(text)),
        }
    }

    /// The elements from an index on: towards the back if counted from the front, towards the front if not.
    pub(super) fn iter(&self, index: usize, from: End) -> ChunkIter<'_> {
        match self {
            Self::Packed { pack, .. } => ChunkIter::of_pack(pack, index, from),
            Self::Plain(text) => ChunkIter::Plain((index == 0).then_some(text)),
        }
    }

    pub(super) fn iter_all(&self, from: End) -> ChunkIter<'_> {
        let index = if from == End::Front { 0 } else { self.len() - 1 };
        self.iter(index, from)
    }
}

/// Changes; what is put in must have been asked for room.
impl Chunk {
    #[inline]
    pub(super) fn push(&mut self, end: End, text: &[u8]) {
        if let Self::Packed { pack, len } = self {
            match end {
                End::Front => pack.push_front(text),
                End::Back => pack.push_back(text),
            };
            *len += 1;
        }
    }

    /// Puts a text before the element at an index.
    pub(super) fn insert(&mut self, index: usize, text: &[u8]) {
        if let Self::Packed { pack, len } = self
            && let Some(pos) = pack.seek(index as i64)
        {
            pack.insert_before(pos, text);
            *len += 1;
        }
    }

    /// Puts a text where an element is; false, and nothing done, if the chunk has no room for it.
    pub(super) fn replace(&mut self, index: usize, text: &[u8], limit: ChunkLimit) -> bool {
        if self.len() == 1 {
            *self = Self::of(text, limit);
            return true;
        }
        let Self::Packed { pack, len } = self else { return false };
        let Some(pos) = pack.seek(index as i64) else { return false };
        let without = pack.bytes_len() - Listpack::len_of(pack.get(pos));
        let fits = !limit.is_large(text) && limit.admits(without + text.len() + OVERHEAD, *len as usize);
        if fits {
            pack.replace(pos, text);
        }
        fits
    }

    /// Removes up to `count` elements from an index on. Returns how many.
    pub(super) fn remove_range(&mut self, index: usize, count: usize) -> usize {
        match self {
            Self::Packed { pack, len } => {
                let removed = pack.remove_range(index as i64, count);
                *len -= removed as u32;
                removed
            }
            Self::Plain(_) if index == 0 && count > 0 => self.empty(),
            Self::Plain(_) => 0,
        }
    }

    /// Removes up to `count` elements with this text, those nearest to an end. Returns how many.
    pub(super) fn remove_matching(&mut self, text: &[u8], count: usize, from: End) -> usize {
        match self {
            Self::Packed { pack, len } => {
                let removed = remove_matching(pack, text, count, from);
                *len -= removed as u32;
                removed
            }
            Self::Plain(mine) if **mine == *text && count > 0 => self.empty(),
            Self::Plain(_) => 0,
        }
    }

    /// Takes out the elements from an index on.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let Self::Packed { pack, len } = self else { return Listpack::new().into() };
        let behind = pack.seek(index as i64).map_or_else(Listpack::new, |pos| pack.split_off(pos));
        *len = (*len).min(index as u32);
        behind.into()
    }

    fn empty(&mut self) -> usize {
        let removed = self.len();
        *self = Listpack::new().into();
        removed
    }
}

/// Removes up to `count` elements with this text, those nearest to an end.
pub(in crate::store) fn remove_matching(pack: &mut Listpack, text: &[u8], count: usize, from: End) -> usize {
    let skip = match from {
        End::Front => 0,
        End::Back => {
            let wanted = Wanted::new(text);
            pack.iter().filter(|&element| wanted.is(element)).count().saturating_sub(count)
        }
    };
    pack.remove_matching(text, skip, count)
}

/// The elements of a chunk, from some index towards either end.
#[derive(Clone, Debug)]
pub enum ChunkIter<'a> {
    Onward(Iter<'a>),
    Back(IterBack<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> ChunkIter<'a> {
    pub(in crate::store) fn of_pack(pack: &'a Listpack, index: usize, from: End) -> Self {
        match (pack.seek(index as i64), from) {
            (Some(pos), End::Front) => Self::Onward(pack.iter_from(pos)),
            (Some(pos), End::Back) => Self::Back(pack.iter_back_from(pos)),
            (None, _) => Self::Plain(None),
        }
    }
}

impl<'a> Iterator for ChunkIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Onward(iter) => iter.next(),
            Self::Back(iter) => iter.next(),
            Self::Plain(text) => text.take().map(Element::Str),
        }
    }
}
