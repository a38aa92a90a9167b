//! Patterns of BY and GET: `weight_*`, `object_*->field`, `#`.
//!
//! They are C's strings to Redis, up to the first zero byte, where it looks for `*` and `->`; what is behind a zero
//! byte belongs to the key or the field all the same.

use crate::error::before_nul;

/// What an element is replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The element itself: `#`.
    Element,
    /// Nothing: there is no `*` in it.
    Constant,
    /// What a key holds.
    Key(KeyPattern),
}

/// A key with an element in its middle, and a field if it is to hold a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPattern {
    before: Box<[u8]>,
    behind: Box<[u8]>,
    pub(super) field: Option<Box<[u8]>>,
}

impl Pattern {
    pub(super) fn parse(text: &[u8]) -> Self {
        if before_nul(text) == b"#" {
            return Self::Element;
        }
        let Some(star) = before_nul(text).iter().position(|&byte| byte == b'*') else {
            return Self::Constant;
        };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        let (behind, field) = match arrow(rest) {
            Some(at) => (&rest[..at], Some(rest[at + ARROW.len()..].into())),
            None => (rest, None),
        };
        Self::Key(KeyPattern { before: before.into(), behind: behind.into(), field })
    }

    /// Whether a key has to be looked up for it.
    pub(super) fn is_key(&self) -> bool {
        matches!(self, Self::Key(_))
    }
}

const ARROW: &[u8] = b"->";

/// Where the first arrow is, if a field is behind it.
fn arrow(text: &[u8]) -> Option<usize> {
    let at = before_nul(text).windows(ARROW.len()).position(|two| two == ARROW)?;
    let field = text.get(at + ARROW.len());
    field.is_some_and(|&byte| byte != 0).then_some(at)
}

impl KeyPattern {
    /// Puts the key for an element into `key`.
    pub(super) fn key_of(&self, element: &[u8], key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.before);
        key.extend_from_slice(element);
        key.extend_from_slice(&self.behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_fields() {
        let cases = [
            (&b"w_*"[..], &b"w_E"[..], None),
            (b"*", b"E", None),
            (b"a*b*c", b"aEb*c", None),
            (b"o_*->name", b"o_E", Some(&b"name"[..])),
            (b"o_*_x->name", b"o_E_x", Some(b"name")),
            (b"*->a->b", b"E", Some(b"a->b")),
            (b"o_*->", b"o_E->", None),
            (b"a->b*", b"a->bE", None),
            (b"*->\0x", b"E->\0x", None),
            (b"*\0->f", b"E\0->f", None),
        ];
        for (text, expected, field) in cases {
            let Pattern::Key(pattern) = Pattern::parse(text) else { panic!("{}", text.escape_ascii()) };
            let mut key = Vec::new();
            pattern.key_of(b"E", &mut key);
            assert_eq!((&key[..], pattern.field.as_deref()), (expected, field), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn others() {
        assert_eq!(Pattern::parse(b"#"), Pattern::Element);
        assert_eq!(Pattern::parse(b"#\0x"), Pattern::Element);
        for text in [&b""[..], b"nosort", b"##", b"a\0*"] {
            assert_eq!(Pattern::parse(text), Pattern::Constant, "{}", text.escape_ascii());
        }
    }
}
