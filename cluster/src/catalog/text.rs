//! A catalog's file: its oldest remembered version, and the changes since.
//!
//! ```text
//! bobbin-catalog 2
//! declared user: writer a fallback b          the configuration of the last start
//! version 40 next 12
//! node a 10.0.0.1:6379 up
//! route 3 user: writer a fallback b
//! route 9 user:5 writer b fenced              a further route of the scope before it
//! move 7 user:1 from a to b                   under way
//! moved 5 user:2 to b
//! change scope "order 1:" writer a            the first that was made of this, and so on
//! crc32c 1a2b3c4d
//! ```
//!
//! Format version 1 does not say what was declared. Text, for the eyes of whoever looks into the directory. The checksum is that of all lines before it. Nothing but
//! what is written is read: a blank too many, lines out of order, a change that would be refused are refused.

use std::fmt;
use std::sync::Arc;

use bobbin_proto::{join_words, split_words};

use super::change::{NODES_MAX, NUMBER_MAX, node_words, parse_id, scope_words};
use super::{Catalog, CatalogLog, Change, Declared, Refusal, parse_scope};
use crate::ids::{Id, Version};
use crate::node::{Address, Node, NodeName};
use crate::scope::migration::{Migrated, Migrating};
use crate::scope::{Prefix, ROUTES_OF_SCOPE_MAX, Route, Scope, covering, known};

const TITLE: &[u8] = b"bobbin-catalog";
const FORMAT_VERSION: u32 = 2;
/// The last that does not say what was declared.
const UNDECLARED_VERSION: u32 = 1;
const CHECKSUM: &[u8] = b"crc32c ";

/// Why bytes are no catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCatalog {
    #[error("it is not as it was written")]
    Damaged,
    #[error(
        "it is of format version {0}, written by a later Bobbin; this one reads versions up to {FORMAT_VERSION}"
    )]
    Newer(u32),
    #[error("its line {line} says what can't be: {refusal}")]
    Impossible { line: usize, refusal: Refusal },
}

impl CatalogLog {
    pub fn encode(&self) -> Vec<u8> {
        let (oldest, changes) = self.oldest();
        let format = if self.declared.is_some() { FORMAT_VERSION } else { UNDECLARED_VERSION };
        let mut lines = vec![words([TITLE, format.to_string().as_bytes()])];
        let declared = self.declared.iter().flat_map(Declared::values);
        lines.extend(declared.map(|scope| [vec![b"declared".to_vec()], scope_words(scope)].concat()));
        oldest.push_lines(&mut lines);
        lines.extend(changes.map(|change| [vec![b"change".to_vec()], change.words()].concat()));
        let mut text: Vec<u8> =
            lines.iter().flat_map(|line| [join_words(line), b"\n".to_vec()].concat()).collect();
        let checksum = crc32c::crc32c(&text);
        text.extend([CHECKSUM, format!("{checksum:08x}\n").as_bytes()].concat());
        text
    }

    /// A log that remembers `most` changes from now on.
    pub fn decode(bytes: &[u8], most: usize) -> Result<Self, BadCatalog> {
        let lines = sealed_lines(bytes).ok_or(BadCatalog::Damaged)?;
        Self::read(lines, most)
    }

