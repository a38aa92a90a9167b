//! The state of a directory in the memory of one core, which serves nobody: what a start makes of the same files.

use std::sync::Arc;

use crate::command::OwnedArgs;
use crate::config::Config;
use crate::core::{About, Core, Load, Now, Shared, Stopwatch, UnknownEffect};
use crate::ids::ReactorId;
use crate::journal::{Clock, Commands, ReadChunk};
use crate::store::Keyspace;

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

    pub(super) fn take_batch(&mut self, batch: &[u8]) -> Result<(), UnknownEffect> {
        for command in Commands::of(batch).flatten() {
            let args = OwnedArgs::new(command.args);
            self.core.replay(command.database as usize, command.at_ms, args.as_args())?;
        }
        Ok(())
    }
}
