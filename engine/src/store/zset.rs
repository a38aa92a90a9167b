//! Sorted sets: packed while small, a table from the thresholds on.
//!
//! Owns the choice of encoding; what the encodings share is here, as ranks: members have ranks in the order of
//! (score, member), and every range, of ranks, scores or names, is a range of ranks.
//!
//! Invariant: packed exactly while no member was put in beyond the thresholds that held then. A table stays one.

use std::ops::Range;

use super::encoding::listpack::Element;
use super::encoding::zset_packed::{self, ZsetPacked};
use super::encoding::zset_table::{self, ZsetTable};
use super::size_class::size_class;

#[derive(Clone, Debug)]
pub enum Zset {
    Packed(ZsetPacked),
    Table(Box<ZsetTable>),
}

/// How long a sorted set stays packed, and what a table's hash begins with.
#[derive(Clone, Copy, Debug)]
pub struct ZsetLimits {
    /// `zset-max-listpack-entries`
    pub packed_len_max: usize,
    /// `zset-max-listpack-value`
    pub packed_member_len_max: usize,
    /// Must not be known to clients.
    pub seed: u64,
}

impl Zset {
    /// See [`Object::content`](super::object::Object::content).
    #[inline]
    pub(super) fn content(&self) -> *const u8 {
        match self {
            Self::Packed(pairs) => pairs.as_bytes().as_ptr(),
            Self::Table(table) => std::ptr::from_ref(&**table).cast(),
        }
    }

    pub fn new() -> Self {
        Self::Packed(ZsetPacked::new())
    }

    /// What a table holds: packed if it is within the limits.
    pub fn within(table: ZsetTable, limits: &ZsetLimits) -> Self {
        let fits = table.len() <= limits.packed_len_max
            && table.iter(0..table.len()).all(|(member, _)| member.len() <= limits.packed_member_len_max);
        if !fits {
            return Self::from(table);
        }
        let mut packed = ZsetPacked::new();
        for (member, score) in table.iter(0..table.len()) {
            if !packed.has_room_for(member.len()) {
                return Self::from(table);
            }
            packed.update(member, |_| Some(score));
        }
        Self::Packed(packed)
    }

