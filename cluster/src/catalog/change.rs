//! Changes of a catalog: what they say, as words too, and what they do.
//!
//! The words are those of the configuration and of SCOPE:
//!
//! ```text
//! node NAME HOST:PORT                            there is a node, or it is reached there from now on
//! mark NAME up|down                              it is said to be up, or down
//! scope PREFIX writer NODE [fallback NODE]       these keys are a node's
//! unscope PREFIX                                 they are anybody's again
//! cut ROUTE KEY                                  the route's keys from here on are a route of their own
//! fence ROUTE                                    nobody writes the route's keys
//! assign ROUTE writer NODE [fallback NODE]       another node will, the route being fenced
//! lift ROUTE                                     its writer writes them again
//! move PREFIX to NODE                            nobody writes these keys, they are being moved
//! commit MOVE                                    the node that they were moved to does
//! abort MOVE                                     who did does again
//! ```

use std::sync::Arc;

use bobbin_proto::{join_words, split_words};

use super::Catalog;
use crate::ids::Id;
use crate::node::{Address, BadNode, Node, NodeName};
use crate::scope::migration::Migrating;
use crate::scope::{
    MoveError, PREFIX_BYTES_MAX, Prefix, ROUTES_MAX, ROUTES_OF_SCOPE_MAX, Route, Scope, ScopeError, covering,
    known, route_at,
};

/// Most nodes.
pub(super) const NODES_MAX: usize = 1024;
/// Largest version and id that are read: whatever changes follow, no number overflows.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Node { name: NodeName, address: Address },
    Mark { name: NodeName, is_up: bool },
    Scope(Scope),
    Unscope { prefix: Prefix },
    Cut { route: Id, at: Prefix },
    Fence { route: Id },
    Assign { route: Id, writer: NodeName, fallback: Option<NodeName> },
    Lift { route: Id },
    Move { prefix: Prefix, to: NodeName },
    Commit { id: Id },
    Abort { id: Id },
}

/// Why a catalog is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Node(#[from] BadNode),
    #[error("there are {NODES_MAX} nodes already")]
    TooManyNodes,
    #[error("there is no scope '{}'", .0.escape_ascii())]
    NoScope(Prefix),
    #[error("there is no route {0}")]
    NoRoute(Id),
    #[error("'{}' is no key inside of route {route}", at.escape_ascii())]
    NotInside { route: Id, at: Prefix },
    #[error("'{}' has been moved as a whole", .0.escape_ascii())]
    Moved(Prefix),
    #[error("'{}' is in no scope, or in more than one route of it", .0.escape_ascii())]
    NotInOneRoute(Prefix),
    #[error("route {0} is not fenced")]
    NotFenced(Id),
    #[error("route {0} is fenced")]
    Fenced(Id),
    #[error("{0} is more than {NUMBER_MAX}, the largest version and id")]
    TooLarge(u64),
    #[error("these words are no change")]
    Syntax,
}

impl Change {
    /// The change that words say.
    pub fn parse(words: &[impl AsRef<[u8]>]) -> Result<Self, Refusal> {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let id = |word: &[u8]| parse_id(word).ok_or(Refusal::Syntax);
        Ok(match words[..] {
            [b"node", name, address] => {
                Self::Node { name: NodeName::new(name)?, address: Address::new(address)? }
            }
            [b"mark", name, b"up"] => Self::Mark { name: NodeName::new(name)?, is_up: true },
            [b"mark", name, b"down"] => Self::Mark { name: NodeName::new(name)?, is_up: false },
            [b"scope", ref scope @ ..] => Self::Scope(parse_scope(scope)?),
            [b"unscope", prefix] => Self::Unscope { prefix: prefix.into() },
            [b"cut", route, at] => Self::Cut { route: id(route)?, at: at.into() },
            [b"fence", route] => Self::Fence { route: id(route)? },
            [b"assign", route, ref nodes @ ..] => {
                let (writer, fallback) = parse_nodes(nodes)?;
                Self::Assign { route: id(route)?, writer, fallback }
            }
            [b"lift", route] => Self::Lift { route: id(route)? },
            [b"move", prefix, b"to", to] => Self::Move { prefix: prefix.into(), to: NodeName::new(to)? },
            [b"commit", number] => Self::Commit { id: id(number)? },
            [b"abort", number] => Self::Abort { id: id(number)? },
            _ => return Err(Refusal::Syntax),
        })
    }

    /// The change that a line says.
    pub fn parse_line(line: &[u8]) -> Result<Self, Refusal> {
        Self::parse(&split_words(line).map_err(|_| Refusal::Syntax)?)
    }

