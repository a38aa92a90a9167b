//! Key hashes: what a shard's table knows about a key without looking at it.
//!
//! One 64-bit keyed hash serves three uses, and no bit serves two of them:
//!
//! ```text
//!  63                36 35                       15 14            0
//! ┌────────────────────┬───────────────────────────┬───────────────┐
//! │ directory prefix   │ compared on nothing       │ tag           │
//! └────────────────────┴───────────────────────────┴───────────────┘
//!   up to 28 bits, top bit first                     15 bits, kept in the entry's pointer
//! ```
//!
//! Inside a segment everything is derived from the tag: the bucket and the control byte of the swiss table
//! come from it, so growing or merging a segment reads no key.
//!
//! The hash is foldhash's quality variant under a seed of the shard's own. Of the keyed hashes it is among the
//! cheapest for short keys (about 2 ns for 16 bytes), every secret it uses comes from that seed, and without
//! the seed no colliding keys can be prepared; it is not a cryptographic hash, and nothing here prints it.

use std::fmt;
use std::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// Bits of the hash that an entry carries in its pointer.
pub(crate) const TAG_BITS: u32 = 15;
/// One past the largest tag.
pub(crate) const TAG_END: u32 = 1 << TAG_BITS;

/// The keyed hash of one keyspace.
#[derive(Clone)]
pub(crate) struct KeyHasher {
    seed: u64,
    shared: SharedSeed,
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> Self {
        // The per-hasher seed must not be guessable from the shared one.
        Self { seed: seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15, shared: SharedSeed::from_u64(seed) }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(key);
        KeyHash(hasher.finish())
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

/// The hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// A hash that begins with the `depth` bits of a prefix.
    pub(crate) fn of_prefix(prefix: usize, depth: u8) -> Self {
        Self(((prefix as u64) << (63 - depth)) << 1)
    }

    /// The low 15 bits.
    #[inline]
    pub(crate) fn tag(self) -> u16 {
        (self.0 & u64::from(TAG_END - 1)) as u16
    }

    /// What the swiss table of a segment is given.
    #[inline]
    pub(crate) fn bucket(self) -> u64 {
        bucket_hash(self.tag())
    }

    /// The top `depth` bits.
    #[inline]
    pub(crate) fn prefix(self, depth: u8) -> usize {
        ((self.0 >> 1) >> (63 - depth)) as usize
    }
}

/// The hash handed to the swiss table for a tag: it takes the bucket from the low bits (11 at the most) and
/// the control byte from the top 7.
///
/// The control byte is the 4 tag bits that the bucket does not see, and the 3 lowest: entries that share a
/// group of 16 slots come from neighbouring buckets, which differ in just those.
#[inline]
pub(crate) fn bucket_hash(tag: u16) -> u64 {
    let control = (u64::from(tag) >> 11) << 3 | (u64::from(tag) & 7);
    control << 57 | u64::from(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_takes_bits_from_the_top() {
        let hash = KeyHash(0b101 << 61 | 7);
        assert_eq!(hash.prefix(0), 0);
        assert_eq!(hash.prefix(1), 1);
        assert_eq!(hash.prefix(3), 0b101);
        assert_eq!(hash.tag(), 7);
        assert_eq!(KeyHash::of_prefix(0b101, 3).prefix(3), 0b101);
        assert_eq!(KeyHash::of_prefix(0, 0), KeyHash(0));
    }

    #[test]
    fn seeds_give_different_hashes() {
        let (a, b) = (KeyHasher::new(1), KeyHasher::new(2));
        assert_ne!(a.hash(b"key"), b.hash(b"key"));
        assert_eq!(a.hash(b"key"), KeyHasher::new(1).hash(b"key"));
    }

    #[test]
    fn control_bytes_differ_within_a_group() {
        let controls: std::collections::HashSet<u64> = (0..8).map(|tag| bucket_hash(tag) >> 57).collect();
        assert_eq!(controls.len(), 8);
    }
}
