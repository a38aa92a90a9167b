//! Ziplists: what Redis kept small collections in up to 6.2, read into listpacks.
//!
//! ```text
//! ┌─────────────┬────────────────┬────────┬───────┬───────┬─ ─ ─┬──────┐
//! │ total bytes │ offset of last │ count  │ entry │ entry │     │ 0xFF │
//! └─────────────┴────────────────┴────────┴───────┴───────┴─ ─ ─┴──────┘
//!   u32 LE        u32 LE           u16 LE                         u8
//!
//! entry   ┌────────────────────┬──────┬──────┐   how long the previous entry is: u8, or 0xFE and u32 LE
//!         │ length of previous │ head │ body │
//!         └────────────────────┴──────┴──────┘
//!
//! head    00llllll                    l bytes of body
//!         01llllll llllllll           l bytes of body
//!         10______ and u32 BE         so many bytes of body
//!         11000000                    i16, little-endian as all that follow
//!         11010000                    i32
//!         11100000                    i64
//!         11110000                    24 bits, signed
//!         11111110                    i8
//!         1111vvvv                    v - 1, with v from 1 to 13
//! ```
//!
//! A count of 65535 says "so many or more".

use super::skim::Pieces as _;
use super::{Error, Reader};
use crate::store::encoding::listpack::{Element, Listpack};

const HEADER_LEN: usize = 10;
const END: u8 = 0xFF;
const LONG_PREVIOUS: u8 = 0xFE;
const UNCOUNTED: u16 = u16::MAX;

const INT16: u8 = 0xC0;
const INT32: u8 = 0xD0;
const INT64: u8 = 0xE0;
const INT24: u8 = 0xF0;
const INT8: u8 = 0xFE;
const IMMEDIATE_MIN: u8 = 0xF1;
const IMMEDIATE_MAX: u8 = 0xFD;

const MALFORMED: Error = Error::Malformed("bytes that are not a ziplist");

/// The elements, everything about them checked.
pub(super) fn to_listpack(bytes: &[u8]) -> Result<Listpack, Error> {
    let mut header = Reader::new(bytes, usize::MAX);
    let (total, last, count) = (header.u32_le()?, header.u32_le()?, header.u16_le()?);
    let [entries @ .., END] = header.rest() else { return Err(MALFORMED) };
    if total as usize != bytes.len() {
        return Err(MALFORMED);
    }
    let mut pack = Listpack::with_capacity(bytes.len());
    let (mut reader, mut entry_len, mut last_at, mut elements) =
        (Reader::new(entries, usize::MAX), 0, HEADER_LEN, 0);
    while !reader.rest().is_empty() {
        last_at = bytes.len() - 1 - reader.rest().len();
        if previous_len(&mut reader)? != entry_len {
            return Err(MALFORMED);
        }
        let element = element(&mut reader)?;
        if !pack.has_room_for(element.text_len(), 1) {
            return Err(MALFORMED);
        }
        pack.push_back(element);
        entry_len = bytes.len() - 1 - reader.rest().len() - last_at;
        elements += 1;
    }
    let counted = count == UNCOUNTED || usize::from(count) == elements;
    if counted && last as usize == last_at { Ok(pack) } else { Err(MALFORMED) }
}

fn previous_len(reader: &mut Reader<'_>) -> Result<usize, Error> {
    match reader.byte()? {
        END => Err(MALFORMED),
        LONG_PREVIOUS => Ok(reader.u32_le()? as usize),
        len => Ok(len.into()),
    }
}

fn element<'a>(reader: &mut Reader<'a>) -> Result<Element<'a>, Error> {
    let head = reader.byte()?;
    let len = match head >> 6 {
        0 => usize::from(head),
        1 => usize::from(u16::from_be_bytes([head & 0x3F, reader.byte()?])),
        2 => u32::from_be_bytes(reader.array()?) as usize,
        _ => return integer(head, reader).map(Element::Int),
    };
    // A text that spells a number is one in a listpack.
    reader.bytes(len).map(Element::from)
}

