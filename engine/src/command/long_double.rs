//! The 80-bit floating point numbers that Redis counts with: C's `long double` on x86-64.
//!
//! INCRBYFLOAT adds in this format and prints the sum with 17 decimals, so its digits cannot be had from an `f64`.
//! Reading, adding and printing are exact up to one rounding, to the nearest and half to even, over integers as large
//! as it takes. (`rustc_apfloat`, which has the format, loses its denormals and its largest exponent.)
//!
//! Accepts what `strtold` accepts in the C locale, less what Redis refuses: leading blanks, NaN, 5 KiB and more,
//! and what is out of range, be it too large or so small that it would be zero.
//!
//! Source: the behaviour of redis-server 7.0.15 on x86-64.

use std::fmt;

use num_bigint::BigUint;

/// Texts from here on are refused, as Redis does.
const TEXT_LEN_END: usize = 5 * 1024;
/// Digits behind the point that are printed.
const DECIMALS: usize = 17;
const DECIMALS_POWER: u64 = 10u64.pow(DECIMALS as u32);
/// Exponents larger than any that matters, whatever digits they go with.
const EXPONENT_END: i32 = 100_000;
/// Decimal exponents of a first digit beyond which every number is too large or too small.
const DECIMAL_EXPONENT_MAX: i32 = 5000;

const SIGNIFICAND_BITS: i32 = 64;
/// Power of the last bit of the largest numbers, and of the smallest.
const POWER_MAX: i32 = 16_383 - (SIGNIFICAND_BITS - 1);
const POWER_MIN: i32 = -16_382 - (SIGNIFICAND_BITS - 1);

/// `significand * 2^power`. The significand's first bit is set, unless the power is the smallest there is. A power
/// beyond the largest means infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongDouble {
    negative: bool,
    significand: u64,
    power: i32,
}

impl LongDouble {
    pub(super) const ZERO: Self = Self { negative: false, significand: 0, power: POWER_MIN };
    const INFINITY: Self = Self { negative: false, significand: 0, power: POWER_MAX + 1 };

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_LEN_END {
            return None;
        }
        let (negative, magnitude) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let value = if is_infinity(magnitude) {
            Self::INFINITY
        } else {
            parse_magnitude(str::from_utf8(magnitude).ok()?)?
        };
        Some(Self { negative, ..value })
    }

    /// The sum, if it is a number and finite.
    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        /// Bits by which a significand is moved up at most: with the rest's and the carry's an i128 is full.
        const ROOM: u32 = 125 - SIGNIFICAND_BITS as u32;
        let (large, small) = if self.power >= other.power { (self, other) } else { (other, self) };
        if large.is_infinite() {
            return None;
        }
        // The larger is moved up as far as there is room, what the smaller has below that counts as a rest.
        let distance = large.power.abs_diff(small.power);
        let up = distance.min(ROOM);
        let down = distance - up;
        let kept = small.significand.checked_shr(down).unwrap_or(0);
        let rest = small.significand != kept.checked_shl(down).unwrap_or(0);
        let large_units = i128::from(large.significand) << up;
        // A rest is one more unit below those kept: it breaks ties, and no more, as the units are many.
        let small_units = i128::from(kept) << 1 | i128::from(rest);
        let sum = large.signed(large_units << 1) + small.signed(small_units);
        let negative = if sum == 0 { self.negative && other.negative } else { sum < 0 };
        let power = large.power - up as i32 - 1;
        let sum = Self { negative, ..Self::round(sum.unsigned_abs(), false, power) };
        (!sum.is_infinite()).then_some(sum)
    }

    /// The double next to it, from zero to infinity.
    pub(super) fn to_f64(self) -> f64 {
        // In two steps: a power of two that is itself out of range would lose a number that is not.
        let half = self.power / 2;
        let magnitude = self.significand as f64 * 2f64.powi(half) * 2f64.powi(self.power - half);
        if self.negative { -magnitude } else { magnitude }
    }

    fn signed(self, magnitude: i128) -> i128 {
        if self.negative { -magnitude } else { magnitude }
    }

    pub(super) fn is_infinite(self) -> bool {
        self.power > POWER_MAX
    }

    /// The number next to `magnitude * 2^power`; with a `rest`, to that and something smaller than its last bit. The
    /// magnitude must have more bits than the significand if there is a rest.
    fn round(magnitude: u128, rest: bool, power: i32) -> Self {
        let bits = 128 - magnitude.leading_zeros() as i32;
        let shift = (bits - SIGNIFICAND_BITS).max(POWER_MIN - power);
        if shift <= 0 {
            let significand = (magnitude << shift.unsigned_abs()) as u64;
            return Self::normal(significand, power + shift);
        }
        let rounded = shifted_right(magnitude, rest, shift.unsigned_abs());
        match u64::try_from(rounded) {
            Ok(significand) => Self::normal(significand, power + shift),
            // Rounded up to a bit more.
            Err(_) => Self::normal(1 << (SIGNIFICAND_BITS - 1), power + shift + 1),
        }
    }

    fn normal(significand: u64, power: i32) -> Self {
        match significand {
            0 => Self::ZERO,
            _ if power > POWER_MAX => Self::INFINITY,
            _ => Self { negative: false, significand, power },
        }
    }

    /// The number next to `magnitude * 2^power`, and something more if there is a `rest`.
    fn round_big(magnitude: &BigUint, rest: bool, power: i32) -> Self {
        let excess = magnitude.bits().saturating_sub(128);
        let rest = rest || magnitude.trailing_zeros().is_some_and(|zeros| zeros < excess);
        let kept = magnitude >> excess;
        let kept = kept.iter_u64_digits().rev().fold(0u128, |all, digit| all << 64 | u128::from(digit));
        Self::round(kept, rest, power + excess as i32)
    }
}

