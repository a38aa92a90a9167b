//! One element of a listpack: what it is, and its bytes.
//!
//! ```text
//! ┌──────┬──────┬─────────┐
//! │ head │ body │ backlen │   head and body are the element; backlen is how long they are
//! └──────┴──────┴─────────┘
//!
//! first byte    head                    stands for
//! 0vvvvvvv      1 byte                  integer 0 to 127
//! 10llllll      1 byte                  l bytes of body
//! 110vvvvv      2 bytes, v big-endian   integer of 13 bits, signed
//! 1110llll      2 bytes, l big-endian   l bytes of body
//! 11110000      1 + 4 bytes             bytes of body, a little-endian u32 of them
//! 11110001      1 + 2 bytes             little-endian i16
//! 11110010      1 + 3 bytes             little-endian, 24 bits, signed
//! 11110011      1 + 4 bytes             little-endian i32
//! 11110100      1 + 8 bytes             little-endian i64
//! 11111111                              not an element: the end
//! ```
//!
//! The backlen is written in 1 to 5 bytes of 7 bits each, most significant first, to be read from its end: every
//! byte but the first has the top bit set. Where the largest number of 2, 3 or 4 bytes would stand, Redis takes
//! one byte more.

use crate::store::integer::parse_canonical;

const STR6: u8 = 0x80;
const INT13: u8 = 0xC0;
const STR12: u8 = 0xE0;
const STR12_LAST: u8 = 0xEF;
const STR32: u8 = 0xF0;
const INT16: u8 = 0xF1;
const INT24: u8 = 0xF2;
const INT32: u8 = 0xF3;
const INT64: u8 = 0xF4;
/// The byte behind the last element.
pub(super) const END: u8 = 0xFF;

const INT13_MIN: i64 = -(1 << 12);
const INT13_MAX: i64 = (1 << 12) - 1;
const INT24_MIN: i64 = -(1 << 23);
const INT24_MAX: i64 = (1 << 23) - 1;

/// The longest head: a byte and an i64.
const HEAD_MAX: usize = 9;
const BACKLEN_MAX: usize = 5;
const BACKLEN_BITS: usize = 7;
const BACKLEN_MORE: u8 = 1 << BACKLEN_BITS;

/// An element, read in place. Bytes that are the one spelling of an i64 are kept as that number: `Element::from`
/// a byte string makes it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    Int(i64),
    Str(&'a [u8]),
}

impl<'a> From<&'a [u8]> for Element<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        parse_canonical(bytes).map_or(Self::Str(bytes), Self::Int)
    }
}

impl From<i64> for Element<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<'a> Element<'a> {
    /// Whether these bytes are its text.
    #[inline]
    pub fn eq_bytes(self, bytes: &[u8]) -> bool {
        match self {
            Self::Int(number) => parse_canonical(bytes) == Some(number),
            Self::Str(mine) => mine == bytes,
        }
    }

    /// Its text; a number's is written to `digits`.
    #[inline]
    pub fn text<'t>(self, digits: &'t mut itoa::Buffer) -> &'t [u8]
    where
        'a: 't,
    {
        match self {
            Self::Int(number) => digits.format(number).as_bytes(),
            Self::Str(bytes) => bytes,
        }
    }

    pub fn text_len(self) -> usize {
        self.text(&mut itoa::Buffer::new()).len()
    }

    pub fn append_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text(&mut itoa::Buffer::new()));
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut itoa::Buffer::new()).to_vec()
    }
}

/// A text that elements are compared with; whether it spells a number is found out once.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    text: &'a [u8],
    element: Element<'a>,
}

impl<'a> Wanted<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, element: Element::from(text) }
    }

    #[inline]
    pub fn is(&self, element: Element<'_>) -> bool {
        match (element, self.element) {
            (Element::Int(number), Element::Int(wanted)) => number == wanted,
            // A number may have come in as a text, from outside.
            (Element::Str(text), _) => text == self.text,
            (Element::Int(_), Element::Str(_)) => false,
        }
    }
}

/// An element as its bytes, the head on the stack and the body where it is.
#[derive(Debug)]
pub(super) struct Encoded<'a> {
    head: [u8; HEAD_MAX],
    head_len: usize,
    body: &'a [u8],
}

impl<'a> Encoded<'a> {
    #[inline]
    pub(super) fn new(element: Element<'a>) -> Self {
        match element {
            Element::Int(number) => Self::of_int(number),
            Element::Str(bytes) => Self::of_str(bytes),
        }
    }

    #[inline]
    fn of_int(number: i64) -> Self {
        let bytes = number.to_le_bytes();
        match number {
            0..=0x7F => Self::with_head(&bytes[..1], b""),
            INT13_MIN..=INT13_MAX => Self::with_head(&[INT13 | bytes[1] & 0x1F, bytes[0]], b""),
            _ if i16::try_from(number).is_ok() => Self::of_wide_int(INT16, &bytes[..2]),
            INT24_MIN..=INT24_MAX => Self::of_wide_int(INT24, &bytes[..3]),
            _ if i32::try_from(number).is_ok() => Self::of_wide_int(INT32, &bytes[..4]),
            _ => Self::of_wide_int(INT64, &bytes),
        }
    }

