//! LZF, the compression of strings in RDB.
//!
//! ```text
//!  000lllll                     l + 1 bytes follow that stand for themselves
//!  lllddddd dddddddd            l + 2 bytes again that came d + 1 bytes ago; l from 1 to 6
//!  111ddddd llllllll dddddddd   l + 9 bytes again that came d + 1 bytes ago
//! ```
//!
//! Distances have their most significant bits first. A match may reach into what it is itself producing.
//!
//! Compressed bytes differ from Redis's in which matches are found; either reads the other's. Nothing is allocated
//! beyond what the compressed bytes produce.
//!
//! Source: the format, as documented with Marc Lehmann's liblzf.

const LITERALS_MAX: usize = 1 << 5;
const DISTANCE_MAX: usize = 1 << 13;
const MATCH_MIN: usize = 3;
/// A match this long or longer has a byte of its own for its length.
const LONG_MATCH: usize = 9;
const MATCH_MAX: usize = LONG_MATCH + u8::MAX as usize;
/// The lengths in the first byte of a match that stand for a long one.
const LONG: u8 = 7;

/// The most that a byte of compressed input stands for, rounded up.
pub(super) const EXPANSION_MAX: usize = MATCH_MAX / 3;

/// Bits of the hash of three bytes: 4 bytes each, so that the table stays in the processor's second cache.
const TABLE_BITS_MAX: u32 = 14;
const TABLE_BITS_MIN: u32 = 6;

/// Compresses; keeps its table from one string to the next.
#[derive(Debug, Default)]
pub(super) struct Compressor {
    /// Where three bytes were last met, by their hash, plus one; 0 is nowhere.
    table: Vec<u32>,
    out: Vec<u8>,
}

impl Compressor {
    /// The compressed bytes, if there are at most `len_max`.
    pub(super) fn compress(&mut self, input: &[u8], len_max: usize) -> Option<&[u8]> {
        if u32::try_from(input.len()).is_err() {
            return None;
        }
        let shift = self.clear(input.len());
        let (mut at, mut literals) = (0, 0);
        while let Some(bytes) = input.get(at..at + MATCH_MIN) {
            let place = &mut self.table[(hash(bytes) >> shift) as usize];
            let candidate = std::mem::replace(place, at as u32 + 1).checked_sub(1);
            let Some(start) = candidate
                .map(|start| start as usize)
                .filter(|&start| at - start <= DISTANCE_MAX && input[start..start + MATCH_MIN] == *bytes)
            else {
                at += 1;
                continue;
            };
            let len = match_len(input, start, at);
            self.put_literals(&input[literals..at]);
            self.put_match(at - start, len);
            at += len;
            literals = at;
            if self.out.len() > len_max {
                return None;
            }
        }
        self.put_literals(&input[literals..]);
        (self.out.len() <= len_max).then_some(&self.out)
    }

    /// Readies a table that fits the input. Returns how far a hash is shifted to be an index into it.
    fn clear(&mut self, len: usize) -> u32 {
        let bits = (usize::BITS - len.leading_zeros()).clamp(TABLE_BITS_MIN, TABLE_BITS_MAX);
        self.table.clear();
        self.table.resize(1 << bits, 0);
        self.out.clear();
        u32::BITS - bits
    }

    fn put_literals(&mut self, bytes: &[u8]) {
        for run in bytes.chunks(LITERALS_MAX) {
            self.out.push(run.len() as u8 - 1);
            self.out.extend_from_slice(run);
        }
    }

    fn put_match(&mut self, distance: usize, len: usize) {
        let [high, low] = (distance as u16 - 1).to_be_bytes();
        if len < LONG_MATCH {
            self.out.extend([(len as u8 - 2) << 5 | high, low]);
        } else {
            self.out.extend([LONG << 5 | high, (len - LONG_MATCH) as u8, low]);
        }
    }
}

/// Of three bytes; the upper bits are the good ones.
fn hash(bytes: &[u8]) -> u32 {
    let number = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
    number.wrapping_mul(0x9E37_79B1)
}

/// How many bytes from `at` on are those from `start` on.
fn match_len(input: &[u8], start: usize, at: usize) -> usize {
    let ahead = input[at..].iter().take(MATCH_MAX);
    ahead.zip(&input[start..]).take_while(|(byte, earlier)| byte == earlier).count()
}

