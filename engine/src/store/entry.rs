//! An entry: a key and its value in one heap block, owned through one tagged pointer.
//!
//! ```text
//! the pointer (8 bytes, kept in the segment's slots)
//!  63           49  48  47                                   0
//! ┌───────────────┬───┬───────────────────────────────────────┐
//! │ tag of the key│ V │ address of the block                  │   V: the key has an expiry
//! └───────────────┴───┴───────────────────────────────────────┘
//!
//! the block
//!  0      1        4         6         8
//! ┌──────┬────────┬─────────┬─────────┬─────────┬──────────┬───────┬─────┬──────────────┐
//! │ kind │ access │ key len │ val len │ expiry? │ key len? │ word? │ key │ inline value │
//! └──────┴────────┴─────────┴─────────┴─────────┴──────────┴───────┴─────┴──────────────┘
//!   u8     u24      u16       u16       u64       u64        8 B
//!
//! kind
//!   7 6 5   4   3    2     1     0
//! ┌───────┬───┬─────┬──────┬──────┬────────┐
//! │ type  │ 0 │ alt │ word │ wide │ expiry │
//! └───────┴───┴─────┴──────┴──────┴────────┘
//!   word: the value is in the word: an i64, or with alt a pointer to an [`Object`]
//!   alt without word: the inline value is "raw" (modified in place, or longer than Redis embeds)
//!   wide: the key is longer than a u16 says, its length stands in the second field
//! ```
//!
//! 16-byte key and 64-byte value: 8 + 16 + 64 = 88 bytes, in a block of 96; with an expiry 96, in the same.
//!
//! Invariants:
//! - A block's allocated size is `size_class(end)` of what it holds now, so it need not be stored, and a
//!   new content of the same class is written in place.
//! - Bytes before `end` are initialised; those behind are never read.
//! - No reference to the header is ever handed out, so [`Entry::set_access`] may write through `&self`. An
//!   entry is not `Sync`.
//! - `V` in the pointer equals the block's expiry bit.
//!
//! Refuses: keys of 4 GiB and more, and addresses beyond 48 bits (x86-64 gives a process 47 bits, aarch64 48,
//! and Linux hands out more only to those who ask); both are asserted.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::num::NonZero;
use std::ptr::NonNull;
use std::{fmt, ptr, slice};

use super::hash::{TAG_END, bucket_hash};
use super::integer::parse_canonical;
use super::object::{Object, Type};
use super::size_class::size_class;

/// Longest value kept inside the block.
pub(crate) const INLINE_MAX: usize = 8192;
/// Longest string that OBJECT ENCODING calls "embstr".
const EMBSTR_MAX: usize = 44;
/// Largest access clock: 24 bits.
pub const ACCESS_MAX: u32 = (1 << 24) - 1;

const ADDRESS_BITS: u32 = 48;
const ADDRESS: usize = (1 << ADDRESS_BITS) - 1;
const VOLATILE: usize = 1 << ADDRESS_BITS;
const TAG_SHIFT: u32 = ADDRESS_BITS + 1;
/// Bytes the processor fetches at a time.
const LINE_SIZE: usize = 64;
const BLOCK_ALIGN: usize = 8;

const _: () = assert!(usize::BITS == 64);
const _: () = assert!(INLINE_MAX <= u16::MAX as usize);

/// What a block holds and where: see the module's drawing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind(u8);

impl Kind {
    const EXPIRY: u8 = 1;
    const WIDE: u8 = 1 << 1;
    const WORD: u8 = 1 << 2;
    const ALT: u8 = 1 << 3;
    const TYPE_SHIFT: u32 = 5;

    const EMBSTR: u8 = 0;
    const RAW: u8 = Self::ALT;
    const INT: u8 = Self::WORD;
    const OBJECT: u8 = Self::WORD | Self::ALT;

    const fn new(of: Type, place: u8, expiry: bool, wide: bool) -> Self {
        Self((of as u8) << Self::TYPE_SHIFT | place | expiry as u8 | (wide as u8) << 1)
    }

