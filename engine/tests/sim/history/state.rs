//! What a database holds that one thread runs: keys, who waits for them, who watches them.

use std::rc::Rc;

use super::name::Name;

/// A value of any type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Data {
    Text(Name),
    List(Vec<Name>),
    /// In order.
    Set(Vec<Name>),
    /// By score, then member.
    Sorted(Vec<(i64, Name)>),
    /// In order.
    Hash(Vec<(Name, Name)>),
    Stream(Stream),
}

impl Data {
    fn is_empty(&self) -> bool {
        match self {
            Self::List(all) | Self::Set(all) => all.is_empty(),
            Self::Sorted(all) => all.is_empty(),
            Self::Hash(all) => all.is_empty(),
            Self::Text(_) | Self::Stream(_) => false,
        }
    }
}

/// Entries of one field, by the first half of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    pub(super) last: i64,
    pub(super) entries: Vec<(i64, Name)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) db: u8,
    pub(super) key: Name,
    pub(super) data: Rc<Data>,
    pub(super) expires_us: Option<u64>,
}

/// An operation that found nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    pub(super) op: usize,
    /// The request as it waits: what `$` stood for is in its place.
    pub(super) words: Rc<[Name]>,
    /// Keys whose turn it has missed, and by which operations they had been filled.
    pub(super) missed: Vec<(usize, Name)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Watch {
    client: usize,
    keys: Vec<(u8, Name)>,
    has_changed: bool,
}

/// A key that came into being, or got a stream entry, with its database.
pub(super) type Ready = Vec<(u8, Name)>;

/// The database at one moment. Equal states have equal futures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The time, as far as what has happened shows it.
    pub(super) now_us: u64,
    /// By database and name.
    entries: Vec<Entry>,
    /// Whoever waits, in the order in which they came.
    pub(super) waiters: Vec<Waiter>,
    watches: Vec<Watch>,
    /// Keys to be offered to those who wait.
    pub(super) ready: Ready,
}