    /// The same of the lines without their checksum.
    pub fn read(text: &[u8], most: usize) -> Result<Self, BadCatalog> {
        let mut lines =
            text.strip_suffix(b"\n").ok_or(BadCatalog::Damaged)?.split(|byte| *byte == b'\n').zip(1..);
        let format = format_of(lines.next().map_or(b"", |(line, _)| line))?;
        let mut declared = (format > UNDECLARED_VERSION).then(Declared::new_sync);
        let mut catalog = Catalog::default();
        let mut changes = Vec::new();
        for (line, number) in lines {
            let impossible = |refusal| BadCatalog::Impossible { line: number, refusal };
            match &split_words(line).map_err(|_| BadCatalog::Damaged)?[..] {
                [first, scope @ ..] if first == b"declared" => {
                    let scope = parse_scope(scope).map_err(impossible)?;
                    declared.as_mut().ok_or(BadCatalog::Damaged)?.insert_mut(scope.prefix.clone(), scope);
                }
                [first, change @ ..] if first == b"change" => {
                    changes.push((Change::parse(change).map_err(impossible)?, number));
                }
                _ if !changes.is_empty() => return Err(BadCatalog::Damaged),
                line => catalog.take_line(line).map_err(impossible)?,
            }
        }
        let mut log = Self::new(catalog, most.max(changes.len()));
        log.declared = declared;
        let written = log.is_as_written(text, &changes);
        for (change, line) in changes {
            log.make(change).map_err(|refusal| BadCatalog::Impossible { line, refusal })?;
        }
        log.remember(most);
        if written { Ok(log) } else { Err(BadCatalog::Damaged) }
    }

    /// Whether the text is the catalog's own, and goes on with the changes.
    fn is_as_written(&self, text: &[u8], changes: &[(Change, usize)]) -> bool {
        let mut own = self.encode();
        own.truncate(sealed_lines(&own).map_or(0, <[u8]>::len));
        let rest = text.strip_prefix(&own[..]);
        let line = |(change, _): &(Change, usize)| [b"change ", &change.line()[..], b"\n"].concat();
        rest.is_some_and(|rest| rest == changes.iter().flat_map(line).collect::<Vec<u8>>())
    }
}

impl Catalog {
    fn push_lines(&self, lines: &mut Vec<Vec<Vec<u8>>>) {
        let mut push = |parts: &[&dyn fmt::Display], rest: Vec<Vec<u8>>| {
            let parts = parts.iter().map(|part| part.to_string().into_bytes());
            lines.push(parts.chain(rest).collect());
        };
        push(&[&"version", &self.version, &"next", &self.next], Vec::new());
        for (name, node) in &self.nodes {
            push(&[&"node", name, &node.address, &if node.is_up { "up" } else { "down" }], Vec::new());
        }
        for route in self.scopes.values().flat_map(|routes| routes.iter()) {
            let fenced = route.is_fenced.then(|| b"fenced".to_vec());
            let nodes = node_words(&route.writer, route.fallback.as_ref());
            push(&[&"route", &route.id], [vec![route.from.to_vec()], nodes, Vec::from_iter(fenced)].concat());
        }
        for (prefix, Migrating { id, from, to }) in self.moves.migrating() {
            push(
                &[&"move", id],
                [vec![prefix.to_vec()], words(["from", from.as_str(), "to", to.as_str()])].concat(),
            );
        }
        for (prefix, Migrated { id, to }) in self.moves.migrated() {
            push(&[&"moved", id], [vec![prefix.to_vec()], words(["to", to.as_str()])].concat());
        }
    }

    fn take_line(&mut self, line: &[Vec<u8>]) -> Result<(), Refusal> {
        let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
        match line[..] {
            [b"version", version, b"next", next] => {
                self.version = Version(bounded(version)?.0);
                self.next = bounded(next)?;
            }
            [b"node", name, address, is_up] => {
                let node = Node { address: Address::new(address)?, is_up: is_up == b"up" };
                self.nodes.insert_mut(NodeName::new(name)?, node);
                if self.nodes.size() > NODES_MAX {
                    return Err(Refusal::TooManyNodes);
                }
            }
            // Roles and names come in pairs, and a node may have any name.
            [b"route", id, from, ref nodes @ .., b"fenced"] if nodes.len().is_multiple_of(2) => {
                self.take_route(id, from, nodes, true)?;
            }
            [b"route", id, from, ref nodes @ ..] => self.take_route(id, from, nodes, false)?,
            [b"move", id, prefix, b"from", from, b"to", to] => {
                let prefix = self.checked_prefix(prefix)?;
                let (from, to) = (self.checked_node(from)?, self.checked_node(to)?);
                self.moves.start(prefix, Migrating { id: self.checked_id(id)?, from, to })?;
            }
            [b"moved", id, prefix, b"to", to] => {
                let done = Migrated { id: self.checked_id(id)?, to: self.checked_node(to)? };
                self.moves.restore(self.checked_prefix(prefix)?, done);
            }
            _ => return Err(Refusal::Syntax),
        }
        Ok(())
    }