fn integer(head: u8, reader: &mut Reader<'_>) -> Result<i64, Error> {
    Ok(match head {
        INT16 => i16::from_le_bytes(reader.array()?).into(),
        INT32 => i32::from_le_bytes(reader.array()?).into(),
        INT64 => i64::from_le_bytes(reader.array()?),
        INT24 => {
            let [a, b, c] = reader.array()?;
            (i32::from_le_bytes([0, a, b, c]) >> 8).into()
        }
        INT8 => i8::from_le_bytes(reader.array()?).into(),
        IMMEDIATE_MIN..=IMMEDIATE_MAX => i64::from(head - IMMEDIATE_MIN),
        _ => return Err(MALFORMED),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ziplist of these entries, a head and a body each.
    fn ziplist(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        let (mut previous, mut last) = (0usize, HEADER_LEN);
        for (head, body) in entries {
            last = bytes.len();
            match u8::try_from(previous) {
                Ok(len) if len < LONG_PREVIOUS => bytes.push(len),
                _ => {
                    bytes.push(LONG_PREVIOUS);
                    bytes.extend((previous as u32).to_le_bytes());
                }
            }
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(body);
            previous = bytes.len() - last;
        }
        bytes.push(END);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        bytes[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        bytes
    }

    /// The same, of texts.
    fn ziplist_of(texts: &[&str]) -> Vec<u8> {
        let heads: Vec<Vec<u8>> = texts
            .iter()
            .map(|text| match text.len() {
                len @ 0..0x40 => vec![len as u8],
                len @ 0x40..0x4000 => vec![0x40 | (len >> 8) as u8, len as u8],
                len => [&[0x80][..], &(len as u32).to_be_bytes()].concat(),
            })
            .collect();
        let entries: Vec<(&[u8], &[u8])> =
            heads.iter().zip(texts).map(|(head, text)| (&head[..], text.as_bytes())).collect();
        ziplist(&entries)
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        let pack = to_listpack(bytes).expect("a ziplist");
        pack.iter().map(|element| String::from_utf8(element.to_vec()).expect("a text")).collect()
    }

    #[test]
    fn every_kind_of_entry_is_read() {
        let long = "x".repeat(100);
        let longer = "y".repeat(20_000);
        assert_eq!(
            texts(&ziplist_of(&["", "a", &long, &longer, "b", "12"])),
            ["", "a", &long, &longer, "b", "12"]
        );
        let integers = ziplist(&[
            (&[INT8], &[0x80]),
            (&[INT16], &[0, 0x80]),
            (&[INT24], &[0, 0, 0x80]),
            (&[INT24], &[1, 2, 3]),
            (&[INT32], &[0, 0, 0, 0x80]),
            (&[INT64], &[0, 0, 0, 0, 0, 0, 0, 0x80]),
            (&[IMMEDIATE_MIN], &[]),
            (&[IMMEDIATE_MAX], &[]),
        ]);
        let expected =
            ["-128", "-32768", "-8388608", "197121", "-2147483648", "-9223372036854775808", "0", "12"];
        assert_eq!(texts(&integers), expected);
        assert!(texts(&ziplist(&[])).is_empty());
    }

    #[test]
    fn whatever_is_cut_or_off_is_refused() {
        let bytes = ziplist_of(&["one", "two", "three"]);
        for len in 0..bytes.len() {
            assert!(to_listpack(&bytes[..len]).is_err());
        }
        let wrong = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            to_listpack(&bytes)
        };
        assert!(wrong(0, 99).is_err(), "the total");
        assert!(wrong(4, HEADER_LEN as u8).is_err(), "the offset of the last");
        assert!(wrong(8, 2).is_err(), "the count");
        assert!(wrong(HEADER_LEN, 1).is_err(), "the length of the previous");
        assert!(wrong(HEADER_LEN + 1, 0xFF).is_err(), "a head");
        assert!(wrong(bytes.len() - 1, 0).is_err(), "the end");
        let mut uncounted = bytes.clone();
        uncounted[8..10].copy_from_slice(&[0xFF, 0xFF]);
        assert!(to_listpack(&uncounted).is_ok());
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused_or_read(
            damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = ziplist_of(&["one", "2", "", "a longer one than that"]);
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = to_listpack(&bytes);
        }
    }
}
