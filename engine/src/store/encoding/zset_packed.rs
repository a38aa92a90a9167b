//! A small sorted set: member and score in turn, in order, in one listpack, as Redis keeps it.
//!
//! ```text
//! ┌──────────┬─────────┬──────────┬─────────┬─ ─
//! │ member 0 │ score 0 │ member 1 │ score 1 │        order: (score, member)
//! └──────────┴─────────┴──────────┴─────────┴─ ─
//! ```
//!
//! A score is an integer where it is one of up to 2^62, and else the text that ZSCORE answers; so -0 becomes 0. Whatever is looked for is walked to: the thresholds keep that short.
//!
//! Source: the bytes that DUMP of redis-server 7.0.15 answers.

use std::ops::Range;

use bobbin_proto::format_double;

use super::listpack::{Element, Listpack, Malformed, Pos};
use super::zset_table::is_before;

/// Up to here Redis writes a score that is an integer as one.
const INTEGER_MAX: f64 = (1u64 << 62) as f64;

#[derive(Clone, Debug, Default)]
pub struct ZsetPacked {
    pairs: Listpack,
}

/// A pair's place.
#[derive(Clone, Copy, Debug)]
struct Pair {
    member: Pos,
    score: Pos,
}

impl ZsetPacked {
    pub(crate) fn new() -> Self {
        Self { pairs: Listpack::new() }
    }

    /// Pairs from outside, kept as they are. Refused unless every score is a number, the pairs are in order, and no
    /// member is there twice.
    pub(crate) fn from_pairs(pairs: Listpack) -> Result<Self, Malformed> {
        let numbers = pairs.iter().skip(1).step_by(2).all(|score| number_of(score).is_some());
        let packed = Self { pairs };
        let whole = packed.pairs.len().is_multiple_of(2);
        if whole && numbers && packed.is_in_order() && packed.pairs.are_distinct(2) {
            Ok(packed)
        } else {
            Err(Malformed)
        }
    }

    /// The listpack.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.pairs.as_bytes()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.pairs.len() / 2
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        self.pairs.memory()
    }

    /// Whether one more member of this length may be put in, as far as bytes go.
    pub(crate) fn has_room_for(&self, member_len: usize) -> bool {
        const SCORE_TEXT_MAX: usize = 24;
        self.pairs.has_room_for(member_len + SCORE_TEXT_MAX, 2)
    }

    pub(crate) fn score(&self, text: &[u8]) -> Option<f64> {
        self.find(text).map(|pair| self.score_at(pair))
    }

    pub(crate) fn rank(&self, text: &[u8]) -> Option<(usize, f64)> {
        let (rank, (_, score)) =
            self.iter(0..self.len()).enumerate().find(|(_, (member, _))| member.eq_bytes(text))?;
        Some((rank, score))
    }

    /// Gives a member the score that `resolve` makes of the one it has; where it makes none, nothing changes.
    pub(crate) fn update(&mut self, text: &[u8], resolve: impl FnOnce(Option<f64>) -> Option<f64>) {
        let pair = self.find(text);
        let Some(score) = resolve(pair.map(|pair| self.score_at(pair))) else { return };
        if let Some(pair) = pair {
            self.remove_pair(pair);
        }
        self.insert(text, score);
    }

    pub(crate) fn remove(&mut self, text: &[u8]) -> Option<f64> {
        let pair = self.find(text)?;
        let score = self.score_at(pair);
        self.remove_pair(pair);
        Some(score)
    }

    pub(crate) fn remove_ranks(&mut self, ranks: Range<usize>) {
        self.pairs.remove_range(2 * ranks.start as i64, 2 * ranks.len());
    }

    /// How many come before the place where `before` stops to hold.
    pub(crate) fn partition_point(&self, mut before: impl FnMut(f64, &[u8]) -> bool) -> usize {
        let mut digits = itoa::Buffer::new();
        self.iter(0..self.len())
            .position(|(member, score)| !before(score, member.text(&mut digits)))
            .unwrap_or(self.len())
    }

    /// The members with these ranks, of which there must be so many.
    pub(crate) fn iter(&self, ranks: Range<usize>) -> Iter<'_> {
        let left = ranks.len();
        if left == 0 {
            return Iter { packed: self, front: None, back: None, left };
        }
        let front = self.pairs.seek(2 * ranks.start as i64);
        let back = self.pairs.seek(2 * ranks.end as i64 - 1);
        Iter { packed: self, front, back, left }
    }

    fn is_in_order(&self) -> bool {
        let pairs = self.iter(0..self.len());
        let (mut digits, mut next_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        pairs.clone().zip(pairs.skip(1)).all(|((member, score), (next, next_score))| {
            is_before((score, member.text(&mut digits)), (next_score, next.text(&mut next_digits)))
        })
    }

    fn find(&self, text: &[u8]) -> Option<Pair> {
        let member = self.pairs.find(self.pairs.first()?, text, 1)?;
        Some(Pair { member, score: self.pairs.next(member)? })
    }

    fn score_at(&self, pair: Pair) -> f64 {
        score_of(self.pairs.get(pair.score))
    }

    fn insert(&mut self, text: &[u8], score: f64) {
        let mut at = self.pairs.first();
        let mut digits = itoa::Buffer::new();
        while let Some(member) = at
            && let Some(behind) = self.pairs.next(member)
        {
            let pair = Pair { member, score: behind };
            if !is_before((self.score_at(pair), self.pairs.get(member).text(&mut digits)), (score, text)) {
                break;
            }
            at = self.pairs.next(behind);
        }
        self.insert_at(at, text, score);
    }

    /// Puts a pair before a place, or behind all.
    fn insert_at(&mut self, at: Option<Pos>, text: &[u8], score: f64) {
        let member = match at {
            Some(at) => self.pairs.insert_before(at, text),
            None => self.pairs.push_back(text),
        };
        if let Some(integer) = integer_of(score) {
            self.pairs.insert_after(member, integer);
        } else {
            let mut text = Vec::new();
            format_double(score, &mut text);
            self.pairs.insert_after(member, &text[..]);
        }
    }

    fn remove_pair(&mut self, pair: Pair) {
        if let Some(score) = self.pairs.remove(pair.member) {
            self.pairs.remove(score);
        }
    }
}

/// The integer that a packed score is.
pub(crate) fn integer_of(score: f64) -> Option<i64> {
    (score.fract() == 0.0 && score.abs() <= INTEGER_MAX).then_some(score as i64)
}

fn score_of(element: Element<'_>) -> f64 {
    number_of(element).unwrap_or(0.0)
}

fn number_of(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Int(integer) => Some(integer as f64),
        Element::Str(text) => str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| !number.is_nan()),
    }
}

/// Members in order, from both ends.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    packed: &'a ZsetPacked,
    /// The next pair's member.
    front: Option<Pos>,
    /// The last pair's score.
    back: Option<Pos>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Element<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pairs = &self.packed.pairs;
        let member = self.front?;
        let score = pairs.next(member)?;
        self.front = pairs.next(score);
        Some((pairs.get(member), score_of(pairs.get(score))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pairs = &self.packed.pairs;
        let score = self.back?;
        let member = pairs.prev(score)?;
        self.back = pairs.prev(member);
        Some((pairs.get(member), score_of(pairs.get(score))))
    }
}
