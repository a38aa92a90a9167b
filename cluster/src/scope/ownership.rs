//! The table that says whether this node may write a key.

use std::collections::BTreeMap;

use super::migration::Phase;
use super::prefix_map::PrefixMap;
use super::{MigrationTable, Prefix, Route, Scope, ScopeError, Scopes, covering, holder, route_at};
use crate::ids::{Id, Version};
use crate::node::{Address, NodeName, Nodes};

/// What this node is to do with a write of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// No scope has the key: this node may write it, as all may.
    Unscoped,
    /// This node writes it.
    Owned,
    /// Another node does.
    Misdirected { writer: &'t Address },
    /// Nobody does at the moment; this node will.
    Quiesced { to: &'t Address },
}

impl Verdict<'_> {
    /// This node may write the key.
    pub fn allows(self) -> bool {
        matches!(self, Self::Unscoped | Self::Owned)
    }
}

/// The part of a scope that a key is in: what is decided for one of its keys is decided for all. Of the table that it
/// was got from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    scope: u32,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Owned,
    Elsewhere(u32),
    Quiesced(u32),
}

/// What several keys have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    part: Option<Part>,
    crosses: bool,
}

/// Keys of two scopes, or of one that two nodes write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys are in more than one scope")]
pub struct CrossesScopes;

/// Where a prefix leads.
#[derive(Clone, Copy, Debug)]
enum Place {
    Whole(Part),
    /// To the one of a list of cuts that begins last before the key.
    Cut(u32),
}

/// Who may write which keys, as one node sees it. Made from scopes as a whole, then only read.
#[derive(Clone, Debug)]
pub struct OwnershipTable {
    version: Version,
    places: PrefixMap<Place>,
    /// For each scope that is cut: where each of its routes begins.
    cuts: Vec<Vec<(Prefix, Part)>>,
    addresses: Vec<Address>,
    owns_all: bool,
}

impl OwnershipTable {
    /// The table of the node `this`, of scopes that are declared and have not been changed since.
    pub fn declared(
        this: &NodeName,
        nodes: &Nodes,
        declared: impl IntoIterator<Item = Scope>,
    ) -> Result<Self, ScopeError> {
        let mut scopes = Scopes::new_sync();
        for (scope, id) in declared.into_iter().zip(1..) {
            scope.add_to(&mut scopes, nodes, Id(id))?;
        }
        Ok(Self::new(Version::default(), Some(this), nodes, &scopes, &MigrationTable::default()))
    }

    /// The table of the node `this`; of one without a name, which owns nothing, if there is none.
    ///
    /// # Panics
    /// When a scope or a move names a node that is not among `nodes`.
    pub fn new(
        version: Version,
        this: Option<&NodeName>,
        nodes: &Nodes,
        scopes: &Scopes,
        moves: &MigrationTable,
    ) -> Self {
        let mut maker = Maker::new(this, nodes);
        let scoped: Vec<(&Prefix, Place)> = (0..)
            .zip(scopes.iter())
            .map(|(scope, (prefix, routes))| (prefix, maker.place_of_routes(scope, routes)))
            .collect();
        let migrated = moves.migrated().map(|(prefix, done)| (prefix, Phase::Migrated(done)));
        let migrating = moves.migrating().map(|(prefix, begun)| (prefix, Phase::Migrating(begun)));
        // A prefix is there once, whatever has been made of it: the last word counts.
        let mut places: BTreeMap<&[u8], Place> =
            scoped.iter().map(|(prefix, place)| (&***prefix, *place)).collect();
        for (prefix, phase) in migrated.chain(migrating) {
            if let Some((scope, routes)) = covering(scopes, prefix)
                && let Ok(number) = scoped.binary_search_by_key(&scope, |(prefix, _)| prefix)
            {
                places.insert(
                    prefix,
                    maker.place_of_move(number as u32, &routes[route_at(routes, prefix)], phase),
                );
            }
        }
        let owns_all = places.iter().all(|(prefix, place)| match place {
            Place::Whole(part) => part.standing == Standing::Owned,
            Place::Cut(cuts) => owns_cuts(prefix, &maker.cuts[*cuts as usize], &places),
        });
        Self {
            version,
            places: PrefixMap::new(places),
            cuts: maker.cuts,
            addresses: nodes.values().map(|node| node.address.clone()).collect(),
            owns_all,
        }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// There are no scopes.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// This node writes all keys of all scopes.
    pub fn owns_all(&self) -> bool {
        self.owns_all
    }

    /// What is to be done with a write of a key.
    #[inline]
    pub fn lookup(&self, key: &[u8]) -> Verdict<'_> {
        self.verdict(self.part(key))
    }

