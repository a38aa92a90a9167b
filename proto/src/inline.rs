//! Inline requests: one line, split into arguments by the quoting rules of Redis's `sdssplitargs`.
//!
//! - Blanks (space, tab, LF, VT, FF, CR) separate arguments; inside one, VT and FF are bytes like
//!   any other.
//! - `"…"` knows `\n` `\r` `\t` `\b` `\a`, `\xHH`, and a backslash before any other byte for that
//!   byte. `'…'` knows `\'` alone.
//! - A quotation may open inside an argument (`a"b c"`), but where it closes the argument ends: a
//!   blank or the line's end must follow.
//!
//! Redis takes lines for C strings and waits for ever for the end of one that holds a NUL. Here
//! NUL is a byte like any other.

use crate::{ProtocolError, Span};

/// Splits `line` (without its line end) into `args`, replaced by the arguments' bytes one behind
/// the other, and `spans`, where each is to be found in `args`.
pub(crate) fn split(line: &[u8], args: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), ProtocolError> {
    args.clear();
    // No argument is longer than what it was typed as.
    args.reserve(line.len());
    let mut rest = line.trim_start_by_blanks();
    while !rest.is_empty() {
        let start = args.len();
        rest = argument(rest, args)?.trim_start_by_blanks();
        spans.push(Span::new(start, args.len() - start));
    }
    Ok(())
}

/// The arguments of `line`, each for itself. Configuration files are written by the same rules.
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_by_blanks();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = argument(rest, &mut word)?.trim_start_by_blanks();
        words.push(word);
    }
    Ok(words)
}

/// Takes one argument off the front of `rest`; returns what follows it.
fn argument<'a>(mut rest: &'a [u8], args: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => return end_of_quotation(double_quoted(tail, args)?),
            b'\'' => return end_of_quotation(single_quoted(tail, args)?),
            _ => args.push(byte),
        }
        rest = tail;
    }
    Ok(rest)
}

fn end_of_quotation(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(byte) if !is_blank(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

/// `rest` starts behind the opening quote, what is returned behind the closing one.
fn double_quoted<'a>(mut rest: &'a [u8], args: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, tail @ ..] if is_hex(*high) && is_hex(*low) => {
                args.push(hex_value(*high) << 4 | hex_value(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                args.push(unescaped(*escaped));
                tail
            }
            [b'"', tail @ ..] => return Ok(tail),
            [byte, tail @ ..] => {
                args.push(*byte);
                tail
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        };
    }
}

/// As [`double_quoted`].
fn single_quoted<'a>(mut rest: &'a [u8], args: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [b'\\', b'\'', tail @ ..] => {
                args.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return Ok(tail),
            [byte, tail @ ..] => {
                args.push(*byte);
                tail
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        };
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Of a hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// C's `isspace` in the C locale.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

trait TrimBlanks {
    fn trim_start_by_blanks(&self) -> &Self;
}

impl TrimBlanks for [u8] {
    fn trim_start_by_blanks(&self) -> &Self {
        let blanks = self.iter().take_while(|byte| is_blank(**byte)).count();
        &self[blanks..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_to_vec(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let (mut args, mut spans) = (b"left over".to_vec(), Vec::new());
        split(line, &mut args, &mut spans)?;
        assert!(args.len() <= line.len(), "what was there before is gone");
        Ok(spans.iter().map(|span| span.of(&args).to_vec()).collect())
    }

    /// Every row is what `redis-server` 7.0.15 made of the line.
    #[test]
    fn lines_split_as_redis_splits_them() {
        let rows: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t\x0b\x0c\r ", &[]),
            (b"PING", &[b"PING"]),
            (b"\x0bECHO\ta ", &[b"ECHO", b"a"]),
            (b"ECHO a\rb", &[b"ECHO", b"a", b"b"]),
            (b"ECHO a\x0b\x0cb", &[b"ECHO", b"a\x0b\x0cb"]),
            (b"ECHO a\x0b \x0cb", &[b"ECHO", b"a\x0b", b"b"]),
            (b"\"\"", &[b""]),
            (b"ECHO \"\" ''", &[b"ECHO", b"", b""]),
            (b"ECHO a\"b c\"", &[b"ECHO", b"ab c"]),
            (b"ECHO a'b c' d", &[b"ECHO", b"ab c", b"d"]),
            (b"ECHO \"a\"\x0b'b'", &[b"ECHO", b"a", b"b"]),
            (b"ECHO \"a\rb\"", &[b"ECHO", b"a\rb"]),
            (b"ECHO \"\\x41\\xfF\\xzz\\x4\"", &[b"ECHO", b"A\xffxzzx4"]),
            (b"ECHO \"\\n\\r\\t\\b\\a\\q\\\"\\\\\\'\"", &[b"ECHO", b"\n\r\t\x08\x07q\"\\'"]),
            (b"ECHO 'a\\'b\\n\"'", &[b"ECHO", b"a'b\\n\""]),
            (b"ECHO \\x41", &[b"ECHO", b"\\x41"]),
            (b"ECHO \x80\xff", &[b"ECHO", b"\x80\xff"]),
        ];
        for (line, args) in rows {
            assert_eq!(split_to_vec(line).expect("balanced"), *args, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn quotes_that_do_not_balance_are_refused() {
        let rows: &[&[u8]] = &[
            b"\"",
            b"'",
            b"ECHO \"a",
            b"ECHO 'a",
            b"ECHO \"a\"b",
            b"ECHO 'a'b",
            b"ECHO 'a''b'",
            b"ECHO \"a\\",
            b"ECHO \"a\\\"",
            b"ECHO 'a\\'",
            b"ECHO a\\\"b",
            b"ECHO \"a\"\x85",
        ];
        for line in rows {
            assert_eq!(split_to_vec(line), Err(ProtocolError::UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }
}
