//! The log of a stream: its entries in order, in nodes, and what is remembered of those that are gone.
//!
//! Appending touches the last node, a look-up one path of the B-tree and one node; growth moves neither entries nor
//! other nodes. A node is full when it has as many entries, deleted ones included, or bytes as the directives say; it
//! goes when its last live entry is deleted.
//!
//! Invariants:
//! - Ids ascend from node to node and within each; a node is kept by the id it counts from.
//! - `len` is the sum of the nodes' live entries, `first_id` the first of these, 0-0 if there is none.
//! - No id is above `last_id`.
//! - Exact trimming by id can leave a node whose entries are all deleted, as in Redis; nothing else does.
//!
//! Source: `src/t_stream.c` of Valkey for what fills a node.

use std::collections::{BTreeMap, btree_map};

use super::node::{Counts, Cursor, Record, elements_max};
use super::{Entry, MalformedNode, Node, StreamId};
use crate::store::encoding::btree::btree_memory;
use crate::store::encoding::listpack::{self, Listpack};

/// A node that follows another is given as much room at once as that has needed, up to this.
const ROOM_AHEAD_MAX: usize = 4096;

/// When a node is full.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimits {
    /// `stream-node-max-bytes`; 0 is none.
    pub bytes_max: usize,
    /// `stream-node-max-entries`; 0 is none.
    pub entries_max: u64,
}

impl NodeLimits {
    fn admit(&self, node: &Node, text_len: usize) -> bool {
        let bytes_max = if self.bytes_max == 0 { listpack::BYTES_MAX } else { self.bytes_max };
        if node.bytes_len() + text_len >= bytes_max.min(listpack::BYTES_MAX) {
            return false;
        }
        let Counts { live, deleted } = node.counts();
        self.entries_max == 0 || live + deleted < self.entries_max
    }
}

/// The id that an entry is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// Of the present, or behind the last if that is later.
    Auto,
    /// The first free one of a millisecond.
    Within(u64),
    Exactly(StreamId),
}

/// Why an entry cannot have an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The last id there can be is taken.
    Exhausted,
    NotAboveLast,
}

/// Which way entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub(super) nodes: BTreeMap<StreamId, Node>,
    pub(super) nodes_memory: usize,
    pub(super) len: u64,
    /// Of the last entry there was, or higher.
    pub last_id: StreamId,
    pub(super) first_id: StreamId,
    /// The highest id that was deleted other than by trimming.
    pub max_deleted_id: StreamId,
    /// How many entries there have ever been.
    pub entries_added: u64,
}

/// Reading.
impl Log {
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Of the first entry there is, or 0-0.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        self.nodes_memory + btree_memory(self.nodes.len(), size_of::<(StreamId, Node)>())
    }

    /// Every node, with the id it counts from.
    pub fn nodes(&self) -> btree_map::Iter<'_, StreamId, Node> {
        self.nodes.iter()
    }

    pub fn entries(&self) -> Range<'_> {
        self.range(StreamId::MIN, StreamId::MAX, Order::Ascending)
    }

    /// The entries from one id through another.
    pub fn range(&self, from: StreamId, to: StreamId, order: Order) -> Range<'_> {
        if from > to {
            return Range { from, to, order, nodes: btree_map::Range::default(), cursor: None };
        }
        let begin = self.node_of(from).unwrap_or(from);
        Range { from, to, order, nodes: self.nodes.range(begin..=to), cursor: None }
    }

    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id, Order::Ascending).next()
    }

    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// The last entry there is.
    pub fn last(&self) -> Option<Entry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX, Order::Descending).next()
    }

    /// The id of the node that an id is in, if it is in any.
    fn node_of(&self, id: StreamId) -> Option<StreamId> {
        self.nodes.range(..=id).next_back().map(|(&base, _)| base)
    }
}

/// Changing.
impl Log {
    /// The id that an entry gets if it is added now.
    pub fn resolve(&self, wanted: NewId, now_ms: u64) -> Result<StreamId, Refusal> {
        let last = self.last_id;
        let behind_last = last.next().ok_or(Refusal::Exhausted)?;
        let id = match wanted {
            NewId::Auto if now_ms > last.ms => StreamId::new(now_ms, 0),
            NewId::Auto => behind_last,
            NewId::Within(ms) if ms == last.ms && behind_last.ms == ms => behind_last,
            NewId::Within(ms) => StreamId::new(ms, 0),
            NewId::Exactly(id) => id,
        };
        if id > last { Ok(id) } else { Err(Refusal::NotAboveLast) }
    }

    /// Whether an entry with texts of so many bytes may be added at all.
    pub fn admits(text_len: usize, pairs: usize) -> bool {
        text_len <= listpack::BYTES_MAX && Listpack::new().has_room_for(text_len, elements_max(pairs))
    }

