//! An entry: a key, its value, its expiry and its access clock, in one [`Block`].
//!
//! Short strings stand in the block, numbers and pointers to larger values in its word. Overwriting keeps the
//! block where its size class allows, so that a SET over a value of like length is one copy in place.
//!
//! OBJECT ENCODING answers as Redis 7: "int" for strings that are the one spelling of an i64, "embstr" up to 44
//! bytes, "raw" beyond and for what was modified in place.

use std::fmt;

use super::block::{Block, Kind, Shape};
use super::integer::parse_canonical;
use super::key_hash::bucket_hash;
use super::object::{Object, Type};
use super::size_class::size_class;

/// Longest value kept inside the block. Writing one over another costs the same inside and outside from 1 KiB up
/// (0.4 us at 1 KiB, 0.5 us at 4 KiB); outside adds 64 bytes and two lines to touch, inside pushes values whose
/// length is a power of two into the next size class (4 KiB: 5135 bytes held against 4175).
pub(crate) const INLINE_MAX: usize = 2048;
/// Longest string that OBJECT ENCODING calls "embstr".
const EMBSTR_MAX: usize = 44;
const _: () = assert!(INLINE_MAX <= u16::MAX as usize);

/// A value read in place.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A string that is kept as a number.
    Int(i64),
    /// Any other string.
    Bytes(&'a [u8]),
    /// A value of another type.
    Object(&'a Object),
}

/// What OBJECT ENCODING is to say of bytes that are not kept as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesEncoding {
    /// "embstr" if short, as for a value that was given whole.
    ByLength,
    /// "raw", as for a value that is modified in place.
    Raw,
}

/// What goes into a block being built.
enum Content<'a> {
    Inline { bytes: &'a [u8], place: u8 },
    Int(i64),
    Object(Box<Object>),
}

impl<'a> Content<'a> {
    #[inline]
    fn of_string(value: &'a [u8]) -> Self {
        match parse_canonical(value) {
            Some(number) => Self::Int(number),
            None => Self::of_bytes(value),
        }
    }

    #[inline]
    fn of_bytes(bytes: &'a [u8]) -> Self {
        if bytes.len() > INLINE_MAX {
            return Self::Object(Box::new(Object::string(bytes)));
        }
        Self::Inline { bytes, place: if bytes.len() <= EMBSTR_MAX { Kind::EMBSTR } else { Kind::RAW } }
    }

    fn place(&self) -> u8 {
        match self {
            Self::Inline { place, .. } => *place,
            Self::Int(_) => Kind::INT,
            Self::Object(_) => Kind::OBJECT,
        }
    }

    fn inline_len(&self) -> usize {
        if let Self::Inline { bytes, .. } = self { bytes.len() } else { 0 }
    }
}

/// A key with its value. See the module.
pub struct Entry(Block);

impl Entry {
    /// Bytes of its place in the table.
    pub const PLACE_BYTES: usize = size_of::<Self>();

    /// A string: kept as a number where its bytes are a number's one spelling, as SET does.
    pub fn string(key: &[u8], value: &[u8], expiry_ms: Option<u64>) -> Self {
        Self::build(Type::String, key, Content::of_string(value), expiry_ms)
    }

    /// A string kept as bytes even when they spell a number, as INCRBYFLOAT leaves it.
    pub fn bytes(key: &[u8], value: &[u8], expiry_ms: Option<u64>) -> Self {
        Self::build(Type::String, key, Content::of_bytes(value), expiry_ms)
    }

    /// A string kept as a number.
    pub fn integer(key: &[u8], value: i64, expiry_ms: Option<u64>) -> Self {
        Self::build(Type::String, key, Content::Int(value), expiry_ms)
    }

    /// A value with a heap of its own.
    pub fn with_object(key: &[u8], object: Object, expiry_ms: Option<u64>) -> Self {
        Self::build(object.type_of(), key, Content::Object(Box::new(object)), expiry_ms)
    }

