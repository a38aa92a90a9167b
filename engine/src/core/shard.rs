//! The shard: the data of one core, and what runs on it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bobbin_proto::Reply;

use super::env::{Now, Shared, Stopwatch};
use crate::command::blocking::Patience;
use crate::command::{Args, Command, Cx, Event, ShardFn, flag};
use crate::config::Config;
use crate::ids::{ReactorId, WatchId};
use crate::journal::{Clock, Effects};
use crate::mesh::SessionBits;
use crate::observe::{HotKeys, ShardStats};
use crate::pubsub::Bus;
use crate::rdb::Checksum;
use crate::rules::{Rule, holds};
use crate::scopes::Scopes;
use crate::store::{Entry, EvictConfig, Evictor, Expired, Keyspace, Lookup, Policy};
use crate::txn::{Change, Concerns, Lent, Waits, Watches};

/// What surrounds the code that runs in a core.
#[derive(Debug)]
pub struct Env {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub scopes: Arc<Scopes>,
    /// There are any.
    pub has_scopes: bool,
    pub now: Now,
    pub stopwatch: Stopwatch,
    /// Bytes the whole server uses, as of the start of the iteration.
    pub memory_used: u64,
    /// Those of them that a snapshot holds for as long as it is made: `maxmemory` does not count them.
    pub memory_uncounted: u64,
    /// Memory is over `maxmemory` and nothing more can be evicted here.
    pub out_of_memory: bool,
    /// What is on disk is being loaded.
    pub is_loading: bool,
    /// Why the journal cannot be written at the moment.
    pub disk_failure: Option<Arc<str>>,
    /// The last snapshot could not be made.
    pub save_failed: bool,
}

impl Env {
    pub fn new(shared: Arc<Shared>, config: Arc<Config>, stopwatch: Stopwatch) -> Self {
        let scopes = shared.scopes();
        Self {
            has_scopes: !scopes.table.is_empty(),
            scopes,
            shared,
            config,
            now: Now::default(),
            stopwatch,
            memory_used: 0,
            memory_uncounted: 0,
            out_of_memory: false,
            is_loading: false,
            disk_failure: None,
            save_failed: false,
        }
    }

    /// How long a string may become. What is on disk was within the limit of its time, and is loaded whatever it is now.
    #[inline]
    pub fn string_len_max(&self) -> u64 {
        if self.is_loading { u64::MAX } else { self.config.proto_max_bulk_len }
    }
}

/// The keys of one core and what belongs to them.
#[derive(Debug)]
pub struct Shard {
    pub keyspace: Keyspace,
    pub rest: ShardRest,
    /// The second that new keys' access clocks are set to; 0: to be set.
    clock_secs: u64,
}

/// A shard less its keys: what a command also gets when it runs on borrowed ones.
#[derive(Debug)]
pub struct ShardRest {
    pub rng: fastrand::Rng,
    pub stats: ShardStats,
    pub hot_keys: HotKeys,
    pub evictor: Evictor,
    pub active_expire: bool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION
    pub payload_checksum: Checksum,
    pub watches: Watches,
    pub waits: Waits,
    pub bus: Bus,
    pub effects: Effects,
    /// Keys that somebody waits for and a command has changed, with their databases.
    pub ready: VecDeque<(u16, Box<[u8]>)>,
    /// Keys changed in the workspace, while they are noted: their shards are told.
    changes: Option<Vec<Change>>,
    /// Somebody wants to know of changes.
    is_attentive: bool,
    /// Keys that a read found expired; removed once the command has run.
    expired: BTreeSet<(usize, Box<[u8]>)>,
}

impl ShardRest {
    /// Notes an access, for eviction and OBJECT IDLETIME and FREQ.
    #[inline]
    pub fn touch(&mut self, entry: &Entry, env: &Env, session: SessionBits) {
        if !session.has(SessionBits::NO_TOUCH) {
            self.evictor.config().touch(entry, env.now.unix_ms(), &mut self.rng);
        }
    }

    /// Counts the keys of a command that was drawn for that. What is loaded is no access.
    #[cold]
    fn count_keys(&mut self, env: &Env, command: &Command, db: u16, args: Args<'_>) {
        if self.hot_keys.begin(env.now.unix_ms()) && !env.is_loading {
            command.keys_of(args, |index, _| self.hot_keys.count(db, args.at(index)));
        }
    }

