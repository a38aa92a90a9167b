//! Zipmaps: what Redis kept small hashes in up to 2.4, read into listpacks.
//!
//! ```text
//! ┌───────┬───────┬───────┬───────┬───────┬─ ─ ─┬──────┐
//! │ count │ field │ value │ field │ value │     │ 0xFF │
//! └───────┴───────┴───────┴───────┴───────┴─ ─ ─┴──────┘
//!   u8                                            u8
//!
//! field   length, text
//! value   length, u8 of bytes behind the text that are not used, text, those bytes
//! length  u8, or 0xFE and u32 LE
//! ```
//!
//! A count of 254 or more says "so many or more".

use super::{Error, Reader};
use crate::store::encoding::listpack::Listpack;

const UNCOUNTED_MIN: u8 = 254;
const LONG: u8 = 0xFE;
const END: u8 = 0xFF;

const MALFORMED: Error = Error::Malformed("bytes that are not a zipmap");

/// Fields and values in turn.
pub(super) fn to_listpack(bytes: &[u8]) -> Result<Listpack, Error> {
    let [count, pairs @ .., END] = bytes else { return Err(MALFORMED) };
    let (mut reader, mut pack, mut read) =
        (Reader::new(pairs, usize::MAX), Listpack::with_capacity(bytes.len()), 0);
    while !reader.rest().is_empty() {
        let len = length(&mut reader)?;
        push(&mut pack, reader.bytes(len)?)?;
        let (len, unused) = (length(&mut reader)?, reader.byte()?);
        push(&mut pack, reader.bytes(len)?)?;
        reader.bytes(unused.into())?;
        read += 1;
    }
    if *count >= UNCOUNTED_MIN || usize::from(*count) == read { Ok(pack) } else { Err(MALFORMED) }
}

fn length(reader: &mut Reader<'_>) -> Result<usize, Error> {
    match reader.byte()? {
        END => Err(MALFORMED),
        LONG => Ok(reader.u32_le()? as usize),
        len => Ok(len.into()),
    }
}

fn push(pack: &mut Listpack, text: &[u8]) -> Result<(), Error> {
    if !pack.has_room_for(text.len(), 1) {
        return Err(MALFORMED);
    }
    pack.push_back(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Option<Vec<String>> {
        let pack = to_listpack(bytes).ok()?;
        Some(pack.iter().map(|element| String::from_utf8(element.to_vec()).expect("a text")).collect())
    }

    #[test]
    fn fields_and_values_are_read() {
        assert_eq!(texts(b"\x00\xff"), Some(vec![]));
        let two = b"\x02\x01a\x03\x00one\x02bb\x02\x0312___\xff";
        assert_eq!(texts(two), Some(["a", "one", "bb", "12"].map(str::to_owned).to_vec()));
        let long = [&b"\xfe\x01a\xfe\x2c\x01\x00\x00\x00"[..], &[b'x'; 300], b"\xff"].concat();
        assert_eq!(texts(&long), Some(vec!["a".to_owned(), "x".repeat(300)]));
    }

    #[test]
    fn whatever_is_cut_or_off_is_refused() {
        let whole = b"\x02\x01a\x03\x00one\x02bb\x02\x0312___\xff";
        for len in 0..whole.len() {
            assert_eq!(texts(&whole[..len]), None);
        }
        assert_eq!(texts(b"\x01\x01a\x03\x00one\x02bb\x02\x0312___\xff"), None, "the count");
        assert_eq!(texts(b"\x01\x01a\x03\x09one\xff"), None, "what is unused");
        assert_eq!(texts(b"\x01\x01a\xfe\xff\xff\xff\xff\x00one\xff"), None, "a length");
        assert_eq!(texts(b"\x01\x01a\xff\x00one\xff"), None, "the end in place of a length");
    }
}