    /// The same value, expiry and access clock under another key.
    #[must_use]
    pub fn with_key(mut self, key: &[u8]) -> Self {
        let content = match self.0.take_object() {
            Some(object) => Content::Object(object),
            None => self.flat_content(),
        };
        let entry = Self::build(self.type_of(), key, content, self.expiry());
        entry.set_access(self.access());
        entry
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        self.0.key()
    }

    /// When the key expires, in Unix milliseconds.
    #[inline]
    pub fn expiry(&self) -> Option<u64> {
        self.0.expiry()
    }

    #[inline]
    pub fn value(&self) -> Value<'_> {
        match self.0.kind().place() {
            Kind::INT => Value::Int(self.0.int()),
            Kind::OBJECT => match self.0.object() {
                Some(object) => object.as_bytes().map_or(Value::Object(object), Value::Bytes),
                None => Value::Bytes(b""),
            },
            _ => Value::Bytes(self.0.inline()),
        }
    }

    #[inline]
    pub fn type_of(&self) -> Type {
        self.0.kind().type_of()
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self.0.kind().place() {
            Kind::INT => "int",
            Kind::EMBSTR => "embstr",
            _ => self.0.object().map_or("raw", Object::encoding),
        }
    }

    /// The 24-bit access clock: LRU seconds, or LFU minutes and counter.
    #[inline]
    pub fn access(&self) -> u32 {
        self.0.access()
    }

    #[inline]
    pub fn set_access(&self, access: u32) {
        self.0.set_access(access);
    }

    /// Bytes allocated: the block and what hangs on it.
    #[inline]
    pub fn memory(&self) -> usize {
        self.block_memory() + self.0.object().map_or(0, Object::memory)
    }

    /// Bytes of the block alone.
    #[inline]
    pub(super) fn block_memory(&self) -> usize {
        self.0.shape().block_size()
    }

    /// The same, with the place in the table beside the block.
    pub fn memory_with_place(&self) -> usize {
        self.memory() + Self::PLACE_BYTES
    }

    /// How much is in the value: bytes of a string, elements of a list, members, fields, entries of a stream.
    pub fn elements(&self) -> usize {
        match self.value() {
            Value::Int(number) => number.to_string().len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Object(object) => object.elements(),
        }
    }

    /// Whether the key has an expiry; reads only the pointer.
    #[inline]
    pub fn is_volatile(&self) -> bool {
        self.0.is_volatile()
    }
}

/// What the table needs.
impl Entry {
    #[inline]
    pub(crate) fn tag(&self) -> u16 {
        self.0.tag()
    }

    #[inline]
    pub(crate) fn set_tag(&mut self, tag: u16) {
        self.0.set_tag(tag);
    }

    /// Says of an entry in a table whether a walk over it has recorded it: see `walk`. Reads only the pointer.
    #[inline]
    pub(crate) fn mark(&self) -> bool {
        self.0.mark()
    }

    #[inline]
    pub(crate) fn set_mark(&mut self, mark: bool) {
        self.0.set_mark(mark);
    }

    /// The hash the segment files the entry under; reads only the pointer.
    #[inline]
    pub(crate) fn bucket_hash(&self) -> u64 {
        bucket_hash(self.tag())
    }

    /// Whether this is the entry of `key`, whose tag is `tag`; reads the block only where the tags agree.
    #[inline]
    pub(crate) fn matches(&self, tag: u16, key: &[u8]) -> bool {
        self.tag() == tag && self.key() == key
    }

    /// Asks the processor for the block's first lines.
    #[inline]
    pub(crate) fn prefetch(&self) {
        self.0.prefetch();
    }

    /// Then asks for the object in it, if it has one.
    #[inline]
    pub fn prefetch_object(&self) {
        self.0.prefetch_object();
    }

    /// Then for what the object points to.
    #[inline]
    pub fn prefetch_content(&self) {
        self.0.prefetch_content();
    }

    /// The object behind an entry that has one.
    pub(crate) fn object(&self) -> Option<&Object> {
        self.0.object()
    }

