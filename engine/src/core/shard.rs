//! The shard: the data of one core, and what runs on it.

use std::sync::Arc;

use bobbin_proto::Reply;

use super::env::{Now, Shared, Stopwatch};
use crate::command::{Args, Command, Cx, Event, ShardFn};
use crate::config::Config;
use crate::ids::ReactorId;
use crate::mesh::SessionBits;
use crate::observe::ShardStats;
use crate::store::{Db, Entry, Keyspace, Lookup};

/// What surrounds the code that runs in a core.
#[derive(Debug)]
pub struct Env {
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub now: Now,
    pub stopwatch: Stopwatch,
    /// Bytes the whole server uses, as of the start of the iteration.
    pub memory_used: u64,
    /// Memory is over `maxmemory` and nothing more can be evicted here.
    pub out_of_memory: bool,
}

impl Env {
    pub fn new(shared: Arc<Shared>, config: Arc<Config>, stopwatch: Stopwatch) -> Self {
        Self { shared, config, now: Now::default(), stopwatch, memory_used: 0, out_of_memory: false }
    }
}

/// The keys of one core and what belongs to them.
#[derive(Debug)]
pub struct Shard {
    pub keyspace: Keyspace,
    pub rest: ShardRest,
}

/// A shard less its keys: what a command also gets when it runs on borrowed ones.
#[derive(Debug)]
pub struct ShardRest {
    pub rng: fastrand::Rng,
    pub stats: ShardStats,
    pub active_expire: bool,
    /// Keys that a read found expired; removed once the command has run.
    expired: Vec<(usize, Box<[u8]>)>,
}

impl ShardRest {
    /// Notes an access, for eviction and OBJECT IDLETIME and FREQ.
    #[inline]
    pub fn touch(&mut self, entry: &Entry, env: &Env, session: SessionBits) {
        if !session.has(SessionBits::NO_TOUCH) {
            let _ = (entry, env);
        }
    }

    /// Notes that a key has changed.
    #[inline]
    pub fn changed(&mut self, _db: usize, _key: &[u8], _event: Event) {
        self.stats.changes += 1;
    }

    #[cold]
    pub fn note_expired(&mut self, db: usize, key: &[u8]) {
        self.expired.push((db, key.into()));
    }

    /// Removes a key whose time is over.
    #[cold]
    pub fn expire(&mut self, db: &mut Db, key: &[u8]) {
        if let Some(entry) = db.remove(key) {
            db.bury(entry);
            self.stats.expired += 1;
        }
    }

    #[cold]
    fn remove_expired(&mut self, keyspace: &mut Keyspace, now_ms: u64) {
        for (db, key) in std::mem::take(&mut self.expired) {
            let db = keyspace.db_mut(db);
            if let Lookup::Expired = db.find_live(&key, now_ms) {
                self.expire(db, &key);
            }
        }
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
        Self {
            keyspace: Keyspace::new(config.databases as usize, seed),
            rest: ShardRest {
                rng: fastrand::Rng::with_seed(seed ^ (u64::from(id.0) << 48)),
                stats: ShardStats::default(),
                active_expire: true,
                expired: Vec::new(),
            },
        }
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
    let mut cx = Cx { command, keyspace, rest, env, db: caller.db as usize, session: caller.session };
    let ran = run(&mut cx, args, &mut Reply::new(out, caller.session.version()));
    if !rest.expired.is_empty() {
        rest.remove_expired(keyspace, env.now.unix_ms());
    }
    let Err(error) = ran else { return true };
    out.truncate(start);
    error.write(&mut Reply::new(out, caller.session.version()));
    rest.stats.errors.count(&error);
    false
}
