//! How many entries a group has read, and how many it has before it.
//!
//! The log counts all entries it has ever had. A group's count of those it has read goes up with each, as long as
//! none is missing before it; where one may be, the count is told from the group's last id if that is at an end of
//! the log, and is not known otherwise.
//!
//! Source: the replies of XINFO of redis-server 7.0.15, and `src/t_stream.c` of Valkey.

use super::Group;
use crate::store::encoding::stream::{Log, StreamId};

impl Group {
    /// Notes that an entry is delivered as a new one.
    pub fn advance(&mut self, log: &Log, id: StreamId) {
        match self.entries_read {
            Some(read) if !may_miss_entries_from(log, id) => self.entries_read = Some(read + 1),
            _ if log.entries_added > 0 => self.entries_read = entries_up_to(log, id),
            _ => {}
        }
        self.last_id = id;
    }

    /// Entries that are there and not yet delivered, if that can be told.
    pub fn lag(&self, log: &Log) -> Option<i64> {
        let read = match self.entries_read {
            _ if log.entries_added == 0 => return Some(0),
            Some(read) if !may_miss_entries_from(log, self.last_id) => Some(read),
            _ => entries_up_to(log, self.last_id),
        };
        read.map(|read| log.entries_added.wrapping_sub(read) as i64)
    }
}

/// Whether an entry was deleted from this id on, as far as is remembered.
fn may_miss_entries_from(log: &Log, id: StreamId) -> bool {
    let deleted = log.max_deleted_id;
    !log.is_empty() && deleted > StreamId::MIN && log.first_id() <= deleted && id <= deleted
}

/// How many entries there have been up to an id, it included; `None` if that cannot be told.
pub fn entries_up_to(log: &Log, id: StreamId) -> Option<u64> {
    let added = log.entries_added;
    if added == 0 || id == log.last_id || log.is_empty() && id < log.last_id {
        return Some(added);
    }
    if id > log.last_id {
        return None;
    }
    let deleted = log.max_deleted_id;
    let is_whole = deleted == StreamId::MIN || deleted < log.first_id();
    let gone = added.wrapping_sub(log.len());
    match id.cmp(&log.first_id()) {
        std::cmp::Ordering::Less if is_whole => Some(gone),
        std::cmp::Ordering::Equal if is_whole => Some(gone.wrapping_add(1)),
        _ => None,
    }
}
