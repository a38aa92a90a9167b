//! Scopes as the server has them: the catalog with the table made from it, and who keeps both.
//!
//! What reactors use is never changed. The keeper, on the control thread, makes the next: it changes the catalog,
//! stores it, makes the table, and only then anybody sees it. The file `catalog` in the data directory is replaced
//! whole. A start takes over what is different in the configuration since the last one; all else is as SCOPE has left it
//! (`cluster/src/catalog/declare.rs` has the rule).
//!
//! [`Keeper::change`] is where a change becomes valid. Agreeing on changes with other nodes comes before it, and leaves it
//! as it is: a change that has been agreed on is made here on every node, in the same order.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bobbin_cluster::catalog::{BadCatalog, BadDeclaration, CatalogLog, Change, Declared, Refusal, SaveError};
use bobbin_cluster::scope::OwnershipTable;
use bobbin_cluster::{Address, NodeName, Version};

use crate::config::Config;
use crate::journal::{Directory, Disk};

const NAME: &str = "catalog";
/// Longer than any catalog.
const BYTES_MAX: u64 = 1 << 30;

/// Scopes as of a version.
#[derive(Debug)]
pub struct Scopes {
    pub log: CatalogLog,
    pub table: OwnershipTable,
}

/// Why the server can't start with the scopes it is given.
#[derive(Debug, thiserror::Error)]
pub enum ScopesError {
    #[error("can't read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("can't write {}: {cause}", path.display())]
    Unwritable { path: PathBuf, cause: io::Error },
    #[error("{} can't be used: {bad}. Put back a copy of it, or take it away: then only what the configuration declares is there", path.display())]
    Bad { path: PathBuf, bad: BadCatalog },
    #[error("the configuration has '{line}': {refusal}")]
    Wrong { line: String, refusal: Refusal },
    #[error("the configuration has '{line}': {refusal}. What is there already is in {}: start without this line, and see SCOPE LIST and SCOPE DEL", path.display())]
    Refused { line: String, refusal: Refusal, path: PathBuf },
    #[error("there are scopes, and the configuration does not say which node this is: give it a node-id")]
    Nameless,
    #[error("node-id is '{0}', and no node has that name: declare it with 'node {0} <host:port>'")]
    Unknown(NodeName),
}