    const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }

    const fn place(self) -> u8 {
        self.0 & (Self::WORD | Self::ALT)
    }

    fn type_of(self) -> Type {
        Type::ALL[usize::from(self.0 >> Self::TYPE_SHIFT)]
    }
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    /// `kind` in the low byte, the access clock above it.
    kind_and_access: u32,
    key_len: u16,
    value_len: u16,
}

const HEADER_SIZE: usize = size_of::<Header>();
const FIELD_SIZE: usize = size_of::<u64>();
const _: () = assert!(HEADER_SIZE == 8 && align_of::<Header>() <= BLOCK_ALIGN);

/// The lengths that decide a block's layout; offsets are chained, each from the one before.
#[derive(Clone, Copy)]
struct Shape {
    kind: Kind,
    key_len: usize,
    /// 0 when the value is in the word.
    value_len: usize,
}

impl Shape {
    const EXPIRY_AT: usize = HEADER_SIZE;

    const fn field_if(self, bit: u8) -> usize {
        if self.kind.has(bit) { FIELD_SIZE } else { 0 }
    }

    const fn wide_at(self) -> usize {
        Self::EXPIRY_AT + self.field_if(Kind::EXPIRY)
    }

    const fn word_at(self) -> usize {
        self.wide_at() + self.field_if(Kind::WIDE)
    }

    const fn key_at(self) -> usize {
        self.word_at() + self.field_if(Kind::WORD)
    }

    const fn value_at(self) -> usize {
        self.key_at() + self.key_len
    }

    const fn end(self) -> usize {
        self.value_at() + self.value_len
    }

    const fn block_size(self) -> usize {
        size_class(self.end())
    }

    /// What reshaping carries over: offsets here and in `to`, and the length.
    fn kept(self, to: Self, keep: usize) -> (usize, usize, usize) {
        if self.kind.has(Kind::WORD) && to.kind.has(Kind::WORD) {
            (self.word_at(), to.word_at(), FIELD_SIZE + self.key_len)
        } else {
            (self.key_at(), to.key_at(), self.key_len + keep)
        }
    }

    fn layout(self) -> Layout {
        Layout::from_size_align(self.block_size(), BLOCK_ALIGN).expect("keys and inline values are bounded")
    }

    fn header(self, access: u32) -> Header {
        Header {
            kind_and_access: access << 8 | u32::from(self.kind.0),
            key_len: if self.kind.has(Kind::WIDE) { 0 } else { self.key_len as u16 },
            value_len: self.value_len as u16,
        }
    }
}

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

/// A key, its value and what is known of both. See the module.
pub struct Entry(NonNull<u64>);

// SAFETY:
// - an entry owns its block and object outright; nothing else points to them.
// - `Object` holds only `Send` data.
// - the global allocator frees from any thread.
unsafe impl Send for Entry {}
const _: fn() = || {
    fn sendable<T: Send>() {}
    sendable::<Object>();
};

