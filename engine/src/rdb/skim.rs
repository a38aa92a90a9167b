//! Where a value ends: its form followed from piece to piece, nothing of it looked at or kept.
//!
//! Works on whatever bytes come one after the other, so that a value can be found in a file before it is in memory,
//! and be handed to another thread as bytes. What is skimmed is not checked but for its lengths; it is checked when
//! it is read.

use super::writer::{COMPRESSED, INT8, INT16, INT32, LENGTH_32, LENGTH_64};
use super::{Error, ValueType};

const LENGTH_14_BITS: u8 = 0x3F;
/// The two first bits of a length of 32 or 64 bits, and those in a length's place.
const LENGTH_WIDE: u8 = 2;

const STREAM_ID_LEN: u64 = 16;
const MILLIS_LEN: u64 = 8;
const DOUBLE_LEN: u64 = 8;
/// From here on the length of a double's text says a number that has none.
const DOUBLE_WORDLESS_MIN: u8 = 253;

/// Bytes that come one after the other.
pub(super) trait Pieces {
    type Failure: From<Error>;

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Self::Failure>;

    fn skip(&mut self, len: u64) -> Result<(), Self::Failure>;
}

/// A length, or what stands in its place.
pub(super) enum Head {
    Length(u64),
    Int(i64),
    Compressed,
}

#[inline]
pub(super) fn head<P: Pieces>(pieces: &mut P) -> Result<Head, P::Failure> {
    let [first] = pieces.array()?;
    match (first >> 6, first) {
        (0, _) => Ok(Head::Length(first.into())),
        (1, _) => {
            let [low] = pieces.array()?;
            Ok(Head::Length(u16::from_be_bytes([first & LENGTH_14_BITS, low]).into()))
        }
        (LENGTH_WIDE, LENGTH_32) => Ok(Head::Length(u32::from_be_bytes(pieces.array()?).into())),
        (LENGTH_WIDE, LENGTH_64) => Ok(Head::Length(u64::from_be_bytes(pieces.array()?))),
        (_, INT8) => Ok(Head::Int(i8::from_le_bytes(pieces.array()?).into())),
        (_, INT16) => Ok(Head::Int(i16::from_le_bytes(pieces.array()?).into())),
        (_, INT32) => Ok(Head::Int(i32::from_le_bytes(pieces.array()?).into())),
        (_, COMPRESSED) => Ok(Head::Compressed),
        _ => Err(Error::Malformed("an unknown length").into()),
    }
}

#[inline]
pub(super) fn length<P: Pieces>(pieces: &mut P) -> Result<u64, P::Failure> {
    match head(pieces)? {
        Head::Length(len) => Ok(len),
        Head::Int(_) | Head::Compressed => Err(Error::Malformed("a string where a length belongs").into()),
    }
}

pub(super) fn skip_string<P: Pieces>(pieces: &mut P) -> Result<(), P::Failure> {
    let lens = string_lens(pieces)?;
    pieces.skip(lens.stored)
}

/// How long a string is, in bytes.
pub(super) struct StringLens {
    /// Behind its head.
    pub(super) stored: u64,
    /// Once it is unpacked; not known of a number.
    pub(super) unpacked: u64,
}

/// Goes past the head of a string.
#[inline]
pub(super) fn string_lens<P: Pieces>(pieces: &mut P) -> Result<StringLens, P::Failure> {
    Ok(match head(pieces)? {
        Head::Length(len) => StringLens { stored: len, unpacked: len },
        Head::Int(_) => StringLens { stored: 0, unpacked: 0 },
        Head::Compressed => StringLens { stored: length(pieces)?, unpacked: length(pieces)? },
    })
}