impl From<i64> for LongDouble {
    fn from(value: i64) -> Self {
        Self { negative: value < 0, ..Self::round(value.unsigned_abs().into(), false, 0) }
    }
}

/// C's `%.17Lf` without the zeros at its end; minus zero is zero.
impl fmt::Display for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(!self.is_infinite());
        let (integer, decimals) = decimal_parts(self.significand, self.power);
        if self.negative && (integer != "0" || decimals != 0) {
            f.write_str("-")?;
        }
        f.write_str(&integer)?;
        if decimals == 0 {
            return Ok(());
        }
        let digits = format!("{decimals:0DECIMALS$}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

fn is_infinity(magnitude: &[u8]) -> bool {
    [b"inf".as_slice(), b"infinity"].iter().any(|name| magnitude.eq_ignore_ascii_case(name))
}

/// A decimal or hexadecimal number without a sign, that is finite and not rounded to zero.
fn parse_magnitude(text: &str) -> Option<LongDouble> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (number, exponent_sign) = hex.map_or((text, ['e', 'E']), |digits| (digits, ['p', 'P']));
    let (mantissa, exponent) = match number.find(exponent_sign) {
        Some(at) => (&number[..at], parse_exponent(&number[at + 1..])?),
        None => (number, 0),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [integer, fraction].concat();
    let radix = if hex.is_some() { 16 } else { 10 };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = BigUint::parse_bytes(digits.as_bytes(), radix)?;
    if magnitude == BigUint::ZERO {
        return Some(LongDouble::ZERO);
    }
    let fraction_len = fraction.len() as i32;
    let value = if hex.is_some() {
        LongDouble::round_big(&magnitude, false, exponent - 4 * fraction_len)
    } else {
        from_decimal(magnitude, exponent - fraction_len)?
    };
    (!value.is_infinite() && value.significand != 0).then_some(value)
}

/// Beyond [`EXPONENT_END`] one exponent is like another.
fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.chars().try_fold(0, |value: i32, digit| {
        let digit = digit.to_digit(10)?;
        Some((value * 10 + digit as i32).min(EXPONENT_END))
    })?;
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// The number next to `magnitude * 10^exponent`; None if it is far out of range.
fn from_decimal(magnitude: BigUint, exponent: i32) -> Option<LongDouble> {
    /// Bits of a quotient, so that what is left can only break a tie.
    const QUOTIENT_BITS: u64 = 127;
    let digits = (magnitude.bits() * 3 / 10) as i32;
    if (digits + exponent).abs() > DECIMAL_EXPONENT_MAX {
        return None;
    }
    let scale = BigUint::from(10u32).pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return Some(LongDouble::round_big(&(magnitude * scale), false, 0));
    }
    let up = (QUOTIENT_BITS + scale.bits()).saturating_sub(magnitude.bits());
    let raised = magnitude << up;
    let quotient = &raised / &scale;
    let rest = &quotient * &scale != raised;
    Some(LongDouble::round_big(&quotient, rest, -(up as i32)))
}

