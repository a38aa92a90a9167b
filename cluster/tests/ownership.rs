//! The compiled table says for every key what a walk over all that was declared says.

use bobbin_cluster::catalog::{Catalog, CatalogLog, Change, Owner, RouteState};
use bobbin_cluster::node::{Address, Node, Nodes};
use bobbin_cluster::scope::{Footprint, OwnershipTable, Scope, ScopeError, Verdict};
use bobbin_cluster::{Id, NodeName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Always the same inputs.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 3000,
        rng_seed: RngSeed::Fixed(0x5c0_9e5),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn name(index: usize) -> NodeName {
    NodeName::new(NAMES[index].as_bytes()).expect("a name")
}

fn nodes(up: [bool; 3]) -> Nodes {
    let address = |index: usize| Address::new(format!("{}:1", NAMES[index]).as_bytes()).expect("an address");
    (0..3).map(|index| (name(index), Node { address: address(index), is_up: up[index] })).collect()
}

/// Of few letters, so that they often overlap.
fn word(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(vec![b'x', b'y', 0, 0xFF]), len)
}

fn scope() -> impl Strategy<Value = Scope> {
    (word(0..5), 0..3_usize, prop::option::of(0..3_usize)).prop_map(|(prefix, writer, fallback)| Scope {
        prefix: prefix.into(),
        writer: name(writer),
        fallback: fallback.map(name),
    })
}

/// What may be written by whom, scope by scope.
#[derive(Default)]
struct Naive {
    scopes: Vec<Scope>,
}

impl Naive {
    /// Whether all rules allow one more.
    fn allows(&self, scope: &Scope) -> bool {
        let overlaps = |other: &Scope| {
            other.prefix.starts_with(&scope.prefix) || scope.prefix.starts_with(&other.prefix)
        };
        !scope.prefix.is_empty()
            && scope.fallback.as_ref() != Some(&scope.writer)
            && !self.scopes.iter().any(overlaps)
    }

    fn verdict(&self, this: &NodeName, up: [bool; 3], key: &[u8]) -> String {
        let Some(scope) = self.scopes.iter().find(|scope| key.starts_with(&scope.prefix)) else {
            return "unscoped".into();
        };
        let is_up =
            |node: &NodeName| up[NAMES.iter().position(|name| *name == node.as_str()).expect("a node")];
        let holder = match &scope.fallback {
            Some(fallback) if !is_up(&scope.writer) && is_up(fallback) => fallback,
            _ => &scope.writer,
        };
        if holder == this { "owned".into() } else { format!("at {holder}:1") }
    }
}

