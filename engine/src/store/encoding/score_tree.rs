//! A sequence of (score, id) in the order its owner keeps, in a B+tree that counts: a place is found by rank or by
//! order in O(log n).
//!
//! ```text
//! inner   ┌──────────┬───────┬────────┬───────┐  of each child: the first score and id beneath it,
//!         │ scores   │ ids   │ counts │ nodes │  how many are beneath it, the child
//!         └──────────┴───────┴────────┴───────┘  up to 31: 1024 bytes
//! leaf    ┌──────────────────────┬────────────┐
//!         │ scores               │ ids        │  up to 63: 768 bytes
//!         └──────────────────────┴────────────┘
//! ```
//!
//! The tree compares nothing: who searches gives a predicate that holds up to a place and not behind it, and who
//! inserts says at which rank. So the order, ties included, is the owner's alone.
//!
//! Invariants:
//! - all leaves are at one depth, and no node is empty but a leaf that is the root;
//! - first score, first id and count of every child are those of the node beneath;
//! - a node less than a quarter full has no neighbour that it would fit together with in three quarters of one.
//!
//! A skip list with spans, as Redis has, takes a node of its own for each member (48 bytes and three pointers to
//! follow where a leaf has 14 bytes and one); sizes were chosen by the allocator's classes.

use arrayvec::ArrayVec;

use crate::store::size_class::size_class;

const LEAF_MAX: usize = 63;
const INNER_MAX: usize = 31;
const LEAF_SIZE: usize = size_class(size_of::<Leaf>());
const INNER_SIZE: usize = size_class(size_of::<Inner>());
const _: () = assert!(LEAF_SIZE == 768 && INNER_SIZE == 1024);

#[derive(Clone, Debug)]
pub(crate) struct ScoreTree {
    root: Node,
    len: usize,
    /// Bytes of all nodes.
    memory: usize,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

#[derive(Clone, Debug, Default)]
struct Leaf {
    scores: ArrayVec<f64, LEAF_MAX>,
    ids: ArrayVec<u32, LEAF_MAX>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    scores: ArrayVec<f64, INNER_MAX>,
    ids: ArrayVec<u32, INNER_MAX>,
    counts: ArrayVec<u32, INNER_MAX>,
    nodes: ArrayVec<Node, INNER_MAX>,
}

/// A stretch of neighbours: one leaf's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run<'a> {
    /// The rank of the first.
    pub(crate) start: usize,
    pub(crate) scores: &'a [f64],
    pub(crate) ids: &'a [u32],
}

impl ScoreTree {
    pub(crate) fn new() -> Self {
        Self { root: Node::Leaf(Box::default()), len: 0, memory: LEAF_SIZE }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// How many come before the place where `before` stops to hold.
    pub(crate) fn partition_point(&self, mut before: impl FnMut(f64, u32) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Inner(inner) => {
                    let child = partition(&inner.scores, &inner.ids, &mut before).saturating_sub(1);
                    rank += inner.count_before(child);
                    node = &inner.nodes[child];
                }
                Node::Leaf(leaf) => return rank + partition(&leaf.scores, &leaf.ids, &mut before),
            }
        }
    }

    /// The neighbours among whom a rank is. Of a rank that is not there, the last ones.
    pub(crate) fn run_at(&self, rank: usize) -> Run<'_> {
        let (mut node, mut start) = (&self.root, 0);
        loop {
            match node {
                Node::Inner(inner) => {
                    let (child, offset) = inner.locate(rank - start);
                    start = rank - offset;
                    node = &inner.nodes[child];
                }
                Node::Leaf(leaf) => return Run { start, scores: &leaf.scores, ids: &leaf.ids },
            }
        }
    }

    pub(crate) fn insert(&mut self, rank: usize, score: f64, id: u32) {
        let at_edge = rank == 0 || rank == self.len;
        self.len += 1;
        let Some(right) = self.root.insert(rank, score, id, at_edge, &mut self.memory) else { return };
        let left = std::mem::replace(&mut self.root, Node::Leaf(Box::default()));
        let mut root = Inner::default();
        root.insert(0, left);
        root.insert(1, right);
        self.memory += INNER_SIZE;
        self.root = Node::Inner(Box::new(root));
    }

    /// Changes a score where that leaves the order as it is.
    pub(crate) fn set_score(&mut self, rank: usize, score: f64) {
        self.root.set_score(rank, score);
    }

    /// Takes out `count` from a rank on; `each` is told of them in order.
    pub(crate) fn remove(&mut self, rank: usize, count: usize, mut each: impl FnMut(f64, u32)) {
        let mut left = count.min(self.len.saturating_sub(rank));
        while left > 0 {
            let removed = self.root.remove(rank, left, &mut each, &mut self.memory);
            left -= removed;
            self.len -= removed;
            self.shorten();
        }
    }

    /// Frees one leaf, for good: ranks are not valid after that. False if nothing was left to free.
    pub(crate) fn free_leaf(&mut self) -> bool {
        if let Node::Inner(root) = &mut self.root {
            root.free_leaf();
            if !root.nodes.is_empty() {
                return true;
            }
        } else if self.len == 0 {
            return false;
        }
        *self = Self::new();
        true
    }

    /// Takes away a root that has nothing to choose from.
    fn shorten(&mut self) {
        while let Node::Inner(root) = &mut self.root
            && root.nodes.len() < 2
        {
            let only = root.nodes.pop();
            self.memory -= INNER_SIZE;
            self.root = only.unwrap_or_else(|| {
                self.memory += LEAF_SIZE;
                Node::Leaf(Box::default())
            });
        }
    }
}

