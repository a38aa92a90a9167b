//! Hashes: packed while small, a table from the thresholds on; packed in another way once fields expire.
//!
//! | encoding | OBJECT ENCODING | fields | deadlines |
//! |---|---|---|---|
//! | `Packed` | listpack | few | none |
//! | `Expiring` | listpackex | few | some had one |
//! | `Table` | hashtable | many or long | any |
//!
//! Owns the choice of encoding. Fields whose time is over are fields like others here; who must not see them looks
//! through [`LiveHash`](super::hash_live::LiveHash).
//!
//! Invariants: packed in one way or the other exactly while no field was set beyond the thresholds that held then. A
//! table stays one, and what has expiring fields stays `Expiring` without them, as in Redis.

use super::encoding::hash_expiring::HashExpiring;
use super::encoding::hash_packed::HashPacked;
use super::encoding::hash_table::{self, HashTable};
use super::encoding::listpack::{Element, Listpack};
use super::object::{Collection, Object};
use super::size_class::size_class;

#[derive(Clone, Debug)]
pub enum Hash {
    Packed(HashPacked),
    Expiring(Box<HashExpiring>),
    Table(Box<HashTable>),
}

/// A field, its value, and when it expires, if ever, in Unix milliseconds.
pub type Field<'a> = (Element<'a>, Element<'a>, Option<u64>);

/// The last time at which a field can expire: Redis has 46 bits for it.
pub const FIELD_DEADLINE_MAX_MS: u64 = (1 << 46) - 1;

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

    fn admit_all<'a>(&self, mut fields: impl Iterator<Item = Field<'a>>, len: usize) -> bool {
        let fits = |text: Element<'_>| text.text_len() <= self.packed_text_len_max;
        len <= self.packed_len_max && fields.all(|(field, value, _)| fits(field) && fits(value))
    }
}

/// Making one.
impl Hash {
    /// See [`Object::content`](super::object::Object::content).
    #[inline]
    pub(super) fn content(&self) -> *const u8 {
        match self {
            Self::Packed(pairs) => pairs.as_listpack().as_bytes().as_ptr(),
            Self::Expiring(hash) => std::ptr::from_ref(&**hash).cast(),
            Self::Table(table) => std::ptr::from_ref(&**table).cast(),
        }
    }

    /// An empty one with room for these. An empty hash must not stay in the keyspace.
    pub fn with_room_for<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, limits: &HashLimits) -> Self {
        Self::Packed(HashPacked::with_room_for(pairs.take_while(|(field, value)| limits.admit(field, value))))
    }

    /// A hash of fields and values in turn, of which there must be as many. `None` if a field is there twice.
    pub fn from_listpack(pairs: Listpack, limits: &HashLimits) -> Option<Self> {
        if !pairs.are_distinct(2) {
            return None;
        }
        Some(Self::Packed(HashPacked::from_pairs(pairs)).within(limits))
    }

    /// A hash of fields, values and deadlines in turn, the earliest first and those that are 0 last. `None` if that
    /// is not so, if a deadline is out of range, or if a field is there twice.
    pub fn from_expiring_listpack(triples: Listpack, limits: &HashLimits) -> Option<Self> {
        if !triples.are_distinct(3) {
            return None;
        }
        let expiring = HashExpiring::from_triples(triples)?;
        let too_late = |field: Field<'_>| field.2.is_some_and(|at_ms| at_ms > FIELD_DEADLINE_MAX_MS);
        if expiring.iter().any(too_late) {
            return None;
        }
        let hash = match expiring.next_deadline() {
            Some(_) => Self::Expiring(Box::new(expiring)),
            None => Self::Packed(HashPacked::from_pairs(expiring.to_pairs())),
        };
        Some(hash.within(limits))
    }

    /// What came packed; a table if it is beyond the limits.
    fn within(self, limits: &HashLimits) -> Self {
        let fits = limits.admit_all(self.iter(), self.len());
        if fits { self } else { Self::Table(Box::new(self.to_table(limits.seed))) }
    }
}