fn shown(verdict: Verdict<'_>) -> String {
    match verdict {
        Verdict::Unscoped => "unscoped".into(),
        Verdict::Owned => "owned".into(),
        Verdict::Misdirected { writer } => format!("at {writer}"),
        Verdict::Quiesced { to } => format!("to {to}"),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn declared_scopes_are_looked_up_as_they_are_declared(
        scopes in vec(scope(), 0..12),
        up in any::<[bool; 3]>(),
        keys in vec(word(0..9), 1..30),
    ) {
        let (nodes, mut naive) = (nodes(up), Naive::default());
        for scope in scopes {
            let with = naive.scopes.iter().cloned().chain([scope.clone()]);
            let table = OwnershipTable::declared(&name(0), &nodes, with);
            prop_assert_eq!(table.is_ok(), naive.allows(&scope), "{:?}", scope);
            match table {
                Ok(_) => naive.scopes.push(scope),
                Err(ScopeError::Overlap { new, old }) => {
                    prop_assert_eq!(&new, &scope.prefix);
                    prop_assert!(naive.scopes.iter().any(|scope| scope.prefix == old));
                }
                Err(_) => {}
            }
        }
        for this in (0..3).map(name) {
            let table = OwnershipTable::declared(&this, &nodes, naive.scopes.clone()).unwrap();
            for key in &keys {
                prop_assert_eq!(shown(table.lookup(key)), naive.verdict(&this, up, key), "{:?}", key);
            }
            let owned = |scope: &Scope| naive.verdict(&this, up, &scope.prefix) == "owned";
            prop_assert_eq!(table.owns_all(), naive.scopes.iter().all(owned));
        }
    }

    /// Cuts, fences and moves too: the catalog looks a key up by walking its maps, the table in one go.
    #[test]
    fn the_table_of_a_catalog_says_what_the_catalog_says(
        changes in vec(change(), 0..25),
        up in any::<[bool; 3]>(),
        keys in vec(word(0..9), 1..30),
    ) {
        let mut catalog = Catalog::default();
        for index in 0..3 {
            let (name, node) = (name(index), nodes(up)[&name(index)].clone());
            catalog = catalog.changed(&Change::Node { name: name.clone(), address: node.address }).unwrap();
            catalog = catalog.changed(&Change::Mark { name, is_up: node.is_up }).unwrap();
        }
        for change in &changes {
            catalog = catalog.changed(change).unwrap_or(catalog);
        }
        let tables: Vec<_> = (0..3).map(|index| catalog.table(Some(&name(index)))).collect();
        let nobody = catalog.table(None);
        for key in &keys {
            let owned = tables.iter().filter(|table| table.lookup(key) == Verdict::Owned).count();
            let owner = catalog.owner(key);
            let is_active = owner.is_some_and(|owner| owner.state.to_string() == "active");
            prop_assert_eq!(owned, usize::from(is_active), "{:?} has one writer or none", key);
            for (index, table) in tables.iter().enumerate() {
                let expected = match owner {
                    None => "unscoped".into(),
                    Some(owner) if !is_active => {
                        let target = catalog.moves().migrating().find(|(_, begun)| begun.id == owner.id);
                        format!("to {}", target.map_or(owner.address, |(_, begun)| &catalog.nodes()[&begun.to].address))
                    }
                    Some(owner) if *owner.holder == name(index) => "owned".into(),
                    Some(owner) => format!("at {}", owner.address),
                };
                prop_assert_eq!(shown(table.lookup(key)), expected, "{:?} at {}", key, NAMES[index]);
            }
            prop_assert_ne!(nobody.lookup(key), Verdict::Owned, "a node without a name owns nothing");
        }
        for table in tables.iter().chain([&nobody]) {
            let owned = |key: &Vec<u8>| table.lookup(key).allows();
            prop_assert_eq!(table.owns_all(), edges(&catalog).iter().all(owned));
        }
    }

    /// Whoever hands keys over stops before the other begins, or is down.
    #[test]
    fn between_two_writers_there_is_none_unless_a_node_is_marked(
        changes in vec(change(), 0..25),
        keys in vec(word(1..6), 1..30),
    ) {
        let mut log = log_of(&[], 0);
        for change in &changes {
            let before = log.current().clone();
            if log.save(before.version(), change.clone()).is_err() || matches!(change, Change::Mark { .. }) {
                continue;
            }
            for key in &keys {
                let writers = [&before, log.current()].map(|catalog| catalog.owner(key).and_then(writer));
                let handed_over = matches!(writers, [Some(old), Some(new)] if old != new);
                prop_assert!(!handed_over, "{:?} of {:?} by {:?}", writers, key, change);
            }
        }
    }

    #[test]
    fn a_catalog_comes_back_from_its_file(changes in vec(change(), 0..25), most in 0..9_usize) {
        let log = log_of(&changes, most);
        let text = log.encode();
        let decoded = CatalogLog::decode(&text, most);
        prop_assert_eq!(decoded.as_ref(), Ok(&log), "{}", text.escape_ascii());
    }

    #[test]
    fn routes_are_listed_in_order_each_once_and_each_owns_its_first_key(changes in vec(change(), 0..25)) {
        let catalog = log_of(&changes, 0).current().clone();
        let owners: Vec<_> = catalog.owners().collect();
        let first = |owner: &Owner<'_>| owner.from.unwrap_or(owner.prefix).clone();
        prop_assert!(owners.is_sorted_by_key(|owner| catalog.scopes().keys().position(|scope| owner.prefix.starts_with(scope))));
        for owner in &owners {
            let same = |other: &&Owner<'_>| other.id == owner.id && other.state == owner.state;
            prop_assert_eq!(owners.iter().filter(same).count(), 1);
            let at = catalog.owner(&first(owner)).unwrap();
            // A prefix within may have been moved, and a move under way is listed twice.
            prop_assert!(at.id == owner.id || at.prefix.starts_with(owner.prefix));
        }
    }
}

/// Who may write at the moment.
fn writer(owner: Owner<'_>) -> Option<&NodeName> {
    (owner.state == RouteState::Active).then_some(owner.holder)
}

/// The first key of each stretch of keys in which all have the same verdict, as far as scopes reach.
fn edges(catalog: &Catalog) -> Vec<Vec<u8>> {
    let moved = || {
        let migrating = catalog.moves().migrating().map(|(prefix, _)| prefix);
        migrating.chain(catalog.moves().migrated().map(|(prefix, _)| prefix))
    };
    let behind = moved().map(|prefix| {
        let mut key = prefix.to_vec();
        while key.pop_if(|byte| *byte == u8::MAX).is_some() {}
        key.last_mut().into_iter().for_each(|last| *last += 1);
        key
    });
    let firsts = catalog.scopes().values().flat_map(|routes| routes.iter().map(|route| route.from.to_vec()));
    firsts.chain(moved().map(|prefix| prefix.to_vec())).chain(behind).collect()
}

fn log_of(changes: &[Change], most: usize) -> CatalogLog {
    let mut log = CatalogLog::new(Catalog::default(), most);
    let known = nodes([true; 3]);
    let add =
        known.iter().map(|(name, node)| Change::Node { name: name.clone(), address: node.address.clone() });
    for change in add.chain(changes.iter().cloned()) {
        // What is refused changes nothing.
        let _ = log.save(log.current().version(), change);
    }
    log
}

fn change() -> impl Strategy<Value = Change> {
    let node = || (0..3_usize).prop_map(name);
    let id = || (1..12_u64).prop_map(Id);
    prop_oneof![
        6 => scope().prop_map(Change::Scope),
        1 => word(0..5).prop_map(|prefix| Change::Unscope { prefix: prefix.into() }),
        1 => (node(), any::<bool>()).prop_map(|(name, is_up)| Change::Mark { name, is_up }),
        4 => (id(), word(1..7)).prop_map(|(route, at)| Change::Cut { route, at: at.into() }),
        2 => id().prop_map(|route| Change::Fence { route }),
        1 => id().prop_map(|route| Change::Lift { route }),
        2 => (id(), node(), prop::option::of(node()))
            .prop_map(|(route, writer, fallback)| Change::Assign { route, writer, fallback }),
        4 => (word(1..7), node()).prop_map(|(prefix, to)| Change::Move { prefix: prefix.into(), to }),
        4 => id().prop_map(|id| Change::Commit { id }),
        1 => id().prop_map(|id| Change::Abort { id }),
    ]
}

/// What has been moved away has another writer than the place that it hides.
#[test]
fn what_is_hidden_by_moves_is_not_owned_and_not_missed() {
    let whole = ["scope x writer b", "move x to a", "commit 2"];
    let cut = ["scope x writer b", "cut 1 xy", "cut 2 xz"];
    let both = ["move xy to a", "commit 4"];
    let moved = ["fence 1", "assign 1 writer a", "lift 1", "fence 3", "assign 3 writer a", "lift 3"];
    for (changes, expected) in [
        (&whole[..1], false),
        (&whole[..2], false),
        (&whole, true),
        (&[&cut[..], &both].concat(), false),
        (&[&cut[..], &both, &moved].concat(), true),
        (&[&cut[..], &moved].concat(), false),
        (&[&cut[..], &moved, &["move xya to a", "commit 4"]].concat(), false),
    ] {
        let changes: Vec<Change> =
            changes.iter().map(|line| Change::parse_line(line.as_bytes()).unwrap()).collect();
        let log = log_of(&changes, 99);
        assert_eq!(log.current().version().0 as usize, 3 + changes.len(), "all of {changes:?} are made");
        assert_eq!(log.current().table(Some(&name(0))).owns_all(), expected, "{changes:?}");
    }
}

#[test]
fn an_assignment_hands_nothing_over_before_its_fence_is_lifted() {
    let mut log = log_of(&[], 0);
    let mut seen = |line: &str| {
        log.save(log.current().version(), Change::parse_line(line.as_bytes()).unwrap()).unwrap();
        let owner = log.current().owner(b"xy")?;
        for node in (0..3).map(name) {
            let owns = log.current().table(Some(&node)).lookup(b"xy") == Verdict::Owned;
            assert_eq!(owns, writer(owner) == Some(&node), "{node} after {line}");
        }
        Some(format!("{} {}", owner.holder, owner.state))
    };
    // The fallback of what was moved is that of its route.
    ["scope x writer a fallback b", "move xy to c", "commit 2"].iter().for_each(|line| _ = seen(line));
    assert_eq!(seen("mark c down").unwrap(), "b active");
    assert_eq!(seen("fence 1").unwrap(), "b write-fenced");
    assert_eq!(seen("assign 1 writer b fallback a").unwrap(), "a write-fenced");
    assert_eq!(seen("lift 1").unwrap(), "a active");
}

#[test]
fn keys_of_two_scopes_or_of_two_writers_cross() {
    let changes = ["scope x writer a", "scope y writer a", "scope z writer b", "move xx to b", "commit 4"];
    let changes: Vec<Change> =
        changes.iter().map(|line| Change::parse_line(line.as_bytes()).unwrap()).collect();
    let table = log_of(&changes, 0).current().table(Some(&name(0)));
    let judged = |keys: &[&str]| {
        let mut footprint = Footprint::default();
        keys.iter().for_each(|key| footprint.add(table.part(key.as_bytes())));
        table.judge(footprint).map_or_else(|error| error.to_string(), shown)
    };
    for (keys, expected) in [
        (&["x1", "free", "x2"][..], "owned"),
        (&["free", "z1", "z2"], "at b:1"),
        (&["x1", "y1"], "the keys are in more than one scope"),
        (&["x1", "xx"], "the keys are in more than one scope"),
        (&["z1", "xx", "free"], "the keys are in more than one scope"),
        (&["free", "more"], "unscoped"),
        (&[], "unscoped"),
    ] {
        assert_eq!(judged(keys), expected, "{keys:?}");
    }
}
