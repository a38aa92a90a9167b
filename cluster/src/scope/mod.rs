//! Scopes: prefixes of keys, each owned for writing by one node.
//!
//! Declared scopes do not overlap. A key is in the scope whose prefix it begins with; a key in none is anybody's. A
//! scope's writer is one node; while that is marked down its fallback writes, if there is one and it is up itself,
//! and when it is up again it has the scope back. A scope may be cut into routes, each from one key to the next one's
//! first, with a writer of its own. A prefix within a scope may be moved to another node: see [`migration`].
//!
//! [`OwnershipTable`] is what all of that comes to for one node: made once, never changed, asked for every key.

pub mod migration;
mod ownership;
mod prefix_map;

use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

pub use migration::{MigrationTable, MoveError, Phase};
pub use ownership::{CrossesScopes, Footprint, OwnershipTable, Part, Verdict};
pub use prefix_map::PrefixMap;

use crate::ids::Id;
use crate::node::{NodeName, Nodes};

/// Longest prefix: what a lookup costs is bounded by it.
pub const PREFIX_BYTES_MAX: usize = 512;
/// Most routes of all scopes together, and most moved prefixes.
pub const ROUTES_MAX: usize = 100_000;
/// Most routes of one scope.
pub const ROUTES_OF_SCOPE_MAX: usize = 1024;

/// A prefix, or a key at which a route begins.
pub type Prefix = Arc<[u8]>;

/// The routes of each scope by its prefix, in the order of their first keys. There is at least one, and the first
/// begins at the prefix. A copy costs nothing, and shares what is not changed.
pub type Scopes = RedBlackTreeMapSync<Prefix, Arc<[Route]>>;

/// A scope as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub prefix: Prefix,
    pub writer: NodeName,
    pub fallback: Option<NodeName>,
}

/// A scope's keys from one on, up to where its next route begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub id: Id,
    pub from: Prefix,
    pub writer: NodeName,
    pub fallback: Option<NodeName>,
    /// Nobody may write.
    pub is_fenced: bool,
}

/// Why a scope cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("a scope's prefix can't be empty")]
    EmptyPrefix,
    #[error("a scope's prefix has {PREFIX_BYTES_MAX} bytes at most")]
    LongPrefix,
    #[error("there is a scope '{}' already", .0.escape_ascii())]
    Duplicate(Prefix),
    #[error("scope '{}' overlaps with scope '{}'", new.escape_ascii(), old.escape_ascii())]
    Overlap { new: Prefix, old: Prefix },
    #[error("there is no node '{0}'")]
    UnknownNode(NodeName),
    #[error("the fallback of a scope can't be its writer")]
    FallbackIsWriter,
    #[error("there are {ROUTES_MAX} routes already, or {ROUTES_OF_SCOPE_MAX} of the scope")]
    TooMany,
}

impl Scope {
    /// Adds the scope to others, as one route.
    pub fn add_to(&self, scopes: &mut Scopes, nodes: &Nodes, id: Id) -> Result<(), ScopeError> {
        self.check(nodes)?;
        if let Some(old) = overlapping(scopes, &self.prefix) {
            let (new, old) = (Arc::clone(&self.prefix), Arc::clone(old));
            return Err(if new == old {
                ScopeError::Duplicate(old)
            } else {
                ScopeError::Overlap { new, old }
            });
        }
        let Self { prefix, writer, fallback } = self.clone();
        let route = Route { id, from: Arc::clone(&prefix), writer, fallback, is_fenced: false };
        scopes.insert_mut(prefix, [route].into());
        Ok(())
    }

    fn check(&self, nodes: &Nodes) -> Result<(), ScopeError> {
        if self.prefix.is_empty() {
            return Err(ScopeError::EmptyPrefix);
        }
        if self.prefix.len() > PREFIX_BYTES_MAX {
            return Err(ScopeError::LongPrefix);
        }
        if self.fallback.as_ref() == Some(&self.writer) {
            return Err(ScopeError::FallbackIsWriter);
        }
        known(nodes, &self.writer)?;
        self.fallback.as_ref().map_or(Ok(()), |fallback| known(nodes, fallback))
    }
}

impl Route {
    /// Who writes as things are.
    pub fn holder<'r>(&'r self, nodes: &Nodes) -> &'r NodeName {
        holder(nodes, &self.writer, self.fallback.as_ref())
    }
}

pub(crate) fn known(nodes: &Nodes, name: &NodeName) -> Result<(), ScopeError> {
    if nodes.contains_key(name) { Ok(()) } else { Err(ScopeError::UnknownNode(name.clone())) }
}

/// Who writes: the writer, unless it is down and the fallback is up.
pub(crate) fn holder<'n>(
    nodes: &Nodes,
    writer: &'n NodeName,
    fallback: Option<&'n NodeName>,
) -> &'n NodeName {
    let is_up = |name: &NodeName| nodes.get(name).is_some_and(|node| node.is_up);
    match fallback {
        Some(fallback) if !is_up(writer) && is_up(fallback) => fallback,
        _ => writer,
    }
}