    /// Notes that a key has changed.
    #[inline]
    pub fn changed(&mut self, db: usize, key: &[u8], event: Event) {
        self.stats.changes += 1;
        if self.is_attentive {
            self.tell_of_change(db, key, Concerns::All, Some(event));
        }
    }

    /// Notes a change that has no event.
    #[inline]
    pub fn changed_unannounced(&mut self, db: usize, key: &[u8]) {
        self.stats.changes += 1;
        if self.is_attentive {
            self.tell_of_change(db, key, Concerns::All, None);
        }
    }

    /// Notes a change that nobody who watches the key is to see.
    #[inline]
    pub fn changed_unwatched(&mut self, db: usize, key: &[u8], event: Option<Event>) {
        self.stats.changes += 1;
        if let Some(event) = event {
            self.tell_event(db, key, event);
        }
    }

    /// Has those who wait for a key look at it, though nobody who watches it is to see a change.
    pub fn wake(&mut self, db: usize, key: &[u8]) {
        if self.is_attentive {
            self.tell_of_change(db, key, Concerns::Waiters, None);
        }
    }

    /// Notes a read that found nothing.
    #[inline]
    pub fn missed(&mut self, db: usize, key: &[u8]) {
        self.stats.misses += 1;
        self.tell_event(db, key, Event::MISSED);
    }

    /// Tells an event that concerns nobody but those who hear of it.
    #[inline]
    fn tell_event(&mut self, db: usize, key: &[u8], event: Event) {
        if self.is_attentive && self.bus.classes.has(event.class) {
            self.tell_of_change(db, key, Concerns::Nobody, Some(event));
        }
    }

    #[cold]
    fn tell_of_change(&mut self, db: usize, key: &[u8], concerns: Concerns, event: Option<Event>) {
        let db = db as u16;
        match &mut self.changes {
            Some(changes) => changes.push(Change { db, key: key.into(), concerns, event }),
            None => self.note_changed(db, key, concerns, event),
        }
    }

    /// Tells those who watch a key of this shard, who wait for it, or who hear of its events.
    pub fn note_changed(&mut self, db: u16, key: &[u8], concerns: Concerns, event: Option<Event>) {
        if let Some(event) = event {
            self.bus.notify(db, key, event);
        }
        if concerns == Concerns::All {
            self.watches.touch(db, key);
        }
        if concerns != Concerns::Nobody
            && self.waits.has_line(db, key)
            && !self.ready.iter().any(|(other, name)| *other == db && **name == *key)
        {
            self.ready.push_back((db, key.into()));
        }
    }

    /// Keys of a database come and go under those who wait for them.
    fn note_all_changed(&mut self, db: usize) {
        let db = db as u16;
        let keys: Vec<Box<[u8]>> = self.waits.keys_in(db).map(Box::from).collect();
        self.ready.extend(keys.into_iter().map(|key| (db, key)));
    }

    /// Sees to it that changes are told to those who want to know.
    pub fn attend(&mut self) {
        self.is_attentive = self.changes.is_some()
            || !self.watches.is_empty()
            || !self.waits.is_empty()
            || !self.bus.classes.are_silent();
    }

    /// Notes changes from now on: the keys belong to other shards.
    pub fn follow_changes(&mut self) {
        self.changes = Some(Vec::new());
        self.attend();
    }

    /// What has changed since [`Self::follow_changes`].
    pub fn take_changes(&mut self) -> Vec<Change> {
        let changes = self.changes.take().unwrap_or_default();
        self.attend();
        changes
    }

    pub fn unwatch(&mut self, id: WatchId) {
        self.watches.forget(id);
        self.attend();
    }

    /// Notes that a read found a key expired. It is gone from this moment, and is removed once the command has run.
    #[cold]
    pub fn note_expired(&mut self, db: usize, key: &[u8]) {
        if self.expired.insert((db, key.into())) {
            self.effects.note(db, [b"DEL", key]);
            self.stats.expired += 1;
            self.changed(db, key, Event::EXPIRED);
        }
    }