/// How many of a node's places come before the one where `before` stops to hold.
#[inline]
fn partition(scores: &[f64], ids: &[u32], before: &mut impl FnMut(f64, u32) -> bool) -> usize {
    let (mut low, mut high) = (0, scores.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if before(scores[middle], ids[middle]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.ids.len(),
            Self::Inner(inner) => inner.counts.iter().map(|&count| count as usize).sum(),
        }
    }

    fn first(&self) -> (f64, u32) {
        match self {
            Self::Leaf(leaf) => (leaf.scores[0], leaf.ids[0]),
            Self::Inner(inner) => (inner.scores[0], inner.ids[0]),
        }
    }

    fn is_empty(&self) -> bool {
        self.fan() == 0
    }

    /// Places of the node itself.
    fn fan(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.ids.len(),
            Self::Inner(inner) => inner.nodes.len(),
        }
    }

    fn fan_max(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_MAX,
            Self::Inner(_) => INNER_MAX,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_SIZE,
            Self::Inner(_) => INNER_SIZE,
        }
    }

    /// Returns what was split off behind this node.
    fn insert(
        &mut self,
        rank: usize,
        score: f64,
        id: u32,
        at_edge: bool,
        memory: &mut usize,
    ) -> Option<Self> {
        match self {
            Self::Leaf(leaf) => {
                let right = leaf.insert(rank, score, id, at_edge)?;
                *memory += LEAF_SIZE;
                Some(Self::Leaf(right))
            }
            Self::Inner(inner) => {
                let (child, offset) = inner.locate(rank);
                let split = inner.nodes[child].insert(offset, score, id, at_edge, memory);
                inner.refresh(child);
                let right = inner.insert_or_split(child + 1, split?, at_edge)?;
                *memory += INNER_SIZE;
                Some(Self::Inner(right))
            }
        }
    }

    fn set_score(&mut self, rank: usize, score: f64) {
        match self {
            Self::Leaf(leaf) => leaf.scores[rank] = score,
            Self::Inner(inner) => {
                let (child, offset) = inner.locate(rank);
                inner.nodes[child].set_score(offset, score);
                inner.scores[child] = inner.nodes[child].first().0;
            }
        }
    }

    /// Takes out up to `max` from a rank on, all of one leaf. Returns how many.
    fn remove(
        &mut self,
        rank: usize,
        max: usize,
        each: &mut impl FnMut(f64, u32),
        memory: &mut usize,
    ) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.remove(rank, max, each),
            Self::Inner(inner) => {
                let (child, offset) = inner.locate(rank);
                let removed = inner.nodes[child].remove(offset, max, each, memory);
                *memory -= inner.mend(child);
                removed
            }
        }
    }

    /// Whether two neighbours should be one.
    fn fits_with(&self, other: &Self) -> bool {
        self.fan() + other.fan() <= self.fan_max() / 4 * 3
    }

    /// Takes in the neighbour behind it, which is of the same kind.
    fn append(&mut self, right: Self) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => {
                left.scores.extend(right.scores);
                left.ids.extend(right.ids);
            }
            (Self::Inner(left), Self::Inner(right)) => left.append(*right),
            _ => unreachable!("all leaves are at one depth"),
        }
    }
}

