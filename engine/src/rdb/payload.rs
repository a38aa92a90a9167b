//! A value by itself, as DUMP answers it and RESTORE takes it.
//!
//! ```text
//! ┌──────┬───────┬─────────┬───────┐
//! │ type │ value │ version │ CRC64 │   the checksum is that of all before it
//! └──────┴───────┴─────────┴───────┘
//!   u8             u16 LE    u64 LE
//! ```

use super::crc64::Crc64;
use super::{Reader, ValueType};

/// The latest version of which every type is known: that of Redis 7.4.
pub(super) const VERSION_MAX: u16 = 12;

const VERSION_LEN: usize = size_of::<u16>();
const CHECKSUM_LEN: usize = size_of::<u64>();
const FOOTER_LEN: usize = VERSION_LEN + CHECKSUM_LEN;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("the version is not known, or the checksum is wrong")]
    Footer,
    #[error("the type is not known")]
    Type,
}

/// Whether a payload's checksum is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    #[default]
    Checked,
    Ignored,
}

/// Puts the footer behind a type and its value.
pub fn seal(payload: &mut Vec<u8>, value_type: ValueType) {
    payload.extend_from_slice(&value_type.version().to_le_bytes());
    let checksum = Crc64::of(payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
}

/// Looks at the footer. Returns the type, and a reader that stands before the value; strings beyond
/// `string_len_max` will be refused.
pub fn open(
    payload: &[u8],
    checksum: Checksum,
    string_len_max: usize,
) -> Result<(ValueType, Reader<'_>), PayloadError> {
    let body_len = payload.len().checked_sub(FOOTER_LEN).ok_or(PayloadError::Footer)?;
    let (sealed, expected) = payload.split_last_chunk().ok_or(PayloadError::Footer)?;
    let (body, version) = sealed.split_at(body_len);
    let version = version.iter().rev().fold(0, |version, byte| version << 8 | u16::from(*byte));
    let intact = || Crc64::of(sealed) == u64::from_le_bytes(*expected);
    if version > VERSION_MAX || (checksum == Checksum::Checked && !intact()) {
        return Err(PayloadError::Footer);
    }
    let (&number, value) = body.split_first().ok_or(PayloadError::Type)?;
    let value_type = ValueType::from_number(number).ok_or(PayloadError::Type)?;
    Ok((value_type, Reader::new(value, string_len_max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0.15 answers to `SET b 12`, `DUMP b`.
    #[test]
    fn a_footer_is_redis_s() {
        let mut payload = vec![0, 0xC0, 12];
        seal(&mut payload, ValueType::String);
        assert_eq!(&payload[3..5], [10, 0]);
        let checksum = crc_bit_by_bit(&payload[..5]);
        assert_eq!(payload[5..], checksum.to_le_bytes());
        assert!(open(&payload, Checksum::Checked, 100).is_ok());
        for at in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[at] ^= 1;
            assert_eq!(open(&damaged, Checksum::Checked, 100).err(), Some(PayloadError::Footer));
        }
        for len in 0..FOOTER_LEN {
            assert_eq!(open(&payload[..len], Checksum::Ignored, 100).err(), Some(PayloadError::Footer));
        }
    }

    /// CRC-64/Jones, reflected.
    fn crc_bit_by_bit(bytes: &[u8]) -> u64 {
        const POLYNOMIAL: u64 = 0xAD93_D235_94C9_35A9;
        let reflected = POLYNOMIAL.reverse_bits();
        bytes.iter().fold(0, |crc, byte| {
            (0..8).fold(crc ^ u64::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { reflected } else { 0 })
        })
    }
}
