//! The heap block of an entry, owned through one tagged pointer: its layout, and all access to it.
//!
//! ```text
//! the pointer (8 bytes, kept in the segment's slots)
//!  63           49  48  47                         3 2 1   0
//! ┌───────────────┬───┬─────────────────────────────┬─────┬───┐   V: the key has an expiry
//! │ tag of the key│ V │ address of the block        │  0  │ M │   M: its mark, which a walk goes by
//! └───────────────┴───┴─────────────────────────────┴─────┴───┘   (blocks are aligned to 8)
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
//! - No reference to the header is ever handed out, so [`Block::set_access`] may write through `&self`. A
//!   block is not `Sync`.
//! - `V` in the pointer equals the block's expiry bit.
//!
//! Refuses: keys of 4 GiB and more, and addresses beyond 48 bits (x86-64 gives a process 47 bits, aarch64 48,
//! and Linux hands out more only to those who ask); both are asserted.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::num::NonZero;
use std::ptr::NonNull;
use std::{ptr, slice};

use super::key_hash::TAG_END;
use super::object::{Object, Type};
use super::size_class::size_class;

/// Largest access clock: 24 bits.
pub const ACCESS_MAX: u32 = (1 << 24) - 1;

const ADDRESS_BITS: u32 = 48;
const ADDRESS: usize = (1 << ADDRESS_BITS) - BLOCK_ALIGN;
const MARK: usize = 1;
const VOLATILE: usize = 1 << ADDRESS_BITS;
const TAG_SHIFT: u32 = ADDRESS_BITS + 1;
const TAG: usize = usize::MAX << TAG_SHIFT;
/// Bytes the processor fetches at a time.
const LINE_SIZE: usize = 64;
const BLOCK_ALIGN: usize = 8;

const _: () = assert!(usize::BITS == 64);
const _: () =
    assert!((ADDRESS ^ MARK ^ VOLATILE ^ TAG).count_ones() == usize::BITS - 2, "no bit is used twice");