    /// Adds an entry; the id comes from [`Log::resolve`], the texts have been asked for room. `pairs` are names and
    /// values in turn.
    pub fn append<'a>(
        &mut self,
        id: StreamId,
        pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        limits: NodeLimits,
    ) {
        let text_len = pairs.clone().map(<[u8]>::len).sum();
        match self.nodes.last_entry() {
            Some(mut tail)
                if limits.admit(tail.get(), text_len) && tail.get().has_room_for(text_len, pairs.len()) =>
            {
                let (base, node) = (*tail.key(), tail.get_mut());
                let before = node.memory();
                node.append(base, id, pairs);
                self.nodes_memory = self.nodes_memory - before + node.memory();
            }
            _ => self.append_node(id, pairs),
        }
        if self.len == 0 {
            self.first_id = id;
        }
        self.len += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
    }

    /// Adds an entry in a node of its own; the last one is full.
    #[cold]
    fn append_node<'a>(&mut self, id: StreamId, pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone) {
        let mut room = 0;
        if let Some(mut full) = self.nodes.last_entry() {
            let before = full.get().memory();
            full.get_mut().shrink_to_fit();
            self.nodes_memory = self.nodes_memory - before + full.get().memory();
            room = full.get().bytes_len().min(ROOM_AHEAD_MAX);
        }
        let mut node = Node::new(pairs.clone(), room);
        node.append(id, id, pairs);
        self.nodes_memory += node.memory();
        self.nodes.insert(id, node);
    }

    /// Deletes the entries with these ids. Returns how many there were.
    pub fn delete(&mut self, ids: &[StreamId]) -> usize {
        let mut deleted = 0;
        let mut first = false;
        for &id in ids {
            if self.delete_one(id) {
                first |= id == self.first_id;
                self.max_deleted_id = self.max_deleted_id.max(id);
                deleted += 1;
            }
        }
        if first {
            self.find_first();
        }
        deleted
    }

    fn delete_one(&mut self, id: StreamId) -> bool {
        let Some((&base, node)) = self.nodes.range_mut(..=id).next_back() else { return false };
        let Some(record) = find(node, base, id) else { return false };
        if node.counts().live > 1 {
            node.delete(&record);
        } else {
            self.drop_node(base);
        }
        self.len -= 1;
        true
    }

    pub(super) fn drop_node(&mut self, base: StreamId) {
        if let Some(node) = self.nodes.remove(&base) {
            self.nodes_memory -= node.memory();
        }
    }

    /// Remembers anew which entry is the first.
    pub(super) fn find_first(&mut self) {
        self.first_id = self.entries().next().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Frees up to `budget` nodes of a log that is not used any more. Returns what is left of the budget.
    pub(crate) fn free_step(&mut self, budget: usize) -> usize {
        let mut left = budget;
        while left > 0 && self.nodes.pop_first().is_some() {
            left -= 1;
        }
        left
    }
}

/// The live record with an id.
fn find(node: &Node, base: StreamId, id: StreamId) -> Option<Record> {
    let mut cursor = node.records(base);
    std::iter::from_fn(|| cursor.step())
        .take_while(|record| record.id <= id)
        .find(|record| record.id == id && record.is_live())
}

/// Live entries of a log, from one id through another.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    from: StreamId,
    to: StreamId,
    order: Order,
    nodes: btree_map::Range<'a, StreamId, Node>,
    cursor: Option<Cursor<'a>>,
}

impl<'a> Range<'a> {
    #[inline]
    fn step(&mut self) -> Option<(&'a Node, Record)> {
        let cursor = self.cursor.as_mut()?;
        let record = match self.order {
            Order::Ascending => cursor.step(),
            Order::Descending => cursor.step_back(),
        }?;
        Some((cursor.node(), record))
    }

    fn next_node(&mut self) -> Option<Cursor<'a>> {
        match self.order {
            Order::Ascending => self.nodes.next().map(|(&base, node)| node.records(base)),
            Order::Descending => self.nodes.next_back().map(|(&base, node)| node.records_back(base)),
        }
    }

    fn is_past_end(&self, id: StreamId) -> bool {
        match self.order {
            Order::Ascending => id > self.to,
            Order::Descending => id < self.from,
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some((node, record)) = self.step() else {
                self.cursor = Some(self.next_node()?);
                continue;
            };
            if record.is_live() && self.is_past_end(record.id) {
                self.cursor = None;
                self.nodes = btree_map::Range::default();
                return None;
            }
            if record.is_live() && (self.from..=self.to).contains(&record.id) {
                return Some(node.entry(&record));
            }
        }
    }
}

/// What a log remembers beside its entries.
#[derive(Clone, Copy, Debug)]
pub struct LogState {
    pub last_id: StreamId,
    pub max_deleted_id: StreamId,
    pub entries_added: u64,
}

/// Made of what comes from outside.
impl Log {
    /// Puts a node behind the others. Refuses one that does not follow them.
    pub fn push_node(&mut self, base: StreamId, node: Node) -> Result<(), MalformedNode> {
        let last = self.nodes.last_key_value().map(|(&base, node)| node.last_id(base).unwrap_or(base));
        if last.is_some_and(|last| base <= last) {
            return Err(MalformedNode);
        }
        self.len += node.counts().live;
        self.nodes_memory += node.memory();
        self.nodes.insert(base, node);
        Ok(())
    }

    /// Puts in what goes with the nodes. False if an entry would be above the last id.
    #[must_use]
    pub fn restore(&mut self, state: LogState) -> bool {
        let last = self.nodes.last_key_value().map(|(&base, node)| node.last_id(base).unwrap_or(base));
        let LogState { last_id, max_deleted_id, entries_added } = state;
        (self.last_id, self.max_deleted_id, self.entries_added) = (last_id, max_deleted_id, entries_added);
        self.find_first();
        last.is_none_or(|last| last <= last_id)
    }
}

#[cfg(test)]
impl Log {
    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.nodes.values().map(|node| node.counts().live).sum::<u64>(), self.len);
        assert_eq!(self.nodes.values().map(Node::memory).sum::<usize>(), self.nodes_memory);
        let ids: Vec<StreamId> = self.entries().map(|entry| entry.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "ids ascend");
        assert_eq!(ids.len() as u64, self.len);
        assert_eq!(self.first_id, ids.first().copied().unwrap_or_default());
        assert!(ids.last().is_none_or(|&last| last <= self.last_id));
        for (&base, node) in &self.nodes {
            Node::from_bytes(base, node.as_bytes()).expect("a node as Redis has it");
        }
    }
}
