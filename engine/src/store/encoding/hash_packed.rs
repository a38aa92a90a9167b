//! A small hash: field and value in turn, as they came, in one listpack, as Redis keeps it.
//!
//! ```text
//! ┌─────────┬─────────┬─────────┬─────────┬─ ─
//! │ field 0 │ value 0 │ field 1 │ value 1 │
//! └─────────┴─────────┴─────────┴─────────┴─ ─
//! ```
//!
//! Whatever is looked for is walked to: the thresholds keep that short.
//!
//! Source: the bytes that DUMP of redis-server 7.0.15 answers.

use super::listpack::{EMPTY_LEN, Element, Listpack, Pos};

/// Room made ahead at most: what packed hashes take by the default thresholds.
const ROOM_MAX: usize = 64 << 10;

#[derive(Clone, Debug, Default)]
pub struct HashPacked {
    pairs: Listpack,
}

impl HashPacked {
    /// An empty one with room for these.
    pub(crate) fn with_room_for<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let bytes: usize =
            pairs.map(|(field, value)| Listpack::len_of(field) + Listpack::len_of(value)).sum();
        Self { pairs: Listpack::with_capacity(EMPTY_LEN + bytes.min(ROOM_MAX)) }
    }

    /// Of fields and values in turn; whether no field is there twice is the caller's to see.
    pub(crate) fn from_pairs(pairs: Listpack) -> Self {
        debug_assert!(pairs.len().is_multiple_of(2));
        Self { pairs }
    }

    pub(crate) fn as_listpack(&self) -> &Listpack {
        &self.pairs
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.pairs.len() / 2
    }

    /// Bytes allocated.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.pairs.memory()
    }

    /// Whether a field and a value of so many bytes together may be put in.
    #[inline]
    pub(crate) fn has_room_for(&self, text_len: usize) -> bool {
        self.pairs.has_room_for(text_len, 2)
    }

    #[inline]
    pub(crate) fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        self.find(field).map(|value| self.pairs.get(value))
    }

    /// Gives a field a value. Returns whether the field is new.
    #[inline]
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        if let Some(at) = self.find(field) {
            self.pairs.replace(at, value);
            return false;
        }
        self.pairs.push_back(field);
        self.pairs.push_back(value);
        true
    }

    /// Returns whether the field was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(at) = self.find_field(field) else { return false };
        if let Some(value) = self.pairs.remove(at) {
            self.pairs.remove(value);
        }
        true
    }

    /// The pair with a number below [`Self::len`].
    pub(crate) fn nth(&self, number: usize) -> Option<(Element<'_>, Element<'_>)> {
        let field = self.pairs.seek(2 * number as i64)?;
        Some((self.pairs.get(field), self.pairs.get(self.pairs.next(field)?)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Element<'_>, Element<'_>)> + Clone {
        let mut elements = self.pairs.iter();
        std::iter::from_fn(move || Some((elements.next()?, elements.next()?)))
    }

    #[inline]
    fn find_field(&self, field: &[u8]) -> Option<Pos> {
        self.pairs.find(self.pairs.first()?, field, 1)
    }

    /// Where a field's value is.
    #[inline]
    fn find(&self, field: &[u8]) -> Option<Pos> {
        self.find_field(field).and_then(|at| self.pairs.next(at))
    }
}