/// What a block holds and where: see the module's drawing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    const EXPIRY: u8 = 1;
    const WIDE: u8 = 1 << 1;
    const WORD: u8 = 1 << 2;
    const ALT: u8 = 1 << 3;
    const TYPE_SHIFT: u32 = 5;

    pub(super) const EMBSTR: u8 = 0;
    pub(super) const RAW: u8 = Self::ALT;
    pub(super) const INT: u8 = Self::WORD;
    pub(super) const OBJECT: u8 = Self::WORD | Self::ALT;

    pub(super) const fn new(of: Type, place: u8, expiry: bool, key_len: usize) -> Self {
        let wide = key_len > u16::MAX as usize;
        Self((of as u8) << Self::TYPE_SHIFT | place | expiry as u8 | (wide as u8) << 1)
    }

    const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }

    pub(super) const fn with_expiry(self, expiry: bool) -> Self {
        Self(self.0 & !Self::EXPIRY | expiry as u8)
    }

    pub(super) const fn with_place(self, place: u8) -> Self {
        Self(self.0 & !(Self::WORD | Self::ALT) | place)
    }

    pub(super) const fn place(self) -> u8 {
        self.0 & (Self::WORD | Self::ALT)
    }

    pub(super) fn type_of(self) -> Type {
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
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) key_len: usize,
    /// 0 when the value is in the word.
    pub(super) value_len: usize,
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

    pub(super) const fn block_size(self) -> usize {
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

/// One block, owned. See the module.
pub(super) struct Block(NonNull<u64>);

// SAFETY:
// - a block and its object are owned outright; nothing else points to them.
// - `Object` holds only `Send` data.
// - the global allocator frees from any thread.
unsafe impl Send for Block {}
const _: fn() = || {
    fn sendable<T: Send>() {}
    sendable::<Object>();
};

impl Block {
    /// A block whose header, expiry and wide key length are written; key and value are the caller's to write.
    pub(super) fn allocate(shape: Shape, access: u32, expiry_ms: Option<u64>) -> Self {
        assert!(u32::try_from(shape.key_len).is_ok(), "a key is shorter than 4 GiB");
        let layout = shape.layout();
        // SAFETY: the layout is at least a header long.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block).map(NonNull::cast) else { handle_alloc_error(layout) };
        assert!(block.addr().get() & !ADDRESS == 0, "addresses of user space have 48 bits");
        let mut block = Self(block);
        block.write_frame(shape, access, expiry_ms);
        block
    }

    #[inline]
    pub(super) fn shape(&self) -> Shape {
        let header = self.header();
        let kind = Kind(header.kind_and_access as u8);
        let mut shape =
            Shape { kind, key_len: usize::from(header.key_len), value_len: usize::from(header.value_len) };
        if kind.has(Kind::WIDE) {
            shape.key_len = self.field(shape.wide_at()) as usize;
        }
        shape
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        Kind(self.header().kind_and_access as u8)
    }

    /// The 24-bit access clock: LRU seconds, or LFU minutes and counter.
    #[inline]
    pub(super) fn access(&self) -> u32 {
        self.header().kind_and_access >> 8
    }

    #[inline]
    pub(super) fn set_access(&self, access: u32) {
        debug_assert!(access <= ACCESS_MAX);
        let header = self.header();
        self.set_header(Header { kind_and_access: access << 8 | header.kind_and_access & 0xff, ..header });
    }

    /// Whether the key has an expiry; reads only the pointer.
    #[inline]
    pub(super) fn is_volatile(&self) -> bool {
        self.0.addr().get() & VOLATILE != 0
    }

    #[inline]
    pub(super) fn expiry(&self) -> Option<u64> {
        self.is_volatile().then(|| self.field(Shape::EXPIRY_AT))
    }

    #[inline]
    pub(super) fn tag(&self) -> u16 {
        (self.0.addr().get() >> TAG_SHIFT) as u16
    }

    #[inline]
    pub(super) fn set_tag(&mut self, tag: u16) {
        debug_assert!(u32::from(tag) < TAG_END);
        self.set_pointer_bits(TAG, usize::from(tag) << TAG_SHIFT);
    }

    /// The mark, which means something to the table alone; reads only the pointer.
    #[inline]
    pub(super) fn mark(&self) -> bool {
        self.0.addr().get() & MARK != 0
    }

    #[inline]
    pub(super) fn set_mark(&mut self, mark: bool) {
        self.set_pointer_bits(MARK, usize::from(mark));
    }

    /// Asks the processor for the block's first two lines.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_line(self.at(0));
        prefetch_line(self.at(LINE_SIZE));
    }

    /// And for its object, if it has one.
    #[inline]
    pub(super) fn prefetch_object(&self) {
        if let Some(object) = self.object_ptr() {
            prefetch_line(object.cast());
        }
    }

    /// And for what the object points to.
    #[inline]
    pub(super) fn prefetch_content(&self) {
        if let Some(object) = self.object() {
            let content = object.content();
            prefetch_line(content);
            prefetch_line(content.wrapping_add(LINE_SIZE));
        }
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        let shape = self.shape();
        self.read(shape.key_at(), shape.key_len)
    }

    /// The inline value; empty if the value is in the word.
    #[inline]
    pub(super) fn inline(&self) -> &[u8] {
        let shape = self.shape();
        self.read(shape.value_at(), shape.value_len)
    }

    #[inline]
    pub(super) fn inline_mut(&mut self) -> &mut [u8] {
        let shape = self.shape();
        let inline = self.at(shape.value_at());
        // SAFETY:
        // - the inline value of the current shape lies inside the block and is initialised.
        // - the borrow of `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(inline, shape.value_len) }
    }

    /// The number in the word of an INT block.
    #[inline]
    pub(super) fn int(&self) -> i64 {
        let shape = self.shape();
        debug_assert!(shape.kind.place() == Kind::INT);
        self.field(shape.word_at()) as i64
    }

    /// The object of an OBJECT block.
    #[inline]
    pub(super) fn object(&self) -> Option<&Object> {
        let object = self.object_ptr()?;
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this block owns.
        // - the shared borrow of `self` excludes `object_mut` and `take_object`.
        Some(unsafe { &*object })
    }

    pub(super) fn object_mut(&mut self) -> Option<&mut Object> {
        let object = self.object_ptr()?;
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this block owns.
        // - `&mut self` excludes every other reference to it.
        Some(unsafe { &mut *object })
    }

    /// The key and the object.
    pub(super) fn key_and_object_mut(&mut self) -> Option<(&[u8], &mut Object)> {
        let object = self.object_ptr()?;
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this block owns.
        // - `&mut self` excludes every other reference to it, for as long as either part of the result lives.
        // - the object lies outside the block: what is read of the block for the key is no part of it.
        let object = unsafe { &mut *object };
        Some((self.key(), object))
    }

    /// Takes the object out; the block is left as the number 0 until it gets a new value.
    pub(super) fn take_object(&mut self) -> Option<Box<Object>> {
        let object = self.object_ptr()?;
        // SAFETY:
        // - the word of an OBJECT block is a pointer from `Box::into_raw` that this block owns.
        // - the block stops being an OBJECT below, so it is taken once.
        let object = unsafe { Box::from_raw(object) };
        let shape = self.shape();
        self.set_header(Shape { kind: Kind(shape.kind.0 & !Kind::ALT), ..shape }.header(self.access()));
        self.set_field(shape.word_at(), 0);
        Some(object)
    }
}