/// Integer part and 17 decimals of `significand * 2^power`, rounded half to even.
fn decimal_parts(significand: u64, power: i32) -> (String, u64) {
    let shift = power.unsigned_abs();
    if power >= 0 {
        return ((BigUint::from(significand) << shift).to_string(), 0);
    }
    let integer = significand.checked_shr(shift).unwrap_or(0);
    let fraction = significand - integer.checked_shl(shift).unwrap_or(0);
    // Below 2^64 * 10^17, so below 2^121.
    let scaled = u128::from(fraction) * u128::from(DECIMALS_POWER);
    let decimals = shifted_right(scaled, false, shift) as u64;
    if decimals == DECIMALS_POWER { ((integer + 1).to_string(), 0) } else { (integer.to_string(), decimals) }
}

/// `value / 2^shift`, rounded half to even; a `rest` makes the value a little larger. `shift` is 1 or more.
fn shifted_right(value: u128, rest: bool, shift: u32) -> u128 {
    if shift > u128::BITS {
        return 0;
    }
    let quotient = value.checked_shr(shift).unwrap_or(0);
    let remainder = value - quotient.checked_shl(shift).unwrap_or(0);
    let half = 1 << (shift - 1);
    let up = remainder > half || remainder == half && (rest || quotient & 1 == 1);
    quotient + u128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(text: &str) -> Option<String> {
        LongDouble::parse(text.as_bytes()).map(|value| value.to_string())
    }

    #[test]
    fn what_strtold_takes_is_taken() {
        let pairs = [
            ("0", "0"),
            ("-0", "0"),
            ("+1", "1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0x10", "16"),
            ("0X1.8p-1", "0.75"),
            ("1e5", "100000"),
            ("1E+2", "100"),
            ("-1e-17", "-0.00000000000000001"),
            ("6e-18", "0.00000000000000001"),
            ("5e-18", "0"),
            ("0e999999999999", "0"),
            ("0.1", "0.1"),
            ("3.0e3", "3000"),
        ];
        for (text, expected) in pairs {
            assert_eq!(printed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_redis_refuses_is_refused() {
        let texts = [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "0x",
            "0x.",
            "0x1p",
            "1 ",
            " 1",
            "--1",
            "1.2.3",
            "1_0",
            "nan",
            "nan(1)",
            "infinit",
            "1e5000",
            "1e-5000",
            "0x1p99999999999",
            "0x1p-99999999999",
            "1f",
            "é",
        ];
        for text in texts {
            assert_eq!(printed(text), None, "{text}");
        }
        assert!(printed(&"0".repeat(TEXT_LEN_END - 1)).is_some());
        assert_eq!(printed(&"0".repeat(TEXT_LEN_END)), None);
    }

    #[test]
    fn infinities_are_read_but_not_added() {
        for text in ["inf", "-inf", "Infinity", "+INF"] {
            let infinity = LongDouble::parse(text.as_bytes()).expect("a number");
            assert_eq!(infinity.checked_add(LongDouble::ZERO), None, "{text}");
        }
    }

    #[test]
    fn the_largest_is_printed_in_full() {
        let largest = printed("0x1.fffffffffffffffep16383").expect("finite");
        assert_eq!(largest.len(), 4933);
        assert!(largest.starts_with("11897314953572317650") && largest.ends_with("2086811989770240"));
    }

    proptest! {
        #[test]
        fn integers_come_back(value: i64) {
            prop_assert_eq!(LongDouble::from(value).to_string(), value.to_string());
        }

        #[test]
        fn no_text_panics(text in "[-+]?(0x)?[0-9a-f.]{0,40}([pPeE][-+]?[0-9]{0,6})?") {
            if let Some(value) = LongDouble::parse(text.as_bytes()).filter(|value| !value.is_infinite()) {
                prop_assert!(!value.to_string().is_empty());
            }
        }

        /// Where a double is enough, the standard library knows the answer.
        #[test]
        fn doubles_are_added_as_doubles(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000_000i64..1_000_000_000) {
            let (a, b) = (a as f64 / 1024.0, b as f64 / 1024.0);
            let sum = LongDouble::parse(a.to_string().as_bytes())
                .and_then(|x| x.checked_add(LongDouble::parse(b.to_string().as_bytes())?))
                .expect("finite");
            prop_assert_eq!(sum.to_string(), (a + b).to_string());
        }
    }
}
