//! The syntax of a redis.conf line: words, quotes and escapes, and the way back.
//!
//! Reading and quoting are `bobbin-proto`'s, which splits inline requests by the same rules. Words are bytes: no
//! encoding is assumed. Source: the behaviour of redis-server 7.0.15.

pub use bobbin_proto::{join_words, quote, quote_if_needed};

/// The words of `line`, or `None` if its quotes are not balanced.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    bobbin_proto::split_words(line).ok()
}

/// `word` as text, if it is ASCII.
pub(super) fn ascii(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok().filter(|text| text.is_ascii())
}
