//! What a handler of a keyed command is given: one shard's keys, and nothing else.

use super::Command;
use crate::core::{Env, ShardRest};
use crate::error::CommandError;
use crate::journal::Effects;
use crate::mesh::SessionBits;
use crate::store::{Collection, Db, Entry, EntryMut, Expiry, Keyspace, Lookup, Object, Prefetch, is_due};

/// A change as keyspace notifications name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub class: EventClass,
    pub name: &'static str,
}

/// Classes of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    Generic,
    String,
    List,
    Set,
    Stream,
    Zset,
    Hash,
    Expired,
    Evicted,
    /// A read that found nothing.
    Missed,
    /// A key that was not there.
    New,
}

impl EventClass {
    /// One bit for each.
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl Event {
    pub const fn generic(name: &'static str) -> Self {
        Self { class: EventClass::Generic, name }
    }

    pub const fn string(name: &'static str) -> Self {
        Self { class: EventClass::String, name }
    }

    pub const fn list(name: &'static str) -> Self {
        Self { class: EventClass::List, name }
    }

    pub const fn set(name: &'static str) -> Self {
        Self { class: EventClass::Set, name }
    }

    pub const fn stream(name: &'static str) -> Self {
        Self { class: EventClass::Stream, name }
    }

    pub const fn zset(name: &'static str) -> Self {
        Self { class: EventClass::Zset, name }
    }

    pub const fn hash(name: &'static str) -> Self {
        Self { class: EventClass::Hash, name }
    }

    pub const EXPIRED: Self = Self { class: EventClass::Expired, name: "expired" };
    pub const EVICTED: Self = Self { class: EventClass::Evicted, name: "evicted" };
    pub const MISSED: Self = Self { class: EventClass::Missed, name: "keymiss" };
    pub const NEW: Self = Self { class: EventClass::New, name: "new" };
}

/// Beyond a few dozen the lines fetched first are evicted again.
const PREFETCHED_KEYS_MAX: usize = 64;

/// The context of one keyed command. Handlers read and write through it; they cannot suspend.
#[derive(Debug)]
pub struct Cx<'a> {
    pub command: &'static Command,
    pub keyspace: &'a mut Keyspace,
    pub rest: &'a mut ShardRest,
    pub env: &'a Env,
    /// The database selected.
    pub db: usize,
    pub session: SessionBits,
}

