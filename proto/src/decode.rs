//! Replies as a client reads them: all types of RESP2 and RESP3, kept apart.
//!
//! [`skip`] measures a reply without building it, [`decode`] builds it; both read the same bytes as
//! the same reply, and refuse the same ones.
//!
//! Refused: replies that nest deeper than [`DEPTH_MAX`], and RESP3's streamed strings and
//! aggregates (`$?`, `*?`), which Redis does not send.

use memchr::memchr;

use crate::DecodeError;

/// How deep replies may nest: Redis's own do not pass ten, a script's not a hundred.
pub const DEPTH_MAX: usize = 128;

/// The longest a header, status, error or number may be.
const LINE_LEN_MAX: usize = 1 << 20;
/// A length no reply of Redis passes; it keeps sums of lengths from overflowing.
const LEN_MAX: i64 = i64::MAX >> 8;
const TERMINATOR: &[u8] = b"\r\n";

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`
    Simple(Vec<u8>),
    /// `-`, its code included
    Error(Vec<u8>),
    /// `:`
    Int(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*`
    Array(Vec<Value>),
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `#`
    Bool(bool),
    /// `,`
    Double(f64),
    /// `(`
    BigNumber(Vec<u8>),
    /// `!`
    BulkError(Vec<u8>),
    /// `=`
    Verbatim { format: [u8; 3], text: Vec<u8> },
    /// `%`
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `>`
    Push(Vec<Value>),
    /// `|`, with the reply it comes before
    Attribute { pairs: Vec<(Value, Value)>, of: Box<Value> },
}

/// The reply at the front of `buf` and its length; `None` if it has not all arrived.
pub fn decode(buf: &[u8]) -> Result<Option<(Value, usize)>, DecodeError> {
    let mut reader = Reader { buf, at: 0 };
    let value = reader.value(0)?;
    Ok(value.map(|value| (value, reader.at)))
}

/// The length of the reply at the front of `buf`; `None` if it has not all arrived.
pub fn skip(buf: &[u8]) -> Result<Option<usize>, DecodeError> {
    let mut reader = Reader { buf, at: 0 };
    let whole = reader.skip(0)?;
    Ok(whole.map(|()| reader.at))
}

/// What a reply's first line says.
enum Head<'a> {
    /// The reply is its line.
    Leaf(Leaf<'a>),
    /// So many bytes follow, with a line end behind.
    Bytes(Kind, usize),
    /// So many replies follow.
    Replies(Kind, usize),
}

