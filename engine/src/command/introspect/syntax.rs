//! A row's `syntax` column, read: the notation of Redis's manual becomes the arguments of COMMAND DOCS, which
//! redis-cli and others build their hints from.
//!
//! ```text
//! KEEPTTL  ON OFF             a word in capitals stands for itself: a token
//! key  seconds                any other is a value; its name tells its type (see `TYPES`)
//! EX seconds                  a token and its value; several values behind a token are its block
//! [ ... ]                     optional
//! < ... >                     grouped
//! a | b                       one of them, within brackets of either kind
//! key [key ...]               once or more: the bracket repeats what is in front of it
//! [key ...]  <a ...>          none or more; once or more
//! ```
//! What repeats with its token (`GET pattern [GET pattern ...]`) has the token each time. Refused: brackets that do
//! not match, a `...` that repeats nothing, a `|` outside brackets.

use std::iter::Peekable;
use std::str::CharIndices;

/// One argument as COMMAND DOCS tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: String,
    pub shape: Shape,
    pub token: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    /// The token stands in front of each.
    pub multiple_token: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Key,
    String,
    Integer,
    Double,
    Pattern,
    UnixTime,
    PureToken,
    OneOf(Vec<Argument>),
    Block(Vec<Argument>),
}

impl Shape {
    /// Redis's word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf(_) => "oneof",
            Self::Block(_) => "block",
        }
    }

    pub(super) fn inner(&self) -> Option<&[Argument]> {
        match self {
            Self::OneOf(inner) | Self::Block(inner) => Some(inner),
            _ => None,
        }
    }

    fn of_value(name: &str) -> Self {
        TYPES.iter().find(|(_, names)| names.contains(&name)).map_or(Self::String, |(shape, _)| shape.clone())
    }
}

/// Values whose names tell that they are not just strings.
const TYPES: &[(Shape, &[&str])] = &[
    (
        Shape::Key,
        &["key", "newkey", "key1", "key2", "source", "destination", "destkey", "sourcekey", "dst", "src"],
    ),
    (Shape::Pattern, &["pattern"]),
    (Shape::UnixTime, &["unix-time-seconds", "unix-time-milliseconds"]),
    (
        Shape::Double,
        &[
            "float-increment",
            "float-timeout",
            "longitude",
            "latitude",
            "radius",
            "width",
            "height",
            "score",
            "min-score",
            "max-score",
        ],
    ),
    (
        Shape::Integer,
        &[
            "bit",
            "bytes",
            "client-id",
            "cluster-bus-port",
            "config-epoch",
            "count",
            "cursor",
            "db",
            "decrement",
            "destination-db",
            "end",
            "end-slot",
            "entries-added",
            "entries-read",
            "frequency",
            "increment",
            "index",
            "index1",
            "index2",
            "integer",
            "len",
            "length",
            "limit",
            "maxage",
            "milliseconds",
            "min-match-len",
            "ms",
            "num",
            "num-matches",
            "numfields",
            "numkeys",
            "numreplicas",
            "offset",
            "port",
            "protover",
            "rank",
            "seconds",
            "slot",
            "start",
            "start-slot",
            "stop",
            "timeout",
            "ttl",
            "version",
            "weight",
        ],
    ),
];

impl Argument {
    fn new(name: String, shape: Shape) -> Self {
        Self { name, shape, token: None, optional: false, multiple: false, multiple_token: false }
    }

    pub(super) fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let flags = [
            (self.optional, "optional"),
            (self.multiple, "multiple"),
            (self.multiple_token, "multiple_token"),
        ];
        flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name)
    }
}

/// The arguments of a syntax, or nothing if it breaks the notation.
pub(super) fn parse(syntax: &'static str) -> Option<Vec<Argument>> {
    let mut words = Words { text: syntax, rest: syntax.char_indices().peekable() };
    let alternatives = words.alternatives(None)?;
    let [sequence] = <[_; 1]>::try_from(alternatives).ok()?;
    arguments(&sequence)
}

/// The notation as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Word(&'static str),
    Optional(Vec<Vec<Node>>),
    Group(Vec<Vec<Node>>),
    Dots,
    /// What stood in front of its repetition.
    Repeated(Vec<Node>),
}

