//! Replies, in the version of the protocol the connection speaks; and commands, as a client sends them.
//!
//! Types RESP2 lacks are written as Redis writes them there: a map as a flat array, a set and a push
//! as an array, a boolean as 0 or 1, a double, a big number and a verbatim text as a bulk.
//!
//! Refused: nothing. What a caller announces (an array of three) it must then write.
//! Source: the replies of `redis-server` 7.0.15 in both versions.

use std::io::Write;

/// The most bytes of a header or a number: type, 20 digits and sign, CR LF.
const HEADER_LEN_MAX: usize = 24;
/// The most bytes of a double: sign, 17 digits, point, four zeros behind it or `e-308`.
const DOUBLE_LEN_MAX: usize = 24;
/// Significant digits that tell any two doubles apart.
const DOUBLE_DIGITS: usize = 17;

/// The version of the protocol a connection speaks; `HELLO` changes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    #[default]
    Resp2,
    Resp3,
}

/// A place in a reply, for the header of an aggregate whose length is known once all of it is written.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Mark(usize);

/// Writes replies to a connection's output.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    version: Version,
}

impl<'a> Reply<'a> {
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, version: Version) -> Self {
        Self { out, version }
    }

    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status. CR and LF are made spaces: a script may put them there.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.one_line(b'+', text.as_ref());
    }

    /// `text` is the whole error, its code included: `ERR syntax error`. CR and LF, which may come
    /// from the client's own words, are made spaces.
    #[cold]
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.one_line(b'-', text.as_ref());
    }

    #[inline]
    pub fn int(&mut self, value: i64) {
        header(self.out, b':', value);
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        bulk(self.out, bytes);
    }

    /// A number as a bulk: what a string holding it would be.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value, where there would be a bulk.
    #[inline]
    pub fn null(&mut self) {
        self.by_version(b"$-1\r\n", b"_\r\n");
    }

    /// No value, where there would be an array.
    #[inline]
    pub fn null_array(&mut self) {
        self.by_version(b"*-1\r\n", b"_\r\n");
    }

    #[inline]
    pub fn bool(&mut self, value: bool) {
        if value { self.by_version(b":1\r\n", b"#t\r\n") } else { self.by_version(b":0\r\n", b"#f\r\n") }
    }

    pub fn double(&mut self, value: f64) {
        self.double_text(DoubleText::new(value).as_bytes());
    }

    /// A double whose digits the caller has chosen.
    pub fn double_digits(&mut self, digits: &str) {
        self.double_text(digits.as_bytes());
    }

    /// `digits`: a decimal integer of any length.
    pub fn big_number(&mut self, digits: &str) {
        match self.version {
            Version::Resp2 => self.bulk(digits.as_bytes()),
            Version::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// A text for people; `format` is what a client may take it for: `*b"txt"`, `*b"mkd"`.
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        match self.version {
            Version::Resp2 => self.bulk(text),
            Version::Resp3 => {
                self.out.reserve(2 * HEADER_LEN_MAX + text.len());
                header(self.out, b'=', format.len() + 1 + text.len());
                self.out.extend_from_slice(&format);
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// `len` replies follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        header(self.out, b'*', len);
    }

    /// `pairs` times two replies follow, keys and values in turn.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => header(self.out, b'*', 2 * pairs),
            Version::Resp3 => header(self.out, b'%', pairs),
        }
    }

    /// `len` replies follow.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.aggregate(b'~', len);
    }

    /// Out of the order of requests; `len` replies follow.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.aggregate(b'>', len);
    }

    /// Remarks on the reply that comes behind them. RESP2 has no such thing: false is returned then,
    /// and the pairs must not be written.
    #[must_use]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        let known = self.version == Version::Resp3;
        if known {
            header(self.out, b'|', pairs);
        }
        known
    }

    /// Where the next reply begins.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// What was written since the mark are `len` replies of one array.
    pub fn array_at(&mut self, mark: Mark, len: usize) {
        self.header_at(mark, b'*', len);
    }

    /// What was written since the mark are keys and values of one map in turn. RESP3 only: in RESP2 Redis is not of one
    /// mind about what such a reply is there.
    pub fn map_at(&mut self, mark: Mark, pairs: usize) {
        self.header_at(mark, b'%', pairs);
    }

    /// Bytes that are a reply already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn header_at(&mut self, Mark(at): Mark, kind: u8, len: usize) {
        let end = self.out.len();
        header(self.out, kind, len);
        let header_len = self.out.len() - end;
        self.out[at..].rotate_right(header_len);
    }

    #[inline]
    fn by_version(&mut self, resp2: &[u8], resp3: &[u8]) {
        match self.version {
            Version::Resp2 => self.raw(resp2),
            Version::Resp3 => self.raw(resp3),
        }
    }

    #[inline]
    fn aggregate(&mut self, resp3_type: u8, len: usize) {
        match self.version {
            Version::Resp2 => header(self.out, b'*', len),
            Version::Resp3 => header(self.out, resp3_type, len),
        }
    }

    #[inline]
    fn double_text(&mut self, digits: &[u8]) {
        match self.version {
            Version::Resp2 => self.bulk(digits),
            Version::Resp3 => self.line(b',', digits),
        }
    }

    fn one_line(&mut self, kind: u8, text: &[u8]) {
        let start = self.out.len() + 1;
        self.line(kind, text);
        for byte in &mut self.out[start..][..text.len()] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }

    #[inline]
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Appends a command as a client sends it: an array of bulks.
pub fn encode_command<I>(out: &mut Vec<u8>, args: I)
where
    I: IntoIterator<Item: AsRef<[u8]>, IntoIter: ExactSizeIterator>,
{
    let args = args.into_iter();
    header(out, b'*', args.len());
    for arg in args {
        bulk(out, arg.as_ref());
    }
}