/// Reading.
impl Hash {
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len(),
            Self::Expiring(expiring) => expiring.len(),
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
            Self::Expiring(_) => "listpackex",
            Self::Table(_) => "hashtable",
        }
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.memory(),
            Self::Expiring(expiring) => size_class(size_of::<HashExpiring>()) + expiring.memory(),
            Self::Table(table) => size_class(size_of::<HashTable>()) + table.memory(),
        }
    }

    /// The listpack of a packed hash: fields and values in turn, and deadlines if it is an expiring one.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match self {
            Self::Packed(packed) => Some(packed.as_listpack()),
            Self::Expiring(expiring) => Some(expiring.as_listpack()),
            Self::Table(_) => None,
        }
    }

    /// A field's value and deadline.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<(Element<'_>, Option<u64>)> {
        match self {
            Self::Packed(packed) => packed.get(field).map(|value| (value, None)),
            Self::Expiring(expiring) => expiring.get(field),
            Self::Table(table) => table.get(field).map(|(value, at_ms)| (Element::Str(value), at_ms)),
        }
    }

    /// The earliest deadline of all fields.
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        match self {
            Self::Packed(_) => None,
            Self::Expiring(expiring) => expiring.next_deadline(),
            Self::Table(table) => table.next_deadline(),
        }
    }

    /// How many fields have deadlines before a time.
    #[inline]
    pub fn count_before(&self, time_ms: u64) -> usize {
        match self {
            Self::Packed(_) => 0,
            Self::Expiring(expiring) => expiring.count_before(time_ms),
            Self::Table(table) => table.count_before(time_ms),
        }
    }

    /// The field with a number below [`Self::len`]. A packed hash is walked to there.
    pub fn nth(&self, number: usize) -> Option<Field<'_>> {
        match self {
            Self::Packed(packed) => packed.nth(number).map(|(field, value)| (field, value, None)),
            Self::Expiring(expiring) => expiring.nth(number),
            Self::Table(table) => Some(of_texts(table.nth(number))),
        }
    }

    /// All fields: a packed hash's as they came, an expiring one's by deadline.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let (packed, expiring, table) = match self {
            Self::Packed(packed) => (Some(packed.iter()), None, None),
            Self::Expiring(expiring) => (None, Some(expiring.iter()), None),
            Self::Table(table) => (None, None, Some(table.iter())),
        };
        let packed = packed.into_iter().flatten().map(|(field, value)| (field, value, None));
        let table = table.into_iter().flatten().map(of_texts);
        packed.chain(expiring.into_iter().flatten()).chain(table)
    }

    /// Visits about `count` fields from a cursor on, a packed hash's all at once. Returns the cursor to go on from;
    /// 0 if all were visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Field<'_>)) -> u64 {
        if let Self::Table(table) = self {
            return table.scan(cursor, count, |field| visit(of_texts(field)));
        }
        self.iter().for_each(visit);
        0
    }
}

/// Changing.
impl Hash {
    /// Gives a field a value; a deadline that it has stays. Returns whether the field is new.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &HashLimits) -> bool {
        let is_new = match self {
            Self::Table(table) => return table.set(field, value),
            _ if !limits.admit(field, value) || !self.has_room_for(field.len() + value.len()) => {
                return self.become_table(limits.seed).set(field, value);
            }
            Self::Packed(packed) => packed.set(field, value),
            Self::Expiring(expiring) => expiring.set(field, value),
        };
        if self.len() > limits.packed_len_max {
            self.become_table(limits.seed);
        }
        is_new
    }

    /// Gives a field that is there a deadline of up to [`FIELD_DEADLINE_MAX_MS`] and not 0, or takes it away.
    pub fn set_deadline(&mut self, field: &[u8], at_ms: Option<u64>) {
        debug_assert!(at_ms.is_none_or(|at_ms| (1..=FIELD_DEADLINE_MAX_MS).contains(&at_ms)));
        match self {
            Self::Packed(_) if at_ms.is_none() => {}
            Self::Packed(packed) => {
                let mut expiring = Box::new(HashExpiring::of_packed(packed));
                expiring.set_deadline(field, at_ms);
                *self = Self::Expiring(expiring);
            }
            Self::Expiring(expiring) => expiring.set_deadline(field, at_ms),
            Self::Table(table) => table.set_deadline(field, at_ms),
        }
    }

    /// Returns whether the field was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Self::Packed(packed) => packed.remove(field),
            Self::Expiring(expiring) => expiring.remove(field),
            Self::Table(table) => table.remove(field),
        }
    }

    /// Removes up to `budget` of the fields whose deadlines are before a time, and tells `each` their names. Returns
    /// how many.
    pub fn remove_before(&mut self, time_ms: u64, budget: usize, each: impl FnMut(Element<'_>)) -> usize {
        match self {
            Self::Packed(_) => 0,
            Self::Expiring(expiring) => expiring.remove_before(time_ms, budget, each),
            Self::Table(table) => table.remove_before(time_ms, budget, each),
        }
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        match self {
            Self::Packed(_) | Self::Expiring(_) => budget,
            Self::Table(table) => table.free_step(budget),
        }
    }

    #[inline]
    fn has_room_for(&self, text_len: usize) -> bool {
        match self {
            Self::Packed(packed) => packed.has_room_for(text_len),
            Self::Expiring(expiring) => expiring.has_room_for(text_len),
            Self::Table(_) => true,
        }
    }

    fn to_table(&self, seed: u64) -> HashTable {
        let mut table = HashTable::new(seed);
        let (mut field_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value, at_ms) in self.iter() {
            let field = field.text(&mut field_digits);
            table.set(field, value.text(&mut value_digits));
            table.set_deadline(field, at_ms);
        }
        table
    }

    #[cold]
    fn become_table(&mut self, seed: u64) -> &mut HashTable {
        *self = Self::Table(Box::new(self.to_table(seed)));
        match self {
            Self::Table(table) => table,
            Self::Packed(_) | Self::Expiring(_) => unreachable!("it has just become a table"),
        }
    }
}

