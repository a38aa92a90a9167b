//! A map from prefixes to values, asked for the longest that a key begins with.
//!
//! One hash table for prefixes of every length. A key is hashed once, a word at a time; for every length that some
//! prefix has, the hash so far is finished and looked up. That is O(length of the key), however many prefixes there
//! are, and no more look-ups than there are different lengths.
//!
//! ```text
//! slots    [tag, entry] [tag, entry] …    half of them empty; probed one after the other
//! entries  [start, len, value] …
//! bytes    all prefixes, one behind the other
//! ```
//!
//! Made once, then only read. The hash has no secret: whoever chooses keys can make tags agree, and wins one comparison
//! for each length by it; how long the probing is, only the prefixes decide.

/// See the module.
#[derive(Clone, Debug)]
pub struct PrefixMap<V> {
    /// The lengths that there are, shortest first.
    lengths: Box<[usize]>,
    slots: Box<[Slot]>,
    entries: Box<[Entry<V>]>,
    bytes: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the hash.
    tag: u32,
    entry: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    start: u32,
    len: u32,
    value: V,
}

const NONE: u32 = u32::MAX;
const EMPTY: Slot = Slot { tag: 0, entry: NONE };

impl<V> PrefixMap<V> {
    /// Of prefixes that are all different.
    ///
    /// # Panics
    /// When they have 4 GiB or more together.
    pub fn new<'p>(prefixes: impl IntoIterator<Item = (&'p [u8], V)>) -> Self {
        let (mut entries, mut bytes, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for (prefix, value) in prefixes {
            entries.push(Entry { start: bytes.len() as u32, len: prefix.len() as u32, value });
            bytes.extend_from_slice(prefix);
            lengths.push(prefix.len());
        }
        assert!(u32::try_from(bytes.len()).is_ok(), "prefixes have less than 4 GiB");
        lengths.sort_unstable();
        lengths.dedup();
        let mut map = Self {
            lengths: lengths.into(),
            slots: vec![EMPTY; (entries.len() * 2).next_power_of_two()].into(),
            entries: entries.into(),
            bytes: bytes.into(),
        };
        map.fill_slots();
        map
    }

    fn fill_slots(&mut self) {
        for (index, entry) in self.entries.iter().enumerate() {
            let prefix = prefix_of(&self.bytes, entry);
            let hash = Hasher::new(prefix).hash(prefix.len());
            let mut at = hash as usize & (self.slots.len() - 1);
            while self.slots[at].entry != NONE {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = Slot { tag: tag(hash), entry: index as u32 };
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of the longest prefix of `key`.
    #[inline]
    pub fn longest(&self, key: &[u8]) -> Option<&V> {
        let mut hasher = Hasher::new(key);
        let mut longest = None;
        for &len in &self.lengths {
            if len > key.len() {
                break;
            }
            let found = self.probe(hasher.hash(len), &key[..len]);
            longest = found.or(longest);
        }
        longest
    }

    #[inline]
    fn probe(&self, hash: u64, prefix: &[u8]) -> Option<&V> {
        let mut at = hash as usize & (self.slots.len() - 1);
        loop {
            let slot = self.slots[at];
            if slot.entry == NONE {
                return None;
            }
            if slot.tag == tag(hash) {
                let entry = &self.entries[slot.entry as usize];
                if prefix_of(&self.bytes, entry) == prefix {
                    return Some(&entry.value);
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

#[inline]
fn prefix_of<'b, V>(bytes: &'b [u8], entry: &Entry<V>) -> &'b [u8] {
    &bytes[entry.start as usize..][..entry.len as usize]
}

#[inline]
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Hashes of the beginnings of a key, shorter ones first: whole words are taken in once for all of them.
struct Hasher<'k> {
    key: &'k [u8],
    state: u64,
    /// Bytes taken in.
    taken: usize,
}

impl<'k> Hasher<'k> {
    #[inline]
    const fn new(key: &'k [u8]) -> Self {
        Self { key, state: 0x9E37_79B9_7F4A_7C15, taken: 0 }
    }

    /// Of the first `len` bytes, which are no fewer than last time.
    #[inline]
    fn hash(&mut self, len: usize) -> u64 {
        while len - self.taken >= 8 {
            self.state = fold(self.state ^ self.word());
            self.taken += 8;
        }
        let bits = (len - self.taken) * 8;
        let rest = self.word() & !(u64::MAX << bits);
        fold(self.state ^ rest ^ (len as u64).rotate_right(8))
    }

    /// The next eight bytes; zeros behind the key's end.
    #[inline]
    fn word(&self) -> u64 {
        let rest = &self.key[self.taken..];
        match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        }
    }
}

/// Both halves of a product depend on all bits: the step of wyhash.
#[inline]
const fn fold(word: u64) -> u64 {
    let product = word as u128 * 0xA076_1D64_78BD_642F;
    (product as u64) ^ (product >> 64) as u64 ^ 0xE703_7ED1_A0B4_28DB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wins_whatever_is_nested() {
        let prefixes: Vec<String> = (1..=40).map(|len| "x".repeat(len)).collect();
        let map = PrefixMap::new(prefixes.iter().step_by(3).map(|prefix| (prefix.as_bytes(), prefix.len())));
        for len in 1..60 {
            let key = "x".repeat(len);
            let expected = (1..=len.min(40)).step_by(3).last();
            assert_eq!(map.longest(key.as_bytes()).copied(), expected, "{len}");
            assert_eq!(map.longest(format!("{key}y").as_bytes()).copied(), expected, "{len}");
            assert_eq!(map.longest(format!("y{key}").as_bytes()), None);
        }
    }

    #[test]
    fn an_empty_map_and_an_empty_key_find_nothing() {
        assert!(PrefixMap::<u8>::new([]).is_empty());
        assert_eq!(PrefixMap::<u8>::new([]).longest(b"key"), None);
        assert_eq!(PrefixMap::new([(&b"k"[..], 1)]).longest(b""), None);
    }

    #[test]
    fn beginnings_that_differ_in_any_byte_or_in_length_have_different_hashes() {
        let mut seen = std::collections::HashSet::new();
        for len in 0..40 {
            let key = vec![0; len];
            assert!(seen.insert(Hasher::new(&key).hash(len)), "{len} zeros");
            for at in 0..len {
                for value in [1, 0x80, 0xFF] {
                    let mut key = key.clone();
                    key[at] = value;
                    assert!(seen.insert(Hasher::new(&key).hash(len)), "{value} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn what_is_behind_a_beginning_does_not_matter_to_its_hash() {
        let key: Vec<u8> = (0..40).collect();
        let mut hasher = Hasher::new(&key);
        for len in 0..=key.len() {
            assert_eq!(hasher.hash(len), Hasher::new(&key[..len]).hash(len), "{len}");
        }
    }
}