    /// What came packed from outside: a table if there is too much of it.
    pub(crate) fn of_packed(packed: ZsetPacked, limits: &ZsetLimits) -> Self {
        let many = packed.len() > limits.packed_len_max;
        let mut zset = Self::Packed(packed);
        if many {
            zset.become_table(limits.seed);
        }
        zset
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
            Self::Table(_) => "skiplist",
        }
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.memory(),
            Self::Table(table) => size_class(size_of::<ZsetTable>()) + table.memory(),
        }
    }

    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(packed) => packed.score(member),
            Self::Table(table) => table.score(member),
        }
    }

    /// The integer that a score is kept as.
    pub fn integer_score(&self, score: f64) -> Option<i64> {
        match self {
            Self::Packed(_) => zset_packed::integer_of(score),
            Self::Table(_) => None,
        }
    }

    /// A member's rank and score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Packed(packed) => packed.rank(member),
            Self::Table(table) => table.rank(member),
        }
    }

    /// Puts a member in, or gives it another score, which is a number.
    pub fn set(&mut self, member: &[u8], score: f64, limits: &ZsetLimits) {
        self.update(member, limits, |_| Some(score));
    }

    /// Gives a member the score that `resolve` makes of the one it has, in one look-up; where it makes none, nothing
    /// changes. It must not make a NaN.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: &ZsetLimits,
        resolve: impl FnOnce(Option<f64>) -> Option<f64>,
    ) {
        match self {
            Self::Table(table) => table.update(member, resolve),
            Self::Packed(packed) => {
                let stays = packed.len() < limits.packed_len_max
                    && member.len() <= limits.packed_member_len_max
                    && packed.has_room_for(member.len());
                if stays || packed.score(member).is_some() {
                    packed.update(member, resolve);
                } else if let Some(score) = resolve(None) {
                    self.become_table(limits.seed).set(member, score);
                }
            }
        }
    }

    /// Takes a member out. Returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(packed) => packed.remove(member),
            Self::Table(table) => table.remove(member),
        }
    }

    /// Takes out the members with these ranks, of which there must be so many.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) {
        if ranks.is_empty() {
            return;
        }
        match self {
            Self::Packed(packed) => packed.remove_ranks(ranks),
            Self::Table(table) => table.remove_ranks(ranks),
        }
    }

    /// How many come before the place where `before`, which is told score and member, stops to hold.
    pub fn partition_point(&self, before: impl FnMut(f64, &[u8]) -> bool) -> usize {
        match self {
            Self::Packed(packed) => packed.partition_point(before),
            Self::Table(table) => table.partition_point(before),
        }
    }

    /// All members in order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// The members with these ranks, of which there must be so many.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        match self {
            Self::Packed(packed) => Iter::Packed(packed.iter(ranks)),
            Self::Table(table) => Iter::Table(table.iter(ranks)),
        }
    }

    /// Visits about `count` members from a cursor on, a packed set's all at once. Returns the cursor to go on from;
    /// 0 if all were visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Element<'_>, f64)) -> u64 {
        match self {
            Self::Packed(_) => {
                self.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Self::Table(table) => {
                table.scan(cursor, count, |member, score| visit(Element::Str(member), score))
            }
        }
    }

    /// Frees about `budget` allocations, for good. Returns what is left of the budget: nothing, unless all is freed.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        match self {
            Self::Packed(_) => budget,
            Self::Table(table) => table.free_step(budget),
        }
    }

    #[cold]
    fn become_table(&mut self, seed: u64) -> &mut ZsetTable {
        let mut table = Box::new(ZsetTable::new(seed));
        let mut digits = itoa::Buffer::new();
        for (member, score) in self.iter() {
            table.set(member.text(&mut digits), score);
        }
        *self = Self::Table(table);
        match self {
            Self::Table(table) => table,
            Self::Packed(_) => unreachable!("it has just become a table"),
        }
    }
}

impl Default for Zset {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> IntoIterator for &'a Zset {
    type Item = (Element<'a>, f64);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl From<ZsetTable> for Zset {
    fn from(table: ZsetTable) -> Self {
        Self::Table(Box::new(table))
    }
}

/// Members and scores in order, from both ends.
#[derive(Clone, Debug)]
pub enum Iter<'a> {
    Packed(zset_packed::Iter<'a>),
    Table(zset_table::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(iter) => iter.next(),
            Self::Table(iter) => iter.next().map(|(member, score)| (Element::Str(member), score)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Packed(iter) => iter.size_hint(),
            Self::Table(iter) => iter.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(iter) => iter.next_back(),
            Self::Table(iter) => iter.next_back().map(|(member, score)| (Element::Str(member), score)),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: ZsetLimits = ZsetLimits { packed_len_max: 8, packed_member_len_max: 30, seed: 5 };
    const ALWAYS_TABLE: ZsetLimits = ZsetLimits { packed_len_max: 0, ..LIMITS };

    /// What a sorted set is: pairs, sorted.
    #[derive(Debug, Default)]
    struct Model(Vec<(f64, Vec<u8>)>);

    impl Model {
        fn set(&mut self, member: &[u8], score: f64) {
            self.remove(member);
            self.0.push((score, member.to_vec()));
            self.0.sort_by(|a, b| a.partial_cmp(b).expect("no score is NaN"));
        }

        fn remove(&mut self, member: &[u8]) -> Option<f64> {
            let at = self.0.iter().position(|(_, other)| other == member)?;
            Some(self.0.remove(at).0)
        }
    }

    fn contents(zset: &Zset) -> Vec<(f64, Vec<u8>)> {
        zset.iter().map(|(member, score)| (score, member.to_vec())).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>, f64),
        Remove(Vec<u8>),
        RemoveRanks(usize, usize),
    }

    fn members() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (-200..200i64).prop_map(|n| n.to_string().into_bytes()),
            prop::collection::vec(b'a'..b'd', 0..5),
            prop::collection::vec(any::<u8>(), 20..40),
        ]
    }

