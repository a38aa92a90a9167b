//! What requests mean, written to be plainly right rather than fast, and the property that holds the
//! parser to it. Shared by `tests/requests.rs` and the fuzz target.

use bobbin_proto::{Limits, Parser, ProtocolError, Step};

pub(crate) type Command = Vec<Vec<u8>>;

/// The commands of a stream, and what ended it.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) commands: Vec<Command>,
    pub(crate) error: Option<ProtocolError>,
}

/// However `input` is cut, the parser reads what the model reads.
pub(crate) fn check_requests(input: &[u8], cuts: &[usize], limits: &Limits) {
    let expected = read_by_model(input, limits);
    assert_eq!(read_by_parser(input, cuts, limits), expected);
}

/// The stream as a connection reads it, arriving in pieces that end at `cuts`.
fn read_by_parser(input: &[u8], cuts: &[usize], limits: &Limits) -> Reading {
    let mut reading = Reading { commands: Vec::new(), error: None };
    let (mut parser, mut spans, mut kept) = (Parser::default(), Vec::new(), 0);
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.push(input.len());
    cuts.sort_unstable();
    for end in cuts {
        loop {
            let buf = &input[kept..end.max(kept)];
            let (consumed, source) = match parser.next(buf, limits, &mut spans) {
                Ok(Step::Command { consumed }) => (consumed, buf),
                Ok(Step::Inline { consumed }) => (consumed, parser.inline_args()),
                Ok(Step::Incomplete { consumed, wanted }) => {
                    kept += consumed;
                    assert!(wanted > buf.len() - consumed, "more was wanted than was there");
                    assert!(spans.is_empty());
                    break;
                }
                Err(error) => {
                    reading.error = Some(error);
                    return reading;
                }
            };
            assert!(!spans.is_empty(), "a command has a name");
            let command = spans.iter().map(|span| span.of(source).to_vec()).collect();
            reading.commands.push(command);
            kept += consumed;
        }
    }
    reading
}

pub(crate) fn read_by_model(input: &[u8], limits: &Limits) -> Reading {
    let mut commands = Vec::new();
    let mut rest = input;
    let error = loop {
        let next = match rest.first() {
            None => break None,
            Some(b'*') => multibulk(rest, limits),
            Some(_) => inline(rest),
        };
        match next {
            Ok((command, behind)) => {
                rest = behind;
                commands.extend(Some(command).filter(|command| !command.is_empty()));
            }
            Err(end) => break end,
        }
    };
    Reading { commands, error }
}

/// A command and what is behind it; `Err(None)` where the stream ends before the command does.
type Next<'a> = Result<(Command, &'a [u8]), Option<ProtocolError>>;

fn multibulk<'a>(command: &'a [u8], limits: &Limits) -> Next<'a> {
    use ProtocolError as E;
    let (header, mut rest) = header(command, E::MultibulkCountTooBig)?;
    let count = canonical_number(&header[1..]).ok_or(E::InvalidMultibulkLength)?;
    if count > i64::from(i32::MAX) {
        return Err(Some(E::InvalidMultibulkLength));
    }
    if count > 10 && !limits.authenticated {
        return Err(Some(E::UnauthenticatedMultibulkLength));
    }
    let mut args = Command::new();
    for _ in 0..count.max(0) {
        let (header, behind) = self::header(rest, E::BulkCountTooBig)?;
        if !header.starts_with(b"$") {
            // A header without a byte is one that starts with its own CR.
            let found = header.first().copied().unwrap_or(b'\r');
            return Err(Some(E::ExpectedBulk(found)));
        }
        let len = canonical_number(&header[1..]).ok_or(E::InvalidBulkLength)?;
        if len < 0 || len as u64 > limits.bulk_len_max as u64 {
            return Err(Some(E::InvalidBulkLength));
        }
        if len > 16384 && !limits.authenticated {
            return Err(Some(E::UnauthenticatedBulkLength));
        }
        let len = len as usize;
        if command.len() - behind.len() + len + 2 > limits.request_len_max {
            return Err(Some(E::RequestTooBig));
        }
        if behind.len() < len + 2 {
            return Err(None);
        }
        args.push(behind[..len].to_vec());
        rest = &behind[len + 2..];
    }
    Ok((args, rest))
}

/// What stands before the CR, and what stands behind the byte after it.
fn header(from: &[u8], too_long: ProtocolError) -> Result<(&[u8], &[u8]), Option<ProtocolError>> {
    match from.iter().position(|byte| *byte == b'\r') {
        Some(len) if len > 65536 => Err(Some(too_long)),
        Some(len) if from.len() >= len + 2 => Ok((&from[..len], &from[len + 2..])),
        None if from.len() > 65536 => Err(Some(too_long)),
        _ => Err(None),
    }
}

/// A number that is written the one way it can be.
fn canonical_number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn inline(from: &[u8]) -> Next<'_> {
    let newline = from.iter().position(|byte| *byte == b'\n');
    if newline.unwrap_or(from.len()) > 65536 {
        return Err(Some(ProtocolError::InlineTooBig));
    }
    let newline = newline.ok_or(None)?;
    let line = &from[..newline];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok((words(line)?, &from[newline + 1..]))
}

enum State {
    Between,
    Bare,
    Double,
    Single,
    Closed,
}

fn words(line: &[u8]) -> Result<Command, ProtocolError> {
    let blank = |byte: u8| b" \t\n\x0b\x0c\r".contains(&byte);
    let (mut words, mut word, mut state, mut at) = (Command::new(), Vec::new(), State::Between, 0);
    while at < line.len() {
        let byte = line[at];
        at += 1;
        state = match (state, byte) {
            (State::Between, byte) if blank(byte) => State::Between,
            (State::Closed, byte) if !blank(byte) => return Err(ProtocolError::UnbalancedQuotes),
            (State::Closed, _) | (State::Bare, b' ' | b'\t' | b'\n' | b'\r') => {
                words.push(std::mem::take(&mut word));
                State::Between
            }
            (State::Between | State::Bare, b'"') => State::Double,
            (State::Between | State::Bare, b'\'') => State::Single,
            (State::Between | State::Bare, byte) => {
                word.push(byte);
                State::Bare
            }
            (State::Double, b'"') | (State::Single, b'\'') => State::Closed,
            (State::Double, b'\\') if at < line.len() => {
                let hex = (line[at] == b'x').then(|| hex_byte(line.get(at + 1..at + 3)?));
                if let Some(byte) = hex.flatten() {
                    word.push(byte);
                    at += 3;
                } else {
                    let plain = b"nrtba".iter().position(|escape| *escape == line[at]);
                    word.push(plain.map_or(line[at], |which| b"\n\r\t\x08\x07"[which]));
                    at += 1;
                }
                State::Double
            }
            (State::Single, b'\\') if line.get(at) == Some(&b'\'') => {
                word.push(b'\'');
                at += 1;
                State::Single
            }
            (state, byte) => {
                word.push(byte);
                state
            }
        };
    }
    match state {
        State::Between => {}
        State::Bare | State::Closed => words.push(word),
        State::Double | State::Single => return Err(ProtocolError::UnbalancedQuotes),
    }
    Ok(words)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let all_digits = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    u8::from_str_radix(text, 16).ok()
}
