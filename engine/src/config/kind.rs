//! The kinds of value a directive can take, and the checks and error texts that belong to a kind.
//!
//! The texts are those of redis-server 7.0.15. Where Redis lets a number wrap or stop at its type's maximum
//! (`maxmemory` beyond 64 bits), the maximum is taken.

use super::{setting::BadValue, syntax};

const INT_MIN: i128 = i32::MIN as i128;
const INT_MAX: i128 = i32::MAX as i128;
pub(super) const LONG_MAX: i128 = i64::MAX as i128;

/// A check of one word or of all of them; the error is what the client reads.
type Check<T> = fn(&T) -> Result<(), &'static str>;

#[derive(Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    Integer {
        min: i128,
        max: i128,
        /// Empty for a plain count.
        unit: &'static str,
    },
    /// Digits of base 8.
    Octal {
        max: u32,
    },
    /// Bytes: a number with an optional unit `k kb m mb g gb`.
    Memory {
        min: i128,
        max: i128,
    },
    /// Bytes, or a percentage of `maxmemory`.
    MemoryOrPercent,
    /// One of a list of words.
    Choice(&'static [&'static str]),
    Text {
        expected: &'static str,
        check: Check<[u8]>,
    },
    /// Text that is never shown outside CONFIG GET.
    Secret,
    /// Several words with a grammar of their own.
    Words {
        expected: &'static str,
        check: Check<[Vec<u8>]>,
    },
}

/// A number that fits C's `int` and is not negative.
pub(super) const fn count() -> Kind {
    Kind::Integer { min: 0, max: INT_MAX, unit: "" }
}

pub(super) const fn positive() -> Kind {
    Kind::Integer { min: 1, max: INT_MAX, unit: "" }
}

pub(super) const fn signed() -> Kind {
    Kind::Integer { min: INT_MIN, max: INT_MAX, unit: "" }
}

pub(super) const fn between(min: i128, max: i128) -> Kind {
    Kind::Integer { min, max, unit: "" }
}

pub(super) const fn timed(min: i128, max: i128, unit: &'static str) -> Kind {
    Kind::Integer { min, max, unit }
}

pub(super) const fn seconds() -> Kind {
    Kind::Integer { min: 0, max: INT_MAX, unit: "seconds" }
}

pub(super) const fn memory(min: i128) -> Kind {
    Kind::Memory { min, max: LONG_MAX }
}

pub(super) const fn memory_any() -> Kind {
    Kind::Memory { min: 0, max: u64::MAX as i128 }
}

pub(super) const fn text() -> Kind {
    Kind::Text { expected: "text", check: |_| Ok(()) }
}

pub(super) const fn checked(expected: &'static str, check: Check<[u8]>) -> Kind {
    Kind::Text { expected, check }
}

/// Words whose type does its own checking.
pub(super) const fn words(expected: &'static str) -> Kind {
    Kind::Words { expected, check: |_| Ok(()) }
}

pub(super) const fn checked_words(expected: &'static str, check: Check<[Vec<u8>]>) -> Kind {
    Kind::Words { expected, check }
}

impl Kind {
    /// True if a line may hold more than one word after the name.
    pub fn takes_many(&self) -> bool {
        matches!(self, Self::Words { .. })
    }

    /// What a good value looks like, for error messages and the reference page.
    pub fn expected(&self) -> String {
        match self {
            Self::Bool => "yes or no".into(),
            Self::Integer { min, max, unit } => {
                let what = if unit.is_empty() { "an integer".into() } else { format!("{unit}, an integer") };
                format!("{what} from {min} to {max}")
            }
            Self::Octal { max } => format!("an octal number up to {max:o}"),
            Self::Memory { min: 0, .. } => "bytes, such as 104857600, 100mb or 1gb".into(),
            Self::Memory { min, .. } => format!("bytes, at least {min}, such as 100mb or 1gb"),
            Self::MemoryOrPercent => "bytes such as 100mb, or a percentage of maxmemory such as 5%".into(),
            Self::Choice(names) => format!("one of {}", names.join(", ")),
            Self::Text { expected, .. } | Self::Words { expected, .. } => (*expected).into(),
            Self::Secret => "text".into(),
        }
    }

    pub(super) fn number(&self, word: &[u8]) -> Result<i128, BadValue> {
        match *self {
            Self::Octal { max } => octal(word, max),
            Self::Memory { min, max } => {
                let bytes = memory_value(word).ok_or(BadValue::from("argument must be a memory value"))?;
                within(i128::from(bytes), min, max)
            }
            Self::Integer { min, max, .. } => {
                let number =
                    integer(word).ok_or(BadValue::from("argument couldn't be parsed into an integer"))?;
                within(i128::from(number), min, max)
            }
            _ => Err(BadValue::from("argument couldn't be parsed into an integer")),
        }
    }

    /// The position of `word` among the choices.
    pub(super) fn choice(&self, word: &[u8]) -> Result<usize, BadValue> {
        let Self::Choice(names) = *self else { return Err(BadValue::from("argument is not a choice")) };
        names.iter().position(|name| word.eq_ignore_ascii_case(name.as_bytes())).ok_or_else(|| {
            BadValue::from(format!("argument(s) must be one of the following: {}", names.join(", ")))
        })
    }

    pub(super) fn check_word(&self, word: &[u8]) -> Result<(), BadValue> {
        match self {
            Self::Text { check, .. } => check(word).map_err(BadValue::from),
            _ => Ok(()),
        }
    }

    pub(super) fn check_words(&self, words: &[Vec<u8>]) -> Result<(), BadValue> {
        match self {
            Self::Words { check, .. } => check(words).map_err(BadValue::from),
            _ => Ok(()),
        }
    }
}

fn within(number: i128, min: i128, max: i128) -> Result<i128, BadValue> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(BadValue::from(format!("argument must be between {min} and {max} inclusive")))
}

fn octal(word: &[u8], max: u32) -> Result<i128, BadValue> {
    let text = syntax::ascii(word).filter(|text| !text.starts_with('+'));
    let number = text.and_then(|text| u32::from_str_radix(text, 8).ok());
    let number = number.ok_or(BadValue::from("argument couldn't be parsed as an octal number"))?;
    if number > max {
        return Err(BadValue::from(format!("argument must be between 0 and {max:o} inclusive")));
    }
    Ok(i128::from(number))
}

/// A decimal in the one form Redis accepts: no sign `+`, no leading zero, no blank.
pub(super) fn integer(word: &[u8]) -> Option<i64> {
    let text = syntax::ascii(word)?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Bytes with an optional unit. The empty word is 0, as in Redis.
pub fn memory_value(word: &[u8]) -> Option<u64> {
    let digits_len = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = word.split_at(digits_len);
    if digits.is_empty() && !unit.is_empty() {
        return None;
    }
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1024,
        b"m" => 1000 * 1000,
        b"mb" => 1024 * 1024,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1024 * 1024 * 1024,
        _ => return None,
    };
    let add_digit = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add_digit).saturating_mul(factor))
}

/// The shortest exact way to write a number of bytes in a configuration file.
pub(super) fn memory_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
    let exact = UNITS.iter().find(|(size, _)| bytes != 0 && bytes.is_multiple_of(*size));
    exact.map_or_else(|| bytes.to_string(), |(size, unit)| format!("{}{unit}", bytes / size))
}
