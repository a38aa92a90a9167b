//! The syntax of a redis.conf line: words, quotes and escapes, and the way back.
//!
//! Reading is `bobbin-proto`'s, which splits inline requests by the same rules. Words are bytes: no encoding is
//! assumed. Source: the behaviour of redis-server 7.0.15.

/// The words of `line`, or `None` if its quotes are not balanced.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    bobbin_proto::split_words(line).ok()
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

/// `word` as text, if it is ASCII.
pub(super) fn ascii(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok().filter(|text| text.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_quoting() {
        let all: Vec<u8> = (0..=255).collect();
        for word in [all.as_slice(), b"", b" ", b"#", b"plain", b"'", b"a\"b"] {
            assert_eq!(split_words(&quote(word)).unwrap(), [word]);
            assert_eq!(split_words(&quote_if_needed(word)).unwrap(), [word]);
        }
    }

    #[test]
    fn only_words_that_need_it_are_quoted() {
        assert_eq!(join_words(&[b"a-b".to_vec(), b"".to_vec(), b"c d".to_vec()]), b"a-b \"\" \"c d\"");
    }
}
