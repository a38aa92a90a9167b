//! The catalog: nodes, routes of scopes and moves, as one value with a version.
//!
//! A [`Change`] makes the next version of a catalog, or is refused; equal changes to equal catalogs make equal ones, so
//! that whoever has agreed on the changes agrees on the catalog. [`CatalogLog`] is a catalog with the changes it was last
//! made by and what was declared; `text` writes and reads it. [`LoadDetector`] finds where a route might be cut. From a catalog each node
//! makes its [`OwnershipTable`].
//!
//! | state of a route | its keys are written by |
//! |---|---|
//! | active | its holder: the writer, or the fallback while only the writer is down |
//! | write-fenced | nobody, nor what was moved out of it; its writer may be changed, which is how a route that is no prefix moves |
//! | migrating-source | nobody: the prefix is being moved away |
//! | migrating-target | nobody yet: the prefix is being moved here |
//!
//! Ids of routes and moves come from one sequence in the catalog, and are never used again.

mod change;
mod declare;
mod load;
mod log;
mod text;

use std::fmt;
use std::sync::Arc;

pub use change::{Change, Refusal, parse_scope};
pub use declare::{BadDeclaration, Declared};
pub use load::{LoadDetector, Proposal};
pub use log::{CatalogLog, HISTORY_DEFAULT, SaveError, Update};
pub use text::BadCatalog;

use crate::ids::{Id, Version};
use crate::node::{Address, NodeName, Nodes};
use crate::scope::{
    MigrationTable, OwnershipTable, Phase, Prefix, Route, Scopes, covering, holder, route_at,
};

/// See the module. A copy costs nothing, and shares what is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    version: Version,
    next: Id,
    nodes: Nodes,
    scopes: Scopes,
    moves: MigrationTable,
    /// Of all scopes.
    routes: usize,
}

/// What may be done with the keys of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteState {
    Active,
    WriteFenced,
    MigratingSource,
    MigratingTarget,
}

/// Who owns the keys of a route: what people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'c> {
    pub id: Id,
    /// That its keys begin with.
    pub prefix: &'c Prefix,
    /// Its first key, if it is not the first of its prefix.
    pub from: Option<&'c Prefix>,
    pub writer: &'c NodeName,
    pub fallback: Option<&'c NodeName>,
    /// The one of them that writes, or will when the state is active again.
    pub holder: &'c NodeName,
    /// The holder's.
    pub address: &'c Address,
    pub state: RouteState,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            version: Version(0),
            next: Id(1),
            nodes: Nodes::new_sync(),
            scopes: Scopes::new_sync(),
            moves: MigrationTable::default(),
            routes: 0,
        }
    }
}

impl Catalog {
    pub fn version(&self) -> Version {
        self.version
    }

    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    pub fn moves(&self) -> &MigrationTable {
        &self.moves
    }

    /// What it comes to for a node, or for one without a name.
    pub fn table(&self, this: Option<&NodeName>) -> OwnershipTable {
        OwnershipTable::new(self.version, this, &self.nodes, &self.scopes, &self.moves)
    }