    /// The part that has a key.
    #[inline]
    pub fn part(&self, key: &[u8]) -> Option<Part> {
        match self.places.longest(key)? {
            Place::Whole(part) => Some(*part),
            Place::Cut(cuts) => {
                let cuts = &self.cuts[*cuts as usize];
                let behind = cuts.partition_point(|(from, _)| **from <= *key);
                cuts.get(behind.saturating_sub(1)).map(|(_, part)| *part)
            }
        }
    }

    /// What is to be done with a write of all these keys together.
    pub fn judge(&self, footprint: Footprint) -> Result<Verdict<'_>, CrossesScopes> {
        if footprint.crosses { Err(CrossesScopes) } else { Ok(self.verdict(footprint.part)) }
    }

    #[inline]
    fn verdict(&self, part: Option<Part>) -> Verdict<'_> {
        match part.map(|part| part.standing) {
            None => Verdict::Unscoped,
            Some(Standing::Owned) => Verdict::Owned,
            Some(Standing::Elsewhere(node)) => {
                Verdict::Misdirected { writer: &self.addresses[node as usize] }
            }
            Some(Standing::Quiesced(node)) => Verdict::Quiesced { to: &self.addresses[node as usize] },
        }
    }
}

/// Whether this node writes all routes of a scope that is cut, but for keys that have places of their own.
fn owns_cuts(scope: &[u8], cuts: &[(Prefix, Part)], places: &BTreeMap<&[u8], Place>) -> bool {
    let ends = cuts.iter().skip(1).map(|(from, _)| Some(&**from)).chain([None]);
    cuts.iter()
        .zip(ends)
        .all(|((from, part), end)| part.standing == Standing::Owned || has_places(scope, from, end, places))
}

/// Whether every key of a scope from one on, up to another or its end, begins with a longer prefix that has a place.
fn has_places(scope: &[u8], from: &[u8], end: Option<&[u8]>, places: &BTreeMap<&[u8], Place>) -> bool {
    let mut key = from.to_vec();
    let is_left = |key: &[u8]| key.starts_with(scope) && end.is_none_or(|end| key < end);
    while is_left(&key) {
        let longer = scope.len() + 1..=key.len();
        let Some(len) = longer.into_iter().find(|&len| places.contains_key(&key[..len])) else {
            return false;
        };
        // The first key behind all that begin so.
        key.truncate(len);
        while key.pop_if(|byte| *byte == u8::MAX).is_some() {}
        let Some(last) = key.last_mut() else { return true };
        *last += 1;
    }
    true
}

impl Footprint {
    /// Adds a key, by the part that has it.
    #[inline]
    pub fn add(&mut self, part: Option<Part>) {
        if let (Some(before), Some(part)) = (self.part, part) {
            self.crosses |= before != part;
        }
        self.part = self.part.or(part);
    }
}

/// What is needed to make a table.
struct Maker<'n> {
    this: Option<&'n NodeName>,
    nodes: &'n Nodes,
    numbers: BTreeMap<&'n NodeName, u32>,
    cuts: Vec<Vec<(Prefix, Part)>>,
}

impl<'n> Maker<'n> {
    fn new(this: Option<&'n NodeName>, nodes: &'n Nodes) -> Self {
        let numbers = nodes.keys().zip(0..).collect();
        Self { this, nodes, numbers, cuts: Vec::new() }
    }

    fn place_of_routes(&mut self, scope: u32, routes: &[Route]) -> Place {
        if let [route] = routes {
            return Place::Whole(self.part_of_route(scope, route));
        }
        let cuts =
            routes.iter().map(|route| (route.from.clone(), self.part_of_route(scope, route))).collect();
        self.cuts.push(cuts);
        Place::Cut(self.cuts.len() as u32 - 1)
    }

    fn part_of_route(&mut self, scope: u32, route: &Route) -> Part {
        self.part(scope, route.holder(self.nodes), route.is_fenced)
    }

    /// A moved prefix keeps the fallback of the route that it was moved out of. As an assignment may give that another,
    /// a fence is in front of the moved prefix as well.
    fn place_of_move(&mut self, scope: u32, route: &Route, phase: Phase<'_>) -> Place {
        Place::Whole(match phase {
            Phase::Migrating(begun) => self.part(scope, &begun.to, true),
            Phase::Migrated(done) => {
                let holder = holder(self.nodes, &done.to, route.fallback.as_ref());
                self.part(scope, holder, route.is_fenced)
            }
        })
    }

    fn part(&mut self, scope: u32, holder: &NodeName, is_fenced: bool) -> Part {
        let node = self.numbers[holder];
        let standing = match is_fenced {
            true => Standing::Quiesced(node),
            false if self.this == Some(holder) => Standing::Owned,
            false => Standing::Elsewhere(node),
        };
        Part { scope, standing }
    }
}
