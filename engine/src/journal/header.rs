//! What every file begins with, whatever its kind and version.
//!
//! ```text
//! ┌───────┬─────────┬────────────┬─ ─ ─ ─┬────────┐
//! │ magic │ version │ header len │ facts │ CRC32C │   the checksum is that of all before it
//! └───────┴─────────┴────────────┴─ ─ ─ ─┴────────┘
//!   8       u32 LE    u32 LE               u32 LE
//! ```
//!
//! Because every version keeps to this, a flipped bit in the version is told from a version to come.

use std::io;

use super::DiskFile;
use super::fixed::u32_at;

/// What is written; it and all before it are read.
pub const FORMAT_VERSION: u32 = 2;
/// The first there was.
pub(super) const OLDEST_VERSION: u32 = 1;

const VERSION: usize = 8;
const LEN: usize = VERSION + 4;
const FACTS: usize = LEN + 4;
const CHECKSUM_LEN: usize = 4;
/// No version's header is longer.
const LEN_MAX: usize = 4096;

pub(super) type Magic = [u8; VERSION];

/// Bytes of a header with facts of so many.
pub(super) const fn len_with(facts_len: usize) -> usize {
    FACTS + facts_len + CHECKSUM_LEN
}

/// Why a file's header is none.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it does not begin as such a file does")]
    Magic,
    #[error("the header is damaged")]
    Damaged,
    #[error(
        "it is of format version {0}, written by a later Bobbin; this one reads versions up to {FORMAT_VERSION}"
    )]
    Newer(u32),
}

pub(super) fn seal(magic: Magic, facts: &[u8]) -> Vec<u8> {
    seal_as(FORMAT_VERSION, magic, facts)
}

fn seal_as(version: u32, magic: Magic, facts: &[u8]) -> Vec<u8> {
    let len = len_with(facts.len()) as u32;
    let mut bytes = [&magic[..], &version.to_le_bytes(), &len.to_le_bytes(), facts].concat();
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Reads the header of a file; returns the facts, which are as many as that version has.
pub(super) fn read(file: &impl DiskFile, magic: Magic, facts_len: usize) -> Result<Vec<u8>, HeaderError> {
    let mut bytes = vec![0; LEN_MAX];
    let read = file.read_full_at(&mut bytes, 0)?;
    bytes.truncate(read);
    open(&bytes, magic, facts_len).map(<[u8]>::to_vec)
}

/// The facts of a header with which these bytes begin.
fn open(bytes: &[u8], magic: Magic, facts_len: usize) -> Result<&[u8], HeaderError> {
    if !bytes.starts_with(&magic) {
        return Err(HeaderError::Magic);
    }
    if bytes.len() < len_with(0) {
        return Err(HeaderError::Damaged);
    }
    let (version, len) = (u32_at(bytes, VERSION), u32_at(bytes, LEN) as usize);
    let header = bytes.get(..len).filter(|header| header.len() >= len_with(0));
    let (sealed, checksum) =
        header.and_then(|header| header.split_last_chunk()).ok_or(HeaderError::Damaged)?;
    if crc32c::crc32c(sealed) != u32::from_le_bytes(*checksum) {
        return Err(HeaderError::Damaged);
    }
    match version {
        OLDEST_VERSION..=FORMAT_VERSION if sealed.len() == FACTS + facts_len => Ok(&sealed[FACTS..]),
        0..=FORMAT_VERSION => Err(HeaderError::Damaged),
        newer => Err(HeaderError::Newer(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: Magic = *b"Bobbin-T";

    #[test]
    fn facts_come_back_and_damage_is_noticed() {
        let header = seal(MAGIC, b"facts");
        assert_eq!(header.len(), len_with(5));
        let longer = [&header[..], b"more"].concat();
        assert!(matches!(open(&longer, MAGIC, 5), Ok(b"facts")));
        for len in 0..header.len() {
            assert!(open(&header[..len], MAGIC, 5).is_err());
        }
        for at in 0..header.len() {
            for bit in 0..8 {
                let mut damaged = longer.clone();
                damaged[at] ^= 1 << bit;
                let error = open(&damaged, MAGIC, 5);
                assert!(matches!(error, Err(HeaderError::Damaged | HeaderError::Magic)), "bit {bit} of {at}");
            }
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let header = seal_as(7, MAGIC, b"to");
        assert!(matches!(open(&header, MAGIC, 5), Err(HeaderError::Newer(7))));
    }

    #[test]
    fn an_earlier_version_is_read() {
        for version in 1..=FORMAT_VERSION {
            assert!(matches!(open(&seal_as(version, MAGIC, b"facts"), MAGIC, 5), Ok(b"facts")));
        }
        assert!(matches!(open(&seal_as(0, MAGIC, b"facts"), MAGIC, 5), Err(HeaderError::Damaged)));
    }
}
