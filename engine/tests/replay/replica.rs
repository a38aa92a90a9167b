//! A core that does again what others have journalled.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;

use bobbin_engine::command::OwnedArgs;
use bobbin_engine::config::Config;
use bobbin_engine::core::{Core, Now, Shared, Stopwatch};
use bobbin_engine::ids::ReactorId;
use bobbin_engine::journal::Commands;

use super::world::about;

#[derive(Debug)]
pub struct Replica {
    pub core: Core,
}

impl Replica {
    pub fn new(seed: u64) -> Self {
        let config = Arc::new(Config::default());
        let shared = Arc::new(Shared::new(1, Arc::clone(&config), about(seed)));
        let mut core = Core::new(ReactorId(0), shared, config, Stopwatch::Virtual(Cell::new(0)));
        core.begin(Now { unix_us: 0, mono_us: 0 }, 0);
        Self { core }
    }

    pub fn replay(&mut self, batch: &[u8]) {
        for command in Commands::of(batch) {
            let command = command.expect("batches are well-formed");
            let args = OwnedArgs::new(command.args);
            let done = self.core.replay(command.database as usize, command.at_ms, args.as_args());
            done.expect("the journal has nothing else");
        }
    }
}

/// A batch, a line for each command.
pub fn described(batch: &[u8]) -> String {
    let mut lines = String::from("-- a batch\n");
    for command in Commands::of(batch) {
        let command = command.expect("batches are well-formed");
        let args: Vec<String> = command.args.map(|arg| arg.escape_ascii().to_string()).collect();
        let at = command.at_ms.map(|at_ms| format!("at {at_ms} ")).unwrap_or_default();
        writeln!(lines, "{} {at}{}", command.database, args.join(" ")).expect("a string takes all");
    }
    lines
}
