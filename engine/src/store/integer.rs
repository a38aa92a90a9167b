//! Strings that are numbers: which byte strings an i64 stands for exactly.

/// The longest canonical i64, in bytes.
const DIGITS_MAX: usize = 20;

/// The number whose only decimal spelling is `bytes`: no sign but `-`, no leading zeros, no spaces, in range.
#[inline]
pub fn parse_canonical(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [] => return None,
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if bytes.len() > DIGITS_MAX {
        return None;
    }
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let magnitude = parse_digits(digits)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    let mut magnitude = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_canonical_spelling_is_a_number() {
        let numbers = ["0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808"];
        for text in numbers {
            assert_eq!(parse_canonical(text.as_bytes()), text.parse().ok(), "{text}");
        }
        let texts = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1a",
            "a",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "123456789012345678901",
        ];
        for text in texts {
            assert_eq!(parse_canonical(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number: i64) {
            prop_assert_eq!(parse_canonical(number.to_string().as_bytes()), Some(number));
        }

        #[test]
        fn a_parsed_text_prints_as_it_was(text in "[-+0-9a ]{0,21}") {
            if let Some(number) = parse_canonical(text.as_bytes()) {
                prop_assert_eq!(number.to_string(), text);
            }
        }
    }
}
