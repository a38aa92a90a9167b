//! Values derived from their key, so that any reply to a GET can be checked without remembering it.
//!
//! A value is cut into strides of 256 bytes. Each begins with a stamp, 16 letters that depend on the key
//! and on a generation; the rest is filler. A value of another key, of an older generation, cut short or
//! stitched together at a stride does not match; two values mixed within one stride would go unseen.
//!
//! ```text
//!   0              16                        256             272
//!   ├─ stamp ───────┼─ filler "xxxx…" ────────┼─ stamp ───────┼─ …
//! ```
//!
//! Stamps are letters, so no server stores them as integers.

pub const STRIDE: usize = 256;
pub const STAMP_LEN: usize = 16;
const FILLER: u8 = b'x';

/// A value's bytes before any stamp.
pub fn blank(size: usize) -> Vec<u8> {
    vec![FILLER; size]
}

/// Stamps `value`, which starts as [`blank`] or as another key's value.
pub fn write(value: &mut [u8], key: u64, generation: u8) {
    let stamp = stamp(key, generation);
    for stride in value.chunks_mut(STRIDE) {
        let len = stride.len().min(STAMP_LEN);
        stride[..len].copy_from_slice(&stamp[..len]);
    }
}

/// Whether `value` is exactly what [`write`] makes of `size` bytes.
pub fn matches(value: &[u8], size: usize, key: u64, generation: u8) -> bool {
    let stamp = stamp(key, generation);
    value.len() == size
        && value.chunks(STRIDE).all(|stride| {
            let (head, tail) = stride.split_at(stride.len().min(STAMP_LEN));
            *head == stamp[..head.len()] && tail.iter().all(|byte| *byte == FILLER)
        })
}

fn stamp(key: u64, generation: u8) -> [u8; STAMP_LEN] {
    let mixed = finalize(key ^ (u64::from(generation) << 56));
    std::array::from_fn(|i| b'a' + (mixed >> (4 * i) & 0xf) as u8)
}

/// The finalizer of splitmix64: every key bit reaches every letter.
fn finalize(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(size: usize, key: u64, generation: u8) -> Vec<u8> {
        let mut value = blank(size);
        write(&mut value, key, generation);
        value
    }

    #[test]
    fn a_value_matches_its_own_key_and_generation_only() {
        for size in [1, 15, 16, 17, 255, 256, 257, 4096] {
            let value = value(size, 42, 1);
            assert!(matches(&value, size, 42, 1), "size {size}");
            assert!(!matches(&value, size + 1, 42, 1));
            if size >= STAMP_LEN {
                assert!(!matches(&value, size, 43, 1));
                assert!(!matches(&value, size, 42, 0));
            }
        }
    }

    #[test]
    fn a_value_stitched_from_two_keys_does_not_match() {
        let mut stitched = value(1024, 1, 0);
        stitched[512..].copy_from_slice(&value(1024, 2, 0)[512..]);
        assert!(!matches(&stitched, 1024, 1, 0));
        assert!(!matches(&stitched, 1024, 2, 0));
    }

    #[test]
    fn damaged_filler_does_not_match() {
        let mut damaged = value(300, 7, 0);
        damaged[299] = b'y';
        assert!(!matches(&damaged, 300, 7, 0));
    }

    #[test]
    fn rewriting_leaves_nothing_of_the_former_key() {
        let mut reused = value(700, 1, 0);
        write(&mut reused, 2, 0);
        assert_eq!(reused, value(700, 2, 0));
    }
}
