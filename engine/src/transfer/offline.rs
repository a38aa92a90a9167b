//! The state of a directory in the memory of one core, which serves nobody: what a start makes of the same files.

use std::sync::Arc;

use crate::command::OwnedArgs;
use crate::config::Config;
use crate::core::{About, Core, Load, Now, Shared, Stopwatch, UnknownEffect};
use crate::ids::ReactorId;
use crate::journal::{Clock, Commands, ReadChunk};
use crate::store::Keyspace;

/// Allocations freed in a step.
const FREE_BUDGET: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Offline {
    core: Core,
}

impl Offline {
    pub(super) fn new(databases: u32) -> Self {
        let config = Arc::new(Config { databases, ..Config::default() });
        let about = About { seed: fastrand::u64(..), ..About::default() };
        let shared = Arc::new(Shared::new(1, Arc::clone(&config), about));
        let mut core = Core::new(ReactorId(0), shared, config, Stopwatch::Real(quanta::Clock::new()));
        core.begin(Now::default(), 0);
        core.begin_loading();
        Self { core }
    }

    pub(super) fn keyspace(&self) -> &Keyspace {
        &self.core.shard.keyspace
    }

    pub(super) fn take_chunk(&mut self, chunk: ReadChunk, clock: Clock) -> Result<(), UnknownEffect> {
        self.core.load(Load::Keys { chunk: Arc::new(chunk), clock });
        self.core.load_some().map(|_| ()).map_err(|failure| failure.effect)
    }

    /// Commands that fail are passed over, as a start does unless `propagation-error-behavior` says otherwise.
    pub(super) fn take_batch(&mut self, batch: &[u8]) -> Result<Failures, UnknownEffect> {
        let mut failures = Failures::default();
        for command in Commands::of(batch).flatten() {
            let args = OwnedArgs::new(command.args);
            match self.core.replay(command.database as usize, command.at_ms, args.as_args()) {
                Err(failed @ UnknownEffect::Failed { .. }) => failures.note(failed),
                done => done?,
            }
        }
        self.free();
        Ok(failures)
    }

    /// Frees what has been deleted, which a server does between commands.
    fn free(&mut self) {
        while self.core.shard.keyspace.free_step(FREE_BUDGET) {}
    }
}

/// Commands of a batch that took effect when they were written, and failed now.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) count: u64,
    pub(super) first: Option<UnknownEffect>,
}

impl Failures {
    fn note(&mut self, failed: UnknownEffect) {
        self.count += 1;
        self.first.get_or_insert(failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Batch;

    fn take(offline: &mut Offline, commands: &[Vec<&[u8]>]) -> Failures {
        let mut batch = Batch::default();
        commands.iter().for_each(|words| batch.push(0, words.iter().copied()));
        offline.take_batch(batch.bytes()).expect("commands that there are")
    }

    #[test]
    fn what_is_deleted_is_freed() {
        let members: Vec<String> = (0..1000).map(|nth| format!("member {nth}")).collect();
        let filled = |command: &'static [u8], key: &'static [u8]| {
            [command, key].into_iter().chain(members.iter().map(|member| member.as_bytes())).collect()
        };
        let mut offline = Offline::new(16);
        for gone in [vec![&b"DEL"[..], b"l", b"s"], vec![&b"FLUSHALL"[..]]] {
            take(&mut offline, &[filled(b"RPUSH", b"l"), filled(b"SADD", b"s"), gone]);
            assert!(offline.keyspace().iter().all(|db| db.is_empty()));
            assert!(!offline.core.shard.keyspace.free_step(0), "something is left to free");
        }
    }

    #[test]
    fn commands_behind_one_that_fails_are_done() {
        let mut offline = Offline::new(16);
        let incr: Vec<&[u8]> = vec![b"INCR", b"k"];
        let failures =
            take(&mut offline, &[vec![b"SET", b"k", b"v"], incr.clone(), incr, vec![b"SET", b"l", b"v"]]);
        assert_eq!(failures.count, 2);
        assert!(
            failures
                .first
                .expect("there are two")
                .to_string()
                .ends_with("again: INCR k: -ERR value is not an integer or out of range")
        );
        assert_eq!(offline.keyspace().iter().map(|db| db.len()).sum::<usize>(), 2);
    }
}