impl Entry {
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
        let object = self.take_object();
        let content = match (object, self.value()) {
            (Some(object), _) => Content::Object(object),
            (None, Value::Int(number)) => Content::Int(number),
            (None, _) => Content::Inline { bytes: self.inline(), place: self.kind().place() },
        };
        let entry = Self::build(self.type_of(), key, content, self.expiry());
        entry.set_access(self.access());
        entry
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        self.read(shape.key_at(), shape.key_len)
    }

    /// When the key expires, in Unix milliseconds.
    #[inline]
    pub fn expiry(&self) -> Option<u64> {
        self.is_volatile().then(|| self.field(Shape::EXPIRY_AT))
    }

    #[inline]
    pub fn value(&self) -> Value<'_> {
        let shape = self.shape();
        match shape.kind.place() {
            Kind::INT => Value::Int(self.field(shape.word_at()) as i64),
            Kind::OBJECT => {
                let object = self.object_ref(shape);
                object.as_bytes().map_or(Value::Object(object), Value::Bytes)
            }
            _ => Value::Bytes(self.read(shape.value_at(), shape.value_len)),
        }
    }

    #[inline]
    pub fn type_of(&self) -> Type {
        self.kind().type_of()
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        let shape = self.shape();
        match shape.kind.place() {
            Kind::EMBSTR => "embstr",
            Kind::RAW => "raw",
            Kind::INT => "int",
            _ => self.object_ref(shape).encoding(),
        }
    }

    /// The 24-bit access clock: LRU seconds, or LFU minutes and counter.
    #[inline]
    pub fn access(&self) -> u32 {
        self.header().kind_and_access >> 8
    }

    #[inline]
    pub fn set_access(&self, access: u32) {
        debug_assert!(access <= ACCESS_MAX);
        let header = self.header();
        self.set_header(Header { kind_and_access: access << 8 | header.kind_and_access & 0xff, ..header });
    }

    /// Bytes allocated: the block and what hangs on it.
    #[inline]
    pub fn memory(&self) -> usize {
        let shape = self.shape();
        let object = if shape.kind.place() == Kind::OBJECT { self.object_ref(shape).memory() } else { 0 };
        shape.block_size() + object
    }

    /// Whether the key has an expiry; reads only the pointer.
    #[inline]
    pub fn is_volatile(&self) -> bool {
        self.0.addr().get() & VOLATILE != 0
    }
}

/// What the table needs.
impl Entry {
    #[inline]
    pub(crate) fn tag(&self) -> u16 {
        (self.0.addr().get() >> TAG_SHIFT) as u16
    }

    #[inline]
    pub(crate) fn set_tag(&mut self, tag: u16) {
        debug_assert!(u32::from(tag) < TAG_END);
        self.set_pointer_bits(!(ADDRESS | VOLATILE), usize::from(tag) << TAG_SHIFT);
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

    /// Asks the processor for the block's first two lines.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_line(self.at(0));
        prefetch_line(self.at(LINE_SIZE));
    }

    pub(crate) fn has_object(&self) -> bool {
        self.kind().place() == Kind::OBJECT
    }

    /// The object behind an entry that has one.
    pub(crate) fn object(&self) -> Option<&Object> {
        let shape = self.shape();
        (shape.kind.place() == Kind::OBJECT).then(|| self.object_ref(shape))
    }

    /// As [`Entry::object`], to be changed.
    pub(crate) fn object_mut(&mut self) -> Option<&mut Object> {
        let shape = self.shape();
        if shape.kind.place() != Kind::OBJECT {
            return None;
        }
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this entry owns.
        // - `&mut self` excludes every other reference to it.
        Some(unsafe { &mut *self.object_ptr(shape) })
    }

    /// Takes the object out; the entry is left as the number 0 until it gets a new value.
    pub(crate) fn take_object(&mut self) -> Option<Box<Object>> {
        let shape = self.shape();
        if shape.kind.place() != Kind::OBJECT {
            return None;
        }
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this entry owns.
        // - the block stops being an OBJECT below, so it is taken once.
        let object = unsafe { Box::from_raw(self.object_ptr(shape)) };
        self.set_header(Shape { kind: Kind(shape.kind.0 & !Kind::ALT), ..shape }.header(self.access()));
        self.set_field(shape.word_at(), 0);
        Some(object)
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
        let displaced = if self.has_object() { self.take_object() } else { None };
        match Content::of_string(value) {
            Content::Int(number) => self.become_int(number, expiry_ms),
            content => self.become_inline(value, content.place(), expiry_ms),
        }
        displaced
    }

    /// Makes the value this number, keeping the expiry. Returns an object that had to give way.
    #[inline]
    pub(crate) fn set_int(&mut self, value: i64) -> Option<Box<Object>> {
        let displaced = if self.has_object() { self.take_object() } else { None };
        self.become_int(value, self.expiry());
        displaced
    }

    /// Sets or removes the expiry.
    pub(crate) fn set_expiry(&mut self, expiry_ms: Option<u64>) {
        let from = self.shape();
        let kind = Kind(from.kind.0 & !Kind::EXPIRY | u8::from(expiry_ms.is_some()));
        self.reshape(Shape { kind, ..from }, from.value_len, expiry_ms);
    }