/// Appends `value` as Redis 7.0 replies with it, C's `%.17g`: 17 significant digits, trailing
/// zeros dropped, an exponent if it is below -4 or above 16. `inf`, `-inf` and `nan` by name.
pub fn format_double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(DoubleText::new(value).as_bytes());
}

#[inline]
fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(HEADER_LEN_MAX + bytes.len() + 2);
    header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn header(out: &mut Vec<u8>, kind: u8, value: impl itoa::Integer) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(value).as_bytes();
    out.reserve(HEADER_LEN_MAX);
    out.push(kind);
    out.extend_from_slice(digits);
    out.extend_from_slice(b"\r\n");
}

/// A double's text, on the stack: a bulk's length comes before it.
struct DoubleText {
    bytes: [u8; DOUBLE_LEN_MAX],
    len: usize,
}

impl DoubleText {
    fn new(value: f64) -> Self {
        let mut text = Self { bytes: [0; DOUBLE_LEN_MAX], len: 0 };
        text.write(value);
        text
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn write(&mut self, value: f64) {
        if value.is_nan() {
            return self.append(b"nan");
        }
        if value.is_sign_negative() {
            self.append(b"-");
        }
        let magnitude = value.abs();
        if magnitude.is_infinite() {
            self.append(b"inf");
        } else if magnitude < 1e17 && magnitude.fract() == 0.0 {
            let integer = magnitude as u64;
            self.append(itoa::Buffer::new().format(integer).as_bytes());
        } else {
            self.write_digits(magnitude);
        }
    }

    /// `magnitude` is positive, finite, and no integer of up to 17 digits.
    fn write_digits(&mut self, magnitude: f64) {
        let (digits, exponent) = significant_digits(magnitude);
        let zeros = digits.iter().rev().take_while(|d| **d == b'0').count();
        let kept = digits.len() - zeros;
        match exponent {
            0..=16 => {
                let point = exponent as usize + 1;
                self.append(&digits[..point]);
                self.append_fraction(&digits[point..kept.max(point)]);
            }
            -4..=-1 => {
                self.append(&b"0.000"[..(1 - exponent) as usize]);
                self.append(&digits[..kept]);
            }
            _ => {
                self.append(&digits[..1]);
                self.append_fraction(&digits[1..kept]);
                self.append(if exponent < 0 { b"e-" } else { b"e+" });
                // C writes two digits at least.
                self.append(if exponent.abs() < 10 { b"0" } else { b"" });
                let exponent = exponent.unsigned_abs();
                self.append(itoa::Buffer::new().format(exponent).as_bytes());
            }
        }
    }

    fn append_fraction(&mut self, digits: &[u8]) {
        if !digits.is_empty() {
            self.append(b".");
            self.append(digits);
        }
    }
}

/// The first 17 digits of `magnitude`, correctly rounded, and the decimal exponent of the first.
fn significant_digits(magnitude: f64) -> ([u8; DOUBLE_DIGITS], i32) {
    // `d.dddddddddddddddde-308`
    let mut text = [0; DOUBLE_LEN_MAX];
    let mut rest = &mut text[..];
    write!(rest, "{magnitude:.*e}", DOUBLE_DIGITS - 1).expect("fits");
    let len = DOUBLE_LEN_MAX - rest.len();

    let mut digits = [0; DOUBLE_DIGITS];
    digits[0] = text[0];
    digits[1..].copy_from_slice(&text[2..=DOUBLE_DIGITS]);
    let exponent = str::from_utf8(&text[DOUBLE_DIGITS + 2..len])
        .ok()
        .and_then(|exponent| exponent.parse().ok())
        .expect("an exponent stands behind the digits");
    (digits, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(version: Version, write: impl FnOnce(&mut Reply)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, version));
        String::from_utf8(out).expect("ASCII")
    }

