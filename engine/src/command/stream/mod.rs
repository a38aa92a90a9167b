//! Streams.
//!
//! | module | owns |
//! |---|---|
//! | `add` | XADD, XSETID |
//! | `trim` | XTRIM and XDEL, and the options of trimming, which XADD takes too |
//! | `range` | XRANGE, XREVRANGE, XLEN |
//! | `read` | XREAD |
//! | `id` | ids and intervals of ids as arguments |
//!
//! A key stays when its last entry goes.
//!
//! Source: replies, errors and their precedence, and the events, are those of redis-server 7.0.15, and where 7.2
//! says otherwise those of 7.2.

pub mod add;
mod id;
pub mod range;
pub mod read;
pub mod trim;

use bobbin_proto::Reply;

use super::element::reply_element;
use super::spec::{KeySpec, key_flag};
use crate::store::encoding::stream::{Entry, Range, StreamId};

const READ: &[KeySpec] = &[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)];
const DELETE: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::DELETE)];

fn reply_id(id: StreamId, reply: &mut Reply<'_>) {
    reply.bulk(&id.text());
}

/// Id, and names and values in turn.
fn reply_entry(entry: Entry<'_>, reply: &mut Reply<'_>) {
    reply.array(2);
    reply_id(entry.id, reply);
    reply.array(2 * entry.fields.len());
    for (name, value) in entry.fields {
        reply_element(name, reply);
        reply_element(value, reply);
    }
}

/// Answers up to `count` entries as an array.
fn reply_entries(entries: Range<'_>, count: usize, reply: &mut Reply<'_>) {
    let mark = reply.mark();
    let mut answered = 0;
    for entry in entries.take(count) {
        reply_entry(entry, reply);
        answered += 1;
    }
    reply.array_at(mark, answered);
}
