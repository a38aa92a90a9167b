//! A command line with `__key__` and `__data__` in it, encoded once; each request is a copy with the
//! varying bytes written in place.
//!
//! Every `__key__` draws a key; every `__data__` is the value of the key drawn last before it, or of a
//! key drawn for it when none stands before it. A `;` by itself begins a further command of the same
//! request, as in `MULTI ; SET __key__ __data__ ; EXEC`: sent at once, answered when all are.

use std::ops::Range;

use bobbin_proto::{Limits, Parser, Step, encode_command};

use super::{KeySpace, value};
use crate::Error;

const KEY: &str = "__key__";
const DATA: &str = "__data__";
const SEPARATOR: &[u8] = b";";

#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    line: String,
    bytes: Vec<u8>,
    patches: Vec<Patch>,
    /// Where the arguments of each of its commands stand, names first.
    arguments: Vec<Vec<Range<usize>>>,
    data_size: usize,
    shape: Shape,
}

/// What a reply or a later read-back can say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `GET __key__`: the reply is the key's value, or nil.
    ReadsValue,
    /// `SET __key__ __data__` or an MSET of such pairs: afterwards the keys hold their values.
    WritesValue,
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Patch {
    offset: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Data,
}

impl Template {
    /// Parses `line` with the quoting of redis-cli and inline commands.
    pub fn parse(line: &str, keys: &KeySpace, data_size: usize) -> Result<Self, Error> {
        let refused = |reason| Error::flag("--command", format!("{line:?}: {reason}"));
        let words = split(line).map_err(refused)?;
        let commands: Vec<&[Vec<u8>]> = words.split(|word| word == SEPARATOR).collect();
        if commands.iter().any(|command| command.is_empty()) {
            return Err(refused("a command is missing beside a `;`".to_owned()));
        }
        Ok(Self::new(line, &commands, keys, data_size))
    }

    fn new(line: &str, commands: &[&[Vec<u8>]], keys: &KeySpace, data_size: usize) -> Self {
        let (mut bytes, mut patches, mut arguments) = (Vec::new(), Vec::new(), Vec::new());
        for args in commands {
            let rendered: Vec<Argument> =
                args.iter().map(|arg| Argument::render(arg, keys, data_size)).collect();
            let placed = place(bytes.len(), &rendered);
            for (range, argument) in placed.iter().zip(&rendered) {
                let moved = |patch: &Patch| Patch { offset: range.start + patch.offset, ..*patch };
                patches.extend(argument.placeholders.iter().map(moved));
            }
            arguments.push(placed);
            encode_command(&mut bytes, rendered.iter().map(|arg| &arg.bytes));
        }
        Self {
            name: commands.last().map(|command| name(command)).unwrap_or_default(),
            line: line.to_owned(),
            bytes,
            patches,
            arguments,
            data_size,
            shape: shape(commands),
        }
    }

    /// The name of its last command, in capitals.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many replies a request has.
    #[inline]
    pub fn replies(&self) -> u32 {
        self.arguments.len() as u32
    }

    /// Where the arguments of each of its commands stand in a request, names first.
    pub fn arguments(&self) -> &[Vec<Range<usize>>] {
        &self.arguments
    }

    /// Whether a part of the request is not always the same.
    pub fn varies(&self, range: &Range<usize>) -> bool {
        self.patches.iter().any(|patch| range.contains(&patch.offset))
    }

