//! A list: one listpack while it is short, a quicklist beyond.
//!
//! OBJECT ENCODING answers as Redis 7.2, "listpack" and "quicklist". A list becomes a quicklist before it takes in
//! what `list-max-listpack-size` does not admit, and a listpack again when it has shrunk to half of that.

use super::encoding::listpack::{EMPTY_LEN, Element, Listpack};
use super::encoding::quicklist::{
    Chunk, ChunkIter, ChunkLimit, End, Quicklist, QuicklistIter, remove_matching,
};
use super::size_class::size_class;

/// See the module.
#[derive(Clone, Debug)]
pub enum List {
    Packed(Listpack),
    Quick(Box<Quicklist>),
}

/// A part of a list.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    Pack(&'a Listpack),
    /// One element.
    Large(&'a [u8]),
}

impl List {
    /// See [`Object::content`](super::object::Object::content).
    #[inline]
    pub(super) fn content(&self) -> *const u8 {
        match self {
            Self::Packed(pack) => pack.as_bytes().as_ptr(),
            Self::Quick(list) => std::ptr::from_ref(&**list).cast(),
        }
    }

    /// What came as a quicklist from outside: a listpack if it is within the limit.
    pub fn of_quicklist(mut list: Quicklist, limit: ChunkLimit) -> Self {
        match list.take_only_pack(limit) {
            Some(pack) => Self::Packed(pack),
            None => Self::Quick(Box::new(list)),
        }
    }

    /// An empty one with room for a first element. An empty list must not stay in the keyspace.
    pub fn with_room_for(text: &[u8]) -> Self {
        let bytes = Listpack::len_of(text).min(Self::FIRST_BYTES_MAX);
        Self::Packed(Listpack::with_capacity(EMPTY_LEN + bytes))
    }

    /// An element beyond this is likely to get a chunk of its own.
    const FIRST_BYTES_MAX: usize = 4096;

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(pack) => pack.len(),
            Self::Quick(list) => list.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Packed(pack) => pack.is_empty(),
            Self::Quick(list) => list.is_empty(),
        }
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Quick(_) => "quicklist",
        }
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        match self {
            Self::Packed(pack) => pack.memory(),
            Self::Quick(list) => size_class(size_of::<Quicklist>()) + list.memory(),
        }
    }

    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        match self {
            Self::Packed(pack) => pack.seek(index as i64).map(|pos| pack.get(pos)),
            Self::Quick(list) => list.get(index),
        }
    }

    /// The element at an end.
    #[inline]
    pub fn end(&self, end: End) -> Option<Element<'_>> {
        match self {
            Self::Packed(pack) => {
                let pos = if end == End::Front { pack.first() } else { pack.last() };
                pos.map(|pos| pack.get(pos))
            }
            Self::Quick(list) => list.end(end),
        }
    }

    /// The elements from an index on: towards the back if `from` is the front, and the other way round.
    pub fn iter(&self, index: usize, from: End) -> QuicklistIter<'_> {
        match self {
            Self::Packed(pack) => ChunkIter::of_pack(pack, index, from).into(),
            Self::Quick(list) => list.iter(index, from),
        }
    }

    /// How many [`List::pieces`] there are.
    pub fn piece_count(&self) -> usize {
        match self {
            Self::Packed(_) => 1,
            Self::Quick(list) => list.chunks().len(),
        }
    }

    /// What the list is kept in, from front to back.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (pack, quick) = match self {
            Self::Packed(pack) => (Some(pack), None),
            Self::Quick(list) => (None, Some(list.chunks())),
        };
        pack.into_iter().map(Piece::Pack).chain(quick.into_iter().flatten().map(|chunk| match chunk {
            Chunk::Packed { pack, .. } => Piece::Pack(pack),
            Chunk::Plain(text) => Piece::Large(text),
        }))
    }
}

/// Changing.
impl List {
    /// Pushes texts at an end, one after the other.
    #[inline]
    pub fn push<'a>(
        &mut self,
        end: End,
        texts: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        limit: ChunkLimit,
    ) {
        self.make_room(texts.clone().map(<[u8]>::len).sum(), texts.len(), limit);
        match (self, end) {
            (Self::Packed(pack), End::Front) => texts.for_each(|text| _ = pack.push_front(text)),
            (Self::Packed(pack), End::Back) => texts.for_each(|text| _ = pack.push_back(text)),
            (Self::Quick(list), _) => texts.for_each(|text| list.push(end, text, limit)),
        }
    }

    /// Removes the element at an end.
    #[inline]
    pub fn remove_end(&mut self, end: End, limit: ChunkLimit) {
        match self {
            Self::Packed(pack) => {
                let pos = if end == End::Front { pack.first() } else { pack.last() };
                pos.map(|pos| pack.remove(pos));
            }
            Self::Quick(list) => {
                list.remove_end(end);
                self.settle(limit);
            }
        }
    }

    /// Puts a text before the element at an index, or behind the last.
    pub fn insert(&mut self, index: usize, text: &[u8], limit: ChunkLimit) {
        self.make_room(text.len(), 1, limit);
        match self {
            Self::Packed(pack) => match pack.seek(index as i64) {
                Some(pos) => _ = pack.insert_before(pos, text),
                None => _ = pack.push_back(text),
            },
            Self::Quick(list) => list.insert(index, text, limit),
        }
    }

    /// Puts a text where an element is; there must be one.
    pub fn replace(&mut self, index: usize, text: &[u8], limit: ChunkLimit) {
        self.make_room(text.len(), 1, limit);
        match self {
            Self::Packed(pack) => _ = pack.seek(index as i64).map(|pos| pack.replace(pos, text)),
            Self::Quick(list) => list.replace(index, text, limit),
        }
        self.settle(limit);
    }

    /// Removes elements from an index on. What may take long to free is handed back.
    #[must_use]
    pub fn remove_range(&mut self, index: usize, count: usize, limit: ChunkLimit) -> Option<Self> {
        let whole = match self {
            Self::Packed(pack) => {
                pack.remove_range(index as i64, count);
                return None;
            }
            Self::Quick(list) => list.remove_range(index, count),
        };
        self.settle(limit);
        (!whole.is_empty()).then(|| Self::Quick(Box::new(whole)))
    }

    /// Removes up to `count` elements with this text, those nearest to an end. Returns how many.
    pub fn remove_matching(&mut self, text: &[u8], count: usize, from: End, limit: ChunkLimit) -> usize {
        let removed = match self {
            Self::Packed(pack) => remove_matching(pack, text, count, from),
            Self::Quick(list) => list.remove_matching(text, count, from),
        };
        self.settle(limit);
        removed
    }

    /// Frees about `budget` allocations of a list that is not used any more. Returns what is left of the budget.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        match self {
            Self::Packed(_) => budget,
            Self::Quick(list) => list.free_step(budget),
        }
    }

    /// Becomes a quicklist if a listpack may not take in so much more.
    #[inline]
    fn make_room(&mut self, text_len: usize, elements: usize, limit: ChunkLimit) {
        if let Self::Packed(pack) = self
            && !limit.admits(pack.bytes_len() + text_len, pack.len() + elements)
        {
            *self = Self::Quick(Box::new(Quicklist::from(std::mem::take(pack))));
        }
    }

    /// Becomes a listpack again if there is little left.
    fn settle(&mut self, limit: ChunkLimit) {
        if let Self::Quick(list) = self
            && let Some(pack) = list.take_only_pack(limit.halved())
        {
            *self = Self::Packed(pack);
        }
    }
}