    pub(crate) fn object_mut(&mut self) -> Option<&mut Object> {
        self.0.object_mut()
    }

    /// The same, with the key beside it.
    pub(crate) fn key_and_object_mut(&mut self) -> Option<(&[u8], &mut Object)> {
        self.0.key_and_object_mut()
    }

    /// When the first of a hash's fields expires, if any does.
    #[inline]
    pub(crate) fn next_field_deadline(&self) -> Option<u64> {
        if self.type_of() != Type::Hash {
            return None;
        }
        self.object().and_then(Object::next_field_deadline)
    }

    /// Takes the object out; the entry is left as the number 0 until it gets a new value.
    pub(crate) fn take_object(&mut self) -> Option<Box<Object>> {
        self.0.take_object()
    }
}

/// Overwriting, in place where the block's size allows.
impl Entry {
    /// Makes the value this string, and sets or removes the expiry. Returns an object that had to give way.
    #[inline]
    pub(crate) fn set_string(&mut self, value: &[u8], expiry_ms: Option<u64>) -> Option<Box<Object>> {
        if value.len() > INLINE_MAX {
            return self.set_large_string(value, expiry_ms);
        }
        let displaced = self.0.take_object();
        match Content::of_string(value) {
            Content::Int(number) => self.become_int(number, expiry_ms),
            content => self.become_inline(value, content.place(), expiry_ms),
        }
        displaced
    }

    /// Makes the value these bytes, even where they spell a number, keeping the expiry. Returns an object that had
    /// to give way.
    pub(crate) fn set_bytes(&mut self, value: &[u8], encoding: BytesEncoding) -> Option<Box<Object>> {
        let expiry_ms = self.expiry();
        if value.len() > INLINE_MAX {
            return self.set_large_string(value, expiry_ms);
        }
        let displaced = self.0.take_object();
        let place = match encoding {
            BytesEncoding::Raw => Kind::RAW,
            BytesEncoding::ByLength => Content::of_bytes(value).place(),
        };
        self.become_inline(value, place, expiry_ms);
        displaced
    }

    /// Makes the value this number, keeping the expiry. Returns an object that had to give way.
    #[inline]
    pub(crate) fn set_int(&mut self, value: i64) -> Option<Box<Object>> {
        let displaced = self.0.take_object();
        self.become_int(value, self.expiry());
        displaced
    }

    /// Sets or removes the expiry.
    pub(crate) fn set_expiry(&mut self, expiry_ms: Option<u64>) {
        let shape = self.0.shape();
        let kind = shape.kind.with_expiry(expiry_ms.is_some());
        self.0.reshape(Shape { kind, ..shape }, shape.value_len, expiry_ms);
    }

    /// Readies a string to be modified in place: "raw" from here on, zero-extended to at least `len`. False if
    /// the value is not a string.
    pub(crate) fn extend_string(&mut self, len: usize) -> bool {
        if self.type_of() != Type::String {
            return false;
        }
        if self.0.object().is_none() {
            let len = self.make_raw(len);
            if len <= INLINE_MAX {
                return true;
            }
            self.move_to_heap(len);
        }
        match self.0.object_mut() {
            Some(Object::String(bytes)) => extend_zeroed(bytes, len),
            _ => return false,
        }
        true
    }

    /// The bytes of a string that is not kept as a number.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self.0.kind().place() {
            Kind::INT => None,
            Kind::OBJECT => match self.0.object_mut()? {
                Object::String(bytes) => Some(bytes),
                Object::List(_) | Object::Set(_) | Object::Stream(_) | Object::Zset(_) | Object::Hash(_) => {
                    None
                }
            },
            _ => Some(self.0.inline_mut()),
        }
    }
}

impl Entry {
    fn build(of: Type, key: &[u8], content: Content<'_>, expiry_ms: Option<u64>) -> Self {
        let kind = Kind::new(of, content.place(), expiry_ms.is_some(), key.len());
        let shape = Shape { kind, key_len: key.len(), value_len: content.inline_len() };
        let mut block = Block::allocate(shape, 0, expiry_ms);
        block.write_key(key);
        match content {
            Content::Inline { bytes, .. } => block.write_inline(bytes),
            Content::Int(number) => block.put_int(number),
            Content::Object(object) => block.put_object(object),
        }
        Self(block)
    }

