//! Protocol errors: requests that cannot be read, in Redis's words, and replies that cannot.
//!
//! After either the stream has no known next boundary: the connection must be closed.

use std::borrow::Cow;

use thiserror::Error;

/// A request that cannot be read. The client is sent [`ProtocolError::reply_text`] as an error,
/// then the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    #[error("too big inline request")]
    InlineTooBig,
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    #[error("too big mbulk count string")]
    MultibulkCountTooBig,
    #[error("invalid multibulk length")]
    InvalidMultibulkLength,
    #[error("unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    #[error("too big bulk count string")]
    BulkCountTooBig,
    /// Where an argument should start there is another byte.
    #[error("expected '$', got '{}'", .0.escape_ascii())]
    ExpectedBulk(u8),
    #[error("invalid bulk length")]
    InvalidBulkLength,
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// Redis closes the connection without a word here; its log has this line.
    #[error("client reached max query buffer length")]
    RequestTooBig,
}

impl ProtocolError {
    /// What the client is told, the error code included. Bytes, because the offending byte is
    /// repeated as it came; it may be CR or LF, which [`crate::Reply::error`] makes spaces.
    pub fn reply_text(self) -> Cow<'static, [u8]> {
        match self {
            Self::ExpectedBulk(byte) => {
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                text.extend_from_slice(&[byte, b'\'']);
                text.into()
            }
            other => format!("ERR Protocol error: {other}").into_bytes().into(),
        }
    }
}

/// A reply that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("no reply starts with '{}'", .0.escape_ascii())]
    UnknownType(u8),
    #[error("a reply's line has no end within {0} bytes")]
    LineTooLong(usize),
    #[error("a reply's length or number is malformed")]
    InvalidNumber,
    #[error("a reply's length is out of range")]
    LengthOutOfRange,
    #[error("CR LF expected behind a reply's bytes")]
    MissingTerminator,
    #[error("a null is \"_\", a boolean \"#t\" or \"#f\", a verbatim text has a three-byte format")]
    Malformed,
    #[error("replies nest deeper than {0}")]
    TooDeep(usize),
}
