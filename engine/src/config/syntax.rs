//! The syntax of a redis.conf line: words, quotes and escapes, and the way back.
//!
//! ```text
//! line   = blank* [word (blank+ word)*] blank*
//! word   = bare | "…" | '…'      a closing quote ends the word: only a blank or the end may follow
//! "…"    \n \r \t \b \a, \xHH (one byte), \c (c itself)
//! '…'    \' only
//! ```
//! Refused: a quote left open, anything glued to a closing quote. Words are bytes: no encoding is assumed.
//! Source: the behaviour of redis-server 7.0.15.

/// The words of `line`, or `None` if its quotes are not balanced.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = trim_start(line);
    while !rest.is_empty() {
        let (word, after) = next_word(rest)?;
        words.push(word);
        rest = trim_start(after);
    }
    Some(words)
}

/// One word, and what follows it. Quotes may open in the middle of a bare word, as in Redis.
fn next_word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = line;
    loop {
        match rest {
            [] => return Some((word, rest)),
            [byte, ..] if is_blank(*byte) => return Some((word, rest)),
            [b'"', after @ ..] => {
                return after_quote(double_quoted(after, &mut word)?).map(|rest| (word, rest));
            }
            [b'\'', after @ ..] => {
                return after_quote(single_quoted(after, &mut word)?).map(|rest| (word, rest));
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn after_quote(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| is_blank(*byte)).then_some(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_value(*high) << 4 | hex_value(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        word.push(byte);
        rest = after;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        word.push(byte);
        rest = after;
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// `word` in double quotes, so that `split_words` reads it back byte for byte.
pub fn quote(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in word {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'\t' => quoted.extend(b"\\t"),
            0x07 => quoted.extend(b"\\a"),
            0x08 => quoted.extend(b"\\b"),
            b' '..=b'~' => quoted.push(byte),
            _ => quoted.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

/// `word` as it stands if it is a bare word, else quoted.
pub fn quote_if_needed(word: &[u8]) -> Vec<u8> {
    let is_bare = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\#".contains(byte);
    if !word.is_empty() && word.iter().all(is_bare) { word.to_vec() } else { quote(word) }
}

/// `words` with one blank between, quoted where needed.
pub fn join_words(words: &[Vec<u8>]) -> Vec<u8> {
    words.iter().map(|word| quote_if_needed(word)).collect::<Vec<_>>().join(&b' ')
}

/// `line` without blanks and line ends at either side.
pub fn trim(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    trim_start(&line[..end])
}

/// `word` as text, if it is ASCII.
pub(super) fn ascii(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok().filter(|text| text.is_ascii())
}

fn trim_start(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
    &line[start..]
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}