impl Node {
    fn is_token(&self) -> bool {
        matches!(self, Self::Word(word) if !word.contains(|c: char| c.is_ascii_lowercase()))
    }

    /// Belongs to the token in front of it.
    fn is_value(&self) -> bool {
        match self {
            Self::Word(_) => !self.is_token(),
            Self::Repeated(nodes) => nodes.iter().all(Self::is_value),
            Self::Group(_) => true,
            Self::Optional(_) | Self::Dots => false,
        }
    }
}

struct Words {
    text: &'static str,
    rest: Peekable<CharIndices<'static>>,
}

impl Words {
    /// Sequences up to the closing bracket, or to the end where none is awaited.
    fn alternatives(&mut self, closing: Option<char>) -> Option<Vec<Vec<Node>>> {
        let mut alternatives = vec![Vec::new()];
        loop {
            let node = match self.rest.next() {
                None if closing.is_none() => return repeat_all(alternatives),
                Some((_, c)) if Some(c) == closing => return repeat_all(alternatives),
                None | Some((_, ']' | '>')) => return None,
                Some((_, ' ')) => continue,
                Some((_, '|')) => {
                    alternatives.push(Vec::new());
                    continue;
                }
                Some((_, '[')) => Node::Optional(self.alternatives(Some(']'))?),
                Some((_, '<')) => Node::Group(self.alternatives(Some('>'))?),
                Some((start, _)) => self.word(start),
            };
            alternatives.last_mut()?.push(node);
        }
    }

    fn word(&mut self, start: usize) -> Node {
        while self.rest.next_if(|&(_, c)| !" |[]<>".contains(c)).is_some() {}
        let end = self.rest.peek().map_or(self.text.len(), |&(at, _)| at);
        match &self.text[start..end] {
            "..." => Node::Dots,
            word => Node::Word(word),
        }
    }
}

fn repeat_all(alternatives: Vec<Vec<Node>>) -> Option<Vec<Vec<Node>>> {
    alternatives.into_iter().map(repeat).collect()
}

/// Puts every repetition around what it repeats. Dots that repeat the whole of a bracket are left to the bracket.
fn repeat(sequence: Vec<Node>) -> Option<Vec<Node>> {
    let mut out: Vec<Node> = Vec::new();
    for node in sequence {
        let (Node::Optional(inside) | Node::Group(inside)) = &node else {
            out.push(node);
            continue;
        };
        let Some(repeated) = repeated(inside) else {
            out.push(node);
            continue;
        };
        let before = out.len().checked_sub(repeated.len()).filter(|_| matches!(node, Node::Optional(_)));
        match before {
            Some(before) if out[before..] == *repeated => {
                out.truncate(before);
                out.push(Node::Repeated(repeated.to_vec()));
            }
            _ if matches!(node, Node::Optional(_)) => {
                out.push(Node::Optional(vec![vec![Node::Repeated(repeated.to_vec())]]));
            }
            _ => out.push(Node::Repeated(repeated.to_vec())),
        }
    }
    let dots = out.iter().position(|node| *node == Node::Dots);
    (dots.is_none() || (dots == Some(out.len() - 1) && out.len() > 1)).then_some(out)
}

/// What a bracket repeats, if it ends with dots.
fn repeated(inside: &[Vec<Node>]) -> Option<&[Node]> {
    match inside {
        [sequence] => sequence.strip_suffix(&[Node::Dots]),
        _ => None,
    }
}

fn arguments(sequence: &[Node]) -> Option<Vec<Argument>> {
    let mut out = Vec::new();
    let mut rest = sequence;
    while let Some((node, behind)) = rest.split_first() {
        rest = behind;
        match node {
            Node::Word(token) if node.is_token() => {
                let values = rest.iter().take_while(|node| node.is_value()).count();
                out.push(with_token(token, arguments(&rest[..values])?));
                rest = &rest[values..];
            }
            Node::Word(name) => out.push(Argument::new((*name).to_owned(), Shape::of_value(name))),
            Node::Optional(inside) => out.push(Argument { optional: true, ..one_of(inside)? }),
            Node::Group(inside) => out.push(one_of(inside)?),
            Node::Repeated(nodes) => {
                let multiple_token = nodes[0].is_token();
                out.push(Argument { multiple: true, multiple_token, ..block(arguments(nodes)?) });
            }
            Node::Dots => return None,
        }
    }
    Some(out)
}

