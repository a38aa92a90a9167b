//! Loading: a core takes its keys out of the snapshot and does again what the journal says, a slice in each iteration,
//! and serves nobody's data meanwhile.
//!
//! Nothing expires and nothing is evicted while it loads, but by what the journal says: the clock stands at zero, or shows
//! what it showed when a command was run whose effects depend on it.

use std::collections::VecDeque;
use std::sync::Arc;

use arrayvec::ArrayVec;
use bobbin_proto::Span;

use super::Core;
use super::journalling::UnknownEffect;
use super::shard::Caller;
use crate::command::{self, Args, OwnedArgs, Run};
use crate::config::PropagationError;
use crate::ids::{CommandId, ConnId, ReplyTo, Stamp};
use crate::journal::{Batch, Clock, Commands, ReadChunk};
use crate::mesh::SessionBits;
use crate::store::{Entry, Prefetch};
use crate::txn::{Job, Terms, Work, shares};

/// Keys that are put in one behind the other, once what they go into has been fetched for all of them.
const PUT_TOGETHER: usize = Prefetch::KEYS_MAX;
/// How much of a command that fails is told.
const SHOWN_ARGS: usize = 6;
const SHOWN_BYTES: usize = 40;
/// How many such commands are told, of all reactors: one may be the reason of many.
const TOLD_FAILURES: u64 = 20;

/// What a core is given to load.
#[derive(Debug)]
pub enum Load {
    /// Keys, this shard's and others', with access clocks of this kind.
    Keys { chunk: Arc<ReadChunk>, clock: Clock },
    /// Commands whose keys are this shard's.
    Effects(Portion),
    /// A command of the batch with this stamp, whose keys are this shard's and others'.
    Together { stamp: Stamp, db: u32, at_ms: Option<u64>, command: CommandId, args: OwnedArgs },
    /// Nothing: done when nothing of this shard is lent.
    Rest,
}

/// Commands of several batches of the journal.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    commands: Batch,
    count: usize,
    /// The number of a command, and the stamp of the batch that it and those behind it are of.
    stamps: Vec<(usize, Stamp)>,
}

impl Portion {
    /// Appends a command of the batch with this stamp.
    pub fn push(&mut self, stamp: Stamp, db: u32, at_ms: Option<u64>, args: Args<'_>) {
        if self.stamps.last().is_none_or(|&(_, last)| last != stamp) {
            self.stamps.push((self.count, stamp));
        }
        self.commands.push_at(db, at_ms, args.iter());
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all commands.
    pub fn len(&self) -> usize {
        self.commands.bytes().len()
    }

    fn stamp_of(&self, number: usize) -> Option<Stamp> {
        let behind = self.stamps.partition_point(|&(first, _)| first <= number);
        Some(self.stamps[..behind].last()?.1)
    }
}

/// What cannot be loaded, and the stamp of the batch that it is in; what a snapshot has is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    pub stamp: Option<Stamp>,
    pub effect: UnknownEffect,
}

impl From<UnknownEffect> for LoadFailure {
    fn from(effect: UnknownEffect) -> Self {
        Self { stamp: None, effect }
    }
}

#[derive(Debug, Default)]
pub(super) struct Loading {
    queue: VecDeque<Load>,
    /// The first of the queue is under way.
    has_begun: bool,
    /// What the clock shows for it.
    pub(super) at_us: u64,
    spans: Vec<Span>,
    /// What the last command answered.
    reply: Vec<u8>,
    /// Of the command with keys of several shards.
    failure: Option<UnknownEffect>,
}

impl Core {
    /// Nobody's data are served until [`Self::end_loading`].
    pub fn begin_loading(&mut self) {
        self.env.is_loading = true;
    }

    pub fn end_loading(&mut self) {
        self.env.is_loading = false;
        self.loading = Loading::default();
        self.observed.serving_begins();
    }

    /// Input: something to load.
    pub fn load(&mut self, load: Load) {
        self.loading.queue.push_back(load);
    }