impl State {
    fn find(&self, db: u8, key: Name) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&(db, key), |entry| (entry.db, entry.key))
    }

    pub(super) fn get(&self, db: u8, key: Name) -> Option<&Data> {
        self.find(db, key).ok().map(|at| &*self.entries[at].data)
    }

    pub(super) fn entry(&self, db: u8, key: Name) -> Option<&Entry> {
        self.find(db, key).ok().map(|at| &self.entries[at])
    }

    /// Puts a value in the place of what a key held, and tells those who watch it.
    pub(super) fn put(&mut self, db: u8, key: Name, data: Data, expires_us: Option<u64>) {
        self.put_shared(db, key, Rc::new(data), expires_us);
    }

    pub(super) fn put_shared(&mut self, db: u8, key: Name, data: Rc<Data>, expires_us: Option<u64>) {
        let entry = Entry { db, key, data, expires_us };
        match self.find(db, key) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
        self.wake(db, key);
        self.touch(db, key);
        self.expire_due();
    }

    /// Changes what a key holds, or what it begins with. A key that is left with nothing is gone.
    pub(super) fn change<R>(&mut self, db: u8, key: Name, new: Data, work: impl FnOnce(&mut Data) -> R) -> R {
        let at = self.find(db, key).unwrap_or_else(|at| {
            self.entries.insert(at, Entry { db, key, data: Rc::new(new), expires_us: None });
            self.wake(db, key);
            at
        });
        let data = Rc::make_mut(&mut self.entries[at].data);
        let done = work(data);
        if data.is_empty() {
            self.entries.remove(at);
        }
        self.touch(db, key);
        done
    }

    /// Removes a key; none if it is not there.
    pub(super) fn take(&mut self, db: u8, key: Name) -> Option<Entry> {
        let at = self.find(db, key).ok()?;
        self.touch(db, key);
        Some(self.entries.remove(at))
    }

    pub(super) fn expire_at(&mut self, db: u8, key: Name, expires_us: Option<u64>) {
        if let Ok(at) = self.find(db, key) {
            self.entries[at].expires_us = expires_us;
            self.touch(db, key);
        }
        self.expire_due();
    }

    /// The last id of a stream, as a request has it.
    pub(super) fn last_id(&self, db: u8, key: Name) -> Name {
        let Some(Data::Stream(stream)) = self.get(db, key) else { return "0".into() };
        Name::from(&*format!("{}-0", stream.last))
    }

    pub(super) fn len(&self, db: u8) -> usize {
        self.entries.iter().filter(|entry| entry.db == db).count()
    }

    pub(super) fn flush(&mut self, is_flushed: impl Fn(u8) -> bool) {
        let gone: Vec<_> =
            self.entries.iter().map(|e| (e.db, e.key)).filter(|(db, _)| is_flushed(*db)).collect();
        gone.into_iter().for_each(|(db, key)| drop(self.take(db, key)));
    }

    pub(super) fn swap(&mut self, first: u8, second: u8) {
        let swapped = |db| match db {
            db if db == first => second,
            db if db == second => first,
            db => db,
        };
        let before: Vec<_> = self.entries.iter().map(|entry| (entry.db, entry.key)).collect();
        self.entries.iter_mut().for_each(|entry| entry.db = swapped(entry.db));
        self.entries.sort_by_key(|entry| (entry.db, entry.key));
        for (db, key) in before.into_iter().filter(|&(db, _)| first != second && swapped(db) != db) {
            [first, second].into_iter().for_each(|db| self.touch(db, key));
            self.wake(swapped(db), key);
        }
    }

    // Time.

    /// It is at least this late.
    pub(super) fn advance(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        self.expire_due();
    }

    fn expire_due(&mut self) {
        while let Some(at_us) = self.next_expiry().filter(|&at_us| at_us <= self.now_us) {
            self.expire(at_us);
        }
    }

    /// When the next key's time is over.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.entries.iter().filter_map(|entry| entry.expires_us).min()
    }

    /// Removes the keys whose time is over at a moment.
    pub(super) fn expire(&mut self, at_us: u64) {
        let is_over = |entry: &&Entry| entry.expires_us.is_some_and(|expires_us| expires_us <= at_us);
        let over: Vec<_> = self.entries.iter().filter(is_over).map(|entry| (entry.db, entry.key)).collect();
        over.into_iter().for_each(|(db, key)| drop(self.take(db, key)));
        self.now_us = self.now_us.max(at_us);
    }

    // Watches and waits.

    pub(super) fn watch(&mut self, client: usize, keys: impl Iterator<Item = (u8, Name)>) {
        let at = self.watches.binary_search_by_key(&client, |watch| watch.client).unwrap_or_else(|at| {
            self.watches.insert(at, Watch { client, keys: Vec::new(), has_changed: false });
            at
        });
        let watch = &mut self.watches[at];
        watch.keys.extend(keys);
        watch.keys.sort_unstable();
        watch.keys.dedup();
    }

    /// Ends a client's watch. Returns whether one of its keys has changed.
    pub(super) fn unwatch(&mut self, client: usize) -> bool {
        let at = self.watches.iter().position(|watch| watch.client == client);
        at.is_some_and(|at| self.watches.remove(at).has_changed)
    }

    fn touch(&mut self, db: u8, key: Name) {
        for watch in &mut self.watches {
            watch.has_changed |= watch.keys.contains(&(db, key));
        }
    }

    /// Those who wait for a key are to look at it.
    pub(super) fn wake(&mut self, db: u8, key: Name) {
        if !self.waiters.is_empty() && !self.ready.contains(&(db, key)) {
            self.ready.push((db, key));
        }
    }

    pub(super) fn waiter(&self, op: usize) -> Option<&Waiter> {
        self.waiters.iter().find(|waiter| waiter.op == op)
    }

    pub(super) fn waits(&self, op: usize) -> bool {
        self.waiter(op).is_some()
    }

    pub(super) fn leave(&mut self, op: usize) {
        self.waiters.retain(|waiter| waiter.op != op);
    }
}