    /// The line this was made from.
    pub fn line(&self) -> &str {
        &self.line
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn data_size(&self) -> usize {
        self.data_size
    }

    /// The request before [`Template::patch`], the same length for every key.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes keys from `draw` and their values into `request`, a copy of [`Template::bytes`] that may
    /// have been patched before. Returns the first key.
    #[inline]
    pub fn patch(
        &self,
        request: &mut [u8],
        keys: &KeySpace,
        generation: u8,
        mut draw: impl FnMut() -> u64,
    ) -> Option<u64> {
        let (mut first, mut current) = (None, None);
        for patch in &self.patches {
            match patch.kind {
                Kind::Key => {
                    let key = draw();
                    keys.write(&mut request[patch.offset..][..keys.key_len()], key);
                    current = Some(key);
                }
                Kind::Data => {
                    let key = *current.get_or_insert_with(&mut draw);
                    value::write(&mut request[patch.offset..][..self.data_size], key, generation);
                }
            }
            first = first.or(current);
        }
        first
    }
}

/// An argument with its placeholders filled in blank, and where they stand.
struct Argument {
    bytes: Vec<u8>,
    placeholders: Vec<Patch>,
}

impl Argument {
    fn render(arg: &[u8], keys: &KeySpace, data_size: usize) -> Self {
        let (mut bytes, mut placeholders, mut rest) = (Vec::new(), Vec::new(), arg);
        while let Some(first) = rest.first() {
            if let Some(after) = rest.strip_prefix(KEY.as_bytes()) {
                placeholders.push(Patch { offset: bytes.len(), kind: Kind::Key });
                bytes.extend(keys.blank());
                rest = after;
            } else if let Some(after) = rest.strip_prefix(DATA.as_bytes()) {
                placeholders.push(Patch { offset: bytes.len(), kind: Kind::Data });
                bytes.extend(value::blank(data_size));
                rest = after;
            } else {
                bytes.push(*first);
                rest = &rest[1..];
            }
        }
        Self { bytes, placeholders }
    }
}

/// The arguments of a command that is encoded from `offset` on:
///
/// ```text
///   *<args>\r\n ( $<len>\r\n <bytes> \r\n )…
/// ```
fn place(mut offset: usize, args: &[Argument]) -> Vec<Range<usize>> {
    let header_len = |number: usize| 1 + number.checked_ilog10().unwrap_or(0) as usize + 1 + 2;
    offset += header_len(args.len());
    let mut ranges = Vec::with_capacity(args.len());
    for arg in args {
        let start = offset + header_len(arg.bytes.len());
        ranges.push(start..start + arg.bytes.len());
        offset = start + arg.bytes.len() + 2;
    }
    ranges
}

fn name(command: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&command[0]).to_uppercase()
}

/// A transaction that does nothing but write values is as good as the writes.
fn shape(commands: &[&[Vec<u8>]]) -> Shape {
    let frames_a_transaction = |command: &&[Vec<u8>]| matches!(name(command).as_str(), "MULTI" | "EXEC");
    let mut shapes =
        commands.iter().filter(|command| !frames_a_transaction(command)).map(|one| shape_of(one));
    match (shapes.next(), commands.len()) {
        (Some(shape), 1) => shape,
        (Some(Shape::WritesValue), _) if shapes.all(|shape| shape == Shape::WritesValue) => {
            Shape::WritesValue
        }
        _ => Shape::Other,
    }
}

fn shape_of(command: &[Vec<u8>]) -> Shape {
    let pairs = &command[1..];
    match (name(command).as_str(), pairs.len()) {
        ("GET", 1) if pairs[0] == KEY.as_bytes() => Shape::ReadsValue,
        ("SET", 2) | ("MSET", 2..)
            if pairs.chunks(2).all(|pair| pair == [KEY.as_bytes(), DATA.as_bytes()]) =>
        {
            Shape::WritesValue
        }
        _ => Shape::Other,
    }
}