/// Why scopes are not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("{0}")]
    Save(#[from] SaveError),
    #[error("this server has no node-id: it can't take part in scopes")]
    Nameless,
    #[error("the catalog can't be written: {0}")]
    Unwritable(#[from] io::Error),
}

impl Scopes {
    /// As a node sees them, or one without a name.
    pub fn new(log: CatalogLog, this: Option<&NodeName>) -> Self {
        let table = log.current().table(this);
        Self { log, table }
    }

    pub fn version(&self) -> Version {
        self.table.version()
    }
}

impl Default for Scopes {
    /// None.
    fn default() -> Self {
        Self::new(CatalogLog::default(), None)
    }
}

/// Whoever changes scopes; there is one.
#[derive(Debug)]
pub struct Keeper {
    disk: Directory,
    this: Option<NodeName>,
    current: Arc<Scopes>,
}

impl Keeper {
    /// Reads what is stored, and takes over what has changed in the configuration.
    pub fn open(config: &Config) -> Result<Self, ScopesError> {
        let disk = Directory::new(config.dir.path().unwrap_or(Path::new(".")));
        let path = disk.path().join(NAME);
        let stored = stored(&disk, &path, config.scope_history)?;
        let mut log = stored.clone();
        declare(&mut log, config, &path)?;
        let this = config.node_id.0.clone();
        match &this {
            Some(name) if !log.current().nodes().contains_key(name) => {
                return Err(ScopesError::Unknown(name.clone()));
            }
            // Nor were there any: whoever forgets the configuration does not lose them.
            None if [&log, &stored].iter().any(|log| !log.current().scopes().is_empty()) => {
                return Err(ScopesError::Nameless);
            }
            _ => {}
        }
        if log != stored {
            store(&disk, &log).map_err(|cause| ScopesError::Unwritable { path, cause })?;
        }
        let current = Arc::new(Scopes::new(log, this.as_ref()));
        Ok(Self { disk, this, current })
    }

    pub fn current(&self) -> Arc<Scopes> {
        Arc::clone(&self.current)
    }

    /// Makes a change, durably. Where that fails the scopes stay as they were, but the file may have the change: until
    /// the next one is made, only a start tells.
    pub fn change(&mut self, change: Change) -> Result<Arc<Scopes>, ChangeError> {
        if self.this.is_none() {
            return Err(ChangeError::Nameless);
        }
        let mut log = self.current.log.clone();
        log.save(log.current().version(), change)?;
        store(&self.disk, &log)?;
        self.current = Arc::new(Scopes::new(log, self.this.as_ref()));
        Ok(self.current())
    }
}

fn stored(disk: &Directory, path: &Path, history: usize) -> Result<CatalogLog, ScopesError> {
    match disk.read(NAME, BYTES_MAX) {
        Ok(bytes) => {
            CatalogLog::decode(&bytes, history).map_err(|bad| ScopesError::Bad { path: path.to_owned(), bad })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(CatalogLog::new(bobbin_cluster::catalog::Catalog::default(), history))
        }
        Err(cause) => Err(ScopesError::Unreadable { path: path.to_owned(), cause }),
    }
}

fn store(disk: &Directory, log: &CatalogLog) -> io::Result<()> {
    disk.replace(NAME, &log.encode())
}

/// Takes over addresses that are others now, and scopes whose declaration is another than at the last start.
fn declare(log: &mut CatalogLog, config: &Config, path: &Path) -> Result<(), ScopesError> {
    for (name, address) in &config.nodes.0 {
        if log.current().nodes().get(name).is_none_or(|node| node.address != *address) {
            add_node(log, name, address)?;
        }
    }
    let before = log.declared().cloned();
    log.declare(&config.scopes.0).map_err(|bad| match bad {
        BadDeclaration::Wrong { scope, refusal } => {
            ScopesError::Wrong { line: shown(&Change::Scope(scope)), refusal }
        }
        BadDeclaration::Refused { scope, refusal } => {
            ScopesError::Refused { line: shown(&Change::Scope(scope)), refusal, path: path.to_owned() }
        }
    })?;
    warn_of_differences(log, before.as_ref(), path);
    Ok(())
}

fn add_node(log: &mut CatalogLog, name: &NodeName, address: &Address) -> Result<(), ScopesError> {
    let change = Change::Node { name: name.clone(), address: address.clone() };
    let line = shown(&change);
    match log.save(log.current().version(), change) {
        Ok(_) => Ok(()),
        Err(SaveError::Refused(refusal)) => Err(ScopesError::Wrong { line, refusal }),
        Err(SaveError::Conflict { .. }) => unreachable!("the version is the current one"),
    }
}

/// Where SCOPE holds over the configuration.
fn warn_of_differences(log: &CatalogLog, before: Option<&Declared>, path: &Path) {
    let (catalog, declared) = (log.current(), log.declared());
    for scope in declared.into_iter().flat_map(Declared::values).filter(|scope| !catalog.has(scope)) {
        tracing::warn!(
            "the configuration's '{}' is not what {} has: SCOPE has changed it, which holds until the line is another",
            shown(&Change::Scope(scope.clone())),
            path.display()
        );
    }
    let is_declared = |prefix| declared.is_some_and(|declared| declared.contains_key(prefix));
    for prefix in before.into_iter().flat_map(Declared::keys).filter(|prefix| !is_declared(*prefix)) {
        if catalog.scopes().contains_key(prefix) {
            tracing::warn!(
                "scope '{}' is no longer in the configuration, and stays as SCOPE has made it: SCOPE DEL takes it away",
                prefix.escape_ascii()
            );
        }
    }
}

fn shown(change: &Change) -> String {
    String::from_utf8_lossy(&change.line()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn config(dir: &Path, lines: &str) -> Config {
        let loaded = load_text(Path::new("t"), lines.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        Config { dir: dir.into(), ..loaded.config }
    }

    fn open(dir: &Path, lines: &str) -> Result<Keeper, String> {
        Keeper::open(&config(dir, lines)).map_err(|error| error.to_string())
    }

    const NODES: &str = "node-id a\nnode a h:1\nnode b h:2\n";

    fn change(keeper: &mut Keeper, line: &str) -> Result<u64, String> {
        let change = Change::parse_line(line.as_bytes()).unwrap();
        keeper.change(change).map(|scopes| scopes.version().0).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_changed_is_there_again_and_holds_over_what_is_declared() {
        let dir = tempfile::tempdir().unwrap();
        let declared = format!("{NODES}scope x writer a\nscope y writer b fallback a\n");
        let mut keeper = open(dir.path(), &declared).unwrap();
        assert_eq!(keeper.current().version(), Version(4));
        assert_eq!(change(&mut keeper, "unscope x"), Ok(5));
        assert_eq!(change(&mut keeper, "scope x writer b"), Ok(6));
        assert_eq!(change(&mut keeper, "mark b down"), Ok(7));
        let again = open(dir.path(), &declared).unwrap();
        assert_eq!(again.current().log, keeper.current().log);
        let catalog = again.current().log.current().clone();
        assert_eq!(catalog.owner(b"x").unwrap().writer.as_str(), "b");
        assert_eq!(catalog.owner(b"y").unwrap().holder.as_str(), "a");
        // What is not there is added, and what is there at another address.
        let more =
            open(dir.path(), &format!("{declared}scope z writer a\nnode c h:3\nnode b h:9\n")).unwrap();
        let catalog = more.current().log.current().clone();
        assert_eq!((catalog.version(), catalog.scopes().size()), (Version(10), 3));
    }

    #[test]
    fn a_declaration_is_taken_over_when_it_is_new_or_another() {
        let dir = tempfile::tempdir().unwrap();
        let with = |lines: &str| open(dir.path(), &format!("{NODES}{lines}"));
        let owner = |keeper: &Keeper, key: &str| {
            let scopes = keeper.current();
            scopes.log.current().owner(key.as_bytes()).map(|owner| owner.writer.to_string())
        };
        let mut keeper = with("scope user: writer a").unwrap();
        change(&mut keeper, "unscope user:").unwrap();
        let mut keeper = with("scope user: writer a").unwrap();
        assert_eq!(owner(&keeper, "user:1"), None, "it stays gone");
        change(&mut keeper, "scope user:1: writer b").unwrap();
        let keeper = with("scope user: writer a").unwrap();
        assert_eq!(owner(&keeper, "user:1:x").unwrap(), "b", "what overlaps with it stops no start");
        let refused = with("scope user: writer b").unwrap_err();
        let expected = "the configuration has 'scope user: writer b': \
                        scope 'user:' overlaps with scope 'user:1:'. What is there already is in ";
        assert!(refused.starts_with(expected) && refused.contains("SCOPE DEL"), "{refused}");
        let mut keeper = with("scope user: writer a").unwrap();
        change(&mut keeper, "unscope user:1:").unwrap();
        let keeper = with("scope user: writer b").unwrap();
        assert_eq!(owner(&keeper, "user:1").unwrap(), "b", "another declaration applies");
        let keeper = with("").unwrap();
        assert_eq!(owner(&keeper, "user:1"), None, "what is taken out goes");
    }

    #[test]
    fn scopes_do_not_go_because_the_configuration_was_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let declared = format!("{NODES}scope x writer a\n");
        open(dir.path(), &declared).unwrap();
        let nameless =
            "there are scopes, and the configuration does not say which node this is: give it a node-id";
        assert_eq!(open(dir.path(), "").unwrap_err(), nameless);
        assert_eq!(open(dir.path(), &declared).unwrap().current().version(), Version(3));
    }

    #[test]
    fn a_number_that_is_too_large_is_told_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let lines = "bobbin-catalog 1\nversion 18446744073709551615 next 1\n";
        let sealed = format!("{lines}crc32c {:08x}\n", crc32c::crc32c(lines.as_bytes()));
        std::fs::write(&path, sealed).unwrap();
        let refused = open(dir.path(), NODES).unwrap_err();
        let expected = format!(
            "{} can't be used: its line 2 says what can't be: 18446744073709551615 is more than ",
            path.display()
        );
        assert!(refused.starts_with(&expected), "{refused}");
    }

    #[test]
    fn nothing_is_written_where_nothing_is_declared() {
        let dir = tempfile::tempdir().unwrap();
        let mut keeper = open(dir.path(), "").unwrap();
        assert!(keeper.current().table.is_empty());
        assert_eq!(
            change(&mut keeper, "node a h:1").unwrap_err(),
            "this server has no node-id: it can't take part in scopes"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_can_t_be_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let refused = |lines: &str| open(dir.path(), lines).map(|_| ()).unwrap_err();
        for (lines, text) in [
            ("node-id a", "node-id is 'a', and no node has that name: declare it with 'node a <host:port>'"),
            (
                "node a h:1\nscope x writer a",
                "there are scopes, and the configuration does not say which node this is: give it a node-id",
            ),
        ] {
            assert_eq!(refused(lines), text);
        }
        let overlapping = refused(&format!("{NODES}scope user: writer a\nscope user:1: writer b"));
        let expected =
            "the configuration has 'scope user:1: writer b': scope 'user:1:' overlaps with scope 'user:'";
        assert_eq!(overlapping, expected);
        let twice = refused(&format!("{NODES}scope x writer a\nscope x writer a"));
        assert_eq!(twice, "the configuration has 'scope x writer a': there is a scope 'x' already");
        let unknown = refused(&format!("{NODES}scope x writer z"));
        assert!(unknown.contains("there is no node 'z'"), "{unknown}");
        assert!(!path.exists(), "nothing is stored of what is refused");
        std::fs::write(&path, "not a catalog\n").unwrap();
        let bad = refused(NODES);
        assert!(bad.contains("it is not as it was written") && bad.contains("Put back a copy"), "{bad}");
    }

    #[test]
    fn a_change_that_can_t_be_stored_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut keeper = open(dir.path(), NODES).unwrap();
        std::fs::remove_dir_all(dir.path()).unwrap();
        let refused = change(&mut keeper, "scope x writer a").unwrap_err();
        assert!(refused.starts_with("the catalog can't be written: "), "{refused}");
        assert_eq!(keeper.current().version(), Version(2));
        std::fs::create_dir(dir.path()).unwrap();
        assert_eq!(change(&mut keeper, "scope x writer a"), Ok(3));
    }
}
