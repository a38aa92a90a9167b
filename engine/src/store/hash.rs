//! Hashes: packed while small, a table from the thresholds on.
//!
//! Owns the choice of encoding.
//!
//! Invariant: packed exactly while no field was set beyond the thresholds that held then. A table stays one.

use super::encoding::hash_packed::HashPacked;
use super::encoding::hash_table::HashTable;
use super::encoding::listpack::{Element, Listpack};
use super::object::{Collection, Object};
use super::size_class::size_class;

#[derive(Clone, Debug)]
pub enum Hash {
    Packed(HashPacked),
    Table(Box<HashTable>),
}

/// How long a hash stays packed, and what a table's hash function begins with.
#[derive(Clone, Copy, Debug)]
pub struct HashLimits {
    /// `hash-max-listpack-entries`
    pub packed_len_max: usize,
    /// `hash-max-listpack-value`, which holds for fields and values
    pub packed_text_len_max: usize,
    /// Must not be known to clients.
    pub seed: u64,
}

impl HashLimits {
    #[inline]
    fn admit(&self, field: &[u8], value: &[u8]) -> bool {
        field.len().max(value.len()) <= self.packed_text_len_max
    }
}

impl Hash {
    /// An empty one with room for these. An empty hash must not stay in the keyspace.
    pub fn with_room_for<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, limits: &HashLimits) -> Self {
        Self::Packed(HashPacked::with_room_for(pairs.take_while(|(field, value)| limits.admit(field, value))))
    }

    /// A hash of fields and values in turn, of which there must be as many. `None` if a field is there twice.
    pub fn from_listpack(pairs: Listpack, limits: &HashLimits) -> Option<Self> {
        if !pairs.are_distinct(2) {
            return None;
        }
        let packed = Self::Packed(HashPacked::from_pairs(pairs));
        let long = |text: Element<'_>| text.text_len() > limits.packed_text_len_max;
        let fits = packed.len() <= limits.packed_len_max
            && !packed.iter().any(|(field, value)| long(field) || long(value));
        Some(if fits { packed } else { Self::Table(Box::new(packed.to_table(limits.seed))) })
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len(),
            Self::Table(table) => table.len(),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Redis's name, as OBJECT ENCODING answers it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Table(_) => "hashtable",
        }
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.memory(),
            Self::Table(table) => size_class(size_of::<HashTable>()) + table.memory(),
        }
    }

    /// The listpack of a packed hash: fields and values in turn.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match self {
            Self::Packed(packed) => Some(packed.as_listpack()),
            Self::Table(_) => None,
        }
    }

    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        match self {
            Self::Packed(packed) => packed.get(field),
            Self::Table(table) => table.get(field).map(Element::Str),
        }
    }

    /// Gives a field a value. Returns whether the field is new.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &HashLimits) -> bool {
        match self {
            Self::Table(table) => table.set(field, value),
            Self::Packed(packed) => {
                if !limits.admit(field, value) || !packed.has_room_for(field.len() + value.len()) {
                    return self.become_table(limits.seed).set(field, value);
                }
                let is_new = packed.set(field, value);
                if packed.len() > limits.packed_len_max {
                    self.become_table(limits.seed);
                }
                is_new
            }
        }
    }

    /// Returns whether the field was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Self::Packed(packed) => packed.remove(field),
            Self::Table(table) => table.remove(field),
        }
    }

    /// The field with a number below [`Self::len`], and its value. A packed hash is walked to there.
    pub fn nth(&self, number: usize) -> Option<(Element<'_>, Element<'_>)> {
        match self {
            Self::Packed(packed) => packed.nth(number),
            Self::Table(table) => Some(of_texts(table.nth(number))),
        }
    }

    /// All fields with their values, a packed hash's as they came.
    pub fn iter(&self) -> impl Iterator<Item = (Element<'_>, Element<'_>)> + Clone {
        let (packed, table) = match self {
            Self::Packed(packed) => (Some(packed.iter()), None),
            Self::Table(table) => (None, Some(table.iter().map(of_texts))),
        };
        packed.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// Visits about `count` fields from a cursor on, a packed hash's all at once. Returns the cursor to go on from;
    /// 0 if all were visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Element<'_>, Element<'_>)) -> u64 {
        match self {
            Self::Packed(packed) => {
                packed.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            Self::Table(table) => table.scan(cursor, count, |field, value| {
                visit(Element::Str(field), Element::Str(value));
            }),
        }
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        match self {
            Self::Packed(_) => budget,
            Self::Table(table) => table.free_step(budget),
        }
    }

    fn to_table(&self, seed: u64) -> HashTable {
        let mut table = HashTable::new(seed);
        let (mut name_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in self.iter() {
            table.set(field.text(&mut name_digits), value.text(&mut value_digits));
        }
        table
    }

    #[cold]
    fn become_table(&mut self, seed: u64) -> &mut HashTable {
        *self = Self::Table(Box::new(self.to_table(seed)));
        match self {
            Self::Table(table) => table,
            Self::Packed(_) => unreachable!("it has just become a table"),
        }
    }
}

fn of_texts<'a>((field, value): (&'a [u8], &'a [u8])) -> (Element<'a>, Element<'a>) {
    (Element::Str(field), Element::Str(value))
}

