//! Loading: a core takes its keys out of the snapshot and does again what the journal says, a slice in each iteration,
//! and serves nobody's data meanwhile.
//!
//! Nothing expires and nothing is evicted while it loads, but by what the journal says: the clock stands at zero, or shows
//! what it showed when a command was run whose effects depend on it.

use std::collections::VecDeque;
use std::sync::Arc;

use bobbin_proto::Span;

use super::Core;
use super::journalling::UnknownEffect;
use super::shard::Caller;
use crate::command::{self, Args, OwnedArgs, Run};
use crate::ids::{CommandId, ConnId, ReplyTo};
use crate::journal::{Batch, Clock, Commands, ReadChunk};
use crate::mesh::SessionBits;
use crate::txn::{Job, Terms, Work, shares};

/// What a core is given to load.
#[derive(Debug)]
pub enum Load {
    /// Keys, this shard's and others', with access clocks of this kind.
    Keys { chunk: Arc<ReadChunk>, clock: Clock },
    /// Commands whose keys are this shard's.
    Effects(Batch),
    /// A command whose keys are this shard's and others'.
    Together { db: u32, at_ms: Option<u64>, command: CommandId, args: OwnedArgs },
    /// Nothing: done when nothing of this shard is lent.
    Rest,
}

#[derive(Debug, Default)]
pub(super) struct Loading {
    queue: VecDeque<Load>,
    /// The first of the queue is under way.
    has_begun: bool,
    /// What the clock shows for it.
    pub(super) at_us: u64,
    spans: Vec<Span>,
}

impl Core {
    /// Nobody's data are served until [`Self::end_loading`].
    pub fn begin_loading(&mut self) {
        self.env.is_loading = true;
    }

    pub fn end_loading(&mut self) {
        self.env.is_loading = false;
    }

    /// Input: something to load.
    pub fn load(&mut self, load: Load) {
        self.loading.queue.push_back(load);
    }

    /// Goes on loading. True if the first of what was given has been loaded.
    pub fn load_some(&mut self) -> Result<bool, UnknownEffect> {
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
            Some(Load::Together { .. }) if self.loading.has_begun => self.coordinator.is_empty(),
            Some(Load::Together { db, at_ms, command, args }) => {
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
        for key in chunk.keys() {
            let mut key = key.map_err(|error| UnknownEffect::value(error.at(), &error))?;
            if self.owner(key.key) == self.id {
                key.access = key.access.filter(|_| has_clock);
                let entry = key.entry(&limits);
                let entry = entry.map_err(|error| UnknownEffect::value(chunk.place().at, &error))?;
                self.shard.keyspace.db_mut(database).insert(entry);
            }
        }
        Ok(())
    }

    fn load_effects(&mut self, effects: &Batch) -> Result<(), UnknownEffect> {
        let mut spans = std::mem::take(&mut self.loading.spans);
        let bytes = effects.bytes();
        for command in Commands::of(bytes).flatten() {
            spans.clear();
            spans.extend(command.args.map(|arg| Span {
                start: (arg.as_ptr().addr() - bytes.as_ptr().addr()) as u32,
                len: arg.len() as u32,
            }));
            self.replay(command.database as usize, command.at_ms, Args::new(bytes, &spans))?;
        }
        self.loading.spans = spans;
        Ok(())
    }

    /// Does again what the journal says, as far as it concerns this shard alone, by a clock that shows `at_ms` or stands at
    /// zero.
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
        let run = |core: &mut Self| core.shard.run(&core.env, row, run, caller, args, &mut Vec::new());
        self.at_time(us_of(at_ms), run);
        Ok(())
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

    fn command(args: Args<'_>) -> Self {
        Self::Command(args.at(0).escape_ascii().to_string())
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