    /// The content of an entry that has no object.
    fn flat_content(&self) -> Content<'_> {
        match self.0.kind().place() {
            Kind::INT => Content::Int(self.0.int()),
            place => Content::Inline { bytes: self.0.inline(), place },
        }
    }

    #[inline]
    fn become_inline(&mut self, value: &[u8], place: u8, expiry_ms: Option<u64>) {
        self.reshape(Type::String, place, value.len(), expiry_ms);
        self.0.write_inline(value);
    }

    fn become_int(&mut self, value: i64, expiry_ms: Option<u64>) {
        self.reshape(Type::String, Kind::INT, 0, expiry_ms);
        self.0.put_int(value);
    }

    fn become_object(&mut self, object: Box<Object>, expiry_ms: Option<u64>) {
        self.reshape(object.type_of(), Kind::OBJECT, 0, expiry_ms);
        self.0.put_object(object);
    }

    /// Keeps key and access clock only.
    #[inline]
    fn reshape(&mut self, of: Type, place: u8, value_len: usize, expiry_ms: Option<u64>) {
        let key_len = self.0.shape().key_len;
        let kind = Kind::new(of, place, expiry_ms.is_some(), key_len);
        self.0.reshape(Shape { kind, key_len, value_len }, 0, expiry_ms);
    }

    #[cold]
    fn set_large_string(&mut self, value: &[u8], expiry_ms: Option<u64>) -> Option<Box<Object>> {
        let mut displaced = self.0.take_object();
        if let Some(Object::String(bytes)) = displaced.as_deref_mut()
            && bytes.capacity() >= value.len()
            && bytes.capacity() / 2 <= value.len()
        {
            bytes.clear();
            bytes.extend_from_slice(value);
            self.become_object(displaced.take()?, expiry_ms);
            return None;
        }
        self.become_object(Box::new(Object::string(value)), expiry_ms);
        displaced
    }

    /// Turns an int or inline string into an inline raw one of at least `len` bytes, if that fits inline.
    /// Returns the length it has or is to have.
    fn make_raw(&mut self, len: usize) -> usize {
        if let Value::Int(number) = self.value() {
            self.become_inline(number.to_string().as_bytes(), Kind::RAW, self.expiry());
        }
        let from = self.0.shape();
        let len = len.max(from.value_len);
        if len <= INLINE_MAX {
            let kind = from.kind.with_place(Kind::RAW);
            self.0.reshape(Shape { kind, value_len: len, ..from }, from.value_len, self.expiry());
            self.0.zero_inline(from.value_len);
        }
        len
    }

    /// Moves an inline string to the heap, with room for `len` bytes.
    fn move_to_heap(&mut self, len: usize) {
        let mut bytes = Vec::with_capacity(size_class(len));
        bytes.extend_from_slice(self.0.inline());
        self.become_object(Box::new(Object::String(bytes)), self.expiry());
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        let content = match self.0.object() {
            Some(object) => Content::Object(Box::new(object.clone())),
            None => self.flat_content(),
        };
        let mut copy = Self::build(self.type_of(), self.key(), content, self.expiry());
        copy.set_access(self.access());
        copy.set_tag(self.tag());
        copy
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value", &self.value())
            .field("expiry", &self.expiry())
            .field("access", &self.access())
            .finish()
    }
}

fn extend_zeroed(bytes: &mut Vec<u8>, len: usize) {
    if len <= bytes.len() {
        return;
    }
    if len > bytes.capacity() {
        // A quarter ahead: appending stays linear, and a large string holds little it does not use.
        let capacity = size_class(len + len / 4);
        bytes.reserve_exact(capacity - bytes.len());
    }
    bytes.resize(len, 0);
}