/// Puts what `input` stands for, exactly `len` bytes, in place of what is in `out`. `None` if it stands for none or
/// for more or fewer.
pub(super) fn decompress(mut input: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    if len > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    out.reserve_exact(len);
    while let Some((&first, rest)) = input.split_first() {
        input = if usize::from(first) < LITERALS_MAX {
            let (run, rest) = rest.split_at_checked(usize::from(first) + 1)?;
            out.extend_from_slice(run);
            rest
        } else {
            copy_match(first, rest, out)?
        };
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(())
}

/// Returns what is behind the match.
fn copy_match<'a>(first: u8, rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (len, rest) = match first >> 5 {
        LONG => rest.split_first().map(|(&more, rest)| (usize::from(more) + LONG_MATCH, rest))?,
        short => (usize::from(short) + 2, rest),
    };
    let (&low, rest) = rest.split_first()?;
    let distance = usize::from(u16::from_be_bytes([first & 0x1F, low])) + 1;
    let start = out.len().checked_sub(distance)?;
    let mut left = len;
    while left > 0 {
        // What is there already: all of it, unless the match reaches into itself.
        let run = left.min(out.len() - start);
        out.extend_from_within(start..start + run);
        left -= run;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decompressed(input: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decompress(input, len, &mut out).map(|()| out)
    }

    /// What compresses, and what does not.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let words = prop::collection::vec("[a-c]{1,4}", 1..4);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(b'a'..b'c', 0..3000),
            (words, 0..2000usize).prop_map(|(words, times)| words.concat().repeat(times).into_bytes()),
            (any::<u8>(), 0..20_000usize).prop_map(|(byte, times)| vec![byte; times]),
        ]
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(text in texts()) {
            let mut compressor = Compressor::default();
            let packed = compressor.compress(&text, usize::MAX).expect("there is no limit").to_vec();
            prop_assert_eq!(decompressed(&packed, text.len()), Some(text.clone()));
            prop_assert_eq!(compressor.compress(&text, packed.len()), Some(&packed[..]));
            if !packed.is_empty() {
                prop_assert_eq!(compressor.compress(&text, packed.len() - 1), None);
            }
            prop_assert_eq!(decompressed(&packed, text.len() + 1), None);
            if !text.is_empty() {
                prop_assert_eq!(decompressed(&packed, text.len() - 1), None);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_decompressed(bytes in prop::collection::vec(any::<u8>(), 0..60), len in 0..2000usize) {
            if let Some(text) = decompressed(&bytes, len) {
                prop_assert_eq!(text.len(), len);
            }
        }
    }

    #[test]
    fn what_repeats_gets_short() {
        let mut compressor = Compressor::default();
        let text = b"a key and its value; ".repeat(100);
        let packed = compressor.compress(&text, text.len()).expect("it compresses");
        assert!(packed.len() < text.len() / 30, "{}", packed.len());
        let zeroes = vec![0; 1 << 20];
        let packed = compressor.compress(&zeroes, zeroes.len()).expect("it compresses");
        assert!(packed.len() < zeroes.len() / 80, "{}", packed.len());
    }

    /// A few bytes may not claim gigabytes.
    #[test]
    fn a_claim_beyond_what_the_input_can_stand_for_allocates_nothing() {
        let mut out = Vec::new();
        assert_eq!(decompress(&[0, b'a'], usize::MAX, &mut out), None);
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn redis_s_bytes_are_read() {
        // Of `SET a abcabc…` and `DUMP a`: a match that reaches into itself.
        assert_eq!(decompressed(b"\x03abca\xe0\x0f\x02\x01bc", 30), Some(b"abc".repeat(10)));
        assert_eq!(decompressed(b"\x01aa\xe0\x0a\x00", 21), Some(vec![b'a'; 21]));
    }

    #[test]
    fn matches_of_what_is_not_there_are_refused() {
        assert_eq!(decompressed(b"\x20\x00", 3), None, "nothing came before");
        assert_eq!(decompressed(b"\x00a\x20\x01", 4), None, "not so far back");
        assert_eq!(decompressed(b"\x05ab", 6), None, "cut in a run");
        assert_eq!(decompressed(b"\x00a\xe0\x00", 10), None, "cut in a match");
    }
}
