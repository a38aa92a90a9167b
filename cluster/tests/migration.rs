//! Moves on several nodes that hear of changes at different times: in no order of events are there two writers.
//!
//! Changes are agreed on one after the other. Each node stores the next one, then uses it, when it likes; it may
//! restart between any two steps, and uses what it has stored. A move is committed when its old node uses the start.
//! All orders of these events are tried, up to a number of changes; the same without one of the rules finds two
//! writers, so the search would see them.

use std::collections::{HashMap, HashSet};

use bobbin_cluster::catalog::{Catalog, CatalogLog, Change};
use bobbin_cluster::scope::Verdict;
use bobbin_cluster::{Id, NodeName};

const NODES: [&str; 3] = ["a", "b", "c"];
const KEYS: [&[u8]; 2] = [b"k", b"kk"];
/// Enough for a move, its end, another of the same prefix and a late end of the first.
const CHANGES_MAX: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// A move is committed whether or not its old node knows of it.
    CommitWaitsForOldNode,
    /// A node uses a change before it has stored it.
    StoreBeforeUse,
    /// A commit is of whatever move the prefix is in.
    CommitsNameTheirMove,
}

/// What has been agreed on so far: catalogs, each made from the one before.
type History = Vec<usize>;

/// How far a node is: catalogs of the history that it has stored and that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    stored: usize,
    uses: usize,
}

/// A move, and the place in the history where it began.
#[derive(Clone, Debug)]
struct Started {
    id: Id,
    prefix: Vec<u8>,
    from: usize,
    at: usize,
}

struct Search {
    broken: Broken,
    catalogs: Vec<Catalog>,
    /// Which keys each node owns by a catalog, a bit each.
    owned: Vec<[u8; 3]>,
    /// Catalogs made from catalogs, by the change.
    made: HashMap<(usize, Vec<u8>), Option<usize>>,
    seen: HashSet<(History, [Place; 3])>,
}

fn name(index: usize) -> NodeName {
    NodeName::new(NODES[index].as_bytes()).expect("a name")
}

fn first() -> Catalog {
    let lines = ["node a h:1", "node b h:2", "node c h:3", "scope k writer a"];
    let change = |catalog: Catalog, line: &str| {
        let change = Change::parse_line(line.as_bytes()).expect("a change");
        catalog.changed(&change).expect("it can be made")
    };
    lines.into_iter().fold(Catalog::default(), change)
}

impl Search {
    fn new(broken: Broken) -> Self {
        let mut search = Self {
            broken,
            catalogs: Vec::new(),
            owned: Vec::new(),
            made: HashMap::new(),
            seen: HashSet::new(),
        };
        search.add(first());
        search
    }

    /// A node that restarts has the catalog from its file.
    fn add(&mut self, catalog: Catalog) -> usize {
        let text = CatalogLog::new(catalog, 32).encode();
        let catalog = CatalogLog::decode(&text, 32).expect("it was written").current().clone();
        self.owned.push(std::array::from_fn(|node| {
            let table = catalog.table(Some(&name(node)));
            let owns = |key: &&[u8]| table.lookup(key) == Verdict::Owned;
            KEYS.iter().map(owns).fold(0, |bits, owned| bits << 1 | u8::from(owned))
        }));
        self.catalogs.push(catalog);
        self.catalogs.len() - 1
    }

    /// The catalog that a change makes of the last; none if it is refused or does nothing.
    fn make(&mut self, last: usize, change: &Change) -> Option<usize> {
        let key = (last, change.line());
        if let Some(made) = self.made.get(&key) {
            return *made;
        }
        let before = &self.catalogs[last];
        let made = before.changed(change).ok().filter(|made| made.moves() != before.moves());
        let made = made.map(|made| self.add(made));
        self.made.insert(key, made);
        made
    }

