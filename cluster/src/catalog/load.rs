//! Where a route that is asked for much might be cut in two.
//!
//! It is given keys as they are accessed, every n-th or whichever its owner likes, and remembers the last so many. It
//! proposes and never acts. A route is hot if it has a quarter of the keys remembered; it is worth cutting if a quarter
//! of its own would be on either side. One hot key makes no proposal: it cannot be cut.

use std::collections::{BTreeMap, VecDeque};

use super::Catalog;
use crate::ids::Id;
use crate::scope::{PREFIX_BYTES_MAX, Prefix};

/// A hot route has one in so many of the keys remembered, and a cut leaves one in so many of its own on either side.
const SHARE: usize = 4;

/// Where to cut a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub route: Id,
    /// First key of the upper part: no longer than it has to be.
    pub at: Prefix,
    /// Keys remembered that would be below, and from there on.
    pub below: usize,
    pub above: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct LoadDetector {
    samples: VecDeque<(Id, Prefix)>,
    most: usize,
}

impl LoadDetector {
    /// One that remembers `most` keys, and proposes nothing before it has seen as many.
    pub fn new(most: usize) -> Self {
        Self { samples: VecDeque::new(), most }
    }

    /// Notes an access. Keys that are in no scope, or have been moved out of their route, or are too long to cut at are
    /// none of a route's load.
    pub fn note(&mut self, catalog: &Catalog, key: &[u8]) {
        if key.len() > PREFIX_BYTES_MAX || catalog.moves.longest(key).is_some() {
            return;
        }
        let Some(owner) = catalog.owner(key) else { return };
        self.samples.push_back((owner.id, key.into()));
        if self.samples.len() > self.most {
            self.samples.pop_front();
        }
    }

    /// Where hot routes might be cut.
    pub fn proposals(&self) -> Vec<Proposal> {
        if self.samples.len() < self.most {
            return Vec::new();
        }
        let mut routes: BTreeMap<Id, Vec<&Prefix>> = BTreeMap::new();
        self.samples.iter().for_each(|(route, key)| routes.entry(*route).or_default().push(key));
        let hot = routes.into_iter().filter(|(_, keys)| keys.len() * SHARE >= self.most);
        hot.filter_map(|(route, mut keys)| {
            keys.sort_unstable();
            cut(route, &keys)
        })
        .collect()
    }
}

/// At the step between two keys that is nearest to the middle.
fn cut(route: Id, keys: &[&Prefix]) -> Option<Proposal> {
    let middle = keys.len() / 2;
    let steps = (1..keys.len()).filter(|&above| keys[above - 1] != keys[above]);
    let below = steps.min_by_key(|above| above.abs_diff(middle))?;
    let above = keys.len() - below;
    if below.min(above) * SHARE < keys.len() {
        return None;
    }
    Some(Proposal { route, at: between(keys[below - 1], keys[below]), below, above })
}

/// The shortest key above `low` that is not above `high`.
fn between(low: &[u8], high: &[u8]) -> Prefix {
    let common = low.iter().zip(high).take_while(|(low, high)| low == high).count();
    high[..=common].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Change;

    fn catalog(changes: &[&str]) -> Catalog {
        let change = |catalog: Catalog, line: &&str| {
            catalog.changed(&Change::parse_line(line.as_bytes()).unwrap()).unwrap()
        };
        changes.iter().fold(Catalog::default(), change)
    }

    #[test]
    fn a_hot_route_is_cut_in_its_middle_and_the_cut_can_be_made() {
        let catalog = catalog(&["node a h:1", "scope user: writer a", "scope order: writer a"]);
        let mut detector = LoadDetector::new(100);
        for n in 0..100 {
            assert_eq!(detector.proposals(), []);
            detector.note(&catalog, format!("user:{n:02}:profile").as_bytes());
            detector.note(&catalog, b"elsewhere");
        }
        let proposals = detector.proposals();
        let expected = Proposal { route: Id(1), at: b"user:5"[..].into(), below: 50, above: 50 };
        assert_eq!(proposals, [expected]);
        let cut = catalog.changed(&Change::Cut { route: Id(1), at: proposals[0].at.clone() }).unwrap();
        assert_eq!(cut.owner(b"user:49").unwrap().id, Id(1));
        assert_eq!(cut.owner(b"user:50").unwrap().id, Id(3));
    }

    #[test]
    fn one_hot_key_and_a_cold_route_are_left_alone() {
        let catalog = catalog(&["node a h:1", "scope user: writer a", "scope order: writer a"]);
        let mut detector = LoadDetector::new(100);
        for n in 0..100 {
            let key = if n % 5 == 0 { format!("order:{n}") } else { format!("user:{}", n.max(90)) };
            detector.note(&catalog, key.as_bytes());
        }
        assert_eq!(detector.proposals(), [], "user:90 is nearly all of it, and order: is a fifth");
    }

    #[test]
    fn only_the_last_keys_count() {
        let catalog = catalog(&["node a h:1", "scope user: writer a"]);
        let mut detector = LoadDetector::new(10);
        (0..10).for_each(|n| detector.note(&catalog, format!("user:{n}").as_bytes()));
        assert_eq!(detector.proposals().len(), 1);
        (0..10).for_each(|_| detector.note(&catalog, b"user:1"));
        assert_eq!(detector.proposals(), []);
        assert_eq!(detector.samples.len(), 10);
    }

    #[test]
    fn what_has_been_moved_is_no_load_of_its_old_route() {
        let catalog =
            catalog(&["node a h:1", "node b h:2", "scope user: writer a", "move user:1 to b", "commit 2"]);
        let mut detector = LoadDetector::new(1);
        detector.note(&catalog, b"user:11");
        assert_eq!(detector.samples.len(), 0);
    }

    #[test]
    fn the_key_between_is_short() {
        for (low, high, expected) in [("a", "b", "b"), ("user:1", "user:3999", "user:3"), ("a", "ab", "ab")] {
            assert_eq!(&*between(low.as_bytes(), high.as_bytes()), expected.as_bytes());
        }
    }
}