    /// Every row is a reply of `redis-server` 7.0.15, most of them `DEBUG PROTOCOL`'s.
    #[test]
    fn replies_are_written_as_redis_writes_them() {
        type Row = (fn(&mut Reply), &'static str, &'static str);
        let rows: &[Row] = &[
            (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
            (|r| r.simple("X a\r\nb"), "+X a  b\r\n", "+X a  b\r\n"),
            (|r| r.error("X a\r\nb"), "-X a  b\r\n", "-X a  b\r\n"),
            (|r| r.int(12345), ":12345\r\n", ":12345\r\n"),
            (|r| r.int(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|r| r.bulk(b"Hello World"), "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"),
            (|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (|r| r.bulk_int(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n"),
            (|r| r.null(), "$-1\r\n", "_\r\n"),
            (|r| r.null_array(), "*-1\r\n", "_\r\n"),
            (|r| r.array(3), "*3\r\n", "*3\r\n"),
            (|r| r.set(3), "*3\r\n", "~3\r\n"),
            (|r| r.map(3), "*6\r\n", "%3\r\n"),
            (|r| r.push(3), "*3\r\n", ">3\r\n"),
            (|r| assert!(r.attribute(1) == (r.version() == Version::Resp3)), "", "|1\r\n"),
            (|r| r.bool(true), ":1\r\n", "#t\r\n"),
            (|r| r.bool(false), ":0\r\n", "#f\r\n"),
            (|r| r.double(0.5), "$3\r\n0.5\r\n", ",0.5\r\n"),
            (
                |r| r.verbatim(*b"txt", b"This is a verbatim\nstring"),
                "$25\r\nThis is a verbatim\nstring\r\n",
                "=29\r\ntxt:This is a verbatim\nstring\r\n",
            ),
            (
                |r| r.big_number("1234567999999999999999999999999999999"),
                "$37\r\n1234567999999999999999999999999999999\r\n",
                "(1234567999999999999999999999999999999\r\n",
            ),
        ];
        for (write, resp2, resp3) in rows {
            assert_eq!(replies(Version::Resp2, write), *resp2);
            assert_eq!(replies(Version::Resp3, write), *resp3);
        }
    }

    #[test]
    fn a_header_is_put_where_the_mark_is() {
        let text = replies(Version::Resp3, |reply| {
            reply.ok();
            let outer = reply.mark();
            reply.int(1);
            let inner = reply.mark();
            reply.bulk(b"a");
            reply.int(2);
            reply.map_at(inner, 1);
            reply.array_at(outer, 2);
        });
        assert_eq!(text, "+OK\r\n*2\r\n:1\r\n%1\r\n$1\r\na\r\n:2\r\n");
    }

    #[test]
    fn a_command_is_an_array_of_bulks() {
        let mut out = Vec::new();
        encode_command(&mut out, ["GET", "k"]);
        encode_command(&mut out, [b"PING".to_vec()]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n");
    }

    /// Recorded from ZSCORE of `redis-server` 7.0.15: a double's bits and what it replied.
    #[test]
    fn doubles_are_written_as_redis_writes_them() {
        for row in include_str!("../tests/doubles.txt").lines() {
            let (bits, text) = row.split_once(' ').expect("bits and text");
            let value = f64::from_bits(u64::from_str_radix(bits, 16).expect("bits"));
            let mut out = Vec::new();
            format_double(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text, "{value:e}");
        }
    }

    #[test]
    fn nan_has_no_sign() {
        let mut out = Vec::new();
        format_double(-f64::NAN, &mut out);
        assert_eq!(out, b"nan");
    }
}