/// One of these prefixes, none of which begins another, that begins `prefix` or begins with it.
pub(crate) fn overlapping<'m, V>(
    prefixes: &'m RedBlackTreeMapSync<Prefix, V>,
    prefix: &[u8],
) -> Option<&'m Prefix> {
    let inside = beginning_with(prefixes, prefix).next();
    inside.or_else(|| covering(prefixes, prefix)).map(|(overlapping, _)| overlapping)
}

/// Those of these prefixes that begin with `prefix`.
pub(crate) fn beginning_with<'m, V>(
    prefixes: &'m RedBlackTreeMapSync<Prefix, V>,
    prefix: &[u8],
) -> impl Iterator<Item = (&'m Prefix, &'m V)> {
    let from = prefixes.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
    from.take_while(move |(inside, _)| inside.starts_with(prefix))
}

/// Of these prefixes, none of which begins another, the one that begins `key`.
pub(crate) fn covering<'m, V>(
    prefixes: &'m RedBlackTreeMapSync<Prefix, V>,
    key: &[u8],
) -> Option<(&'m Prefix, &'m V)> {
    let before = prefixes.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
    before.filter(|(before, _)| key.starts_with(before))
}

/// The place among routes of the one that has a key of their scope.
pub(crate) fn route_at(routes: &[Route], key: &[u8]) -> usize {
    routes.partition_point(|route| *route.from <= *key).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Address, Node};

    fn name(name: &str) -> NodeName {
        NodeName::new(name.as_bytes()).unwrap()
    }

    fn nodes(up: &[(&str, bool)]) -> Nodes {
        let node = |is_up| Node { address: Address::new(b"h:1").unwrap(), is_up };
        up.iter().map(|&(text, is_up)| (name(text), node(is_up))).collect()
    }

    fn scope(prefix: &str, writer: &str, fallback: Option<&str>) -> Scope {
        Scope { prefix: prefix.as_bytes().into(), writer: name(writer), fallback: fallback.map(name) }
    }

    fn refusal(scopes: &[Scope]) -> String {
        let nodes = nodes(&[("a", true), ("b", true)]);
        let mut all = Scopes::new_sync();
        let refused = scopes.iter().find_map(|scope| scope.add_to(&mut all, &nodes, Id(1)).err());
        refused.map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn scopes_that_overlap_are_refused_with_both_named() {
        let add = |first, second| refusal(&[scope(first, "a", None), scope(second, "b", None)]);
        assert_eq!(add("user:", "user:"), "there is a scope 'user:' already");
        assert_eq!(add("user:", "user:1:"), "scope 'user:1:' overlaps with scope 'user:'");
        assert_eq!(add("user:1:", "user:"), "scope 'user:' overlaps with scope 'user:1:'");
        assert_eq!(add("user:", "us"), "scope 'us' overlaps with scope 'user:'");
        assert_eq!(add("user:", "user;"), "");
        assert_eq!(add("b", "a"), "");
    }

    #[test]
    fn overlaps_are_found_among_many() {
        let nodes = nodes(&[("a", true)]);
        let mut scopes = Scopes::new_sync();
        for prefix in ["a:", "b:1:", "b:2:", "c", "d"] {
            scope(prefix, "a", None).add_to(&mut scopes, &nodes, Id(1)).unwrap();
        }
        for (prefix, with) in [("a:x", "a:"), ("b", "b:1:"), ("b:2", "b:2:"), ("b:2:zz", "b:2:"), ("cc", "c")]
        {
            assert_eq!(&**overlapping(&scopes, prefix.as_bytes()).unwrap(), with.as_bytes(), "{prefix}");
        }
        for free in ["a;", "b:3:", "e", "`"] {
            assert_eq!(overlapping(&scopes, free.as_bytes()), None, "{free}");
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        assert_eq!(refusal(&[scope("", "a", None)]), "a scope's prefix can't be empty");
        assert_eq!(refusal(&[scope("x", "z", None)]), "there is no node 'z'");
        assert_eq!(refusal(&[scope("x", "a", Some("z"))]), "there is no node 'z'");
        assert_eq!(refusal(&[scope("x", "a", Some("a"))]), "the fallback of a scope can't be its writer");
        let long = "x".repeat(PREFIX_BYTES_MAX + 1);
        assert_eq!(refusal(&[scope(&long, "a", None)]), "a scope's prefix has 512 bytes at most");
        assert_eq!(refusal(&[scope(&long[1..], "a", Some("b"))]), "");
    }

    #[test]
    fn the_fallback_writes_while_only_the_writer_is_down() {
        let (writer, fallback) = (name("a"), name("b"));
        for (up, expected) in
            [([true, true], "a"), ([false, true], "b"), ([true, false], "a"), ([false, false], "a")]
        {
            let nodes = nodes(&[("a", up[0]), ("b", up[1])]);
            assert_eq!(holder(&nodes, &writer, Some(&fallback)).as_str(), expected, "{up:?}");
            assert_eq!(holder(&nodes, &writer, None).as_str(), "a");
        }
    }
}
