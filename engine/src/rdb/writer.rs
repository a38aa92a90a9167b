//! Writing the pieces that values are made of, from beginning to end, into any sink.
//!
//! ```text
//!  00llllll                          a length of 6 bits
//!  01llllll llllllll                 of 14 bits, big-endian
//!  10000000 and 4 bytes              of 32 bits, big-endian
//!  10000001 and 8 bytes              of 64 bits, big-endian
//!  11000000, 11000001, 11000010      in place of a string's length: an i8, i16 or i32 follows, little-endian; the
//!                                    string is its decimal spelling
//!  11000011                          in its place too: the length of compressed bytes, that of the string, the bytes
//! ```

use super::lzf::Compressor;
use crate::store::encoding::listpack::Element;
use crate::store::parse_canonical;

pub(super) const LENGTH_14: u8 = 0x40;
pub(super) const LENGTH_32: u8 = 0x80;
pub(super) const LENGTH_64: u8 = 0x81;
pub(super) const INT8: u8 = 0xC0;
pub(super) const INT16: u8 = 0xC1;
pub(super) const INT32: u8 = 0xC2;
pub(super) const COMPRESSED: u8 = 0xC3;

/// The longest spelling of an i32.
const INT32_DIGITS_MAX: usize = 11;
/// Up to this length compression is not tried.
const UNCOMPRESSED_LEN_MAX: usize = 20;
/// Compressed bytes must save so many.
const COMPRESSION_GAIN_MIN: usize = 4;

/// What takes bytes in order.
pub trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<S: Sink> Sink for &mut S {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }
}

/// Only counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByteCount(pub usize);

impl Sink for ByteCount {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// `rdbcompression`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Off,
    On,
}

impl From<bool> for Compression {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

#[derive(Debug)]
pub struct Writer<S> {
    sink: S,
    compressor: Option<Compressor>,
}

impl<S: Sink> Writer<S> {
    pub fn new(sink: S, compression: Compression) -> Self {
        Self { sink, compressor: (compression == Compression::On).then(Compressor::default) }
    }

    pub fn into_sink(self) -> S {
        self.sink
    }

    pub fn sink(&self) -> &S {
        &self.sink
    }

    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.sink.put(&[byte]);
    }

    /// Bytes that have no length of their own before them.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.sink.put(bytes);
    }

    #[inline]
    pub fn length(&mut self, len: u64) {
        match len {
            0..0x40 => self.byte(len as u8),
            0x40..0x4000 => self.sink.put(&(u16::from(LENGTH_14) << 8 | len as u16).to_be_bytes()),
            0x4000..=0xFFFF_FFFF => {
                self.byte(LENGTH_32);
                self.sink.put(&(len as u32).to_be_bytes());
            }
            _ => {
                self.byte(LENGTH_64);
                self.sink.put(&len.to_be_bytes());
            }
        }
    }

    /// A string: as a number where it spells one of 32 bits, compressed where that makes it shorter.
    pub fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= INT32_DIGITS_MAX
            && let Some(number) = parse_canonical(bytes).and_then(|number| i32::try_from(number).ok())
        {
            return self.small_integer(number);
        }
        if bytes.len() <= UNCOMPRESSED_LEN_MAX || !self.compressed(bytes) {
            self.plain(bytes);
        }
    }

    /// The string that is a number's decimal spelling.
    pub fn integer(&mut self, number: i64) {
        match i32::try_from(number) {
            Ok(number) => self.small_integer(number),
            Err(_) => self.plain(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    #[inline]
    pub fn element(&mut self, element: Element<'_>) {
        match element {
            Element::Int(number) => self.integer(number),
            Element::Str(bytes) => self.string(bytes),
        }
    }

    /// A double, little-endian.
    pub fn double(&mut self, number: f64) {
        self.sink.put(&number.to_le_bytes());
    }

    /// Unix milliseconds, little-endian.
    pub fn millis(&mut self, at_ms: u64) {
        self.sink.put(&at_ms.to_le_bytes());
    }

    fn small_integer(&mut self, number: i32) {
        let bytes = number.to_le_bytes();
        if i8::try_from(number).is_ok() {
            self.sink.put(&[INT8, bytes[0]]);
        } else if i16::try_from(number).is_ok() {
            self.sink.put(&[INT16, bytes[0], bytes[1]]);
        } else {
            self.byte(INT32);
            self.sink.put(&bytes);
        }
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.length(bytes.len() as u64);
        self.sink.put(bytes);
    }

    /// Writes a string if it can be compressed; says whether it was.
    fn compressed(&mut self, bytes: &[u8]) -> bool {
        // Taken out for the time of the writing, which needs the rest of the writer.
        let Some(mut compressor) = self.compressor.take() else { return false };
        let packed = compressor.compress(bytes, bytes.len() - COMPRESSION_GAIN_MIN);
        if let Some(packed) = packed {
            self.byte(COMPRESSED);
            self.length(packed.len() as u64);
            self.length(bytes.len() as u64);
            self.sink.put(packed);
        }
        let written = packed.is_some();
        self.compressor = Some(compressor);
        written
    }
}
