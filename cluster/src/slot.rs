//! Hash slots: every key belongs to one of 16384, by CRC16 of the key or of its hash tag.
//!
//! Source: the Redis cluster specification. The CRC is CRC-16/XMODEM (polynomial 0x1021, initial value 0, not
//! reflected). A hash tag is what stands between the first `{` and the first `}` behind it, if that is not empty.

/// How many slots there are.
pub const SLOTS: u16 = 16384;

/// A hash slot, below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of a key.
    #[inline]
    pub fn of(key: &[u8]) -> Self {
        Self(crc16(hash_tag(key)) % SLOTS)
    }

    /// The slot with this number, if there is one.
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS { Some(Self(number)) } else { None }
    }

    /// The slot's number.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Which of `shards` owns a slot: contiguous ranges, as even as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotMap {
    shards: u32,
}

impl SlotMap {
    /// # Panics
    /// When `shards` is 0 or more than [`SLOTS`].
    pub fn new(shards: usize) -> Self {
        assert!(shards > 0 && shards <= SLOTS as usize, "1 to {SLOTS} shards");
        Self { shards: shards as u32 }
    }

    /// The shard (0-based) that owns a slot.
    #[inline]
    pub const fn owner(self, slot: Slot) -> usize {
        (slot.0 as u32 * self.shards / SLOTS as u32) as usize
    }

    /// The slots a shard owns, first and last.
    pub const fn range(self, shard: usize) -> (u16, u16) {
        (self.first(shard as u32), (self.first(shard as u32 + 1) - 1))
    }

    const fn first(self, shard: u32) -> u16 {
        (shard * SLOTS as u32).div_ceil(self.shards) as u16
    }
}

/// The part of a key that decides its slot.
#[inline]
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&b| b == b'{') else { return key };
    let inside = &key[open + 1..];
    match inside.iter().position(|&b| b == b'}') {
        Some(len) if len > 0 => &inside[..len],
        _ => key,
    }
}

/// Four bytes at a time: tables 1 to 3 are table 0 shifted by that many further zero bytes.
#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let high = word[0] ^ (crc >> 8) as u8;
        let low = word[1] ^ crc as u8;
        crc = TABLES[3][high as usize]
            ^ TABLES[2][low as usize]
            ^ TABLES[1][word[2] as usize]
            ^ TABLES[0][word[3] as usize];
    }
    for &byte in rest {
        crc = (crc << 8) ^ TABLES[0][((crc >> 8) as u8 ^ byte) as usize];
    }
    crc
}

static TABLES: [[u16; 256]; 4] = tables();

const fn tables() -> [[u16; 256]; 4] {
    let mut tables = [[0u16; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut level = 1;
    while level < 4 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[level - 1][byte];
            tables[level][byte] = (before << 8) ^ tables[0][(before >> 8) as usize];
            byte += 1;
        }
        level += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn crc16_bitwise(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            })
        })
    }

    #[test]
    fn the_check_value_of_the_specification_holds() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn the_tables_compute_what_the_definition_says_at_every_length() {
        let bytes: Vec<u8> = (0..=255u8).map(|b| b.wrapping_mul(167).wrapping_add(13)).collect();
        for len in 0..bytes.len() {
            assert_eq!(crc16(&bytes[..len]), crc16_bitwise(&bytes[..len]), "length {len}");
        }
    }

    #[test]
    fn hash_tags_follow_the_specification() {
        let cases: [(&[u8], &[u8]); 7] = [
            (b"{user1000}.following", b"user1000"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
            (b"foo}bar{", b"foo}bar{"),
            (b"", b""),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key), tag);
        }
    }

    #[test]
    fn every_slot_has_one_owner_and_ranges_agree_with_owners() {
        for shards in [1, 2, 3, 5, 7, 16, 64, 1000, 16384] {
            let map = SlotMap::new(shards);
            let mut next = 0;
            for shard in 0..shards {
                let (first, last) = map.range(shard);
                assert_eq!(first, next);
                assert!((first..=last).all(|n| Slot::new(n).is_some_and(|slot| map.owner(slot) == shard)));
                next = last + 1;
            }
            assert_eq!(next, SLOTS);
        }
    }
}