    /// Readies a string to be modified in place: "raw" from here on, zero-extended to at least `len`. False if
    /// the value is not a string.
    pub(crate) fn extend_string(&mut self, len: usize) -> bool {
        if self.type_of() != Type::String {
            return false;
        }
        if !self.has_object() {
            let len = self.make_raw(len);
            if len <= INLINE_MAX {
                return true;
            }
            self.move_to_heap(len);
        }
        match self.object_mut() {
            Some(Object::String(bytes)) => extend_zeroed(bytes, len),
            None => return false,
        }
        true
    }

    /// The bytes of a string that is not kept as a number.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let shape = self.shape();
        match shape.kind.place() {
            Kind::INT => None,
            Kind::OBJECT => match self.object_mut()? {
                Object::String(bytes) => Some(bytes),
            },
            _ => Some(self.read_mut(shape.value_at(), shape.value_len)),
        }
    }
}

impl Entry {
    fn build(of: Type, key: &[u8], content: Content<'_>, expiry_ms: Option<u64>) -> Self {
        let kind = Kind::new(of, content.place(), expiry_ms.is_some(), key.len() > usize::from(u16::MAX));
        let shape = Shape { kind, key_len: key.len(), value_len: content.inline_len() };
        let mut entry = Self::allocate(shape, 0, expiry_ms);
        entry.write(shape.key_at(), key);
        match content {
            Content::Inline { bytes, .. } => entry.write(shape.value_at(), bytes),
            Content::Int(number) => entry.set_field(shape.word_at(), number as u64),
            Content::Object(object) => entry.put_object(object),
        }
        entry
    }

    /// A block whose header, expiry and wide key length are written; key and value are the caller's to write.
    fn allocate(shape: Shape, access: u32, expiry_ms: Option<u64>) -> Self {
        assert!(u32::try_from(shape.key_len).is_ok(), "a key is shorter than 4 GiB");
        let layout = shape.layout();
        // SAFETY: the layout is at least a header long.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block).map(NonNull::cast) else { handle_alloc_error(layout) };
        assert!(block.addr().get() & !ADDRESS == 0, "addresses of user space have 48 bits");
        debug_assert!(block.addr().get().is_multiple_of(BLOCK_ALIGN));
        let mut entry = Self(block);
        entry.write_frame(shape, access, expiry_ms);
        entry
    }

    fn write_frame(&mut self, shape: Shape, access: u32, expiry_ms: Option<u64>) {
        debug_assert_eq!(shape.kind.has(Kind::EXPIRY), expiry_ms.is_some());
        self.set_header(shape.header(access));
        if shape.kind.has(Kind::WIDE) {
            self.set_field(shape.wide_at(), shape.key_len as u64);
        }
        if let Some(expiry_ms) = expiry_ms {
            self.set_field(Shape::EXPIRY_AT, expiry_ms);
        }
        if expiry_ms.is_some() != self.is_volatile() {
            self.set_pointer_bits(VOLATILE, if expiry_ms.is_some() { VOLATILE } else { 0 });
        }
    }

    /// Gives the block another shape, keeping tag, key, access clock, the word if both shapes have one, and the
    /// first `keep` bytes of an inline value. What the new shape has beyond these is the caller's to write.
    #[inline]
    fn reshape(&mut self, to: Shape, keep: usize, expiry_ms: Option<u64>) {
        let from = self.shape();
        if from.block_size() == to.block_size() {
            let access = self.access();
            let (source, target, len) = from.kept(to, keep);
            if source != target {
                let (source, target) = (self.at(source), self.at(target));
                // SAFETY:
                // - word, key and kept value are adjacent in both shapes, and both shapes fit the block.
                // - the source is initialised; overlap is allowed.
                unsafe { ptr::copy(source, target, len) };
            }
            self.write_frame(to, access, expiry_ms);
        } else {
            self.relocate(from, to, keep, expiry_ms);
        }
    }