    /// Who owns a key, if it is in a scope.
    pub fn owner(&self, key: &[u8]) -> Option<Owner<'_>> {
        let (prefix, routes) = covering(&self.scopes, key)?;
        let route = &routes[route_at(routes, key)];
        Some(match self.moves.longest(key) {
            Some((moved, phase)) => self.owner_of_move(route, moved, phase),
            None => self.owner_of_route(prefix, route),
        })
    }

    /// The route that has all keys with a prefix, and the scope's prefix.
    fn route_covering(&self, prefix: &[u8]) -> Option<(&Prefix, &Route)> {
        let (scope, routes) = covering(&self.scopes, prefix)?;
        let place = route_at(routes, prefix);
        let is_cut = routes.get(place + 1).is_some_and(|next| next.from.starts_with(prefix));
        (!is_cut).then(|| (scope, &routes[place]))
    }

    /// Every route in the order of the keys; of those that have been moved whole, the move in their place. A move that
    /// is under way is two: where it leaves from, and where it goes.
    pub fn owners(&self) -> impl Iterator<Item = Owner<'_>> {
        self.scopes.iter().flat_map(|(prefix, routes)| {
            let phases = self.moves_in(prefix);
            let is_moved = phases.first().is_some_and(|(moved, _)| *moved == prefix);
            let stay =
                routes.iter().filter(move |_| !is_moved).map(|route| self.owner_of_route(prefix, route));
            stay.chain(phases.into_iter().flat_map(|(moved, phase)| {
                let target = match phase {
                    Phase::Migrating(begun) => {
                        Some(self.owner_under_way(begun.id, moved, &begun.to, RouteState::MigratingTarget))
                    }
                    Phase::Migrated(_) => None,
                };
                [self.owner_of_move(&routes[route_at(routes, moved)], moved, phase)].into_iter().chain(target)
            }))
        })
    }

    /// Moves of prefixes within a scope, in their order; of a prefix that is moved again, what is under way.
    fn moves_in(&self, scope: &Prefix) -> Vec<(&Prefix, Phase<'_>)> {
        let migrating =
            self.moves.migrating_in(scope).map(|(prefix, begun)| (prefix, Phase::Migrating(begun)));
        let migrated = self.moves.migrated_in(scope).map(|(prefix, done)| (prefix, Phase::Migrated(done)));
        let mut phases: Vec<_> = migrating.chain(migrated).collect();
        phases.sort_by_key(|(prefix, _)| *prefix);
        phases.dedup_by_key(|(prefix, _)| *prefix);
        phases
    }

    fn owner_of_route<'c>(&'c self, prefix: &'c Prefix, route: &'c Route) -> Owner<'c> {
        let holder = route.holder(&self.nodes);
        Owner {
            id: route.id,
            prefix,
            from: Some(&route.from).filter(|from| *from != prefix),
            writer: &route.writer,
            fallback: route.fallback.as_ref(),
            holder,
            address: self.address(holder),
            state: state_of(route),
        }
    }

    /// As its old node sees it, while it is under way.
    fn owner_of_move<'c>(&'c self, route: &'c Route, prefix: &'c Prefix, phase: Phase<'c>) -> Owner<'c> {
        let done = match phase {
            Phase::Migrated(done) => done,
            Phase::Migrating(begun) => {
                return self.owner_under_way(begun.id, prefix, &begun.from, RouteState::MigratingSource);
            }
        };
        let fallback = route.fallback.as_ref();
        let holder = holder(&self.nodes, &done.to, fallback);
        Owner {
            id: done.id,
            prefix,
            from: None,
            writer: &done.to,
            fallback,
            holder,
            address: self.address(holder),
            state: state_of(route),
        }
    }

    fn owner_under_way<'c>(
        &'c self,
        id: Id,
        prefix: &'c Prefix,
        node: &'c NodeName,
        state: RouteState,
    ) -> Owner<'c> {
        let address = self.address(node);
        Owner { id, prefix, from: None, writer: node, fallback: None, holder: node, address, state }
    }

    fn address(&self, name: &NodeName) -> &Address {
        &self.nodes[name].address
    }

    fn take_id(&mut self) -> Id {
        let id = self.next;
        self.next = Id(id.0 + 1);
        id
    }

    fn replace_routes(&mut self, prefix: &Prefix, routes: Vec<Route>) {
        self.scopes.insert_mut(Arc::clone(prefix), routes.into());
    }
}

/// Of what is not being moved.
fn state_of(route: &Route) -> RouteState {
    if route.is_fenced { RouteState::WriteFenced } else { RouteState::Active }
}

impl fmt::Display for RouteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::WriteFenced => "write-fenced",
            Self::MigratingSource => "migrating-source",
            Self::MigratingTarget => "migrating-target",
        })
    }
}
