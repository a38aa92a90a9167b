//! A small hash of which fields expire: field, value and deadline in turn in one listpack, as Redis 7.4 keeps it
//! (its `listpackex`).
//!
//! ```text
//! ┌─────────┬─────────┬────────────┬─────────┬─────────┬────────────┬─ ─
//! │ field 0 │ value 0 │ deadline 0 │ field 1 │ value 1 │ deadline 1 │
//! └─────────┴─────────┴────────────┴─────────┴─────────┴────────────┴─ ─
//! ```
//!
//! The earliest deadline, in Unix milliseconds, comes first; fields that do not expire have 0 and come last. So what
//! is due is a prefix.
//!
//! Source: `src/t_hash.c` of Redis 7.4, for the layout.

use super::hash_packed::HashPacked;
use super::listpack::{Element, Listpack, Pos};

const STRIDE: usize = 3;
const NONE: i64 = 0;

#[derive(Clone, Debug)]
pub struct HashExpiring {
    triples: Listpack,
}

/// Where a field and what belongs to it are.
#[derive(Clone, Copy, Debug)]
struct Triple {
    field: Pos,
    value: Pos,
    deadline: Pos,
}

/// A field, its value, and its deadline if it has one.
pub(crate) type Field<'a> = (Element<'a>, Element<'a>, Option<u64>);

impl HashExpiring {
    /// The fields of a hash, of which none expires yet.
    pub(crate) fn of_packed(packed: &HashPacked) -> Self {
        let mut triples = Listpack::with_capacity(packed.as_listpack().bytes_len() + 2 * packed.len());
        for (field, value) in packed.iter() {
            triples.push_back(field);
            triples.push_back(value);
            triples.push_back(NONE);
        }
        Self { triples }
    }

    /// Of fields, values and deadlines in turn. `None` if the deadlines are none or in disorder; whether no field is
    /// there twice is the caller's to see.
    pub(crate) fn from_triples(triples: Listpack) -> Option<Self> {
        let whole = triples.len().is_multiple_of(STRIDE);
        let mut deadlines = triples.iter().skip(2).step_by(STRIDE).map(|deadline| match deadline {
            Element::Int(at_ms) => u64::try_from(at_ms).ok(),
            Element::Str(_) => None,
        });
        let mut last = 1;
        let ordered = deadlines.all(|at_ms| {
            // Having none is the latest deadline.
            let at_ms = at_ms.map(|at_ms| if at_ms == 0 { u64::MAX } else { at_ms });
            let follows = at_ms.is_some_and(|at_ms| at_ms >= last);
            last = at_ms.unwrap_or(last);
            follows
        });
        (whole && ordered).then_some(Self { triples })
    }

    pub(crate) fn as_listpack(&self) -> &Listpack {
        &self.triples
    }

    /// Fields and values in turn.
    pub(crate) fn to_pairs(&self) -> Listpack {
        let mut pairs = Listpack::with_capacity(self.triples.bytes_len());
        for (field, value, _) in self.iter() {
            pairs.push_back(field);
            pairs.push_back(value);
        }
        pairs
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.triples.len() / STRIDE
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        self.triples.memory()
    }

