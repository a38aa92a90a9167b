//! Removing the oldest entries of a log, exactly or as far as whole nodes go.
//!
//! Source: which entries go, whole nodes or not, is what redis-server 7.0.15 does, so that XLEN says the same.

use std::collections::BTreeMap;

use super::{Log, Node, StreamId};

/// So many nodes are freed at once; more are handed back.
const FREED_AT_ONCE_MAX: usize = 32;

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last so many.
    Last(u64),
    /// Those from an id on.
    From(StreamId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    Exact,
    /// Stops at a node that would have to lose only a part of its entries, and before more entries than `removed_max`
    /// are gone; 0 is no limit.
    WholeNodes {
        removed_max: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    pub keep: Keep,
    pub exactness: Exactness,
}

#[derive(Debug, Default)]
#[must_use]
pub struct Trimmed {
    pub entries: u64,
    /// Nodes that are to be freed, if they are many.
    pub remains: Option<Log>,
}

impl Log {
    pub fn trim(&mut self, trim: &Trim) -> Trimmed {
        let (mut trimmed, nodes) = self.plan(trim);
        self.len -= trimmed.entries;
        trimmed.remains = self.take_first(nodes);
        if trim.exactness == Exactness::Exact {
            trimmed.entries += self.trim_first_node(trim.keep);
        }
        if trimmed.entries > 0 {
            self.find_first();
        }
        trimmed
    }

    /// How many nodes go whole, and the entries in them.
    fn plan(&self, trim: &Trim) -> (Trimmed, usize) {
        let (mut entries, mut nodes) = (0, 0);
        let removed_max = match trim.exactness {
            Exactness::Exact | Exactness::WholeNodes { removed_max: 0 } => u64::MAX,
            Exactness::WholeNodes { removed_max } => removed_max,
        };
        for (&base, node) in &self.nodes {
            let live = node.counts().live;
            let left = self.len - entries;
            let goes = match trim.keep {
                Keep::Last(count) => left > count && left - live >= count,
                Keep::From(id) => node.last_id(base).is_none_or(|last| last < id),
            };
            if !goes || entries + live > removed_max {
                break;
            }
            entries += live;
            nodes += 1;
        }
        (Trimmed { entries, remains: None }, nodes)
    }

    /// Takes the first nodes out.
    fn take_first(&mut self, count: usize) -> Option<Log> {
        if count <= FREED_AT_ONCE_MAX {
            (0..count).for_each(|_| {
                if let Some((_, node)) = self.nodes.pop_first() {
                    self.nodes_memory -= node.memory();
                }
            });
            return None;
        }
        let kept = match self.nodes.keys().nth(count).copied() {
            Some(first_kept) => self.nodes.split_off(&first_kept),
            None => BTreeMap::new(),
        };
        let nodes = std::mem::replace(&mut self.nodes, kept);
        let nodes_memory = nodes.values().map(Node::memory).sum();
        self.nodes_memory -= nodes_memory;
        Some(Log { nodes, nodes_memory, ..Log::default() })
    }

    /// Marks entries of the first node as deleted, as long as they are not to be kept. Returns how many.
    fn trim_first_node(&mut self, keep: Keep) -> u64 {
        let Some(mut first) = self.nodes.first_entry() else { return 0 };
        let (base, node) = (*first.key(), first.get_mut());
        let before = node.memory();
        let surplus = match keep {
            Keep::Last(count) => self.len.saturating_sub(count),
            Keep::From(_) => u64::MAX,
        };
        let goes = |id| if let Keep::From(first) = keep { id < first } else { true };
        let removed = node.delete_first(base, surplus, goes);
        self.nodes_memory = self.nodes_memory - before + node.memory();
        self.len -= removed;
        removed
    }
}