    fn relocate(&mut self, from: Shape, to: Shape, keep: usize, expiry_ms: Option<u64>) {
        let mut moved = Self::allocate(to, self.access(), expiry_ms);
        let (source, target, len) = from.kept(to, keep);
        let (source, target) = (self.at(source), moved.at(target));
        // SAFETY:
        // - word, key and kept value are adjacent in both shapes, each of which fits its block.
        // - the source is initialised; the blocks are two allocations.
        unsafe { ptr::copy_nonoverlapping(source, target, len) };
        moved.set_tag(self.tag());
        let old = self.block();
        self.0 = moved.0;
        std::mem::forget(moved);
        // SAFETY:
        // - the old block was allocated with the layout of its shape, which reshaping has not changed.
        // - nothing points to it any more; an object it had is the caller's.
        unsafe { dealloc(old.cast(), from.layout()) };
    }

    #[inline]
    fn become_inline(&mut self, value: &[u8], place: u8, expiry_ms: Option<u64>) {
        let to = self.string_shape(place, value.len(), expiry_ms);
        self.reshape(to, 0, expiry_ms);
        self.write(to.value_at(), value);
    }

    fn become_int(&mut self, value: i64, expiry_ms: Option<u64>) {
        let to = self.string_shape(Kind::INT, 0, expiry_ms);
        self.reshape(to, 0, expiry_ms);
        self.set_field(to.word_at(), value as u64);
    }

    fn become_object(&mut self, object: Box<Object>, expiry_ms: Option<u64>) {
        let mut to = self.string_shape(Kind::OBJECT, 0, expiry_ms);
        to.kind = Kind::new(object.type_of(), Kind::OBJECT, expiry_ms.is_some(), to.kind.has(Kind::WIDE));
        self.reshape(to, 0, expiry_ms);
        self.put_object(object);
    }

    #[cold]
    fn set_large_string(&mut self, value: &[u8], expiry_ms: Option<u64>) -> Option<Box<Object>> {
        let mut displaced = self.take_object();
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
        let from = self.shape();
        let len = len.max(from.value_len);
        if len <= INLINE_MAX {
            let kind = Kind(from.kind.0 | Kind::RAW);
            let to = Shape { kind, value_len: len, ..from };
            self.reshape(to, from.value_len, self.expiry());
            self.zero(to.value_at() + from.value_len, len - from.value_len);
        }
        len
    }

    /// Moves an inline string to the heap, with room for `len` bytes.
    fn move_to_heap(&mut self, len: usize) {
        let mut bytes = Vec::with_capacity(size_class(len));
        bytes.extend_from_slice(self.inline());
        self.become_object(Box::new(Object::String(bytes)), self.expiry());
    }

    fn string_shape(&self, place: u8, value_len: usize, expiry_ms: Option<u64>) -> Shape {
        let from = self.shape();
        let kind = Kind::new(Type::String, place, expiry_ms.is_some(), from.kind.has(Kind::WIDE));
        Shape { kind, key_len: from.key_len, value_len }
    }

    fn inline(&self) -> &[u8] {
        let shape = self.shape();
        self.read(shape.value_at(), shape.value_len)
    }
}

/// Access to the block. All of it goes through these.
impl Entry {
    #[inline]
    fn block(&self) -> *mut u64 {
        self.0.as_ptr().map_addr(|addr| addr & ADDRESS)
    }