    /// Removes a key whose time is over.
    #[cold]
    pub fn expire(&mut self, keyspace: &mut Keyspace, db: usize, key: &[u8]) {
        self.effects.note(db, [b"DEL", key]);
        let keys = keyspace.db_mut(db);
        if let Some(entry) = keys.remove(key) {
            keys.bury(entry);
            self.count_expired(db, key);
        }
    }

    /// Notes that a key was removed because its time is over.
    #[cold]
    pub fn count_expired(&mut self, db: usize, key: &[u8]) {
        if !self.expired.is_empty() && self.expired.contains(&(db, key.into())) {
            return;
        }
        self.stats.expired += 1;
        self.changed(db, key, Event::EXPIRED);
    }

    /// Journals that the active pass has removed fields of a hash.
    fn note_expired_fields(&mut self, db: usize, key: &[u8], fields: &[Vec<u8>]) {
        if self.effects.is_on() {
            let args: Vec<&[u8]> =
                [b"HDEL", key].into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
            self.effects.note(db, args);
        }
    }

    /// Notes that fields of a hash were removed because their time is over.
    pub fn count_expired_fields(&mut self, db: usize, key: &[u8], fields: usize) {
        self.stats.expired_fields += fields as u64;
        self.changed(db, key, Event::hash("hexpired"));
    }

    /// Notes that a key was removed to make room.
    pub fn count_evicted(&mut self, db: usize, key: &[u8]) {
        self.stats.evicted += 1;
        self.effects.note(db, [b"DEL", key]);
        self.changed(db, key, Event::EVICTED);
    }

    #[cold]
    fn remove_expired(&mut self, keyspace: &mut Keyspace, now_ms: u64) {
        for (db, key) in std::mem::take(&mut self.expired) {
            let keys = keyspace.db_mut(db);
            if let Lookup::Expired = keys.find_live(&key, now_ms) {
                keys.remove(&key).into_iter().for_each(|entry| keys.bury(entry));
            }
        }
    }
}

fn evict_config(config: &Config) -> EvictConfig {
    EvictConfig {
        policy: Policy::from_name(config.maxmemory_policy.as_str()).unwrap_or_default(),
        samples: usize::try_from(config.maxmemory_samples).unwrap_or(1),
        lfu_log_factor: u32::try_from(config.lfu_log_factor).unwrap_or(0),
        lfu_decay_time: u32::try_from(config.lfu_decay_time).unwrap_or(0),
    }
}

/// Who runs a command, and in which database.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub db: u16,
    pub session: SessionBits,
}

impl Shard {
    pub fn new(config: &Config, seed: u64, id: ReactorId) -> Self {
        let mut shard = Self {
            keyspace: Keyspace::new(config.databases as usize, seed),
            rest: ShardRest {
                rng: fastrand::Rng::with_seed(seed ^ (u64::from(id.0) << 48)),
                stats: ShardStats::default(),
                hot_keys: HotKeys::new(seed ^ !u64::from(id.0)),
                evictor: Evictor::new(evict_config(config)),
                active_expire: true,
                payload_checksum: Checksum::default(),
                watches: Watches::default(),
                waits: Waits::default(),
                bus: Bus::default(),
                effects: Effects::default(),
                ready: VecDeque::new(),
                changes: None,
                is_attentive: false,
                expired: BTreeSet::new(),
            },
            clock_secs: 0,
        };
        shard.configure(config);
        shard
    }

    /// Follows a change of the directives on eviction, hot keys and notifications.
    pub fn configure(&mut self, config: &Config) {
        self.rest.evictor.set_config(evict_config(config));
        self.rest.hot_keys.configure(config.hotkeys_sample_ratio);
        self.rest.bus.classes = config.notify_keyspace_events;
        self.rest.attend();
        self.clock_secs = 0;
    }

    /// Sets the clock of keys yet to be created; it turns once a second.
    #[inline]
    pub fn set_clock(&mut self, now: Now) {
        let secs = now.unix_us / 1_000_000;
        if secs != self.clock_secs {
            self.clock_secs = secs;
            let access = self.rest.evictor.config().access_at_birth(now.unix_ms());
            self.keyspace.set_access_at_birth(access);
        }
    }

    /// What the access clocks of keys are.
    pub fn clock(&self) -> Clock {
        if self.rest.evictor.config().policy.is_lfu() { Clock::Lfu } else { Clock::Lru }
    }

