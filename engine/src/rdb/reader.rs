//! Reading the pieces that values are made of, which are drawn in `writer`, from beginning to end.
//!
//! Strings are read in place where they stand as they are, and into a [`Scratch`] where they do not. Nothing that
//! the bytes claim is believed before as many bytes are there.

use super::Error;
use super::ValueType;
use super::lzf;
use super::skim::{self, Head, Pieces};

/// Where a string is put together that cannot be read in place; one serves many strings, one at a time.
pub type Scratch = Vec<u8>;

#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// `proto-max-bulk-len`
    string_len_max: usize,
}

impl Pieces for Reader<'_> {
    type Failure = Error;

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn skip(&mut self, len: u64) -> Result<(), Error> {
        self.bytes(usize::try_from(len).map_err(|_| Error::Truncated)?).map(|_| ())
    }
}

impl<'a> Reader<'a> {
    /// Strings that would come to more than `string_len_max` bytes are refused.
    pub fn new(bytes: &'a [u8], string_len_max: usize) -> Self {
        Self { rest: bytes, string_len_max }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub fn length(&mut self) -> Result<u64, Error> {
        skim::length(self)
    }

    /// A length that is one of things in memory.
    pub fn count(&mut self) -> Result<usize, Error> {
        usize::try_from(self.length()?).map_err(|_| Error::Truncated)
    }

    /// A string, in place or in the scratch.
    pub fn string<'s>(&mut self, scratch: &'s mut Scratch) -> Result<&'s [u8], Error>
    where
        'a: 's,
    {
        match skim::head(self)? {
            Head::Length(len) => {
                let len = self.string_len(len)?;
                self.bytes(len)
            }
            Head::Int(number) => {
                scratch.clear();
                scratch.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                Ok(scratch)
            }
            Head::Compressed => self.compressed(scratch),
        }
    }

    /// The bytes of a value that is written as said, which is not looked at but for where it ends.
    pub fn value(&mut self, value_type: ValueType) -> Result<&'a [u8], Error> {
        let from = self.rest;
        skim::skip_value(self, value_type)?;
        Ok(&from[..from.len() - self.rest.len()])
    }

    /// A double, little-endian; NaN is none.
    pub fn double(&mut self) -> Result<f64, Error> {
        let number = f64::from_le_bytes(self.array()?);
        if number.is_nan() { Err(NAN) } else { Ok(number) }
    }

    /// A double as text behind its length, of which three say the rest.
    pub fn double_text(&mut self) -> Result<f64, Error> {
        const NAN_LEN: u8 = 253;
        const INFINITY_LEN: u8 = 254;
        const NEG_INFINITY_LEN: u8 = 255;
        match self.byte()? {
            NAN_LEN => Err(NAN),
            INFINITY_LEN => Ok(f64::INFINITY),
            NEG_INFINITY_LEN => Ok(f64::NEG_INFINITY),
            len => {
                let text = str::from_utf8(self.bytes(len.into())?).ok();
                let number: Option<f64> = text.and_then(|text| text.parse().ok());
                number.filter(|number| !number.is_nan()).ok_or(Error::Malformed("a score that is no number"))
            }
        }
    }

    /// Unix milliseconds, little-endian.
    pub fn millis(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn u16_le(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32_le(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn compressed<'s>(&mut self, scratch: &'s mut Scratch) -> Result<&'s [u8], Error> {
        let packed_len = self.count()?;
        let len = self.length()?;
        let len = self.string_len(len)?;
        let packed = self.bytes(packed_len)?;
        lzf::decompress(packed, len, scratch)
            .ok_or(Error::Malformed("a string that cannot be decompressed"))?;
        Ok(scratch)
    }

    fn string_len(&self, len: u64) -> Result<usize, Error> {
        let len = usize::try_from(len).ok().filter(|&len| len <= self.string_len_max);
        len.ok_or(Error::Malformed("a string beyond proto-max-bulk-len"))
    }
}

const NAN: Error = Error::Malformed("a score that is not a number");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::writer::{INT8, LENGTH_64};
    use super::super::{Compression, Writer};
    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(bytes, 1 << 20)
    }

    fn string(bytes: &[u8]) -> Result<Vec<u8>, Error> {
        reader(bytes).string(&mut Scratch::new()).map(<[u8]>::to_vec)
    }

    proptest! {
        #[test]
        fn lengths_come_back(len: u64, shift in 0..64u32) {
            let len = len >> shift;
            let mut writer = Writer::new(Vec::new(), Compression::Off);
            writer.length(len);
            let bytes = writer.into_sink();
            let mut reader = reader(&bytes);
            prop_assert_eq!(reader.length(), Ok(len));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn strings_come_back(
            text in prop_oneof![
                any::<i64>().prop_map(|n| n.to_string().into_bytes()),
                any::<i16>().prop_map(|n| n.to_string().into_bytes()),
                prop::collection::vec(any::<u8>(), 0..100),
                prop::collection::vec(b'a'..b'c', 0..20_000),
            ],
            compression in prop::sample::select(vec![Compression::Off, Compression::On]),
        ) {
            let mut writer = Writer::new(Vec::new(), compression);
            writer.string(&text);
            let bytes = writer.into_sink();
            prop_assert_eq!(string(&bytes), Ok(text));
            for end in 0..bytes.len().min(200) {
                prop_assert_eq!(string(&bytes[..end]), Err(Error::Truncated));
            }
        }

        #[test]
        fn integers_are_written_as_their_spelling_is(number: i64, shift in 0..64u32) {
            let number = number >> shift;
            let [mut one, mut other] = [0, 1].map(|_| Writer::new(Vec::new(), Compression::On));
            one.integer(number);
            other.string(number.to_string().as_bytes());
            prop_assert_eq!(one.into_sink(), other.into_sink());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = reader(&bytes).length();
            let _ = reader(&bytes).double_text();
            let _ = string(&bytes);
        }
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert!(reader(&f64::NAN.to_le_bytes()).double().is_err());
        assert!(reader(&[253]).double_text().is_err());
        assert!(reader(b"\x03nan").double_text().is_err());
        assert!(reader(b"\x00").double_text().is_err());
        assert_eq!(reader(b"\x043.25").double_text(), Ok(3.25));
        assert_eq!(reader(&[254]).double_text(), Ok(f64::INFINITY));
        assert_eq!(reader(&[255]).double_text(), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn strings_beyond_the_limit_are_refused() {
        assert_eq!(Reader::new(b"\x03abc", 2).string(&mut Scratch::new()).ok(), None);
        let mut writer = Writer::new(Vec::new(), Compression::On);
        writer.string(&[0; 1000]);
        let bytes = writer.into_sink();
        assert_eq!(Reader::new(&bytes, 999).string(&mut Scratch::new()).ok(), None);
        assert!(Reader::new(&bytes, 1000).string(&mut Scratch::new()).is_ok());
    }

    /// A string may not have a string's length, and bytes that are not there are not waited for in memory.
    #[test]
    fn claims_are_not_believed() {
        assert!(reader(&[INT8, 1]).length().is_err());
        let huge = [LENGTH_64, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert!(string(&huge).is_err());
        assert_eq!(string(b"\x80\x00\x00\x10\x00abc"), Err(Error::Truncated));
        assert!(string(b"\xc3\x02\x80\x00\x0f\xff\xff\x00a").is_err());
    }
}
