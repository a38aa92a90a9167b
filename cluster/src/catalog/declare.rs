//! What the configuration of a node declares, and how a start takes it over.
//!
//! A log remembers the declarations of the last start. A start takes over what is different since then:
//!
//! | declaration | its scope |
//! |---|---|
//! | as it was | is as changes have left it, also if they have taken it away |
//! | new, or another than it was | becomes what the declaration says |
//! | taken out | goes, unless changes have made another of it |
//!
//! So a change of a declared scope holds until its declaration is changed, and a declaration that has been taken over
//! stops no start, whatever is changed afterwards. What is taken out goes because declarations are all that made it; what
//! changes have given to another node meanwhile is theirs, and stays when somebody tidies up the configuration.

use rpds::RedBlackTreeMapSync;

use super::{Catalog, CatalogLog, Change, Refusal, SaveError};
use crate::node::Nodes;
use crate::scope::{Prefix, Scope, Scopes};
use crate::{Id, Version};

/// Scopes as they are declared, by their prefixes.
pub type Declared = RedBlackTreeMapSync<Prefix, Scope>;

/// Why declarations are not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadDeclaration {
    /// It can't be, whatever was there before: for its nodes, or for another declaration.
    Wrong { scope: Scope, refusal: Refusal },
    /// It can't be beside what changes have made.
    Refused { scope: Scope, refusal: Refusal },
}

impl CatalogLog {
    /// The declarations of the last start; none where that is not known, because a file does not say it.
    pub fn declared(&self) -> Option<&Declared> {
        self.declared.as_ref()
    }

    /// Takes over all declarations that there are now; see the module. What fails may have been begun.
    pub fn declare(&mut self, declarations: &[Scope]) -> Result<(), BadDeclaration> {
        let declared = checked(declarations, self.current().nodes())?;
        let before = self.declared.clone().unwrap_or_else(|| self.presumed(&declared));
        // What goes makes room for what comes.
        for scope in before.values().filter(|scope| !declared.contains_key(&scope.prefix)) {
            if self.current().has(scope) {
                self.change_for(scope, Change::Unscope { prefix: scope.prefix.clone() })?;
            }
        }
        for scope in declarations.iter().filter(|scope| before.get(&scope.prefix) != Some(scope)) {
            if self.current().has(scope) {
                continue;
            }
            if self.current().scopes().contains_key(&scope.prefix) {
                self.change_for(scope, Change::Unscope { prefix: scope.prefix.clone() })?;
            }
            self.change_for(scope, Change::Scope(scope.clone()))?;
        }
        self.declared = Some(declared);
        Ok(())
    }

    /// Where it is not known what was declared: whatever has a scope, because that held over what was declared.
    fn presumed(&self, declared: &Declared) -> Declared {
        let is_there = |prefix: &&Prefix| self.current().scopes().contains_key(*prefix);
        declared.iter().filter(|(prefix, _)| is_there(prefix)).map(|(p, s)| (p.clone(), s.clone())).collect()
    }

    fn change_for(&mut self, scope: &Scope, change: Change) -> Result<Version, BadDeclaration> {
        let saved = self.save(self.current().version(), change);
        saved.map_err(|error| match error {
            SaveError::Refused(refusal) => BadDeclaration::Refused { scope: scope.clone(), refusal },
            SaveError::Conflict { .. } => unreachable!("the version is the current one"),
        })
    }
}

impl Catalog {
    /// Whether there is this scope, whole and as it says.
    pub fn has(&self, scope: &Scope) -> bool {
        let Some([route]) = self.scopes.get(&scope.prefix).map(|routes| &**routes) else { return false };
        let is_it = route.writer == scope.writer && route.fallback == scope.fallback && !route.is_fenced;
        is_it && self.moves_in(&scope.prefix).is_empty()
    }
}

/// All of them, if they can be beside each other.
fn checked(declarations: &[Scope], nodes: &Nodes) -> Result<Declared, BadDeclaration> {
    let mut scopes = Scopes::new_sync();
    for scope in declarations {
        scope
            .add_to(&mut scopes, nodes, Id(0))
            .map_err(|error| BadDeclaration::Wrong { scope: scope.clone(), refusal: error.into() })?;
    }
    Ok(declarations.iter().map(|scope| (scope.prefix.clone(), scope.clone())).collect())
}
