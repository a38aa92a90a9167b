//! Words of a line, quoted so that [`split_words`](crate::split_words) reads them back.

/// `word` in double quotes, so that [`split_words`](crate::split_words) reads it back byte for byte.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split_words;

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