    /// Replaces the bits of `mask`, all of them above the address.
    #[inline]
    fn set_pointer_bits(&mut self, mask: usize, bits: usize) {
        self.0 = self
            .0
            .map_addr(|addr| NonZero::new(addr.get() & !mask | bits).expect("a block's address is not 0"));
    }

    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        self.block().cast::<u8>().wrapping_add(offset)
    }

    #[inline]
    fn header(&self) -> Header {
        // SAFETY:
        // - every block begins with an initialised header and is aligned to 8.
        // - writes to it go through the same pointer on the same thread, and no reference to it exists.
        unsafe { self.block().cast::<Header>().read() }
    }

    #[inline]
    fn set_header(&self, header: Header) {
        // SAFETY:
        // - every block has room for a header and is aligned to 8.
        // - no reference to the header exists, and an entry is not `Sync`.
        unsafe { self.block().cast::<Header>().write(header) }
    }

    #[inline]
    fn kind(&self) -> Kind {
        Kind(self.header().kind_and_access as u8)
    }

    #[inline]
    fn shape(&self) -> Shape {
        let header = self.header();
        let kind = Kind(header.kind_and_access as u8);
        let mut shape =
            Shape { kind, key_len: usize::from(header.key_len), value_len: usize::from(header.value_len) };
        if kind.has(Kind::WIDE) {
            shape.key_len = self.field(shape.wide_at()) as usize;
        }
        shape
    }

    /// The 8-byte field at `offset`, one of those the shape says are there and no pointer.
    #[inline]
    fn field(&self, offset: usize) -> u64 {
        debug_assert!(offset.is_multiple_of(FIELD_SIZE));
        // SAFETY: the caller's offset is a multiple of 8 of an initialised field in this block.
        unsafe { self.block().wrapping_byte_add(offset).read() }
    }

    #[inline]
    fn set_field(&mut self, offset: usize, value: u64) {
        debug_assert!(offset.is_multiple_of(FIELD_SIZE));
        // SAFETY: the caller's offset is a multiple of 8 of a field in this block.
        unsafe { self.block().wrapping_byte_add(offset).write(value) }
    }

    #[inline]
    fn read(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY:
        // - the caller's range is key or inline value of the current shape: inside the block, initialised.
        // - the borrow of `self` keeps the block and, as only the header is written through `&self`, its bytes.
        unsafe { slice::from_raw_parts(self.at(offset), len) }
    }

    #[inline]
    fn read_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        // SAFETY:
        // - the caller's range is the inline value of the current shape: inside the block, initialised.
        // - the borrow of `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.at(offset), len) }
    }

    #[inline]
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let target = self.at(offset);
        // SAFETY:
        // - the caller's range lies inside the block.
        // - `bytes` cannot be part of it: a borrow of the block would exclude `&mut self`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) }
    }

    fn zero(&mut self, offset: usize, len: usize) {
        let target = self.at(offset);
        // SAFETY: the caller's range lies inside the block.
        unsafe { ptr::write_bytes(target, 0, len) }
    }

    #[inline]
    fn object_ptr(&self, shape: Shape) -> *mut Object {
        debug_assert!(shape.kind.place() == Kind::OBJECT);
        let word = self.block().wrapping_byte_add(shape.word_at()).cast::<*mut Object>();
        // SAFETY: the word of an OBJECT block is an aligned, initialised pointer.
        unsafe { word.read() }
    }

    fn object_ref(&self, shape: Shape) -> &Object {
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this entry owns.
        // - the shared borrow of `self` excludes `object_mut` and `take_object`.
        unsafe { &*self.object_ptr(shape) }
    }

    /// Puts the pointer of an OBJECT block in its place.
    fn put_object(&mut self, object: Box<Object>) {
        let word = self.block().wrapping_byte_add(self.shape().word_at()).cast::<*mut Object>();
        // SAFETY: the word of an OBJECT block lies inside it, aligned to 8.
        unsafe { word.write(Box::into_raw(object)) }
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        let shape = self.shape();
        let content = match shape.kind.place() {
            Kind::INT => Content::Int(self.field(shape.word_at()) as i64),
            Kind::OBJECT => Content::Object(Box::new(self.object_ref(shape).clone())),
            place => Content::Inline { bytes: self.inline(), place },
        };
        let mut copy = Self::build(self.type_of(), self.key(), content, self.expiry());
        copy.set_access(self.access());
        copy.set_tag(self.tag());
        copy
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if self.has_object() {
            drop(self.take_object());
        }
        let layout = self.shape().layout();
        // SAFETY:
        // - the block was allocated with the layout of its shape.
        // - its object is gone, and `self` is not used again.
        unsafe { dealloc(self.at(0), layout) }
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

#[inline]
fn prefetch_line(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it does not fault, whatever the address.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