impl Collection for Hash {
    #[inline]
    fn of(object: &Object) -> Option<&Self> {
        if let Object::Hash(hash) = object { Some(hash) } else { None }
    }

    #[inline]
    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Hash(hash) = object { Some(hash) } else { None }
    }
}

impl From<Hash> for Object {
    fn from(hash: Hash) -> Self {
        Self::Hash(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: HashLimits = HashLimits { packed_len_max: 8, packed_text_len_max: 30, seed: 5 };
    const ALWAYS_TABLE: HashLimits = HashLimits { packed_len_max: 0, ..LIMITS };
    const ALWAYS_PACKED: HashLimits =
        HashLimits { packed_len_max: 1000, packed_text_len_max: 1000, ..LIMITS };

    fn new() -> Hash {
        Hash::with_room_for(std::iter::empty(), &LIMITS)
    }

    fn contents(hash: &Hash) -> HashMap<Vec<u8>, Vec<u8>> {
        hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (-20..20i64).prop_map(|n| n.to_string().into_bytes()),
            prop::collection::vec(b'a'..b'c', 0..4),
            prop::collection::vec(any::<u8>(), 20..40),
        ]
    }

    fn steps() -> impl Strategy<Value = Vec<(Vec<u8>, Option<Vec<u8>>)>> {
        prop::collection::vec((texts(), prop::option::weighted(0.7, texts())), 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_hash_is_a_map(
            steps in steps(),
            limits in prop::sample::select(vec![LIMITS, ALWAYS_TABLE, ALWAYS_PACKED]),
        ) {
            let (mut hash, mut model) = (new(), HashMap::new());
            for (field, value) in steps {
                if let Some(value) = value {
                    let is_new = hash.set(&field, &value, &limits);
                    prop_assert_eq!(is_new, model.insert(field.clone(), value).is_none());
                } else {
                    prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                }
                prop_assert_eq!(hash.get(&field).map(Element::to_vec), model.get(&field).cloned());
                prop_assert_eq!(hash.len(), model.len());
            }
            prop_assert_eq!(contents(&hash), model.clone());
            let numbered = (0..hash.len()).filter_map(|number| hash.nth(number));
            let numbered: HashMap<_, _> = numbered.map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(numbered, model.clone());
            let (mut scanned, mut cursor) = (HashMap::new(), 0);
            loop {
                cursor = hash.scan(cursor, 3, |field, value| _ = scanned.insert(field.to_vec(), value.to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(scanned, model);
            if let Some(pairs) = hash.as_listpack() {
                let again = Hash::from_listpack(pairs.clone(), &limits).expect("no field is there twice");
                prop_assert_eq!(contents(&again), contents(&hash));
            }
        }
    }

    #[test]
    fn it_is_packed_up_to_the_limits() {
        let mut hash = new();
        for n in 0..8 {
            hash.set(&[n], b"v", &LIMITS);
        }
        hash.set(&[7], &[0; 30], &LIMITS);
        assert_eq!(hash.encoding(), "listpack");
        hash.set(&[8], b"v", &LIMITS);
        assert_eq!(hash.encoding(), "hashtable");
        assert_eq!(hash.len(), 9);
        for (field, value) in [(&[0; 31][..], &b"v"[..]), (b"f", &[0; 31])] {
            let mut hash = new();
            hash.set(field, value, &LIMITS);
            assert_eq!(hash.encoding(), "hashtable");
        }
    }

    #[test]
    fn a_field_twice_is_no_hash() {
        let mut pairs = Listpack::new();
        for text in ["12", "a", "x", "b", "12", "c"] {
            pairs.push_back(text.as_bytes());
        }
        assert!(Hash::from_listpack(pairs, &LIMITS).is_none());
    }

    #[test]
    fn a_small_field_of_a_table_takes_no_more_than_58_bytes() {
        let mut hash = new();
        (0..200_000).for_each(|n| _ = hash.set(format!("field:{n:08}").as_bytes(), b"a value", &LIMITS));
        let each = hash.memory() / hash.len();
        assert!(each <= 58, "{each}");
    }

    #[test]
    fn memory_of_values_comes_and_goes() {
        let mut hash = new();
        hash.set(b"f", &[0; 1000], &LIMITS);
        hash.set(b"g", b"short", &LIMITS);
        let full = hash.memory();
        hash.set(b"f", b"short", &LIMITS);
        assert_eq!(hash.memory(), full - 1024);
        hash.set(b"g", &[0; 1000], &LIMITS);
        assert_eq!(hash.memory(), full);
        hash.remove(b"g");
        assert_eq!(hash.memory(), full - 1024);
    }
}
