//! What can go wrong with a command, and the one place where that becomes RESP text.

use std::borrow::Cow;

use bobbin_proto::Reply;

/// An error answered to the client. Texts are Redis's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    #[error("ERR value is not a valid float")]
    NotFloat,
    #[error("ERR no such key")]
    NoSuchKey,
    #[error("ERR index out of range")]
    IndexOutOfRange,
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    #[error("NOAUTH Authentication required.")]
    NoAuth,
    /// The keys are not for the node that is asked: what a cluster says then, with its code in front. EXEC answers it as
    /// it is.
    #[error("{0}")]
    Redirected(Cow<'static, str>),
    /// Any other, with its code in front.
    #[error("{0}")]
    Text(Cow<'static, str>),
    /// The same, with bytes of the request in it.
    #[error("{}", String::from_utf8_lossy(.0))]
    Quoting(Vec<u8>),
}

impl CommandError {
    /// A fixed text, with its code in front.
    pub const fn text(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// A text made for the occasion, with its code in front.
    pub fn owned(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// A text with bytes of the request between, as far as C would print them; line ends behind it all are left out.
    #[cold]
    pub fn quoting(before: impl AsRef<[u8]>, quoted: &[u8], after: impl AsRef<[u8]>) -> Self {
        let mut text = [before.as_ref(), before_nul(quoted), after.as_ref()].concat();
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        text.truncate(text.iter().rposition(|byte| !is_line_end(byte)).map_or(0, |last| last + 1));
        Self::Quoting(text)
    }

    /// Writes the error reply.
    #[cold]
    pub fn write(&self, reply: &mut Reply<'_>) {
        match self {
            Self::Quoting(text) => reply.error(text),
            other => reply.error(other.to_string()),
        }
    }
}

/// Client bytes for a text: as far as C would print them, and what is not UTF-8 is replaced.
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(before_nul(bytes))
}

/// The most bytes of an argument that Redis quotes where it bounds them.
pub const QUOTED_MAX: usize = 128;

/// The beginning of an argument, as long as Redis quotes it where it bounds that.
pub fn beginning(arg: &[u8]) -> &[u8] {
    &arg[..arg.len().min(QUOTED_MAX)]
}

/// What C takes for a string: the bytes up to the first that is zero.
pub fn before_nul(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&byte| byte == 0).map_or(bytes, |end| &bytes[..end])
}