enum Leaf<'a> {
    Simple(&'a [u8]),
    Error(&'a [u8]),
    Int(i64),
    NullBulk,
    NullArray,
    Null,
    Bool(bool),
    Double(f64),
    BigNumber(&'a [u8]),
}

#[derive(Clone, Copy)]
enum Kind {
    Bulk,
    BulkError,
    Verbatim,
    Array,
    Set,
    Push,
    Map,
    /// The reply it belongs to is the last of those that follow.
    Attribute,
}

struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, DecodeError> {
        let value = match self.head(depth)? {
            None => return Ok(None),
            Some(Head::Leaf(leaf)) => leaf.to_value(),
            Some(Head::Bytes(kind, len)) => match self.bytes(kind, len)? {
                None => return Ok(None),
                Some(bytes) => bytes_to_value(kind, bytes),
            },
            Some(Head::Replies(kind, count)) => {
                // A reply takes three bytes at least: what is announced is not taken on trust.
                let mut replies = Vec::with_capacity(count.min((self.buf.len() - self.at) / 3));
                for _ in 0..count {
                    match self.value(depth + 1)? {
                        None => return Ok(None),
                        Some(reply) => replies.push(reply),
                    }
                }
                replies_to_value(kind, replies)
            }
        };
        Ok(Some(value))
    }

    fn skip(&mut self, depth: usize) -> Result<Option<()>, DecodeError> {
        match self.head(depth)? {
            None => Ok(None),
            Some(Head::Leaf(_)) => Ok(Some(())),
            Some(Head::Bytes(kind, len)) => Ok(self.bytes(kind, len)?.map(|_| ())),
            Some(Head::Replies(_, count)) => {
                for _ in 0..count {
                    if self.skip(depth + 1)?.is_none() {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            }
        }
    }

    fn head(&mut self, depth: usize) -> Result<Option<Head<'a>>, DecodeError> {
        let Some(&kind) = self.buf.get(self.at) else {
            return Ok(None);
        };
        if !b"+-:$*_#,(!=%~>|".contains(&kind) {
            return Err(DecodeError::UnknownType(kind));
        }
        let Some(line) = self.line()? else {
            return Ok(None);
        };
        let head = match kind {
            b'+' => Head::Leaf(Leaf::Simple(line)),
            b'-' => Head::Leaf(Leaf::Error(line)),
            b':' => Head::Leaf(Leaf::Int(number(line)?)),
            b'$' if line == b"-1" => Head::Leaf(Leaf::NullBulk),
            b'*' if line == b"-1" => Head::Leaf(Leaf::NullArray),
            b'_' if line.is_empty() => Head::Leaf(Leaf::Null),
            b'#' if line == b"t" => Head::Leaf(Leaf::Bool(true)),
            b'#' if line == b"f" => Head::Leaf(Leaf::Bool(false)),
            b',' => Head::Leaf(Leaf::Double(double(line)?)),
            b'(' => Head::Leaf(Leaf::BigNumber(big_number(line)?)),
            b'_' | b'#' => return Err(DecodeError::Malformed),
            b'$' => Head::Bytes(Kind::Bulk, length(line)?),
            b'!' => Head::Bytes(Kind::BulkError, length(line)?),
            b'=' => Head::Bytes(Kind::Verbatim, length(line)?),
            b'~' => Head::Replies(Kind::Set, length(line)?),
            b'>' => Head::Replies(Kind::Push, length(line)?),
            b'%' => Head::Replies(Kind::Map, 2 * length(line)?),
            b'|' => Head::Replies(Kind::Attribute, 2 * length(line)? + 1),
            _ => Head::Replies(Kind::Array, length(line)?),
        };
        if matches!(head, Head::Replies(..)) && depth == DEPTH_MAX {
            return Err(DecodeError::TooDeep(DEPTH_MAX));
        }
        Ok(Some(head))
    }

    /// The rest of the line behind the type byte at `at`, without its end.
    fn line(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let rest = &self.buf[self.at + 1..];
        let window = &rest[..rest.len().min(LINE_LEN_MAX + 1)];
        let Some(len) = memchr(b'\r', window) else {
            return if window.len() > LINE_LEN_MAX {
                Err(DecodeError::LineTooLong(LINE_LEN_MAX))
            } else {
                Ok(None)
            };
        };
        match rest.get(len + 1) {
            None => Ok(None),
            Some(b'\n') => {
                self.at += 1 + len + TERMINATOR.len();
                Ok(Some(&rest[..len]))
            }
            Some(_) => Err(DecodeError::MissingTerminator),
        }
    }

    /// The `len` bytes at `at`, and their end.
    fn bytes(&mut self, kind: Kind, len: usize) -> Result<Option<&'a [u8]>, DecodeError> {
        let rest = &self.buf[self.at..];
        let Some(end) = rest.get(len..len + TERMINATOR.len()) else {
            return Ok(None);
        };
        if end != TERMINATOR {
            return Err(DecodeError::MissingTerminator);
        }
        let bytes = &rest[..len];
        if matches!(kind, Kind::Verbatim) && bytes.get(3) != Some(&b':') {
            return Err(DecodeError::Malformed);
        }
        self.at += len + TERMINATOR.len();
        Ok(Some(bytes))
    }
}

impl Leaf<'_> {
    fn to_value(&self) -> Value {
        match *self {
            Leaf::Simple(text) => Value::Simple(text.to_vec()),
            Leaf::Error(text) => Value::Error(text.to_vec()),
            Leaf::Int(value) => Value::Int(value),
            Leaf::NullBulk => Value::NullBulk,
            Leaf::NullArray => Value::NullArray,
            Leaf::Null => Value::Null,
            Leaf::Bool(value) => Value::Bool(value),
            Leaf::Double(value) => Value::Double(value),
            Leaf::BigNumber(digits) => Value::BigNumber(digits.to_vec()),
        }
    }
}

fn bytes_to_value(kind: Kind, bytes: &[u8]) -> Value {
    match (kind, bytes) {
        (Kind::Verbatim, [a, b, c, b':', text @ ..]) => {
            Value::Verbatim { format: [*a, *b, *c], text: text.to_vec() }
        }
        (Kind::BulkError, text) => Value::BulkError(text.to_vec()),
        (_, bytes) => Value::Bulk(bytes.to_vec()),
    }
}

fn replies_to_value(kind: Kind, mut replies: Vec<Value>) -> Value {
    match kind {
        Kind::Map => Value::Map(pairs(replies)),
        Kind::Attribute => {
            let of = replies.pop().expect("counted with the pairs");
            Value::Attribute { pairs: pairs(replies), of: Box::new(of) }
        }
        Kind::Set => Value::Set(replies),
        Kind::Push => Value::Push(replies),
        _ => Value::Array(replies),
    }
}

fn pairs(replies: Vec<Value>) -> Vec<(Value, Value)> {
    let mut replies = replies.into_iter();
    std::iter::from_fn(|| Some((replies.next()?, replies.next()?))).collect()
}

/// Of a reply's header.
fn length(line: &[u8]) -> Result<usize, DecodeError> {
    let len = number(line)?;
    if (0..=LEN_MAX).contains(&len) { Ok(len as usize) } else { Err(DecodeError::LengthOutOfRange) }
}

fn number(line: &[u8]) -> Result<i64, DecodeError> {
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(DecodeError::InvalidNumber);
    }
    let magnitude = digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then_some(())?;
        value.checked_mul(10)?.checked_add(digit.into())
    });
    magnitude
        .and_then(|magnitude| {
            if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
        })
        .ok_or(DecodeError::InvalidNumber)
}

fn double(line: &[u8]) -> Result<f64, DecodeError> {
    str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(DecodeError::InvalidNumber)
}

fn big_number(line: &[u8]) -> Result<&[u8], DecodeError> {
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        Ok(line)
    } else {
        Err(DecodeError::InvalidNumber)
    }
}