impl Leaf {
    fn insert(&mut self, rank: usize, score: f64, id: u32, at_edge: bool) -> Option<Box<Self>> {
        let mut right = None;
        let mut place = rank;
        let mut target = &mut *self;
        if target.ids.is_full() {
            let cut = cut(rank, 0, LEAF_MAX, at_edge);
            let behind = right.insert(Box::new(Self {
                scores: target.scores.drain(cut..).collect(),
                ids: target.ids.drain(cut..).collect(),
            }));
            if rank > cut || (rank == cut && cut == LEAF_MAX) {
                target = behind;
                place -= cut;
            }
        }
        target.scores.insert(place, score);
        target.ids.insert(place, id);
        right
    }

    fn remove(&mut self, rank: usize, max: usize, each: &mut impl FnMut(f64, u32)) -> usize {
        let range = rank..self.ids.len().min(rank + max);
        let removed = range.len();
        self.scores.drain(range.clone()).zip(self.ids.drain(range)).for_each(|(score, id)| each(score, id));
        removed
    }
}

/// Where a full node is cut: in the middle, but at the tree's edges, where what comes next mostly goes to the same
/// edge, so that the new one stands as alone as it can.
fn cut(place: usize, lowest: usize, len: usize, at_edge: bool) -> usize {
    match place {
        _ if !at_edge => len / 2,
        place if place == lowest => lowest,
        place if place == len => len,
        _ => len / 2,
    }
}

impl Inner {
    /// The child that a rank is in, and the rank in it. A rank behind all is behind the last child's.
    fn locate(&self, rank: usize) -> (usize, usize) {
        let mut offset = rank;
        for (child, &count) in self.counts.iter().enumerate() {
            if offset < count as usize {
                return (child, offset);
            }
            offset -= count as usize;
        }
        let last = self.counts.len() - 1;
        (last, offset + self.counts[last] as usize)
    }

    fn count_before(&self, child: usize) -> usize {
        self.counts[..child].iter().map(|&count| count as usize).sum()
    }

    /// Notes what is beneath a child.
    fn refresh(&mut self, child: usize) {
        let node = &self.nodes[child];
        (self.scores[child], self.ids[child]) = node.first();
        self.counts[child] = node.len() as u32;
    }

    fn insert(&mut self, place: usize, node: Node) {
        let (score, id) = node.first();
        self.scores.insert(place, score);
        self.ids.insert(place, id);
        self.counts.insert(place, node.len() as u32);
        self.nodes.insert(place, node);
    }

    fn insert_or_split(&mut self, place: usize, node: Node, at_edge: bool) -> Option<Box<Self>> {
        if !self.nodes.is_full() {
            self.insert(place, node);
            return None;
        }
        let cut = cut(place, 1, INNER_MAX, at_edge);
        let mut right = Box::new(self.split_off(cut));
        if place > cut || (place == cut && cut == INNER_MAX) {
            right.insert(place - cut, node);
        } else {
            self.insert(place, node);
        }
        Some(right)
    }

    fn split_off(&mut self, at: usize) -> Self {
        Self {
            scores: self.scores.drain(at..).collect(),
            ids: self.ids.drain(at..).collect(),
            counts: self.counts.drain(at..).collect(),
            nodes: self.nodes.drain(at..).collect(),
        }
    }

    fn append(&mut self, right: Self) {
        self.scores.extend(right.scores);
        self.ids.extend(right.ids);
        self.counts.extend(right.counts);
        self.nodes.extend(right.nodes);
    }

    fn take(&mut self, child: usize) -> Node {
        self.scores.remove(child);
        self.ids.remove(child);
        self.counts.remove(child);
        self.nodes.remove(child)
    }

    /// Restores the invariants after something was removed beneath a child. Returns the bytes freed.
    fn mend(&mut self, child: usize) -> usize {
        let node = &self.nodes[child];
        if node.is_empty() {
            return self.take(child).size();
        }
        self.refresh(child);
        if self.nodes[child].fan() >= self.nodes[child].fan_max() / 4 {
            return 0;
        }
        let fits = |left: usize| {
            self.nodes.get(left + 1).is_some_and(|right| self.nodes[left].fits_with(right)).then_some(left)
        };
        let Some(left) = fits(child).or_else(|| fits(child.checked_sub(1)?)) else { return 0 };
        let right = self.take(left + 1);
        let size = right.size();
        self.nodes[left].append(right);
        self.refresh(left);
        size
    }