/// Goes to the end of a value that is written as said.
pub(super) fn skip_value<P: Pieces>(pieces: &mut P, value_type: ValueType) -> Result<(), P::Failure> {
    use ValueType as Of;
    match value_type {
        Of::String
        | Of::ListZiplist
        | Of::SetIntset
        | Of::SetListpack
        | Of::ZsetZiplist
        | Of::ZsetListpack
        | Of::HashZipmap
        | Of::HashZiplist
        | Of::HashListpack
        | Of::HashListpackExBare => skip_string(pieces),
        Of::HashListpackEx => {
            pieces.skip(MILLIS_LEN)?;
            skip_string(pieces)
        }
        Of::List | Of::Set | Of::ListQuicklist => each(pieces, skip_string),
        Of::ListQuicklist2 => each(pieces, skip_piece_of_list),
        Of::Hash => each(pieces, skip_pair),
        Of::Zset => each(pieces, skip_member_with_text),
        Of::Zset2 => each(pieces, skip_member),
        Of::HashDeadlinesAbsolute => each(pieces, skip_field_with_deadline),
        Of::HashDeadlines => {
            pieces.skip(MILLIS_LEN)?;
            each(pieces, skip_field_with_deadline)
        }
        Of::StreamListpacks | Of::StreamListpacks2 | Of::StreamListpacks3 => skip_stream(pieces, value_type),
    }
}

/// A count, and so many of what `skip_one` goes past.
fn each<P: Pieces>(
    pieces: &mut P,
    skip_one: impl Fn(&mut P) -> Result<(), P::Failure>,
) -> Result<(), P::Failure> {
    (0..length(pieces)?).try_for_each(|_| skip_one(pieces))
}

fn skip_pair<P: Pieces>(pieces: &mut P) -> Result<(), P::Failure> {
    skip_string(pieces)?;
    skip_string(pieces)
}

fn skip_piece_of_list<P: Pieces>(pieces: &mut P) -> Result<(), P::Failure> {
    length(pieces)?;
    skip_string(pieces)
}

fn skip_member<P: Pieces>(pieces: &mut P) -> Result<(), P::Failure> {
    skip_string(pieces)?;
    pieces.skip(DOUBLE_LEN)
}

fn skip_member_with_text<P: Pieces>(pieces: &mut P) -> Result<(), P::Failure> {
    skip_string(pieces)?;
    let [len] = pieces.array()?;
    if len < DOUBLE_WORDLESS_MIN { pieces.skip(len.into()) } else { Ok(()) }
}

fn skip_field_with_deadline<P: Pieces>(pieces: &mut P) -> Result<(), P::Failure> {
    length(pieces)?;
    skip_pair(pieces)
}

/// Numbers behind the nodes: entries and the two parts of the last id; and those that came later: first id, highest
/// deleted id, entries added.
const STREAM_NUMBERS: usize = 3;
const STREAM_NUMBERS_ADDED: usize = 5;

fn skip_stream<P: Pieces>(pieces: &mut P, value_type: ValueType) -> Result<(), P::Failure> {
    each(pieces, skip_pair)?;
    skip_lengths(pieces, STREAM_NUMBERS)?;
    if value_type != ValueType::StreamListpacks {
        skip_lengths(pieces, STREAM_NUMBERS_ADDED)?;
    }
    each(pieces, |pieces| skip_group(pieces, value_type))
}

fn skip_group<P: Pieces>(pieces: &mut P, value_type: ValueType) -> Result<(), P::Failure> {
    skip_string(pieces)?;
    skip_lengths(pieces, if value_type == ValueType::StreamListpacks { 2 } else { 3 })?;
    each(pieces, |pieces| {
        pieces.skip(STREAM_ID_LEN + MILLIS_LEN)?;
        skip_lengths(pieces, 1)
    })?;
    let times = if value_type == ValueType::StreamListpacks3 { 2 } else { 1 };
    each(pieces, |pieces| {
        skip_string(pieces)?;
        pieces.skip(times * MILLIS_LEN)?;
        each(pieces, |pieces| pieces.skip(STREAM_ID_LEN))
    })
}

fn skip_lengths<P: Pieces>(pieces: &mut P, count: usize) -> Result<(), P::Failure> {
    (0..count).try_for_each(|_| length(pieces).map(|_| ()))
}
