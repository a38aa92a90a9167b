//! Keys of a chunk compressed, all together.
//!
//! One block of LZ4 for a chunk rather than each string by itself: it finds what keys and values have in common, and it is
//! the file's writer that does it, not the thread that has the keys. A block is made in memory, and so is what comes of it:
//! a chunk of more than [`PACKED_MAX`], which has one large value, stays as it is.
//!
//! Source: the LZ4 block format; `lz4_flex` without its unsafe parts.

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use super::{CHUNK_BYTES, CHUNK_HEADER_LEN};

/// Of keys that are compressed.
pub(super) const PACKED_MAX: usize = 64 << 20;
/// The keys' length stands before the block.
pub(super) const BLOCK: usize = size_of::<u64>();
/// A block that is shorter by less than this part is not worth the time of reading it.
const GAIN_MIN: usize = 8;
/// No block of LZ4 becomes more than so many times as long: each byte of a match's length stands for 255 at the most.
const GROWTH_MAX: usize = 255;

/// Compresses, into a buffer that is used again.
#[derive(Debug, Default)]
pub struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    /// Makes the bytes of a chunk with these keys, a header left free before them. `None` if that gains too little.
    pub(super) fn pack(&mut self, keys: &[u8]) -> Option<&mut [u8]> {
        if keys.len() > PACKED_MAX {
            return None;
        }
        let block_at = CHUNK_HEADER_LEN + BLOCK;
        let room = block_at + get_maximum_output_size(keys.len());
        if self.bytes.len() < room || self.bytes.len() > 2 * room.max(CHUNK_BYTES) {
            self.bytes = vec![0; room];
        }
        let len = compress_into(keys, &mut self.bytes[block_at..]).ok()?;
        if len > keys.len() - keys.len() / GAIN_MIN {
            return None;
        }
        self.bytes[CHUNK_HEADER_LEN..block_at].copy_from_slice(&(keys.len() as u64).to_le_bytes());
        Some(&mut self.bytes[..block_at + len])
    }
}

/// The keys of a packed chunk.
pub(super) fn unpack(payload: &[u8]) -> Option<Vec<u8>> {
    let (len, block) = payload.split_first_chunk::<BLOCK>()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    if len > PACKED_MAX.min(block.len().saturating_mul(GROWTH_MAX)) {
        return None;
    }
    let mut keys = vec![0; len];
    let unpacked = decompress_into(block, &mut keys).ok()?;
    (unpacked == len).then_some(keys)
}
