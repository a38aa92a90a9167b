//! A node: entries of a stream in one listpack, in Redis's layout.
//!
//! ```text
//!  master   ┌──────┬─────────┬──────────┬────────┬─ ─ ┬────────┬───┐
//!           │ live │ deleted │ fields n │ name 1 │    │ name n │ 0 │
//!           └──────┴─────────┴──────────┴────────┴─ ─ ┴────────┴───┘
//!  entry    ┌───────┬──────┬───────┬─────────┬─ ─ ┬─────────┬───────┐
//!   same    │ flags │ Δ ms │ Δ seq │ value 1 │    │ value n │ n + 3 │
//!   names   └───────┴──────┴───────┴─────────┴─ ─ ┴─────────┴───────┘
//!  entry    ┌───────┬──────┬───────┬──────────┬────────┬─────────┬─ ─ ┬──────────┐
//!   others  │ flags │ Δ ms │ Δ seq │ fields m │ name 1 │ value 1 │    │ 2 m + 4  │
//!           └───────┴──────┴───────┴──────────┴────────┴─────────┴─ ─ ┴──────────┘
//! ```
//!
//! The master names the fields of the entry that the node was made for. An entry with the same names in the same order
//! has a flag in their stead. Deltas count from the id that the log keeps the node by. The last element of an entry
//! says how many come before it, so that entries are walked both ways. A deleted entry keeps its place, with a flag.
//!
//! Invariants: live + deleted entries follow the master; their ids ascend, and none is below the node's.
//!
//! Source: the payloads of DUMP of redis-server 7.0.15, and `src/t_stream.c` of Valkey.

use super::StreamId;
use crate::store::encoding::listpack::{Element, Iter, Listpack, Pos};

const DELETED: i64 = 1;
const SAME_NAMES: i64 = 2;

/// Elements of an entry beside names and values: flags, deltas, and the count of elements.
const FRAME: usize = 4;
/// Elements of the master beside names.
const MASTER_FRAME: usize = 4;

/// Bytes that are not a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a node of a stream")]
pub struct MalformedNode;

/// See the module. Whoever has a node knows the id it counts from.
#[derive(Clone, Debug)]
pub struct Node {
    pack: Listpack,
}

/// An entry of a stream.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub id: StreamId,
    pub fields: Fields<'a>,
}

/// Names and values of an entry.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// The master's; `None` if the names stand before their values.
    names: Option<Iter<'a>>,
    values: Iter<'a>,
    left: usize,
}

/// Where an entry is, live or deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) id: StreamId,
    flags_at: Pos,
    flags: i64,
    fields: usize,
    /// The first name or value, or what is behind an entry without any.
    body: Pos,
}

impl Record {
    pub(super) fn is_live(&self) -> bool {
        self.flags & DELETED == 0
    }

    fn has_same_names(&self) -> bool {
        self.flags & SAME_NAMES != 0
    }

    /// Elements of names and values.
    fn body_len(&self) -> usize {
        if self.has_same_names() { self.fields } else { 2 * self.fields }
    }
}

/// Counts that a master begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) live: u64,
    pub(super) deleted: u64,
}

/// Elements that an entry of so many names and values takes at most, a master of its own included.
pub(super) fn elements_max(pairs: usize) -> usize {
    2 * pairs + FRAME + 1 + MASTER_FRAME
}