    /// Goes on loading. True if the first of what was given has been loaded.
    pub fn load_some(&mut self) -> Result<bool, LoadFailure> {
        let is_done = match self.loading.queue.front_mut() {
            None => return Ok(false),
            Some(Load::Keys { chunk, clock }) => {
                let (chunk, clock) = (Arc::clone(chunk), *clock);
                self.load_keys(&chunk, clock)?;
                true
            }
            Some(Load::Effects(effects)) => {
                let effects = std::mem::take(effects);
                self.load_effects(&effects)?;
                true
            }
            Some(Load::Together { stamp, at_ms, .. }) if self.loading.has_begun => {
                let (stamp, may_fail) = (*stamp, at_ms.is_some());
                if let Some(effect) = self.loading.failure.take().filter(|_| !may_fail) {
                    self.tell_or_refuse(Some(stamp), effect)?;
                }
                self.coordinator.is_empty()
            }
            Some(Load::Together { db, at_ms, command, args, .. }) => {
                let (db, command, args) = (*db, *command, args.clone());
                self.loading.at_us = us_of(*at_ms);
                self.load_together(db, command, args)?;
                self.loading.has_begun = true;
                false
            }
            Some(Load::Rest) => self.schedule.is_idle(),
        };
        if is_done {
            self.loading.queue.pop_front();
            self.loading.has_begun = false;
        }
        Ok(is_done)
    }

    /// Something is left to load.
    pub fn has_loads(&self) -> bool {
        !self.loading.queue.is_empty()
    }

    /// Puts in the keys of a chunk that are this shard's.
    fn load_keys(&mut self, chunk: &ReadChunk, clock: Clock) -> Result<(), UnknownEffect> {
        let database = chunk.place().database as usize;
        self.check_database(database)?;
        let has_clock = clock == self.shard.clock();
        let limits = self.env.config.value_limits(&mut self.shard.rest.rng);
        let mut entries = ArrayVec::<Entry, PUT_TOGETHER>::new();
        for key in chunk.keys() {
            let mut key = key.map_err(|error| UnknownEffect::value(error.at(), &error))?;
            if self.owner(key.key) == self.id {
                key.access = key.access.filter(|_| has_clock);
                let entry = key.entry(&limits);
                entries.push(entry.map_err(|error| UnknownEffect::value(chunk.place().at, &error))?);
                if entries.is_full() {
                    self.put(database, &mut entries);
                }
            }
        }
        self.put(database, &mut entries);
        Ok(())
    }

    /// Puts entries in whose places in the table are fetched together.
    fn put(&mut self, database: usize, entries: &mut ArrayVec<Entry, PUT_TOGETHER>) {
        let db = self.shard.keyspace.db_mut(database);
        let mut prefetch = Prefetch::default();
        entries.iter().for_each(|entry| prefetch.add(db, entry.key(), false));
        prefetch.fetch();
        for entry in entries.drain(..) {
            db.insert(entry);
        }
    }

    /// A command that fails is told, and loading goes on, unless `propagation-error-behavior` says otherwise; as in Redis.
    fn tell_or_refuse(&mut self, stamp: Option<Stamp>, effect: UnknownEffect) -> Result<(), LoadFailure> {
        let goes_on = self.env.config.propagation_error_behavior != PropagationError::Panic;
        match (stamp, &effect) {
            (Some(stamp), UnknownEffect::Failed { .. }) if goes_on => {
                if self.env.shared.loads.note_failed(stamp) <= TOLD_FAILURES {
                    tracing::error!("Loading goes on, but in the batch of stamp {}, {effect}", stamp.0);
                }
                Ok(())
            }
            _ => Err(LoadFailure { stamp, effect }),
        }
    }

    fn load_effects(&mut self, effects: &Portion) -> Result<(), LoadFailure> {
        let mut spans = std::mem::take(&mut self.loading.spans);
        let bytes = effects.commands.bytes();
        for (number, command) in Commands::of(bytes).flatten().enumerate() {
            spans.clear();
            spans.extend(command.args.map(|arg| Span {
                start: (arg.as_ptr().addr() - bytes.as_ptr().addr()) as u32,
                len: arg.len() as u32,
            }));
            self.replay(command.database as usize, command.at_ms, Args::new(bytes, &spans))
                .or_else(|effect| self.tell_or_refuse(effects.stamp_of(number), effect))?;
        }
        self.loading.spans = spans;
        Ok(())
    }

