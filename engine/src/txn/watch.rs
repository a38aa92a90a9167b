//! The shard's side of WATCH: which keys are watched, by whom, and whose have changed.
//!
//! Invariants:
//! - a watch names keys of this shard only; the connection keeps one watch for all shards, and each knows its part;
//! - a changed key is taken off its watchers' lists, so a key that is written often is dear once per watcher.
//!
//! Keys are ordered, not hashed: clients choose them.

use std::collections::BTreeMap;

use crate::collections::Map;
use crate::ids::WatchId;

/// The watches of one shard.
#[derive(Debug, Default)]
pub struct Watches {
    keys: BTreeMap<Box<[u8]>, Vec<(u16, WatchId)>>,
    watches: Map<WatchId, Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    keys: Vec<(u16, Box<[u8]>)>,
    changed: bool,
}

impl Watches {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// Watches a key of a database.
    pub fn watch(&mut self, id: WatchId, db: u16, key: &[u8]) {
        let watch = self.watches.entry(id).or_default();
        if watch.keys.iter().any(|(other, name)| *other == db && **name == *key) {
            return;
        }
        watch.keys.push((db, key.into()));
        self.keys.entry(key.into()).or_default().push((db, id));
    }

    /// A key has changed.
    pub fn touch(&mut self, db: u16, key: &[u8]) {
        let Self { keys, watches } = self;
        let Some(watchers) = keys.get_mut(key) else { return };
        watchers.retain(|(other, id)| {
            if *other == db
                && let Some(watch) = watches.get_mut(id)
            {
                watch.changed = true;
            }
            *other != db
        });
        if watchers.is_empty() {
            keys.remove(key);
        }
    }

    /// Touches the watched keys of which this holds.
    pub fn touch_where(&mut self, has_changed: impl Fn(u16, &[u8]) -> bool) {
        self.keys_where(has_changed).iter().for_each(|(db, key)| self.touch(*db, key));
    }

    /// The watched keys of which this holds; one that several watch more than once.
    pub fn keys_where(&self, is_wanted: impl Fn(u16, &[u8]) -> bool) -> Vec<(u16, Box<[u8]>)> {
        let keys = self.keys.iter();
        let watched = keys.flat_map(|(key, watchers)| watchers.iter().map(move |(db, _)| (*db, key)));
        watched.filter(|(db, key)| is_wanted(*db, key)).map(|(db, key)| (db, key.clone())).collect()
    }

    /// Whether a key of a watch has changed since.
    pub fn has_changed(&self, id: WatchId) -> bool {
        self.watches.get(&id).is_some_and(|watch| watch.changed)
    }

    /// The keys of a watch, with their databases.
    pub fn keys_of(&self, id: WatchId) -> impl Iterator<Item = (u16, &[u8])> {
        self.watches.get(&id).into_iter().flat_map(|watch| &watch.keys).map(|(db, key)| (*db, &**key))
    }

    /// Ends a watch.
    pub fn forget(&mut self, id: WatchId) {
        let Some(watch) = self.watches.remove(&id) else { return };
        for (_, key) in watch.keys {
            let Some(watchers) = self.keys.get_mut(&key) else { continue };
            watchers.retain(|(_, other)| *other != id);
            if watchers.is_empty() {
                self.keys.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReactorId;

    fn id(number: u64) -> WatchId {
        WatchId { reactor: ReactorId(0), number }
    }

    #[test]
    fn a_change_is_noted_for_whoever_watches_the_key_in_that_database() {
        let mut watches = Watches::default();
        watches.watch(id(1), 0, b"a");
        watches.watch(id(1), 0, b"a");
        watches.watch(id(2), 1, b"a");
        watches.watch(id(3), 0, b"b");
        watches.touch(0, b"a");
        watches.touch(0, b"c");
        assert_eq!([1, 2, 3].map(|number| watches.has_changed(id(number))), [true, false, false]);
        assert_eq!(watches.keys_of(id(1)).collect::<Vec<_>>(), [(0, &b"a"[..])]);
    }

    #[test]
    fn nothing_is_left_of_a_watch_that_ended() {
        let mut watches = Watches::default();
        for number in 0..3 {
            watches.watch(id(number), 0, b"a");
            watches.watch(id(number), 0, b"b");
        }
        watches.touch(0, b"a");
        (0..3).for_each(|number| watches.forget(id(number)));
        assert!(watches.is_empty() && watches.keys.is_empty());
        assert!(!watches.has_changed(id(0)));
    }

    #[test]
    fn what_a_flush_removes_is_touched() {
        let mut watches = Watches::default();
        watches.watch(id(1), 0, b"there");
        watches.watch(id(2), 0, b"missing");
        watches.touch_where(|db, key| db == 0 && key == b"there");
        assert!(watches.has_changed(id(1)) && !watches.has_changed(id(2)));
    }
}