/// Making and reading.
impl Node {
    /// One with a master and no entries, with room for so many bytes. `pairs` are names and values in turn.
    pub(super) fn new<'a>(pairs: impl ExactSizeIterator<Item = &'a [u8]>, capacity: usize) -> Self {
        let mut pack = Listpack::with_capacity(capacity);
        let fields = (pairs.len() / 2) as i64;
        let names = pairs.step_by(2).map(Element::from);
        pack.extend([0, 0, fields].map(Element::Int).into_iter().chain(names).chain([Element::Int(0)]));
        Self { pack }
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.pack.as_bytes()
    }

    /// Bytes allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        self.pack.memory()
    }

    #[inline]
    pub(super) fn bytes_len(&self) -> usize {
        self.pack.bytes_len()
    }

    /// Whether an entry with texts of so many bytes may be put in, as far as a listpack goes.
    pub(super) fn has_room_for(&self, text_len: usize, pairs: usize) -> bool {
        self.pack.has_room_for(text_len, elements_max(pairs))
    }

    #[inline]
    pub(super) fn counts(&self) -> Counts {
        let mut elements = self.pack.iter();
        let mut count = || int(elements.next()).unwrap_or(0) as u64;
        Counts { live: count(), deleted: count() }
    }

    pub(super) fn entry(&self, record: &Record) -> Entry<'_> {
        let names = record.has_same_names().then(|| self.names());
        let values = self.pack.iter_from(record.body);
        Entry { id: record.id, fields: Fields { names, values, left: record.fields } }
    }

    /// The records from the first on; `base` is the id that the node counts from.
    pub(super) fn records(&self, base: StreamId) -> Cursor<'_> {
        let names = self.names_len();
        let mut next = self.pack.first();
        for _ in 0..names + MASTER_FRAME {
            next = next.and_then(|pos| self.pack.next(pos));
        }
        Cursor { node: self, base, next }
    }

    /// The records from the last back.
    pub(super) fn records_back(&self, base: StreamId) -> Cursor<'_> {
        Cursor { node: self, base, next: self.pack.last() }
    }

    /// The id of the last entry, live or deleted; `None` if there is none.
    pub(super) fn last_id(&self, base: StreamId) -> Option<StreamId> {
        self.records_back(base).step_back().map(|record| record.id)
    }

    /// The names in the master, and what is behind them.
    fn names(&self) -> Iter<'_> {
        let mut elements = self.pack.iter();
        elements.nth(2);
        elements
    }

    fn names_len(&self) -> usize {
        int(self.pack.iter().nth(2)).unwrap_or(0) as usize
    }

    fn record_at(&self, base: StreamId, flags_at: Pos) -> Option<Record> {
        let ms_at = self.pack.next(flags_at)?;
        let seq_at = self.pack.next(ms_at)?;
        let mut body = self.pack.next(seq_at)?;
        let flags = self.int_at(flags_at)?;
        let mut fields = self.names_len();
        if flags & SAME_NAMES == 0 {
            fields = usize::try_from(self.int_at(body)?).ok()?;
            body = self.pack.next(body)?;
        }
        let id = base.offset([self.int_at(ms_at)?, self.int_at(seq_at)?]);
        Some(Record { id, flags_at, flags, fields, body })
    }

    /// Where the record behind begins.
    fn behind(&self, record: &Record) -> Option<Pos> {
        let mut pos = record.body;
        for _ in 0..=record.body_len() {
            pos = self.pack.next(pos)?;
        }
        Some(pos)
    }

    fn int_at(&self, pos: Pos) -> Option<i64> {
        int(Some(self.pack.get(pos)))
    }
}

/// Changing.
impl Node {
    /// Puts an entry behind the others; there must be room. `pairs` are names and values in turn.
    #[inline]
    pub(super) fn append<'a>(
        &mut self,
        base: StreamId,
        id: StreamId,
        pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        let fields = pairs.len() / 2;
        let same_names = self.count_one_more(pairs.clone().step_by(2), fields);
        let [ms, seq] = id.delta_from(base);
        if same_names {
            let values = pairs.skip(1).step_by(2).map(Element::from);
            self.push_entry(&[SAME_NAMES, ms, seq], values, fields + FRAME - 1);
        } else {
            let body = pairs.map(Element::from);
            self.push_entry(&[0, ms, seq, fields as i64], body, 2 * fields + FRAME);
        }
    }

    /// Marks an entry as deleted.
    pub(super) fn delete(&mut self, record: &Record) {
        self.pack.replace(record.flags_at, record.flags | DELETED);
        let counts = self.counts();
        self.set_counts(Counts { live: counts.live.saturating_sub(1), deleted: counts.deleted + 1 });
    }

    /// Marks the first live entries as deleted, as long as `goes` says so, up to `count`. Returns how many.
    pub(super) fn delete_first(
        &mut self,
        base: StreamId,
        count: u64,
        goes: impl Fn(StreamId) -> bool,
    ) -> u64 {
        let mut removed = 0;
        let mut next = self.records(base).next;
        while removed < count
            && let Some(record) = next.and_then(|at| self.record_at(base, at))
            && goes(record.id)
        {
            next = self.behind(&record);
            removed += u64::from(record.is_live());
            // Flags keep their length, so that nothing moves.
            self.pack.replace(record.flags_at, record.flags | DELETED);
        }
        let Counts { live, deleted } = self.counts();
        self.set_counts(Counts { live: live.saturating_sub(removed), deleted: deleted + removed });
        removed
    }

    /// Gives back what it holds ahead of entries to come.
    pub(super) fn shrink_to_fit(&mut self) {
        self.pack.shrink_to_fit();
    }

    /// Counts an entry that is to come, and finds out whether its names are the master's.
    #[inline]
    fn count_one_more<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>, fields: usize) -> bool {
        let mut elements = self.pack.iter();
        let live = int(elements.next()).unwrap_or(0);
        elements.next();
        let same = int(elements.next()) == Some(fields as i64)
            && names.zip(elements).all(|(name, mine)| mine.eq_bytes(name));
        if let Some(first) = self.pack.first() {
            self.pack.replace(first, live + 1);
        }
        same
    }

    #[inline]
    fn push_entry<'a>(&mut self, head: &[i64], body: impl Iterator<Item = Element<'a>>, elements: usize) {
        let head = head.iter().map(|&number| Element::Int(number));
        self.pack.extend(head.chain(body).chain([Element::Int(elements as i64)]));
    }

    fn set_counts(&mut self, counts: Counts) {
        if let Some(live_at) = self.pack.first() {
            self.pack.replace(live_at, counts.live as i64);
            if let Some(deleted_at) = self.pack.next(live_at) {
                self.pack.replace(deleted_at, counts.deleted as i64);
            }
        }
    }
}