impl Cx<'_> {
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.env.now.unix_ms()
    }

    /// Whether this node writes a key, or anybody does: for reads that note something for the next one. What is loaded
    /// was allowed in its time.
    pub fn may_write(&self, key: &[u8]) -> bool {
        let is_ours = || self.env.scopes.table.lookup(key).allows();
        !self.env.has_scopes || self.env.is_loading || is_ours()
    }

    /// What is to be journalled of the command.
    #[inline]
    pub fn effects(&mut self) -> &mut Effects {
        &mut self.rest.effects
    }

    /// Tells the journal what the command did, where that is not what it was asked: see [`Effects::tell`].
    #[inline]
    pub fn tell<const N: usize>(&mut self, args: [&[u8]; N]) {
        self.rest.effects.tell(self.db, args);
    }

    /// Notes that what the command does depends on the time: see [`Effects::date`].
    #[inline]
    pub fn depends_on_time(&mut self) {
        let now_ms = self.now_ms();
        self.rest.effects.date(now_ms);
    }

    /// The database selected, without regard to expiry: for keys that this context has just looked at.
    #[inline]
    pub fn db(&mut self) -> &mut Db {
        self.keyspace.db_mut(self.db)
    }

    /// Has the keys that a command is about to look up fetched into the cache together, instead of one behind the other.
    #[inline]
    pub fn prefetch<'k>(&mut self, keys: impl ExactSizeIterator<Item = &'k [u8]>) {
        if keys.len() > 1 {
            let (db, mut prefetch) = (self.keyspace.db(self.db), Prefetch::default());
            keys.take(PREFETCHED_KEYS_MAX).for_each(|key| prefetch.add(db, key, false));
            prefetch.fetch();
        }
    }

    /// Looks a key up to read it: counts a hit or a miss and touches the entry. An expired key is not found, and
    /// is removed once the command has run.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<&Entry> {
        self.find_each(std::iter::once(key)).next().flatten()
    }

    /// Looks several keys up to read them, each as [`Self::find`] does.
    #[inline]
    pub fn find_each<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> impl Iterator<Item = Option<&Entry>> {
        let (now_ms, db) = (self.now_ms(), self.db);
        let Self { keyspace, rest, env, session, .. } = self;
        let live = keyspace.db(db);
        keys.map(move |key| match live.find_live(key, now_ms) {
            Lookup::Live(entry) => {
                rest.stats.hits += 1;
                rest.touch(entry, env, *session);
                Some(entry)
            }
            Lookup::Missing => {
                rest.missed(db, key);
                None
            }
            Lookup::Expired => {
                rest.note_expired(db, key);
                rest.missed(db, key);
                None
            }
        })
    }

    /// Looks a key up to tell something about it: counts a hit or a miss, and does not touch (EXISTS, TYPE, TTL).
    #[inline]
    pub fn probe(&mut self, key: &[u8]) -> Option<&Entry> {
        let now_ms = self.now_ms();
        match self.keyspace.db(self.db).find_live(key, now_ms) {
            Lookup::Live(entry) => {
                self.rest.stats.hits += 1;
                Some(entry)
            }
            Lookup::Missing => {
                self.rest.missed(self.db, key);
                None
            }
            Lookup::Expired => {
                self.rest.note_expired(self.db, key);
                self.rest.missed(self.db, key);
                None
            }
        }
    }

    /// The same for OBJECT: no event tells of a miss.
    pub fn inspect(&mut self, key: &[u8]) -> Option<&Entry> {
        if self.peek(key).is_none() {
            self.rest.stats.misses += 1;
            return None;
        }
        self.probe(key)
    }

    /// Looks a key up without a trace: no hit, no miss, no touch (MEMORY USAGE, DEBUG).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let now_ms = self.now_ms();
        match self.keyspace.db(self.db).find_live(key, now_ms) {
            Lookup::Live(entry) => Some(entry),
            Lookup::Missing => None,
            Lookup::Expired => {
                self.rest.note_expired(self.db, key);
                None
            }
        }
    }

    /// Makes a key hold a string, in one look-up. A key whose time is over counts as expired, not as overwritten.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        if expiry == Expiry::Keep {
            self.expire_if_due(key);
        }
        let now_ms = self.now_ms();
        let written = self.keyspace.db_mut(self.db).set_string(key, value, expiry);
        if written.replaced {
            self.rest.touch(written.entry, self.env, self.session);
        }
        if written.old_expiry_ms.is_some_and(|at| is_due(at, now_ms)) {
            self.rest.count_expired(self.db, key);
        }
    }

    /// Looks a key up to change it. An expired key is removed first.
    #[inline]
    pub fn find_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        self.expire_if_due(key);
        let entry = self.keyspace.db_mut(self.db).find_mut(key)?;
        self.rest.touch(&entry, self.env, self.session);
        Some(entry)
    }

    /// Looks a collection up to read it, as [`Self::find`] does.
    #[inline]
    pub fn find_as<C: Collection>(&mut self, key: &[u8]) -> Result<Option<&C>, CommandError> {
        self.find(key).map(collection).transpose()
    }

    /// Looks several collections up to read them.
    pub fn find_each_as<'a, 'k, C: Collection + 'a>(
        &'a mut self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> impl Iterator<Item = Result<Option<&'a C>, CommandError>> {
        self.find_each(keys).map(|found| found.map(collection).transpose())
    }

    /// Changes a collection if it is there. The caller removes the key if nothing is left in it.
    #[inline]
    pub fn change<C: Collection, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut C) -> R,
    ) -> Result<Option<R>, CommandError> {
        match self.find_mut(key) {
            Some(mut entry) => apply(&mut entry, change).map(Some),
            None => Ok(None),
        }
    }

    /// Changes a collection, made first if it is not there: it must have something in it afterwards. One look-up.
    #[inline]
    pub fn create_or_change<C: Collection, R>(
        &mut self,
        key: &[u8],
        make: impl FnOnce() -> C,
        change: impl FnOnce(&mut C) -> R,
    ) -> Result<R, CommandError> {
        self.expire_if_due(key);
        let make = || Entry::with_object(key, make().into(), None);
        let mut entry = self.keyspace.db_mut(self.db).find_or_insert_with(key, make);
        self.rest.touch(&entry, self.env, self.session);
        apply(&mut entry, change)
    }

    /// Removes a key whose time is over. Every write begins with this or with [`Self::find_mut`].
    #[inline]
    pub fn expire_if_due(&mut self, key: &[u8]) {
        self.expire_if_due_in(self.db, key);
    }

    /// The same in another database (MOVE, COPY).
    pub fn expire_if_due_in(&mut self, db: usize, key: &[u8]) {
        let now_ms = self.now_ms();
        let keys = self.keyspace.db(db);
        if keys.volatile_len() > 0 && matches!(keys.find_live(key, now_ms), Lookup::Expired) {
            self.rest.expire(self.keyspace, db, key);
        }
    }

    /// Removes a key; what is large is freed later. Returns whether it was there, which a key whose time is over was
    /// not.
    #[inline]
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let now_ms = self.now_ms();
        let db = self.keyspace.db_mut(self.db);
        let Some(entry) = db.remove(key) else { return false };
        let due = entry.expiry().is_some_and(|at| is_due(at, now_ms));
        db.bury(entry);
        if due {
            self.rest.count_expired(self.db, key);
        }
        !due
    }

    /// Makes a key hold a collection, or removes it where there is none, whatever it held before: the result of a
    /// command that stores one.
    pub fn replace(&mut self, key: &[u8], by: Option<Object>, event: Event) {
        self.expire_if_due(key);
        if let Some(object) = by {
            let replaced = self.db().insert(Entry::with_object(key, object, None));
            replaced.into_iter().for_each(|entry| self.db().bury(entry));
            self.changed(key, event);
        } else if self.remove(key) {
            self.changed(key, Event::generic("del"));
        }
    }

    /// Notes that elements of a collection were taken out, and removes the key if none are left, or to be left.
    #[inline]
    pub fn shrunk(&mut self, key: &[u8], event: Event, emptied: bool) {
        self.changed(key, event);
        if emptied {
            self.remove(key);
            self.changed(key, Event::generic("del"));
        }
    }

    /// Notes that a key has changed. Every handler that changes one says so, once per key and event.
    #[inline]
    pub fn changed(&mut self, key: &[u8], event: Event) {
        self.rest.changed(self.db, key, event);
    }

    /// Notes a change beside what a key holds: of a stream's groups, or of its last id. WATCH does not see it.
    #[inline]
    pub fn changed_unwatched(&mut self, key: &[u8], event: Option<Event>) {
        self.rest.changed_unwatched(self.db, key, event);
    }

    /// Has those who wait for a key look at it again: what they wait for may never come.
    pub fn wake(&mut self, key: &[u8]) {
        self.rest.wake(self.db, key);
    }

    /// Notes that a key's bytes have changed in a way that notifications do not tell: PFCOUNT keeping its answer.
    pub fn changed_unannounced(&mut self, key: &[u8]) {
        self.rest.changed_unannounced(self.db, key);
    }
}

#[inline]
fn collection<C: Collection>(entry: &Entry) -> Result<&C, CommandError> {
    entry.object().and_then(C::of).ok_or(CommandError::WrongType)
}

#[inline]
fn apply<C: Collection, R>(
    entry: &mut EntryMut<'_>,
    change: impl FnOnce(&mut C) -> R,
) -> Result<R, CommandError> {
    let mut object = entry.object_mut().ok_or(CommandError::WrongType)?;
    C::of_mut(&mut object).map(change).ok_or(CommandError::WrongType)
}
