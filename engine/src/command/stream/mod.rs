//! Streams.
//!
//! | module | owns |
//! |---|---|
//! | `add` | XADD, XSETID |
//! | `trim` | XTRIM and XDEL, and the options of trimming, which XADD takes too |
//! | `range` | XRANGE, XREVRANGE, XLEN |
//! | `read` | XREAD, XREADGROUP |
//! | `group` | XGROUP |
//! | `pending` | XACK, XPENDING |
//! | `claim` | XCLAIM, XAUTOCLAIM |
//! | `info` | XINFO |
//! | `id` | ids and intervals of ids as arguments |
//!
//! A key stays when its last entry goes.
//!
//! Source: replies, errors and their precedence, and the events, are those of redis-server 7.0.15, and where 7.2
//! says otherwise those of 7.2.

pub mod add;
pub mod claim;
pub mod group;
mod id;
pub mod info;
pub mod pending;
pub mod range;
pub mod read;
pub mod trim;

use bobbin_proto::Reply;

use super::element::reply_element;
use super::spec::{KeySpec, key_flag};
use super::{Cx, Event};
use crate::error::{CommandError, before_nul};
use crate::store::encoding::stream::{Entry, Range, StreamId};

const READ: &[KeySpec] = &[KeySpec::one(1, key_flag::RO | key_flag::ACCESS)];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::UPDATE)];
const DELETE: &[KeySpec] = &[KeySpec::one(1, key_flag::RW | key_flag::DELETE)];

/// What commands say of a group that is not there, or in a key that is not.
fn no_key_or_group(key: &[u8], group: &[u8], context: &str) -> CommandError {
    let before = [b"NOGROUP No such key '", before_nul(key), b"' or consumer group '"].concat();
    CommandError::quoting(before, group, format!("'{context}"))
}

/// What XGROUP and XINFO say of a group that is not there.
fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    let before = [b"NOGROUP No such consumer group '", before_nul(group), b"' for key name '"].concat();
    CommandError::quoting(before, key, "'")
}

/// Tells that a group has changed: of its consumers there is an event if they are new, of the rest there is none.
fn group_changed(cx: &mut Cx<'_>, key: &[u8], has_new_consumer: bool) {
    cx.depends_on_time();
    cx.changed_unwatched(key, has_new_consumer.then(|| Event::stream("xgroup-createconsumer")));
}

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
