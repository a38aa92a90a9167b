//! The request parser: bytes of a connection in, arguments out, nothing copied.
//!
//! ```text
//! buf ─► \r\n*0\r\n*2\r\n$3\r\nGET\r\n$4\r\nkey1\r\n*1\r\n…
//!        └ passed ┘     spans: └─┘          └──┘    ▲ consumed
//! ```
//!
//! Invariants
//! - However the bytes are cut into calls, the commands and the error are the same.
//! - A byte is looked at once. What a half-read command has yielded so far is kept until its rest
//!   arrives; a connection with none half-read keeps 32 bytes.
//! - Spans lie inside the bytes that were given, and argument 0 is the command's name: requests
//!   without arguments (an empty line, `*0`, `*-1`) are passed over as Redis does.
//! - As in Redis, the two bytes behind an argument and the one behind a header's CR are not looked at.
//!
//! Refused, in Redis's words and order of tests: what [`Limits`] rules out, and counts or lengths
//! Redis's `string2ll` would not read (a sign other than a leading minus, leading zeros, blanks,
//! overflow). Redis searches headers as C strings and waits for more when a NUL comes first; here the
//! header is refused at its end. Source: the behaviour of `redis-server` 7.0.15.

use memchr::memchr;

use crate::limits::{ARGS_MAX, LINE_LEN_MAX, UNAUTHENTICATED_ARGS_MAX, UNAUTHENTICATED_BULK_LEN_MAX};
use crate::{Limits, ProtocolError, inline};

/// The bytes behind an argument: CR LF.
const TERMINATOR_LEN: usize = 2;
/// Digits of a header that is read at a glance: with its type, CR and LF within eight bytes, and no
/// length a client must be authenticated for.
const SHORT_DIGITS_MAX: usize = 4;
const _: () = assert!(10_usize.pow(SHORT_DIGITS_MAX as u32) <= UNAUTHENTICATED_BULK_LEN_MAX);

/// Where an argument's bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    /// Both within 4 GiB: [`Parser::next`] looks at no more.
    #[inline]
    pub(crate) fn new(start: usize, len: usize) -> Self {
        Self { start: start as u32, len: len as u32 }
    }

    /// The argument's bytes; `source` is what the span was made for.
    #[inline]
    pub fn of(self, source: &[u8]) -> &[u8] {
        &source[self.start as usize..][..self.len as usize]
    }
}

/// What [`Parser::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command whose spans are offsets into the buffer given, of which `consumed` bytes are done with.
    Command { consumed: usize },
    /// A command typed as a line. Its arguments may differ from the bytes typed, so its spans are
    /// offsets into [`Parser::inline_args`]; `consumed` bytes of the buffer are done with.
    Inline { consumed: usize },
    /// No whole command. `consumed` bytes (requests without arguments) are done with; the rest is to
    /// be given again, with more behind it. Until that is `wanted` bytes long there is no progress.
    Incomplete { consumed: usize, wanted: usize },
}

/// The parser of one connection.
#[derive(Debug, Default)]
pub struct Parser {
    half_read: Option<Box<HalfRead>>,
    /// The arguments of the last inline command, one behind the other.
    inline_args: Vec<u8>,
}

const _: () = assert!(size_of::<Parser>() <= 32);

/// A command of which the rest has not arrived.
#[derive(Debug)]
struct HalfRead {
    cursor: Cursor,
    spans: Vec<Span>,
    wanted: usize,
}

impl Parser {
    /// How much of a buffer is looked at: what a [`Span`] can address.
    const REACH: usize = u32::MAX as usize;