    /// A step of a database's active expiry, which leaves keys alone that are `in_use`. True if there is more to do.
    pub fn expire_step(
        &mut self,
        db: usize,
        now_ms: u64,
        budget: usize,
        in_use: impl Fn(&[u8]) -> bool,
    ) -> bool {
        let Self { keyspace, rest, .. } = self;
        let keys = keyspace.db_mut(db);
        let mut removed = Vec::new();
        let mut fields = Vec::new();
        let cut = keys.expire_step(now_ms, budget, in_use, |expired| match expired {
            Expired::Key(entry) => {
                rest.effects.note(db, [b"DEL", entry.key()]);
                rest.count_expired(db, entry.key());
                removed.push(entry);
            }
            Expired::Field(field) => {
                if rest.effects.is_on() {
                    fields.push(field.to_vec());
                }
            }
            Expired::Fields(entry, count) => {
                rest.note_expired_fields(db, entry.key(), &std::mem::take(&mut fields));
                rest.count_expired_fields(db, entry.key(), count);
            }
            Expired::Emptied(entry) => {
                rest.effects.note(db, [b"DEL", entry.key()]);
                rest.changed(db, entry.key(), Event::generic("del"));
                removed.push(entry);
            }
        });
        removed.into_iter().for_each(|entry| keys.bury(entry));
        cut
    }

    /// Gives up one key, as the policy chooses, but none that is `in_use`. False if there is none it lets go.
    pub fn evict_one(&mut self, now_ms: u64, in_use: impl Fn(&[u8]) -> bool) -> bool {
        let Self { keyspace, rest, .. } = self;
        let Some((db, entry)) = rest.evictor.next_victim(keyspace, now_ms, in_use, &mut rest.rng) else {
            return false;
        };
        rest.count_evicted(db, entry.key());
        keyspace.db_mut(db).bury(entry);
        true
    }

    /// Watches a key for an EXEC. One whose time is over is removed first: it is missing to whoever watches it.
    pub fn watch(&mut self, id: WatchId, db: u16, key: &[u8], now_ms: u64) {
        self.expire_if_due(db.into(), key, now_ms);
        self.rest.watches.watch(id, db, key);
        self.rest.attend();
    }

    fn expire_if_due(&mut self, db: usize, key: &[u8], now_ms: u64) {
        if let Lookup::Expired = self.keyspace.db(db).find_live(key, now_ms) {
            self.rest.expire(&mut self.keyspace, db, key);
        }
    }

    /// Whether a watched key has changed, or its time is over.
    pub fn watch_failed(&self, watch: Option<WatchId>, now_ms: u64) -> bool {
        let Some(watch) = watch.filter(|_| holds(Rule::WatchesAreLookedAt)) else { return false };
        let is_over = |(db, key): (u16, &[u8])| {
            matches!(self.keyspace.db(db.into()).find_live(key, now_ms), Lookup::Expired)
        };
        self.rest.watches.has_changed(watch) || self.rest.watches.keys_of(watch).any(is_over)
    }

    /// When the time of the first of the watched keys is over, if it ever is.
    pub fn watch_ends_ms(&self, watch: Option<WatchId>) -> Option<u64> {
        let keys = watch.into_iter().flat_map(|watch| self.rest.watches.keys_of(watch));
        keys.filter_map(|(db, key)| self.keyspace.db(db.into()).find(key)?.expiry()).min()
    }

    /// Takes a key's entries out of all databases.
    pub fn take_out(&mut self, key: &[u8]) -> Lent {
        take_out(&mut self.keyspace, key)
    }

    /// Lets two databases change places. Whoever watches a key of one that changes places with itself sees no change.
    pub fn swapdb(&mut self, first: usize, second: usize, now_ms: u64) {
        if first != second {
            self.touch_swapped([first, second], now_ms);
        }
        [first, second].into_iter().for_each(|db| self.rest.note_all_changed(db));
        self.keyspace.swapdb(first, second);
        self.rest.stats.changes += 1;
    }

    /// Touches the watched keys of two databases that either holds. What is missing by time is missing.
    fn touch_swapped(&mut self, pair: [usize; 2], now_ms: u64) {
        for (_, key) in self.rest.watches.keys_where(|db, _| pair.contains(&db.into())) {
            pair.iter().for_each(|&db| self.expire_if_due(db, &key, now_ms));
        }
        let keyspace = &self.keyspace;
        let holds = |key: &[u8]| pair.iter().any(|&db| keyspace.db(db).find(key).is_some());
        self.rest.watches.touch_where(|db, key| pair.contains(&db.into()) && holds(key));
    }

