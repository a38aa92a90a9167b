//! Numbers in requests and in values: what Redis takes for one, and its error for the rest.

use super::long_double::LongDouble;
use crate::error::{CommandError, before_nul};
use crate::store::parse_canonical;

/// An integer as every integer argument is read: the one decimal spelling of an i64.
#[inline]
pub(super) fn integer(arg: &[u8]) -> Result<i64, CommandError> {
    parse_canonical(arg).ok_or(CommandError::NotInteger)
}

/// An integer that is not below `min`, with an error of the command's own for all that is not.
pub(super) fn integer_within(arg: &[u8], min: i64, error: &CommandError) -> Result<usize, CommandError> {
    let number = parse_canonical(arg).filter(|&number| number >= min);
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| error.clone())
}

/// A float as INCRBYFLOAT and its kin read it. Infinities pass: they are refused where they would be stored.
pub(super) fn long_double(arg: &[u8]) -> Result<LongDouble, CommandError> {
    LongDouble::parse(arg).ok_or(CommandError::NotFloat)
}

/// A double as scores and weights are read. Infinities pass; numbers too large or too small for one do not.
#[inline]
pub(super) fn double(arg: &[u8]) -> Result<f64, CommandError> {
    if let Some(integer) = parse_canonical(arg) {
        return Ok(integer as f64);
    }
    strtod(arg).filter(|read| !read.out_of_range).map(|read| read.value).ok_or(CommandError::NotFloat)
}

/// A double with less care: C's string, blanks in front, nothing at all for 0, out of range for the nearest there is.
pub(super) fn lenient_double(arg: &[u8]) -> Option<f64> {
    c_double(arg).map(|read| read.value)
}

/// A double as SORT reads weights: with as little care, but one that C says is out of range is none.
pub(super) fn weight(text: &[u8]) -> Option<f64> {
    if let Some(integer) = parse_canonical(text) {
        return Some(integer as f64);
    }
    let read = c_double(text)?;
    // Hexadecimal digits can tell a number of few bits exactly, decimal ones would have to be hundreds.
    let is_inexact =
        read.value.is_subnormal() && !before_nul(text).iter().any(|byte| matches!(byte, b'x' | b'X'));
    (!read.out_of_range && !is_inexact).then_some(read.value)
}

fn c_double(arg: &[u8]) -> Option<Read> {
    let text = before_nul(arg);
    if text.is_empty() {
        return Some(Read { value: 0.0, out_of_range: false });
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | 0x09..=0x0D)).count();
    strtod(&text[blanks..])
}

/// What C's strtod makes of a text.
struct Read {
    value: f64,
    out_of_range: bool,
}

/// Reads a text that is a number from end to end, as strtod does in the C locale; NaN is none.
fn strtod(text: &[u8]) -> Option<Read> {
    let text = str::from_utf8(text).ok()?;
    let magnitude = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_hex = magnitude.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    let value = if is_hex { LongDouble::parse(text.as_bytes())?.to_f64() } else { text.parse().ok()? };
    if value.is_nan() {
        return None;
    }
    let mut digits = magnitude.bytes().take_while(|byte| !matches!(byte, b'e' | b'E' | b'p' | b'P'));
    let out_of_range = match value {
        0.0 => digits.any(|digit| matches!(digit, b'1'..=b'9')),
        _ => {
            value.is_infinite() && magnitude.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        }
    };
    Some(Read { value, out_of_range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_what_strtod_takes_whole() {
        let numbers = [
            ("1", 1.0),
            ("-0", -0.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            ("-0X1.8p-1", -0.75),
            ("4.9e-324", f64::from_bits(1)),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("9007199254740993", 9_007_199_254_740_992.0),
        ];
        for (text, number) in numbers {
            assert_eq!(double(text.as_bytes()).map(f64::to_bits), Ok(number.to_bits()), "{text}");
        }
        let texts = [
            "", " 1", "1 ", "nan", "1e", "0x", "--1", ".", "e5", "1e400", "-1e400", "1e-400", "0x1p2000",
            "1_0",
        ];
        for text in texts {
            assert!(double(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lenient_double_is_a_c_string() {
        let numbers = [
            (&b""[..], Some(0.0)),
            (b" \t1", Some(1.0)),
            (b"1\x00x", Some(1.0)),
            (b"1e400", Some(f64::INFINITY)),
            (b"1e-400", Some(0.0)),
            (b"  ", None),
            (b"1 ", None),
            (b"nan", None),
        ];
        for (text, number) in numbers {
            assert_eq!(lenient_double(text), number, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_weight_is_in_range() {
        let numbers = [
            (&b""[..], Some(0.0)),
            (b" 1", Some(1.0)),
            (b"12", Some(12.0)),
            (b"0x1p-1070", Some(f64::from_bits(16))),
            (b"inf", Some(f64::INFINITY)),
            (b"1e-310", None),
            (b"1e-400", None),
            (b"1e400", None),
            (b"1 ", None),
            (b" ", None),
        ];
        for (text, number) in numbers {
            assert_eq!(weight(text), number, "{}", text.escape_ascii());
        }
    }
}
