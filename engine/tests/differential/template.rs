//! What a command may look like, as a line:
//!
//! ```text
//! ZADD <zset> [NX|XX] [GT|LT] [CH] {<score> <member>}
//!
//! word        itself                       (a | b)    one of them
//! <kind>      a value, see `vocabulary`    [a | b]    one of them, or nothing
//! {a b}       once or more                 #{a}       how often, then so often
//! ={a}        as often as the last #{…}
//! ```
//!
//! Options that follow each other are shuffled now and then.

use fastrand::Rng;

use super::vocabulary::{Kind, value};

#[derive(Debug)]
pub enum Node {
    Word(&'static str),
    Value(Kind),
    Optional(Vec<Sequence>),
    Choice(Vec<Sequence>),
    Repeat(Sequence),
    Counted(Sequence),
    AsMany(Sequence),
}

pub type Sequence = Vec<Node>;

/// The sequence that a line describes.
pub fn parse(line: &'static str) -> Sequence {
    let mut parser = Parser { rest: line, line };
    let mut all = parser.alternatives();
    parser.check(parser.rest.is_empty() && all.len() == 1);
    all.remove(0)
}

struct Parser {
    rest: &'static str,
    line: &'static str,
}

impl Parser {
    fn alternatives(&mut self) -> Vec<Sequence> {
        let mut all = vec![Vec::new()];
        loop {
            self.rest = self.rest.trim_start();
            let sequence = all.last_mut().expect("there is one from the start");
            match self.rest.chars().next() {
                None | Some(']' | ')' | '}') => return all,
                Some('|') => {
                    self.rest = &self.rest[1..];
                    all.push(Vec::new());
                }
                Some(_) => {
                    let node = self.node();
                    sequence.push(node);
                }
            }
        }
    }

    fn node(&mut self) -> Node {
        for (open, close) in [("[", "]"), ("(", ")"), ("{", "}"), ("#{", "}"), ("={", "}")] {
            let Some(rest) = self.rest.strip_prefix(open) else { continue };
            self.rest = rest;
            let mut inner = self.alternatives();
            self.rest = self.rest.strip_prefix(close).unwrap_or_else(|| panic!("{}: no {close}", self.line));
            return match open {
                "[" => Node::Optional(inner),
                "(" => Node::Choice(inner),
                "{" => Node::Repeat(inner.remove(0)),
                "#{" => Node::Counted(inner.remove(0)),
                _ => Node::AsMany(inner.remove(0)),
            };
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || "[](){}|".contains(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
            Some(kind) => Node::Value(Kind::named(kind).unwrap_or_else(|| panic!("{}: {word}?", self.line))),
            None => Node::Word(word),
        }
    }

    fn check(&self, holds: bool) {
        assert!(holds, "{}: not at {:?}", self.line, self.rest);
    }
}

/// A command of that shape.
pub fn expand(sequence: &[Node], rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut expansion = Expansion { rng, args: Vec::new(), counted: 1 };
    expansion.sequence(sequence);
    expansion.args
}

struct Expansion<'a> {
    rng: &'a mut Rng,
    args: Vec<Vec<u8>>,
    counted: usize,
}

impl Expansion<'_> {
    fn sequence(&mut self, mut nodes: &[Node]) {
        while let Some((first, rest)) = nodes.split_first() {
            let is_option = |node: &Node| matches!(node, Node::Optional(_));
            let options = nodes.iter().take_while(|node| is_option(node)).count();
            if options > 1 && self.rng.bool() {
                let mut shuffled: Vec<&Node> = nodes[..options].iter().collect();
                self.rng.shuffle(&mut shuffled);
                shuffled.into_iter().for_each(|node| self.node(node));
                nodes = &nodes[options..];
            } else {
                self.node(first);
                nodes = rest;
            }
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Word(word) => self.word(word),
            Node::Value(kind) => self.args.push(value(*kind, self.rng)),
            Node::Optional(choices) => {
                if self.rng.u8(..10) < 4 {
                    self.one_of(choices);
                }
            }
            Node::Choice(choices) => self.one_of(choices),
            Node::Repeat(inner) => {
                let times = self.times();
                (0..times).for_each(|_| self.sequence(inner));
            }
            Node::Counted(inner) => {
                self.counted = self.times().min(4);
                self.args.push(self.counted.to_string().into_bytes());
                (0..self.counted).for_each(|_| self.sequence(inner));
            }
            Node::AsMany(inner) => (0..self.counted).for_each(|_| self.sequence(inner)),
        }
    }

    fn one_of(&mut self, choices: &[Sequence]) {
        let choice = self.rng.usize(..choices.len());
        self.sequence(&choices[choice]);
    }

    /// Mostly few, seldom enough to pass the thresholds of packed encodings.
    fn times(&mut self) -> usize {
        match self.rng.u8(..) {
            0..3 => self.rng.usize(20..150),
            3..10 => self.rng.usize(5..20),
            10..40 => 3,
            40..110 => 2,
            _ => 1,
        }
    }

    fn word(&mut self, word: &str) {
        let word = if self.rng.u8(..20) == 0 { word.to_ascii_lowercase() } else { word.to_owned() };
        self.args.push(word.into_bytes());
    }
}