fn of_texts((field, value, at_ms): hash_table::Field<'_>) -> Field<'_> {
    (Element::Str(field), Element::Str(value), at_ms)
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

    type Model = HashMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

    fn contents(hash: &Hash) -> Model {
        hash.iter().map(|(field, value, at_ms)| (field.to_vec(), (value.to_vec(), at_ms))).collect()
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (-20..20i64).prop_map(|n| n.to_string().into_bytes()),
            prop::collection::vec(b'a'..b'c', 0..4),
            prop::collection::vec(any::<u8>(), 20..40),
        ]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>, Vec<u8>),
        Deadline(Vec<u8>, Option<u64>),
        Remove(Vec<u8>),
        RemoveBefore(u64, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (texts(), texts()).prop_map(|(field, value)| Step::Set(field, value)),
            4 => (texts(), prop::option::weighted(0.8, 1..50u64)).prop_map(|(field, at)| Step::Deadline(field, at)),
            3 => texts().prop_map(Step::Remove),
            1 => (0..30u64, 0..10usize).prop_map(|(time, budget)| Step::RemoveBefore(time, budget)),
        ];
        prop::collection::vec(step, 0..400)
    }

    fn run(hash: &mut Hash, model: &mut Model, step: Step, limits: &HashLimits) {
        match step {
            Step::Set(field, value) => {
                let is_new = hash.set(&field, &value, limits);
                let at_ms = model.get(&field).and_then(|known| known.1);
                assert_eq!(is_new, model.insert(field, (value, at_ms)).is_none());
            }
            Step::Deadline(field, at_ms) => {
                hash.set_deadline(&field, at_ms);
                model.entry(field).and_modify(|known| known.1 = at_ms);
            }
            Step::Remove(field) => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
            Step::RemoveBefore(time_ms, budget) => {
                let due = hash.count_before(time_ms);
                let mut names = Vec::new();
                let removed = hash.remove_before(time_ms, budget, |field| names.push(field.to_vec()));
                assert_eq!((removed, names.len()), (due.min(budget), due.min(budget)));
                let is_due = |at_ms: Option<u64>| at_ms.is_some_and(|at_ms| at_ms < time_ms);
                assert_eq!(due, model.values().filter(|(_, at_ms)| is_due(*at_ms)).count());
                // Of equal deadlines any may go first.
                let left = contents(hash);
                assert!(names.iter().all(|name| model.contains_key(name) && !left.contains_key(name)));
                let latest =
                    model.iter().filter(|(field, _)| !left.contains_key(*field)).filter_map(|kept| kept.1.1);
                let earliest = left.values().filter_map(|(_, at_ms)| *at_ms).min();
                assert!(
                    latest
                        .max()
                        .is_none_or(|gone| gone < time_ms && earliest.is_none_or(|kept| gone <= kept))
                );
                model.retain(|field, _| left.contains_key(field));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_hash_is_a_map(
            steps in steps(),
            limits in prop::sample::select(vec![LIMITS, ALWAYS_TABLE, ALWAYS_PACKED]),
        ) {
            let (mut hash, mut model) = (new(), HashMap::new());
            for step in steps {
                run(&mut hash, &mut model, step, &limits);
                prop_assert_eq!(hash.len(), model.len());
                prop_assert_eq!(hash.next_deadline(), model.values().filter_map(|(_, at_ms)| *at_ms).min());
            }
            prop_assert_eq!(contents(&hash), model.clone());
            for (field, (value, at_ms)) in &model {
                prop_assert_eq!(hash.get(field).map(|(value, at)| (value.to_vec(), at)), Some((value.clone(), *at_ms)));
            }
            let numbered = (0..hash.len()).filter_map(|number| hash.nth(number));
            let numbered: Model = numbered.map(|(field, value, at)| (field.to_vec(), (value.to_vec(), at))).collect();
            prop_assert_eq!(numbered, model.clone());
            let (mut scanned, mut cursor) = (HashMap::new(), 0);
            loop {
                cursor = hash.scan(cursor, 3, |(field, value, at_ms)| {
                    scanned.insert(field.to_vec(), (value.to_vec(), at_ms));
                });
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(scanned, model);
            if let Some(pack) = hash.as_listpack() {
                let read = if let Hash::Packed(_) = hash { Hash::from_listpack } else { Hash::from_expiring_listpack };
                let again = read(pack.clone(), &limits).expect("no field is there twice");
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
    fn an_expiring_hash_is_packed_up_to_the_same_limits() {
        let mut hash = new();
        for n in 0..8 {
            hash.set(&[n], b"v", &LIMITS);
            hash.set_deadline(&[n], None);
        }
        assert_eq!(hash.encoding(), "listpack");
        hash.set_deadline(&[5], Some(7));
        assert_eq!(hash.encoding(), "listpackex");
        hash.set_deadline(&[5], None);
        assert_eq!(hash.encoding(), "listpackex");
        hash.set_deadline(&[6], Some(9));
        hash.set(&[8], b"v", &LIMITS);
        assert_eq!((hash.encoding(), hash.next_deadline()), ("hashtable", Some(9)));
        assert_eq!(size_of::<Hash>(), 24, "a hash that does not expire pays nothing");
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