    fn scores() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-3..3i32).prop_map(f64::from),
            any::<f64>().prop_filter("a number", |score| !score.is_nan()),
            Just(f64::INFINITY),
            Just(1e17),
            Just(0.1),
        ]
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (members(), scores()).prop_map(|(member, score)| Step::Set(member, score)),
            2 => members().prop_map(Step::Remove),
            1 => (0..20usize, 0..4usize).prop_map(|(start, len)| Step::RemoveRanks(start, len)),
        ];
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_sorted_set_is_sorted_pairs(steps in steps(), limits in prop::sample::select(vec![LIMITS, ALWAYS_TABLE])) {
            let (mut zset, mut model) = (Zset::new(), Model::default());
            for step in steps {
                match step {
                    Step::Set(member, score) => {
                        zset.set(&member, score, &limits);
                        model.set(&member, score);
                        let rank = model.0.iter().position(|(_, other)| *other == member);
                        prop_assert_eq!(zset.rank(&member).map(|found| found.0), rank);
                    }
                    Step::Remove(member) => prop_assert_eq!(zset.remove(&member), model.remove(&member)),
                    Step::RemoveRanks(start, len) => {
                        let start = start.min(model.0.len());
                        let end = model.0.len().min(start + len);
                        zset.remove_ranks(start..end);
                        model.0.drain(start..end);
                    }
                }
                prop_assert_eq!(zset.len(), model.0.len());
            }
            prop_assert_eq!(contents(&zset), &model.0[..]);
            let backwards: Vec<_> = zset.iter().rev().map(|(member, score)| (score, member.to_vec())).collect();
            prop_assert!(backwards.iter().eq(model.0.iter().rev()));
            for (rank, (score, member)) in model.0.iter().enumerate() {
                prop_assert_eq!(zset.score(member), Some(*score));
                let found = zset.partition_point(|s, m| (s, m) < (*score, member));
                prop_assert_eq!(found, rank);
            }
            let mut scanned = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = zset.scan(cursor, 3, |member, score| scanned.push((score, member.to_vec())));
                if cursor == 0 {
                    break;
                }
            }
            scanned.sort_by(|a, b| a.partial_cmp(b).expect("no score is NaN"));
            prop_assert_eq!(scanned, model.0);
        }
    }

    #[test]
    fn it_is_packed_up_to_the_limits() {
        let mut zset = Zset::new();
        for n in 0..8 {
            zset.set(&[n], 0.0, &LIMITS);
        }
        assert_eq!(zset.encoding(), "listpack");
        zset.set(&[7], 1.0, &LIMITS);
        assert_eq!(zset.encoding(), "listpack");
        zset.set(&[8], 1.0, &LIMITS);
        assert_eq!(zset.encoding(), "skiplist");
        let mut zset = Zset::new();
        zset.set(&[0; 31], 0.0, &LIMITS);
        assert_eq!(zset.encoding(), "skiplist");
    }

    /// Minus zero is zero where it is packed, and stays what it is in a table.
    #[test]
    fn packed_scores_are_what_their_text_says() {
        let mut zset = Zset::new();
        for score in [-0.0, 0.1, 1e300, f64::NEG_INFINITY, (1u64 << 53) as f64, f64::MIN_POSITIVE] {
            zset.set(b"a", score, &LIMITS);
            assert_eq!(zset.score(b"a"), Some(score));
            assert!(score != 0.0 || zset.score(b"a").is_some_and(f64::is_sign_positive));
        }
    }
}
