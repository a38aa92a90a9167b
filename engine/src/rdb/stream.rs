//! Streams as bytes, both ways.
//!
//! ```text
//!  nodes · each: id (16 bytes, as a string), listpack (as a string)
//!  entries · last id · first id* · highest deleted id* · entries added*
//!  groups · each: name · last id · entries read* · what is pending in the group · consumers
//!
//!  pending in a group  entries · each: id (16 bytes) · when it was delivered · how often
//!  consumers           each: name · when seen · when active** · what it has pending
//!  pending with it     entries · each: id (16 bytes)
//! ```
//! Counts, and the two parts of ids that are not said to be 16 bytes, are lengths; times are Unix milliseconds. What
//! has a star is not there in the oldest form, what has two only in the newest. The newest is written where nobody else has
//! to read it: Redis 7.0 does not know it.

use std::collections::BTreeMap;

use super::skim::Pieces as _;
use super::{Error, Reader, Scratch, Sink, ValueType, Writer};
use crate::store::encoding::stream::{Log, LogState, Node, StreamId};
use crate::store::{Consumer, Group, Pending, Stream, entries_up_to};

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, value_type: ValueType, stream: &Stream) {
    let log = &stream.log;
    writer.length(log.nodes().len() as u64);
    for (id, node) in log.nodes() {
        writer.string(&id.to_bytes());
        writer.string(node.as_bytes());
    }
    writer.length(log.len());
    [log.last_id, log.first_id(), log.max_deleted_id].into_iter().for_each(|id| write_id(writer, id));
    writer.length(log.entries_added);
    writer.length(stream.groups().len() as u64);
    stream.groups().for_each(|(name, group)| write_group(writer, value_type, name, group));
}

/// In place of how many entries a group has read, and of when a consumer that never was active was.
const UNKNOWN: u64 = u64::MAX;

fn write_group<S: Sink>(writer: &mut Writer<S>, value_type: ValueType, name: &[u8], group: &Group) {
    writer.string(name);
    write_id(writer, group.last_id);
    writer.length(group.entries_read.unwrap_or(UNKNOWN));
    writer.length(group.pending().len() as u64);
    for (id, pending) in group.pending() {
        writer.bytes(&id.to_bytes());
        writer.millis(pending.delivered_ms);
        writer.length(pending.deliveries);
    }
    writer.length(group.consumers().len() as u64);
    group.consumers().for_each(|consumer| write_consumer(writer, value_type, consumer));
}

fn write_consumer<S: Sink>(writer: &mut Writer<S>, value_type: ValueType, consumer: &Consumer) {
    writer.string(consumer.name());
    writer.millis(consumer.seen_ms);
    if value_type == ValueType::StreamListpacks3 {
        writer.millis(consumer.active_ms.unwrap_or(UNKNOWN));
    }
    writer.length(consumer.pending().len() as u64);
    consumer.pending().for_each(|id| writer.bytes(&id.to_bytes()));
}

fn write_id<S: Sink>(writer: &mut Writer<S>, id: StreamId) {
    writer.length(id.ms);
    writer.length(id.seq);
}

pub(super) fn read(reader: &mut Reader<'_>, value_type: ValueType) -> Result<Stream, Error> {
    let mut stream = Stream::from(read_log(reader, value_type)?);
    let mut scratch = Scratch::new();
    for _ in 0..reader.count()? {
        let name = reader.string(&mut scratch)?;
        let group = read_group(reader, value_type, &stream.log)?;
        if !stream.add_group(name, group) {
            return Err(Error::Malformed("a group that is there twice"));
        }
    }
    Ok(stream)
}

const BAD_NODE: Error = Error::Malformed("entries of a stream that are none, or out of order");

fn read_log(reader: &mut Reader<'_>, value_type: ValueType) -> Result<Log, Error> {
    let (mut log, mut scratch) = (Log::default(), Scratch::new());
    for _ in 0..reader.count()? {
        let id = reader.string(&mut scratch)?.try_into().map_err(|_| BAD_NODE)?;
        let base = StreamId::from_bytes(id);
        let node = Node::from_bytes(base, reader.string(&mut scratch)?).map_err(|_| BAD_NODE)?;
        log.push_node(base, node).map_err(|_| BAD_NODE)?;
    }
    let entries = reader.length()?;
    let last_id = read_id(reader)?;
    let mut state = LogState { last_id, max_deleted_id: StreamId::MIN, entries_added: entries };
    if value_type != ValueType::StreamListpacks {
        // Which entry is the first is seen from the entries.
        read_id(reader)?;
        state.max_deleted_id = read_id(reader)?;
        state.entries_added = reader.length()?;
    }
    if entries != log.len() || !log.restore(state) {
        return Err(Error::Malformed("a stream whose counts and entries do not agree"));
    }
    Ok(log)
}

fn read_group(reader: &mut Reader<'_>, value_type: ValueType, log: &Log) -> Result<Group, Error> {
    let last_id = read_id(reader)?;
    let entries_read = match value_type {
        ValueType::StreamListpacks => entries_up_to(log, last_id),
        _ => Some(reader.length()?).filter(|&read| i64::try_from(read).is_ok()),
    };
    let mut group = Group::new(last_id, entries_read);
    let mut pending = read_pending(reader)?;
    for _ in 0..reader.count()? {
        read_consumer(reader, value_type, &mut group, &mut pending)?;
    }
    if pending.is_empty() { Ok(group) } else { Err(Error::Malformed("a pending entry that no one has")) }
}

/// When an entry was delivered, and how often.
type Delivery = (u64, u64);

fn read_pending(reader: &mut Reader<'_>) -> Result<BTreeMap<StreamId, Delivery>, Error> {
    let mut all = BTreeMap::new();
    for _ in 0..reader.count()? {
        let id = StreamId::from_bytes(reader.array()?);
        if all.insert(id, (reader.millis()?, reader.length()?)).is_some() {
            return Err(Error::Malformed("a pending entry that is there twice"));
        }
    }
    Ok(all)
}

/// Takes what the consumer has out of what is pending.
fn read_consumer(
    reader: &mut Reader<'_>,
    value_type: ValueType,
    group: &mut Group,
    pending: &mut BTreeMap<StreamId, Delivery>,
) -> Result<(), Error> {
    let mut scratch = Scratch::new();
    let name = reader.string(&mut scratch)?;
    let seen_ms = reader.millis()?;
    let owner =
        group.add_consumer(name, seen_ms).ok_or(Error::Malformed("a consumer that is there twice"))?;
    let active_ms = if value_type == ValueType::StreamListpacks3 { reader.millis()? } else { seen_ms };
    // Minus one if it never was.
    group.consumer_mut(owner).active_ms = Some(active_ms).filter(|&at_ms| i64::try_from(at_ms).is_ok());
    for _ in 0..reader.count()? {
        let id = StreamId::from_bytes(reader.array()?);
        let found = pending.remove(&id);
        let (delivered_ms, deliveries) = found.ok_or(Error::Malformed("an entry that is not pending"))?;
        group.assign(id, Pending { owner, delivered_ms, deliveries });
    }
    Ok(())
}

fn read_id(reader: &mut Reader<'_>) -> Result<StreamId, Error> {
    Ok(StreamId { ms: reader.length()?, seq: reader.length()? })
}