    /// Does again what the journal says, as far as it concerns this shard alone, by a clock that shows `at_ms` or stands at
    /// zero. A command that fails now and did not when it was written finds another state than it did then. Whose effect
    /// depends on the time may have failed then as well, once it had removed what was over.
    pub fn replay(&mut self, db: usize, at_ms: Option<u64>, args: Args<'_>) -> Result<(), UnknownEffect> {
        let row = command::find_request(args).ok_or_else(|| UnknownEffect::command(args))?;
        self.check_database(db)?;
        if let Some(replay) = row.replay() {
            replay(self, db, args);
            return Ok(());
        }
        let (Run::Shard(run) | Run::Wide(run, _) | Run::Blocking(run, _) | Run::Scatter(run, _)) = row.run
        else {
            return Err(UnknownEffect::command(args));
        };
        let caller = Caller { db: db as u16, session: session() };
        let mut reply = std::mem::take(&mut self.loading.reply);
        reply.clear();
        let run = |core: &mut Self| core.shard.run(&core.env, row, run, caller, args, &mut reply);
        let is_done = self.at_time(us_of(at_ms), run);
        let may_fail = at_ms.is_some();
        let done = if is_done || may_fail { Ok(()) } else { Err(UnknownEffect::failed(args, &reply)) };
        self.loading.reply = reply;
        done
    }

    /// A command with keys of several shards, which is done again, has failed.
    pub(super) fn note_failed_load(&mut self, args: Args<'_>, reply: &[u8]) {
        self.loading.failure = Some(UnknownEffect::failed(args, reply));
    }

    fn check_database(&self, db: usize) -> Result<(), UnknownEffect> {
        if db < self.shard.keyspace.databases() { Ok(()) } else { Err(UnknownEffect::Database(db)) }
    }

    fn load_together(&mut self, db: u32, command: CommandId, args: OwnedArgs) -> Result<(), UnknownEffect> {
        self.check_database(db as usize)?;
        let shares = shares(command::row(command), args.as_args(), |key| self.owner(key));
        let job = Job { command, db: db as u16, session: session(), args };
        let nobody = ReplyTo { reactor: self.id, conn: ConnId::NOBODY, seq: 0 };
        self.begin_transaction(nobody, Work::Together { job }, shares, Terms::Wait);
        Ok(())
    }
}

impl UnknownEffect {
    /// `at`: the byte of the snapshot's file.
    pub fn value(at: u64, error: &impl ToString) -> Self {
        Self::Value { at, what: error.to_string() }
    }

    /// One that no server of this version writes.
    pub fn command(args: Args<'_>) -> Self {
        Self::Command(args.at(0).escape_ascii().to_string())
    }

    fn failed(args: Args<'_>, reply: &[u8]) -> Self {
        let shown = |arg: &[u8]| {
            let (start, rest) = arg.split_at(arg.len().min(SHOWN_BYTES));
            format!("{}{}", start.escape_ascii(), if rest.is_empty() { "" } else { "..." })
        };
        let mut command: Vec<String> = args.iter().take(SHOWN_ARGS).map(shown).collect();
        if args.iter().len() > SHOWN_ARGS {
            command.push("...".into());
        }
        Self::Failed { command: command.join(" "), reply: reply.trim_ascii().escape_ascii().to_string() }
    }
}

/// Nothing is due at zero.
fn us_of(at_ms: Option<u64>) -> u64 {
    at_ms.unwrap_or(0).saturating_mul(1000)
}

fn session() -> SessionBits {
    let mut session = SessionBits::default();
    session.set(SessionBits::NEVER_WAITS, true);
    session
}

#[cfg(test)]
mod tests {
    use crate::core::tests::Cores;
    use crate::observe::Loops;

    #[test]
    fn iterations_that_load_are_none_that_clients_wait_for() {
        let mut cores = Cores::new(1, |_| {});
        let core = &mut cores.all[0];
        core.begin_loading();
        core.observed.loops.went_round(2_000_000);
        core.observed.stages.iteration.record(2_000_000_000);
        core.end_loading();
        assert_eq!(core.observed.loops, Loops::default());
        assert!(core.observed.stages.iteration.histogram().is_none_or(|times| times.is_empty()));
    }
}