    #[inline]
    fn of_wide_int(first: u8, rest: &[u8]) -> Self {
        let mut encoded = Self::with_head(&[first], b"");
        encoded.head[1..=rest.len()].copy_from_slice(rest);
        encoded.head_len = 1 + rest.len();
        encoded
    }

    #[inline]
    fn of_str(bytes: &'a [u8]) -> Self {
        let len = (bytes.len() as u32).to_le_bytes();
        match bytes.len() {
            0..0x40 => Self::with_head(&[STR6 | len[0]], bytes),
            0x40..0x1000 => Self::with_head(&[STR12 | len[1], len[0]], bytes),
            _ => Self::with_head(&[STR32, len[0], len[1], len[2], len[3]], bytes),
        }
    }

    #[inline]
    fn with_head(head: &[u8], body: &'a [u8]) -> Self {
        let mut encoded = Self { head: [0; HEAD_MAX], head_len: head.len(), body };
        encoded.head[..head.len()].copy_from_slice(head);
        encoded
    }

    #[inline]
    fn len(&self) -> usize {
        self.head_len + self.body.len()
    }

    /// Bytes it takes, the backlen included.
    #[inline]
    pub(super) fn total_len(&self) -> usize {
        self.len() + backlen_len(self.len())
    }

    /// Writes all its bytes to `out`, which is as long as they are.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8]) {
        let (element, backlen) = out.split_at_mut(self.len());
        let (head, body) = element.split_at_mut(self.head_len);
        head.copy_from_slice(&self.head[..self.head_len]);
        body.copy_from_slice(self.body);
        write_backlen(backlen, self.len());
    }
}

/// The element that `bytes` begin with, and how long it is without its backlen. `None` if they begin with the end,
/// or with none that is whole.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let str_behind =
        |head: usize, len: usize| bytes.get(head..)?.get(..len).map(|body| (Element::Str(body), head + len));
    match *bytes {
        [first @ 0..STR6, ..] => Some((Element::Int(i64::from(first)), 1)),
        [first @ STR6..INT13, ..] => str_behind(1, usize::from(first & 0x3F)),
        [first @ INT13..STR12, low, ..] => Some((Element::Int(signed(&[low, first & 0x1F], 13)), 2)),
        [first @ STR12..=STR12_LAST, low, ..] => {
            str_behind(2, usize::from(u16::from_be_bytes([first & 0xF, low])))
        }
        [STR32, a, b, c, d, ..] => str_behind(5, u32::from_le_bytes([a, b, c, d]) as usize),
        [INT16, ref rest @ ..] => wide_int(rest, 2),
        [INT24, ref rest @ ..] => wide_int(rest, 3),
        [INT32, ref rest @ ..] => wide_int(rest, 4),
        [INT64, ref rest @ ..] => wide_int(rest, 8),
        _ => None,
    }
}

#[inline]
fn wide_int(rest: &[u8], len: usize) -> Option<(Element<'static>, usize)> {
    let bytes = rest.get(..len)?;
    Some((Element::Int(signed(bytes, 8 * len as u32)), 1 + len))
}

/// The two's complement number in the lowest `bits` of little-endian bytes.
#[inline]
fn signed(bytes: &[u8], bits: u32) -> i64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    let unused = i64::BITS - bits;
    i64::from_le_bytes(whole) << unused >> unused
}

/// Bytes of the backlen of an element of `len` bytes.
#[inline]
pub(super) fn backlen_len(len: usize) -> usize {
    const TWO_END: usize = (1 << (2 * BACKLEN_BITS)) - 1;
    const THREE_END: usize = (1 << (3 * BACKLEN_BITS)) - 1;
    const FOUR_END: usize = (1 << (4 * BACKLEN_BITS)) - 1;
    match len {
        0..0x80 => 1,
        0x80..TWO_END => 2,
        TWO_END..THREE_END => 3,
        THREE_END..FOUR_END => 4,
        _ => BACKLEN_MAX,
    }
}

#[inline]
fn write_backlen(out: &mut [u8], mut len: usize) {
    for byte in out.iter_mut().rev() {
        *byte = len as u8 | BACKLEN_MORE;
        len >>= BACKLEN_BITS;
    }
    out[0] &= !BACKLEN_MORE;
}

/// The backlen that `bytes` end with, and its own length. `None` if there is none that is whole.
#[inline]
pub(super) fn decode_backlen(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (at, byte) in bytes.iter().rev().take(BACKLEN_MAX).enumerate() {
        len |= usize::from(byte & !BACKLEN_MORE) << (at * BACKLEN_BITS);
        if byte & BACKLEN_MORE == 0 {
            return Some((len, at + 1));
        }
    }
    None
}