/// Writing. Whoever allocates or reshapes writes, before anything is read, what the new shape has beyond what
/// was kept: the key, then the inline value, the number or the object.
impl Block {
    /// Gives the block another shape, keeping tag, mark, key, access clock, the word if both shapes have one, and the
    /// first `keep` bytes of an inline value. What the new shape has beyond these is the caller's to write.
    #[inline]
    pub(super) fn reshape(&mut self, to: Shape, keep: usize, expiry_ms: Option<u64>) {
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

    pub(super) fn write_key(&mut self, key: &[u8]) {
        let shape = self.shape();
        assert_eq!(key.len(), shape.key_len);
        self.write(shape.key_at(), key);
    }

    /// Writes the whole inline value.
    #[inline]
    pub(super) fn write_inline(&mut self, value: &[u8]) {
        let shape = self.shape();
        assert_eq!(value.len(), shape.value_len);
        self.write(shape.value_at(), value);
    }

    /// Zeroes the inline value from an offset on.
    pub(super) fn zero_inline(&mut self, from: usize) {
        let shape = self.shape();
        assert!(from <= shape.value_len);
        let target = self.at(shape.value_at() + from);
        // SAFETY: the end of the inline value lies inside the block.
        unsafe { ptr::write_bytes(target, 0, shape.value_len - from) }
    }

    /// Writes the number of an INT block.
    #[inline]
    pub(super) fn put_int(&mut self, value: i64) {
        let shape = self.shape();
        assert!(shape.kind.place() == Kind::INT);
        self.set_field(shape.word_at(), value as u64);
    }

    /// Writes the pointer of an OBJECT block.
    pub(super) fn put_object(&mut self, object: Box<Object>) {
        let shape = self.shape();
        assert!(shape.kind.place() == Kind::OBJECT);
        let word = self.start().wrapping_byte_add(shape.word_at()).cast::<*mut Object>();
        // SAFETY: the word of an OBJECT block lies inside it, aligned to 8.
        unsafe { word.write(Box::into_raw(object)) }
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
        moved.set_mark(self.mark());
        let old = self.start();
        self.0 = moved.0;
        std::mem::forget(moved);
        // SAFETY:
        // - the old block was allocated with the layout of its shape, which reshaping has not changed.
        // - nothing points to it any more; an object it had is the caller's.
        unsafe { dealloc(old.cast(), from.layout()) };
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
}

/// The block's memory. All access goes through these and the few above.
impl Block {
    #[inline]
    fn start(&self) -> *mut u64 {
        self.0.as_ptr().map_addr(|addr| addr & ADDRESS)
    }

    /// Replaces the bits of `mask`, none of them the address's.
    #[inline]
    fn set_pointer_bits(&mut self, mask: usize, bits: usize) {
        self.0 = self
            .0
            .map_addr(|addr| NonZero::new(addr.get() & !mask | bits).expect("a block's address is not 0"));
    }

    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        self.start().cast::<u8>().wrapping_add(offset)
    }

    #[inline]
    fn header(&self) -> Header {
        // SAFETY:
        // - every block begins with an initialised header and is aligned to 8.
        // - writes to it go through the same pointer on the same thread, and no reference to it exists.
        unsafe { self.start().cast::<Header>().read() }
    }

    #[inline]
    fn set_header(&self, header: Header) {
        // SAFETY:
        // - every block has room for a header and is aligned to 8.
        // - no reference to the header exists, and a block is not `Sync`.
        unsafe { self.start().cast::<Header>().write(header) }
    }

    /// The 8-byte field at `offset`, one of those the shape says are there and no pointer.
    #[inline]
    fn field(&self, offset: usize) -> u64 {
        debug_assert!(offset.is_multiple_of(FIELD_SIZE));
        // SAFETY: the caller's offset is a multiple of 8 of an initialised field in this block.
        unsafe { self.start().wrapping_byte_add(offset).read() }
    }

    #[inline]
    fn set_field(&mut self, offset: usize, value: u64) {
        debug_assert!(offset.is_multiple_of(FIELD_SIZE));
        // SAFETY: the caller's offset is a multiple of 8 of a field in this block.
        unsafe { self.start().wrapping_byte_add(offset).write(value) }
    }

    #[inline]
    fn read(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY:
        // - the caller's range is key or inline value of the current shape: inside the block, initialised.
        // - the borrow of `self` keeps the block and, as only the header is written through `&self`, its bytes.
        unsafe { slice::from_raw_parts(self.at(offset), len) }
    }

    #[inline]
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let target = self.at(offset);
        // SAFETY:
        // - the caller's range lies inside the block.
        // - `bytes` cannot be part of it: a borrow of the block would exclude `&mut self`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) }
    }

    #[inline]
    fn object_ptr(&self) -> Option<*mut Object> {
        let shape = self.shape();
        if shape.kind.place() != Kind::OBJECT {
            return None;
        }
        let word = self.start().wrapping_byte_add(shape.word_at()).cast::<*mut Object>();
        // SAFETY: the word of an OBJECT block is an aligned, initialised pointer.
        Some(unsafe { word.read() })
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        drop(self.take_object());
        let layout = self.shape().layout();
        // SAFETY:
        // - the block was allocated with the layout of its shape.
        // - its object is gone, and `self` is not used again.
        unsafe { dealloc(self.at(0), layout) }
    }
}

#[inline]
pub(super) fn prefetch_line(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it does not fault, whatever the address.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
