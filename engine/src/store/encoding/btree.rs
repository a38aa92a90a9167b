//! What a `BTreeMap` or `BTreeSet` of the standard library takes, without walking it.

use crate::store::size_class::size_class;

/// Pairs in a leaf at most.
const LEAF_MAX: usize = 11;
/// Pairs that a leaf keeps when a map grows at its end.
const LEAF_GROWN: usize = 6;
/// Parent, index and length beside the pairs.
const LEAF_HEADER: usize = 16;
const EDGES: usize = (LEAF_MAX + 1) * size_of::<usize>();

/// Bytes allocated for `len` pairs of `pair` bytes each, as after insertions in ascending order; a tree filled at
/// random takes up to a third less.
pub(crate) const fn btree_memory(len: usize, pair: usize) -> usize {
    let leaf = LEAF_MAX * pair + LEAF_HEADER;
    match len {
        0 => 0,
        1..=LEAF_MAX => size_class(leaf),
        _ => {
            let leaves = len.div_ceil(LEAF_GROWN + 1);
            let inner = leaves.div_ceil(LEAF_GROWN);
            leaves * size_class(leaf) + inner * size_class(leaf + EDGES)
        }
    }
}