fn with_token(token: &'static str, mut values: Vec<Argument>) -> Argument {
    let name = token.to_ascii_lowercase();
    let argument = match values.len() {
        0 => Argument::new(name, Shape::PureToken),
        1 => values.remove(0),
        _ => Argument::new(name, Shape::Block(values)),
    };
    Argument { token: Some(token), ..argument }
}

fn one_of(alternatives: &[Vec<Node>]) -> Option<Argument> {
    let mut choices = alternatives
        .iter()
        .map(|sequence| arguments(sequence).filter(|found| !found.is_empty()).map(block))
        .collect::<Option<Vec<_>>>()?;
    if choices.len() == 1 {
        return choices.pop();
    }
    Some(Argument::new(joined_name(&choices), Shape::OneOf(choices)))
}

/// Several arguments as one.
fn block(mut arguments: Vec<Argument>) -> Argument {
    match arguments.len() {
        1 => arguments.remove(0),
        _ => Argument::new(joined_name(&arguments), Shape::Block(arguments)),
    }
}

/// Redis joins names likewise where it has no better one.
fn joined_name(arguments: &[Argument]) -> String {
    arguments.iter().map(|argument| argument.name.as_str()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TABLE;

    /// Arguments in short: `name:type`, `=TOKEN`, `?` optional, `*` multiple, `**` with its token each time.
    fn short(arguments: &[Argument]) -> String {
        let one = |argument: &Argument| {
            let inner = argument.shape.inner().map_or(String::new(), |inner| format!("({})", short(inner)));
            let token = argument.token.map_or(String::new(), |token| format!("={token}"));
            let marks: String =
                argument.flag_names().map(|flag| if flag == "optional" { '?' } else { '*' }).collect();
            format!("{}:{}{inner}{token}{marks}", argument.name, argument.shape.name())
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn read(syntax: &'static str) -> String {
        parse(syntax).map_or("refused".to_owned(), |arguments| short(&arguments))
    }

    #[test]
    fn the_notation_is_read_as_the_header_says() {
        for (syntax, arguments) in [
            ("", ""),
            ("key value", "key:key value:string"),
            ("[EX seconds]", "seconds:integer=EX?"),
            ("key [NX|XX]", "key:key nx_xx:oneof(nx:pure-token=NX xx:pure-token=XX)?"),
            ("<ON | OFF>", "on_off:oneof(on:pure-token=ON off:pure-token=OFF)"),
            ("[LIMIT offset count]", "limit:block(offset:integer count:integer)=LIMIT?"),
            ("key [key ...]", "key:key*"),
            ("[key ...]", "key:key?*"),
            ("key value [key value ...]", "key_value:block(key:key value:string)*"),
            ("[GET pattern [GET pattern ...]]", "pattern:pattern=GET?**"),
            ("[ID client-id [client-id ...]]", "client-id:integer=ID?*"),
            ("<[A x] | [B y]>", "x_y:oneof(x:string=A? y:string=B?)"),
            ("<[A x] | [B y] ...>", "refused"),
            ("<<[A x] | [B y]> ...>", "x_y:oneof(x:string=A? y:string=B?)*"),
            ("ip:port", "ip:port:string"),
        ] {
            assert_eq!(read(syntax), arguments, "{syntax}");
        }
    }

    #[test]
    fn what_breaks_the_notation_is_refused() {
        for syntax in ["[key", "key]", "<key]", "key|value", "...", "key ...", "[... key]", "[]", "[NX|]"] {
            assert_eq!(parse(syntax), None, "{syntax}");
        }
    }

    #[test]
    fn every_syntax_in_the_table_is_read() {
        for row in &TABLE {
            assert!(parse(row.syntax).is_some(), "{}: {}", row.name, row.syntax);
        }
    }
}