    /// Frees the last leaf, and nodes above that have no other.
    fn free_leaf(&mut self) {
        if let Some(Node::Inner(last)) = self.nodes.last_mut() {
            last.free_leaf();
            if !last.nodes.is_empty() {
                return;
            }
        }
        self.nodes.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl ScoreTree {
        fn assert_invariants(&self) {
            let (len, bytes, _) = check(&self.root);
            assert_eq!((len, bytes), (self.len, self.memory));
            assert!(matches!(&self.root, Node::Leaf(_)) || self.root.fan() > 1);
        }

        fn at(&self, rank: usize) -> Option<(f64, u32)> {
            let run = self.run_at(rank);
            let place = rank - run.start;
            Some((*run.scores.get(place)?, *run.ids.get(place)?))
        }

        fn contents(&self) -> Vec<(f64, u32)> {
            let (mut all, mut rank) = (Vec::new(), 0);
            while rank < self.len {
                let run = self.run_at(rank);
                assert_eq!(run.start, rank);
                all.extend(run.scores.iter().copied().zip(run.ids.iter().copied()));
                rank += run.ids.len();
            }
            all
        }
    }

    /// Members, bytes and depth of a node that is as it has to be.
    fn check(node: &Node) -> (usize, usize, usize) {
        let Node::Inner(inner) = node else { return (node.len(), node.size(), 0) };
        let mut depths = Vec::new();
        let (mut len, mut bytes) = (0, node.size());
        for (child, node) in inner.nodes.iter().enumerate() {
            assert!(!node.is_empty());
            assert_eq!((inner.scores[child], inner.ids[child]), node.first());
            let beneath = check(node);
            assert_eq!(inner.counts[child] as usize, beneath.0);
            len += beneath.0;
            bytes += beneath.1;
            depths.push(beneath.2);
        }
        assert!(depths.iter().all(|&depth| depth == depths[0]));
        (len, bytes, depths[0] + 1)
    }

    fn of(len: usize) -> ScoreTree {
        let mut tree = ScoreTree::new();
        (0..len).for_each(|n| tree.insert(n, n as f64, n as u32));
        tree
    }

    #[test]
    fn scores_that_only_grow_or_only_fall_fill_the_leaves() {
        let mut falling = ScoreTree::new();
        (0..50_000).for_each(|n| falling.insert(0, -f64::from(n), n));
        for tree in [of(50_000), falling] {
            tree.assert_invariants();
            assert!(tree.memory() < 50_000 * 13, "{}", tree.memory() / 50_000);
        }
    }

    #[test]
    fn a_tree_is_freed_leaf_by_leaf() {
        let mut tree = of(20_000);
        let mut steps = 0;
        while tree.free_leaf() {
            steps += 1;
        }
        assert_eq!(steps, 20_000usize.div_ceil(LEAF_MAX));
        assert!(!tree.free_leaf());
    }

    #[test]
    fn a_range_is_removed_in_order() {
        for (from, count) in [(0, 10_000), (0, 1), (9_999, 1), (500, 9_000), (100, 20_000), (10_000, 1)] {
            let mut tree = of(10_000);
            let mut removed = Vec::new();
            tree.remove(from, count, |_, id| removed.push(id as usize));
            assert_eq!(removed, (from..10_000.min(from + count)).collect::<Vec<_>>());
            tree.assert_invariants();
            assert_eq!(tree.len(), 10_000 - removed.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_tree_is_a_sorted_vector(
            steps in prop::collection::vec((0..10u8, any::<u16>(), 0..60u8), 1..3000), start in 0..5000usize,
        ) {
            let mut tree = of(start);
            let mut model: Vec<(f64, u32)> = (0..start).map(|n| (n as f64, n as u32)).collect();
            for (step, (what, number, count)) in steps.into_iter().enumerate() {
                let key = (f64::from(number) / 8.0, step as u32 + 5000);
                let rank = tree.partition_point(|score, id| (score, id) < key);
                prop_assert_eq!(rank, model.partition_point(|&place| place < key));
                match what {
                    0..5 => {
                        tree.insert(rank, key.0, key.1);
                        model.insert(rank, key);
                    }
                    5 if rank < model.len() => {
                        let next = model.get(rank + 1).map_or(f64::MAX, |next| next.0);
                        let score = model[rank].0.midpoint(next.min(1e9));
                        tree.set_score(rank, score);
                        model[rank].0 = score;
                    }
                    _ => {
                        let mut removed = Vec::new();
                        tree.remove(rank, count.into(), |score, id| removed.push((score, id)));
                        let end = model.len().min(rank + usize::from(count));
                        prop_assert_eq!(removed, model.drain(rank..end).collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!(tree.at(rank), model.get(rank).copied());
            }
            tree.assert_invariants();
            prop_assert_eq!(tree.contents(), model);
        }
    }
}