    /// The words that say it.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let word = |word: &str| word.as_bytes().to_vec();
        let number = |id: &Id| id.to_string().into_bytes();
        match self {
            Self::Node { name, address } => vec![word("node"), word(name.as_str()), word(address.as_str())],
            Self::Mark { name, is_up } => {
                vec![word("mark"), word(name.as_str()), word(if *is_up { "up" } else { "down" })]
            }
            Self::Scope(scope) => [vec![word("scope")], scope_words(scope)].concat(),
            Self::Unscope { prefix } => vec![word("unscope"), prefix.to_vec()],
            Self::Cut { route, at } => vec![word("cut"), number(route), at.to_vec()],
            Self::Fence { route } => vec![word("fence"), number(route)],
            Self::Assign { route, writer, fallback } => {
                [vec![word("assign"), number(route)], node_words(writer, fallback.as_ref())].concat()
            }
            Self::Lift { route } => vec![word("lift"), number(route)],
            Self::Move { prefix, to } => {
                vec![word("move"), prefix.to_vec(), word("to"), word(to.as_str())]
            }
            Self::Commit { id } => vec![word("commit"), number(id)],
            Self::Abort { id } => vec![word("abort"), number(id)],
        }
    }

    /// The line that says it.
    pub fn line(&self) -> Vec<u8> {
        join_words(&self.words())
    }
}

/// `PREFIX writer NODE [fallback NODE]`: a scope as it is declared. The words in lower case have no case.
pub fn parse_scope(words: &[impl AsRef<[u8]>]) -> Result<Scope, Refusal> {
    let (prefix, nodes) = words.split_first().ok_or(Refusal::Syntax)?;
    let (writer, fallback) = parse_nodes(nodes)?;
    Ok(Scope { prefix: prefix.as_ref().into(), writer, fallback })
}

fn parse_nodes(words: &[impl AsRef<[u8]>]) -> Result<(NodeName, Option<NodeName>), Refusal> {
    let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    let is = |word: &[u8], expected: &str| word.eq_ignore_ascii_case(expected.as_bytes());
    match words[..] {
        [first, writer] if is(first, "writer") => Ok((NodeName::new(writer)?, None)),
        [first, writer, second, fallback] if is(first, "writer") && is(second, "fallback") => {
            Ok((NodeName::new(writer)?, Some(NodeName::new(fallback)?)))
        }
        _ => Err(Refusal::Syntax),
    }
}

/// `PREFIX writer NODE [fallback NODE]`
pub(super) fn scope_words(Scope { prefix, writer, fallback }: &Scope) -> Vec<Vec<u8>> {
    [vec![prefix.to_vec()], node_words(writer, fallback.as_ref())].concat()
}

/// `writer NODE [fallback NODE]`
pub(super) fn node_words(writer: &NodeName, fallback: Option<&NodeName>) -> Vec<Vec<u8>> {
    let fallback = fallback.into_iter().flat_map(|fallback| ["fallback", fallback.as_str()]);
    ["writer", writer.as_str()].into_iter().chain(fallback).map(|word| word.as_bytes().to_vec()).collect()
}

/// In the one form in which numbers are written.
pub(super) fn parse_id(word: &[u8]) -> Option<Id> {
    let text = std::str::from_utf8(word).ok()?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text).map(Id)
}

impl Catalog {
    /// The catalog of the next version.
    pub fn changed(&self, change: &Change) -> Result<Self, Refusal> {
        let mut changed = self.clone();
        changed.make(change)?;
        changed.version = self.version.next();
        Ok(changed)
    }