    /// Tries every order. Returns how many states there are, or one with two writers.
    fn run(&mut self) -> Result<usize, String> {
        let start = (vec![0], [Place { stored: 0, uses: 0 }; 3]);
        let mut open = vec![start.clone()];
        self.seen.insert(start);
        while let Some((history, places)) = open.pop() {
            self.check(&history, places)?;
            for state in self.next(&history, places) {
                if self.seen.insert(state.clone()) {
                    open.push(state);
                }
            }
        }
        Ok(self.seen.len())
    }

    fn check(&self, history: &History, places: [Place; 3]) -> Result<(), String> {
        let [a, b, c] = std::array::from_fn(|node| self.owned[history[places[node].uses]][node]);
        if a & b | a & c | b & c == 0 {
            return Ok(());
        }
        Err(format!("{places:?} of {:?}", history.iter().map(|&at| &self.catalogs[at]).collect::<Vec<_>>()))
    }

    fn next(&mut self, history: &History, places: [Place; 3]) -> Vec<(History, [Place; 3])> {
        let mut states = Vec::new();
        for node in 0..3 {
            for place in self.steps(places[node], history.len() - 1) {
                let mut places = places;
                places[node] = place;
                states.push((history.clone(), places));
            }
        }
        if history.len() <= CHANGES_MAX {
            for change in self.changes(history, places) {
                if let Some(made) = self.make(history[history.len() - 1], &change) {
                    states.push(([&history[..], &[made]].concat(), places));
                }
            }
        }
        states
    }

    /// What a node may do: store the next, use what it has stored, restart. It is not more than one step ahead of itself.
    fn steps(&self, Place { stored, uses }: Place, last: usize) -> Vec<Place> {
        let mut steps = vec![Place { stored, uses: stored }];
        let is_first = self.broken == Broken::StoreBeforeUse;
        if uses == stored && stored < last {
            steps.push(if is_first {
                Place { stored, uses: uses + 1 }
            } else {
                Place { stored: stored + 1, uses }
            });
        }
        if is_first && uses > stored {
            steps.push(Place { stored: uses, uses });
        }
        steps
    }

    /// What may be agreed on next.
    fn changes(&self, history: &History, places: [Place; 3]) -> Vec<Change> {
        let begin = [("k", 1), ("k", 2), ("kk", 1), ("k", 0)];
        let begin = begin.map(|(prefix, to)| Change::Move { prefix: prefix.as_bytes().into(), to: name(to) });
        let started = self.started(history);
        let is_known = |begun: &&Started| {
            self.broken == Broken::CommitWaitsForOldNode || places[begun.from].uses >= begun.at
        };
        let named = |begun: &Started| {
            let of_prefix = started.iter().rfind(|other| other.prefix == begun.prefix);
            of_prefix.filter(|_| self.broken == Broken::CommitsNameTheirMove).map_or(begun.id, |last| last.id)
        };
        let commits = started.iter().filter(is_known).map(|begun| Change::Commit { id: named(begun) });
        let aborts = started.iter().map(|begun| Change::Abort { id: begun.id });
        begin.into_iter().chain(commits).chain(aborts).collect()
    }

    fn started(&self, history: &History) -> Vec<Started> {
        let mut started: Vec<Started> = Vec::new();
        for (at, &catalog) in history.iter().enumerate() {
            for (prefix, begun) in self.catalogs[catalog].moves().migrating() {
                if !started.iter().any(|known| known.id == begun.id) {
                    let from = NODES.iter().position(|name| *name == begun.from.as_str()).expect("a node");
                    started.push(Started { id: begun.id, prefix: prefix.to_vec(), from, at });
                }
            }
        }
        started
    }
}

#[test]
fn no_order_of_events_gives_two_writers() {
    let states = Search::new(Broken::Nothing).run().unwrap();
    assert!(states > 10_000, "{states} are not many");
}

#[test]
fn without_any_of_the_rules_there_are_two_writers() {
    for broken in [Broken::CommitWaitsForOldNode, Broken::StoreBeforeUse, Broken::CommitsNameTheirMove] {
        assert!(Search::new(broken).run().is_err(), "{broken:?}");
    }
}
