//! Types of value, and the values too large for an entry's block.
//!
//! Owns: [`Type`], and [`Object`], the heap side of a value, with what it answers to TYPE and OBJECT ENCODING
//! and how many bytes it holds. Each variant knows its size without walking itself.

use std::ptr;

use super::hash::Hash;
use super::list::List;
use super::set::Set;
use super::size_class::size_class;
use super::stream::Stream;
use super::zset::Zset;

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    String,
    List,
    Set,
    Zset,
    Hash,
    Stream,
}

impl Type {
    pub(crate) const ALL: [Self; 6] =
        [Self::String, Self::List, Self::Set, Self::Zset, Self::Hash, Self::Stream];

    /// Redis's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    /// The type with Redis's name, in any case, as SCAN's TYPE option takes it.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A value on the heap of its own.
#[derive(Clone, Debug)]
pub enum Object {
    /// A string longer than a block holds.
    String(Vec<u8>),
    List(List),
    Set(Set),
    Stream(Box<Stream>),
    Zset(Zset),
    Hash(Hash),
}

impl Object {
    pub fn type_of(&self) -> Type {
        match self {
            Self::String(_) => Type::String,
            Self::List(_) => Type::List,
            Self::Set(_) => Type::Set,
            Self::Stream(_) => Type::Stream,
            Self::Zset(_) => Type::Zset,
            Self::Hash(_) => Type::Hash,
        }
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::String(_) => "raw",
            Self::List(list) => list.encoding(),
            Self::Set(set) => set.encoding(),
            Self::Stream(_) => "stream",
            Self::Zset(zset) => zset.encoding(),
            Self::Hash(hash) => hash.encoding(),
        }
    }

    /// Bytes allocated, the object's own box included.
    pub fn memory(&self) -> usize {
        size_class(size_of::<Self>())
            + match self {
                Self::String(bytes) => size_class(bytes.capacity()),
                Self::List(list) => list.memory(),
                Self::Set(set) => set.memory(),
                Self::Stream(stream) => size_class(size_of::<Stream>()) + stream.memory(),
                Self::Zset(zset) => zset.memory(),
                Self::Hash(hash) => hash.memory(),
            }
    }

    /// How much is in it: bytes, elements, members, fields or entries.
    pub fn elements(&self) -> usize {
        match self {
            Self::String(bytes) => bytes.len(),
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::Stream(stream) => stream.log.len() as usize,
            Self::Zset(zset) => zset.len(),
            Self::Hash(hash) => hash.len(),
        }
    }

    /// Where what it points to begins: an address to fetch ahead, and no more.
    #[inline]
    pub(super) fn content(&self) -> *const u8 {
        match self {
            Self::String(bytes) => bytes.as_ptr(),
            Self::List(list) => list.content(),
            Self::Set(set) => set.content(),
            Self::Stream(stream) => ptr::from_ref(&**stream).cast(),
            Self::Zset(zset) => zset.content(),
            Self::Hash(hash) => hash.content(),
        }
    }

    /// When the first of a hash's fields expires, if any does.
    #[inline]
    pub fn next_field_deadline(&self) -> Option<u64> {
        if let Self::Hash(hash) = self { hash.next_deadline() } else { None }
    }

    /// The bytes of a string; `None` for any other type.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(bytes) => Some(bytes),
            Self::List(_) | Self::Set(_) | Self::Stream(_) | Self::Zset(_) | Self::Hash(_) => None,
        }
    }

    /// Frees about `budget` allocations, for good: the object is of no use after that. Returns what is left of the
    /// budget: nothing, unless all is freed but what goes with the object itself.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        match self {
            Self::String(_) => budget,
            Self::List(list) => list.free_step(budget),
            Self::Set(set) => set.free_step(budget),
            Self::Stream(stream) => stream.free_step(budget),
            Self::Zset(zset) => zset.free_step(budget),
            Self::Hash(hash) => hash.free_step(budget),
        }
    }

    /// A string on the heap, its capacity that of the allocation it gets.
    pub(crate) fn string(value: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(size_class(value.len()));
        bytes.extend_from_slice(value);
        Self::String(bytes)
    }
}

/// A type of value that always has an object of its own.
pub trait Collection: Into<Object> {
    /// The value, if the object is of this type.
    fn of(object: &Object) -> Option<&Self>;

    fn of_mut(object: &mut Object) -> Option<&mut Self>;
}

impl Collection for List {
    #[inline]
    fn of(object: &Object) -> Option<&Self> {
        if let Object::List(list) = object { Some(list) } else { None }
    }

    #[inline]
    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::List(list) = object { Some(list) } else { None }
    }
}

impl From<List> for Object {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

impl Collection for Set {
    #[inline]
    fn of(object: &Object) -> Option<&Self> {
        if let Object::Set(set) = object { Some(set) } else { None }
    }

    #[inline]
    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Set(set) = object { Some(set) } else { None }
    }
}

impl From<Set> for Object {
    fn from(set: Set) -> Self {
        Self::Set(set)
    }
}

impl Collection for Stream {
    #[inline]
    fn of(object: &Object) -> Option<&Self> {
        if let Object::Stream(stream) = object { Some(stream) } else { None }
    }

    #[inline]
    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Stream(stream) = object { Some(stream) } else { None }
    }
}

impl From<Stream> for Object {
    fn from(stream: Stream) -> Self {
        Self::Stream(Box::new(stream))
    }
}
