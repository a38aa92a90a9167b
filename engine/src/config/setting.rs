//! How a typed field is read from words and written back: the scalar types.

use std::borrow::Cow;

use super::{
    kind::{self, Kind},
    syntax,
};

/// Why a value was refused, in Redis's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(Cow<'static, str>);

impl From<&'static str> for BadValue {
    fn from(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }
}

impl From<String> for BadValue {
    fn from(reason: String) -> Self {
        Self(Cow::Owned(reason))
    }
}

/// Whether a value replaces what is there. A directive that takes several lines gathers them while a file is read;
/// the first line discards the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Replace,
    Gather,
}

/// A field's type: the bridge between `Config` and words.
pub(super) trait Setting: Sized {
    /// True if `Load::Gather` adds to what is there.
    const GATHERS: bool = false;

    /// On error the old value stays.
    fn assign(&mut self, kind: &Kind, words: &[Vec<u8>], load: Load) -> Result<(), BadValue>;

    /// As CONFIG GET answers.
    fn text(&self, kind: &Kind) -> Vec<u8>;

    /// As CONFIG REWRITE writes, a line each, without the name.
    fn lines(&self, kind: &Kind) -> Vec<Vec<u8>> {
        vec![syntax::quote_if_needed(&self.text(kind))]
    }
}

/// Bytes that are usually text: Redis's strings have no encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For messages: bytes that are not UTF-8 are replaced.
    pub fn display(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The bytes as a path; `None` if empty.
    pub fn path(&self) -> Option<&std::path::Path> {
        use std::os::unix::ffi::OsStrExt as _;
        (!self.is_empty()).then(|| std::path::Path::new(std::ffi::OsStr::from_bytes(&self.0)))
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&std::path::Path> for Text {
    fn from(path: &std::path::Path) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl Setting for Text {
    fn assign(&mut self, kind: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let word = &words[0];
        kind.check_word(word)?;
        self.0 = match kind {
            Kind::Choice(names) => names[kind.choice(word)?].into(),
            _ => word.clone(),
        };
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.0.clone()
    }

    fn lines(&self, kind: &Kind) -> Vec<Vec<u8>> {
        vec![if matches!(kind, Kind::Choice(_)) { self.0.clone() } else { syntax::quote(&self.0) }]
    }
}

impl Setting for bool {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        *self = match words[0].to_ascii_lowercase().as_slice() {
            b"yes" => true,
            b"no" => false,
            _ => return Err(BadValue::from("argument must be 'yes' or 'no'")),
        };
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        if *self { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

/// Bounds that the table allows and the type does not are a defect of the table: the table's tests look for them.
macro_rules! integer_settings {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn assign(&mut self, kind: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
                let number = kind.number(&words[0])?;
                *self = <$type>::try_from(number)
                    .map_err(|_| BadValue::from("argument couldn't be parsed into an integer"))?;
                Ok(())
            }

            fn text(&self, kind: &Kind) -> Vec<u8> {
                match kind {
                    Kind::Octal { .. } => format!("{self:o}").into(),
                    _ => self.to_string().into(),
                }
            }

            fn lines(&self, kind: &Kind) -> Vec<Vec<u8>> {
                match (kind, u64::try_from(*self)) {
                    (Kind::Memory { .. }, Ok(bytes)) => vec![kind::memory_text(bytes).into()],
                    _ => vec![self.text(kind)],
                }
            }
        }
    )* };
}
integer_settings!(u16, u32, u64, i32, i64, usize);

/// How often a second: what lies outside the bounds is taken to the nearest bound, as Redis does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Frequency(u16);

impl Frequency {
    const MIN: i128 = 1;
    const MAX: i128 = 500;

    pub fn per_second(self) -> u16 {
        self.0
    }
}

impl Setting for Frequency {
    fn assign(&mut self, kind: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        self.0 = kind.number(&words[0])?.clamp(Self::MIN, Self::MAX) as u16;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.0.to_string().into()
    }
}

/// A limit in bytes or in percent of `maxmemory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryOrPercent {
    Bytes(u64),
    Percent(u8),
}

impl MemoryOrPercent {
    /// The limit in bytes; 0 is no limit. A percentage of an unlimited memory is no limit either.
    pub fn resolve(self, maxmemory: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => (u128::from(maxmemory) * u128::from(percent) / 100) as u64,
        }
    }
}

impl Default for MemoryOrPercent {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl Setting for MemoryOrPercent {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let bad = || BadValue::from("argument must be a memory or percent value");
        *self = match words[0].strip_suffix(b"%") {
            Some(digits) => match kind::integer(digits).ok_or_else(bad)? {
                number @ 0..=100 => Self::Percent(number as u8),
                101.. => return Err(BadValue::from("percentage argument must be less or equal to 100")),
                _ => return Err(bad()),
            },
            None => Self::Bytes(
                kind::memory_value(&words[0]).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(bad)?,
            ),
        };
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_string().into(),
            Self::Percent(percent) => format!("{percent}%").into(),
        }
    }

    fn lines(&self, kind: &Kind) -> Vec<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => vec![kind::memory_text(*bytes).into()],
            Self::Percent(_) => vec![self.text(kind)],
        }
    }
}