/// The arguments of a line typed by hand.
fn split(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let typed = format!("{line}\n");
    let (mut parser, mut spans) = (Parser::default(), Vec::new());
    match parser.next(typed.as_bytes(), &Limits::default(), &mut spans) {
        Ok(Step::Inline { consumed }) if consumed == typed.len() => {
            Ok(spans.iter().map(|span| span.of(parser.inline_args()).to_vec()).collect())
        }
        Ok(_) => Err("not one command line".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> KeySpace {
        KeySpace::new(b"k:", 3, 0, 999).unwrap()
    }

    fn template(line: &str, data_size: usize) -> Template {
        Template::parse(line, &keys(), data_size).unwrap()
    }

    fn patched(line: &str, data_size: usize) -> (Vec<u8>, Option<u64>) {
        let template = template(line, data_size);
        let mut request = template.bytes().to_vec();
        let mut next = 6;
        let first = template.patch(&mut request, &keys(), 0, || {
            next += 1;
            next
        });
        (request, first)
    }

    fn data(size: usize, key: u64) -> String {
        let mut data = value::blank(size);
        value::write(&mut data, key, 0);
        String::from_utf8(data).unwrap()
    }

    fn encoded(args: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, args.iter());
        bytes
    }

    #[test]
    fn placeholders_become_the_key_and_its_value() {
        let (request, first) = patched("HSET __key__ f __data__", 20);
        assert_eq!(request, encoded(&["HSET", "k:007", "f", &data(20, 7)]));
        assert_eq!(first, Some(7));
    }

    #[test]
    fn each_key_is_drawn_and_data_follows_its_key() {
        let (request, _) = patched("MSET __key__ __data__ __key__ __data__", 5);
        assert_eq!(request, encoded(&["MSET", "k:007", &data(5, 7), "k:008", &data(5, 8)]));
    }

    #[test]
    fn placeholders_may_stand_inside_an_argument_and_data_alone() {
        let (request, first) = patched("PUBLISH news:__key__:end <__data__>", 4);
        let message = format!("<{}>", data(4, 7));
        assert_eq!(request, encoded(&["PUBLISH", "news:k:007:end", &message]));
        assert_eq!(first, Some(7));
        assert_eq!(patched("ECHO __data__", 4).0, encoded(&["ECHO", &data(4, 7)]));
    }

    #[test]
    fn positions_hold_across_header_widths() {
        let pairs = vec!["__key__ __data__"; 60].join(" ");
        let (request, _) = patched(&format!("MSET {pairs}"), 1000);
        let values: Vec<(String, String)> =
            (7..67).map(|key| (format!("k:{key:03}"), data(1000, key))).collect();
        let args = values.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let args: Vec<&str> = std::iter::once("MSET").chain(args).collect();
        assert_eq!(request, encoded(&args));
    }

    #[test]
    fn lines_are_quoted_as_redis_cli_quotes() {
        let (request, first) = patched(r#"set "a b\x00" '__key'"#, 4);
        assert_eq!(request, encoded(&["set", "a b\0", "__key"]));
        assert_eq!(first, None);
        assert_eq!(template("set a b", 1).name(), "SET");
    }

    #[test]
    fn lines_that_are_not_one_command_are_refused() {
        for line in ["", "  ", "GET \"a", "GET a\nGET b", "*1", ";", "GET a ;", "GET a ; ; GET b"] {
            assert!(Template::parse(line, &keys(), 4).is_err(), "{line:?}");
        }
    }

    #[test]
    fn several_commands_are_one_request() {
        let (request, first) = patched("MULTI ; SET __key__ __data__ ; SET __key__ __data__ ; EXEC", 5);
        let commands: [&[&str]; 4] =
            [&["MULTI"], &["SET", "k:007", &data(5, 7)], &["SET", "k:008", &data(5, 8)], &["EXEC"]];
        assert_eq!(request, commands.map(encoded).concat());
        assert_eq!(first, Some(7));
        let template = template("MULTI ; SET __key__ __data__ ; EXEC", 5);
        assert_eq!((template.name(), template.replies()), ("EXEC", 3));
        let text = |range: &Range<usize>| &template.bytes()[range.clone()];
        let set = &template.arguments()[1];
        assert_eq!(set.iter().map(text).collect::<Vec<_>>(), [&b"SET"[..], b"k:000", b"xxxxx"]);
        assert!(template.varies(&set[1]) && template.varies(&set[2]) && !template.varies(&set[0]));
        assert_eq!(encoded(&["ECHO", ";x"]), patched("ECHO ;x", 1).0);
    }

    #[test]
    fn only_whole_value_commands_are_checked() {
        assert_eq!(template("get __key__", 4).shape(), Shape::ReadsValue);
        assert_eq!(template("SET __key__ __data__", 4).shape(), Shape::WritesValue);
        assert_eq!(template("MSET __key__ __data__ __key__ __data__", 4).shape(), Shape::WritesValue);
        assert_eq!(template("MULTI ; SET __key__ __data__ ; EXEC", 4).shape(), Shape::WritesValue);
        assert_eq!(template("MULTI ; GET __key__ ; EXEC", 4).shape(), Shape::Other);
        assert_eq!(template("SET __key__ __data__ ; INCR n", 4).shape(), Shape::Other);
        for line in
            ["GET x__key__", "SET __key__ 1", "SET __key__ __data__ EX 9", "HGET __key__ f", "MSET __key__ 1"]
        {
            assert_eq!(template(line, 4).shape(), Shape::Other, "{line}");
        }
    }
}