    /// Reads the next command from `buf`, whose first byte is the first not consumed so far.
    ///
    /// `spans` is cleared, then holds the command's arguments. After an error the stream cannot be
    /// read any further.
    pub fn next(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Step, ProtocolError> {
        spans.clear();
        let buf = &buf[..buf.len().min(Self::REACH)];
        if let Some(half) = self.half_read.take() {
            return self.resume(half, buf, limits, spans);
        }
        let cursor = Cursor::read_short(buf, limits, spans);
        if cursor.args_left == 0 && cursor.at > 0 {
            return Ok(Step::Command { consumed: cursor.at });
        }
        self.go_on(cursor, buf, limits, spans)
    }

    /// Forgets a half-read command: the caller will give its first byte again.
    pub fn reset(&mut self) {
        self.half_read = None;
    }

    /// The bytes the spans of the last [`Step::Inline`] point into.
    pub fn inline_args(&self) -> &[u8] {
        &self.inline_args
    }

    #[cold]
    fn resume(
        &mut self,
        half: Box<HalfRead>,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Step, ProtocolError> {
        let wanted = half.wanted;
        if buf.len() < wanted {
            self.half_read = Some(half);
            return Ok(Step::Incomplete { consumed: 0, wanted });
        }
        *spans = half.spans;
        self.go_on(half.cursor, buf, limits, spans)
    }

    fn go_on(
        &mut self,
        mut cursor: Cursor,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Step, ProtocolError> {
        match cursor.read_command(buf, limits, spans, &mut self.inline_args)? {
            Found::Multibulk => Ok(Step::Command { consumed: cursor.at }),
            Found::Inline => Ok(Step::Inline { consumed: cursor.at }),
            Found::Nothing { wanted } => Ok(self.keep(cursor, spans, wanted)),
        }
    }

    /// Puts aside what there is of a command. `wanted` counts from the buffer's start.
    #[cold]
    fn keep(&mut self, mut cursor: Cursor, spans: &mut Vec<Span>, wanted: usize) -> Step {
        let consumed = cursor.start;
        let wanted = wanted - consumed;
        // One byte wanted: there is none of the command yet.
        if wanted > 1 {
            cursor.rebase(spans);
            let spans = std::mem::take(spans);
            self.half_read = Some(Box::new(HalfRead { cursor, spans, wanted }));
        }
        Step::Incomplete { consumed, wanted }
    }
}

enum Found {
    Multibulk,
    Inline,
    /// Before the buffer reaches `wanted` bytes there is nothing to go on with.
    Nothing {
        wanted: usize,
    },
}

/// How far into the buffer the parser is.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// The command's first byte.
    start: usize,
    /// The first byte not understood yet: a header's, or that of a bulk whose length is known.
    at: usize,
    /// The header or line at `at` is known not to end before this.
    scanned: usize,
    /// Arguments to come; zero until the command's own header is read.
    args_left: u32,
    /// Length of the bulk at `at`, once its header is read.
    bulk_len: Option<usize>,
}

impl Cursor {
    /// Reads as much of a command as needs no second look: headers of few digits, arguments that
    /// are all there. That is all of nearly every command. Where it stops, [`Cursor::read_command`]
    /// goes on: with what is long, half-read, inline or wrong.
    #[inline]
    fn read_short(buf: &[u8], limits: &Limits, spans: &mut Vec<Span>) -> Self {
        let Some((count @ 1.., header_len)) = short_header(b'*', buf) else {
            return Self::default();
        };
        if count > UNAUTHENTICATED_ARGS_MAX as usize && !limits.authenticated {
            return Self::default();
        }
        let end_max = buf.len().min(request_len_max(limits));
        let (mut at, mut args_left) = (header_len, count);
        while args_left > 0 {
            let Some((len, header_len)) = short_header(b'$', &buf[at..]) else {
                break;
            };
            let start = at + header_len;
            let end = start + len + TERMINATOR_LEN;
            if end > end_max || len > limits.bulk_len_max {
                break;
            }
            spans.push(Span::new(start, len));
            at = end;
            args_left -= 1;
        }
        Self { at, args_left: args_left as u32, ..Self::default() }
    }

    /// Reads from wherever the cursor is to the command's end.
    fn read_command(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
        inline_args: &mut Vec<u8>,
    ) -> Result<Found, ProtocolError> {
        while self.args_left == 0 {
            let header = match buf.get(self.at) {
                Some(b'*') => self.multibulk_header(buf, limits)?,
                Some(_) => {
                    let line = self.inline_command(buf, spans, inline_args)?;
                    if line.is_some() && !spans.is_empty() {
                        return Ok(Found::Inline);
                    }
                    line
                }
                None => None,
            };
            if header.is_none() {
                return Ok(Found::Nothing { wanted: buf.len() + 1 });
            }
            if self.args_left == 0 {
                self.start = self.at;
            }
        }
        self.arguments(buf, limits, spans)
    }

    /// Reads `*N`; `None` if it has not all arrived. Without arguments, `args_left` stays zero.
    fn multibulk_header(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<()>, ProtocolError> {
        let Some(end) = self.line_end(b'\r', 1, buf, ProtocolError::MultibulkCountTooBig)? else {
            return Ok(None);
        };
        let count = parse_number(&buf[self.at + 1..end])
            .filter(|count| *count <= ARGS_MAX)
            .ok_or(ProtocolError::InvalidMultibulkLength)?;
        if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        self.args_left = count.max(0) as u32;
        self.at = end + TERMINATOR_LEN;
        Ok(Some(()))
    }

    /// Splits the line at `at`; `None` if it has not all arrived.
    fn inline_command(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        args: &mut Vec<u8>,
    ) -> Result<Option<()>, ProtocolError> {
        let Some(end) = self.line_end(b'\n', 0, buf, ProtocolError::InlineTooBig)? else {
            return Ok(None);
        };
        let line = &buf[self.at..end];
        inline::split(line.strip_suffix(b"\r").unwrap_or(line), args, spans)?;
        self.at = end + 1;
        Ok(Some(()))
    }

    /// Reads the `args_left` arguments.
    fn arguments(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Found, ProtocolError> {
        while self.args_left > 0 {
            let len = match self.bulk_len.take() {
                Some(len) => len,
                None => match self.bulk_header(buf, limits)? {
                    Some(len) => len,
                    None => {
                        return Ok(Found::Nothing { wanted: buf.len() + 1 });
                    }
                },
            };
            let end = self.at + len + TERMINATOR_LEN;
            if end - self.start > request_len_max(limits) {
                return Err(ProtocolError::RequestTooBig);
            }
            if end > buf.len() {
                self.bulk_len = Some(len);
                return Ok(Found::Nothing { wanted: end });
            }
            spans.push(Span::new(self.at, len));
            self.at = end;
            self.args_left -= 1;
        }
        Ok(Found::Multibulk)
    }

    /// Reads `$N`; `None` if it has not all arrived.
    fn bulk_header(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let Some(end) = self.line_end(b'\r', 1, buf, ProtocolError::BulkCountTooBig)? else {
            return Ok(None);
        };
        if buf[self.at] != b'$' {
            return Err(ProtocolError::ExpectedBulk(buf[self.at]));
        }
        let len = parse_number(&buf[self.at + 1..end])
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= limits.bulk_len_max)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if len > UNAUTHENTICATED_BULK_LEN_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        self.at = end + TERMINATOR_LEN;
        Ok(Some(len))
    }

    /// Where `mark` ends the line at `at`; `None` if it, or the `behind` bytes that follow it, have
    /// not arrived. A line that runs on for longer than allowed is refused as `too_long`.
    fn line_end(
        &mut self,
        mark: u8,
        behind: usize,
        buf: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let from = self.scanned.max(self.at);
        let to = buf.len().min(self.at + LINE_LEN_MAX + 1);
        let Some(offset) = memchr(mark, &buf[from..to]) else {
            self.scanned = to;
            return if to - self.at > LINE_LEN_MAX { Err(too_long) } else { Ok(None) };
        };
        self.scanned = from + offset;
        Ok(Some(self.scanned).filter(|end| end + behind < buf.len()))
    }

    /// Makes the command's first byte the buffer's.
    fn rebase(&mut self, spans: &mut [Span]) {
        // Only once per command: a long one that arrives in many pieces has many spans.
        if self.start == 0 {
            return;
        }
        for span in spans {
            span.start -= self.start as u32;
        }
        self.at -= self.start;
        self.scanned = self.scanned.saturating_sub(self.start);
        self.start = 0;
    }
}

/// What a request may measure: no more than a [`Span`] can address, with room for one header more.
#[inline]
fn request_len_max(limits: &Limits) -> usize {
    limits.request_len_max.min(Parser::REACH - LINE_LEN_MAX - TERMINATOR_LEN)
}

/// Value and length of a header of one to [`SHORT_DIGITS_MAX`] digits. What is longer, shorter of a byte behind it or
/// malformed is [`Cursor::line_end`]'s and [`parse_number`]'s.
#[inline]
fn short_header(kind: u8, header: &[u8]) -> Option<(usize, usize)> {
    // One bounds check, one load.
    let header = header.first_chunk::<8>().filter(|header| header[0] == kind)?;
    let mut value = digit(header[1])?;
    for (len, byte) in (2..).zip(&header[2..SHORT_DIGITS_MAX + 2]) {
        if *byte == b'\r' {
            return Some((value, len + TERMINATOR_LEN));
        }
        // Behind a leading zero only the header's end may stand.
        if value == 0 {
            return None;
        }
        value = value * 10 + digit(*byte)?;
    }
    None
}

#[inline]
fn digit(byte: u8) -> Option<usize> {
    Some(byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9).map(usize::from)
}

/// A number as Redis's `string2ll` takes it.
fn parse_number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = match digits {
        b"0" if !negative => 0,
        [b'1'..=b'9', ..] => digits
            .iter()
            .try_fold(0_u64, |value, byte| value.checked_mul(10)?.checked_add(digit(*byte)? as u64))?,
        _ => return None,
    };
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all of `input` as one buffer.
    fn parse(input: &[u8], limits: &Limits) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let (mut parser, mut spans, mut commands) = (Parser::default(), Vec::new(), Vec::new());
        let mut rest = input;
        loop {
            let (consumed, source) = match parser.next(rest, limits, &mut spans) {
                Ok(Step::Command { consumed }) => (consumed, rest),
                Ok(Step::Inline { consumed }) => (consumed, parser.inline_args()),
                Ok(Step::Incomplete { .. }) => return (commands, None),
                Err(error) => return (commands, Some(error)),
            };
            assert!(consumed > 0);
            commands.push(spans.iter().map(|span| span.of(source).to_vec()).collect());
            rest = &rest[consumed..];
        }
    }

    fn error_of(input: &[u8], limits: &Limits) -> Option<String> {
        let (_, error) = parse(input, limits);
        error.map(|error| String::from_utf8_lossy(&error.reply_text()).into_owned())
    }

    #[test]
    fn a_pipeline_is_read_command_by_command() {
        let input = b"*0\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\n  \r\nPING \"a b\"\r\n*-1\r\n*1\r\n$0\r\n\r\n*1\r\n$4\r\nPI";
        let (commands, error) = parse(input, &Limits::default());
        let expected: [&[&[u8]]; 3] = [&[b"GET", b"k"], &[b"PING", b"a b"], &[b""]];
        assert_eq!(commands, expected);
        assert_eq!(error, None);
    }

    #[test]
    fn line_ends_are_taken_on_trust() {
        let (commands, error) = parse(b"*1\rX$4\rYPINGab*1\r\n$4\r\nPING\r\n", &Limits::default());
        assert_eq!(commands, [[b"PING"], [b"PING"]]);
        assert_eq!(error, None);
    }

    /// Every row is what `redis-server` 7.0.15 answers; without an error it waits for more.
    #[test]
    fn errors_are_worded_and_ordered_as_in_redis() {
        let rows: &[(&[u8], Option<&str>)] = &[
            (b"*\r\n", Some("invalid multibulk length")),
            (b"*-0\r\n", Some("invalid multibulk length")),
            (b"*01\r\n", Some("invalid multibulk length")),
            (b"*+1\r\n", Some("invalid multibulk length")),
            (b"*1x\r\n", Some("invalid multibulk length")),
            (b"*2147483647\r\n", None),
            (b"*2147483648\r\n", Some("invalid multibulk length")),
            (b"*-9223372036854775808\r\n", None),
            (b"*-9223372036854775809\r\n", Some("invalid multibulk length")),
            (b"*x\r", None),
            (b"*1\r\n:4", None),
            (b"*1\r\n:4\r\n", Some("expected '$', got ':'")),
            (b"*1\r\n\r\n", Some("expected '$', got '\r'")),
            (b"*1\r\n$x\r\n", Some("invalid bulk length")),
            (b"*1\r\n$4x\r\n", Some("invalid bulk length")),
            (b"*1\r\n$-1\r\n", Some("invalid bulk length")),
            (b"*1\r\n$-0\r\n", Some("invalid bulk length")),
            (b"*1\r\n$00\r\n", Some("invalid bulk length")),
            (b"*1\r\n$536870912\r\n", None),
            (b"*1\r\n$536870913\r\n", Some("invalid bulk length")),
            (b"*1\r\n$18446744073709551616\r\n", Some("invalid bulk length")),
            (b"*11\r\n$16385\r\n", None),
            (b"ECHO \"a\r\n", Some("unbalanced quotes in request")),
        ];
        for (input, error) in rows {
            assert_eq!(
                error_of(input, &Limits::default()),
                error.map(|error| format!("ERR Protocol error: {error}")),
                "{}",
                input.escape_ascii()
            );
        }
    }

    #[test]
    fn lines_have_64_kib_and_not_a_byte_more() {
        let rows = [
            ("*", "ERR Protocol error: too big mbulk count string"),
            ("*1\r\n$", "ERR Protocol error: too big bulk count string"),
            ("1", "ERR Protocol error: too big inline request"),
        ];
        for (prefix, error) in rows {
            let longest = prefix.to_owned() + &"1".repeat(LINE_LEN_MAX - 1);
            assert_eq!(error_of(longest.as_bytes(), &Limits::default()), None);
            let too_long = longest + "1";
            let answer = error_of(too_long.as_bytes(), &Limits::default());
            assert_eq!(answer.as_deref(), Some(error));
        }
    }

    #[test]
    fn strangers_may_ask_for_less() {
        let limits = Limits { authenticated: false, ..Limits::default() };
        let rows: &[(&[u8], Option<&str>)] = &[
            (b"*10\r\n", None),
            (b"*11\r\n", Some("unauthenticated multibulk length")),
            (b"*2147483648\r\n", Some("invalid multibulk length")),
            (b"*1\r\n$16384\r\n", None),
            (b"*1\r\n$16385\r\n", Some("unauthenticated bulk length")),
            (b"*1\r\n$536870913\r\n", Some("invalid bulk length")),
        ];
        for (input, error) in rows {
            assert_eq!(
                error_of(input, &limits),
                error.map(|error| format!("ERR Protocol error: {error}")),
                "{}",
                input.escape_ascii()
            );
        }
    }

    #[test]
    fn strangers_are_refused_though_all_of_it_is_there() {
        let limits = Limits { authenticated: false, ..Limits::default() };
        let largest = [b"*1\r\n$16384\r\n".as_slice(), &vec![b'x'; 16386]].concat();
        assert_eq!(parse(&largest, &limits).0.len(), 1);
        let larger = [b"*1\r\n$16385\r\n".as_slice(), &vec![b'x'; 16387]].concat();
        assert_eq!(parse(&larger, &limits).1, Some(ProtocolError::UnauthenticatedBulkLength));
        let more = [b"*11\r\n".as_slice(), &b"$1\r\nx\r\n".repeat(11)].concat();
        assert_eq!(parse(&more, &limits).1, Some(ProtocolError::UnauthenticatedMultibulkLength));
    }

    #[test]
    fn a_request_too_large_is_refused_when_it_announces_itself() {
        let limits = Limits { request_len_max: 24, ..Limits::default() };
        assert_eq!(error_of(b"*2\r\n$3\r\nGET\r\n$5\r\n", &limits), None);
        // Requests without arguments that came before it do not count.
        assert_eq!(error_of(b"\r\n*0\r\n*2\r\n$3\r\nGET\r\n$5\r\n", &limits), None);
        let (_, error) = parse(b"*2\r\n$3\r\nGET\r\n$6\r\n", &limits);
        assert_eq!(error, Some(ProtocolError::RequestTooBig));
    }

    #[test]
    fn an_argument_is_as_long_as_the_limit_at_most() {
        for bulk_len_max in [1, 9, 20, 5000, 70_000] {
            let limits = Limits { bulk_len_max, ..Limits::default() };
            let header = |len: usize| format!("*1\r\n${len}\r\n").into_bytes();
            assert_eq!(error_of(&header(bulk_len_max), &limits), None);
            let (_, error) = parse(&header(bulk_len_max + 1), &limits);
            assert_eq!(error, Some(ProtocolError::InvalidBulkLength));
        }
    }

    #[test]
    fn what_is_wanted_is_what_is_missing() {
        let (mut parser, mut spans) = (Parser::default(), Vec::new());
        let mut wanted = |buf: &[u8]| match parser.next(buf, &Limits::default(), &mut spans) {
            Ok(Step::Incomplete { consumed, wanted }) => (consumed, wanted),
            other => panic!("{other:?}"),
        };
        assert_eq!(wanted(b""), (0, 1));
        assert_eq!(wanted(b"\r\n*0\r\n"), (6, 1));
        assert_eq!(wanted(b"\r\n*0\r\n*2\r\n$3\r\nGET\r\n$1"), (6, 16));
        assert_eq!(wanted(b"*2\r\n$3\r\nGET\r\n$1"), (0, 16));
        assert_eq!(wanted(b"*2\r\n$3\r\nGET\r\n$1000\r\n"), (0, 20 + 1002));
    }
}