/// Coming from outside.
impl Node {
    /// Checks everything: the listpack, the counts, every entry, the order of ids. Whole, in the layout above, but
    /// other flags than those known are let through and kept.
    pub fn from_bytes(base: StreamId, bytes: &[u8]) -> Result<Self, MalformedNode> {
        let pack = Listpack::from_bytes(bytes).map_err(|_| MalformedNode)?;
        let node = Self { pack };
        node.check(base).ok_or(MalformedNode)?;
        Ok(node)
    }

    fn check(&self, base: StreamId) -> Option<()> {
        let elements = self.pack.len();
        self.check_master(elements)?;
        let mut cursor = self.records(base);
        let mut found = Counts { live: 0, deleted: 0 };
        let mut last = None;
        while let Some(at) = cursor.next {
            let record = self.record_at(base, at).filter(|record| record.body_len() <= elements)?;
            if record.id < base || last.is_some_and(|last| record.id <= last) {
                return None;
            }
            self.check_trailer(&record)?;
            found.live += u64::from(record.is_live());
            found.deleted += u64::from(!record.is_live());
            last = Some(record.id);
            cursor.next = self.behind(&record);
        }
        (found == self.counts()).then_some(())
    }

    /// Whether the master is whole: numbers where they belong, and the mark behind the names.
    fn check_master(&self, elements: usize) -> Option<()> {
        let mut all = self.pack.iter();
        let mut number = || int(all.next()).filter(|&number| number >= 0);
        let _live = number()?;
        let _deleted = number()?;
        let names = usize::try_from(number()?).ok().filter(|&names| names < elements)?;
        (int(all.nth(names))? == 0).then_some(())
    }

    /// Whether what is behind an entry says how long it is.
    fn check_trailer(&self, record: &Record) -> Option<()> {
        let mut at = record.body;
        for _ in 0..record.body_len() {
            at = self.pack.next(at)?;
        }
        let frame = if record.has_same_names() { FRAME - 1 } else { FRAME };
        (self.int_at(at)? == (record.body_len() + frame) as i64).then_some(())
    }
}

/// A walk over the records of a node, one way.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    node: &'a Node,
    base: StreamId,
    /// Onward: where the next record begins. Back: the last element of the one before.
    next: Option<Pos>,
}

impl<'a> Cursor<'a> {
    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    #[inline]
    pub(super) fn step(&mut self) -> Option<Record> {
        let record = self.node.record_at(self.base, self.next?)?;
        self.next = self.node.behind(&record);
        Some(record)
    }

    #[inline]
    pub(super) fn step_back(&mut self) -> Option<Record> {
        let pack = &self.node.pack;
        let last = self.next?;
        // The master ends with 0.
        let before = self.node.int_at(last).filter(|&before| before > 0)?;
        let mut at = last;
        for _ in 0..before {
            at = pack.prev(at)?;
        }
        self.next = pack.prev(at);
        self.node.record_at(self.base, at)
    }
}

impl Fields<'_> {
    /// How many pairs are left.
    pub fn len(&self) -> usize {
        self.left
    }

    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = self.names.as_mut().unwrap_or(&mut self.values).next()?;
        Some((name, self.values.next()?))
    }
}

fn int(element: Option<Element<'_>>) -> Option<i64> {
    if let Some(Element::Int(number)) = element { Some(number) } else { None }
}
