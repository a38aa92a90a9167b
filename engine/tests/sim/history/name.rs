//! Keys, elements and values of a history: short, so that they are copied and never allocated.

use std::fmt::{Debug, Display, Formatter};

use bobbin_proto::Value;

const LEN_MAX: usize = 16;

/// At most 16 bytes of text without zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name([u8; LEN_MAX]);

impl Name {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut name = [0; LEN_MAX];
        assert!(text.len() <= LEN_MAX && !text.contains(&0), "no name for a history: {text:?}");
        name[..text.len()].copy_from_slice(text);
        Self(name)
    }

    pub(crate) fn number(number: i64) -> Self {
        Self::new(number.to_string().as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&byte| byte == 0).unwrap_or(LEN_MAX);
        &self.0[..len]
    }

    pub(crate) fn as_number(&self) -> Option<i64> {
        std::str::from_utf8(self.as_bytes()).ok()?.parse().ok()
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.as_bytes().eq_ignore_ascii_case(word.as_bytes())
    }

    pub(crate) fn to_value(self) -> Value {
        Value::Bulk(self.as_bytes().to_vec())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl Display for Name {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        out.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl Debug for Name {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(self, out)
    }
}
