//! Streams as bytes, both ways.
//!
//! ```text
//!  nodes · each: id (16 bytes, as a string), listpack (as a string)
//!  entries · last id · first id* · highest deleted id* · entries added*
//!  groups · each: see below
//! ```
//! Counts and the two parts of ids are lengths. What has a star is not there in the oldest form.

use super::{Error, Reader, Scratch, Sink, ValueType, Writer};
use crate::store::Stream;
use crate::store::encoding::stream::{Log, LogState, Node, StreamId};

pub(super) fn write<S: Sink>(writer: &mut Writer<S>, stream: &Stream) {
    let log = &stream.log;
    writer.length(log.nodes().len() as u64);
    for (id, node) in log.nodes() {
        writer.string(&id.to_bytes());
        writer.string(node.as_bytes());
    }
    writer.length(log.len());
    [log.last_id, log.first_id(), log.max_deleted_id].into_iter().for_each(|id| write_id(writer, id));
    writer.length(log.entries_added);
    writer.length(0);
}

fn write_id<S: Sink>(writer: &mut Writer<S>, id: StreamId) {
    writer.length(id.ms);
    writer.length(id.seq);
}

pub(super) fn read(reader: &mut Reader<'_>, value_type: ValueType) -> Result<Stream, Error> {
    let log = read_log(reader, value_type)?;
    match reader.count()? {
        0 => Ok(Stream::from(log)),
        _ => Err(Error::Malformed("groups of a stream")),
    }
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

fn read_id(reader: &mut Reader<'_>) -> Result<StreamId, Error> {
    Ok(StreamId { ms: reader.length()?, seq: reader.length()? })
}