    /// Whether a field and a value of so many bytes together may be put in.
    pub(crate) fn has_room_for(&self, text_len: usize) -> bool {
        const DEADLINE_DIGITS_MAX: usize = 20;
        self.triples.has_room_for(text_len + DEADLINE_DIGITS_MAX, STRIDE)
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<(Element<'_>, Option<u64>)> {
        let triple = self.find(field)?;
        Some((self.triples.get(triple.value), self.deadline_at(triple)))
    }

    /// Gives a field a value; its deadline stays. Returns whether the field is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        if let Some(triple) = self.find(field) {
            self.triples.replace(triple.value, value);
            return false;
        }
        self.triples.push_back(field);
        self.triples.push_back(value);
        self.triples.push_back(NONE);
        true
    }

    /// Gives a field that is there a deadline, or takes it away.
    pub(crate) fn set_deadline(&mut self, field: &[u8], at_ms: Option<u64>) {
        let Some(triple) = self.find(field) else { return };
        if self.deadline_at(triple) == at_ms {
            return;
        }
        let value = self.triples.get(triple.value).to_vec();
        self.remove_triple(triple);
        self.insert(field, &value, at_ms);
    }

    /// Returns whether the field was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        self.find(field).map(|triple| self.remove_triple(triple)).is_some()
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let first = self.triple_from(self.triples.first()?)?;
        self.deadline_at(first)
    }

    /// How many deadlines are before a time.
    pub(crate) fn count_before(&self, time_ms: u64) -> usize {
        self.iter().take_while(|field| field.2.is_some_and(|at_ms| at_ms < time_ms)).count()
    }

    /// Removes up to `budget` of the fields whose deadlines are before a time. Returns how many.
    pub(crate) fn remove_before(
        &mut self,
        time_ms: u64,
        budget: usize,
        each: impl FnMut(Element<'_>),
    ) -> usize {
        let due = self.count_before(time_ms).min(budget);
        self.iter().take(due).map(|(field, ..)| field).for_each(each);
        self.triples.remove_range(0, STRIDE * due);
        due
    }

    /// The field with a number below [`Self::len`].
    pub(crate) fn nth(&self, number: usize) -> Option<Field<'_>> {
        let triple = self.triple_from(self.triples.seek((STRIDE * number) as i64)?)?;
        Some((self.triples.get(triple.field), self.triples.get(triple.value), self.deadline_at(triple)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let mut elements = self.triples.iter();
        std::iter::from_fn(move || {
            let (field, value) = (elements.next()?, elements.next()?);
            Some((field, value, deadline_of(elements.next()?)))
        })
    }

    fn find(&self, field: &[u8]) -> Option<Triple> {
        self.triple_from(self.triples.find(self.triples.first()?, field, STRIDE - 1)?)
    }

    #[inline]
    fn triple_from(&self, field: Pos) -> Option<Triple> {
        let value = self.triples.next(field)?;
        Some(Triple { field, value, deadline: self.triples.next(value)? })
    }

    #[inline]
    fn deadline_at(&self, triple: Triple) -> Option<u64> {
        deadline_of(self.triples.get(triple.deadline))
    }

    /// Puts a field where its deadline belongs, behind all that have the same.
    fn insert(&mut self, field: &[u8], value: &[u8], at_ms: Option<u64>) {
        let Some(at_ms) = at_ms else {
            self.set(field, value);
            return;
        };
        let behind = self.count_before(at_ms.saturating_add(1));
        let at = match self.triples.seek((STRIDE * behind) as i64) {
            Some(pos) => self.triples.insert_before(pos, field),
            None => self.triples.push_back(field),
        };
        let at = self.triples.insert_after(at, value);
        self.triples.insert_after(at, at_ms as i64);
    }

    fn remove_triple(&mut self, triple: Triple) {
        let mut next = Some(triple.field);
        for _ in 0..STRIDE {
            next = next.and_then(|pos| self.triples.remove(pos));
        }
    }
}

fn deadline_of(element: Element<'_>) -> Option<u64> {
    match element {
        Element::Int(NONE) | Element::Str(_) => None,
        Element::Int(at_ms) => u64::try_from(at_ms).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, Option<u64>)]) -> HashExpiring {
        let mut hash = HashExpiring { triples: Listpack::new() };
        for (field, at_ms) in fields {
            hash.set(field.as_bytes(), b"v");
            hash.set_deadline(field.as_bytes(), *at_ms);
        }
        hash
    }

    fn fields(hash: &HashExpiring) -> Vec<(String, Option<u64>)> {
        hash.iter()
            .map(|(field, _, at)| (String::from_utf8_lossy(&field.to_vec()).into_owned(), at))
            .collect()
    }

    #[test]
    fn the_earliest_comes_first_and_what_stays_last() {
        let mut hash = of(&[("a", None), ("b", Some(5)), ("c", Some(3)), ("d", Some(5)), ("e", None)]);
        assert_eq!(hash.next_deadline(), Some(3));
        hash.set_deadline(b"c", Some(9));
        hash.set_deadline(b"b", None);
        hash.set(b"d", b"longer than before");
        let expected = [("d", Some(5)), ("c", Some(9)), ("a", None), ("e", None), ("b", None)];
        assert_eq!(fields(&hash), expected.map(|(field, at)| (field.to_owned(), at)));
        assert_eq!((hash.count_before(5), hash.count_before(6), hash.count_before(10)), (0, 1, 2));
        assert_eq!(hash.remove_before(10, 1, |_| {}), 1);
        assert_eq!(hash.remove_before(10, 9, |_| {}), 1);
        assert_eq!((hash.next_deadline(), hash.len()), (None, 3));
    }

    #[test]
    fn triples_from_outside_must_be_in_order() {
        let hash = of(&[("a", Some(1)), ("b", Some(1)), ("c", Some(7)), ("d", None), ("e", None)]);
        assert!(HashExpiring::from_triples(hash.as_listpack().clone()).is_some());
        let bad: [&[&str]; 5] = [
            &["a", "v"],
            &["a", "v", "x"],
            &["a", "v", "-1"],
            &["a", "v", "0", "b", "v", "1"],
            &["a", "v", "5", "b", "v", "4"],
        ];
        for elements in bad {
            let mut triples = Listpack::new();
            elements.iter().for_each(|element| _ = triples.push_back(element.as_bytes()));
            assert!(HashExpiring::from_triples(triples).is_none(), "{elements:?}");
        }
    }
}
