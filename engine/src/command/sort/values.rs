//! What patterns lead to, for every element.

use super::super::Cx;
use super::pattern::{KeyPattern, Pattern};
use super::texts::Texts;
use crate::store::{LiveHash, Object, Value};

/// What some of the keys hold, those of one shard: texts and the places they belong to.
#[derive(Debug, Default)]
pub(super) struct Found {
    places: Vec<usize>,
    texts: Texts,
}

/// Every element's values, one for each pattern, in turn.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// Which of the texts; none where there is no value.
    slots: Vec<Option<usize>>,
    texts: Texts,
}

impl Found {
    /// Looks up those of the keys that are `is_mine`.
    pub(super) fn read(
        cx: &mut Cx<'_>,
        patterns: &[Pattern],
        elements: &Texts,
        is_mine: impl Fn(&[u8]) -> bool,
    ) -> Self {
        let (mut found, mut key) = (Self::default(), Vec::new());
        for (row, element) in elements.iter().enumerate() {
            for (column, pattern) in patterns.iter().enumerate() {
                let Pattern::Key(pattern) = pattern else { continue };
                pattern.key_of(element, &mut key);
                if is_mine(&key) && found.take(cx, pattern, &key) {
                    found.places.push(row * patterns.len() + column);
                }
            }
        }
        found
    }

    /// Adds what a key holds. False if that is not a text.
    fn take(&mut self, cx: &mut Cx<'_>, pattern: &KeyPattern, key: &[u8]) -> bool {
        let now_ms = cx.now_ms();
        let Some(entry) = cx.find(key) else { return false };
        let mut digits = itoa::Buffer::new();
        let text = match (entry.value(), &pattern.field) {
            (Value::Int(number), None) => Some(digits.format(number).as_bytes()),
            (Value::Bytes(bytes), None) => Some(bytes),
            (Value::Object(Object::Hash(hash)), Some(field)) => {
                LiveHash::new(hash, now_ms).get(field).map(|value| value.text(&mut digits))
            }
            _ => None,
        };
        text.map(|text| self.texts.push(text)).is_some()
    }
}

impl Values {
    /// Puts together what was found on every shard.
    pub(super) fn join(
        patterns: &[Pattern],
        elements: &Texts,
        found: impl IntoIterator<Item = Found>,
    ) -> Self {
        let slots = vec![None; elements.len() * patterns.len()];
        let mut values = Self { slots, texts: Texts::default() };
        for part in found {
            let base = values.texts.len();
            values.texts.append(&part.texts);
            part.places.iter().enumerate().for_each(|(nth, &place)| values.slots[place] = Some(base + nth));
        }
        for (column, _) in patterns.iter().enumerate().filter(|(_, pattern)| **pattern == Pattern::Element) {
            values.put_elements(elements, column, patterns.len());
        }
        values
    }

    fn put_elements(&mut self, elements: &Texts, column: usize, columns: usize) {
        let base = self.texts.len();
        self.texts.append(elements);
        (0..elements.len()).for_each(|row| self.slots[row * columns + column] = Some(base + row));
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn at(&self, place: usize) -> Option<&[u8]> {
        self.slots[place].map(|slot| self.texts.at(slot))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> + Clone {
        (0..self.slots.len()).map(|place| self.at(place))
    }
}

impl From<Texts> for Values {
    fn from(texts: Texts) -> Self {
        Self { slots: (0..texts.len()).map(Some).collect(), texts }
    }
}