    fn make(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::Node { name, address } => self.add_node(name, address),
            Change::Mark { name, is_up } => {
                known(&self.nodes, name)?;
                let node = Node { is_up: *is_up, ..self.nodes[name].clone() };
                self.nodes.insert_mut(name.clone(), node);
                Ok(())
            }
            Change::Scope(scope) => self.add_scope(scope),
            Change::Unscope { prefix } => self.remove_scope(prefix),
            Change::Cut { route, at } => self.cut(*route, at),
            Change::Fence { route } => self.change_route(*route, |route| {
                route.is_fenced = true;
                Ok(())
            }),
            Change::Assign { route, writer, fallback } => self.assign(*route, writer, fallback.as_ref()),
            Change::Lift { route } => self.change_route(*route, |route| {
                route.is_fenced = false;
                Ok(())
            }),
            Change::Move { prefix, to } => self.start_move(prefix, to),
            Change::Commit { id } => Ok(self.moves.commit(*id)?),
            Change::Abort { id } => Ok(self.moves.abort(*id)?),
        }
    }

    fn add_node(&mut self, name: &NodeName, address: &Address) -> Result<(), Refusal> {
        let is_up = self.nodes.get(name).is_none_or(|node| node.is_up);
        if self.nodes.size() >= NODES_MAX && !self.nodes.contains_key(name) {
            return Err(Refusal::TooManyNodes);
        }
        self.nodes.insert_mut(name.clone(), Node { address: address.clone(), is_up });
        Ok(())
    }

    fn add_scope(&mut self, scope: &Scope) -> Result<(), Refusal> {
        self.add_route()?;
        let id = self.take_id();
        Ok(scope.add_to(&mut self.scopes, &self.nodes, id)?)
    }

    pub(super) fn add_route(&mut self) -> Result<(), Refusal> {
        if self.routes >= ROUTES_MAX {
            return Err(ScopeError::TooMany.into());
        }
        self.routes += 1;
        Ok(())
    }

    fn remove_scope(&mut self, prefix: &Prefix) -> Result<(), Refusal> {
        let routes = self.scopes.get(prefix).ok_or_else(|| Refusal::NoScope(Arc::clone(prefix)))?;
        self.routes -= routes.len();
        self.moves.forget(prefix)?;
        self.scopes.remove_mut(prefix);
        Ok(())
    }

    fn cut(&mut self, id: Id, at: &Prefix) -> Result<(), Refusal> {
        let not_inside = || Refusal::NotInside { route: id, at: Arc::clone(at) };
        let (prefix, routes) = covering(&self.scopes, at).ok_or_else(not_inside)?;
        let (prefix, place) = (Arc::clone(prefix), route_at(routes, at));
        let mut routes = routes.to_vec();
        if routes[place].id != id || routes[place].from == *at || at.len() > PREFIX_BYTES_MAX {
            return Err(not_inside());
        }
        if routes.len() >= ROUTES_OF_SCOPE_MAX {
            return Err(ScopeError::TooMany.into());
        }
        if let Some((moved, _)) = self.moves.longest(at) {
            return Err(Refusal::Moved(Arc::clone(moved)));
        }
        self.add_route()?;
        let upper = Route { id: self.take_id(), from: Arc::clone(at), ..routes[place].clone() };
        routes.insert(place + 1, upper);
        self.replace_routes(&prefix, routes);
        Ok(())
    }

    fn change_route(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Route) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let is_it = |route: &Route| route.id == id;
        let found = self.scopes.iter().find(|(_, routes)| routes.iter().any(is_it));
        let (prefix, routes) = found.ok_or(Refusal::NoRoute(id))?;
        let (prefix, mut routes) = (Arc::clone(prefix), routes.to_vec());
        routes.iter_mut().find(|route| is_it(route)).map_or(Ok(()), change)?;
        self.replace_routes(&prefix, routes);
        Ok(())
    }

    fn assign(&mut self, id: Id, writer: &NodeName, fallback: Option<&NodeName>) -> Result<(), Refusal> {
        known(&self.nodes, writer)?;
        fallback.map_or(Ok(()), |fallback| known(&self.nodes, fallback))?;
        if fallback == Some(writer) {
            return Err(ScopeError::FallbackIsWriter.into());
        }
        self.change_route(id, |route| {
            if !route.is_fenced {
                return Err(Refusal::NotFenced(id));
            }
            (route.writer, route.fallback) = (writer.clone(), fallback.cloned());
            Ok(())
        })
    }

    /// From whoever holds the keys now.
    fn start_move(&mut self, prefix: &Prefix, to: &NodeName) -> Result<(), Refusal> {
        known(&self.nodes, to)?;
        let (_, route) =
            self.route_covering(prefix).ok_or_else(|| Refusal::NotInOneRoute(Arc::clone(prefix)))?;
        if route.is_fenced {
            return Err(Refusal::Fenced(route.id));
        }
        let from = match self.moves.longest(prefix) {
            Some((moved, _)) => self.owner(moved).map(|owner| owner.holder.clone()),
            None => Some(route.holder(&self.nodes).clone()),
        };
        let from = from.ok_or_else(|| Refusal::NotInOneRoute(Arc::clone(prefix)))?;
        let id = self.take_id();
        Ok(self.moves.start(Arc::clone(prefix), Migrating { id, from, to: to.clone() })?)
    }
}
