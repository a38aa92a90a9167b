//! Stream ids as arguments: `ms-seq`, `ms` alone, and what commands take beside.
//!
//! A part is read as C's strtoull reads it, as Redis does: blanks and a sign in front pass, a minus makes it count
//! down from 2^64. What follows a zero byte is not looked at.

use crate::error::{CommandError, before_nul};
use crate::store::encoding::stream::{NewId, StreamId};

const INVALID: CommandError =
    CommandError::text("ERR Invalid stream ID specified as stream command argument");
const BAD_START: CommandError = CommandError::text("ERR invalid start ID for the interval");
const BAD_END: CommandError = CommandError::text("ERR invalid end ID for the interval");

/// A longer argument is no id.
const LEN_MAX: usize = 127;

/// An id with `missing_seq` where it has no second part; `-` and `+` are none.
pub(super) fn strict(arg: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match before_nul(arg) {
        b"-" | b"+" => Err(INVALID),
        _ => lenient(arg, missing_seq),
    }
}

/// An id, `-` for the least or `+` for the greatest.
pub(super) fn lenient(arg: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match (before_nul(arg), arg.len()) {
        (_, LEN_MAX..) if arg.len() > LEN_MAX => Err(INVALID),
        (b"-", _) => Ok(StreamId::MIN),
        (b"+", _) => Ok(StreamId::MAX),
        (text, _) => parts(text, missing_seq).ok_or(INVALID),
    }
}

fn parts(text: &[u8], missing_seq: u64) -> Option<StreamId> {
    let (ms, seq) = split(text);
    Some(StreamId { ms: number(ms)?, seq: seq.map_or(Some(missing_seq), number)? })
}

/// What stands before the first dash, and behind it.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == b'-') {
        Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
        None => (text, None),
    }
}

/// The id that XADD is asked for: `*`, `ms-*`, or one in full.
pub(super) fn new_id(arg: &[u8]) -> Result<NewId, CommandError> {
    let text = before_nul(arg);
    match split(text) {
        (b"*", None) => Ok(NewId::Auto),
        (ms, Some(b"*")) if arg.len() <= LEN_MAX => number(ms).map(NewId::Within).ok_or(INVALID),
        _ => strict(arg, 0).map(NewId::Exactly),
    }
}

/// The first id of an interval: an id, `-`, or `(id` for what is behind it.
pub(super) fn interval_start(arg: &[u8]) -> Result<StreamId, CommandError> {
    match arg {
        [b'(', id @ ..] if !id.is_empty() => strict(id, 0)?.next().ok_or(BAD_START),
        _ => lenient(arg, 0),
    }
}

/// The last id of an interval: an id, `+`, or `(id` for what is before it.
pub(super) fn interval_end(arg: &[u8]) -> Result<StreamId, CommandError> {
    match arg {
        [b'(', id @ ..] if !id.is_empty() => strict(id, u64::MAX)?.prev().ok_or(BAD_END),
        _ => lenient(arg, u64::MAX),
    }
}

/// Ids one after the other, all of them right.
pub(super) fn list<'a>(args: impl Iterator<Item = &'a [u8]>) -> Result<Vec<StreamId>, CommandError> {
    args.map(|arg| strict(arg, 0)).collect()
}

/// What C's strtoull makes of a whole text.
fn number(text: &[u8]) -> Option<u64> {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | 0x09..=0x0D)).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    // A plain negative number is refused; one in any other spelling wraps.
    let plain = blanks == 0 && digits[0] != b'0' && i64::try_from(magnitude).is_ok();
    match negative {
        false => Some(magnitude),
        true if plain => None,
        true => Some(magnitude.wrapping_neg()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> Result<StreamId, CommandError> {
        Ok(StreamId::new(ms, seq))
    }

    #[test]
    fn ids_are_read_as_strtoull_does() {
        assert_eq!(strict(b"1-2", 9), id(1, 2));
        assert_eq!(strict(b"1", 9), id(1, 9));
        assert_eq!(strict(b" 1-\t+2", 9), id(1, 2));
        assert_eq!(strict(b"007-00", 9), id(7, 0));
        assert_eq!(strict(b"1-2\x00-3", 9), id(1, 2));
        assert_eq!(strict(b"1--02", 9), id(1, u64::MAX - 1));
        assert_eq!(strict(b"18446744073709551615-18446744073709551615", 0), Ok(StreamId::MAX));
        for text in [
            &b""[..],
            b"-",
            b"+",
            b"-1",
            b"1-",
            b"1--2",
            b"x",
            b"1-x",
            b"1-2-3",
            b"1 -2",
            b"18446744073709551616",
        ] {
            assert_eq!(strict(text, 0), Err(INVALID), "{}", text.escape_ascii());
        }
        assert_eq!(strict(&[b'0'; 127], 0), id(0, 0));
        assert_eq!(strict(&[b'0'; 128], 0), Err(INVALID));
    }

    #[test]
    fn intervals_may_exclude_their_ends() {
        assert_eq!(interval_start(b"-"), Ok(StreamId::MIN));
        assert_eq!(interval_end(b"+"), Ok(StreamId::MAX));
        assert_eq!(interval_start(b"5"), id(5, 0));
        assert_eq!(interval_end(b"5"), id(5, u64::MAX));
        assert_eq!(interval_start(b"(5"), id(5, 1));
        assert_eq!(interval_end(b"(5-0"), id(4, u64::MAX));
        assert_eq!(interval_end(b"(0-0"), Err(BAD_END));
        assert_eq!(interval_start(b"(18446744073709551615-18446744073709551615"), Err(BAD_START));
        assert_eq!(interval_start(b"(-"), Err(INVALID));
        assert_eq!(interval_start(b"("), Err(INVALID));
    }

    #[test]
    fn new_ids_may_leave_the_number_open() {
        assert_eq!(new_id(b"*"), Ok(NewId::Auto));
        assert_eq!(new_id(b"5-*"), Ok(NewId::Within(5)));
        assert_eq!(new_id(b"5"), Ok(NewId::Exactly(StreamId::new(5, 0))));
        for text in [&b"*-1"[..], b"**", b"-*", b"5-**", b"+", b"-"] {
            assert_eq!(new_id(text), Err(INVALID), "{}", text.escape_ascii());
        }
    }
}