    /// Empties one database, or all; what they held is freed in slices.
    pub fn flush(&mut self, db: Option<usize>) {
        let dbs = db.map_or(0..self.keyspace.databases(), |db| db..db + 1);
        let keyspace = &self.keyspace;
        let removes =
            |db: u16, key: &[u8]| dbs.contains(&db.into()) && keyspace.db(db.into()).find(key).is_some();
        self.rest.watches.touch_where(removes);
        for db in dbs {
            self.rest.note_all_changed(db);
            let db = self.keyspace.db_mut(db);
            self.rest.stats.changes += db.len() as u64;
            db.clear();
        }
    }

    /// Does part of a command on this shard's keys, and has it tell the journal what it did.
    pub fn with_context<R>(
        &mut self,
        env: &Env,
        command: &'static Command,
        caller: Caller,
        work: impl FnOnce(&mut Cx<'_>) -> R,
    ) -> R {
        let Self { keyspace, rest, .. } = self;
        rest.effects.begin(caller.session.has(SessionBits::HOLDS_LOCKS));
        let mut cx = Cx { command, keyspace, rest, env, db: caller.db as usize, session: caller.session };
        let done = work(&mut cx);
        rest.effects.end_part();
        rest.remove_expired(keyspace, env.now.unix_ms());
        done
    }

    /// Runs a command on this shard's keys; its reply is appended to `out`.
    #[inline]
    pub fn run(
        &mut self,
        env: &Env,
        command: &'static Command,
        run: ShardFn,
        caller: Caller,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        run_on(&mut self.keyspace, &mut self.rest, env, command, run, caller, args, out)
    }
}

/// Takes a key's entries out of all databases.
pub(super) fn take_out(keyspace: &mut Keyspace, key: &[u8]) -> Lent {
    let dbs = keyspace.iter_mut().enumerate().filter(|(_, db)| !db.is_empty());
    dbs.filter_map(|(index, db)| Some((index as u16, db.remove(key)?))).collect()
}

/// Runs a command on a keyspace: a shard's, or the workspace of a transaction. Returns false when it failed.
#[inline]
#[expect(clippy::too_many_arguments, reason = "the one place where a command meets all that it may touch")]
pub(super) fn run_on(
    keyspace: &mut Keyspace,
    rest: &mut ShardRest,
    env: &Env,
    command: &'static Command,
    run: ShardFn,
    caller: Caller,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let (changes, expired) = (rest.stats.changes, rest.stats.expired);
    if rest.hot_keys.draws() {
        rest.count_keys(env, command, caller.db, args);
    }
    rest.effects.begin(caller.session.has(SessionBits::HOLDS_LOCKS));
    let mut cx = Cx { command, keyspace, rest, env, db: caller.db as usize, session: caller.session };
    let ran = run(&mut cx, args, &mut Reply::new(out, caller.session.version()));
    let changed = rest.stats.changes - changes;
    // One that fails may have found keys expired, which have effects of their own.
    let has_changed = changed != 0 && (ran.is_ok() || changed != rest.stats.expired - expired);
    rest.effects.end(has_changed && command.has(flag::WRITE), caller.db.into(), args);
    if !rest.expired.is_empty() {
        rest.remove_expired(keyspace, env.now.unix_ms());
    }
    let Err(error) = ran else {
        if out.len() == start {
            answer_nothing(command, caller.session, args, out);
        }
        return true;
    };
    out.truncate(start);
    error.write(&mut Reply::new(out, caller.session.version()));
    rest.stats.errors.count(&error);
    false
}

/// Answers for a command that found nothing and does not wait. One that waits is not answered.
#[cold]
fn answer_nothing(command: &Command, session: SessionBits, args: Args<'_>, out: &mut Vec<u8>) {
    let Some(blocking) = command.run.blocking() else { return };
    if session.has(SessionBits::NEVER_WAITS | SessionBits::HOLDS_LOCKS)
        || (blocking.patience)(args) == Patience::None
    {
        blocking.nothing.write(&mut Reply::new(out, session.version()));
    }
}