    /// A route that begins within the scope before it goes on with that.
    fn take_route(
        &mut self,
        id: &[u8],
        from: &[u8],
        nodes: &[&[u8]],
        is_fenced: bool,
    ) -> Result<(), Refusal> {
        let id = self.checked_id(id)?;
        let Change::Assign { writer, fallback, .. } =
            Change::parse(&[&[&b"assign"[..], b"0"], nodes].concat())?
        else {
            return Err(Refusal::Syntax);
        };
        let scope = Scope { prefix: from.into(), writer, fallback };
        self.add_route()?;
        let (prefix, mut routes) = if let Some((prefix, routes)) = covering(&self.scopes, from) {
            (Arc::clone(prefix), routes.to_vec())
        } else {
            scope.add_to(&mut self.scopes, &self.nodes, id)?;
            (Arc::clone(&scope.prefix), Vec::new())
        };
        let Scope { prefix: from, writer, fallback } = scope;
        [Some(&writer), fallback.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(|node| known(&self.nodes, node))?;
        if routes.len() >= ROUTES_OF_SCOPE_MAX || routes.last().is_some_and(|last| last.from >= from) {
            return Err(Refusal::NotInside { route: id, at: from });
        }
        routes.push(Route { id, from, writer, fallback, is_fenced });
        self.replace_routes(&prefix, routes);
        Ok(())
    }

    /// Of a move, in one route.
    fn checked_prefix(&self, prefix: &[u8]) -> Result<Prefix, Refusal> {
        let prefix = Prefix::from(prefix);
        if self.route_covering(&prefix).is_none() {
            return Err(Refusal::NotInOneRoute(prefix));
        }
        Ok(prefix)
    }

    fn checked_node(&self, name: &[u8]) -> Result<NodeName, Refusal> {
        let name = NodeName::new(name)?;
        known(&self.nodes, &name)?;
        Ok(name)
    }

    /// One that was given.
    fn checked_id(&self, word: &[u8]) -> Result<Id, Refusal> {
        number(word).and_then(|id| if id < self.next { Ok(id) } else { Err(Refusal::NoRoute(id)) })
    }
}

fn number(word: &[u8]) -> Result<Id, Refusal> {
    parse_id(word).ok_or(Refusal::Syntax)
}

fn bounded(word: &[u8]) -> Result<Id, Refusal> {
    number(word).and_then(|id| if id.0 <= NUMBER_MAX { Ok(id) } else { Err(Refusal::TooLarge(id.0)) })
}

fn words<W: AsRef<[u8]> + ?Sized, const N: usize>(words: [&W; N]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_ref().to_vec()).collect()
}

/// The format version that the title names.
fn format_of(line: &[u8]) -> Result<u32, BadCatalog> {
    let version = line.strip_prefix(TITLE).and_then(|rest| rest.strip_prefix(b" ")).and_then(parse_id);
    match u32::try_from(version.ok_or(BadCatalog::Damaged)?.0).unwrap_or(u32::MAX) {
        0 => Err(BadCatalog::Damaged),
        version @ 1..=FORMAT_VERSION => Ok(version),
        version => Err(BadCatalog::Newer(version)),
    }
}

/// The lines before the checksum, if it is theirs.
fn sealed_lines(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.strip_suffix(b"\n")?.iter().rposition(|byte| *byte == b'\n')? + 1;
    let (lines, checksum) = bytes.split_at(end);
    let seal = [CHECKSUM, format!("{:08x}\n", crc32c::crc32c(lines)).as_bytes()].concat();
    (checksum == seal).then_some(lines)
}
